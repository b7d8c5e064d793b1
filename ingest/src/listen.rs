//! A source that listens, with what it takes landed load by load.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::Result;
use cordada_core::progress::Silent;
use cordada_ingest_source::listener::{Land, Listener};
use cordada_ingest_source::transform::PiiKey;
use cordada_lake::Lake;
use tokio_util::sync::CancellationToken;

use crate::ingest::ingest;
use crate::sources::{Selection, SourceFile};

/// Runs the listener of one of the sources until it is cancelled, and lands what it takes.
///
/// # Errors
/// As [`Listener::run`].
pub async fn listen(
    listener: Box<dyn Listener + '_>,
    lake: &Lake,
    project: &Path,
    sources: &[SourceFile],
    key: Option<&PiiKey>,
    cancel: CancellationToken,
) -> Result<()> {
    let landing = SourceLander {
        lake,
        project,
        sources,
        key,
        source: listener.source().to_owned(),
    };
    listener.run(&landing, cancel).await
}

/// Lands streams of one source.
struct SourceLander<'a> {
    lake: &'a Lake,
    project: &'a Path,
    sources: &'a [SourceFile],
    key: Option<&'a PiiKey>,
    source: String,
}

#[async_trait]
impl Land for SourceLander<'_> {
    async fn land(&self, streams: &[String]) -> Result<u64> {
        let select: Vec<_> = streams
            .iter()
            .map(|stream| Selection {
                source: self.source.clone(),
                stream: Some(stream.clone()),
            })
            .collect();
        // A load that has begun ends: it is a matter of seconds, and what it reads is not in the lake otherwise.
        let cancel = CancellationToken::new();
        let loading = ingest(
            self.lake,
            self.project,
            self.sources,
            &select,
            self.key,
            Arc::new(Silent),
            cancel,
        );
        Ok(loading.await?.streams.iter().map(|stream| stream.rows).sum())
    }
}
