//! What PostgreSQL's clients ask about objects of the catalog, as far as it can be said without looking them up. What has
//! to be looked up is a query: `dialect/rewrites/postgresql_catalog.rs`.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;

use super::{OfSession, number_of, text, text_of};
use crate::query::metadata::{format_type, oids, type_oid};
use crate::query::session::{CATALOG, OWNER};

pub(super) fn all() -> Vec<OfSession> {
    use DataType::{Int64, Utf8};
    let of = OfSession::new;
    let nothing = "Always null: the lake has no such object.";
    let size = "Always null: what a relation takes is not known to a session.";
    vec![
        of(
            "format_type(type, modifier)",
            &[2],
            Utf8,
            type_text,
            "The SQL name of the type with that identifier.",
        ),
        of(
            "to_regclass(name)",
            &[1],
            Int64,
            relation,
            "The identifier of the relation of that name.",
        ),
        of(
            "to_regnamespace(name)",
            &[1],
            Int64,
            schema,
            "The identifier of the schema of that name.",
        ),
        of(
            "to_regtype(name)",
            &[1],
            Int64,
            type_of,
            "The identifier of the type of that name.",
        ),
        of(
            "pg_get_userbyid(role)",
            &[1],
            Utf8,
            owner,
            "The name of the role with that identifier.",
        ),
        of("pg_get_expr(expression, relation)", &[2, 3], Utf8, no_text, nothing),
        of("pg_get_indexdef(index)", &[1, 3], Utf8, no_text, nothing),
        of("pg_get_functiondef(function)", &[1], Utf8, no_text, nothing),
        of("pg_get_triggerdef(trigger)", &[1, 2], Utf8, no_text, nothing),
        of("pg_get_partkeydef(relation)", &[1], Utf8, no_text, nothing),
        of("pg_get_serial_sequence(relation, column)", &[2], Utf8, no_text, nothing),
        of("shobj_description(object, catalog)", &[2], Utf8, no_text, nothing),
        of("pg_relation_size(relation)", &[1, 2], Int64, no_number, size),
        of("pg_table_size(relation)", &[1], Int64, no_number, size),
        of("pg_total_relation_size(relation)", &[1], Int64, no_number, size),
    ]
}

fn no_text(_: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    Ok(text(None))
}

fn no_number(_: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    Ok(ScalarValue::Int64(None))
}

fn type_text(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    let numbers = arguments.iter().map(number_of).collect::<Result<Vec<_>>>()?;
    let said = numbers.first().copied().flatten();
    Ok(text(
        said.map(|oid| format_type(oid, numbers.get(1).copied().flatten())),
    ))
}

fn owner(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    let role = arguments.first().map(number_of).transpose()?.flatten();
    Ok(text(role.map(|role| match role {
        oids::OWNER => OWNER.to_owned(),
        other => format!("unknown (OID={other})"),
    })))
}

/// The name's parts, folded as SQL folds them.
fn parts(name: &str) -> Vec<String> {
    let (mut parts, mut part, mut is_quoted) = (Vec::new(), String::new(), false);
    for letter in name.trim().chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => parts.push(std::mem::take(&mut part)),
            letter if is_quoted => part.push(letter),
            letter => part.extend(letter.to_lowercase()),
        }
    }
    parts.push(part);
    parts
}

/// An argument that names something: a number is the identifier itself.
fn identifier(arguments: &[ScalarValue], of: impl Fn(&str) -> Option<i64>) -> Result<ScalarValue> {
    let name = arguments.first().map(text_of).transpose()?.flatten();
    Ok(ScalarValue::Int64(name.and_then(|name| match name.trim().parse() {
        Ok(number) => Some(number),
        Err(_) => of(&name),
    })))
}

/// The schema and the name of the relation that a text names.
pub(super) fn name_of_relation(text: &str, config: &ConfigOptions) -> Option<(String, String)> {
    let (schema, name) = match parts(text).as_slice() {
        [name] if name.starts_with("pg_") => ("pg_catalog".to_owned(), name.clone()),
        [name] => (config.catalog.default_schema.clone(), name.clone()),
        [schema, name] => (schema.clone(), name.clone()),
        [catalog, schema, name] if catalog == CATALOG => (schema.clone(), name.clone()),
        _ => return None,
    };
    Some((schema, name))
}

/// The schema that a text names.
pub(super) fn name_of_schema(text: &str) -> Option<String> {
    match parts(text).as_slice() {
        [schema] => Some(schema.clone()),
        _ => None,
    }
}

fn relation(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    identifier(arguments, |text| {
        name_of_relation(text, config).map(|(schema, name)| oids::of_relation(&schema, &name))
    })
}

fn schema(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    identifier(arguments, |text| {
        name_of_schema(text).map(|schema| oids::of_schema(&schema))
    })
}

fn type_of(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    identifier(arguments, type_oid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_unless_they_are_quoted() {
        assert_eq!(parts("Marts.Customers"), ["marts", "customers"]);
        assert_eq!(parts("\"Marts\".\"a.b\""), ["Marts", "a.b"]);
        let config = ConfigOptions::default();
        let oid = |name: &str| relation(&[text(name.to_owned())], &config).unwrap();
        assert_eq!(oid("marts.customers"), oid("lake.MARTS.customers"));
        assert_eq!(oid("pg_class"), ScalarValue::Int64(Some(1259)));
        assert_eq!(oid("1259"), ScalarValue::Int64(Some(1259)));
        assert_eq!(relation(&[text(None)], &config).unwrap(), ScalarValue::Int64(None));
    }
}
