//! `t as a(x, y)`: the names may be of the first columns alone. (PostgreSQL, "Table and Column Aliases".)

use datafusion::common::Result;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::sql::sqlparser::ast::{Ident, TableAlias, TableAliasColumnDef, TableFactor};

/// Plans relations whose columns are named.
#[derive(Debug)]
pub(super) struct Aliases;

impl RelationPlanner for Aliases {
    fn plan_relation(
        &self,
        mut relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let Some(alias) = named_columns(&mut relation) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = context.plan(relation)?;
        let fields = plan.schema().fields().iter();
        let alias = complete(alias, fields.map(|field| field.name().clone()).collect());
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(
            plan,
            Some(alias),
        ))))
    }
}

/// The alias of a table or a query, taken from it, if it names columns.
fn named_columns(relation: &mut TableFactor) -> Option<TableAlias> {
    let (TableFactor::Table { alias, args: None, .. } | TableFactor::Derived { alias, .. }) = relation else {
        return None;
    };
    alias.take_if(|alias| !alias.columns.is_empty())
}

/// The alias with the names that columns have where it names fewer.
pub(super) fn complete(mut alias: TableAlias, names: Vec<String>) -> TableAlias {
    let rest = names.into_iter().skip(alias.columns.len());
    let rest = rest.map(|name| TableAliasColumnDef {
        name: Ident::with_quote('"', name),
        data_type: None,
    });
    alias.columns.extend(rest.collect::<Vec<_>>());
    alias
}
