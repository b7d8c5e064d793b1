use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use tokio_postgres::NoTls;

use super::{free_port, gives_folder_to, silent, stop};

/// A running PostgreSQL.
pub(crate) struct TestPostgres {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl TestPostgres {
    /// Starts one; `None`, and it says so, where PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let found = glob::glob("/usr/lib/postgresql/*/bin/initdb").unwrap().flatten().max();
        let Some(binaries) = found.as_deref().and_then(Path::parent).map(PathBuf::from) else {
            eprintln!("SKIPPED: PostgreSQL is not installed, so this test proves nothing");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let is_root = gives_folder_to("postgres", folder.path());
        let run = |program: &str| -> Command {
            let program = binaries.join(program);
            if !is_root {
                return silent(&program, folder.path());
            }
            let mut command = silent(Path::new("setpriv"), folder.path());
            command
                .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
                .arg(program);
            command
        };
        let made = run("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-U", "admin", "-A", "trust", "-E", "UTF8", "--locale=C"])
            .status();
        assert!(made.unwrap().success());
        let port = free_port();
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
        while tokio_postgres::connect(&server.url(), NoTls).await.is_err() {
            tokio::task::yield_now().await;
        }
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://admin:s3cret@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// Runs statements; the first value of the last one, as text.
    pub(crate) async fn run(&self, sql: &str) -> Option<String> {
        let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        let messages = client.simple_query(sql).await.unwrap();
        messages.into_iter().rev().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        // SIGINT ends its sessions and then itself.
        stop(&mut self.process, "-INT");
    }
}
