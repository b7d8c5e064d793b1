//! `cordada ingest --check`: whether sources can be read, without landing anything.

use std::path::Path;

use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use crate::ingest::selected;
use crate::sources::{Selection, SourceFile};

/// What checking one stream found.
#[derive(Debug)]
pub struct StreamCheck {
    /// The source's name.
    pub source: String,
    /// The stream's.
    pub stream: String,
    /// Why it could not be read.
    pub result: Result<()>,
}

/// Checks the selected streams (all if `select` is empty): each source answers, takes its credentials, and has what
/// the stream names. Nothing lands.
///
/// # Errors
/// Config for a selection that there is not; cancelled. What is wrong with a stream is in its result.
pub async fn check(
    project: &Path,
    sources: &[SourceFile],
    select: &[Selection],
    cancel: CancellationToken,
) -> Result<Vec<StreamCheck>> {
    let mut found = Vec::new();
    let selected = selected(sources, select)?;
    selected.iter().for_each(|(source, ..)| source.source().begin());
    for (source, stream, _) in selected {
        let checking = source.source().check(project, source.name(), stream, &cancel);
        let result = tokio::select! {
            result = checking => result,
            () = cancel.cancelled() => return Err(Error::cancelled("checking the sources")),
        };
        found.push(StreamCheck {
            source: source.name().to_owned(),
            stream: stream.to_owned(),
            result,
        });
    }
    Ok(found)
}
