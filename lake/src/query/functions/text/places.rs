//! Where a text is in another. Places count characters from 1.

use std::borrow::Cow;

use super::super::define::Takes::{Integer, Text};
use super::super::define::{Definition, Gives};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "charindex",
        aliases: &["locate"],
        takes: &[Text, Text, Integer],
        optional: 1,
        gives: Gives::Integer(|row| Ok(place(row.text(1), row.text(0), row.integer_or(2, 1)))),
        what: "Where the first text is in the second, from a character on; 0 if it is not.",
        syntax: "charindex(part, text [, start])",
        example: "charindex('b', 'abc') = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "instr",
        takes: &[Text, Text, Integer, Integer],
        optional: 2,
        gives: Gives::Integer(|row| {
            let (text, part, start) = (row.text(0), row.text(1), row.integer_or(2, 1));
            let nth = usize::try_from(row.integer_or(3, 1))
                .ok()
                .and_then(|nth| nth.checked_sub(1));
            let Some(nth) = nth else { return Ok(Some(0)) };
            let is_here = |(at, _): &(usize, char)| text.get(*at..).is_some_and(|rest| rest.starts_with(part));
            let here = text
                .char_indices()
                .enumerate()
                .filter(|(_, one)| is_here(one))
                .map(|(place, _)| place + 1);
            let mut here: Vec<usize> = here.collect();
            if start < 0 {
                // A negative start counts from the end, and the search goes backwards.
                let characters = text.chars().count();
                let last = (characters + 1).saturating_sub(usize::try_from(start.unsigned_abs()).unwrap_or(usize::MAX));
                here.retain(|&place| place <= last);
                here.reverse();
            } else {
                here.retain(|&place| i64::try_from(place).is_ok_and(|place| place >= start));
            }
            Ok(here.get(nth).map_or(Some(0), |&place| i32::try_from(place).ok()))
        }),
        what: "Where the second text is in the first for the n-th time, from a character on; 0 if it is not. A negative \
               start counts from the end and searches backwards.",
        syntax: "instr(text, part [, start [, n]])",
        example: "instr('abcabc', 'b', 1, 2) = 5",
        ..Definition::PLAIN
    },
    Definition {
        name: "patindex",
        takes: &[Text, Text],
        gives: Gives::Integer(|row| {
            let (pattern, text) = (row.text(0), row.text(1));
            let (open, inner) = match pattern.strip_prefix('%') {
                Some(rest) => ("", rest),
                None => ("^", pattern),
            };
            let (close, inner) = match inner.strip_suffix('%') {
                Some(rest) => ("", rest),
                None => ("$", inner),
            };
            let mut expression = String::from(open);
            let mut in_set = false;
            for c in inner.chars() {
                in_set = (in_set || c == '[') && c != ']';
                match c {
                    '[' | ']' => expression.push(c),
                    c if in_set => expression.push(c),
                    '%' => expression.push_str(".*?"),
                    '_' => expression.push('.'),
                    c => expression.push_str(&regex::escape(&c.to_string())),
                }
            }
            expression.push_str(close);
            let found = row.pattern(&expression, "i")?.find(text, 0)?;
            let whole = found.and_then(|groups| groups.first().cloned().flatten());
            let before = whole.and_then(|whole| text.get(..whole.start));
            Ok(before.map_or(Some(0), |before| i32::try_from(before.chars().count() + 1).ok()))
        }),
        what: "Where a pattern of LIKE with sets of characters begins in the text; 0 if it does not fit. Case does not \
               matter.",
        syntax: "patindex(pattern, text)",
        example: "patindex('%[0-9]%', 'ab1') = 3",
        ..Definition::PLAIN
    },
    Definition {
        name: "field",
        takes: &[Text],
        repeats: true,
        sees_nulls: true,
        gives: Gives::Integer(|row| {
            let place = (1..row.len()).find(|&place| !row.is_null(place) && row.text(place) == row.text(0));
            let place = place.filter(|_| !row.is_null(0)).unwrap_or_default();
            Ok(i32::try_from(place).ok())
        }),
        what: "Which of the other texts the first is, 0 if it is none of them.",
        syntax: "field(text, text, …)",
        example: "field('b', 'a', 'b') = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "startswith",
        aliases: &["prefix"],
        takes: &[Text, Text],
        gives: Gives::Boolean(|row| Ok(Some(row.text(0).starts_with(row.text(1))))),
        what: "Whether the text begins with another.",
        syntax: "startswith(text, prefix)",
        example: "startswith('abc', 'ab') = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "endswith",
        aliases: &["suffix"],
        takes: &[Text, Text],
        gives: Gives::Boolean(|row| Ok(Some(row.text(0).ends_with(row.text(1))))),
        what: "Whether the text ends with another.",
        syntax: "endswith(text, suffix)",
        example: "endswith('abc', 'bc') = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "split_part",
        takes: &[Text, Text, Integer],
        gives: Gives::Text(|row| {
            let (text, separator, nth) = (row.text(0), row.text(1), row.integer(2));
            let Ok(steps) = usize::try_from(nth.unsigned_abs()) else {
                return Ok(Some(Cow::Borrowed("")));
            };
            let part = match (separator, steps) {
                (_, 0) => {
                    return datafusion::common::exec_err!("the parts of split_part count from 1, or from -1 back");
                }
                ("", 1) => Some(text),
                ("", _) => None,
                (separator, steps) if nth < 0 => text.rsplit(separator).nth(steps - 1),
                (separator, steps) => text.split(separator).nth(steps - 1),
            };
            Ok(Some(part.unwrap_or_default().into()))
        }),
        what: "The n-th part of the text between the separators; a negative number counts from the end.",
        syntax: "split_part(text, separator, n)",
        example: "split_part('a,b,c', ',', 2) = 'b'",
        ..Definition::PLAIN
    },
];

fn place(text: &str, part: &str, start: i64) -> Option<i32> {
    let skipped = usize::try_from(start.max(1) - 1).unwrap_or(usize::MAX);
    let from = text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(skipped);
    let found = from.and_then(|from| Some(from + text.get(from..)?.find(part)?));
    let Some(before) = found.and_then(|at| text.get(..at)) else {
        return Some(0);
    };
    i32::try_from(before.chars().count() + 1).ok()
}
