//! What time does to tasks that are held, and to counters.

use std::collections::BTreeSet;

use sea_orm::TransactionTrait as _;
use titan_error::Result;
use titan_store::Combined;

use super::App;
use super::batch::Permits;
use crate::store::{limits, submissions};

impl App {
    /// Lets tasks go on whose time came, and those that wait for a limit that has room.
    pub(crate) async fn release_due(&self) -> Result<()> {
        let now = titan_lifecycle::now();
        loop {
            let tx = self.db.begin().await?;
            let (any, mut touched) = limits::release_due(&tx).await?;
            touched.append(&mut limits::with_room(&tx).await?);
            let mut ready = Permits::of(touched).settle(&tx, now).await?;
            ready.others |= any;
            let mut told = Combined::default();
            submissions::notify_ready(&mut told, self.replica, &ready);
            told.execute(&tx).await?;
            // Also when nothing is ready: which limit a task waits for may have changed.
            tx.commit().await?;
            if ready.is_nothing() {
                return Ok(());
            }
            self.dispatcher.ready(ready);
        }
    }

    /// Counts the permits of the next page of keys; returns where the one after it begins.
    pub(crate) async fn recount_permits(&self, after: &str) -> Result<String> {
        let keys: BTreeSet<String> = limits::keys_after(&self.db, after).await?;
        let Some(last) = keys.last().cloned() else { return Ok(String::new()) };
        let tx = self.db.begin().await?;
        limits::lock(&tx, &keys).await?;
        let wrong = limits::recount(&tx, &keys).await?;
        tx.commit().await?;
        if !wrong.is_empty() {
            tracing::error!(?wrong, "permits were counted wrong; they are right again");
        }
        Ok(last)
    }
}
