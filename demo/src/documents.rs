//! The shop's own database: what its API answers with, one JSON document a record, found by when it last changed.

use std::path::PathBuf;

use cordada_core::Result;
use rusqlite::params;

use super::calendar::Moment;
use super::database::{Database, Insert};

/// What the shop has, by the names of its API.
pub const RESOURCES: [&str; 4] = ["carts", "consents", "customers", "orders"];

/// Creates the database.
pub fn create(path: PathBuf) -> Result<Database> {
    let table = |name: &str| {
        format!("create table {name} (id integer primary key, updated_at text not null, document text not null);")
    };
    Database::create(path, &RESOURCES.map(table).concat())
}

/// Makes what was written there for the API.
pub fn finish(database: Database) -> Result<()> {
    let index = |name: &str| format!("create index {name}_by_change on {name} (updated_at, id);");
    database.run(&RESOURCES.map(index).concat())?;
    database.finish()
}

/// The shop's records, as they are being written.
pub struct Documents<'a> {
    carts: Insert<'a>,
    consents: Insert<'a>,
    customers: Insert<'a>,
    orders: Insert<'a>,
}

impl<'a> Documents<'a> {
    /// For the records of `database`, which [`create`] made.
    pub fn new(database: &'a Database) -> Result<Self> {
        let into = |name: &str| database.insert(&format!("insert into {name} values (?, ?, ?)"));
        Ok(Self {
            carts: into("carts")?,
            consents: into("consents")?,
            customers: into("customers")?,
            orders: into("orders")?,
        })
    }

    /// Writes a cart.
    pub fn cart(&mut self, number: u64, updated: Moment, document: &str) -> Result<()> {
        write(&mut self.carts, number, updated, document)
    }

    /// Writes a decision about consent.
    pub fn consent(&mut self, id: u64, updated: Moment, document: &str) -> Result<()> {
        write(&mut self.consents, id, updated, document)
    }

    /// Writes an account.
    pub fn customer(&mut self, id: u64, updated: Moment, document: &str) -> Result<()> {
        write(&mut self.customers, id, updated, document)
    }

    /// Writes an order.
    pub fn order(&mut self, number: u64, updated: Moment, document: &str) -> Result<()> {
        write(&mut self.orders, number, updated, document)
    }
}

fn write(insert: &mut Insert<'_>, id: u64, updated: Moment, document: &str) -> Result<()> {
    insert.row(params![id as i64, updated.utc().to_string(), document])
}
