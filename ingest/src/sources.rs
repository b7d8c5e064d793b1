//! `sources/*.yml`: what to land, as a user writes it, and validated.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use cordada_core::names::snake_case;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Context, Error, FilePosition, Result, TableName, yaml};
use cordada_ingest_source::listener::Listener;
use cordada_ingest_source::options::Options;
use cordada_ingest_source::transform::PiiKey;
use cordada_ingest_source::{Kind, Source};
use serde::Deserialize;
use serde_saphyr::Spanned;

/// A source: one file in `sources/`, which lands in the schema `raw_<name>`.
pub struct SourceFile {
    name: String,
    source: Box<dyn Source>,
    streams: BTreeMap<String, Options>,
}

impl SourceFile {
    /// The source called `name`, if what its streams say makes sense.
    ///
    /// # Errors
    /// Config for what does not.
    pub fn new(name: String, source: Box<dyn Source>) -> Result<Self> {
        let streams = source.streams();
        for (stream, options) in &streams {
            TableName::new(format!("raw_{name}"), stream)?;
            options
                .validate()
                .map_err(|(why, hint)| Error::config(format!("reading stream {stream}"), why).hint(hint))?;
        }
        Ok(Self { name, source, streams })
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
    pub fn options(&self) -> &BTreeMap<String, Options> {
        &self.streams
    }

    /// What its kind knows of it.
    pub(crate) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// Begins to listen, if it is a source that is told of events.
    ///
    /// # Errors
    /// As [`Source::listen`].
    pub async fn listen<'a>(&'a self, project: &Path, key: Option<&PiiKey>) -> Result<Option<Box<dyn Listener + 'a>>> {
        self.source.listen(project, &self.name, key).await
    }
}

impl fmt::Debug for SourceFile {
    /// Without what its kind knows, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceFile")
            .field("name", &self.name)
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// The sources of a folder, which are of these `kinds`, sorted by name; none if there is no such folder.
///
/// # Errors
/// Config, with file, line and column.
pub fn load_sources(dir: &Path, kinds: &[Kind]) -> Result<Vec<SourceFile>> {
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
    let sources = files
        .iter()
        .map(|file| load_source(file, kinds))
        .collect::<Result<Vec<_>>>()?;
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

#[derive(Deserialize)]
struct Head {
    kind: Spanned<String>,
}

fn load_source(file: &Path, kinds: &[Kind]) -> Result<SourceFile> {
    let Head { kind } = yaml::read(file)?;
    let known = kinds.iter().find(|known| known.name == kind.value).ok_or_else(|| {
        let names = kinds.iter().map(|kind| kind.name);
        let error = Error::config("reading the source", format!("there is no kind `{}`", kind.value))
            .hint(did_you_mean(&kind.value, "the kinds are", names));
        FilePosition::of(file, &kind).mark(error)
    })?;
    let name = snake_case(&file.file_stem().unwrap_or_default().to_string_lossy());
    SourceFile::new(name, (known.load)(file)?).map_err(|error| match error.place() {
        Some(_) => error,
        None => error.at(file.display(), 0, 0),
    })
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
