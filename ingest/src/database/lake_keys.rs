//! The keys that the lake holds: what the source's are compared with.

use cordada_core::{Context, Result, TableName};
use cordada_core::sql_text::escape_identifier;
use cordada_lake::{Draft, Lake, Relation};
use datafusion::execution::SendableRecordBatchStream;

/// A table whose keys can be read.
#[derive(Clone)]
pub(crate) struct LakeKeys {
    lake: Lake,
    table: TableName,
}

impl LakeKeys {
    /// The table's newest version whenever it is read, published or not.
    pub(crate) fn new(lake: &Lake, table: &TableName) -> Self {
        Self {
            lake: lake.clone(),
            table: table.clone(),
        }
    }

    /// Those columns (by their names in the lake) of all rows; `None` if there is no table.
    ///
    /// # Errors
    /// What the lake says.
    pub(crate) async fn read(&self, columns: &[String]) -> Result<Option<SendableRecordBatchStream>> {
        let doing = || format!("reading the keys of {}", self.table);
        let Some(version) = self.lake.latest_version(&self.table).await? else {
            return Ok(None);
        };
        let mut draft = Draft::new(self.lake.releases().newest().await?, "ingest", "keys");
        draft.set(
            self.table.clone(),
            Relation::table(self.lake.path_of(&self.table), version),
        );
        let columns: Vec<_> = columns.iter().map(|column| escape_identifier(column)).collect();
        let (schema, name) = (
            escape_identifier(self.table.schema()),
            escape_identifier(self.table.name()),
        );
        let sql = format!("SELECT {} FROM {schema}.{name}", columns.join(", "));
        let rows = self.lake.session(&draft.preview()).sql(&sql).await.doing(doing)?;
        rows.execute_stream().await.map(Some).doing(doing)
    }
}
