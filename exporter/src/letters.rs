//! The language of templates, as far as letters need it: what a text is made of stays within bounds.
//!
//! Steps and the length of the text are counted while it is rendered. What it is put together from is not, and a value
//! that is twice itself, thirty times, takes all memory in a few steps. So what is given a name (`set`, `for`) does not
//! put texts together, there are no macros, and the filters that make more of a text than was there look at how much.

use minijinja::value::{Kwargs, StringInput, Value};
use minijinja::{Environment, Error, ErrorKind, State, filters};

/// Steps that the rendering of one text may take: thousands of times what a letter needs, and a moment of a machine's
/// time.
pub(crate) const STEPS: u64 = 100_000;

/// Bytes that one text may have, and each value in it.
pub(crate) const TEXT: usize = 4 << 20;

/// Statements that there are.
const STATEMENTS: [&str; 10] = [
    "autoescape",
    "elif",
    "else",
    "endautoescape",
    "endfor",
    "endif",
    "for",
    "if",
    "raw",
    "set",
];

/// An environment for letters.
pub(crate) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(STEPS));
    for function in ["debug", "dict", "namespace"] {
        environment.remove_global(function);
    }
    for filter in ["batch", "chain", "format", "groupby", "pprint", "slice", "zip"] {
        environment.remove_filter(filter);
    }
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("indent", indent);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("tojson", tojson);
    environment
}

fn join(state: &State, value: &Value, joiner: Option<StringInput<'_>>) -> Result<Value, Error> {
    let between = joiner.as_ref().map_or(0, |joiner| joiner.as_str().len());
    let mut bytes = 0;
    for item in value.try_iter()? {
        bytes = fits(bytes + length(&item) + between)?;
    }
    filters::join(state, value, joiner)
}

fn replace(state: &State, value: StringInput<'_>, from: StringInput<'_>, to: StringInput<'_>) -> Result<Value, Error> {
    let times = value.as_str().matches(from.as_str()).count();
    fits(value.as_str().len() + times.saturating_mul(to.as_str().len()))?;
    filters::replace(state, value, from, to)
}

fn indent(
    value: StringInput<'_>,
    width: Option<usize>,
    first: Option<bool>,
    blank: Option<bool>,
    options: Kwargs,
) -> Result<Value, Error> {
    let text = value.as_str();
    let wide = width.or(options.peek::<Option<usize>>("width")?).unwrap_or(4);
    fits(
        (text.lines().count() + 1)
            .saturating_mul(wide)
            .saturating_add(text.len()),
    )?;
    filters::indent(value, width, first, blank, options)
}

fn escape(state: &State, value: &Value) -> Result<Value, Error> {
    fits(length(value))?;
    filters::escape(state, value)
}

fn tojson(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    fits(length(value))?;
    filters::tojson(value, indent, options)
}

/// How long a value's text is.
fn length(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.to_string().len(), str::len)
}

fn fits(bytes: usize) -> Result<usize, Error> {
    match bytes <= TEXT {
        true => Ok(bytes),
        false => Err(Error::new(ErrorKind::InvalidOperation, "a value in it is too long")),
    }
}

/// Looks for what letters do not need.
///
/// # Errors
/// What it is.
pub(crate) fn check(source: &str) -> Result<(), String> {
    let mut rest = source;
    while let Some((_, tag)) = rest.split_once('{') {
        rest = match tag.chars().next() {
            Some('#') => tag.split_once("#}").map_or("", |(_, rest)| rest),
            Some('{') => within(&tag[1..], "}}").1,
            Some('%') => {
                let (inner, rest) = within(&tag[1..], "%}");
                match statement(inner.trim_matches(['-', '+', ' ', '\n', '\t', '\r']))? {
                    "raw" => rest.split_once("endraw").map_or("", |(_, rest)| rest),
                    _ => rest,
                }
            }
            _ => tag,
        };
    }
    Ok(())
}

/// What is in a tag up to its end, and what follows. A text in quotes does not end it.
fn within<'s>(text: &'s str, end: &str) -> (&'s str, &'s str) {
    let plain = without_texts(text);
    match plain.find(end) {
        Some(at) => (&text[..at], &text[at + end.len()..]),
        None => (text, ""),
    }
}

/// The same with spaces for what is between quotes, byte by byte.
fn without_texts(text: &str) -> String {
    let (mut quote, mut is_escaped) = (None, false);
    let plain = text.bytes().map(|byte| {
        let is_quote = byte == b'"' || byte == b'\'';
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if byte == b'\\' => is_escaped = true,
            Some(begun) if begun == byte => quote = None,
            Some(_) => {}
            None if is_quote => quote = Some(byte),
            None if byte.is_ascii() => return char::from(byte),
            None => return 'x',
        }
        ' '
    });
    plain.collect()
}

/// The word that a statement begins with.
fn statement(text: &str) -> Result<&str, String> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if !STATEMENTS.contains(&word) {
        return Err(format!(
            "there is no `{word}` in letters; there are `if`, `for` and `set`"
        ));
    }
    let plain = without_texts(rest);
    if word == "for" && plain.split_whitespace().any(|word| word == "recursive") {
        return Err("there are no recursive loops in letters".to_owned());
    }
    if word == "set" && (!plain.contains('=') || plain.split('=').next().is_some_and(|name| name.contains('.'))) {
        return Err("`set` gives a value a name in letters, as in `{% set name = value %}`".to_owned());
    }
    let makes = word == "set" && holds(&plain) || word == "for" && plain.matches('[').count() > 1;
    if ["set", "for"].contains(&word) && (puts_together(&plain) || makes) {
        return Err(format!(
            "`{word}` puts values together, which grow without bounds: do so where they are written, or in the audience"
        ));
    }
    Ok(word)
}

/// Whether an expression puts texts together: `+` with a number is a sum.
fn puts_together(plain: &str) -> bool {
    let is_sum = |(at, _): (usize, &str)| {
        let before = plain[..at]
            .trim_end()
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .next();
        let after = plain[at + 1..].trim_start();
        let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        before.is_some_and(is_number) || is_number(after)
    };
    plain.contains(['~', '*']) || !plain.match_indices('+').all(is_sum)
}

/// Whether an expression makes a list, a tuple or an object of values that have names.
fn holds(plain: &str) -> bool {
    let is_list = |(at, open): (usize, &str)| {
        let before = plain[..at].trim_end().chars().next_back();
        let is_of_value = before.is_some_and(|c| c.is_alphanumeric() || "_)]".contains(c));
        let within = &plain[at + 1..];
        let end = within.find([']', ')', '}']).unwrap_or(within.len());
        let has_names = within[..end].contains(|c: char| c.is_alphabetic());
        !is_of_value && has_names && (open != "(" || within[..end].contains(','))
    };
    plain.match_indices(['[', '(', '{']).any(is_list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_say_what_they_say() {
        for fine in [
            "Dear {{ first_name | default('friend') | title }}, {{ a ~ ' {% macro %} ' ~ b }}",
            "{% if orders + 1 > 3 and vip %}a{% elif not vip %}b{% else %}c{% endif %}",
            "{% for item in items if item.price > 5 %}{{ loop.index }}: {{ item.name }}{% endfor %}",
            "{% for i in range(orders + 1) %}.{% endfor %}{% for x in ['a', 'b'] %}{{ x }}{% endfor %}",
            "{%- set name = first_name | default('friend ~ *') -%}{{ name }}",
            "{% set rows = items | join(', ') %}{% set first = items[0] %}{% set n = (orders + 1) %}",
            "{% raw %}{% macro x() %}{{ a ~ a }}{% endmacro %}{% endraw %}{# {% macro %} #}",
            "{ not a tag } { %",
        ] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
        for growing in [
            "{% set a = a ~ a %}",
            "{% set a = a+a %}",
            "{% set a = [a, a] %}",
            "{% set a = (a, a) %}",
            "{% set a = {'x': a} %}",
            "{% set a = a * 9 %}",
            "{% set a %}{{ a }}{{ a }}{% endset %}",
            "{% set ns.a = 1 %}",
            "{% for b in [a ~ a] %}{% endfor %}",
            "{% for b in [[a, a]] %}{% endfor %}",
            "{% for a in b recursive %}{% endfor %}",
            "{%- macro a() -%}{% endmacro %}",
            "{% with b = a ~ a %}{% endwith %}",
            "{% include 'subject' %}",
            "{% filter upper %}{% endfilter %}",
            "{{ '}}' }}{% call a() %}{% endcall %}",
        ] {
            assert!(check(growing).is_err(), "{growing}");
        }
    }
}
