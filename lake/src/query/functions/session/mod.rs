//! Functions on the session and the catalog: who asks, where, of which version, and what PostgreSQL's clients ask besides.
//!
//! They are asked for a few rows at most, so they work value by value.

mod catalog;
mod privileges;
mod settings;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::Functions;

pub(super) fn all() -> Functions {
    let functions = settings::all()
        .into_iter()
        .chain(catalog::all())
        .chain(privileges::all());
    Functions {
        scalar: functions.map(|function| Arc::new(ScalarUDF::from(function))).collect(),
        ..Functions::default()
    }
}

/// What a function says of the values of its arguments in one row.
type Answer = fn(&[ScalarValue], &ConfigOptions) -> Result<ScalarValue>;

/// A function that is the same for the whole of a statement.
struct OfSession {
    name: &'static str,
    aliases: Vec<String>,
    signature: Signature,
    returns: DataType,
    answer: Answer,
    documentation: Documentation,
}

impl OfSession {
    /// `syntax` has the name and the arguments, `current_setting(name)`; `arguments` says how many it takes.
    fn new(
        syntax: &'static str,
        arguments: &[usize],
        returns: DataType,
        answer: Answer,
        description: &'static str,
    ) -> Self {
        let name = syntax.split('(').next().unwrap_or(syntax);
        let shapes = arguments.iter().map(|count| match count {
            0 => TypeSignature::Nullary,
            count => TypeSignature::Any(*count),
        });
        let section = DocSection {
            include: true,
            label: "Session and catalog functions",
            description: None,
        };
        Self {
            name,
            aliases: Vec::new(),
            signature: Signature::one_of(shapes.collect(), Volatility::Stable),
            returns,
            answer,
            documentation: Documentation::builder(section, description, syntax).build(),
        }
    }

    fn also(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_owned());
        self
    }
}

impl fmt::Debug for OfSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for OfSession {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for OfSession {}

impl Hash for OfSession {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for OfSession {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let row = |row: usize| {
            let values = args.args.iter().map(|argument| match argument {
                ColumnarValue::Scalar(value) => Ok(value.clone()),
                ColumnarValue::Array(values) => ScalarValue::try_from_array(values, row),
            });
            (self.answer)(&values.collect::<Result<Vec<_>>>()?, &args.config_options)
        };
        let is_constant = args
            .args
            .iter()
            .all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        if is_constant {
            return Ok(ColumnarValue::Scalar(row(0)?));
        }
        let values = (0..args.number_rows).map(row).collect::<Result<Vec<_>>>()?;
        let values = match values.is_empty() {
            true => arrow::array::new_empty_array(&self.returns),
            false => ScalarValue::iter_to_array(values)?,
        };
        Ok(ColumnarValue::Array(values))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}

/// A text, or null.
fn text(value: impl Into<Option<String>>) -> ScalarValue {
    ScalarValue::Utf8(value.into())
}

/// The argument as text; `None` if it is null.
fn text_of(argument: &ScalarValue) -> Result<Option<String>> {
    match argument.cast_to(&DataType::Utf8)? {
        ScalarValue::Utf8(text) => Ok(text),
        other => exec_err!("{other} is not a text"),
    }
}

/// The argument as a whole number; `None` if it is null.
fn number_of(argument: &ScalarValue) -> Result<Option<i64>> {
    match argument.cast_to(&DataType::Int64)? {
        ScalarValue::Int64(number) => Ok(number),
        other => exec_err!("{other} is not a whole number"),
    }
}
