//! What clients ask for: protobuf decoded into one enum of commands and one of actions, matched exhaustively, so that
//! the compiler leads whoever adds a command to every place that must answer it.

use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, Any,
    Command as SqlCommand, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
    CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandStatementIngest, ProstMessageExt,
};
use arrow_flight::{
    Action as FlightAction, ActionType, CancelFlightInfoRequest, FlightDescriptor, FlightInfo,
    RenewFlightEndpointRequest,
};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

use crate::session_messages::SetSessionOptionsRequest;

/// A command of a flight descriptor or a ticket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    /// A query.
    Statement {
        /// Its SQL.
        sql: String,
    },
    /// A prepared query, or values for its parameters.
    Prepared {
        /// What preparing it gave.
        handle: Bytes,
    },
    /// What there is in the lake, or what the server can do.
    Metadata(Metadata),
    /// A ticket that this server gave for one of the others.
    Ticket {
        /// Its signed bytes.
        signed: Bytes,
    },
    /// A statement of which only the number of rows that it changes is asked for.
    Update {
        /// Its SQL.
        sql: String,
    },
    /// A prepared statement of which that is asked for, or values for its parameters.
    PreparedUpdate {
        /// What preparing it gave.
        handle: Bytes,
    },
    /// Rows that become a table, or are added to one.
    Ingest(CommandStatementIngest),
    /// A Substrait plan.
    Substrait,
}

/// A question about the lake or the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Metadata {
    /// The catalogs.
    Catalogs,
    /// The schemas.
    DbSchemas(CommandGetDbSchemas),
    /// The relations, with their columns if asked for.
    Tables(CommandGetTables),
    /// The sorts of relations.
    TableTypes,
    /// What the server can do.
    SqlInfo(CommandGetSqlInfo),
    /// The SQL types.
    XdbcTypeInfo(CommandGetXdbcTypeInfo),
    /// The primary key of a relation.
    PrimaryKeys(CommandGetPrimaryKeys),
    /// What refers to a relation.
    ExportedKeys(CommandGetExportedKeys),
    /// What a relation refers to.
    ImportedKeys(CommandGetImportedKeys),
    /// How one relation refers to another.
    CrossReference(CommandGetCrossReference),
}

impl Command {
    /// What a descriptor describes. A path is that of a relation, by its name after those of its schema and its catalog,
    /// and means all of its rows.
    pub(crate) fn of(descriptor: &FlightDescriptor) -> Result<Self, Status> {
        if descriptor.r#type() != DescriptorType::Path {
            return Self::decode(&descriptor.cmd);
        }
        if descriptor.path.is_empty() {
            return Err(Status::invalid_argument("the path of the descriptor is empty"));
        }
        Ok(Self::Statement {
            sql: all_rows(descriptor.path.iter().map(String::as_str)),
        })
    }

    /// Reads the bytes of a descriptor or a ticket.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Status> {
        let any = Any::decode(bytes).map_err(|_| Status::invalid_argument("this is not a Flight SQL command"))?;
        let command = SqlCommand::try_from(any)
            .map_err(|error| Status::invalid_argument(format!("the Flight SQL command is damaged: {error}")))?;
        Ok(match command {
            SqlCommand::CommandStatementQuery(c) => Self::Statement { sql: c.query },
            SqlCommand::CommandPreparedStatementQuery(c) => Self::Prepared {
                handle: c.prepared_statement_handle,
            },
            SqlCommand::TicketStatementQuery(c) => Self::Ticket {
                signed: c.statement_handle,
            },
            SqlCommand::CommandGetCatalogs(_) => Self::Metadata(Metadata::Catalogs),
            SqlCommand::CommandGetDbSchemas(c) => Self::Metadata(Metadata::DbSchemas(c)),
            SqlCommand::CommandGetTables(c) => Self::Metadata(Metadata::Tables(c)),
            SqlCommand::CommandGetTableTypes(_) => Self::Metadata(Metadata::TableTypes),
            SqlCommand::CommandGetSqlInfo(c) => Self::Metadata(Metadata::SqlInfo(c)),
            SqlCommand::CommandGetXdbcTypeInfo(c) => Self::Metadata(Metadata::XdbcTypeInfo(c)),
            SqlCommand::CommandGetPrimaryKeys(c) => Self::Metadata(Metadata::PrimaryKeys(c)),
            SqlCommand::CommandGetExportedKeys(c) => Self::Metadata(Metadata::ExportedKeys(c)),
            SqlCommand::CommandGetImportedKeys(c) => Self::Metadata(Metadata::ImportedKeys(c)),
            SqlCommand::CommandGetCrossReference(c) => Self::Metadata(Metadata::CrossReference(c)),
            SqlCommand::CommandStatementUpdate(c) => Self::Update { sql: c.query },
            SqlCommand::CommandPreparedStatementUpdate(c) => Self::PreparedUpdate {
                handle: c.prepared_statement_handle,
            },
            SqlCommand::CommandStatementIngest(c) => Self::Ingest(c),
            SqlCommand::CommandStatementSubstraitPlan(_) => Self::Substrait,
            SqlCommand::ActionBeginSavepointRequest(_)
            | SqlCommand::ActionBeginSavepointResult(_)
            | SqlCommand::ActionBeginTransactionRequest(_)
            | SqlCommand::ActionBeginTransactionResult(_)
            | SqlCommand::ActionCancelQueryRequest(_)
            | SqlCommand::ActionCancelQueryResult(_)
            | SqlCommand::ActionClosePreparedStatementRequest(_)
            | SqlCommand::ActionCreatePreparedStatementRequest(_)
            | SqlCommand::ActionCreatePreparedStatementResult(_)
            | SqlCommand::ActionCreatePreparedSubstraitPlanRequest(_)
            | SqlCommand::ActionEndSavepointRequest(_)
            | SqlCommand::ActionEndTransactionRequest(_)
            | SqlCommand::DoPutPreparedStatementResult(_)
            | SqlCommand::DoPutUpdateResult(_)
            | SqlCommand::Unknown(_) => {
                return Err(Status::invalid_argument(
                    "this message is not a command of a descriptor or a ticket",
                ));
            }
        })
    }
}

/// The query of all rows of the relation of that name.
pub(crate) fn all_rows<'a>(name: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = name.map(|part| format!("\"{}\"", part.replace('"', "\"\""))).collect();
    format!("select * from {}", quoted.join("."))
}

/// An action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Prepares a query.
    CreatePreparedStatement {
        /// Its SQL.
        sql: String,
    },
    /// Forgets a prepared query.
    ClosePreparedStatement {
        /// What preparing it gave.
        handle: Bytes,
    },
    /// Stops a query, as Flight SQL asks for it.
    CancelQuery {
        /// What planning the query gave.
        info: FlightInfo,
    },
    /// Stops a query, as Flight asks for it.
    CancelFlightInfo {
        /// What planning the query gave.
        info: FlightInfo,
    },
    /// Asks for more time for an endpoint.
    RenewFlightEndpoint(RenewFlightEndpointRequest),
    /// Sets options of the session.
    SetSessionOptions(SetSessionOptionsRequest),
    /// Asks for the options of the session.
    GetSessionOptions,
    /// Ends the session.
    CloseSession,
    /// Begins or ends a transaction or a savepoint, or prepares a Substrait plan.
    Unsupported {
        /// The action's name.
        name: String,
    },
}

/// The actions that the server answers, with what they do.
const ACTIONS: [(&str, &str); 8] = [
    (
        "CreatePreparedStatement",
        "Prepares a query: ActionCreatePreparedStatementRequest → …Result",
    ),
    (
        "ClosePreparedStatement",
        "Forgets a prepared query: ActionClosePreparedStatementRequest",
    ),
    (
        "CancelQuery",
        "Stops a query: ActionCancelQueryRequest → ActionCancelQueryResult",
    ),
    (
        "CancelFlightInfo",
        "Stops a query: CancelFlightInfoRequest → CancelFlightInfoResult",
    ),
    (
        "RenewFlightEndpoint",
        "Asks for more time for an endpoint: RenewFlightEndpointRequest → FlightEndpoint",
    ),
    (
        "SetSessionOptions",
        "Sets options (catalog, schema, release …): SetSessionOptionsRequest → …Result",
    ),
    (
        "GetSessionOptions",
        "Gives the options of the session: GetSessionOptionsRequest → …Result",
    ),
    (
        "CloseSession",
        "Ends the session: CloseSessionRequest → CloseSessionResult",
    ),
];

impl Action {
    /// Reads an action.
    pub(crate) fn decode(action: &FlightAction) -> Result<Self, Status> {
        Ok(match action.r#type.as_str() {
            "CreatePreparedStatement" => {
                let request: ActionCreatePreparedStatementRequest = packed(action)?;
                Self::CreatePreparedStatement { sql: request.query }
            }
            "ClosePreparedStatement" => {
                let request: ActionClosePreparedStatementRequest = packed(action)?;
                Self::ClosePreparedStatement {
                    handle: request.prepared_statement_handle,
                }
            }
            "CancelQuery" => {
                let request: ActionCancelQueryRequest = packed(action)?;
                let info = FlightInfo::decode(request.info).map_err(|_| damaged(&action.r#type))?;
                Self::CancelQuery { info }
            }
            "CancelFlightInfo" => {
                let request: CancelFlightInfoRequest = plain(action)?;
                Self::CancelFlightInfo {
                    info: request.info.ok_or_else(|| damaged(&action.r#type))?,
                }
            }
            "RenewFlightEndpoint" => Self::RenewFlightEndpoint(plain(action)?),
            "SetSessionOptions" => Self::SetSessionOptions(plain(action)?),
            "GetSessionOptions" => Self::GetSessionOptions,
            "CloseSession" => Self::CloseSession,
            "BeginTransaction"
            | "EndTransaction"
            | "BeginSavepoint"
            | "EndSavepoint"
            | "CreatePreparedSubstraitPlan" => Self::Unsupported {
                name: action.r#type.clone(),
            },
            other => {
                let known: Vec<_> = ACTIONS.iter().map(|(name, _)| *name).collect();
                return Err(Status::invalid_argument(format!(
                    "there is no action `{other}`; the actions are {}",
                    known.join(", ")
                )));
            }
        })
    }

    /// The actions that there are.
    pub(crate) fn types() -> impl Iterator<Item = ActionType> {
        ACTIONS.into_iter().map(|(name, description)| ActionType {
            r#type: name.to_owned(),
            description: description.to_owned(),
        })
    }
}

/// A Flight SQL message, wrapped in `Any`.
fn packed<M: ProstMessageExt>(action: &FlightAction) -> Result<M, Status> {
    let any = Any::decode(&*action.body).map_err(|_| damaged(&action.r#type))?;
    any.unpack().ok().flatten().ok_or_else(|| damaged(&action.r#type))
}

/// A Flight message, as it is.
fn plain<M: Message + Default>(action: &FlightAction) -> Result<M, Status> {
    M::decode(&*action.body).map_err(|_| damaged(&action.r#type))
}

fn damaged(action: &str) -> Status {
    Status::invalid_argument(format!("the body of the action {action} is not its request"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use arrow_flight::sql::{ActionBeginTransactionRequest, CommandStatementQuery, CommandStatementUpdate};
    use proptest::prelude::*;
    use tonic::Code;

    use super::*;

    fn decode(message: &impl ProstMessageExt) -> Result<Command, Status> {
        Command::decode(&message.as_any().encode_to_vec())
    }

    #[test]
    fn commands_are_told_apart() {
        let query = CommandStatementQuery {
            query: "select 1".to_owned(),
            transaction_id: None,
        };
        assert_eq!(
            decode(&query).unwrap(),
            Command::Statement {
                sql: "select 1".to_owned()
            }
        );
        let update = decode(&CommandStatementUpdate::default()).unwrap();
        assert_eq!(update, Command::Update { sql: String::new() });
        assert_eq!(
            decode(&ActionBeginTransactionRequest {}).unwrap_err().code(),
            Code::InvalidArgument
        );
    }

    #[test]
    fn a_path_means_all_rows_of_a_relation_whatever_its_name() {
        let path = |parts: &[&str]| {
            let parts = parts.iter().map(|part| (*part).to_owned()).collect();
            Command::of(&FlightDescriptor::new_path(parts))
        };
        let Command::Statement { sql } = path(&["marts", "a\"b; drop"]).unwrap() else {
            panic!("a path is not read as a statement");
        };
        assert_eq!(sql, r#"select * from "marts"."a""b; drop""#);
        assert_eq!(path(&[]).unwrap_err().code(), Code::InvalidArgument);
    }

    #[test]
    fn every_action_that_is_listed_is_read() {
        let info = CancelFlightInfoRequest {
            info: Some(FlightInfo::new()),
        }
        .encode_to_vec();
        let prepare = ActionCreatePreparedStatementRequest {
            query: "select 1".to_owned(),
            transaction_id: None,
        };
        let close = ActionClosePreparedStatementRequest::default();
        for listed in Action::types() {
            let body = match listed.r#type.as_str() {
                "CreatePreparedStatement" => prepare.as_any().encode_to_vec(),
                "ClosePreparedStatement" => close.as_any().encode_to_vec(),
                "CancelQuery" => ActionCancelQueryRequest::default().as_any().encode_to_vec(),
                "CancelFlightInfo" => info.clone(),
                _ => Vec::new(),
            };
            Action::decode(&FlightAction::new(listed.r#type, body)).unwrap();
        }
        let unknown = Action::decode(&FlightAction::new("Dance", "")).unwrap_err();
        assert!(unknown.message().contains("CloseSession"), "{unknown}");
    }

    proptest! {
        #[test]
        fn garbage_is_the_clients_mistake(bytes: Vec<u8>, at in 0..ACTIONS.len()) {
            if let Err(status) = Command::decode(&bytes) {
                prop_assert_eq!(status.code(), Code::InvalidArgument);
            }
            if let Err(status) = Action::decode(&FlightAction::new(ACTIONS[at].0, bytes)) {
                prop_assert_eq!(status.code(), Code::InvalidArgument);
            }
        }
    }
}
