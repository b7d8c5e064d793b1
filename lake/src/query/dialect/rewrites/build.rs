//! Pieces of syntax that rewrites put in.

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Query, SetExpr, Value, ValueWithSpan, Values, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::query::dialect::grammar::Grammar;

/// The expression that the text says.
pub(super) fn expr(sql: &str) -> Result<Expr> {
    Ok(Parser::new(&Grammar).try_with_sql(sql)?.parse_expr()?)
}

/// The expression that the template says, with `$1`, `$2` … replaced.
pub(super) fn filled(template: &str, parts: &[Expr]) -> Result<Expr> {
    struct Fill<'a>(&'a [Expr]);

    impl VisitorMut for Fill<'_> {
        type Break = ();

        // After its children, so that parameters within the parts stay.
        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Value(ValueWithSpan {
                value: Value::Placeholder(name),
                ..
            }) = &*expr
                && let Some(part) = name
                    .strip_prefix('$')
                    .and_then(|number| number.parse::<usize>().ok())
                    .and_then(|number| self.0.get(number.checked_sub(1)?))
            {
                *expr = part.clone();
            }
            ControlFlow::Continue(())
        }
    }

    let mut filled = expr(template)?;
    let _ = filled.visit(&mut Fill(parts));
    Ok(filled)
}

/// The query that the text says.
pub(super) fn query_of(sql: &str) -> Result<Query> {
    Ok(*Parser::new(&Grammar).try_with_sql(sql)?.parse_query()?)
}

/// A number, as it is written.
pub(super) fn number(digits: &str) -> Expr {
    Expr::value(Value::Number(digits.to_owned(), false))
}

/// The expression in parentheses.
pub(super) fn nested(expr: Expr) -> Expr {
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) | Expr::Nested(_) | Expr::Function(_) => {
            expr
        }
        expr => Expr::Nested(Box::new(expr)),
    }
}

/// Two expressions joined by an operator. Operands with operators are in parentheses already.
pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(left),
        op,
        right: Box::new(right),
    }
}

/// A query of nothing but a body.
pub(super) fn query(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// What stands for a body while it is being replaced.
pub(super) fn no_values() -> Values {
    Values {
        explicit_row: false,
        value_keyword: false,
        rows: Vec::new(),
    }
}
