//! Finds records and values in a JSON text (RFC 8259) in one pass, without building anything of what it passes over.
//!
//! The whole text is checked: of one that broke off nothing is found.

use std::ops::Range;

use super::pointer::Pointer;

/// How deep values may be nested.
const MAX_DEPTH: usize = 128;

/// Why a text is not JSON, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The byte at which it stops to be JSON.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    root: Node,
    pointers: Vec<Pointer>,
}

/// A place in a text, and what is looked for in it.
#[derive(Debug, Clone, Default)]
struct Node {
    /// `*` stands for all.
    children: Vec<(String, Node)>,
    value: Option<usize>,
    records: bool,
}

/// What was found: places in the text.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Items of an array, or what is there instead of one.
    pub records: Vec<Range<usize>>,
    /// Whether the place of the records was there at all.
    pub reached: bool,
    values: Vec<Option<Range<usize>>>,
}

impl Wanted {
    /// Also looks for the value at `pointer`.
    pub fn value(&mut self, pointer: &Pointer) {
        if !self.pointers.contains(pointer) {
            let index = self.pointers.len();
            self.pointers.push(pointer.clone());
            self.root.at(pointer).value = Some(index);
        }
    }

    /// Looks for records at `pointer`.
    pub fn records(&mut self, pointer: &Pointer) {
        self.root.at(pointer).records = true;
    }

    /// What of it is in `text`.
    pub fn find(&self, text: &[u8]) -> Result<Found, Malformed> {
        if let Err(error) = std::str::from_utf8(text) {
            let at = error.valid_up_to();
            return Err(Malformed {
                at,
                why: "a byte that is not of UTF-8",
            });
        }
        let values = vec![None; self.pointers.len()];
        let found = Found {
            records: Vec::new(),
            reached: false,
            values,
        };
        let mut scanner = Scanner { text, at: 0, found };
        scanner.space();
        scanner.value(&[&self.root], 0)?;
        scanner.space();
        match scanner.text.get(scanner.at) {
            None => Ok(scanner.found),
            Some(_) => scanner.wrong("something follows the value"),
        }
    }

    /// Where the value at `pointer` was found.
    pub fn place(&self, found: &Found, pointer: &Pointer) -> Option<Range<usize>> {
        let index = self.pointers.iter().position(|known| known == pointer)?;
        found.values.get(index)?.clone()
    }
}

impl Node {
    fn at(&mut self, pointer: &Pointer) -> &mut Node {
        let mut node = self;
        for segment in &pointer.0 {
            let index = match node.children.iter().position(|(name, _)| name == segment) {
                Some(index) => index,
                None => {
                    node.children.push((segment.clone(), Node::default()));
                    node.children.len() - 1
                }
            };
            node = &mut node.children[index].1;
        }
        node
    }

    fn child(&self, name: &str) -> impl Iterator<Item = &Node> {
        let fits = move |known: &str| known == name || known == "*";
        self.children
            .iter()
            .filter(move |(known, _)| fits(known))
            .map(|(_, node)| node)
    }
}

struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    found: Found,
}

type Scanned = Result<(), Malformed>;

impl Scanner<'_> {
    fn wrong<T>(&self, why: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.at, why })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// Passes over the value that begins here; `nodes` are what is looked for in it.
    fn value(&mut self, nodes: &[&Node], depth: usize) -> Scanned {
        let start = self.at;
        if depth > MAX_DEPTH {
            return self.wrong("values are nested too deep");
        }
        let first = self.text.get(self.at).copied();
        match first {
            Some(b'{') => self.object(nodes, depth)?,
            Some(b'[') => self.array(nodes, depth)?,
            Some(b'"') => self.string()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            None => return self.wrong("the text breaks off"),
            Some(_) => return self.wrong("this is not a value"),
        }
        for node in nodes {
            if let Some(value) = node.value.and_then(|index| self.found.values.get_mut(index)) {
                value.get_or_insert(start..self.at);
            }
            if node.records {
                self.found.reached = true;
                if !matches!(first, Some(b'[' | b'n')) {
                    self.found.records.push(start..self.at);
                }
            }
        }
        Ok(())
    }

    fn object(&mut self, nodes: &[&Node], depth: usize) -> Scanned {
        let looking = nodes.iter().any(|node| !node.children.is_empty());
        self.at += 1;
        self.space();
        if self.text.get(self.at) == Some(&b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let start = self.at;
            self.string()?;
            let key = start..self.at;
            self.space();
            match self.text.get(self.at) {
                Some(b':') => self.at += 1,
                None => return self.wrong("the text breaks off"),
                Some(_) => return self.wrong("a colon is missing"),
            }
            self.space();
            if looking {
                let name = name(self.text.get(key).unwrap_or_default());
                let inner: Vec<_> = nodes.iter().flat_map(|node| node.child(&name)).collect();
                self.value(&inner, depth + 1)?;
            } else {
                self.value(&[], depth + 1)?;
            }
            if self.ends(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, nodes: &[&Node], depth: usize) -> Scanned {
        let looking = nodes.iter().any(|node| !node.children.is_empty());
        let records = nodes.iter().any(|node| node.records);
        if nodes
            .iter()
            .any(|node| node.child("*").any(|node| node.records || !node.children.is_empty()))
        {
            // Going over the items of an empty array has found all there is.
            self.found.reached = true;
        }
        self.at += 1;
        self.space();
        if self.text.get(self.at) == Some(&b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 0_usize.. {
            let start = self.at;
            if looking {
                let index = index.to_string();
                let inner: Vec<_> = nodes.iter().flat_map(|node| node.child(&index)).collect();
                self.value(&inner, depth + 1)?;
            } else {
                self.value(&[], depth + 1)?;
            }
            if records {
                self.found.records.push(start..self.at);
            }
            if self.ends(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// Passes over a comma, or over the `end`; whether it was the end.
    fn ends(&mut self, end: u8) -> Result<bool, Malformed> {
        self.space();
        match self.text.get(self.at) {
            Some(b',') => {
                self.at += 1;
                self.space();
                Ok(false)
            }
            Some(byte) if *byte == end => {
                self.at += 1;
                Ok(true)
            }
            None => self.wrong("the text breaks off"),
            Some(_) => self.wrong("a comma is missing"),
        }
    }

    fn string(&mut self) -> Scanned {
        match self.text.get(self.at) {
            Some(b'"') => self.at += 1,
            None => return self.wrong("the text breaks off"),
            Some(_) => return self.wrong("a key is missing"),
        }
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            match rest.iter().position(|byte| SPECIAL[usize::from(*byte)]) {
                None => {
                    self.at = self.text.len();
                    return self.wrong("the text breaks off");
                }
                Some(plain) => self.at += plain,
            }
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return self.wrong("a control character in a string"),
            }
        }
    }

    fn escape(&mut self) -> Scanned {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 {
                    return self.wrong("the text breaks off");
                }
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return self.wrong("an escape that there is not");
                }
                self.at += 6;
            }
            None => return self.wrong("the text breaks off"),
            Some(_) => return self.wrong("an escape that there is not"),
        }
        Ok(())
    }

    fn literal(&mut self, literal: &[u8]) -> Scanned {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        self.wrong(if literal.starts_with(rest) {
            "the text breaks off"
        } else {
            "this is not a value"
        })
    }

    fn number(&mut self) -> Scanned {
        self.skip(b"-");
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn skip(&mut self, one_of: &[u8]) -> bool {
        let is_there = self.text.get(self.at).is_some_and(|byte| one_of.contains(byte));
        self.at += usize::from(is_there);
        is_there
    }

    fn digits(&mut self) -> Scanned {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => self.wrong("a digit is missing"),
        }
    }
}

/// What strings cannot hold as it is.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};

/// The name that a key is, between its quotes.
fn name(quoted: &[u8]) -> std::borrow::Cow<'_, str> {
    let inner = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    if !inner.contains(&b'\\')
        && let Ok(name) = std::str::from_utf8(inner)
    {
        return name.into();
    }
    serde_json::from_slice::<String>(quoted).unwrap_or_default().into()
}

/// The value at `pointer` in `text`, the first one if there are several. What follows it is not looked at, so that this
/// is the quick way for one value of a record that has been checked.
pub fn value(text: &[u8], pointer: &Pointer) -> Option<serde_json::Value> {
    let mut scanner = Scanner {
        text,
        at: 0,
        found: Found::default(),
    };
    scanner.space();
    for segment in &pointer.0 {
        scanner.enter(segment)?;
    }
    let start = scanner.at;
    scanner.value(&[], 0).ok()?;
    serde_json::from_slice(text.get(start..scanner.at)?).ok()
}

impl Scanner<'_> {
    /// Goes to the value that `segment` names in the object or array that begins here.
    fn enter(&mut self, segment: &str) -> Option<()> {
        let end = match self.text.get(self.at)? {
            b'{' => b'}',
            b'[' => b']',
            _ => return None,
        };
        self.at += 1;
        self.space();
        if self.text.get(self.at) == Some(&end) {
            return None;
        }
        for index in 0_usize.. {
            let fits = match end {
                b'}' => {
                    let start = self.at;
                    self.string().ok()?;
                    let name = name(self.text.get(start..self.at)?);
                    self.space();
                    if self.text.get(self.at) != Some(&b':') {
                        return None;
                    }
                    self.at += 1;
                    self.space();
                    name == segment
                }
                _ => segment.parse() == Ok(index),
            };
            if fits || segment == "*" {
                return Some(());
            }
            self.value(&[], 0).ok()?;
            if self.ends(end).ok()? {
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn pointer(text: &str) -> Pointer {
        Pointer::new(text).unwrap()
    }

    fn records<'t>(text: &'t str, at: &str) -> Result<Vec<&'t str>, Malformed> {
        let mut wanted = Wanted::default();
        wanted.records(&pointer(at));
        let found = wanted.find(text.as_bytes())?;
        Ok(found.records.into_iter().map(|place| &text[place]).collect())
    }

    #[test]
    fn records_are_items_or_what_is_there() {
        assert_eq!(
            records(r#" [{"a":1}, {"b":[2]} ] "#, "").unwrap(),
            [r#"{"a":1}"#, r#"{"b":[2]}"#]
        );
        assert_eq!(records(r#"{"a":1}"#, "").unwrap(), [r#"{"a":1}"#]);
        assert_eq!(records(r#"[{"pages":3},[{"a":1}]]"#, "/1").unwrap(), [r#"{"a":1}"#]);
        let edges = r#"{"data":{"edges":[{"node":{"a":1}},{"cursor":"x","node":{"a":2}}]}}"#;
        assert_eq!(
            records(edges, "/data/edges/*/node").unwrap(),
            [r#"{"a":1}"#, r#"{"a":2}"#]
        );
        assert_eq!(
            records(r#"{"x":{"k1":{"a":1},"k2":{"a":2}}}"#, "/x/*").unwrap().len(),
            2
        );
        assert_eq!(records(r#"{"a":[[1,2],[3]]}"#, "/a/*").unwrap(), ["1", "2", "3"]);
        assert_eq!(records(r#"{"\u0061":[{}]}"#, "/a").unwrap(), ["{}"]);
        assert_eq!(records(r#"{"rows":null}"#, "/rows").unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn a_place_that_is_not_there_is_told_from_an_empty_one() {
        let reached = |text: &str, at: &str| {
            let mut wanted = Wanted::default();
            wanted.records(&pointer(at));
            wanted.find(text.as_bytes()).unwrap().reached
        };
        assert!(reached(r#"{"rows":[]}"#, "/rows"));
        assert!(reached(r#"{"rows":[]}"#, "/rows/*/node"));
        assert!(!reached(r#"{"row":[]}"#, "/rows"));
        assert!(!reached(r#"{"row":[]}"#, "/rows/*/node"));
    }

    #[test]
    fn values_are_found_beside_records() {
        let text = br#"{"next":"x","orders":[{"id":1,"next":"y"}],"page":{"more":true}}"#;
        let mut wanted = Wanted::default();
        wanted.records(&pointer("/orders"));
        for place in ["/next", "/page/more", "/page/none", ""] {
            wanted.value(&pointer(place));
        }
        let found = wanted.find(text).unwrap();
        let value = |at: &str| wanted.place(&found, &pointer(at)).map(|place| &text[place]);
        assert_eq!(value("/next"), Some(&br#""x""#[..]));
        assert_eq!(value("/page/more"), Some(&b"true"[..]));
        assert_eq!(value("/page/none"), None);
        assert_eq!(value(""), Some(&text[..]));
        assert_eq!(found.records.len(), 1);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let whole = r#"{"a":[1.5e-3,true,"x\u00e9\n",null],"b":{}}"#;
        assert!(records(whole, "/a").is_ok());
        for end in 0..whole.len() {
            if let Some(part) = whole.get(..end) {
                assert!(records(part, "/a").is_err(), "{part}");
            }
        }
        for text in [
            "{a:1}",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "1.",
            "\"\t\"",
            "\"\\x\"",
            "[1] 2",
            "tru",
            "+1",
            "\"\\u12g4\"",
        ] {
            assert!(records(text, "").is_err(), "{text}");
        }
        assert_eq!(
            records(&"[".repeat(100_000), "").unwrap_err().why,
            "values are nested too deep"
        );
        assert!(Wanted::default().find(b"\"\xff\"").is_err());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-c\"\\\\\n é]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[ab\"\\\\~/]{1,2}", inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn finds_what_serde_json_finds(json in any_json(), segments in prop::collection::vec("[ab01]", 0..4)) {
            for text in [serde_json::to_string(&json).unwrap(), serde_json::to_string_pretty(&json).unwrap()] {
                // As it is read back: serde_json reads some floating-point numbers one digit off.
                let json: Value = serde_json::from_str(&text).unwrap();
                let pointer = Pointer(segments.clone());
                let expected = json.pointer(&segments.iter().map(|name| format!("/{name}")).collect::<String>());
                let found = value(text.as_bytes(), &pointer);
                prop_assert_eq!(found.as_ref(), expected);
                let mut wanted = Wanted::default();
                wanted.records(&pointer);
                let found = wanted.find(text.as_bytes()).unwrap();
                let records: Vec<Value> =
                    found.records.iter().map(|place| serde_json::from_str(&text[place.clone()]).unwrap()).collect();
                let expected = match expected {
                    None | Some(Value::Null) => Vec::new(),
                    Some(Value::Array(items)) => items.clone(),
                    Some(other) => vec![other.clone()],
                };
                prop_assert_eq!(records, expected);
            }
        }

        #[test]
        fn accepts_what_serde_json_accepts(text in "[\\[\\]{}\",:\\\\u0-9eE.+\\- tfnrualse\n]{0,12}") {
            let accepted = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(Wanted::default().find(text.as_bytes()).is_ok(), accepted, "{}", text);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Wanted::default().find(&bytes);
        }

        #[test]
        fn stars_go_over_all_items(items in prop::collection::vec(any_json(), 0..5)) {
            let text = json!({"edges": items.iter().map(|item| json!({"node": item})).collect::<Vec<_>>()}).to_string();
            let mut wanted = Wanted::default();
            wanted.records(&pointer("/edges/*/node"));
            let found = wanted.find(text.as_bytes()).unwrap();
            let expected = items.iter().map(|item| match item {
                Value::Null => 0,
                Value::Array(inner) => inner.len(),
                _ => 1,
            });
            prop_assert_eq!(found.records.len(), expected.sum::<usize>());
        }
    }
}
