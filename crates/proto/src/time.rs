//! `google.protobuf.Timestamp` to `chrono` and back; an impossible timestamp reads as absent.

use chrono::{DateTime, Utc};
pub use prost_types::Timestamp;

#[must_use]
pub fn to_proto(at: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: at.timestamp(), nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or(0) }
}

#[must_use]
pub fn from_proto(at: &Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

pub(crate) fn serialize<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at.as_ref().and_then(from_proto) {
        Some(at) => serializer.collect_str(&at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)),
        None => serializer.serialize_none(),
    }
}
