//! Percentiles, medians and modes, exact.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::{SortOptions, cast, sort};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, DecimalType, Float64Type, Int64Type, TimeUnit};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::AggregateUDF;

use super::collected::{Definition, Values, function};

const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "percentile_cont",
        aliases: &["quantile_cont", "percentile", "quantile"],
        constants: 1,
        optional: 0,
        within_group: true,
        takes: between,
        gives: |values, constants| per_fraction(between_type(values), constants),
        finish: |values| each_fraction(values, interpolated),
        what: "The value that a share of the values is below, between two of them where it falls between; a list for a \
               list of shares.",
        syntax: "percentile_cont(share) within group (order by value)",
        example: "percentile_cont(0.5) within group (order by x) of 1, 2, 4, 9 = 3",
    },
    Definition {
        name: "percentile_disc",
        aliases: &["quantile_disc"],
        constants: 1,
        optional: 0,
        within_group: true,
        takes: |given| (!given.is_nested()).then(|| given.clone()),
        gives: |values, constants| per_fraction(values.clone(), constants),
        finish: |values| each_fraction(values, discrete),
        what: "The first value that a share of the values is not above; a list for a list of shares.",
        syntax: "percentile_disc(share) within group (order by value)",
        example: "percentile_disc(0.5) within group (order by x) of 1, 2, 4, 9 = 2",
    },
    Definition {
        name: "median",
        aliases: &[],
        constants: 0,
        optional: 0,
        within_group: false,
        takes: between,
        gives: |values, _| between_type(values),
        finish: |values| {
            let sorted = sort(&values.values, None)?;
            interpolated(&sorted, 0.5, values.gives)
        },
        what: "The value in the middle, or between the two in the middle.",
        syntax: "median(value)",
        example: "median(x) of 1, 2, 10, 11 = 6",
    },
    Definition {
        name: "mode",
        aliases: &["most_frequent"],
        constants: 0,
        optional: 0,
        within_group: true,
        takes: |given| (!matches!(given, DataType::Struct(_) | DataType::Map(..))).then(|| given.clone()),
        gives: |values, _| values.clone(),
        finish: |values| {
            if values.values.is_empty() {
                return ScalarValue::try_from(values.gives);
            }
            let order = SortOptions {
                descending: values.descending,
                nulls_first: false,
            };
            let sorted = sort(&values.values, Some(order))?;
            let runs = arrow::compute::partition(std::slice::from_ref(&sorted))?.ranges();
            // The first of those that are most frequent.
            let longest = runs.into_iter().rev().max_by_key(|run| run.len());
            ScalarValue::try_from_array(&sorted, longest.map_or(0, |run| run.start))
        },
        what: "The most frequent value; the first of them in their order if there are several.",
        syntax: "mode(value) | mode() within group (order by value)",
        example: "mode(x) of 1, 1, 2 = 1",
    },
];

pub(super) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    DEFINITIONS.iter().map(function)
}

/// What may be between two values: numbers are doubles, decimals stay, times are timestamps.
fn between(given: &DataType) -> Option<DataType> {
    match given {
        DataType::Decimal128(..) | DataType::Decimal256(..) | DataType::Timestamp(..) | DataType::Duration(_) => {
            Some(given.clone())
        }
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            Some(DataType::Decimal128(*precision, *scale))
        }
        DataType::Date32 | DataType::Date64 => Some(DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::Null => Some(DataType::Float64),
        given if given.is_numeric() => Some(DataType::Float64),
        _ => None,
    }
}

/// Between two decimals there are up to two more digits.
fn between_type(values: &DataType) -> DataType {
    match values {
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, scale.saturating_add(2).min(38)),
        DataType::Decimal256(_, scale) => DataType::Decimal256(76, scale.saturating_add(2).min(76)),
        other => other.clone(),
    }
}

fn per_fraction(one: DataType, constants: &[DataType]) -> DataType {
    match constants.first() {
        Some(constant) if constant.is_nested() => DataType::new_list(one, true),
        _ => one,
    }
}

/// The answers for the share, or the list of them.
fn each_fraction(
    values: &Values<'_>,
    answer: fn(&ArrayRef, f64, &DataType) -> Result<ScalarValue>,
) -> Result<ScalarValue> {
    let order = SortOptions {
        descending: values.descending,
        nulls_first: false,
    };
    let sorted = sort(&values.values, Some(order))?;
    let Some(constant) = values.constants.first() else {
        return exec_err!("a share between 0 and 1 is missing");
    };
    if constant.is_null() {
        return ScalarValue::try_from(values.gives);
    }
    let one = match values.gives {
        DataType::List(item) if constant.data_type().is_nested() => item.data_type(),
        other => other,
    };
    let answer = |share: Option<f64>| match share {
        None => ScalarValue::try_from(one),
        Some(share) if (0.0..=1.0).contains(&share) => answer(&sorted, share, one),
        Some(share) => exec_err!("a share is between 0 and 1, and is {share}"),
    };
    let array = constant.to_array()?;
    if let Some(list) = array.as_list_opt::<i32>() {
        let shares = fractions(&list.value(0))?;
        let answers = shares.iter().map(answer).collect::<Result<Vec<_>>>()?;
        let answers = ScalarValue::iter_to_array(answers)?;
        return Ok(SingleRowListArrayBuilder::new(answers)
            .with_nullable(true)
            .build_list_scalar());
    }
    answer(fractions(&array)?.iter().next().flatten())
}

fn fractions(array: &ArrayRef) -> Result<Float64Array> {
    // By their texts, for a decimal's cast to a double divides and is not exact.
    let texts = cast(array, &DataType::Utf8)?;
    Ok(cast(&texts, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// The value at a share of the way through sorted values, between two of them where it falls between.
fn interpolated(sorted: &ArrayRef, share: f64, gives: &DataType) -> Result<ScalarValue> {
    if sorted.is_empty() {
        return ScalarValue::try_from(gives);
    }
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let part = place - place.floor();
    match sorted.data_type() {
        DataType::Decimal128(precision, scale) => {
            let values = sorted.as_primitive::<Decimal128Type>();
            let (low, high) = (values.value(below), values.value(above));
            let factor = if i16::from(*scale) + 2 <= 38 { 100.0 } else { 1.0 };
            let more = ((high - low) as f64 * part * factor).round() as i128;
            let Some(value) = low.checked_mul(factor as i128).and_then(|low| low.checked_add(more)) else {
                let low = Decimal128Type::format_decimal(low, *precision, *scale);
                return exec_err!("a percentile of decimals overflows near {low}");
            };
            let DataType::Decimal128(precision, scale) = gives else {
                return exec_err!("a percentile of decimals is one");
            };
            Ok(ScalarValue::Decimal128(Some(value), *precision, *scale))
        }
        DataType::Decimal256(..) => {
            let values = sorted.as_primitive::<Decimal256Type>();
            let nearest = if part < 0.5 { below } else { above };
            let one = ScalarValue::try_from_array(sorted, if values.is_empty() { 0 } else { nearest })?;
            one.cast_to(gives)
        }
        DataType::Timestamp(..) | DataType::Duration(_) => {
            let integers = cast(sorted, &DataType::Int64)?;
            let integers = integers.as_primitive::<Int64Type>();
            let (low, high) = (integers.value(below), integers.value(above));
            let more = ((i128::from(high) - i128::from(low)) as f64 * part).round() as i64;
            ScalarValue::Int64(Some(low.saturating_add(more))).cast_to(gives)
        }
        _ => {
            let values = sorted.as_primitive::<Float64Type>();
            let (low, high) = (values.value(below), values.value(above));
            let value = if part == 0.0 { low } else { low + (high - low) * part };
            Ok(ScalarValue::Float64(Some(value)))
        }
    }
}

fn discrete(sorted: &ArrayRef, share: f64, gives: &DataType) -> Result<ScalarValue> {
    if sorted.is_empty() {
        return ScalarValue::try_from(gives);
    }
    let place = (share * sorted.len() as f64).ceil() as usize;
    ScalarValue::try_from_array(sorted, place.clamp(1, sorted.len()) - 1)
}
