//! A data file of column chunks that are encoded already.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use cordada_core::{Context, Error, Result};
use deltalake::kernel::Add;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;
use tokio::io::AsyncWriteExt;

use crate::lake::Lake;
use crate::table::data_file;
use crate::table::pages::Chunk;

/// Writes one file, a row group at a time.
pub(crate) struct ChunkWriter {
    table: Path,
    schema: SchemaRef,
    name: String,
    writer: SerializedFileWriter<Vec<u8>>,
    sink: BufWriter,
}

impl ChunkWriter {
    /// A file of `schema` (a stored one), which `root` is in Parquet, for the table at `table`.
    pub(crate) fn new(lake: &Lake, table: &str, schema: SchemaRef, root: TypePtr) -> Result<Self> {
        let table = Path::from(table);
        let properties = Arc::new(data_file::properties(&schema)?);
        let (name, sink) = data_file::new_file(lake, &table);
        let writer = SerializedFileWriter::new(Vec::new(), root, properties);
        Ok(Self {
            writer: writer.doing(|| data_file::writing(&table))?,
            table,
            schema,
            name,
            sink,
        })
    }

    /// Writes a row group of those chunks, one of each column in order.
    pub(crate) async fn write(&mut self, chunks: Vec<Chunk>) -> Result<()> {
        let doing = || data_file::writing(&self.table);
        self.writer.inner_mut().reserve(chunks.iter().map(Chunk::size).sum());
        let mut group = self.writer.next_row_group().doing(doing)?;
        for chunk in chunks {
            chunk.append_to(&mut group).doing(doing)?;
        }
        group.close().doing(doing)?;
        self.writer.flush().doing(doing)?;
        let bytes = std::mem::take(self.writer.inner_mut());
        self.sink.put(bytes.into()).await.doing(doing)
    }

    /// The file's entry once it is written; none if it would have no rows. Fails if they are not as many as `rows`.
    pub(crate) async fn end(mut self, rows: usize) -> Result<Option<Add>> {
        let doing = || data_file::writing(&self.table);
        let groups = self.writer.flushed_row_groups();
        let written: i64 = groups.iter().map(|group| group.num_rows()).sum();
        if written != rows as i64 {
            let why = format!("it would have {written} rows where {rows} are to stay");
            return Err(Error::failed(doing(), why));
        }
        if groups.is_empty() {
            return Ok(None);
        }
        let metadata = self.writer.finish().doing(doing)?;
        let bytes = std::mem::take(self.writer.inner_mut());
        self.sink.put(bytes.into()).await.doing(doing)?;
        self.sink.shutdown().await.doing(doing)?;
        let add = data_file::entry(self.name, self.writer.bytes_written(), &metadata, &self.schema);
        add.map(Some).doing(doing)
    }
}
