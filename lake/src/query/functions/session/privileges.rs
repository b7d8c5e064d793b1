//! What the user may do. What may not be read is not there, so that nobody has a privilege on it.

use arrow::datatypes::DataType;
use cordada_core::TableName;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;

use super::catalog::{name_of_relation, name_of_schema};
use super::{OfSession, text_of};
use crate::query::privileges::Privileges;
use crate::query::session::User;

pub(super) fn all() -> Vec<OfSession> {
    let of = |syntax, arguments: [usize; 2], answer, description| {
        OfSession::new(syntax, &arguments, DataType::Boolean, answer, description)
    };
    let relation = "Whether the user may `select` from the relation, or send rows to it (`insert`, `update`, `delete`, \
                    `truncate`); of several privileges one is enough. Of another user it says nothing.";
    let column = "Whether the user sees the column and has the privilege on its relation.";
    let schema = "Whether the user sees anything of the schema (`usage`), or may add relations to it (`create`).";
    let others = "Whether the privilege is one to read: that everybody has.";
    let privileges = [
        of(
            "has_table_privilege(relation, privilege)",
            [2, 3],
            on_relation,
            relation,
        ),
        of(
            "has_any_column_privilege(relation, privilege)",
            [2, 3],
            on_relation,
            relation,
        ),
        of(
            "has_column_privilege(relation, column, privilege)",
            [3, 4],
            on_column,
            column,
        ),
        of("has_schema_privilege(schema, privilege)", [2, 3], on_schema, schema),
        of("has_database_privilege(database, privilege)", [2, 3], on_others, others),
        of("has_function_privilege(function, privilege)", [2, 3], on_others, others),
        of("has_sequence_privilege(sequence, privilege)", [2, 3], on_others, others),
        of(
            "has_tablespace_privilege(tablespace, privilege)",
            [2, 3],
            on_others,
            others,
        ),
        of("pg_has_role(role, privilege)", [2, 3], on_others, others),
    ];
    let visible = [
        "pg_table_is_visible(relation)",
        "pg_type_is_visible(type)",
        "pg_function_is_visible(function)",
        "pg_operator_is_visible(operator)",
    ];
    let visible = visible.into_iter().map(|syntax| {
        OfSession::new(
            syntax,
            &[1],
            DataType::Boolean,
            is_visible,
            "Whether what may be read can be named: always.",
        )
    });
    privileges.into_iter().chain(visible).collect()
}

/// What somebody asks whether the user may.
struct Asked {
    /// What it is about.
    object: String,
    /// `select`, `insert` …: one of them is enough.
    privileges: Vec<String>,
}

impl Asked {
    /// `None` if nothing is said: an argument is null, or it is about another user.
    fn of(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<Option<Self>> {
        let arguments = arguments.iter().map(text_of).collect::<Result<Option<Vec<_>>>>()?;
        Ok(match arguments.unwrap_or_default().as_slice() {
            [user, _, _] if user.as_str() != User::of(config) => None,
            [object, privileges] | [_, object, privileges] => Some(Self {
                object: object.clone(),
                privileges: privileges
                    .split(',')
                    .map(|privilege| privilege.trim().to_lowercase())
                    .collect(),
            }),
            _ => None,
        })
    }

    fn any(&self, may: impl Fn(&str) -> bool) -> bool {
        self.privileges.iter().any(|privilege| may(privilege))
    }
}

fn said(answer: Option<bool>) -> Result<ScalarValue> {
    Ok(ScalarValue::Boolean(answer))
}

fn on_relation(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    let Some(asked) = Asked::of(arguments, config)? else {
        return said(None);
    };
    let Some(user) = Privileges::of(config) else {
        return said(Some(asked.any(|privilege| privilege == "select")));
    };
    let relation = match asked.object.trim().parse() {
        Ok(oid) => user.relation(oid).cloned(),
        Err(_) => name_of_relation(&asked.object, config).and_then(|(schema, name)| TableName::new(schema, name).ok()),
    };
    said(Some(relation.is_some_and(|relation| {
        asked.any(|privilege| match privilege {
            "select" => user.reads(&relation),
            "insert" | "update" | "delete" | "truncate" => user.writes(&relation),
            _ => false,
        })
    })))
}

/// It is looked up: `dialect/rewrites/postgresql_catalog.rs`.
fn on_column(_: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    plan_err!("write has_column_privilege(relation, column, privilege), or with the user before the relation")
}

fn on_schema(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    let Some(asked) = Asked::of(arguments, config)? else {
        return said(None);
    };
    let Some(user) = Privileges::of(config) else {
        return said(Some(asked.any(|privilege| privilege == "usage")));
    };
    let schema = match asked.object.trim().parse() {
        Ok(oid) => user.schema(oid),
        Err(_) => name_of_schema(&asked.object),
    };
    said(Some(schema.is_some_and(|schema| {
        asked.any(|privilege| match privilege {
            "usage" => user.sees_schema(&schema),
            "create" => user.writes_schema(&schema),
            _ => false,
        })
    })))
}

fn on_others(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    let to_read = ["select", "usage", "connect", "execute", "member"];
    let asked = Asked::of(arguments, config)?;
    said(asked.map(|asked| asked.any(|privilege| to_read.contains(&privilege))))
}

fn is_visible(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    let is_null = arguments.iter().any(ScalarValue::is_null);
    said((!is_null).then_some(true))
}
