//! `where b <> 0 and a / b > 2` does not divide by zero. The engine calculates both sides of `and` for all rows of a batch;
//! what may fail is calculated only where the conditions before it ask for it.
//!
//! `g and f` becomes `g and case when g is not false then f end`, and `g or f` becomes `g or case when g is not true then f
//! end`, which have the same answers also where `g` is null. `g` is what was said before of the very columns that `f` may
//! fail on, and of no relation that `f` does not read: so `f` is pushed down as far as it was.

use std::collections::HashSet;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, disjunction, merge_schema, split_binary};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::Operation;
use super::function::Arithmetic;

/// Functions that have no answer for some numbers.
const PARTIAL: [&str; 13] = [
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
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let expr = expr.transform_up(|expr| guarded(expr, &schema))?;
                Ok(expr.update_data(|expr| name.restore(expr)))
            })
        })
        .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "guards"
    }
}

fn guarded(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let guard = match op {
        Operator::And | Operator::Or => guard(&left, op, &right, schema)?,
        _ => None,
    };
    let guard = guard.filter(|guard| !is_behind(&right, guard));
    let is_guarded = guard.is_some();
    let right = match guard {
        Some(guard) => {
            let case = Case::new(None, vec![(Box::new(guard), right)], None);
            Box::new(Expr::Case(case))
        }
        None => right,
    };
    let expr = Expr::BinaryExpr(BinaryExpr { left, op, right });
    Ok(Transformed::new(expr, is_guarded, TreeNodeRecursion::Continue))
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
        Operator::And => conjunction(said).map(Expr::is_not_false),
        _ => disjunction(said).map(Expr::is_not_true),
    })
}

/// Whether that was done before: a plan may be analysed twice.
fn is_behind(expr: &Expr, guard: &Expr) -> bool {
    match expr {
        Expr::Case(case) => case.when_then_expr.iter().any(|(when, _)| **when == *guard),
        _ => false,
    }
}

fn relation(column: &Column) -> Option<&datafusion::common::TableReference> {
    column.relation.as_ref()
}

/// What an expression may fail on.
fn operands<'a>(expr: &'a Expr, schema: &DFSchema) -> Vec<&'a Expr> {
    match expr {
        Expr::ScalarFunction(call) => match call.func.inner().downcast_ref::<Arithmetic>() {
            Some(arithmetic) if arithmetic.divides() => call.args.iter().skip(1).collect(),
            Some(_) => Vec::new(),
            None if PARTIAL.contains(&call.func.name()) => call.args.iter().collect(),
            None => Vec::new(),
        },
        // A text that is no number.
        Expr::Cast(cast) => match cast.expr.get_type(schema) {
            Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => vec![&cast.expr],
            _ => Vec::new(),
        },
        Expr::BinaryExpr(BinaryExpr { op, right, .. }) => match Operation::of_engine(*op) {
            Some(Operation::Divide | Operation::Modulo) => vec![right],
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}
