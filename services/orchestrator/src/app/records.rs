//! How agents did, on its way to the database. Rows that every batch of reports would rewrite are written now and then: each version of them stays
//! for as long as somebody holds an old snapshot, and whoever looks for the last one passes by all of them. What was not written when a replica is
//! killed is lost to the statistics, and to nothing else.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use titan_ids::AgentId;

use super::App;
use crate::domain::records::Tally;
use crate::store::agents;

/// Of agents and kinds of tasks.
pub(crate) type Tallies = BTreeMap<(AgentId, String), Tally>;

const EVERY: Duration = Duration::from_secs(2);

impl App {
    pub(super) fn tally(&self, records: &Tallies) {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        for ((agent, kind), more) in records {
            unwritten.entry((*agent, kind.clone())).or_default().add(*more);
        }
    }

    /// Until the service stops, and once more then.
    pub(super) async fn write_tallies(&self) {
        let mut stops = false;
        while !stops {
            stops = self.tasks.shutdown().run_until_cancelled(tokio::time::sleep(EVERY)).await.is_none();
            let unwritten = std::mem::take(&mut *self.unwritten.lock().unwrap_or_else(PoisonError::into_inner));
            if let Err(error) = agents::record(&self.db, &unwritten).await {
                tracing::warn!(?error, "how agents did could not be written; it is tried again");
                self.tally(&unwritten);
            }
        }
    }
}
