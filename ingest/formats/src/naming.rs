//! The names of columns and of the fields of records, once it is known which ones a file has.

use cordada_core::source_names::SourceNames;

use crate::piece::Scanned;
use crate::shape::{MAX_FIELDS, Shape};

impl Scanned {
    /// Gives the columns, and the fields of their records, the names that the table has for them or gets.
    pub fn name_columns(&mut self, names: &mut SourceNames) {
        self.plan.names = names.assign(&self.plan.originals);
        for (name, shape) in self.plan.names.iter().zip(&mut self.shapes) {
            name_fields(shape, names, name);
        }
    }
}

/// Puts the names of the lake in the place of the source's, in the records of the column.
fn name_fields(shape: &mut Shape, names: &mut SourceNames, column: &str) {
    match shape {
        Shape::List(item) => name_fields(item, names, column),
        // Others land as text.
        Shape::Object(object) if object.keys.len() <= MAX_FIELDS => {
            let names = names.within(column);
            let sources: Vec<_> = object.keys.iter().map(|key| key.name.clone()).collect();
            let mut assigned = names.assign(&sources).into_iter();
            object.rename(|key| {
                let name = assigned.next().unwrap_or_default();
                name_fields(&mut key.values, names, &name);
                if key.name != name {
                    key.own = Some(std::mem::replace(&mut key.name, name));
                }
            });
        }
        _ => {}
    }
}
