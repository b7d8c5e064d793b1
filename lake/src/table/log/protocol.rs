//! What a table asks of those who read and write it.

use cordada_core::{Error, Result};
use deltalake::kernel::Metadata;
use serde::Deserialize;

/// Features of readers that we understand. Of a table with mapped columns or deletion vectors that are in use, the
/// snapshot says what is wrong.
const READER: [&str; 5] = [
    "columnMapping",
    "deletionVectors",
    "timestampNtz",
    "v2Checkpoint",
    "vacuumProtocolCheck",
];

/// Features of writers that we keep to, beside those of readers.
const WRITER: [&str; 6] = [
    "appendOnly",
    "changeDataFeed",
    "checkConstraints",
    "checkpointProtection",
    "generatedColumns",
    "invariants",
];

/// The last versions of the protocol whose features are implied; the next ones list them.
const IMPLIED: (i32, i32) = (2, 5);

/// The versions of the protocol that list features.
const LISTED: (i32, i32) = (3, 7);

/// The `protocol` of a table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Protocol {
    min_reader_version: i32,
    min_writer_version: i32,
    #[serde(default)]
    reader_features: Option<Vec<String>>,
    #[serde(default)]
    writer_features: Option<Vec<String>>,
}

impl Protocol {
    /// # Errors
    /// Failed: to read the table takes a feature that we do not understand.
    pub(crate) fn check_readable(&self, doing: impl Fn() -> String) -> Result<()> {
        let version = self.min_reader_version;
        if version > LISTED.0 {
            return Err(
                Error::failed(doing(), format!("its protocol asks for readers of version {version}"))
                    .hint("it was written by an engine that is newer than this program"),
            );
        }
        check_features(self.reader_features.as_deref(), &READER, "readers", doing)
    }

    /// # Errors
    /// Failed: to write the table takes a feature that we do not keep to.
    pub(crate) fn check_writable(&self, doing: impl Fn() -> String) -> Result<()> {
        let version = self.min_writer_version;
        if version > IMPLIED.1 && version != LISTED.1 {
            return Err(
                Error::failed(doing(), format!("its protocol asks for writers of version {version}"))
                    .hint("another engine raised it; write the table with that one"),
            );
        }
        let known = [&READER[..], &WRITER[..]].concat();
        check_features(self.writer_features.as_deref(), &known, "writers", doing)
    }

    /// Whether rows of the table must stay.
    pub(crate) fn is_append_only(&self, metadata: &Metadata) -> bool {
        let asked = metadata.configuration().get("delta.appendOnly");
        let listed = |features: &Vec<String>| features.iter().any(|feature| feature == "appendOnly");
        self.min_writer_version > 1
            && (self.min_writer_version < LISTED.1 || self.writer_features.as_ref().is_some_and(listed))
            && asked.is_some_and(|asked| asked.eq_ignore_ascii_case("true"))
    }
}

fn check_features(asked: Option<&[String]>, known: &[&str], whom: &str, doing: impl Fn() -> String) -> Result<()> {
    let unknown = asked.unwrap_or_default().iter();
    let mut unknown: Vec<_> = unknown
        .filter(|feature| !known.contains(&feature.as_str()))
        .map(String::as_str)
        .collect();
    unknown.sort_unstable();
    match unknown.is_empty() {
        true => Ok(()),
        false => {
            let why = format!(
                "another engine asks of {whom} what this program does not know: {}",
                unknown.join(", ")
            );
            Err(Error::failed(doing(), why)
                .hint("drop the features with the engine that added them, or rewrite the table"))
        }
    }
}
