//! The server: a port, TLS, and the service behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cordada_core::{Context, Error, Result};
use cordada_lake::Lake;
use cordada_query::{Engine, RunningQueries};
use futures::FutureExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server as Transport;
use tonic::transport::server::TcpIncoming;

use crate::answers::GivenAnswers;
use crate::authenticator::Authenticator;
use crate::config::Config;
use crate::metadata::DescribedSchemas;
use crate::prepared::PreparedStatements;
use crate::service::Service;
use crate::sessions::Sessions;
use crate::ticket::Tickets;
use crate::tls;
use crate::uncopied::Uncopied;

/// The largest message that a client may send: long statements, values of parameters.
const LARGEST_MESSAGE: usize = 64 << 20;
/// HTTP/2 windows for what clients send.
const WINDOW: u32 = 8 << 20;
/// How long running queries may go on once the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How often an idle connection is asked whether its client is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A Flight SQL server that has its port and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    has_users: bool,
    engine: Arc<Engine>,
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
        let given = GivenAnswers::new(&lake);
        let engine = Arc::new(Engine::open(lake).await?);
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
            prepared: PreparedStatements::new(),
            running: RunningQueries::default(),
            given,
            schemas: DescribedSchemas::new(),
            tickets: Tickets::new()?,
            advertise: config.advertise,
        };
        Ok(Self {
            listener,
            address,
            tls,
            has_users: !config.users.is_empty(),
            engine,
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

    /// Serves until told to stop; then running queries have ten seconds to end.
    ///
    /// # Errors
    /// Unavailable: the network gave way.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<()> {
        let doing = || format!("serving Flight SQL on {}", self.address);
        let service = Uncopied::new(self.service, LARGEST_MESSAGE);
        let incoming = TcpIncoming::from(self.listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(KEEPALIVE));
        let router = Transport::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_keepalive_interval(Some(KEEPALIVE))
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
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            served = serving => served.map_err(|error| Error::unavailable(doing(), error)),
            () = out_of_grace => Ok(()),
            never = self.engine.follow() => match never {},
        }
    }
}
