//! `to_char` and `to_number`: numbers by PostgreSQL's templates.

mod digits;
mod template;
mod write;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use crate::query::functions::casts;
use crate::query::functions::definition::{Arguments, Given};
use digits::Number;
use template::{Piece, Template};
use write::write;

/// The numbers of the first argument as the template in the second says.
pub(super) fn write_numbers(args: &Arguments) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let templates = args.text(1)?;
    let number: Box<dyn Fn(usize) -> Number> = match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let array = cast(array, &DataType::Float64)?;
            Box::new(move |row| Number::Double(array.as_primitive::<Float64Type>().value(row)))
        }
        own => {
            let scale = match own {
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale) => *scale,
                _ => 0,
            };
            let array = cast(array, &DataType::Decimal128(38, scale))?;
            Box::new(move |row| Number::Decimal(array.as_primitive::<Decimal128Type>().value(row), scale))
        }
    };
    let plain = casts::cast_array(array, &DataType::Utf8, casts::OnFailure::Error)?;
    let mut known: Option<(&str, Template)> = None;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let text = templates.value(row);
        if known.as_ref().is_none_or(|(known, _)| *known != text) {
            known = Some((text, Template::parse(text)?));
        }
        // A style of times does not concern a number: SQL Server's `convert(varchar, 5, 120)`.
        if known.as_ref().is_some_and(|(_, template)| !template.has_places()) {
            return Ok(Some(plain.as_string::<i32>().value(row).to_owned()));
        }
        Ok(known.as_ref().map(|(_, template)| write(template, number(row))))
    });
    Ok(super::text_array(rows.collect::<Result<Vec<_>>>()?))
}

/// The decimal that a template has room for.
pub(super) fn scale_of_template(given: &Given) -> Result<DataType> {
    let scale = match (given.count(), given.text(1)) {
        (1, _) if given.data_type(0).is_numeric() => return Ok(given.data_type(0).clone()),
        (2, Some(text)) => {
            let template = Template::parse(text)?;
            i8::try_from(template.after + template.shift).unwrap_or(10).min(20)
        }
        _ => 10,
    };
    Ok(DataType::Decimal128(38, scale))
}

/// The numbers that texts say, as the template in the second argument tells.
pub(super) fn read_numbers(args: &Arguments) -> Result<ArrayRef> {
    if args.count() == 1 {
        return casts::cast_array(args.array(0)?, &args.result, casts::OnFailure::Error);
    }
    let DataType::Decimal128(precision, scale) = args.result else {
        return exec_err!("to_number gives a decimal");
    };
    let (texts, templates) = (args.text(0)?, args.text(1)?);
    let mut known: Option<(&str, Template)> = None;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let text = templates.value(row);
        if known.as_ref().is_none_or(|(known, _)| *known != text) {
            known = Some((text, Template::parse(text)?));
        }
        known
            .as_ref()
            .map(|(_, template)| read(template, texts.value(row), scale))
            .transpose()
    });
    let array = rows.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(array.with_precision_and_scale(precision, scale)?))
}

/// Digits, signs and a point are taken, what else a template has room for is passed over.
fn read(template: &Template, text: &str, scale: i8) -> Result<i128> {
    let wrong =
        || exec_datafusion_err!("invalid input syntax for type numeric: the text is not what the template says");
    let mut negative = false;
    let mut digits = String::new();
    let mut pointed = false;
    for letter in text.chars() {
        match letter {
            '-' | '<' => negative = true,
            '0'..='9' => digits.push(letter),
            '.' if template.has(Piece::Point) && !pointed => {
                pointed = true;
                digits.push('.');
            }
            '.' if pointed => break,
            _ => {}
        }
    }
    if !digits.bytes().any(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let (mut before, mut after) = match digits.split_once('.') {
        Some((before, after)) => (before.to_owned(), after.to_owned()),
        None => (digits, String::new()),
    };
    before.truncate(template.before + template.shift);
    after.truncate(template.after);
    if template.shift > 0 {
        let at = before.len().saturating_sub(template.shift);
        after = before.split_off(at);
    }
    let width = usize::from(scale.unsigned_abs());
    let value: i128 = format!("{before}{after:0<width$}").parse().map_err(|_| wrong())?;
    Ok(if negative { -value } else { value })
}
