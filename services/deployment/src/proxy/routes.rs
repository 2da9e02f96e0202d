//! Where traffic goes, and what is on its way.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum_reverse_proxy::ReverseProxy;
use hyper_util::client::legacy::connect::HttpConnector;
use titan_ids::{DeploymentId, OrgId};
use tokio::sync::watch;

use crate::store::deployments::Route;

/// Where traffic goes, by the first part of the path. The client behind each keeps connections open.
#[derive(Default)]
pub(super) struct Routes {
    rows: Vec<Route>,
    by_name: HashMap<String, Place>,
}

/// An environment of a project.
#[derive(Default)]
struct Place {
    serving: Option<Arc<Way>>,
    /// What is tried out, with so many percent of the requests.
    tried_out: Option<(Arc<Way>, usize)>,
    requests: AtomicUsize,
}

impl Place {
    /// Where the next request goes; the share is spread evenly.
    fn next(&self) -> Option<Arc<Way>> {
        // Its data is being taken over: nobody else's turn.
        if let Some(held) = self.serving.as_ref().filter(|serving| serving.held) {
            return Some(held.clone());
        }
        let number = self.requests.fetch_add(1, Relaxed);
        let tried_out = self.tried_out.as_ref().filter(|(_, share)| self.serving.is_none() || number.wrapping_mul(*share) % 100 < *share);
        tried_out.map(|(way, _)| way).or(self.serving.as_ref()).cloned()
    }
}

pub(super) struct Way {
    pub(super) org: OrgId,
    pub(super) deployment: DeploymentId,
    pub(super) port: u16,
    pub(super) proxy: ReverseProxy<HttpConnector>,
    /// Requests wait until there is another way.
    pub(super) held: bool,
}

/// How many requests are on their way to each port.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<u16, watch::Sender<usize>>>>);

impl InFlight {
    fn of(&self, port: u16) -> watch::Sender<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(port).or_default().clone()
    }

    pub(super) fn begin(&self, port: u16) -> OnItsWay {
        let count = self.of(port);
        count.send_modify(|count| *count += 1);
        OnItsWay(count)
    }

    /// Whether nothing is on its way there, or will not be within a while.
    pub(super) async fn idle(&self, port: u16) -> bool {
        let mut count = self.of(port).subscribe();
        tokio::time::timeout(IDLE_WITHIN, count.wait_for(|count| *count == 0)).await.is_ok()
    }
}

pub(super) struct OnItsWay(watch::Sender<usize>);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

pub(crate) const IDLE_WITHIN: Duration = Duration::from_secs(10);

impl Routes {
    /// In place of `before`, whose shares go on.
    pub(super) fn new(rows: Vec<Route>, before: &Self) -> Self {
        let mut by_name: HashMap<String, Place> = HashMap::new();
        for row in &rows {
            let name = super::route_name(&row.project_slug, &row.environment);
            let proxy = ReverseProxy::new(format!("/{name}"), format!("http://127.0.0.1:{}", row.port));
            let way =
                Arc::new(Way { org: row.org_id, deployment: row.id, port: u16::try_from(row.port).unwrap_or(0), proxy, held: row.held });
            let requests = || before.by_name.get(&name).map_or(0, |place| place.requests.load(Relaxed));
            let place = by_name.entry(name.clone()).or_insert_with(|| Place { requests: requests().into(), ..Place::default() });
            match row.share.and_then(|share| usize::try_from(share).ok()) {
                // The newest of those that are tried out.
                Some(share) => place.tried_out = Some((way, share)),
                None => place.serving = Some(way),
            }
        }
        Self { by_name, rows }
    }

    /// Where the next request to this name goes.
    pub(super) fn next(&self, name: &str) -> Option<Arc<Way>> {
        self.by_name.get(name)?.next()
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(super) fn deployments(&self) -> HashSet<DeploymentId> {
        self.rows.iter().map(|row| row.id).collect()
    }

    /// What serves, and what is tried out beside it.
    pub(super) fn tried_out(&self) -> impl Iterator<Item = (OrgId, DeploymentId, DeploymentId)> {
        self.by_name.values().filter_map(|place| {
            let (serving, (tried_out, _)) = (place.serving.as_ref()?, place.tried_out.as_ref()?);
            Some((serving.org, serving.deployment, tried_out.deployment))
        })
    }

    pub(super) fn same(&self, rows: &[Route]) -> bool {
        self.rows == rows
    }
}
