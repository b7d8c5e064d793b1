//! `avg` of decimals with sixteen digits after the point at least. The engine's has four more than its argument.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, Signature,
};

use super::define::documentation;
use crate::query::arithmetic::DIGITS;

/// The digits after the point.
const SCALE: i8 = 16;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Average {
    engine: Avg,
    documentation: Documentation,
}

impl Default for Average {
    fn default() -> Self {
        Self {
            engine: Avg::new(),
            documentation: documentation(
                "The average: of decimals a decimal, of other numbers a double.",
                "avg(x)",
                "select avg(x) from (values (1.00), (2.00), (2.00)) t(x) -- 1.6666666666666666",
            ),
        }
    }
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &str {
        self.engine.name()
    }

    fn aliases(&self) -> &[String] {
        self.engine.aliases()
    }

    fn signature(&self) -> &Signature {
        self.engine.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [DataType::Decimal128(_, scale)] => {
                let scale = scale.saturating_add(4).max(SCALE).min(DIGITS as i8);
                Ok(DataType::Decimal128(DIGITS, scale))
            }
            other => self.engine.return_type(other),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.engine.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.engine.create_sliding_accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.engine.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.engine.create_groups_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.engine.reverse_expr()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engine.order_sensitivity()
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
