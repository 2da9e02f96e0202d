//! This crate only names things: UUIDv7 identifiers, one Rust type a concept, shown with a prefix
//! (`task_0190…`, 32 hex digits). Later ids sort after earlier ones, so an id is also a paging cursor.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use sea_orm::sea_query::{ArrayType, ColumnType, Nullable, ValueType, ValueTypeErr};
use sea_orm::{ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable, Value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// An identifier of a `K`.
pub struct Id<K>(Uuid, PhantomData<fn() -> K>);

/// What an id identifies; the prefix is what people see before the underscore.
pub trait Kind: 'static {
    const PREFIX: &'static str;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $alias:ident = $kind:ident($prefix:literal);)*) => {$(
        $(#[$doc])*
        pub type $alias = Id<$kind>;
        #[derive(Debug)]
        pub enum $kind {}
        impl Kind for $kind {
            const PREFIX: &'static str = $prefix;
        }
    )*};
}

kinds! {
    /// An organisation: the tenant every row belongs to.
    OrgId = Org("org");
    UserId = User("user");
    ApiKeyId = ApiKey("key");
    ProjectId = Project("project");
    GoalId = Goal("goal");
    TaskId = Task("task");
    AgentId = Agent("agent");
    /// One life of a worker process.
    SessionId = Session("session");
    EventId = Event("event");
    ChangeId = Change("change");
    DeploymentId = Deployment("deployment");
    SampleId = Sample("sample");
    ScheduleId = Schedule("schedule");
    MessageId = Message("message");
}

impl OrgId {
    /// The organisation a fresh installation starts with.
    pub const DEFAULT: Self = Id(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001), PhantomData);
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an id like {prefix}_0190c3f6e5a17d3c8a5b0f2e4d6c8b9a, got {got:?}")]
pub struct ParseIdError {
    prefix: &'static str,
    got: String,
}

impl<K> Id<K> {
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7(), PhantomData)
    }
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl<K> From<Uuid> for Id<K> {
    fn from(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = ParseIdError;
    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        s.strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .filter(|hex| hex.len() == 32)
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(Self::from)
            .ok_or_else(|| ParseIdError { prefix: K::PREFIX, got: s.chars().take(80).collect() })
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.0.simple())
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Id<K> {}
impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K> Eq for Id<K> {}
impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<K> From<Id<K>> for Value {
    fn from(id: Id<K>) -> Self {
        Self::from(id.0)
    }
}

impl<K> TryGetable for Id<K> {
    fn try_get_by<I: ColIdx>(res: &QueryResult, index: I) -> Result<Self, TryGetError> {
        Uuid::try_get_by(res, index).map(Self::from)
    }
}

impl<K: Kind> ValueType for Id<K> {
    fn try_from(v: Value) -> Result<Self, ValueTypeErr> {
        <Uuid as ValueType>::try_from(v).map(Self::from)
    }
    fn type_name() -> String {
        K::PREFIX.to_owned()
    }
    fn array_type() -> ArrayType {
        ArrayType::Uuid
    }
    fn column_type() -> ColumnType {
        ColumnType::Uuid
    }
}

impl<K> Nullable for Id<K> {
    fn null() -> Value {
        <Uuid as Nullable>::null()
    }
}

impl<K> TryFromU64 for Id<K> {
    fn try_from_u64(_: u64) -> Result<Self, DbErr> {
        Err(DbErr::ConvertFromU64("ids are UUIDs"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_with_a_prefix_and_read_back() {
        let id = TaskId::generate();
        assert!(id.to_string().starts_with("task_"));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<TaskId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn refuses_other_prefixes_and_garbage() {
        let goal = GoalId::generate().to_string();
        for bad in ["", "task_", "task_12", goal.as_str(), "task_zz90c3f6e5a17d3c8a5b0f2e4d6c8b9a"] {
            let error = bad.parse::<TaskId>().unwrap_err();
            assert!(error.to_string().contains("task_0190"), "{error}");
        }
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let ids: Vec<_> = (0..100).map(|_| EventId::generate()).collect();
        assert!(ids.is_sorted());
    }
}
