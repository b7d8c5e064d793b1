//! Select lists that the engine refuses: columns and casts of one name, aliases that are used beside their definition, `* rename`,
//! `order by all`, a relation's name for its row; and relations that are there without having been made: `dual`, a recursive
//! query that does not say so.
//!
//! What a name means there depends on the columns of FROM, which only a plan tells. So a statement comes here when it
//! could not be planned as it is, and is planned again.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::query::walk;
use datafusion::common::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{self, Ident, Query, Select, SelectItem, SetExpr, VisitorMut};

mod aliases;
mod casts;
mod merged;
mod names;
mod relations;
mod rows;
mod scope;
mod wildcards;

pub(super) use casts::CAST;
pub(super) use merged::merge;
pub(super) use names::shown;

use scope::Scope;

/// Rewrites the select lists of a statement; says whether anything changed.
///
/// # Errors
/// Plan: an alias or a wildcard has no meaning where it stands.
pub(super) async fn resolve(session: &SessionContext, statement: &mut Statement) -> Result<bool> {
    let before = statement.clone();
    let Some(inner) = inner(statement) else {
        return Ok(false);
    };
    relations::complete(session, inner)?;
    rows::write_out(session, inner).await?;
    let mut done = 0;
    while let Some(found) = next(inner, done) {
        let inputs = match found.needs_inputs {
            true => found.inputs(session).await,
            false => None,
        };
        apply(inner, found.number, inputs.as_ref())?;
        done = found.number + 1;
    }
    Ok(*statement != before)
}

fn inner(statement: &mut Statement) -> Option<&mut ast::Statement> {
    match statement {
        Statement::Statement(statement) => Some(statement),
        Statement::Explain(explain) => inner(&mut explain.statement),
        _ => None,
    }
}

/// A name as the engine compares it.
fn normal(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// The columns that a select reads from.
struct Inputs {
    names: BTreeSet<String>,
    /// For each wildcard of the select list: its columns, with the names of their tables.
    wildcards: Vec<Vec<Vec<Ident>>>,
}

/// A select whose list may need work: the n-th of the statement, inner ones first.
struct Found {
    number: usize,
    /// Whether what it means depends on the columns of FROM.
    needs_inputs: bool,
    /// Queries with the columns of FROM, and of each wildcard of the list.
    all: Query,
    wildcards: Vec<Query>,
}

impl Found {
    /// None if FROM cannot be planned by itself, as in a lateral subquery.
    async fn inputs(&self, session: &SessionContext) -> Option<Inputs> {
        let all = plan(session, &self.all).await.ok()?;
        let mut wildcards = Vec::with_capacity(self.wildcards.len());
        for wildcard in &self.wildcards {
            wildcards.push(columns(&plan(session, wildcard).await.ok()?));
        }
        Some(Inputs {
            names: all.schema().fields().iter().map(|field| field.name().clone()).collect(),
            wildcards,
        })
    }
}

async fn plan(session: &SessionContext, query: &Query) -> Result<LogicalPlan> {
    let statement = ast::Statement::Query(Box::new(query.clone()));
    // Boxed because views are planned while planning.
    Box::pin(
        session
            .state()
            .statement_to_plan(Statement::Statement(Box::new(statement))),
    )
    .await
}

/// The columns of a plan, each with the name of its table if it has one.
fn columns(plan: &LogicalPlan) -> Vec<Vec<Ident>> {
    let quoted = |name: &str| Ident::with_quote('"', name.replace('"', "\"\""));
    let parts = |(table, field): (Option<&datafusion::common::TableReference>, &std::sync::Arc<_>)| {
        let field: &arrow::datatypes::FieldRef = field;
        let table = table
            .map(datafusion::common::TableReference::to_vec)
            .unwrap_or_default();
        table
            .iter()
            .map(|part| quoted(part))
            .chain([quoted(field.name())])
            .collect()
    };
    plan.schema().iter().map(parts).collect()
}

/// Finds the first select from the given number on whose list may need work.
struct Search {
    from: usize,
    number: usize,
    scope: Scope,
    found: Option<Found>,
}

fn next(statement: &mut ast::Statement, from: usize) -> Option<Found> {
    let mut search = Search {
        from,
        number: 0,
        scope: Scope::default(),
        found: None,
    };
    let _ = walk::change(statement, &mut search);
    search.found
}

impl VisitorMut for Search {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.scope.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut selects = Vec::new();
        collect(&mut query.body, &mut selects);
        for select in selects {
            if self.number >= self.from && needs_work(select, &query.order_by) {
                let (all, wildcards) = self.questions(select);
                self.found = Some(Found {
                    number: self.number,
                    needs_inputs: aliases::any(select) || select.projection.iter().any(wildcards::is_one),
                    all,
                    wildcards,
                });
                return ControlFlow::Break(());
            }
            self.number += 1;
        }
        self.scope.leave();
        ControlFlow::Continue(())
    }
}

impl Search {
    fn questions(&self, select: &Select) -> (Query, Vec<Query>) {
        let ask = |item: SelectItem| {
            let mut asked = bare(select);
            asked.projection = vec![item];
            self.scope.query(SetExpr::Select(Box::new(asked)))
        };
        let wildcards = select.projection.iter().filter_map(wildcards::asked).map(ask).collect();
        (ask(SelectItem::Wildcard(Default::default())), wildcards)
    }
}

/// The selects of a body, from left to right, those in parentheses left out: they are queries of their own.
fn collect<'a>(set: &'a mut SetExpr, selects: &mut Vec<&'a mut Select>) {
    match set {
        SetExpr::Select(select) => selects.push(select),
        SetExpr::SetOperation { left, right, .. } => {
            collect(left, selects);
            collect(right, selects);
        }
        _ => {}
    }
}

/// The select with nothing but its FROM.
fn bare(select: &Select) -> Select {
    Select {
        distinct: None,
        top: None,
        projection: Vec::new(),
        into: None,
        selection: None,
        group_by: ast::GroupByExpr::Expressions(Vec::new(), Vec::new()),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        flavor: ast::SelectFlavor::Standard,
        ..select.clone()
    }
}

fn needs_work(select: &Select, order_by: &Option<ast::OrderBy>) -> bool {
    select.projection.len() > 1
        || select.projection.iter().any(wildcards::renames)
        || select.selection.is_some()
        || is_by_all(order_by)
        || casts::any(select)
}

fn is_by_all(order_by: &Option<ast::OrderBy>) -> bool {
    matches!(
        order_by,
        Some(ast::OrderBy {
            kind: ast::OrderByKind::All(_),
            ..
        })
    )
}

/// Works on the select of that number.
struct Apply<'a> {
    wanted: usize,
    number: usize,
    depth: usize,
    inputs: Option<&'a Inputs>,
}

fn apply(statement: &mut ast::Statement, number: usize, inputs: Option<&Inputs>) -> Result<()> {
    let mut apply = Apply {
        wanted: number,
        number: 0,
        depth: 0,
        inputs,
    };
    match walk::change(statement, &mut apply) {
        ControlFlow::Continue(()) | ControlFlow::Break(Ok(())) => Ok(()),
        ControlFlow::Break(Err(error)) => Err(error),
    }
}

impl VisitorMut for Apply<'_> {
    type Break = Result<()>;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Result<()>> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Result<()>> {
        let is_outermost = self.depth == 1;
        self.depth -= 1;
        let mut selects = Vec::new();
        collect(&mut query.body, &mut selects);
        let count = selects.len();
        let at = self.wanted.checked_sub(self.number);
        self.number += count;
        let Some(select) = at.and_then(|at| (at < count).then(|| selects.swap_remove(at))) else {
            return ControlFlow::Continue(());
        };
        if let Some(inputs) = self.inputs {
            wildcards::expand(select, inputs);
        }
        wildcards::order_by_all(select, &mut query.order_by);
        casts::tell_apart(select, &mut query.order_by);
        names::make_distinct(select, is_outermost);
        ControlFlow::Break(match self.inputs {
            Some(inputs) => aliases::substitute(select, inputs),
            None => Ok(()),
        })
    }
}
