//! Relations, their columns, keys, comments and queries.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch};
use arrow::datatypes::{Field, Int32Type};
use datafusion::error::Result;

use super::{oids, types};
use crate::query::metadata::columns::{All, batch, flag, number, oid, oids as some_oids, text, texts};
use crate::query::metadata::listing::{Key, Listing, Relation};
use crate::query::session::OWNER;

impl Relation {
    fn oid(&self) -> i64 {
        oids::of_relation(self.name.schema(), self.name.name())
    }

    fn namespace(&self) -> i64 {
        oids::of_schema(self.name.schema())
    }
}

pub(super) fn class(listing: &Listing) -> Result<RecordBatch> {
    let (all, rows) = (All(listing.relations.len()), listing.relations.iter());
    batch(vec![
        ("oid", oid(rows.clone().map(Relation::oid))),
        ("relname", text(rows.clone().map(|row| row.name.name()))),
        ("relnamespace", oid(rows.clone().map(Relation::namespace))),
        ("reltype", all.oid(0)),
        ("reloftype", all.oid(0)),
        ("relowner", all.oid(oids::OWNER)),
        ("relam", all.oid(0)),
        ("relfilenode", all.oid(0)),
        ("reltablespace", all.oid(0)),
        ("relpages", all.number(0)),
        // Not known, in PostgreSQL's words.
        ("reltuples", all.number(-1)),
        ("reltoastrelid", all.oid(0)),
        ("relhasindex", all.flag(false)),
        ("relisshared", all.flag(false)),
        ("relpersistence", all.text("p")),
        (
            "relkind",
            text(rows.clone().map(|row| if row.is_view { "v" } else { "r" })),
        ),
        ("relnatts", all.no_number()),
        ("relchecks", all.number(0)),
        ("relhasrules", flag(rows.map(|row| row.is_view))),
        ("relhastriggers", all.flag(false)),
        ("relhassubclass", all.flag(false)),
        ("relrowsecurity", all.flag(false)),
        ("relforcerowsecurity", all.flag(false)),
        ("relispopulated", all.flag(true)),
        ("relreplident", all.text("n")),
        ("relispartition", all.flag(false)),
        ("relacl", all.no_text()),
        ("reloptions", all.no_text()),
        ("relpartbound", all.no_text()),
    ])
}

/// The columns of all relations, each with its place, from 1.
fn columns(listing: &Listing) -> Vec<(&Relation, i32, &Field, Option<&str>)> {
    let of = |relation| {
        let columns = Relation::columns(relation).zip(1..);
        columns.map(move |((field, comment), place)| (relation, place, field, comment))
    };
    listing.relations.iter().flat_map(of).collect()
}

pub(super) fn attribute(listing: &Listing) -> Result<RecordBatch> {
    let columns = columns(listing);
    let (all, rows) = (All(columns.len()), columns.iter());
    let known = |field: &Field| types::known(field.data_type());
    batch(vec![
        ("attrelid", oid(rows.clone().map(|(relation, ..)| relation.oid()))),
        ("attname", text(rows.clone().map(|(_, _, field, _)| field.name()))),
        ("atttypid", oid(rows.clone().map(|(_, _, field, _)| known(field).oid))),
        (
            "attlen",
            number(rows.clone().map(|(_, _, field, _)| known(field).length)),
        ),
        ("attnum", number(rows.clone().map(|(_, place, ..)| *place))),
        (
            "attndims",
            number(rows.clone().map(|(_, _, field, _)| i32::from(known(field).is_array))),
        ),
        (
            "atttypmod",
            number(rows.clone().map(|(_, _, field, _)| types::modifier(field.data_type()))),
        ),
        (
            "attnotnull",
            flag(rows.clone().map(|(_, _, field, _)| !field.is_nullable())),
        ),
        ("atthasdef", all.flag(false)),
        ("atthasmissing", all.flag(false)),
        ("attidentity", all.text("")),
        ("attgenerated", all.text("")),
        ("attisdropped", all.flag(false)),
        ("attislocal", all.flag(true)),
        ("attinhcount", all.number(0)),
        ("attcollation", all.oid(0)),
        ("attacl", all.no_text()),
        ("attoptions", all.no_text()),
    ])
}

/// Comments of relations (`objsubid` 0) and columns.
pub(super) fn description(listing: &Listing) -> Result<RecordBatch> {
    let relations = listing.relations.iter().filter_map(|relation| {
        let description = relation.docs.description.as_deref()?;
        Some((relation, 0, description))
    });
    let columns = columns(listing).into_iter();
    let columns = columns.filter_map(|(relation, place, _, comment)| Some((relation, place, comment?)));
    let rows: Vec<_> = relations.chain(columns).collect();
    let (all, rows) = (All(rows.len()), rows.iter());
    batch(vec![
        ("objoid", oid(rows.clone().map(|(relation, ..)| relation.oid()))),
        ("classoid", all.oid(oids::of_relation(super::NAME, "pg_class"))),
        ("objsubid", number(rows.clone().map(|(_, place, _)| *place))),
        ("description", text(rows.map(|(.., description)| description))),
    ])
}

pub(super) fn constraint(listing: &Listing) -> Result<RecordBatch> {
    let keys = listing.keys();
    let (all, rows) = (All(keys.len()), keys.iter());
    let of = |key: &Key| oids::of_constraint(key.relation.name.schema(), key.relation.name.name(), &key.name);
    let there = |key: &Key| {
        key.references
            .map(|(name, _)| oids::of_relation(name.schema(), name.name()))
    };
    batch(vec![
        ("oid", oid(rows.clone().map(of))),
        ("conname", text(rows.clone().map(|key| &key.name))),
        ("connamespace", oid(rows.clone().map(|key| key.relation.namespace()))),
        (
            "contype",
            text(rows.clone().map(|key| if key.references.is_some() { "f" } else { "p" })),
        ),
        ("condeferrable", all.flag(false)),
        ("condeferred", all.flag(false)),
        ("convalidated", all.flag(true)),
        ("conrelid", oid(rows.clone().map(|key| key.relation.oid()))),
        ("contypid", all.oid(0)),
        ("conindid", all.oid(0)),
        ("conparentid", all.oid(0)),
        ("confrelid", some_oids(rows.clone().map(|key| there(key).or(Some(0))))),
        ("confupdtype", all.text("a")),
        ("confdeltype", all.text("a")),
        ("confmatchtype", all.text("s")),
        ("conislocal", all.flag(true)),
        ("coninhcount", all.number(0)),
        ("connoinherit", all.flag(true)),
        (
            "conkey",
            places(rows.clone().map(|key| Some(positions(key.relation, key.columns)))),
        ),
        ("confkey", places(rows.clone().map(|key| referred(listing, key)))),
        // The clause that `pg_get_constraintdef` gives; PostgreSQL had this column until version 11.
        ("consrc", text(rows.map(clause))),
    ])
}

/// The places of columns in their relation, from 1.
fn positions(relation: &Relation, columns: &[String]) -> Vec<i32> {
    let place = |name: &String| relation.columns().zip(1..).find(|((field, _), _)| field.name() == name);
    columns
        .iter()
        .filter_map(|name| place(name).map(|(_, place)| place))
        .collect()
}

fn referred(listing: &Listing, key: &Key) -> Option<Vec<i32>> {
    let (name, columns) = key.references?;
    let relation = listing.relations.iter().find(|relation| relation.name == *name)?;
    Some(positions(relation, columns))
}

fn places(lists: impl Iterator<Item = Option<Vec<i32>>>) -> ArrayRef {
    let lists = lists.map(|list| list.map(|places| places.into_iter().map(Some)));
    Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
}

fn clause(key: &Key) -> String {
    let columns = key.columns.join(", ");
    match key.references {
        None => format!("PRIMARY KEY ({columns})"),
        Some((name, there)) => format!("FOREIGN KEY ({columns}) REFERENCES {name}({})", there.join(", ")),
    }
}

/// The queries of views, which `pg_get_viewdef` reads here.
pub(super) fn rewrite(listing: &Listing) -> Result<RecordBatch> {
    let views: Vec<_> = listing.relations.iter().filter(|relation| relation.is_view).collect();
    let (all, rows) = (All(views.len()), views.iter());
    batch(vec![
        ("oid", oid(rows.clone().map(|view| view.oid()))),
        ("rulename", all.text("_RETURN")),
        ("ev_class", oid(rows.clone().map(|view| view.oid()))),
        ("ev_type", all.text("1")),
        ("ev_enabled", all.text("O")),
        ("is_instead", all.flag(true)),
        ("ev_action", texts(rows.map(|view| view.definition.as_deref()))),
    ])
}

pub(super) fn tables(listing: &Listing) -> Result<RecordBatch> {
    let tables: Vec<_> = listing.relations.iter().filter(|relation| !relation.is_view).collect();
    let (all, rows) = (All(tables.len()), tables.iter());
    batch(vec![
        ("schemaname", text(rows.clone().map(|table| table.name.schema()))),
        ("tablename", text(rows.map(|table| table.name.name()))),
        ("tableowner", all.text(OWNER)),
        ("tablespace", all.no_text()),
        ("hasindexes", all.flag(false)),
        ("hasrules", all.flag(false)),
        ("hastriggers", all.flag(false)),
        ("rowsecurity", all.flag(false)),
    ])
}

pub(super) fn views(listing: &Listing) -> Result<RecordBatch> {
    let views: Vec<_> = listing.relations.iter().filter(|relation| relation.is_view).collect();
    let (all, rows) = (All(views.len()), views.iter());
    batch(vec![
        ("schemaname", text(rows.clone().map(|view| view.name.schema()))),
        ("viewname", text(rows.clone().map(|view| view.name.name()))),
        ("viewowner", all.text(OWNER)),
        ("definition", texts(rows.map(|view| view.definition.as_deref()))),
    ])
}
