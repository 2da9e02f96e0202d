//! `deployment.*`: what there is to watch.

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::DatabaseTransaction;
use titan_bus::MONITORING_DEPLOYMENTS;
use titan_error::{Error, Result};
use titan_proto::events::Event;
use titan_proto::events::event::Body;
use titan_store::inbox::{Handle, Inbox};

use crate::app::App;
use crate::store::targets::{self, New};

pub(crate) struct Deployments(Arc<App>);

pub(crate) fn deployments(app: Arc<App>) -> Inbox<Deployments> {
    Inbox { db: app.db.clone(), consumer: MONITORING_DEPLOYMENTS.name, handler: Deployments(app) }
}

#[async_trait]
impl Handle for Deployments {
    async fn handle(&self, tx: &DatabaseTransaction, events: &[&Event]) -> Result<()> {
        for event in events {
            self.handle_one(tx, event).await?;
        }
        Ok(())
    }

    fn committed(&self) {
        self.0.wake.notify_one();
    }
}

impl Deployments {
    async fn handle_one(&self, tx: &DatabaseTransaction, event: &Event) -> Result<()> {
        let bad = |field: &'static str| move |e: titan_ids::ParseIdError| Error::invalid(field, e.to_string());
        let url = match &event.body {
            Some(Body::DeploymentSucceeded(succeeded)) => succeeded.health_url.as_str(),
            _ => "",
        };
        let target = New {
            deployment: event.subject.parse().map_err(bad("subject"))?,
            org: event.org_id.parse().map_err(bad("org_id"))?,
            project: event.project_id.parse().map_err(bad("project_id"))?,
            url,
            version: event.subject_version,
            interval_s: self.0.probes.interval_s,
            traceparent: &event.traceparent,
        };
        match &event.body {
            Some(Body::DeploymentSucceeded(_)) => targets::watch(tx, &target).await,
            Some(Body::DeploymentStopped(_) | Body::DeploymentFailed(_)) => targets::unwatch(tx, &target).await,
            Some(Body::DeploymentStarted(_)) => Ok(()),
            _ => Err(Error::invalid("body", format!("{} is not known to this version", event.name))),
        }
    }
}
