//! Relations that statements take for granted: `dual`, and a query of WITH that reads itself without RECURSIVE.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, SetExpr, SetOperator, Statement, TableAlias, TableFactor, Visitor, VisitorMut,
};

use super::normal;
use crate::query::dialect::relation;
use crate::query::walk;

/// Makes what is not there and may be taken for granted.
///
/// # Errors
/// What the catalog says when it is asked for a relation.
pub(super) fn complete(session: &SessionContext, statement: &mut Statement) -> Result<()> {
    let mut complete = Complete {
        session,
        defined: BTreeSet::new(),
    };
    walk::rewrite(statement, &mut complete)
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

    /// `from dual` is one row, as in Oracle, unless there is a relation of that name; Db2 calls it `sysibm.sysdummy1`.
    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } = factor
            && let Some(known_as) = self.one_row(name)
        {
            match one_row(alias.take(), &known_as) {
                Ok(one_row) => *factor = one_row,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

impl Complete<'_> {
    /// What the table of one row is called here, if it is one and nothing else.
    fn one_row(&self, name: &ObjectName) -> Option<Ident> {
        let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident()).collect();
        match parts?.as_slice() {
            [name] if normal(name) == "dual" => {
                let is_another = self.defined.contains("dual") || self.session.table_exist("dual").is_ok_and(|is| is);
                (!is_another).then(|| (*name).clone())
            }
            [schema, name] if normal(schema) == "sysibm" && normal(name) == "sysdummy1" => Some((*name).clone()),
            _ => None,
        }
    }
}

fn one_row(alias: Option<TableAlias>, known_as: &Ident) -> Result<TableFactor> {
    let mut one_row = relation(&format!("(select 'X' as dummy) as {known_as}"))?;
    if let (TableFactor::Derived { alias: named, .. }, Some(alias)) = (&mut one_row, alias) {
        *named = Some(alias);
    }
    Ok(one_row)
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
    let reads = |set: &SetExpr| walk::see(set, &mut Reads(name)).is_break();
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
