//! `serve` and `up`: the Flight SQL server, and the sources that listen.

use std::net::SocketAddr;

use cordada_core::Result;
use cordada_flight_server::Server;
use cordada_ingest::SourceFile;
use futures::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::Project;

/// Where a service listens, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// `grpc://host:port` or `grpc+tls://host:port`: where the server listens.
    pub server: String,
    /// Whether there are users; without, only this machine may connect.
    pub has_users: bool,
    /// Sources that listen, and where or to whom.
    pub sources: Vec<(String, String)>,
}

impl Project {
    /// Serves the newest release, and runs the sources that listen, until it is cancelled. `ready` is told once all of
    /// them listen. What they land is maintained by need.
    ///
    /// # Errors
    /// Those of binding, and of whatever ends first with one: it ends the others in good order.
    pub async fn serve(
        &self,
        addr: Option<SocketAddr>,
        ready: impl FnOnce(&Endpoints),
        cancel: CancellationToken,
    ) -> Result<()> {
        let mut config = self.server();
        config.listen = addr.unwrap_or(config.listen);
        let scheme = if config.tls.is_some() { "grpc+tls" } else { "grpc" };
        let server = Server::bind(self.lake.clone(), config).await?;
        let (sources, key) = (self.sources()?, self.pii_key()?);
        let mut listeners = Vec::new();
        // Events happen once: they land in production, whatever environment this is.
        for source in sources.iter().filter(|_| self.is_production()) {
            listeners.extend(source.listen(&self.dir, key.as_ref()).await?);
        }
        ready(&Endpoints {
            server: format!("{scheme}://{}", server.local_addr()),
            has_users: server.has_users(),
            sources: listeners
                .iter()
                .map(|listener| (listener.source().to_owned(), listener.place()))
                .collect(),
        });
        let (stop, lands) = (cancel.child_token(), !listeners.is_empty());
        let listening = listeners.into_iter().map(|listener| {
            let landing = cordada_ingest::listen(listener, &self.lake, &self.dir, &sources, key.as_ref(), stop.clone());
            ending(landing, &stop)
        });
        let maintaining = async {
            if lands {
                self.maintain_by_need(stop.clone()).await;
            }
        };
        let serving = async {
            server.serve(stop.clone()).await;
            stop.cancel();
        };
        let ((), listened, ()) = tokio::join!(serving, join_all(listening), maintaining);
        listened.into_iter().collect()
    }

    /// Runs the listener of one source, if it has one, while `work` goes on with its address, and lands what it took.
    /// `None` if the source does not listen on an address.
    ///
    /// # Errors
    /// Those of listening, of landing and of `work`.
    pub async fn listen_during<T, W: Future<Output = Result<T>>>(
        &self,
        sources: &[SourceFile],
        source: &SourceFile,
        work: impl FnOnce(SocketAddr) -> W,
        cancel: &CancellationToken,
    ) -> Result<Option<T>> {
        let key = self.pii_key()?;
        let Some(listener) = source.listen(&self.dir, key.as_ref()).await? else {
            return Ok(None);
        };
        let (Some(address), stop) = (listener.local_addr(), cancel.child_token()) else {
            return Ok(None);
        };
        let working = async {
            let done = work(address).await;
            stop.cancel();
            done
        };
        let landing = cordada_ingest::listen(listener, &self.lake, &self.dir, sources, key.as_ref(), stop.clone());
        let (done, landed) = tokio::join!(working, landing);
        let done = done?;
        landed.map(|()| Some(done))
    }
}

async fn ending(work: impl Future<Output = Result<()>>, stop: &CancellationToken) -> Result<()> {
    let result = work.await;
    stop.cancel();
    result
}
