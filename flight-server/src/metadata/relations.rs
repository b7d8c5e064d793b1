//! Catalogs, schemas, relations and their columns.

use arrow::array::RecordBatch;
use arrow::datatypes::{Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::sql::metadata::GetCatalogsBuilder;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTableTypes, CommandGetTables};
use cordada_core::{Context, Result};
use cordada_lake::query::session::CATALOG;
use cordada_query::{DocumentedRelation, Workspace};

use super::{DOING, Question, arrow_error};
use crate::wire::Types;
use crate::{sql_types, wire};

const TABLE: &str = "TABLE";
const VIEW: &str = "VIEW";

pub(super) fn catalogs_schema() -> SchemaRef {
    GetCatalogsBuilder::new().schema()
}

pub(super) fn catalogs() -> Result<RecordBatch, ArrowError> {
    let mut rows = GetCatalogsBuilder::new();
    rows.append(CATALOG);
    rows.build().map_err(arrow_error)
}

pub(super) fn schemas(command: CommandGetDbSchemas, workspace: &Workspace) -> Result<RecordBatch, ArrowError> {
    let mut rows = command.into_builder();
    for schema in workspace.schemas() {
        rows.append(CATALOG, schema);
    }
    rows.build().map_err(arrow_error)
}

pub(super) async fn tables(command: CommandGetTables, question: &Question<'_>) -> Result<RecordBatch> {
    let workspace = question.workspace;
    let include_schema = command.include_schema;
    let relations = workspace.documented().await?;
    let answer = undescribed(command, relations).doing(|| DOING)?;
    if !include_schema {
        return Ok(answer);
    }
    let (schemas, columns) = (question.schemas, workspace.columns().await?);
    let complete = schemas.complete(&answer, relations, columns, question.types, described);
    complete.doing(|| DOING)
}

/// The relations without their columns.
fn undescribed(command: CommandGetTables, relations: &[DocumentedRelation]) -> Result<RecordBatch, ArrowError> {
    let none = Schema::empty();
    let mut rows = command.into_builder();
    for relation in relations {
        let table_type = if relation.is_view { VIEW } else { TABLE };
        rows.append(CATALOG, relation.name.schema(), relation.name.name(), table_type, &none)
            .map_err(arrow_error)?;
    }
    rows.build().map_err(arrow_error)
}

/// The columns of a relation as Flight SQL describes columns, in the types that a query of it gives.
fn described(relation: &DocumentedRelation, columns: &Schema, types: Types) -> Schema {
    let described = columns.fields().iter().map(|column| {
        let plain_type = wire::plain_type(column.data_type(), types);
        let plain = column.as_ref().clone().with_data_type(plain_type);
        sql_types::describe_column(
            plain,
            CATALOG,
            relation.name.schema(),
            relation.name.name(),
            relation.remark(column),
        )
    });
    Schema::new(described.collect::<Fields>())
}

pub(super) fn table_types_schema() -> SchemaRef {
    CommandGetTableTypes {}.into_builder().schema()
}

pub(super) fn table_types() -> Result<RecordBatch, ArrowError> {
    let mut rows = CommandGetTableTypes {}.into_builder();
    rows.append(TABLE);
    rows.append(VIEW);
    rows.build().map_err(arrow_error)
}
