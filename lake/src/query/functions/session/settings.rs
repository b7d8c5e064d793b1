//! Who asks, where, and how the session is set.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::config::ConfigOptions;

use super::{OfSession, number_of, text, text_of};
use crate::query::metadata::settings::{self, Answer, POSTGRESQL};
use crate::query::session::{CATALOG, User};

pub(super) fn all() -> Vec<OfSession> {
    use DataType::{Boolean, Int32, Utf8};
    let schemas = DataType::List(Arc::new(Field::new_list_field(Utf8, true)));
    let of = OfSession::new;
    vec![
        of(
            "current_schema()",
            &[0],
            Utf8,
            schema,
            "The schema of relations that are named without one.",
        )
        .also("schema"),
        of(
            "current_schemas(implicit)",
            &[1],
            schemas,
            path,
            "The schemas of relations that are named without one.",
        ),
        of(
            "current_catalog()",
            &[0],
            Utf8,
            catalog,
            "The catalog, which is `lake`.",
        ),
        of(
            "current_database()",
            &[0],
            Utf8,
            catalog,
            "The catalog, which is `lake`.",
        )
        .also("database"),
        of(
            "current_user()",
            &[0],
            Utf8,
            user,
            "The user who asks; `cordada` on the command line.",
        )
        .also("session_user")
        .also("current_role")
        .also("user"),
        of(
            "version()",
            &[0],
            Utf8,
            version,
            "The versions of Cordada and of the PostgreSQL whose answers it gives.",
        ),
        of(
            "current_setting(name)",
            &[1, 2],
            Utf8,
            setting,
            "What the session's setting of that name is.",
        ),
        of(
            "set_config(name, value, local)",
            &[3],
            Utf8,
            set_config,
            "What the setting becomes: only what it is already can be set, and what changes no answer.",
        ),
        of(
            "pg_backend_pid()",
            &[0],
            Int32,
            |_, _| process(),
            "The number of the server's process.",
        ),
        of(
            "pg_client_encoding()",
            &[0],
            Utf8,
            |_, _| Ok(text("UTF8".to_owned())),
            "The encoding of results.",
        ),
        of(
            "pg_encoding_to_char(number)",
            &[1],
            Utf8,
            encoding,
            "The name of the encoding with that number.",
        ),
        of(
            "pg_is_in_recovery()",
            &[0],
            Boolean,
            |_, _| Ok(ScalarValue::Boolean(Some(false))),
            "Whether this is a replica.",
        ),
    ]
}

fn schema(_: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    Ok(text(config.catalog.default_schema.clone()))
}

fn path(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    let schema = text(config.catalog.default_schema.clone());
    let with_implicit = arguments
        .first()
        .is_some_and(|implicit| *implicit == ScalarValue::Boolean(Some(true)));
    let schemas = match with_implicit {
        true => vec![text("pg_catalog".to_owned()), schema],
        false => vec![schema],
    };
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(
        &schemas,
        &DataType::Utf8,
    )))
}

fn catalog(_: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    Ok(text(CATALOG.to_owned()))
}

fn user(_: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    Ok(text(User::of(config).to_owned()))
}

/// Drivers of PostgreSQL read the version from its beginning.
fn version(_: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    Ok(text(format!(
        "PostgreSQL {POSTGRESQL} (Cordada {}) on {}-{}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
    )))
}

fn setting(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    let [name, rest @ ..] = arguments else {
        return exec_err!("current_setting takes a name");
    };
    let Some(name) = text_of(name)? else {
        return Ok(text(None));
    };
    let may_be_missing = rest
        .first()
        .is_some_and(|missing| *missing == ScalarValue::Boolean(Some(true)));
    match settings::setting(&name, config) {
        None if !may_be_missing => exec_err!("unrecognized configuration parameter \"{name}\""),
        value => Ok(text(value)),
    }
}

fn set_config(arguments: &[ScalarValue], config: &ConfigOptions) -> Result<ScalarValue> {
    let [name, value, ..] = arguments else {
        return exec_err!("set_config takes a name and a value");
    };
    let (Some(name), value) = (text_of(name)?, text_of(value)?) else {
        return exec_err!("set_config takes a name");
    };
    match settings::set(&name, value.as_deref(), config) {
        Answer::Fine => Ok(text(value.or_else(|| settings::setting(&name, config)))),
        Answer::Unknown => exec_err!("unrecognized configuration parameter \"{name}\""),
        Answer::Other(is, _) => exec_err!("\"{name}\" cannot be set: it is '{is}'"),
    }
}

fn process() -> Result<ScalarValue> {
    Ok(ScalarValue::Int32(i32::try_from(std::process::id()).ok()))
}

fn encoding(arguments: &[ScalarValue], _: &ConfigOptions) -> Result<ScalarValue> {
    let number = arguments.first().map(number_of).transpose()?.flatten();
    Ok(text(
        number.map(|number| if number == 6 { "UTF8" } else { "" }.to_owned()),
    ))
}
