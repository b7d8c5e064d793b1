//! Where a campaign goes. A kind of channel is one file in `channels/` and one line in [`CHANNELS`].

mod csv;

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use async_trait::async_trait;
pub use cordada_core::atomic_file::Written;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::campaign::wrong;

/// The kinds of channel, each with what makes one from its options.
const CHANNELS: &[(&str, Open)] = &[("csv", csv::open)];

type Open = fn(Options, &Path) -> Result<Box<dyn Channel>, Problem>;

/// The options of a channel besides its kind.
type Options = Map<String, Value>;

/// The `channel:` of a campaign: its kind, and the options that the kind has.
#[derive(Debug, Clone, Deserialize)]
pub struct ChannelOptions {
    kind: String,
    #[serde(flatten)]
    options: Options,
}

/// Somewhere to send rows.
#[async_trait]
pub trait Channel: Send + Sync {
    /// The file that a delivery ends in.
    fn file(&self) -> &Path;

    /// Begins a delivery of rows with these fields. Dropped before it is published, it leaves nothing behind.
    async fn begin(&self, fields: &Schema) -> Result<Box<dyn Delivery>>;
}

/// One delivery in progress.
#[async_trait]
pub trait Delivery: Send {
    /// Takes rows.
    async fn write(&mut self, rows: &RecordBatch) -> Result<()>;

    /// Makes all that was taken durable, still out of sight: after this, little is left that can fail.
    async fn seal(&mut self) -> Result<()>;

    /// Brings it into sight, all at once.
    async fn publish(self: Box<Self>) -> Result<Written>;
}

/// What is wrong with the options of a channel.
#[derive(Debug)]
pub(crate) struct Problem {
    key: String,
    why: String,
    hint: Option<String>,
}

impl Problem {
    fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            why: why.into(),
            hint: None,
        }
    }

    pub(crate) fn of_campaign(self, campaign: &str) -> Error {
        let error = wrong(campaign, &self.key, self.why);
        self.hint.into_iter().fold(error, Error::hint)
    }
}

/// Checks the kind and its options.
pub(crate) fn validate(channel: &ChannelOptions) -> Result<(), Problem> {
    open(channel, Path::new("")).map(|_| ())
}

/// The channel that the options describe; relative paths are those of `project`.
pub(crate) fn open(channel: &ChannelOptions, project: &Path) -> Result<Box<dyn Channel>, Problem> {
    let Some((_, open)) = CHANNELS.iter().find(|(kind, _)| *kind == channel.kind) else {
        let hint = did_you_mean(&channel.kind, "there are", CHANNELS.iter().map(|(kind, _)| *kind));
        let problem = Problem::new(
            "channel.kind",
            format!("there is no kind of channel `{}`", channel.kind),
        );
        return Err(Problem {
            hint: Some(hint),
            ..problem
        });
    };
    open(channel.options.clone(), project)
}

/// The options as the kind's own type; `known` are the names it has.
fn read<T: DeserializeOwned>(mut options: Options, known: &[&str]) -> Result<T, Problem> {
    if let Some(name) = options.keys().find(|name| !known.contains(&name.as_str())) {
        let hint = did_you_mean(name, "there are", known.iter().copied());
        let problem = Problem::new(format!("channel.{name}"), "there is no such option");
        return Err(Problem {
            hint: Some(hint),
            ..problem
        });
    }
    options.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(options)).map_err(|why| Problem::new("channel", why.to_string()))
}

/// A path of the campaign as a path of this process.
fn resolve(project: &Path, path: &str) -> Result<PathBuf, Problem> {
    if Path::new(path).file_name().is_none() {
        return Err(Problem::new("channel.path", format!("`{path}` is no file")));
    }
    Ok(project.join(path))
}
