use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use titan_error::{Code, Error, Result};

use crate::{Blobs, Digest};

/// A JSON document as large as this stands in its row.
const INLINE_MOST: usize = 64 * 1024;
/// And of many at once, as large as this each.
const FEW_MOST: usize = 2 * 1024;
const TOGETHER_MOST: usize = 2 << 20;
const DOCUMENT_MOST: usize = 8 << 20;
/// What is brought at once.
const BROUGHT_MOST: usize = 32 << 20;

/// The member that refers to a blob: `{"$blob": {"sha256": "…", "bytes": 70000}}` stands in a row for a document that does not.
/// What stands beside it is added to that document.
const REFERENCE: &str = "$blob";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    sha256: Digest,
    bytes: usize,
}

fn parse(json: &str) -> Result<Value> {
    serde_json::from_str(json).map_err(|e| Error::invalid("document", format!("is not JSON: {e}")))
}

/// Most documents are told by their text.
fn may_refer(json: &str) -> bool {
    json.contains("\"$blob\"")
}

fn refers(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key(REFERENCE) || members.values().any(refers),
        Value::Array(values) => values.iter().any(refers),
        _ => false,
    }
}

impl Blobs {
    /// Documents that callers give, as they stand in rows: those that are too large for theirs are stored, and a reference
    /// stands for them.
    ///
    /// # Errors
    /// One is larger than 8 MiB or holds a reference of its own, or the store is not available.
    pub async fn put_aside(&self, documents: Vec<&mut String>) -> Result<()> {
        let together: usize = documents.iter().map(|json| json.len()).sum();
        let most = if together > TOGETHER_MOST { FEW_MOST } else { INLINE_MOST };
        for json in documents {
            if may_refer(json) && refers(&parse(json)?) {
                return Err(Error::invalid(REFERENCE, "is the system's own; give the document itself"));
            }
            if json.len() <= most {
                continue;
            }
            let bytes = json.len();
            if bytes > DOCUMENT_MOST {
                return Err(Error::new(Code::TooLarge, format!("a document of {bytes} bytes: 8 MiB is the most")));
            }
            let stored = Stored { sha256: self.put(std::mem::take(json).into()).await?, bytes };
            *json = serde_json::json!({ REFERENCE: stored }).to_string();
        }
        Ok(())
    }

    /// What was put aside, in the place of what refers to it.
    ///
    /// # Errors
    /// One refers to a blob that there is not, all together are larger than 32 MiB, or the store is not available.
    pub async fn bring(&self, documents: Vec<&mut String>) -> Result<()> {
        let mut left = BROUGHT_MOST;
        for json in documents.into_iter().filter(|json| may_refer(json)) {
            let mut value = parse(json)?;
            self.resolve(&mut value, &mut left).await?;
            *json = value.to_string();
        }
        Ok(())
    }

    /// The same for those who only show them: they stay as they are where something is missing.
    ///
    /// # Errors
    /// The store is not available.
    pub async fn bring_if_there(&self, documents: Vec<&mut String>) -> Result<()> {
        for json in documents {
            match self.bring(vec![&mut *json]).await {
                Err(error) if error.code() == Code::Unavailable => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn resolve(&self, value: &mut Value, left: &mut usize) -> Result<()> {
        let mut open = vec![value];
        while let Some(value) = open.pop() {
            if let Value::Object(members) = value
                && let Some(reference) = members.remove(REFERENCE)
            {
                let document = self.document(reference, left).await?;
                let beside = std::mem::take(members);
                *value = document;
                if let Value::Object(members) = value {
                    members.extend(beside);
                }
            }
            match value {
                Value::Object(members) => open.extend(members.values_mut()),
                Value::Array(values) => open.extend(values),
                _ => {}
            }
        }
        Ok(())
    }

    async fn document(&self, reference: Value, left: &mut usize) -> Result<Value> {
        let Stored { sha256, bytes } = serde_json::from_value(reference).map_err(|e| Error::invalid(REFERENCE, e.to_string()))?;
        *left = left.checked_sub(bytes).ok_or_else(|| {
            Error::new(Code::TooLarge, "the documents are larger than 32 MiB together; let it depend on fewer, or on smaller results")
        })?;
        let bytes = self.get(&sha256).await?;
        let document: Value =
            serde_json::from_slice(&bytes).map_err(|_| Error::invalid(REFERENCE, format!("the blob {sha256} is not JSON")))?;
        Ok(if document.is_object() { document } else { Value::Object(Map::new()) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn blobs() -> (tempfile::TempDir, Blobs) {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::local(dir.path()).unwrap();
        (dir, blobs)
    }

    async fn aside(blobs: &Blobs, document: &Value) -> String {
        let mut json = document.to_string();
        blobs.put_aside(vec![&mut json]).await.unwrap();
        json
    }

    async fn brought(blobs: &Blobs, mut json: String) -> Value {
        blobs.bring(vec![&mut json]).await.unwrap();
        serde_json::from_str(&json).unwrap()
    }

    #[tokio::test]
    async fn large_documents_are_put_aside_and_brought_back() {
        let (_dir, blobs) = blobs();
        let (small, large) = (json!({ "a": 1 }), json!({ "a": "x".repeat(INLINE_MOST) }));
        assert_eq!(aside(&blobs, &small).await, small.to_string());
        let reference = aside(&blobs, &large).await;
        assert!(reference.len() < 200 && reference.contains(REFERENCE), "{reference}");
        assert_eq!(brought(&blobs, reference).await, large);
        assert_eq!(brought(&blobs, small.to_string()).await, small);
    }

    #[tokio::test]
    async fn what_stands_beside_and_around_a_reference_stays() {
        let (_dir, blobs) = blobs();
        let large = json!({ "a": "x".repeat(INLINE_MOST), "b": 1 });
        let mut input: Value = serde_json::from_str(&aside(&blobs, &large).await).unwrap();
        input["rework"] = json!({ "findings": serde_json::from_str::<Value>(&aside(&blobs, &large).await).unwrap() });
        let whole = brought(&blobs, input.to_string()).await;
        assert_eq!((&whole["b"], &whole["rework"]["findings"]["b"]), (&json!(1), &json!(1)));
        assert_eq!(whole["rework"]["findings"]["a"].as_str().unwrap().len(), INLINE_MOST);
    }

    #[tokio::test]
    async fn many_documents_are_put_aside_sooner() {
        let (_dir, blobs) = blobs();
        let mut many = vec![json!({ "a": "x".repeat(50_000) }).to_string(); 100];
        blobs.put_aside(many.iter_mut().collect()).await.unwrap();
        assert!(many.iter().all(|json| json.len() < 200));
    }

    #[tokio::test]
    async fn nobody_gives_a_reference_of_their_own() {
        let (_dir, blobs) = blobs();
        let digest = blobs.put("{}".into()).await.unwrap();
        let mut forged = json!({ "deep": [{ "$blob": { "sha256": digest, "bytes": 2 } }] }).to_string();
        assert_eq!(blobs.put_aside(vec![&mut forged]).await.unwrap_err().code(), Code::InvalidArgument);
        let mut said = json!({ "text": "a \"$blob\" is what it is" }).to_string();
        blobs.put_aside(vec![&mut said]).await.unwrap();
    }

    #[tokio::test]
    async fn a_reference_to_nothing_is_an_error_or_stays_one() {
        let (_dir, blobs) = blobs();
        let lost = json!({ "$blob": { "sha256": "0".repeat(64), "bytes": 70_000 } }).to_string();
        assert_eq!(blobs.bring(vec![&mut lost.clone()]).await.unwrap_err().code(), Code::NotFound);
        let mut shown = lost.clone();
        blobs.bring_if_there(vec![&mut shown]).await.unwrap();
        assert_eq!(shown, lost);
        let most = json!({ "$blob": { "sha256": "0".repeat(64), "bytes": BROUGHT_MOST + 1 } }).to_string();
        assert_eq!(blobs.bring(vec![&mut most.clone()]).await.unwrap_err().code(), Code::TooLarge);
    }
}
