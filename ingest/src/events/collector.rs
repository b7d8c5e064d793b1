//! The collector of one source: a server that takes hits, and a task that lands them.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cordada_core::{Context, Error, Result};
use cordada_core::progress::Silent;
use cordada_lake::Lake;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::config::{Selection, Source};
use crate::ingest::ingest;
use crate::transform::PiiKey;
use super::connection::{Limited, Peer};
use super::http::{self, App};
use super::sink::Sink;

/// The longest time between two attempts to land while the lake cannot be written.
const SLOWEST: Duration = Duration::from_secs(60);

/// Threads that answer requests: what they do is short, and the log is written by another one.
const SERVERS: usize = 2;

/// How often landing is tried for the last hits at the end; what remains then lands the next time.
const LAST_ATTEMPTS: usize = 3;

/// A collector of events that listens: the server of one source of kind `events`.
pub struct Collector<'a> {
    source: &'a Source,
    listener: TcpListener,
    connections: usize,
    address: SocketAddr,
    app: Arc<App>,
    flush: Duration,
    timeout: Duration,
}

impl<'a> Collector<'a> {
    /// Opens the logs of the source and listens; `None` if it is no source of events.
    ///
    /// # Errors
    /// Conflict if another process collects for it; unavailable if the address is taken; config for a transform without
    /// a key.
    pub async fn bind(source: &'a Source, project: &Path, key: Option<&PiiKey>) -> Result<Option<Self>> {
        let Some(events) = source.kind().events() else {
            return Ok(None);
        };
        let doing = || format!("listening on {} for the source {}", events.listen, source.name());
        let mut sinks = HashMap::new();
        for (name, stream) in &events.streams {
            let sink = Sink::new(project, (source.name(), events), (name, stream), key)?;
            sinks.insert(name.clone(), sink);
        }
        let refused =
            |error| Error::unavailable(doing(), error).hint("set `listen:` of the source to an address that is free");
        let listener = TcpListener::bind(events.listen).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Some(Self {
            source,
            listener,
            connections: events.limits.connections,
            address,
            app: Arc::new(App::new(events, sinks)),
            flush: events.flush,
            timeout: events.limits.timeout,
        }))
    }

    /// The source's name.
    pub fn source(&self) -> &str {
        self.source.name()
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Takes hits and lands them, until it is cancelled: then it answers the requests that are there, and lands what it
    /// has taken.
    ///
    /// # Errors
    /// The server's; that of landing for the last time, after which the hits are still in the log.
    pub async fn run(
        self,
        lake: &Lake,
        project: &Path,
        sources: &[Source],
        key: Option<&PiiKey>,
        cancel: CancellationToken,
    ) -> Result<()> {
        let landing = Landing {
            lake,
            project,
            sources,
            key,
            source: self.source.name(),
            app: self.app.clone(),
        };
        let threads = Threads::start()?;
        let (flush, ended) = (self.flush, CancellationToken::new());
        let serving = threads.spawn(self.serve(cancel, ended.clone()));
        let (served, landed) = tokio::join!(serving, landing.run(flush, ended));
        served.and(landed)
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
            let listener = Limited::new(listener, connections, timeout);
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
            runtime.shutdown_background();
        }
    }
}

/// Lands what a collector has taken.
struct Landing<'a> {
    lake: &'a Lake,
    project: &'a Path,
    sources: &'a [Source],
    key: Option<&'a PiiKey>,
    source: &'a str,
    app: Arc<App>,
}

impl Landing<'_> {
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
        let progress = Arc::new(Silent);
        // A load that has begun ends: it is a matter of seconds, and what it reads is not in the lake otherwise.
        let cancel = CancellationToken::new();
        let report = ingest(
            self.lake,
            self.project,
            self.sources,
            &pending,
            self.key,
            progress,
            cancel,
        )
        .await?;
        let rows: u64 = report.streams.iter().map(|stream| stream.rows).sum();
        tracing::debug!(source = self.source, rows, "events landed");
        Ok(())
    }

    /// The streams that have something to land.
    fn pending(&self) -> Vec<Selection> {
        let streams = self.app.sinks.iter().filter(|(_, sink)| sink.log.has_pending());
        streams
            .map(|(stream, _)| Selection {
                source: self.source.to_owned(),
                stream: Some(stream.clone()),
            })
            .collect()
    }
}
