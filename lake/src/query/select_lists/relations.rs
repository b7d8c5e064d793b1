//! Relations that statements take for granted: `dual`, and a query of WITH that reads itself without RECURSIVE.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, SetExpr, SetOperator, Statement, TableFactor, Visit, VisitMut, Visitor, VisitorMut,
};

use super::normal;

/// Makes what is not there and may be taken for granted.
///
/// # Errors
/// What the catalog says when it is asked for a relation.
pub(super) fn complete(session: &SessionContext, statement: &mut Statement) -> Result<()> {
    let mut complete = Complete {
        session,
        defined: BTreeSet::new(),
    };
    match statement.visit(&mut complete) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Complete<'a> {
    session: &'a SessionContext,
    /// The names of WITH.
    defined: BTreeSet<String>,
}

impl VisitorMut for Complete<'_> {
    type Break = datafusion::common::DataFusionError;

    /// `with r as (… union all … from r …)` is recursive, as in SQL Server and Oracle, if there is no relation `r` that
    /// it could read instead.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let Some(with) = &mut query.with else {
            return ControlFlow::Continue(());
        };
        self.defined
            .extend(with.cte_tables.iter().map(|cte| normal(&cte.alias.name)));
        if with.recursive {
            return ControlFlow::Continue(());
        }
        for cte in &with.cte_tables {
            let name = normal(&cte.alias.name);
            if reads_itself(&cte.query, &name) {
                match self.session.table_exist(name.as_str()) {
                    Ok(true) => {}
                    Ok(false) => with.recursive = true,
                    Err(error) => return ControlFlow::Break(error),
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// `from dual` is one row, as in Oracle.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        if single(name).is_none_or(|name| normal(name) != "dual") || self.defined.contains("dual") {
            return ControlFlow::Continue(());
        }
        match self.session.table_exist("dual") {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => {
                let alias = alias.take();
                match crate::query::dialect::relation("(select 'X' as dummy) as dual") {
                    Ok(mut one_row) => {
                        if let (TableFactor::Derived { alias: named, .. }, Some(alias)) = (&mut one_row, alias) {
                            *named = Some(alias);
                        }
                        *factor = one_row;
                        ControlFlow::Continue(())
                    }
                    Err(error) => ControlFlow::Break(error),
                }
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn single(name: &ObjectName) -> Option<&Ident> {
    match name.0.as_slice() {
        [part] => part.as_ident(),
        _ => None,
    }
}

fn reads_itself(query: &Query, name: &str) -> bool {
    let SetExpr::SetOperation {
        op: SetOperator::Union,
        left,
        right,
        ..
    } = &*query.body
    else {
        return false;
    };
    let reads = |set: &SetExpr| set.visit(&mut Reads(name)).is_break();
    reads(right) && !reads(left)
}

struct Reads<'a>(&'a str);

impl Visitor for Reads<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        match single(relation) {
            Some(name) if normal(name) == self.0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}
