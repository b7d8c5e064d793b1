//! Reading JSON in place: values are slices of the text. (RFC 8259.)

use std::borrow::Cow;

use datafusion::common::{Result, exec_err};

/// How deep arrays and objects may be nested.
const DEEPEST: usize = 500;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query) enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl Kind {
    /// PostgreSQL's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Array => "array",
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Null => "null",
        }
    }
}

/// A value within a text that is JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::query) struct Value<'a>(&'a str);

impl<'a> Value<'a> {
    /// The value that the text is, if it is JSON.
    pub fn read(text: &'a str) -> Option<Self> {
        let mut scanner = Scanner { text, at: 0 };
        let value = scanner.value(0)?;
        scanner.space();
        (scanner.at == text.len()).then_some(value)
    }

    /// The value that the text is.
    ///
    /// # Errors
    /// Execution: it is not JSON. The text is not told, for it may be personal.
    pub fn parse(text: &'a str) -> Result<Self> {
        match Self::read(text) {
            Some(value) => Ok(value),
            None => exec_err!("a text of {} bytes is not JSON, or nested too deeply", text.len()),
        }
    }

    /// As it is written.
    pub fn raw(self) -> &'a str {
        self.0
    }

    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The text of a string; other values as they are written.
    pub fn text(self) -> Cow<'a, str> {
        match self.kind() {
            Kind::String => unquoted(self.0),
            _ => Cow::Borrowed(self.0),
        }
    }

    /// The text, or nothing if it is null.
    pub fn text_or_null(self) -> Option<Cow<'a, str>> {
        (self.kind() != Kind::Null).then(|| self.text())
    }

    /// The text of a string, number or boolean.
    pub fn scalar(self) -> Option<Cow<'a, str>> {
        (!matches!(self.kind(), Kind::Object | Kind::Array | Kind::Null)).then(|| self.text())
    }

    /// The members of an object, none of another value. Names may come more than once.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let mut scanner = Scanner { text: self.0, at: 1 };
        let is_object = self.kind() == Kind::Object;
        std::iter::from_fn(move || {
            let name = scanner.next_in(is_object)?;
            scanner.space();
            scanner.at += 1;
            Some((unquoted(name.0), scanner.value(0)?))
        })
    }

    /// The members of an object of which the last of a name is meant, in the order of their first.
    pub fn unique_members(self) -> Vec<(Cow<'a, str>, Self)> {
        let mut places = std::collections::HashMap::new();
        let mut members: Vec<(Cow<'a, str>, Self)> = Vec::new();
        for (name, value) in self.members() {
            match places.get(&name).and_then(|&place: &usize| members.get_mut(place)) {
                Some(member) => member.1 = value,
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
        }
        members
    }

    /// The items of an array, none of another value.
    pub fn items(self) -> impl Iterator<Item = Self> {
        let mut scanner = Scanner { text: self.0, at: 1 };
        let is_array = self.kind() == Kind::Array;
        std::iter::from_fn(move || scanner.next_in(is_array))
    }

    /// The member of an object; the last, if there are several of that name.
    pub fn member(self, name: &str) -> Option<Self> {
        self.members()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .last()
    }

    /// The item of an array, counted from 0, or from -1 back.
    pub fn item(self, place: i64) -> Option<Self> {
        match usize::try_from(place) {
            Ok(place) => self.items().nth(place),
            Err(_) => {
                let back = i64::try_from(self.items().count()).ok()? + place;
                self.items().nth(usize::try_from(back).ok()?)
            }
        }
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether the next byte is that one, which is passed then.
    fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// The next value of an array, or name of an object, that is known to be JSON.
    fn next_in(&mut self, is_there: bool) -> Option<Value<'a>> {
        if !is_there {
            return None;
        }
        self.space();
        self.eat(b',');
        self.space();
        if matches!(self.peek(), Some(b']' | b'}')) {
            return None;
        }
        self.value(0)
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.space();
        let start = self.at;
        match self.peek()? {
            b'{' if depth < DEEPEST => self.within(b'}', |scanner| {
                scanner.space();
                if scanner.peek() != Some(b'"') {
                    return None;
                }
                scanner.string()?;
                scanner.space();
                scanner.eat(b':').then_some(())?;
                scanner.value(depth + 1).map(|_| ())
            })?,
            b'[' if depth < DEEPEST => self.within(b']', |scanner| scanner.value(depth + 1).map(|_| ()))?,
            b'"' => self.string()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        self.text.get(start..self.at).map(Value)
    }

    fn within(&mut self, close: u8, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.space();
        if self.eat(close) {
            return Some(());
        }
        loop {
            one(self)?;
            self.space();
            if self.eat(close) {
                return Some(());
            }
            self.eat(b',').then_some(())?;
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is_here = self.text.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is_here.then_some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn number(&mut self) -> Option<()> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek()? {
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at + 1..self.at + 5)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                            self.at += 5;
                        }
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        _ => return None,
                    }
                }
                0..=0x1f => return None,
                _ => self.at += 1,
            }
        }
    }
}

/// The text of a string in quotes that is known to be JSON. A half of a pair of surrogates is U+FFFD.
fn unquoted(raw: &str) -> Cow<'_, str> {
    let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut tail = after.chars();
        let escaped = tail.next();
        rest = tail.as_str();
        match escaped {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let high = unit(&mut rest);
                let low = match (high, rest.strip_prefix("\\u")) {
                    (0xd800..0xdc00, Some(mut after)) => Some((unit(&mut after), after)),
                    _ => None,
                };
                let pair = low.filter(|(low, _)| (0xdc00..0xe000).contains(low));
                let code = match pair {
                    Some((low, after)) => {
                        rest = after;
                        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                    }
                    None => high,
                };
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(c) => out.push(c),
            None => {}
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The four hexadecimal digits at the beginning, which are passed.
fn unit(rest: &mut &str) -> u32 {
    let (digits, after) = rest.split_at_checked(4).unwrap_or((rest, ""));
    *rest = after;
    u32::from_str_radix(digits, 16).unwrap_or(0xfffd)
}

/// Writes a text as a string of JSON.
pub(in super::super) fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
