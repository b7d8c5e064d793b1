//! A WITH in a query that names what a query around it names: `with a as (…) select … from (with a as (…) select …)`. The
//! inner one hides the outer one. (PostgreSQL, "WITH Queries".) The engine knows one scope and refuses the second, so that
//! here the inner one gets a name of its own.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectNamePart, Query, Statement, TableAlias, TableFactor, VisitorMut, With,
};

use super::depth::normal;
use crate::query::walk;

/// Gives the names.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Names::default())
}

#[derive(Default)]
struct Names {
    /// What the queries around name, the outermost first.
    around: Vec<String>,
    /// How many of these each query names.
    counts: Vec<usize>,
    given: usize,
}

impl VisitorMut for Names {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        let before = self.around.len();
        self.around.extend(tables.map(|table| normal(&table.alias.name)));
        self.counts.push(self.around.len() - before);
        ControlFlow::Continue(())
    }

    // What is within has its own names by now.
    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<DataFusionError> {
        let own = self.counts.pop().unwrap_or_default();
        self.around.truncate(self.around.len() - own);
        for place in 0..own {
            let name = query.with.as_ref().and_then(|with| with.cte_tables.get(place));
            let Some(name) = name.map(|table| normal(&table.alias.name)) else {
                continue;
            };
            if self.around.contains(&name) {
                self.given += 1;
                let given = Ident::with_quote('"', format!("\u{1}{name} {}", self.given));
                rename(query, place, name, given)?;
            }
        }
        ControlFlow::Continue(())
    }
}

/// Gives another name to a table of the query's WITH, and to what reads it.
fn rename(query: &mut Query, place: usize, name: String, given: Ident) -> ControlFlow<DataFusionError> {
    let Some(With {
        cte_tables, recursive, ..
    }) = &mut query.with
    else {
        return ControlFlow::Continue(());
    };
    cte_tables[place].alias.name = given.clone();
    // Those before it and it itself read another one of that name, unless all read all.
    let seen = if *recursive { 0 } else { place + 1 };
    let later = cte_tables.split_off(seen);
    let earlier = std::mem::replace(cte_tables, later);
    let renamed = walk::change(query, &mut Rename { name, given });
    if let Some(with) = &mut query.with {
        with.cte_tables.splice(0..0, earlier);
    }
    renamed
}

struct Rename {
    name: String,
    given: Ident,
}

impl VisitorMut for Rename {
    type Break = DataFusionError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<DataFusionError> {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
            && let [ObjectNamePart::Identifier(own)] = name.0.as_mut_slice()
            && normal(own) == self.name
        {
            let own = std::mem::replace(own, self.given.clone());
            alias.get_or_insert_with(|| TableAlias {
                explicit: true,
                name: own,
                columns: Vec::new(),
                at: None,
            });
        }
        ControlFlow::Continue(())
    }
}
