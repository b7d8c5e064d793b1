//! Parquet: typed already, so read only once, batch by batch.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use chrono_tz::Tz;
use cordada_core::batches::BATCH_ROWS;
use cordada_core::conform::conform_column;
use cordada_core::types::storable_type;
use cordada_core::{Context, Result};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::piece::{Decoded, Piece, Scanned, TextPlan};
use super::text::Plain;
use crate::shape::Shape;
use crate::values::evidence::timestamp;
use crate::values::time::Clock;

/// How to read the Parquet files of one stream.
#[derive(Debug, Clone)]
pub struct Parquet {
    /// The zone of timestamps that carry none.
    pub zone: Tz,
}

impl Parquet {
    /// Reads the footer: the columns, and the row groups as pieces.
    pub fn scan(&self, file: &Plain, plan: impl FnOnce(Vec<String>) -> Result<TextPlan>) -> Result<Scanned> {
        let builder = self.open(file)?;
        let fields = builder.schema().fields();
        let plan = plan(fields.iter().map(|field| field.name().clone()).collect())?;
        let shapes = fields.iter().zip(&plan.declared);
        let shapes = shapes.map(|(field, declared)| match (declared, field.data_type()) {
            (Some(declared), _) => Shape::Declared(declared.clone()),
            // A column without any value.
            (None, DataType::Null) => Shape::default(),
            (None, own) => Shape::Declared(storable_type(own)),
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

    /// Reads a row group into batches of `types`, one for each of the file's columns.
    pub fn decode(
        &self,
        file: &Plain,
        piece: &Piece,
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
            let next = row + batch.num_rows() as u64;
            let columns = batch.columns().iter().zip(types);
            let columns = columns
                .map(|(column, data_type)| self.convert(column, data_type))
                .collect::<Result<_>>();
            let columns = columns.map_err(|error| error.with("file", file.name()))?;
            emit(Decoded {
                columns,
                lines: (row..next).collect(),
                rejected: Vec::new(),
            })?;
            row = next;
        }
        Ok(())
    }

    fn open(&self, file: &Plain) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>> {
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.open()?, ArrowReaderOptions::new());
        builder.doing(|| format!("reading {}", file.name()))
    }

    /// The column as the table holds it. Nanoseconds are cut to microseconds, as Delta has no smaller unit.
    fn convert(&self, column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
        if column.data_type() == data_type {
            return Ok(column.clone());
        }
        let strict = |column: &ArrayRef, to: &DataType| {
            cast_with_options(
                column,
                to,
                &CastOptions {
                    safe: false,
                    ..CastOptions::default()
                },
            )
            .doing(|| format!("converting {} to {to}", column.data_type()))
        };
        if !matches!(column.data_type(), DataType::Timestamp(_, None)) || *data_type != timestamp() {
            return conform_column(column, data_type);
        }
        let local = strict(column, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        let mut clock = Clock::new(self.zone);
        let local = local.as_primitive::<TimestampMicrosecondType>().iter();
        let utc: PrimitiveArray<TimestampMicrosecondType> = local
            .map(|local| local.map(|local| clock.utc_of_local(local)))
            .collect();
        Ok(Arc::new(utc.with_timezone("UTC")))
    }
}
