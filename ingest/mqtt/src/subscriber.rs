//! A source that stays connected: what comes lands every few seconds.

use std::time::Duration;

use async_trait::async_trait;
use cordada_core::Result;
use cordada_ingest_source::listener::{Land, Listener};
use tokio_util::sync::CancellationToken;

use crate::config::MqttSource;

/// The longest time between two attempts to land.
const SLOWEST: Duration = Duration::from_secs(60);

/// Keeps the sessions of a source connected, so that the broker has little to keep for us.
pub(crate) struct Subscriber<'a> {
    name: &'a str,
    source: &'a MqttSource,
}

impl<'a> Subscriber<'a> {
    /// That of the source called `name`.
    pub(crate) fn new(name: &'a str, source: &'a MqttSource) -> Self {
        source.sessions.keep(true);
        Self { name, source }
    }

    /// The streams that have something to land, or that are not connected: their load connects them.
    async fn pending(&self) -> Vec<String> {
        let sessions = &self.source.sessions;
        let mut pending = Vec::new();
        for stream in self.source.streams.keys() {
            let Some(mut session) = sessions.take(stream) else {
                pending.push(stream.clone());
                continue;
            };
            match session.drain().await {
                Ok(_) => {
                    if session.has_pending() {
                        pending.push(stream.clone());
                    }
                    sessions.put(stream, session);
                }
                Err(error) => {
                    tracing::debug!(source = self.name, stream, %error, "connecting again");
                    pending.push(stream.clone());
                }
            }
        }
        pending
    }
}

impl Drop for Subscriber<'_> {
    fn drop(&mut self) {
        self.source.sessions.keep(false);
    }
}

#[async_trait]
impl Listener for Subscriber<'_> {
    fn source(&self) -> &str {
        self.name
    }

    fn place(&self) -> String {
        let scheme = if self.source.broker.tls { "mqtts" } else { "mqtt" };
        format!("{scheme}://{}", self.source.broker.place())
    }

    /// What has not landed at the end is not acknowledged: the broker keeps it.
    async fn run(self: Box<Self>, land: &dyn Land, cancel: CancellationToken) -> Result<()> {
        let flush = self.source.flush.0;
        let mut wait = Duration::ZERO;
        loop {
            let waiting = async {
                tokio::time::sleep(wait).await;
                self.pending().await
            };
            let Some(pending) = cancel.run_until_cancelled(waiting).await else {
                return Ok(());
            };
            let landed = match pending.is_empty() {
                true => Ok(0),
                false => land.land(&pending).await,
            };
            wait = match landed {
                Ok(_) => flush,
                Err(error) => {
                    tracing::warn!(source = self.name, %error, "messages wait to land");
                    (wait.max(flush) * 2).min(SLOWEST.max(flush))
                }
            };
        }
    }
}
