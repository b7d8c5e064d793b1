//! Values as a list, from which the first can be taken away again, and in the reverse of the order in which they come.

use arrow::array::{Array, ArrayRef, AsArray, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::expressions::Literal;

/// A list of values as they come, and what is made of it.
#[derive(Debug)]
pub(super) struct Listed {
    values: Box<dyn Accumulator>,
    /// What is between texts that are joined.
    delimiter: Option<String>,
    /// Whether they come the other way round.
    is_reversed: bool,
}

impl Listed {
    /// For `array_agg` or `string_agg`.
    ///
    /// # Errors
    /// Those of the engine's list.
    pub fn accumulator(engines: &AggregateUDF, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let delimiter = (engines.name() == "string_agg").then(|| match args.exprs.get(1) {
            Some(expr) => match expr
                .downcast_ref::<Literal>()
                .map(|literal| literal.value().try_as_str())
            {
                Some(Some(text)) => Ok(text.unwrap_or_default().to_owned()),
                _ => internal_err!("the delimiter of string_agg is a text"),
            },
            None => internal_err!("string_agg has a delimiter"),
        });
        let (Some(expr), Some(field)) = (args.exprs.first(), args.expr_fields.first()) else {
            return internal_err!("an aggregate has an argument");
        };
        let list = DataType::new_list(field.data_type().clone(), true);
        let is_reversed = args.is_reversed;
        let values = array_agg_udaf().accumulator(AccumulatorArgs {
            return_field: Field::new("values", list, true).into(),
            exprs: std::slice::from_ref(expr),
            expr_fields: std::slice::from_ref(field),
            is_reversed: false,
            ..args
        })?;
        let delimiter = delimiter.transpose()?;
        Ok(Box::new(Self {
            values,
            delimiter,
            is_reversed,
        }))
    }
}

impl Accumulator for Listed {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.values.update_batch(columns.get(..1).unwrap_or_default())
    }

    fn retract_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.values.retract_batch(columns.get(..1).unwrap_or_default())
    }

    fn supports_retract_batch(&self) -> bool {
        self.values.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.values.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.values.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let found = self.values.evaluate()?;
        let ScalarValue::List(lists) = &found else {
            return internal_err!("values are a list");
        };
        if lists.is_null(0) {
            return match self.delimiter {
                Some(_) => Ok(ScalarValue::LargeUtf8(None)),
                None => Ok(found),
            };
        }
        let mut items = lists.value(0);
        if self.is_reversed {
            let places = UInt64Array::from_iter_values((0..items.len() as u64).rev());
            items = take(&items, &places, None)?;
        }
        let Some(delimiter) = &self.delimiter else {
            let list = SingleRowListArrayBuilder::new(items).with_nullable(true);
            return Ok(list.build_list_scalar());
        };
        let texts = cast(&items, &DataType::LargeUtf8)?;
        let texts: Vec<_> = texts.as_string::<i64>().iter().flatten().collect();
        let joined = (!texts.is_empty()).then(|| texts.join(delimiter));
        Ok(ScalarValue::LargeUtf8(joined))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.size()
    }
}
