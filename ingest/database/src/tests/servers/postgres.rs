use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use async_trait::async_trait;
use cordada_core::ErrorKind;
use cordada_core::sql_text::Dialect;
use tokio_postgres::NoTls;

use super::{free_port, gives_folder_to, silent, stop};
use crate::contract::Subject;
use crate::contract::values::{TEXTS, Type, Unreadable};

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

#[async_trait]
impl Subject for TestPostgres {
    const SQL: Dialect = Dialect::Standard;
    const TEXT: &'static str = "text";
    const TIMESTAMP: Option<&'static str> = Some("timestamptz");
    const LONG_TEXT: (&'static str, &'static str) = ("text", "repeat('x', 10000000)");
    const TYPES: &'static [Type] = &[
        Type::ordered("boolean", &[("false", "false"), ("true", "true")]),
        Type::ordered("smallint", &[("-32768", "-32768"), ("32767", "32767")]),
        Type::ordered(
            "bigint",
            &[
                ("-9223372036854775808", "-9223372036854775808"),
                ("9007199254740993", "9007199254740993"),
                ("9223372036854775807", "9223372036854775807"),
            ],
        ),
        Type::ordered(
            "numeric(38,10)",
            &[
                (
                    "-9999999999999999999999999999.9999999999",
                    "-9999999999999999999999999999.9999999999",
                ),
                ("0", "0.0000000000"),
                ("0.0000000001", "0.0000000001"),
                ("123456789012345678.5", "123456789012345678.5000000000"),
            ],
        ),
        Type::ordered(
            "numeric",
            &[
                ("'NaN'", "NaN"),
                ("1e-40", "0.0000000000000000000000000000000000000001"),
                ("-1e20", "-100000000000000000000"),
            ],
        ),
        Type::ordered(
            "double precision",
            &[
                ("'-Infinity'", "-inf"),
                ("-1.7976931348623157e308", "-1.7976931348623157e308"),
                ("0.1", "0.1"),
                ("5e-324", "5e-324"),
                ("'NaN'", "NaN"),
            ],
        ),
        Type::ordered("real", &[("0.1", "0.1"), ("3.4028235e38", "3.4028235e38")]),
        Type::ordered("text", TEXTS),
        Type::ordered("char(3)", &[("'a'", "a  "), ("'abc'", "abc")]),
        Type::ordered(
            "bytea",
            &[
                ("'\\x'", ""),
                ("'\\x00'", "00"),
                ("'\\x00ff'", "00ff"),
                ("'\\x27'", "27"),
            ],
        ),
        Type::ordered(
            "date",
            &[
                ("'0044-03-15 BC'", "-0043-03-15"),
                ("'0001-01-01'", "0001-01-01"),
                ("'1969-12-31'", "1969-12-31"),
                ("'9999-12-31'", "9999-12-31"),
            ],
        ),
        Type::ordered(
            "timestamptz",
            &[
                ("'0001-01-01 00:00:00+00'", "0001-01-01T00:00:00Z"),
                ("'1969-12-31 23:59:59.999999+00'", "1969-12-31T23:59:59.999999Z"),
                ("'2024-10-27 01:30:00+02'", "2024-10-26T23:30:00Z"),
                ("'9999-12-31 23:59:59.999999+00'", "9999-12-31T23:59:59.999999Z"),
            ],
        ),
        Type::ordered(
            "timestamp",
            &[("'2024-02-29 12:00:00.000001'", "2024-02-29T12:00:00.000001Z")],
        ),
        Type::ordered(
            "time",
            &[("'00:00'", "00:00:00"), ("'23:59:59.999999'", "23:59:59.999999")],
        ),
        Type::ordered("interval", &[("'-1 day'", "P-1D"), ("'1 month'", "P1M")]),
        Type::ordered("inet", &[("'10.0.0.1'", "10.0.0.1"), ("'::1'", "::1")]),
        Type::ordered(
            "uuid",
            &[(
                "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            )],
        ),
        Type::ordered("int[]", &[("'{}'", "[]"), ("'{1,NULL,-3}'", "[1, , -3]")]),
        Type::unordered("json", &[("'{\"a\": \"it''s\"}'", "{\"a\": \"it's\"}")]),
        Type::unordered("point", &[("'(1,2)'", "(1,2)")]),
    ];
    const UNREADABLE: &'static [Unreadable] = &[
        Unreadable {
            sql: "numeric",
            declared: Some("decimal(5,2)"),
            value: "98765.4321",
            shown: "98765.4321",
            other: ("7", "7.00"),
        },
        Unreadable {
            sql: "numeric",
            declared: Some("integer"),
            value: "'1.5'",
            shown: "1.5",
            other: ("'7.00'", "7"),
        },
        Unreadable {
            sql: "numeric(5,2)",
            declared: None,
            value: "'NaN'",
            shown: "NaN",
            other: ("7", "7.00"),
        },
        Unreadable {
            sql: "date",
            declared: None,
            value: "'-infinity'",
            shown: "-infinity",
            other: ("'0044-03-15 BC'", "-0043-03-15"),
        },
        Unreadable {
            sql: "timestamp",
            declared: None,
            value: "'infinity'",
            shown: "infinity",
            other: ("'2024-02-29'", "2024-02-29T00:00:00Z"),
        },
        Unreadable {
            sql: "timestamptz",
            declared: None,
            value: "'infinity'",
            shown: "infinity",
            other: ("'2024-02-29'", "2024-02-29T00:00:00Z"),
        },
        Unreadable {
            sql: "int[]",
            declared: None,
            value: "'{{1},{2}}'",
            shown: "\\x0000000200000000000000170000000200000001000000010000000100000004000000010000000400000002",
            other: ("'{1}'", "[1]"),
        },
        Unreadable {
            sql: "numeric(5,2)[]",
            declared: None,
            value: "'{1,NaN}'",
            shown: "\\x0000000100000000000006a400000002000000010000000a000100000000000200010000000800000000c0000000",
            other: ("'{1}'", "[1.00]"),
        },
    ];
    const FAILING: &'static str = "select cast('s3cret' || q.n as int) as n from (values (1)) as q (n)";

    async fn start() -> Option<Self> {
        Self::start().await
    }

    fn url(&self) -> String {
        self.url()
    }

    fn refused_url(&self) -> Option<String> {
        Some(self.url().replace("admin", "nobody"))
    }

    fn url_of_nothing(&self) -> (String, ErrorKind) {
        let url = format!("postgres://admin:s3cret@127.0.0.1:{}/postgres", free_port());
        (url, ErrorKind::Unavailable)
    }

    async fn run(&self, sql: &str) {
        self.run(sql).await;
    }

    async fn statements(&self) -> Option<usize> {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() \
                   AND backend_type = 'client backend'";
        self.run(sql).await?.parse().ok()
    }
}
