//! `x in (a, b)` where the engine answers it wrongly.
//!
//! Of items that are no constants it takes those for constants that it can calculate without rows, as it can some calls of
//! functions, and takes two lists for disjoint in which different columns stand. They become comparisons.
//!
//! Two lists of constants for the same `x` it makes into one, as if `x` were never null: `x not in (1, 2) or x not in (3, 4)`
//! would be true of a null. One of the two becomes a comparison with a list, which stays.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, Volatility};
use datafusion::optimizer::AnalyzerRule;

use super::expressions::rewrite;
use super::quantified;

/// Makes comparisons of the items that are no constants. It stands before types are fitted to each other.
#[derive(Debug)]
pub(super) struct ItemsOfRows;

impl AnalyzerRule for ItemsOfRows {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let compared = |plan| rewrite(plan, |expr| expr.transform_up(|expr| Ok(compared(expr))));
        plan.transform_up_with_subqueries(compared).map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "items_of_rows"
    }
}

/// What it is compared with is calculated once for each item, so that it must have the same value each time.
fn compared(expr: Expr) -> Transformed<Expr> {
    let list = match expr {
        // `x in ((select …))` is looked for among the rows.
        Expr::InList(list) if matches!(list.list.as_slice(), [Expr::ScalarSubquery(_)]) => {
            return Transformed::no(Expr::InList(list));
        }
        Expr::InList(list) if !list.expr.is_volatile() && !list.list.iter().all(is_constant) => list,
        other => return Transformed::no(other),
    };
    let InList { expr, list, negated } = list;
    let (constants, others): (Vec<_>, Vec<_>) = list.into_iter().partition(is_constant);
    let constants = match constants.is_empty() {
        true => None,
        false => Some(Expr::InList(InList::new(expr.clone(), constants, negated))),
    };
    let op = if negated { Operator::NotEq } else { Operator::Eq };
    let others = others
        .into_iter()
        .map(|item| Expr::BinaryExpr(BinaryExpr::new(expr.clone(), op, Box::new(item))));
    let all = constants.into_iter().chain(others);
    let joined = match negated {
        true => all.reduce(Expr::and),
        false => all.reduce(Expr::or),
    };
    // There is an item at least that is no constant.
    joined.map_or_else(|| Transformed::no(Expr::Literal(false.into(), None)), Transformed::yes)
}

fn is_constant(item: &Expr) -> bool {
    match item {
        Expr::Literal(..) | Expr::Placeholder(_) => true,
        Expr::Negative(inner) => is_constant(inner),
        Expr::Cast(cast) => is_constant(&cast.expr),
        Expr::Alias(alias) => is_constant(&alias.expr),
        // `-1` and `1 + 2`: simplified before anything runs.
        Expr::ScalarFunction(call) => {
            call.func.signature().volatility == Volatility::Immutable && call.args.iter().all(is_constant)
        }
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => is_constant(left) && is_constant(right),
        _ => false,
    }
}

/// Keeps lists of constants apart that the engine would make one of. It stands after types have been fitted.
#[derive(Debug)]
pub(super) struct ListsApart;

impl AnalyzerRule for ListsApart {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| {
            // Where rows are filtered, null is as good as false.
            let filters = matches!(plan, LogicalPlan::Filter(_));
            let schema = merge_schema(&plan.inputs());
            rewrite(plan, |expr| apart(expr, filters, &schema))
        })
        .map(|plan| plan.data)
    }

    fn name(&self) -> &str {
        "lists_apart"
    }
}

fn apart(expr: Expr, filters: bool, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match &expr {
        Expr::BinaryExpr(BinaryExpr {
            op: op @ (Operator::And | Operator::Or),
            ..
        }) => {
            let mut chain = Chain {
                op: *op,
                filters,
                schema,
                seen: Vec::new(),
            };
            chain.operand(expr)
        }
        _ => expr.map_children(|child| apart(child, false, schema)),
    }
}

/// A chain of one operator.
struct Chain<'a> {
    op: Operator,
    filters: bool,
    schema: &'a DFSchema,
    /// What lists before were for.
    seen: Vec<Expr>,
}

impl Chain<'_> {
    fn operand(&mut self, expr: Expr) -> Result<Transformed<Expr>> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if op == self.op => {
                let (left, right) = (self.operand(*left)?, self.operand(*right)?);
                let changed = left.transformed || right.transformed;
                let expr = Expr::BinaryExpr(BinaryExpr::new(Box::new(left.data), op, Box::new(right.data)));
                Ok(Transformed::new_transformed(expr, changed))
            }
            Expr::InList(list) if self.makes_one(&list) => {
                let stays = match self.seen.contains(&list.expr) {
                    true => quantified::of_in_list(&list)?,
                    false => {
                        self.seen.push(list.expr.as_ref().clone());
                        None
                    }
                };
                Ok(stays.map_or_else(|| Transformed::no(Expr::InList(list)), Transformed::yes))
            }
            other => apart(other, self.filters, self.schema),
        }
    }

    /// Whether the engine makes one of such lists, with another answer for a null.
    fn makes_one(&self, list: &InList) -> bool {
        let wrongly = match self.op {
            Operator::Or => list.negated,
            _ => !self.filters,
        };
        wrongly && list.expr.nullable(self.schema).unwrap_or(true)
    }
}
