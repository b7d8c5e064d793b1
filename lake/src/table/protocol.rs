//! What other engines may ask of whoever writes a table (Delta protocol, "Table Features"): met, or refused before
//! anything is written.

use cordada_core::{Error, Result, TableName};
use deltalake::kernel::{DataType, StructType};

use crate::table::mode::Mode;
use crate::table::snapshot::TableSnapshot;

/// The newest version of the protocol that is known; it names the features that are asked for.
const NAMED_FEATURES: i32 = 7;

/// Features that these writes are right for; where that is so of some writes or tables alone, [`check`] refuses the
/// others.
const KNOWN: [&str; 10] = [
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "columnMapping",
    "deletionVectors",
    "generatedColumns",
    "identityColumns",
    "invariants",
    "v2Checkpoint",
    "vacuumProtocolCheck",
];

/// Metadata of columns whose values are made by the writer.
const MADE: [(&str, &str); 2] = [
    ("delta.generationExpression", "generated"),
    ("delta.identity.start", "numbered"),
];

/// What a write does with the rows that are there, as the protocol sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// They stay as they are.
    Adds,
    /// Whole files come and go: what they hold is what has changed.
    Replaces,
    /// Files are written again that hold other rows too.
    Rewrites,
}

impl Change {
    /// What a write in `mode` does; `rewrites` says that it writes files again whatever the mode, because a column became
    /// wider or rows are superseded, `undoes` that it takes back others.
    pub(crate) fn of(mode: &Mode, rewrites: bool, undoes: bool) -> Self {
        match mode {
            _ if rewrites => Self::Rewrites,
            Mode::Append | Mode::Insert { .. } if !undoes => Self::Adds,
            Mode::Append | Mode::Insert { .. } | Mode::Overwrite => Self::Replaces,
            Mode::Upsert { .. } | Mode::ReplaceGroups { .. } | Mode::History { .. } => Self::Rewrites,
        }
    }
}

/// # Errors
/// Failed if the table asks for what the lake's writes do not do; the message names it.
pub(crate) fn check(table: &TableName, snapshot: &TableSnapshot, change: Change) -> Result<()> {
    let refuse = |why: String| {
        let error = Error::failed(format!("writing {table}"), why);
        Err(error.hint("write it with the engine that set this up, or take it away"))
    };
    let protocol = snapshot.protocol();
    if protocol.writer_version() > NAMED_FEATURES {
        let version = protocol.writer_version();
        return refuse(format!(
            "the table asks for version {version} of the Delta protocol for writers"
        ));
    }
    let mut features = protocol.writer_features().iter();
    if let Some(feature) = features.find(|name| !KNOWN.contains(&name.as_str())) {
        return refuse(format!("the table asks writers for the feature `{feature}`"));
    }
    if let Some((column, what)) = made_column(&snapshot.described()?) {
        return refuse(format!("the column `{column}` is {what} by whoever writes"));
    }
    let is_set = |property: &str| {
        snapshot
            .property(property)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    };
    if change != Change::Adds && is_set("delta.appendOnly") {
        return refuse("the table says `delta.appendOnly`, and this write changes rows that are there".to_owned());
    }
    if change == Change::Rewrites && is_set("delta.enableChangeDataFeed") {
        return refuse("the table keeps a change data feed, and this write changes rows that are there".to_owned());
    }
    Ok(())
}

/// The first column whose values the writer would have to make, and how.
fn made_column(columns: &StructType) -> Option<(String, &'static str)> {
    columns.fields().find_map(|field| {
        let made = MADE.iter().find(|(key, _)| field.metadata.contains_key(*key));
        let own = made.map(|(_, what)| (field.name.clone(), *what));
        own.or_else(|| match &field.data_type {
            DataType::Struct(inner) => made_column(inner),
            _ => None,
        })
    })
}
