//! Adapters: parse, authorise, convert, call the use case.

mod agents;
mod convert;
mod goals;
mod messages;
mod projects;
mod schedules;
mod tasks;
mod templates;
mod worker;

use std::sync::Arc;

use titan_error::{Error, Result};
use titan_identity::authenticate;
use titan_ids::{Id, Kind};
use titan_proto::orchestrator::agent_service_server::AgentServiceServer;
use titan_proto::orchestrator::goal_service_server::GoalServiceServer;
use titan_proto::orchestrator::message_service_server::MessageServiceServer;
use titan_proto::orchestrator::project_service_server::ProjectServiceServer;
use titan_proto::orchestrator::schedule_service_server::ScheduleServiceServer;
use titan_proto::orchestrator::task_service_server::TaskServiceServer;
use titan_proto::orchestrator::template_service_server::TemplateServiceServer;
use titan_proto::worker::worker_service_server::WorkerServiceServer;
use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;

use crate::app::App;

/// A worker that was cut off says hello with every result that was not acknowledged: 64 KiB for each of its slots.
const HELLO_MOST: usize = 256 << 20;

#[derive(Clone)]
pub(crate) struct Api {
    app: Arc<App>,
}

pub(crate) fn routes(app: Arc<App>) -> Routes {
    let auth = authenticate(app.signer.clone());
    let api = Api { app };
    let mut routes = Routes::builder();
    routes
        .add_service(ProjectServiceServer::with_interceptor(api.clone(), auth.clone()))
        .add_service(GoalServiceServer::with_interceptor(api.clone(), auth.clone()))
        .add_service(TaskServiceServer::with_interceptor(api.clone(), auth.clone()))
        .add_service(AgentServiceServer::with_interceptor(api.clone(), auth.clone()))
        .add_service(MessageServiceServer::with_interceptor(api.clone(), auth.clone()))
        .add_service(ScheduleServiceServer::with_interceptor(api.clone(), auth.clone()))
        .add_service(TemplateServiceServer::with_interceptor(api.clone(), auth.clone()))
        .add_service(InterceptedService::new(WorkerServiceServer::new(api).max_decoding_message_size(HELLO_MOST), auth));
    routes.routes()
}

fn id<K: Kind>(field: &str, text: &str) -> Result<Id<K>> {
    text.parse().map_err(|e| Error::invalid(field, format!("{e}")))
}

fn optional_id<K: Kind>(field: &str, text: &str) -> Result<Option<Id<K>>> {
    if text.is_empty() { Ok(None) } else { id(field, text).map(Some) }
}
