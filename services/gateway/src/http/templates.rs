//! What projects are built from, beside what is built in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use titan_error::Result;
use titan_proto::orchestrator::{GetTemplateRequest, ListTemplatesRequest, PutTemplateRequest, Template};
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller};
use super::page::time;
use crate::app::App;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TemplateIn {
    /// TOML: `summary`, `extends` (a template whose files it has too), `blocks`, `prefix`, `read_only`. If it is empty its files are all there is.
    #[serde(default)]
    about: String,
    /// Contents by path; those that end in `.j2` are Jinja. 1 to 200 files, at most 512 KiB together.
    files: HashMap<String, String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TemplateOut {
    name: String,
    summary: String,
    built_in: bool,
    about: String,
    /// Only when one of your own is asked for.
    files: BTreeMap<String, String>,
    updated_by: Option<String>,
    updated_at: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TemplatesOut {
    items: Vec<TemplateOut>,
}

impl From<Template> for TemplateOut {
    fn from(template: Template) -> Self {
        let Template { name, summary, built_in, about, files, updated_by, updated_at } = template;
        let updated_by = Some(updated_by).filter(|by| !by.is_empty());
        Self { name, summary, built_in, about, files: files.into_iter().collect(), updated_by, updated_at: time(updated_at) }
    }
}

/// Built in and your own.
#[utoipa::path(get, path = "/api/v1/templates", responses((status = 200, body = TemplatesOut)))]
async fn list(State(app): State<Arc<App>>, Caller(who): Caller) -> Result<Json<TemplatesOut>> {
    let list = async || app.template_service().list_templates(app.signer.request(&who, ListTemplatesRequest {})?).await;
    Ok(Json(TemplatesOut { items: retrying(list).await?.templates.into_iter().map(TemplateOut::from).collect() }))
}

/// One of your own, with its files.
#[utoipa::path(get, path = "/api/v1/templates/{name}", params(("name" = String, Path)), responses((status = 200, body = TemplateOut), (status = 404)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(name): Path<String>) -> Result<Json<TemplateOut>> {
    let request = GetTemplateRequest { name };
    let get = async || app.template_service().get_template(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(get).await?.into()))
}

/// Add a template, or replace the one of this name. A goal names it by "…, using the template <name>"; with the name of one that is built in it takes
/// the place of that.
#[utoipa::path(put, path = "/api/v1/templates/{name}", params(("name" = String, Path)), request_body = TemplateIn,
    responses((status = 200, body = TemplateOut), (status = 412), (status = 422)))]
async fn put(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
    Body(TemplateIn { about, files }): Body<TemplateIn>,
) -> Result<Json<TemplateOut>> {
    let request = PutTemplateRequest { name, about, files };
    let put = async || app.template_service().put_template(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(put).await?.into()))
}

/// Delete a template of your own.
#[utoipa::path(delete, path = "/api/v1/templates/{name}", params(("name" = String, Path)), responses((status = 200, body = TemplateOut), (status = 404), (status = 412)))]
async fn delete(State(app): State<Arc<App>>, Caller(who): Caller, Path(name): Path<String>) -> Result<Json<TemplateOut>> {
    let request = app.signer.request(&who, GetTemplateRequest { name })?;
    Ok(Json(app.template_service().delete_template(request).await?.into_inner().into()))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, put, delete))
}
