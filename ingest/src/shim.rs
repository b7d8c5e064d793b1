//! Until the lake has it.
use cordada_lake::{Lake, Result, TableName, Write, Written};
use datafusion::execution::SendableRecordBatchStream;
#[allow(missing_docs)]
pub(crate) trait Shim {
    async fn state(&self, table: &TableName) -> Result<Option<String>>;
    async fn write_after(
        &self,
        table: &TableName,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
        before: impl Future<Output = Result<()>>,
    ) -> Result<Written>;
}
impl Shim for Lake {
    async fn state(&self, _table: &TableName) -> Result<Option<String>> {
        Ok(None)
    }
    async fn write_after(
        &self,
        table: &TableName,
        write: Write,
        partitions: Vec<SendableRecordBatchStream>,
        before: impl Future<Output = Result<()>>,
    ) -> Result<Written> {
        let written = self.write(table, write, partitions).await?;
        before.await?;
        Ok(written)
    }
}
