//! Private servers and files that a test fills; a server stops when it is dropped.

#[cfg(feature = "mysql")]
mod mariadb;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[cfg(feature = "mysql")]
pub(crate) use self::mariadb::TestMariadb;
#[cfg(feature = "postgres")]
pub(crate) use self::postgres::TestPostgres;
#[cfg(feature = "sqlite")]
pub(crate) use self::sqlite::TestSqlite;

/// A port that nobody listens at.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether the folder's owner is root, as whom servers refuse to run: then it is given to `user`.
fn gives_folder_to(user: &str, folder: &Path) -> bool {
    let is_root = folder.metadata().unwrap().uid() == 0;
    if is_root {
        let given = Command::new("chown").arg(user).arg(folder).status();
        assert!(given.unwrap().success());
    }
    is_root
}

/// A command in that folder that says nothing.
fn silent(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Asks a server to end, and waits for it.
fn stop(process: &mut Child, signal: &str) {
    let _ = Command::new("kill").arg(signal).arg(process.id().to_string()).status();
    let _ = process.wait();
}
