use std::path::Path;
use std::process::{Child, Command};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};

use super::{free_port, gives_folder_to, silent, stop};

/// A running MariaDB.
pub(crate) struct TestMariadb {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl TestMariadb {
    /// Starts one; `None`, and it says so, where MariaDB is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let (daemon, installer) = (
            Path::new("/usr/sbin/mariadbd"),
            Path::new("/usr/bin/mariadb-install-db"),
        );
        if !daemon.exists() || !installer.exists() {
            eprintln!("SKIPPED: MariaDB is not installed, so this test proves nothing");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let is_root = gives_folder_to("mysql", folder.path());
        let run = |program: &Path| -> Command {
            let mut command = silent(program, folder.path());
            command
                .arg("--no-defaults")
                .arg(format!("--datadir={}", data.display()));
            if is_root {
                command.arg("--user=mysql");
            }
            command
        };
        let made = run(installer)
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .status();
        assert!(made.unwrap().success());
        let port = free_port();
        let mut server = run(daemon);
        server
            .args([
                "--bind-address=127.0.0.1",
                "--skip-log-bin",
                "--default-time-zone=+00:00",
                "--innodb-flush-log-at-trx-commit=0",
                "--sql-mode=",
            ])
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", folder.path().join("socket").display()));
        let server = Self {
            process: server.spawn().unwrap(),
            port,
            _folder: folder,
        };
        let root = Opts::from_url(&server.url("root", "mysql")).unwrap();
        while Conn::new(root.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
        Some(server)
    }

    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements, each on lines of its own; the first value of the last one, as text.
    pub(crate) async fn run(&self, database: &str, sql: &str) -> Option<String> {
        let options = Opts::from_url(&self.url("root", database)).unwrap();
        let mut connection = Conn::new(options).await.unwrap();
        let mut value = None;
        for statement in sql.split(";\n") {
            value = connection.query_first(statement).await.unwrap();
        }
        connection.disconnect().await.unwrap();
        value
    }
}

impl Drop for TestMariadb {
    fn drop(&mut self) {
        stop(&mut self.process, "-TERM");
    }
}
