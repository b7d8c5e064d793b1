//! What the systems do differently, behind one interface: a session reads one relation as it was at one moment.

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::names::snake_case;
use cordada_core::source_names::SourceNames;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use cordada_ingest_source::options::Options;
use datafusion_execution::SendableRecordBatchStream;

/// A session that reads one table, view or query, all of it from one snapshot.
#[async_trait]
pub(crate) trait Session: Send {
    /// What the relation's columns are called.
    fn columns(&self) -> &ColumnNames;

    /// What stands behind `FROM`.
    fn relation(&self) -> &str;

    /// The parts that a full load may be cut into, each small enough for one commit.
    fn slices(&self) -> usize {
        1
    }

    /// The rows of a part of the relation.
    ///
    /// # Errors
    /// Config: a column is not there. The rows end with those of the database.
    async fn rows(&mut self, part: Part) -> Result<SessionRows>;

    /// The first row of `sql`, whose columns all are text.
    ///
    /// # Errors
    /// Those of the database.
    async fn first(&mut self, sql: &str) -> Result<Option<Vec<Option<String>>>>;

    /// Whether two rows cannot have the same value in that column.
    ///
    /// # Errors
    /// Those of the database.
    async fn is_unique(&mut self, column: &str) -> Result<bool>;

    /// The column's name in SQL.
    fn name(&self, column: &str) -> String;

    /// The condition that a row has a place in the order of the column: a value that is not null, nor above all that
    /// may come later. It is true or false.
    fn has_place(&self, column: &str) -> String {
        format!("{} IS NOT NULL", self.name(column))
    }

    /// SQL that makes exact text of the column: what [`Session::literal`] takes back.
    fn text_of(&self, column: &str) -> String;

    /// The value in SQL that is `text` in that column. Whatever the text is, it is one value.
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
pub(crate) struct SessionRows {
    /// The columns', and behind them that of the misfits: see [`cordada_ingest_source::misfits`].
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

/// What the columns of a relation are called, in their order: by the source, and in the lake.
#[derive(Debug, Clone)]
pub(crate) struct ColumnNames {
    sources: Vec<String>,
    lake: Vec<String>,
    names: SourceNames,
    /// What the stream says of the columns, by their names in the lake.
    pub(crate) options: Options,
}

impl ColumnNames {
    /// Those of columns that the source calls `sources`, which land in a table whose columns are called as `known` says.
    pub(crate) fn new(sources: Vec<String>, known: &SourceNames, options: &Options) -> Self {
        let mut names = known.clone();
        let lake = names.assign(&sources);
        Self {
            options: options.named(&names),
            sources,
            lake,
            names,
        }
    }

    /// The source's own names.
    pub(crate) fn sources(&self) -> &[String] {
        &self.sources
    }

    /// The names in the lake.
    pub(crate) fn lake(&self) -> &[String] {
        &self.lake
    }

    /// The names in the lake of columns that the source calls so.
    pub(crate) fn in_lake(&self, sources: &[String]) -> Vec<String> {
        let lake = sources.iter().map(|source| {
            let at = self.sources.iter().position(|own| own == source);
            at.map_or_else(|| snake_case(source), |at| self.lake[at].clone())
        });
        lake.collect()
    }

    /// Where among the columns the one is that the configuration calls `name`: by its name in the lake, by the source's, or
    /// by that written another way.
    ///
    /// # Errors
    /// Config: there is none.
    pub(crate) fn find(&self, name: &str, doing: &str) -> Result<usize> {
        let known = || {
            let lake = self.names.find(name)?;
            self.lake.iter().position(|own| own == lake)
        };
        let snake = snake_case(name);
        let alike = || self.sources.iter().position(|source| snake_case(source) == snake);
        known().or_else(alike).ok_or_else(|| {
            let hint = did_you_mean(name, "the columns are", self.sources.iter().map(String::as_str));
            Error::config(doing, format!("there is no column `{name}`")).hint(hint)
        })
    }
}

/// A relation's columns, each with what its driver knows of it.
pub(crate) struct Columns<C> {
    names: ColumnNames,
    columns: Vec<C>,
}

impl<C: Clone> Columns<C> {
    /// These, which are called so.
    pub(crate) fn new(columns: Vec<C>, names: ColumnNames) -> Self {
        Self { names, columns }
    }

    pub(crate) fn names(&self) -> &ColumnNames {
        &self.names
    }

    /// The one that the source calls so, or else the configuration.
    ///
    /// # Errors
    /// Config: there is none.
    pub(crate) fn get(&self, name: &str, doing: &str) -> Result<&C> {
        let own = self.names.sources.iter().position(|source| source == name);
        let at = own.map_or_else(|| self.names.find(name, doing), Ok)?;
        Ok(&self.columns[at])
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[C] {
        &self.columns
    }

    /// All of them, to be changed.
    pub(crate) fn all_mut(&mut self) -> &mut [C] {
        &mut self.columns
    }

    /// Those of a part of the relation, and the SQL behind `FROM` that chooses its rows.
    ///
    /// # Errors
    /// Config: one is not there.
    pub(crate) fn of(&self, part: &Part, doing: &str) -> Result<(Vec<C>, String)> {
        Ok(match part {
            Part::Slices(_) => (self.columns.clone(), String::new()),
            Part::Where(condition) => (self.columns.clone(), format!(" WHERE {condition}")),
            Part::Columns(names) => {
                let columns = names.iter().map(|name| self.get(name, doing).cloned());
                (columns.collect::<Result<_>>()?, String::new())
            }
        })
    }
}

/// A query as what stands behind `FROM`.
pub(crate) fn subquery(query: &str) -> String {
    // The query may end with a comment.
    format!("({}\n) AS query", query.trim().trim_end_matches(';'))
}

/// There is no table of that name; `tables` are those there are.
pub(crate) fn no_such_table(written: &str, sought: &str, tables: &[String]) -> Error {
    let hint = match tables {
        [] => "the database has no tables that this user sees".to_owned(),
        tables => did_you_mean(sought, "there are", tables.iter().map(String::as_str)),
    };
    Error::config(format!("looking for the table {written}"), "there is no such table").hint(hint)
}

/// A lag wants a time, and the column is not one.
pub(crate) fn not_a_time(column: &str, doing: String) -> Error {
    Error::config(
        doing,
        format!("`lag` needs a date or a timestamp, and `{column}` is not one"),
    )
}
