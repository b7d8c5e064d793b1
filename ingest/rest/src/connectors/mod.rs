//! The connectors that ship: what there is, a page of documentation for each, and a source to begin with.
//!
//! A connector is one file in `ingest/rest/connectors/`. Its page in `docs/connectors/` is made from it: after a change
//! run `UPDATE_DOCS=1 cargo test -p cordada-ingest-rest connectors`.

mod page;
mod source;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use cordada_core::Result;
use cordada_http::system::ConfigKey;
pub use page::index;
use serde_json::Value as Json;

use crate::manifest::{self, Manifest};

/// A connector that ships.
#[derive(Debug)]
pub struct Connector {
    name: String,
    manifest: Manifest,
}

impl Connector {
    /// All of them, by name.
    ///
    /// # Errors
    /// Config for one that makes no sense, which tests rule out.
    pub fn all() -> Result<Vec<Self>> {
        manifest::connectors().map(Self::named).collect()
    }

    /// The one called `name`.
    ///
    /// # Errors
    /// Config if there is none, with the nearest.
    pub fn named(name: &str) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            manifest: Manifest::connector(name)?,
        })
    }

    /// What sources write after `connector:`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The system's name, as people know it.
    pub fn title(&self) -> &str {
        &self.manifest.title
    }

    /// What it lands, in a sentence.
    pub fn description(&self) -> &str {
        &self.manifest.description
    }

    /// The streams that there are unless a user names others, sorted.
    pub fn streams(&self) -> Vec<&str> {
        self.manifest.names().collect()
    }

    /// Whether users name streams of their own: data sets, models, entity sets.
    pub fn takes_any(&self) -> bool {
        self.manifest.streams.contains_key(manifest::ANY)
    }

    /// Its page of documentation, in Markdown.
    pub fn page(&self) -> String {
        page::page(self)
    }

    /// The file that it is, in YAML: what a user's own connector may begin with.
    ///
    /// # Errors
    /// Config if there is no such connector.
    pub fn yaml(&self) -> Result<&'static str> {
        manifest::text(&self.name)
    }

    /// A source that uses it, in YAML: what is required filled in with examples, secrets as `${NAME}`, the rest as
    /// comments.
    pub fn source(&self) -> String {
        source::source(self)
    }

    /// The environment variable that a secret comes from in [`source`](Self::source).
    fn variable(&self, key: &str) -> String {
        format!("{}_{key}", self.name).to_uppercase()
    }
}

/// Whether a user has to give it.
fn is_required(key: &ConfigKey) -> bool {
    key.required.unwrap_or(key.default.is_none())
}

/// A value as YAML on one line.
fn yaml(value: &Json) -> String {
    match value {
        Json::String(text) if is_plain(text) => text.clone(),
        // JSON is YAML; what is within lists reads better without quotes.
        Json::Array(items) => format!("[{}]", items.iter().map(yaml).collect::<Vec<_>>().join(", ")),
        Json::Object(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{key}: {}", yaml(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether YAML reads a text as itself without quotes, wherever it stands.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
    let url = text.starts_with("https://") && text.chars().all(|c| plain(c) || c == ':');
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain);
    let meaning = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    (url || word) && !meaning.contains(&text.to_lowercase().as_str())
}
