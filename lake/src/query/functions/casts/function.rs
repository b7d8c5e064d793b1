//! The function that a cast becomes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::{FAMILY, OnFailure, cast_array};

/// What a cast becomes that fails where there is no value.
pub(in crate::query) const CAST: &str = "cast_as";

/// The function that casts.
pub(in crate::query) fn cast_as(on_failure: OnFailure) -> Arc<ScalarUDF> {
    let name = match on_failure {
        OnFailure::Error => CAST,
        OnFailure::Null => "try_cast_as",
    };
    let section = DocSection {
        include: true,
        label: FAMILY,
        description: None,
    };
    let about = match on_failure {
        OnFailure::Error => "A value in the type of another; an error if it has no equal there. What `cast` becomes.",
        OnFailure::Null => "A value in the type of another; null if it has no equal there. What `try_cast` becomes.",
    };
    let documentation = Documentation::builder(section, about, format!("{name}(value, of_type)"))
        .with_sql_example(format!("select {name}('42', 0)"))
        .build();
    Arc::new(ScalarUDF::from(CastAs {
        name,
        on_failure,
        signature: Signature::any(2, Volatility::Immutable),
        documentation,
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CastAs {
    name: &'static str,
    on_failure: OnFailure,
    signature: Signature,
    documentation: Documentation,
}

impl ScalarUDFImpl for CastAs {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a cast is that of its second argument")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, of_type] = args.arg_fields else {
            return internal_err!("a cast has two arguments");
        };
        let nullable = value.is_nullable() || self.on_failure == OnFailure::Null;
        Ok(Arc::new(Field::new(self.name, of_type.data_type().clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = args.return_field.data_type();
        match args.args.first() {
            Some(ColumnarValue::Scalar(value)) => {
                let array = cast_array(&value.to_array()?, to, self.on_failure)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
            Some(ColumnarValue::Array(array)) => cast_array(array, to, self.on_failure).map(ColumnarValue::Array),
            None => internal_err!("a cast has two arguments"),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
