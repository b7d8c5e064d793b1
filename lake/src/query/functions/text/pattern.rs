//! Regular expressions as PostgreSQL reads them: `.` is any character, flags are letters. What matches takes a time that is
//! linear in the text, unless the pattern refers back or looks around. (PostgreSQL, "POSIX Regular Expressions".)

use std::ops::Range;

use datafusion::common::{Result, plan_err};

use super::backtracking::{Backtracking, may_be_one};

/// A compiled pattern.
#[derive(Debug)]
pub(in super::super) struct Pattern {
    engine: Engine,
    /// The flag `g`: all of the matches are meant.
    pub all: bool,
}

#[derive(Debug)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(Backtracking),
}

/// What flags say of a pattern.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Flags {
    pub insensitive: bool,
    /// A point is a new line too.
    pub any: bool,
    /// A line begins and ends where `^` and `$` are.
    pub lines: bool,
}

/// Where a match and its groups are, in bytes; the first is the whole of it.
pub(in super::super) type Groups = Vec<Option<Range<usize>>>;

impl Pattern {
    /// Compiles a pattern. Flags: `i` and `c` (case), `g` (all matches), `n` or `m` (lines), `p` and `w` (halves of
    /// that), `s` (`.` is any character, the default), `x` (spaces are not meant), `q` (no pattern, but text).
    ///
    /// # Errors
    /// Plan: it is not a regular expression, or a flag is not known.
    pub fn new(pattern: &str, flags: &str) -> Result<Self> {
        let mut all = false;
        let (mut insensitive, mut any, mut lines, mut spaced, mut plain) = (false, true, false, false, false);
        for flag in flags.chars() {
            match flag {
                'i' => insensitive = true,
                'c' => insensitive = false,
                'g' => all = true,
                'm' | 'n' => (any, lines) = (false, true),
                'p' => any = false,
                'w' => lines = true,
                's' => (any, lines) = (true, false),
                'x' => spaced = true,
                't' => spaced = false,
                'q' | 'l' => plain = true,
                // Extraction of a group, of Snowflake: where a group is named, it is meant.
                'e' | 'b' => {}
                _ => {
                    return plan_err!(
                        "the flag {flag:?} of a regular expression is not known: i, c, g, n, s and x are"
                    );
                }
            }
        }
        let written = pattern;
        let pattern = if plain {
            regex::escape(pattern)
        } else if spaced {
            translated(pattern)
        } else {
            longest_first(&translated(pattern))
        };
        let engine = regex::RegexBuilder::new(&pattern)
            .case_insensitive(insensitive)
            .dot_matches_new_line(any)
            .multi_line(lines)
            .ignore_whitespace(spaced)
            .build();
        let engine = match engine {
            Ok(engine) => Engine::Linear(engine),
            Err(_) if !spaced && may_be_one(written) => {
                let flags = Flags {
                    insensitive,
                    any,
                    lines,
                };
                Engine::Backtracking(Backtracking::new(written, flags)?)
            }
            Err(error) => return plan_err!("this regular expression cannot be used: {error}"),
        };
        Ok(Self { engine, all })
    }

    /// Whether it is anywhere in the text.
    ///
    /// # Errors
    /// Execution: it takes too many steps.
    pub fn is_match(&self, text: &str) -> Result<bool> {
        match &self.engine {
            Engine::Linear(engine) => Ok(engine.is_match(text)),
            Engine::Backtracking(engine) => Ok(engine.find(text, 0)?.is_some()),
        }
    }

    /// How many groups it has, the whole not counted.
    pub fn groups(&self) -> usize {
        match &self.engine {
            Engine::Linear(engine) => engine.captures_len() - 1,
            Engine::Backtracking(engine) => engine.groups() - 1,
        }
    }

    /// The first match that begins at a byte or later.
    ///
    /// # Errors
    /// Execution: it takes too many steps.
    pub fn find(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        if from > text.len() {
            return Ok(None);
        }
        match &self.engine {
            Engine::Linear(engine) => Ok(engine.captures_at(text, from).map(|found| {
                let group = |at| found.get(at).map(|group| group.range());
                (0..found.len()).map(group).collect()
            })),
            Engine::Backtracking(engine) => engine.find(text, from),
        }
    }

    /// The matches from a byte on, at most so many, that do not overlap. After an empty one the search goes on a
    /// character later.
    ///
    /// # Errors
    /// Execution: one of them takes too many steps.
    pub fn find_all(&self, text: &str, from: usize, most: usize) -> Result<Vec<Groups>> {
        let mut found = Vec::new();
        let mut next = from;
        let mut end = None;
        while found.len() < most && next <= text.len() {
            let Some(groups) = self.find(text, next)? else { break };
            let Some(Some(whole)) = groups.first().cloned() else {
                break;
            };
            next = match whole.is_empty() {
                true => {
                    whole.end
                        + text
                            .get(whole.end..)
                            .and_then(|rest| rest.chars().next())
                            .map_or(1, char::len_utf8)
                }
                false => whole.end,
            };
            // An empty match right behind another is not one.
            if !(whole.is_empty() && end == Some(whole.start)) {
                found.push(groups);
            }
            end = Some(whole.end);
        }
        Ok(found)
    }
}

/// Classes of characters as PostgreSQL has them, as what stands in a set of the engine: the C library's, where digits are
/// those of ASCII, all other digits are letters, and a space that does not break is none.
mod class {
    pub const DIGIT: &str = "0-9";
    pub const LETTER: &str = r"\p{Alphabetic}[\p{Nd}--0-9]";
    pub const WORD: &str = r"\p{Alphabetic}\p{Nd}_";
    pub const ALPHANUMERIC: &str = r"\p{Alphabetic}\p{Nd}";
    pub const SPACE: &str = r"\t-\r\x20\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}";
    pub const BLANK: &str = r"\t\x20\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{205f}\x{3000}";
    pub const CONTROL: &str = r"\p{Cc}\x{2028}\x{2029}";
    pub const PRINTED: &str = r"[^\p{Cc}\p{Cn}\x{2028}\x{2029}]";
    pub const VISIBLE: &str =
        r"[[^\p{Cc}\p{Cn}]--[\x20\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}]]";
    pub const SIGN: &str = r"[[^\p{Cc}\p{Cn}\p{Alphabetic}\p{Nd}]--[\x20\x{1680}\x{2000}-\x{2006}\x{2008}-\x{200a}\x{2028}\x{2029}\x{205f}\x{3000}]]";

    /// The class of a name in `[[:name:]]`.
    pub fn named(name: &str) -> Option<&'static str> {
        Some(match name {
            "alpha" => LETTER,
            "digit" => DIGIT,
            "alnum" => ALPHANUMERIC,
            "word" => WORD,
            "space" => SPACE,
            "blank" => BLANK,
            "lower" => r"\p{Lowercase}",
            "upper" => r"\p{Uppercase}",
            "punct" => SIGN,
            "print" => PRINTED,
            "graph" => VISIBLE,
            "cntrl" => CONTROL,
            "xdigit" => "0-9A-Fa-f",
            _ => return None,
        })
    }

    /// The class of a letter behind a backslash, and whether all others are meant.
    pub fn escaped(letter: char) -> Option<(&'static str, bool)> {
        let class = match letter.to_ascii_lowercase() {
            'd' => DIGIT,
            'w' => WORD,
            's' => SPACE,
            _ => return None,
        };
        Some((class, letter.is_ascii_uppercase()))
    }
}

/// What PostgreSQL has by other names than the engine, or means otherwise: its escapes, and what stands in brackets.
fn translated(pattern: &str) -> String {
    if !pattern.contains(['\\', '[']) {
        return pattern.to_owned();
    }
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\\' => match rest.chars().next() {
                Some(escaped) => {
                    rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                    match (escaped, class::escaped(escaped)) {
                        (_, Some((class, false))) => out.extend(["[", class, "]"]),
                        (_, Some((class, true))) => out.extend(["[^", class, "]"]),
                        ('m', _) => out.push_str(r"\b{start}"),
                        ('M', _) => out.push_str(r"\b{end}"),
                        ('y', _) => out.push_str(r"\b"),
                        ('Y', _) => out.push_str(r"\B"),
                        ('Z', _) => out.push_str(r"\z"),
                        _ => out.extend(['\\', escaped]),
                    }
                }
                None => out.push('\\'),
            },
            '[' => match ["[:<:]]", "[:>:]]"].map(|bound| rest.strip_prefix(bound)) {
                [Some(after), _] => {
                    out.push_str(r"\b{start}");
                    rest = after;
                }
                [_, Some(after)] => {
                    out.push_str(r"\b{end}");
                    rest = after;
                }
                _ => rest = set(rest, &mut out),
            },
            c => out.push(c),
        }
    }
    out
}

/// A set as the engine reads it, of what is behind its bracket; what follows it is left. What the engine takes for sets
/// within sets and operations on them are characters to PostgreSQL.
fn set<'a>(pattern: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = pattern;
    if let Some(after) = rest.strip_prefix('^') {
        out.push('^');
        rest = after;
    }
    // A bracket or a hyphen at the beginning is one of its characters.
    for first in [']', '-'] {
        if let Some(after) = rest.strip_prefix(first) {
            out.extend(['\\', first]);
            rest = after;
            break;
        }
    }
    let mut is_range = false;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let was_range = is_range;
        is_range = c == '-' && !was_range;
        match c {
            ']' => {
                out.push(']');
                return rest;
            }
            '\\' => match rest.chars().next() {
                Some(escaped) => {
                    rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                    match class::escaped(escaped) {
                        Some((class, false)) => out.push_str(class),
                        Some((class, true)) => out.extend(["[^", class, "]"]),
                        None => out.extend(['\\', escaped]),
                    }
                }
                None => out.push('\\'),
            },
            '[' => {
                let named = rest.strip_prefix(':').and_then(|named| named.split_once(":]"));
                match named.and_then(|(name, after)| Some((class::named(name)?, after))) {
                    Some((class, after)) => {
                        out.push_str(class);
                        rest = after;
                    }
                    // A name that is not known is refused by the engine.
                    None if rest.starts_with(':') => out.push('['),
                    None => out.push_str(r"\["),
                }
            }
            '-' if was_range => out.push_str(r"\-"),
            '&' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    rest
}

/// The pattern with the words of each `Mr|Mrs` in such an order that the longest that fits is taken, as PostgreSQL does,
/// and not the first. Alternatives that are no words keep their order.
fn longest_first(pattern: &str) -> String {
    /// Alternatives that are being read.
    struct Level {
        /// Where they begin in what is written.
        start: usize,
        are_words: bool,
        are_many: bool,
    }
    let level = |start| Level {
        start,
        are_words: true,
        are_many: false,
    };
    fn close(out: &mut String, level: &Level) {
        if !(level.are_words && level.are_many) {
            return;
        }
        let words = out.split_off(level.start);
        let mut words: Vec<_> = words.split('|').collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        out.push_str(&words.join("|"));
    }
    if !pattern.contains('|') {
        return pattern.to_owned();
    }
    let mut out = String::with_capacity(pattern.len());
    let mut outer = Vec::new();
    let mut now = level(0);
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        out.push(c);
        match c {
            '\\' => {
                if let Some(escaped) = rest.next() {
                    now.are_words &= !escaped.is_alphanumeric();
                    out.push(escaped);
                }
            }
            '(' => {
                now.are_words = false;
                outer.push(now);
                let mut is_group = true;
                if rest.peek() == Some(&'?') {
                    let head: String = std::iter::from_fn(|| rest.next_if(|c| !matches!(c, ':' | ')' | '>'))).collect();
                    is_group = head == "?";
                    out.push_str(&head);
                    out.extend(rest.next_if(|c| *c != ')'));
                }
                now = level(out.len());
                now.are_words = is_group;
            }
            ')' => {
                let end = out.split_off(out.len() - 1);
                close(&mut out, &now);
                out.push_str(&end);
                now = outer.pop().unwrap_or_else(|| level(out.len()));
            }
            '|' => now.are_many = true,
            '[' => {
                now.are_words = false;
                // A bracket at the beginning of a set is one of its characters.
                out.extend(rest.next_if(|c| *c == '^'));
                out.extend(rest.next_if(|c| *c == ']'));
                let mut depth = 1;
                while depth > 0
                    && let Some(c) = rest.next()
                {
                    out.push(c);
                    match c {
                        '\\' => out.extend(rest.next()),
                        '[' => depth += 1,
                        ']' => depth -= 1,
                        _ => {}
                    }
                }
            }
            '.' | '^' | '$' | '*' | '+' | '?' | '{' | '}' => now.are_words = false,
            _ => {}
        }
    }
    if outer.is_empty() {
        close(&mut out, &now);
    }
    out
}

/// The pattern of SIMILAR TO as a regular expression. (PostgreSQL, "SIMILAR TO Regular Expressions".)
///
/// # Errors
/// Plan: it ends with the escape character.
pub(in crate::query) fn of_similar(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut out = String::from("^(?:");
    let mut rest = pattern.chars();
    let mut in_set = false;
    while let Some(c) = rest.next() {
        if Some(c) == escape {
            match rest.next() {
                Some(c) => out.push_str(&regex::escape(&c.to_string())),
                None => return plan_err!("the pattern of SIMILAR TO must not end with its escape character"),
            }
            continue;
        }
        match c {
            ']' if in_set => {
                in_set = false;
                out.push(c);
            }
            '\\' => out.push_str(r"\\"),
            _ if in_set => out.push(c),
            '[' => {
                in_set = true;
                out.push(c);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '.' | '^' | '$' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// A pattern of GLOB as a regular expression: `*`, `?`, `[a-z]`, `[!a]`.
pub(in super::super) fn of_glob(pattern: &str) -> String {
    let mut out = String::from("^");
    let mut rest = pattern.chars().peekable();
    let mut in_set = false;
    while let Some(c) = rest.next() {
        match c {
            ']' if in_set => {
                in_set = false;
                out.push(c);
            }
            '\\' | '[' | '&' | '~' if in_set => out.extend(['\\', c]),
            _ if in_set => out.push(c),
            '[' => {
                in_set = true;
                out.push(c);
                if rest.next_if(|&c| c == '!' || c == '^').is_some() {
                    out.push('^');
                }
            }
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    out
}

/// The pattern of LIKE with that escape character, with a backslash for one. An empty escape is none.
///
/// # Errors
/// Plan: the escape is longer than a character, or ends the pattern.
pub(in crate::query) fn of_like(pattern: &str, escape: &str) -> Result<String> {
    let mut characters = escape.chars();
    let (escape, None) = (characters.next(), characters.next()) else {
        return plan_err!("ESCAPE takes one character, not {escape:?}");
    };
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            c if Some(c) == escape => match rest.next() {
                Some(c @ ('%' | '_' | '\\')) => out.extend(['\\', c]),
                Some(c) => out.push(c),
                None => return plan_err!("the pattern of LIKE must not end with its escape character"),
            },
            '\\' => out.push_str(r"\\"),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// A text of LIKE as a regular expression; a backslash escapes.
///
/// # Errors
/// Plan: it ends with the escape character.
pub(in super::super) fn regex_of_like(pattern: &str) -> Result<String> {
    let mut out = String::from("^");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next() {
                Some(c) => out.push_str(&regex::escape(&c.to_string())),
                None => return plan_err!("the pattern of LIKE must not end with its escape character"),
            },
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::{longest_first, translated};

    #[test]
    fn what_stands_in_brackets_is_characters() {
        for (written, read) in [
            (r"a\d", "a[0-9]"),
            (r"[\d.]", "[0-9.]"),
            (r"\D", "[^0-9]"),
            ("[[]", r"[\[]"),
            ("[^]a-]", r"[^\]a-]"),
            ("[-a&&b]", r"[\-a\&\&b]"),
            ("[+--]", r"[+-\-]"),
            ("[[:digit:]x]y", "[0-9x]y"),
            ("[[:xdigit:]x]", "[0-9A-Fa-fx]"),
            ("[[:<:]]a[[:>:]]", r"\b{start}a\b{end}"),
            (r"\[a", r"\[a"),
        ] {
            assert_eq!(translated(written), read, "{written}");
        }
    }

    #[test]
    fn the_longest_of_several_words_is_taken() {
        for (written, read) in [
            ("Mr|Mrs", "Mrs|Mr"),
            ("^(Mr|Mrs|Dr)[.|x] (a|ab)?", "^(Mrs|Mr|Dr)[.|x] (ab|a)?"),
            ("(?:o|oo)r|x*", "(?:oo|o)r|x*"),
            (r"St|St\.", r"St\.|St"),
            (r"(?i)a|ab", r"(?i)a|ab"),
            (r"\(a|ab", r"\(a|ab"),
            ("[]|]|a", "[]|]|a"),
            (r"a|\d", r"a|\d"),
            ("(a|ab", "(a|ab"),
        ] {
            assert_eq!(longest_first(written), read, "{written}");
        }
    }
}
