//! This crate only keeps bytes that are too large for a row — evidence, logs, payloads — under their
//! SHA-256 digest, in whatever `object_store` fronts. What is stored never changes.

mod documents;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use titan_error::{Error, Result};

#[derive(Clone)]
pub struct Blobs(Arc<dyn ObjectStore>);

/// SHA-256 of a blob, in hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Blobs {
    /// A directory of this host, made if need be.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn local(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::internal)?;
        let store = LocalFileSystem::new_with_prefix(dir).map_err(Error::internal)?.with_fsync(true);
        Ok(Self(Arc::new(store)))
    }

    /// # Errors
    /// The store is not available.
    pub async fn put(&self, bytes: Bytes) -> Result<Digest> {
        let digest = Digest(hex::encode(Sha256::digest(&bytes)));
        self.0.put(&digest.key(), bytes.into()).await.map_err(unavailable)?;
        Ok(digest)
    }

    /// # Errors
    /// `NotFound`, or the store is not available.
    pub async fn get(&self, digest: &Digest) -> Result<Bytes> {
        match self.0.get(&digest.key()).await {
            Ok(found) => found.bytes().await.map_err(unavailable),
            Err(object_store::Error::NotFound { .. }) => Err(Error::not_found(format!("blob {digest}"))),
            Err(e) => Err(unavailable(e)),
        }
    }
}

fn unavailable(error: object_store::Error) -> Error {
    Error::unavailable("the blob store is not available; try again").with_source(error)
}

impl Digest {
    /// Two levels, so that no directory gets millions of entries.
    fn key(&self) -> Key {
        Key::from(format!("{}/{}", &self.0[..2], self.0))
    }
}

impl FromStr for Digest {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let hex = s.len() == 64 && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hex { Ok(Self(s.to_owned())) } else { Err("a digest is 64 lower-case hex digits".to_owned()) }
    }
}

impl TryFrom<String> for Digest {
    type Error = String;
    fn try_from(s: String) -> Result<Self, String> {
        s.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_is_got_by_its_digest() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::local(dir.path()).unwrap();
        let digest = blobs.put(Bytes::from_static(b"evidence")).await.unwrap();
        assert_eq!(blobs.put(Bytes::from_static(b"evidence")).await.unwrap(), digest);
        assert_eq!(blobs.get(&digest).await.unwrap(), "evidence");
    }

    #[tokio::test]
    async fn a_digest_cannot_be_a_path() {
        assert!("../../etc/passwd".parse::<Digest>().is_err());
        let dir = tempfile::tempdir().unwrap();
        let missing = "0".repeat(64).parse().unwrap();
        let error = Blobs::local(dir.path()).unwrap().get(&missing).await.unwrap_err();
        assert_eq!(error.code(), titan_error::Code::NotFound);
    }
}
