//! The exporter's errors as the lake's: the one place where the two meet.

use cordada_exporter as exporter;
use cordada_lake::{Error, ErrorKind};

/// The exporter knows nothing of the lake, so it has an error type of its own; exit codes come from the lake's.
pub fn of_export(campaign: &str, error: exporter::Error) -> Error {
    let kind = match error.kind() {
        exporter::ErrorKind::Config => ErrorKind::Config,
        exporter::ErrorKind::Failed => ErrorKind::Failed,
        exporter::ErrorKind::Unavailable => ErrorKind::Unavailable,
        exporter::ErrorKind::Cancelled => ErrorKind::Cancelled,
    };
    Error::new(kind, format!("exporting {campaign}"), &error).caused_by(error)
}
