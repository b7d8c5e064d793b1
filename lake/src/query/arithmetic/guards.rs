//! `where b <> 0 and a / b > 2` does not divide by zero. The engine calculates both sides of `and` for all rows of a batch;
//! what may fail is calculated only where the conditions before it ask for it.
//!
//! `g and f` becomes `g and case when g is distinct from false then f end`, and `g or f` becomes `g or case when g is
//! distinct from true then f end`, which have the same answers also where `g` is null. `g` is what was said before of the
//! very columns that `f` may fail on, and of no relation that `f` does not read: so `f` is pushed down as far as it was.

use std::collections::HashSet;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result, ScalarValue, TableReference};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::utils::{conjunction, disjunction, merge_schema, split_binary};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, lit};
use datafusion::optimizer::AnalyzerRule;

use super::Operation;
use super::function::Arithmetic;
use crate::query::expressions::rewrite;
use crate::query::functions::casts::CAST;

/// Functions that have no answer for some numbers.
const PARTIAL: [&str; 14] = [
    "cast_as",
    "mod",
    "div",
    "divide",
    "ln",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "power",
    "acos",
    "asin",
    "factorial",
];

/// Puts guards before what may fail.
#[derive(Debug)]
pub(in crate::query) struct Guards;

impl AnalyzerRule for Guards {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            rewrite(plan, |expr| expr.transform_up(|expr| guarded(expr, &schema)))
        })
        .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "guards"
    }
}

fn guarded(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if matches!(op, Operator::And | Operator::Or) => {
            let guard = guard(&left, op, &right, schema)?.filter(|guard| !is_behind(&right, guard));
            let is_guarded = guard.is_some();
            let right = match guard {
                Some(guard) => Box::new(shielded(Case::new(None, vec![(Box::new(guard), right)], None))),
                None => right,
            };
            let expr = Expr::BinaryExpr(BinaryExpr { left, op, right });
            Ok(Transformed::new(expr, is_guarded, TreeNodeRecursion::Continue))
        }
        Expr::Case(case) => {
            let mut results = case
                .when_then_expr
                .iter()
                .map(|(_, result)| result)
                .chain(&case.else_expr);
            let is_condition = results.all(|result| !matches!(result.get_type(schema), Ok(own) if !may_be_truth(&own)));
            let expr = Expr::Case(case);
            match (is_condition && may_fail(&expr, schema)?, expr) {
                (true, Expr::Case(case)) => Ok(Transformed::yes(shielded(case))),
                (_, expr) => Ok(Transformed::no(expr)),
            }
        }
        other => Ok(Transformed::no(other)),
    }
}

fn may_be_truth(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Boolean | DataType::Null)
}

/// A `case` of conditions, which stays one: of another the engine makes `and` and `or`, and calculates all of it.
pub(in crate::query) fn shielded(mut case: Case) -> Expr {
    let results = case.when_then_expr.iter_mut().map(|(_, result)| result);
    for result in results.chain(&mut case.else_expr) {
        let condition = std::mem::replace(&mut **result, Expr::Literal(ScalarValue::Null, None));
        **result = Expr::Cast(Cast::new(Box::new(condition), DataType::Int8));
    }
    Expr::Case(case).eq(lit(1_i8))
}

/// Whether the expression may fail for some values.
pub(in crate::query) fn may_fail(expr: &Expr, schema: &DFSchema) -> Result<bool> {
    expr.exists(|inner| Ok(!operands(inner, schema).is_empty()))
}

/// The condition under which the right side is asked for, if it may fail elsewhere.
fn guard(left: &Expr, op: Operator, right: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let mut fails_on = HashSet::new();
    right.apply(|inner| {
        fails_on.extend(operands(inner, schema).into_iter().flat_map(Expr::column_refs));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if fails_on.is_empty() {
        return Ok(None);
    }
    let relations: HashSet<_> = right.column_refs().into_iter().map(relation).collect();
    let says = |before: &&Expr| {
        let columns = before.column_refs();
        columns.iter().any(|column| fails_on.contains(column))
            && columns.iter().all(|column| relations.contains(&relation(column)))
            && !before.is_volatile()
    };
    let said = split_binary(left, op).into_iter().filter(says).cloned();
    Ok(match op {
        Operator::And => conjunction(said).map(|said| binary_expr(said, Operator::IsDistinctFrom, lit(false))),
        _ => disjunction(said).map(|said| binary_expr(said, Operator::IsDistinctFrom, lit(true))),
    })
}

/// Whether that was done before: a plan may be analysed twice.
fn is_behind(expr: &Expr, guard: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, .. }) = expr else {
        return false;
    };
    matches!(&**left, Expr::Case(case) if case.when_then_expr.iter().any(|(when, _)| **when == *guard))
}

fn relation(column: &Column) -> Option<&TableReference> {
    column.relation.as_ref()
}

fn is_text(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(
        expr.get_type(schema),
        Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
    )
}

/// What an expression may fail on.
fn operands<'a>(expr: &'a Expr, schema: &DFSchema) -> Vec<&'a Expr> {
    match expr {
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<Arithmetic>() {
            Some(arithmetic) if arithmetic.divides() => call.args.iter().skip(1).collect(),
            Some(_) => Vec::new(),
            None if PARTIAL.contains(&call.func.name()) => call.args.iter().collect(),
            // A text that is no number, in PostgreSQL's cast.
            None if call.func.name() == CAST => {
                let of_text = call.args.iter().filter(|arg| is_text(arg, schema));
                of_text.collect()
            }
            None => Vec::new(),
        },
        // A text that is no number.
        Expr::Cast(cast) if is_text(&cast.expr, schema) => vec![&cast.expr],
        Expr::BinaryExpr(BinaryExpr { op, right, .. }) => match Operation::of_engine(*op) {
            Some(Operation::Divide | Operation::Modulo) => vec![right],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
