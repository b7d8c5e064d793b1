//! Private servers that a test starts and stops.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server; it stops when this is dropped.
pub(super) struct Postgres {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts one; `None`, and it says so, where PostgreSQL is not installed.
    pub(super) async fn start() -> Option<Self> {
        let found = glob::glob("/usr/lib/postgresql/*/bin/initdb").unwrap().flatten().max();
        let Some(binaries) = found.as_deref().and_then(Path::parent).map(PathBuf::from) else {
            eprintln!("SKIPPED: PostgreSQL is not installed, so this test proves nothing");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        // It refuses to run as root.
        let is_root = folder.path().metadata().unwrap().uid() == 0;
        if is_root {
            assert!(
                Command::new("chown")
                    .arg("postgres")
                    .arg(folder.path())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let run = |program: &str| {
            let program = binaries.join(program);
            let mut command = if is_root {
                Command::new("setpriv")
            } else {
                Command::new(&program)
            };
            if is_root {
                command
                    .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                    .arg(&program);
            }
            command
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let made = run("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C"])
            .status();
        assert!(made.unwrap().success());
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut server = run("postgres");
        server
            .arg("-D")
            .arg(&data)
            .arg("-p")
            .arg(port.to_string())
            .arg("-k")
            .arg(folder.path());
        for setting in [
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "wal_level=logical",
            "max_wal_senders=4",
        ] {
            server.args(["-c", setting]);
        }
        let server = Self {
            process: server.spawn().unwrap(),
            port,
            _folder: folder,
        };
        while tokio_postgres::connect(&server.url(), tokio_postgres::NoTls)
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!(
            "postgres://admin:s3cret@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// Runs statements.
    pub(super) async fn run(&self, sql: &str) {
        let (client, connection) = tokio_postgres::connect(&self.url(), tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await.unwrap();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT ends its sessions and then itself.
        let _ = Command::new("kill")
            .arg("-INT")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}

/// A running MariaDB server; it stops when this is dropped.
pub(super) struct Mariadb {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Mariadb {
    /// Starts one; `None`, and it says so, where MariaDB is not installed.
    pub(super) async fn start() -> Option<Self> {
        if !Path::new("/usr/sbin/mariadbd").exists() || !Path::new("/usr/bin/mariadb-install-db").exists() {
            eprintln!("SKIPPED: MariaDB is not installed, so this test proves nothing");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let is_root = folder.path().metadata().unwrap().uid() == 0;
        let user = if is_root { "mysql" } else { "" };
        if is_root {
            assert!(
                Command::new("chown")
                    .arg("mysql")
                    .arg(folder.path())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let run = |program: &str| {
            let mut command = Command::new(program);
            command
                .arg("--no-defaults")
                .arg(format!("--datadir={}", data.display()));
            if is_root {
                command.arg(format!("--user={user}"));
            }
            command
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command
        };
        let mut install = run("/usr/bin/mariadb-install-db");
        let made = install
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
            .status();
        assert!(made.unwrap().success());
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut server = run("/usr/sbin/mariadbd");
        server.args([
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            "--sql-mode=",
        ]);
        server
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", folder.path().join("socket").display()));
        let server = Self {
            process: server.spawn().unwrap(),
            port,
            _folder: folder,
        };
        let root = mysql_async::Opts::from_url(&server.url("root", "mysql")).unwrap();
        while mysql_async::Conn::new(root.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
        Some(server)
    }

    pub(super) fn url(&self, user: &str, database: &str) -> String {
        format!("mysql://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs statements.
    pub(super) async fn run(&self, database: &str, sql: &str) {
        use mysql_async::prelude::Queryable;
        let options = mysql_async::Opts::from_url(&self.url("root", database)).unwrap();
        let mut connection = mysql_async::Conn::new(options).await.unwrap();
        for statement in sql.split(";\n") {
            connection.query_drop(statement).await.unwrap();
        }
        connection.disconnect().await.unwrap();
    }
}

impl Drop for Mariadb {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg("-TERM")
            .arg(self.process.id().to_string())
            .status();
        let _ = self.process.wait();
    }
}
