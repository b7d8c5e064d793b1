//! The table that a stream lands in, as extractions may ask about it.

use std::collections::HashMap;

use async_trait::async_trait;
use cordada_core::sql_text::Dialect;
use cordada_core::{Context, Result, TableName};
use cordada_ingest_source::Landed;
use cordada_lake::{Draft, Lake, Relation};
use datafusion::execution::SendableRecordBatchStream;

/// A table of the lake: its newest version whenever it is asked, published or not.
#[derive(Clone)]
pub(crate) struct LandedTable {
    lake: Lake,
    table: TableName,
}

impl LandedTable {
    /// The table of that name.
    pub(crate) fn new(lake: &Lake, table: &TableName) -> Self {
        Self {
            lake: lake.clone(),
            table: table.clone(),
        }
    }
}

#[async_trait]
impl Landed for LandedTable {
    async fn transactions(&self, ids: &[String]) -> Result<HashMap<String, i64>> {
        self.lake.transactions(&self.table, ids).await
    }

    async fn keys(&self, columns: &[String]) -> Result<Option<SendableRecordBatchStream>> {
        let doing = || format!("reading the keys of {}", self.table);
        let Some(version) = self.lake.latest_version(&self.table).await? else {
            return Ok(None);
        };
        let mut draft = Draft::new(self.lake.releases().newest().await?, "ingest", "keys");
        draft.set(
            self.table.clone(),
            Relation::table(self.lake.path_of(&self.table), version),
        );
        let quoted = |name: &str| Dialect::Standard.identifier(name);
        let columns: Vec<_> = columns.iter().map(|column| quoted(column)).collect();
        let (schema, name) = (quoted(self.table.schema()), quoted(self.table.name()));
        let sql = format!("SELECT {} FROM {schema}.{name}", columns.join(", "));
        let rows = self.lake.session(&draft.preview()).sql(&sql).await.doing(doing)?;
        rows.execute_stream().await.map(Some).doing(doing)
    }
}
