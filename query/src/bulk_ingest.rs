//! Rows that a client sends become a table of the lake, or are added to one: all of them in one release, or none.
//!
//! Clients write tables that clients made, and nobody else writes these: a load or a build would undo what was written
//! there, and the other way round.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use arrow::datatypes::{FieldRef, Schema};
use cordada_core::threads::locked;
use cordada_core::types::{self, PII};
use cordada_core::{Error, ErrorKind, Result, TableName};
use cordada_lake::release::Docs;
use cordada_lake::{Base, Draft, Lake, Mode, Relation, RelationKind, Write, journal};
use datafusion::execution::SendableRecordBatchStream;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use crate::access::{Access, Forbidden};
use crate::auth::random_id;

/// What a release says published it.
const BY: &str = "bulk ingest";

/// Schemas that are not made of tables that anybody may write.
const RESERVED: [&str; 3] = [journal::SCHEMA, "information_schema", "pg_catalog"];

/// What becomes of rows that a client sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkIngest {
    /// The table.
    pub table: TableName,
    /// If it is not there.
    pub if_missing: IfMissing,
    /// If it is there.
    pub if_exists: IfExists,
}

/// What to do with a table that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Make it, with the columns of the rows.
    Create,
    /// Refuse the rows.
    Fail,
}

/// What to do with a table that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfExists {
    /// Refuse the rows.
    Fail,
    /// Add the rows to it. They have columns of the table, by their names; those that they lack are null.
    Append,
    /// Put them, with their columns, in the place of all of it.
    Replace,
}

/// The cause of an error about whether a table is there, as ADBC tells such errors apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is, and should not be, or has other columns than the rows.
    Exists,
    /// It is not, and should be.
    Missing,
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exists => "it exists",
            Self::Missing => "it does not exist",
        })
    }
}

impl std::error::Error for Presence {}

/// The writes of clients that are going on.
#[derive(Debug)]
pub(crate) struct BulkIngests {
    /// How many at a time: each has a row group in memory.
    turns: Semaphore,
    /// From reading what is published of a table to publishing it anew, one client has it.
    tables: Mutex<HashMap<TableName, Weak<AsyncMutex<()>>>>,
}

impl BulkIngests {
    /// None yet, and so many at a time.
    pub(crate) fn new(at_a_time: usize) -> Self {
        Self {
            turns: Semaphore::new(at_a_time.max(1)),
            tables: Mutex::default(),
        }
    }

    fn table(&self, name: &TableName) -> Arc<AsyncMutex<()>> {
        let mut tables = locked(&self.tables);
        tables.retain(|_, table| table.strong_count() > 0);
        if let Some(table) = tables.get(name).and_then(Weak::upgrade) {
            return table;
        }
        let table = Arc::default();
        tables.insert(name.clone(), Arc::downgrade(&table));
        table
    }

    /// Writes the rows and publishes them; gives how many there were.
    ///
    /// It can be dropped at any time: until the release is there nobody sees a row, and the next write of the table
    /// goes on from what is published.
    ///
    /// # Errors
    /// Those of [`crate::Engine::ingest`].
    pub(crate) async fn run(
        &self,
        lake: &Lake,
        access: &Access,
        ingest: &BulkIngest,
        rows: SendableRecordBatchStream,
    ) -> Result<u64> {
        let table = &ingest.table;
        check_access(table, access)?;
        let lock = self.table(table);
        let _table = lock.lock().await;
        let _turn = self.turns.acquire().await;
        let base = lake.releases().newest().await?;
        let before = base.relation(table);
        let (write, docs) = match before {
            None if ingest.if_missing == IfMissing::Fail => {
                return Err(Error::failed(doing(table), "there is no such table")
                    .hint("let the client create it (`create`, `create_append`)")
                    .caused_by(Presence::Missing));
            }
            None => (Write::new(Mode::Overwrite, rows.schema()), Docs::default()),
            Some(_) if ingest.if_exists == IfExists::Fail => {
                return Err(Error::failed(doing(table), "there is a relation of that name already")
                    .hint("let the client append or replace, or choose another name")
                    .caused_by(Presence::Exists));
            }
            Some(relation) => {
                let version = own_version(lake, table, relation).await?;
                let there = lake.snapshot(&lake.path_of(table), version).await?;
                let docs = lake.docs(&relation.docs).await?;
                let (write, schema) = match ingest.if_exists {
                    IfExists::Append => {
                        check_columns(table, &rows.schema(), there.schema())?;
                        let mut write = Write::new(Mode::Append, rows.schema());
                        // What was committed and never published is undone by this.
                        write.base = Base::Version(version);
                        (write, there.schema().clone())
                    }
                    _ => {
                        let schema = Arc::new(tagged(&rows.schema(), there.schema()));
                        (Write::new(Mode::Overwrite, schema.clone()), schema)
                    }
                };
                (write, without_keys(&docs, &schema))
            }
        };
        let is_added_to = before.is_some() && ingest.if_exists == IfExists::Append;
        let report = lake.write(table, write, vec![rows]).await;
        let report = report.map_err(|error| match is_added_to && error.kind() == ErrorKind::Config {
            true => error.caused_by(Presence::Exists),
            false => error,
        })?;
        let mut relation = Relation::table(lake.path_of(table), report.version);
        relation.docs = docs.into();
        relation.by_client = true;
        let mut draft = Draft::new(base.clone(), BY, random_id()?);
        draft.set(table.clone(), relation);
        if !draft.is_unchanged() {
            let release = lake.releases().publish(&draft).await?.number;
            tracing::info!(%table, rows = report.rows_added, release, "a client wrote a table");
        }
        Ok(report.rows_added)
    }
}

fn doing(table: &TableName) -> String {
    format!("ingesting into {table}")
}

/// Whether clients may have tables in that schema, if their roles write it.
pub(crate) fn takes(schema: &str) -> bool {
    !RESERVED.contains(&schema)
}

fn check_access(table: &TableName, access: &Access) -> Result<()> {
    if !takes(table.schema()) {
        return Err(
            Error::failed(doing(table), "nobody but the program itself writes that schema")
                .hint("choose another schema")
                .caused_by(Forbidden),
        );
    }
    match access.may_write(table.schema(), table.name()) {
        true => Ok(()),
        false => Err(Error::failed(doing(table), "no role of this user may write it")
            .hint("add the schema or the table to `write:` of a role in cordada.yml")
            .caused_by(Forbidden)),
    }
}

/// The version that is published of a table that a client made.
async fn own_version(lake: &Lake, table: &TableName, relation: &Relation) -> Result<u64> {
    let path = lake.path_of(table);
    let refused = |why: &str| {
        let hint = "ingest into a table of another name, and let a model of the SQL project read it";
        Err(Error::failed(doing(table), why).hint(hint))
    };
    let version = match &relation.kind {
        RelationKind::Table { path: at, version, .. } if *at == path => *version,
        RelationKind::Table { .. } => return refused("it is another environment's table"),
        RelationKind::View { .. } => return refused("it is a view"),
    };
    if relation.by_client {
        return Ok(version);
    }
    if relation.fingerprint.is_some() {
        return refused("the SQL project builds it");
    }
    match lake.state_at(&path, version).await? {
        Some(_) => refused("`cordada ingest` loads it"),
        None => refused("no client made it"),
    }
}

/// # Errors
/// Config: the rows have a column that the table does not have.
fn check_columns(table: &TableName, rows: &Schema, there: &Schema) -> Result<()> {
    let known = types::counterparts(rows.fields(), there.fields());
    let unknown = rows.fields().iter().zip(known).filter(|(_, known)| known.is_none());
    let unknown: Vec<_> = unknown.map(|(field, _)| format!("`{}`", field.name())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let has: Vec<_> = there.fields().iter().map(|field| field.name().as_str()).collect();
    Err(
        Error::config(doing(table), format!("it has no column {}", unknown.join(", ")))
            .hint(format!(
                "it has: {}; replace the table to give it others",
                has.join(", ")
            ))
            .caused_by(Presence::Exists),
    )
}

/// The rows' columns, personal where those of that name were.
fn tagged(rows: &Schema, before: &Schema) -> Schema {
    let known = types::counterparts(rows.fields(), before.fields());
    let fields = rows.fields().iter().zip(known).map(|(field, known)| {
        let pii = known.and_then(|known| before.field(known).metadata().get(PII));
        let mut metadata = field.metadata().clone();
        if let Some(pii) = pii {
            metadata.entry(PII.to_owned()).or_insert_with(|| pii.clone());
        }
        Arc::new(field.as_ref().clone().with_metadata(metadata))
    });
    Schema::new(fields.collect::<Vec<FieldRef>>())
}

/// What was said about the table, of the columns that it still has. Keys are what somebody tested: not these rows.
fn without_keys(docs: &Docs, columns: &Schema) -> Docs {
    let mut docs = docs.clone();
    docs.primary_key.clear();
    docs.foreign_keys.clear();
    docs.columns.retain(|name, _| columns.column_with_name(name).is_some());
    docs
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;

    fn columns(names: &[&str]) -> Schema {
        Schema::new(
            names
                .iter()
                .map(|name| Field::new(*name, DataType::Int64, true))
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn columns_that_a_table_does_not_have_are_named() {
        let table = "marts.x".parse().unwrap();
        check_columns(&table, &columns(&["B", "a"]), &columns(&["a", "b", "c"])).unwrap();
        let refused = check_columns(&table, &columns(&["a", "d"]), &columns(&["a", "b"])).unwrap_err();
        assert!(
            refused.to_string().contains("no column `d`; it has: a, b;"),
            "{refused}"
        );
    }

    #[test]
    fn what_is_personal_stays_so_when_a_table_is_replaced() {
        let pii = HashMap::from([(PII.to_owned(), "email".to_owned())]);
        let before = Schema::new(vec![
            Field::new("mail", DataType::Utf8, true).with_metadata(pii.clone()),
            Field::new("other", DataType::Utf8, true),
        ]);
        let now = tagged(&columns(&["other", "mail"]), &before);
        assert_eq!((now.field(0).metadata().len(), now.field(1).metadata()), (0, &pii));
    }

    #[test]
    fn a_table_has_one_lock_as_long_as_somebody_holds_it() {
        let all = BulkIngests::new(2);
        let name: TableName = "marts.x".parse().unwrap();
        let one = all.table(&name);
        assert!(Arc::ptr_eq(&one, &all.table(&name)));
        drop(one);
        all.table(&"marts.y".parse().unwrap());
        assert_eq!(locked(&all.tables).len(), 1);
    }
}
