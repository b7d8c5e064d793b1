//! Views as boundaries: who reads one without what is behind it sees the rows that it shows, and no others.
//!
//! The engine would compute `1 / (balance - 666)` of a statement along with the view's own conditions, on rows that these
//! leave out.

use std::sync::Arc;

use cordada_core::TableName;
use cordada_lake::query::session::DEFAULT_SCHEMA;
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::ViewTable;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;

use super::relation::{Planner, PolicedRelation};
use crate::access::Access;

/// The relation; if it is a view that leaves rows out of what `access` does not read, behind a barrier.
///
/// # Errors
/// Its columns cannot be named.
pub(super) fn bounded(
    name: &TableName,
    relation: Arc<dyn TableProvider>,
    access: &Access,
    planner: &Planner,
) -> Result<Arc<dyn TableProvider>> {
    let Some(view) = relation.downcast_ref::<ViewTable>() else {
        return Ok(relation);
    };
    match leaves_out(view.logical_plan(), access)? {
        true => Ok(Arc::new(PolicedRelation::of_view(name, view, planner)?)),
        false => Ok(relation),
    }
}

/// Whether the plan leaves out rows, and reads relations that may not be read.
fn leaves_out(plan: &LogicalPlan, access: &Access) -> Result<bool> {
    let (mut leaves_out, mut reads_hidden) = (false, false);
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::TableScan(scan) => {
                let schema = scan.table_name.schema().unwrap_or(DEFAULT_SCHEMA);
                let name = TableName::new(schema, scan.table_name.table());
                reads_hidden |= name.is_ok_and(|name| !access.may_read(name.schema(), name.name()));
                leaves_out |= !scan.filters.is_empty();
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Repartition(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_) => {}
            _ => leaves_out = true,
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(leaves_out && reads_hidden)
}
