//! What a subquery reads of the queries around it.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, Result};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::subquery_places::subquery;

/// The columns of the queries around a plan that it reads.
#[derive(Default)]
pub(super) struct OuterColumns {
    /// By itself, of which the engine knows.
    pub own: Vec<Column>,
    /// In subqueries of its expressions, of which the engine does not know.
    pub of_subqueries: Vec<Column>,
}

impl OuterColumns {
    /// Those that the plan reads.
    pub fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut found = Self::default();
        plan.apply(|node| {
            let inputs = merge_schema(&node.inputs());
            node.apply_expressions(|expr| {
                expr.apply(|expr| {
                    if let Expr::OuterReferenceColumn(_, column) = expr {
                        found.own.push(column.clone());
                    }
                    if let Some(subquery) = subquery(expr) {
                        let read = Self::of(&subquery.subquery)?.all();
                        let further = read.filter(|column| !inputs.has_column(column));
                        found.of_subqueries.extend(further);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(found)
    }

    pub fn all(self) -> impl Iterator<Item = Column> {
        self.own.into_iter().chain(self.of_subqueries)
    }

    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.of_subqueries.is_empty()
    }
}
