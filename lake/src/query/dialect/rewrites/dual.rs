//! `from dual`: the table of one row that products without a `select` of nothing have (Oracle, MySQL, Snowflake; Db2 calls
//! it `sysibm.sysdummy1`).

use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, Statement, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::templates::query;

/// Puts a query of one row in its place.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    let mut dual = Dual {
        row: query("SELECT 'X' AS dummy")?,
        is_defined: false,
    };
    let _: ControlFlow<()> = statement.visit(&mut dual);
    Ok(())
}

struct Dual {
    row: Box<Query>,
    /// Whether the statement has a query of that name itself.
    is_defined: bool,
}

impl VisitorMut for Dual {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.is_defined |= tables.into_iter().any(|cte| is_dual(&cte.alias.name));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
            && let Some(last) = one_row(name)
            && !self.is_defined
        {
            let alias = alias.take().or_else(|| {
                Some(TableAlias {
                    explicit: true,
                    name: last,
                    columns: Vec::new(),
                    at: None,
                })
            });
            *factor = TableFactor::Derived {
                lateral: false,
                subquery: self.row.clone(),
                alias,
                sample: None,
            };
        }
        ControlFlow::Continue(())
    }
}

/// The table's own name, if it is a table of one row.
fn one_row(name: &ObjectName) -> Option<Ident> {
    let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident()).collect();
    match parts?.as_slice() {
        [name] if is_dual(name) => Some((*name).clone()),
        [schema, name]
            if schema.value.eq_ignore_ascii_case("sysibm") && name.value.eq_ignore_ascii_case("sysdummy1") =>
        {
            Some((*name).clone())
        }
        _ => None,
    }
}

fn is_dual(name: &Ident) -> bool {
    name.value.eq_ignore_ascii_case("dual")
}
