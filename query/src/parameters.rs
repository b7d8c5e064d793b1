//! The types of a statement's parameters, as far as where they stand tells them.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use cordada_core::{Context, Error, Result};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// What is being done when a parameter turns out to be none.
const DOING: &str = "planning the query";

/// More parameters than any statement has; it bounds what `$1000000000` costs.
const MOST: usize = 32_767;

/// The types of the parameters `$1`, `$2` … of the plan; `None` where only the value will tell.
///
/// # Errors
/// Failed: a parameter has another name, or stands where types contradict each other.
pub(crate) fn types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    let mut types = BTreeMap::new();
    for (name, data_type) in plan.get_parameter_types().doing(|| DOING)? {
        let number = number(&name).filter(|number| (1..=MOST).contains(number));
        let number = number.ok_or_else(|| {
            Error::failed(DOING, format!("`{name}` is not a parameter")).hint("write `?`, or `$1`, `$2` …")
        })?;
        types.insert(number, data_type);
    }
    if types.values().any(Option::is_none) {
        for (number, data_type) in stated(plan)? {
            if let Some(known) = types.get_mut(&number) {
                known.get_or_insert(data_type);
            }
        }
    }
    let last = types.last_key_value().map_or(0, |(number, _)| *number);
    Ok((1..=last).map(|number| types.get(&number).cloned().flatten()).collect())
}

fn number(name: &str) -> Option<usize> {
    name.strip_prefix('$')?.parse().ok()
}

/// What the engine does not infer: a parameter that is cast has the type that it is cast to, as in PostgreSQL, and one
/// that is a LIMIT or an OFFSET is a whole number.
fn stated(plan: &LogicalPlan) -> Result<Vec<(usize, DataType)>> {
    let mut stated = Vec::new();
    let mut state = |expr: &Expr, data_type: &DataType| {
        if let Expr::Placeholder(placeholder) = expr
            && let Some(number) = number(&placeholder.id)
        {
            stated.push((number, data_type.clone()));
        }
    };
    let walk = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for number in [&limit.skip, &limit.fetch].into_iter().flatten() {
                state(number, &DataType::Int64);
            }
        }
        node.apply_expressions(|expression| {
            expression.apply(|expression| {
                match expression {
                    Expr::Cast(cast) => state(&cast.expr, cast.field.data_type()),
                    Expr::TryCast(cast) => state(&cast.expr, cast.field.data_type()),
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    walk.doing(|| DOING)?;
    Ok(stated)
}
