//! How a scalar function is defined: names, forms of its arguments, result and body in one table entry, instead of a type
//! of its own for each.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, IntervalUnit, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err, plan_err};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignature, Volatility,
};

/// What a place in a form of arguments takes, and the type that the body gets it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text, as Utf8.
    Text,
    /// A whole number, as Int64.
    Int,
    /// Any number, as Float64.
    Float,
    /// A number, in its own type.
    Number,
    /// A date (Date32) or a timestamp in microseconds; text is read as a timestamp.
    Moment,
    /// A date, as Date32; a timestamp loses its time.
    Day,
    /// A timestamp in microseconds; dates and text are read as one.
    Stamp,
    /// An interval in months, days and nanoseconds, or a duration in microseconds.
    Span,
    /// A time of day, in nanoseconds.
    Time,
    /// Anything, in its own type.
    Any,
}

/// The values that a comparison of a function of those arguments with a constant stands for.
type Preimage = fn(&[Expr], &Expr, &SimplifyContext) -> Result<PreimageResult>;

/// One function.
pub(super) struct Definition {
    pub name: &'static str,
    /// Other names that the same function has elsewhere.
    pub aliases: &'static [&'static str],
    /// Where the page of functions has it.
    pub family: &'static str,
    pub about: &'static str,
    pub syntax: &'static str,
    pub example: &'static str,
    /// What can be passed: the first form that fits without a conversion is taken, else the first that fits with one.
    pub forms: &'static [&'static [Kind]],
    /// The type of the result.
    pub returns: fn(&Given) -> Result<DataType>,
    pub body: fn(&Arguments) -> Result<ArrayRef>,
    /// The argument whose order the result has, while the others are constants.
    pub keeps_order_of: Option<usize>,
    /// The values that a comparison of the result with a constant stands for, so that files can be passed over.
    pub preimage: Option<Preimage>,
}

/// What most functions have: to be taken the rest from.
pub(super) const PLAIN: Definition = Definition {
    name: "",
    aliases: &[],
    family: "",
    about: "",
    syntax: "",
    example: "",
    forms: &[],
    returns: |_| Ok(DataType::Null),
    body: |_| internal_err!("a function without a body"),
    keeps_order_of: None,
    preimage: None,
};

/// What is known of a call before it runs.
pub(super) struct Given<'a> {
    types: Vec<DataType>,
    constants: &'a [Option<&'a ScalarValue>],
}

impl Given<'_> {
    pub fn count(&self) -> usize {
        self.types.len()
    }

    /// The type of an argument; null where there is none.
    pub fn data_type(&self, place: usize) -> &DataType {
        self.types.get(place).unwrap_or(&DataType::Null)
    }

    /// The text that an argument always is.
    pub fn text(&self, place: usize) -> Option<&str> {
        self.constants.get(place).copied().flatten()?.try_as_str().flatten()
    }
}

/// The arguments of a call, each with a row for a row.
pub(super) struct Arguments {
    pub arrays: Vec<ArrayRef>,
    pub rows: usize,
    pub result: DataType,
}

impl Arguments {
    pub fn count(&self) -> usize {
        self.arrays.len()
    }

    /// # Errors
    /// Internal: there is no such argument.
    pub fn array(&self, place: usize) -> Result<&ArrayRef> {
        match self.arrays.get(place) {
            Some(array) => Ok(array),
            None => internal_err!("an argument is missing"),
        }
    }

    pub fn text(&self, place: usize) -> Result<&StringArray> {
        match self.array(place)?.as_string_opt::<i32>() {
            Some(array) => Ok(array),
            None => internal_err!("an argument is not text"),
        }
    }

    pub fn ints(&self, place: usize) -> Result<&Int64Array> {
        match self.array(place)?.as_primitive_opt::<Int64Type>() {
            Some(array) => Ok(array),
            None => internal_err!("an argument is not a bigint"),
        }
    }

    pub fn floats(&self, place: usize) -> Result<&Float64Array> {
        match self.array(place)?.as_primitive_opt::<Float64Type>() {
            Some(array) => Ok(array),
            None => internal_err!("an argument is not a double"),
        }
    }

    /// Whether any argument is null in the row.
    pub fn any_null(&self, row: usize) -> bool {
        self.arrays.iter().any(|array| array.is_null(row))
    }
}

/// The functions, as the engine takes them.
pub(super) fn udfs(definitions: &'static [Definition]) -> impl Iterator<Item = Arc<ScalarUDF>> {
    definitions.iter().map(udf)
}

/// The function, as the engine takes it.
pub(super) fn udf(definition: &'static Definition) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(Function::new(definition)))
}

#[derive(Debug)]
struct Function {
    definition: &'static Definition,
    signature: Signature,
    aliases: Vec<String>,
    documentation: Documentation,
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl Function {
    fn new(definition: &'static Definition) -> Self {
        let section = DocSection {
            include: true,
            label: definition.family,
            description: None,
        };
        let documentation = Documentation::builder(section, definition.about, definition.syntax)
            .with_sql_example(definition.example)
            .build();
        let signature = match definition.forms.iter().any(|form| form.is_empty()) {
            true => TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::UserDefined]),
            false => TypeSignature::UserDefined,
        };
        Self {
            definition,
            signature: Signature::new(signature, Volatility::Immutable),
            aliases: definition.aliases.iter().map(|&alias| alias.to_owned()).collect(),
            documentation,
        }
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, actual: &[DataType]) -> Result<Vec<DataType>> {
        let forms = self.definition.forms.iter().filter(|form| form.len() == actual.len());
        for fits in [Kind::exactly as fn(Kind, &DataType) -> Option<DataType>, Kind::loosely] {
            for form in forms.clone() {
                let types = form.iter().zip(actual).map(|(kind, own)| fits(*kind, own));
                if let Some(types) = types.collect::<Option<Vec<_>>>() {
                    return Ok(types);
                }
            }
        }
        let given: Vec<_> = actual.iter().map(ToString::to_string).collect();
        plan_err!(
            "{} does not take ({}): it is written {}",
            self.definition.name,
            given.join(", "),
            self.definition.syntax
        )
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} depends on its arguments", self.definition.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let result = (self.definition.returns)(&Given {
            types,
            constants: args.scalar_arguments,
        })?;
        Ok(Arc::new(Field::new(self.definition.name, result, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = match args.args.is_empty() {
            true => Vec::new(),
            false => ColumnarValue::values_to_arrays(&args.args)?,
        };
        let rows = arrays.first().map_or(1, |array| array.len());
        let arguments = Arguments {
            arrays,
            rows,
            result: args.return_field.data_type().clone(),
        };
        let result = (self.definition.body)(&arguments)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        match result.len() == args.number_rows {
            true => Ok(ColumnarValue::Array(result)),
            false => exec_err!("{} did not answer each row", self.definition.name),
        }
    }

    fn preimage(&self, args: &[Expr], value: &Expr, context: &SimplifyContext) -> Result<PreimageResult> {
        match self.definition.preimage {
            Some(preimage) => preimage(args, value, context),
            None => Ok(PreimageResult::None),
        }
    }

    fn output_ordering(&self, input: &[ExprProperties]) -> Result<SortProperties> {
        let Some(place) = self.definition.keeps_order_of else {
            return Ok(SortProperties::Unordered);
        };
        let mut others = input.iter().enumerate().filter(|(other, _)| *other != place);
        let constant = others.all(|(_, properties)| properties.sort_properties == SortProperties::Singleton);
        Ok(match input.get(place) {
            Some(properties) if constant => properties.sort_properties,
            _ => SortProperties::Unordered,
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

impl Kind {
    /// The type that the body gets, if the type is of this kind.
    fn exactly(self, own: &DataType) -> Option<DataType> {
        use DataType as T;
        match (self, own) {
            (Self::Text, T::Utf8 | T::LargeUtf8 | T::Utf8View) => Some(T::Utf8),
            (Self::Int, own) if own.is_integer() => Some(T::Int64),
            (Self::Float, own) if own.is_numeric() => Some(T::Float64),
            (Self::Number, own) if own.is_numeric() => Some(own.clone()),
            (Self::Moment | Self::Day, T::Date32 | T::Date64) => Some(T::Date32),
            (Self::Moment | Self::Stamp, T::Timestamp(_, zone)) => {
                Some(T::Timestamp(TimeUnit::Microsecond, zone.clone()))
            }
            (Self::Span, T::Interval(_)) => Some(T::Interval(IntervalUnit::MonthDayNano)),
            (Self::Span, T::Duration(_)) => Some(T::Duration(TimeUnit::Microsecond)),
            (Self::Time, T::Time32(_) | T::Time64(_)) => Some(T::Time64(TimeUnit::Nanosecond)),
            (Self::Any, own) => Some(own.clone()),
            _ => None,
        }
    }

    /// The type that the body gets, if the type can stand for this kind: literals of no known type, and wider numbers.
    fn loosely(self, own: &DataType) -> Option<DataType> {
        use DataType as T;
        let is_text = matches!(own, T::Utf8 | T::LargeUtf8 | T::Utf8View);
        let is_null = *own == T::Null;
        match self {
            kind if kind.exactly(own).is_some() => kind.exactly(own),
            Self::Text if is_null => Some(T::Utf8),
            Self::Int if own.is_numeric() || is_text || is_null => Some(T::Int64),
            Self::Float | Self::Number if is_text || is_null => Some(T::Float64),
            Self::Moment if is_text || is_null => Some(T::Timestamp(TimeUnit::Microsecond, None)),
            Self::Stamp if is_text || is_null || matches!(own, T::Date32 | T::Date64) => {
                Some(T::Timestamp(TimeUnit::Microsecond, None))
            }
            Self::Day if is_text || is_null || matches!(own, T::Timestamp(..)) => Some(T::Date32),
            Self::Span if is_text || is_null => Some(T::Interval(IntervalUnit::MonthDayNano)),
            Self::Time if is_text || is_null => Some(T::Time64(TimeUnit::Nanosecond)),
            _ => None,
        }
    }
}

/// For a function whose result has always one type.
macro_rules! always {
    ($data_type:expr) => {
        |_: &crate::query::functions::definition::Given| Ok($data_type)
    };
}
pub(super) use always;
