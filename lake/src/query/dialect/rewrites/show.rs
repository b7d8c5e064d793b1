//! `show …`: questions about what there is and how the session is set, as queries of `information_schema`.

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, ShowCreateObject, ShowStatementFilter, ShowStatementFilterPosition, ShowStatementOptions,
    Statement,
};

use super::templates::{literal, query};
use crate::query::session::CATALOG;

/// Puts a query in the place of a `show`.
///
/// # Errors
/// It is not about something that there is here.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    if let Some(text) = as_query(statement)? {
        *statement = Statement::Query(query(&text)?);
    }
    Ok(())
}

fn as_query(statement: &Statement) -> Result<Option<String>> {
    Ok(Some(match statement {
        Statement::ShowDatabases { show_options, .. } | Statement::ShowCatalogs { show_options, .. } => {
            let wanted = filter("database_name", show_options)?;
            format!(
                "SELECT database_name FROM (SELECT catalog_name AS database_name \
                 FROM information_schema.information_schema_catalog_name) c WHERE {wanted}"
            )
        }
        Statement::ShowSchemas { show_options, .. } => {
            let wanted = filter("schema_name", show_options)?;
            format!("SELECT schema_name FROM information_schema.schemata WHERE {wanted} ORDER BY schema_name")
        }
        Statement::ShowTables { show_options, .. } => tables("true", show_options)?,
        Statement::ShowViews { show_options, .. } => tables("table_type = 'VIEW'", show_options)?,
        Statement::ShowColumns {
            show_options,
            full,
            extended,
        } => columns(show_options, *full || *extended)?,
        Statement::ShowCreate {
            obj_type: ShowCreateObject::Table | ShowCreateObject::View,
            obj_name,
        } => create(obj_name)?,
        Statement::ShowVariable { variable } => match names(variable).as_slice() {
            [all] if all == "all" => {
                "SELECT name, setting, short_desc AS description FROM pg_catalog.pg_settings ORDER BY name".to_owned()
            }
            parts => setting(parts),
        },
        _ => return Ok(None),
    }))
}

/// The relations of a schema, or of all but the one that describes them.
fn tables(which: &str, options: &ShowStatementOptions) -> Result<String> {
    let schema = match parent(options) {
        None => "table_schema <> 'information_schema'".to_owned(),
        Some(name) => match parts(name).as_slice() {
            [catalog] if catalog == CATALOG => "table_schema <> 'information_schema'".to_owned(),
            [schema] => format!("table_schema = {}", literal(schema)),
            [catalog, schema] if catalog == CATALOG => format!("table_schema = {}", literal(schema)),
            _ => return plan_err!("`{name}` is not a schema of the lake"),
        },
    };
    let wanted = filter("table_name", options)?;
    Ok(format!(
        "SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables \
         WHERE {which} AND {schema} AND {wanted} ORDER BY table_schema, table_name"
    ))
}

fn columns(options: &ShowStatementOptions, full: bool) -> Result<String> {
    let Some(name) = parent(options) else {
        return plan_err!("SHOW COLUMNS requires a table name");
    };
    let columns = match full {
        true => "*",
        false => "table_catalog, table_schema, table_name, column_name, data_type, is_nullable",
    };
    let (relation, wanted) = (relation(name)?, filter("column_name", options)?);
    Ok(format!(
        "SELECT {columns} FROM information_schema.columns WHERE {relation} AND {wanted} ORDER BY ordinal_position"
    ))
}

/// The statement that would make the relation elsewhere; null for a view whose query may not be seen.
fn create(name: &ObjectName) -> Result<String> {
    let relation = relation(name)?;
    Ok(format!(
        "SELECT t.table_catalog, t.table_schema, t.table_name, CASE t.table_type \
         WHEN 'VIEW' THEN 'CREATE VIEW ' || t.table_schema || '.' || t.table_name || ' AS ' || v.view_definition \
         ELSE 'CREATE TABLE ' || t.table_schema || '.' || t.table_name || ' (' || c.columns || ')' END AS definition \
         FROM (SELECT * FROM information_schema.tables WHERE {relation}) t \
         LEFT JOIN (SELECT * FROM information_schema.views WHERE {relation}) v ON v.table_name = t.table_name \
         LEFT JOIN (SELECT table_name, string_agg('\"' || replace(column_name, '\"', '\"\"') || '\" ' || data_type || \
         CASE is_nullable WHEN 'NO' THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY ordinal_position) AS columns \
         FROM information_schema.columns WHERE {relation} GROUP BY table_name) c ON c.table_name = t.table_name"
    ))
}

/// What the setting is, under its name.
fn setting(parts: &[String]) -> String {
    // The engine's settings have dots in their names, PostgreSQL's none but spaces: `transaction isolation level`.
    let engines = parts.first().is_some_and(|part| part == "datafusion");
    let name = parts.join(if engines { "." } else { " " });
    let column = match name.as_str() {
        "time zone" => "TimeZone",
        "transaction isolation level" => "transaction_isolation",
        "session authorization" => "session_authorization",
        other => other,
    };
    format!(
        "SELECT current_setting({}) AS \"{}\"",
        literal(&name),
        column.replace('"', "\"\"")
    )
}

/// A condition for the rows of `information_schema` that are about a relation. That it exists, and may be read, is asked in
/// it: else its name is refused as it is everywhere.
fn relation(name: &ObjectName) -> Result<String> {
    let parts = parts(name);
    let (schema, table) = match parts.as_slice() {
        [table] => ("current_schema()".to_owned(), table),
        [schema, table] => (literal(schema), table),
        [catalog, schema, table] if catalog == CATALOG => (literal(schema), table),
        _ => return plan_err!("`{name}` is not a relation of the lake"),
    };
    Ok(format!(
        "table_schema = {schema} AND table_name = {} AND NOT EXISTS (SELECT 1 FROM {name} WHERE false)",
        literal(table)
    ))
}

fn parent(options: &ShowStatementOptions) -> Option<&ObjectName> {
    options.show_in.as_ref()?.parent_name.as_ref()
}

/// The condition that `like`, `where` and `starts with` state on a column.
fn filter(column: &str, options: &ShowStatementOptions) -> Result<String> {
    let filter = options.filter_position.as_ref().map(|filter| match filter {
        ShowStatementFilterPosition::Infix(filter) | ShowStatementFilterPosition::Suffix(filter) => filter,
    });
    let mut condition = match filter {
        None => "true".to_owned(),
        Some(ShowStatementFilter::Like(pattern) | ShowStatementFilter::NoKeyword(pattern)) => {
            format!("{column} LIKE {}", literal(pattern))
        }
        Some(ShowStatementFilter::ILike(pattern)) => format!("{column} ILIKE {}", literal(pattern)),
        Some(ShowStatementFilter::Where(condition)) => format!("({condition})"),
    };
    if let Some(start) = &options.starts_with {
        condition = format!("{condition} AND starts_with({column}, {start})");
    }
    match options.limit.is_some() || options.limit_from.is_some() {
        true => plan_err!("SHOW with LIMIT is not supported: query information_schema instead"),
        false => Ok(condition),
    }
}

fn parts(name: &ObjectName) -> Vec<String> {
    names(name.0.iter().filter_map(|part| part.as_ident()))
}

fn names<'a>(idents: impl IntoIterator<Item = &'a Ident>) -> Vec<String> {
    let folded = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    idents.into_iter().map(folded).collect()
}
