//! The Flight service: who asks, what for, and the answer as messages. Everything else is planned elsewhere.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{ActionCancelQueryResult, ActionCreatePreparedStatementResult, ProstMessageExt};
use arrow_flight::{
    Action as FlightAction, ActionType, CancelFlightInfoResult, CancelStatus, Criteria, Empty, FlightData,
    FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult,
    Result as ActionResult, SchemaAsIpc, SchemaResult, Ticket as FlightTicket,
};
use bytes::Bytes;
use cordada_query::audit::{Audit, Statement};
use cordada_query::auth::Logins;
use cordada_query::{Engine, Executor, PlannedQuery, Request as Asked, Scope};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Extensions, Request, Response, Status, Streaming};

use crate::answers::GivenAnswers;
use crate::authenticator::{Authenticator, Identity};
use crate::client::Client;
use crate::metadata::DescribedSchemas;
use crate::options::Options;
use crate::peer::Peer;
use crate::prepared::{PreparedStatement, PreparedStatements};
use crate::protocol::{Action, Command, Metadata};
use crate::rows::{self, Messages};
use crate::sessions::Sessions;
use crate::ticket::{self, Ticket, Tickets};
use crate::{audit, metadata, parameters, status, wire};

mod session;

/// Everything that a request may need.
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) authenticator: Arc<Authenticator>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) prepared: PreparedStatements,
    pub(crate) executor: Arc<Executor>,
    pub(crate) given: GivenAnswers,
    pub(crate) schemas: DescribedSchemas,
    pub(crate) tickets: Tickets,
    pub(crate) audit: Audit,
    /// The URI that clients are told to fetch from.
    pub(crate) advertise: Option<String>,
}

/// Who sent a request, and how that session reads.
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) options: Options,
    client: Client,
    /// Where nobody logs in, the connection.
    connection: Option<String>,
}

impl Caller {
    pub(crate) fn user(&self) -> &str {
        &self.identity.principal.name
    }

    /// The session's id, if the client keeps one.
    pub(crate) fn session(&self) -> Option<&String> {
        self.identity.session.as_ref()
    }
}

/// What a request reads, and the types that its client takes.
pub(crate) struct ReadContext {
    pub(crate) scope: Scope,
    pub(crate) types: wire::Types,
}

/// What an RPC streams back.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(crate) fn answers<T: Send + 'static>(items: Vec<T>) -> Response<Answers<T>> {
    Response::new(stream::iter(items.into_iter().map(Ok)).boxed())
}

#[tonic::async_trait]
impl FlightService for Service {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<ActionResult>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let (headers, extensions, mut messages) = request.into_parts();
        let peer = extensions.get::<Peer>().cloned().unwrap_or_default();
        let first = if headers.contains_key("authorization") {
            None
        } else {
            messages.message().await?
        };
        let payload = first.as_ref().map(|first| &*first.payload).unwrap_or_default();
        let token = self.authenticator.handshake(headers.as_ref(), &peer, payload).await?;
        let bearer = header(&format!("Bearer {token}"))?;
        let version = first.as_ref().map_or(0, |first| first.protocol_version);
        let payload = Bytes::from(token.into_bytes());
        let mut response = answers(vec![HandshakeResponse {
            protocol_version: version,
            payload,
        }]);
        response.metadata_mut().insert("authorization", bearer);
        Ok(response)
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        let flights = self.flights(&caller, &request.get_ref().expression).await?;
        Ok(answers(flights))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        self.flight_info(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        // Planning is all there is to wait for: rows come as they are made.
        let info = self.flight_info(&caller, request.into_inner()).await?;
        let poll = PollInfo::new().with_info(info).try_with_progress(1.0);
        poll.map(Response::new)
            .map_err(|error| Status::internal(error.to_string()))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        let info = self.flight_info(&caller, request.into_inner()).await?;
        Ok(Response::new(SchemaResult { schema: info.schema }))
    }

    async fn do_get(&self, request: Request<FlightTicket>) -> Result<Response<Self::DoGetStream>, Status> {
        let messages = self.messages(request).await?;
        Ok(Response::new(messages.map_ok(FlightData::from).boxed()))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        let mut messages = request.into_inner();
        let first = messages
            .message()
            .await?
            .ok_or_else(|| Status::invalid_argument("DoPut got no message"))?;
        let descriptor = first.flight_descriptor.clone();
        let descriptor = descriptor.ok_or_else(|| Status::invalid_argument("DoPut got no flight descriptor"))?;
        self.put(&caller, Command::of(&descriptor)?, first, messages).await
    }

    async fn list_actions(&self, request: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        self.caller(request.metadata(), request.extensions()).await?;
        Ok(answers(Action::types().collect()))
    }

    async fn do_action(&self, request: Request<FlightAction>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        match Action::decode(request.get_ref())? {
            Action::CreatePreparedStatement { sql } => self.prepare(&caller, sql).await,
            Action::ClosePreparedStatement { handle } => {
                self.prepared.close(caller.user(), &handle);
                Ok(answers(Vec::new()))
            }
            Action::CancelQuery { info } => {
                let result = ActionCancelQueryResult {
                    result: self.cancel(&caller, &info)? as i32,
                };
                Ok(answers(vec![ActionResult::new(result.as_any().encode_to_vec())]))
            }
            Action::CancelFlightInfo { info } => {
                let result = CancelFlightInfoResult::new(self.cancel(&caller, &info)?);
                Ok(answers(vec![ActionResult::new(result.encode_to_vec())]))
            }
            Action::RenewFlightEndpoint(request) => self.renew(request).await,
            Action::SetSessionOptions(options) => self.set_options(&caller, options).await,
            Action::GetSessionOptions => self.get_options(&caller).await,
            Action::CloseSession => self.close_session(&caller).await,
            Action::Unsupported { name } => Err(Status::unimplemented(format!(
                "{name}: the server reads releases, each of which is one moment of the lake; it has no transactions and \
                 takes SQL only"
            ))),
        }
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.caller(request.metadata(), request.extensions()).await?;
        Err(Status::unimplemented("Flight SQL has no use for DoExchange"))
    }
}

impl Service {
    /// Who sent a request, as the gate has found out, and how that session reads.
    async fn caller(&self, headers: &MetadataMap, extensions: &Extensions) -> Result<Caller, Status> {
        let identity = extensions.get::<Identity>().cloned();
        let identity = identity.ok_or_else(|| Status::internal("a request came in past the gate"))?;
        let options = self.sessions.options(&identity, headers).await?;
        let address = extensions.get::<Peer>().and_then(|peer| peer.address);
        let address = address.filter(|_| self.logins.is_open());
        Ok(Caller {
            identity,
            options,
            client: Client::of(headers),
            connection: address.map(|address| address.to_string()),
        })
    }

    /// What a ticket fetches.
    pub(crate) async fn messages(&self, request: Request<FlightTicket>) -> Result<Messages, Status> {
        let caller = self.caller(request.metadata(), request.extensions()).await?;
        self.fetch(&caller, Command::decode(&request.get_ref().ticket)?).await
    }

    pub(crate) async fn read_context(&self, caller: &Caller) -> Result<ReadContext, Status> {
        let (access, options) = (&caller.identity.principal.access, &caller.options);
        let scope = self.engine.scope(access, options.release, &options.schema).await;
        Ok(ReadContext {
            scope: scope.map_err(|error| status::of(&error))?,
            types: options.types(caller.client),
        })
    }

    /// Plans a command: the schema of its answer, and a ticket for its rows.
    async fn flight_info(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        let mut context = self.read_context(caller).await?;
        let (schema, request) = match Command::of(&descriptor)? {
            Command::Statement { sql } => self.plan_request(caller, &context, sql, None).await?,
            Command::Prepared { handle } => {
                let statement = self.prepared.get(caller.user(), &handle)?;
                context = self.context_of_execution(caller, context, &statement).await?;
                self.plan_request(caller, &context, statement.sql.clone(), statement.values.as_ref())
                    .await?
            }
            Command::Metadata(command) => (
                metadata::schema(&command),
                ticket::Request::Metadata(descriptor.cmd.clone()),
            ),
            Command::Ticket { .. } => return Err(Status::invalid_argument("a ticket is fetched with DoGet")),
            Command::Update { .. } | Command::PreparedUpdate { .. } => return Err(read_only()),
            Command::Ingest(_) => return Err(Status::invalid_argument("rows to ingest are sent with DoPut")),
            Command::Substrait => return Err(no_substrait()),
        };
        let info = self.ticketed(&context, &schema, request)?;
        Ok(info.with_descriptor(descriptor))
    }

    /// What a client needs to fetch an answer of that schema.
    pub(crate) fn ticketed(
        &self,
        context: &ReadContext,
        schema: &Schema,
        request: ticket::Request,
    ) -> Result<FlightInfo, Status> {
        let ReadContext { scope, types } = context;
        let ticket = Ticket {
            query: Ticket::new_query().map_err(|error| status::of(&error))?,
            release: scope.release.number,
            schema: scope.schema.clone(),
            views: types.views,
            no_time_zones: types.no_time_zones,
            expires: Ticket::new_expiry(),
            request: Some(request),
        };
        let endpoint = self.endpoint(&ticket);
        let info = FlightInfo::new()
            .try_with_schema(schema)
            .map_err(|error| Status::internal(error.to_string()))?;
        // Which release it is, for whoever writes down where rows came from.
        let release = format!(r#"{{"release":{}}}"#, scope.release.number);
        Ok(info
            .with_endpoint(endpoint)
            .with_ordered(true)
            .with_app_metadata(release))
    }

    async fn plan_request(
        &self,
        caller: &Caller,
        context: &ReadContext,
        sql: String,
        values: Option<&RecordBatch>,
    ) -> Result<(SchemaRef, ticket::Request), Status> {
        let planned = self.engine.plan_with(&context.scope, &sql, values).await;
        let planned = match planned {
            Ok(planned) => planned,
            Err(error) => return Err(self.unplanned(caller, &sql, status::of(&error)).await),
        };
        let query = ticket::Query::new(sql, values).map_err(|error| status::of(&error))?;
        Ok((context.schema(&planned), ticket::Request::Query(query)))
    }

    /// The rows of a ticket, or of a command that its client did not plan first.
    async fn fetch(&self, caller: &Caller, command: Command) -> Result<Messages, Status> {
        match command {
            Command::Ticket { signed } => self.fetch_ticket(caller, self.tickets.open(&signed)?).await,
            Command::Statement { sql } => {
                let context = self.read_context(caller).await?;
                self.fetch_query(caller, &context, &sql, None, "").await
            }
            Command::Prepared { handle } => {
                let (context, statement) = (
                    self.read_context(caller).await?,
                    self.prepared.get(caller.user(), &handle)?,
                );
                let context = self.context_of_execution(caller, context, &statement).await?;
                self.fetch_query(caller, &context, &statement.sql, statement.values.as_ref(), "")
                    .await
            }
            Command::Metadata(command) => {
                let context = self.read_context(caller).await?;
                self.fetch_metadata(caller, &context, command).await
            }
            Command::Update { .. } | Command::PreparedUpdate { .. } => Err(read_only()),
            Command::Ingest(_) => Err(Status::invalid_argument("rows to ingest are sent with DoPut")),
            Command::Substrait => Err(no_substrait()),
        }
    }

    /// The rows of a ticket: on the release that it was planned on, under what its caller may read now.
    async fn fetch_ticket(&self, caller: &Caller, ticket: Ticket) -> Result<Messages, Status> {
        let release = self
            .engine
            .release(ticket.release)
            .await
            .map_err(|error| status::of(&error))?;
        let access = caller.identity.principal.access.clone();
        let types = wire::Types {
            views: ticket.views,
            no_time_zones: ticket.no_time_zones,
        };
        let scope = Scope {
            release,
            access,
            schema: ticket.schema,
        };
        let context = ReadContext { scope, types };
        match ticket.request {
            Some(ticket::Request::Query(query)) => {
                let values = query.parameters().map_err(|error| status::of(&error))?;
                self.fetch_query(caller, &context, &query.sql, values.as_ref(), &ticket.query)
                    .await
            }
            Some(ticket::Request::Metadata(command)) => match Command::decode(&command)? {
                Command::Metadata(command) => self.fetch_metadata(caller, &context, command).await,
                _ => Err(Status::internal("a metadata ticket holds no metadata command")),
            },
            None => Err(Status::internal("a ticket without a request was signed")),
        }
    }

    async fn fetch_query(
        &self,
        caller: &Caller,
        context: &ReadContext,
        sql: &str,
        values: Option<&RecordBatch>,
        id: &str,
    ) -> Result<Messages, Status> {
        let mut statement = self.statement(caller, sql);
        let rows = self.run_query(caller, context, sql, values, id, &mut statement).await;
        audit::watched(rows, statement).await
    }

    /// What the audit is told of a statement.
    pub(crate) fn statement(&self, caller: &Caller, sql: &str) -> Statement {
        let asker = &caller.identity.principal;
        self.audit
            .statement(audit::DOOR, asker, caller.session().map(String::as_str), sql)
    }

    /// Puts down a statement that could not be planned: others are put down when they run.
    async fn unplanned(&self, caller: &Caller, sql: &str, status: Status) -> Status {
        audit::failed(&mut self.statement(caller, sql), status).await
    }

    async fn run_query(
        &self,
        caller: &Caller,
        context: &ReadContext,
        sql: &str,
        values: Option<&RecordBatch>,
        id: &str,
        statement: &mut Statement,
    ) -> Result<Messages, Status> {
        let planned = self
            .engine
            .plan_with(&context.scope, sql, values)
            .await
            .map_err(|error| status::of(&error))?;
        statement.planned(&context.scope, &planned);
        statement.started();
        statement.begins().await.map_err(|error| status::of(&error))?;
        self.change_session(caller, context, &planned, sql).await?;
        let form = (context.types, caller.options.compression);
        let question = planned.question.as_ref();
        if let Some(again) = question.and_then(|question| self.given.get(question, form)) {
            return Ok(again);
        }
        let asked = Asked {
            id,
            principal: &caller.identity.principal,
            session: caller.session().map(String::as_str),
            connection: caller.connection.as_deref(),
            sql,
        };
        let run = self.executor.run(&planned, asked).await;
        let run = run.map_err(|error| status::of(&error))?;
        let answer = rows::of_run(run, context.schema(&planned), caller.options.compression)?;
        Ok(match question {
            Some(question) => self.given.keep(question, form, answer),
            None => answer,
        })
    }

    async fn fetch_metadata(
        &self,
        caller: &Caller,
        context: &ReadContext,
        command: Metadata,
    ) -> Result<Messages, Status> {
        // There may be much to say: whoever asks something else on the connection does not wait for it.
        tokio::task::yield_now().await;
        let workspace = self.engine.workspace(&context.scope);
        let question = metadata::Question {
            workspace: &workspace,
            types: context.types,
            client: caller.client,
            writes: context.scope.access.writes(),
            schemas: &self.schemas,
        };
        let batch = metadata::answer(command, &question)
            .await
            .map_err(|error| status::of(&error))?;
        rows::of_batch(&batch, caller.options.compression)
    }

    async fn prepare(&self, caller: &Caller, sql: String) -> Result<Response<Answers<ActionResult>>, Status> {
        let context = self.read_context(caller).await?;
        let planned = match self.engine.plan(&context.scope, &sql).await {
            Ok(planned) => planned,
            Err(error) => return Err(self.unplanned(caller, &sql, status::of(&error)).await),
        };
        let schema = context.schema(&planned);
        let session = caller.session().cloned();
        let release = context.scope.release.number;
        let statement = PreparedStatement::new(session, sql, schema.clone(), release);
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.prepared.add(caller.user(), statement)?,
            dataset_schema: ipc(&schema)?,
            parameter_schema: ipc(&parameters::schema(&planned.parameters, context.types))?,
        };
        Ok(answers(vec![ActionResult::new(result.as_any().encode_to_vec())]))
    }

    /// What an execution of a prepared statement reads. Drivers prepare what they execute at once: to the first execution, a
    /// release that came in between and changed the columns is not there yet.
    async fn context_of_execution(
        &self,
        caller: &Caller,
        context: ReadContext,
        statement: &PreparedStatement,
    ) -> Result<ReadContext, Status> {
        let is_first = statement.runs_at_once();
        let changed = match self.check_unchanged(&context, statement).await {
            Err(changed) if is_first && caller.options.release.is_none() => changed,
            checked => return checked.map(|()| context),
        };
        let before = self.engine.release(statement.release).await;
        let scope = Scope {
            release: before.map_err(|error| status::of(&error))?,
            ..context.scope
        };
        let before = ReadContext { scope, ..context };
        match self.check_unchanged(&before, statement).await {
            Ok(()) => Ok(before),
            // It was an option of the session.
            Err(_) => Err(changed),
        }
    }

    /// Refuses a statement whose result no longer has the columns that its client was told.
    async fn check_unchanged(&self, context: &ReadContext, statement: &PreparedStatement) -> Result<(), Status> {
        let planned = self
            .engine
            .plan(&context.scope, &statement.sql)
            .await
            .map_err(|error| status::of(&error))?;
        if context.schema(&planned) == statement.schema {
            return Ok(());
        }
        Err(Status::failed_precondition(format!(
            "since the statement was prepared, release {} or a session option changed its columns; prepare it again",
            context.scope.release.number
        )))
    }

    fn cancel(&self, caller: &Caller, info: &FlightInfo) -> Result<CancelStatus, Status> {
        let tickets = info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
        let mut stopped = false;
        for ticket in tickets {
            stopped |= self
                .executor
                .stop(&self.open_ticket(&ticket.ticket)?.query, caller.user());
        }
        if stopped {
            Ok(CancelStatus::Cancelled)
        } else {
            Err(Status::not_found("no such query is running"))
        }
    }

    fn open_ticket(&self, ticket: &[u8]) -> Result<Ticket, Status> {
        match Command::decode(ticket)? {
            Command::Ticket { signed } => self.tickets.open(&signed),
            _ => Err(Status::invalid_argument("this is not a ticket of this server")),
        }
    }
}

impl ReadContext {
    /// The schema of the result as the client is told it.
    fn schema(&self, planned: &PlannedQuery) -> SchemaRef {
        wire::schema(planned.schema(), self.types)
    }
}

/// The schema as an encapsulated IPC message.
fn ipc(schema: &Schema) -> Result<Bytes, Status> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    message
        .map(|IpcMessage(bytes)| bytes)
        .map_err(|error| Status::internal(error.to_string()))
}

fn header(value: &str) -> Result<MetadataValue<tonic::metadata::Ascii>, Status> {
    value
        .parse()
        .map_err(|_| Status::internal("a response header has characters that it cannot have"))
}

fn read_only() -> Status {
    Status::invalid_argument(
        "statements only read: tables are built by the SQL project (`cordada build`), by `cordada ingest` and by bulk \
         ingestion",
    )
}

pub(crate) fn no_substrait() -> Status {
    Status::unimplemented("Substrait plans are not read; send SQL")
}
