//! `describe`: the columns of a relation or of a query.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use super::columns::{text, yes_or_no};
use super::sql_types;

/// The plan; if it describes columns, with SQL's names of their types and not Arrow's.
pub(in crate::query) fn in_sqls_words(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::DescribeTable(described) = plan else {
        return Ok(plan);
    };
    let columns = described.schema.fields().iter();
    let names = ["column_name", "data_type", "is_nullable"];
    let schema = Schema::new(names.map(|name| Field::new(name, DataType::Utf8, false)).to_vec());
    let rows = RecordBatch::try_new(
        Arc::new(schema),
        vec![
            text(columns.clone().map(|column| column.name())),
            text(columns.clone().map(|column| sql_types::full_name(column.data_type()))),
            text(columns.map(|column| yes_or_no(column.is_nullable()))),
        ],
    )?;
    let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
    LogicalPlanBuilder::scan("describe", provider_as_source(Arc::new(table)), None)?.build()
}
