//! Casts of all spellings: `convert(value, type)`, formats, lengths that cut, precisions that round, and literals that the
//! engine does not have.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    ArrayElemTypeDef, CastFormat, CastKind, CharacterLength, DataType, Expr, Statement, Value, ValueWithSpan,
    VisitorMut,
};

use super::dates::{call, text};
use super::numerics;
use super::{calls, value_columns};
use crate::query::walk;

/// Rewrites them.
///
/// # Errors
/// Plan: the type has no format.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    value_columns::each(statement, alike);
    walk::rewrite(statement, &mut Types)
}

/// Texts of VALUES that stand among values of one written type are of that type: `values (date '2024-01-31'), ('2024-02-29')`.
fn alike(column: &mut [&mut Expr]) {
    let mut written = column.iter().filter_map(|cell| match &**cell {
        Expr::Cast {
            data_type,
            format: None,
            ..
        } => Some(data_type),
        Expr::TypedString(typed) => Some(&typed.data_type),
        _ => None,
    });
    let Some(data_type) = written.next().cloned() else {
        return;
    };
    if written.any(|other| *other != data_type) {
        return;
    }
    for cell in column {
        if calls::literal(cell).is_some() {
            let cast = Cast {
                lenient: false,
                data_type: &data_type,
            };
            **cell = cast.plain(calls::take(cell));
        }
    }
}

struct Types;

impl VisitorMut for Types {
    type Break = DataFusionError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        match rewritten(expr) {
            Ok(Some(made)) => *expr = made,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(expr: &mut Expr) -> Result<Option<Expr>> {
    match expr {
        Expr::Cast {
            kind,
            expr,
            data_type,
            format,
            array: false,
        } => {
            dimensions(data_type, expr);
            let cast = Cast {
                lenient: matches!(kind, CastKind::TryCast | CastKind::SafeCast),
                data_type,
            };
            // What is written has the digits of a `numeric` without any.
            if numerics::is_numeric(cast.data_type)
                && format.is_none()
                && let Some(data_type) = numerics::of_literal(expr)
            {
                let exact = Cast {
                    data_type: &data_type,
                    ..cast
                };
                return Ok(Some(exact.plain((**expr).clone())));
            }
            match format {
                Some(CastFormat::Value(format) | CastFormat::ValueAtTimeZone(format, _)) => {
                    let format = Expr::Value(format.clone());
                    cast.by_format(expr, format).map(Some)
                }
                None => Ok(cast.adjusted(expr)),
            }
        }
        Expr::Convert {
            is_try,
            expr,
            data_type: Some(data_type),
            ..
        } => {
            let cast = Cast {
                lenient: *is_try,
                data_type,
            };
            Ok(Some(
                cast.adjusted(expr).unwrap_or_else(|| cast.plain((**expr).clone())),
            ))
        }
        // `timestamp(0) '2024-01-31 10:11:12.5'` is the cast of a text.
        Expr::TypedString(typed) => {
            let mut text = Expr::Value(typed.value.clone());
            let exact = numerics::is_numeric(&typed.data_type)
                .then(|| numerics::of_literal(&text))
                .flatten();
            let cast = Cast {
                lenient: false,
                data_type: exact.as_ref().unwrap_or(&typed.data_type),
            };
            Ok(match exact {
                Some(_) => Some(cast.plain(text)),
                None => cast.adjusted(&mut text),
            })
        }
        Expr::Value(ValueWithSpan { value, .. }) => Ok(literal(value)),
        _ => Ok(None),
    }
}

/// A list that is written as a text has as many dimensions as are written there, whatever the type says: `'{{1},{2}}'::int[]`.
/// (PostgreSQL, "Declaration of Array Types".)
fn dimensions(data_type: &mut DataType, expr: &Expr) {
    let Some(written) = calls::literal(expr).and_then(written_dimensions) else {
        return;
    };
    let mut item = match data_type {
        DataType::Array(_) => data_type.clone(),
        _ => return,
    };
    while let DataType::Array(ArrayElemTypeDef::SquareBracket(inner, _) | ArrayElemTypeDef::AngleBracket(inner)) = item
    {
        item = *inner;
    }
    if matches!(item, DataType::Array(_)) {
        return;
    }
    let list = |item| DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), None));
    *data_type = (0..written).fold(item, |item, _| list(item));
}

/// How many braces the text of a list begins with. None: it is not one, or an empty one.
fn written_dimensions(text: &str) -> Option<usize> {
    let is_space = |letter: char| letter.is_ascii_whitespace();
    let mut rest = text.trim_start_matches(is_space);
    let mut count = 0;
    while let Some(inner) = rest.strip_prefix('{') {
        rest = inner.trim_start_matches(is_space);
        count += 1;
    }
    // PostgreSQL has six at most.
    (1..=6)
        .contains(&count)
        .then_some(count)
        .filter(|_| !rest.starts_with('}'))
}

/// A literal that the engine does not have, as one that it has.
fn literal(value: &Value) -> Option<Expr> {
    match value {
        Value::UnicodeStringLiteral(written)
        | Value::NationalStringLiteral(written)
        | Value::SingleQuotedRawStringLiteral(written)
        | Value::DoubleQuotedRawStringLiteral(written)
        // PostgreSQL's string of bits.
        | Value::SingleQuotedByteStringLiteral(written) => Some(text(written.clone())),
        _ => None,
    }
}

/// What is cast to.
struct Cast<'a> {
    lenient: bool,
    data_type: &'a DataType,
}

impl Cast<'_> {
    fn plain(&self, expr: Expr) -> Expr {
        Expr::Cast {
            kind: if self.lenient {
                CastKind::TryCast
            } else {
                CastKind::Cast
            },
            expr: Box::new(expr),
            data_type: self.data_type.clone(),
            array: false,
            format: None,
        }
    }

    /// A cast to a type with a length or a precision that the engine's type does not have.
    fn adjusted(&self, expr: &mut Expr) -> Option<Expr> {
        let to = |data_type: DataType| {
            Cast {
                data_type: &data_type,
                ..*self
            }
            .plain(expr.clone())
        };
        if let Some(length) = length(self.data_type) {
            let cut = call("left", vec![to(DataType::Varchar(None)), number(length)]);
            // The blanks that a `char` is filled up with have no meaning: not in its length, not where it is compared.
            return Some(match is_padded(self.data_type) {
                true => call("rtrim", vec![cut, text(" ".to_owned())]),
                false => cut,
            });
        }
        match self.data_type {
            DataType::Uuid => Some(call(
                if self.lenient { "try_to_uuid" } else { "to_uuid" },
                vec![to(DataType::Varchar(None))],
            )),
            DataType::Custom(name, _) if name.to_string().eq_ignore_ascii_case("uniqueidentifier") => {
                Some(call("to_uuid", vec![to(DataType::Varchar(None))]))
            }
            DataType::Timestamp(Some(digits @ 0..6), zone) => {
                Some(rounded(to(DataType::Timestamp(None, *zone)), *digits))
            }
            DataType::Time(Some(digits @ 0..6), zone) => Some(rounded(to(DataType::Time(None, *zone)), *digits)),
            DataType::Interval {
                fields,
                precision: Some(digits @ 0..6),
            } => {
                let fields = *fields;
                Some(rounded(
                    to(DataType::Interval {
                        fields,
                        precision: None,
                    }),
                    *digits,
                ))
            }
            DataType::Datetime(Some(digits @ 0..6)) => Some(rounded(to(DataType::Datetime(None)), *digits)),
            DataType::TimestampNtz(Some(digits @ 0..6)) => Some(rounded(to(DataType::TimestampNtz(None)), *digits)),
            DataType::Custom(name, modifiers)
                if ["datetime2", "datetimeoffset", "timestamp_ltz", "timestamp_tz"]
                    .iter()
                    .any(|own| name.to_string().eq_ignore_ascii_case(own)) =>
            {
                let digits = modifiers.first()?.parse().ok().filter(|digits| *digits < 6)?;
                Some(rounded(to(DataType::Custom(name.clone(), Vec::new())), digits))
            }
            _ => None,
        }
    }

    /// A text of a time by a template, or a time of a text.
    fn by_format(&self, expr: &mut Expr, format: Expr) -> Result<Expr> {
        let value = expr.clone();
        let is_text = length(self.data_type).is_some()
            || matches!(
                self.data_type,
                DataType::Varchar(_)
                    | DataType::Nvarchar(_)
                    | DataType::Char(_)
                    | DataType::Character(_)
                    | DataType::CharacterVarying(_)
                    | DataType::Text
                    | DataType::String(_)
            );
        Ok(match self.data_type {
            _ if is_text => {
                let written = call("to_char", vec![value, format]);
                match (self.data_type, length(self.data_type)) {
                    (DataType::Char(None) | DataType::Character(None), _) | (_, None) => written,
                    (_, Some(length)) => call("left", vec![written, number(length)]),
                }
            }
            DataType::Date => call(
                if self.lenient { "try_to_date" } else { "to_date" },
                vec![value, format],
            ),
            DataType::Timestamp(..) | DataType::Datetime(_) | DataType::TimestampNtz(_) | DataType::Custom(..) => {
                let name = if self.lenient {
                    "try_to_timestamp"
                } else {
                    "to_timestamp_ntz"
                };
                self.plain(call(name, vec![value, format]))
            }
            DataType::Numeric(_) | DataType::Decimal(_) => self.plain(call("to_number", vec![value, format])),
            other => return plan_err!("a cast to {other} has no format"),
        })
    }
}

/// A time to so many digits of its second.
fn rounded(time: Expr, digits: u64) -> Expr {
    call("round_time", vec![time, number(digits)])
}

fn number(number: u64) -> Expr {
    Expr::Value(Value::Number(number.to_string(), false).with_empty_span())
}

/// Whether the type is one of texts that are filled up with blanks.
fn is_padded(data_type: &DataType) -> bool {
    match data_type {
        DataType::Char(_) | DataType::Character(_) => true,
        DataType::Custom(name, _) => {
            let name = name.to_string();
            name.eq_ignore_ascii_case("nchar") || name.eq_ignore_ascii_case("bpchar")
        }
        _ => false,
    }
}

/// Characters that a text is cut to. `char` alone is of one, as PostgreSQL has it.
fn length(data_type: &DataType) -> Option<u64> {
    match data_type {
        DataType::Char(None) | DataType::Character(None) => Some(1),
        DataType::Varchar(Some(length))
        | DataType::Nvarchar(Some(length))
        | DataType::Char(Some(length))
        | DataType::Character(Some(length))
        | DataType::CharVarying(Some(length))
        | DataType::CharacterVarying(Some(length)) => match length {
            CharacterLength::IntegerLength { length, .. } => Some(*length),
            CharacterLength::Max => None,
        },
        DataType::String(Some(length)) => Some(*length),
        DataType::Custom(name, modifiers) => {
            let name = name.to_string().to_ascii_lowercase();
            let is_text = matches!(name.as_str(), "nchar" | "varchar2" | "nvarchar2" | "bpchar" | "text");
            is_text.then(|| modifiers.first()?.parse().ok())?
        }
        _ => None,
    }
}
