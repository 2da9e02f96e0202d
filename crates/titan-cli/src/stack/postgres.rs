//! A private PostgreSQL cluster, made and run from the installed programs.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::home::{Home, is_root};

pub(crate) struct Cluster {
    data: PathBuf,
    /// A superuser's.
    pub(crate) url: String,
}

const START_WITHIN: Duration = Duration::from_secs(30);

/// The directory of `initdb` and `postgres`: the newest version there is.
pub(crate) fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop().map(|(_, bin)| bin).context("PostgreSQL is not installed (no /usr/lib/postgresql/*/bin/initdb)")
}

impl Cluster {
    /// Starts the cluster of `home`, making it first if need be. One that already runs, left by a process
    /// that was killed, is adopted.
    pub(crate) async fn start(home: &Home) -> anyhow::Result<Self> {
        let (bin, data) = (programs()?, home.join("postgres"));
        let password = home.secret("postgres-password")?;
        if !data.join("PG_VERSION").exists() {
            init(home, &bin, &data).await?;
        }
        let port = match running_port(&data) {
            Some(port) => port,
            None => launch(&bin, &data).await?,
        };
        let url = format!("postgres://titan:{password}@127.0.0.1:{port}/postgres");
        wait(&url).await?;
        Ok(Self { data, url })
    }

    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        run(as_postgres(&programs()?.join("pg_ctl")).args(["stop", "--silent", "--mode=fast", "-D"]).arg(&self.data)).await
    }
}

async fn init(home: &Home, bin: &Path, data: &Path) -> anyhow::Result<()> {
    // Made aside and renamed: a cluster that was cut off while being made is no cluster.
    let aside = home.join("postgres.new");
    if aside.exists() {
        std::fs::remove_dir_all(&aside)?;
    }
    std::fs::create_dir_all(&aside)?;
    let password_file = aside.with_extension("password");
    std::fs::copy(home.join("postgres-password"), &password_file)?;
    if is_root() {
        // initdb refuses root. The way down to the cluster must be open for its user.
        open_path(home.dir())?;
        run(Command::new("chown").arg("postgres").arg(&aside).arg(&password_file)).await?;
    }
    let result = run(as_postgres(&bin.join("initdb"))
        .args(["--username=titan", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--pwfile"])
        .arg(&password_file)
        .arg("-D")
        .arg(&aside))
    .await;
    std::fs::remove_file(&password_file)?;
    result?;
    Ok(std::fs::rename(&aside, data)?)
}

/// Others may walk through, not look around.
fn open_path(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut permissions = std::fs::metadata(dir)?.permissions();
    permissions.set_mode(permissions.mode() | 0o011);
    Ok(std::fs::set_permissions(dir, permissions)?)
}

/// The port of a postmaster that lives, from its pid file (line 1 the process, line 4 the port). The file of a dead one is
/// removed: a corpse that nobody has buried yet looks alive to the next postmaster.
fn running_port(data: &Path) -> Option<u16> {
    let file = data.join("postmaster.pid");
    let text = std::fs::read_to_string(&file).ok()?;
    let lines: Vec<&str> = text.lines().collect();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", lines.first()?.trim())).unwrap_or_default();
    let alive = stat.contains("(postgres)") && !stat.contains(") Z ");
    if !alive {
        // pg_ctl says so when it cannot be removed.
        let _ = std::fs::remove_file(&file);
        return None;
    }
    lines.get(3)?.trim().parse().ok()
}

async fn launch(bin: &Path, data: &Path) -> anyhow::Result<u16> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let options = format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200");
    run(as_postgres(&bin.join("pg_ctl"))
        .args(["start", "--silent", "--wait", "-o", &options, "-l"])
        .arg(data.join("server.log"))
        .arg("-D")
        .arg(data))
    .await?;
    Ok(port)
}

async fn wait(url: &str) -> anyhow::Result<()> {
    use titan_store::sqlx::Connection as _;
    let connecting = async {
        loop {
            match titan_store::sqlx::PgConnection::connect(url).await {
                Ok(connection) => return connection.close().await,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    };
    Ok(tokio::time::timeout(START_WITHIN, connecting)
        .await
        .context("PostgreSQL did not answer in time; see postgres/server.log in the home directory")??)
}

fn as_postgres(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/");
    command
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    // Into files, not pipes: pg_ctl's server would keep a pipe open.
    let (out, err) = (tempfile::tempfile()?, tempfile::NamedTempFile::new()?);
    let status = command
        .stdin(std::process::Stdio::null())
        .stdout(out)
        .stderr(err.reopen()?)
        .status()
        .await
        .with_context(|| format!("{command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed: {}", std::fs::read_to_string(err.path()).unwrap_or_default().trim());
    }
    Ok(())
}
