//! The interface between a kind of source and landing.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cordada_lake::Result;
use cordada_lake::progress::Task;
use datafusion::execution::SendableRecordBatchStream;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

/// What a stream remembers between loads (cursor, LSN, page token): JSON, kept in the same Delta commit as the rows.
pub(crate) type State = serde_json::Value;

/// The key columns (by their names in the lake) of the rows that the lake holds now.
pub(crate) type ExistingKeys = Arc<dyn Fn() -> BoxFuture<'static, Result<SendableRecordBatchStream>> + Send + Sync>;

/// What an extraction is asked for.
pub(crate) struct Request<'a> {
    pub(crate) project: &'a Path,
    pub(crate) source: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) state: Option<State>,
    pub(crate) replace: bool,
    pub(crate) parallelism: usize,
    pub(crate) load_at: DateTime<Utc>,
    pub(crate) known: Option<SchemaRef>,
    pub(crate) existing_keys: Option<ExistingKeys>,
    pub(crate) task: Arc<dyn Task>,
    pub(crate) cancel: CancellationToken,
}

/// Rows that land in one commit, and the state that the stream is in once they have.
pub(crate) struct Chunk {
    pub(crate) rows: Rows,
    pub(crate) state: Option<State>,
    pub(crate) transactions: Vec<(String, i64)>,
    pub(crate) bytes: u64,
}

pub(crate) enum Rows {
    Typed {
        schema: SchemaRef,
        partitions: Vec<SendableRecordBatchStream>,
        origin: String,
        deleted: Option<String>,
    },
}

#[async_trait]
pub(crate) trait Extraction: Send {
    async fn next(&mut self) -> Result<Option<Chunk>>;
    async fn landed(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Temporary: the options common to all kinds.
macro_rules! stream {
    ($(#[$meta:meta])* pub(crate) struct $name:ident { $($body:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($body)*
            #[serde(default)]
            pub(crate) key: Vec<String>,
            #[serde(default)]
            pub(crate) disposition: crate::stream::Disposition,
            #[serde(default)]
            pub(crate) columns: std::collections::BTreeMap<String, crate::stream::ColumnOptions>,
        }
    };
}
pub(crate) use stream;
