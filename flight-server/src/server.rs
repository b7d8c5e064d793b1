//! The server: a port, TLS, and the service behind it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use cordada_core::{Context, Error, Result};
use cordada_lake::Lake;
use cordada_query::audit::Audit;
use cordada_query::auth::Logins;
use cordada_query::{Engine, Executor};
use futures::FutureExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::server::TcpIncoming;

use crate::answers::GivenAnswers;
use crate::authenticator::Authenticator;
use crate::config::Config;
use crate::connections;
use crate::gate::Gate;
use crate::metadata::DescribedSchemas;
use crate::prepared::PreparedStatements;
use crate::reflection;
use crate::service::Service;
use crate::sessions::Sessions;
use crate::ticket::Tickets;
use crate::tls::{self, Certificates};
use crate::uncopied::Uncopied;

/// The largest message that a client may send: long statements, values of parameters.
const LARGEST_MESSAGE: usize = 64 << 20;
/// How long clients have to be told why their queries ended.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long the lake may take for the last records of the audit.
const LAST_RECORDS: Duration = Duration::from_secs(5);
/// How often the system asks whether the other end of an idle connection is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A Flight SQL server that has its port and does not serve yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Certificates>>,
    engine: Arc<Engine>,
    audit: Audit,
    executor: Arc<Executor>,
    grace: Duration,
    reflection: Routes,
    service: Service,
}

impl Server {
    /// Checks the configuration, reads the newest release and takes the port.
    ///
    /// # Errors
    /// Config: what is wrong with the configuration, an address that is taken. Unavailable: the lake cannot be read.
    pub async fn bind(lake: Lake, config: Config) -> Result<Self> {
        config.check_address()?;
        config.check_certificates()?;
        let tls = match &config.tls {
            Some(files) => Some(Arc::new(Certificates::open(files).await?)),
            None => None,
        };
        if tls.is_none() && !config.listen.ip().is_loopback() {
            tracing::warn!(listen = %config.listen, "without TLS passwords cross the network as they are");
        }
        let audit = match &config.audit_log {
            Some(folder) => Audit::with_log(&lake, folder).await?,
            None => Audit::new(&lake)?,
        };
        let Config {
            users, roles, login, ..
        } = &config;
        let logins = Arc::new(match config.keeps_logins {
            true => Logins::open(&lake, users, roles, login).await?,
            false => Logins::of_the_process(users, roles, login).await?,
        });
        let clients = config.tls.and_then(|tls| tls.clients);
        let certificate_users = clients.map(|clients| clients.users).unwrap_or_default();
        let sessions = Sessions::new(logins.keys().are_kept().then(|| lake.vault()));
        let given = GivenAnswers::new(&lake);
        let (parallelism, memory) = (lake.parallelism(), lake.memory());
        let executor = Arc::new(Executor::new(parallelism, memory, &config.limits, &config.roles)?);
        let engine = Arc::new(Engine::open(lake, executor.clone()).await?);
        engine.check_policies(&config.roles).await?;
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
            authenticator: Arc::new(Authenticator::new(logins.clone(), certificate_users, audit.clone())),
            tickets: Tickets::new(logins.keys().clone()),
            logins,
            sessions: Arc::new(sessions),
            prepared: PreparedStatements::new(config.limits.prepared()),
            executor: executor.clone(),
            audit: audit.clone(),
            given,
            schemas: DescribedSchemas::new(),
            advertise: config.advertise,
        };
        Ok(Self {
            listener,
            address,
            tls,
            engine,
            audit,
            executor,
            grace: config.grace,
            reflection: reflection::routes(&service.authenticator)?,
            service,
        })
    }

    /// The address that clients connect to, with the port that was taken.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Whether clients must log in.
    pub fn has_users(&self) -> bool {
        !self.service.logins.is_open()
    }

    /// Serves until told to stop. Then no query begins any more, and those that run have their grace to end in; what
    /// computes even after that is not waited for.
    pub async fn serve(self, shutdown: CancellationToken) {
        let (logins, sessions) = (self.service.logins.clone(), self.service.sessions.clone());
        let authenticator = self.service.authenticator.clone();
        let service = Uncopied::new(self.service, LARGEST_MESSAGE);
        let (health, health_checks) = tonic_health::server::health_reporter();
        health.set_serving::<FlightServiceServer<Service>>().await;
        let incoming = TcpIncoming::from(self.listener)
            .with_nodelay(Some(true))
            .with_keepalive(Some(KEEPALIVE));
        let (service, stop) = (Gate::new(service, authenticator), shutdown.clone());
        let others = self.reflection.add_service(health_checks);
        let certificates = self.tls;
        let serving = match certificates.clone() {
            Some(certificates) => {
                let encrypted = tls::encrypted(certificates, incoming);
                connections::serve(encrypted, service, others, stop).boxed()
            }
            None => connections::serve(incoming, service, others, stop).boxed(),
        };
        let new_certificates = async {
            match &certificates {
                Some(certificates) => certificates.follow().await,
                None => std::future::pending().await,
            }
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
            () = serving => {}
            () = out_of_grace => {}
            never = self.engine.follow() => match never {},
            never = self.executor.watch() => match never {},
            never = self.audit.keep() => match never {},
            never = logins.follow() => match never {},
            never = sessions.follow(&logins) => match never {},
            never = new_certificates => match never {},
        }
        match tokio::time::timeout(LAST_RECORDS, self.audit.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last records of ops.audit are lost"),
            Err(_) => tracing::warn!("the last records of ops.audit are lost: the lake does not answer"),
        }
    }
}
