//! `sum` that is exact or an error. The engine's wraps.

use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::sum::Sum as EngineSum;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, Expr, GroupsAccumulator, Operator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};

use super::define::documentation;

mod distinct;
mod exact;

use distinct::ExactDistinctSum;
use exact::{ExactSum, ExactSums};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sum {
    engine: EngineSum,
    documentation: Documentation,
}

impl Default for Sum {
    fn default() -> Self {
        Self {
            engine: EngineSum::new(),
            documentation: documentation(
                "The sum of the values that are not null, and null if there is none. It is exact, or an error.",
                "sum(x)",
                "select sum(x) from (values (1), (2)) t(x) -- 3",
            ),
        }
    }
}

/// An accumulator of exact sums for the type that the arguments say; otherwise what the engine has.
macro_rules! exact_or {
    ($args:ident, $accumulator:ident, $engine:expr) => {
        match ($args.is_distinct, $args.return_field.data_type()) {
            (false, data_type @ DataType::Int64) => Ok(Box::new($accumulator::<Int64Type>::new(data_type))),
            (false, data_type @ DataType::UInt64) => Ok(Box::new($accumulator::<UInt64Type>::new(data_type))),
            (false, data_type @ DataType::Decimal128(..)) => {
                Ok(Box::new($accumulator::<Decimal128Type>::new(data_type)))
            }
            _ => $engine,
        }
    };
}

/// The same of a sum that is distinct or not.
macro_rules! distinct_or {
    ($args:ident, $engine:expr) => {
        match ($args.is_distinct, $args.return_field.data_type()) {
            (true, data_type @ DataType::Int64) => Ok(Box::new(ExactDistinctSum::<Int64Type>::new(data_type))),
            (true, data_type @ DataType::UInt64) => Ok(Box::new(ExactDistinctSum::<UInt64Type>::new(data_type))),
            (true, data_type @ DataType::Decimal128(..)) => {
                Ok(Box::new(ExactDistinctSum::<Decimal128Type>::new(data_type)))
            }
            _ => exact_or!($args, ExactSum, $engine),
        }
    };
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.engine.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        distinct_or!(args, self.engine.accumulator(args))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        distinct_or!(args, self.engine.create_sliding_accumulator(args))
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        exact_or!(args, ExactSums, self.engine.create_groups_accumulator(args))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.engine.groups_accumulator_supported(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match (args.is_distinct, exact::state(args.return_field.data_type())) {
            (false, Some(state)) => {
                let name = format_state_name(args.name, "sum");
                Ok(vec![Field::new(name, state, true).into()])
            }
            _ => self.engine.state_fields(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.engine.reverse_expr()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engine.order_sensitivity()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.engine.set_monotonicity(data_type)
    }

    fn simplify_expr_op_literal(
        &self,
        function: &AggregateFunction,
        arg: &Expr,
        op: Operator,
        literal: &Expr,
        arg_is_left: bool,
    ) -> Result<Option<Expr>> {
        self.engine
            .simplify_expr_op_literal(function, arg, op, literal, arg_is_left)
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.engine.value_from_stats(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
