//! The contract of a stream: what landing does with a new table, a new column, a value of another type.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, StructArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use cordada_core::types::widest;
use cordada_core::{Context, Error, Result, TableName};
use cordada_ingest_formats::values::build::Notation;
use cordada_ingest_formats::values::convert::{Conversion, convert, read};
use cordada_ingest_formats::values::evidence::Evidence;
use cordada_ingest_formats::values::zones::{Zone, Zones};
use serde::{Deserialize, Deserializer};

use crate::provenance::is_ours;

mod json_text;

/// What may change, and what becomes of rows and values that would change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contract {
    /// What becomes of a table that is new.
    pub tables: Terms,
    /// What becomes of a column that is new.
    pub columns: Terms,
    /// What becomes of a value of another type.
    pub types: Terms,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// The table changes.
    #[default]
    Evolve,
    /// The load fails.
    Freeze,
    /// The row goes to `ops.rejected_rows` instead.
    DiscardRow,
    /// The row lands without the value; the whole of it goes to `ops.rejected_rows` too.
    DiscardValue,
}

impl Default for Contract {
    fn default() -> Self {
        Self::of(Terms::Evolve)
    }
}

impl Contract {
    /// A table that is there keeps to `terms`; one that is not may come to be.
    fn of(terms: Terms) -> Self {
        Self {
            tables: Terms::Evolve,
            columns: terms,
            types: terms,
        }
    }

    /// What the rows of `incoming` become in `table`, whose columns are `existing` if it is there.
    ///
    /// # Errors
    /// Failed for what is frozen and would change.
    pub fn apply(&self, table: &TableName, incoming: &SchemaRef, existing: Option<&Schema>) -> Result<Check> {
        let broken = |what: String| {
            Error::failed(
                format!("landing {table}"),
                format!("{what}, and the contract freezes that"),
            )
            .hint("mend the source, or change `contract:` of the stream")
        };
        let Some(existing) = existing else {
            return match self.tables {
                Terms::Evolve => Ok(Check::nothing(incoming.clone())),
                Terms::Freeze => Err(broken("the table would be new".to_owned())),
                Terms::DiscardRow | Terms::DiscardValue => Ok(Check {
                    schema: incoming.clone(),
                    columns: Vec::new(),
                    new_table: true,
                }),
            };
        };
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut columns = Vec::new();
        for field in incoming.fields() {
            if is_ours(field.name()) {
                fields.push(field.clone());
                columns.push(Verdict::Lands);
                continue;
            }
            let target = match existing.field_with_name(field.name()) {
                Err(_) if self.columns == Terms::Evolve => Some(field.data_type().clone()),
                Err(_) if self.columns == Terms::Freeze => {
                    return Err(broken(format!("the column {} would be new", field.name())));
                }
                Err(_) => None,
                Ok(known) => {
                    let target = self.target(field.data_type(), known.data_type());
                    Some(target.map_err(|change| broken(format!("in the column {} {change}", field.name())))?)
                }
            };
            columns.push(match &target {
                None => Verdict::New,
                Some(target) if target == field.data_type() => Verdict::Lands,
                Some(_) => Verdict::Fitted,
            });
            if let Some(target) = target {
                fields.push(Arc::new(field.as_ref().clone().with_data_type(target)));
            }
        }
        let metadata = incoming.metadata().clone();
        let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
        if columns.iter().all(|verdict| *verdict == Verdict::Lands) {
            return Ok(Check::nothing(schema));
        }
        Ok(Check {
            schema,
            columns: columns
                .into_iter()
                .map(|verdict| {
                    let terms = |terms| {
                        if terms == Terms::DiscardRow {
                            Discard::Row
                        } else {
                            Discard::Value
                        }
                    };
                    Column {
                        verdict,
                        new: terms(self.columns),
                        misfit: terms(self.types),
                    }
                })
                .collect(),
            new_table: false,
        })
    }

    /// The type that values of `incoming` land with in a column of `known`; what would change if that is frozen.
    fn target(&self, incoming: &DataType, known: &DataType) -> Result<DataType, String> {
        match (incoming, known) {
            (incoming, known) if incoming == known => Ok(known.clone()),
            // A column without a value, so far or in these rows, has no type that could change.
            (DataType::Null, _) | (_, DataType::Null) => Ok(incoming.clone()),
            (DataType::Struct(incoming), DataType::Struct(known)) => {
                let mut fields: Vec<FieldRef> = Vec::new();
                for field in incoming {
                    let data_type = match (known.find(field.name()), self.columns) {
                        (Some((_, known)), _) => self.target(field.data_type(), known.data_type())?,
                        (None, Terms::Evolve) => field.data_type().clone(),
                        (None, Terms::Freeze) => return Err(format!("the field {} would be new", field.name())),
                        (None, Terms::DiscardRow | Terms::DiscardValue) => continue,
                    };
                    fields.push(Arc::new(field.as_ref().clone().with_data_type(data_type)));
                }
                Ok(DataType::Struct(fields.into()))
            }
            (DataType::List(incoming), DataType::List(known)) => {
                let item = self.target(incoming.data_type(), known.data_type())?;
                Ok(DataType::List(Arc::new(incoming.as_ref().clone().with_data_type(item))))
            }
            // What the table's type holds anyway is not a change.
            (incoming, known) if widest(known, incoming) == *known && *known != DataType::Utf8 => Ok(incoming.clone()),
            (incoming, known) => match self.types {
                Terms::Evolve => Ok(incoming.clone()),
                Terms::Freeze => Err(format!("{known} would become {}", widest(known, incoming))),
                Terms::DiscardRow | Terms::DiscardValue => Ok(known.clone()),
            },
        }
    }
}

/// What a contract makes of batches of one schema.
#[derive(Debug, Clone)]
pub struct Check {
    /// The columns that land.
    pub schema: SchemaRef,
    /// One for each incoming column; none if all of them land as they are.
    columns: Vec<Column>,
    /// The table would be new, and may not be.
    new_table: bool,
}

#[derive(Debug, Clone, Copy)]
struct Column {
    verdict: Verdict,
    /// What becomes of values in new columns.
    new: Discard,
    /// What becomes of values of other types.
    misfit: Discard,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Lands,
    /// Lands as far as its values fit.
    Fitted,
    /// Does not land.
    New,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Discard {
    Row,
    Value,
}

/// A row that broke the contract.
#[derive(Debug, PartialEq, Eq)]
pub struct Breach {
    /// Its number in the batch, from 0.
    pub row: usize,
    /// What it broke, without a value of it.
    pub reason: String,
}

impl Check {
    fn nothing(schema: SchemaRef) -> Self {
        Self {
            schema,
            columns: Vec::new(),
            new_table: false,
        }
    }

    /// The rows that land, as they land, and those that broke the contract, each once. Times that carry no zone are of
    /// those of `zones`.
    ///
    /// # Errors
    /// None that a user could cause.
    pub fn apply(&self, batch: RecordBatch, zones: &Zones) -> Result<(RecordBatch, Vec<Breach>)> {
        if self.new_table {
            let reason = "the table would be new";
            let breaches = (0..batch.num_rows()).map(|row| Breach {
                row,
                reason: reason.to_owned(),
            });
            return Ok((RecordBatch::new_empty(self.schema.clone()), breaches.collect()));
        }
        if self.columns.is_empty() {
            return Ok((batch, Vec::new()));
        }
        let mut landing = Vec::new();
        let mut breaches: Vec<Option<String>> = vec![None; batch.num_rows()];
        let mut kept = vec![true; batch.num_rows()];
        for ((field, column), rules) in batch.schema().fields().iter().zip(batch.columns()).zip(&self.columns) {
            let mut misfits = Misfits::new(batch.num_rows());
            match rules.verdict {
                Verdict::Lands => landing.push(column.clone()),
                Verdict::New => {
                    misfits.new = column
                        .logical_nulls()
                        .map_or_else(|| vec![true; batch.num_rows()], |nulls| nulls.iter().collect())
                }
                Verdict::Fitted => {
                    let target = self
                        .schema
                        .field_with_name(field.name())
                        .doing(|| "checking the contract")?;
                    landing.push(fit(
                        column,
                        target.data_type(),
                        zones.column(field.name()),
                        &mut misfits,
                    )?);
                }
            }
            let found = [
                (&misfits.new, rules.new, "would be new"),
                (&misfits.typed, rules.misfit, "has a value of another type"),
            ];
            for (rows, discard, what) in found {
                for row in rows
                    .iter()
                    .enumerate()
                    .filter_map(|(row, misfit)| misfit.then_some(row))
                {
                    kept[row] &= discard == Discard::Value;
                    breaches[row].get_or_insert_with(|| format!("{} {what}", field.name()));
                }
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let landing = RecordBatch::try_new_with_options(self.schema.clone(), landing, &options);
        let landing = landing.doing(|| "checking the contract")?;
        let landing = filter_record_batch(&landing, &BooleanArray::from(kept)).doing(|| "checking the contract")?;
        let breaches = breaches.into_iter().enumerate();
        let breaches = breaches.filter_map(|(row, reason)| reason.map(|reason| Breach { row, reason }));
        Ok((landing, breaches.collect()))
    }
}

/// Which rows of a column have a value that the table has no place for.
struct Misfits {
    /// In a field that would be new.
    new: Vec<bool>,
    /// Of another type.
    typed: Vec<bool>,
}

impl Misfits {
    fn new(rows: usize) -> Self {
        Self {
            new: vec![false; rows],
            typed: vec![false; rows],
        }
    }
}

/// The values that fit `target`; null instead of those that do not.
fn fit(array: &ArrayRef, target: &DataType, zone: Zone<'_>, misfits: &mut Misfits) -> Result<ArrayRef> {
    let doing = || "checking the contract";
    match (array.data_type(), target) {
        (own, target) if own == target => Ok(array.clone()),
        (DataType::Struct(own), DataType::Struct(wanted)) => {
            let record = array.as_struct();
            let mut within = Misfits::new(record.len());
            for (field, column) in own.iter().zip(record.columns()) {
                if wanted.find(field.name()).is_none() {
                    for row in (0..record.len()).filter(|row| column.is_valid(*row)) {
                        within.new[row] = true;
                    }
                }
            }
            let columns = wanted.iter().map(|field| match record.column_by_name(field.name()) {
                Some(column) => fit(column, field.data_type(), zone.field(field.name()), &mut within),
                None => Ok(new_null_array(field.data_type(), record.len())),
            });
            let columns = columns.collect::<Result<Vec<_>>>()?;
            // Of a record that is not there nothing is wrong.
            for row in (0..record.len()).filter(|row| record.is_valid(*row)) {
                misfits.new[row] |= within.new[row];
                misfits.typed[row] |= within.typed[row];
            }
            let record =
                StructArray::try_new_with_length(wanted.clone(), columns, record.nulls().cloned(), record.len());
            Ok(Arc::new(record.doing(doing)?))
        }
        (DataType::List(_), DataType::List(item)) => {
            let list: &ListArray = array.as_list();
            let mut within = Misfits::new(list.values().len());
            let values = fit(list.values(), item.data_type(), zone, &mut within)?;
            let rows = list.offsets().windows(2).enumerate();
            for (row, window) in rows.filter(|(row, _)| list.is_valid(*row)) {
                let items = usize::try_from(window[0]).unwrap_or(0)..usize::try_from(window[1]).unwrap_or(0);
                misfits.new[row] |= within.new[items.clone()].contains(&true);
                misfits.typed[row] |= within.typed[items].contains(&true);
            }
            let item: Field = item.as_ref().clone();
            let list = ListArray::try_new(Arc::new(item), list.offsets().clone(), values, list.nulls().cloned());
            Ok(Arc::new(list.doing(doing)?))
        }
        (DataType::Utf8, target) if target.is_nested() => json_text::fit(array.as_string(), target, zone, misfits),
        (own, target) => {
            let notation = Notation {
                point: b'.',
                zone: zone.tz,
            };
            let conversion = Conversion { zone, cuts: false };
            // A text has to look like a value of the type: `007` is not a number that the source has written so.
            let looks_so = |text: &[u8]| {
                let mut evidence = Evidence::default();
                evidence.observe(text, notation.point);
                evidence.fits(target)
            };
            let converted = match own {
                DataType::Utf8 => read(array.as_string(), target, notation, looks_so)?,
                _ => convert(array, target, conversion)?,
            };
            converted.misfits.into_iter().for_each(|row| misfits.typed[row] = true);
            Ok(converted.array)
        }
    }
}

impl<'de> Deserialize<'de> for Contract {
    /// `freeze` for columns and types, or `{tables: …, columns: …, types: …}`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Contract;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("evolve, freeze, discard_row or discard_value, or one of them for each of tables, columns and types")
            }

            fn visit_str<E: serde::de::Error>(self, terms: &str) -> Result<Contract, E> {
                Terms::deserialize(serde::de::value::StrDeserializer::new(terms)).map(Contract::of)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Contract, A::Error> {
                #[derive(Deserialize)]
                #[serde(default, deny_unknown_fields)]
                #[derive(Default)]
                struct Parts {
                    tables: Terms,
                    columns: Terms,
                    types: Terms,
                }
                let parts = Parts::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Contract {
                    tables: parts.tables,
                    columns: parts.columns,
                    types: parts.types,
                })
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use arrow::datatypes::Fields;
    use chrono_tz::Tz;

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
            .unwrap()
    }

    fn ints(values: Vec<Option<i64>>) -> ArrayRef {
        Arc::new(Int64Array::from(values))
    }

    fn texts(values: Vec<Option<&str>>) -> ArrayRef {
        Arc::new(StringArray::from(values))
    }

    fn check(contract: &str, batch: &RecordBatch, existing: &RecordBatch) -> Result<(RecordBatch, Vec<Breach>)> {
        let contract: Contract = serde_json::from_str(contract).unwrap();
        let table = "raw_shop.orders".parse().unwrap();
        let check = contract.apply(&table, &batch.schema(), Some(&existing.schema()))?;
        let (landing, breaches) = check.apply(batch.clone(), &Tz::UTC.into())?;
        assert_eq!(landing.schema(), check.schema);
        Ok((landing, breaches))
    }

    #[test]
    fn what_evolves_lands_as_it_is() {
        let incoming = batch(vec![("id", texts(vec![Some("x")])), ("new", ints(vec![Some(1)]))]);
        let existing = batch(vec![("id", ints(vec![Some(1)]))]);
        let (landing, breaches) = check("\"evolve\"", &incoming, &existing).unwrap();
        assert_eq!((landing, breaches.len()), (incoming, 0));
    }

    #[test]
    fn what_is_frozen_fails_and_says_what_would_change() {
        let incoming = batch(vec![("id", texts(vec![Some("x")]))]);
        let existing = batch(vec![("id", ints(vec![Some(1)]))]);
        let error = check("\"freeze\"", &incoming, &existing).unwrap_err();
        assert!(
            error.to_string().contains("column id Int64 would become Utf8"),
            "{error}"
        );
        assert_eq!(error.exit_code(), 1);
        let error = check(
            "{\"columns\": \"freeze\"}",
            &batch(vec![("b", ints(vec![None]))]),
            &existing,
        )
        .unwrap_err();
        assert!(error.to_string().contains("column b would be new"), "{error}");
    }

    #[test]
    fn rows_and_values_are_discarded_one_by_one() {
        let incoming = batch(vec![
            ("id", texts(vec![Some("1"), Some("007"), Some("x"), None])),
            ("new", ints(vec![None, None, None, Some(4)])),
        ]);
        let existing = batch(vec![("id", ints(vec![Some(1)]))]);
        let (landing, breaches) = check("\"discard_row\"", &incoming, &existing).unwrap();
        assert_eq!(landing, batch(vec![("id", ints(vec![Some(1)]))]));
        assert_eq!(breaches.iter().map(|breach| breach.row).collect::<Vec<_>>(), [1, 2, 3]);
        let (landing, breaches) = check("\"discard_value\"", &incoming, &existing).unwrap();
        assert_eq!(landing, batch(vec![("id", ints(vec![Some(1), None, None, None]))]));
        assert_eq!(breaches[2].reason, "new would be new");
    }

    #[test]
    fn numbers_fit_when_they_come_back_as_they_were() {
        let incoming = batch(vec![("id", Arc::new(Float64Array::from(vec![1.0, 2.5])) as ArrayRef)]);
        let existing = batch(vec![("id", ints(vec![Some(1)]))]);
        let (landing, breaches) = check("{\"types\": \"discard_row\"}", &incoming, &existing).unwrap();
        assert_eq!(landing, batch(vec![("id", ints(vec![Some(1)]))]));
        assert_eq!(breaches.len(), 1);
    }

    #[test]
    fn what_became_text_beside_another_value_is_still_a_record_or_a_list() {
        let record = |a: Vec<Option<i64>>| -> ArrayRef {
            let fields = Fields::from(vec![
                Field::new("a", DataType::Int64, true),
                Field::new("b", DataType::Float64, true),
            ]);
            let doubles = Arc::new(Float64Array::from(vec![0.5, 0.5]));
            Arc::new(StructArray::new(fields, vec![ints(a), doubles], None))
        };
        let list = || -> ArrayRef {
            let rows = [Some(vec![Some(1), None]), Some(vec![])];
            Arc::new(ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>(
                rows,
            ))
        };
        let existing = batch(vec![("c", record(vec![Some(1), None])), ("l", list())]);
        let incoming = batch(vec![
            (
                "c",
                texts(vec![
                    Some(r#"{"a":1,"b":0.5}"#),
                    Some("x"),
                    Some(r#"{"a":"x","b":0.5}"#),
                    Some(r#"{"a":2,"c":null}"#),
                    Some(r#"{"a":2,"c":3}"#),
                    None,
                    Some(r#"{"a":1,"a":2}"#),
                ]),
            ),
            (
                "l",
                texts(vec![
                    Some("[1,null]"),
                    Some("[]"),
                    None,
                    Some("[2]"),
                    None,
                    Some("[\"x\"]"),
                    Some("7"),
                ]),
            ),
        ]);
        let (landing, breaches) = check("\"discard_row\"", &incoming, &existing).unwrap();
        assert_eq!(
            breaches.iter().map(|breach| breach.row).collect::<Vec<_>>(),
            [1, 2, 4, 5, 6]
        );
        assert_eq!(landing.num_rows(), 2);
        let text = |column: &ArrayRef| cordada_core::spelling::text(column, &Default::default()).unwrap();
        assert_eq!(
            text(landing.column(0)),
            StringArray::from(vec![r#"{"a":1,"b":0.5}"#, r#"{"a":2}"#])
        );
        assert_eq!(text(landing.column(1)), StringArray::from(vec!["[1,null]", "[2]"]));
        let (landing, breaches) = check("\"discard_value\"", &incoming, &existing).unwrap();
        assert_eq!((landing.num_rows(), breaches.len()), (7, 5));
        assert_eq!(text(landing.column(0)).value(2), r#"{"b":0.5}"#);
        assert!(landing.column(0).is_null(1) && landing.column(1).is_null(6));
    }

    #[test]
    fn a_record_or_a_list_has_no_place_where_there_is_a_number() {
        let record: ArrayRef = Arc::new(StructArray::try_from(vec![("a", ints(vec![Some(1), Some(2)]))]).unwrap());
        let masked = record.as_struct();
        let nulls = Some(arrow::buffer::NullBuffer::from(vec![true, false]));
        let record: ArrayRef = Arc::new(StructArray::new(
            masked.fields().clone(),
            masked.columns().to_vec(),
            nulls,
        ));
        for existing in [ints(vec![Some(1)]), Arc::new(BooleanArray::from(vec![true]))] {
            let existing = batch(vec![("c", existing)]);
            let incoming = batch(vec![("c", record.clone())]);
            let (landing, breaches) = check("\"discard_row\"", &incoming, &existing).unwrap();
            assert_eq!((landing.num_rows(), breaches.len(), breaches[0].row), (1, 1, 0));
            let (landing, _) = check("\"discard_value\"", &incoming, &existing).unwrap();
            assert_eq!(landing.column(0).null_count(), 2);
        }
    }

    #[test]
    fn fields_of_records_are_columns_too() {
        let record = |fields: Vec<(&str, ArrayRef)>| -> ArrayRef { Arc::new(StructArray::try_from(fields).unwrap()) };
        let incoming = batch(vec![(
            "c",
            record(vec![
                ("a", ints(vec![Some(1), Some(2)])),
                ("b", ints(vec![None, Some(3)])),
            ]),
        )]);
        let existing = batch(vec![("c", record(vec![("a", ints(vec![Some(1)]))]))]);
        let (landing, breaches) = check("{\"columns\": \"discard_value\"}", &incoming, &existing).unwrap();
        assert_eq!((landing.num_rows(), breaches.len()), (2, 1));
        let error = check("{\"columns\": \"freeze\"}", &incoming, &existing).unwrap_err();
        assert!(error.to_string().contains("field b would be new"), "{error}");
    }
}
