//! The conditionals, each with the `case` that it stands for.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::coalesce;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit};

use super::{Argument, Definition};

use Argument as A;

pub(super) const ALL: &[Definition] = &[
    Definition {
        name: "iff",
        aliases: &["if", "iif"],
        about: "The second argument where the condition is true, otherwise the third, which is null if it is left out.",
        syntax: "iff(condition, then[, otherwise])",
        example: "select iff(1 < 2, 'yes', 'no') -- yes",
        arguments: |count| match count {
            2 | 3 => Some([A::Condition, A::Result, A::Result].into_iter().take(count).collect()),
            _ => None,
        },
        stands_for: |args, _| {
            let mut args = args.into_iter();
            case([(args.next()?, args.next()?)], args.next())
        },
        is_condition: |_| false,
    },
    Definition {
        name: "nvl2",
        aliases: &[],
        about: "The second argument where the first is not null, otherwise the third.",
        syntax: "nvl2(x, not_null, otherwise)",
        example: "select nvl2(null, 1, 2) -- 2",
        arguments: |count| (count == 3).then(|| vec![A::Any, A::Result, A::Result]),
        stands_for: |args, _| {
            let [x, then, otherwise] = <[Expr; 3]>::try_from(args).ok()?;
            case([(x.is_not_null(), then)], Some(otherwise))
        },
        is_condition: |_| false,
    },
    Definition {
        name: "zeroifnull",
        aliases: &[],
        about: "The number, or zero where it is null.",
        syntax: "zeroifnull(x)",
        example: "select zeroifnull(null) -- 0",
        arguments: |count| (count == 1).then(|| vec![A::Number]),
        stands_for: |mut args, data_type| {
            args.push(zero(data_type)?);
            Some(coalesce(args))
        },
        is_condition: |_| false,
    },
    Definition {
        name: "nullifzero",
        aliases: &[],
        about: "The number, or null where it is zero.",
        syntax: "nullifzero(x)",
        example: "select nullifzero(0) -- null",
        arguments: |count| (count == 1).then(|| vec![A::Number]),
        stands_for: |args, data_type| {
            let [x] = <[Expr; 1]>::try_from(args).ok()?;
            case([(x.clone().not_eq(zero(data_type)?), x)], None)
        },
        is_condition: |_| false,
    },
    Definition {
        name: "choose",
        aliases: &[],
        about: "The argument of that number, counted from 1; null if there is none.",
        syntax: "choose(number, first[, second …])",
        example: "select choose(2, 'a', 'b') -- b",
        arguments: |count| {
            let results = count.checked_sub(1).filter(|results| *results > 0)?;
            Some(
                [A::Integer]
                    .into_iter()
                    .chain(std::iter::repeat_n(A::Result, results))
                    .collect(),
            )
        },
        stands_for: |args, _| {
            let mut args = args.into_iter();
            let number = args.next()?;
            simple_case(number, (1_i64..).map(lit).zip(args), None)
        },
        is_condition: |_| false,
    },
    Definition {
        name: "equal_null",
        aliases: &[],
        about: "Whether two values are equal, or both null.",
        syntax: "equal_null(a, b)",
        example: "select equal_null(null, null) -- true",
        arguments: |count| (count == 2).then(|| vec![A::Compared; 2]),
        stands_for: |args, _| {
            let [a, b] = <[Expr; 2]>::try_from(args).ok()?;
            Some(binary_expr(a, Operator::IsNotDistinctFrom, b))
        },
        is_condition: |_| true,
    },
    Definition {
        name: "booland",
        aliases: &[],
        about: "Whether both are true.",
        syntax: "booland(a, b)",
        example: "select booland(true, false) -- false",
        arguments: |count| (count == 2).then(|| vec![A::Condition; 2]),
        stands_for: |args, _| args.into_iter().reduce(Expr::and),
        is_condition: |_| true,
    },
    Definition {
        name: "boolor",
        aliases: &[],
        about: "Whether one is true.",
        syntax: "boolor(a, b)",
        example: "select boolor(true, false) -- true",
        arguments: |count| (count == 2).then(|| vec![A::Condition; 2]),
        stands_for: |args, _| args.into_iter().reduce(Expr::or),
        is_condition: |_| true,
    },
    Definition {
        name: "boolxor",
        aliases: &[],
        about: "Whether one of the two is true.",
        syntax: "boolxor(a, b)",
        example: "select boolxor(true, true) -- false",
        arguments: |count| (count == 2).then(|| vec![A::Condition; 2]),
        stands_for: |args, _| args.into_iter().reduce(Expr::not_eq),
        is_condition: |_| true,
    },
    Definition {
        name: "boolnot",
        aliases: &[],
        about: "Whether it is false.",
        syntax: "boolnot(a)",
        example: "select boolnot(true) -- false",
        arguments: |count| (count == 1).then(|| vec![A::Condition]),
        stands_for: |args, _| args.into_iter().next().map(|a| !a),
        is_condition: |_| true,
    },
    Definition {
        name: "isnull",
        aliases: &[],
        about: "With one argument whether it is null; with two the first, or the second where that is null.",
        syntax: "isnull(x[, otherwise])",
        example: "select isnull(null, 2) -- 2",
        arguments: |count| matches!(count, 1 | 2).then(|| vec![A::Result; count]),
        stands_for: |args, _| match args.len() {
            1 => args.into_iter().next().map(Expr::is_null),
            _ => Some(coalesce(args)),
        },
        is_condition: |count| count == 1,
    },
    Definition {
        // What `decode` of three arguments or more becomes: with two it is PostgreSQL's, of bytes.
        name: "decode_values",
        aliases: &[],
        about: "The result after the first value that is the first argument, nulls being equal; otherwise the last argument.",
        syntax: "decode(x, value, result[, value, result …][, otherwise])",
        example: "select decode(2, 1, 'one', 2, 'two', 'many') -- two",
        arguments: |count| {
            let pairs = count.checked_sub(1).filter(|others| *others > 1)?;
            let kinds = (0..pairs).map(|place| match place {
                value if value % 2 == 0 && value + 1 < pairs => A::Compared,
                _ => A::Result,
            });
            Some([A::Compared].into_iter().chain(kinds).collect())
        },
        stands_for: |args, _| {
            let mut args = args.into_iter();
            let x = args.next()?;
            let mut whens = Vec::new();
            let mut otherwise = None;
            while let Some(value) = args.next() {
                match args.next() {
                    Some(result) => whens.push((binary_expr(x.clone(), Operator::IsNotDistinctFrom, value), result)),
                    None => otherwise = Some(value),
                }
            }
            case(whens, otherwise)
        },
        is_condition: |_| false,
    },
];

/// `case when … then … else … end`
fn case(whens: impl IntoIterator<Item = (Expr, Expr)>, otherwise: Option<Expr>) -> Option<Expr> {
    let whens = whens.into_iter().map(|(when, then)| (Box::new(when), Box::new(then)));
    Some(Expr::Case(Case::new(None, whens.collect(), otherwise.map(Box::new))))
}

/// `case x when … then … else … end`
fn simple_case(x: Expr, whens: impl IntoIterator<Item = (Expr, Expr)>, otherwise: Option<Expr>) -> Option<Expr> {
    let whens = whens.into_iter().map(|(when, then)| (Box::new(when), Box::new(then)));
    Some(Expr::Case(Case::new(
        Some(Box::new(x)),
        whens.collect(),
        otherwise.map(Box::new),
    )))
}

fn zero(data_type: &DataType) -> Option<Expr> {
    let zero = ScalarValue::new_zero(data_type).ok()?;
    Some(Expr::Literal(zero, None))
}
