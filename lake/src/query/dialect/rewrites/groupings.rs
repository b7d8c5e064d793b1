//! How many groupings a statement asks for: `cube` of n columns has 2ⁿ.

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Select};

/// Grouping sets that a statement may have, as in PostgreSQL.
pub(super) const MOST: usize = 4096;

/// Checks that the groupings of GROUP BY are not too many to be made.
///
/// # Errors
/// Plan: they are.
pub(super) fn check(select: &Select) -> Result<()> {
    let GroupByExpr::Expressions(expressions, _) = &select.group_by else {
        return Ok(());
    };
    let all = expressions
        .iter()
        .try_fold(1_usize, |all, expression| all.checked_mul(sets(expression)?));
    match all {
        Some(all) if all <= MOST => Ok(()),
        _ => Err(DataFusionError::Plan(format!(
            "the statement has too many grouping sets: it may have {MOST}, and `cube` of n columns has 2 to the power of n"
        ))),
    }
}

/// How many grouping sets the expression stands for; `None` for more than can be counted.
fn sets(expression: &Expr) -> Option<usize> {
    match expression {
        Expr::Cube(columns) => 1_usize.checked_shl(u32::try_from(columns.len()).ok()?),
        Expr::Rollup(columns) => columns.len().checked_add(1),
        Expr::GroupingSets(sets) => Some(sets.len().max(1)),
        _ => Some(1),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::query::dialect::parse;

    #[test]
    fn groupings_that_are_too_many_are_refused() {
        let columns = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(", ");
        let cube = |count| format!("cube ({})", columns(count));
        for (group_by, allowed) in [
            (cube(12), true),
            (cube(13), false),
            (cube(40), false),
            (cube(70), false),
            (format!("{}, {}", cube(6), cube(6)), true),
            (format!("{}, {}", cube(6), cube(7)), false),
            (format!("rollup ({})", columns(40)), true),
            (columns(70), true),
        ] {
            let parsed = parse(&format!("select 1 from t group by {group_by}")).map(|_| ());
            assert_eq!(parsed.is_ok(), allowed, "{group_by}");
            if let Err(error) = parsed {
                assert!(error.to_string().contains("too many grouping sets"), "{error}");
            }
        }
    }
}
