use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use serde_json::json;
use titan_error::{Error, Result};
use titan_identity::{Attempt, Effects};
use titan_ids::{ProjectId, SessionId, TaskId};
use titan_proto::events::TaskAssigned;
use titan_proto::events::event::Body;
use titan_proto::worker::{Assignment, Dependency};
use titan_store::Combined;
use titan_store::outbox::{self, About};

use super::App;
use crate::domain::backlog::{PROJECTS, Queued};
use crate::domain::budget::{Budget, Spent};
use crate::domain::fairness::Shares;
use crate::domain::matching::{Candidate, Choice, Matcher, Origin, Slot};
use crate::domain::offer::{Group, Offer};
use crate::domain::records::Records;
use crate::domain::session::AttemptKey;
use crate::domain::task::TaskState;
use crate::store::claims::{self, AssignmentRow};
use crate::store::sessions;
use crate::store::transitions::{self, Change, parsed};

/// Tasks read for a group of slots by one search: what is behind them is searched for when they are gone.
const SEARCHED: u32 = 10_000;
/// The credential must outlive the attempt by the time its last effect may take.
const CREDENTIAL_SLACK: Duration = Duration::from_secs(30);

impl App {
    /// What these slots could take.
    pub(crate) fn offer(&self, slots: Vec<Slot>) -> Offer {
        Offer::new(slots, self.lanes.all(), self.engine.claim_batch)
    }

    /// Claims ready tasks for free slots: candidates are read past those that other replicas are claiming, matched in
    /// memory and taken by one compare-and-set. Looks at `these` only, where they are given.
    pub(crate) async fn claim(
        &self,
        these: Option<&[TaskId]>,
        mut offer: Offer,
        shares: &Shares,
        records: &Records,
        now: DateTime<Utc>,
    ) -> Result<Claimed> {
        let mut gone = BTreeSet::new();
        loop {
            match self.claim_for(these, &offer, shares, records, now).await? {
                Taken::All(claimed) => return Ok(Claimed { gone, ..*claimed }),
                Taken::NotFor(sessions) => {
                    offer = offer.without(&sessions, self.engine.claim_batch);
                    gone.extend(sessions);
                }
            }
        }
    }

    /// What is ready for these agents, whether they have free slots or not, a good deal of it; and whether there may be more.
    pub(crate) async fn search(&self, offer: &Offer, shares: &Shares) -> Result<(Vec<Queued>, bool)> {
        let groups: Vec<Group> = offer.emptied().groups.into_iter().map(|group| Group { room: SEARCHED, ..group }).collect();
        if groups.is_empty() {
            return Ok((Vec::new(), false));
        }
        let found = claims::ready(&self.db, &groups, &shares.ahead().collect::<Vec<_>>(), false).await?;
        Ok((found.iter().map(Candidate::queued).collect(), may_be_more(&found, &groups)))
    }

    /// What of these is ready.
    pub(crate) async fn queued(&self, ids: &[TaskId]) -> Result<Vec<Queued>> {
        claims::queued(&self.db, ids).await
    }

    async fn claim_for(
        &self,
        these: Option<&[TaskId]>,
        offer: &Offer,
        shares: &Shares,
        records: &Records,
        now: DateTime<Utc>,
    ) -> Result<Taken> {
        let mut outcome = Claimed::default();
        if offer.groups.is_empty() || these.is_some_and(<[TaskId]>::is_empty) {
            return Ok(Taken::All(Box::new(outcome)));
        }
        let tx = self.db.begin().await?;
        let mut candidates = if let Some(these) = these {
            let seen = claims::these(&tx, &offer.groups, these).await?;
            outcome.elsewhere = seen.elsewhere;
            outcome.unseen = seen.unfit.iter().any(|lane| offer.lacks_room_for(*lane));
            seen.candidates
        } else {
            // Who asks twice at once is answered one after the other, and by then its slot may be taken.
            for slot in &offer.slots {
                if sessions::alone(&tx, slot.session).await? != i64::from(slot.running) {
                    tx.rollback().await?;
                    return Ok(Taken::All(Box::new(Claimed { unseen: true, ..outcome })));
                }
            }
            claims::ready(&tx, &offer.groups, &shares.ahead().collect::<Vec<_>>(), true).await?
        };
        // What two groups could take was read for both.
        let mut seen = HashSet::new();
        candidates.retain(|candidate| seen.insert(candidate.id));
        let mut found: BTreeMap<TaskId, Queued> = candidates.iter().map(|candidate| (candidate.id, candidate.queued())).collect();
        let candidates = shares.order(candidates, |candidate| (candidate.project, candidate.project_weight));
        let matcher = Matcher { lanes: &offer.lanes, records, weights: self.engine.matching, now };
        let choices = matcher.assign(candidates, offer.slots.clone(), &offer.groups);
        for choice in &choices {
            found.remove(&choice.candidate.id);
        }
        outcome.left.extend(found.into_values());
        if choices.is_empty() {
            tx.rollback().await?;
            return Ok(Taken::All(Box::new(outcome)));
        }
        let mut writes = Combined::default();
        let changes: Vec<Change> = choices.iter().map(change).collect::<Result<_>>()?;
        transitions::record(&mut writes, &changes, now);
        outbox::add(&mut writes, &choices.iter().map(|choice| assigned(choice, now)).collect::<Vec<_>>());
        let rows = claims::claim(&tx, &choices, writes).await?;
        if rows.len() < choices.len() {
            // What is said of the others is not true.
            tx.rollback().await?;
            let taken: HashSet<TaskId> = rows.iter().map(|row| row.id).collect();
            let missed = choices.iter().filter(|choice| !taken.contains(&choice.candidate.id));
            return Ok(Taken::NotFor(missed.map(|choice| choice.slot.session).collect()));
        }
        let mut by_task: HashMap<TaskId, Choice> = choices.into_iter().map(|choice| (choice.candidate.id, choice)).collect();
        let told = |row: AssignmentRow| Some((by_task.remove(&row.id)?, self.assignment(row)));
        let tasks = rows.into_iter().filter_map(told).map(|(choice, told)| Ok((choice, told?))).collect::<Result<_>>()?;
        titan_lifecycle::fault("claim.before_commit").await;
        tx.commit().await.inspect_err(|_| self.dispatcher.resync())?;
        titan_lifecycle::fault("claim.after_commit").await;
        self.outbox.wake();
        outcome.tasks = tasks;
        Ok(Taken::All(Box::new(outcome)))
    }

    /// What the owner of these attempts was told, once more, where they are in one of these states. An attempt that ended
    /// meanwhile is nobody's.
    pub(crate) async fn redeliver(&self, attempts: &[AttemptKey], states: &[TaskState]) -> Result<Vec<Assignment>> {
        let ids: Vec<TaskId> = attempts.iter().map(|(task, _)| *task).collect();
        let rows = claims::assignments(&self.db, &ids, states).await?;
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
        let (budget, spent): (Budget, Spent) = (parsed(row.budget.as_ref()), parsed(row.spent.as_ref()));
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
            budget_json: if budget.is_limited() { json!(budget.left(spent.total())).to_string() } else { String::new() },
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
    /// What was read and found no slot.
    pub(crate) left: Vec<Queued>,
    /// There may be something for agents that have no free slot.
    pub(crate) unseen: bool,
    /// Ready, and in the hands of another transaction that may let go of them.
    pub(crate) elsewhere: Vec<TaskId>,
    /// Sessions that are another replica's, or nobody's, by now.
    pub(crate) gone: BTreeSet<SessionId>,
}

enum Taken {
    All(Box<Claimed>),
    /// Nothing was, for these sessions are not what they were seen as.
    NotFor(BTreeSet<SessionId>),
}

/// A lane of a project gave all that it was asked for, or there were as many projects as are asked.
fn may_be_more(candidates: &[Candidate], groups: &[Group]) -> bool {
    groups.iter().enumerate().any(|(n, group)| {
        let mut sources: HashMap<(i32, ProjectId), usize> = HashMap::new();
        for candidate in candidates.iter().filter(|candidate| candidate.group == n) {
            *sources.entry((candidate.lane, candidate.project)).or_default() += 1;
        }
        let part = (group.room as usize).div_ceil(sources.len().max(1));
        let projects: HashSet<ProjectId> = sources.keys().map(|(_, project)| *project).collect();
        projects.len() >= PROJECTS || sources.values().any(|read| *read >= part)
    })
}

/// The key of tasks that may move a project's `main`: its merge queue, leased by running one. Only plans use it.
pub(super) const MERGE_QUEUE: &str = "merge";

/// Keys are a project's own.
pub(super) fn concurrency_key(project: ProjectId, key: &str) -> String {
    format!("c/{project}/{key}")
}

fn change(choice: &Choice) -> Result<Change> {
    let Choice { candidate, next, slot, factors } = choice;
    Ok(Change {
        task: candidate.id,
        from: candidate.task.state,
        to: next.state,
        attempt: next.attempt,
        actor: slot.agent.id.to_string(),
        reason: format!("claimed for {}", slot.agent.name),
        choice: Some(serde_json::to_value(factors).map_err(Error::internal)?),
    })
}

fn assigned(Choice { candidate, next, slot, .. }: &Choice, now: DateTime<Utc>) -> titan_proto::events::Event {
    let Origin { org, goal, title, traceparent } = &candidate.origin;
    let about = About {
        org: *org,
        project: Some(candidate.project),
        subject: candidate.id.to_string(),
        version: i64::from(next.attempt) * 4,
        causation: goal.map(|goal| goal.to_string()).unwrap_or_default(),
        traceparent: traceparent.clone(),
    };
    let (attempt, agent, kind, title) = (next.attempt, slot.agent.name.clone(), candidate.kind.clone(), title.clone());
    outbox::event(about, Body::TaskAssigned(TaskAssigned { attempt, agent, kind, title }), now)
}
