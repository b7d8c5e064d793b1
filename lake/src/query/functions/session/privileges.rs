//! What the user may do: read, and nothing else. What may not be read has no name, so there is nothing to ask about it.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::config::ConfigOptions;

use super::{OfSession, text_of};

pub(super) fn all() -> Vec<OfSession> {
    let privileges = [
        ("has_table_privilege(relation, privilege)", [2, 3]),
        ("has_any_column_privilege(relation, privilege)", [2, 3]),
        ("has_column_privilege(relation, column, privilege)", [3, 4]),
        ("has_schema_privilege(schema, privilege)", [2, 3]),
        ("has_database_privilege(database, privilege)", [2, 3]),
        ("has_function_privilege(function, privilege)", [2, 3]),
        ("has_sequence_privilege(sequence, privilege)", [2, 3]),
        ("has_tablespace_privilege(tablespace, privilege)", [2, 3]),
        ("pg_has_role(role, privilege)", [2, 3]),
    ];
    let privileges = privileges.into_iter().map(|(syntax, arguments)| {
        let description = "Whether the user has the privilege on what it can name: to read is the only one.";
        OfSession::new(syntax, &arguments, DataType::Boolean, reads, description)
    });
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
    privileges.chain(visible).collect()
}

/// Whether any of the privileges, `SELECT, INSERT`, is one to read.
fn reads(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    let arguments = arguments.iter().map(text_of).collect::<Result<Option<Vec<_>>>>()?;
    let to_read = ["select", "usage", "connect", "execute", "member"];
    Ok(ScalarValue::Boolean(arguments.and_then(|arguments| {
        let mut privileges = arguments
            .last()?
            .split(',')
            .map(|privilege| privilege.trim().to_lowercase());
        Some(privileges.any(|privilege| to_read.contains(&privilege.as_str())))
    })))
}

fn is_visible(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    let is_null = arguments.iter().any(ScalarValue::is_null);
    Ok(ScalarValue::Boolean((!is_null).then_some(true)))
}
