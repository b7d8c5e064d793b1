//! Columns of objects of JSON that FROM names with their types: `jsonb_to_record(document) as t(a int, b text)`, and
//! `json_to_recordset(list) as t(…)` with a row for each item. (PostgreSQL, "JSON Processing Functions".)

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, FunctionArg, Ident, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
};

use super::calls::{call, plain_args, text};
use super::templates;

/// The relation that such a function gives; none if it is another function.
///
/// # Errors
/// Plan: it takes one document, and its columns have types.
pub(super) fn relation(name: &str, args: &[FunctionArg], alias: Option<&TableAlias>) -> Result<Option<TableFactor>> {
    let is_set = match name {
        "json_to_record" | "jsonb_to_record" => false,
        "json_to_recordset" | "jsonb_to_recordset" => true,
        _ => return Ok(None),
    };
    let args = plain_args(args).unwrap_or_default();
    let [document] = args.as_slice() else {
        return plan_err!("{name} takes a document of JSON");
    };
    let Some(alias) = alias.filter(|alias| !alias.columns.is_empty()) else {
        return plan_err!("{name} needs the names and types of its columns: {name}(…) as t(a int, b text)");
    };
    let item = Ident::with_quote('"', "\u{1}item");
    let object = match is_set {
        true => Expr::Identifier(item.clone()),
        false => document.clone(),
    };
    let mut query = templates::query("select 1")?;
    let SetExpr::Select(select) = &mut *query.body else {
        return plan_err!("{name} is a query");
    };
    let columns = alias.columns.iter().map(|column| field(name, &object, column));
    select.projection = columns.collect::<Result<_>>()?;
    if is_set {
        let mut items = templates::query("select 1 from unnest(1) as \"\u{1}items\"(\"\u{1}item\")")?;
        if let SetExpr::Select(items) = &mut *items.body {
            for table in &mut items.from {
                if let TableFactor::UNNEST { array_exprs, .. } = &mut table.relation {
                    *array_exprs = vec![call("json_array_elements", [document.clone()])];
                }
            }
            select.from = std::mem::take(&mut items.from);
        }
    }
    Ok(Some(TableFactor::Derived {
        lateral: true,
        subquery: query,
        alias: Some(TableAlias {
            columns: Vec::new(),
            ..alias.clone()
        }),
        sample: None,
    }))
}

/// A member of the object as a column.
fn field(function: &str, object: &Expr, column: &TableAliasColumnDef) -> Result<SelectItem> {
    let Some(data_type) = &column.data_type else {
        return plan_err!("{function} needs the type of its column {}", column.name);
    };
    let name = match column.name.quote_style {
        Some(_) => column.name.value.clone(),
        None => column.name.value.to_lowercase(),
    };
    let member = |function: &str| call(function, [object.clone(), text(name.as_str())]);
    let expr = match data_type {
        DataType::JSON | DataType::JSONB => member("json_get"),
        data_type => Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(member("json_get_text")),
            data_type: data_type.clone(),
            array: false,
            format: None,
        },
    };
    Ok(SelectItem::ExprWithAlias {
        expr,
        alias: column.name.clone(),
    })
}
