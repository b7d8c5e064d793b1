//! The table that a stream lands in, as it is from one commit of a load to the next.

use std::collections::HashMap;
use std::sync::Mutex;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::sql_text::Dialect;
use cordada_core::threads::locked;
use cordada_core::{Context, Result, TableName, types};
use cordada_ingest_source::{Environment, Landed};
use cordada_lake::{Draft, Lake, Relation, Tip};
use datafusion::execution::SendableRecordBatchStream;

/// A table as a load finds it and goes on with it: what others write meanwhile is not seen.
pub(crate) struct LandedTable {
    lake: Lake,
    table: TableName,
    tip: Mutex<Tip>,
}

impl LandedTable {
    /// The table of that name as it is now.
    ///
    /// # Errors
    /// It cannot be read. Config: clients write it.
    pub(crate) async fn open(lake: &Lake, table: &TableName) -> Result<Self> {
        lake.releases().newest().await?.check_owner(table, false)?;
        Ok(Self {
            lake: lake.clone(),
            table: table.clone(),
            tip: Mutex::new(lake.tip(table).await?),
        })
    }

    /// Where the table goes on.
    pub(crate) fn tip(&self) -> Tip {
        *locked(&self.tip)
    }

    /// Goes on from the version that the load has written.
    pub(crate) fn wrote(&self, version: u64) {
        let mut tip = locked(&self.tip);
        *tip = tip.then(version);
    }
}

#[async_trait]
impl Landed for LandedTable {
    /// Those with the type Null that no row has a value of yet.
    async fn schema(&self) -> Result<Option<SchemaRef>> {
        let Some(version) = self.tip().version else {
            return Ok(None);
        };
        let snapshot = self.lake.snapshot(&self.lake.path_of(&self.table), version).await?;
        Ok(Some(types::with_open(snapshot.schema(), &snapshot.open_columns())))
    }

    async fn transactions(&self, ids: &[String]) -> Result<HashMap<String, i64>> {
        match self.tip().version {
            Some(version) => {
                let path = self.lake.path_of(&self.table);
                self.lake.transactions_at(&path, version, ids).await
            }
            None => Ok(HashMap::new()),
        }
    }

    async fn transactions_of(&self, prefix: &str) -> Result<HashMap<String, i64>> {
        match self.tip().version {
            Some(version) => {
                let path = self.lake.path_of(&self.table);
                self.lake.transactions_beginning(&path, version, prefix).await
            }
            None => Ok(HashMap::new()),
        }
    }

    async fn keys(&self, columns: &[String]) -> Result<Option<SendableRecordBatchStream>> {
        let doing = || format!("reading the keys of {}", self.table);
        let Some(version) = self.tip().version else {
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

    async fn environment(&self) -> Result<Environment> {
        Ok(Environment {
            lake: self.lake.id().await?.to_string(),
            target: self.lake.target().map(str::to_owned),
        })
    }
}
