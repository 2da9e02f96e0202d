//! Whether apps are well: what they say of themselves, and for how long they say nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use titan_ids::DeploymentId;

use super::App;
use crate::store::deployments::Row;

/// What serves and does not answer for so long is started again.
const SILENT_MOST: Duration = Duration::from_secs(30);
/// How often it is asked while it serves.
const LOOK: Duration = Duration::from_secs(5);

/// What went wrong with deployments.
#[derive(Default)]
pub(super) struct Misses {
    /// How often in a row it was not well.
    in_a_row: Mutex<HashMap<DeploymentId, u32>>,
    /// When it could not be started first.
    tries: Mutex<HashMap<DeploymentId, Instant>>,
    /// Of what serves: when it was looked at last, and since when it has not answered.
    looks: Mutex<HashMap<DeploymentId, (Instant, Option<Instant>)>>,
}

impl Misses {
    /// Since it was asked first.
    pub(super) fn tried_for(&self, deployment: DeploymentId) -> Duration {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).entry(deployment).or_insert_with(Instant::now).elapsed()
    }

    /// Whether what serves is to be looked at again.
    fn look_due(&self, deployment: DeploymentId) -> bool {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.get(&deployment).is_none_or(|(at, _)| at.elapsed() >= LOOK)
    }

    /// For how long it has not answered, with this look.
    fn silent_for(&self, deployment: DeploymentId, answers: bool) -> Duration {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = looks.get(&deployment).and_then(|(_, silent)| *silent);
        let silent = (!answers).then(|| before.unwrap_or_else(Instant::now));
        looks.insert(deployment, (Instant::now(), silent));
        silent.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// It ended.
    pub(super) fn forget(&self, deployment: DeploymentId) {
        self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner).remove(&deployment);
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(&deployment);
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).remove(&deployment);
    }

    /// With this look.
    pub(super) fn count(&self, deployment: DeploymentId, healthy: bool) -> u32 {
        let mut misses = self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner);
        if healthy {
            misses.remove(&deployment);
            return 0;
        }
        let count = misses.entry(deployment).or_default();
        *count += 1;
        *count
    }
}

impl App {
    /// What may take longer to start may be silent as long.
    pub(super) fn silent_most(&self) -> Duration {
        SILENT_MOST.max(Duration::from_secs(self.apps.healthy_within_s.into()))
    }

    /// What serves has not answered at all for too long; what says that it is unwell knows why.
    pub(super) async fn hung(&self, row: &Row) -> bool {
        if !self.misses.look_due(row.id) {
            return false;
        }
        if let Err(error) = self.rotate(&self.log_file(row)).await {
            tracing::warn!(?error, deployment.id = %row.id, "its log grows");
        }
        // What cannot be asked says nothing.
        self.misses.silent_for(row.id, self.answers(row).await != Some(false)) >= self.silent_most()
    }

    pub(super) async fn healthy(&self, row: &Row) -> bool {
        self.ask(row).await.flatten().is_some_and(|status| status.is_success())
    }

    /// Whether it answers at all; none where it could not be asked.
    async fn answers(&self, row: &Row) -> Option<bool> {
        Some(self.ask(row).await?.is_some())
    }

    /// What it says of itself. None where it could not be asked, and within where it does not answer.
    async fn ask(&self, row: &Row) -> Option<Option<StatusCode>> {
        let (port, release) = (row.port?, self.release(row).await.ok()?);
        let answer = self.probe.get(format!("http://127.0.0.1:{port}{}", release.manifest.app.health)).send().await;
        Some(answer.ok().map(|answer| answer.status()))
    }
}
