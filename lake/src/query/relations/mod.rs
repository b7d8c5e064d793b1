//! What FROM holds besides tables: UNNEST with ordinality and over columns of outer tables, PIVOT and UNPIVOT, and
//! joins with LATERAL subqueries of any kind.

use std::sync::Arc;

use datafusion::logical_expr::planner::RelationPlanner;

mod aliases;
mod dependent;
mod pivot;
mod push;
mod scalar;
mod sets;
mod unnest;

pub(super) use dependent::DependentJoins;

/// The planners of relations.
pub(super) fn planners() -> Vec<Arc<dyn RelationPlanner>> {
    vec![
        Arc::new(unnest::Unnests),
        Arc::new(pivot::Pivots),
        Arc::new(aliases::Aliases),
    ]
}
