//! The Flight SQL server, as a campaign sees it: statements are planned, then read.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::{FlightInfo, HandshakeRequest, Ticket};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cordada_core::{Error, ErrorKind, Result};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

/// Servers send messages of some MiB; tonic's own limit is 4 MiB.
const LARGEST_MESSAGE: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the server is and who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// `grpc://host:port`, or `grpc+tls://host:port` for a server whose certificate this machine trusts.
    pub url: String,
    /// Who asks; nobody, for a server that has no users.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("url", &self.url)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A connection that is open and logged in.
#[derive(Debug)]
pub(crate) struct Client {
    flight: FlightSqlServiceClient<Channel>,
}

/// A statement that the server has planned.
#[derive(Debug)]
pub(crate) struct PlannedStatement {
    pub schema: Schema,
    /// The release that it will read, if the server tells.
    pub release: Option<u64>,
    tickets: Vec<Ticket>,
}

impl Client {
    /// Connects and, if there is a user, logs in.
    pub(crate) async fn connect(connection: &Connection) -> Result<Self> {
        let doing = || format!("connecting to {}", connection.url);
        let channel = endpoint(&connection.url)?.connect().await.map_err(|why| {
            Error::new(ErrorKind::Unavailable, doing(), root_cause(&why)).hint("is the server running?")
        })?;
        let mut flight = FlightServiceClient::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        let token = match (&connection.user, &connection.password) {
            (Some(user), Some(password)) => Some(log_in(&mut flight, user, password, doing).await?),
            (None, None) => None,
            _ => return Err(Error::config(doing(), "a user goes with a password")),
        };
        let mut flight = FlightSqlServiceClient::new_from_inner(flight);
        if let Some(token) = token {
            flight.set_token(token);
        }
        Ok(Self { flight })
    }

    /// Has a statement planned. `doing` says what for, should the server refuse it.
    pub(crate) async fn plan(&mut self, doing: &str, sql: String) -> Result<PlannedStatement> {
        let info = self
            .flight
            .execute(sql, None)
            .await
            .map_err(|why| refused(doing, why))?;
        let release = release_of(&info);
        let tickets = info
            .endpoint
            .iter()
            .filter_map(|endpoint| endpoint.ticket.clone())
            .collect();
        let schema = info
            .try_decode_schema()
            .map_err(|_| Error::failed(doing, "the server does not say which columns the result has"))?;
        Ok(PlannedStatement {
            schema,
            release,
            tickets,
        })
    }

    /// Has all later statements read this release, whatever is published meanwhile. Cordada's server takes the
    /// option as a header; others ignore it.
    pub(crate) fn pin(&mut self, release: u64) {
        self.flight.set_header("release", release.to_string());
    }

    /// The rows of a planned statement, as they arrive.
    pub(crate) fn read(
        &self,
        doing: &str,
        planned: PlannedStatement,
    ) -> impl Stream<Item = Result<RecordBatch>> + Send + 'static {
        let (flight, doing) = (self.flight.clone(), doing.to_owned());
        stream::iter(planned.tickets.into_iter().map(Ok))
            .and_then(move |ticket| {
                let mut flight = flight.clone();
                async move { flight.do_get(ticket).await }
            })
            .try_flatten()
            .map(move |batch| batch.map_err(|why| interrupted(&doing, why)))
    }
}

fn endpoint(url: &str) -> Result<Endpoint> {
    if url.contains('@') {
        return Err(Error::config("connecting to the server", "the address names a user")
            .hint("give user and password apart from the address, which errors print"));
    }
    let doing = || format!("connecting to {url}");
    let (scheme, address) = url.split_once("://").unwrap_or(("", url));
    let (http, tls) = match scheme {
        "grpc" | "grpc+tcp" => ("http", false),
        "grpc+tls" => ("https", true),
        _ => {
            return Err(Error::config(
                doing(),
                "the address has to begin with grpc:// or grpc+tls://",
            ));
        }
    };
    let wrong = |why: tonic::transport::Error| Error::config(doing(), root_cause(&why));
    let endpoint = Endpoint::from_shared(format!("{http}://{address}"))
        .map_err(wrong)?
        .connect_timeout(CONNECT_TIMEOUT);
    if tls {
        endpoint
            .tls_config(ClientTlsConfig::new().with_native_roots())
            .map_err(wrong)
    } else {
        Ok(endpoint)
    }
}

/// The basic handshake: the password once, and from then on the token that the server answers with.
async fn log_in(
    flight: &mut FlightServiceClient<Channel>,
    user: &str,
    password: &str,
    doing: impl Fn() -> String,
) -> Result<String> {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let basic = MetadataValue::try_from(basic).map_err(|_| Error::config(doing(), "the user cannot be sent"))?;
    let mut request = Request::new(stream::once(std::future::ready(HandshakeRequest::default())));
    request.metadata_mut().insert("authorization", basic);
    let response = flight
        .handshake(request)
        .await
        .map_err(|why| of_status(&doing(), &why, why.message()))?;
    let header = response
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    match header.and_then(|value| value.strip_prefix("Bearer ")) {
        Some(token) => Ok(token.to_owned()),
        None => Err(Error::failed(doing(), "the server took the password and gave no token")),
    }
}

fn release_of(info: &FlightInfo) -> Option<u64> {
    #[derive(Deserialize)]
    struct Metadata {
        release: u64,
    }
    serde_json::from_slice::<Metadata>(&info.app_metadata)
        .ok()
        .map(|metadata| metadata.release)
}

/// The server did not plan a statement. What it says is about the statement, so it is told.
fn refused(doing: &str, why: FlightError) -> Error {
    match why {
        FlightError::Tonic(status) => of_status(doing, &status, status.message()),
        other => Error::failed(doing, other),
    }
}

/// The server stopped in the middle of the rows. What it says can quote a value, so it is not told.
fn interrupted(doing: &str, why: FlightError) -> Error {
    match why {
        FlightError::Tonic(status) => {
            let code = status.code();
            of_status(doing, &status, &format!("the server stopped: {code}")).hint("the server's log says why")
        }
        _ => Error::failed(doing, "the server sent rows that cannot be read"),
    }
}

fn of_status(doing: &str, status: &Status, why: &str) -> Error {
    let kind = match status.code() {
        Code::InvalidArgument | Code::NotFound | Code::Unauthenticated | Code::PermissionDenied => ErrorKind::Config,
        Code::Unavailable | Code::DeadlineExceeded => ErrorKind::Unavailable,
        _ => ErrorKind::Failed,
    };
    Error::new(kind, doing, why)
}

fn root_cause(error: &dyn StdError) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_flight() {
        assert_eq!(
            endpoint("grpc://127.0.0.1:50051").unwrap().uri().to_string(),
            "http://127.0.0.1:50051/"
        );
        assert_eq!(
            endpoint("grpc+tls://lake.acme.com:443").unwrap().uri().scheme_str(),
            Some("https")
        );
        for wrong in [
            "127.0.0.1:50051",
            "http://127.0.0.1",
            "grpc://",
            "grpc://a b",
            "grpc://ana:secret@a:1",
        ] {
            let error = endpoint(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{wrong}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let connection = Connection {
            url: "grpc://a:1".into(),
            user: Some("ana".into()),
            password: Some("secret".into()),
        };
        assert!(!format!("{connection:?}").contains("secret"));
    }

    #[test]
    fn what_stops_the_rows_is_not_quoted() {
        let status = Status::invalid_argument("cannot cast 'ana@example.com' to Int32");
        let error = interrupted("reading the audience", FlightError::from(status));
        assert!(!error.to_string().contains("ana@example.com"), "{error}");
    }
}
