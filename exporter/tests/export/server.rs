//! A small Flight SQL server over DataFusion, with a password, releases that never stand still, and ways to fail.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::server::FlightSqlService;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt, SqlInfo, TicketStatementQuery};
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, Ticket};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use cordada_exporter::Connection;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

pub const USER: &str = "crm";
pub const PASSWORD: &str = "s3cret:with:colons";
const TOKEN: &str = "token";

/// What the rows of a statement do after its first batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    GoOn,
    /// Fail, quoting somebody's address.
    Fail,
    /// Wait for ever.
    Hang,
}

/// What happened at the server.
#[derive(Debug, Default)]
pub struct Seen {
    /// Statements that were planned, and the release that the client asked for.
    pub planned: Mutex<Vec<(String, Option<u64>)>>,
    /// Rows that left the server.
    pub rows_sent: AtomicU64,
    /// Cancelled when the stream of a statement that hangs is dropped.
    pub hung_up: CancellationToken,
}

pub struct TestServer {
    pub connection: Connection,
    pub seen: Arc<Seen>,
    _stop: DropGuard,
}

impl TestServer {
    /// Serves what the statements create, in batches of two rows.
    pub async fn start(statements: &[&str], then: Then) -> Self {
        let config = SessionConfig::new()
            .with_batch_size(2)
            .with_target_partitions(1)
            .with_information_schema(true);
        let session = SessionContext::new_with_config(config);
        for statement in statements {
            session.sql(statement).await.unwrap().collect().await.unwrap();
        }
        let seen = Arc::new(Seen::default());
        let service = Service {
            session,
            then,
            seen: Arc::clone(&seen),
            newest: AtomicU64::new(7),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("grpc://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(
            Server::builder()
                .add_service(FlightServiceServer::new(service))
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped),
        );
        let connection = Connection {
            url,
            user: Some(USER.to_owned()),
            password: Some(PASSWORD.to_owned()),
        };
        Self {
            connection,
            seen,
            _stop: stop.drop_guard(),
        }
    }
}

struct Service {
    session: SessionContext,
    then: Then,
    seen: Arc<Seen>,
    /// A release is published with every statement that is planned.
    newest: AtomicU64,
}

fn check_token<T>(request: &Request<T>) -> Result<(), Status> {
    let bearer = request
        .metadata()
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    if bearer == Some(&format!("Bearer {TOKEN}")) {
        Ok(())
    } else {
        Err(Status::unauthenticated("log in first"))
    }
}

#[tonic::async_trait]
impl FlightSqlService for Service {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>, Status> {
        let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")));
        if request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            != Some(&expected)
        {
            return Err(Status::unauthenticated("user or password is wrong"));
        }
        let mut response: Response<Pin<Box<dyn Stream<Item = _> + Send>>> = Response::new(Box::pin(stream::empty()));
        response
            .metadata_mut()
            .insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        check_token(&request)?;
        let pinned = request
            .metadata()
            .get("release")
            .map(|value| value.to_str().unwrap().parse().unwrap());
        self.seen.planned.lock().unwrap().push((query.query.clone(), pinned));
        let newest = self.newest.fetch_add(1, Ordering::Relaxed);
        let plan = self.session.sql(&query.query).await;
        let plan = plan.map_err(|why| Status::invalid_argument(why.strip_backtrace()))?;
        let ticket = TicketStatementQuery {
            statement_handle: query.query.into(),
        };
        let info = FlightInfo::new()
            .try_with_schema(plan.schema().as_arrow())
            .unwrap()
            .with_endpoint(FlightEndpoint::new().with_ticket(Ticket::new(ticket.as_any().encode_to_vec())))
            .with_app_metadata(format!(r#"{{"release": {}}}"#, pinned.unwrap_or(newest)));
        Ok(Response::new(info))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        check_token(&request)?;
        let sql = std::str::from_utf8(&ticket.statement_handle).unwrap().to_owned();
        let rows = self.session.sql(&sql).await.unwrap().execute_stream().await.unwrap();
        let (schema, seen) = (rows.schema(), Arc::clone(&self.seen));
        let rows = rows
            .map_err(|why| FlightError::ExternalError(Box::new(why)))
            .inspect_ok(move |batch| {
                seen.rows_sent.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
            });
        let hangs_up = self.seen.hung_up.clone().drop_guard();
        let rows = match self.then {
            _ if sql.starts_with("select count") => rows.boxed(),
            Then::GoOn => rows.boxed(),
            Then::Fail => {
                let failure = Status::internal("cannot cast 'ana@example.com' to Int32");
                rows.take(1)
                    .chain(stream::iter([Err(FlightError::from(failure))]))
                    .boxed()
            }
            Then::Hang => rows
                .take(1)
                .chain(stream::pending().inspect(move |_| _ = &hangs_up))
                .boxed(),
        };
        let messages = FlightDataEncoderBuilder::new()
            .with_schema(schema)
            .build(rows)
            .map_err(Status::from);
        Ok(Response::new(messages.boxed()))
    }

    async fn register_sql_info(&self, _id: i32, _info: &SqlInfo) {}
}
