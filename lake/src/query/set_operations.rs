//! `except all` and `intersect all` count: of three equal rows, `except all` one of them leaves two.
//! (PostgreSQL, "UNION, INTERSECT, EXCEPT".)

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, NullEquality, Result};
use datafusion::config::ConfigOptions;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, JoinType, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

/// Which of equal rows this is, on the left and on the right.
const PLACES: [&str; 2] = ["\u{1}left", "\u{1}right"];

/// Makes each of equal rows find one row of its own on the other side.
#[derive(Debug)]
pub(super) struct CountedRows;

impl AnalyzerRule for CountedRows {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(of_plan).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "counted_rows"
    }
}

fn of_plan(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Join(join) if counts_rows(&join) => counted(&join).map(Transformed::yes),
        plan => Ok(Transformed::no(plan)),
    }
}

/// Whether the join is one of these, and its rows are not counted yet.
///
/// The planner makes a join of them in which nulls are equal, which it makes of nothing else; without ALL, what is on the
/// left is distinct.
pub(super) fn counts_rows(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftAnti | JoinType::LeftSemi)
        && join.null_equality == NullEquality::NullEqualsNull
        && !matches!(&*join.left, LogicalPlan::Distinct(_))
        && !is_counted(join)
}

/// A plan may be analysed more than once.
fn is_counted(join: &Join) -> bool {
    let keys = join.on.iter().filter_map(|(left, _)| left.try_as_col());
    keys.into_iter().any(|key| key.name == PLACES[0])
}

fn counted(join: &Join) -> Result<LogicalPlan> {
    let columns = |side: fn(&(Expr, Expr)) -> &Expr| -> Vec<Column> {
        join.on
            .iter()
            .filter_map(|pair| side(pair).try_as_col().cloned())
            .collect()
    };
    let mut left_keys = columns(|(left, _)| left);
    let mut right_keys = columns(|(_, right)| right);
    let left = numbered(&join.left, &left_keys, PLACES[0])?;
    let right = numbered(&join.right, &right_keys, PLACES[1])?;
    left_keys.push(Column::new_unqualified(PLACES[0]));
    right_keys.push(Column::new_unqualified(PLACES[1]));
    let wanted = join.left.schema().columns().into_iter().map(Expr::Column);
    LogicalPlanBuilder::from(left)
        .join_detailed(
            right,
            join.join_type,
            (left_keys, right_keys),
            None,
            NullEquality::NullEqualsNull,
        )?
        .project(wanted)?
        .build()
}

/// The rows, each with its place among those that are equal.
fn numbered(input: &LogicalPlan, keys: &[Column], name: &str) -> Result<LogicalPlan> {
    let place = row_number()
        .partition_by(keys.iter().cloned().map(Expr::Column).collect())
        .build()?
        .alias(name);
    LogicalPlanBuilder::from(input.clone()).window([place])?.build()
}
