//! A file of `segments/`: who belongs to a group of persons, condition by condition.

use std::path::Path;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, FilePosition, Result, yaml};
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config::{self, RawConfig};
use crate::properties::ColumnProperties;
use crate::source_file::SourceFile;

/// The schema of segments, and what their folder is called.
pub(crate) const SCHEMA: &str = "segments";
/// The further output of each segment: all that ever changed in it.
pub(crate) const HISTORY: &str = "history";
/// The column that tells persons apart, unless a segment names another.
const DEFAULT_KEY: &str = "customer_id";
/// The relation of consents, unless a segment names another.
const DEFAULT_CONSENTS: &str = "consents";

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentFile {
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) owner: Option<String>,
    from: Option<Spanned<String>>,
    sql: Option<Spanned<String>>,
    key: Option<Spanned<Value>>,
    consent: Option<Spanned<Value>>,
    #[serde(default)]
    include: Vec<Spanned<String>>,
    #[serde(default)]
    exclude: Vec<Spanned<String>>,
    #[serde(default)]
    filters: Vec<Spanned<Value>>,
    #[serde(rename = "where")]
    condition: Option<Spanned<String>>,
    #[serde(default)]
    pub(crate) columns: Vec<ColumnProperties>,
    #[serde(default, alias = "tests")]
    pub(crate) data_tests: Vec<Spanned<Value>>,
    #[serde(default)]
    pub(crate) config: RawConfig,
    #[serde(default)]
    tags: Vec<String>,
    pub(crate) meta: Option<Value>,
}

/// A text of the file, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) place: FilePosition,
}

/// A segment's definition.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    /// The columns that tell persons apart.
    pub(crate) key: Vec<String>,
    pub(crate) population: Population,
    pub(crate) consent: Option<Consent>,
    /// Who is in any of these segments may be in this one.
    pub(crate) include: Vec<Said>,
    /// Who is in any of these is not.
    pub(crate) exclude: Vec<Said>,
    pub(crate) filters: Vec<Filter>,
}

/// Whom a segment chooses from.
#[derive(Debug, Clone)]
pub(crate) enum Population {
    /// A node of the project, by name.
    Node(Said),
    /// A query.
    Query(Said),
}

/// The consent that a segment rests on.
#[derive(Debug, Clone)]
pub(crate) struct Consent {
    pub(crate) purpose: String,
    /// The node that holds consents, by name.
    pub(crate) from: Said,
    /// The columns that tell persons apart there.
    pub(crate) key: Vec<String>,
}

/// A condition in SQL, and what it is called.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) name: String,
    pub(crate) condition: Said,
}

impl Segment {
    /// Where it names another node, if it does so outside of SQL.
    pub(crate) fn place_of(&self, node: &str) -> Option<FilePosition> {
        let node = node.strip_suffix(&format!("__{HISTORY}")).unwrap_or(node);
        let named = self.named().find(|said| said.text == node);
        named.map(|said| said.place.clone())
    }

    /// The names of the nodes that it names outside of SQL.
    pub(crate) fn named(&self) -> impl Iterator<Item = &Said> {
        let population = match &self.population {
            Population::Node(name) => Some(name),
            Population::Query(_) => None,
        };
        let consent = self.consent.iter().map(|consent| &consent.from);
        population
            .into_iter()
            .chain(consent)
            .chain(&self.include)
            .chain(&self.exclude)
    }

    /// The pieces of SQL in it.
    pub(crate) fn sql(&self) -> impl Iterator<Item = &Said> {
        let query = match &self.population {
            Population::Node(_) => None,
            Population::Query(query) => Some(query),
        };
        query
            .into_iter()
            .chain(self.filters.iter().map(|filter| &filter.condition))
    }
}

impl SegmentFile {
    /// Reads the file.
    ///
    /// # Errors
    /// Config, with line and column.
    pub(crate) fn read(file: &SourceFile) -> Result<(Self, Segment)> {
        let mut read: Self = yaml::parse(&file.path, &file.text)?;
        let segment = read.segment(file)?;
        if !read.tags.is_empty() {
            let tags = RawConfig::from_iter([("tags".to_owned(), std::mem::take(&mut read.tags).into())]);
            config::merge(&mut read.config, tags);
        }
        Ok((read, segment))
    }

    fn segment(&self, file: &SourceFile) -> Result<Segment> {
        let path = file.path.as_path();
        let said = |text: &Spanned<String>| Said {
            text: text.value.trim().to_owned(),
            place: FilePosition::of(path, text),
        };
        let key = match &self.key {
            None => vec![DEFAULT_KEY.to_owned()],
            Some(key) => names(key, path)?,
        };
        let population = match (&self.from, &self.sql) {
            (Some(from), None) => Population::Node(said(from)),
            (None, Some(sql)) => {
                let mut query = said(sql);
                query.text.truncate(query.text.trim_end_matches([';', ' ', '\n']).len());
                Population::Query(query)
            }
            (None, None) => {
                let error = wrong("it does not say whom it chooses from");
                return Err(file.whole().mark(error).hint("name a model, as in `from: customers`"));
            }
            (Some(_), Some(sql)) => {
                let error = wrong("it chooses `from` a model and by `sql`");
                return Err(said(sql).place.mark(error).hint("leave out one of the two"));
            }
        };
        let mut filters = Vec::new();
        for item in &self.filters {
            filters.push(filter(item, path)?);
        }
        filters.extend(self.condition.as_ref().map(|condition| Filter {
            name: one_line(&condition.value),
            condition: said(condition),
        }));
        for (at, filter) in filters.iter().enumerate() {
            if filters[..at].iter().any(|other| other.name == filter.name) {
                let error = wrong("two of its filters are called the same").hint("give one of them a `name`");
                return Err(filter.condition.place.mark(error));
            }
        }
        Ok(Segment {
            consent: self
                .consent
                .as_ref()
                .map(|consent| self::consent(consent, &key, path))
                .transpose()?,
            include: self.include.iter().map(said).collect(),
            exclude: self.exclude.iter().map(said).collect(),
            key,
            population,
            filters,
        })
    }
}

fn wrong(why: impl std::fmt::Display) -> Error {
    Error::config("reading the segment", why)
}

fn names(value: &Spanned<Value>, path: &Path) -> Result<Vec<String>> {
    let names = config::strings(&value.value);
    match names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
        true => Err(FilePosition::of(path, value).mark(wrong("a key is a column, or a list of columns"))),
        false => Ok(names),
    }
}

/// `recency_days > 90`, or `{name: overdue, where: recency_days > 90}`.
fn filter(item: &Spanned<Value>, path: &Path) -> Result<Filter> {
    let place = FilePosition::of(path, item);
    let text_of = |value: &Value| {
        value
            .as_str()
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
    };
    let read = match &item.value {
        Value::String(_) => text_of(&item.value).map(|text| (one_line(&text), text)),
        Value::Object(entries) => {
            if let Some(unknown) = entries.keys().find(|key| !["name", "where"].contains(&key.as_str())) {
                let error = wrong(format!("unknown key `{unknown}` of a filter"));
                return Err(place
                    .mark(error)
                    .hint(did_you_mean(unknown, "the keys are", ["name", "where"])));
            }
            let condition = entries.get("where").and_then(text_of);
            condition.map(|text| {
                let name = entries.get("name").and_then(text_of);
                (name.unwrap_or_else(|| one_line(&text)), text)
            })
        }
        _ => None,
    };
    let Some((name, text)) = read else {
        let hint = "write `- recency_days > 90`, or `- {name: overdue, where: recency_days > 90}`";
        return Err(place.mark(wrong("a filter is a condition in SQL")).hint(hint));
    };
    Ok(Filter {
        name,
        condition: Said { text, place },
    })
}

/// `email_marketing`, or `{purpose: email_marketing, from: consents, key: customer_id}`.
fn consent(value: &Spanned<Value>, own_key: &[String], path: &Path) -> Result<Consent> {
    const KEYS: [&str; 3] = ["purpose", "from", "key"];
    let place = FilePosition::of(path, value);
    let said = |text: &str| Said {
        text: text.trim().to_owned(),
        place: place.clone(),
    };
    let (purpose, from, key) = match &value.value {
        Value::String(purpose) => (Some(purpose.as_str()), None, None),
        Value::Object(entries) => {
            if let Some(unknown) = entries.keys().find(|key| !KEYS.contains(&key.as_str())) {
                let error = wrong(format!("unknown key `{unknown}` of `consent`"));
                return Err(place.mark(error).hint(did_you_mean(unknown, "the keys are", KEYS)));
            }
            let text = |key: &str| entries.get(key).and_then(Value::as_str);
            (text("purpose"), text("from"), entries.get("key").map(config::strings))
        }
        _ => (None, None, None),
    };
    let Some(purpose) = purpose.map(str::trim).filter(|purpose| !purpose.is_empty()) else {
        let error = wrong("`consent` names no purpose").hint("write `consent: email_marketing`");
        return Err(place.mark(error));
    };
    let key = key.unwrap_or_else(|| own_key.to_vec());
    if key.len() != own_key.len() {
        return Err(place.mark(wrong("the `key` of its consent has other columns than its own")));
    }
    Ok(Consent {
        purpose: purpose.to_owned(),
        from: said(from.unwrap_or(DEFAULT_CONSENTS)),
        key,
    })
}

/// The text on one line, as it names a filter.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Segment> {
        let file = SourceFile {
            path: "segments/x.yml".into(),
            relative: "segments/x.yml".into(),
            text: text.into(),
        };
        SegmentFile::read(&file).map(|(_, segment)| segment)
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let segment = read("from: customers\nconsent: email_marketing\nfilters: [a > 1, {name: b, where: c}]").unwrap();
        assert_eq!(segment.key, ["customer_id"]);
        let consent = segment.consent.unwrap();
        assert_eq!((consent.from.text.as_str(), consent.key), ("consents", segment.key));
        let names: Vec<_> = segment.filters.iter().map(|filter| filter.name.as_str()).collect();
        assert_eq!(names, ["a > 1", "b"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, said) in [
            ("filters: [a]", "segments/x.yml: "),
            ("from: a\nsql: select 1", "segments/x.yml:2:6: "),
            ("from: a\nfilter: [b]", "did you mean `filters`?"),
            ("from: a\nfilters:\n  - {wher: b}", "segments/x.yml:3:5: "),
            ("from: a\nfilters: [b, b]", "give one of them a `name`"),
            ("from: a\nkey: []", "segments/x.yml:2:6: "),
            ("from: a\nconsent: {from: b}", "names no purpose"),
            ("from: a\nkey: [a, b]\nconsent: {purpose: p, key: c}", "other columns"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
