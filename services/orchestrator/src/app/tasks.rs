use titan_error::{Error, Result};
use titan_identity::{Attempt, Principal};
use titan_ids::{Task, TaskId};
use titan_proto::common::PageRequest;
use titan_store::{Page, PageOf};

use super::App;
use crate::store::entity::project;
use crate::store::projects;
use crate::store::tasks::{self, ChangeRow, Filter, TaskRow};

impl App {
    pub(crate) async fn task(&self, who: &Principal, id: TaskId) -> Result<TaskRow> {
        let task = tasks::find(&self.db, who.org, id).await?;
        who.may_touch(task.project_id)?;
        Ok(task)
    }

    /// `project`: id or slug; empty means any.
    pub(crate) async fn tasks(&self, who: &Principal, project: &str, filter: Filter, page: Option<PageRequest>) -> Result<PageOf<TaskRow>> {
        let page = Page::parse::<Task>(page)?;
        let project = if project.is_empty() { who.project } else { Some(self.project(who, project).await?.id) };
        let rows = tasks::list(&self.db, who.org, &Filter { project, ..filter }, page).await?;
        Ok(page.of(rows, |t| t.id.to_string()))
    }

    pub(crate) async fn history(&self, who: &Principal, id: TaskId) -> Result<Vec<ChangeRow>> {
        let task = self.task(who, id).await?;
        tasks::history(&self.db, task.id).await
    }

    /// Whether the attempt still owns its task; asked before every effect on its behalf.
    pub(crate) async fn verify_attempt(&self, who: &Principal, credential: &str) -> Result<(Attempt, project::Model)> {
        who.require_service()?;
        let claims = self.current_attempt(who, credential).await?;
        let project = projects::find(&self.db, claims.org, &claims.project.to_string()).await?;
        Ok((claims, project))
    }

    /// Of the caller's organisation, unless the caller is a service.
    pub(super) async fn current_attempt(&self, who: &Principal, credential: &str) -> Result<Attempt> {
        let claims = self.signer.verify_attempt(credential)?;
        if who.require_service().is_err() && claims.org != who.org {
            return Err(Error::not_found(format!("task {}", claims.task)));
        }
        let task = tasks::find(&self.db, claims.org, claims.task).await?;
        if task.attempt != claims.attempt || !task.state.is_owned() {
            self.ended.with_label_values(&["stale"]).inc();
            let message = format!(
                "attempt {} of {} is not the owner any more (it is at attempt {}, {:?})",
                claims.attempt, claims.task, task.attempt, task.state
            );
            return Err(Error::aborted(message));
        }
        Ok(claims)
    }
}
