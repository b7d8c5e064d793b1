//! The schemas of relations as GetTables gives them: messages, which are kept, because to describe and encode the columns
//! of a thousand tables takes longer than all the rest. A release that changes one table leaves the others as they are.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow_flight::{IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use cordada_core::{Recent, TableName};
use cordada_lake::release::Docs;
use cordada_query::DocumentedRelation;

use crate::wire::Types;

/// Bytes of messages that are kept: of some ten thousand relations.
const CAPACITY: usize = 64 << 20;

/// The messages, by relation and the types that clients take.
#[derive(Debug)]
pub(crate) struct DescribedSchemas(Recent<(TableName, Types), Arc<DescribedSchema>>);

/// A message, and what it was made of.
#[derive(Debug)]
struct DescribedSchema {
    docs: Arc<Docs>,
    columns: SchemaRef,
    message: Bytes,
}

impl DescribedSchemas {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self(Recent::new(CAPACITY))
    }

    /// The message of a relation with those columns, which `describe` describes.
    fn message(
        &self,
        relation: &DocumentedRelation,
        columns: &SchemaRef,
        types: Types,
        describe: impl FnOnce() -> Schema,
    ) -> Result<Bytes, ArrowError> {
        let key = (relation.name.clone(), types);
        if let Some(known) = self.0.get(&key)
            && known.columns == *columns
            && (Arc::ptr_eq(&known.docs, &relation.docs) || known.docs == relation.docs)
        {
            return Ok(known.message.clone());
        }
        let IpcMessage(message) = SchemaAsIpc::new(&describe(), &Default::default()).try_into()?;
        let described = DescribedSchema {
            docs: relation.docs.clone(),
            columns: columns.clone(),
            message: message.clone(),
        };
        self.0.insert(key, Arc::new(described), message.len());
        Ok(message)
    }

    /// The answer of GetTables, whose relations have no schemas yet, with them. `relations` has all of them, and those that the
    /// answer leaves out.
    pub(super) fn complete(
        &self,
        answer: &RecordBatch,
        relations: &[DocumentedRelation],
        columns: &[SchemaRef],
        types: Types,
        describe: impl Fn(&DocumentedRelation, &Schema, Types) -> Schema,
    ) -> Result<RecordBatch, ArrowError> {
        let text = |column: usize| answer.column(column).as_any().downcast_ref::<StringArray>();
        let (Some(schemas), Some(names)) = (text(1), text(2)) else {
            return Err(ArrowError::SchemaError(
                "the answer of GetTables has other columns".to_owned(),
            ));
        };
        let all = relations.iter().zip(columns).map(|(relation, columns)| {
            let key = (relation.name.schema(), relation.name.name());
            (key, (relation, columns))
        });
        let all: HashMap<_, _> = all.collect();
        let messages = (0..answer.num_rows()).map(|row| {
            let found = all.get(&(schemas.value(row), names.value(row)));
            let (relation, columns) =
                found.ok_or_else(|| ArrowError::SchemaError("a relation has no name".to_owned()))?;
            self.message(relation, columns, types, || describe(relation, columns, types))
        });
        let messages: Vec<_> = messages.collect::<Result<_, _>>()?;
        let mut arrays = answer.columns().to_vec();
        arrays.pop();
        arrays.push(Arc::new(BinaryArray::from_iter_values(messages)));
        RecordBatch::try_new(answer.schema(), arrays)
    }
}
