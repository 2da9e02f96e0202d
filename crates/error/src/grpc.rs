//! [`Error`] as a gRPC status and back; the fields travel as JSON in the status details.

use tonic::{Code as GrpcCode, Status};

use crate::{Code, Error, FieldError};

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        error.log();
        let code = match error.code() {
            Code::InvalidArgument => GrpcCode::InvalidArgument,
            Code::Unauthenticated => GrpcCode::Unauthenticated,
            Code::PermissionDenied => GrpcCode::PermissionDenied,
            Code::NotFound => GrpcCode::NotFound,
            Code::AlreadyExists => GrpcCode::AlreadyExists,
            Code::Aborted => GrpcCode::Aborted,
            Code::FailedPrecondition => GrpcCode::FailedPrecondition,
            Code::ResourceExhausted | Code::TooLarge => GrpcCode::ResourceExhausted,
            Code::Unavailable => GrpcCode::Unavailable,
            Code::Internal => GrpcCode::Internal,
        };
        if error.fields().is_empty() {
            return Self::new(code, error.message());
        }
        let details = serde_json::to_vec(error.fields()).unwrap_or_default();
        Self::with_details(code, error.message(), details.into())
    }
}

impl From<Status> for Error {
    #[track_caller]
    fn from(status: Status) -> Self {
        let code = match status.code() {
            GrpcCode::InvalidArgument | GrpcCode::OutOfRange => Code::InvalidArgument,
            GrpcCode::Unauthenticated => Code::Unauthenticated,
            GrpcCode::PermissionDenied => Code::PermissionDenied,
            GrpcCode::NotFound => Code::NotFound,
            GrpcCode::AlreadyExists => Code::AlreadyExists,
            GrpcCode::Aborted => Code::Aborted,
            GrpcCode::FailedPrecondition => Code::FailedPrecondition,
            GrpcCode::ResourceExhausted => Code::ResourceExhausted,
            GrpcCode::Unavailable | GrpcCode::DeadlineExceeded | GrpcCode::Cancelled => Code::Unavailable,
            // A connection lost half-way reaches us as Unknown with a transport error behind it.
            GrpcCode::Unknown if std::error::Error::source(&status).is_some() => Code::Unavailable,
            _ => Code::Internal,
        };
        if let Ok(fields) = serde_json::from_slice::<Vec<FieldError>>(status.details())
            && code == Code::InvalidArgument
        {
            return Self::invalid_fields(fields);
        }
        let message = match code {
            Code::Internal => "something went wrong on our side",
            Code::Unavailable => "a service this needs is not available; try again",
            _ => status.message(),
        };
        Self::new(code, message).with_source(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_survive_the_wire() {
        let status = Status::from(Error::invalid("tasks[1].key", "must not be empty"));
        let back = Error::from(status);
        assert_eq!(back.code(), Code::InvalidArgument);
        assert_eq!(back.fields()[0].field, "tasks[1].key");
    }

    #[test]
    fn an_internal_source_is_not_sent() {
        let status = Status::from(Error::internal("password=hunter2"));
        assert!(!format!("{status:?}").contains("hunter2"));
    }
}
