//! What is known of a table that rows land in: the types of its columns, and what the values look like that have landed,
//! by which the types are decided as if all had come at once.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
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
    /// The type of a column, if the table has it.
    pub(crate) fn data_type(&self, name: &str) -> Option<&DataType> {
        let columns = self.columns?;
        columns.field_with_name(name).ok().map(Field::data_type)
    }

    /// What the values of a column look like; `None` if its type says all that is known.
    pub(crate) fn shape(&self, name: &str) -> Option<Shape> {
        match self.data_type(name) {
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
        let names = self.shapes.keys();
        names
            .filter_map(|name| Some((name.clone(), self.shape(name)?.spelling(zones.column(name)))))
            .collect()
    }
}

/// The shapes of those columns that land as they came: of what a transform or the contract has changed they say nothing.
pub(crate) fn landing_as(shapes: Shapes, schema: &Schema) -> Shapes {
    let lands = |name: &str, shape: &Shape| {
        let own = shape.data_type(None).map(|own| types::storable_type(&own));
        let Ok(field) = schema.field_with_name(name) else {
            return true;
        };
        own.is_ok_and(|own| types::only_grows(&own, &types::storable_type(field.data_type())))
    };
    shapes.into_iter().filter(|(name, shape)| lands(name, shape)).collect()
}
