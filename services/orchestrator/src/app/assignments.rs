use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use titan_error::{Error, Result};
use titan_identity::{Attempt, Effects};
use titan_ids::{ProjectId, TaskId};
use titan_proto::events::TaskAssigned;
use titan_proto::events::event::Body;
use titan_proto::worker::{Assignment, Dependency};
use titan_store::Combined;
use titan_store::outbox::{self, About};

use super::App;
use crate::domain::fairness::Shares;
use crate::domain::matching::{Candidate, Choice, Group, Lane, Matcher, Records, Slot, group};
use crate::domain::session::AttemptKey;
use crate::store::claims::{self, AssignmentRow};
use crate::store::transitions::{self, Change};

/// The credential must outlive the attempt by the time its last effect may take.
const CREDENTIAL_SLACK: Duration = Duration::from_secs(30);

impl App {
    /// Claims ready tasks for free slots: candidates are read past those that other replicas are claiming, matched in
    /// memory and taken by one compare-and-set. Looks at `these` only, where they are given.
    pub(crate) async fn claim(
        &self,
        these: Option<&[TaskId]>,
        slots: Vec<Slot>,
        shares: &Shares,
        records: &Records,
        now: DateTime<Utc>,
    ) -> Result<Claimed> {
        let lanes = self.lanes.all();
        let mut groups = group(&slots, &lanes);
        for group in &mut groups {
            group.room = group.room.min(self.engine.claim_batch);
        }
        // Agents without a free slot are in no group.
        let mut outcome = Claimed { unseen: slots.iter().any(|slot| !slot.is_free()), ..Claimed::default() };
        if groups.is_empty() {
            return Ok(outcome);
        }
        let tx = self.db.begin().await?;
        let mut candidates = if let Some(these) = these {
            let seen = claims::these(&tx, &groups, these).await?;
            let full = |lane: &Arc<Lane>| slots.iter().any(|slot| !slot.is_free() && slot.agent.fits(lane));
            outcome.unseen = seen.unfit.iter().any(|lane| lanes.get(lane).is_some_and(full));
            (outcome.elsewhere, outcome.left) = (seen.elsewhere, seen.left);
            seen.candidates
        } else {
            let (ahead, began) = (shares.ahead().collect::<Vec<_>>(), Instant::now());
            let candidates = claims::ready(&tx, &groups, &ahead).await?;
            outcome.searched = Some(began.elapsed());
            outcome.more = may_be_more(&candidates, &groups);
            candidates
        };
        // What two groups could take was read for both.
        let mut seen = HashSet::new();
        candidates.retain(|candidate| seen.insert(candidate.id));
        let found = candidates.len();
        let candidates = shares.order(candidates, |candidate| (candidate.project, candidate.project_weight));
        let matcher = Matcher { lanes: &lanes, records, weights: self.engine.matching, now };
        let choices = matcher.assign(candidates, slots, &groups);
        if choices.is_empty() {
            outcome.left |= found > 0;
            tx.rollback().await?;
            return Ok(outcome);
        }
        let taken = claims::claim(&tx, &choices).await?;
        outcome.left |= taken.len() < found;
        let mut by_task: HashMap<TaskId, Choice> = choices.into_iter().map(|c| (c.candidate.id, c)).collect();
        let rows = claims::assignments(&tx, &taken).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        let (mut events, mut changes) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for row in rows {
            let Some(choice) = by_task.remove(&row.id) else { continue };
            let why = serde_json::to_value(&choice.factors).map_err(Error::internal)?;
            let (from, to, actor) = (choice.candidate.task.state, choice.next.state, choice.slot.agent.id.to_string());
            let reason = format!("claimed for {}", row.agent_name);
            changes.push(Change { task: row.id, from, to, attempt: row.attempt, actor, reason, choice: Some(why) });
            events.push(assigned(&row, now));
            claimed.push((choice, self.assignment(row)?));
        }
        let mut writes = Combined::default();
        transitions::record(&mut writes, &changes, now);
        outbox::add(&mut writes, &events);
        writes.execute(&tx).await?;
        titan_lifecycle::fault("claim.before_commit").await;
        tx.commit().await.inspect_err(|_| self.dispatcher.resync())?;
        titan_lifecycle::fault("claim.after_commit").await;
        self.outbox.wake();
        outcome.tasks = claimed;
        Ok(outcome)
    }

    /// What the owner of these attempts was told, once more. An attempt that ended meanwhile is nobody's.
    pub(crate) async fn redeliver(&self, attempts: &[AttemptKey]) -> Result<Vec<Assignment>> {
        let ids: Vec<TaskId> = attempts.iter().map(|(task, _)| *task).collect();
        let rows = claims::assignments(&self.db, &ids).await?;
        rows.into_iter().filter(|row| attempts.contains(&(row.id, row.attempt))).map(|row| self.assignment(row)).collect()
    }

    fn assignment(&self, row: AssignmentRow) -> Result<Assignment> {
        let merges = row.concurrency_key == Some(concurrency_key(row.project_id, MERGE_QUEUE));
        let effects = if merges { Effects::Merge } else { Effects::TaskBranch };
        let claims = Attempt { task: row.id, attempt: row.attempt, org: row.org_id, project: row.project_id, effects };
        let ttl = Duration::from_secs(u64::try_from(row.timeout_s).unwrap_or(0)) + CREDENTIAL_SLACK;
        let dependencies = row.dependencies.as_array().into_iter().flatten();
        let dependencies = dependencies.map(|d| Dependency {
            task_id: d["id"]
                .as_str()
                .and_then(|id| uuid::Uuid::parse_str(id).ok())
                .map(|id| TaskId::from(id).to_string())
                .unwrap_or_default(),
            kind: d["kind"].as_str().unwrap_or_default().to_owned(),
            result_json: d["result"].to_string(),
        });
        Ok(Assignment {
            task_id: row.id.to_string(),
            attempt: row.attempt,
            credential: self.signer.sign_attempt(&claims, ttl)?,
            agent_name: row.agent_name,
            kind: row.kind,
            role: row.role,
            title: row.title,
            org_id: row.org_id.to_string(),
            project_id: row.project_id.to_string(),
            project_slug: row.project_slug,
            goal_id: row.goal_id.map(|g| g.to_string()).unwrap_or_default(),
            input_json: row.input.to_string(),
            budget_json: row.budget.map(|budget| budget.to_string()).unwrap_or_default(),
            dependencies: dependencies.collect(),
            deadline_ms: u32::try_from(row.remaining_ms).unwrap_or(u32::MAX),
            traceparent: row.traceparent,
        })
    }
}

/// What came of claiming.
#[derive(Debug, Default)]
pub(crate) struct Claimed {
    /// The choices that were taken, with what their workers are told.
    pub(crate) tasks: Vec<(Choice, Assignment)>,
    /// There may be more than was read.
    pub(crate) more: bool,
    /// Something that was read found no slot, or was not taken.
    pub(crate) left: bool,
    /// There may be something for agents that have no free slot.
    pub(crate) unseen: bool,
    /// Ready, and in the hands of another transaction that may let go of them.
    pub(crate) elsewhere: Vec<TaskId>,
    /// How long searching took.
    pub(crate) searched: Option<Duration>,
}

/// A group read as much as it had room for; or of several projects, one of which may have left room for another.
fn may_be_more(candidates: &[Candidate], groups: &[Group]) -> bool {
    groups.iter().enumerate().any(|(n, group)| {
        let read = || candidates.iter().filter(move |candidate| candidate.group == n);
        let sources: HashSet<_> = read().map(|candidate| (candidate.lane, candidate.project)).collect();
        sources.len() > 1 || read().count() >= group.room as usize
    })
}

/// The key of tasks that may move a project's `main`: its merge queue, leased by running one. Only plans use it.
pub(super) const MERGE_QUEUE: &str = "merge";

/// Keys are a project's own.
pub(super) fn concurrency_key(project: ProjectId, key: &str) -> String {
    format!("c/{project}/{key}")
}

fn assigned(row: &AssignmentRow, now: DateTime<Utc>) -> titan_proto::events::Event {
    let about = About {
        org: row.org_id,
        project: Some(row.project_id),
        subject: row.id.to_string(),
        version: i64::from(row.attempt) * 4,
        causation: row.goal_id.map(|g| g.to_string()).unwrap_or_default(),
        traceparent: row.traceparent.clone(),
    };
    let (agent, kind, title) = (row.agent_name.clone(), row.kind.clone(), row.title.clone());
    outbox::event(about, Body::TaskAssigned(TaskAssigned { attempt: row.attempt, agent, kind, title }), now)
}
