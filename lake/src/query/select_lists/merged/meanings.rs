//! What the name of a merged column means.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, VisitorMut};

use super::sides::Column;
use crate::query::select_lists::normal;

/// Puts what a merged column is in the place of its name.
pub(super) struct Meanings {
    meanings: BTreeMap<String, Expr>,
    /// How many subqueries deep the visitor is: there, names may mean other columns.
    subqueries: usize,
}

impl Meanings {
    /// Of the merged columns whose names mean nothing else.
    pub(super) fn of(columns: &[Column]) -> Self {
        let is_one = |merged: &&Column| columns.iter().filter(|column| column.name == merged.name).count() == 1;
        let merged = columns.iter().filter(|column| column.is_merged).filter(is_one);
        Self {
            meanings: merged
                .map(|column| (column.name.clone(), column.expr.clone()))
                .collect(),
            subqueries: 0,
        }
    }

    /// Whether the name is that of a merged column.
    pub(super) fn has(&self, name: &str) -> bool {
        self.meanings.contains_key(name)
    }
}

impl VisitorMut for Meanings {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.subqueries -= 1;
        ControlFlow::Continue(())
    }

    // After its children, so that what is put in is not looked through again.
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.subqueries == 0
            && let Expr::Identifier(name) = &*expr
            && let Some(meaning) = self.meanings.get(&normal(name))
        {
            *expr = meaning.clone();
        }
        ControlFlow::Continue(())
    }
}
