use std::path::{Path, PathBuf};
use std::process::Command;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;

/// A project's repository, served over HTTP as files.
pub(crate) struct Source {
    /// In place of the gateway's.
    pub(crate) url: String,
    dir: tempfile::TempDir,
    bare: PathBuf,
}

impl Source {
    #[allow(clippy::disallowed_methods)] // ends with the test's runtime
    pub(crate) async fn serve(project: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bare = dir.path().join(format!("git/{project}.git"));
        git(dir.path(), &["init", "-q", "--bare", &bare.to_string_lossy()]);
        git(dir.path(), &["init", "-q", "work"]);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let root = dir.path().to_owned();
        let files = Router::new().fallback(async move |request: Request| {
            std::fs::read(root.join(request.uri().path().trim_start_matches('/'))).map_err(|_| StatusCode::NOT_FOUND)
        });
        tokio::spawn(async move { axum::serve(listener, files).await });
        Self { url, dir, bare }
    }

    /// A commit of an app with this program and environment.
    pub(crate) fn commit(&self, program: &str, environment: &[(&str, &str)]) -> String {
        self.commit_with(program, environment, "")
    }

    /// With more in its manifest.
    pub(crate) fn commit_with(&self, program: &str, environment: &[(&str, &str)], more: &str) -> String {
        let work = self.dir.path().join("work");
        let variables: String = environment.iter().map(|(name, value)| format!("{name} = \"{value}\"\n")).collect();
        let manifest = format!(
            "[app]\ncommand = [\"/usr/bin/python3\", \"app.py\"]\nhealth = \"/health\"\n[app.environment]\n{variables}[test]\ncommand = [\"true\"]\n{more}"
        );
        std::fs::write(work.join("titan.toml"), manifest).unwrap();
        std::fs::write(work.join("app.py"), program).unwrap();
        git(&work, &["add", "--all"]);
        git(&work, &["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "app"]);
        git(&work, &["push", "-q", &self.bare.to_string_lossy(), "HEAD:refs/heads/main"]);
        git(&self.bare, &["update-server-info"]);
        git(&work, &["rev-parse", "HEAD"])
    }
}

fn git(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").current_dir(dir).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
