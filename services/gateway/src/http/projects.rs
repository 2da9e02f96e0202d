use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use titan_error::{Error, Result};
use titan_proto::orchestrator::{self as proto, CreateProjectRequest, GetProjectRequest, ListProjectsRequest, UpdateProjectRequest};
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, Query, if_match};
use super::idempotent::downstream_key;
use super::page::{PageIn, PageOut, short, time};
use crate::app::App;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectIn {
    /// 1 to 100 characters.
    name: String,
    #[serde(default)]
    description: String,
    /// Made from the name if not given.
    #[serde(default)]
    slug: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ProjectPatch {
    name: Option<String>,
    description: Option<String>,
    /// Its share of the work that is given out, 0.01 to 100.
    weight: Option<f64>,
    /// How its agents are chosen; the installation's own way when all are 0.
    matching: Option<MatchingIn>,
}

/// How much each factor of the choice of an agent counts, 0 to 100.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct MatchingIn {
    skill: f64,
    workload: f64,
    performance: f64,
    urgency: f64,
    complexity: f64,
    preference: f64,
}

#[derive(Debug, Serialize, ToSchema)]
struct ProjectOut {
    id: String,
    slug: String,
    name: String,
    description: String,
    /// `active` or `archived`.
    status: String,
    owner: String,
    weight: f64,
    /// Null: the installation's own.
    matching: Option<MatchingIn>,
    /// Path of the repository on this server, for `git clone`.
    repository: String,
    created_at: Option<String>,
    updated_at: Option<String>,
}

impl From<proto::Project> for ProjectOut {
    fn from(project: proto::Project) -> Self {
        let status = short(project.status().as_str_name(), "PROJECT_STATUS_");
        let matching = |m: proto::MatchingWeights| MatchingIn {
            skill: m.skill,
            workload: m.workload,
            performance: m.performance,
            urgency: m.urgency,
            complexity: m.complexity,
            preference: m.preference,
        };
        Self {
            repository: format!("/git/{}.git", project.slug),
            id: project.id,
            slug: project.slug,
            name: project.name,
            description: project.description,
            status,
            owner: project.owner,
            weight: project.weight,
            matching: project.matching.map(matching),
            created_at: time(project.created_at),
            updated_at: time(project.updated_at),
        }
    }
}

/// The project with its version as ETag.
fn with_etag(project: proto::Project) -> Response {
    let etag = format!("\"{}\"", project.version);
    ([(header::ETAG, etag)], Json(ProjectOut::from(project))).into_response()
}

fn version(headers: &HeaderMap) -> Result<i64> {
    if_match(headers, "project")?.parse().map_err(|_| Error::invalid("If-Match", "is not an ETag of this project"))
}

/// Make a project.
#[utoipa::path(post, path = "/api/v1/projects", request_body = ProjectIn, params(("Idempotency-Key" = Option<String>, Header)), responses((status = 201, body = ProjectOut), (status = 409), (status = 422)))]
async fn create(State(app): State<Arc<App>>, Caller(who): Caller, headers: HeaderMap, Body(project): Body<ProjectIn>) -> Result<Response> {
    let ProjectIn { name, description, slug } = project;
    let request = CreateProjectRequest { name, description, slug, idempotency_key: downstream_key(&headers) };
    let create = async || app.project_service().create_project(app.signer.request(&who, request.clone())?).await;
    let project = retrying(create).await?;
    Ok(super::created(format!("/api/v1/projects/{}", project.slug), ProjectOut::from(project)))
}

/// One project, by id or slug.
#[utoipa::path(get, path = "/api/v1/projects/{project}", params(("project" = String, Path)), responses((status = 200, body = ProjectOut), (status = 404)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(project): Path<String>) -> Result<Response> {
    let get = async || app.project_service().get_project(app.signer.request(&who, GetProjectRequest { project: project.clone() })?).await;
    Ok(with_etag(retrying(get).await?))
}

/// Projects that are not archived.
#[utoipa::path(get, path = "/api/v1/projects", params(PageIn), responses((status = 200, body = PageOut<ProjectOut>)))]
async fn list(State(app): State<Arc<App>>, Caller(who): Caller, Query(page): Query<PageIn>) -> Result<Json<PageOut<ProjectOut>>> {
    let page = page.request();
    let list = async || app.project_service().list_projects(app.signer.request(&who, ListProjectsRequest { page: page.clone() })?).await;
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.projects, found.page, ProjectOut::from)))
}

/// Change the name or description; `If-Match` carries the ETag of the version the change was made against.
#[utoipa::path(patch, path = "/api/v1/projects/{project}", params(("project" = String, Path), ("If-Match" = String, Header)), request_body = ProjectPatch,
    responses((status = 200, body = ProjectOut), (status = 404), (status = 412), (status = 422)))]
async fn update(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(project): Path<String>,
    headers: HeaderMap,
    Body(patch): Body<ProjectPatch>,
) -> Result<Response> {
    let ProjectPatch { name, description, weight, matching } = patch;
    let matching = matching.map(|MatchingIn { skill, workload, performance, urgency, complexity, preference }| proto::MatchingWeights {
        skill,
        workload,
        performance,
        urgency,
        complexity,
        preference,
    });
    let request = UpdateProjectRequest { project, name, description, weight, matching, version: version(&headers)? };
    let request = app.signer.request(&who, request)?;
    let project = app.project_service().update_project(request).await?.into_inner();
    Ok(with_etag(project))
}

/// Archive a project: it leaves the lists, its history stays.
#[utoipa::path(delete, path = "/api/v1/projects/{project}", params(("project" = String, Path)), responses((status = 200, body = ProjectOut), (status = 404), (status = 412)))]
async fn archive(State(app): State<Arc<App>>, Caller(who): Caller, Path(project): Path<String>) -> Result<Response> {
    let archive =
        async || app.project_service().delete_project(app.signer.request(&who, GetProjectRequest { project: project.clone() })?).await;
    Ok(with_etag(retrying(archive).await?))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(get, update, archive))
}
