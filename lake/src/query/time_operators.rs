//! Operators on dates, timestamps and intervals, as PostgreSQL has them: the engine adds an hour to a date and has a date,
//! compares intervals month by month, and knows no interval times a number.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::functions::dates::{Operation, operation};

/// Plans `extract`, and operators one of whose sides is a time or an interval.
#[derive(Debug)]
pub(super) struct TimeOperators;

/// What a side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Date,
    Timestamp,
    Time,
    /// In months, days and nanoseconds.
    Interval,
    Duration,
    Number,
    Text,
    Other,
}

impl Side {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Interval(_) => Self::Interval,
            DataType::Duration(_) => Self::Duration,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            own if own.is_numeric() => Self::Number,
            _ => Self::Other,
        }
    }

    fn is_span(self) -> bool {
        matches!(self, Self::Interval | Self::Duration)
    }
}

impl ExprPlanner for TimeOperators {
    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(call(Operation::Extract, args)))
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let Some(op) = operator(&expr.op) else {
            return Ok(PlannerResult::Original(expr));
        };
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let (expr, left, right) = with_text_read(expr, op, left, right);
        let planned = plan(op, expr.left.clone(), &left, expr.right.clone(), &right);
        Ok(planned.map_or(PlannerResult::Original(expr), PlannerResult::Planned))
    }
}

/// A text that is written beside a time: what is taken from a time is one of its kind, `at - '2024-01-01'`, and what is added
/// to one is an interval, `at + '1 day'`.
fn with_text_read(
    expr: RawBinaryExpr,
    op: Operator,
    left: DataType,
    right: DataType,
) -> (RawBinaryExpr, DataType, DataType) {
    let read_as = |beside: &DataType| match (op, Side::of(beside)) {
        (Operator::Plus | Operator::Minus, Side::Interval | Side::Duration) => Some(INTERVAL),
        (Operator::Plus, Side::Date | Side::Timestamp | Side::Time) => Some(INTERVAL),
        (Operator::Minus, Side::Date | Side::Timestamp | Side::Time) => Some(beside.clone()),
        _ => None,
    };
    let is_text = |expr: &Expr, own: &DataType| Side::of(own) == Side::Text && is_literal(expr);
    let RawBinaryExpr {
        op: written,
        left: of_left,
        right: of_right,
    } = expr;
    let (of_left, left, of_right, right) = match (is_text(&of_left, &left), is_text(&of_right, &right)) {
        (true, false) => match read_as(&right) {
            Some(read) => (cast(of_left, read.clone()), read, of_right, right),
            None => (of_left, left, of_right, right),
        },
        (false, true) => match read_as(&left) {
            Some(read) => (of_left, left, cast(of_right, read.clone()), read),
            None => (of_left, left, of_right, right),
        },
        _ => (of_left, left, of_right, right),
    };
    let expr = RawBinaryExpr {
        op: written,
        left: of_left,
        right: of_right,
    };
    (expr, left, right)
}

fn operator(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Plus => Operator::Plus,
        BinaryOperator::Minus => Operator::Minus,
        BinaryOperator::Multiply => Operator::Multiply,
        BinaryOperator::Divide => Operator::Divide,
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

/// The operation, if it is one of times that the engine does not do so.
fn plan(op: Operator, left: Expr, of_left: &DataType, right: Expr, of_right: &DataType) -> Option<Expr> {
    let (is_left, is_right) = (Side::of(of_left), Side::of(of_right));
    let whole = |data_type: &DataType| data_type.is_integer();
    Some(match (is_left, op, is_right) {
        (Side::Date, Operator::Plus, Side::Number) if whole(of_right) => {
            call(Operation::DatePlusDays, vec![left, right])
        }
        (Side::Number, Operator::Plus, Side::Date) if whole(of_left) => {
            call(Operation::DatePlusDays, vec![right, left])
        }
        (Side::Date, Operator::Minus, Side::Number) if whole(of_right) => {
            call(Operation::DatePlusDays, vec![left, Expr::Negative(Box::new(right))])
        }
        (Side::Date, Operator::Plus, Side::Time) => call(Operation::DateAtTime, vec![left, right]),
        (Side::Time, Operator::Plus, Side::Date) => call(Operation::DateAtTime, vec![right, left]),
        (Side::Timestamp, Operator::Plus | Operator::Minus, Side::Time) => binary(left, op, since_midnight(right)),
        (Side::Time, Operator::Plus, Side::Timestamp) => binary(right, op, since_midnight(left)),
        (Side::Time, Operator::Minus, Side::Time) => call(Operation::TimeDifference, vec![left, right]),
        (Side::Date | Side::Timestamp, Operator::Plus | Operator::Minus, side) if side.is_span() => {
            binary(as_timestamp(left, of_left), op, as_interval(right, is_right))
        }
        (side, Operator::Plus, Side::Date | Side::Timestamp) if side.is_span() => {
            binary(as_timestamp(right, of_right), op, as_interval(left, is_left))
        }
        (Side::Timestamp, Operator::Minus, Side::Timestamp | Side::Date)
        | (Side::Date, Operator::Minus, Side::Timestamp) => {
            let common = common(of_left, of_right);
            binary(fitted(left, of_left, &common), op, fitted(right, of_right, &common))
        }
        (side, Operator::Multiply, Side::Number) if side.is_span() => call(Operation::IntervalTimes, vec![left, right]),
        (Side::Number, Operator::Multiply, side) if side.is_span() => call(Operation::IntervalTimes, vec![right, left]),
        (side, Operator::Divide, Side::Number) if side.is_span() => call(Operation::IntervalBy, vec![left, right]),
        (Side::Interval, Operator::Plus | Operator::Minus, Side::Duration)
        | (Side::Duration, Operator::Plus | Operator::Minus, Side::Interval) => {
            binary(as_interval(left, is_left), op, as_interval(right, is_right))
        }
        (Side::Time, Operator::Plus | Operator::Minus, Side::Duration) => {
            binary(left, op, as_interval(right, is_right))
        }
        _ if op.is_numerical_operators() => return None,
        (Side::Interval, _, side) | (side, _, Side::Interval) if side.is_span() => {
            binary(ordered(left), op, ordered(right))
        }
        (side, _, Side::Text) if side.is_span() => binary(ordered(left), op, ordered(cast(right, INTERVAL))),
        (Side::Text, _, side) if side.is_span() => binary(ordered(cast(left, INTERVAL)), op, ordered(right)),
        _ => return None,
    })
}

/// A time of day as an interval.
fn since_midnight(time: Expr) -> Expr {
    let midnight = Expr::Literal(ScalarValue::Time64Nanosecond(Some(0)), None);
    as_interval(call(Operation::TimeDifference, vec![time, midnight]), Side::Duration)
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn call(which: Operation, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(operation(which), args))
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast(Cast::new(Box::new(expr), data_type))
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

/// A number that intervals are compared by.
fn ordered(expr: Expr) -> Expr {
    call(Operation::IntervalOrder, vec![expr])
}

fn as_timestamp(expr: Expr, own: &DataType) -> Expr {
    match Side::of(own) {
        Side::Date => cast(expr, DataType::Timestamp(TimeUnit::Microsecond, None)),
        _ => expr,
    }
}

fn as_interval(expr: Expr, side: Side) -> Expr {
    match side {
        Side::Duration => call(Operation::ToInterval, vec![expr]),
        _ => expr,
    }
}

/// The type in which two times are subtracted: with a zone, if one of them has one.
fn common(left: &DataType, right: &DataType) -> DataType {
    let zone = |data_type: &DataType| match data_type {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    DataType::Timestamp(TimeUnit::Microsecond, zone(left).or_else(|| zone(right)))
}

fn fitted(expr: Expr, own: &DataType, common: &DataType) -> Expr {
    if own == common {
        expr
    } else {
        cast(expr, common.clone())
    }
}
