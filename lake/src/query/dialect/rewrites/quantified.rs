//! `x = any (list)` and `x < all (list)` become operators of their own, which the session plans.

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Statement};

use super::build;
use super::calls::take;
use crate::query::walk;

/// Rewrites comparisons with the items of a list; those with a subquery stay.
///
/// # Errors
/// None.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        let (left, op, right, word) = match expr {
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => (left, compare_op, right, "any"),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => (left, compare_op, right, "all"),
            _ => return Ok(()),
        };
        if !matches!(**right, Expr::Subquery(_)) {
            let op = BinaryOperator::Custom(format!("{op} {word}"));
            *expr = build::binary(build::nested(take(left)), op, build::nested(take(right)));
        }
        Ok(())
    })
}
