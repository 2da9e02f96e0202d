//! Projects that work is submitted to, as this replica read them a moment ago.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait;
use titan_error::Result;
use titan_ids::OrgId;

use crate::store::entity::project::Model;
use crate::store::projects;

/// Every replica is told of changes at once; this is for when that word is lost.
const KEPT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(crate) struct KnownProjects(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    projects: HashMap<(OrgId, String), (Instant, Model)>,
    /// How often they were forgotten.
    forgotten: u64,
}

impl KnownProjects {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One of them changed.
    pub(crate) fn forget(&self) {
        let mut known = self.known();
        known.projects.clear();
        known.forgotten += 1;
    }

    /// Those of the named (organisation, id or slug) that there are, under the names given.
    pub(super) async fn find_all(
        &self,
        db: &impl ConnectionTrait,
        mut named: HashSet<(OrgId, String)>,
    ) -> Result<HashMap<(OrgId, String), Model>> {
        let (mut found, forgotten): (HashMap<_, _>, u64) = {
            let mut known = self.known();
            known.projects.retain(|_, (read, _)| read.elapsed() < KEPT);
            let one = |name: &(OrgId, String)| Some((name.clone(), known.projects.get(name)?.1.clone()));
            (named.iter().filter_map(one).collect(), known.forgotten)
        };
        named.retain(|name| !found.contains_key(name));
        let (began, read) = (Instant::now(), projects::find_all(db, named).await?);
        let mut known = self.known();
        // What was read before a change may be what was before it.
        if known.forgotten == forgotten {
            known.projects.extend(read.iter().map(|(name, project)| (name.clone(), (began, project.clone()))));
        }
        found.extend(read);
        Ok(found)
    }
}
