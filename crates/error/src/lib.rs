//! This crate only holds the error that crosses a boundary: a code, a message for the caller, the fields
//! it is about, and a hidden source. The codes map once to gRPC and once to HTTP (problem+json).

mod grpc;
mod http;

use std::error::Error as StdError;
use std::fmt;
use std::panic::Location;

use serde::{Deserialize, Serialize};

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// A field is wrong; `fields` says which and how.
    InvalidArgument,
    Unauthenticated,
    PermissionDenied,
    NotFound,
    AlreadyExists,
    /// The caller's view is out of date: a stale attempt, an old version.
    Aborted,
    /// The thing is not in a state that allows it.
    FailedPrecondition,
    ResourceExhausted,
    /// More was sent than is taken.
    TooLarge,
    /// Try again later: something this needs is down.
    Unavailable,
    Internal,
}

impl Code {
    /// As in JSON, e.g. "not_found".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Aborted => "aborted",
            Self::FailedPrecondition => "failed_precondition",
            Self::ResourceExhausted => "resource_exhausted",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// What is wrong with one field, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Path in the request body, e.g. `tasks[2].depends_on[0]`.
    pub field: String,
    pub message: String,
}

pub struct Error(Box<Inner>);

struct Inner {
    code: Code,
    message: String,
    fields: Vec<FieldError>,
    retry_after_s: Option<u32>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    location: &'static Location<'static>,
}

impl Error {
    #[track_caller]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            fields: Vec::new(),
            retry_after_s: None,
            source: None,
            location: Location::caller(),
        }))
    }

    #[track_caller]
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError { field: field.into(), message: message.into() }])
    }

    #[track_caller]
    #[must_use]
    pub fn invalid_fields(fields: Vec<FieldError>) -> Self {
        let message = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect::<Vec<_>>().join("; ");
        let mut error = Self::new(Code::InvalidArgument, message);
        error.0.fields = fields;
        error
    }

    #[track_caller]
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("{what} was not found"))
    }

    #[track_caller]
    pub fn aborted(message: impl Into<String>) -> Self {
        Self::new(Code::Aborted, message)
    }

    #[track_caller]
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }

    #[track_caller]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// A limit is reached; the caller may try again after so many seconds.
    #[track_caller]
    pub fn exhausted(message: impl Into<String>, retry_after_s: u32) -> Self {
        let mut error = Self::new(Code::ResourceExhausted, message);
        error.0.retry_after_s = Some(retry_after_s);
        error
    }

    #[track_caller]
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Code::Internal, "something went wrong on our side").with_source(source)
    }

    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// Logged once, at the boundary; what the caller did wrong is not our noise.
    fn log(&self) {
        let source = self.0.source.as_ref().map(|s| chain(s.as_ref()));
        match self.0.code {
            Code::Internal | Code::Unavailable => {
                tracing::error!(code = ?self.0.code, location = %self.0.location, source, "{}", self.0.message);
            }
            _ => tracing::debug!(code = ?self.0.code, location = %self.0.location, source, "{}", self.0.message),
        }
    }
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = error.source();
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} (at {}", self.0.code, self.0.message, self.0.location)?;
        if let Some(source) = &self.0.source {
            write!(f, ", {}", chain(source.as_ref()))?;
        }
        f.write_str(")")
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|s| s.as_ref() as _)
    }
}

/// A query that could not reach the database is worth trying again; any other failure of one is a bug.
impl From<sea_orm::DbErr> for Error {
    #[track_caller]
    fn from(error: sea_orm::DbErr) -> Self {
        use sea_orm::{DbErr, RuntimeErr, sqlx};
        let down = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(e)) | DbErr::Query(RuntimeErr::SqlxError(e)) => match &**e {
                sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Protocol(_) => true,
                // Class 57: the server is going down; class 08: connection lost; 40001, 40P01: try again.
                sqlx::Error::Database(e) => {
                    e.code().is_some_and(|c| c.starts_with("57") || c.starts_with("08") || c.starts_with("40") || c.starts_with("53"))
                }
                _ => false,
            },
            _ => false,
        };
        if down { Self::unavailable("the database is not available; try again").with_source(error) } else { Self::internal(error) }
    }
}
