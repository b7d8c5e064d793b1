//! Whether the key of an audience tells its persons apart.
//!
//! Consent is asked for by the key. An audience that gives all of its rows the same one (`select 1 as customer_id,
//! email from …`) would be sent whole on the word of a single person, so such a key is an error. It is followed
//! through subqueries, unions and `with`; a key that turns out to be the same only when the rows are read is found
//! by counting them.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Cte, Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor,
    TableWithJoins, Visit, Visitor,
};

/// Whether some part of the query gives the same `key` to all of its rows, whatever is in them.
pub(crate) fn is_constant(query: &Query, key: &str) -> bool {
    of_query(query, Column::Name(key), &Scope::default())
}

/// A column of a query.
#[derive(Debug, Clone, Copy)]
enum Column<'a> {
    Name(&'a str),
    Position(usize),
}

/// The queries that have a name where a query stands.
#[derive(Debug, Clone, Copy, Default)]
struct Scope<'a> {
    with: &'a [Cte],
    outer: Option<&'a Scope<'a>>,
}

fn of_query(query: &Query, column: Column<'_>, outer: &Scope<'_>) -> bool {
    let with = query.with.as_ref().map_or(&[][..], |with| with.cte_tables.as_slice());
    let scope = Scope {
        with,
        outer: Some(outer),
    };
    of_body(&query.body, column, &scope)
}

fn of_body(body: &SetExpr, column: Column<'_>, scope: &Scope<'_>) -> bool {
    match body {
        SetExpr::Select(select) => of_select(select, column, scope),
        SetExpr::Query(query) => of_query(query, column, scope),
        SetExpr::SetOperation { left, right, .. } => {
            // The columns of the second query go by their places, whatever they are called.
            let place = match column {
                Column::Name(name) => place(left, name).map_or(column, Column::Position),
                Column::Position(_) => column,
            };
            of_body(left, column, scope) || of_body(right, place, scope)
        }
        _ => false,
    }
}

/// The place of the column of that name, if no wildcard stands before it.
fn place(body: &SetExpr, name: &str) -> Option<usize> {
    match body {
        SetExpr::Select(select) => {
            let named = select.projection.iter().take_while(|item| !is_wildcard(item));
            named.into_iter().position(|item| output(item).as_deref() == Some(name))
        }
        SetExpr::Query(query) => place(&query.body, name),
        SetExpr::SetOperation { left, .. } => place(left, name),
        _ => None,
    }
}

fn of_select(select: &Select, column: Column<'_>, scope: &Scope<'_>) -> bool {
    // Without tables it is one row.
    if select.from.is_empty() {
        return false;
    }
    let sources = sources(&select.from);
    let item = match column {
        Column::Name(name) => select
            .projection
            .iter()
            .find(|item| output(item).as_deref() == Some(name)),
        Column::Position(place) => {
            let mut items = select.projection.iter().take(place + 1);
            match items.any(is_wildcard) {
                true => None,
                false => select.projection.get(place),
            }
        }
    };
    match (item, column) {
        (Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }), _) => {
            of_expression(expr, &sources, scope)
        }
        (None, Column::Name(name)) => select.projection.iter().any(|item| {
            let of = match item {
                SelectItem::Wildcard(_) => None,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(of), _) => {
                    of.0.last().and_then(|part| part.as_ident()).map(folded)
                }
                _ => return false,
            };
            of_sources(&sources, of.as_deref(), name, scope)
        }),
        _ => false,
    }
}

/// An expression is constant if all columns in it are, be it because there are none.
fn of_expression(expr: &Expr, sources: &[&TableFactor], scope: &Scope<'_>) -> bool {
    let mut columns = Columns {
        found: Vec::new(),
        depth: 0,
    };
    // It never breaks off.
    let _ = expr.visit(&mut columns);
    let names: Vec<String> = sources.iter().filter_map(|source| name_of(source)).collect();
    columns
        .found
        .iter()
        .filter(|found| !found.within || found.of.as_ref().is_some_and(|of| names.contains(of)))
        .all(|found| of_sources(sources, found.of.as_deref(), &found.name, scope))
}

/// A column that an expression names.
struct FoundColumn {
    of: Option<String>,
    name: String,
    /// Whether it is in a subquery, whose own columns they mostly are.
    within: bool,
}

struct Columns {
    found: Vec<FoundColumn>,
    depth: usize,
}

impl Visitor for Columns {
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
        let parts = match expr {
            Expr::Identifier(name) => std::slice::from_ref(name),
            Expr::CompoundIdentifier(parts) => parts,
            _ => return ControlFlow::Continue(()),
        };
        if let Some((name, of)) = parts.split_last() {
            self.found.push(FoundColumn {
                of: of.last().map(folded),
                name: folded(name),
                within: self.depth > 0,
            });
        }
        ControlFlow::Continue(())
    }
}

/// What is read from, with what is joined to it.
fn sources(from: &[TableWithJoins]) -> Vec<&TableFactor> {
    let mut all = Vec::new();
    for table in from {
        for factor in std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation)) {
            match factor {
                TableFactor::NestedJoin { table_with_joins, .. } => {
                    all.extend(sources(std::slice::from_ref(table_with_joins)));
                }
                other => all.push(other),
            }
        }
    }
    all
}

/// Whether a source (the one called `of`, if it is named) has a constant column `name`.
fn of_sources(sources: &[&TableFactor], of: Option<&str>, name: &str, scope: &Scope<'_>) -> bool {
    let meant = |source: &&&TableFactor| of.is_none_or(|of| name_of(source).as_deref() == Some(of));
    sources
        .iter()
        .filter(meant)
        .any(|source| of_source(source, name, scope))
}

fn of_source(source: &TableFactor, name: &str, scope: &Scope<'_>) -> bool {
    match source {
        TableFactor::Derived { subquery, alias, .. } => of_query(subquery, renamed(alias.as_ref(), name), scope),
        TableFactor::Table {
            name: table,
            alias,
            args: None,
            ..
        } => {
            let [part] = table.0.as_slice() else {
                return false;
            };
            let Some((cte, scope)) = part.as_ident().and_then(|table| find(&folded(table), scope)) else {
                return false;
            };
            let column = match renamed(alias.as_ref(), name) {
                Column::Name(name) => renamed(Some(&cte.alias), name),
                place => place,
            };
            of_query(&cte.query, column, &scope)
        }
        _ => false,
    }
}

/// The query of that name, and what has a name where it stands: those before it, so that one which reads itself is
/// not followed for ever.
fn find<'a>(name: &str, scope: &Scope<'a>) -> Option<(&'a Cte, Scope<'a>)> {
    let place = scope.with.iter().rposition(|cte| folded(&cte.alias.name) == name);
    match place {
        Some(place) => {
            let before = Scope {
                with: &scope.with[..place],
                outer: scope.outer,
            };
            Some((&scope.with[place], before))
        }
        None => find(name, scope.outer?),
    }
}

/// The column that is called `name` behind an alias, which may name the columns anew: `as a (id, email)`.
fn renamed<'a>(alias: Option<&TableAlias>, name: &'a str) -> Column<'a> {
    let place = alias.and_then(|alias| alias.columns.iter().position(|column| folded(&column.name) == name));
    place.map_or(Column::Name(name), Column::Position)
}

/// What a source is called within its query.
fn name_of(source: &TableFactor) -> Option<String> {
    match source {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(folded(&alias.name))
        }
        TableFactor::Table { name, .. } => name.0.last().and_then(|part| part.as_ident()).map(folded),
        _ => None,
    }
}

/// What a column is called in the result; `None` for one that the server names.
fn output(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(folded(name)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(folded),
        _ => None,
    }
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..))
}

/// A name as it is compared: without quotes, its case does not count.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sql::ReadQuery;

    #[test]
    fn a_key_that_is_the_same_for_all_rows_is_found_wherever_it_comes_from() {
        for audience in [
            "select 1 as customer_id, email from t",
            "select 'c' || '1' CUSTOMER_ID, email from t",
            "select cast(null as int) as customer_id, email from t",
            "select (select max(id) from c) as customer_id, email from t",
            "select * from (select 1 as customer_id, email from t) as a",
            "select a.customer_id, b.email from (select 1 as customer_id from t) a join c b on true",
            "with a as (select 1 as customer_id, email from t) select customer_id, email from a",
            "with a as (select 1 as customer_id, email from t), b as (select * from a) select b.* from b",
            "with a (customer_id, e) as (select 1, email from t) select customer_id, e from a",
            "select customer_id, email from t union all select 1, email from t",
            "select customer_id, email from (select customer_id, email from t union select 7 as x, email from t) a",
            "(select 1 as customer_id, email from t)",
            "select coalesce(a.k, 'x') as customer_id, email from t, (select 2 as k from t) as a",
            "select k as customer_id, e from (select 1, email from t) as a (k, e)",
        ] {
            let read = ReadQuery::parse(audience).unwrap();
            assert!(is_constant(&read.query, "customer_id"), "{audience}");
        }
    }

    #[test]
    fn a_key_that_comes_from_the_rows_is_taken() {
        for audience in [
            "select customer_id, email from t",
            "select * from t",
            "select t.* from t cross join (select 1 as one from u) x",
            "select cast(id as text) as customer_id, 1 as wave from t",
            "select customer_id, 1 as x from t union all select customer_id, 2 from u",
            "with a as (select * from t) select customer_id, email from a",
            "with recursive a as (select customer_id, 1 as n from t union all select customer_id, n + 1 from a)
             select * from a",
            "select (select max(u.id) from u where u.email = t.email) as customer_id, email from t",
            "select 'c1' as customer_id, 'a@example.com' as email",
            "values (1, 'a@example.com')",
        ] {
            let read = ReadQuery::parse(audience).unwrap();
            assert!(!is_constant(&read.query, "customer_id"), "{audience}");
        }
    }
}
