use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::OrgId;

use super::App;
use crate::store::idempotency::{self, Known};

/// The answer a call with the same key got.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) status: u16,
    pub(crate) headers: Value,
    pub(crate) body: Vec<u8>,
}

impl App {
    /// None: the key is taken for this call, which must end with [`App::keep`] or [`App::give_back`].
    pub(crate) async fn take_key(&self, org: OrgId, key: &str, request: &[u8]) -> Result<Option<Kept>> {
        if idempotency::take(&self.db, org, key, request).await? {
            return Ok(None);
        }
        match idempotency::find(&self.db, org, key).await? {
            Some(known) if known.request != request => {
                Err(Error::invalid("Idempotency-Key", "was used for another request; use a new key for each"))
            }
            Some(Known { status: Some(status), headers, body, .. }) => Ok(Some(Kept {
                status: u16::try_from(status).unwrap_or(500),
                headers: headers.unwrap_or_default(),
                body: body.unwrap_or_default(),
            })),
            _ => Err(Error::aborted("the first call with this Idempotency-Key is still under way; ask again in a second")),
        }
    }

    pub(crate) async fn keep(&self, org: OrgId, key: &str, answer: &Kept) -> Result<()> {
        idempotency::keep(&self.db, org, key, answer.status, answer.headers.clone(), &answer.body).await
    }

    pub(crate) async fn give_back(&self, org: OrgId, key: &str) -> Result<()> {
        idempotency::give_back(&self.db, org, key).await
    }
}
