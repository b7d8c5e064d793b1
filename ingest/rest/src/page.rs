//! A page of records, whose it is, and the run that asks for pages.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cordada_core::Result;
use cordada_http::answer::Answer;
use cordada_http::engine::Engine;
use futures::stream::BoxStream;
use serde_json::{Map, Value as Json};
use tokio_util::sync::CancellationToken;

use crate::manifest::Manifest;

/// What all requests of one extraction have in common.
pub(crate) struct Run {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) load_at: DateTime<Utc>,
    pub(crate) cancel: CancellationToken,
}

/// A page, and whose it is.
pub(crate) struct Page {
    pub(crate) answer: Answer,
    pub(crate) origin: Arc<Origin>,
}

/// The parent that records were asked for by.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// Tells parents apart.
    pub(crate) parent: String,
    /// What is added to each record.
    pub(crate) included: Map<String, Json>,
}

/// Pages as they come.
pub(crate) type Pages = BoxStream<'static, Result<Page>>;
