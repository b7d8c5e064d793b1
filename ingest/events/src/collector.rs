//! The collector of one source: a server that takes hits, and a task that has them landed.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use cordada_core::{Context, Error, Result, threads};
use cordada_ingest_source::listener::{Land, Listener};
use cordada_ingest_source::transform::PiiKey;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::columns::Protocol;
use super::config::{EventsSource, EventsStream};
use super::connection::{LimitedListener, Peer};
use super::http::{self, App};
use super::proxies::Proxies;
use super::senders::Senders;
use super::sink::Sink;

/// The longest time between two attempts to land while the lake cannot be written.
const SLOWEST: Duration = Duration::from_secs(60);

/// Threads that answer requests: what they do is short, and the log is written by another one.
const SERVERS: usize = 2;

/// How often landing is tried for the last hits at the end; what remains then lands the next time.
const LAST_ATTEMPTS: usize = 3;

/// A collector of events that listens: the server of one source of kind `events`.
pub(crate) struct Collector<'a> {
    source: &'a str,
    listener: TcpListener,
    connections: usize,
    senders: (Senders, Proxies),
    address: SocketAddr,
    app: Arc<App>,
    flush: Duration,
    timeout: Duration,
}

impl<'a> Collector<'a> {
    /// Opens the logs of the source called `source` and listens.
    ///
    /// # Errors
    /// Conflict if another process collects for it; unavailable if the address is taken; config for a transform without
    /// a key.
    pub(crate) fn bind(events: &EventsSource, project: &Path, source: &'a str, key: Option<&PiiKey>) -> Result<Self> {
        let doing = || format!("listening on {} for the source {source}", events.listen);
        let mut sinks = HashMap::new();
        for (name, stream) in &events.streams {
            let sink = Sink::new(project, (source, events), (name, stream), key)?;
            sinks.insert(name.clone(), sink);
        }
        let mut protocols = events.streams.values().map(EventsStream::protocol);
        if events.origins.is_empty() && protocols.any(|protocol| protocol == Protocol::Snowplow) {
            tracing::warn!(
                source,
                "browsers keep back hits that a tracker sends with cookies, as Snowplow's does by default: name your \
                 sites in `origins`, or set `withCredentials: false` in the tracker"
            );
        }
        let refused =
            |error| Error::unavailable(doing(), error).hint("set `listen:` of the source to an address that is free");
        let listener = TcpListener::bind(events.listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self {
            source,
            listener,
            connections: events.limits.connections,
            senders: (Senders::new(events.limits.of_one_sender()), events.behind_proxy.clone()),
            address,
            app: Arc::new(App::new(events, sinks)),
            flush: events.flush.0,
            timeout: events.limits.timeout.0,
        })
    }

    /// Answers requests until it is cancelled, and says when it has `ended`.
    fn serve(
        self,
        cancel: CancellationToken,
        ended: CancellationToken,
    ) -> impl Future<Output = Result<()>> + Send + 'static {
        let Self {
            listener,
            connections,
            senders,
            address,
            app,
            timeout,
            ..
        } = self;
        async move {
            // However it ends, what it has taken is to land.
            let _ended = ended.drop_guard();
            let doing = || format!("serving on {address}");
            let listener = tokio::net::TcpListener::from_std(listener).doing(doing)?;
            let listener = LimitedListener::new(listener, connections, senders, timeout);
            let router = Router::new().fallback(http::handle).with_state(app);
            let service = router.into_make_service_with_connect_info::<Peer>();
            let stop = cancel.clone();
            let server = axum::serve(listener, service).with_graceful_shutdown(async move { stop.cancelled().await });
            // A connection that does not end by itself is left to its own deadline.
            let late = async {
                cancel.cancelled().await;
                tokio::time::sleep(timeout).await;
            };
            tokio::select! {
                served = server.into_future() => served.doing(doing),
                () = late => Ok(()),
            }
        }
    }
}

#[async_trait]
impl Listener for Collector<'_> {
    fn source(&self) -> &str {
        self.source
    }

    fn place(&self) -> String {
        format!("http://{}", self.address)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    async fn run(self: Box<Self>, land: &dyn Land, cancel: CancellationToken) -> Result<()> {
        let landing = IntervalLander {
            land,
            source: self.source,
            app: self.app.clone(),
        };
        let threads = Threads::start()?;
        let (flush, ended) = (self.flush, CancellationToken::new());
        let serving = threads.spawn(self.serve(cancel, ended.clone()));
        let (served, landed) = tokio::join!(serving, landing.run(flush, ended));
        served.and(landed)
    }
}

/// Threads of the server's own: landing works for seconds on those of the process, and nobody waits that long for an
/// answer.
struct Threads(Option<Runtime>);

impl Threads {
    fn start() -> Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder
            .worker_threads(SERVERS)
            .thread_name("collector")
            .enable_all()
            .build();
        runtime
            .map(|runtime| Threads(Some(runtime)))
            .doing(|| "starting the threads of a collector")
    }

    async fn spawn(&self, work: impl Future<Output = Result<()>> + Send + 'static) -> Result<()> {
        let ended = |error| Error::failed("serving a collector", error);
        match &self.0 {
            Some(runtime) => runtime.spawn(work).await.map_err(ended)?,
            None => Ok(()),
        }
    }
}

impl Drop for Threads {
    /// Without waiting for them, which nobody may do among async tasks.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            threads::end(runtime);
        }
    }
}

/// Lands what a collector has taken.
struct IntervalLander<'a> {
    land: &'a dyn Land,
    source: &'a str,
    app: Arc<App>,
}

impl IntervalLander<'_> {
    /// Lands at every interval, and once more at the end.
    async fn run(&self, flush: Duration, ended: CancellationToken) -> Result<()> {
        let mut wait = flush;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = ended.cancelled() => break,
            }
            wait = match self.land().await {
                Ok(()) => flush,
                Err(error) => {
                    tracing::warn!(source = self.source, %error, "events wait to land");
                    (wait * 2).min(SLOWEST.max(flush))
                }
            };
        }
        for _ in 0..LAST_ATTEMPTS {
            if self.pending().is_empty() {
                break;
            }
            self.land().await?;
        }
        Ok(())
    }

    async fn land(&self) -> Result<()> {
        let pending = self.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let rows = self.land.land(&pending).await?;
        tracing::debug!(source = self.source, rows, "events landed");
        Ok(())
    }

    /// The streams that have something to land.
    fn pending(&self) -> Vec<String> {
        let streams = self.app.sinks.iter().filter(|(_, sink)| sink.log.has_pending());
        streams.map(|(stream, _)| stream.clone()).collect()
    }
}
