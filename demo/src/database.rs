//! SQLite databases as systems keep them. They are written in one go, without a journal: nobody reads them meanwhile,
//! and one that was not finished is written anew.

use std::path::{Path, PathBuf};

use cordada_core::{Context, Error, Result};
use rusqlite::{Connection, ErrorCode, Params, Statement};

/// A database that is being written.
pub struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Creates the database, anew if it is there, with the tables of `schema`.
    pub fn create(path: PathBuf, schema: &str) -> Result<Self> {
        let creating = || format!("creating {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(|| format!("creating the folder {}", folder.display()))?;
        }
        if path.exists() {
            std::fs::remove_file(&path).doing(creating)?;
        }
        let connection = Connection::open(&path).map_err(|error| failed(creating(), &error))?;
        let database = Self { path, connection };
        database.run("pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive; begin")?;
        database.run(schema)?;
        Ok(database)
    }

    /// A statement to write many rows with.
    pub fn insert(&self, sql: &str) -> Result<Insert<'_>> {
        let statement = self.connection.prepare(sql).map_err(|error| self.failed(&error))?;
        Ok(Insert {
            database: self,
            statement,
        })
    }

    /// Runs statements without parameters, such as those for indexes.
    pub fn run(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|error| self.failed(&error))
    }

    /// Makes everything that was written there for others.
    pub fn finish(self) -> Result<()> {
        self.run("commit")
    }

    fn failed(&self, error: &rusqlite::Error) -> Error {
        failed(format!("writing {}", self.path.display()), error)
    }
}

/// A statement that writes rows.
pub struct Insert<'a> {
    database: &'a Database,
    statement: Statement<'a>,
}

impl Insert<'_> {
    /// Writes one row.
    pub fn row(&mut self, values: impl Params) -> Result<()> {
        match self.statement.execute(values) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.database.failed(&error)),
        }
    }
}

fn failed(doing: String, error: &rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            Error::unavailable(doing, "the disk is full").hint("free some space and run again")
        }
        _ => Error::unavailable(doing, error),
    }
}

/// Opens a finished database for reading.
pub fn open(path: &Path) -> Result<Connection> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| failed(format!("opening {}", path.display()), &error))
}
