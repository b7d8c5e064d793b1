//! The Flight service: who asks, what for, and the answer as messages. Everything else is planned elsewhere.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionCancelQueryResult, ActionCreatePreparedStatementResult, ProstMessageExt, TicketStatementQuery,
};
use arrow_flight::{
    Action as FlightAction, ActionType, CancelFlightInfoResult, CancelStatus, Criteria, Empty, FlightData,
    FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage, PollInfo, PutResult,
    Result as ActionResult, SchemaAsIpc, SchemaResult, Ticket as FlightTicket,
};
use bytes::Bytes;
use cordada_lake::query::session::state_for;
use cordada_lake::query::session_statements::Change;
use cordada_query::auth::random_id;
use cordada_query::{Engine, PlannedQuery, RunningQueries, Scope};
use futures::{Stream, StreamExt, stream};
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response, Status, Streaming};

use crate::answers::GivenAnswers;
use crate::authenticator::{Authenticator, Identity};
use crate::client::Client;
use crate::metadata::DescribedSchemas;
use crate::options::Options;
use crate::prepared::{PreparedStatement, PreparedStatements};
use crate::protocol::{Action, Command, Metadata};
use crate::rows::{self, Messages};
use crate::session_messages::{
    CloseSessionResult, CloseStatus, GetSessionOptionsResult, OptionError, SessionOptionValue, SetSessionOptionError,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::sessions::Sessions;
use crate::ticket::{self, Ticket, Tickets};
use crate::{metadata, parameters, status, wire};

/// Everything that a request may need.
pub(crate) struct Service {
    pub(crate) engine: Arc<Engine>,
    pub(crate) authenticator: Authenticator,
    pub(crate) sessions: Sessions,
    pub(crate) prepared: PreparedStatements,
    pub(crate) running: RunningQueries,
    pub(crate) given: GivenAnswers,
    pub(crate) schemas: DescribedSchemas,
    pub(crate) tickets: Tickets,
    /// The URI that clients are told to fetch from.
    pub(crate) advertise: Option<String>,
}

/// Who sent a request, and how that session reads.
pub(crate) struct Caller {
    pub(crate) identity: Identity,
    pub(crate) options: Options,
    /// The session's id, if the client keeps one.
    session: Option<String>,
    client: Client,
}

impl Caller {
    pub(crate) fn user(&self) -> &str {
        &self.identity.principal.name
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
    type DoGetStream = Messages;
    type DoPutStream = Answers<PutResult>;
    type DoActionStream = Answers<ActionResult>;
    type ListActionsStream = Answers<ActionType>;
    type DoExchangeStream = Answers<FlightData>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        let (headers, _, mut messages) = request.into_parts();
        let first = if headers.contains_key("authorization") {
            None
        } else {
            messages.message().await?
        };
        let payload = first.as_ref().map(|first| &*first.payload).unwrap_or_default();
        let token = self.authenticator.handshake(&headers, payload).await?;
        let version = first.as_ref().map_or(0, |first| first.protocol_version);
        let payload = Bytes::from(token.clone().into_bytes());
        let mut response = answers(vec![HandshakeResponse {
            protocol_version: version,
            payload,
        }]);
        response
            .metadata_mut()
            .insert("authorization", header(&format!("Bearer {token}"))?);
        Ok(response)
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let flights = self.flights(&caller, &request.get_ref().expression).await?;
        Ok(answers(flights))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        let caller = self.caller(request.metadata()).await?;
        self.flight_info(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn poll_flight_info(&self, request: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        let caller = self.caller(request.metadata()).await?;
        // Planning is all there is to wait for: rows come as they are made.
        let info = self.flight_info(&caller, request.into_inner()).await?;
        let poll = PollInfo::new().with_info(info).try_with_progress(1.0);
        poll.map(Response::new)
            .map_err(|error| Status::internal(error.to_string()))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.caller(request.metadata()).await?;
        let info = self.flight_info(&caller, request.into_inner()).await?;
        Ok(Response::new(SchemaResult { schema: info.schema }))
    }

    async fn do_get(&self, request: Request<FlightTicket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = self.caller(request.metadata()).await?;
        self.fetch(&caller, Command::decode(&request.get_ref().ticket)?)
            .await
            .map(Response::new)
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.caller(request.metadata()).await?;
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
        self.caller(request.metadata()).await?;
        Ok(answers(Action::types().collect()))
    }

    async fn do_action(&self, request: Request<FlightAction>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.caller(request.metadata()).await?;
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
            Action::RenewFlightEndpoint(request) => {
                // Tickets do not expire while the server runs, so the endpoint is good as it is.
                let endpoint = request.endpoint.unwrap_or_default();
                let ticket = endpoint
                    .ticket
                    .as_ref()
                    .map(|ticket| &*ticket.ticket)
                    .unwrap_or_default();
                self.open_ticket(ticket)?;
                Ok(answers(vec![ActionResult::new(endpoint.encode_to_vec())]))
            }
            Action::SetSessionOptions(options) => self.set_options(&caller, request.metadata(), options).await,
            Action::GetSessionOptions => self.get_options(&caller, request.metadata()),
            Action::CloseSession => {
                if let Some(id) = Sessions::id(&caller.identity, request.metadata()) {
                    self.sessions.close(&caller.identity, &id);
                }
                let result = CloseSessionResult {
                    status: CloseStatus::Closed as i32,
                };
                Ok(answers(vec![ActionResult::new(result.encode_to_vec())]))
            }
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
        self.caller(request.metadata()).await?;
        Err(Status::unimplemented("Flight SQL has no use for DoExchange"))
    }
}

impl Service {
    async fn caller(&self, headers: &MetadataMap) -> Result<Caller, Status> {
        let identity = self.authenticator.identify(headers).await?;
        let options = self.sessions.options(&identity, headers)?;
        let session = Sessions::id(&identity, headers);
        Ok(Caller {
            identity,
            options,
            session,
            client: Client::of(headers),
        })
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
        let context = self.read_context(caller).await?;
        let (schema, request) = match Command::of(&descriptor)? {
            Command::Statement { sql } => self.plan_request(&context, sql, None).await?,
            Command::Prepared { handle } => {
                let statement = self.prepared.get(caller.user(), &handle)?;
                self.check_unchanged(&context, &statement).await?;
                self.plan_request(&context, statement.sql.clone(), statement.values.as_ref())
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
            request: Some(request),
        };
        let ticket = TicketStatementQuery {
            statement_handle: self.tickets.sign(&ticket),
        };
        let mut endpoint = FlightEndpoint::new().with_ticket(FlightTicket::new(ticket.as_any().encode_to_vec()));
        if let Some(uri) = &self.advertise {
            endpoint = endpoint.with_location(uri);
        }
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
        context: &ReadContext,
        sql: String,
        values: Option<&RecordBatch>,
    ) -> Result<(SchemaRef, ticket::Request), Status> {
        let planned = self
            .engine
            .plan_with(&context.scope, &sql, values)
            .await
            .map_err(|error| status::of(&error))?;
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
                self.check_unchanged(&context, &statement).await?;
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
        let planned = self
            .engine
            .plan_with(&context.scope, sql, values)
            .await
            .map_err(|error| status::of(&error))?;
        self.change_session(caller, context, &planned, sql)?;
        let form = (context.types, caller.options.compression);
        let question = planned.question.as_ref();
        if let Some(again) = question.and_then(|question| self.given.get(question, form)) {
            return Ok(again);
        }
        let state = state_for(&planned.workspace.session, caller.user());
        let physical = planned.physical(&state).await.map_err(status::of_execution)?;
        let query = self.running.begin(id, caller.user());
        let answer = rows::of_plan(
            &physical,
            &state.task_ctx(),
            context.schema(&planned),
            caller.options.compression,
            query,
        )?;
        Ok(match question {
            Some(question) => self.given.keep(question, form, answer),
            None => answer,
        })
    }

    /// Does what a `use`, or a `set search_path`, asks for; says whether the statement is about the session at all.
    pub(crate) fn change_session(
        &self,
        caller: &Caller,
        context: &ReadContext,
        planned: &PlannedQuery,
        sql: &str,
    ) -> Result<bool, Status> {
        let change = Change::of(&planned.workspace.session, sql).map_err(|error| status::of(&error))?;
        let schema = match change {
            None => return Ok(false),
            Some(Change::Nothing) => return Ok(true),
            Some(Change::Schema(schema)) if schema == context.scope.schema => return Ok(true),
            Some(Change::Schema(schema)) => schema,
        };
        let Some(id) = &caller.session else {
            return Err(Status::failed_precondition(
                "this connection has no session that keeps a schema: log in with a handshake, keep the server's cookies, \
                 or write the schema before the name of each table",
            ));
        };
        let mut options = self.sessions.get(&caller.identity, id);
        options.schema = schema;
        self.sessions.set(&caller.identity, id, options);
        Ok(true)
    }

    async fn fetch_metadata(
        &self,
        caller: &Caller,
        context: &ReadContext,
        command: Metadata,
    ) -> Result<Messages, Status> {
        let workspace = self.engine.workspace(&context.scope);
        let question = metadata::Question {
            workspace: &workspace,
            schemas: &self.schemas,
            types: context.types,
            client: caller.client,
            writes: context.scope.access.writes(),
        };
        let batch = metadata::answer(command, &question)
            .await
            .map_err(|error| status::of(&error))?;
        rows::of_batch(&batch, caller.options.compression)
    }

    async fn prepare(&self, caller: &Caller, sql: String) -> Result<Response<Answers<ActionResult>>, Status> {
        let context = self.read_context(caller).await?;
        let planned = self
            .engine
            .plan(&context.scope, &sql)
            .await
            .map_err(|error| status::of(&error))?;
        let schema = context.schema(&planned);
        let statement = PreparedStatement {
            sql,
            schema: schema.clone(),
            values: None,
        };
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: self.prepared.add(caller.user(), statement)?,
            dataset_schema: ipc(&schema)?,
            parameter_schema: ipc(&parameters::schema(&planned.parameters, context.types))?,
        };
        Ok(answers(vec![ActionResult::new(result.as_any().encode_to_vec())]))
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
                .running
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

    async fn set_options(
        &self,
        caller: &Caller,
        headers: &MetadataMap,
        request: SetSessionOptionsRequest,
    ) -> Result<Response<Answers<ActionResult>>, Status> {
        let known = Sessions::id(&caller.identity, headers);
        let id = known
            .clone()
            .map_or_else(random_id, Ok)
            .map_err(|error| status::of(&error))?;
        let mut options = self.sessions.get(&caller.identity, &id);
        let mut errors = HashMap::new();
        for (name, value) in request.session_options {
            let mut changed = options.clone();
            let mut set = changed.set(&name, value.option_value.as_ref());
            if let (Ok(()), "release", Some(number)) = (set, &*name, changed.release)
                && self.engine.release(number).await.is_err()
            {
                set = Err(OptionError::InvalidValue);
            }
            match set {
                Ok(()) => options = changed,
                Err(error) => {
                    errors.insert(name, SetSessionOptionError { value: error as i32 });
                }
            }
        }
        self.sessions.set(&caller.identity, &id, options);
        let result = SetSessionOptionsResult { errors };
        let mut response = answers(vec![ActionResult::new(result.encode_to_vec())]);
        if known.is_none() {
            response
                .metadata_mut()
                .insert("set-cookie", header(&Sessions::cookie(&id))?);
        }
        Ok(response)
    }

    fn get_options(&self, caller: &Caller, headers: &MetadataMap) -> Result<Response<Answers<ActionResult>>, Status> {
        let id = Sessions::id(&caller.identity, headers);
        let options = id
            .map(|id| self.sessions.get(&caller.identity, &id))
            .unwrap_or_default();
        let options = options.list().into_iter();
        let options = options.map(|(name, value)| (name.to_owned(), SessionOptionValue { option_value: value }));
        let result = GetSessionOptionsResult {
            session_options: options.collect(),
        };
        Ok(answers(vec![ActionResult::new(result.encode_to_vec())]))
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
