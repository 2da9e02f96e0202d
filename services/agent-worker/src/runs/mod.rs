//! The loop of an agent: observe, decide, act — with every step recorded, so that another worker can go on.

mod attempt;
mod ledger;
mod workspace;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use sea_orm::DatabaseConnection;
use titan_blobs::Blobs;
use titan_error::{Code, Error, Result};
use titan_identity::Signer;
use titan_ids::OrgId;
use titan_lifecycle::Backoff;
use titan_packages::Packages;
use titan_proto::ASSIGNMENT_MOST;
use titan_proto::orchestrator::template_service_client::TemplateServiceClient;
use titan_proto::orchestrator::{FetchTemplatesRequest, FetchTemplatesResponse};
use titan_proto::worker::result::Outcome;
use titan_proto::worker::{Assignment, AttemptRef, Completed, Failed, Rejected, Result as TaskResult, Usage};
use titan_sandbox::Sandbox;
use titan_service::{Frame, Peers};
use titan_templates::{Library, OwnTemplate, RenderedFile};
use tokio::sync::mpsc;
use tonic::transport::Channel;
use tracing::Instrument as _;

use crate::config::Config;
use crate::decider::{self, Next};
use crate::role::{Role, roles};

pub(crate) use attempt::Attempt;
pub(crate) use workspace::{GENERATED, TEMPLATE, Workspace};

use ledger::Ledger;

/// What attempts share.
pub(crate) struct Worker {
    pub(crate) db: DatabaseConnection,
    pub(crate) sandbox: Sandbox,
    pub(crate) blobs: Blobs,
    /// What projects pin.
    pub(crate) packages: Packages,
    templates: Library,
    /// With those of organisations of their own, by their version.
    own_templates: Mutex<HashMap<OrgId, (String, Arc<Library>)>>,
    pub(crate) orchestrator: Channel,
    pub(crate) deployment: Channel,
    pub(crate) monitoring: Channel,
    signer: Signer,
    gateway: String,
    workspaces: PathBuf,
    roles: BTreeMap<String, Role>,
}

/// What an attempt says to its session.
pub(crate) enum Report {
    Started { task: String, attempt: i32 },
    Progress { task: String, attempt: i32, message: String, usage: Usage },
    Ended(TaskResult),
}

pub(crate) type Reports = mpsc::UnboundedSender<Report>;

/// A decider that cannot come to an end is stopped here.
const STEPS_MOST: usize = 50;

impl Worker {
    pub(crate) fn new(frame: &Frame, config: &Config, sandbox: Sandbox) -> anyhow::Result<Self> {
        let peers = &config.peers;
        // Names are unique among workers that run, so what is there was left by an earlier life that was killed.
        let workspaces = config.agents.workspaces.join(&config.agents.worker);
        if workspaces.exists() {
            std::fs::remove_dir_all(&workspaces)?;
        }
        std::fs::create_dir_all(&workspaces)?;
        Ok(Self {
            db: frame.db.clone(),
            sandbox,
            packages: Packages::new(config.agents.workspaces.join(".packages")),
            blobs: Blobs::local(&config.agents.blobs)?,
            templates: Library::open(config.agents.templates.as_deref()).context("agents.templates")?,
            own_templates: Mutex::default(),
            orchestrator: Peers::new("peers.orchestrator", &peers.orchestrator)?.balanced(),
            deployment: Peers::new("peers.deployment", &peers.deployment)?.balanced(),
            monitoring: Peers::new("peers.monitoring", &peers.monitoring)?.balanced(),
            signer: frame.signer.clone(),
            gateway: peers.gateway.trim_end_matches('/').to_owned(),
            workspaces,
            roles: roles()?,
        })
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The templates that this organisation's projects are built from.
    pub(crate) async fn library(&self, org: OrgId) -> Result<Arc<Library>> {
        let known = self.own_templates.lock().unwrap_or_else(PoisonError::into_inner).get(&org).cloned();
        let version = known.as_ref().map(|(version, _)| version.clone()).unwrap_or_default();
        let request = self.signer.service_request(org, FetchTemplatesRequest { version })?;
        let mut client = TemplateServiceClient::new(self.orchestrator.clone()).max_decoding_message_size(ASSIGNMENT_MOST);
        let fetched = match client.fetch_templates(request).await {
            // An orchestrator of the release before, while it is replaced.
            Err(status) if status.code() == tonic::Code::Unimplemented => return Ok(Arc::new(self.templates.clone())),
            fetched => fetched?,
        };
        let FetchTemplatesResponse { version, templates } = fetched.into_inner();
        if let Some((_, library)) = known.filter(|(known, _)| *known == version) {
            return Ok(library);
        }
        let own = templates.into_iter().map(|template| OwnTemplate {
            name: template.name,
            about: template.about,
            files: template.files.into_iter().map(|(path, contents)| RenderedFile { path, contents }).collect(),
        });
        let library = Arc::new(self.templates.with(own).map_err(|e| Error::invalid("template", e.to_string()))?);
        self.own_templates.lock().unwrap_or_else(PoisonError::into_inner).insert(org, (version, library.clone()));
        Ok(library)
    }

    /// Works on one attempt to its end.
    pub(crate) async fn work(&self, assignment: Assignment, reports: &Reports) -> TaskResult {
        let attempt = Some(AttemptRef { task_id: assignment.task_id.clone(), attempt: assignment.attempt });
        let deadline = Duration::from_millis(assignment.deadline_ms.into());
        let steps = AtomicU64::new(0);
        let work = async { self.put_aside(self.try_work(self.whole(assignment).await?, reports, &steps).await?).await };
        let outcome = match tokio::time::timeout(deadline, work).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => {
                tracing::warn!(?error, "the attempt failed");
                // What the caller did wrong will be wrong again; what was away may be back.
                let last = !matches!(error.code(), Code::Unavailable | Code::Aborted | Code::Internal | Code::ResourceExhausted);
                let code = error.code().name().to_owned();
                Outcome::Failed(Failed { message: error.to_string(), r#final: last, code })
            }
            Err(_) => {
                let message = "the attempt took longer than its timeout".to_owned();
                Outcome::Failed(Failed { message, r#final: false, code: "timeout".to_owned() })
            }
        };
        // What none was taken for has cost nothing.
        let usage = Some(usage(&steps)).filter(|used| used.steps > 0);
        TaskResult { attempt, outcome: Some(outcome), usage }
    }

    /// With the documents that are too large for their rows.
    async fn whole(&self, assignment: Assignment) -> Result<Assignment> {
        patiently(async || {
            let mut whole = assignment.clone();
            let Assignment { input_json, dependencies, .. } = &mut whole;
            let mut documents = vec![input_json];
            documents.extend(dependencies.iter_mut().map(|d| &mut d.result_json));
            self.blobs.bring(documents).await?;
            Ok(whole)
        })
        .await
    }

    /// Without them.
    async fn put_aside(&self, outcome: Outcome) -> Result<Outcome> {
        patiently(async || {
            let mut outcome = outcome.clone();
            match &mut outcome {
                Outcome::Completed(Completed { result_json }) => self.blobs.put_aside(vec![result_json]).await?,
                Outcome::Rejected(Rejected { findings_json, .. }) => self.blobs.put_aside(vec![findings_json]).await?,
                Outcome::Failed(_) => {}
            }
            Ok(outcome)
        })
        .await
    }

    /// `taken` counts the steps that are done.
    async fn try_work(&self, assignment: Assignment, reports: &Reports, taken: &AtomicU64) -> Result<Outcome> {
        let attempt = Attempt::parse(assignment, &self.roles)?;
        // Deciders are functions of the steps: what needs none has none from before either, and leaves no run.
        if let Next::Complete(result) = decider::decide(&attempt, &[])? {
            return Ok(Outcome::Completed(Completed { result_json: result.to_string() }));
        }
        let mut ledger = patiently(|| Ledger::open(self, &attempt)).await?;
        let mut workspace = Workspace::new(self, &attempt, ledger.commit());
        self.steps(&attempt, &mut ledger, &mut workspace, reports, taken).await
    }

    async fn steps(
        &self,
        attempt: &Attempt,
        ledger: &mut Ledger<'_>,
        workspace: &mut Workspace,
        reports: &Reports,
        taken: &AtomicU64,
    ) -> Result<Outcome> {
        // What earlier attempts took is off the allowance already.
        let allowed = attempt.steps.and_then(|steps| usize::try_from(steps).ok());
        let most = allowed.map_or(STEPS_MOST, |steps| steps.saturating_add(ledger.len()).min(STEPS_MOST));
        loop {
            let action = match decider::decide(attempt, ledger.steps())? {
                Next::Act(action) => action,
                Next::Complete(result) => return Ok(Outcome::Completed(Completed { result_json: result.to_string() })),
                Next::Reject { message, findings } => {
                    return Ok(Outcome::Rejected(Rejected { message, findings_json: findings.to_string() }));
                }
                Next::Fail(message) => return Ok(Outcome::Failed(Failed { message, r#final: true, code: "failed".to_owned() })),
            };
            if ledger.len() >= most {
                let message = format!("no end after {most} steps, which is as many as it may take");
                return Ok(Outcome::Failed(Failed { message, r#final: true, code: "budget".to_owned() }));
            }
            let tool = action.tool();
            if !attempt.role.tools.iter().any(|allowed| allowed == tool) {
                return Err(Error::new(Code::PermissionDenied, format!("the role {} may not use the tool {tool}", attempt.role.name)));
            }
            let (task, number) = (attempt.task.to_string(), attempt.number);
            let _ = reports.send(Report::Progress { task, attempt: number, message: action.describe(), usage: usage(taken) }); // the session ends with the process
            let span = tracing::info_span!("tool", tool, step = ledger.len());
            ledger.act(action, workspace).instrument(span).await?;
            taken.fetch_add(1, Relaxed);
        }
    }
}

fn usage(steps: &AtomicU64) -> Usage {
    Usage { steps: steps.load(Relaxed), ..Usage::default() }
}

/// Again and again while what is needed is away; the attempt's deadline ends it. Everything called through
/// it may be done twice: reads, writes with a key, steps that begin by restoring their workspace.
pub(crate) async fn patiently<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match call().await {
            Err(error) if error.code() == Code::Unavailable => {
                tracing::info!(%error, "waiting");
                backoff.sleep().await;
            }
            result => return result,
        }
    }
}
