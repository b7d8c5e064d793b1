//! `kind: database` as a user writes it, and validated.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;

use cordada_core::units::Span;
use cordada_core::yaml::one_or_many;
use cordada_core::{Error, Result};
use cordada_ingest_source::options::{Disposition, Options, Zone};
use cordada_ingest_source::{stream, unknown_stream};
use serde::{Deserialize, Deserializer};

use crate::driver::{ChangeLog, driver_of};

/// A source of the kind `database`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseSource {
    #[serde(rename = "kind")]
    _kind: String,
    /// The zone of times that carry none.
    #[serde(default)]
    pub(crate) timezone: Zone,
    /// Where it is: `postgres://…`, `mysql://…`, `mariadb://…` or `sqlite:FILE`.
    pub(crate) connection: Connection,
    /// Connections that read one PostgreSQL table at the same time; the machine's cores if it is left out.
    #[serde(default)]
    pub(crate) parallelism: Option<NonZeroUsize>,
    /// How long connecting may take, and how long a dead network goes unnoticed.
    #[serde(default = "thirty_seconds")]
    pub(crate) timeout: Span,
    pub(crate) streams: BTreeMap<String, DatabaseStream>,
}

impl DatabaseSource {
    /// Why it makes no sense, and what to do.
    pub(crate) fn validate(&self, file: &Path) -> Result<()> {
        let at = |error: Error| error.at(file.display(), 0, 0);
        driver_of(self.connection.url()).map_err(at)?;
        if self.timeout.0.is_zero() {
            return Err(at(
                Error::config("reading `timeout`", "nothing is done in no time").hint("leave it out for 30s")
            ));
        }
        for (name, stream) in &self.streams {
            let wrong =
                |(why, hint): (String, &str)| at(Error::config(format!("reading stream {name}"), why).hint(hint));
            stream.validate().map_err(wrong)?;
            if stream.changes.is_some() {
                self.change_log(name).map_err(at)?;
            }
        }
        Ok(())
    }

    /// The log that tells a stream's changes.
    ///
    /// # Errors
    /// Config: the system's log cannot be followed.
    pub(crate) fn change_log(&self, stream: &str) -> Result<&'static dyn ChangeLog> {
        driver_of(self.connection.url())?.change_log().ok_or_else(|| {
            let why = "`changes: logical` is PostgreSQL's";
            Error::config(format!("reading stream {stream}"), why).hint("use a `cursor:` and `deletes: compare`")
        })
    }

    /// One of its streams.
    ///
    /// # Errors
    /// Config: it has none of that name.
    pub(crate) fn stream(&self, name: &str) -> Result<&DatabaseStream> {
        let missing = || unknown_stream(name, self.streams.keys().map(String::as_str));
        self.streams.get(name).ok_or_else(missing)
    }
}

fn thirty_seconds() -> Span {
    Span::seconds(30)
}

/// The connection's URL: it holds the password, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Connection(String);

impl Connection {
    /// The URL, with its password.
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection(…)")
    }
}

impl<'de> Deserialize<'de> for Connection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

stream! {
    /// A stream of a database: a table or a query, and how to find what is new in it.
    pub(crate) struct DatabaseStream {
        /// The table or view, with its schema if that is not the default one.
        #[serde(default)]
        pub(crate) table: Option<String>,
        /// A query instead of a table.
        #[serde(default)]
        pub(crate) query: Option<String>,
        /// The columns that only grow: with them a load reads what is beyond the last one.
        #[serde(default, deserialize_with = "one_or_many")]
        pub(crate) cursor: Vec<String>,
        /// Where the first load begins, in the first column of the cursor; everywhere if it is left out.
        #[serde(default, deserialize_with = "text")]
        pub(crate) initial: Option<String>,
        /// How far behind the cursor a load begins, for transactions that commit late.
        #[serde(default)]
        pub(crate) lag: Option<Span>,
        /// How deleted rows are found.
        #[serde(default)]
        pub(crate) deletes: Option<Deletes>,
        /// How changed rows are found, instead of by a cursor.
        #[serde(default)]
        pub(crate) changes: Option<Changes>,
        /// The replication slot of `changes: logical` in production; if it is left out, one of a name that is derived.
        #[serde(default)]
        pub(crate) slot: Option<String>,
        /// The publication of `changes: logical`; if it is left out, named as the slot that is named here, or
        /// `cordada_<source>_<stream>`.
        #[serde(default)]
        pub(crate) publication: Option<String>,
    }
}

/// How deleted rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Deletes {
    /// By comparing the keys of the source with those of the lake, each load.
    Compare,
}

/// How changed rows are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Changes {
    /// PostgreSQL's logical replication.
    Logical,
}

impl DatabaseStream {
    /// What it says about its rows. A stream that says nothing of what becomes of the rows that are there replaces
    /// them, or with a cursor adds to them, or with a key too renews those with the same.
    pub(crate) fn rows(&self) -> Options {
        let mut options = self.options();
        let continues = !self.cursor.is_empty() || self.changes.is_some();
        options
            .disposition
            .get_or_insert(match (continues, options.key.is_empty()) {
                (false, _) => Disposition::Replace,
                (true, true) => Disposition::Append,
                (true, false) => Disposition::Merge,
            });
        options
    }

    /// Whether a row may be read twice, as the second does no harm.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.rows().disposition() != Disposition::Append
    }

    /// Why it makes no sense, and what to do.
    pub(crate) fn validate(&self) -> Result<(), (String, &'static str)> {
        let wrong = |why: &str, hint| Err((why.to_owned(), hint));
        let disposition = self.rows().disposition();
        let (merge, append) = (disposition == Disposition::Merge, disposition == Disposition::Append);
        match (&self.table, &self.query) {
            (None, None) => {
                return wrong(
                    "it has neither a `table` nor a `query`",
                    "name a table, such as public.sales",
                );
            }
            (Some(_), Some(_)) => return wrong("it has both a `table` and a `query`", "remove one of them"),
            _ => {}
        }
        if self.cursor.is_empty() && (self.initial.is_some() || self.lag.is_some()) {
            return wrong("`initial` and `lag` need a cursor", "name the column in `cursor:`");
        }
        if self.lag.is_some() && append {
            let hint = "a window that is read again would be doubled: use `disposition: merge` with a key";
            return wrong("`lag` does not go with `disposition: append`", hint);
        }
        if self.deletes.is_some() && !merge {
            return wrong(
                "`deletes: compare` needs `disposition: merge`",
                "and a `key:` to compare",
            );
        }
        if self.changes.is_some() {
            if !merge {
                return wrong(
                    "`changes: logical` needs `disposition: merge`",
                    "and a `key:`, the table's primary key",
                );
            }
            if self.table.is_none() || !self.cursor.is_empty() || self.deletes.is_some() {
                let hint = "the log tells all changes and deletions of one table: remove query, cursor and deletes";
                return wrong("`changes: logical` goes with a `table` alone", hint);
            }
        } else if self.slot.is_some() || self.publication.is_some() {
            return wrong(
                "`slot` and `publication` belong to `changes: logical`",
                "add it, or remove them",
            );
        }
        let options = self.rows();
        let transformed = |key: &String| options.column(key).is_some_and(|column| column.transform.is_some());
        if (self.deletes.is_some() || self.changes.is_some()) && options.key().iter().any(transformed) {
            let hint = "take `transform` off the key's columns, or hash another column";
            return wrong(
                "keys that are hashed or replaced cannot be compared with the source's",
                hint,
            );
        }
        if append && self.cursor.is_empty() {
            let hint = "use `disposition: replace`, `disposition: merge` with a key, or name a `cursor:`";
            return wrong("every load would append the whole table again", hint);
        }
        Ok(())
    }

    /// Where a user looks for it: the table, or `query`.
    pub(crate) fn label(&self) -> &str {
        self.table.as_deref().unwrap_or("query")
    }
}

/// A value that YAML may take for a number.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    use serde_json::Value;
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other @ (Value::Number(_) | Value::Bool(_)) => Some(other.to_string()),
        _ => return Err(serde::de::Error::custom("`initial` has to be a single value")),
    })
}
