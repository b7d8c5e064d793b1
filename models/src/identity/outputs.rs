//! What comes out: records with their persons, pairs with their weights, changes of identifiers, and how good it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use cordada_core::{Context, Error, Result};
use cordada_lake::estimator::Relations;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, TryFutureExt, stream};

use super::clusters::Reason;
use super::found::{Found, Measure, Pair};
use super::ids::ChangeKind;
use super::model::probability;
use super::plan::output;
use super::threads;

pub(super) const PERSON_ID: &str = "person_id";

pub(super) const PAIRS: &str = "pairs";
pub(super) const MERGES: &str = "merges";
pub(super) const QUALITY: &str = "quality";

/// How many rows are written at a time.
const ROWS: usize = 8192;

/// The columns of all outputs. `key` is the column that tells records apart.
pub(super) fn schemas<'a>(key: &Field, fields: impl Iterator<Item = &'a str>) -> Result<Relations<SchemaRef>> {
    use DataType as T;
    let of_key = |name: String| Arc::new(key.clone().with_name(name).with_nullable(true)) as FieldRef;
    let main = vec![
        of_key(key.name().clone()),
        output(PERSON_ID, T::Utf8),
        output("why", T::Utf8),
        of_key("linked_to".to_owned()),
        output("weight", T::Float64),
    ];
    let mut pairs = vec![
        of_key(format!("{}_a", key.name())),
        of_key(format!("{}_b", key.name())),
        output("why", T::Utf8),
        output("same_person", T::Boolean),
        output("weight", T::Float64),
        output("probability", T::Float64),
        output("prior_weight", T::Float64),
    ];
    for field in fields {
        pairs.push(output(format!("{field}_level"), T::Utf8));
        pairs.push(output(format!("{field}_weight"), T::Float64));
        pairs.push(output(format!("{field}_rarity"), T::Float64));
    }
    let merges = vec![
        output("number", T::Int64),
        output("change", T::Utf8),
        output("from_person_id", T::Utf8),
        output("to_person_id", T::Utf8),
        output("records", T::Int64),
    ];
    let quality = vec![
        output("measure", T::Utf8),
        output("of", T::Utf8),
        output("value", T::Float64),
    ];
    let further = [(PAIRS, pairs), (MERGES, merges), (QUALITY, quality)];
    Ok(Relations {
        main: schema(main)?,
        further: further
            .into_iter()
            .map(|(name, fields)| Ok((name.to_owned(), schema(fields)?)))
            .collect::<Result<_>>()?,
    })
}

fn schema(fields: Vec<FieldRef>) -> Result<SchemaRef> {
    let is_repeated = |at: &usize| fields[..*at].iter().any(|field| field.name() == fields[*at].name());
    match (0..fields.len()).find(is_repeated) {
        None => Ok(Arc::new(Schema::new(fields))),
        Some(at) => {
            let why = format!("there would be two of the name `{}`", fields[at].name());
            Err(Error::config("planning the columns of the estimator `identity`", why)
                .hint("rename the column in the SELECT"))
        }
    }
}

/// The rows of all outputs.
pub(super) fn streams(found: &Arc<Found>, schemas: &Relations<SchemaRef>) -> Relations<SendableRecordBatchStream> {
    let of = |schema: &SchemaRef,
              rows: usize,
              batch: fn(&Found, &SchemaRef, std::ops::Range<usize>) -> Result<RecordBatch>| {
        let (found, of_batch) = (Arc::clone(found), Arc::clone(schema));
        let batches = stream::iter((0..rows).step_by(ROWS)).map(move |from| {
            let (found, schema) = (Arc::clone(&found), Arc::clone(&of_batch));
            let made = super::compute(move || batch(&found, &schema, from..rows.min(from + ROWS)));
            made.map_err(DataFusionError::from)
        });
        let batches = batches.buffered(threads::cores());
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(schema), batches)) as SendableRecordBatchStream
    };
    let further = &schemas.further;
    Relations {
        main: of(&schemas.main, found.records.len(), persons),
        further: BTreeMap::from([
            (PAIRS.to_owned(), of(&further[PAIRS], found.pairs.len(), pairs)),
            (MERGES.to_owned(), of(&further[MERGES], found.changes.len(), merges)),
            (QUALITY.to_owned(), of(&further[QUALITY], found.quality.len(), quality)),
        ]),
    }
}

fn persons(found: &Found, schema: &SchemaRef, rows: std::ops::Range<usize>) -> Result<RecordBatch> {
    let (mut keys, mut ids, mut why, mut linked, mut weight) = (
        StringBuilder::new(),
        StringBuilder::new(),
        StringBuilder::new(),
        StringBuilder::new(),
        Float64Builder::new(),
    );
    let mut room = uuid::Uuid::encode_buffer();
    for record in rows {
        keys.append_value(found.records.key(record as u32));
        ids.append_value(found.ids[record].as_hyphenated().encode_lower(&mut room));
        match &found.strongest[record] {
            None => {
                why.append_value("alone");
                linked.append_null();
                weight.append_null();
            }
            Some(bond) => {
                why.append_value(found.why(bond.reason, record as u32, bond.to));
                linked.append_value(found.records.key(bond.to));
                weight.append_option((bond.reason == Reason::Weight).then_some(bond.weight));
            }
        }
    }
    batch(
        schema,
        vec![
            Arc::new(keys.finish()),
            Arc::new(ids.finish()),
            Arc::new(why.finish()),
            Arc::new(linked.finish()),
            Arc::new(weight.finish()),
        ],
    )
}

fn pairs(found: &Found, schema: &SchemaRef, rows: std::ops::Range<usize>) -> Result<RecordBatch> {
    let (mut a, mut b, mut why) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
    let (mut same, mut weight, mut likely) = (BooleanBuilder::new(), Float64Builder::new(), Float64Builder::new());
    let mut prior = Float64Builder::new();
    let fields = found.model.fields.len();
    let mut levels: Vec<_> = (0..fields)
        .map(|_| (StringBuilder::new(), Float64Builder::new(), Float64Builder::new()))
        .collect();
    let mut scorer = found.scorer();
    for pair in &found.pairs[rows] {
        let Pair {
            a: of_a,
            b: of_b,
            reason,
        } = *pair;
        a.append_value(found.records.key(of_a));
        b.append_value(found.records.key(of_b));
        why.append_value(found.why(reason, of_a, of_b));
        same.append_value(found.labels[of_a as usize] == found.labels[of_b as usize]);
        let mut values = Vec::new();
        let pattern = scorer.compare(of_a, of_b, &mut values);
        let total = scorer.total(pattern, &values);
        weight.append_value(total);
        likely.append_value(probability(total));
        prior.append_value(found.model.prior_weight());
        for (at, of_field) in scorer.field_weights(pattern, &values).enumerate() {
            let level = pattern.level(at);
            let usual = found.model.weight(at, found.model.state(at, pattern), level);
            levels[at].0.append_value(level.name());
            levels[at].1.append_value(of_field);
            levels[at].2.append_value(of_field - usual);
        }
    }
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(a.finish()),
        Arc::new(b.finish()),
        Arc::new(why.finish()),
        Arc::new(same.finish()),
        Arc::new(weight.finish()),
        Arc::new(likely.finish()),
        Arc::new(prior.finish()),
    ];
    for (level, weight, rarity) in &mut levels {
        columns.push(Arc::new(level.finish()));
        columns.push(Arc::new(weight.finish()));
        columns.push(Arc::new(rarity.finish()));
    }
    batch(schema, columns)
}

fn merges(found: &Found, schema: &SchemaRef, rows: std::ops::Range<usize>) -> Result<RecordBatch> {
    let (mut number, mut change) = (Int64Builder::new(), StringBuilder::new());
    let (mut from, mut to, mut records) = (StringBuilder::new(), StringBuilder::new(), Int64Builder::new());
    for numbered in &found.changes[rows] {
        number.append_value(numbered.number);
        change.append_value(match numbered.change.kind {
            ChangeKind::Merge => MERGE,
            ChangeKind::Split => SPLIT,
        });
        from.append_value(numbered.change.from.to_string());
        to.append_value(numbered.change.to.to_string());
        records.append_value(i64::from(numbered.change.records));
    }
    batch(
        schema,
        vec![
            Arc::new(number.finish()),
            Arc::new(change.finish()),
            Arc::new(from.finish()),
            Arc::new(to.finish()),
            Arc::new(records.finish()),
        ],
    )
}

/// What changes are called.
pub(super) const MERGE: &str = "merge";
pub(super) const SPLIT: &str = "split";

fn quality(found: &Found, schema: &SchemaRef, rows: std::ops::Range<usize>) -> Result<RecordBatch> {
    let (mut measure, mut of, mut value) = (StringBuilder::new(), StringBuilder::new(), Float64Builder::new());
    for Measure {
        name,
        of: what,
        value: number,
    } in &found.quality[rows]
    {
        measure.append_value(name);
        of.append_option(what.as_deref());
        value.append_value(*number);
    }
    batch(
        schema,
        vec![
            Arc::new(measure.finish()),
            Arc::new(of.finish()),
            Arc::new(value.finish()),
        ],
    )
}

/// A batch of these columns; keys get the type that they came with.
fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    let doing = || "writing the outputs of the estimator `identity`";
    let columns = columns.into_iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(&column, field.data_type()).doing(doing));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_>>()?).doing(doing)
}
