//! What holds for what clients send whatever its bytes; fuzzing and the unit tests call it.

use std::sync::Arc;

use arrow_flight::{Action as FlightAction, FlightDescriptor};
use cordada_query::auth::Keyring;
use prost::Message;
use tonic::{Code, Status};

use crate::protocol::{Action, Command};
use crate::ticket::{Ticket, Tickets};
use crate::{bulk_ingest, flights};

/// A command, criteria, an action and a ticket are read, or are the client's mistake; the first byte chooses the action.
/// A ticket that this server did not sign is refused, and one that it signed comes back as it was.
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
}

fn assert_clients_mistake<T>(read: Result<T, Status>) {
    if let Err(status) = read {
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    }
}

#[cfg(test)]
mod tests {
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

    proptest! {
        #[test]
        fn any_bytes_are_read_or_the_clients_mistake(input: Vec<u8>) {
            flight(&input);
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
