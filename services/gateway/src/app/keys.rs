use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use sha2::{Digest as _, Sha256};
use titan_error::{Code, Error, Result};
use titan_identity::Principal;
use titan_ids::OrgId;

use super::App;
use crate::store::keys;

const PREFIX: &str = "titan_key_";

impl App {
    /// Makes the first API key of an installation and writes it where the operator finds it. The file comes
    /// before the commit: after a crash between the two the next start makes another key.
    pub(crate) async fn first_key(&self, file: &Path, now: DateTime<Utc>) -> anyhow::Result<()> {
        let tx = self.db.begin().await?;
        keys::lock_first(&tx).await?;
        if keys::any(&tx).await? {
            return Ok(());
        }
        let key = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        write_private(file, &key).with_context(|| format!("gateway.first_key_file {}", file.display()))?;
        keys::insert(&tx, OrgId::DEFAULT, "admin", digest(&key), now).await?;
        tx.commit().await?;
        tracing::info!(file = %file.display(), "the first API key was written");
        Ok(())
    }

    /// Who calls with this credential: an API key, or the token of one of our services.
    pub(crate) async fn authenticate(&self, credential: &str) -> Result<Principal> {
        if credential.starts_with(PREFIX) {
            let owner = keys::owner(&self.db, digest(credential)).await?;
            let owner = owner.ok_or_else(|| Error::new(Code::Unauthenticated, "the API key is not known or was revoked"))?;
            return Ok(Principal::user(owner.member_id, owner.org_id));
        }
        self.signer.verify_principal(credential)
    }
}

fn digest(key: &str) -> Vec<u8> {
    Sha256::digest(key).to_vec()
}

/// Whole or not at all, and never readable by others.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let aside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&aside, path)
}
