//! What a project was, what it becomes by a sentence, and the way back.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use titan_error::{Error, Result};
use titan_git::Version;
use titan_identity::Principal;
use titan_ids::ProjectId;
use titan_proto::orchestrator::{GetProjectRequest, SubmitGoalRequest};
use titan_service::retrying;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, Query};
use super::idempotent::downstream_key;
use super::operations::{self, OperationOut};
use crate::app::App;

const VERSIONS_MOST: usize = 200;
const DIFF_MOST: usize = 4 << 20;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ModifyIn {
    /// What is to change, such as "Add a priority from 1 to 5 and rename title to name".
    sentence: String,
    /// Only say what would change.
    #[serde(default)]
    plan_only: bool,
    /// Where it is deployed, one after the other: as of a goal.
    #[serde(default)]
    environments: Vec<String>,
}

/// Change a project by a sentence. Follow it at its location; nothing changes when it fails.
#[utoipa::path(post, path = "/api/v1/projects/{project}/modify", params(("project" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = ModifyIn, responses((status = 202, body = OperationOut), (status = 404), (status = 412), (status = 413), (status = 422)))]
async fn modify(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(project): Path<String>,
    headers: HeaderMap,
    Body(ModifyIn { sentence, plan_only, environments }): Body<ModifyIn>,
) -> Result<Response> {
    begin(&app, &who, &headers, SubmitGoalRequest { sentence, project, plan_only, environments, ..Default::default() }).await
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RollbackIn {
    /// A commit of `versions`, or the beginning of its id; the version before the one that is, if not given.
    to: String,
    /// Only say what would change.
    plan_only: bool,
}

/// Take a project back to an earlier version, with its data.
#[utoipa::path(post, path = "/api/v1/projects/{project}/rollback", params(("project" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = RollbackIn, responses((status = 202, body = OperationOut), (status = 404), (status = 412), (status = 422)))]
async fn rollback(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(project): Path<String>,
    headers: HeaderMap,
    Body(RollbackIn { to, plan_only }): Body<RollbackIn>,
) -> Result<Response> {
    let sentence = if to.is_empty() { "Roll back".to_owned() } else { format!("Roll back to {}", commit("to", &to)?) };
    begin(&app, &who, &headers, SubmitGoalRequest { sentence, project, plan_only, ..Default::default() }).await
}

/// A goal about a project that has something to be changed.
async fn begin(app: &App, who: &Principal, headers: &HeaderMap, goal: SubmitGoalRequest) -> Result<Response> {
    let project = &goal.project;
    let id = project_id(app, who, project).await?;
    if app.repos.open(id).await?.versions(1).await?.is_empty() {
        return Err(Error::precondition(format!("the project {project:?} has no version yet; give it a goal first")));
    }
    let request = SubmitGoalRequest { idempotency_key: downstream_key(headers), ..goal };
    let submit = async || app.goal_service().submit_goal(app.signer.request(who, request.clone())?).await;
    let goal = retrying(submit).await?;
    operations::accepted(&goal.id, OperationOut::of_goal(goal.clone(), &[]))
}

/// Of a project by its id or slug.
async fn project_id(app: &App, who: &Principal, project: &str) -> Result<ProjectId> {
    Ok(project_of(app, who, project).await?.0)
}

/// Its id and its slug.
pub(super) async fn project_of(app: &App, who: &Principal, project: &str) -> Result<(ProjectId, String)> {
    let get = async || app.project_service().get_project(app.signer.request(who, GetProjectRequest { project: project.to_owned() })?).await;
    let found = retrying(get).await?;
    Ok((found.id.parse().map_err(|e: titan_ids::ParseIdError| Error::internal(e.to_string()))?, found.slug))
}

pub(super) fn commit<'a>(field: &str, text: &'a str) -> Result<&'a str> {
    let good = (7..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    if good { Ok(text) } else { Err(Error::invalid(field, "must be a commit id: 7 to 40 hex digits")) }
}

#[derive(Debug, Serialize, ToSchema)]
struct VersionsOut {
    /// Newest first: the first one is what is.
    items: Vec<VersionOut>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionOut {
    commit: String,
    at: String,
    author: String,
    /// What was done.
    subject: String,
    /// The task that did it.
    task: String,
}

impl From<Version> for VersionOut {
    fn from(Version { commit, at, author, subject, task }: Version) -> Self {
        Self { commit: commit.to_string(), at, author, subject, task }
    }
}

/// What a project was, version by version; 200 at the most.
#[utoipa::path(get, path = "/api/v1/projects/{project}/versions", params(("project" = String, Path)), responses((status = 200, body = VersionsOut), (status = 404)))]
async fn versions(State(app): State<Arc<App>>, Caller(who): Caller, Path(project): Path<String>) -> Result<Json<VersionsOut>> {
    let id = project_id(&app, &who, &project).await?;
    let versions = app.repos.open(id).await?.versions(VERSIONS_MOST).await?;
    Ok(Json(VersionsOut { items: versions.into_iter().map(VersionOut::from).collect() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DiffIn {
    /// A commit of `versions`; the version before `to` if not given.
    #[serde(default)]
    from: String,
    /// The version that is, if not given.
    #[serde(default)]
    to: String,
}

/// What changed from one version to another, as a patch.
#[utoipa::path(get, path = "/api/v1/projects/{project}/diff", params(("project" = String, Path), DiffIn),
    responses((status = 200, body = String, content_type = "text/x-diff"), (status = 404), (status = 413), (status = 422)))]
async fn diff(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(project): Path<String>,
    Query(DiffIn { from, to }): Query<DiffIn>,
) -> Result<Response> {
    let id = project_id(&app, &who, &project).await?;
    let to = if to.is_empty() { "main".to_owned() } else { commit("to", &to)?.to_owned() };
    let from = if from.is_empty() { format!("{to}^1") } else { commit("from", &from)?.to_owned() };
    let patch = app.repos.open(id).await?.diff(&from, &to).await?;
    let patch = patch.ok_or_else(|| Error::not_found(format!("one of the versions {from} and {to} of {project:?}")))?;
    if patch.len() > DIFF_MOST {
        return Err(Error::new(titan_error::Code::TooLarge, "the patch is larger than 4 MiB; clone the repository"));
    }
    Ok(([(header::CONTENT_TYPE, "text/x-diff; charset=utf-8")], patch + "\n").into_response())
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(modify)).routes(routes!(rollback)).routes(routes!(versions)).routes(routes!(diff))
}
