//! A cast by a name that has the type: what rewrites put around casts that would be of one name.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::select_lists::CAST;

/// The first argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    signature: Signature,
}

pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::from(Named { signature }))
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        CAST
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {CAST} is that of its argument")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [value, _] = take_function_args(CAST, args.arg_fields)?;
        Ok(value.clone())
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [value, _] = take_function_args(CAST, args)?;
        Ok(ExprSimplifyResult::Simplified(value))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, _] = take_function_args(CAST, args.args)?;
        Ok(value)
    }
}
