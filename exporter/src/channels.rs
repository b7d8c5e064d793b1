//! Where a campaign goes. A kind of channel is one file in `channels/` and one line in [`CHANNELS`].

#[cfg(test)]
pub(crate) mod contract;
mod csv;
mod failures;
mod options;
mod receipt;

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use async_trait::async_trait;
use cordada_core::Result;
use cordada_core::suggest::did_you_mean;
use serde::Serialize;

pub use failures::{Failure, Failures};
use options::Options;
pub use options::{ChannelOptions, Problem};
pub use receipt::Receipt;

/// The kinds of channel, each with what makes one from its options.
const CHANNELS: &[(&str, Open)] = &[("csv", csv::open)];

type Open = fn(Options, &Path) -> Result<Box<dyn Channel>, Problem>;

/// Somewhere to send rows: a file, a platform for e-mail, an advertising network.
///
/// What an implementation promises is tested by the suite in `contract.rs`, which every channel's tests include.
/// No error and no description holds a secret of the channel or a value of a row.
#[async_trait]
pub trait Channel: Send + Sync {
    /// What it is, for people and for the manifest.
    fn describe(&self) -> Description;

    /// Checks the fields that it will be given, before any row is read. Dry runs check them too, so this changes
    /// nothing outside. A channel that takes any fields has nothing to check.
    ///
    /// # Errors
    /// A field that is missing or of the wrong type.
    fn check(&self, _fields: &Schema) -> Result<(), Problem> {
        Ok(())
    }

    /// Begins a delivery of rows with these fields, which have been checked. Dropped before it is published, it
    /// leaves nothing behind, and an earlier delivery as it was.
    ///
    /// # Errors
    /// Unavailable: a destination that cannot be written.
    async fn begin(&self, fields: &Schema) -> Result<Box<dyn Delivery>>;

    /// Where the manifest of a delivery belongs: beside its file, for a channel that writes one. Manifests of other
    /// channels are kept in the project, as `.cordada/exports/<campaign>/<time>.manifest.json`.
    fn manifest(&self) -> Option<PathBuf> {
        None
    }
}

/// One delivery in progress.
#[async_trait]
pub trait Delivery: Send {
    /// Takes rows, and returns those that it does not take, in order. They are counted and left out; only if no row
    /// of the whole delivery is taken does the campaign fail.
    ///
    /// # Errors
    /// Unavailable: a destination that cannot be written. The delivery is given up.
    async fn write(&mut self, rows: &RecordBatch) -> Result<Vec<Failure>>;

    /// Makes all that was taken durable, still out of sight: after this, little is left that can fail.
    ///
    /// # Errors
    /// As [`Self::write`].
    async fn seal(&mut self) -> Result<()>;

    /// Brings it into sight, all at once.
    ///
    /// # Errors
    /// As [`Self::write`]. Whether it came into sight is then unknown.
    async fn publish(self: Box<Self>) -> Result<Receipt>;
}

/// What a channel is, for people. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The kind, as campaigns name it.
    pub kind: &'static str,
    /// Where deliveries go, such as `out/win_back.csv` or the name of an audience.
    pub destination: String,
}

/// Checks the kind and its options.
pub(crate) fn validate(channel: &ChannelOptions) -> Result<(), Problem> {
    open(channel, Path::new("")).map(drop)
}

/// The channel that the options describe; relative paths are those of `project`.
pub(crate) fn open(channel: &ChannelOptions, project: &Path) -> Result<Box<dyn Channel>, Problem> {
    let Some((_, open)) = CHANNELS.iter().find(|(kind, _)| *kind == channel.kind) else {
        let why = format!("there is no kind of channel `{}`", channel.kind);
        let kinds = CHANNELS.iter().map(|(kind, _)| *kind);
        return Err(Problem::new("channel.kind", why).hint(did_you_mean(&channel.kind, "there are", kinds)));
    };
    open(channel.options.clone(), project)
}
