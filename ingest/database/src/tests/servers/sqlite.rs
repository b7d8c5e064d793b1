use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use cordada_core::ErrorKind;
use cordada_core::sql_text::Dialect;
use rusqlite::Connection;

use crate::contract::Subject;
use crate::contract::values::{TEXTS, Type, Unreadable};

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

#[async_trait]
impl Subject for TestSqlite {
    const SQL: Dialect = Dialect::Standard;
    const TEXT: &'static str = "TEXT";
    const TIMESTAMP: Option<&'static str> = None;
    const LONG_TEXT: (&'static str, &'static str) = ("TEXT", "replace(hex(zeroblob(5000000)), '0', 'x')");
    const TYPES: &'static [Type] = &[
        Type::ordered(
            "INTEGER",
            &[
                ("-9223372036854775808", "-9223372036854775808"),
                ("0", "0"),
                ("9007199254740993", "9007199254740993"),
                ("9223372036854775807", "9223372036854775807"),
            ],
        ),
        Type::ordered(
            "REAL",
            &[
                ("-1.7976931348623157e308", "-1.7976931348623157e308"),
                ("0.1", "0.1"),
                ("5e-324", "5e-324"),
                ("9e999", "inf"),
            ],
        ),
        Type::ordered("DECIMAL(10,2)", &[("-12.5", "-12.5"), ("7", "7.0")]),
        Type::ordered("TEXT", TEXTS),
        Type::ordered(
            "BLOB",
            &[("x''", ""), ("x'00'", "00"), ("x'00ff'", "00ff"), ("x'27'", "27")],
        ),
        Type::ordered("BOOLEAN", &[("0", "false"), ("1", "true")]),
        Type::ordered(
            "BLOB",
            &[("7", "7"), ("'7'", "7"), ("'seven'", "seven"), ("1.5", "1.5")],
        ),
    ];
    const UNREADABLE: &'static [Unreadable] = &[
        Unreadable {
            sql: "TEXT",
            declared: None,
            value: "CAST(x'ff61' AS TEXT)",
            shown: "\\xff61",
            other: ("'a'", "a"),
        },
        Unreadable {
            sql: "TEXT",
            declared: None,
            value: "x'6162'",
            shown: "\\x6162",
            other: ("'a'", "a"),
        },
        Unreadable {
            sql: "INTEGER",
            declared: None,
            value: "'seven'",
            shown: "seven",
            other: ("7", "7"),
        },
        Unreadable {
            sql: "REAL",
            declared: None,
            value: "'n/a'",
            shown: "n/a",
            other: ("1.5", "1.5"),
        },
        Unreadable {
            sql: "INTEGER",
            declared: None,
            value: "x'07'",
            shown: "\\x07",
            other: ("7", "7"),
        },
    ];
    const FAILING: &'static str = "select json_extract('{s3cret', '$.a') as a";

    async fn start() -> Option<Self> {
        Some(Self::with(""))
    }

    fn url(&self) -> String {
        self.url()
    }

    fn refused_url(&self) -> Option<String> {
        None
    }

    fn url_of_nothing(&self) -> (String, ErrorKind) {
        ("sqlite:nowhere.db".to_owned(), ErrorKind::Config)
    }

    async fn run(&self, sql: &str) {
        self.run(sql);
    }

    async fn statements(&self) -> Option<usize> {
        None
    }

    /// Taken as it is, since there are no schemas.
    fn written(&self, table: &str) -> String {
        table.to_owned()
    }
}
