//! SQLite's files: opening one, the transaction in which it is read, errors that say what to do.

use std::path::Path;
use std::time::Duration;

use cordada_core::{Error, Result};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio_util::sync::CancellationToken;

use crate::sql_error::{SqlContext, SqlError};

/// Instructions of SQLite's machine between two looks at whether the load is cancelled: some microseconds.
const INSTRUCTIONS: i32 = 10_000;

/// Opens a file and the transaction whose snapshot everything is read from. When `cancel` says so, the statement that
/// runs is interrupted.
///
/// # Errors
/// Config: there is no such file, or it is not a database. Unavailable: somebody holds it for longer than `timeout`.
pub(super) fn connect(path: &Path, timeout: Duration, cancel: CancellationToken) -> Result<Connection> {
    let doing = || format!("opening {}", path.display());
    if !path.exists() {
        return Err(
            Error::config(doing(), "there is no such file").hint("write sqlite:path/to.db, from the project's folder")
        );
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).doing_sql(doing)?;
    connection.busy_timeout(timeout).doing_sql(doing)?;
    let is_cancelled = move || cancel.is_cancelled();
    connection
        .progress_handler(INSTRUCTIONS, Some(is_cancelled))
        .doing_sql(doing)?;
    // The snapshot begins with the first statement that reads.
    connection
        .execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
        .doing_sql(doing)?;
    Ok(connection)
}

impl SqlError for rusqlite::Error {
    fn classify(self, doing: String) -> Error {
        use ErrorCode as Code;
        let code = self.sqlite_error_code();
        match (self, code) {
            // The statement stays out of it.
            (rusqlite::Error::SqlInputError { msg, .. }, _) => Error::config(doing, msg),
            (_, Some(Code::DatabaseBusy | Code::DatabaseLocked)) => {
                Error::unavailable(doing, "another program holds the database")
                    .hint("raise `timeout:` or run again later")
            }
            (error, Some(Code::CannotOpen | Code::PermissionDenied | Code::SystemIoFailure)) => {
                Error::unavailable(doing, error)
            }
            (_, Some(Code::NotADatabase)) => Error::config(doing, "the file is not a SQLite database"),
            (_, Some(Code::OperationInterrupted)) => Error::cancelled(doing),
            (error, _) => Error::failed(doing, error),
        }
    }
}
