//! Clauses on dates and times, as calls of functions: intervals of all spellings, `at time zone`, `overlaps`, and units
//! without quotes, `dateadd(month, 1, at)`.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_datafusion_err};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Interval, ObjectName, Statement, UnaryOperator, Value, ValueWithSpan, VisitorMut,
};

use crate::query::functions::casts::intervals;
use crate::query::functions::dates::units::{Field, Unit};
use crate::query::functions::dates::values::Span;
use crate::query::walk;

/// Rewrites them.
///
/// # Errors
/// Plan: a text is not an interval.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Dates)
}

struct Dates;

impl VisitorMut for Dates {
    type Break = DataFusionError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        match expr {
            Expr::AtTimeZone { timestamp, time_zone } => {
                let args = vec![take(time_zone), take(timestamp)];
                *expr = call("timezone", args);
            }
            Expr::Interval(interval) => match self::interval(interval) {
                Ok(made) => *expr = made,
                Err(error) => return ControlFlow::Break(error),
            },
            // The engine would negate the first of its parts alone.
            Expr::UnaryOp {
                op: UnaryOperator::Minus,
                expr: negated,
            } => {
                if let Expr::Interval(interval) = negated.as_ref()
                    && let Some(span) = literal(&interval.value).and_then(|text| intervals::parse(&text, None))
                {
                    match of_span(span.negated()) {
                        Ok(made) => *expr = made,
                        Err(error) => return ControlFlow::Break(error),
                    }
                }
            }
            Expr::BinaryOp {
                left,
                op: BinaryOperator::Overlaps,
                right,
            } => {
                if let (Expr::Tuple(left), Expr::Tuple(right)) = (left.as_mut(), right.as_mut())
                    && left.len() == 2
                    && right.len() == 2
                {
                    let args = left.drain(..).chain(right.drain(..)).collect();
                    *expr = call("overlaps", args);
                }
            }
            Expr::Function(function) => of_function(function),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The expression, of which nothing is left.
fn take(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()))
}

/// A text.
pub(super) fn text(value: impl Into<String>) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).with_empty_span())
}

/// The call of a function.
pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    let args = args
        .into_iter()
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The text or the digits of a literal, with its sign.
fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(text) | Value::Number(text, _),
            ..
        }) => Some(text.clone()),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => literal(expr).map(|text| format!("-{text}")),
        Expr::UnaryOp {
            op: UnaryOperator::Plus,
            expr,
        }
        | Expr::Nested(expr) => literal(expr),
        _ => None,
    }
}

/// An interval as the engine reads it: of a text that is known; else so many times one unit.
fn interval(interval: &mut Interval) -> Result<Expr> {
    let field = interval.last_field.as_ref().or(interval.leading_field.as_ref());
    let unit = match field {
        Some(field) => {
            let unit = Unit::named(&field.to_string());
            Some(unit.ok_or_else(|| plan_datafusion_err!("there are no intervals of the unit {field}"))?)
        }
        None => None,
    };
    match literal(&interval.value) {
        Some(text) => engine_interval(&text, unit, interval),
        None => {
            let one = engine_interval("1", unit, interval)?;
            Ok(Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(take(&mut interval.value)))),
                op: BinaryOperator::Multiply,
                right: Box::new(one),
            })
        }
    }
}

/// The literal in months, days and nanoseconds, which the engine reads alike whatever was written.
fn engine_interval(text: &str, unit: Option<Unit>, written: &Interval) -> Result<Expr> {
    // `'2:03' minute to second` is minutes, where it would be hours elsewhere.
    let of_minutes = matches!(
        written.leading_field,
        Some(DateTimeField::Minute | DateTimeField::Minutes)
    ) && written.last_field.is_some()
        && text.matches(':').count() == 1;
    let text = if of_minutes {
        format!("00:{text}")
    } else {
        text.to_owned()
    };
    let span = intervals::parse(&text, unit);
    of_span(span.ok_or_else(|| plan_datafusion_err!("invalid input syntax for type interval: '{text}'"))?)
}

/// The interval as the engine reads it.
fn of_span(span: Span) -> Result<Expr> {
    let span = span.to_engine()?;
    let literal = format!(
        "{} months {} days {} nanoseconds",
        span.months, span.days, span.nanoseconds
    );
    Ok(Expr::Interval(Interval {
        value: Box::new(self::text(literal)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    }))
}

/// Where a function has the name of a unit or of a field.
const UNIT_FIRST: &[&str] = &[
    "adddate",
    "date_add",
    "date_diff",
    "date_part",
    "date_sub",
    "date_trunc",
    "dateadd",
    "datediff",
    "datediff_big",
    "datename",
    "datepart",
    "datesub",
    "datetime_add",
    "datetime_diff",
    "datetime_sub",
    "datetime_trunc",
    "datetrunc",
    "timeadd",
    "timediff",
    "timestamp_add",
    "timestamp_diff",
    "timestamp_sub",
    "timestamp_trunc",
    "timestampadd",
    "timestampdiff",
];
const UNIT_LAST: &[&str] = &[
    "date_diff",
    "date_trunc",
    "datetime_diff",
    "datetime_trunc",
    "last_day",
    "time_slice",
    "timestamp_diff",
    "timestamp_trunc",
];

/// PostgreSQL's names of the arguments of `make_interval`, in their order.
const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

fn of_function(function: &mut Function) {
    let Some(name) = function.name.0.last().and_then(|part| part.as_ident()) else {
        return;
    };
    let name = name.value.to_ascii_lowercase();
    let FunctionArguments::List(FunctionArgumentList { args, .. }) = &mut function.args else {
        return;
    };
    match (name.as_str(), args.len()) {
        ("age", 1) => args.insert(0, unnamed(call("current_date", Vec::new()))),
        ("unix_timestamp", 0) => args.push(unnamed(call("now", Vec::new()))),
        ("make_interval", _) => place_parts(args),
        // Oracle's and Databricks' name of `date_trunc`; that of numbers has a number there.
        ("trunc", 2) if args.last().and_then(argument).is_some_and(is_text) => {
            args.reverse();
            function.name = ObjectName::from(vec![Ident::new("date_trunc")]);
        }
        // What is behind a unit in quotes is a column, though it may be named `d` or `day`.
        _ if args.first().and_then(argument).is_some_and(is_unit_in_quotes) => {}
        _ => {
            let first = UNIT_FIRST.contains(&name.as_str()) && args.first_mut().is_some_and(quote);
            if !first && args.len() > 1 && UNIT_LAST.contains(&name.as_str()) {
                // `time_slice(at, 1, day, 'end')` has it before its end.
                let place = if name == "time_slice" { 2 } else { args.len() - 1 };
                args.get_mut(place).map(quote);
            }
        }
    }
}

fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn argument(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    }
}

fn is_text(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(_),
            ..
        })
    )
}

fn is_unit_in_quotes(expr: &Expr) -> bool {
    literal(expr).is_some_and(|name| Field::named(&name).is_some())
}

/// Puts the name of a unit or of a field in quotes, and says whether it is one: `month`, `week(monday)`.
fn quote(arg: &mut FunctionArg) -> bool {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
        return false;
    };
    let name = match expr {
        Expr::Identifier(Ident {
            value,
            quote_style: None,
            ..
        }) => value.clone(),
        Expr::Function(function) => match function.to_string().to_ascii_lowercase().as_str() {
            "week(monday)" => "week".to_owned(),
            _ => return false,
        },
        _ => return false,
    };
    let named = Field::named(&name).is_some();
    if named {
        *expr = text(name);
    }
    named
}

/// `make_interval(days => 10)` with all arguments in their places.
fn place_parts(args: &mut Vec<FunctionArg>) {
    let is_named = |arg: &FunctionArg| !matches!(arg, FunctionArg::Unnamed(_));
    if !args.iter().any(is_named) && !args.is_empty() {
        return;
    }
    let zero = || unnamed(Expr::Value(Value::Number("0".to_owned(), false).with_empty_span()));
    let mut placed: Vec<FunctionArg> = PARTS.iter().map(|_| zero()).collect();
    for (at, arg) in std::mem::take(args).into_iter().enumerate() {
        let (place, arg) = match arg {
            FunctionArg::Named { name, arg, .. } => (part(&name.value), arg),
            FunctionArg::ExprNamed { name, arg, .. } => (part(&name.to_string()), arg),
            FunctionArg::Unnamed(arg) => (Some(at), arg),
        };
        match place.and_then(|place| placed.get_mut(place)) {
            Some(there) => *there = FunctionArg::Unnamed(arg),
            // One argument more than there are: the call is refused.
            None => placed.push(FunctionArg::Unnamed(arg)),
        }
    }
    *args = placed;
}

fn part(name: &str) -> Option<usize> {
    PARTS.iter().position(|part| part.eq_ignore_ascii_case(name))
}
