use std::path::PathBuf;
use std::sync::Mutex;

use rusqlite::Connection;

/// A file of SQLite that a program writes.
pub(crate) struct TestSqlite {
    writer: Mutex<Connection>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl TestSqlite {
    /// With these statements run.
    pub(crate) fn with(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.db");
        let writer = Connection::open(&path).unwrap();
        // So that readers and the writer do not wait for each other.
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch(sql).unwrap();
        Self {
            writer: Mutex::new(writer),
            path,
            _folder: folder,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    /// Runs statements.
    pub(crate) fn run(&self, sql: &str) {
        self.writer.lock().unwrap().execute_batch(sql).unwrap();
    }
}
