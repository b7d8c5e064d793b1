//! Statements about the session and its transactions: `set`, `reset`, `use`, `begin`, `commit`, `discard` …
//!
//! Drivers and pools send them before and after everything else. A statement reads one moment of the lake and changes
//! nothing, so there is nothing to begin, to commit or to reset: they are answered without rows where it makes no difference
//! whether they are obeyed, and are refused where it does. A server that keeps sessions obeys `use` and
//! `set search_path`: [`Change::of`] tells it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use cordada_core::{Error, Result};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{ResetStatement, Statement};
use datafusion::sql::sqlparser::ast::{self, Expr, Ident, ObjectName, Set, Use, Value};

use crate::query::dialect;
use crate::query::metadata::settings::{self, Answer};
use crate::query::session::{CATALOG, DEFAULT_SCHEMA};

const DOING: &str = "planning the query";

/// What a session statement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing that makes a difference.
    Nothing,
    /// Names without a schema are of this one from now on.
    Schema(String),
}

impl Change {
    /// What the statement asks to change in its session, if it is one of those.
    ///
    /// # Errors
    /// Failed: it asks for what cannot be.
    pub fn of(session: &SessionContext, sql: &str) -> Result<Option<Self>> {
        let first = sql.trim_start().get(..3).unwrap_or_default();
        match ["set", "use", "res", "dis"]
            .iter()
            .any(|word| first.eq_ignore_ascii_case(word))
        {
            true => of_statement(session, &dialect::parse(sql)?.statement),
            false => Ok(None),
        }
    }
}

/// The plan without rows of a statement about the session; `None` for any other statement.
///
/// # Errors
/// Failed: it asks for what cannot be.
pub(super) fn plan(session: &SessionContext, statement: &Statement) -> Result<Option<LogicalPlan>> {
    let change = of_statement(session, statement)?;
    // A column, because clients take a result without any for that of a statement that writes.
    let schema = Schema::new(vec![Field::new("status", DataType::Utf8, true)]);
    let schema = DFSchema::try_from(schema).map_err(|error| Error::failed(DOING, error))?;
    Ok(change.map(|_| {
        LogicalPlan::EmptyRelation(EmptyRelation {
            produce_one_row: false,
            schema: Arc::new(schema),
        })
    }))
}

fn of_statement(session: &SessionContext, statement: &Statement) -> Result<Option<Change>> {
    use ast::Statement as S;
    let statement = match statement {
        Statement::Statement(statement) => statement,
        Statement::Reset(ResetStatement::Variable(name)) => return set(session, &text(name), None).map(Some),
        _ => return Ok(None),
    };
    match &**statement {
        S::Set(statement) => of_set(session, statement).map(Some),
        S::Use(target) => of_use(session, target).map(Some),
        S::Reset(statement) => match &statement.reset {
            ast::Reset::ALL => Ok(Some(Change::Schema(DEFAULT_SCHEMA.to_owned()))),
            ast::Reset::ConfigurationParameter(name) => set(session, &text(name), None).map(Some),
        },
        S::Discard {
            object_type: ast::DiscardObject::ALL,
        } => Ok(Some(Change::Schema(DEFAULT_SCHEMA.to_owned()))),
        S::StartTransaction {
            statements, exception, ..
        } if statements.is_empty() && exception.is_none() => Ok(Some(Change::Nothing)),
        S::Commit { .. }
        | S::Rollback { .. }
        | S::Savepoint { .. }
        | S::ReleaseSavepoint { .. }
        | S::Discard { .. } => Ok(Some(Change::Nothing)),
        _ => Ok(None),
    }
}

fn of_set(session: &SessionContext, statement: &Set) -> Result<Change> {
    match statement {
        Set::SingleAssignment { variable, values, .. } => set(session, &text(variable), Some(values.as_slice())),
        Set::MultipleAssignments { assignments } => {
            let mut change = Change::Nothing;
            for assignment in assignments {
                let value = std::slice::from_ref(&assignment.value);
                match set(session, &text(&assignment.name), Some(value))? {
                    Change::Nothing => {}
                    schema @ Change::Schema(_) => change = schema,
                }
            }
            Ok(change)
        }
        Set::SetTimeZone { value, .. } => set(session, "timezone", Some(std::slice::from_ref(value))),
        Set::SetNames { charset_name, .. } => {
            let value = Expr::Identifier(charset_name.clone());
            set(session, "client_encoding", Some(&[value]))
        }
        Set::SetNamesDefault {} | Set::SetTransaction { snapshot: None, .. } => Ok(Change::Nothing),
        Set::SetRole { role_name: None, .. } => Ok(Change::Nothing),
        other => Err(refused(&other.to_string())),
    }
}

/// Sets one variable to one or more values, or back to its default.
fn set(session: &SessionContext, name: &str, values: Option<&[Expr]>) -> Result<Change> {
    let name = name.trim_start_matches(['@', '"']).to_lowercase();
    let name = ["session.", "local.", "global."]
        .iter()
        .find_map(|scope| name.strip_prefix(scope))
        .unwrap_or(&name);
    let values: Option<Vec<String>> = values.map(|values| values.iter().map(value).collect());
    if name == "search_path" || name == "schema" {
        return search_path(session, values.unwrap_or_default());
    }
    let joined = values.map(|values| values.join(","));
    let state = session.state();
    match settings::set(name, joined.as_deref(), state.config_options()) {
        Answer::Fine => Ok(Change::Nothing),
        Answer::Unknown => Err(refused(&format!("SET {name}"))),
        Answer::Other(is, description) => Err(Error::failed(DOING, format!("`{name}` cannot be set: it is `{is}`"))
            .hint(description)
            .with("setting", name)),
    }
}

/// The first schema of a path that is one; without any, what the default is.
fn search_path(session: &SessionContext, path: Vec<String>) -> Result<Change> {
    let path = path.iter().flat_map(|part| part.split(','));
    let path = path.map(|part| part.trim().trim_matches('"').to_owned());
    // Names that clients of PostgreSQL write by habit, and that are no schemas of a lake.
    let habits = ["", "$user", "public", "pg_catalog", "default", "information_schema"];
    let path: Vec<_> = path.filter(|part| !habits.contains(&part.as_str())).collect();
    match path.first() {
        None => Ok(Change::Schema(DEFAULT_SCHEMA.to_owned())),
        Some(schema) => schema_named(session, schema),
    }
}

fn of_use(session: &SessionContext, target: &Use) -> Result<Change> {
    let (Use::Object(name) | Use::Schema(name) | Use::Database(name) | Use::Catalog(name)) = target else {
        return Ok(Change::Nothing);
    };
    let parts = parts(name);
    match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [CATALOG] => Ok(Change::Nothing),
        [schema] | [CATALOG, schema] | ["schema" | "database" | "catalog", schema] => schema_named(session, schema),
        _ => Err(Error::failed(DOING, format!("`{name}` is not a schema of the lake"))),
    }
}

fn schema_named(session: &SessionContext, schema: &str) -> Result<Change> {
    let catalog = session.catalog(CATALOG);
    match catalog.is_some_and(|catalog| catalog.schema(schema).is_some()) {
        true => Ok(Change::Schema(schema.to_owned())),
        false => Err(Error::failed(DOING, format!("schema '{schema}' not found"))
            .hint("`show schemas` lists those that there are")),
    }
}

fn refused(what: &str) -> Error {
    Error::failed(DOING, format!("Statement not supported: {what}"))
        .hint("queries only read: tables are built by the SQL project and by ingestion")
}

fn parts(name: &ObjectName) -> Vec<String> {
    let idents = name.0.iter().filter_map(|part| part.as_ident());
    let folded = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    idents.map(folded).collect()
}

fn text(name: &ObjectName) -> String {
    parts(name).join(".")
}

/// What is set, as text.
fn value(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.clone(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}
