//! Conditionals of other dialects, which stand for `case`: what they do not answer with is not calculated.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::{comparison_coercion, type_union_coercion};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Functions;
use crate::query::arithmetic::{may_fail, shielded};

mod forms;

/// One of them: which types it takes, and the `case` that it stands for.
#[derive(Debug)]
struct Definition {
    name: &'static str,
    aliases: &'static [&'static str],
    about: &'static str,
    syntax: &'static str,
    example: &'static str,
    /// What each argument is. None: there may not be so many.
    arguments: fn(usize) -> Option<Vec<Argument>>,
    /// Of the arguments and the type of the results.
    stands_for: fn(Vec<Expr>, &DataType) -> Option<Expr>,
    /// Whether it answers true or false, with so many arguments, and not one of them.
    is_condition: fn(usize) -> bool,
}

/// What an argument of a conditional is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Argument {
    Condition,
    /// Compared with others of these.
    Compared,
    /// What may be answered.
    Result,
    /// A number that may be answered.
    Number,
    Integer,
    /// Whatever it is.
    Any,
}

pub(super) fn all() -> Functions {
    let function = |definition| Arc::new(ScalarUDF::from(Conditional::new(definition)));
    Functions {
        scalar: forms::ALL.iter().map(function).collect(),
        ..Functions::default()
    }
}

#[derive(Debug)]
struct Conditional {
    definition: &'static Definition,
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
}

impl Conditional {
    fn new(definition: &'static Definition) -> Self {
        let section = DocSection {
            include: true,
            label: "Conditionals",
            description: None,
        };
        Self {
            definition,
            aliases: definition.aliases.iter().map(|&alias| alias.to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: Documentation::builder(section, definition.about, definition.syntax)
                .with_sql_example(definition.example)
                .build(),
        }
    }

    fn arguments(&self, count: usize) -> Result<Vec<Argument>> {
        match (self.definition.arguments)(count) {
            Some(arguments) => Ok(arguments),
            None => plan_err!("{} is called as {}", self.name(), self.definition.syntax),
        }
    }
}

impl PartialEq for Conditional {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Conditional {}

impl std::hash::Hash for Conditional {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

/// The type that all of them are made into.
fn common<'a>(
    mut types: impl Iterator<Item = &'a DataType>,
    of_two: fn(&DataType, &DataType) -> Option<DataType>,
) -> Option<DataType> {
    types.try_fold(DataType::Null, |all, own| match (all, own) {
        (DataType::Null, own) => Some(own.clone()),
        (all, DataType::Null) => Some(all),
        // A double beside a decimal is a double.
        (all, own) if all.is_floating() && own.is_decimal() || all.is_decimal() && own.is_floating() => {
            Some(DataType::Float64)
        }
        (all, own) => of_two(&all, own),
    })
}

impl ScalarUDFImpl for Conditional {
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
        use Argument as A;
        let arguments = self.arguments(arg_types.len())?;
        let both = || arguments.iter().zip(arg_types);
        let of = |kinds: &'static [A]| both().filter_map(|(argument, own)| kinds.contains(argument).then_some(own));
        let compared = common(of(&[A::Compared]), comparison_coercion);
        let results = common(of(&[A::Result, A::Number]), type_union_coercion);
        let (Some(compared), Some(results)) = (compared, results) else {
            let given: Vec<_> = arg_types.iter().map(ToString::to_string).collect();
            return plan_err!("{} has no common type of {}", self.name(), given.join(", "));
        };
        let types = both().map(|(argument, own)| match argument {
            A::Condition => DataType::Boolean,
            A::Compared => compared.clone(),
            A::Number if results.is_null() => DataType::Int64,
            A::Result | A::Number => results.clone(),
            A::Integer => DataType::Int64,
            A::Any => own.clone(),
        });
        Ok(types.collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        if (self.definition.is_condition)(arg_types.len()) {
            return Ok(DataType::Boolean);
        }
        let arguments = self.arguments(arg_types.len())?;
        let is_result = |argument: &Argument| matches!(argument, Argument::Result | Argument::Number);
        match arguments
            .iter()
            .position(is_result)
            .and_then(|place| arg_types.get(place))
        {
            Some(data_type) => Ok(data_type.clone()),
            None => plan_err!("{} has no result", self.name()),
        }
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let types = args.iter().map(|arg| context.get_data_type(arg));
        let data_type = self.return_type(&types.collect::<Result<Vec<_>>>()?)?;
        match (self.definition.stands_for)(args, &data_type) {
            Some(Expr::Case(case)) if data_type == DataType::Boolean => {
                let expr = Expr::Case(case);
                Ok(ExprSimplifyResult::Simplified(
                    match (may_fail(&expr, context.schema())?, expr) {
                        (true, Expr::Case(case)) => shielded(case),
                        (_, expr) => expr,
                    },
                ))
            }
            Some(expr) => Ok(ExprSimplifyResult::Simplified(expr)),
            None => plan_err!("{} is called as {}", self.name(), self.definition.syntax),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("{} stands for a case, which was not put in its place", self.name())
    }
}
