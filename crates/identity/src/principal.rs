use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use titan_error::{Code, Error, Result};
use titan_ids::{AgentId, OrgId, ProjectId, UserId};

/// Whoever acts: a person, an agent or a service of ours. Use cases take it as an argument, so that none
/// can be written that forgets to ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    #[serde(rename = "sub")]
    pub id: PrincipalId,
    /// The tenant; every query is limited to it.
    pub org: OrgId,
    /// When set, only this project may be touched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalId {
    User(UserId),
    Agent(AgentId),
    /// By service name, e.g. `deployment`.
    Service(String),
}

impl Principal {
    #[must_use]
    pub fn user(id: UserId, org: OrgId) -> Self {
        Self { id: PrincipalId::User(id), org, project: None }
    }
    #[must_use]
    pub fn service(name: &str, org: OrgId) -> Self {
        Self { id: PrincipalId::Service(name.to_owned()), org, project: None }
    }

    #[must_use]
    pub fn is_service(&self) -> bool {
        matches!(self.id, PrincipalId::Service(_))
    }

    /// # Errors
    /// `PermissionDenied` unless the principal may touch `project`.
    pub fn may_touch(&self, project: ProjectId) -> Result<()> {
        match self.project {
            Some(own) if own != project => Err(Error::new(Code::PermissionDenied, "this credential is for another project")),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// `PermissionDenied` unless a service calls.
    pub fn require_service(&self) -> Result<()> {
        if self.is_service() { Ok(()) } else { Err(Error::new(Code::PermissionDenied, "only services may call this")) }
    }
}

impl fmt::Display for PrincipalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Agent(id) => id.fmt(f),
            Self::Service(name) => write!(f, "service_{name}"),
        }
    }
}

impl FromStr for PrincipalId {
    type Err = titan_ids::ParseIdError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        if let Some(name) = s.strip_prefix("service_") {
            return Ok(Self::Service(name.to_owned()));
        }
        if s.starts_with("agent_") { s.parse().map(Self::Agent) } else { s.parse().map(Self::User) }
    }
}

impl Serialize for PrincipalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PrincipalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
