//! The server in PostgreSQL's words: its one database, its schemas, settings, functions, and the owner of everything.

use arrow::array::RecordBatch;
use datafusion::catalog::Session;
use datafusion::error::Result;

use super::{NAME, oids};
use crate::query::metadata::columns::{All, batch, oid, text};
use crate::query::metadata::listing::Listing;
use crate::query::session::{CATALOG, OWNER};

/// PostgreSQL's number of UTF-8.
const UTF8: i32 = 6;

pub(super) fn database() -> Result<RecordBatch> {
    let all = All(1);
    batch(vec![
        ("oid", all.oid(oids::DATABASE)),
        ("datname", all.text(CATALOG)),
        ("datdba", all.oid(oids::OWNER)),
        ("encoding", all.number(UTF8)),
        ("datlocprovider", all.text("c")),
        ("datistemplate", all.flag(false)),
        ("datallowconn", all.flag(true)),
        ("datconnlimit", all.number(-1)),
        ("dattablespace", all.oid(0)),
        ("datcollate", all.text("C.UTF-8")),
        ("datctype", all.text("C.UTF-8")),
        ("datacl", all.no_text()),
    ])
}

/// The schemas, and the two that describe them.
pub(super) fn namespace(listing: &Listing) -> Result<RecordBatch> {
    let schemas = listing.schemas.iter().map(String::as_str);
    let names: Vec<_> = schemas.chain([NAME, super::super::information_schema::NAME]).collect();
    let all = All(names.len());
    batch(vec![
        ("oid", oid(names.iter().map(|name| oids::of_schema(name)))),
        ("nspname", text(names)),
        ("nspowner", all.oid(oids::OWNER)),
        ("nspacl", all.no_text()),
    ])
}

pub(super) fn roles() -> Result<RecordBatch> {
    let all = All(1);
    batch(vec![
        ("oid", all.oid(oids::OWNER)),
        ("rolname", all.text(OWNER)),
        ("rolsuper", all.flag(false)),
        ("rolinherit", all.flag(true)),
        ("rolcreaterole", all.flag(false)),
        ("rolcreatedb", all.flag(false)),
        ("rolcanlogin", all.flag(false)),
        ("rolreplication", all.flag(false)),
        ("rolbypassrls", all.flag(false)),
        ("rolconnlimit", all.number(-1)),
        ("rolvaliduntil", all.no_text()),
    ])
}

pub(super) fn user() -> Result<RecordBatch> {
    let all = All(1);
    batch(vec![
        ("usename", all.text(OWNER)),
        ("usesysid", all.oid(oids::OWNER)),
        ("usecreatedb", all.flag(false)),
        ("usesuper", all.flag(false)),
        ("userepl", all.flag(false)),
        ("usebypassrls", all.flag(false)),
        ("valuntil", all.no_text()),
    ])
}

/// Settings as name, value and description.
pub(super) fn settings(settings: Vec<(String, String, String)>) -> Result<RecordBatch> {
    let (all, rows) = (All(settings.len()), settings.iter());
    let values = || text(rows.clone().map(|(_, value, _)| value));
    batch(vec![
        ("name", text(rows.clone().map(|(name, ..)| name))),
        ("setting", values()),
        ("unit", all.no_text()),
        ("category", all.no_text()),
        ("short_desc", text(rows.clone().map(|(.., description)| description))),
        ("extra_desc", all.no_text()),
        ("context", all.text("internal")),
        ("vartype", all.text("string")),
        ("source", all.text("default")),
        ("min_val", all.no_text()),
        ("max_val", all.no_text()),
        ("boot_val", values()),
        ("reset_val", values()),
        ("pending_restart", all.flag(false)),
    ])
}

/// The functions of a session: name and `pg_proc.prokind`.
pub(super) fn functions(session: &dyn Session) -> Vec<(String, &'static str)> {
    let scalar = session.scalar_functions().keys().map(|name| (name.clone(), "f"));
    let aggregate = session.aggregate_functions().keys().map(|name| (name.clone(), "a"));
    let window = session.window_functions().keys().map(|name| (name.clone(), "w"));
    let mut all: Vec<_> = scalar.chain(aggregate).chain(window).collect();
    all.sort_unstable();
    all
}

pub(super) fn proc(functions: Vec<(String, &'static str)>) -> Result<RecordBatch> {
    let (all, rows) = (All(functions.len()), functions.iter());
    batch(vec![
        ("oid", oid(rows.clone().map(|(name, _)| oids::of_function(name)))),
        ("proname", text(rows.clone().map(|(name, _)| name))),
        ("pronamespace", all.oid(oids::of_schema(NAME))),
        ("proowner", all.oid(oids::OWNER)),
        ("prolang", all.oid(12)),
        ("prokind", text(rows.map(|(_, kind)| kind))),
        ("prosecdef", all.flag(false)),
        ("proretset", all.flag(false)),
        ("prorettype", all.oid(0)),
        ("proargtypes", all.no_text()),
        ("proargnames", all.no_text()),
        ("prosrc", all.no_text()),
    ])
}
