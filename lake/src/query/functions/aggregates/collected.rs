//! Aggregates that see all values of a group at once.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_plan::PhysicalExpr;

use super::super::define::section;

/// An aggregate of the values of its first argument, nulls left out.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// How many constants follow the values, and how many of them may be left out.
    pub constants: usize,
    pub optional: usize,
    /// The values come as `within group (order by …)` too.
    pub within_group: bool,
    /// The type that values are made into, if they may be of the given one.
    pub takes: fn(&DataType) -> Option<DataType>,
    /// What is given for values of a type and the types of the constants.
    pub gives: fn(&DataType, &[DataType]) -> DataType,
    pub finish: fn(&Values<'_>) -> Result<ScalarValue>,
    pub what: &'static str,
    pub syntax: &'static str,
    pub example: &'static str,
}

/// What an aggregate is made of.
pub(super) struct Values<'a> {
    /// The values of a group that are not null.
    pub values: ArrayRef,
    pub constants: &'a [ScalarValue],
    /// The values are ordered the other way round.
    pub descending: bool,
    /// What is given.
    pub gives: &'a DataType,
}

/// A definition, as the engine knows aggregates.
pub(super) struct Collected {
    definition: &'static Definition,
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
}

/// The aggregate of a definition.
pub(super) fn function(definition: &'static Definition) -> Arc<AggregateUDF> {
    let documentation = Documentation::builder(section("Aggregates"), definition.what, definition.syntax);
    Arc::new(AggregateUDF::new_from_impl(Collected {
        definition,
        aliases: definition.aliases.iter().map(|&alias| alias.to_owned()).collect(),
        signature: Signature::user_defined(Volatility::Immutable),
        documentation: documentation.with_sql_example(definition.example).build(),
    }))
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collected({})", self.definition.name)
    }
}

impl PartialEq for Collected {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Collected {}

impl std::hash::Hash for Collected {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl AggregateUDFImpl for Collected {
    fn name(&self) -> &str {
        self.definition.name
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

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let Definition {
            name,
            constants,
            optional,
            syntax,
            ..
        } = *self.definition;
        let Some((values, rest)) = given.split_first() else {
            return exec_err!("{name} takes an argument: {syntax}");
        };
        if rest.len() > constants || rest.len() < constants - optional {
            return exec_err!("{name} does not take {} arguments: {syntax}", given.len());
        }
        match (self.definition.takes)(values) {
            Some(values) => Ok([values].into_iter().chain(rest.iter().cloned()).collect()),
            None => exec_err!("{name} is not for {values}: {syntax}"),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given.split_first() {
            Some((values, constants)) => Ok((self.definition.gives)(values, constants)),
            None => exec_err!("{} takes an argument", self.definition.name),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let (Some(field), Some(constants)) = (args.expr_fields.first(), args.exprs.get(1..)) else {
            return exec_err!("{} takes an argument", self.definition.name);
        };
        let constants = constants
            .iter()
            .map(|constant| value_of(constant, self.definition.syntax));
        Ok(Box::new(Collection {
            definition: self.definition,
            collected: Vec::new(),
            data_type: field.data_type().clone(),
            constants: constants.collect::<Result<_>>()?,
            descending: args.order_bys.first().is_some_and(|by| by.options.descending),
            distinct: args.is_distinct,
            gives: args.return_field.data_type().clone(),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(field) = args.input_fields.first() else {
            return exec_err!("{} takes an argument", self.definition.name);
        };
        let item = Field::new_list_field(field.data_type().clone(), true);
        let name = format_state_name(args.name, "values");
        Ok(vec![Arc::new(Field::new(name, DataType::List(Arc::new(item)), true))])
    }

    fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
        datafusion::logical_expr::utils::AggregateOrderSensitivity::Insensitive
    }

    fn supports_within_group_clause(&self) -> bool {
        self.definition.within_group
    }
}

/// The value of an argument that is the same for all rows.
fn value_of(expr: &Arc<dyn PhysicalExpr>, syntax: &str) -> Result<ScalarValue> {
    match expr.downcast_ref::<Literal>() {
        Some(literal) => Ok(literal.value().clone()),
        None => exec_err!("this argument is a constant: {syntax}"),
    }
}

/// The values of a group.
struct Collection {
    definition: &'static Definition,
    collected: Vec<ArrayRef>,
    data_type: DataType,
    constants: Vec<ScalarValue>,
    descending: bool,
    distinct: bool,
    gives: DataType,
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collection({})", self.definition.name)
    }
}

impl Collection {
    fn values(&self) -> Result<ArrayRef> {
        let parts: Vec<&dyn Array> = self.collected.iter().map(AsRef::as_ref).collect();
        match parts.as_slice() {
            [] => Ok(arrow::array::new_empty_array(&self.data_type)),
            parts => Ok(concat(parts)?),
        }
    }
}

impl Accumulator for Collection {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let kept = match values.logical_nulls() {
            Some(nulls) if nulls.null_count() > 0 => {
                let valid = arrow::array::BooleanArray::new(nulls.inner().clone(), None);
                arrow::compute::filter(values, &valid)?
            }
            _ => values.clone(),
        };
        if !kept.is_empty() {
            self.collected.push(kept);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|lists| lists.as_list_opt::<i32>()) else {
            return Ok(());
        };
        self.collected
            .extend(lists.iter().flatten().filter(|values| !values.is_empty()));
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = SingleRowListArrayBuilder::new(self.values()?).with_nullable(true);
        Ok(vec![list.build_list_scalar()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut values = self.values()?;
        if self.distinct && !values.is_empty() {
            let sorted = arrow::compute::sort(&values, None)?;
            let places = arrow::compute::partition(std::slice::from_ref(&sorted))?.ranges();
            let firsts = places.into_iter().map(|range| range.start as u64);
            values = arrow::compute::take(&sorted, &arrow::array::UInt64Array::from_iter_values(firsts), None)?;
        }
        (self.definition.finish)(&Values {
            values,
            constants: &self.constants,
            descending: self.descending,
            gives: &self.gives,
        })
    }

    fn size(&self) -> usize {
        let values = self.collected.iter().map(|values| values.get_array_memory_size());
        size_of_val(self) + values.sum::<usize>()
    }
}
