//! JSON (RFC 8259) as a tape: one node a value, pointing into the text, so that numbers keep all their digits.

use std::collections::HashSet;

use cordada_core::spelling::quoted;

use super::lexer::{Lexer, Malformed, Token};

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    /// Its text is what stands between the quotes.
    String {
        escaped: bool,
    },
    /// Its items follow.
    Array,
    /// Its keys (strings) and values follow by turns.
    Object,
}

/// One value of the text.
#[derive(Debug, Clone, Copy)]
pub struct Node {
    pub kind: Kind,
    start: u32,
    end: u32,
    /// The node after this one and everything in it.
    pub next: u32,
}

/// Values of one text, all records' one after the other.
#[derive(Debug)]
pub struct Tape<'d> {
    data: &'d [u8],
    nodes: Vec<Node>,
}

impl<'d> Tape<'d> {
    /// A tape for values of `data`.
    pub fn new(data: &'d [u8]) -> Self {
        Self {
            data,
            nodes: Vec::new(),
        }
    }

    /// Adds the one value that the bytes from `start` to `end` are; its node.
    ///
    /// # Errors
    /// What is wrong with it; nothing is added then.
    pub fn push(&mut self, start: usize, end: usize) -> Result<u32, &'static str> {
        let root = self.nodes.len();
        let text = self.data.get(start..end).unwrap_or_default();
        if std::str::from_utf8(text).is_err() {
            return Err("bytes that are not of the file's encoding");
        }
        let lexer = Lexer::new(&self.data[..end], start);
        let mut parser = Parser {
            lexer,
            nodes: &mut self.nodes,
        };
        parser.lexer.space();
        let parsed = parser.value(0).and_then(|()| parser.lexer.end());
        if parsed.is_err() {
            self.nodes.truncate(root);
        }
        parsed.map(|()| root as u32).map_err(|malformed| malformed.why)
    }

    /// The node.
    pub fn node(&self, node: u32) -> Node {
        self.nodes[node as usize]
    }

    /// Forgets the node, the last record's, and what came after it.
    pub fn truncate(&mut self, node: u32) {
        self.nodes.truncate(node as usize);
    }

    /// The text of a value: of a string what it says, unescaped in `scratch`; of others what is written.
    pub fn text<'a>(&'a self, node: u32, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        let node = self.node(node);
        let raw = &self.data[node.start as usize..node.end as usize];
        if let Kind::String { escaped: true } = node.kind {
            unescape(raw, scratch);
            return scratch;
        }
        raw
    }

    /// Whether a key is in an object twice, at any depth within `node`.
    pub fn repeats_a_key(&self, node: u32) -> bool {
        let end = self.node(node).next;
        let mut objects = (node..end).filter(|node| self.node(*node).kind == Kind::Object);
        objects.any(|object| self.repeats(object))
    }

    fn repeats(&self, object: u32) -> bool {
        /// Objects of up to as many keys are searched by comparing them, larger ones with a table.
        const FEW: usize = 64;
        let mut seen = [0_u64; 8];
        let (mut key, end) = (object + 1, self.node(object).next);
        let mut count = 0;
        while key < end {
            let text = self.raw(key);
            if count == FEW || self.node(key).kind != (Kind::String { escaped: false }) {
                return self.repeats_of_many(object);
            }
            // Most keys differ in this already.
            let ends = match text {
                [] => 0,
                [first, .., last] => {
                    31 * usize::from(*first) + usize::from(*last) + 7 * usize::from(text[text.len() / 2])
                }
                [only] => usize::from(*only),
            };
            let mark = text.len() * 37 + ends;
            let (word, bit) = (&mut seen[mark % 8], 1 << (mark / 8 % 64));
            if *word & bit != 0
                && self
                    .entries(object)
                    .take(count)
                    .any(|(other, _)| self.raw(other) == text)
            {
                return true;
            }
            *word |= bit;
            key = self.node(key + 1).next;
            count += 1;
        }
        false
    }

    fn raw(&self, node: u32) -> &[u8] {
        let node = self.node(node);
        &self.data[node.start as usize..node.end as usize]
    }

    fn repeats_of_many(&self, object: u32) -> bool {
        let mut seen = HashSet::new();
        let mut keys = self.entries(object).map(|(key, _)| {
            let mut scratch = Vec::new();
            self.text(key, &mut scratch).to_vec()
        });
        keys.any(|key| !seen.insert(key))
    }

    /// The JSON of an array or object, in `scratch`: numbers as they are written, and all else as what has landed becomes
    /// text ([`cordada_core::spelling`]), so that it does not matter what comes first.
    pub fn json<'a>(&self, node: u32, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        scratch.clear();
        self.write_json(node, scratch);
        scratch
    }

    fn write_json(&self, node: u32, json: &mut Vec<u8>) {
        let mut text = Vec::new();
        match self.node(node).kind {
            Kind::Object => {
                let entries = self
                    .entries(node)
                    .filter(|(_, value)| self.node(*value).kind != Kind::Null);
                let named = entries.map(|(key, value)| (self.text(key, &mut Vec::new()).to_vec(), value));
                let mut entries: Vec<_> = named.collect();
                entries.sort_unstable();
                json.push(b'{');
                for (at, (key, value)) in entries.into_iter().enumerate() {
                    if at > 0 {
                        json.push(b',');
                    }
                    json.extend_from_slice(&quoted(&String::from_utf8_lossy(&key)));
                    json.push(b':');
                    self.write_json(value, json);
                }
                json.push(b'}');
            }
            Kind::Array => {
                json.push(b'[');
                for (at, item) in self.items(node).enumerate() {
                    if at > 0 {
                        json.push(b',');
                    }
                    self.write_json(item, json);
                }
                json.push(b']');
            }
            Kind::String { .. } => {
                let text = self.text(node, &mut text);
                json.extend_from_slice(&quoted(&String::from_utf8_lossy(text)));
            }
            Kind::Null | Kind::Boolean | Kind::Number => json.extend_from_slice(self.raw(node)),
        }
    }

    /// The items of an array.
    pub fn items(&self, array: u32) -> impl Iterator<Item = u32> + '_ {
        let end = self.node(array).next;
        let first = Some(array + 1).filter(|first| *first < end);
        std::iter::successors(first, move |item| {
            Some(self.node(*item).next).filter(|next| *next < end)
        })
    }

    /// The keys and values of an object.
    pub fn entries(&self, object: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let end = self.node(object).next;
        let first = Some(object + 1).filter(|first| *first < end);
        let key_after = move |key: &u32| Some(self.node(*key + 1).next).filter(|next| *next < end);
        std::iter::successors(first, key_after).map(|key| (key, key + 1))
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    nodes: &'a mut Vec<Node>,
}

impl Parser<'_> {
    fn add(&mut self, kind: Kind, start: usize, end: usize) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node {
            kind,
            start: start as u32,
            end: end as u32,
            next,
        });
    }

    fn value(&mut self, depth: usize) -> Result<(), Malformed> {
        let start = self.lexer.at;
        let kind = match self.lexer.value()? {
            Token::Object => return self.container(Kind::Object, b'}', depth),
            Token::Array => return self.container(Kind::Array, b']', depth),
            Token::String => {
                let escaped = self.lexer.string()?;
                return self.string(start, self.lexer.at, escaped);
            }
            Token::Number => Kind::Number,
            Token::Boolean => Kind::Boolean,
            Token::Null => Kind::Null,
        };
        self.lexer.scalar()?;
        self.add(kind, start, self.lexer.at);
        Ok(())
    }

    fn container(&mut self, kind: Kind, close: u8, depth: usize) -> Result<(), Malformed> {
        let (node, start) = (self.nodes.len(), self.lexer.at);
        self.add(kind, start, start);
        let mut goes_on = self.lexer.open(close, depth)?;
        while goes_on {
            if kind == Kind::Object {
                let (key, escaped) = self.lexer.key()?;
                self.string(key.start, key.end, escaped)?;
            }
            self.value(depth + 1)?;
            goes_on = self.lexer.goes_on(close)?;
        }
        let next = self.nodes.len() as u32;
        self.nodes[node] = Node {
            kind,
            start: start as u32,
            end: self.lexer.at as u32,
            next,
        };
        Ok(())
    }

    /// Adds the string between the quotes at `start` and before `end`, whose escapes have to stand for characters.
    fn string(&mut self, start: usize, end: usize, escaped: bool) -> Result<(), Malformed> {
        let (start, end) = (start + 1, end - 1);
        if escaped && !unescape(&self.lexer.text[start..end], &mut Vec::new()) {
            let why = "half a character in a string";
            return Err(Malformed { at: start, why });
        }
        self.add(Kind::String { escaped }, start, end);
        Ok(())
    }
}

/// The character that an escape sequence stands for, and its length.
fn escape(text: &[u8]) -> Option<(char, usize)> {
    let simple = match text.get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let high = code_unit(text)?;
            let low = text.get(6..).and_then(code_unit);
            let pair: Vec<u16> = std::iter::once(high).chain(low).collect();
            return match (char::from_u32(u32::from(high)), char::decode_utf16(pair).next()) {
                (Some(character), _) => Some((character, 6)),
                (None, Some(Ok(character))) => Some((character, 12)),
                _ => None,
            };
        }
        _ => return None,
    };
    Some((simple, 2))
}

/// The four digits of `\uXXXX`.
fn code_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(b"\\u")?.get(..4)?;
    let hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    hexadecimal.then(|| u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

/// What a string that has escapes says, into `text`; whether all of them stand for characters.
fn unescape(raw: &[u8], text: &mut Vec<u8>) -> bool {
    text.clear();
    let mut rest = raw;
    while let Some(found) = memchr::memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..found]);
        rest = &rest[found..];
        let Some((character, length)) = escape(rest) else {
            return false;
        };
        text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[length..];
    }
    text.extend_from_slice(rest);
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn valid(text: &str) -> bool {
        Tape::new(text.as_bytes()).push(0, text.len()).is_ok()
    }

    /// The value again, from the tape.
    fn value(tape: &Tape<'_>, node: u32) -> Value {
        let mut scratch = Vec::new();
        let text = |node, scratch: &mut Vec<u8>| String::from_utf8(tape.text(node, scratch).to_vec()).unwrap();
        match tape.node(node).kind {
            Kind::String { .. } => Value::String(text(node, &mut scratch)),
            Kind::Array => tape.items(node).map(|item| value(tape, item)).collect(),
            Kind::Object => {
                let entry = |(key, item)| (text(key, &mut Vec::new()), value(tape, item));
                Value::Object(tape.entries(node).map(entry).collect())
            }
            _ => serde_json::from_str(&text(node, &mut scratch)).unwrap(),
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|entries| entries.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_comes_back(expected in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&expected) } else { serde_json::to_string(&expected) };
            let text = text.unwrap();
            let mut tape = Tape::new(text.as_bytes());
            let root = tape.push(0, text.len()).unwrap();
            prop_assert_eq!(value(&tape, root), expected);
        }

        #[test]
        fn what_serde_json_refuses_we_refuse(text in "[\\[\\]{}\",:0-9.eE+\\-tfn\\\\u ]{0,24}") {
            prop_assert_eq!(valid(&text), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_found() {
        let repeated = |text: &str| {
            let mut tape = Tape::new(text.as_bytes());
            let root = tape.push(0, text.len()).unwrap();
            tape.repeats_a_key(root)
        };
        assert!(!repeated(r#"{"a": 1, "b": {"a": 2}, "": 3}"#));
        assert!(!repeated(r#"[{"a": 1}, {"a": 1}]"#));
        assert!(repeated(r#"{"a": 1, "a": 2}"#));
        assert!(repeated(r#"{"x": [{"": 1, "y": null, "": 2}]}"#));
        assert!(repeated(r#"{"a": 1, "\u0061": 2}"#));
        let many = (0..200)
            .map(|key| format!("\"k{key}\": {key}"))
            .collect::<Vec<_>>()
            .join(",");
        assert!(!repeated(&format!("{{{many}}}")));
        assert!(repeated(&format!("{{{many}, \"k7\": 0}}")));
    }

    #[test]
    fn the_same_object_has_the_same_json() {
        let json = |text: &str| {
            let mut tape = Tape::new(text.as_bytes());
            let root = tape.push(0, text.len()).unwrap();
            let mut scratch = Vec::new();
            String::from_utf8(tape.json(root, &mut scratch).to_vec()).unwrap()
        };
        let expected = r#"{"a":[1.50,null,{"x":"é\""}],"b":true}"#;
        assert_eq!(
            json(r#" {"b" : true, "a": [1.50, null, {"x": "\u00e9\""}]} "#),
            expected
        );
        assert_eq!(
            json(r#"{"\u0061":[1.50,null,{"y":null,"x":"é\""}],"c":null,"b":true}"#),
            expected
        );
        assert_eq!(json(r#"[{"a":null}, {}, []]"#), "[{},{},[]]");
    }

    #[test]
    fn escapes_are_read() {
        let text = r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00z""#;
        let mut tape = Tape::new(text.as_bytes());
        let root = tape.push(0, text.len()).unwrap();
        assert_eq!(value(&tape, root), serde_json::from_str::<Value>(text).unwrap());
        for wrong in [
            r#""\x""#,
            r#""\u12""#,
            r#""\ud83d""#,
            "\"a\nb\"",
            "[1,]",
            "{\"a\" 1}",
            "01",
            "1.",
            "-",
            "nul",
        ] {
            assert!(!valid(wrong), "{wrong}");
        }
    }
}
