//! The server: a port, TLS, and the service behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use cordada_core::{Classify, Context, Error, Result};
use cordada_lake::Lake;
use cordada_query::{Engine, RunningQueries};
use rustls::crypto::CryptoProvider;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server as Transport, ServerTlsConfig};

use crate::authenticator::Authenticator;
use crate::config::{Config, Tls};
use crate::prepared::PreparedStatements;
use crate::service::Service;
use crate::sessions::Sessions;
use crate::ticket::Tickets;

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
    transport: Transport,
    has_users: bool,
    engine: Arc<Engine>,
    service: Service,
}

impl Server {
    /// Checks the configuration, reads the newest release and takes the port.
    ///
    /// # Errors
    /// Config: what is wrong with the configuration, an address that is taken. Unavailable: the lake cannot be read.
    /// Failed: it is to speak TLS, and the process did not choose a cryptography provider for it.
    pub async fn bind(lake: Lake, config: Config) -> Result<Self> {
        config.check_address()?;
        let mut transport = Transport::builder()
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .http2_keepalive_interval(Some(KEEPALIVE));
        match &config.tls {
            Some(tls) => transport = with_tls(transport, tls).await?,
            None if config.listen.ip().is_loopback() => {}
            None => tracing::warn!(listen = %config.listen, "without TLS passwords cross the network as they are"),
        }
        let authenticator = Authenticator::new(&config)?;
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
            tickets: Tickets::new()?,
            advertise: config.advertise,
        };
        Ok(Self {
            listener,
            address,
            transport,
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
        let service = FlightServiceServer::new(self.service)
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(usize::MAX);
        let incoming = TcpIncoming::from(self.listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(KEEPALIVE));
        let mut transport = self.transport;
        let serving = transport
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
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

/// The transport with the certificate and the key of these files.
async fn with_tls(transport: Transport, tls: &Tls) -> Result<Transport> {
    let read = |path: std::path::PathBuf| async move {
        let read = tokio::fs::read(&path).await;
        read.map_err(|error| error.classify(format!("reading {} for TLS", path.display())))
    };
    let (certificate, key) = (read(tls.certificate.clone()).await?, read(tls.key.clone()).await?);
    if CryptoProvider::get_default().is_none() {
        // Without one tonic panics.
        return Err(
            Error::failed("preparing TLS", "the process has no cryptography provider")
                .hint("install rustls's default provider before the server is bound"),
        );
    }
    let identity = ServerTlsConfig::new().identity(Identity::from_pem(certificate, key));
    transport.tls_config(identity).map_err(|error| {
        Error::config(format!("using {} for TLS", tls.certificate.display()), error)
            .hint("both files must be PEM, and the key the certificate's")
            .with("key", tls.key.display())
    })
}
