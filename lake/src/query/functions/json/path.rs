//! Ways into a value: `$.a[0]."b c"` of the SQL standard, `a.b[0]` of Snowflake, `{a,0}` of PostgreSQL.

use datafusion::common::{Result, plan_err};

use super::condition::Condition;
use super::scan::{Kind, Value};

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Member(String),
    /// Counted from 0, or from -1 back.
    Item(i64),
    /// What PostgreSQL's paths say for both: the member of an object, or the item of an array.
    Either(String),
    /// All members, or all items.
    All,
    /// The value itself, and all within it.
    Within,
    /// The value, or the items of an array, of which that is true.
    Where(Condition),
}

/// The steps of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    steps: Vec<Step>,
    /// Whether an array is never taken for its items.
    is_strict: bool,
}

impl Path {
    /// Reads a path: with `$`, as `/a/0`, or a name alone as it is.
    ///
    /// # Errors
    /// Plan: it is not a path.
    pub fn parse(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let strict = trimmed.strip_prefix("strict ");
        let trimmed = strict.or(trimmed.strip_prefix("lax ")).unwrap_or(trimmed).trim_start();
        if let Some(rest) = trimmed.strip_prefix('$') {
            let path = Self::steps(rest)?;
            return Ok(Self {
                is_strict: strict.is_some(),
                ..path
            });
        }
        if let Some(rest) = text.strip_prefix('/') {
            let name = |name: &str| Step::Either(name.replace("~1", "/").replace("~0", "~"));
            return Ok(Self::of(rest.split('/').map(name)));
        }
        Ok(Self::of([Step::Either(text.to_owned())]))
    }

    /// Reads a path that may begin without `$`, as Snowflake's.
    ///
    /// # Errors
    /// Plan: it is not a path.
    pub fn parse_bare(text: &str) -> Result<Self> {
        match text.trim().strip_prefix('$') {
            Some(rest) => Self::steps(rest),
            None => Self::steps(text.trim()),
        }
    }

    /// The names of PostgreSQL's `{a,0}`.
    pub fn of_names(names: impl IntoIterator<Item = String>) -> Self {
        Self::of(names.into_iter().map(Step::Either))
    }

    fn of(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            is_strict: false,
        }
    }

    /// Reads what is behind `$`.
    ///
    /// # Errors
    /// Plan: it is not a path.
    pub fn steps(text: &str) -> Result<Self> {
        let mut steps = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = match first {
                ' ' => rest.trim_start(),
                '?' => {
                    let Some((condition, after)) = Condition::parse(rest.get(1..).unwrap_or_default()) else {
                        return plan_err!("{text:?} is not a path into JSON: a condition is as in ? (@.a > 1)");
                    };
                    steps.push(Step::Where(condition));
                    after
                }
                '[' => {
                    let Some((step, after)) = bracket(rest) else {
                        return plan_err!(
                            "{text:?} is not a path into JSON: a bracket holds a number, a name in quotes or *"
                        );
                    };
                    steps.push(step);
                    after
                }
                _ => {
                    let mut name = rest;
                    if let Some(after) = rest.strip_prefix("..") {
                        steps.push(Step::Within);
                        name = after;
                    } else if first == '.' || first == ':' {
                        name = rest.get(1..).unwrap_or_default();
                    } else if !steps.is_empty() {
                        return plan_err!("{text:?} is not a path into JSON: names are behind points");
                    }
                    if name.starts_with('[') {
                        name
                    } else if let Some(after) = name.strip_prefix('*') {
                        steps.push(Step::All);
                        after
                    } else if let Some((name, after)) = in_quotes(name) {
                        steps.push(Step::Member(name));
                        after
                    } else {
                        let end = name.find(['.', '[', ':', ' ', '?']).unwrap_or(name.len());
                        let (name, after) = name.split_at(end);
                        if name.is_empty() || name.contains(['(', ')', '?', '@']) {
                            return plan_err!("{text:?} is not a path into JSON of names, numbers and *");
                        }
                        steps.push(Step::Member(name.to_owned()));
                        after
                    }
                }
            };
        }
        Ok(Self::of(steps))
    }

    /// Whether it may lead to more than one value.
    pub fn is_many(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::All | Step::Within | Step::Where(_)))
    }

    /// The steps.
    pub fn as_slice(&self) -> &[Step] {
        &self.steps
    }

    /// The value that it leads to; the first of them.
    pub fn find<'a>(&self, value: Value<'a>) -> Option<Value<'a>> {
        if self.is_many() {
            return self.find_all(value).into_iter().next();
        }
        self.steps.iter().try_fold(value, |value, step| step.one(value))
    }

    /// The values that it leads to.
    pub fn find_all<'a>(&self, value: Value<'a>) -> Vec<Value<'a>> {
        self.walk(value, value, false)
    }

    /// The values that it leads to in PostgreSQL: an array stands for its items, and a value for an array of it, unless the
    /// path says `strict`.
    pub fn find_lax<'a>(&self, value: Value<'a>) -> Vec<Value<'a>> {
        self.walk(value, value, !self.is_strict)
    }

    /// The same from a value within another, which is what conditions call `$`.
    pub fn find_lax_within<'a>(&self, whole: Value<'a>, value: Value<'a>) -> Vec<Value<'a>> {
        self.walk(whole, value, !self.is_strict)
    }

    fn walk<'a>(&self, whole: Value<'a>, value: Value<'a>, is_lax: bool) -> Vec<Value<'a>> {
        let mut found = vec![value];
        for step in &self.steps {
            found = match step {
                Step::All => {
                    let within = |value: Value<'a>| match value.kind() {
                        Kind::Array | Kind::Object => children(value),
                        _ if is_lax => vec![value],
                        _ => Vec::new(),
                    };
                    found.into_iter().flat_map(within).collect()
                }
                Step::Within => {
                    let mut all = Vec::new();
                    // Depth first, as they are written.
                    let mut waiting: Vec<Value<'a>> = found.into_iter().rev().collect();
                    while let Some(value) = waiting.pop() {
                        all.push(value);
                        let place = waiting.len();
                        waiting.extend(children(value));
                        if let Some(within) = waiting.get_mut(place..) {
                            within.reverse();
                        }
                    }
                    all
                }
                Step::Where(condition) => {
                    let all = found.into_iter().flat_map(items_of);
                    all.filter(|value| condition.holds(whole, *value) == Some(true))
                        .collect()
                }
                Step::Member(_) if is_lax => {
                    let all = found.into_iter().flat_map(items_of);
                    all.filter_map(|value| step.one(value)).collect()
                }
                Step::Item(0 | -1) if is_lax => {
                    let one = |value: Value<'a>| match value.kind() {
                        Kind::Array => step.one(value),
                        _ => Some(value),
                    };
                    found.into_iter().filter_map(one).collect()
                }
                step => found.into_iter().filter_map(|value| step.one(value)).collect(),
            };
        }
        found
    }
}

impl Step {
    fn one<'a>(&self, value: Value<'a>) -> Option<Value<'a>> {
        match (self, value.kind()) {
            (Self::Member(name), _) => value.member(name),
            (Self::Item(place), _) => value.item(*place),
            (Self::Either(name), Kind::Object) => value.member(name),
            (Self::Either(name), Kind::Array) => value.item(name.trim().parse().ok()?),
            _ => None,
        }
    }
}

/// The items of an array; of another value, itself.
fn items_of(value: Value<'_>) -> Vec<Value<'_>> {
    match value.kind() {
        Kind::Array => value.items().collect(),
        _ => vec![value],
    }
}

fn children(value: Value<'_>) -> Vec<Value<'_>> {
    match value.kind() {
        Kind::Object => value.unique_members().into_iter().map(|(_, value)| value).collect(),
        _ => value.items().collect(),
    }
}

/// The step in brackets at the beginning, and what follows.
fn bracket(text: &str) -> Option<(Step, &str)> {
    let inner = text.strip_prefix('[')?.trim_start();
    let (step, after) = match in_quotes(inner) {
        Some((name, after)) => (Step::Member(name), after),
        None => {
            let (inside, _) = inner.split_once(']')?;
            let after = inner.get(inside.len()..)?;
            let inside = inside.trim();
            let step = match inside
                .strip_prefix('#')
                .map(str::trim)
                .or(inside.strip_prefix("last").map(str::trim))
            {
                _ if inside == "*" => Step::All,
                Some("") if inside == "last" => Step::Item(-1),
                Some(back) => {
                    let back: i64 = back.strip_prefix('-')?.trim().parse().ok()?;
                    Step::Item(-back - i64::from(inside.starts_with("last")))
                }
                None => Step::Item(inside.parse().ok()?),
            };
            (step, after)
        }
    };
    Some((step, after.trim_start().strip_prefix(']')?))
}

/// The name in quotes at the beginning, and what follows.
pub(super) fn in_quotes(text: &str) -> Option<(String, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut name = String::new();
    let mut rest = text.get(1..)?.chars();
    loop {
        match rest.next()? {
            '\\' => name.push(rest.next()?),
            c if c == quote => return Some((name, rest.as_str())),
            c => name.push(c),
        }
    }
}

/// The items of a text that is an array of PostgreSQL: `{a,"b c",null}`.
///
/// # Errors
/// Plan: it is not one.
pub(super) fn names_of(text: &str) -> Result<Vec<String>> {
    let Some(inner) = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')) else {
        return plan_err!("{text:?} is not an array of names as `{{a,b}}` is");
    };
    let mut names = Vec::new();
    let mut rest = inner.trim();
    while !rest.is_empty() {
        let after = match in_quotes(rest).filter(|_| rest.starts_with('"')) {
            Some((name, after)) => {
                names.push(name);
                after.trim_start()
            }
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                names.push(name.trim().to_owned());
                after
            }
        };
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None if after.is_empty() => after,
            None => return plan_err!("{text:?} is not an array of names as `{{a,b}}` is"),
        };
    }
    Ok(names)
}
