//! Bulk ingestion: a client's rows become a table ([`cordada_query::BulkIngest`]).

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::FlightData;
use arrow_flight::error::FlightError;
use arrow_flight::sql::CommandStatementIngest;
use arrow_flight::sql::{TableExistsOption, TableNotExistOption};
use cordada_core::{Error, ErrorKind, TableName};
use cordada_lake::query::session::CATALOG;
use cordada_query::{BulkIngest, IfExists, IfMissing};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tonic::Status;

use crate::{received, status};

/// How long a client may send nothing in the midst of its rows: others wait for the table.
const IDLE: Duration = Duration::from_secs(300);

/// What a command asks for; `schema` is that of tables that are named without one.
///
/// # Errors
/// InvalidArgument: it leaves out what is needed, or asks for what there is not. Unimplemented: transactions and
/// temporary tables.
pub(crate) fn request(command: &CommandStatementIngest, schema: &str) -> Result<BulkIngest, Status> {
    if command.temporary {
        return Err(Status::unimplemented(
            "there are no temporary tables; ingest into a table of the lake",
        ));
    }
    if command.transaction_id.as_ref().is_some_and(|id| !id.is_empty()) {
        return Err(Status::unimplemented(
            "there are no transactions: an ingestion is one release, or nothing",
        ));
    }
    if let Some(catalog) = command.catalog.as_deref()
        && !matches!(catalog, "" | CATALOG)
    {
        return Err(Status::invalid_argument(format!(
            "there is no catalog `{catalog}`; the catalog is `{CATALOG}`"
        )));
    }
    if let Some(option) = command.options.keys().min() {
        return Err(Status::invalid_argument(format!(
            "there is no option `{option}`; an ingestion has none"
        )));
    }
    let options = command.table_definition_options.unwrap_or_default();
    let unspecified =
        || Status::invalid_argument("the command does not say what to do if the table exists or does not");
    let schema = command
        .schema
        .as_deref()
        .filter(|schema| !schema.is_empty())
        .unwrap_or(schema);
    Ok(BulkIngest {
        table: TableName::new(schema, &*command.table).map_err(|error| status::of(&error))?,
        if_missing: match options.if_not_exist() {
            TableNotExistOption::Unspecified => return Err(unspecified()),
            TableNotExistOption::Create => IfMissing::Create,
            TableNotExistOption::Fail => IfMissing::Fail,
        },
        if_exists: match options.if_exists() {
            TableExistsOption::Unspecified => return Err(unspecified()),
            TableExistsOption::Fail => IfExists::Fail,
            TableExistsOption::Append => IfExists::Append,
            TableExistsOption::Replace => IfExists::Replace,
        },
    })
}

/// The rows that a client sends, as they come; the first message says their columns.
///
/// # Errors
/// InvalidArgument: the first message has no schema.
pub(crate) fn rows(
    first: FlightData,
    rest: impl Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
) -> Result<SendableRecordBatchStream, Status> {
    let schema = received::schema(&first)
        .map_err(|_| Status::invalid_argument("the first message of the rows does not say their columns"))?;
    let messages = stream::once(async { Ok(first) }).chain(in_time(rest, IDLE));
    let batches = received::batches(messages).map_err(broken_off);
    Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::new(schema), batches)))
}

/// The messages, and an error when the next is not there in time.
fn in_time(
    messages: impl Stream<Item = Result<FlightData, Status>> + Send + Unpin + 'static,
    idle: Duration,
) -> impl Stream<Item = Result<FlightData, Status>> + Send + 'static {
    stream::try_unfold(messages, move |mut messages| async move {
        let next = tokio::time::timeout(idle, messages.next()).await;
        let next = next.map_err(|_| Status::deadline_exceeded(format!("nothing came for {} s", idle.as_secs())))?;
        Ok::<_, Status>(next.transpose()?.map(|message| (message, messages)))
    })
}

/// The error of rows that ended before their end.
fn broken_off(error: FlightError) -> DataFusionError {
    let doing = "receiving the rows of a client";
    let error = match error {
        FlightError::Tonic(status) => Error::new(ErrorKind::Cancelled, doing, status.message()),
        other => Error::failed(doing, other),
    };
    error.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use arrow_flight::sql::TableDefinitionOptions;
    use tonic::Code;

    use super::*;

    fn command() -> CommandStatementIngest {
        CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: TableNotExistOption::Create as i32,
                if_exists: TableExistsOption::Append as i32,
            }),
            table: "t".to_owned(),
            schema: None,
            catalog: None,
            temporary: false,
            transaction_id: None,
            options: HashMap::new(),
        }
    }

    #[test]
    fn a_command_says_the_table_and_what_becomes_of_it() {
        let asked = request(&command(), "marts").unwrap();
        assert_eq!(asked.table, "marts.t".parse().unwrap());
        assert_eq!(
            (asked.if_missing, asked.if_exists),
            (IfMissing::Create, IfExists::Append)
        );
        let named = CommandStatementIngest {
            schema: Some("crm".to_owned()),
            catalog: Some("lake".to_owned()),
            ..command()
        };
        assert_eq!(request(&named, "marts").unwrap().table, "crm.t".parse().unwrap());
    }

    #[test]
    fn what_there_is_not_is_refused() {
        let refused = |change: fn(&mut CommandStatementIngest)| {
            let mut command = command();
            change(&mut command);
            request(&command, "marts").unwrap_err().code()
        };
        assert_eq!(refused(|command| command.temporary = true), Code::Unimplemented);
        let transaction = refused(|command| command.transaction_id = Some("x".into()));
        assert_eq!(transaction, Code::Unimplemented);
        assert_eq!(
            refused(|command| command.catalog = Some("other".to_owned())),
            Code::InvalidArgument
        );
        assert_eq!(
            refused(|command| command.table = "../t".to_owned()),
            Code::InvalidArgument
        );
        assert_eq!(
            refused(|command| command.table_definition_options = None),
            Code::InvalidArgument
        );
        let option = refused(|command| {
            command.options.insert("fast".to_owned(), "yes".to_owned());
        });
        assert_eq!(option, Code::InvalidArgument);
    }

    #[tokio::test]
    async fn a_client_that_falls_silent_does_not_hold_the_table_for_ever() {
        let mut messages = std::pin::pin!(in_time(stream::pending(), Duration::ZERO));
        let ended = messages.next().await.unwrap().unwrap_err();
        assert_eq!(ended.code(), Code::DeadlineExceeded);
        let mut messages = std::pin::pin!(in_time(stream::iter([Ok(FlightData::new())]), IDLE));
        assert!(messages.next().await.unwrap().is_ok() && messages.next().await.is_none());
    }
}
