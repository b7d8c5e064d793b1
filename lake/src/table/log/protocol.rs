//! What a table asks of those who read and write it.

use cordada_core::{Error, Result};
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

/// The last version of the protocol for readers.
const LAST: i32 = 3;

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
        if version > LAST {
            return Err(
                Error::failed(doing(), format!("its protocol asks for readers of version {version}"))
                    .hint("it was written by an engine that is newer than this program"),
            );
        }
        let asked = self.reader_features.iter().flatten().map(String::as_str);
        let mut unknown: Vec<_> = asked.filter(|feature| !READER.contains(feature)).collect();
        unknown.sort_unstable();
        match unknown.is_empty() {
            true => Ok(()),
            false => {
                let why = format!(
                    "another engine asks of readers what this program does not know: {}",
                    unknown.join(", ")
                );
                Err(Error::failed(doing(), why)
                    .hint("drop the features with the engine that added them, or rewrite the table"))
            }
        }
    }

    /// The version of the protocol that it asks writers for.
    pub(crate) fn writer_version(&self) -> i32 {
        self.min_writer_version
    }

    /// The features that it asks writers for by name.
    pub(crate) fn writer_features(&self) -> &[String] {
        self.writer_features.as_deref().unwrap_or_default()
    }
}
