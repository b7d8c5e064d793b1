//! What is known of a table that rows land in: the types of its columns, and what the values look like that have landed,
//! by which the types are decided as if all had come at once.

use std::collections::HashMap;

use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use cordada_core::spelling::Former;
use cordada_core::types;
use cordada_ingest_formats::shape::Shape;
use cordada_ingest_formats::values::zones::Zones;

use crate::kept::Shapes;

/// What is known of the table that rows land in.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) columns: Option<&'a SchemaRef>,
    pub(crate) shapes: &'a Shapes,
}

impl Known<'_> {
    /// The types of the table's columns.
    pub(crate) fn data_types(&self) -> HashMap<&str, &DataType> {
        let columns = self.columns.into_iter().flat_map(|columns| columns.fields());
        columns
            .map(|field| (field.name().as_str(), field.data_type()))
            .collect()
    }

    /// What the values of a column look like, which has that type if the table has it; `None` if its type says all that
    /// is known.
    pub(crate) fn shape(&self, name: &str, data_type: Option<&DataType>) -> Option<Shape> {
        match data_type {
            None | Some(DataType::Null) => Some(Shape::default()),
            Some(data_type) => {
                let shape = self.shapes.get(name)?;
                // Not if somebody else changed the table since.
                let own = shape.data_type(None).ok()?;
                types::only_grows(&own, data_type).then(|| shape.clone())
            }
        }
    }

    /// How the values of the columns were written, where times without a zone are of `zones`.
    pub(crate) fn former(&self, zones: &Zones) -> Former {
        let types = self.data_types();
        let shape = |name: &str| self.shape(name, types.get(name).copied());
        let names = self.shapes.keys();
        names
            .filter_map(|name| Some((name.clone(), shape(name)?.spelling(zones.column(name)))))
            .collect()
    }
}

/// The shapes of those columns that land as they came: of what a transform or the contract has changed they say nothing.
pub(crate) fn landing_as(shapes: Shapes, schema: &Schema) -> Shapes {
    let fields: HashMap<&str, &FieldRef> = schema
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field))
        .collect();
    let lands = |name: &str, shape: &Shape| {
        let own = shape.data_type(None).map(|own| types::storable_type(&own));
        let Some(field) = fields.get(name) else {
            return true;
        };
        own.is_ok_and(|own| types::only_grows(&own, &types::storable_type(field.data_type())))
    };
    shapes.into_iter().filter(|(name, shape)| lands(name, shape)).collect()
}
