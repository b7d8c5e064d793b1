//! What logging in asks of the engine, which in turn asks the credentials of every request.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cordada_core::Result;
use cordada_ingest_formats::json::pointer::Pointer;
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, AnswerOptions};
use crate::outgoing::Outgoing;
use crate::system::request::Request;
use crate::template::Scope;

/// Asks one system.
#[async_trait]
pub trait Ask: Sync {
    /// What templates see of every request.
    fn scope(&self, now: DateTime<Utc>) -> Scope;

    /// A request without credentials.
    ///
    /// # Errors
    /// Config for a template or an address that makes no sense.
    fn login(&self, request: &Request, scope: &Scope) -> Result<Outgoing>;

    /// How an answer in JSON with values at `pointers` is read.
    fn values_at(&self, pointers: &[&Pointer]) -> AnswerOptions;

    /// Sends it until there is an answer; see [`crate::engine::Engine::ask`].
    ///
    /// # Errors
    /// As there.
    async fn ask(
        &self,
        outgoing: &Outgoing,
        options: &Arc<AnswerOptions>,
        cancel: &CancellationToken,
    ) -> Result<Option<Answer>>;
}
