//! The row of a relation as a value: the engine's struct of names and values, whose fields say too what is JSON in them.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions::core::named_struct;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, StructFieldMapping,
};

use super::{is_json, mark};

/// Its name.
pub(in crate::query) const NAME: &str = "_record";

/// The function.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Record { engine: named_struct() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Record {
    engine: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Record {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.engine.return_type(given)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let values = args.arg_fields.iter().skip(1).step_by(2);
        let are_json: Vec<bool> = values.map(|field| is_json(field)).collect();
        let record = self.engine.return_field_from_args(args)?;
        let DataType::Struct(fields) = record.data_type() else {
            return Ok(record);
        };
        let marked: Fields = fields
            .iter()
            .zip(are_json)
            .map(|(field, is_json)| match is_json {
                true => Arc::new(mark(field.as_ref().clone())),
                false => Arc::clone(field),
            })
            .collect();
        let record = record.as_ref().clone();
        Ok(Arc::new(record.with_data_type(DataType::Struct(marked))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.engine.inner().invoke_with_args(args)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.engine.inner().struct_field_mapping(literals)
    }
}
