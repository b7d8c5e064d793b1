//! Columns of values that a driver has already decoded: those of MySQL and SQLite.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder,
    Int16Builder, Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Result};

use super::decimal;
use super::unreadable::Unreadable;

/// A batch is full with so many rows, or bytes of text.
const BATCH_ROWS: usize = 16 * 1024;
const BATCH_BYTES: usize = 8 << 20;

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

enum Column {
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

impl Column {
    fn new(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Column::Boolean(BooleanBuilder::new()),
            DataType::Int16 => Column::Int16(Int16Builder::new()),
            DataType::Int32 => Column::Int32(Int32Builder::new()),
            DataType::Int64 => Column::Int64(Int64Builder::new()),
            DataType::Float32 => Column::Float32(Float32Builder::new()),
            DataType::Float64 => Column::Float64(Float64Builder::new()),
            DataType::Decimal128(precision, scale) => {
                let builder = Decimal128Builder::new().with_data_type(data_type.clone());
                Column::Decimal(builder, *precision, *scale)
            }
            DataType::Binary => Column::Binary(BinaryBuilder::new()),
            DataType::Date32 => Column::Date(Date32Builder::new()),
            DataType::Timestamp(..) => Column::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            _ => Column::Text(StringBuilder::new()),
        }
    }

    fn push(&mut self, value: Scalar<'_>) -> Result<(), Unreadable> {
        use Scalar as S;
        fn narrow<T: TryFrom<i128>>(value: i128) -> Result<T, Unreadable> {
            T::try_from(value).map_err(|_| Unreadable::Malformed)
        }
        match (self, value) {
            (Column::Boolean(builder), S::Null) => builder.append_null(),
            (Column::Int16(builder), S::Null) => builder.append_null(),
            (Column::Int32(builder), S::Null) => builder.append_null(),
            (Column::Int64(builder), S::Null) => builder.append_null(),
            (Column::Float32(builder), S::Null) => builder.append_null(),
            (Column::Float64(builder), S::Null) => builder.append_null(),
            (Column::Decimal(builder, ..), S::Null) => builder.append_null(),
            (Column::Text(builder), S::Null) => builder.append_null(),
            (Column::Binary(builder), S::Null) => builder.append_null(),
            (Column::Date(builder), S::Null) => builder.append_null(),
            (Column::Timestamp(builder), S::Null) => builder.append_null(),
            (Column::Boolean(builder), S::Int(value @ (0 | 1))) => builder.append_value(value == 1),
            (Column::Boolean(_), S::Int(_)) => return Err(Unreadable::NeitherTrueNorFalse),
            (Column::Int16(builder), S::Int(value)) => builder.append_value(narrow(value)?),
            (Column::Int32(builder), S::Int(value)) => builder.append_value(narrow(value)?),
            (Column::Int64(builder), S::Int(value)) => builder.append_value(narrow(value)?),
            // The driver widened it, so that narrowing gives back what it was.
            (Column::Float32(builder), S::Float(value)) => builder.append_value(value as f32),
            (Column::Float64(builder), S::Float(value)) => builder.append_value(value),
            // Where whole numbers are among others; whoever chose the type knows that they are small enough.
            (Column::Float64(builder), S::Int(value)) => builder.append_value(value as f64),
            (Column::Decimal(builder, precision, 0), S::Int(value)) => {
                builder.append_value(decimal::within(value, *precision)?);
            }
            (Column::Decimal(builder, precision, scale), S::Bytes(text)) => {
                builder.append_value(decimal::of_text(text, *precision, *scale)?);
            }
            (Column::Text(builder), S::Bytes(text)) => {
                builder.append_value(std::str::from_utf8(text).map_err(|_| Unreadable::NotUtf8)?);
            }
            (Column::Text(builder), S::Int(value)) => builder.append_value(value.to_string()),
            (Column::Text(builder), S::Float(value)) => builder.append_value(format!("{value:?}")),
            (Column::Binary(builder), S::Bytes(bytes)) => builder.append_value(bytes),
            (Column::Binary(builder), S::Int(value)) => builder.append_value(value.to_string()),
            (Column::Binary(builder), S::Float(value)) => builder.append_value(format!("{value:?}")),
            (Column::Date(builder), S::Date(days)) => builder.append_value(days),
            (Column::Timestamp(builder), S::Micros(micros)) => builder.append_value(micros),
            _ => return Err(Unreadable::Malformed),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Boolean(builder) => Arc::new(builder.finish()),
            Column::Int16(builder) => Arc::new(builder.finish()),
            Column::Int32(builder) => Arc::new(builder.finish()),
            Column::Int64(builder) => Arc::new(builder.finish()),
            Column::Float32(builder) => Arc::new(builder.finish()),
            Column::Float64(builder) => Arc::new(builder.finish()),
            Column::Decimal(builder, ..) => Arc::new(builder.finish()),
            Column::Text(builder) => Arc::new(builder.finish()),
            Column::Binary(builder) => Arc::new(builder.finish()),
            Column::Date(builder) => Arc::new(builder.finish()),
            Column::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Rows that become batches.
pub(crate) struct Builder {
    label: String,
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl Builder {
    /// Of that schema; `label` is what is read, for messages.
    pub(crate) fn new(label: &str, schema: SchemaRef) -> Self {
        Self {
            label: label.to_owned(),
            columns: schema
                .fields()
                .iter()
                .map(|field| Column::new(field.data_type()))
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
    pub(crate) fn push<'v>(&mut self, row: impl Iterator<Item = Result<Scalar<'v>, Unreadable>>) -> Result<()> {
        for (number, (column, value)) in self.columns.iter_mut().zip(row).enumerate() {
            let pushed = value.and_then(|value| {
                self.bytes += match value {
                    Scalar::Bytes(bytes) => bytes.len(),
                    _ => 8,
                };
                column.push(value)
            });
            pushed.map_err(|unreadable| unreadable.refuse(&self.label, self.schema.field(number).name()))?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Whether a batch is ready to be taken.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows so far and about how many bytes they are; `None` if there are none.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn take(&mut self) -> Result<Option<(RecordBatch, u64)>> {
        if self.rows == 0 {
            return Ok(None);
        }
        self.rows = 0;
        let bytes = std::mem::take(&mut self.bytes) as u64;
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).doing(|| format!("reading {}", self.label))?;
        Ok(Some((batch, bytes)))
    }
}
