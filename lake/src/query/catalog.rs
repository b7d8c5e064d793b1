//! A release as DataFusion's catalog: schemas and relations, opened when a query names them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use cordada_core::{ErrorKind, Result, TableName};
use datafusion::catalog::{CatalogProvider, SchemaProvider, TableProvider};
use datafusion::datasource::{TableType, ViewTable};
use datafusion::error::Result as DataFusionResult;
use datafusion::prelude::SessionContext;

use crate::journal;
use crate::lake::Lake;
use crate::query::gate::{Gate, Hides};
use crate::query::provider::PinnedTable;
use crate::query::sql;
use crate::release::{Docs, RelationKind, Release};

/// The relations of one release, with some added or replaced.
pub(crate) struct ReleaseCatalog {
    lake: Lake,
    release: Arc<Release>,
    overlay: BTreeMap<TableName, Arc<dyn TableProvider>>,
    /// What relations pass before anybody reads them.
    gate: Option<Arc<dyn Gate>>,
    /// The columns of which nothing is said.
    hides: Option<Arc<dyn Hides>>,
    /// Plans the release's views; made when the first view is named.
    planner: OnceLock<SessionContext>,
}

impl fmt::Debug for ReleaseCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release {}", self.release.number)
    }
}

impl ReleaseCatalog {
    pub(crate) fn new(
        lake: Lake,
        release: Arc<Release>,
        overlay: BTreeMap<TableName, Arc<dyn TableProvider>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            lake,
            release,
            overlay,
            gate: None,
            hides: None,
            planner: OnceLock::new(),
        })
    }

    /// The same relations, of which nobody reads any but through `gate`: those that views read pass it too.
    pub(crate) fn through(&self, gate: Option<Arc<dyn Gate>>) -> Arc<Self> {
        Arc::new(Self {
            lake: self.lake.clone(),
            release: self.release.clone(),
            overlay: self.overlay.clone(),
            gate,
            hides: self.hides.clone(),
            planner: OnceLock::new(),
        })
    }

    /// The same relations; nothing is said of the columns that are hidden.
    pub(super) fn hiding(&self, hides: Arc<dyn Hides>) -> Arc<Self> {
        Arc::new(Self {
            lake: self.lake.clone(),
            release: self.release.clone(),
            overlay: self.overlay.clone(),
            gate: self.gate.clone(),
            hides: Some(hides),
            planner: OnceLock::new(),
        })
    }

    pub(super) fn gate(&self) -> Option<&Arc<dyn Gate>> {
        self.gate.as_ref()
    }

    fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let journals = self.lake.journals().iter();
        let journals = journals.map(|journal| (journal::SCHEMA, journal.name()));
        let relations = self.release.relations.keys().chain(self.overlay.keys());
        relations.map(|name| (name.schema(), name.name())).chain(journals)
    }

    /// What is said about a relation. What is damaged or gone is missing: it must not hide the relation.
    ///
    /// # Errors
    /// Unavailable: the lake cannot be read.
    pub(super) async fn docs(&self, name: &TableName) -> Result<Arc<Docs>> {
        let Some(relation) = self.release.relation(name) else {
            return Ok(Arc::default());
        };
        let docs = match self.lake.docs(&relation.docs).await {
            Ok(docs) => docs,
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
            Err(error) => {
                tracing::warn!(relation = %name, %error, "cannot say what is known about a relation");
                Arc::default()
            }
        };
        Ok(match &self.hides {
            Some(hides) => Arc::new(docs.without(name, |relation, column| hides.hides(relation, column))),
            None => docs,
        })
    }

    /// Whether it is a table or a view, without opening it; `None` if there is no such relation.
    fn table_type(&self, schema: &str, name: &str) -> Option<TableType> {
        let table = TableName::new(schema, name).ok()?;
        if let Some(provider) = self.overlay.get(&table) {
            return Some(provider.table_type());
        }
        match self.release.relation(&table).map(|relation| &relation.kind) {
            Some(RelationKind::View { .. }) => Some(TableType::View),
            Some(RelationKind::Table { .. }) => Some(TableType::Base),
            None => {
                let mut journals = self.lake.journals().iter();
                let is_journal = schema == journal::SCHEMA && journals.any(|journal| journal.name() == name);
                is_journal.then_some(TableType::Base)
            }
        }
    }

    async fn open(self: &Arc<Self>, schema: &str, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let Ok(table) = TableName::new(schema, name) else {
            return Ok(None);
        };
        let opened = self.open_ungated(&table).await?;
        match (&self.gate, opened) {
            (Some(gate), Some(relation)) => {
                let docs = self.release.relation(&table).map(|relation| &relation.docs);
                gate.pass(&table, relation, docs).await.map(Some)
            }
            (_, opened) => Ok(opened),
        }
    }

    async fn open_ungated(self: &Arc<Self>, table: &TableName) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        if let Some(provider) = self.overlay.get(table) {
            return Ok(Some(provider.clone()));
        }
        if table.schema() == journal::SCHEMA {
            return self.open_journal(table).await;
        }
        match self.release.relation(table).map(|relation| &relation.kind) {
            None => Ok(None),
            Some(RelationKind::Table { path, version, .. }) => {
                let snapshot = self.lake.snapshot(path, *version).await?;
                Ok(Some(Arc::new(PinnedTable::new(snapshot))))
            }
            // Seen through a gate, a view is somebody's: it is not shared.
            Some(kind @ RelationKind::View { sql, reads }) if !reads.is_empty() && self.gate.is_none() => {
                Ok(Some(self.lake.view_over(kind, sql, reads).await?))
            }
            Some(RelationKind::View { sql, reads }) => {
                let plan = match reads.is_empty() {
                    true => {
                        let planner = self.planner.get_or_init(|| self.lake.session_over(self.clone()));
                        sql::plan(&self.lake, planner, sql).await?
                    }
                    false => {
                        let pinned = Release {
                            relations: reads.clone(),
                            ..Release::default()
                        };
                        let pinned = ReleaseCatalog::new(self.lake.clone(), Arc::new(pinned), BTreeMap::new());
                        let planner = self.lake.session_over(pinned.through(self.gate.clone()));
                        sql::plan(&self.lake, &planner, sql).await?
                    }
                };
                Ok(Some(Arc::new(ViewTable::new(plan, Some(sql.clone())))))
            }
        }
    }

    async fn open_journal(&self, table: &TableName) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        let journals = self.lake.journals();
        let Some(journal) = journals.iter().find(|journal| journal.name() == table.name()) else {
            return Ok(None);
        };
        Ok(Some(match self.lake.latest_version(table).await? {
            Some(version) => {
                let snapshot = self.lake.snapshot(&self.lake.path_of(table), version).await?;
                Arc::new(PinnedTable::new(snapshot))
            }
            None => Arc::new(datafusion::datasource::empty::EmptyTable::new(
                cordada_core::types::readable(&journal.schema()),
            )),
        }))
    }
}

/// The catalog itself: a handle, because its schemas refer back to it.
#[derive(Debug, Clone)]
pub(crate) struct Handle(pub(crate) Arc<ReleaseCatalog>);

impl CatalogProvider for Handle {
    fn schema_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.names().map(|(schema, _)| schema.to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        self.0.names().any(|(schema, _)| schema == name).then(|| {
            Arc::new(SchemaOfRelease {
                catalog: self.0.clone(),
                schema: name.to_owned(),
            }) as Arc<dyn SchemaProvider>
        })
    }
}

#[derive(Debug)]
struct SchemaOfRelease {
    catalog: Arc<ReleaseCatalog>,
    schema: String,
}

#[async_trait]
impl SchemaProvider for SchemaOfRelease {
    fn table_names(&self) -> Vec<String> {
        let names = self.catalog.names().filter(|(schema, _)| *schema == self.schema);
        let mut names: Vec<_> = names.map(|(_, name)| name.to_owned()).collect();
        names.sort();
        names.dedup();
        names
    }

    async fn table(&self, name: &str) -> DataFusionResult<Option<Arc<dyn TableProvider>>> {
        self.catalog.open(&self.schema, name).await
    }

    async fn table_type(&self, name: &str) -> DataFusionResult<Option<TableType>> {
        Ok(self.catalog.table_type(&self.schema, name))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.catalog
            .names()
            .any(|(schema, table)| schema == self.schema && table == name)
    }
}
