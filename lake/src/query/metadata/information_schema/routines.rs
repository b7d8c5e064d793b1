//! `routines` and `parameters`: the functions that there are, with the types that each takes.
//!
//! Besides the standard's columns there are the engine's, which `show functions` reads: a function's kind, its description,
//! its syntax, and the number of a combination of types.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::function::WindowUDFFieldArgs;
use datafusion::logical_expr::{Documentation, ReturnFieldArgs, Signature, TypeSignature, Volatility};

use crate::query::metadata::columns::{All, batch, flag, number, text, texts, yes_or_no};
use crate::query::metadata::{pg_catalog, sql_types};
use crate::query::session::CATALOG;

/// A function with the types that it takes and gives, by SQL's names.
#[derive(Debug)]
pub(super) struct Function {
    name: String,
    /// `SCALAR`, `AGGREGATE`, `WINDOW` or `TABLE`.
    kind: &'static str,
    is_deterministic: bool,
    is_variadic: bool,
    description: Option<String>,
    syntax: Option<String>,
    parameters: Vec<String>,
    /// Combinations of arguments' types, and what each gives, if that is known.
    types: BTreeSet<(Vec<String>, Option<String>)>,
}

/// All functions of a session, by name.
pub(super) fn functions(session: &dyn Session) -> Vec<Function> {
    let mut all = Vec::new();
    for (name, function) in session.scalar_functions() {
        let gives = |arguments: &[FieldRef]| {
            let scalar_arguments = vec![None; arguments.len()];
            function.return_field_from_args(ReturnFieldArgs {
                arg_fields: arguments,
                scalar_arguments: &scalar_arguments,
            })
        };
        all.push(Function::new(
            name,
            "SCALAR",
            function.signature(),
            function.documentation(),
            gives,
        ));
    }
    for (name, function) in session.aggregate_functions() {
        let gives = |arguments: &[FieldRef]| function.return_field(arguments);
        all.push(Function::new(
            name,
            "AGGREGATE",
            function.signature(),
            function.documentation(),
            gives,
        ));
    }
    for (name, function) in session.window_functions() {
        let gives = |arguments: &[FieldRef]| function.field(WindowUDFFieldArgs::new(arguments, function.name()));
        all.push(Function::new(
            name,
            "WINDOW",
            function.signature(),
            function.documentation(),
            gives,
        ));
    }
    if let Some(state) = session.as_any().downcast_ref::<SessionState>() {
        all.extend(state.table_functions().keys().map(|name| Function::table(name)));
    }
    all.sort_by(|a, b| (&a.name, a.kind).cmp(&(&b.name, b.kind)));
    all
}

impl Function {
    fn new(
        name: &str,
        kind: &'static str,
        signature: &Signature,
        documentation: Option<&Documentation>,
        gives: impl Fn(&[FieldRef]) -> Result<FieldRef>,
    ) -> Self {
        let arguments = documentation.and_then(|documentation| documentation.arguments.as_ref());
        let combination = |types: Vec<DataType>| {
            let fields = types.iter().zip(1..);
            let fields =
                fields.map(|(data_type, nth)| Arc::new(Field::new(format!("${nth}"), data_type.clone(), true)));
            let result = gives(&fields.collect::<Vec<_>>()).ok();
            let result = result.map(|field| sql_types::name(field.data_type()).to_owned());
            (
                types.iter().map(|one| sql_types::name(one).to_owned()).collect(),
                result,
            )
        };
        let mut types: BTreeSet<_> = signature
            .type_signature
            .get_example_types()
            .into_iter()
            .map(combination)
            .collect();
        if types.is_empty() {
            types.insert((Vec::new(), None));
        }
        Self {
            name: name.to_owned(),
            kind,
            is_deterministic: signature.volatility == Volatility::Immutable,
            is_variadic: matches!(
                signature.type_signature,
                TypeSignature::Variadic(_) | TypeSignature::VariadicAny
            ),
            description: documentation.map(|documentation| documentation.description.trim().to_owned()),
            syntax: documentation.map(|documentation| documentation.syntax_example.clone()),
            parameters: arguments.into_iter().flatten().map(|(name, _)| name.clone()).collect(),
            types,
        }
    }

    /// One that gives rows. The engine does not say which arguments it takes.
    fn table(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: "TABLE",
            is_deterministic: false,
            is_variadic: false,
            description: None,
            syntax: None,
            parameters: Vec::new(),
            types: BTreeSet::from([(Vec::new(), Some("TABLE".to_owned()))]),
        }
    }

    /// The types that it may give.
    fn results(&self) -> BTreeSet<Option<&str>> {
        self.types.iter().map(|(_, result)| result.as_deref()).collect()
    }
}

/// One row for every function and type that it may give.
pub(super) fn routines(functions: &[Function]) -> Result<RecordBatch> {
    let rows: Vec<_> = functions
        .iter()
        .flat_map(|function| function.results().into_iter().map(move |result| (function, result)))
        .collect();
    let (all, rows) = (All(rows.len()), rows.iter());
    let names = || text(rows.clone().map(|(function, _)| &function.name));
    batch(vec![
        ("specific_catalog", all.text(CATALOG)),
        ("specific_schema", all.text(pg_catalog::NAME)),
        ("specific_name", names()),
        ("routine_catalog", all.text(CATALOG)),
        ("routine_schema", all.text(pg_catalog::NAME)),
        ("routine_name", names()),
        ("routine_type", all.text("FUNCTION")),
        ("data_type", texts(rows.clone().map(|(_, result)| *result))),
        ("routine_body", all.text("EXTERNAL")),
        ("routine_definition", all.no_text()),
        ("external_language", all.text("RUST")),
        (
            "is_deterministic",
            text(rows.clone().map(|(function, _)| yes_or_no(function.is_deterministic))),
        ),
        ("sql_data_access", all.text("READS")),
        ("security_type", all.text("INVOKER")),
        ("function_type", text(rows.clone().map(|(function, _)| function.kind))),
        (
            "description",
            texts(rows.clone().map(|(function, _)| function.description.as_ref())),
        ),
        (
            "syntax_example",
            texts(rows.clone().map(|(function, _)| function.syntax.as_ref())),
        ),
    ])
}

/// One row for every argument of every combination of types, and one for what it gives.
pub(super) fn parameters(functions: &[Function]) -> Result<RecordBatch> {
    struct Parameter<'a> {
        function: &'a Function,
        combination: i32,
        position: i32,
        mode: &'static str,
        name: Option<&'a String>,
        data_type: &'a String,
    }
    let mut rows = Vec::new();
    for function in functions.iter().filter(|function| function.kind != "TABLE") {
        for ((arguments, result), combination) in function.types.iter().zip(0..) {
            rows.extend(
                arguments
                    .iter()
                    .zip(1..)
                    .enumerate()
                    .map(|(place, (data_type, position))| Parameter {
                        function,
                        combination,
                        position,
                        mode: "IN",
                        name: function.parameters.get(place),
                        data_type,
                    }),
            );
            rows.extend(result.as_ref().map(|data_type| Parameter {
                function,
                combination,
                position: 1,
                mode: "OUT",
                name: None,
                data_type,
            }));
        }
    }
    let (all, rows) = (All(rows.len()), rows.iter());
    batch(vec![
        ("specific_catalog", all.text(CATALOG)),
        ("specific_schema", all.text(pg_catalog::NAME)),
        ("specific_name", text(rows.clone().map(|row| &row.function.name))),
        ("ordinal_position", number(rows.clone().map(|row| row.position))),
        ("parameter_mode", text(rows.clone().map(|row| row.mode))),
        ("is_result", text(rows.clone().map(|row| yes_or_no(row.mode == "OUT")))),
        ("parameter_name", texts(rows.clone().map(|row| row.name))),
        ("data_type", text(rows.clone().map(|row| row.data_type))),
        ("parameter_default", all.no_text()),
        ("is_variadic", flag(rows.clone().map(|row| row.function.is_variadic))),
        ("rid", number(rows.map(|row| row.combination))),
    ])
}
