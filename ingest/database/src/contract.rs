//! What every session with a database promises, as tests: a driver's own tests include them with
//! `session_contract!(Subject)`.

pub(crate) mod cancelling;
pub(crate) mod cursors;
pub(crate) mod loads;
pub(crate) mod mistakes;
pub(crate) mod names;
pub(crate) mod rows;
pub(crate) mod values;

use async_trait::async_trait;
use cordada_core::sql_text::Dialect;
use cordada_core::{ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use self::values::{Type, Unreadable};
use crate::session::{Part, Session};
use crate::tests::{Source, lines, read};

/// A password that is in no message.
pub(crate) const PASSWORD: &str = "s3cret";

/// A system with a database that the tests fill. A server is started once for all of them.
#[async_trait]
pub(crate) trait Subject: Sized + Send + Sync {
    /// How its SQL is quoted.
    const SQL: Dialect;
    /// A text of any length up to a hundred letters, whose values can be a key.
    const TEXT: &'static str;
    /// A timestamp; `None` if there is no such type.
    const TIMESTAMP: Option<&'static str>;
    /// A type of long text, and an expression of ten million letters.
    const LONG_TEXT: (&'static str, &'static str);
    /// Its types, with values as far as each goes.
    const TYPES: &'static [Type];
    /// Values that the lake's types do not have.
    const UNREADABLE: &'static [Unreadable];
    /// A query that fails at a value with [`PASSWORD`] in it, which the system may quote.
    const FAILING: &'static str;

    /// `None`, and it says so, if it is not installed.
    async fn start() -> Option<Self>;

    /// Where the database is.
    fn url(&self) -> String;

    /// The same with a user and a [`PASSWORD`] that the server refuses; `None` if there are no users.
    fn refused_url(&self) -> Option<String>;

    /// Where there is no database, with a [`PASSWORD`] if it can have one, and what kind of error that is.
    fn url_of_nothing(&self) -> (String, ErrorKind);

    /// Runs a statement.
    async fn run(&self, sql: &str);

    /// How many statements of others the server works at; `None` if there is no server to ask.
    async fn statements(&self) -> Option<usize>;

    /// How the configuration writes a table's name.
    fn written(&self, table: &str) -> String {
        Self::SQL.identifier(table)
    }

    /// Makes a table, instead of one that is left from another test.
    async fn table(&self, table: &str, columns: &str) {
        let name = Self::SQL.identifier(table);
        self.run(&format!("DROP TABLE IF EXISTS {name}")).await;
        self.run(&format!("CREATE TABLE {name} ({columns})")).await;
    }

    /// Makes the table `many` with the column `n` of the numbers 0 to 999.
    async fn many(&self) {
        self.table("many", "n INTEGER").await;
        let rows: Vec<_> = (0..1000).map(|n| format!("({n})")).collect();
        self.run(&format!("INSERT INTO many VALUES {}", rows.join(", "))).await;
    }

    /// A source whose stream is that YAML.
    async fn source(&self, stream: &str) -> Source {
        Source::new(&self.url(), stream).await
    }

    /// A session that reads a table.
    async fn session(&self, table: &str) -> Box<dyn Session> {
        let stream = serde_json::json!({"table": self.written(table)}).to_string();
        let source = self.source(&stream).await;
        source.session(&CancellationToken::new()).await.unwrap()
    }
}

/// The rows of a part, each as a line, sorted.
async fn part(session: &mut dyn Session, part: Part) -> Result<Vec<String>> {
    let rows = session.rows(part).await?;
    Ok(lines(&read(rows.partitions).await?))
}

/// All rows.
async fn all(session: &mut dyn Session) -> Vec<String> {
    let slices = 0..session.slices();
    part(session, Part::Slices(slices)).await.unwrap()
}

/// The text of a query's only value.
async fn value(session: &mut dyn Session, sql: &str) -> Result<Option<String>> {
    let row = session.first(sql).await?;
    Ok(row.and_then(|row| row.into_iter().next().flatten()))
}

macro_rules! session_contract {
    ($subject:ty) => {
        $crate::contract::session_contract! { @promises $subject:
            values::values_arrive_as_they_are
            values::long_texts_are_whole
            values::a_value_that_no_type_holds_costs_its_row
            rows::all_rows_are_read_once
            rows::an_empty_table_has_its_columns
            rows::all_is_read_as_it_was_when_the_session_began
            rows::columns_come_in_the_order_that_is_asked_for
            names::names_may_be_anything
            names::unique_columns_are_told_from_others
            cursors::a_cursor_finds_its_row_and_those_after_it
            cursors::columns_are_compared_one_after_the_other
            cursors::a_literal_is_one_value
            cursors::a_lag_begins_so_long_before
            loads::a_load_continues_after_the_last
            loads::rows_of_the_same_moment_are_not_missed
            loads::rows_that_are_gone_are_found_by_their_keys
            loads::a_table_may_change_between_two_loads
            cancelling::rows_end_when_they_are_cancelled
            cancelling::a_query_ends_when_it_is_cancelled
            mistakes::what_is_not_there_is_told_with_what_is
            mistakes::values_of_failing_queries_are_not_told
            mistakes::the_password_is_not_told
        }
    };
    (@promises $subject:ty: $($about:ident::$promise:ident)*) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn keeps_the_contract_of_sessions() {
            let Some(subject) = <$subject as $crate::contract::Subject>::start().await else {
                return;
            };
            $(
                eprintln!("{}", stringify!($promise));
                $crate::contract::$about::$promise(&subject).await;
            )*
        }
    };
}
pub(crate) use session_contract;
