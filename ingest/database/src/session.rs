//! What the three systems do differently, behind one interface: a session reads one relation as it was at one moment.

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use datafusion_execution::SendableRecordBatchStream;

/// A session that reads one table, view or query, all of it from one snapshot.
#[async_trait]
pub(crate) trait Session: Send {
    /// The relation's columns, by the source's own names.
    fn columns(&self) -> &[String];

    /// What stands behind `FROM`.
    fn relation(&self) -> &str;

    /// The parts that a full load may be cut into, each small enough for one commit.
    fn slices(&self) -> usize {
        1
    }

    /// The rows of a part of the relation.
    async fn rows(&mut self, part: Part) -> Result<Rows>;

    /// The first row of `sql`, whose columns all are text.
    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>>;

    /// Whether two rows can have the same value in that column.
    async fn is_unique(&mut self, column: &str) -> Result<bool>;

    /// The column's name in SQL.
    fn name(&self, column: &str) -> String;

    /// SQL that makes exact text of the column: what [`Session::literal`] takes back.
    fn text_of(&self, column: &str) -> String;

    /// The value in SQL that is `text` in that column.
    ///
    /// # Errors
    /// Config: a column that cannot be a cursor.
    fn literal(&self, column: &str, text: &str) -> Result<String>;

    /// The value in SQL that is `seconds` before the literal.
    ///
    /// # Errors
    /// Config: it is not a time.
    fn before(&self, column: &str, literal: &str, seconds: u64) -> Result<String>;

    /// The condition that `columns` (names in SQL) compare with `values` as `operator`, one column after the other.
    fn compare(&self, columns: &[String], operator: Operator, values: &[String]) -> String {
        let (columns, values) = (columns.join(", "), values.join(", "));
        format!("({columns}) {} ({values})", operator.sql())
    }
}

/// A part of a relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Slices of the whole, from..to of [`Session::slices`].
    Slices(std::ops::Range<usize>),
    /// The rows for which the condition holds.
    Where(String),
    /// Some columns of all rows.
    Columns(Vec<String>),
}

/// Rows of one schema.
pub(crate) struct Rows {
    pub(crate) schema: SchemaRef,
    pub(crate) partitions: Vec<SendableRecordBatchStream>,
}

/// How the cursor compares with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Above,
    AtLeast,
    AtMost,
}

impl Operator {
    /// As SQL writes it.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Operator::Above => ">",
            Operator::AtLeast => ">=",
            Operator::AtMost => "<=",
        }
    }
}

/// The relation's own name of the column that the configuration calls `name`: the same, or the same in snake_case.
///
/// # Errors
/// Config: there is none.
pub(crate) fn find_column<'a>(columns: &'a [String], name: &str, doing: &str) -> Result<&'a str> {
    use cordada_core::names::snake_case;
    let exact = columns.iter().find(|column| *column == name);
    let found = exact.or_else(|| columns.iter().find(|column| snake_case(column) == snake_case(name)));
    found.map(String::as_str).ok_or_else(|| {
        let hint = did_you_mean(name, "the columns are", columns.iter().map(String::as_str));
        Error::config(doing, format!("there is no column `{name}`")).hint(hint)
    })
}
