//! Columns from JSON values, nested ones included.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use cordada_core::Result;
use cordada_core::names::snake_case;

use super::tape::{Kind, Tape};
use crate::values::build::{self, Notation, Values};

/// The nodes of a column's values; `None` where there is none.
type Nodes = Vec<Option<u32>>;

/// The column of `data_type`; a value that is an object or a list becomes its JSON where text is asked for.
pub fn column(tape: &Tape<'_>, nodes: &Nodes, data_type: &DataType, notation: Notation) -> Result<ArrayRef> {
    let present = |kind: Kind| {
        nodes
            .iter()
            .map(|node| node.is_some_and(|node| tape.node(node).kind == kind))
            .collect()
    };
    match data_type {
        DataType::Struct(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.name().clone()).collect();
            let values = object_values(tape, nodes, &names);
            let children = values
                .iter()
                .zip(fields)
                .map(|(nodes, field)| column(tape, nodes, field.data_type(), notation));
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
            let values = column(tape, &items, item.data_type(), notation)?;
            Ok(Arc::new(ListArray::new(
                item.clone(),
                offsets,
                values,
                Some(NullBuffer::from(validity)),
            )))
        }
        _ => build::column(&Scalars { tape, nodes }, data_type, notation),
    }
}

/// The values of objects by key, for keys that have these `names` in snake_case.
pub fn object_values(tape: &Tape<'_>, objects: &Nodes, names: &[String]) -> Vec<Nodes> {
    let mut values = vec![vec![None; objects.len()]; names.len()];
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
                    let name = snake_case(&String::from_utf8_lossy(key));
                    let column = names.iter().position(|known| *known == name);
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
}

impl Values for Scalars<'_> {
    fn rows(&self) -> usize {
        self.nodes.len()
    }

    fn get<'a>(&'a self, row: usize, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        let node = self.nodes[row].filter(|node| self.tape.node(*node).kind != Kind::Null)?;
        Some(match self.tape.node(node).kind {
            Kind::Array | Kind::Object => self.tape.json(node, scratch),
            _ => self.tape.text(node, scratch),
        })
    }
}
