//! `array_agg` and `string_agg`, each of several in an order of its own.
//!
//! The engine sorts the rows for one of several orders, and turns an aggregate of the reverse order around: it is given
//! the reverse of what was written, and is to turn its result around. With DISTINCT the engine's own do not turn it. And of
//! two orders that are no reverse of each other `string_agg` takes one and refuses the other, though it sorts its values
//! itself, as `array_agg` does. A window whose rows come the other way round, for another window has them so, is to have its
//! values in the window's order still: the engine's have them as they come.

mod listed;

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, Signature,
};
use datafusion::physical_expr::PhysicalSortExpr;

use listed::Listed;

/// The engine's function, which sorts its values itself.
pub(super) fn function(engines: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    Ordered::function(engines, false)
}

/// The same aggregate, that leaves the rows below it in their order. None: it is another one.
pub(in crate::query) fn leaving_rows(function: &AggregateUDF) -> Option<Arc<AggregateUDF>> {
    let ordered = function.inner().downcast_ref::<Ordered>()?;
    Some(Ordered::function(ordered.engines.clone(), true))
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Ordered {
    engines: Arc<AggregateUDF>,
    /// Whether it never asks for the rows in its order, because another aggregate takes them as they come.
    leaves_rows: bool,
}

impl Ordered {
    fn function(engines: Arc<AggregateUDF>, leaves_rows: bool) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Self { engines, leaves_rows }))
    }
}

impl AggregateUDFImpl for Ordered {
    fn name(&self) -> &str {
        self.engines.name()
    }

    fn aliases(&self) -> &[String] {
        self.engines.aliases()
    }

    fn signature(&self) -> &Signature {
        self.engines.signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.engines.return_type(given)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.engines.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if args.is_reversed && args.order_bys.is_empty() && !args.is_distinct {
            return Listed::accumulator(&self.engines, args);
        }
        if !(args.is_distinct && args.is_reversed) {
            return self.engines.accumulator(args);
        }
        let written: Vec<_> = args.order_bys.iter().map(PhysicalSortExpr::reverse).collect();
        self.engines.accumulator(AccumulatorArgs {
            order_bys: &written,
            is_reversed: false,
            ..args
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        // The engine's texts are joined for good.
        match self.name() == "string_agg" && args.order_bys.is_empty() && !args.is_distinct {
            true => Listed::accumulator(&self.engines, args),
            false => self.accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.engines.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.engines.create_groups_accumulator(args)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        match self.leaves_rows {
            true => AggregateOrderSensitivity::Beneficial,
            false => AggregateOrderSensitivity::SoftRequirement,
        }
    }

    fn with_beneficial_ordering(self: Arc<Self>, is_ordered: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let engines = AggregateUDF::clone(&self.engines).with_beneficial_ordering(is_ordered)?;
        Ok(Some(match engines {
            Some(engines) => Arc::new(Self {
                engines: Arc::new(engines),
                leaves_rows: self.leaves_rows,
            }),
            // `string_agg` sorts in any case.
            None => self,
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Reversed(Self::function(self.engines.clone(), self.leaves_rows))
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.engines.supports_null_handling_clause()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.engines.documentation()
    }
}
