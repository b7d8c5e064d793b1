//! Columns from JSON values, nested ones included.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use cordada_core::Result;
use cordada_core::source_names::SourceNames;

use super::NOTATION;
use super::tape::{Kind, Tape};
use crate::values::build::{self, Notation, Values};
use crate::values::zones::Zone;

/// The nodes of a column's values; `None` where there is none.
type Nodes = Vec<Option<u32>>;

/// The column of `data_type`, whose records have fields of these `names`, each alone if `None`, and whose times that
/// carry no zone are of `zone`. A value that is an object or a list becomes its JSON where text is asked for.
pub fn column(
    tape: &Tape<'_>,
    nodes: &Nodes,
    data_type: &DataType,
    names: Option<&SourceNames>,
    zone: Zone<'_>,
) -> Result<ArrayRef> {
    let present = |kind: Kind| {
        nodes
            .iter()
            .map(|node| node.is_some_and(|node| tape.node(node).kind == kind))
            .collect()
    };
    match data_type {
        DataType::Struct(fields) => {
            let alone = SourceNames::default();
            let names = names.unwrap_or(&alone);
            let place = |key: &str| {
                let name = names.name_of(key);
                fields.iter().position(|field| *field.name() == name)
            };
            let values = object_values(tape, nodes, fields.len(), place);
            let children = values.iter().zip(fields).map(|(nodes, field)| {
                let names = names.fields(field.name());
                column(tape, nodes, field.data_type(), names, zone.field(field.name()))
            });
            let validity: Vec<bool> = present(Kind::Object);
            let validity = NullBuffer::from(validity);
            Ok(Arc::new(StructArray::new(
                fields.clone(),
                children.collect::<Result<_>>()?,
                Some(validity),
            )))
        }
        DataType::List(item) => {
            let validity: Vec<bool> = present(Kind::Array);
            let mut items = Nodes::new();
            let lengths = nodes.iter().zip(&validity).map(|(list, is_list)| {
                let before = items.len();
                items.extend(
                    list.filter(|_| *is_list)
                        .into_iter()
                        .flat_map(|list| tape.items(list))
                        .map(Some),
                );
                items.len() - before
            });
            let offsets = OffsetBuffer::from_lengths(lengths.collect::<Vec<_>>());
            let values = column(tape, &items, item.data_type(), names, zone)?;
            Ok(Arc::new(ListArray::new(
                item.clone(),
                offsets,
                values,
                Some(NullBuffer::from(validity)),
            )))
        }
        _ => {
            let notation = Notation {
                zone: zone.tz,
                ..NOTATION
            };
            let values = Scalars { tape, nodes, data_type };
            build::column(&values, data_type, notation)
        }
    }
}

/// Whether a value stands for nothing in a column of `data_type`: many systems write an empty text where there is no
/// number and no date.
pub fn is_nothing(kind: Kind, text: &[u8], data_type: &DataType) -> bool {
    matches!(kind, Kind::String { .. }) && text.is_empty() && *data_type != DataType::Utf8
}

/// The values of objects by key, each at the `place` of its key among `count`.
pub fn object_values(
    tape: &Tape<'_>,
    objects: &Nodes,
    count: usize,
    place: impl Fn(&str) -> Option<usize>,
) -> Vec<Nodes> {
    let mut values = vec![vec![None; objects.len()]; count];
    let mut known: HashMap<Vec<u8>, Option<usize>> = HashMap::new();
    let mut scratch = Vec::new();
    for (row, object) in objects.iter().enumerate() {
        let Some(object) = object.filter(|object| tape.node(*object).kind == Kind::Object) else {
            continue;
        };
        for (key, value) in tape.entries(object) {
            let key = tape.text(key, &mut scratch);
            let column = match known.get(key) {
                Some(column) => *column,
                None => {
                    let column = place(&String::from_utf8_lossy(key));
                    known.insert(key.to_vec(), column);
                    column
                }
            };
            if let Some(column) = column {
                values[column][row] = Some(value);
            }
        }
    }
    values
}

/// Values that are not taken apart.
struct Scalars<'a> {
    tape: &'a Tape<'a>,
    nodes: &'a Nodes,
    data_type: &'a DataType,
}

impl Values for Scalars<'_> {
    fn rows(&self) -> usize {
        self.nodes.len()
    }

    fn get<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let node = self.nodes[row].filter(|node| self.tape.node(*node).kind != Kind::Null)?;
        let kind = self.tape.node(node).kind;
        let text = match kind {
            Kind::Array | Kind::Object => self.tape.json(node, scratch),
            _ => self.tape.text(node, scratch),
        };
        (!is_nothing(kind, text, self.data_type)).then_some(text)
    }
}
