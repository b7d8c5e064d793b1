//! `avg` of decimals with sixteen digits after the point at least, to the nearest. The engine's has four more than its argument,
//! and cuts what comes after them. And of intervals an interval, of which the engine's has none.

mod intervals;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, FieldRef};
use datafusion::common::{Result, ScalarValue, not_impl_err};
use datafusion::functions_aggregate::average::Avg;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

use super::define::documentation;
use crate::query::arithmetic::DIGITS;
use crate::query::functions::coerced_by;
use crate::query::functions::dates::values::INTERVAL;

use intervals::Intervals;

/// The digits after the point.
const SCALE: i8 = 16;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Average {
    engine: AggregateUDF,
    signature: Signature,
    documentation: Documentation,
}

impl Default for Average {
    fn default() -> Self {
        Self {
            engine: AggregateUDF::from(Avg::new()),
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation(
                "The average: of decimals a decimal, of other numbers a double, of intervals an interval.",
                "avg(x)",
                "select avg(x) from (values (1.00), (2.00), (2.00)) t(x) -- 1.6666666666666667",
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
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Interval(_)] => Ok(vec![INTERVAL]),
            given => coerced_by(&self.engine, given),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [INTERVAL] => Ok(INTERVAL),
            [DataType::Decimal128(_, scale)] => {
                let scale = scale.saturating_add(4).max(SCALE).min(DIGITS as i8);
                Ok(DataType::Decimal128(DIGITS, scale))
            }
            other => self.engine.return_type(other),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Finer::of(&args) {
            None if is_of_intervals(&args) => intervals(&args),
            Some(finer) => {
                let engine = self.engine.accumulator(finer.args(args))?;
                Ok(Box::new(Rounded { engine, finer }))
            }
            None => self.engine.accumulator(args),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match Finer::of(&args) {
            None if is_of_intervals(&args) => intervals(&args),
            Some(finer) => {
                let engine = self.engine.create_sliding_accumulator(finer.args(args))?;
                Ok(Box::new(Rounded { engine, finer }))
            }
            None => self.engine.create_sliding_accumulator(args),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        match args.return_field.data_type() {
            &INTERVAL => Ok(intervals::state_fields(args.name)),
            _ => self.engine.state_fields(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !is_of_intervals(&args) && self.engine.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match Finer::of(&args) {
            Some(finer) => {
                let engine = self.engine.create_groups_accumulator(finer.args(args))?;
                Ok(Box::new(Rounded { engine, finer }))
            }
            None => self.engine.create_groups_accumulator(args),
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.engine.reverse_udf()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.engine.order_sensitivity()
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

fn is_of_intervals(args: &AccumulatorArgs) -> bool {
    *args.return_field.data_type() == INTERVAL
}

/// # Errors
/// Not implemented: those that are distinct.
fn intervals(args: &AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
    match args.is_distinct {
        true => not_impl_err!("avg(distinct interval) is not supported: select distinct in a subquery"),
        false => Ok(Box::new(Intervals::default())),
    }
}

/// What the engine is asked for: a digit more than is answered.
#[derive(Debug, Clone)]
struct Finer {
    field: FieldRef,
    scale: i8,
}

impl Finer {
    fn of(args: &AccumulatorArgs) -> Option<Self> {
        match args.return_field.data_type() {
            DataType::Decimal128(precision, scale) if *scale < *precision as i8 => {
                let finer = DataType::Decimal128(*precision, scale + 1);
                let field = args.return_field.as_ref().clone().with_data_type(finer);
                Some(Self {
                    field: Arc::new(field),
                    scale: *scale,
                })
            }
            _ => None,
        }
    }

    fn args<'a>(&self, args: AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
        AccumulatorArgs {
            return_field: self.field.clone(),
            ..args
        }
    }

    /// Without the last digit: what the engine has cut behind it decides nothing.
    fn rounded(value: i128) -> i128 {
        (value + 5 * value.signum()) / 10
    }
}

/// The engine's accumulator, whose averages are rounded.
#[derive(Debug)]
struct Rounded<A> {
    engine: A,
    finer: Finer,
}

impl Accumulator for Rounded<Box<dyn Accumulator>> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.engine.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(match self.engine.evaluate()? {
            ScalarValue::Decimal128(value, precision, _) => {
                ScalarValue::Decimal128(value.map(Finer::rounded), precision, self.finer.scale)
            }
            other => other,
        })
    }

    fn size(&self) -> usize {
        self.engine.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.engine.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.engine.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.engine.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.engine.supports_retract_batch()
    }
}

impl GroupsAccumulator for Rounded<Box<dyn GroupsAccumulator>> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.engine.update_batch(values, groups, filter, total)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let finer = self.engine.evaluate(emit_to)?;
        let averages: Decimal128Array = finer.as_primitive::<Decimal128Type>().unary(Finer::rounded);
        let precision = match finer.data_type() {
            DataType::Decimal128(precision, _) => *precision,
            _ => DIGITS,
        };
        Ok(Arc::new(
            averages.with_precision_and_scale(precision, self.finer.scale)?,
        ))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.engine.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.engine.merge_batch(states, groups, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.engine.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.engine.size()
    }
}
