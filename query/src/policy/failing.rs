//! What of a plan may fail, by the values that it meets.
//!
//! An error tells of a row. Where a condition that leaves rows out may fail, whoever asks must not choose the rows that it
//! is computed for: `where id = 4` and an error say something of a row that is not shown.
//!
//! What is not known here may fail.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{InList, Like};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, TableScan};

use super::mask::Masking;

/// Functions that have an answer for all values of their types.
const TOTAL: [&str; 14] = [
    "btrim",
    "character_length",
    "coalesce",
    "ifnull",
    "left",
    "lower",
    "ltrim",
    "nullif",
    "nvl",
    "right",
    "rtrim",
    "starts_with",
    "try_cast_as",
    "upper",
];

/// Aggregates that have.
const TOTAL_AGGREGATES: [&str; 3] = ["count", "max", "min"];

/// Whether anything in the plan may fail. It is optimized: its types fit each other, and what is constant is computed.
///
/// # Errors
/// The plan is not sound.
pub(super) fn may_fail(plan: &LogicalPlan) -> Result<bool> {
    let mut fails = false;
    plan.apply_with_subqueries(|node| {
        fails = fails || node_may_fail(node)?;
        Ok(match fails {
            false => TreeNodeRecursion::Continue,
            true => TreeNodeRecursion::Stop,
        })
    })?;
    Ok(fails)
}

/// Whether anything in the optimized plan may fail on rows that it leaves out. What stands above all that leaves rows out
/// is computed for those that it shows.
///
/// # Errors
/// The plan is not sound.
pub(super) fn may_fail_on_others(plan: &LogicalPlan) -> Result<bool> {
    let mut fails = false;
    plan.apply(|node| {
        Ok(match node {
            LogicalPlan::Projection(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Distinct(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Window(_) => TreeNodeRecursion::Continue,
            leaves_out => {
                fails = fails || may_fail(leaves_out)?;
                TreeNodeRecursion::Jump
            }
        })
    })?;
    Ok(fails)
}

fn node_may_fail(node: &LogicalPlan) -> Result<bool> {
    let schema = match node {
        LogicalPlan::TableScan(TableScan { table_name, source, .. }) => {
            DFSchema::try_from_qualified_schema(table_name.clone(), &source.schema())?
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_) => merge_schema(&node.inputs()),
        _ => return Ok(true),
    };
    let mut fails = false;
    node.apply_expressions(|expression| {
        expression.apply(|part| {
            fails = fails || part_may_fail(part, &schema);
            Ok(match fails {
                false => TreeNodeRecursion::Continue,
                true => TreeNodeRecursion::Stop,
            })
        })
    })?;
    Ok(fails)
}

/// Whether an expression may fail although its parts do not.
fn part_may_fail(expression: &Expr, schema: &DFSchema) -> bool {
    let alike = |first: &Expr, others: &[&Expr]| match first.get_type(schema) {
        Ok(data_type) if !data_type.is_nested() => others
            .iter()
            .all(|other| matches!(other.get_type(schema), Ok(own) if own == data_type)),
        _ => false,
    };
    let is_text = |part: &Expr| part.get_type(schema).is_ok_and(|own| own.is_string());
    let is_sure = match expression {
        Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Alias(_)
        | Expr::Case(_)
        | Expr::Not(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_) => true,
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or => true,
            Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom => alike(left, &[right]),
            Operator::StringConcat => [left, right].iter().all(|side| is_text(side)),
            _ => false,
        },
        Expr::Between(Between { expr, low, high, .. }) => alike(expr, &[low, high]),
        Expr::InList(InList { expr, list, .. }) => alike(expr, &list.iter().collect::<Vec<_>>()),
        Expr::Like(Like { expr, pattern, .. }) => matches!(**pattern, Expr::Literal(..)) && alike(expr, &[pattern]),
        Expr::Cast(cast) => (cast.expr.get_type(schema)).is_ok_and(|own| takes_all(cast.field.data_type(), &own)),
        Expr::ScalarFunction(call) => match call.func.name() {
            // A length below zero is an error.
            "substr" => call.args.iter().skip(1).all(is_count),
            name => TOTAL.contains(&name) || call.func.inner().downcast_ref::<Masking>().is_some(),
        },
        Expr::AggregateFunction(call) => TOTAL_AGGREGATES.contains(&call.func.name()),
        _ => false,
    };
    !is_sure
}

fn is_count(argument: &Expr) -> bool {
    matches!(argument, Expr::Literal(ScalarValue::Int64(Some(count)), _) if *count >= 0)
}

/// Whether each value of the one type has an equal in the other.
fn takes_all(to: &DataType, from: &DataType) -> bool {
    let bytes = |data_type: &DataType| data_type.primitive_width().unwrap_or_default();
    if let (DataType::Decimal128(more, places), DataType::Decimal128(digits, own)) = (to, from) {
        let whole = |digits: u8, places: i8| i16::from(digits) - i16::from(places);
        return places >= own && whole(*more, *places) >= whole(*digits, *own);
    }
    from == to
        || *from == DataType::Null
        || (from.is_string() && to.is_string())
        || (*from == DataType::Boolean && to.is_integer())
        || (from.is_signed_integer() && to.is_signed_integer() && bytes(from) <= bytes(to))
        || (from.is_unsigned_integer() && to.is_integer() && bytes(from) < bytes(to))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};
    use datafusion::datasource::empty::EmptyTable;
    use datafusion::prelude::SessionContext;

    use super::*;

    async fn optimized(sql: &str) -> LogicalPlan {
        let session = SessionContext::new();
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("small", DataType::Int16, true),
            Field::new("note", DataType::Utf8View, true),
            Field::new("ids", DataType::new_list(DataType::Int64, true), true),
        ]);
        let table = Arc::new(EmptyTable::new(Arc::new(schema)));
        session.register_table("t", table).unwrap();
        let plan = session.sql(sql).await.unwrap().into_unoptimized_plan();
        session.state().optimize(&plan).unwrap()
    }

    #[tokio::test]
    async fn what_has_an_answer_for_all_values_does_not_fail() {
        for sure in [
            "select id from t where note = 'ES' or id between 1 and 3 and small is not null",
            "select id from t where small > id and note in ('a', 'b', 'c', 'd', 'e')",
            "select case when note like 'a%' then left(note, 2) else upper(note) end from t",
            "select * from t where id in (select small from t where note <> 'x')",
            "select id from t where exists (select 1 from t o where o.id = t.id and not o.note = t.note)",
            "select note, count(*), max(id) from t group by note",
            "select left(note, 1) || '***' || substr(note, 3, 2) from t",
        ] {
            assert!(!may_fail(&optimized(sure).await).unwrap(), "{sure}");
        }
        for unsure in [
            "select id from t where cast(note as int) > 0",
            "select id from t where 1 / id > 0",
            "select id + 1 from t",
            "select cast(id as smallint) from t",
            "select id from t where note ~ 'a.b'",
            "select id from t where ids = [1]",
            "select id from t where id in (select cast(note as int) from t)",
            "select sum(id) from t",
            "select substr(note, id) from t",
            "select row_number() over (order by id) from t",
        ] {
            assert!(may_fail(&optimized(unsure).await).unwrap(), "{unsure}");
        }
    }

    #[tokio::test]
    async fn what_is_computed_for_the_rows_that_are_shown_tells_of_no_others() {
        for shown in [
            "select id * 2 from t where note = 'ES'",
            "select note, sum(id) from t where small = 1 group by note",
            "select a.id + b.id from t a join t b on a.id = b.id",
        ] {
            assert!(!may_fail_on_others(&optimized(shown).await).unwrap(), "{shown}");
        }
        for others in [
            "select id from t where cast(note as int) > 0",
            "select r from (select 1 / id as r from t) where r > 0",
            "select note from t group by note having sum(id) > 0",
            "select a.id from (select id * 2 as id from t) a join t b on a.id = b.id",
        ] {
            assert!(may_fail_on_others(&optimized(others).await).unwrap(), "{others}");
        }
    }
}
