//! The columns of VALUES: what one of its expressions is says something of the others.

use std::convert::Infallible;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, SetExpr, Statement, VisitorMut};

use crate::query::walk;

/// Changes the expressions of each column of each VALUES of the statement.
pub(super) fn each(statement: &mut Statement, change: fn(&mut [&mut Expr])) {
    let ControlFlow::Continue(()) = walk::change(statement, &mut Columns(change));
}

struct Columns(fn(&mut [&mut Expr]));

impl VisitorMut for Columns {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Infallible> {
        if let SetExpr::Values(values) = &mut *query.body {
            let mut rows: Vec<_> = values.rows.iter_mut().map(|row| row.content.iter_mut()).collect();
            loop {
                let mut column: Vec<_> = rows.iter_mut().filter_map(Iterator::next).collect();
                if column.is_empty() {
                    break;
                }
                (self.0)(&mut column);
            }
        }
        ControlFlow::Continue(())
    }
}
