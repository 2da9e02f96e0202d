use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::Result;
use titan_templates::Understanding;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Understood {
    Yes { understanding: Understanding },
    Refused { reason: String },
}

/// Pure: reads the sentence.
pub(crate) fn run(sentence: &str) -> Result<Value> {
    super::outcome(&match titan_templates::understand(sentence) {
        Ok(understanding) => Understood::Yes { understanding },
        Err(refusal) => Understood::Refused { reason: refusal.to_string() },
    })
}
