//! Functions of the values of one row, defined by what they take and a closure: most functions of text and JSON are.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Float64Array, Int32Array, ListArray,
    ListBuilder, StringBuilder, StructBuilder,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, plan_err, resources_err};
use datafusion::logical_expr::{
    ColumnarValue, DocSection, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::casts::shown::{shown, shown_items};
use super::json::mark;
use super::text::pattern::Pattern;
use crate::query::session::ResultLimit;

/// What an argument is made into before the function sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Text,
    /// An integer of 64 bits.
    Integer,
    /// A double.
    Number,
    Boolean,
    Bytes,
    /// Text or bytes, as they are.
    TextOrBytes,
    /// A list of texts.
    Texts,
    /// Anything that has a text, as that which PostgreSQL shows: a truth value is `t` or `f`.
    Shown,
    /// A list of anything that has a text, as that which PostgreSQL shows; the items of lists within it are its own.
    ShownItems,
    /// Anything, as it is.
    Any,
}

/// How many times as large as its arguments a result may be, whatever memory there is.
const GROWTH: usize = 4;

/// What comes out of a row: nothing is a null.
type Answer<T> = Result<Option<T>>;

/// A key and its value.
type Pair = (String, Option<String>);

/// What a list of texts has.
type Texts = Vec<Option<String>>;

/// What a function gives, and how.
#[derive(Clone, Copy)]
pub(super) enum Gives {
    Text(for<'a> fn(Row<'a>) -> Answer<Cow<'a, str>>),
    /// A text that is JSON: other functions put it into theirs as it is.
    Json(for<'a> fn(Row<'a>) -> Answer<Cow<'a, str>>),
    Integer(fn(Row<'_>) -> Answer<i32>),
    Number(fn(Row<'_>) -> Answer<f64>),
    Boolean(fn(Row<'_>) -> Answer<bool>),
    Bytes(fn(Row<'_>) -> Answer<Vec<u8>>),
    /// A list of texts.
    Texts(fn(Row<'_>) -> Answer<Texts>),
    /// A list of lists of texts.
    TextLists(fn(Row<'_>) -> Answer<Vec<Texts>>),
    /// A list of `key` and `value`.
    Pairs(fn(Row<'_>) -> Answer<Vec<Pair>>),
}

/// A function of the values of one row.
#[derive(Clone, Copy)]
pub(super) struct Definition {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub takes: &'static [Takes],
    /// How many of the last arguments may be left out.
    pub optional: usize,
    /// The last argument may be repeated.
    pub repeats: bool,
    /// The function sees nulls; otherwise one makes the answer null.
    pub sees_nulls: bool,
    pub gives: Gives,
    /// What it does, for the documentation.
    pub what: &'static str,
    /// How it is called, for the documentation.
    pub syntax: &'static str,
    /// A call and its answer, for the documentation.
    pub example: &'static str,
}

impl Definition {
    /// What most functions have in common.
    pub const PLAIN: Self = Self {
        name: "",
        aliases: &[],
        takes: &[],
        optional: 0,
        repeats: false,
        sees_nulls: false,
        gives: Gives::Boolean(|_| Ok(None)),
        what: "",
        syntax: "",
        example: "",
    };
}

/// The functions, documented in a section.
pub(super) fn functions(section: &'static str, definitions: &'static [Definition]) -> Vec<Arc<ScalarUDF>> {
    let one = |definition| Arc::new(ScalarUDF::new_from_impl(Rowwise::new(section, definition)));
    definitions.iter().map(one).collect()
}

/// The section of the documentation of that name.
pub(super) fn section(label: &'static str) -> DocSection {
    DocSection {
        include: true,
        label,
        description: None,
    }
}

/// A definition, as the engine knows functions.
struct Rowwise {
    definition: &'static Definition,
    aliases: Vec<String>,
    signature: Signature,
    documentation: Documentation,
}

impl Rowwise {
    fn new(label: &'static str, definition: &'static Definition) -> Self {
        let documentation = Documentation::builder(section(label), definition.what, definition.syntax);
        Self {
            definition,
            aliases: definition.aliases.iter().map(|&alias| alias.to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
            documentation: documentation.with_sql_example(definition.example).build(),
        }
    }

    fn return_type_of(&self) -> DataType {
        match self.definition.gives {
            Gives::Text(_) | Gives::Json(_) => DataType::Utf8,
            Gives::Integer(_) => DataType::Int32,
            Gives::Number(_) => DataType::Float64,
            Gives::Boolean(_) => DataType::Boolean,
            Gives::Bytes(_) => DataType::Binary,
            Gives::Texts(_) => DataType::new_list(DataType::Utf8, true),
            Gives::TextLists(_) => DataType::new_list(DataType::new_list(DataType::Utf8, true), true),
            Gives::Pairs(_) => DataType::new_list(DataType::Struct(pair()), true),
        }
    }
}

impl std::fmt::Debug for Rowwise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rowwise({})", self.definition.name)
    }
}

impl PartialEq for Rowwise {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
    }
}

impl Eq for Rowwise {}

impl std::hash::Hash for Rowwise {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl ScalarUDFImpl for Rowwise {
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
            takes,
            optional,
            repeats,
            ..
        } = *self.definition;
        if given.len() < takes.len() - optional || (given.len() > takes.len() && !repeats) {
            let syntax = self.definition.syntax;
            return plan_err!("{name} does not take {} arguments: {syntax}", given.len());
        }
        let mut wanted = Vec::with_capacity(given.len());
        for (place, given) in given.iter().enumerate() {
            let Some(takes) = takes.get(place).or(takes.last()) else {
                return plan_err!("{name} does not take arguments");
            };
            match coerced(*takes, given) {
                Some(data_type) => wanted.push(data_type),
                None => {
                    let syntax = self.definition.syntax;
                    return plan_err!("argument {} of {name} may not be {given}: {syntax}", place + 1);
                }
            }
        }
        Ok(wanted)
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.return_type_of())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = Field::new(self.definition.name, self.return_type_of(), true);
        Ok(Arc::new(match self.definition.gives {
            Gives::Json(_) => mark(field),
            _ => field,
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let limit = ResultLimit::of(&args.config_options);
        let columns = args.args.into_iter().zip(&args.arg_fields).enumerate();
        let columns = columns.map(|(place, (value, field))| {
            let takes = self.definition.takes;
            Column::new(value, field)?.made(takes.get(place).or(takes.last()))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let patterns = Patterns::default();
        let rows = if constant { 1 } else { args.number_rows };
        // Of much, much may be made.
        let given: usize = columns.iter().map(|column| column.values.get_array_memory_size()).sum();
        let limit = limit.max(GROWTH.saturating_mul(given));
        let answers = self.definition.answers(&columns, &patterns, rows, limit)?;
        Ok(match constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&answers, 0)?),
            false => ColumnarValue::Array(answers),
        })
    }
}

impl Definition {
    fn answers(&self, columns: &[Column], patterns: &Patterns, rows: usize, limit: usize) -> Result<ArrayRef> {
        let fits = |bytes: usize| match bytes <= limit {
            true => Ok(()),
            false => resources_err!(
                "`{}` makes more than {} MB of one batch of rows, a sixteenth of what a statement may hold",
                self.name,
                limit / 1_000_000
            ),
        };
        let rows = (0..rows).map(|at| {
            let row = Row { columns, patterns, at };
            match self.sees_nulls || (0..columns.len()).all(|place| !row.is_null(place)) {
                true => Some(row),
                false => None,
            }
        });
        /// The answers, one after the other.
        macro_rules! each {
            ($rows:expr, $answer:expr, $into:ty) => {
                Arc::new(
                    $rows
                        .map(|row| row.map_or(Ok(None), $answer))
                        .collect::<Result<$into>>()?,
                )
            };
        }
        Ok(match self.gives {
            Gives::Text(answer) | Gives::Json(answer) => {
                let mut texts = StringBuilder::new();
                for row in rows {
                    match row {
                        Some(row) => texts.append_option(answer(row)?),
                        None => texts.append_null(),
                    }
                    fits(texts.values_slice().len())?;
                }
                Arc::new(texts.finish())
            }
            Gives::Integer(answer) => each!(rows, answer, Int32Array),
            Gives::Number(answer) => each!(rows, answer, Float64Array),
            Gives::Boolean(answer) => each!(rows, answer, BooleanArray),
            Gives::Bytes(answer) => {
                let mut bytes = BinaryBuilder::new();
                for row in rows {
                    match row {
                        Some(row) => bytes.append_option(answer(row)?),
                        None => bytes.append_null(),
                    }
                    fits(bytes.values_slice().len())?;
                }
                Arc::new(bytes.finish())
            }
            Gives::Texts(answer) => Arc::new(lists(rows, answer)?),
            Gives::TextLists(answer) => {
                let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
                for row in rows {
                    let found = row.map(answer).transpose()?.flatten();
                    for texts in found.iter().flatten() {
                        lists.values().append_value(texts.iter().map(Option::as_ref));
                    }
                    lists.append(found.is_some());
                }
                Arc::new(lists.finish())
            }
            Gives::Pairs(answer) => {
                let texts: [Box<dyn ArrayBuilder>; 2] =
                    [Box::new(StringBuilder::new()), Box::new(StringBuilder::new())];
                let mut lists = ListBuilder::new(StructBuilder::new(pair(), texts.into()));
                for row in rows {
                    let pairs = row.map(answer).transpose()?.flatten();
                    for (key, value) in pairs.iter().flatten() {
                        let pair = lists.values();
                        for (place, text) in [(0, Some(key)), (1, value.as_ref())] {
                            if let Some(texts) = pair.field_builder::<StringBuilder>(place) {
                                texts.append_option(text);
                            }
                        }
                        pair.append(true);
                    }
                    lists.append(pairs.is_some());
                }
                Arc::new(lists.finish())
            }
        })
    }
}

/// What a member of an object is.
fn pair() -> Fields {
    Fields::from(vec![
        Field::new("key", DataType::Utf8, true),
        Field::new("value", DataType::Utf8, true),
    ])
}

fn lists<'a>(
    rows: impl Iterator<Item = Option<Row<'a>>>,
    answer: fn(Row<'_>) -> Answer<Vec<Option<String>>>,
) -> Result<ListArray> {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        lists.append_option(row.map(answer).transpose()?.flatten());
    }
    Ok(lists.finish())
}

/// The type that a given one is cast to, if it may be.
fn coerced(takes: Takes, given: &DataType) -> Option<DataType> {
    use DataType as T;
    let is_text = matches!(given, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let is_bytes = matches!(
        given,
        T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_)
    );
    let is_number = given.is_numeric() || *given == T::Null;
    let is_list = matches!(given, T::List(_) | T::LargeList(_) | T::FixedSizeList(..));
    Some(match takes {
        Takes::Any => given.clone(),
        Takes::Shown if is_list || is_text || !given.is_nested() => given.clone(),
        Takes::ShownItems if is_list || *given == T::Null => given.clone(),
        Takes::ShownItems if is_text => T::new_list(T::Utf8, true),
        Takes::Text | Takes::TextOrBytes if is_text => given.clone(),
        Takes::TextOrBytes | Takes::Bytes if is_bytes => T::Binary,
        Takes::Bytes if is_text || *given == T::Null => T::Binary,
        Takes::Text | Takes::TextOrBytes if !given.is_nested() && !is_bytes => T::Utf8,
        // A cast would make the text that bytes are shown as.
        Takes::Text if is_bytes => T::Binary,
        Takes::Integer if is_number || is_text => T::Int64,
        Takes::Number if is_number || is_text => T::Float64,
        Takes::Boolean if is_text || *given == T::Null || *given == T::Boolean || given.is_integer() => T::Boolean,
        Takes::Texts if *given == T::Null || is_text => T::new_list(T::Utf8, true),
        Takes::Texts => match given {
            T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) if !item.data_type().is_nested() => {
                T::new_list(T::Utf8, true)
            }
            _ => return None,
        },
        _ => return None,
    })
}

/// An argument's values.
pub(super) struct Column {
    pub(super) values: ArrayRef,
    /// There is one value for all rows.
    constant: bool,
    /// What the engine says about it.
    pub(super) field: FieldRef,
}

impl Column {
    fn new(value: ColumnarValue, field: &FieldRef) -> Result<Self> {
        let (values, constant) = match value {
            ColumnarValue::Array(values) => (values, false),
            ColumnarValue::Scalar(value) => (value.to_array()?, true),
        };
        Ok(Self {
            values,
            constant,
            field: field.clone(),
        })
    }

    /// With what no cast makes of the values.
    fn made(mut self, takes: Option<&Takes>) -> Result<Self> {
        let is_null = *self.values.data_type() == DataType::Null;
        match takes {
            Some(Takes::Shown) if !is_null => self.values = Arc::new(shown(&self.values)?),
            Some(Takes::ShownItems) if !is_null => self.values = Arc::new(shown_items(&self.values)?),
            Some(Takes::Text) if *self.values.data_type() == DataType::Binary => {
                let options = CastOptions {
                    safe: false,
                    ..CastOptions::default()
                };
                self.values = cast_with_options(&self.values, &DataType::Utf8, &options)?;
            }
            _ => {}
        }
        Ok(self)
    }
}

/// The patterns of a batch: most often they are one, so each is compiled once.
#[derive(Default)]
pub(super) struct Patterns {
    last: RefCell<Option<Compiled>>,
    all: RefCell<HashMap<(String, String), Arc<Pattern>>>,
}

struct Compiled {
    pattern: String,
    flags: String,
    compiled: Arc<Pattern>,
}

/// More patterns than this in one batch are not kept.
const KEPT: usize = 1000;

/// The arguments in one row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    columns: &'a [Column],
    patterns: &'a Patterns,
    at: usize,
}

impl<'a> Row<'a> {
    /// The column of an argument, and the row in it.
    pub fn value(&self, place: usize) -> Option<(&'a Column, usize)> {
        let column = self.columns.get(place)?;
        Some((column, if column.constant { 0 } else { self.at }))
    }

    /// How many arguments there are.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    pub fn has(&self, place: usize) -> bool {
        place < self.columns.len()
    }

    /// Whether the argument is null, or left out.
    pub fn is_null(&self, place: usize) -> bool {
        let is_null =
            |(column, at): (&Column, usize)| *column.values.data_type() == DataType::Null || column.values.is_null(at);
        self.value(place).is_none_or(is_null)
    }

    /// The text, which is empty where it is null or left out.
    pub fn text(&self, place: usize) -> &'a str {
        self.text_or(place, "")
    }

    /// The text, or what stands for one that is null or left out.
    pub fn text_or(&self, place: usize, otherwise: &'a str) -> &'a str {
        self.text_at(place).unwrap_or(otherwise)
    }

    fn text_at(&self, place: usize) -> Option<&'a str> {
        let (column, at) = self.value(place)?;
        (!column.values.is_null(at)).then(|| text_of(&column.values, at))?
    }

    /// The bytes of bytes or of a text.
    pub fn bytes(&self, place: usize) -> &'a [u8] {
        match self.value(place) {
            Some((column, at)) if *column.values.data_type() == DataType::Binary => {
                column.values.as_binary::<i32>().value(at)
            }
            _ => self.text(place).as_bytes(),
        }
    }

    /// The integer, or what stands for one that is null or left out.
    pub fn integer_or(&self, place: usize, otherwise: i64) -> i64 {
        match self.value(place) {
            Some((column, at)) if !column.values.is_null(at) => {
                let integers = column.values.as_primitive_opt::<Int64Type>();
                integers.map_or(otherwise, |integers| integers.value(at))
            }
            _ => otherwise,
        }
    }

    pub fn integer(&self, place: usize) -> i64 {
        self.integer_or(place, 0)
    }

    pub fn number_or(&self, place: usize, otherwise: f64) -> f64 {
        match self.value(place) {
            Some((column, at)) if !column.values.is_null(at) => {
                let numbers = column.values.as_primitive_opt::<Float64Type>();
                numbers.map_or(otherwise, |numbers| numbers.value(at))
            }
            _ => otherwise,
        }
    }

    pub fn boolean_or(&self, place: usize, otherwise: bool) -> bool {
        match self.value(place) {
            Some((column, at)) if !column.values.is_null(at) => {
                let booleans = column.values.as_boolean_opt();
                booleans.map_or(otherwise, |booleans| booleans.value(at))
            }
            _ => otherwise,
        }
    }

    /// The list of texts.
    pub fn texts(&self, place: usize) -> Vec<Option<String>> {
        let Some((column, at)) = self.value(place) else {
            return Vec::new();
        };
        let Some(lists) = column.values.as_list_opt::<i32>() else {
            return Vec::new();
        };
        if lists.is_null(at) {
            return Vec::new();
        }
        let items = lists.value(at);
        let text = |at| (!items.is_null(at)).then(|| text_of(&items, at).map(str::to_owned))?;
        (0..items.len()).map(text).collect()
    }

    /// The compiled pattern.
    ///
    /// # Errors
    /// It is not a regular expression, or the flags are not known.
    pub fn pattern(&self, pattern: &str, flags: &str) -> Result<Arc<Pattern>> {
        if let Some(last) = &*self.patterns.last.borrow()
            && last.pattern == pattern
            && last.flags == flags
        {
            return Ok(last.compiled.clone());
        }
        let mut all = self.patterns.all.borrow_mut();
        let key = (pattern.to_owned(), flags.to_owned());
        let compiled = match all.get(&key) {
            Some(compiled) => compiled.clone(),
            None => Arc::new(Pattern::new(pattern, flags)?),
        };
        if all.len() < KEPT {
            all.insert(key, compiled.clone());
        }
        *self.patterns.last.borrow_mut() = Some(Compiled {
            pattern: pattern.to_owned(),
            flags: flags.to_owned(),
            compiled: compiled.clone(),
        });
        Ok(compiled)
    }
}

/// The text in an array of texts of any kind.
pub(super) fn text_of(values: &ArrayRef, at: usize) -> Option<&str> {
    match values.data_type() {
        DataType::Utf8 => Some(values.as_string::<i32>().value(at)),
        DataType::LargeUtf8 => Some(values.as_string::<i64>().value(at)),
        DataType::Utf8View => Some(values.as_string_view().value(at)),
        _ => None,
    }
}
