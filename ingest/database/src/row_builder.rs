//! Columns of values that a driver has already decoded: those of MySQL and SQLite.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Result};
use cordada_ingest_source::misfits::{self, Misfits};

use crate::decimal;
use crate::feed::{ReadBatch, is_batch};
use crate::value_error::{ValueError, digits, shown};

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Int(i128),
    Float(f64),
    /// Text or bytes.
    Bytes(&'a [u8]),
    /// Bytes that are not text, even if they could be.
    Blob(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 UTC.
    Micros(i64),
}

impl Scalar<'_> {
    /// As the source would write it.
    fn text(self) -> String {
        match self {
            Scalar::Null => String::new(),
            Scalar::Int(value) => value.to_string(),
            Scalar::Float(value) => format!("{value:?}"),
            Scalar::Bytes(bytes) => shown(bytes),
            Scalar::Blob(bytes) => digits(bytes),
            Scalar::Date(days) => format!("{days} days since 1970-01-01"),
            Scalar::Micros(micros) => format!("{micros} µs since 1970-01-01"),
        }
    }
}

/// A value that no type of the lake holds, and what it is as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadValue {
    pub(crate) error: ValueError,
    pub(crate) text: String,
}

/// Whole numbers up to this one are doubles too.
const EXACT_DOUBLES: i128 = 1 << 53;

enum ColumnBuilder {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal(Decimal128Builder, u8, i8),
    Text(StringBuilder),
    Binary(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl ColumnBuilder {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => ColumnBuilder::Boolean(BooleanBuilder::new()),
            DataType::Int16 => ColumnBuilder::Int16(Int16Builder::new()),
            DataType::Int32 => ColumnBuilder::Int32(Int32Builder::new()),
            DataType::Int64 => ColumnBuilder::Int64(Int64Builder::new()),
            DataType::Float32 => ColumnBuilder::Float32(Float32Builder::new()),
            DataType::Float64 => ColumnBuilder::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                ColumnBuilder::Decimal(builder, *precision, *scale)
            }
            DataType::Binary => ColumnBuilder::Binary(BinaryBuilder::new()),
            DataType::Date32 => ColumnBuilder::Date(Date32Builder::new()),
            DataType::Timestamp(..) => {
                ColumnBuilder::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
            }
            _ => ColumnBuilder::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, value: Scalar<'_>) -> Result<(), ValueError> {
        use Scalar as S;
        fn narrow<T: TryFrom<i128>>(value: i128) -> Result<T, ValueError> {
            T::try_from(value).map_err(|_| ValueError::Malformed)
        }
        match (self, value) {
            (ColumnBuilder::Boolean(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Int16(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Int32(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Int64(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Float32(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Float64(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Decimal(builder, ..), S::Null) => builder.append_null(),
            (ColumnBuilder::Text(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Binary(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Date(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Timestamp(builder), S::Null) => builder.append_null(),
            (ColumnBuilder::Boolean(builder), S::Int(value @ (0 | 1))) => builder.append_value(value == 1),
            (ColumnBuilder::Boolean(_), S::Int(_)) => return Err(ValueError::NeitherTrueNorFalse),
            (ColumnBuilder::Int16(builder), S::Int(value)) => builder.append_value(narrow(value)?),
            (ColumnBuilder::Int32(builder), S::Int(value)) => builder.append_value(narrow(value)?),
            (ColumnBuilder::Int64(builder), S::Int(value)) => builder.append_value(narrow(value)?),
            // The driver widened it, so that narrowing gives back what it was.
            (ColumnBuilder::Float32(builder), S::Float(value)) => builder.append_value(value as f32),
            (ColumnBuilder::Float64(builder), S::Float(value)) => builder.append_value(value),
            // Where whole numbers are among others.
            (ColumnBuilder::Float64(builder), S::Int(value)) if value.abs() <= EXACT_DOUBLES => {
                builder.append_value(value as f64);
            }
            (ColumnBuilder::Float64(_), S::Int(_)) => return Err(ValueError::Inexact),
            (ColumnBuilder::Decimal(builder, precision, scale), S::Int(value)) => {
                let unscaled = 10i128.checked_pow(scale.unsigned_abs().into());
                let unscaled = unscaled.and_then(|unit| value.checked_mul(unit));
                let unscaled = unscaled.ok_or(ValueError::TooManyDigits)?;
                builder.append_value(decimal::within(unscaled, *precision)?);
            }
            // With the digits that tell it from other doubles.
            (ColumnBuilder::Decimal(builder, precision, scale), S::Float(value)) => {
                let text = value.to_string();
                let value = decimal::of_text(text.as_bytes(), *precision, *scale);
                builder.append_value(value.map_err(|_| ValueError::TooManyDigits)?);
            }
            (ColumnBuilder::Decimal(builder, precision, scale), S::Bytes(text)) => {
                builder.append_value(decimal::of_text(text, *precision, *scale)?);
            }
            (ColumnBuilder::Text(builder), S::Bytes(text)) => {
                builder.append_value(std::str::from_utf8(text).map_err(|_| ValueError::NotUtf8)?);
            }
            (ColumnBuilder::Text(builder), S::Int(value)) => builder.append_value(value.to_string()),
            (ColumnBuilder::Text(builder), S::Float(value)) => builder.append_value(format!("{value:?}")),
            (ColumnBuilder::Binary(builder), S::Bytes(bytes) | S::Blob(bytes)) => builder.append_value(bytes),
            (ColumnBuilder::Binary(builder), S::Int(value)) => builder.append_value(value.to_string()),
            (ColumnBuilder::Binary(builder), S::Float(value)) => builder.append_value(format!("{value:?}")),
            (ColumnBuilder::Date(builder), S::Date(days)) => builder.append_value(days),
            (ColumnBuilder::Timestamp(builder), S::Micros(micros)) => builder.append_value(micros),
            _ => return Err(ValueError::OtherType),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            ColumnBuilder::Boolean(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int16(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Int64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float32(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Float64(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Decimal(builder, ..) => Arc::new(builder.finish()),
            ColumnBuilder::Text(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Binary(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Date(builder) => Arc::new(builder.finish()),
            ColumnBuilder::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Rows that become batches.
pub(crate) struct RowBuilder {
    label: String,
    /// The columns', and that of the misfits.
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    misfits: Misfits,
    rows: usize,
    bytes: usize,
}

impl RowBuilder {
    /// Of those columns; `label` is what is read, for messages.
    pub(crate) fn new(label: &str, columns: &Schema) -> Self {
        Self {
            label: label.to_owned(),
            schema: misfits::schema(columns),
            columns: columns
                .fields()
                .iter()
                .map(|field| ColumnBuilder::new(field.data_type()))
                .collect(),
            misfits: Misfits::default(),
            rows: 0,
            bytes: 0,
        }
    }

    /// The schema of the batches.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds a row; a value that its column cannot hold is null, and taken down as a misfit.
    pub(crate) fn push<'v>(&mut self, row: impl Iterator<Item = Result<Scalar<'v>, BadValue>>) {
        for (number, (column, value)) in self.columns.iter_mut().zip(row).enumerate() {
            let pushed = value.and_then(|value| {
                self.bytes += match value {
                    Scalar::Bytes(bytes) | Scalar::Blob(bytes) => bytes.len(),
                    _ => 8,
                };
                column.push(value).map_err(|error| BadValue {
                    error,
                    text: value.text(),
                })
            });
            if let Err(BadValue { error, text }) = pushed {
                // Every column takes a null.
                let _ = column.push(Scalar::Null);
                self.misfits.add(self.rows, error.misfit(number, text));
            }
        }
        self.rows += 1;
    }

    /// Whether a batch is ready to be taken.
    pub(crate) fn is_full(&self) -> bool {
        is_batch(self.rows, self.bytes)
    }

    /// The rows so far and about how many bytes they are; `None` if there are none.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn take(&mut self) -> Result<Option<ReadBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let misfits = self.misfits.finish(std::mem::take(&mut self.rows))?;
        let bytes = std::mem::take(&mut self.bytes) as u64;
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).chain([misfits]);
        let columns = columns.collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).doing(|| format!("reading {}", self.label))?;
        Ok(Some((batch, bytes)))
    }
}
