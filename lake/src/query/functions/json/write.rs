//! Values of the engine as JSON: lists are arrays, structs and maps objects, times texts as in ISO 8601.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::{Result, exec_err};

use super::super::casts::{OnFailure, cast_array};
use super::super::define::text_of;
use super::is_json;
use super::scan::quote;

/// Times as in ISO 8601.
fn options() -> FormatOptions<'static> {
    FormatOptions::new()
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"))
}

/// Writes a value of an array as JSON. A text whose field is said to be JSON is written as it is.
///
/// # Errors
/// Execution: it is of a type that has no text.
pub(in crate::query) fn write(values: &ArrayRef, at: usize, field: &Field, out: &mut String) -> Result<()> {
    if values.is_null(at) || *values.data_type() == DataType::Null {
        out.push_str("null");
        return Ok(());
    }
    if let Some(text) = text_of(values, at) {
        match is_json(field) {
            true => out.push_str(text),
            false => quote(text, out),
        }
        return Ok(());
    }
    let items = |items: &ArrayRef, field: &Field, out: &mut String| {
        out.push('[');
        for item in 0..items.len() {
            out.push_str(if item > 0 { ", " } else { "" });
            write(items, item, field, out)?;
        }
        out.push(']');
        Ok(())
    };
    match values.data_type() {
        DataType::List(field) => items(&values.as_list::<i32>().value(at), field, out),
        DataType::LargeList(field) => items(&values.as_list::<i64>().value(at), field, out),
        DataType::FixedSizeList(field, _) => items(&values.as_fixed_size_list().value(at), field, out),
        DataType::ListView(field) => items(&values.as_list_view::<i32>().value(at), field, out),
        DataType::LargeListView(field) => items(&values.as_list_view::<i64>().value(at), field, out),
        DataType::Struct(fields) => {
            out.push('{');
            for (place, (field, column)) in fields.iter().zip(values.as_struct().columns()).enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                quote(field.name(), out);
                out.push_str(": ");
                write(column, at, field, out)?;
            }
            out.push('}');
            Ok(())
        }
        DataType::Map(..) => {
            let entries = values.as_map().value(at);
            let (keys, items) = (entries.column(0), entries.column(1));
            let Some(field) = entries.fields().get(1) else {
                return exec_err!("a map has values");
            };
            out.push('{');
            for place in 0..entries.len() {
                out.push_str(if place > 0 { ", " } else { "" });
                quote(&text(keys, place)?, out);
                out.push_str(": ");
                write(items, place, field, out)?;
            }
            out.push('}');
            Ok(())
        }
        DataType::Dictionary(..) => {
            let plain = arrow::compute::cast(&values.slice(at, 1), &DataType::Utf8)?;
            write(&plain, 0, field, out)
        }
        DataType::Boolean => {
            out.push_str(if values.as_boolean().value(at) { "true" } else { "false" });
            Ok(())
        }
        data_type if data_type.is_numeric() => {
            let number = text(values, at)?;
            match number.contains(|c: char| c.is_alphabetic() && c != 'e' && c != 'E') {
                // JSON has neither NaN nor infinities.
                true => quote(&number, out),
                false => out.push_str(&number),
            }
            Ok(())
        }
        _ => {
            quote(&text(values, at)?, out);
            Ok(())
        }
    }
}

/// The text of a value that is not nested.
///
/// # Errors
/// Execution: it has none.
pub(in super::super) fn text(values: &ArrayRef, at: usize) -> Result<String> {
    if matches!(
        values.data_type(),
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Interval(_) | DataType::Duration(_)
    ) {
        let own = cast_array(&values.slice(at, 1), &DataType::Utf8, OnFailure::Error)?;
        return Ok(text_of(&own, 0).unwrap_or_default().to_owned());
    }
    if let DataType::Timestamp(TimeUnit::Nanosecond, zone) = values.data_type() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
        if let Ok(values) = arrow::compute::cast(&values.slice(at, 1), &micros) {
            return Ok(shortened(
                &ArrayFormatter::try_new(&values, &options())?.value(0).try_to_string()?,
            ));
        }
    }
    let text = ArrayFormatter::try_new(values, &options())?.value(at).try_to_string()?;
    Ok(match values.data_type().is_temporal() {
        true => shortened(&text),
        false => text,
    })
}

/// A time without the zeros at the end of its second.
fn shortened(time: &str) -> String {
    let Some((whole, rest)) = time.split_once('.') else {
        return time.to_owned();
    };
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, zone) = rest.split_at(digits);
    match digits.trim_end_matches('0') {
        "" => format!("{whole}{zone}"),
        digits => format!("{whole}.{digits}{zone}"),
    }
}
