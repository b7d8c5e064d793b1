//! DoPut: values for the parameters of a statement, rows to ingest, and statements of which only the number of rows
//! that they change is asked for.

use arrow_flight::sql::{DoPutPreparedStatementResult, DoPutUpdateResult};
use arrow_flight::{FlightData, PutResult};
use cordada_query::audit::Statement;
use futures::{StreamExt, stream};
use prost::Message;
use tonic::{Response, Status, Streaming};

use crate::protocol::Command;
use crate::service::{Answers, Caller, Service, answers, no_substrait};
use crate::{audit, bulk_ingest, parameters, status};

impl Service {
    /// Takes what is sent for a command, whose first message is `first`.
    pub(crate) async fn put(
        &self,
        caller: &Caller,
        command: Command,
        first: FlightData,
        messages: Streaming<FlightData>,
    ) -> Result<Response<Answers<PutResult>>, Status> {
        match command {
            Command::Prepared { handle } => {
                let messages = stream::once(async { Ok(first) }).chain(messages);
                self.prepared
                    .bind(caller.user(), &handle, parameters::receive(messages).await?)?;
                let result = DoPutPreparedStatementResult {
                    prepared_statement_handle: Some(handle),
                };
                Ok(put_result(&result))
            }
            Command::Update { sql } => self.update(caller, &sql).await,
            Command::PreparedUpdate { handle } => {
                let sql = self.prepared.get(caller.user(), &handle)?.sql.clone();
                self.update(caller, &sql).await
            }
            Command::Ingest(command) => {
                let ingest = bulk_ingest::request(&command, &caller.options.schema)?;
                let rows = bulk_ingest::rows(first, messages)?;
                let asker = &caller.identity.principal;
                let session = caller.session().map(String::as_str);
                let mut record = self.audit.ingest(audit::DOOR, asker, session, &ingest.table);
                let written = match record.begins().await {
                    Ok(()) => self.engine.ingest(&asker.access, &ingest, rows).await,
                    Err(error) => Err(error),
                };
                let written = audit::counted(written.map_err(|error| status::of(&error)), record).await?;
                Ok(put_result(&DoPutUpdateResult {
                    record_count: i64::try_from(written).unwrap_or(i64::MAX),
                }))
            }
            Command::Substrait => Err(no_substrait()),
            Command::Statement { .. } | Command::Metadata(_) | Command::Ticket { .. } => Err(Status::invalid_argument(
                "DoPut takes rows to ingest, and values for a prepared statement; fetch queries with DoGet",
            )),
        }
    }

    async fn update(&self, caller: &Caller, sql: &str) -> Result<Response<Answers<PutResult>>, Status> {
        let mut statement = self.statement(caller, sql);
        let changed = self.change(caller, sql, &mut statement).await;
        audit::counted(changed.map(|()| 0), statement).await?;
        Ok(put_result(&DoPutUpdateResult { record_count: 0 }))
    }

    /// Does what changes the session; anything else is refused.
    async fn change(&self, caller: &Caller, sql: &str, statement: &mut Statement) -> Result<(), Status> {
        let context = self.read_context(caller).await?;
        let planned = self.engine.plan(&context.scope, sql).await;
        let planned = planned.map_err(|error| status::of(&error))?;
        statement.planned(&context.scope, &planned);
        statement.started();
        match self.change_session(caller, &context, &planned, sql).await? {
            true => Ok(()),
            false => Err(Status::invalid_argument(
                "the statement is a query, which changes no rows; fetch its rows (in Python with `execute`, for several rows \
                 of values too: `executemany` has no result)",
            )),
        }
    }
}

fn put_result(message: &impl Message) -> Response<Answers<PutResult>> {
    answers(vec![PutResult {
        app_metadata: message.encode_to_vec().into(),
    }])
}
