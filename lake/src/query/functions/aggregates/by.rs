//! The value of the row that has the greatest, or the least, of another.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Signature, Volatility};

use super::super::define::section;

pub(super) fn all() -> impl Iterator<Item = Arc<AggregateUDF>> {
    [
        ("max_by", Ordering::Greater, false),
        ("min_by", Ordering::Less, false),
        ("arg_max", Ordering::Greater, true),
        ("arg_min", Ordering::Less, true),
    ]
    .map(|(name, wanted, skips_nulls)| {
        let which = if wanted == Ordering::Greater {
            "greatest"
        } else {
            "least"
        };
        let nulls = if skips_nulls { ", of those with a value" } else { "" };
        let what = format!("The value of the row with the {which} key{nulls}; rows without a key do not count.");
        let aliases: &[&str] = match name {
            "arg_max" => &["argmax"],
            "arg_min" => &["argmin"],
            _ => &[],
        };
        let documentation = Documentation::builder(section("Aggregates"), what, format!("{name}(value, key)"));
        Arc::new(AggregateUDF::new_from_impl(By {
            name,
            aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
            wanted,
            skips_nulls,
            signature: Signature::any(2, Volatility::Immutable),
            documentation: documentation
                .with_sql_example(format!("{name}(g, k) of ('a', 1), ('b', 1) = 'a'"))
                .build(),
        }))
    })
    .into_iter()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct By {
    name: &'static str,
    aliases: Vec<String>,
    wanted: Ordering,
    /// Rows whose value is null do not count.
    skips_nulls: bool,
    signature: Signature,
    documentation: Documentation,
}

impl AggregateUDFImpl for By {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [value, _] => Ok(value.clone()),
            _ => exec_err!("{} takes a value and a key", self.name),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let [value, key] = args.expr_fields else {
            return exec_err!("{} takes a value and a key", self.name);
        };
        Ok(Box::new(Best {
            wanted: self.wanted,
            skips_nulls: self.skips_nulls,
            value: ScalarValue::try_from(value.data_type())?,
            key: ScalarValue::try_from(key.data_type())?,
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |(field, name): (&FieldRef, &str)| {
            let name = format_state_name(args.name, name);
            Arc::new(Field::new(name, field.data_type().clone(), true))
        };
        Ok(args.input_fields.iter().zip(["value", "key"]).map(field).collect())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The best row so far.
#[derive(Debug)]
struct Best {
    wanted: Ordering,
    skips_nulls: bool,
    value: ScalarValue,
    key: ScalarValue,
}

impl Accumulator for Best {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [values, keys] = columns else {
            return exec_err!("a value and a key are wanted");
        };
        let compare = make_comparator(keys, keys, SortOptions::default())?;
        let counts = |&row: &usize| !(keys.is_null(row) || self.skips_nulls && values.is_null(row));
        let mut best = None;
        for row in (0..keys.len()).filter(counts) {
            if best.is_none_or(|best| compare(row, best) == self.wanted) {
                best = Some(row);
            }
        }
        let Some(best) = best else { return Ok(()) };
        let better = match self.key.is_null() {
            true => true,
            false => {
                let kept = self.key.to_array()?;
                make_comparator(keys, &kept, SortOptions::default())?(best, 0) == self.wanted
            }
        };
        if better {
            self.key = ScalarValue::try_from_array(keys, best)?.compacted();
            self.value = ScalarValue::try_from_array(values, best)?.compacted();
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.key.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() + self.key.size()
    }
}
