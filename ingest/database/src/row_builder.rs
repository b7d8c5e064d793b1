//! Columns of values that a driver has already decoded: those of MySQL and SQLite.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Result};

use crate::decimal;
use crate::feed::{ReadBatch, is_batch};
use crate::value_error::ValueError;

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scalar<'a> {
    Null,
    Int(i128),
    Float(f64),
    /// Text or bytes.
    Bytes(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01 UTC.
    Micros(i64),
}

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
            // Where whole numbers are among others; whoever chose the type knows that they are small enough.
            (ColumnBuilder::Float64(builder), S::Int(value)) => builder.append_value(value as f64),
            (ColumnBuilder::Decimal(builder, precision, 0), S::Int(value)) => {
                builder.append_value(decimal::within(value, *precision)?);
            }
            (ColumnBuilder::Decimal(builder, precision, scale), S::Bytes(text)) => {
                builder.append_value(decimal::of_text(text, *precision, *scale)?);
            }
            (ColumnBuilder::Text(builder), S::Bytes(text)) => {
                builder.append_value(std::str::from_utf8(text).map_err(|_| ValueError::NotUtf8)?);
            }
            (ColumnBuilder::Text(builder), S::Int(value)) => builder.append_value(value.to_string()),
            (ColumnBuilder::Text(builder), S::Float(value)) => builder.append_value(format!("{value:?}")),
            (ColumnBuilder::Binary(builder), S::Bytes(bytes)) => builder.append_value(bytes),
            (ColumnBuilder::Binary(builder), S::Int(value)) => builder.append_value(value.to_string()),
            (ColumnBuilder::Binary(builder), S::Float(value)) => builder.append_value(format!("{value:?}")),
            (ColumnBuilder::Date(builder), S::Date(days)) => builder.append_value(days),
            (ColumnBuilder::Timestamp(builder), S::Micros(micros)) => builder.append_value(micros),
            _ => return Err(ValueError::Malformed),
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
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    rows: usize,
    bytes: usize,
}

impl RowBuilder {
    /// Of that schema; `label` is what is read, for messages.
    pub(crate) fn new(label: &str, schema: SchemaRef) -> Self {
        Self {
            label: label.to_owned(),
            columns: schema
                .fields()
                .iter()
                .map(|field| ColumnBuilder::new(field.data_type()))
                .collect(),
            schema,
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A value that its column cannot hold.
    pub(crate) fn push<'v>(&mut self, row: impl Iterator<Item = Result<Scalar<'v>, ValueError>>) -> Result<()> {
        for (number, (column, value)) in self.columns.iter_mut().zip(row).enumerate() {
            let pushed = value.and_then(|value| {
                self.bytes += match value {
                    Scalar::Bytes(bytes) => bytes.len(),
                    _ => 8,
                };
                column.push(value)
            });
            pushed.map_err(|error| error.at(&self.label, self.schema.field(number).name()))?;
        }
        self.rows += 1;
        Ok(())
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
        self.rows = 0;
        let bytes = std::mem::take(&mut self.bytes) as u64;
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).doing(|| format!("reading {}", self.label))?;
        Ok(Some((batch, bytes)))
    }
}
