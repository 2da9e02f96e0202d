//! git over smart HTTP, by the program that comes with git. Anybody of the organisation may read; a ref
//! moves only for an attempt that owns its task, and only the refs that are its own.

use std::process::Stdio;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use base64::Engine as _;
use futures::TryStreamExt as _;
use titan_error::{Code, Error, Result};
use titan_git::{MAIN, clean_git};
use titan_identity::Principal;
use titan_ids::ProjectId;
use titan_proto::orchestrator::{GetProjectRequest, VerifyAttemptRequest};
use titan_service::retrying;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::app::App;

/// What the caller may do with the repository.
struct Access {
    project: ProjectId,
    /// Empty for readers.
    refs: Vec<String>,
}

pub(crate) async fn serve(
    State(app): State<Arc<App>>,
    Path((repo, path)): Path<(String, String)>,
    request: Request,
) -> Result<Response<Body>> {
    let name = repo.strip_suffix(".git").ok_or_else(|| Error::not_found(format!("repository {repo:?}")))?;
    let query = request.uri().query().unwrap_or_default().to_owned();
    let writes = path == "git-receive-pack" || query.contains("service=git-receive-pack");
    if !["info/refs", "git-upload-pack", "git-receive-pack"].contains(&path.as_str()) {
        return Err(Error::not_found(format!("{path:?} in a repository")));
    }
    let access = access(&app, request.headers(), name).await?;
    if writes && access.refs.is_empty() {
        let message = "only the attempt that owns a task may push; change the project with a goal instead";
        return Err(Error::new(Code::PermissionDenied, message));
    }
    let repository = app.repos.open(access.project).await?;
    let mut backend = clean_git();
    backend.arg("http-backend").envs([
        ("GIT_PROJECT_ROOT", repository.path().to_string_lossy().into_owned()),
        ("GIT_HTTP_EXPORT_ALL", "1".to_owned()),
        ("PATH_INFO", format!("/{path}")),
        ("REQUEST_METHOD", request.method().to_string()),
        ("QUERY_STRING", query),
        ("REMOTE_USER", "titan".to_owned()),
        ("TITAN_ALLOWED_REFS", access.refs.join("\n")),
    ]);
    for (name, variable) in [
        ("content-type", "CONTENT_TYPE"),
        ("content-length", "CONTENT_LENGTH"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
        ("git-protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = request.headers().get(name).and_then(|v| v.to_str().ok()) {
            backend.env(variable, value);
        }
    }
    let child = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(Error::internal)?;
    answer(&app, child, request.into_body()).await
}

/// Speaks CGI with the program: headers, an empty line, the body.
async fn answer(app: &App, mut child: Child, body: Body) -> Result<Response<Body>> {
    let missing = || Error::internal("a pipe to git http-backend is missing");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let mut stdout = BufReader::new(child.stdout.take().ok_or_else(missing)?);
    let mut stderr = child.stderr.take().ok_or_else(missing)?;
    app.tasks.spawn("git http-backend", async move {
        let mut body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        // The program may end before it has read everything; its answer says why.
        let _ = tokio::io::copy(&mut body, &mut stdin).await;
        drop(stdin);
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said).await;
        match child.wait().await {
            Ok(status) if status.success() => {}
            ended => tracing::warn!(?ended, said, "git http-backend"),
        }
    });
    let (status, headers) = cgi_headers(&mut stdout).await?;
    let mut response = Response::new(Body::from_stream(ReaderStream::new(stdout)));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

async fn cgi_headers(stdout: &mut BufReader<ChildStdout>) -> Result<(StatusCode, HeaderMap)> {
    let (mut status, mut headers) = (StatusCode::OK, HeaderMap::new());
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line).await.map_err(Error::internal)? == 0 {
            return Err(Error::internal("git http-backend ended before its headers"));
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok((status, headers));
        }
        let (name, value) = line.split_once(": ").ok_or_else(|| Error::internal(format!("a CGI header: {line:?}")))?;
        if name.eq_ignore_ascii_case("status") {
            status = value
                .split(' ')
                .next()
                .and_then(|code| code.parse().ok())
                .ok_or_else(|| Error::internal(format!("a CGI status: {value:?}")))?;
        } else {
            let name = HeaderName::try_from(name).map_err(Error::internal)?;
            headers.insert(name, HeaderValue::try_from(value).map_err(Error::internal)?);
        }
    }
}

async fn access(app: &App, headers: &HeaderMap, name: &str) -> Result<Access> {
    let credential = credential(headers)?;
    if let Ok(attempt) = app.signer.verify_attempt(&credential) {
        // The signature says what it was; only the orchestrator knows whether it still is.
        let verify = async || {
            let request = app.signer.service_request(attempt.org, VerifyAttemptRequest { credential: credential.clone() })?;
            app.task_service().verify_attempt(request).await
        };
        let verified = retrying(verify).await?;
        if verified.project_id != name && verified.project_slug != name {
            return Err(Error::new(Code::PermissionDenied, "the attempt is for another project"));
        }
        let mut refs = vec![verified.git_ref];
        if verified.may_merge {
            refs.push(MAIN.to_owned());
        }
        return Ok(Access { project: attempt.project, refs });
    }
    let who = app.authenticate(&credential).await?;
    app.admit(&who).await?;
    Ok(Access { project: project(app, &who, name).await?, refs: Vec::new() })
}

async fn project(app: &App, who: &Principal, name: &str) -> Result<ProjectId> {
    let get = async || {
        let request = app.signer.request(who, GetProjectRequest { project: name.to_owned() })?;
        app.project_service().get_project(request).await
    };
    retrying(get).await?.id.parse().map_err(Error::internal)
}

/// `Bearer`, or the password of `Basic`: git asks for that one.
fn credential(headers: &HeaderMap) -> Result<String> {
    let missing = || Error::new(Code::Unauthenticated, "an API key is required: as the password when git asks, with any user name");
    let value = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).ok_or_else(missing)?;
    if let Some(token) = value.strip_prefix("Bearer ") {
        return Ok(token.to_owned());
    }
    let encoded = value.strip_prefix("Basic ").ok_or_else(missing)?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|_| missing())?;
    let (_, password) = std::str::from_utf8(&decoded).ok().and_then(|text| text.split_once(':')).ok_or_else(missing)?;
    Ok(password.to_owned())
}
