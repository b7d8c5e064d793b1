//! A function of numbers, defined by what it makes of the numbers of one row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use crate::query::arithmetic::is_number;

/// A function.
#[derive(Debug)]
pub(super) struct Definition {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// What it does, for the documentation.
    pub about: &'static str,
    /// How it is called, for the documentation.
    pub syntax: &'static str,
    /// A call and its answer, for the documentation.
    pub example: &'static str,
    pub body: Body,
}

/// What it makes of the numbers of a row, none of which is null.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    Float(fn(f64) -> Result<f64>),
    /// The greater the number, the greater the result.
    Increasing(fn(f64) -> Result<f64>),
    Floats(fn(f64, f64) -> Result<f64>),
    /// The first function without, the second with another number before it.
    FloatOrFloats(fn(f64) -> Result<f64>, fn(f64, f64) -> Result<f64>),
    Is(fn(f64) -> bool),
    Integer(fn(i64) -> Result<i64>),
    Integers(fn(i64, i64) -> Result<i64>),
}

impl Body {
    /// How many arguments it takes, and their type.
    fn takes(self) -> (std::ops::RangeInclusive<usize>, DataType) {
        match self {
            Body::Float(_) | Body::Increasing(_) | Body::Is(_) => (1..=1, DataType::Float64),
            Body::Floats(_) => (2..=2, DataType::Float64),
            Body::FloatOrFloats(..) => (1..=2, DataType::Float64),
            Body::Integer(_) => (1..=1, DataType::Int64),
            Body::Integers(_) => (2..=2, DataType::Int64),
        }
    }

    fn gives(self) -> DataType {
        match self {
            Body::Is(_) => DataType::Boolean,
            Body::Integer(_) | Body::Integers(_) => DataType::Int64,
            _ => DataType::Float64,
        }
    }

    fn run(self, arrays: &[ArrayRef]) -> Result<ArrayRef> {
        let float = |place: usize| {
            arrays
                .get(place)
                .and_then(|array| array.as_primitive_opt::<Float64Type>())
        };
        let integer = |place: usize| {
            arrays
                .get(place)
                .and_then(|array| array.as_primitive_opt::<Int64Type>())
        };
        let floats = |of: fn(f64, f64) -> Result<f64>, left: &Float64Array, right: &Float64Array| {
            let rows = left.iter().zip(right).map(|(left, right)| left.zip(right));
            let answers = rows.map(|row| row.map(|(left, right)| of(left, right)).transpose());
            answers
                .collect::<Result<Float64Array>>()
                .map(|array| Arc::new(array) as ArrayRef)
        };
        Ok(match (self, float(0), float(1), integer(0), integer(1)) {
            (Body::Float(of) | Body::Increasing(of), Some(array), ..) => {
                Arc::new(array.try_unary::<_, Float64Type, _>(of)?)
            }
            (Body::FloatOrFloats(of, _), Some(array), None, ..) => Arc::new(array.try_unary::<_, Float64Type, _>(of)?),
            (Body::Floats(of) | Body::FloatOrFloats(_, of), Some(left), Some(right), ..) => floats(of, left, right)?,
            (Body::Is(of), Some(array), ..) => Arc::new(BooleanArray::from_unary(array, of)),
            (Body::Integer(of), _, _, Some(array), _) => Arc::new(array.try_unary::<_, Int64Type, _>(of)?),
            (Body::Integers(of), _, _, Some(left), Some(right)) => {
                let rows = left.iter().zip(right).map(|(left, right)| left.zip(right));
                let answers = rows.map(|row| row.map(|(left, right)| of(left, right)).transpose());
                Arc::new(answers.collect::<Result<Int64Array>>()?)
            }
            _ => return internal_err!("a function of numbers was called with something else"),
        })
    }
}

/// The function, as the engine takes it.
#[derive(Debug)]
pub(super) struct OfNumbers {
    definition: &'static Definition,
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
}

/// Documentation of a function of this family.
pub(super) fn documentation(about: &str, syntax: &str, example: &str) -> Documentation {
    let section = DocSection {
        include: true,
        label: super::SECTION,
        description: None,
    };
    Documentation::builder(section, about, syntax)
        .with_sql_example(example)
        .build()
}

impl OfNumbers {
    pub fn new(definition: &'static Definition) -> Self {
        Self {
            definition,
            aliases: definition.aliases.iter().map(|&alias| alias.to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation(definition.about, definition.syntax, definition.example),
        }
    }
}

impl PartialEq for OfNumbers {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for OfNumbers {}

impl Hash for OfNumbers {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for OfNumbers {
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

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let (count, data_type) = self.definition.body.takes();
        if !count.contains(&arg_types.len()) {
            return plan_err!("{} is called as {}", self.name(), self.definition.syntax);
        }
        for given in arg_types {
            numeric(given, self.name())?;
        }
        Ok(vec![data_type; arg_types.len()])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.definition.body.gives())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(
            self.name(),
            self.definition.body.gives(),
            nullable,
        )))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        Ok(match (self.definition.body, inputs) {
            (Body::Increasing(_), [input]) => input.sort_properties,
            _ => SortProperties::Unordered,
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        of_rows(&args.args, |arrays| self.definition.body.run(arrays))
    }
}

/// Whether a function of numbers takes that type: numbers, and what a literal stands for.
///
/// # Errors
/// It does not.
pub(super) fn numeric(data_type: &DataType, function: &str) -> Result<()> {
    use DataType as T;
    match data_type {
        T::Null | T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Decimal256(..) => Ok(()),
        number if is_number(number) => Ok(()),
        other => plan_err!("{function} takes numbers, and not {other}"),
    }
}

/// What `run` makes of the arguments; a scalar of scalars.
pub(super) fn of_rows(
    args: &[ColumnarValue],
    run: impl FnOnce(&[ArrayRef]) -> Result<ArrayRef>,
) -> Result<ColumnarValue> {
    let constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let result = run(&ColumnarValue::values_to_arrays(args)?)?;
    match constant {
        true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)),
        false => Ok(ColumnarValue::Array(result)),
    }
}
