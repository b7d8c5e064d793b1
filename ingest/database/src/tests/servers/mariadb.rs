use std::path::Path;
use std::process::{Child, Command};

use async_trait::async_trait;
use cordada_core::ErrorKind;
use cordada_core::sql_text::Dialect;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};

use super::{free_port, gives_folder_to, silent, stop};
use crate::contract::Subject;
use crate::contract::values::{Type, Unreadable};

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

#[async_trait]
impl Subject for TestMariadb {
    const SQL: Dialect = Dialect::Mysql;
    const TEXT: &'static str = "VARCHAR(100)";
    const TIMESTAMP: Option<&'static str> = Some("DATETIME");
    const LONG_TEXT: (&'static str, &'static str) = ("LONGTEXT", "repeat('x', 10000000)");
    const TYPES: &'static [Type] = &[
        Type::unordered("BOOLEAN", &[("0", "false"), ("1", "true")]),
        Type::ordered("TINYINT", &[("-128", "-128"), ("127", "127")]),
        Type::ordered("MEDIUMINT UNSIGNED", &[("0", "0"), ("16777215", "16777215")]),
        Type::ordered(
            "BIGINT",
            &[
                ("-9223372036854775808", "-9223372036854775808"),
                ("9007199254740993", "9007199254740993"),
                ("9223372036854775807", "9223372036854775807"),
            ],
        ),
        Type::ordered(
            "BIGINT UNSIGNED",
            &[
                ("18446744073709551614", "18446744073709551614"),
                ("18446744073709551615", "18446744073709551615"),
            ],
        ),
        Type::ordered(
            "DECIMAL(38,10)",
            &[
                (
                    "-9999999999999999999999999999.9999999999",
                    "-9999999999999999999999999999.9999999999",
                ),
                ("0", "0.0000000000"),
                ("0.0000000001", "0.0000000001"),
            ],
        ),
        Type::ordered(
            "DECIMAL(65)",
            &[
                (
                    "10000000000000000000000000000000000000000000000000000000000000001",
                    "10000000000000000000000000000000000000000000000000000000000000001",
                ),
                (
                    "10000000000000000000000000000000000000000000000000000000000000002",
                    "10000000000000000000000000000000000000000000000000000000000000002",
                ),
            ],
        ),
        Type::unordered("FLOAT", &[("0.1", "0.1"), ("1.5", "1.5")]),
        Type::unordered(
            "DOUBLE",
            &[("0.1", "0.1"), ("-1.7976931348623157e308", "-1.7976931348623157e308")],
        ),
        Type::ordered(
            "VARCHAR(20)",
            &[
                ("''", ""),
                ("'7'", "7"),
                ("'a'", "a"),
                ("'it''s'", "it's"),
                ("'b\\\\c'", "b\\c"),
                ("'c\nd'", "c\nd"),
                ("'ñ 😀'", "ñ 😀"),
            ],
        ),
        Type::ordered("TEXT", &[("'a'", "a"), ("'b'", "b")]),
        Type::unordered("VARBINARY(9)", &[("x''", ""), ("x'00ff'", "00ff")]),
        Type::unordered(
            "ENUM('small', 'medium')",
            &[("'small'", "small"), ("'medium'", "medium")],
        ),
        Type::unordered("SET('a', 'b')", &[("''", ""), ("'b'", "b"), ("'a,b'", "a,b")]),
        Type::unordered("BIT(64)", &[("b'0'", "0"), ("~0", "18446744073709551615")]),
        Type::ordered("YEAR", &[("1901", "1901"), ("2155", "2155")]),
        Type::ordered(
            "DATE",
            &[
                ("'1000-01-01'", "1000-01-01"),
                ("'1969-12-31'", "1969-12-31"),
                ("'9999-12-31'", "9999-12-31"),
            ],
        ),
        Type::ordered(
            "DATETIME(6)",
            &[
                ("'1000-01-01'", "1000-01-01T00:00:00Z"),
                ("'1969-12-31 23:59:59.999999'", "1969-12-31T23:59:59.999999Z"),
                ("'9999-12-31 23:59:59.999999'", "9999-12-31T23:59:59.999999Z"),
            ],
        ),
        Type::ordered(
            "TIMESTAMP(6)",
            &[
                ("'1970-01-01 00:00:01'", "1970-01-01T00:00:01Z"),
                ("'2038-01-19 03:14:07.999999'", "2038-01-19T03:14:07.999999Z"),
            ],
        ),
        Type::ordered(
            "TIME(6)",
            &[("'-838:59:59'", "-838:59:59"), ("'00:00:00.000001'", "00:00:00.000001")],
        ),
    ];
    const UNREADABLE: &'static [Unreadable] = &[
        Unreadable {
            sql: "DATE",
            declared: None,
            value: "'0000-00-00'",
            shown: "0000-00-00",
            other: ("'2024-02-29'", "2024-02-29"),
        },
        Unreadable {
            sql: "DATETIME NOT NULL",
            declared: None,
            value: "'2024-00-15 10:00:00'",
            shown: "2024-00-15 10:00:00",
            other: ("'2024-02-29'", "2024-02-29T00:00:00Z"),
        },
        Unreadable {
            sql: "TINYINT(1)",
            declared: Some("boolean"),
            value: "77",
            shown: "77",
            other: ("1", "true"),
        },
    ];
    const FAILING: &'static str = "select exp(length('s3cret') * 999) as n";

    async fn start() -> Option<Self> {
        let server = Self::start().await?;
        let sql = "CREATE DATABASE shop CHARACTER SET utf8mb4;\nCREATE USER reader IDENTIFIED BY 'another'";
        server.run("mysql", sql).await;
        Some(server)
    }

    fn url(&self) -> String {
        self.url("root", "shop")
    }

    fn refused_url(&self) -> Option<String> {
        Some(self.url("reader:s3cret", "shop"))
    }

    fn url_of_nothing(&self) -> (String, ErrorKind) {
        let url = format!("mysql://reader:s3cret@127.0.0.1:{}/shop", free_port());
        (url, ErrorKind::Unavailable)
    }

    async fn run(&self, sql: &str) {
        self.run("shop", sql).await;
    }

    async fn statements(&self) -> Option<usize> {
        let sql = "SELECT count(*) FROM information_schema.processlist WHERE command IN ('Query', 'Execute') \
                   AND id <> connection_id()";
        self.run("shop", sql).await?.parse().ok()
    }
}
