//! What there is in the lake and what the server can do: the answers to Flight SQL's metadata commands.
//!
//! Their schemas are those of `FlightSql.proto`, to the bit.

mod described;
mod keys;
mod relations;
mod sql_info;
mod type_info;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use cordada_core::{Context, Result};
use cordada_query::Workspace;

use crate::client::Client;
use crate::protocol::Metadata;
use crate::wire::Types;

pub(crate) use described::DescribedSchemas;

const DOING: &str = "answering a question about the catalog";

/// The schema of the answer.
pub(crate) fn schema(command: &Metadata) -> SchemaRef {
    match command {
        Metadata::Catalogs => relations::catalogs_schema(),
        Metadata::DbSchemas(command) => command.clone().into_builder().schema(),
        Metadata::Tables(command) => command.clone().into_builder().schema(),
        Metadata::TableTypes => relations::table_types_schema(),
        Metadata::SqlInfo(_) => sql_info::schema(),
        Metadata::XdbcTypeInfo(_) => type_info::schema(),
        Metadata::PrimaryKeys(_) => keys::primary_schema(),
        Metadata::ExportedKeys(_) | Metadata::ImportedKeys(_) | Metadata::CrossReference(_) => keys::foreign_schema(),
    }
}

/// What an answer depends on besides the command.
pub(crate) struct Question<'a> {
    /// What there is.
    pub(crate) workspace: &'a Workspace,
    /// The types that results have for whoever asks.
    pub(crate) types: Types,
    /// Who asks.
    pub(crate) client: Client,
    /// Whether whoever asks may write anything.
    pub(crate) writes: bool,
    /// Schemas of relations as they were described before.
    pub(crate) schemas: &'a DescribedSchemas,
}

/// The answer.
pub(crate) async fn answer(command: Metadata, question: &Question<'_>) -> Result<RecordBatch> {
    let workspace = question.workspace;
    let doing = || DOING;
    match command {
        Metadata::Catalogs => relations::catalogs().doing(doing),
        Metadata::DbSchemas(command) => relations::schemas(command, workspace).doing(doing),
        Metadata::Tables(command) => relations::tables(command, question).await,
        Metadata::TableTypes => relations::table_types().doing(doing),
        Metadata::SqlInfo(command) => sql_info::answer(command, question).doing(doing),
        Metadata::XdbcTypeInfo(command) => type_info::answer(command).doing(doing),
        Metadata::PrimaryKeys(command) => keys::primary(&command, workspace.documented().await?).doing(doing),
        Metadata::ExportedKeys(command) => keys::exported(&command, workspace.documented().await?).doing(doing),
        Metadata::ImportedKeys(command) => keys::imported(&command, workspace.documented().await?).doing(doing),
        Metadata::CrossReference(command) => {
            keys::cross_reference(&command, workspace.documented().await?).doing(doing)
        }
    }
}

/// arrow-flight's builders fail with Arrow's errors only.
fn arrow_error(error: arrow_flight::error::FlightError) -> ArrowError {
    match error {
        arrow_flight::error::FlightError::Arrow(error) => error,
        other => ArrowError::ExternalError(Box::new(other)),
    }
}
