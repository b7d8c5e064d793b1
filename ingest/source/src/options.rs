//! What every stream can say in `sources/*.yml`, whatever its kind: what to do with its rows.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Schema};
use chrono_tz::Tz;
use cordada_core::names::snake_case;
use cordada_core::source_names::SourceNames;
use cordada_core::types::PII;
use cordada_ingest_formats::reading::Declared;
use cordada_ingest_formats::values::convert::name_of;
use cordada_ingest_formats::values::evidence::timestamp;
use cordada_ingest_formats::values::zones::Zones;
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
            #[serde(default)]
            timezone: Option<$crate::options::Zone>,
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
                    timezone: self.timezone.map(|zone| zone.0),
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
    /// A column that says that a row is gone: anything but null, false, 0, or a text that says no.
    pub deleted: Option<String>,
    /// Lists that become tables of their own, with the names of those; `<stream>__<column>` if `None`.
    pub unnest: BTreeMap<String, Option<String>>,
    /// Whether a history is written although the clock must be wrong.
    pub trust_clock: bool,
    /// The zone of times that carry none; the source's if `None`.
    pub timezone: Option<Tz>,
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
    pub fn needs_key(self) -> bool {
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
    /// What exactly the source calls it, where that does not follow from the name in the lake.
    pub from: Option<String>,
    /// The type, where it is not to be inferred.
    #[serde(rename = "type", deserialize_with = "data_type")]
    pub data_type: Option<DataType>,
    /// Which kind of personal data it holds.
    pub pii: Option<String>,
    /// What becomes of its values before they are written anywhere.
    pub transform: Option<Transform>,
    /// The zone of its times that carry none; the stream's if `None`.
    pub timezone: Option<Zone>,
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

impl Transform {
    /// As the configuration writes it.
    fn name(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Drop => "drop",
            Self::Tokenise => "tokenise",
        }
    }
}

impl Options {
    /// The declared type of a column, by the source's name or the lake's. What becomes a hash or a token is read as text, so
    /// that `1.50` and `1.5` do not become the same number first.
    pub fn declared(&self, column: &str) -> Option<&DataType> {
        self.column(column)?.declared()
    }

    /// All declared types, for a table whose columns have those `names`.
    pub fn declared_types(&self, names: &SourceNames) -> Declared {
        let mut declared = Declared::new();
        for (source, _) in names.columns() {
            declared.know(source, None);
        }
        for (written, column) in &self.columns {
            let Some(data_type) = column.declared() else {
                continue;
            };
            let known = names.find(written).and_then(|name| names.source(name));
            if let Some(source) = column.from.as_deref().or(known) {
                declared.know(source, Some(data_type.clone()));
            }
            if column.from.is_none() {
                declared.write(written, data_type.clone());
            }
        }
        declared
    }

    /// The names that columns are given, by what exactly the source calls them.
    pub fn given_names(&self) -> BTreeMap<String, String> {
        let given = self.columns.iter();
        given
            .filter_map(|(written, column)| Some((column.from.clone()?, snake_case(written))))
            .collect()
    }

    /// The zones of times that carry none, of which the source's is `source`.
    pub fn zones(&self, source: Tz) -> Zones {
        let mut zones = Zones::from(self.timezone.unwrap_or(source));
        for (name, column) in &self.columns {
            if let Some(Zone(zone)) = column.timezone {
                zones.set(name.split('.').map(snake_case), zone);
            }
        }
        zones
    }

    /// The same, of columns that have those `names`: each by its name in the lake.
    #[must_use]
    pub fn named(&self, names: &SourceNames) -> Options {
        let name = |written: &String| names.find_path(written).unwrap_or_else(|| snake_path(written));
        let column = |(written, column): (&String, &ColumnOptions)| {
            let written = match column.from {
                Some(_) => snake_case(written),
                None => name(written),
            };
            (written, column.clone())
        };
        Options {
            key: self.key.iter().map(name).collect(),
            columns: self.columns.iter().map(column).collect(),
            deleted: self.deleted.as_ref().map(name),
            unnest: self
                .unnest
                .iter()
                .map(|(column, table)| (name(column), table.clone()))
                .collect(),
            ..self.clone()
        }
    }

    /// The kind of personal data that a column holds (by its name in the lake, dots leading into records), one that it
    /// is in, or one within it.
    pub fn pii(&self, column: &str) -> Option<String> {
        let path: Vec<String> = column.split('.').map(snake_case).collect();
        let meets = |name: &str| {
            name.split('.')
                .map(snake_case)
                .zip(&path)
                .all(|(part, of_path)| part == *of_path)
        };
        let met = self.columns.iter().filter(|(name, _)| meets(name));
        met.filter_map(|(_, options)| options.pii.clone()).next()
    }

    /// The columns of a table, each with the kind of personal data that it is known to hold.
    pub fn tagged(&self, table: &Schema) -> Schema {
        let fields = table.fields().iter().map(|field| {
            let mut metadata = field.metadata().clone();
            metadata.extend(self.pii(field.name()).map(|pii| (PII.to_owned(), pii)));
            field.as_ref().clone().with_metadata(metadata)
        });
        Schema::new_with_metadata(fields.collect::<Vec<_>>(), table.metadata().clone())
    }

    /// What is declared about the columns that the dotted path leads through or to.
    fn along(&self, path: &str) -> impl Iterator<Item = &ColumnOptions> {
        let path: Vec<String> = path.split('.').map(snake_case).collect();
        self.columns.iter().filter_map(move |(name, options)| {
            let mut parts = name.split('.').map(snake_case).zip(&path);
            let is_longer = name.split('.').count() > path.len();
            (!is_longer && parts.all(|(part, of_path)| part == *of_path)).then_some(options)
        })
    }

    /// Whether what is at the dotted path holds personal data, or has a transform.
    pub fn is_personal(&self, path: &str) -> bool {
        self.along(path)
            .any(|options| options.pii.is_some() || options.transform.is_some())
    }

    /// Why no stream can go on from columns of the `cursor`, and what to do: what it is to hash or to drop would be in
    /// the state that it leaves in the lake.
    pub fn check_cursor<'c>(&self, cursor: impl IntoIterator<Item = &'c str>) -> Result<(), (String, &'static str)> {
        let transformed = |path: &&str| self.along(path).any(|options| options.transform.is_some());
        match cursor.into_iter().find(transformed) {
            None => Ok(()),
            Some(name) => Err((
                format!("the cursor `{name}` has a `transform`, and where a load goes on is kept as it is"),
                "go on by another column, or take the transform off",
            )),
        }
    }

    /// What is declared about a column, by the source's name or the lake's.
    pub fn column(&self, column: &str) -> Option<&ColumnOptions> {
        let from = |(_, options): &(&String, &ColumnOptions)| options.from.as_deref() == Some(column);
        let given = self.columns.iter().find(from).map(|(_, options)| options);
        let name = snake_case(column);
        let alike = || self.columns.iter().find(|(written, _)| snake_case(written) == name);
        given
            .or_else(|| self.columns.get(column))
            .or_else(|| alike().map(|(_, options)| options))
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
        self.timezone = self.timezone.or(defaults.timezone);
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
        let mut given = BTreeMap::new();
        for (name, column) in &self.columns {
            let Some(from) = &column.from else {
                continue;
            };
            if snake_case(name).is_empty() || name.contains('.') {
                return wrong(
                    format!("`{name}` is not a name of a column"),
                    "use letters, digits and underscores; `from` says what the source calls it",
                );
            }
            if let Some(other) = given.insert(from, name) {
                return wrong(
                    format!("`{other}` and `{name}` are both from `{from}`"),
                    "take one of them out",
                );
            }
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

impl ColumnOptions {
    /// What it says of how values are read, as a text that tables keep a hash of.
    pub fn reading(&self) -> String {
        let data_type = self
            .data_type
            .as_ref()
            .map(|data_type| format!("type {}", name_of(data_type)));
        let from = self.from.as_ref().map(|from| format!("from {from:?}"));
        let transform = self.transform.map(|transform| match &self.pii {
            // By its kind a value is brought into one form first.
            Some(pii) => format!("transform {} of {pii}", transform.name()),
            None => format!("transform {}", transform.name()),
        });
        let said: Vec<_> = [data_type, from, transform].into_iter().flatten().collect();
        said.join(" ")
    }

    /// The type that its values are read as.
    fn declared(&self) -> Option<&DataType> {
        match self.transform {
            Some(_) => Some(&DataType::Utf8),
            None => self.data_type.as_ref(),
        }
    }
}

/// A column, or a field within one, as it is called where nothing is known of the table.
fn snake_path(written: &str) -> String {
    let parts = written.split('.').map(snake_case);
    parts.collect::<Vec<_>>().join(".")
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
