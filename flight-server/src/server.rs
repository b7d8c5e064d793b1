//! The server: a port, TLS, and the service behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use cordada_core::{Context, Error, Result};
use cordada_lake::Lake;
use cordada_query::{Engine, Executor};
use futures::FutureExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server as Transport;
use tonic::transport::server::TcpIncoming;

use crate::authenticator::Authenticator;
use crate::config::Config;
use crate::prepared::PreparedStatements;
use crate::service::Service;
use crate::sessions::Sessions;
use crate::ticket::Tickets;
use crate::tls;

/// The largest message that a client may send: long statements, values of parameters.
const LARGEST_MESSAGE: usize = 64 << 20;
/// HTTP/2 windows for what clients send.
const WINDOW: u32 = 8 << 20;
/// How long clients have to be told why their queries ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often an idle connection is asked whether its client is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A Flight SQL server that has its port and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    has_users: bool,
    engine: Arc<Engine>,
    executor: Arc<Executor>,
    grace: Duration,
    service: Service,
}

impl Server {
    /// Checks the configuration, reads the newest release and takes the port.
    ///
    /// # Errors
    /// Config: what is wrong with the configuration, an address that is taken. Unavailable: the lake cannot be read.
    pub async fn bind(lake: Lake, config: Config) -> Result<Self> {
        config.check_address()?;
        let tls = match &config.tls {
            Some(files) => Some(tls::acceptor(files).await?),
            None => None,
        };
        if tls.is_none() && !config.listen.ip().is_loopback() {
            tracing::warn!(listen = %config.listen, "without TLS passwords cross the network as they are");
        }
        let authenticator = Authenticator::new(&config)?;
        let (parallelism, memory) = (lake.parallelism(), lake.memory());
        let executor = Executor::new(parallelism, memory, &config.limits, &config.roles)?;
        let executor = Arc::new(executor);
        let engine = Arc::new(Engine::open(lake, executor.clone()).await?);
        let doing = || format!("listening on {}", config.listen);
        let listener = match TcpListener::bind(config.listen).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                return Err(Error::config(doing(), "something else listens there").hint("choose another port"));
            }
            bound => bound.doing(doing)?,
        };
        let address = listener.local_addr().doing(doing)?;
        let service = Service {
            engine: engine.clone(),
            authenticator,
            sessions: Sessions::new(),
            prepared: PreparedStatements::new(config.limits.prepared()),
            executor: executor.clone(),
            tickets: Tickets::new()?,
            advertise: config.advertise,
        };
        Ok(Self {
            listener,
            address,
            tls,
            has_users: !config.users.is_empty(),
            engine,
            executor,
            grace: config.grace,
            service,
        })
    }

    /// The address that clients connect to, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether clients must log in.
    pub fn has_users(&self) -> bool {
        self.has_users
    }

    /// Serves until told to stop. Then no query begins any more, and those that run have their grace to end in; what
    /// computes even after that is not waited for.
    ///
    /// # Errors
    /// Unavailable: the network gave way.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<()> {
        let doing = || format!("serving Flight SQL on {}", self.address);
        let service = FlightServiceServer::new(self.service)
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(usize::MAX);
        let (health, health_checks) = tonic_health::server::health_reporter();
        health.set_serving::<FlightServiceServer<Service>>().await;
        let incoming = TcpIncoming::from(self.listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(KEEPALIVE));
        let router = Transport::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_keepalive_interval(Some(KEEPALIVE))
            .add_service(health_checks)
            .add_service(service);
        let stop = shutdown.clone().cancelled_owned();
        let serving = match self.tls {
            Some(acceptor) => router
                .serve_with_incoming_shutdown(tls::encrypted(acceptor, incoming), stop)
                .boxed(),
            None => router.serve_with_incoming_shutdown(incoming, stop).boxed(),
        };
        let out_of_grace = async {
            shutdown.cancelled().await;
            self.executor.close();
            health.set_not_serving::<FlightServiceServer<Service>>().await;
            tokio::time::sleep(self.grace).await;
            let ended = self.executor.end_all();
            if ended > 0 {
                tracing::warn!(ended, "queries did not end in time and were ended");
            }
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            served = serving => served.map_err(|error| Error::unavailable(doing(), error)),
            () = out_of_grace => Ok(()),
            never = self.engine.follow() => match never {},
            never = self.executor.watch() => match never {},
        }
    }
}
