//! `t.*`: as an argument, `json_agg(t.*)`, the row as a value, which is what `t` alone is too; and in a select list of a table
//! that FROM names with its schema, `select orders.* from marts.orders`. (PostgreSQL, "Using Composite Types in Queries".)

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result, plan_datafusion_err};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Select, SelectItem,
    SelectItemQualifiedWildcardKind, Statement, TableFactor, TableWithJoins, VisitorMut,
};

use super::calls::name_of;
use crate::query::walk;

/// Writes the name of the relation alone, or with its schema.
///
/// # Errors
/// None.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Wildcards)
}

struct Wildcards;

impl VisitorMut for Wildcards {
    type Break = DataFusionError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<DataFusionError> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let Some(full) = single(name).and_then(|name| full(name, &select.from))
            {
                *name = full;
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        if let Expr::Function(call) = expr
            && let FunctionArguments::List(list) = &mut call.args
        {
            // The fields of `row(t.*)` are the columns, and not one row.
            let is_row = name_of(&call.name).as_deref() == Some("row");
            let is_whole = |arg: &FunctionArg| {
                matches!(
                    arg,
                    FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_) | FunctionArgExpr::Wildcard)
                )
            };
            if is_row && list.args.iter().any(is_whole) {
                let [FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name))] = list.args.as_slice() else {
                    return ControlFlow::Break(plan_datafusion_err!(
                        "row(…) with `*` beside other fields is not supported: write the columns"
                    ));
                };
                if let Some(name) = single(name).cloned() {
                    *expr = Expr::Identifier(name);
                }
                return ControlFlow::Continue(());
            }
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) = arg
                    && let Some(name) = single(name).cloned()
                {
                    *arg = FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name)));
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The name, if it has one part.
fn single(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}

/// How FROM names the table of that name, if it has no other there.
fn full(wanted: &Ident, from: &[TableWithJoins]) -> Option<ObjectName> {
    fn of_factor(wanted: &Ident, factor: &TableFactor) -> Option<ObjectName> {
        match factor {
            TableFactor::Table { name, alias: None, .. } => {
                let last = name.0.last()?.as_ident()?;
                let is_it = last.value.eq_ignore_ascii_case(&wanted.value);
                is_it.then(|| name.clone())
            }
            TableFactor::NestedJoin { table_with_joins, .. } => of_tables(wanted, table_with_joins),
            _ => None,
        }
    }

    fn of_tables(wanted: &Ident, tables: &TableWithJoins) -> Option<ObjectName> {
        let joined = tables.joins.iter().map(|join| &join.relation);
        let mut all = [&tables.relation].into_iter().chain(joined);
        all.find_map(|factor| of_factor(wanted, factor))
    }

    from.iter().find_map(|tables| of_tables(wanted, tables))
}
