//! The options of a channel, as a campaign writes them.

use std::path::{Path, PathBuf};

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::wrong::wrong;

/// The options of a channel besides its kind.
pub(super) type Options = Map<String, Value>;

/// The `channel:` of a campaign: its kind, and the options that the kind has.
#[derive(Debug, Clone, Deserialize)]
pub struct ChannelOptions {
    pub(super) kind: String,
    #[serde(flatten)]
    pub(super) options: Options,
}

/// What is wrong with a campaign, as far as its channel can tell: it does not know the campaign's name.
#[derive(Debug)]
pub struct Problem {
    key: String,
    why: String,
    hint: Option<String>,
}

impl Problem {
    /// The key of the campaign that is wrong, and why it is.
    pub(super) fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            why: why.into(),
            hint: None,
        }
    }

    /// What the reader should do.
    pub(super) fn hint(self, hint: String) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// The problem as an error of that campaign.
    pub(crate) fn of_campaign(self, campaign: &str) -> Error {
        let error = wrong(campaign, &self.key, self.why);
        self.hint.into_iter().fold(error, Error::hint)
    }
}

/// The options as the kind's own type; `known` are the names it has.
pub(super) fn read<T: DeserializeOwned>(mut options: Options, known: &[&str]) -> Result<T, Problem> {
    if let Some(name) = options.keys().find(|name| !known.contains(&name.as_str())) {
        let hint = did_you_mean(name, "there are", known.iter().copied());
        return Err(Problem::new(format!("channel.{name}"), "there is no such option").hint(hint));
    }
    options.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(options)).map_err(|why| Problem::new("channel", why.to_string()))
}

/// A path of the campaign as a path of this process.
pub(super) fn resolve(project: &Path, path: &str) -> Result<PathBuf, Problem> {
    if Path::new(path).file_name().is_none() {
        return Err(Problem::new("channel.path", format!("`{path}` is not a file")));
    }
    Ok(project.join(path))
}
