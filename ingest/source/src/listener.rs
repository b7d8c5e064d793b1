//! Sources that are told of events, instead of being asked for rows: they listen, and have what they took landed.

use std::net::SocketAddr;

use async_trait::async_trait;
use cordada_core::Result;
use tokio_util::sync::CancellationToken;

/// Lands streams of the source that listens: what they have taken so far, as one load.
#[async_trait]
pub trait Land: Send + Sync {
    /// Lands the streams and returns how many rows landed. A load that has begun comes to its end.
    ///
    /// # Errors
    /// That of the first stream that failed; what it has taken is kept for the next time.
    async fn land(&self, streams: &[String]) -> Result<u64>;
}

/// A source that listens.
#[async_trait]
pub trait Listener: Send {
    /// The source's name.
    fn source(&self) -> &str;

    /// The URL that it listens on, or of whom it listens to.
    fn place(&self) -> String;

    /// The address that it listens on; `None` if it is a client of whoever tells it.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Takes events and lands them, until it is cancelled: then it answers the requests that are there, and lands what
    /// it has taken.
    ///
    /// # Errors
    /// Those of serving; that of landing for the last time, after which the events are still kept.
    async fn run(self: Box<Self>, land: &dyn Land, cancel: CancellationToken) -> Result<()>;
}
