//! How deep a statement is: long chains are made flat, and what is too deep even then is refused before it is planned.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{Expr, Query, Statement, VisitorMut};

use super::chains;
use crate::query::walk;

/// How deep expressions and subqueries may be nested within each other.
const DEEPEST: usize = 600;

/// Makes the statement as flat as it can be.
///
/// # Errors
/// Plan: it is nested too deeply even then.
pub(super) fn flatten(statement: &mut Statement) -> Result<()> {
    match walk::change(statement, &mut Flatten { depth: 0 }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(too_deep(DEEPEST)),
    }
}

/// What is said of a statement that is nested too deeply.
pub(in super::super) fn too_deep(deepest: usize) -> DataFusionError {
    DataFusionError::Plan(format!(
        "the statement is nested too deeply: expressions and subqueries may be nested {deepest} times; name parts of it in WITH, or make views of them"
    ))
}

struct Flatten {
    depth: usize,
}

impl Flatten {
    fn enter(&mut self) -> ControlFlow<()> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn leave(&mut self) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

impl VisitorMut for Flatten {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        chains::name_except(&mut query.body);
        chains::balance_sets(&mut query.body);
        self.enter()
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.leave()
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        chains::balance(expr);
        self.enter()
    }

    fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<()> {
        self.leave()
    }
}
