//! Finds records and values in a JSON text (RFC 8259) in one pass, without building anything of what it passes over.
//!
//! The whole text is checked: of one that broke off nothing is found.

use std::ops::Range;

use super::lexer::{Lexer, Malformed, Token};
use super::pointer::Pointer;

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
        // A record with a number that is none is told of when it is read: the others are none the worse for it.
        let lexer = Lexer {
            passes_nan: true,
            ..Lexer::new(text, 0)
        };
        let mut scanner = Scanner { lexer, found };
        scanner.lexer.space();
        scanner.value(&[&self.root], 0)?;
        scanner.lexer.end()?;
        Ok(scanner.found)
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
    lexer: Lexer<'t>,
    found: Found,
}

impl Scanner<'_> {
    /// Passes over the value that begins here; `nodes` are what is looked for in it.
    fn value(&mut self, nodes: &[&Node], depth: usize) -> Result<(), Malformed> {
        if nodes.is_empty() {
            return self.lexer.pass().map(drop);
        }
        let start = self.lexer.at;
        let token = self.lexer.value()?;
        match token {
            Token::Object => self.object(nodes, depth)?,
            Token::Array => self.array(nodes, depth)?,
            _ => self.lexer.scalar()?,
        }
        let place = start..self.lexer.at;
        for node in nodes {
            if let Some(value) = node.value.and_then(|index| self.found.values.get_mut(index)) {
                value.get_or_insert(place.clone());
            }
            if node.records {
                self.found.reached = true;
                if !matches!(token, Token::Array | Token::Null) {
                    self.found.records.push(place.clone());
                }
            }
        }
        Ok(())
    }

    fn object(&mut self, nodes: &[&Node], depth: usize) -> Result<(), Malformed> {
        let looking = nodes.iter().any(|node| !node.children.is_empty());
        let mut goes_on = self.lexer.open(b'}', depth)?;
        while goes_on {
            let (key, _) = self.lexer.key()?;
            if looking {
                let name = name(self.lexer.text.get(key).unwrap_or_default());
                let inner: Vec<_> = nodes.iter().flat_map(|node| node.child(&name)).collect();
                self.value(&inner, depth + 1)?;
            } else {
                self.value(&[], depth + 1)?;
            }
            goes_on = self.lexer.goes_on(b'}')?;
        }
        Ok(())
    }

    fn array(&mut self, nodes: &[&Node], depth: usize) -> Result<(), Malformed> {
        let looking = nodes.iter().any(|node| !node.children.is_empty());
        let records = nodes.iter().any(|node| node.records);
        if nodes
            .iter()
            .any(|node| node.child("*").any(|node| node.records || !node.children.is_empty()))
        {
            // Going over the items of an empty array has found all there is.
            self.found.reached = true;
        }
        let mut goes_on = self.lexer.open(b']', depth)?;
        let mut index = 0_usize;
        while goes_on {
            let start = self.lexer.at;
            if looking {
                let index = index.to_string();
                let inner: Vec<_> = nodes.iter().flat_map(|node| node.child(&index)).collect();
                self.value(&inner, depth + 1)?;
            } else {
                self.value(&[], depth + 1)?;
            }
            if records {
                self.found.records.push(start..self.lexer.at);
            }
            index += 1;
            goes_on = self.lexer.goes_on(b']')?;
        }
        Ok(())
    }
}

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
        lexer: Lexer::new(text, 0),
        found: Found::default(),
    };
    scanner.lexer.space();
    for segment in &pointer.0 {
        scanner.enter(segment)?;
    }
    let start = scanner.lexer.at;
    scanner.value(&[], 0).ok()?;
    serde_json::from_slice(text.get(start..scanner.lexer.at)?).ok()
}

impl Scanner<'_> {
    /// Goes to the value that `segment` names in the object or array that begins here.
    fn enter(&mut self, segment: &str) -> Option<()> {
        let token = self.lexer.value().ok()?;
        let close = match token {
            Token::Object => b'}',
            Token::Array => b']',
            _ => return None,
        };
        let mut goes_on = self.lexer.open(close, 0).ok()?;
        let mut index = 0_usize;
        while goes_on {
            let fits = match token {
                Token::Object => {
                    let (key, _) = self.lexer.key().ok()?;
                    name(self.lexer.text.get(key)?) == segment
                }
                _ => segment.parse() == Ok(index),
            };
            if fits || segment == "*" {
                return Some(());
            }
            self.value(&[], 0).ok()?;
            index += 1;
            goes_on = self.lexer.goes_on(close).ok()?;
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
    fn what_is_passed_over_may_be_of_any_depth() {
        let deep = "[{\"a\":".repeat(50_000) + "1" + &"}]".repeat(50_000);
        let text = format!("{{\"rows\":[{deep},{{\"b\":{deep}}}]}}");
        let found = records(&text, "/rows").unwrap();
        assert_eq!((found.len(), found[0]), (2, deep.as_str()));
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
            "the text breaks off"
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
