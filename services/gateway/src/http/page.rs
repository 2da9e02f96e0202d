use serde::{Deserialize, Serialize};
use titan_proto::common::{PageInfo, PageRequest};
use utoipa::{IntoParams, ToSchema};

/// Keyset paging, the same for every list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageIn {
    /// At most this many items; 50 if not given, 200 at the most.
    #[serde(default)]
    pub(crate) limit: u32,
    /// `next` of the page before.
    #[serde(default)]
    pub(crate) after: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOut<T> {
    /// Newest first.
    pub(crate) items: Vec<T>,
    /// Cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl PageIn {
    pub(crate) fn request(self) -> Option<PageRequest> {
        Some(PageRequest { limit: self.limit, after: self.after })
    }
}

impl<T> PageOut<T> {
    pub(crate) fn new<U>(rows: Vec<U>, page: Option<PageInfo>, convert: impl Fn(U) -> T) -> Self {
        let next = page.map(|p| p.next).filter(|next| !next.is_empty());
        Self { items: rows.into_iter().map(convert).collect(), next }
    }
}

/// Times are RFC 3339 with milliseconds, in UTC.
pub(crate) fn time(at: Option<prost_types::Timestamp>) -> Option<String> {
    let at = at.as_ref().and_then(titan_proto::time::from_proto)?;
    Some(at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}

/// JSON that travels as text inside; empty means none.
pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// The name of a proto enum value without its prefix: `TASK_STATE_IN_PROGRESS` → `in_progress`.
pub(crate) fn short(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}
