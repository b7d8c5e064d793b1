//! Casts as PostgreSQL does them, where the engine's differ: the text of times, floats and intervals, what text says, and how
//! numbers are rounded. Everything else is left to the engine.

pub(in crate::query) mod intervals;
mod kinds;
mod lists;
mod named;
mod numbers;
pub(in crate::query) mod numeric;
pub(in crate::query) mod shown;
mod text;
mod times;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, DurationMicrosecondArray, Float32Array,
    Float64Array, Int64Array, IntervalMonthDayNanoArray, StringArray, Time64NanosecondArray,
};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, FieldRef, Float32Type, Float64Type, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::Functions;
use super::dates::values::{Moments, Span, Spans, collect};
use super::dates::zones::Zone;
use super::definition::udfs;

/// Where the page of functions has them.
const FAMILY: &str = "Types and casts";

/// What becomes of a value that has no equal in the type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::query) enum OnFailure {
    /// `cast`
    Error,
    /// `try_cast`
    Null,
}

/// What a cast becomes that fails where there is no value.
pub(in crate::query) const CAST: &str = "cast_as";

/// `cast_as` and `try_cast_as`: what casts become where PostgreSQL's answer is another than the engine's.
pub(super) fn all() -> Functions {
    Functions {
        scalar: [
            cast_as(OnFailure::Error),
            cast_as(OnFailure::Null),
            named::function(),
            shown::function(),
            numeric::function(OnFailure::Error),
            numeric::function(OnFailure::Null),
        ]
        .into_iter()
        .chain(udfs(kinds::DEFINITIONS))
        .collect(),
        ..Functions::default()
    }
}

/// The function that casts.
pub(in crate::query) fn cast_as(on_failure: OnFailure) -> Arc<ScalarUDF> {
    let name = match on_failure {
        OnFailure::Error => CAST,
        OnFailure::Null => "try_cast_as",
    };
    let section = DocSection {
        include: true,
        label: FAMILY,
        description: None,
    };
    let about = match on_failure {
        OnFailure::Error => "A value in the type of another; an error if it has no equal there. What `cast` becomes.",
        OnFailure::Null => "A value in the type of another; null if it has no equal there. What `try_cast` becomes.",
    };
    let documentation = Documentation::builder(section, about, format!("{name}(value, of_type)"))
        .with_sql_example(format!("select {name}('42', 0)"))
        .build();
    Arc::new(ScalarUDF::from(CastAs {
        name,
        on_failure,
        signature: Signature::any(2, Volatility::Immutable),
        documentation,
    }))
}

/// Whether the engine's cast between these types is not PostgreSQL's.
pub(in crate::query) fn differs(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return false;
    }
    match (from, to) {
        (from, to) if is_text(to) => {
            from.is_floating()
                || matches!(
                    from,
                    T::Timestamp(..)
                        | T::Date32
                        | T::Date64
                        | T::Time32(_)
                        | T::Time64(_)
                        | T::Interval(_)
                        | T::Duration(_)
                )
                || is_list(from)
        }
        (from, to) if is_text(from) => {
            to.is_numeric()
                || matches!(
                    to,
                    T::Timestamp(..)
                        | T::Date32
                        | T::Date64
                        | T::Time32(_)
                        | T::Time64(_)
                        | T::Interval(_)
                        | T::Duration(_)
                        | T::Boolean
                        | T::Binary
                        | T::BinaryView
                        | T::LargeBinary
                        | T::List(_)
                )
        }
        (T::Float64, T::Float32) => true,
        (from, to) if from.is_floating() => to.is_integer() || is_decimal(to),
        // The engine's cast divides what may have more digits than a float by what may be none.
        (T::Decimal128(..), T::Float32 | T::Float64) => true,
        (from, to) if is_decimal(from) => to.is_integer(),
        (T::Duration(_), T::Interval(_)) | (T::Interval(_), T::Duration(_)) => true,
        (from, to) => match (item(from), item(to)) {
            (Some(from), Some(to)) => differs(from.data_type(), to.data_type()),
            _ => false,
        },
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_list(data_type: &DataType) -> bool {
    item(data_type).is_some()
}

/// What the items of a list are.
fn item(list: &DataType) -> Option<&FieldRef> {
    match list {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => Some(item),
        _ => None,
    }
}

fn is_decimal(data_type: &DataType) -> bool {
    use DataType as T;
    matches!(
        data_type,
        T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..)
    )
}

/// The array in the type.
///
/// # Errors
/// Execution: a value has no equal there, unless that is to give null.
pub(in crate::query) fn cast_array(array: &ArrayRef, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef> {
    use DataType as T;
    let from = array.data_type();
    if !differs(from, to) {
        return by_engine(array, to, on_failure);
    }
    let made: ArrayRef = if is_text(to) {
        to_text(array)?
    } else if is_text(from) {
        let texts = cast(array, &T::Utf8)?;
        of_text(texts.as_string(), to, on_failure)?
    } else if let Some(item) = item(to) {
        lists::of_items(array, item, on_failure)?
    } else if let (T::Float64, T::Float32) = (from, to) {
        narrow(array, on_failure)?
    } else if from.is_floating() && is_decimal(to) {
        let rows: Box<dyn Iterator<Item = Option<String>>> = match from {
            T::Float32 => {
                let array = array.as_primitive::<Float32Type>();
                Box::new(array.iter().map(|value| value.map(|value| format!("{value:.5e}"))))
            }
            _ => {
                let array = cast(array, &T::Float64)?;
                let values: Vec<_> = array.as_primitive::<Float64Type>().iter().collect();
                Box::new(
                    values
                        .into_iter()
                        .map(|value| value.map(|value| format!("{value:.14e}"))),
                )
            }
        };
        decimals(rows, to, on_failure)?
    } else if from.is_floating() {
        let array = cast(array, &T::Float64)?;
        let values = array.as_primitive::<Float64Type>().iter();
        integers(values.map(|value| value.map(numbers::of_float)), to, on_failure)?
    } else if let (T::Decimal128(_, scale), true) = (from, to.is_floating()) {
        let values = array.as_primitive::<Decimal128Type>();
        let doubles: Float64Array = values.unary(|value| numbers::double(value, *scale));
        match to {
            T::Float32 => narrow(&(Arc::new(doubles) as ArrayRef), on_failure)?,
            _ => Arc::new(doubles),
        }
    } else if is_decimal(from) {
        let scale = match from {
            T::Decimal32(_, scale) | T::Decimal64(_, scale) | T::Decimal128(_, scale) | T::Decimal256(_, scale) => {
                *scale
            }
            _ => 0,
        };
        let array = cast(array, &T::Decimal128(38, scale))?;
        let values = array.as_primitive::<Decimal128Type>().iter();
        integers(
            values.map(|value| value.map(|value| numbers::of_decimal(value, scale))),
            to,
            on_failure,
        )?
    } else {
        intervals_and_durations(array, to)?
    };
    by_engine(&made, to, on_failure)
}

/// The engine's own cast, into the other representations of what was made here.
fn by_engine(array: &ArrayRef, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(array.clone());
    }
    let options = CastOptions {
        safe: on_failure == OnFailure::Null,
        ..CastOptions::default()
    };
    Ok(cast_with_options(array, to, &options)?)
}

/// Doubles as floats of 32 bits, if they are in their range.
fn narrow(array: &ArrayRef, on_failure: OnFailure) -> Result<ArrayRef> {
    let rows = array
        .as_primitive::<Float64Type>()
        .iter()
        .map(|value| match value.map(|value| (value, value as f32)) {
            Some((value, narrow)) if narrow.is_infinite() && value.is_finite() || narrow == 0.0 && value != 0.0 => {
                misfit(
                    on_failure,
                    &DataType::Float32,
                    "the number is out of range for type real",
                )
            }
            other => Ok(other.map(|(_, narrow)| narrow)),
        });
    Ok(Arc::new(rows.collect::<Result<Float32Array>>()?))
}

fn intervals_and_durations(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match to {
        DataType::Interval(_) => {
            let array = cast(array, &DataType::Duration(TimeUnit::Microsecond))?;
            let spans = Spans::of(&array)?;
            super::dates::values::collect_spans((0..array.len()).map(|row| Ok(spans.get(row))))
        }
        _ => {
            let array = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let spans = Spans::of(&array)?;
            let micros =
                |span: Span| i64::try_from(span.total()).map_err(|_| exec_datafusion_err!("interval out of range"));
            let rows = (0..array.len()).map(|row| spans.get(row).map(micros).transpose());
            collect(&DataType::Duration(TimeUnit::Microsecond), rows)
        }
    }
}

fn to_text(array: &ArrayRef) -> Result<ArrayRef> {
    use DataType as T;
    let texts: StringArray = match array.data_type() {
        T::Float32 => array
            .as_primitive::<Float32Type>()
            .iter()
            .map(|value| value.map(text::float32))
            .collect(),
        T::Float16 | T::Float64 => {
            let array = cast(array, &T::Float64)?;
            array
                .as_primitive::<Float64Type>()
                .iter()
                .map(|value| value.map(text::float64))
                .collect()
        }
        T::Date32 => array
            .as_primitive::<Date32Type>()
            .iter()
            .map(|days| days.map(|days| text::date(days.into())))
            .collect(),
        T::Date64 => return to_text(&cast(array, &T::Date32)?),
        T::Time32(_) | T::Time64(_) => {
            let array = cast(array, &T::Time64(TimeUnit::Nanosecond))?;
            let moments = Moments::of(&array)?;
            let rows = moments.locals().map(|local| Ok(local?.map(text::time)));
            rows.collect::<Result<_>>()?
        }
        T::Timestamp(_, zone) => {
            let array = cast(array, &T::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            let moments = Moments::of(&array)?;
            let zone = zone.as_ref().map(|_| moments.zone());
            let rows = moments
                .locals()
                .map(|local| local?.map(|local| text::moment(local, zone)).transpose());
            rows.collect::<Result<_>>()?
        }
        T::Interval(_) | T::Duration(_) => {
            let own = match array.data_type() {
                T::Interval(_) => T::Interval(IntervalUnit::MonthDayNano),
                _ => T::Duration(TimeUnit::Microsecond),
            };
            let array = cast(array, &own)?;
            let spans = Spans::of(&array)?;
            (0..array.len()).map(|row| spans.get(row).map(text::interval)).collect()
        }
        list if is_list(list) => lists::to_text(array)?,
        other => return internal_err!("{other} has its text from the engine"),
    };
    Ok(Arc::new(texts))
}

/// A row that has no equal in the type.
fn misfit<T>(on_failure: OnFailure, to: &DataType, why: &str) -> Result<Option<T>> {
    match on_failure {
        OnFailure::Null => Ok(None),
        // The text itself may be personal.
        OnFailure::Error => exec_err!("cannot cast to {}: {why}", type_name(to)),
    }
}

/// What texts say.
fn of_text(texts: &StringArray, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef> {
    use DataType as T;
    let name = type_name(to);
    let syntax = format!("invalid input syntax for type {name}");
    macro_rules! each {
        ($array:ty, $parse:expr) => {{
            let rows = texts.iter().map(|text| match text.map($parse) {
                None => Ok(None),
                Some(Some(value)) => Ok(Some(value)),
                Some(None) => misfit(on_failure, to, &syntax),
            });
            Arc::new(rows.collect::<Result<$array>>()?)
        }};
    }
    Ok(match to {
        T::List(item) => lists::of_text(texts, item, on_failure)?,
        T::Boolean => each!(BooleanArray, numbers::boolean),
        T::Date32 | T::Date64 => {
            let rows = texts.iter().map(|text| match text.map(times::parse) {
                None => Ok(None),
                Some(Ok(time)) => Ok(Some(time.local)),
                Some(Err(why)) => misfit(on_failure, to, &why),
            });
            collect(&T::Date32, rows)?
        }
        T::Timestamp(_, zone) => {
            let own = zone.as_deref().map(Zone::of_type).transpose()?;
            let rows = texts.iter().map(|text| match text.map(times::parse) {
                None => Ok(None),
                // As in PostgreSQL, a timestamp without zone does not look at the text's.
                Some(Ok(time)) => match (own, time.zone) {
                    (None, _) | (Some(_), None) => Ok(Some(time.local)),
                    (Some(own), Some(zone)) => own.to_local(zone.to_instant(time.local)?).map(Some),
                },
                Some(Err(why)) => misfit(on_failure, to, &why),
            });
            collect(&T::Timestamp(TimeUnit::Microsecond, zone.clone()), rows)?
        }
        T::Time32(_) | T::Time64(_) => {
            each!(Time64NanosecondArray, |text| times::parse_time(text)
                .map(|micros| micros * 1000))
        }
        T::Interval(_) => {
            let rows = texts
                .iter()
                .map(|text| match text.map(|text| intervals::parse(text, None)) {
                    None => Ok(None),
                    Some(Some(span)) => span.to_engine().map(Some),
                    Some(None) => misfit(on_failure, to, &syntax),
                });
            Arc::new(rows.collect::<Result<IntervalMonthDayNanoArray>>()?)
        }
        T::Duration(_) => each!(DurationMicrosecondArray, |text| {
            i64::try_from(intervals::parse(text, None)?.total()).ok()
        }),
        T::Float16 | T::Float32 | T::Float64 => {
            let parse = match to {
                T::Float64 => numbers::float64,
                _ => numbers::float32,
            };
            let rows = texts.iter().map(|text| match text.map(parse) {
                None => Ok(None),
                Some(numbers::Float::Is(value)) => Ok(Some(value)),
                Some(numbers::Float::OutOfRange) => {
                    misfit(on_failure, to, &format!("the number is out of range for type {name}"))
                }
                Some(numbers::Float::IsNone) => misfit(on_failure, to, &syntax),
            });
            Arc::new(rows.collect::<Result<Float64Array>>()?)
        }
        T::Binary | T::BinaryView | T::LargeBinary => {
            let rows: Vec<_> = texts
                .iter()
                .map(|text| match text.map(numbers::bytes) {
                    None => Ok(None),
                    Some(Some(bytes)) => Ok(Some(bytes)),
                    Some(None) => misfit(on_failure, to, &syntax),
                })
                .collect::<Result<_>>()?;
            Arc::new(rows.iter().map(Option::as_deref).collect::<BinaryArray>())
        }
        to if is_decimal(to) => decimals(texts.iter().map(|text| text.map(str::to_owned)), to, on_failure)?,
        to if to.is_integer() => integers(texts.iter().map(|text| text.map(numbers::integer)), to, on_failure)?,
        other => return internal_err!("the engine reads {other} from text"),
    })
}

/// Decimals of texts, in the scale of the type.
fn decimals(texts: impl Iterator<Item = Option<String>>, to: &DataType, on_failure: OnFailure) -> Result<ArrayRef> {
    use DataType as T;
    let (precision, scale) = match to {
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => (*precision, *scale),
        other => return internal_err!("{other} is not a decimal"),
    };
    if precision > 38 {
        let texts: StringArray = texts.collect();
        let texts: ArrayRef = Arc::new(texts);
        return by_engine(&texts, to, on_failure);
    }
    let limit = 10_i128.pow(precision.into());
    let rows = texts.map(|text| match text.as_deref().map(|text| numbers::decimal(text, scale)) {
        None => Ok(None),
        Some(numbers::Decimal::Is(value)) if value.abs() < limit => Ok(Some(value)),
        Some(numbers::Decimal::Is(_) | numbers::Decimal::TooLarge) => {
            misfit(on_failure, to, "numeric field overflow: the number is out of range")
        }
        Some(numbers::Decimal::IsNone) => misfit(on_failure, to, "invalid input syntax for type numeric"),
    });
    let array = rows.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(array.with_precision_and_scale(precision, scale)?))
}

/// Whole numbers, if they are in the range of the type.
fn integers(
    rows: impl Iterator<Item = Option<numbers::Integer>>,
    to: &DataType,
    on_failure: OnFailure,
) -> Result<ArrayRef> {
    use DataType as T;
    let (least, greatest): (i128, i128) = match to {
        T::Int8 => (i8::MIN.into(), i8::MAX.into()),
        T::Int16 => (i16::MIN.into(), i16::MAX.into()),
        T::Int32 => (i32::MIN.into(), i32::MAX.into()),
        T::UInt8 => (0, u8::MAX.into()),
        T::UInt16 => (0, u16::MAX.into()),
        T::UInt32 => (0, u32::MAX.into()),
        T::UInt64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    };
    let rows = rows.map(|row| match row {
        None => Ok(None),
        Some(numbers::Integer::Is(value)) if (least..=greatest).contains(&value) => Ok(Some(value)),
        Some(numbers::Integer::Is(_) | numbers::Integer::TooLarge) => misfit(
            on_failure,
            to,
            &format!("the number is out of range for type {}", type_name(to)),
        ),
        Some(numbers::Integer::IsNone) => misfit(
            on_failure,
            to,
            &format!("invalid input syntax for type {}", type_name(to)),
        ),
    });
    if *to == T::UInt64 {
        let unsigned = rows.map(|row| Ok(row?.and_then(|value| u64::try_from(value).ok())));
        return Ok(Arc::new(unsigned.collect::<Result<arrow::array::UInt64Array>>()?));
    }
    let signed = rows.map(|row| Ok(row?.and_then(|value| i64::try_from(value).ok())));
    Ok(Arc::new(signed.collect::<Result<Int64Array>>()?))
}

/// The type's name in PostgreSQL.
pub(in crate::query) fn type_name(data_type: &DataType) -> String {
    use DataType as T;
    match data_type {
        T::Boolean => "boolean",
        T::Int8 | T::UInt8 | T::Int16 => "smallint",
        T::Int32 | T::UInt16 => "integer",
        T::Int64 | T::UInt32 => "bigint",
        T::Float16 | T::Float32 => "real",
        T::Float64 => "double precision",
        T::UInt64 | T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => "numeric",
        T::Utf8 | T::LargeUtf8 | T::Utf8View => "text",
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => "bytea",
        T::Date32 | T::Date64 => "date",
        T::Time32(_) | T::Time64(_) => "time without time zone",
        T::Timestamp(_, None) => "timestamp without time zone",
        T::Timestamp(_, Some(_)) => "timestamp with time zone",
        T::Interval(_) | T::Duration(_) => "interval",
        T::Struct(_) => "record",
        T::Null => "unknown",
        T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => {
            return format!("{}[]", type_name(item.data_type()));
        }
        T::Dictionary(_, value) => return type_name(value),
        other => return other.to_string(),
    }
    .to_owned()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CastAs {
    name: &'static str,
    on_failure: OnFailure,
    signature: Signature,
    documentation: Documentation,
}

impl ScalarUDFImpl for CastAs {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a cast is that of its second argument")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, of_type] = args.arg_fields else {
            return internal_err!("a cast has two arguments");
        };
        let nullable = value.is_nullable() || self.on_failure == OnFailure::Null;
        Ok(Arc::new(Field::new(self.name, of_type.data_type().clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type();
        match args.args.first() {
            Some(ColumnarValue::Scalar(value)) => {
                let array = cast_array(&value.to_array()?, to, self.on_failure)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
            Some(ColumnarValue::Array(array)) => cast_array(array, to, self.on_failure).map(ColumnarValue::Array),
            None => internal_err!("a cast has two arguments"),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
