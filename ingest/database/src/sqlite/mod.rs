//! SQLite: values have types, columns only prefer them, so a column's type is found by looking at all its values.

mod session;
mod types;

pub(crate) use session::SqliteSession;
