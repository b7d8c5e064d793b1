//! What every stream can say in `sources/*.yml`, whatever its kind: what to do with its rows.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use chrono_tz::Tz;
use cordada_core::names::snake_case;
use cordada_ingest_formats::reading::Declared;
use cordada_ingest_formats::values::evidence::timestamp;
use serde::{Deserialize, Deserializer};

/// Declares the configuration of a stream of one kind: its own keys, and those of [`Options`].
///
/// A macro rather than `serde(flatten)`, which can neither refuse unknown keys nor say where they are.
#[macro_export]
macro_rules! stream {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident {
        $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty,)*
    }) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type,)*
            #[serde(default)]
            key: Vec<String>,
            #[serde(default)]
            disposition: Option<$crate::options::Disposition>,
            #[serde(default)]
            columns: std::collections::BTreeMap<String, $crate::options::ColumnOptions>,
            #[serde(default)]
            contract: $crate::contract::Contract,
            #[serde(default)]
            deleted: Option<String>,
            #[serde(default)]
            unnest: std::collections::BTreeMap<String, Option<String>>,
            #[serde(default)]
            trust_clock: bool,
        }

        impl $name {
            /// What it says about its rows.
            $visibility fn options(&self) -> $crate::options::Options {
                $crate::options::Options {
                    key: self.key.clone(),
                    disposition: self.disposition,
                    columns: self.columns.clone(),
                    contract: self.contract,
                    deleted: self.deleted.clone(),
                    unnest: self.unnest.clone(),
                    trust_clock: self.trust_clock,
                }
            }
        }
    };
}

/// What to do with the rows of a stream.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The columns that identify a row, as the source names them.
    pub key: Vec<String>,
    /// The kind's own default if `None`.
    pub disposition: Option<Disposition>,
    /// What is declared about columns, by the source's names; a dot leads into records: `customer.email`.
    pub columns: BTreeMap<String, ColumnOptions>,
    /// What may change of the table.
    pub contract: crate::contract::Contract,
    /// A column that says that a row is gone: true, or anything but null if it is not a boolean.
    pub deleted: Option<String>,
    /// Lists that become tables of their own, with the names of those; `<stream>__<column>` if `None`.
    pub unnest: BTreeMap<String, Option<String>>,
    /// Whether a history is written although the clock must be wrong.
    pub trust_clock: bool,
}

/// What landing does with rows that are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// Keeps them.
    #[default]
    Append,
    /// Drops all of them.
    Replace,
    /// Drops those with the same key.
    Merge,
    /// Keeps them, and passes over new rows with the key of one of them.
    InsertOnly,
    /// Keeps them as history, with the time from which and until which they held (slowly changing dimension, type 2).
    Scd2,
}

impl Disposition {
    /// Whether it tells rows apart by a key.
    fn needs_key(self) -> bool {
        matches!(self, Self::Merge | Self::InsertOnly | Self::Scd2)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Replace => "replace",
            Self::Merge => "merge",
            Self::InsertOnly => "insert-only",
            Self::Scd2 => "scd2",
        }
    }
}

/// What is declared about a column.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ColumnOptions {
    /// The type, where it is not to be inferred.
    #[serde(rename = "type", deserialize_with = "data_type")]
    pub data_type: Option<DataType>,
    /// Which kind of personal data it holds.
    pub pii: Option<String>,
    /// What becomes of its values before they are written anywhere.
    pub transform: Option<Transform>,
}

/// What becomes of a value before it is written anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transform {
    /// A keyed hash: equal values stay equal, nobody can tell which they were.
    Hash,
    /// Nothing: the column does not land.
    Drop,
    /// A token that whoever has the key can turn back.
    Tokenise,
}

impl Options {
    /// The declared type of a column, by its name in the lake. What becomes a hash or a token is read as text, so
    /// that `1.50` and `1.5` do not become the same number first.
    pub fn declared(&self, column: &str) -> Option<&DataType> {
        let options = self.column(column)?;
        match options.transform {
            Some(_) => Some(&DataType::Utf8),
            None => options.data_type.as_ref(),
        }
    }

    /// All declared types, by the columns' names in the lake.
    pub fn declared_types(&self) -> Declared {
        let names = self.columns.keys().map(|name| snake_case(name));
        names
            .filter_map(|name| Some((name.clone(), self.declared(&name)?.clone())))
            .collect()
    }

    /// The kind of personal data that a column holds, or one within it.
    pub fn pii(&self, column: &str) -> Option<String> {
        let within = |name: &str| {
            name.split_once('.')
                .is_some_and(|(outer, _)| snake_case(outer) == column)
        };
        let own = self.column(column).and_then(|options| options.pii.clone());
        own.or_else(|| {
            let inner = self.columns.iter().filter(|(name, _)| within(name));
            inner.filter_map(|(_, options)| options.pii.clone()).next()
        })
    }

    /// What is declared about a column, by its name in the lake.
    pub fn column(&self, column: &str) -> Option<&ColumnOptions> {
        self.columns
            .iter()
            .find(|(name, _)| snake_case(name) == column)
            .map(|(_, options)| options)
    }

    /// The key's columns, by their names in the lake.
    pub fn key(&self) -> Vec<String> {
        self.key.iter().map(|name| snake_case(name)).collect()
    }

    /// What landing does with rows that are there.
    pub fn disposition(&self) -> Disposition {
        self.disposition.unwrap_or_default()
    }

    /// These, and where they say nothing what `defaults` say.
    pub fn or(mut self, defaults: &Options) -> Options {
        if self.key.is_empty() {
            self.key.clone_from(&defaults.key);
        }
        self.disposition = self.disposition.or(defaults.disposition);
        for (name, options) in &defaults.columns {
            self.columns.entry(name.clone()).or_insert_with(|| options.clone());
        }
        self.deleted = self.deleted.or_else(|| defaults.deleted.clone());
        for (column, table) in &defaults.unnest {
            self.unnest.entry(column.clone()).or_insert_with(|| table.clone());
        }
        self.trust_clock |= defaults.trust_clock;
        self
    }

    /// Why they make no sense, and what to do.
    pub fn validate(&self) -> Result<(), (String, &'static str)> {
        let wrong = |why: String, hint| Err((why, hint));
        let disposition = self.disposition();
        if disposition.needs_key() && self.key.is_empty() {
            return wrong(
                format!("`disposition: {}` needs a key", disposition.name()),
                "name the columns that identify a row in `key:`",
            );
        }
        if self.deleted.is_some() && !matches!(disposition, Disposition::Merge | Disposition::Scd2) {
            return wrong(
                format!("`deleted` has no effect with `disposition: {}`", disposition.name()),
                "use merge or scd2, which know rows by their key",
            );
        }
        if self.trust_clock && disposition != Disposition::Scd2 {
            return wrong(
                format!("`trust_clock` has no effect with `disposition: {}`", disposition.name()),
                "take it out: only the history of scd2 goes by the clock",
            );
        }
        if !self.unnest.is_empty() && self.key.is_empty() {
            return wrong(
                "`unnest` needs a key".to_owned(),
                "name the columns that identify a row in `key:`, so that the items know whose they are",
            );
        }
        if !self.unnest.is_empty() && disposition == Disposition::Scd2 {
            return wrong(
                "`unnest` does not go with `disposition: scd2`".to_owned(),
                "unnest the list in a staging model",
            );
        }
        let dropped = |name: &&String| {
            let name = snake_case(name);
            self.column(&name)
                .is_some_and(|options| options.transform == Some(Transform::Drop))
        };
        if let Some(name) = self.key.iter().chain(&self.deleted).find(dropped) {
            return wrong(
                format!("the column `{name}` is needed, and dropped"),
                "use `transform: hash` to keep it as an identifier",
            );
        }
        Ok(())
    }
}

/// A time zone, by its IANA name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(pub Tz);

impl Default for Zone {
    fn default() -> Self {
        Zone(Tz::UTC)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let unknown = |_| serde::de::Error::custom(format!("`{name}` is not a time zone; write it as Europe/Madrid"));
        name.parse().map(Zone).map_err(unknown)
    }
}

fn data_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DataType>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let unknown = || {
        let types = "text, integer, decimal(p,s), double, boolean, date, timestamp";
        serde::de::Error::custom(format!("`{name}` is not a type; the types are: {types}"))
    };
    let decimal = || -> Option<DataType> {
        let digits = name.strip_prefix("decimal(")?.strip_suffix(')')?;
        let (precision, scale) = digits.split_once(',')?;
        let (precision, scale): (u8, i8) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
        let valid = (1..=38).contains(&precision) && scale >= 0 && scale.unsigned_abs() <= precision;
        valid.then_some(DataType::Decimal128(precision, scale))
    };
    Ok(Some(match name.as_str() {
        "text" => DataType::Utf8,
        "integer" => DataType::Int64,
        "double" => DataType::Float64,
        "boolean" => DataType::Boolean,
        "date" => DataType::Date32,
        "timestamp" => timestamp(),
        _ => decimal().ok_or_else(unknown)?,
    }))
}
