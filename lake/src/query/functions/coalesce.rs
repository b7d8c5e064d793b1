//! `coalesce`, and its other names: the engine's, which nests as deeply as one likes.
//!
//! The engine writes `coalesce(a, b)` as `case when a is not null then a else b end`, so that `b` is computed only where
//! it is needed. But it writes `a` twice, and what is nested n times 2ⁿ times.

use std::sync::Arc;

use arrow::compute::is_null;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::functions::core::coalesce;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::Functions;

pub(super) fn all() -> Functions {
    // Not as aliases: what is called by an alias is renamed in place, and types of nested names take exponential time.
    let named = |name| {
        Arc::new(ScalarUDF::new_from_impl(Coalesce {
            name,
            engine: coalesce(),
        }))
    };
    Functions {
        scalar: ["coalesce", "nvl", "ifnull"].map(named).into(),
        ..Functions::default()
    }
}

/// How many expressions may be written twice.
const LARGEST: usize = 200;

#[derive(Debug, PartialEq, Eq, Hash)]
struct Coalesce {
    name: &'static str,
    engine: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Coalesce {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // `coalesce(day, '2099-01-01')`: a text among values of another type is one of them.
        self.engine.coerce_types(types).or_else(|error| {
            let is_text = |of: &DataType| of.is_null() || of.is_string();
            let others: Vec<_> = types.iter().filter(|of| !is_text(of)).cloned().collect();
            match others.is_empty() {
                true => Err(error),
                false => {
                    let common = self.engine.coerce_types(&others)?;
                    Ok(common.into_iter().cycle().take(types.len()).collect())
                }
            }
        })
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.engine.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.engine.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let written_twice = args.get(..args.len().saturating_sub(1)).unwrap_or_default();
        match are_small(written_twice)? {
            true => self.engine.simplify(args, context),
            false => Ok(ExprSimplifyResult::Original(args)),
        }
    }

    /// What is nested so deeply is computed for all rows.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let mut arguments = args.args.into_iter();
        let Some(first) = arguments.next() else {
            return datafusion::common::plan_err!("coalesce takes at least one argument");
        };
        let mut found = first.into_array(rows)?;
        for argument in arguments {
            if found.null_count() == 0 {
                break;
            }
            let missing = is_null(&found)?;
            found = zip(&missing, &argument.into_array(rows)?, &found)?;
        }
        Ok(ColumnarValue::Array(found))
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.engine.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.engine.short_circuits()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engine.documentation()
    }
}

fn are_small(exprs: &[Expr]) -> Result<bool> {
    let mut count = 0;
    for expr in exprs {
        expr.apply(|_| {
            count += 1;
            Ok(match count > LARGEST {
                true => TreeNodeRecursion::Stop,
                false => TreeNodeRecursion::Continue,
            })
        })?;
    }
    Ok(count <= LARGEST)
}
