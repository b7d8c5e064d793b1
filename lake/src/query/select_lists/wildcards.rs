//! `*` with its columns named, where the engine cannot: `* rename (a as b)`, or beside columns of the same names.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderBy, OrderByExpr, OrderByKind, RenameSelectItem, Select, SelectItem, Value,
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
            let replaced = options
                .opt_replace
                .as_ref()
                .and_then(|replace| replace.items.iter().find(|item| normal(&item.column_name) == name));
            let expr = match replaced {
                Some(item) => item.expr.clone(),
                None => column_of(column),
            };
            out.push(match (renamed(options, &name), replaced) {
                (Some(alias), _) => SelectItem::ExprWithAlias { expr, alias },
                (None, Some(_)) => SelectItem::ExprWithAlias {
                    expr,
                    alias: Ident::with_quote('"', name),
                },
                (None, None) => SelectItem::UnnamedExpr(expr),
            });
        }
    }
    select.projection = out;
}

fn column_of(parts: &[Ident]) -> Expr {
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
