//! What identity will do with rows of one schema: parameters and columns, checked before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use cordada_core::suggest::did_you_mean;
use cordada_core::types::PII;
use cordada_core::{Error, Result};
use cordada_lake::estimator::{Parameters, Relations};

use super::blocking::Budget;
use super::guess::kind_of;
use super::kind::Kind;
use super::normalise::address::postcode_digits;
use super::normalise::phone::Dialling;
use super::outputs;
use super::records::{Customs, FieldSpec};
use super::{DECISIONS, NAME, evidence};
use crate::features::find_column;
use crate::parameters::ParameterReader;

const PARAMETERS: [&str; 7] = [
    "key",
    "columns",
    "country",
    "threshold",
    "keep",
    "limits",
    "pairs_per_record",
];

/// The kind of a column that is not to be looked at.
const IGNORE: &str = "ignore";

const DEFAULT_COUNTRY: &str = "ES";
const DEFAULT_THRESHOLD: f64 = 0.9;
const DEFAULT_KEEP: f64 = 0.1;
const DEFAULT_PAIRS_PER_RECORD: usize = 20;

/// Up to this many records are all compared with all.
const EXHAUSTIVE: usize = 1_500;

/// How many differently named records may share a value, by what it is.
const LIMITS: [(Kind, usize); 4] = [
    (Kind::NationalId, 10),
    (Kind::Identifier, 10),
    (Kind::Email, 20),
    (Kind::Phone, 20),
];

/// A field and the columns that it is read from.
#[derive(Debug, Clone)]
pub(super) struct PlannedField {
    pub spec: FieldSpec,
    /// Their positions.
    pub columns: Vec<usize>,
    pub limit: Option<usize>,
}

/// Checked parameters against the columns that exist.
#[derive(Debug)]
pub(super) struct Plan {
    /// The position of the key.
    pub key: usize,
    pub fields: Vec<PlannedField>,
    /// A column with the whole name, for records that have it in no parts.
    pub whole_name: Option<usize>,
    pub customs: Customs,
    /// The probability from which a pair joins records, and the one from which it is kept.
    pub threshold: f64,
    pub keep: f64,
    pub budget: Budget,
    pub decisions: Option<DecisionColumns>,
    /// What comes out.
    pub schemas: Relations<SchemaRef>,
}

/// The positions of the columns of decisions.
#[derive(Debug, Clone, Copy)]
pub(super) struct DecisionColumns {
    pub keys: [usize; 2],
    pub decision: usize,
    pub decided_at: Option<usize>,
}

impl Plan {
    pub(super) fn new(inputs: &Relations<SchemaRef>, parameters: &Parameters) -> Result<Self> {
        let reader = ParameterReader::new(NAME, &PARAMETERS, parameters)?;
        let input = &inputs.main;
        let key = match reader.columns("key")?.as_deref() {
            Some([key]) => find_column(input, "key", key)?,
            Some(_) => return Err(reader.wrong("key", "one column tells records apart")),
            None => {
                return Err(reader
                    .wrong("key", "it is missing")
                    .hint("name the column that tells records apart: key='record_key'"));
            }
        };
        if !is_text(input.field(key).data_type()) {
            return Err(reader.wrong("key", format!("`{}` is no text or number", input.field(key).name())));
        }
        let (mut fields, whole_name) = fields(input, key, &reader)?;
        limit(&mut fields, &reader)?;
        let country: String = reader.get("country")?.unwrap_or_else(|| DEFAULT_COUNTRY.to_owned());
        let dialling = Dialling::of(&country).ok_or_else(|| {
            reader
                .wrong(
                    "country",
                    format!("how numbers are dialled in `{country}` is not known"),
                )
                .hint(did_you_mean(&country, "it is known of", Dialling::countries()))
        })?;
        let probability = |name: &str, default: f64| match reader.get::<f64>(name)? {
            Some(value) if !(value > 0.0 && value < 1.0) => {
                Err(reader.wrong(name, "it is a probability between 0 and 1"))
            }
            value => Ok(value.unwrap_or(default)),
        };
        let decisions = inputs.further.get(DECISIONS);
        let decisions = decisions
            .map(|schema| decision_columns(schema, input.field(key).name()))
            .transpose()?;
        let compared: Vec<&PlannedField> = fields
            .iter()
            .filter(|field| field.spec.kind != Kind::Identifier)
            .collect();
        if compared.len() > evidence::MOST_FIELDS {
            let why = format!(
                "{} of {} columns can be compared",
                evidence::MOST_FIELDS,
                compared.len()
            );
            return Err(reader
                .wrong("columns", why)
                .hint(format!("leave some out: columns={{'…': '{IGNORE}'}}")));
        }
        let schemas = outputs::schemas(input.field(key), compared.iter().map(|field| field.spec.name.as_str()))?;
        Ok(Self {
            key,
            whole_name,
            customs: Customs {
                dialling,
                postcode_digits: postcode_digits(&country),
            },
            threshold: probability("threshold", DEFAULT_THRESHOLD)?,
            keep: probability("keep", DEFAULT_KEEP)?,
            budget: Budget {
                pairs_per_record: reader
                    .at_least("pairs_per_record", 1)?
                    .unwrap_or(DEFAULT_PAIRS_PER_RECORD) as u64,
                exhaustive: EXHAUSTIVE,
            },
            fields,
            decisions,
            schemas,
        })
    }
}

/// The fields of the columns, and the column of the whole name if it only fills gaps.
fn fields(input: &Schema, key: usize, reader: &ParameterReader) -> Result<(Vec<PlannedField>, Option<usize>)> {
    let said: BTreeMap<String, String> = reader.get("columns")?.unwrap_or_default();
    let mut kinds: BTreeMap<usize, Option<Kind>> = BTreeMap::new();
    for (column, what) in &said {
        let at = find_column(input, "columns", column)?;
        let kind = Kind::named(what).map(Some).or_else(|| (what == IGNORE).then_some(None));
        let names = Kind::names().chain([IGNORE]);
        let kind = kind.ok_or_else(|| {
            let why = format!("a column cannot be a `{what}`");
            reader
                .wrong("columns", why)
                .hint(did_you_mean(what, "it can be", names))
        })?;
        if kind.is_some() && !is_readable(input.field(at).data_type()) {
            let why = format!(
                "`{column}` is no text, number, date or list of those, but {}",
                input.field(at).data_type()
            );
            return Err(reader.wrong("columns", why));
        }
        kinds.insert(at, kind);
    }
    let mut fields: Vec<PlannedField> = Vec::new();
    for (at, column) in input.fields().iter().enumerate() {
        let guessed = || {
            let pii = column.metadata().get(PII).map(String::as_str);
            let kind = kind_of(column.name(), pii).filter(|_| at != key && is_readable(column.data_type()));
            kind.or(None)
        };
        let Some(kind) = kinds.get(&at).copied().unwrap_or_else(guessed) else {
            continue;
        };
        let together = |field: &&mut PlannedField| field.spec.kind == kind && (kind.gathers() || kind.joins());
        match fields.iter_mut().find(together) {
            Some(field) => field.columns.push(at),
            None => fields.push(PlannedField {
                spec: FieldSpec {
                    name: column.name().clone(),
                    kind,
                },
                columns: vec![at],
                limit: None,
            }),
        }
    }
    let has = |kind: Kind| fields.iter().any(|field| field.spec.kind == kind);
    let mut whole_name = None;
    if has(Kind::GivenName) && has(Kind::Surname) {
        // What is known in parts is compared in parts.
        whole_name = fields
            .iter()
            .find(|field| field.spec.kind == Kind::FullName)
            .map(|field| field.columns[0]);
        fields.retain(|field| field.spec.kind != Kind::FullName);
    }
    if fields.is_empty() {
        return Err(reader
            .wrong("columns", "no column is known to say who somebody is")
            .hint("say what they are: columns={'correo': 'email', 'nacido': 'born_on'}"));
    }
    Ok((fields, whole_name))
}

fn limit(fields: &mut [PlannedField], reader: &ParameterReader) -> Result<()> {
    let said: BTreeMap<String, usize> = reader.get("limits")?.unwrap_or_default();
    for field in fields.iter_mut() {
        let usual = LIMITS
            .iter()
            .find(|(kind, _)| *kind == field.spec.kind)
            .map(|(_, limit)| *limit);
        field.limit = said.get(&field.spec.name).copied().or(usual);
    }
    let names = || fields.iter().map(|field| field.spec.name.as_str());
    match said.keys().find(|name| names().all(|known| known != name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(reader
            .wrong("limits", format!("`{unknown}` is not compared"))
            .hint(did_you_mean(unknown, "compared are", names()))),
    }
}

fn decision_columns(schema: &Schema, key: &str) -> Result<DecisionColumns> {
    let find = |name: &str| {
        schema.index_of(name).map_err(|_| {
            let columns = schema.fields().iter().map(|field| field.name().as_str());
            Error::config(
                format!("finding the columns of the input `{DECISIONS}`"),
                format!("there is no column `{name}`"),
            )
            .hint(did_you_mean(name, "there are", columns))
        })
    };
    Ok(DecisionColumns {
        keys: [find(&format!("{key}_a"))?, find(&format!("{key}_b"))?],
        decision: find("decision")?,
        decided_at: schema.index_of("decided_at").ok(),
    })
}

fn is_text(data_type: &DataType) -> bool {
    use DataType as T;
    data_type.is_integer() || matches!(data_type, T::Utf8 | T::LargeUtf8 | T::Utf8View)
}

fn is_readable(data_type: &DataType) -> bool {
    use DataType as T;
    match data_type {
        T::List(field) | T::LargeList(field) => is_readable(field.data_type()),
        T::Dictionary(_, values) => is_readable(values),
        T::Date32 | T::Date64 | T::Timestamp(..) | T::Boolean => true,
        other => is_text(other) || other.is_numeric(),
    }
}

/// A field of an output.
pub(super) fn output(name: impl Into<String>, data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new(name, data_type, true))
}
