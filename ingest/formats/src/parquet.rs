//! Parquet: typed already, so read only once, batch by batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use cordada_core::batches::BATCH_ROWS;
use cordada_core::types::storable_type;
use cordada_core::{Context, Error, Result};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as PhysicalType;
use parquet::schema::types::ColumnDescPtr;

use super::piece::{Decoded, Piece, Scanned, TextPlan};
use super::text::Plain;
use crate::record::records;
use crate::rejected::Rejected;
use crate::shape::Shape;
use crate::values::convert::{Conversion, convert, reason};
use crate::values::zones::Zones;

/// Records, lists and maps that may be within one another: the schema of a table that is deeper cannot be read.
const MOST_LEVELS: usize = 24;

/// How to read the Parquet files of one stream.
#[derive(Debug, Clone)]
pub struct Parquet {
    /// The zones of timestamps that carry none.
    pub zones: Zones,
}

impl Parquet {
    /// Reads the footer: the columns, and the row groups as pieces.
    pub fn scan(&self, file: &Plain, plan: impl FnOnce(Vec<String>) -> Result<TextPlan>) -> Result<Scanned> {
        let builder = self.open(file)?;
        let fields = builder.schema().fields();
        if let Some(deep) = fields.iter().find(|field| levels(field.data_type()) > MOST_LEVELS) {
            let why = format!("the column {} has more than {MOST_LEVELS} levels", deep.name());
            return Err(Error::failed(format!("reading {}", file.name()), why)
                .hint("write what is deeper as JSON text where the file is made"));
        }
        let plan = plan(fields.iter().map(|field| field.name().clone()).collect())?;
        let shapes = fields.iter().zip(&plan.declared);
        let shapes = shapes.map(|(field, declared)| match (declared, field.data_type()) {
            (Some(declared), _) => Shape::Declared(declared.clone()),
            // A column without any value.
            (None, DataType::Null) => Shape::default(),
            (None, own) => Shape::Declared(exact_type(own)),
        });
        let mut first = 1;
        let pieces = builder
            .metadata()
            .row_groups()
            .iter()
            .zip(0u64..)
            .map(|(group, number)| {
                let rows = u64::try_from(group.num_rows()).unwrap_or_default();
                let piece = Piece {
                    start: number,
                    end: number + 1,
                    first,
                    rows,
                    rejected: 0,
                };
                first += rows;
                piece
            });
        let pieces = pieces.collect();
        Ok(Scanned {
            shapes: shapes.collect(),
            plan,
            pieces,
        })
    }

    /// Reads a row group into batches of `types`, one for each of the file's columns. Rows with a value that does not
    /// fit are rejected. Nanoseconds are cut to microseconds, as Delta has no smaller unit, unless a type is declared.
    pub fn decode(
        &self,
        file: &Plain,
        piece: &Piece,
        plan: &TextPlan,
        types: &[DataType],
        emit: &mut dyn FnMut(Decoded) -> Result<()>,
    ) -> Result<()> {
        let doing = || format!("reading {}", file.name());
        let group = usize::try_from(piece.start).unwrap_or(usize::MAX);
        let reader = self
            .open(file)?
            .with_row_groups(vec![group])
            .with_batch_size(BATCH_ROWS)
            .build()
            .doing(doing)?;
        let mut row = piece.first;
        for batch in reader {
            let batch: RecordBatch = batch.doing(doing)?;
            let decoded = self.convert(&batch, row, plan, types);
            emit(decoded.map_err(|error| error.with("file", file.name()))?)?;
            row += batch.num_rows() as u64;
        }
        Ok(())
    }

    /// The rows of a batch, whose first has that number, as the table holds them.
    fn convert(&self, batch: &RecordBatch, first: u64, plan: &TextPlan, types: &[DataType]) -> Result<Decoded> {
        let (mut columns, mut cut) = (Vec::with_capacity(types.len()), Vec::new());
        let mut reasons = BTreeMap::new();
        for (at, (column, data_type)) in batch.columns().iter().zip(types).enumerate() {
            let conversion = Conversion {
                zone: self.zones.column(&plan.names[at]),
                cuts: plan.declared[at].is_none(),
            };
            let converted = convert(column, data_type, conversion);
            let converted = converted.map_err(|error| error.with("column", &plan.names[at]))?;
            for row in converted.misfits {
                reasons.entry(row).or_insert_with(|| reason(&plan.names[at], data_type));
            }
            columns.push(converted.array);
            if converted.cut {
                cut.push(at);
            }
        }
        let lines = first..first + batch.num_rows() as u64;
        if reasons.is_empty() {
            return Ok(Decoded {
                columns,
                lines: lines.collect(),
                rejected: Vec::new(),
                cut,
            });
        }
        let rows: Vec<_> = reasons.keys().copied().collect();
        let rejected = records(batch, &rows)?.into_iter().zip(reasons);
        let rejected = rejected.map(|(record, (row, reason))| Rejected {
            line: first + row as u64,
            reason,
            record,
        });
        let mut lands = vec![true; batch.num_rows()];
        rows.iter().for_each(|row| lands[*row] = false);
        let lands = BooleanArray::from(lands);
        let columns = columns.iter().map(|column| filter(column, &lands));
        Ok(Decoded {
            columns: columns.collect::<Result<_, _>>().doing(|| "leaving out rows")?,
            lines: lines
                .zip(lands.values())
                .filter_map(|(line, lands)| lands.then_some(line))
                .collect(),
            rejected: rejected.collect(),
            cut,
        })
    }

    /// Opens the file. The 96-bit timestamps of older writers are read as microseconds: as nanoseconds, which is the
    /// default, years beyond 1677 to 2262 would silently become others.
    fn open(&self, file: &Plain) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>> {
        let doing = || format!("reading {}", file.name());
        let content = file.open()?;
        let metadata = ArrowReaderMetadata::load(&content, ArrowReaderOptions::new()).doing(doing)?;
        let leaves = metadata.parquet_schema().columns();
        if !leaves.iter().any(|leaf| leaf.physical_type() == PhysicalType::INT96) {
            return Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(content, metadata));
        }
        let mut leaves = leaves.iter();
        let fields = metadata
            .schema()
            .fields()
            .iter()
            .map(|field| in_micros(field, &mut leaves));
        let schema = Schema::new_with_metadata(fields.collect::<Vec<_>>(), metadata.schema().metadata().clone());
        let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
        ParquetRecordBatchReaderBuilder::try_new_with_options(content, options).doing(doing)
    }
}

/// The field with its 96-bit timestamps in microseconds; `leaves` begins with those of the field.
fn in_micros<'l>(field: &FieldRef, leaves: &mut impl Iterator<Item = &'l ColumnDescPtr>) -> FieldRef {
    use DataType as T;
    let data_type = match field.data_type() {
        T::Struct(fields) => T::Struct(fields.iter().map(|field| in_micros(field, leaves)).collect()),
        T::List(item) => T::List(in_micros(item, leaves)),
        T::LargeList(item) => T::LargeList(in_micros(item, leaves)),
        T::ListView(item) => T::ListView(in_micros(item, leaves)),
        T::LargeListView(item) => T::LargeListView(in_micros(item, leaves)),
        T::FixedSizeList(item, size) => T::FixedSizeList(in_micros(item, leaves), *size),
        T::Map(entries, ordered) => T::Map(in_micros(entries, leaves), *ordered),
        other => match (leaves.next().map(|leaf| leaf.physical_type()), other) {
            (Some(PhysicalType::INT96), T::Timestamp(_, zone)) => T::Timestamp(TimeUnit::Microsecond, zone.clone()),
            _ => return field.clone(),
        },
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// The type of the lake that holds every value of a file's type; decimals of more digits than the lake has are text.
fn exact_type(data_type: &DataType) -> DataType {
    fn without_long(data_type: &DataType) -> DataType {
        use DataType as T;
        let within = |field: &FieldRef| Arc::new(Field::clone(field).with_data_type(without_long(field.data_type())));
        match data_type {
            T::Decimal256(precision, scale) => {
                let digits = i16::from(*precision).max(i16::from(*precision) - i16::from(*scale));
                if digits > 38 { T::Utf8 } else { data_type.clone() }
            }
            T::Dictionary(_, values) => without_long(values),
            T::Struct(fields) => T::Struct(fields.iter().map(within).collect()),
            T::List(item)
            | T::LargeList(item)
            | T::ListView(item)
            | T::LargeListView(item)
            | T::FixedSizeList(item, _) => T::List(within(item)),
            T::Map(entries, ordered) => T::Map(within(entries), *ordered),
            other => other.clone(),
        }
    }
    storable_type(&without_long(data_type))
}

/// How many records, lists and maps are within one another.
fn levels(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => 1 + fields.iter().map(|field| levels(field.data_type())).max().unwrap_or(0),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::Map(item, _) => 1 + levels(item.data_type()),
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "parquet_tests.rs"]
mod tests;
