//! The conditions of a statement that may run on rows which its user does not see.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

/// Whether the condition cannot fail, and is only about `clear` columns, which show their values: comparisons of a column
/// with literals of its own type, and what joins them. It lets a scan skip what it need not read.
pub(super) fn is_safe(condition: &Expr, clear: &BTreeSet<String>, schema: &Schema) -> bool {
    let is_safe = |condition: &Expr| is_safe(condition, clear, schema);
    let compares = |column: &Expr, values: &[&Expr]| compares(column, values, clear, schema);
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => is_safe(left) && is_safe(right),
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => compares(left, &[&**right]) || compares(right, &[&**left]),
            _ => false,
        },
        Expr::Not(condition) => is_safe(condition),
        Expr::IsNull(column) | Expr::IsNotNull(column) => compares(column, &[]),
        Expr::Between(Between { expr, low, high, .. }) => compares(expr, &[&**low, &**high]),
        Expr::InList(InList { expr, list, .. }) => compares(expr, &list.iter().collect::<Vec<_>>()),
        _ => false,
    }
}

fn compares(column: &Expr, values: &[&Expr], clear: &BTreeSet<String>, schema: &Schema) -> bool {
    let Expr::Column(column) = column else {
        return false;
    };
    let Ok(field) = schema.field_with_name(&column.name) else {
        return false;
    };
    let is_literal =
        |value: &&Expr| matches!(value, Expr::Literal(value, _) if value.data_type() == *field.data_type());
    clear.contains(&column.name) && !field.data_type().is_nested() && values.iter().all(is_literal)
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn what_could_fail_or_tell_waits() {
        let schema = Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("hidden", DataType::Int64, true),
        ]);
        let clear = BTreeSet::from(["n".to_owned()]);
        let is_safe = |condition: Expr| super::is_safe(&condition, &clear, &schema);
        for safe in [
            col("n").gt(lit(1_i64)),
            lit(1_i64).eq(col("n")).or(col("n").is_null()),
            col("n").in_list(vec![lit(1_i64), lit(2_i64)], true),
            col("n").between(lit(1_i64), lit(2_i64)).and(!col("n").eq(lit(3_i64))),
        ] {
            assert!(is_safe(safe.clone()), "{safe}");
        }
        for other in [
            col("hidden").gt(lit(1_i64)),
            col("n").gt(lit(1_i64)).and(col("hidden").is_null()),
            (lit(1_i64) / col("n")).gt(lit(1_i64)),
            col("n").gt(col("n")),
            col("n").gt(lit("1")),
            lit(true),
        ] {
            assert!(!is_safe(other.clone()), "{other}");
        }
    }
}
