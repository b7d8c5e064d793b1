//! What a client does to its session, and to tickets that it wants to keep.

use std::collections::{BTreeMap, HashMap};

use arrow_flight::sql::{ProstMessageExt, TicketStatementQuery};
use arrow_flight::{FlightEndpoint, RenewFlightEndpointRequest, Result as ActionResult, Ticket as FlightTicket};
use cordada_lake::query::session::CATALOG;
use cordada_lake::query::session_statements::Change;
use cordada_query::PlannedQuery;
use prost::Message;
use tonic::{Response, Status};

use super::{Answers, Caller, ReadContext, Service, answers, header};
use crate::options::Options;
use crate::session_messages::{
    CloseSessionResult, CloseStatus, GetSessionOptionsResult, OptionError, SessionOptionValue, SetSessionOptionError,
    SetSessionOptionsRequest, SetSessionOptionsResult,
};
use crate::sessions::{Ended, Sessions};
use crate::status;
use crate::ticket::Ticket;

impl Service {
    /// Sets options of the session. A client that has no session may only set what holds anyway: drivers do so when
    /// they connect. Anything else would be answered with yes and have no effect.
    pub(super) async fn set_options(
        &self,
        caller: &Caller,
        request: SetSessionOptionsRequest,
    ) -> Result<Response<Answers<ActionResult>>, Status> {
        let before = match caller.session() {
            Some(session) => self.sessions.get(session).await?,
            None => Options::default(),
        };
        let mut options = before.clone();
        let mut errors = HashMap::new();
        // By name, so that a schema is looked for in the release that comes with it.
        for (name, value) in request.session_options.into_iter().collect::<BTreeMap<_, _>>() {
            let mut changed = options.clone();
            let mut set = changed.set(&name, value.option_value.as_ref());
            if set.is_ok() && !self.is_there(caller, &options, &changed).await {
                set = Err(OptionError::InvalidValue);
            }
            match set {
                Ok(()) => options = changed,
                Err(error) => {
                    errors.insert(name, SetSessionOptionError { value: error as i32 });
                }
            }
        }
        if options != before {
            self.keep(caller, options).await?;
        }
        let result = SetSessionOptionsResult { errors };
        Ok(answers(vec![ActionResult::new(result.encode_to_vec())]))
    }

    /// Whether what is new in these options can be read: a release that is kept, a schema that this user sees.
    async fn is_there(&self, caller: &Caller, before: &Options, options: &Options) -> bool {
        if (options.release, &options.schema) == (before.release, &before.schema) {
            return true;
        }
        let access = &caller.identity.principal.access;
        let Ok(scope) = self.engine.scope(access, options.release, &before.schema).await else {
            return false;
        };
        if options.schema == before.schema || options.schema == Options::default().schema {
            return true;
        }
        let catalog = self.engine.workspace(&scope).session.catalog(CATALOG);
        catalog.is_some_and(|catalog| catalog.schema(&options.schema).is_some())
    }

    pub(super) async fn get_options(&self, caller: &Caller) -> Result<Response<Answers<ActionResult>>, Status> {
        let options = match caller.session() {
            Some(session) => self.sessions.get(session).await?,
            None => Options::default(),
        };
        let options = options.list().into_iter();
        let options = options.map(|(name, value)| (name.to_owned(), SessionOptionValue { option_value: value }));
        let result = GetSessionOptionsResult {
            session_options: options.collect(),
        };
        Ok(answers(vec![ActionResult::new(result.encode_to_vec())]))
    }

    /// Ends the session: its token and its cookie are refused from now on, its queries stop, its statements are gone.
    pub(super) async fn close_session(&self, caller: &Caller) -> Result<Response<Answers<ActionResult>>, Status> {
        if let Some(session) = caller.session() {
            self.end(Ended {
                user: caller.user().to_owned(),
                session: session.clone(),
            })
            .await;
        }
        let result = CloseSessionResult {
            status: CloseStatus::Closed as i32,
        };
        let mut response = answers(vec![ActionResult::new(result.encode_to_vec())]);
        response
            .metadata_mut()
            .insert("set-cookie", header(&Sessions::no_cookie())?);
        Ok(response)
    }

    /// Does what a `use`, or a `set search_path`, asks for; says whether the statement is about the session at all.
    pub(crate) async fn change_session(
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
        let mut options = match caller.session() {
            Some(session) => self.sessions.get(session).await?,
            None => Options::default(),
        };
        options.schema = schema;
        self.keep(caller, options).await?;
        Ok(true)
    }

    /// The endpoint of a ticket, with more time for it.
    pub(super) async fn renew(
        &self,
        request: RenewFlightEndpointRequest,
    ) -> Result<Response<Answers<ActionResult>>, Status> {
        let endpoint = request.endpoint.unwrap_or_default();
        let ticket = self.open_ticket(&endpoint.ticket.unwrap_or_default().ticket)?;
        // Maintenance may have removed what it reads.
        let release = self.engine.release(ticket.release).await;
        release.map_err(|error| status::of(&error))?;
        let renewed = Ticket {
            expires: Ticket::new_expiry(),
            ..ticket
        };
        let endpoint = self.endpoint(&renewed);
        Ok(answers(vec![ActionResult::new(endpoint.encode_to_vec())]))
    }

    /// Where and until when a client fetches with a ticket.
    pub(super) fn endpoint(&self, ticket: &Ticket) -> FlightEndpoint {
        let signed = TicketStatementQuery {
            statement_handle: self.tickets.sign(ticket),
        };
        let mut endpoint = FlightEndpoint::new()
            .with_ticket(FlightTicket::new(signed.as_any().encode_to_vec()))
            .with_expiration_time(ticket.expiration());
        if let Some(uri) = &self.advertise {
            endpoint = endpoint.with_location(uri);
        }
        endpoint
    }

    /// Keeps the options of the caller's session.
    async fn keep(&self, caller: &Caller, options: Options) -> Result<(), Status> {
        let Some(session) = caller.session() else {
            return Err(Status::failed_precondition(
                "this connection has no session that keeps options: log in with a handshake, or send back the cookie \
                 that comes with every answer (ADBC: `adbc.flight.sql.rpc.with_cookie_middleware`) and ask again; or \
                 write the schema before the name of each table",
            ));
        };
        if let Some(ended) = self.sessions.set(&caller.identity, session, options).await? {
            self.end(ended).await;
        }
        Ok(())
    }

    async fn end(&self, ended: Ended) {
        let Ended { user, session } = ended;
        let rest = async {
            self.executor.stop_session(&session, &user);
            self.prepared.close_session(&user, &session);
            self.sessions.close(&user, &session).await;
        };
        // The token is refused at once, so nothing new begins; a lake that is slow to write it down stops nobody else.
        tokio::join!(self.logins.close(&user, &session), rest);
    }
}
