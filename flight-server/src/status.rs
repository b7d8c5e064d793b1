//! From errors to gRPC status codes: a user's mistake is never `Internal`.

use arrow::error::ArrowError;
use cordada_core::{Classify, Error, ErrorKind};
use cordada_query::{Exceeded, Forbidden, Presence};
use datafusion::error::DataFusionError;
use tonic::{Code, Status};

/// The status of an error.
pub(crate) fn of(error: &Error) -> Status {
    let cause = std::error::Error::source(error);
    let code = match error.kind() {
        _ if cause.is_some_and(|cause| cause.is::<Forbidden>()) => Code::PermissionDenied,
        _ if cause.and_then(|cause| cause.downcast_ref()) == Some(&Presence::Exists) => Code::AlreadyExists,
        _ if cause.and_then(|cause| cause.downcast_ref()) == Some(&Presence::Missing) => Code::NotFound,
        _ if limit(cause) == Some(&Exceeded::Time) => Code::DeadlineExceeded,
        _ if limit(cause) == Some(&Exceeded::Resources) => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Cancelled => Code::Cancelled,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::Config => Code::InvalidArgument,
        ErrorKind::Internal => Code::Internal,
        ErrorKind::Failed => engine_cause(error).map_or(Code::InvalidArgument, code_of),
    };
    Status::new(code, fitting(error.to_string()))
}

/// Bytes of a message at most, as it is written in a header: clients take 8 KiB of headers.
const LONGEST: usize = 6_000;

/// The message, cut where it would not fit.
fn fitting(mut message: String) -> String {
    let mut bytes = 0;
    let over = message.char_indices().find(|(_, letter)| {
        // What is not plain is written in hexadecimal.
        bytes += match letter.is_ascii_alphanumeric() {
            true => 1,
            false => 3 * letter.len_utf8(),
        };
        bytes > LONGEST
    });
    if let Some((place, _)) = over {
        message.truncate(place);
        message.push('…');
    }
    message
}

/// The limit that an error is about, if it is about one.
fn limit<'a>(cause: Option<&'a (dyn std::error::Error + 'static)>) -> Option<&'a Exceeded> {
    cause?.downcast_ref()
}

/// The status of what went wrong while a query ran.
pub(crate) fn of_execution(error: DataFusionError) -> Status {
    of(&error.classify("running the query".to_owned()))
}

/// The engine's error that is behind ours, if there is one.
fn engine_cause(error: &Error) -> Option<&DataFusionError> {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(engine) = cause.downcast_ref::<DataFusionError>() {
            return Some(engine);
        }
        next = cause.source();
    }
    None
}

fn code_of(error: &DataFusionError) -> Code {
    match error.find_root() {
        DataFusionError::ResourcesExhausted(_) => Code::ResourceExhausted,
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => Code::Unavailable,
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Diagnostic(..)
        | DataFusionError::Collection(_)
        | DataFusionError::Execution(_) => Code::InvalidArgument,
        DataFusionError::ArrowError(error, _) => match **error {
            ArrowError::CastError(_)
            | ArrowError::ParseError(_)
            | ArrowError::ComputeError(_)
            | ArrowError::DivideByZero
            | ArrowError::ArithmeticOverflow(_)
            | ArrowError::InvalidArgumentError(_) => Code::InvalidArgument,
            ArrowError::MemoryError(_) => Code::ResourceExhausted,
            _ => Code::Internal,
        },
        DataFusionError::External(cause) => match cause.downcast_ref::<Error>() {
            Some(ours) => of(ours).code(),
            None => Code::Internal,
        },
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_where_headers_would_not_hold_it() {
        assert_eq!(fitting("as it is".to_owned()), "as it is");
        for letter in ["a", " ", "é", "名"] {
            let cut = fitting(letter.repeat(10_000));
            assert!(
                cut.starts_with(letter) && cut.ends_with('…') && cut.len() <= LONGEST + 3,
                "{letter}"
            );
        }
    }

    #[test]
    fn a_users_mistake_is_not_internal() {
        let external = |error: Error| DataFusionError::External(Box::new(error));
        for (error, code) in [
            (DataFusionError::Plan("no such table".to_owned()), Code::InvalidArgument),
            (
                DataFusionError::ArrowError(Box::new(ArrowError::DivideByZero), None),
                Code::InvalidArgument,
            ),
            (
                DataFusionError::ResourcesExhausted("too big".to_owned()),
                Code::ResourceExhausted,
            ),
            (DataFusionError::Internal("bug".to_owned()), Code::Internal),
            (
                external(Error::unavailable("reading", "the store is away")),
                Code::Unavailable,
            ),
            (external(Error::failed("reading", "wrong SQL")), Code::InvalidArgument),
            (
                DataFusionError::Plan("x".to_owned()).context("while planning"),
                Code::InvalidArgument,
            ),
        ] {
            let text = error.to_string();
            assert_eq!(of_execution(error).code(), code, "{text}");
        }
        let forbidden = Error::failed("planning", "not for everybody").caused_by(Forbidden);
        assert_eq!(of(&forbidden).code(), Code::PermissionDenied);
        let exists = Error::failed("ingesting", "it is there").caused_by(Presence::Exists);
        assert_eq!(of(&exists).code(), Code::AlreadyExists);
        for (exceeded, code) in [
            (Exceeded::Time, Code::DeadlineExceeded),
            (Exceeded::Resources, Code::ResourceExhausted),
        ] {
            assert_eq!(
                of(&Error::failed("running", "a limit").caused_by(exceeded)).code(),
                code
            );
        }
        let status = of(&Error::config("reading release 9", "there is none of that number"));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains("release 9"));
    }
}
