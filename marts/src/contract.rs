//! A model's contract: the columns and types that its YAML promises.

use arrow::datatypes::{DataType, Schema};
use cordada_core::suggest::did_you_mean;
use cordada_core::types::storable_type;
use cordada_core::{Error, Result};
use cordada_lake::Lake;
use cordada_lake::query::sql;
use datafusion::prelude::SessionContext;

use crate::node::Node;

/// The type that SQL calls `name`.
pub(crate) async fn data_type(lake: &Lake, session: &SessionContext, name: &str) -> Result<DataType> {
    let plan = sql::plan(lake, session, &format!("select cast(null as {name})")).await?;
    Ok(plan.schema().field(0).data_type().clone())
}

/// Checks that a model has exactly the columns that its YAML declares, of the declared types.
pub(crate) async fn check(lake: &Lake, session: &SessionContext, node: &Node, schema: &Schema) -> Result<()> {
    let doing = || format!("checking the contract of {}", node.name);
    for column in &node.columns {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        let Ok(field) = schema.field_with_name(&column.name) else {
            let error = Error::config(doing(), format!("the model has no column `{}`", column.name));
            return Err(column
                .place
                .mark(error)
                .hint(did_you_mean(&column.name, "columns", names)));
        };
        let Some(declared) = &column.data_type else {
            let error = Error::config(doing(), format!("the column `{}` has no `data_type`", column.name));
            return Err(column
                .place
                .mark(error)
                .hint("an enforced contract names the type of each column"));
        };
        let expected = data_type(lake, session, declared).await.map_err(|error| {
            column.place.mark(Error::config(
                doing(),
                format!("`{declared}` is not a type: {}", error.why()),
            ))
        })?;
        if storable_type(&expected) != storable_type(field.data_type()) {
            let why = format!(
                "the column `{}` is {} and not {declared}",
                column.name,
                field.data_type()
            );
            return Err(column
                .place
                .mark(Error::config(doing(), why))
                .hint("cast it in the model"));
        }
    }
    let undeclared = |name: &str| !node.columns.iter().any(|column| column.name == name);
    match schema.fields().iter().find(|field| undeclared(field.name())) {
        None => Ok(()),
        Some(field) => {
            let error = Error::config(doing(), format!("the column `{}` is not in the contract", field.name()));
            Err(node
                .file
                .find(field.name())
                .mark(error)
                .hint("declare it in the YAML or leave it out"))
        }
    }
}
