//! What is kept of an environment's data, and the way back to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use titan_error::Result;
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;
use titan_proto::deployment::{Backup, ListBackupsRequest, RestoreBackupRequest};
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::environments::key;
use super::extract::{Body, Caller};
use super::operations::{self, OperationOut};
use super::page::time;
use super::versions::project_of;
use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
struct BackupsOut {
    /// Newest first: five from before versions that served, and five from before others.
    items: Vec<BackupOut>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BackupOut {
    /// The deployment before which it was made.
    id: String,
    /// The commit that served until then.
    commit: String,
    made_at: Option<String>,
    /// On disk.
    bytes: u64,
}

/// What is kept of an environment's data: a backup is made before each deployment.
#[utoipa::path(get, path = "/api/v1/projects/{project}/environments/{environment}/backups",
    params(("project" = String, Path), ("environment" = String, Path)), responses((status = 200, body = BackupsOut), (status = 404), (status = 422)))]
async fn backups(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path((project, environment)): Path<(String, String)>,
) -> Result<Json<BackupsOut>> {
    let (id, _) = project_of(&app, &who, &project).await?;
    let list = async || {
        let request = ListBackupsRequest { project_id: id.to_string(), environment: environment.clone() };
        DeploymentServiceClient::new(app.deployment.clone()).list_backups(app.signer.request(&who, request)?).await
    };
    let out = |Backup { id, commit, made_at, bytes }| BackupOut { id, commit, made_at: time(made_at), bytes };
    Ok(Json(BackupsOut { items: retrying(list).await?.backups.into_iter().map(out).collect() }))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RestoreIn {
    /// The id of one of `backups`.
    backup: String,
    /// Begins without approval, also where that is configured; needs a reason.
    #[serde(default)]
    emergency: bool,
    /// For the history; 500 characters at the most.
    #[serde(default)]
    reason: String,
}

/// Deploy what serves once more, with the data of a backup. Requests wait meanwhile; the data that was becomes a backup; should it not get
/// well, everything is as it was. Follow it at its location.
#[utoipa::path(post, path = "/api/v1/projects/{project}/environments/{environment}/restore",
    params(("project" = String, Path), ("environment" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = RestoreIn, responses((status = 202, body = OperationOut), (status = 404), (status = 412), (status = 422)))]
async fn restore(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path((project, environment)): Path<(String, String)>,
    headers: HeaderMap,
    Body(RestoreIn { backup: backup_id, emergency, reason }): Body<RestoreIn>,
) -> Result<Response> {
    let (id, project_slug) = project_of(&app, &who, &project).await?;
    let (project_id, idempotency_key) = (id.to_string(), key(&headers));
    let request = RestoreBackupRequest { project_id, project_slug, environment, backup_id, idempotency_key, emergency, reason };
    let restore =
        async || DeploymentServiceClient::new(app.deployment.clone()).restore_backup(app.signer.request(&who, request.clone())?).await;
    let deployment = retrying(restore).await?;
    operations::accepted(&deployment.id.clone(), OperationOut::of_deployment(deployment))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(backups)).routes(routes!(restore))
}
