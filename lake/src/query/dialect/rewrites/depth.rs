//! How deep a statement is, and how large: long chains are made flat, and what is too deep even then, or becomes too large
//! once each name of a WITH is replaced by what it names, is refused before it is planned.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Query, Select, Statement, VisitorMut};

use super::{chains, groupings};
use crate::query::walk;

/// How deep expressions and subqueries may be nested within each other.
const DEEPEST: usize = 600;
/// How deep queries may read each other: a query that reads a query of WITH, which reads another.
const DEEPEST_READS: usize = 1000;
/// How many relations and subqueries a statement may read, one that is named twice counted twice.
const MOST_RELATIONS: usize = 10_000;

/// Makes the statement as flat as it can be.
///
/// # Errors
/// Plan: it is nested too deeply even then, or reads too much.
pub(super) fn flatten(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Flatten::default())
}

/// What is said of a statement that is nested too deeply.
pub(in super::super) fn too_deep(deepest: usize) -> DataFusionError {
    DataFusionError::Plan(format!(
        "the statement is nested too deeply: expressions and subqueries may be nested {deepest} times; name parts of it in WITH, or make views of them"
    ))
}

fn too_large() -> DataFusionError {
    DataFusionError::Plan(format!(
        "the statement is too large: with each name of a WITH replaced by what it names, it may read {MOST_RELATIONS} relations; make a table of what is named often"
    ))
}

#[derive(Default)]
struct Flatten {
    depth: usize,
    /// The query that is visited, and those around it.
    queries: Vec<Visited>,
}

/// What a query reads, as the engine will plan it.
#[derive(Clone, Copy, Default)]
struct Reads {
    relations: usize,
    depth: usize,
}

/// A query that is visited.
#[derive(Default)]
struct Visited {
    reads: Reads,
    /// Where the queries of its WITH are, and how they are called.
    names: HashMap<*const Query, String>,
    /// Those of them that have been visited.
    named: HashMap<String, Reads>,
}

impl Reads {
    fn add(&mut self, other: Self) {
        self.relations = self.relations.saturating_add(other.relations);
        self.depth = self.depth.max(other.depth);
    }
}

/// A name as the engine compares it.
pub(super) fn normal(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_ascii_lowercase(),
        Some(_) => name.value.clone(),
    }
}

impl Flatten {
    fn enter(&mut self) -> ControlFlow<DataFusionError> {
        self.depth += 1;
        match self.depth > DEEPEST {
            true => ControlFlow::Break(too_deep(DEEPEST)),
            false => ControlFlow::Continue(()),
        }
    }

    fn leave(&mut self) -> ControlFlow<DataFusionError> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    /// What the relation of that name reads.
    fn named(&self, name: &ObjectName) -> Reads {
        let relation = Reads { relations: 1, depth: 1 };
        let [part] = name.0.as_slice() else {
            return relation;
        };
        let Some(name) = part.as_ident().map(normal) else {
            return relation;
        };
        let around = self.queries.iter().rev();
        around
            .filter_map(|query| query.named.get(&name))
            .next()
            .copied()
            .unwrap_or(relation)
    }
}

impl VisitorMut for Flatten {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        chains::name_except(&mut query.body);
        chains::balance_sets(&mut query.body);
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        let names = with.map(|table| (&raw const *table.query, normal(&table.alias.name)));
        self.queries.push(Visited {
            names: names.collect(),
            ..Visited::default()
        });
        self.enter()
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let Some(Visited { mut reads, .. }) = self.queries.pop() else {
            return self.leave();
        };
        reads.relations = reads.relations.saturating_add(1);
        reads.depth += 1;
        if reads.relations > MOST_RELATIONS {
            return ControlFlow::Break(too_large());
        }
        if reads.depth > DEEPEST_READS {
            return ControlFlow::Break(too_deep(DEEPEST_READS));
        }
        if let Some(around) = self.queries.last_mut() {
            match around.names.remove(&(&raw const *query)) {
                Some(name) => {
                    around.named.insert(name, reads);
                }
                None => around.reads.add(reads),
            }
        }
        self.leave()
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        match groupings::check(select) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<Self::Break> {
        let reads = self.named(name);
        if let Some(query) = self.queries.last_mut() {
            query.reads.add(reads);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        chains::balance(expr);
        self.enter()
    }

    fn post_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<Self::Break> {
        self.leave()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::query::dialect::parse;

    fn refused(sql: &str) -> String {
        parse(sql).map(|_| ()).unwrap_err().to_string()
    }

    /// `c0` reads t; each of the others reads the one before it so many times.
    fn chain(length: usize, times: usize) -> String {
        let reads = |n: usize| vec![format!("c{n}"); times].join(", ");
        let tables = (1..length).map(|n| format!("c{n} as (select 1 from {})", reads(n - 1)));
        let tables: Vec<_> = tables.collect();
        format!(
            "with c0 as (select 1 from t), {} select 1 from \"c{}\"",
            tables.join(", "),
            length - 1
        )
    }

    #[test]
    fn names_that_double_each_other_are_refused_before_they_are_planned() {
        assert!(refused(&chain(40, 2)).contains("too large"));
        assert!(refused(&chain(1600, 1)).contains("too deeply"));
        for (length, times) in [(900, 1), (10, 2), (2, 300)] {
            assert!(parse(&chain(length, times)).is_ok(), "{length} {times}");
        }
    }

    #[test]
    fn a_name_within_is_not_the_one_around() {
        let inner = "select 1 from (with c30 as (select 1) select 1 from c30, c30, c30, c30) x";
        assert!(parse(&format!("with c30 as (select 1 from t, t) {inner}")).is_ok());
    }
}
