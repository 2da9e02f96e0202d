use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use serde_json::json;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::{Goal, GoalId};
use titan_proto::common::PageRequest;
use titan_proto::events::GoalSubmitted;
use titan_proto::events::event::Body;
use titan_store::Combined;
use titan_store::outbox::{self, About};
use titan_store::{Page, PageOf};

use super::projects::{Named, create_with_free_slug, project_created};
use super::submissions::task_submitted;
use super::{App, text};
use crate::domain::readiness::Ready;
use crate::store::entity::goal::{Model, State};
use crate::store::goals::{self, GoalOf};
use crate::store::submissions::{self, NewTask, Scope};

const SENTENCE_MOST: usize = 2_000;

#[derive(Debug)]
pub(crate) struct GoalIn {
    pub(crate) sentence: String,
    /// Id or slug; empty makes a project.
    pub(crate) project: String,
    pub(crate) idempotency_key: String,
    /// It ends with its plan.
    pub(crate) plan_only: bool,
    /// Where it is deployed, one after the other; none: in production.
    pub(crate) environments: Vec<String>,
}

const ENVIRONMENTS: &[&str] = &["dev", "staging", "production"];

fn check_environments(environments: &[String]) -> Result<()> {
    let twice = (1..environments.len()).any(|n| environments[..n].contains(&environments[n]));
    if twice || environments.iter().any(|name| !ENVIRONMENTS.contains(&name.as_str())) {
        return Err(Error::invalid("environments", format!("must be some of {}, each once", ENVIRONMENTS.join(", "))));
    }
    Ok(())
}

impl App {
    /// Stores the goal, its project and the task that plans it. The plan's own tasks come from the agent
    /// that works on that task.
    pub(crate) async fn submit_goal(&self, who: &Principal, goal: GoalIn, now: DateTime<Utc>) -> Result<GoalOf> {
        let sentence = text("sentence", &goal.sentence, SENTENCE_MOST)?;
        check_environments(&goal.environments)?;
        let key = Some(goal.idempotency_key).filter(|key| !key.is_empty());
        if let Some(key) = &key
            && let Some(existing) = goals::by_key(&self.db, who.org, key).await?
        {
            return same_goal(existing, &sentence);
        }
        // With no transaction open: ten of these at once would else wait for each other's connections.
        let known = if goal.project.is_empty() { None } else { Some(self.active_project(who, &goal.project).await?) };
        let mut plan = plan_task(&sentence, goal.plan_only, &goal.environments);
        self.lanes.resolve(&self.db, std::iter::once(&mut plan)).await?;
        let tx = self.db.begin().await?;
        let mut events = Vec::new();
        let project = if let Some(project) = known {
            project
        } else {
            let project =
                create_with_free_slug(&tx, who, &Named { name: title_of(&sentence), description: sentence.clone(), key: None }, now)
                    .await?;
            events.push(project_created(&project, now));
            project
        };
        let traceparent = titan_telemetry::traceparent().unwrap_or_default();
        let goal = Model {
            id: GoalId::generate(),
            org_id: who.org,
            project_id: project.id,
            sentence: sentence.clone(),
            state: State::Running,
            result: None,
            error: String::new(),
            created_by: who.id.to_string(),
            idempotency_key: key.clone(),
            traceparent: traceparent.clone(),
            paused: false,
            created_at: now,
            finished_at: None,
        };
        if !goals::insert(&tx, &goal).await? {
            // Another call with the same key came first; its transaction is committed by now.
            tx.rollback().await?;
            let existing = goals::by_key(&self.db, who.org, key.as_deref().unwrap_or_default()).await?;
            return same_goal(existing.ok_or_else(|| Error::unavailable("try again"))?, &sentence);
        }
        let by = who.id.to_string();
        let scope = Scope { org: who.org, project: project.id, goal: Some(goal.id), by, traceparent };
        let mut writes = Combined::default();
        submissions::insert(&mut writes, &[(&scope, &plan)], now)?;
        events.push(outbox::event(about(&goal), Body::GoalSubmitted(GoalSubmitted { sentence }), now));
        events.push(task_submitted(&scope, &plan, now));
        outbox::add(&mut writes, &events);
        let ready = Ready { tasks: vec![(plan.id.into(), plan.lane_id)], others: false };
        submissions::notify_ready(&mut writes, self.replica, &ready);
        writes.execute(&tx).await?;
        titan_lifecycle::fault("goal.before_commit").await;
        tx.commit().await?;
        titan_lifecycle::fault("goal.after_commit").await;
        self.committed(ready);
        Ok((goal, Some(project)))
    }

    pub(crate) async fn goal(&self, who: &Principal, id: GoalId) -> Result<GoalOf> {
        let goal = goals::find(&self.db, who.org, id).await?;
        who.may_touch(goal.0.project_id)?;
        Ok(goal)
    }

    pub(crate) async fn goals(&self, who: &Principal, project: &str, page: Option<PageRequest>) -> Result<PageOf<GoalOf>> {
        let page = Page::parse::<Goal>(page)?;
        let project = if project.is_empty() { who.project } else { Some(self.project(who, project).await?.id) };
        Ok(page.of(goals::list(&self.db, who.org, project, page).await?, |(goal, _)| goal.id.to_string()))
    }
}

pub(super) fn about(goal: &Model) -> About {
    About {
        org: goal.org_id,
        project: Some(goal.project_id),
        subject: goal.id.to_string(),
        version: if goal.state == State::Running { 1 } else { 2 },
        causation: String::new(),
        traceparent: goal.traceparent.clone(),
    }
}

fn same_goal(existing: GoalOf, sentence: &str) -> Result<GoalOf> {
    if existing.0.sentence == sentence {
        return Ok(existing);
    }
    Err(Error::precondition("this idempotency key was used for another goal; use a new one"))
}

fn plan_task(sentence: &str, plan_only: bool, environments: &[String]) -> NewTask {
    let input = json!({ "sentence": sentence, "plan_only": plan_only, "environments": environments });
    NewTask { priority: 5, timeout_s: 120, ..NewTask::plain("plan-goal", "pm", "Understand the goal and plan it".to_owned(), input) }
}

/// Words that say nothing about what is built.
const EMPTY_WORDS: &[&str] =
    &["a", "an", "the", "build", "create", "make", "write", "me", "us", "please", "for", "of", "to", "i", "want", "need", "develop"];

/// A name for the project of a goal: its first words that say something.
fn title_of(sentence: &str) -> String {
    let until_details = sentence.split([',', '.', ';', ':', '\n']).next().unwrap_or(sentence);
    let before_with = until_details.split(" with ").next().unwrap_or(until_details);
    let words = before_with.split_whitespace().filter(|w| !EMPTY_WORDS.contains(&w.to_lowercase().as_str()));
    let title = words.take(6).collect::<Vec<_>>().join(" ");
    let title: String = title.chars().take(80).collect();
    if title.is_empty() { "Project".to_owned() } else { title }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_what_is_built() {
        assert_eq!(title_of("Build a REST API for todos with a title, a done flag"), "REST API todos");
        assert_eq!(title_of("please"), "Project");
    }
}
