use serde::{Deserialize, Serialize};
use titan_error::{Code, Error, Result};

use crate::{Blobs, Digest};

/// A JSON document as large as this stands in its row.
pub const INLINE_MOST: usize = 64 * 1024;
const DOCUMENT_MOST: usize = 8 << 20;

/// What stands in a row for a document that does not: `{"$blob": {"sha256": "…", "bytes": 70000}}`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    #[serde(rename = "$blob")]
    blob: Stored,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    sha256: Digest,
    bytes: usize,
}

impl Blobs {
    /// The document, or a reference to it when it is too large for a row.
    ///
    /// # Errors
    /// It is larger than 8 MiB, or the store is not available.
    pub async fn put_aside(&self, json: String) -> Result<String> {
        if json.len() <= INLINE_MOST {
            return Ok(json);
        }
        if json.len() > DOCUMENT_MOST {
            return Err(Error::new(Code::TooLarge, format!("a document of {} bytes: 8 MiB is the most", json.len())));
        }
        let bytes = json.len();
        let blob = Stored { sha256: self.put(json.into()).await?, bytes };
        serde_json::to_string(&Reference { blob }).map_err(Error::internal)
    }

    /// What [`Blobs::put_aside`] was given.
    ///
    /// # Errors
    /// It refers to a blob that there is not, or the store is not available.
    pub async fn bring(&self, json: String) -> Result<String> {
        // No reference is longer than this, and most documents are told by their first characters.
        if json.len() > 200 || !json.trim_start().starts_with('{') || !json.contains("\"$blob\"") {
            return Ok(json);
        }
        let Ok(Reference { blob: Stored { sha256, .. } }) = serde_json::from_str(&json) else { return Ok(json) };
        let bytes = self.get(&sha256).await?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Error::invalid("$blob", format!("the blob {sha256} is not JSON")))
    }

    /// The same for those who only show it: a reference stays one when what it refers to is gone.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn bring_if_there(&self, json: String) -> Result<String> {
        match self.bring(json.clone()).await {
            Err(error) if matches!(error.code(), Code::NotFound | Code::InvalidArgument) => Ok(json),
            document => document,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_documents_are_put_aside_and_brought_back() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::local(dir.path()).unwrap();
        let small = r#"{"a": 1}"#.to_owned();
        assert_eq!(blobs.put_aside(small.clone()).await.unwrap(), small);
        let large = format!(r#"{{"a": "{}"}}"#, "x".repeat(INLINE_MOST));
        let reference = blobs.put_aside(large.clone()).await.unwrap();
        assert!(reference.len() < 200 && reference.contains("$blob"), "{reference}");
        assert_eq!(blobs.bring(reference).await.unwrap(), large);
        assert_eq!(blobs.bring(small.clone()).await.unwrap(), small);
    }

    #[tokio::test]
    async fn a_reference_to_nothing_is_an_error_or_stays_one() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::local(dir.path()).unwrap();
        let lost = format!(r#"{{"$blob": {{"sha256": "{}", "bytes": 70000}}}}"#, "0".repeat(64));
        assert_eq!(blobs.bring(lost.clone()).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(blobs.bring_if_there(lost.clone()).await.unwrap(), lost);
        let odd = r#"{"$blob": "mine"}"#.to_owned();
        assert_eq!(blobs.bring(odd.clone()).await.unwrap(), odd, "a document of somebody's own");
    }
}
