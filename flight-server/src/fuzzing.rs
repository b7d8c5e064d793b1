//! What holds for what clients send whatever its bytes; fuzzing and the unit tests call it.

use std::panic;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow_flight::{Action as FlightAction, FlightData, FlightDescriptor};
use bytes::Bytes;
use cordada_query::auth::Keyring;
use futures::executor::block_on;
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::codegen::http::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue};
use tonic::{Code, Status};

use crate::authenticator::credentials;
use crate::protocol::{Action, Command};
use crate::sessions::Sessions;
use crate::ticket::{Ticket, Tickets};
use crate::{bulk_ingest, flights, plain_values, received};

/// A command, criteria, an action, headers and a ticket are read, or are the client's mistake; the first byte chooses the
/// action. A ticket that this server did not sign is refused, and one that it signed comes back as it was.
pub fn flight(input: &[u8]) {
    let command = Command::decode(input);
    if let Ok(Command::Ingest(command)) = &command
        && let Err(status) = bulk_ingest::request(command, "marts")
    {
        assert!(
            matches!(status.code(), Code::InvalidArgument | Code::Unimplemented),
            "{status}"
        );
    }
    assert_clients_mistake(command);
    assert_clients_mistake(flights::wanted(&[], input));
    if let Ok(path) = std::str::from_utf8(input) {
        let path = path.split('/').map(str::to_owned).collect();
        assert_clients_mistake(Command::of(&FlightDescriptor::new_path(path)));
    }
    let tickets = Tickets::new(Arc::new(Keyring::of_the_process().unwrap()));
    assert_eq!(tickets.open(input).unwrap_err().code(), Code::InvalidArgument);
    if let Ok(read) = Ticket::decode(input) {
        let ticket = Ticket {
            expires: Ticket::new_expiry(),
            ..read
        };
        assert_eq!(tickets.open(&tickets.sign(&ticket)).unwrap(), ticket);
    }
    if let Some((which, body)) = input.split_first() {
        let names: Vec<_> = Action::types().map(|action| action.r#type).collect();
        let name = names[usize::from(*which) % names.len()].clone();
        assert_clients_mistake(Action::decode(&FlightAction::new(name, body.to_vec())));
    }
    if let Ok(value) = HeaderValue::from_bytes(input) {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value.clone()), (COOKIE, value)]);
        let _ = Sessions::shown(&headers);
        if let Err(status) = credentials(&headers) {
            assert_eq!(status.code(), Code::Unauthenticated, "{status}");
        }
    }
}

/// The messages of a DoPut, each as the length of its header, its header, the length of its body, and its body, with lengths
/// of two bytes: the values in them are read, or are damaged; what is read has the engine's types and is sound.
pub fn values(mut input: &[u8]) {
    let mut next = || {
        let (length, rest) = input.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        input = rest;
        Some(Bytes::copy_from_slice(part))
    };
    let mut messages = Vec::new();
    while let Some(data_header) = next() {
        messages.push(FlightData {
            data_header,
            data_body: next().unwrap_or_default(),
            ..FlightData::default()
        });
    }
    let Some(first) = messages.first().cloned() else {
        return;
    };
    // The decoder may panic, which is caught; the hook of a fuzzer would end the process.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let _ = received::schema(&first);
    let read = received::batches(stream::iter(messages.into_iter().map(Ok))).try_collect::<Vec<RecordBatch>>();
    let read = block_on(read);
    panic::set_hook(hook);
    for batch in read.unwrap_or_default() {
        let Ok(plain) = plain_values::plain(&batch) else {
            continue;
        };
        assert_eq!(plain.num_rows(), batch.num_rows());
        for column in plain.columns() {
            column.to_data().validate_full().unwrap();
        }
    }
}

fn assert_clients_mistake<T>(read: Result<T, Status>) {
    if let Err(status) = read {
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RunArray, StringArray};
    use arrow::datatypes::Int8Type;
    use arrow_flight::encode::FlightDataEncoderBuilder;
    use arrow_flight::sql::TableDefinitionOptions;
    use arrow_flight::sql::{
        ActionCreatePreparedStatementRequest, CommandGetTables, CommandStatementIngest, ProstMessageExt,
    };
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::ticket::{Query, Request};

    /// Two commands, an action's body, and a ticket.
    fn messages() -> [Vec<u8>; 4] {
        let ingest = CommandStatementIngest {
            table_definition_options: Some(TableDefinitionOptions {
                if_not_exist: 1,
                if_exists: 2,
            }),
            table: "leads".to_owned(),
            schema: Some("crm".to_owned()),
            ..CommandStatementIngest::default()
        };
        let tables = CommandGetTables {
            catalog: Some("lake".to_owned()),
            table_types: vec!["TABLE".to_owned()],
            ..CommandGetTables::default()
        };
        let prepare = ActionCreatePreparedStatementRequest {
            query: "select 1".to_owned(),
            transaction_id: None,
        };
        let ticket = Ticket {
            query: "q".to_owned(),
            release: 3,
            schema: "marts".to_owned(),
            views: true,
            no_time_zones: false,
            expires: 0,
            request: Some(Request::Query(Query::new("select 1".to_owned(), None).unwrap())),
        };
        let body = [vec![0], prepare.as_any().encode_to_vec()].concat();
        [
            tables.as_any().encode_to_vec(),
            body,
            ticket.encode_to_vec(),
            ingest.as_any().encode_to_vec(),
        ]
    }

    /// The messages of rows in types that are not the engine's, as [`values`] takes them.
    fn put() -> Vec<u8> {
        let dictionary: DictionaryArray<Int8Type> = ["a", "b", "a"].into_iter().collect();
        let runs = RunArray::try_new(&Int32Array::from(vec![2, 3]), &Int64Array::from(vec![7, 8])).unwrap();
        let columns: [(&str, ArrayRef); 3] = [
            ("text", Arc::new(StringArray::from(vec![Some("x"), None, Some("")]))),
            ("dictionary", Arc::new(dictionary)),
            ("runs", Arc::new(runs)),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let messages = FlightDataEncoderBuilder::new().build(stream::iter([Ok(batch)]));
        let messages: Vec<FlightData> = block_on(messages.try_collect()).unwrap();
        let parts = messages
            .iter()
            .flat_map(|message| [&message.data_header, &message.data_body]);
        let framed = parts.map(|part| [&u16::try_from(part.len()).unwrap().to_le_bytes(), &**part].concat());
        framed.collect::<Vec<_>>().concat()
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_the_clients_mistake(input: Vec<u8>) {
            flight(&input);
            values(&input);
        }

        #[test]
        fn damaged_values_are_read_or_refused(
            damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        ) {
            let mut input = put();
            for (at, byte) in damage {
                let at = at.index(input.len());
                input[at] = byte;
            }
            values(&input);
        }

        #[test]
        fn damaged_messages_are_read_or_the_clients_mistake(
            which in 0..4usize,
            damage in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
            end: Index,
        ) {
            let mut input = messages()[which].clone();
            for (at, byte) in damage {
                let at = at.index(input.len());
                input[at] = byte;
            }
            flight(&input);
            input.truncate(end.index(input.len()));
            flight(&input);
        }
    }
}
