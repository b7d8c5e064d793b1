//! What whoever asks may do, among the options of a session: for PostgreSQL's `has_table_privilege` and its kind.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use cordada_core::TableName;
use datafusion::catalog::CatalogProvider;
use datafusion::common::{Result, config_err};
use datafusion::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};

use crate::query::gate::Writes;
use crate::query::metadata::oids;

/// What somebody may do. A session without it is that of whoever runs the program: all that it names may be read.
#[derive(Debug, Clone)]
pub struct Privileges {
    /// The catalog, as it is seen.
    catalog: Arc<dyn CatalogProvider>,
    writes: Arc<dyn Writes>,
    /// The relations that are seen, by their identifiers, once one of them is asked for.
    relations: Arc<OnceLock<HashMap<i64, TableName>>>,
}

impl Privileges {
    /// Of somebody who sees that catalog.
    pub fn new(catalog: Arc<dyn CatalogProvider>, writes: Arc<dyn Writes>) -> Self {
        Self {
            catalog,
            writes,
            relations: Arc::default(),
        }
    }

    /// Those of a session, unless it is that of whoever runs the program.
    pub(crate) fn of(config: &ConfigOptions) -> Option<&Self> {
        config.extensions.get()
    }

    /// Whether there is such a relation that may be read.
    pub(crate) fn reads(&self, relation: &TableName) -> bool {
        let schema = self.catalog.schema(relation.schema());
        schema.is_some_and(|schema| schema.table_exist(relation.name()))
    }

    /// Whether rows may be sent to a relation of that name.
    pub(crate) fn writes(&self, relation: &TableName) -> bool {
        self.writes.writes(relation)
    }

    /// Whether there is such a schema of which anything may be read.
    pub(crate) fn sees_schema(&self, schema: &str) -> bool {
        self.catalog.schema(schema).is_some()
    }

    /// Whether relations may be added to the schema.
    pub(crate) fn writes_schema(&self, schema: &str) -> bool {
        self.writes.writes_schema(schema)
    }

    /// The relation with that identifier, if it may be read.
    pub(crate) fn relation(&self, oid: i64) -> Option<&TableName> {
        let all = || {
            let schemas = self.catalog.schema_names();
            let relations = schemas
                .iter()
                .filter_map(|name| Some((name, self.catalog.schema(name)?)));
            let relations = relations.flat_map(|(name, schema)| {
                let tables = schema.table_names().into_iter();
                tables.filter_map(|table| TableName::new(name.as_str(), table).ok())
            });
            relations
                .map(|relation| (oids::of_relation(relation.schema(), relation.name()), relation))
                .collect()
        };
        self.relations.get_or_init(all).get(&oid)
    }

    /// The schema with that identifier, if anything of it may be read.
    pub(crate) fn schema(&self, oid: i64) -> Option<String> {
        let mut schemas = self.catalog.schema_names().into_iter();
        schemas.find(|schema| oids::of_schema(schema) == oid)
    }
}

impl ConfigExtension for Privileges {
    const PREFIX: &'static str = "cordada_privileges";
}

impl ExtensionOptions for Privileges {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        config_err!("{key} cannot be set")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}
