//! Regular expressions and other patterns.

use std::borrow::Cow;

use datafusion::common::{Result, exec_err};

use super::super::define::Takes::{Any, Integer, Text, Texts};
use super::super::define::{Definition, Gives, Row, text_of};
use super::pattern::{Groups, of_glob, of_like, of_similar, regex_of_like};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "regexp_like",
        aliases: &["regexp_is_match", "regexp_contains", "rlike"],
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::Boolean(|row| row.pattern(row.text(1), row.text(2))?.is_match(row.text(0)).map(Some)),
        what: "Whether the regular expression matches anywhere in the text.",
        syntax: "regexp_like(text, pattern [, flags])",
        example: "regexp_like('abc', '^a.c$') = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_matches",
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::Boolean(|row| row.pattern(row.text(1), row.text(2))?.is_match(row.text(0)).map(Some)),
        what: "Whether the regular expression matches anywhere in the text, as in DuckDB; as a column of a select list or \
               in FROM the groups of each match, as in PostgreSQL.",
        syntax: "regexp_matches(text, pattern [, flags])",
        example: "case when regexp_matches('abc', 'b') then 1 end = 1",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_full_match",
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::Boolean(|row| {
            let pattern = format!("^(?:{})$", row.text(1));
            row.pattern(&pattern, row.text(2))?.is_match(row.text(0)).map(Some)
        }),
        what: "Whether the regular expression matches the whole text.",
        syntax: "regexp_full_match(text, pattern [, flags])",
        example: "regexp_full_match('abc', 'b') = false",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_count",
        takes: &[Text, Text, Integer, Text],
        optional: 2,
        gives: Gives::Integer(|row| {
            let text = row.text(0);
            let from = byte_of(text, row.integer_or(2, 1))?;
            let found = row
                .pattern(row.text(1), row.text(3))?
                .find_all(text, from, usize::MAX)?;
            Ok(i32::try_from(found.len()).ok())
        }),
        what: "How often the regular expression matches from a character on.",
        syntax: "regexp_count(text, pattern [, start [, flags]])",
        example: "regexp_count('abab', 'a') = 2",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_instr",
        takes: &[Text, Text, Integer, Integer, Integer, Text, Integer],
        optional: 5,
        gives: Gives::Integer(|row| {
            let text = row.text(0);
            let Some(found) = nth(row, 3, row.text(5))? else {
                return Ok(Some(0));
            };
            let Some(Some(group)) = found.get(place(row.integer(6))?) else {
                return Ok(Some(0));
            };
            let byte = if row.integer(4) == 1 { group.end } else { group.start };
            Ok(i32::try_from(characters_before(text, byte) + 1).ok())
        }),
        what: "Where the n-th match of the regular expression begins, or, if `end` is 1, what follows it; 0 if there is none.",
        syntax: "regexp_instr(text, pattern [, start [, n [, end [, flags [, group]]]]])",
        example: "regexp_instr('abcabc', 'b', 1, 2) = 5",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_substr",
        takes: &[Text, Text, Integer, Integer, Text, Integer],
        optional: 4,
        gives: Gives::Text(|row| {
            let found = nth(row, 3, row.text(4))?;
            // Snowflake's flag `e` means the first group.
            let group = row.integer_or(5, i64::from(row.text(4).contains('e')));
            Ok(group_of(row.text(0), found.as_ref(), place(group)?))
        }),
        what: "The n-th match of the regular expression, or a group of it.",
        syntax: "regexp_substr(text, pattern [, start [, n [, flags [, group]]]])",
        example: "regexp_substr('abc123', '[0-9]+') = '123'",
        ..Definition::PLAIN
    },
    Definition {
        name: "substring_of_pattern",
        takes: &[Text, Text],
        gives: Gives::Text(|row| {
            let pattern = row.pattern(row.text(1), "")?;
            let found = pattern.find(row.text(0), 0)?;
            Ok(group_of(row.text(0), found.as_ref(), pattern.groups().min(1)))
        }),
        what: "The match of the regular expression, or its first group: what `substring(text from 'pattern')` calls.",
        syntax: "substring_of_pattern(text, pattern)",
        example: "substring('foobar' from 'o(.)b') = 'o'",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_extract",
        takes: &[Text, Text, Integer, Text],
        optional: 2,
        gives: Gives::Text(|row| {
            let found = row.pattern(row.text(1), row.text(3))?.find(row.text(0), 0)?;
            let text = group_of(row.text(0), found.as_ref(), place(row.integer(2))?);
            Ok(Some(text.unwrap_or_default()))
        }),
        what: "The first match of the regular expression, or a group of it; an empty text if there is none.",
        syntax: "regexp_extract(text, pattern [, group [, flags]])",
        example: "regexp_extract('abc123', '([a-z]+)([0-9]+)', 2) = '123'",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_extract_all",
        aliases: &["regexp_substr_all"],
        takes: &[Text, Text, Integer, Text],
        optional: 2,
        gives: Gives::Texts(|row| {
            let (text, group) = (row.text(0), place(row.integer(2))?);
            let found = row.pattern(row.text(1), row.text(3))?.find_all(text, 0, usize::MAX)?;
            let texts = found
                .iter()
                .map(|found| group_of(text, Some(found), group).map(Cow::into_owned));
            Ok(Some(texts.collect()))
        }),
        what: "All matches of the regular expression, or a group of each.",
        syntax: "regexp_extract_all(text, pattern [, group [, flags]])",
        example: "regexp_extract_all('a1b22', '[0-9]+') = ['1', '22']",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_match",
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::Texts(|row| {
            let found = row.pattern(row.text(1), row.text(2))?.find(row.text(0), 0)?;
            Ok(found.map(|found| groups_of(row.text(0), &found)))
        }),
        what: "The groups of the first match of the regular expression, or the whole of it if there are none.",
        syntax: "regexp_match(text, pattern [, flags])",
        example: "regexp_match('abc', '(a)(b)') = ['a', 'b']",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_match_groups",
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::TextLists(|row| {
            let pattern = row.pattern(row.text(1), row.text(2))?;
            let most = if pattern.all { usize::MAX } else { 1 };
            let found = pattern.find_all(row.text(0), 0, most)?;
            Ok(Some(found.iter().map(|found| groups_of(row.text(0), found)).collect()))
        }),
        what: "The groups of the first match of the regular expression, or of each with the flag `g`: what `regexp_matches` \
               calls in a select list and in FROM.",
        syntax: "regexp_match_groups(text, pattern [, flags])",
        example: "regexp_match_groups('a1b2', '([a-z])([0-9])', 'g') = [['a', '1'], ['b', '2']]",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_replace",
        takes: &[Text, Text, Text, Any, Any, Text],
        optional: 4,
        gives: Gives::Text(|row| {
            let text = row.text(0);
            // Flags may follow the replacement, or the place to begin at.
            let (flags, start, nth) = match (number(row, 3)?, number(row, 4)?) {
                (Err(flags), _) => (flags, 1, None),
                (Ok(start), Err(flags)) => (flags, start.unwrap_or(1), None),
                (Ok(start), Ok(nth)) => (row.text(5), start.unwrap_or(1), nth),
            };
            let pattern = row.pattern(row.text(1), flags)?;
            let most = match (nth, pattern.all) {
                (Some(0), _) | (None, true) => usize::MAX,
                (Some(nth), _) => place(nth)?,
                (None, false) => 1,
            };
            let mut found = pattern.find_all(text, byte_of(text, start)?, most)?;
            if nth.is_some_and(|nth| nth > 0) {
                found.drain(..found.len().min(most - 1));
            }
            Ok(Some(replaced(text, &found, row.text(2))))
        }),
        what: "The text with the first match of the regular expression replaced: all with the flag `g`, the n-th with a \
               number. In the replacement `\\1` is a group and `\\&` the match.",
        syntax: "regexp_replace(text, pattern [, replacement [, start [, n]] [, flags]])",
        example: "regexp_replace('a1b22', '[0-9]+', '#', 'g') = 'a#b#'",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_replace_all",
        takes: &[Text, Text, Text],
        gives: Gives::Text(|row| {
            let found = row.pattern(row.text(1), "")?.find_all(row.text(0), 0, usize::MAX)?;
            Ok(Some(replaced(row.text(0), &found, row.text(2))))
        }),
        what: "The text with all matches of the regular expression replaced.",
        syntax: "regexp_replace_all(text, pattern, replacement)",
        example: "regexp_replace_all('a1b22', '[0-9]+', '#') = 'a#b#'",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_split_to_array",
        aliases: &["string_split_regex", "str_split_regex", "regexp_split"],
        takes: &[Text, Text, Text],
        optional: 1,
        gives: Gives::Texts(|row| {
            let text = row.text(0);
            let found = row.pattern(row.text(1), row.text(2))?.find_all(text, 0, usize::MAX)?;
            let mut parts = Vec::new();
            let mut start = 0;
            for whole in found.iter().filter_map(|groups| groups.first().cloned().flatten()) {
                // An empty match splits between characters, and neither before the first nor behind the last.
                if whole.is_empty() && (whole.start == start || whole.start == text.len()) {
                    continue;
                }
                parts.push(text.get(start..whole.start).map(str::to_owned));
                start = whole.end;
            }
            parts.push(text.get(start..).map(str::to_owned));
            Ok(Some(parts))
        }),
        what: "The parts of the text between the matches of the regular expression.",
        syntax: "regexp_split_to_array(text, pattern [, flags])",
        example: "regexp_split_to_array('a1b22c', '[0-9]+') = ['a', 'b', 'c']",
        ..Definition::PLAIN
    },
    Definition {
        name: "regexp_escape",
        takes: &[Text],
        gives: Gives::Text(|row| Ok(Some(regex::escape(row.text(0)).into()))),
        what: "The regular expression that matches the text.",
        syntax: "regexp_escape(text)",
        example: r"regexp_escape('a.b') = 'a\.b'",
        ..Definition::PLAIN
    },
    Definition {
        name: "like_escape",
        takes: &[Text, Text],
        gives: Gives::Text(|row| Ok(Some(of_like(row.text(0), row.text(1))?.into()))),
        what: "The pattern of LIKE with that escape character, with a backslash for one: what `like … escape …` calls.",
        syntax: "like_escape(pattern, escape)",
        example: "like_escape('a!%', '!') = 'a\\%'",
        ..Definition::PLAIN
    },
    Definition {
        name: "like_any",
        takes: &[Text, Texts, Text],
        sees_nulls: true,
        gives: Gives::Boolean(|row| match_list(row, row.text(2), true)),
        what: "Whether the text is like one of the patterns: what `like any (array)` calls. The third argument is \
               `ilike` if case does not matter.",
        syntax: "like_any(text, patterns, 'like' | 'ilike')",
        example: "'abc' like any (array['x%', 'a%']) = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "like_all",
        takes: &[Text, Texts, Text],
        sees_nulls: true,
        gives: Gives::Boolean(|row| match_list(row, row.text(2), false)),
        what: "Whether the text is like all of the patterns: what `like all (array)` calls. The third argument is \
               `ilike` if case does not matter.",
        syntax: "like_all(text, patterns, 'like' | 'ilike')",
        example: "'abc' like all (array['%c', 'a%']) = true",
        ..Definition::PLAIN
    },
    Definition {
        name: "similar_to_escape",
        takes: &[Text, Text],
        optional: 1,
        gives: Gives::Text(|row| {
            let mut escape = row.text_or(1, "\\").chars();
            match (escape.next(), escape.next()) {
                (escape, None) => Ok(Some(of_similar(row.text(0), escape)?.into())),
                _ => exec_err!("ESCAPE takes one character, not {:?}", row.text(1)),
            }
        }),
        what: "The pattern of SIMILAR TO as a regular expression: what `similar to` calls.",
        syntax: "similar_to_escape(pattern [, escape])",
        example: "similar_to_escape('a%') = '^(?:a.*)$'",
        ..Definition::PLAIN
    },
    Definition {
        name: "glob",
        takes: &[Text, Text],
        gives: Gives::Boolean(|row| row.pattern(&of_glob(row.text(1)), "")?.is_match(row.text(0)).map(Some)),
        what: "Whether the text fits a pattern with `*`, `?` and `[a-z]`.",
        syntax: "glob(text, pattern)",
        example: "glob('abc', 'a*') = true",
        ..Definition::PLAIN
    },
];

/// The number in an argument that may be flags as well, which are the error.
fn number<'a>(row: Row<'a>, place: usize) -> Result<Result<Option<i64>, &'a str>> {
    let Some((column, at)) = row.value(place) else {
        return Ok(Ok(None));
    };
    if let Some(text) = text_of(&column.values, at) {
        return Ok(Err(text));
    }
    let numbers = arrow::compute::cast(&column.values.slice(at, 1), &arrow::datatypes::DataType::Int64)?;
    let numbers = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&numbers);
    Ok(Ok(Some(numbers.value(0))))
}

/// The byte where a character begins, counted from 1.
fn byte_of(text: &str, character: i64) -> Result<usize> {
    match usize::try_from(character) {
        Ok(character @ 1..) => {
            let at = text.char_indices().nth(character - 1).map(|(at, _)| at);
            Ok(at.unwrap_or(text.len() + usize::from(character > text.chars().count() + 1)))
        }
        _ => exec_err!("the place to begin at counts from 1, and is {character}"),
    }
}

fn characters_before(text: &str, byte: usize) -> usize {
    text.get(..byte).map_or(0, |before| before.chars().count())
}

fn place(group: i64) -> Result<usize> {
    match usize::try_from(group) {
        Ok(group) => Ok(group),
        Err(_) => exec_err!("a group or a match of a regular expression counts from 0, and is {group}"),
    }
}

/// The match whose number is in an argument, from the character in the one before it.
fn nth(row: Row<'_>, number: usize, flags: &str) -> Result<Option<Groups>> {
    let text = row.text(0);
    let from = byte_of(text, row.integer_or(number - 1, 1))?;
    let wanted = place(row.integer_or(number, 1))?;
    if wanted == 0 {
        return exec_err!("the number of a match counts from 1");
    }
    let found = row.pattern(row.text(1), flags)?.find_all(text, from, wanted)?;
    Ok(found.into_iter().nth(wanted - 1))
}

fn group_of<'a>(text: &'a str, found: Option<&Groups>, group: usize) -> Option<Cow<'a, str>> {
    let range = found?.get(group)?.clone()?;
    text.get(range).map(Cow::Borrowed)
}

/// The groups of a match, or the whole of it if it has none.
fn groups_of(text: &str, found: &Groups) -> Vec<Option<String>> {
    let group = |group| group_of(text, Some(found), group).map(Cow::into_owned);
    if found.len() > 1 {
        (1..found.len()).map(group).collect()
    } else {
        vec![group(0)]
    }
}

/// The text with the matches replaced.
fn replaced<'a>(text: &'a str, found: &[Groups], replacement: &str) -> Cow<'a, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for groups in found {
        let Some(Some(whole)) = groups.first() else { continue };
        out.push_str(text.get(done..whole.start).unwrap_or_default());
        let mut rest = replacement.chars();
        while let Some(c) = rest.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            let group = match rest.next() {
                Some('&') => 0,
                Some(digit @ '0'..='9') => digit as usize - '0' as usize,
                Some('\\') | None => {
                    out.push('\\');
                    continue;
                }
                Some(c) => {
                    out.extend(['\\', c]);
                    continue;
                }
            };
            if let Some(Some(range)) = groups.get(group) {
                out.push_str(text.get(range.clone()).unwrap_or_default());
            }
        }
        done = whole.end;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether the text is like any or all of the patterns, with three-valued logic.
fn match_list(row: Row<'_>, operator: &str, any: bool) -> Result<Option<bool>> {
    if row.is_null(0) || row.is_null(1) {
        return Ok(None);
    }
    let flags = if operator == "ilike" { "i" } else { "" };
    let mut answer = Some(!any);
    for pattern in row.texts(1) {
        match pattern {
            None => answer = None,
            Some(pattern) => {
                if row.pattern(&regex_of_like(&pattern)?, flags)?.is_match(row.text(0))? == any {
                    return Ok(Some(any));
                }
            }
        }
    }
    Ok(answer)
}
