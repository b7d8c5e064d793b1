//! The rows of a chunk whose types are known before they are read: by their names in the lake, of the types that are
//! declared, with the provenance behind them.
//!
//! A row with a value that cannot land is rejected. Where rows go by their key, the lake's older version of it goes
//! too: the table then shows what it would show after a full load, and not what is no longer true.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use cordada_core::source_names::SourceNames;
use cordada_core::types::storable_type;
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::record;
use cordada_ingest_formats::rejected::Rejected;
use cordada_ingest_formats::values::convert::{Conversion, convert, reason};
use cordada_ingest_formats::values::zones::Zones;
use cordada_ingest_source::misfits::{self, Misfit};
use cordada_ingest_source::options::{Disposition, Options};
use cordada_ingest_source::provenance::{DELETED, Load};
use cordada_ingest_source::transform::Transforms;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use serde_json::value::RawValue;

use crate::rejected::Rejects;
use crate::rows::{described, with_provenance};

/// Rows as the source gives them: see [`cordada_ingest_source::extract::Rows::Typed`].
pub(crate) struct TypedRows {
    pub(crate) schema: SchemaRef,
    pub(crate) partitions: Vec<SendableRecordBatchStream>,
    pub(crate) origin: String,
    pub(crate) deleted: Option<String>,
    pub(crate) misfits: bool,
}

/// What they land with.
pub(crate) struct TypedLanding<'l> {
    pub(crate) options: &'l Options,
    pub(crate) load: &'l Load,
    /// The zones of times that carry none.
    pub(crate) zones: Zones,
    pub(crate) rejects: &'l Arc<Rejects>,
    pub(crate) transforms: &'l Transforms,
}

/// How a batch is arranged.
struct Arrangement {
    /// The columns as they land, [`DELETED`] among them if there is one.
    columns: Vec<Field>,
    /// Those, and the provenance.
    result: SchemaRef,
    origin: String,
    load: Load,
    zones: Zones,
    rejects: Arc<Rejects>,
    transforms: Transforms,
    /// Whether the last column of the source's says what does not fit.
    misfits: bool,
    /// Where among the columns the flag is, and whether the source sets it.
    deleted: Option<(usize, bool)>,
    /// Where those of the key are, if a rejected row takes its older version with it.
    key: Option<Vec<usize>>,
}

impl TypedRows {
    /// The columns that land, and the rows; those that cannot are rejected while they are read.
    pub(crate) fn landing(
        self,
        landing: &TypedLanding<'_>,
        names: &mut SourceNames,
    ) -> (SchemaRef, Vec<SendableRecordBatchStream>) {
        let own = self.schema.fields();
        let own = &own[..own.len() - usize::from(self.misfits)];
        let is_deleted = |field: &Field| self.deleted.as_deref() == Some(field.name());
        let sources = own.iter().filter(|field| !is_deleted(field));
        let sources: Vec<_> = sources.map(|field| field.name().clone()).collect();
        let mut assigned = names.assign(&sources).into_iter();
        let options = landing.options.named(names);
        let (mut columns, mut deleted) = (Vec::new(), None);
        for (at, field) in own.iter().enumerate() {
            if is_deleted(field) {
                deleted = Some((at, true));
                columns.push(Field::new(DELETED, DataType::Boolean, true));
                continue;
            }
            let name = assigned.next().unwrap_or_default();
            let declared = options.declared(&name).cloned();
            let data_type = declared.unwrap_or_else(|| storable_type(field.data_type()));
            let source = names.source(&name).unwrap_or(field.name());
            columns.push(described(&options, &name, source, data_type));
        }
        let goes_by_key = matches!(options.disposition(), Disposition::Merge | Disposition::Scd2);
        let key = options.key().into_iter();
        let key = key.map(|name| columns.iter().position(|column| *column.name() == name));
        let key: Option<Vec<_>> = key.collect::<Option<_>>().filter(|_| goes_by_key);
        if key.is_some() && deleted.is_none() {
            deleted = Some((columns.len(), false));
            columns.push(Field::new(DELETED, DataType::Boolean, true));
        }
        let result = with_provenance(columns.clone());
        let arrangement = Arc::new(Arrangement {
            columns,
            result: result.clone(),
            origin: self.origin,
            load: landing.load.clone(),
            zones: landing.zones.clone(),
            rejects: landing.rejects.clone(),
            transforms: landing.transforms.named(names),
            misfits: self.misfits,
            deleted,
            key,
        });
        let partitions = self
            .partitions
            .into_iter()
            .map(|partition| -> SendableRecordBatchStream {
                let arrangement = arrangement.clone();
                let rows = partition.and_then(move |batch| {
                    let arranged = arrangement.arrange(&batch);
                    std::future::ready(arranged.map_err(Into::into))
                });
                Box::pin(RecordBatchStreamAdapter::new(result.clone(), rows))
            });
        let partitions = partitions.collect();
        (result, partitions)
    }
}

/// Why rows cannot land, a reason for each of their values that does not fit, by column.
type Reasons = BTreeMap<usize, BTreeMap<usize, String>>;

impl Arrangement {
    /// The rows that land.
    fn arrange(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let (batch, misfits) = match self.misfits {
            true => misfits::split(batch)?,
            false => (batch.clone(), BTreeMap::new()),
        };
        let (mut columns, mut reasons) = self.converted(&batch)?;
        for (row, misfits) in &misfits {
            let reasons = reasons.entry(*row).or_default();
            for misfit in misfits {
                let name = self.columns.get(misfit.column).map_or("", |column| column.name());
                reasons.insert(misfit.column, format!("{name}: {}", misfit.reason));
            }
        }
        let gone = match self.deleted {
            Some((at, true)) => Some(columns[at].as_boolean().clone()),
            _ => None,
        };
        // Of a row that is gone nothing matters but the key.
        reasons.retain(|row, reasons| match (&gone, &self.key) {
            (Some(gone), Some(key)) if gone.is_valid(*row) && gone.value(*row) => {
                reasons.keys().any(|column| key.contains(column))
            }
            _ => true,
        });
        let mut lands = None;
        if !reasons.is_empty() {
            self.reject(&batch, &reasons, &misfits)?;
            lands = Some(self.outdated(&reasons, &mut columns));
        }
        if let Some((at, false)) = self.deleted
            && columns.len() == at
        {
            columns.push(Arc::new(BooleanArray::from(vec![false; batch.num_rows()])));
        }
        let doing = || "adding the columns of the load";
        let provenance = self.load.same_origin(&self.origin, batch.num_rows())?;
        let columns = columns.into_iter().chain(provenance).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let arranged = RecordBatch::try_new_with_options(self.result.clone(), columns, &options).doing(doing)?;
        match lands {
            None => Ok(arranged),
            Some(lands) => filter_record_batch(&arranged, &lands).doing(doing),
        }
    }

    /// The columns of the types that they land with; those of the source come first.
    fn converted(&self, batch: &RecordBatch) -> Result<(Vec<ArrayRef>, Reasons)> {
        let (mut columns, mut reasons) = (Vec::with_capacity(self.columns.len()), Reasons::new());
        for (at, (column, field)) in batch.columns().iter().zip(&self.columns).enumerate() {
            let conversion = Conversion {
                zone: self.zones.column(field.name()),
                cuts: false,
            };
            let converted = convert(column, field.data_type(), conversion);
            let converted = converted.map_err(|error| error.with("column", field.name()))?;
            for row in converted.misfits {
                let reason = reason(field.name(), field.data_type());
                reasons.entry(row).or_default().insert(at, reason);
            }
            columns.push(converted.array);
        }
        Ok((columns, reasons))
    }

    /// Which rows go on: those that land, and of the others those whose older version goes, which are flagged then.
    fn outdated(&self, reasons: &Reasons, columns: &mut Vec<ArrayRef>) -> BooleanArray {
        let rows = columns.first().map_or(0, |column| column.len());
        let (Some(key), Some((flag, is_set))) = (&self.key, self.deleted) else {
            return (0..rows).map(|row| Some(!reasons.contains_key(&row))).collect();
        };
        let has_key = |row: usize| key.iter().all(|at| columns[*at].is_valid(row));
        let lands = (0..rows).map(|row| Some(!reasons.contains_key(&row) || has_key(row)));
        let lands: BooleanArray = lands.collect();
        let was = is_set.then(|| columns[flag].as_boolean().clone());
        let flags = (0..rows).map(|row| {
            let was = was.as_ref().is_some_and(|was| was.is_valid(row) && was.value(row));
            Some(was || reasons.contains_key(&row))
        });
        let flags: ArrayRef = Arc::new(flags.collect::<BooleanArray>());
        match is_set {
            true => columns[flag] = flags,
            false => columns.push(flags),
        }
        lands
    }

    /// Takes down the rows that cannot land, as the source has them, without what must not be written.
    fn reject(&self, batch: &RecordBatch, reasons: &Reasons, misfits: &BTreeMap<usize, Vec<Misfit>>) -> Result<()> {
        let rows: Vec<_> = reasons.keys().copied().collect();
        let columns = batch
            .columns()
            .iter()
            .zip(&self.columns)
            .filter(|(_, field)| field.name() != DELETED);
        let columns = columns.map(|(column, field)| Ok((field.name().as_str(), record::values(column, &rows)?)));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let rejected = reasons.iter().enumerate().map(|(number, (row, reasons))| {
            let mut values = Vec::with_capacity(columns.len());
            let of_row = misfits.get(row).map_or(&[][..], Vec::as_slice);
            for (name, column) in &columns {
                let misfit = of_row.iter().find(|misfit| self.columns[misfit.column].name() == name);
                let value = match misfit {
                    Some(misfit) => Some(record::text(&misfit.value)),
                    None => column[number].clone(),
                };
                let value = value.map(|value| self.transformed(name, value)).transpose()?.flatten();
                values.extend(value.map(|value| (*name, value)));
            }
            let reasons: BTreeSet<_> = reasons.values().map(String::as_str).collect();
            Ok(Rejected {
                line: 0,
                reason: reasons.into_iter().collect::<Vec<_>>().join("; "),
                record: record::record(values.iter().map(|(name, value)| (*name, value.as_str()))),
            })
        });
        self.rejects.add(&self.origin, &rejected.collect::<Result<Vec<_>>>()?)
    }

    /// What becomes of a column's value, which is JSON; `None` if it is dropped.
    fn transformed(&self, column: &str, value: String) -> Result<Option<String>> {
        if !self.transforms.touches(column) {
            return Ok(Some(value));
        }
        let record = record::record([(column, value.as_str())]);
        let Some(transformed) = self.transforms.apply_json(record.as_bytes())? else {
            return Ok(None);
        };
        // The library's own message would quote the value.
        let wrong = |_| Error::failed("transforming a rejected row", "it is not JSON");
        let columns: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(&transformed).map_err(wrong)?;
        Ok(columns.get(column).map(|value| value.get().to_owned()))
    }
}
