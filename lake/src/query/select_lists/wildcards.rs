//! `*` with its columns named, where the engine cannot: `* rename (a as b)`, or beside columns of the same names.

use std::collections::BTreeSet;

use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, Ident, OrderBy, OrderByExpr, OrderByKind, RenameSelectItem, Select, SelectItem, Value,
    WildcardAdditionalOptions,
};

use super::{Inputs, is_by_all, normal};

fn options(item: &SelectItem) -> Option<&WildcardAdditionalOptions> {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => Some(options),
        _ => None,
    }
}

/// Whether this is a wildcard.
pub(super) fn is_one(item: &SelectItem) -> bool {
    options(item).is_some()
}

/// Whether this is a wildcard that gives columns other names.
pub(super) fn renames(item: &SelectItem) -> bool {
    options(item).is_some_and(|options| options.opt_rename.is_some())
}

/// The wildcard that tells which columns this one has.
pub(super) fn asked(item: &SelectItem) -> Option<SelectItem> {
    let mut item = item.clone();
    match &mut item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => options.opt_rename = None,
        _ => return None,
    }
    Some(item)
}

/// Puts the columns in the place of each wildcard, unless one stands alone as it is.
pub(super) fn expand(select: &mut Select, inputs: &Inputs) {
    let mut wildcards = inputs.wildcards.iter();
    let mut out = Vec::with_capacity(select.projection.len());
    for item in std::mem::take(&mut select.projection) {
        let Some(options) = options(&item) else {
            out.push(item);
            continue;
        };
        let Some(columns) = wildcards.next() else {
            out.push(item);
            continue;
        };
        for column in columns {
            let Some(name) = column.last().map(|name| name.value.replace("\"\"", "\"")) else {
                continue;
            };
            out.push(item_of(options, &name, column_of(column)));
        }
    }
    select.projection = out;
}

/// What a wildcard stands for: the columns, of which some may be left out, replaced or renamed.
pub(super) fn items<'a>(
    options: &WildcardAdditionalOptions,
    columns: impl Iterator<Item = (&'a str, Expr)>,
) -> Vec<SelectItem> {
    let left_out = left_out(options);
    let kept = columns.filter(|(name, _)| !left_out.contains(*name));
    kept.map(|(name, expr)| item_of(options, name, expr)).collect()
}

/// The names behind EXCLUDE and EXCEPT.
fn left_out(options: &WildcardAdditionalOptions) -> BTreeSet<String> {
    let excluded = match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => std::slice::from_ref(name),
        Some(ExcludeSelectItem::Multiple(names)) => names.as_slice(),
        None => &[],
    };
    let excluded = excluded.iter().filter_map(|name| name.0.last()?.as_ident());
    let excepted = options.opt_except.iter();
    let excepted =
        excepted.flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements));
    excluded.chain(excepted).map(normal).collect()
}

/// One column of a wildcard.
fn item_of(options: &WildcardAdditionalOptions, name: &str, expr: Expr) -> SelectItem {
    let replaced = options
        .opt_replace
        .as_ref()
        .and_then(|replace| replace.items.iter().find(|item| normal(&item.column_name) == name));
    let is_named = replaced.is_none() && matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let expr = replaced.map_or(expr, |item| item.expr.clone());
    match renamed(options, name) {
        Some(alias) => SelectItem::ExprWithAlias { expr, alias },
        None if is_named => SelectItem::UnnamedExpr(expr),
        None => SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', name),
        },
    }
}

/// The column that has those parts of a name.
pub(super) fn column_of(parts: &[Ident]) -> Expr {
    match parts {
        [name] => Expr::Identifier(name.clone()),
        parts => Expr::CompoundIdentifier(parts.to_vec()),
    }
}

fn renamed(options: &WildcardAdditionalOptions, name: &str) -> Option<Ident> {
    let pairs = match options.opt_rename.as_ref()? {
        RenameSelectItem::Single(pair) => std::slice::from_ref(pair),
        RenameSelectItem::Multiple(pairs) => pairs.as_slice(),
    };
    pairs
        .iter()
        .find(|pair| normal(&pair.ident) == name)
        .map(|pair| pair.alias.clone())
}

/// `order by all` orders by every column of the list, from the first (DuckDB, "ORDER BY ALL").
pub(super) fn order_by_all(select: &Select, order_by: &mut Option<OrderBy>) {
    if !is_by_all(order_by) || select.projection.iter().any(is_one) {
        return;
    }
    let Some(OrderBy {
        kind: kind @ OrderByKind::All(_),
        ..
    }) = order_by
    else {
        return;
    };
    let OrderByKind::All(options) = *kind else {
        return;
    };
    let keys = (1..=select.projection.len()).map(|position| OrderByExpr {
        expr: Expr::value(Value::Number(position.to_string(), false)),
        options,
        with_fill: None,
    });
    *kind = OrderByKind::Expressions(keys.collect());
}
