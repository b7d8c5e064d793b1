//! One column's values on their way from PostgreSQL's formats into an Arrow array.
//!
//! Binary values come from `COPY … (FORMAT binary)`, text values from the replication log; both say the same.
//! Source: src/backend/utils/adt of PostgreSQL, the `*send` and `*out` functions.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, GenericByteArray, ListArray, NullBufferBuilder,
    PrimitiveArray, StringArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, Utf8Type,
};
use chrono_tz::Tz;
use cordada_ingest_formats::values::time::Clock;
use cordada_ingest_source::misfits::Misfits;

use super::numeric;
use super::text_format::{date_of_text, hex, instant_of_text, local_of_text, push_array_text};
use crate::decimal;
use crate::value_error::{ValueError, digits, shown};

/// Days from 1970-01-01 to PostgreSQL's 2000-01-01, and the same in microseconds.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Days before and after 1970-01-01 that the lake's engine can show: about 260,000 years.
const MOST_DAYS: i32 = 95_000_000;
const MOST_MICROS: i64 = MOST_DAYS as i64 * 86_400_000_000;

/// What a column's values are, and so how they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    Int16,
    Int32,
    Int64,
    /// An unsigned 32-bit number.
    Oid,
    Float32,
    Float64,
    /// `numeric` of known precision and scale.
    Decimal(u8, i8),
    /// `numeric` of any, as text.
    Numeric,
    /// Whatever PostgreSQL sends as UTF-8, or was asked to cast to text.
    Text,
    /// Text behind one byte with the format's version.
    Jsonb,
    Uuid,
    Binary,
    Date,
    /// A time on clocks of that zone.
    Timestamp(Tz),
    Timestamptz,
    List(Box<Kind>),
}

impl Kind {
    /// The Arrow type.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Kind::Boolean => DataType::Boolean,
            Kind::Int16 => DataType::Int16,
            Kind::Int32 => DataType::Int32,
            Kind::Int64 | Kind::Oid => DataType::Int64,
            Kind::Float32 => DataType::Float32,
            Kind::Float64 => DataType::Float64,
            Kind::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Kind::Numeric | Kind::Text | Kind::Jsonb | Kind::Uuid => DataType::Utf8,
            Kind::Binary => DataType::Binary,
            Kind::Date => DataType::Date32,
            Kind::Timestamp(_) | Kind::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::List(item) => DataType::List(Arc::new(Field::new("element", item.data_type(), true))),
        }
    }
}

type Read<T = ()> = Result<T, ValueError>;

/// The values of one column so far.
pub(crate) struct Column {
    values: Values,
    nulls: NullBufferBuilder,
}

enum Values {
    Boolean(BooleanBufferBuilder),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Oid(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    Decimal(Vec<i128>, u8, i8),
    Numeric(Bytes),
    Text(Bytes),
    Jsonb(Bytes),
    Uuid(Bytes),
    Binary(Bytes),
    Date(Vec<i32>),
    Timestamp(Vec<i64>, Clock),
    Timestamptz(Vec<i64>),
    List(Vec<i32>, Box<Column>, DataType),
}

/// Values of different lengths, one behind the other.
struct Bytes {
    ends: Vec<i32>,
    bytes: Vec<u8>,
}

impl Bytes {
    fn new() -> Self {
        Self {
            ends: vec![0],
            bytes: Vec::new(),
        }
    }

    #[inline]
    fn push(&mut self, value: &[u8]) -> Read {
        self.bytes.extend_from_slice(value);
        self.end()
    }

    /// Ends the value whose bytes have been written.
    #[inline]
    fn end(&mut self) -> Read {
        self.ends
            .push(i32::try_from(self.bytes.len()).map_err(|_| ValueError::Malformed)?);
        Ok(())
    }

    /// Keeps so many values.
    fn truncate(&mut self, count: usize) {
        self.ends.truncate(count + 1);
        self.bytes.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Vec<u8>) {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes.reserve(bytes.len());
        (OffsetBuffer::new(ScalarBuffer::from(ends)), bytes)
    }
}

impl Column {
    /// An empty column.
    pub(crate) fn new(kind: &Kind) -> Self {
        let values = match kind {
            Kind::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            Kind::Int16 => Values::Int16(Vec::new()),
            Kind::Int32 => Values::Int32(Vec::new()),
            Kind::Int64 => Values::Int64(Vec::new()),
            Kind::Oid => Values::Oid(Vec::new()),
            Kind::Float32 => Values::Float32(Vec::new()),
            Kind::Float64 => Values::Float64(Vec::new()),
            Kind::Decimal(precision, scale) => Values::Decimal(Vec::new(), *precision, *scale),
            Kind::Numeric => Values::Numeric(Bytes::new()),
            Kind::Text => Values::Text(Bytes::new()),
            Kind::Jsonb => Values::Jsonb(Bytes::new()),
            Kind::Uuid => Values::Uuid(Bytes::new()),
            Kind::Binary => Values::Binary(Bytes::new()),
            Kind::Date => Values::Date(Vec::new()),
            Kind::Timestamp(zone) => Values::Timestamp(Vec::new(), Clock::new(*zone)),
            Kind::Timestamptz => Values::Timestamptz(Vec::new()),
            Kind::List(item) => Values::List(vec![0], Box::new(Column::new(item)), item.data_type()),
        };
        Self {
            values,
            nulls: NullBufferBuilder::new(0),
        }
    }

    /// Adds a null.
    #[inline]
    pub(crate) fn push_null(&mut self) {
        self.nulls.append_null();
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) | Values::Date(values) => values.push(0),
            Values::Int64(values)
            | Values::Oid(values)
            | Values::Timestamp(values, _)
            | Values::Timestamptz(values) => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal(values, ..) => values.push(0),
            Values::Numeric(values)
            | Values::Text(values)
            | Values::Jsonb(values)
            | Values::Uuid(values)
            | Values::Binary(values) => values.ends.push(values.ends.last().copied().unwrap_or_default()),
            Values::List(ends, ..) => ends.push(ends.last().copied().unwrap_or_default()),
        }
    }

    /// Adds a value of the binary format.
    #[inline]
    pub(crate) fn push_binary(&mut self, value: &[u8]) -> Read {
        match &mut self.values {
            Values::Boolean(values) => values.append(fixed::<1>(value)? != [0]),
            Values::Int16(values) => values.push(i16::from_be_bytes(fixed(value)?)),
            Values::Int32(values) => values.push(i32::from_be_bytes(fixed(value)?)),
            Values::Int64(values) => values.push(i64::from_be_bytes(fixed(value)?)),
            Values::Oid(values) => values.push(u32::from_be_bytes(fixed(value)?).into()),
            Values::Float32(values) => values.push(f32::from_be_bytes(fixed(value)?)),
            Values::Float64(values) => values.push(f64::from_be_bytes(fixed(value)?)),
            Values::Decimal(values, precision, scale) => values.push(numeric::decimal(value, *precision, *scale)?),
            Values::Numeric(values) => {
                numeric::text(value, &mut values.bytes)?;
                values.end()?;
            }
            Values::Text(values) | Values::Binary(values) => values.push(value)?,
            Values::Jsonb(values) => match value.split_first() {
                Some((1, text)) => values.push(text)?,
                _ => return Err(ValueError::Malformed),
            },
            Values::Uuid(values) => {
                uuid(fixed(value)?, &mut values.bytes);
                values.end()?;
            }
            Values::Date(values) => values.push(date(i32::from_be_bytes(fixed(value)?))?),
            Values::Timestamp(values, clock) => {
                values.push(clock.utc_of_local(timestamp(i64::from_be_bytes(fixed(value)?))?));
            }
            Values::Timestamptz(values) => values.push(timestamp(i64::from_be_bytes(fixed(value)?))?),
            Values::List(ends, items, _) => {
                push_array(value, items)?;
                ends.push(i32::try_from(items.len()).map_err(|_| ValueError::Malformed)?);
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Adds a value of the text format, as the session's settings write it.
    pub(crate) fn push_text(&mut self, value: &[u8]) -> Read {
        fn number<T: std::str::FromStr>(value: &[u8]) -> Read<T> {
            let text = std::str::from_utf8(value).map_err(|_| ValueError::Malformed)?;
            text.parse().map_err(|_| ValueError::Malformed)
        }
        match &mut self.values {
            Values::Boolean(values) => match value {
                b"t" => values.append(true),
                b"f" => values.append(false),
                _ => return Err(ValueError::Malformed),
            },
            Values::Int16(values) => values.push(number(value)?),
            Values::Int32(values) => values.push(number(value)?),
            Values::Int64(values) => values.push(number(value)?),
            Values::Oid(values) => values.push(number::<u32>(value)?.into()),
            Values::Float32(values) => values.push(number(value)?),
            Values::Float64(values) => values.push(number(value)?),
            Values::Decimal(values, precision, scale) => {
                values.push(decimal::of_text(value, *precision, *scale)?);
            }
            Values::Numeric(values) | Values::Text(values) | Values::Jsonb(values) | Values::Uuid(values) => {
                values.push(value)?;
            }
            Values::Binary(values) => {
                hex(
                    value.strip_prefix(b"\\x").ok_or(ValueError::Malformed)?,
                    &mut values.bytes,
                )?;
                values.end()?;
            }
            Values::Date(values) => values.push(date_of_text(value)?),
            Values::Timestamp(values, clock) => values.push(clock.utc_of_local(local_of_text(value)?)),
            Values::Timestamptz(values) => values.push(instant_of_text(value)?),
            Values::List(ends, items, _) => {
                push_array_text(value, items)?;
                ends.push(i32::try_from(items.len()).map_err(|_| ValueError::Malformed)?);
            }
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.nulls.len()
    }

    /// Adds a null in place of a value that could not be read, of which some may have been.
    #[cold]
    pub(crate) fn push_misfit(&mut self) {
        self.truncate(self.len());
        self.push_null();
    }

    /// Keeps so many values.
    fn truncate(&mut self, count: usize) {
        self.nulls.truncate(count);
        match &mut self.values {
            Values::Boolean(values) => values.truncate(count),
            Values::Int16(values) => values.truncate(count),
            Values::Int32(values) | Values::Date(values) => values.truncate(count),
            Values::Int64(values)
            | Values::Oid(values)
            | Values::Timestamp(values, _)
            | Values::Timestamptz(values) => values.truncate(count),
            Values::Float32(values) => values.truncate(count),
            Values::Float64(values) => values.truncate(count),
            Values::Decimal(values, ..) => values.truncate(count),
            Values::Numeric(values)
            | Values::Text(values)
            | Values::Jsonb(values)
            | Values::Uuid(values)
            | Values::Binary(values) => values.truncate(count),
            Values::List(ends, items, _) => {
                ends.truncate(count + 1);
                items.truncate(ends.last().map_or(0, |end| *end as usize));
            }
        }
    }

    /// A value of the binary format that could not be read, as PostgreSQL writes it; in digits if even that is not
    /// known.
    #[cold]
    pub(crate) fn text_of_binary(&self, value: &[u8]) -> String {
        let infinite = |is_positive: bool| if is_positive { "infinity" } else { "-infinity" }.to_owned();
        let text = match &self.values {
            Values::Decimal(..) | Values::Numeric(_) => {
                let mut text = Vec::new();
                numeric::text(value, &mut text).is_ok().then(|| shown(&text))
            }
            Values::Date(_) => match fixed(value).map(i32::from_be_bytes) {
                Ok(days @ (i32::MAX | i32::MIN)) => Some(infinite(days > 0)),
                _ => None,
            },
            Values::Timestamp(..) | Values::Timestamptz(_) => match fixed(value).map(i64::from_be_bytes) {
                Ok(micros @ (i64::MAX | i64::MIN)) => Some(infinite(micros > 0)),
                _ => None,
            },
            Values::Text(_) => Some(shown(value)),
            _ => None,
        };
        text.unwrap_or_else(|| digits(value))
    }

    /// As [`Column::finish`], with what is not UTF-8 among the misfits of the column at that position.
    pub(crate) fn finish_into(&mut self, at: usize, misfits: &mut Misfits) -> ArrayRef {
        let (array, broken) = self.finish();
        for (row, value) in broken {
            misfits.add(row, ValueError::NotUtf8.misfit(at, value));
        }
        array
    }

    /// The values, after which the column is empty; and texts that are not UTF-8, which are null then, by their rows.
    fn finish(&mut self) -> (ArrayRef, Vec<(usize, String)>) {
        let mut broken = Vec::new();
        let nulls = self.nulls.finish();
        fn array<T: ArrowPrimitiveType>(values: &mut Vec<T::Native>, nulls: Option<NullBuffer>) -> PrimitiveArray<T> {
            let capacity = values.len();
            let values = std::mem::replace(values, Vec::with_capacity(capacity));
            PrimitiveArray::new(ScalarBuffer::from(values), nulls)
        }
        let utc = |array: PrimitiveArray<TimestampMicrosecondType>| Arc::new(array.with_timezone("UTC"));
        let array: ArrayRef = match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int16(values) => Arc::new(array::<Int16Type>(values, nulls)),
            Values::Int32(values) => Arc::new(array::<Int32Type>(values, nulls)),
            Values::Int64(values) | Values::Oid(values) => Arc::new(array::<Int64Type>(values, nulls)),
            Values::Float32(values) => Arc::new(array::<Float32Type>(values, nulls)),
            Values::Float64(values) => Arc::new(array::<Float64Type>(values, nulls)),
            Values::Decimal(values, precision, scale) => {
                let data_type = DataType::Decimal128(*precision, *scale);
                Arc::new(array::<Decimal128Type>(values, nulls).with_data_type(data_type))
            }
            Values::Numeric(values) | Values::Text(values) | Values::Jsonb(values) | Values::Uuid(values) => {
                let (ends, bytes) = values.take();
                let bytes = Buffer::from_vec(bytes);
                // Checks all of the text at once, which is faster than one value after the other.
                match GenericByteArray::<Utf8Type>::try_new(ends.clone(), bytes.clone(), nulls.clone()) {
                    Ok(text) => Arc::new(text),
                    Err(_) => Arc::new(whole_texts(&BinaryArray::new(ends, bytes, nulls), &mut broken)),
                }
            }
            Values::Binary(values) => {
                let (ends, bytes) = values.take();
                Arc::new(BinaryArray::new(ends, bytes.into(), nulls))
            }
            Values::Date(values) => Arc::new(array::<Date32Type>(values, nulls)),
            Values::Timestamp(values, _) | Values::Timestamptz(values) => utc(array(values, nulls)),
            Values::List(ends, items, item) => {
                let ends = std::mem::replace(ends, vec![0]);
                let field = Arc::new(Field::new("element", item.clone(), true));
                let (items, broken_items) = items.finish();
                let row = |item: usize| ends.partition_point(|end| *end as usize <= item).saturating_sub(1);
                broken.extend(broken_items.into_iter().map(|(item, value)| (row(item), value)));
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                Arc::new(ListArray::new(field, ends, items, nulls))
            }
        };
        (array, broken)
    }
}

/// Those that are UTF-8; the others are null, and taken down.
#[cold]
fn whole_texts(texts: &BinaryArray, broken: &mut Vec<(usize, String)>) -> StringArray {
    let whole = texts.iter().enumerate().map(|(row, bytes)| {
        let bytes = bytes?;
        let text = std::str::from_utf8(bytes).ok();
        if text.is_none() {
            broken.push((row, digits(bytes)));
        }
        text
    });
    whole.collect()
}

#[inline]
fn fixed<const N: usize>(value: &[u8]) -> Read<[u8; N]> {
    value.try_into().map_err(|_| ValueError::Malformed)
}

/// Days since 1970-01-01 of days since 2000-01-01.
#[inline]
fn date(days: i32) -> Read<i32> {
    match days {
        i32::MAX | i32::MIN => Err(ValueError::Infinite),
        days => {
            let days = days
                .checked_add(EPOCH_DAYS)
                .filter(|days| (-MOST_DAYS..=MOST_DAYS).contains(days));
            days.ok_or(ValueError::OutOfRange)
        }
    }
}

/// Microseconds since 1970-01-01 of microseconds since 2000-01-01.
#[inline]
fn timestamp(micros: i64) -> Read<i64> {
    match micros {
        i64::MAX | i64::MIN => Err(ValueError::Infinite),
        micros => {
            let micros = micros.checked_add(EPOCH_MICROS);
            let micros = micros.filter(|micros| (-MOST_MICROS..=MOST_MICROS).contains(micros));
            micros.ok_or(ValueError::OutOfRange)
        }
    }
}

fn uuid(value: [u8; 16], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (at, byte) in value.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

/// The first `N` bytes, which `value` moves behind.
pub(super) fn take<'a>(value: &mut &'a [u8], count: usize) -> Read<&'a [u8]> {
    let (taken, rest) = value.split_at_checked(count).ok_or(ValueError::Malformed)?;
    *value = rest;
    Ok(taken)
}

/// The next four bytes as a number.
pub(super) fn take_i32(value: &mut &[u8]) -> Read<i32> {
    Ok(i32::from_be_bytes(fixed(take(value, 4)?)?))
}

/// Adds the items of an array: dimensions, flags, type, then (length, lower bound) a dimension and the items.
/// Source: `array_send`.
fn push_array(mut value: &[u8], items: &mut Column) -> Read {
    let dimensions = take_i32(&mut value)?;
    take(&mut value, 8)?;
    let count = match dimensions {
        0 => 0,
        1 => {
            let count = take_i32(&mut value)?;
            take(&mut value, 4)?;
            count
        }
        2..=6 => return Err(ValueError::Dimensions),
        _ => return Err(ValueError::Malformed),
    };
    for _ in 0..count {
        match take_i32(&mut value)? {
            -1 => items.push_null(),
            length => {
                let length = usize::try_from(length).map_err(|_| ValueError::Malformed)?;
                items.push_binary(take(&mut value, length)?)?;
            }
        }
    }
    if value.is_empty() {
        Ok(())
    } else {
        Err(ValueError::Malformed)
    }
}
