//! Connections to PostgreSQL: TLS as the URL asks for it, a session whose texts are exact, errors that say what to do.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use cordada_core::{Error, Result, tls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::config::DatabaseSource;
use crate::driver::in_time;
use crate::sql_error::{SqlContext, SqlError};

/// Makes texts the same wherever they come from: `value::text` in a query and the values of the replication log.
const SESSION: &str = "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; \
                       SET extra_float_digits = 1; SET bytea_output = 'hex'; SET standard_conforming_strings = on; \
                       SET lc_monetary = 'C'; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// Where a server is and how to log in.
#[derive(Clone)]
pub(crate) struct PostgresServer {
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
    timeout: Duration,
    /// Host, port and database, for messages.
    place: String,
}

impl PostgresServer {
    /// How long it may take to answer.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The one of a source.
    ///
    /// # Errors
    /// As [`PostgresServer::new`].
    pub(crate) fn of(source: &DatabaseSource) -> Result<Self> {
        Self::new(source.connection.url(), source.timeout.0)
    }

    /// Reads the URL.
    ///
    /// # Errors
    /// Config: it makes no sense. The URL is not quoted, as it holds the password.
    pub(crate) fn new(url: &str, timeout: Duration) -> Result<Self> {
        let doing = "reading `connection`";
        let hint = "write postgres://user:${PASSWORD}@host:5432/database, special characters percent-encoded";
        let wrong = |why: &str| Error::config(doing, why).hint(hint);
        let mut parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        let (mut mode, mut roots, mut others) = ("prefer".to_owned(), None, Vec::new());
        for (key, value) in parsed.query_pairs() {
            match &*key {
                "sslmode" => mode = value.into_owned(),
                "sslrootcert" => roots = Some(PathBuf::from(&*value)),
                _ => others.push((key.into_owned(), value.into_owned())),
            }
        }
        parsed.set_query(None);
        if !others.is_empty() {
            parsed.query_pairs_mut().extend_pairs(others);
        }
        let mut config = tokio_postgres::Config::from_str(parsed.as_str())
            .map_err(|_| wrong("it is not a URL of a PostgreSQL server, or has a parameter that is not known"))?;
        let (ssl, verify) = match mode.as_str() {
            "disable" => (SslMode::Disable, false),
            "prefer" => (SslMode::Prefer, false),
            "require" => (SslMode::Require, roots.is_some()),
            "verify-ca" | "verify-full" => (SslMode::Require, true),
            _ => {
                return Err(
                    Error::config(doing, "`sslmode` is not known").hint("use disable, prefer, require or verify-full")
                );
            }
        };
        let tls = match ssl {
            SslMode::Disable => None,
            _ => Some(encryption(verify, roots)?),
        };
        config
            .ssl_mode(ssl)
            .connect_timeout(timeout)
            .application_name("cordada");
        config.keepalives_idle(timeout).tcp_user_timeout(timeout);
        let hosts: Vec<_> = config.get_hosts().iter().map(host).collect();
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
        let place = format!("{}:{port}/{database}", hosts.join(","));
        Ok(Self {
            config,
            tls,
            timeout,
            place,
        })
    }

    /// Opens a connection. It closes when the client is dropped, or is cancelled with its statement when `cancel` says
    /// so.
    ///
    /// # Errors
    /// Unavailable: no server answers in time. Config: it refuses the credentials.
    pub(crate) async fn connect(&self, cancel: &CancellationToken) -> Result<Client> {
        let doing = || format!("connecting to PostgreSQL at {}", self.place);
        let connecting = async {
            let client = match &self.tls {
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await.doing_sql(doing)?;
                    self.drive(&client, connection, cancel);
                    client
                }
                None => {
                    let (client, connection) = self.config.connect(NoTls).await.doing_sql(doing)?;
                    self.drive(&client, connection, cancel);
                    client
                }
            };
            client.batch_execute(SESSION).await.doing_sql(doing)?;
            Ok(client)
        };
        in_time(connecting, self.timeout, cancel, doing).await
    }

    /// Moves the connection's bytes until the client is dropped. A statement that runs when `cancel` says so is
    /// cancelled in the server too, which would not notice otherwise until it sends something.
    fn drive<S, T>(&self, client: &Client, connection: tokio_postgres::Connection<S, T>, cancel: &CancellationToken)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (token, tls, cancel, timeout) = (client.cancel_token(), self.tls.clone(), cancel.clone(), self.timeout);
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            tokio::select! {
                closed = &mut connection => {
                    if let Err(error) = closed {
                        tracing::debug!(%error, "a connection to PostgreSQL ended");
                    }
                    return;
                }
                () = cancel.cancelled() => {}
            }
            let cancelling = async {
                match tls {
                    Some(tls) => token.cancel_query(tls).await,
                    None => token.cancel_query(NoTls).await,
                }
            };
            // A server that cannot be reached to cancel notices that the connection is gone.
            let _ = tokio::time::timeout(timeout, cancelling).await;
        });
    }
}

fn host(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(path) => path.display().to_string(),
    }
}

/// TLS as libpq's `sslmode` has it: encrypted, and with `verify` also to a server whose certificate is good.
fn encryption(verify: bool, roots: Option<PathBuf>) -> Result<MakeRustlsConnect> {
    if verify {
        return tls::verifying_client(roots.as_deref()).map(MakeRustlsConnect::new);
    }
    let builder = tls::client()?;
    let verifier = Arc::new(AnyCertificate(builder.crypto_provider().clone()));
    let config = builder.dangerous().with_custom_certificate_verifier(verifier);
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

/// `sslmode=require` and `prefer`: encrypted, whoever the server is.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl SqlError for tokio_postgres::Error {
    /// Which of our kinds it is. What the server says is told unless it may quote a value (classes 22 and 23).
    fn classify(self, doing: String) -> Error {
        let Some(db) = self.as_db_error() else {
            let why = match std::error::Error::source(&self) {
                Some(cause) => cause.to_string(),
                None => self.to_string(),
            };
            // The driver tells neither a missing nor a refused password from other failures of its own.
            return if why.contains("password") || why.contains("authentication") {
                Error::config(doing, why).hint("check the user and the password in `connection`")
            } else {
                Error::unavailable(doing, why)
            };
        };
        let (code, said) = (db.code(), db.message());
        match code.code().get(..2) {
            Some("28") => Error::config(doing, "the server refuses these credentials")
                .hint("check the user and the password in `connection`"),
            // 55: in use, such as a replication slot by a session that is about to end.
            Some("08" | "53" | "55" | "57" | "58") => Error::unavailable(doing, said),
            Some("22" | "23") => Error::failed(doing, "a value makes the query fail").with("sqlstate", code.code()),
            Some("3D") => Error::config(doing, said).hint("check the database's name in `connection`"),
            Some("42" | "3F") if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                Error::config(doing, said).hint("grant it to the user of `connection`, or use another")
            }
            Some("42" | "3F") => Error::config(doing, said),
            _ => Error::failed(doing, said).with("sqlstate", code.code()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<PostgresServer> {
        PostgresServer::new(url, Duration::from_secs(1))
    }

    #[test]
    fn a_url_is_read_and_never_quoted() {
        let read = server("postgres://reader:s3cret@erp:5433/acme?sslmode=require").unwrap();
        assert_eq!(read.place, "erp:5433/acme");
        assert_eq!(
            server("postgres://reader@erp/acme?sslmode=disable").unwrap().place,
            "erp:5432/acme"
        );
        for url in [
            "postgres://reader:s3cret@erp:port/acme",
            "postgres://reader:s3cret@erp/acme?sslmode=often",
            "postgres://reader:s3cret@erp/acme?colour=red",
            "postgres://reader:s3cret@erp/acme?sslmode=verify-full&sslrootcert=/nowhere",
        ] {
            let error = server(url).err().unwrap();
            assert_eq!(error.exit_code(), 2);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unavailable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let server = server(&format!("postgres://reader:s3cret@127.0.0.1:{free}/acme")).unwrap();
        let error = server.connect(&CancellationToken::new()).await.err().unwrap();
        assert_eq!(error.exit_code(), 3, "{error}");
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}
