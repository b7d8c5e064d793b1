//! Functions whose result may be any number of times as large as what they are given: how large it becomes is looked at
//! before any of it is made.

mod sizes;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, resources_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};

use crate::query::session::ResultLimit;

use sizes::{Arguments, Size, size_of};

/// Puts the functions that have no bound within one.
pub(in crate::query) fn bound(functions: &mut [Arc<ScalarUDF>]) {
    for function in functions {
        if let Some(size) = size_of(function.name()) {
            let bounded = Bounded {
                function: function.clone(),
                size,
            };
            *function = Arc::new(ScalarUDF::new_from_impl(bounded));
        }
    }
}

/// A function that refuses what would become too large.
struct Bounded {
    function: Arc<ScalarUDF>,
    size: Size,
}

impl Bounded {
    fn inner(&self) -> &dyn ScalarUDFImpl {
        &**self.function.inner()
    }

    fn check(&self, args: &ScalarFunctionArgs) -> Result<()> {
        let limit = ResultLimit::of(&args.config_options);
        let size = (self.size)(&Arguments::new(args, limit)?)?;
        let columns = args.args.iter().filter_map(|arg| match arg {
            ColumnarValue::Array(values) => Some(values.get_array_memory_size()),
            ColumnarValue::Scalar(_) => None,
        });
        // Of much, much may be made.
        let given: usize = columns.sum();
        match size <= limit.max(2 * given) {
            true => Ok(()),
            false => resources_err!(
                "`{}` would make {} MB of one batch of rows and may make {} MB, a sixteenth of what a statement may hold",
                self.function.name(),
                size / 1_000_000,
                limit / 1_000_000
            ),
        }
    }

    /// The call, with the function within its bound again if it is still the one that is called.
    fn again(&self, simplified: ExprSimplifyResult) -> ExprSimplifyResult {
        match simplified {
            ExprSimplifyResult::Simplified(Expr::ScalarFunction(mut call)) if call.func.name() == self.name() => {
                call.func = Arc::new(ScalarUDF::new_from_impl(Self {
                    function: call.func.clone(),
                    size: self.size,
                }));
                ExprSimplifyResult::Simplified(Expr::ScalarFunction(call))
            }
            other => other,
        }
    }
}

impl std::fmt::Debug for Bounded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.function.fmt(f)
    }
}

impl PartialEq for Bounded {
    fn eq(&self, other: &Self) -> bool {
        self.function == other.function
    }
}

impl Eq for Bounded {}

impl Hash for Bounded {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.function.hash(state);
    }
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner().name()
    }

    fn aliases(&self) -> &[String] {
        self.inner().aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner().schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner().signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner().return_type(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = Arc::new(self.inner().with_updated_config(config)?);
        Some(ScalarUDF::new_from_impl(Self {
            function,
            size: self.size,
        }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner().return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner().is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.check(&args)?;
        self.inner().invoke_with_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner()
            .simplify(args, info)
            .map(|simplified| self.again(simplified))
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner().preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner().short_circuits()
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner().conditional_arguments(args)
    }

    fn evaluate_bounds(&self, inputs: &[&Interval]) -> Result<Interval> {
        self.inner().evaluate_bounds(inputs)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.inner().propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner().output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner().preserves_lex_ordering(inputs)
    }

    fn strictly_order_preserving(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner().strictly_order_preserving(inputs)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner().coerce_types(types)
    }

    fn struct_field_mapping(
        &self,
        literals: &[Option<ScalarValue>],
    ) -> Option<datafusion::logical_expr::StructFieldMapping> {
        self.inner().struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner().documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner().placement(args)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::query::session::limit_results;

    /// A session whose functions may make 16 MiB of a batch.
    fn session() -> SessionContext {
        let mut state = SessionContext::new().state();
        let functions = state.scalar_functions().values().cloned();
        let mut functions: Vec<_> = functions.chain(crate::query::functions::all().scalar).collect();
        bound(&mut functions);
        limit_results(&mut state, 0);
        let session = SessionContext::new_with_state(state);
        for function in functions {
            session.register_udf(Arc::unwrap_or_clone(function));
        }
        session
    }

    async fn run(sql: &str) -> Result<usize> {
        let batches = session().sql(sql).await?.collect().await?;
        Ok(batches.iter().map(|batch| batch.num_rows()).sum())
    }

    #[tokio::test]
    async fn what_would_be_too_large_is_refused_before_it_is_made() {
        for sql in [
            "select length(repeat('x', 2000000000))",
            "select length(repeat(x::text, 100000)) from generate_series(1, 8000) t(x)",
            "select length(repeat(x::text, x * 1000)) from generate_series(1, 8000) t(x)",
            "select length(lpad('x', 2000000000, 'y'))",
            "select length(rpad(x::text, 10000)) from generate_series(1, 8000) t(x)",
            "select length(lpad(x::text, 1000, 'é')) from generate_series(1, 8000) t(x)",
            "select length(replace(repeat('a', 100000), 'a', repeat('b', 1000)))",
            "select length(regexp_replace(repeat('a', 100000), 'a', repeat('b', 1000), 'g'))",
            "select length(concat(x::text, repeat('b', 100000))) from generate_series(1, 8000) t(x)",
            "select length(concat_ws(repeat('b', 100000), x::text, x::text)) from generate_series(1, 8000) t(x)",
            "select length(space(2000000000))",
            "select length(replicate('ab', 1000000000))",
            "select array_length(array_repeat('abc', 1000000000))",
            "select array_length(array_repeat(array_repeat(1, 1000), 100000))",
            "select array_length(array_resize([1], 1000000000, 0))",
            "select array_length(range(0, 100000000))",
            "select array_length(range(100000000, 0, -1))",
            "select array_length(range(x * 1000)) from generate_series(1, 8000) t(x)",
            "select array_length(generate_series(date '1000-01-01', date '3000-01-01', interval '1 second'))",
            "select array_length(string_to_array(repeat(',', 10000000), ','))",
            "select length(array_to_string(range(0, 100000), repeat('-', 1000)))",
        ] {
            let error = run(sql).await.unwrap_err();
            assert!(error.to_string().contains("a sixteenth of"), "{sql}: {error}");
        }
    }

    #[tokio::test]
    async fn what_fits_is_made() {
        for sql in [
            "select length(repeat('x', 1000000))",
            "select repeat(x::text, 100) from generate_series(1, 8000) t(x)",
            "select repeat(null, 10), repeat('x', null), repeat('x', -5), lpad('x', -1), lpad('xyz', 5, 'é')",
            "select replace(repeat('a', 1000000), 'b', repeat('c', 1000))",
            "select replace('', '', 'x'), replace('abc', '', 'x')",
            "select regexp_replace(repeat('a', 1000000), 'a', 'b', 'g')",
            "select concat(x::text, 'a', null), concat_ws('-', x::text, 'a') from generate_series(1, 8000) t(x)",
            "select range(10), range(1, 5), range(5, 1, -2), generate_series(date '2024-01-01', date '2024-03-01', \
             interval '1 month')",
            "select array_repeat('a', 3), array_resize([1, 2], 5, 0), array_append([1], 2), string_to_array('a,b', ',')",
            "select array_to_string([1, 2, 3], ', '), make_array(1, 2), array_concat([1], [2])",
        ] {
            run(sql).await.unwrap();
        }
    }

    #[tokio::test]
    async fn of_much_much_may_be_made() {
        let wide = "(select repeat('a', 2000000) || x::text as a from generate_series(1, 20) t(x))";
        run(&format!(
            "select length(replace(a, 'a', 'b')), length(concat(a, '!')) from {wide}"
        ))
        .await
        .unwrap();
    }
}
