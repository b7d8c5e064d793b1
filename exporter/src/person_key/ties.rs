//! Whether what is selected beside the key belongs to it.
//!
//! `select c.customer_id, e.email from customers c, emails e` has each address beside each key: all would be sent on the
//! word of whoever consented. So what is selected is of the key's own source, or of one that a condition ties to it, or
//! it is one row for all.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, Function, GroupByExpr, JoinConstraint, JoinOperator, Query, Select, SetExpr, TableFactor,
    TableWithJoins, UnaryOperator, Visit, Visitor,
};

use super::sources::{constraint, name_of};
use super::{Column, Scope, Search, expression, folded, wildcard};

/// Functions that make one row of all.
const AGGREGATES: [&str; 6] = ["avg", "count", "max", "median", "min", "sum"];

/// Pairs of sources, the lower one first.
type Ties = BTreeSet<(usize, usize)>;

/// Looks at what a select has beside its key, which is of the sources `of`.
///
/// # Errors
/// What does not belong to it.
pub(super) fn check(
    search: &mut Search,
    select: &Select,
    sources: &[&TableFactor],
    of: &BTreeSet<usize>,
    scope: &Scope<'_>,
) -> Result<(), String> {
    if sources.len() < 2 {
        return Ok(());
    }
    let mut ties = Ties::new();
    of_joins(search, &select.from, sources, &mut 0, scope, &mut ties);
    for condition in select.selection.iter().chain(&select.qualify) {
        ties.extend(of_condition(search, condition, sources, scope));
    }
    let mut tied: BTreeSet<usize> = of.first().into_iter().copied().collect();
    loop {
        let more = ties.iter().filter(|(a, b)| tied.contains(a) != tied.contains(b));
        let more: Vec<_> = more.flat_map(|(a, b)| [*a, *b]).collect();
        if more.is_empty() {
            break;
        }
        tied.extend(more);
    }
    if !of.is_subset(&tied) {
        return Err("may be of one table or of another, which no condition ties: say of which".to_owned());
    }
    for item in &select.projection {
        let used = match expression(item) {
            Some(expr) => mentioned(search, expr, sources, scope),
            None => wildcard(item, sources)?.into_iter().collect(),
        };
        for at in used.difference(&tied) {
            let source = sources.get(*at).copied();
            if source.is_some_and(|source| !is_one_row(source, scope)) {
                let name = source.and_then(name_of).unwrap_or_else(|| "a subquery".to_owned());
                return Err(format!(
                    "is beside what may be of other persons: no condition ties `{name}` to it"
                ));
            }
        }
    }
    Ok(())
}

/// What joins tie; `next` is the place of the source that comes next.
fn of_joins(
    search: &mut Search,
    from: &[TableWithJoins],
    sources: &[&TableFactor],
    next: &mut usize,
    scope: &Scope<'_>,
    ties: &mut Ties,
) {
    for table in from {
        let first = *next;
        of_factor(search, &table.relation, sources, next, scope, ties);
        for join in &table.joins {
            let joined = *next;
            of_factor(search, &join.relation, sources, next, scope, ties);
            let all = (first..joined).flat_map(|left| (joined..*next).map(move |right| (left, right)));
            match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(_) | JoinConstraint::Natural) => ties.extend(all),
                Some(JoinConstraint::On(condition)) => ties.extend(of_condition(search, condition, sources, scope)),
                Some(JoinConstraint::None) => {}
                // What is applied to each row, or unfolds it.
                None => ties.extend(all),
            }
            if let JoinOperator::AsOf { match_condition, .. } = &join.join_operator {
                ties.extend(of_condition(search, match_condition, sources, scope));
            }
        }
    }
}

fn of_factor(
    search: &mut Search,
    factor: &TableFactor,
    sources: &[&TableFactor],
    next: &mut usize,
    scope: &Scope<'_>,
    ties: &mut Ties,
) {
    if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
        return of_joins(
            search,
            std::slice::from_ref(table_with_joins),
            sources,
            next,
            scope,
            ties,
        );
    }
    let is_of_each_row = match factor {
        TableFactor::Derived { lateral, .. } => *lateral,
        TableFactor::UNNEST { .. } | TableFactor::Function { .. } | TableFactor::TableFunction { .. } => true,
        TableFactor::Table { args, .. } => args.is_some(),
        _ => false,
    };
    if is_of_each_row {
        ties.extend((0..*next).map(|before| (before, *next)));
    }
    *next += 1;
}

/// What a condition ties: the sources that are compared in it, whatever holds besides.
fn of_condition(search: &mut Search, condition: &Expr, sources: &[&TableFactor], scope: &Scope<'_>) -> Ties {
    match condition {
        Expr::Nested(inner) => of_condition(search, inner, sources, scope),
        Expr::BinaryOp { left, op, right } => {
            let sides = |search: &mut Search| {
                let one = of_condition(search, left, sources, scope);
                (one, of_condition(search, right, sources, scope))
            };
            match op {
                BinaryOperator::And => {
                    let (one, other) = sides(search);
                    one.union(&other).copied().collect()
                }
                BinaryOperator::Or => {
                    let (one, other) = sides(search);
                    one.intersection(&other).copied().collect()
                }
                BinaryOperator::NotEq => Ties::new(),
                _ => {
                    let (one, other) = (
                        mentioned(search, left, sources, scope),
                        mentioned(search, right, sources, scope),
                    );
                    let pairs = one.iter().flat_map(|a| other.iter().map(|b| (*a.min(b), *a.max(b))));
                    pairs.filter(|(a, b)| a != b).collect()
                }
            }
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not, ..
        } => Ties::new(),
        Expr::IsNotDistinctFrom(..) | Expr::Between { negated: false, .. } | Expr::Function(_) => {
            let all = mentioned(search, condition, sources, scope);
            let pairs = all.iter().flat_map(|a| all.range(a + 1..).map(|b| (*a, *b)));
            pairs.collect()
        }
        _ => Ties::new(),
    }
}

/// The sources that an expression names a column of.
fn mentioned(search: &mut Search, expr: &Expr, sources: &[&TableFactor], scope: &Scope<'_>) -> BTreeSet<usize> {
    let mut names = Names::default();
    // It never breaks off.
    let _ = expr.visit(&mut names);
    let mut found = BTreeSet::new();
    for (of, name) in names.found {
        for (at, source) in sources.iter().enumerate() {
            let is_meant = match &of {
                Some(of) => name_of(source).as_ref() == Some(of),
                // A query in the place of a table says which columns it has.
                None => search.source(source, &Column::Name(name.clone()), scope) != Ok(None),
            };
            if is_meant {
                found.insert(at);
            }
        }
    }
    found
}

/// The columns that an expression names. Those of subqueries within it are mostly their own, unless they say otherwise.
#[derive(Default)]
struct Names {
    found: Vec<(Option<String>, String)>,
    depth: usize,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) if self.depth == 0 => self.found.push((None, folded(name))),
            Expr::CompoundIdentifier(parts) => {
                if let [.., of, name] = parts.as_slice() {
                    self.found.push((Some(folded(of)), folded(name)));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether a source has one row, for all persons: values of no table, or what is counted over all of one.
fn is_one_row(source: &TableFactor, scope: &Scope<'_>) -> bool {
    let query = match source {
        TableFactor::Derived { subquery, .. } => subquery,
        TableFactor::Table { name, args: None, .. } => match name.0.as_slice() {
            [part] => match part.as_ident().and_then(|name| scope.find(&folded(name))) {
                Some((cte, _)) => &cte.query,
                None => return false,
            },
            _ => return false,
        },
        _ => return false,
    };
    match query.body.as_ref() {
        SetExpr::Values(values) => values.rows.len() == 1,
        SetExpr::Select(select) if select.from.is_empty() => true,
        SetExpr::Select(select) => {
            let is_whole = matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
            let is_aggregate = select.projection.iter().filter_map(expression).any(|expr| {
                let mut aggregates = Aggregates::default();
                let _ = expr.visit(&mut aggregates);
                aggregates.0
            });
            is_whole && is_aggregate
        }
        _ => false,
    }
}

#[derive(Default)]
struct Aggregates(bool);

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { name, over: None, .. }) = expr {
            let name = name.0.last().and_then(|part| part.as_ident()).map(folded);
            self.0 |= name.is_some_and(|name| AGGREGATES.contains(&name.as_str()));
        }
        ControlFlow::Continue(())
    }
}
