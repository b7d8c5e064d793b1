//! Conditions of paths: `$.a[*] ? (@.price > 10 && @.name starts with "b")`. (PostgreSQL, "The SQL/JSON Path Language", in
//! lax mode: an array stands for its items.)

use std::cmp::Ordering;

use super::path::{Path, in_quotes};
use super::scan::{Kind, Value};

/// What a value has to be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    IsUnknown(Box<Condition>),
    Exists(Operand),
    Compared(Operand, Comparison, Operand),
    StartsWith(Operand, String),
}

/// A comparison holds for some orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operand {
    /// From the value, which is `@`.
    Value(Path),
    /// From the whole, which is `$`.
    Whole(Path),
    /// JSON.
    Literal(String),
}

impl Condition {
    /// The condition in parentheses at the beginning, and what follows. None: it is not one.
    pub fn parse(text: &str) -> Option<(Self, &str)> {
        let (condition, after) = any(text.trim_start().strip_prefix('(')?)?;
        Some((condition, after.trim_start().strip_prefix(')')?))
    }

    /// Whether it holds; none if that is unknown.
    pub fn holds(&self, whole: Value<'_>, value: Value<'_>) -> Option<bool> {
        match self {
            Self::All(conditions) => together(conditions.iter().map(|each| each.holds(whole, value)), false),
            Self::Any(conditions) => together(conditions.iter().map(|each| each.holds(whole, value)), true),
            Self::Not(condition) => Some(!condition.holds(whole, value)?),
            Self::IsUnknown(condition) => Some(condition.holds(whole, value).is_none()),
            Self::Exists(operand) => operand.read(whole, value, |values| Some(!values.is_empty())),
            Self::StartsWith(operand, beginning) => operand.read(whole, value, |values| {
                let starts = |value: &Value<'_>| match value.kind() {
                    Kind::String => Some(value.text().starts_with(beginning.as_str())),
                    _ => None,
                };
                together(items(values).iter().map(starts), true)
            }),
            Self::Compared(left, comparison, right) => left.read(whole, value, |left| {
                right.read(whole, value, |right| {
                    let right = items(right);
                    let left = items(left);
                    let pairs = left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b)));
                    together(pairs.map(|(a, b)| comparison.holds(a, b)), true)
                })
            }),
        }
    }
}

/// Whether one is decisive; otherwise unknown if one is, else the contrary.
fn together(answers: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut is_unknown = false;
    for answer in answers {
        match answer {
            Some(answer) if answer == decisive => return Some(decisive),
            Some(_) => {}
            None => is_unknown = true,
        }
    }
    (!is_unknown).then_some(!decisive)
}

/// The values, with the items of arrays in their place.
fn items<'a>(values: &[Value<'a>]) -> Vec<Value<'a>> {
    let mut all = Vec::with_capacity(values.len());
    for value in values {
        match value.kind() {
            Kind::Array => all.extend(value.items()),
            _ => all.push(*value),
        }
    }
    all
}

impl Operand {
    fn read<T>(&self, whole: Value<'_>, value: Value<'_>, then: impl FnOnce(&[Value<'_>]) -> Option<T>) -> Option<T> {
        match self {
            Self::Value(path) => then(&path.find_lax_within(whole, value)),
            Self::Whole(path) => then(&path.find_lax_within(whole, whole)),
            Self::Literal(json) => then(&[Value::read(json)?]),
        }
    }
}

impl Comparison {
    /// Values of different kinds cannot be compared, but for null, which is unequal to all others.
    fn holds(self, left: Value<'_>, right: Value<'_>) -> Option<bool> {
        let order = match (left.kind(), right.kind()) {
            (Kind::Null, Kind::Null) => Ordering::Equal,
            (Kind::Null, _) | (_, Kind::Null) => return Some(self == Self::Unequal),
            (Kind::Boolean, Kind::Boolean) => (left.raw() == "true").cmp(&(right.raw() == "true")),
            (Kind::Number, Kind::Number) => numbers(left.raw(), right.raw())?,
            (Kind::String, Kind::String) => left.text().cmp(&right.text()),
            _ => return None,
        };
        Some(match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        })
    }
}

fn numbers(left: &str, right: &str) -> Option<Ordering> {
    if let (Ok(left), Ok(right)) = (left.parse::<i128>(), right.parse::<i128>()) {
        return Some(left.cmp(&right));
    }
    left.parse::<f64>().ok()?.partial_cmp(&right.parse().ok()?)
}

fn any(text: &str) -> Option<(Condition, &str)> {
    chain(text, "||", all, Condition::Any)
}

fn all(text: &str) -> Option<(Condition, &str)> {
    chain(text, "&&", single, Condition::All)
}

fn chain<'a>(
    text: &'a str,
    operator: &str,
    operand: fn(&'a str) -> Option<(Condition, &'a str)>,
    joined: fn(Vec<Condition>) -> Condition,
) -> Option<(Condition, &'a str)> {
    let (first, mut rest) = operand(text)?;
    let mut conditions = vec![first];
    while let Some(after) = rest.trim_start().strip_prefix(operator) {
        let (next, after) = operand(after)?;
        conditions.push(next);
        rest = after;
    }
    match (conditions.pop(), conditions.is_empty()) {
        (Some(only), true) => Some((only, rest)),
        (Some(last), false) => {
            conditions.push(last);
            Some((joined(conditions), rest))
        }
        (None, _) => None,
    }
}

fn single(text: &str) -> Option<(Condition, &str)> {
    let text = text.trim_start();
    if let Some(after) = text.strip_prefix('!') {
        let (condition, after) = Condition::parse(after)?;
        return Some((Condition::Not(Box::new(condition)), after));
    }
    if let Some(after) = text.strip_prefix("exists") {
        let (operand, after) = operand(after.trim_start().strip_prefix('(')?)?;
        return Some((Condition::Exists(operand), after.trim_start().strip_prefix(')')?));
    }
    if text.starts_with('(') {
        let (condition, after) = Condition::parse(text)?;
        let unknown = after.trim_start().strip_prefix("is");
        let unknown = unknown.and_then(|after| after.trim_start().strip_prefix("unknown"));
        return Some(match unknown {
            Some(after) => (Condition::IsUnknown(Box::new(condition)), after),
            None => (condition, after),
        });
    }
    let (left, after) = operand(text)?;
    let after = after.trim_start();
    if let Some(after) = after.strip_prefix("starts") {
        let (beginning, after) = in_quotes(after.trim_start().strip_prefix("with")?.trim_start())?;
        return Some((Condition::StartsWith(left, beginning), after));
    }
    let (comparison, after) = comparison(after)?;
    let (right, after) = operand(after)?;
    Some((Condition::Compared(left, comparison, right), after))
}

fn comparison(text: &str) -> Option<(Comparison, &str)> {
    const SIGNS: [(&str, Comparison); 8] = [
        ("==", Comparison::Equal),
        ("!=", Comparison::Unequal),
        ("<>", Comparison::Unequal),
        ("<=", Comparison::LessOrEqual),
        (">=", Comparison::GreaterOrEqual),
        ("<", Comparison::Less),
        (">", Comparison::Greater),
        ("=", Comparison::Equal),
    ];
    let mut signs = SIGNS.into_iter();
    signs.find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))
}

fn operand(text: &str) -> Option<(Operand, &str)> {
    let text = text.trim_start();
    if let Some(after) = text.strip_prefix('@') {
        let (path, after) = path(after)?;
        return Some((Operand::Value(path), after));
    }
    if let Some(after) = text.strip_prefix('$') {
        let (path, after) = path(after)?;
        return Some((Operand::Whole(path), after));
    }
    let length = match in_quotes(text) {
        Some((_, after)) => text.len() - after.len(),
        None => text
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')))
            .unwrap_or(text.len()),
    };
    let (literal, after) = text.split_at(length);
    Value::read(literal)?;
    Some((Operand::Literal(literal.to_owned()), after))
}

/// The steps at the beginning, up to what no path has outside of quotes and brackets.
fn path(text: &str) -> Option<(Path, &str)> {
    let mut rest = text;
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        if let Some((_, after)) = in_quotes(rest) {
            rest = after;
            continue;
        }
        match first {
            '[' => depth += 1,
            ']' => depth = depth.checked_sub(1)?,
            _ if depth == 0 && (first.is_whitespace() || "=!<>&|()".contains(first)) => break,
            _ => {}
        }
        rest = rest.get(first.len_utf8()..)?;
    }
    let steps = text.get(..text.len() - rest.len())?;
    Some((Path::steps(steps).ok()?, rest))
}
