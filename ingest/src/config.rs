//! `sources/*.yml`: what to land, as a user writes it, and validated.

use std::fmt;
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use cordada_core::{Context, Error, Result, TableName};
use cordada_core::names::snake_case;

use crate::kind::{self, Kind};
use crate::options::Options;

/// A source: one file in `sources/`, which lands in the schema `raw_<name>`.
pub struct Source {
    name: String,
    kind: Box<dyn Kind>,
    streams: BTreeMap<String, Options>,
}

impl Source {
    /// A source of some kind, if what its streams say makes sense.
    pub(crate) fn new(name: String, kind: Box<dyn Kind>) -> Result<Self> {
        let streams = kind.streams();
        for (stream, options) in &streams {
            TableName::new(format!("raw_{name}"), stream)?;
            options
                .validate()
                .map_err(|(why, hint)| Error::config(format!("reading stream {stream}"), why).hint(hint))?;
        }
        Ok(Self { name, kind, streams })
    }

    /// Its name: that of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The schema that it lands in.
    pub fn schema(&self) -> String {
        format!("raw_{}", self.name)
    }

    /// The names of its streams, sorted.
    pub fn streams(&self) -> Vec<&str> {
        self.streams.keys().map(String::as_str).collect()
    }

    /// What each stream says about its rows.
    pub(crate) fn options(&self) -> &BTreeMap<String, Options> {
        &self.streams
    }

    /// What its kind knows of it.
    pub(crate) fn kind(&self) -> &dyn Kind {
        &*self.kind
    }
}

impl fmt::Debug for Source {
    /// Without what its kind knows, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("name", &self.name)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// The sources of a folder, sorted by name; none if there is no such folder.
///
/// # Errors
/// Config, with file, line and column.
pub fn load_sources(dir: &Path) -> Result<Vec<Source>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(dir).doing(|| format!("reading {}", dir.display()))?;
    let entries = entries
        .collect::<Result<Vec<_>, _>>()
        .doing(|| format!("reading {}", dir.display()))?;
    let is_yaml = |path: &Path| {
        path.extension()
            .is_some_and(|extension| extension == "yml" || extension == "yaml")
    };
    let mut files: Vec<_> = entries
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| is_yaml(path))
        .collect();
    files.sort();
    let sources = files.iter().map(|file| load_source(file)).collect::<Result<Vec<_>>>()?;
    for (one, next) in sources.iter().zip(sources.iter().skip(1)) {
        if one.name == next.name {
            return Err(Error::config(
                "reading the sources",
                format!("there are two named `{}`", one.name),
            ));
        }
    }
    Ok(sources)
}

fn load_source(file: &Path) -> Result<Source> {
    let name = snake_case(&file.file_stem().unwrap_or_default().to_string_lossy());
    Source::new(name, kind::load(file)?).map_err(|error| error.at(file.display(), 0, 0))
}

/// Which sources, or which of their streams: `shop` or `shop.orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// The source's name.
    pub source: String,
    /// One of its streams; all if `None`.
    pub stream: Option<String>,
}

impl FromStr for Selection {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (source, stream) = match text.split_once('.') {
            Some((source, stream)) => (source, Some(stream)),
            None => (text, None),
        };
        if source.is_empty() || stream.is_some_and(|stream| stream.is_empty() || stream.contains('.')) {
            return Err(Error::config(format!("selecting `{text}`"), "this names no source")
                .hint("write SOURCE or SOURCE.STREAM"));
        }
        Ok(Selection {
            source: source.to_owned(),
            stream: stream.map(str::to_owned),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn load(text: &str) -> Result<Vec<Source>> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("shop.yml"), text).unwrap();
        load_sources(dir.path())
    }

    #[test]
    fn a_source_is_read_with_its_defaults() {
        let text = "kind: files\ntimezone: Europe/Madrid\nstreams:\n  orders:\n    path: data/orders-*.csv.gz\n    \
                    csv: {delimiter: \";\", encoding: latin1, decimal: \",\", nulls: [\"\", \"NULL\"]}\n    \
                    key: [OrderID]\n    disposition: merge\n    columns: {email: {pii: email}, zip: {type: text}}\n  \
                    items: {path: [a.json, b.json]}\n";
        let sources = load(text).unwrap();
        let source = &sources[0];
        assert_eq!(
            (source.name(), source.schema(), source.streams()),
            ("shop", "raw_shop".into(), vec!["items", "orders"])
        );
        let orders = &source.streams["orders"];
        assert_eq!(orders.key(), ["order_id"]);
        assert_eq!(orders.declared("zip"), Some(&DataType::Utf8));
        assert!(load_sources(Path::new("/nowhere")).unwrap().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        let stream = |text: &str| format!("kind: files\nstreams:\n  orders: {{path: a.csv, {text}}}\n");
        for (text, expected) in [
            ("kind: filez\nstreams: {}".to_owned(), "filez"),
            (stream("dispositon: merge"), "did you mean `disposition`"),
            (stream("disposition: merge"), "needs a key"),
            (stream("disposition: upsert"), "upsert"),
            (stream("csv: {delimiter: \"\\n\"}"), "delimiter"),
            (stream("csv: {decimal: \",\"}"), "decimal comma"),
            (stream("csv: {encoding: klingon}"), "klingon"),
            (stream("columns: {a: {type: money}}"), "money"),
        ] {
            let error = load(&text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.to_string().contains("shop.yml"), "{error}");
            assert_eq!(error.exit_code(), 2);
        }
    }

    #[test]
    fn selections_name_a_source_or_a_stream() {
        let selection: Selection = "shop.orders".parse().unwrap();
        assert_eq!(
            selection,
            Selection {
                source: "shop".into(),
                stream: Some("orders".into())
            }
        );
        assert!("shop.".parse::<Selection>().is_err());
        assert!("".parse::<Selection>().is_err());
    }
}
