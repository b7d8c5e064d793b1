//! JSON into plainer JSON, by the rules of one system's notation. What no rule touches is copied byte for byte.

use std::borrow::Cow;
use std::fmt;

use cordada_core::Result;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{DEPTH, malformed};

/// How a system writes what JSON has no words for.
pub(super) trait Notation {
    /// Its name, for errors.
    const NAME: &'static str;

    /// What becomes of a member of an object. `depth` is that of the object: 0 for the answer as a whole.
    fn member(&self, _depth: usize, _key: &str, _value: &RawValue) -> Member {
        Member::Stays
    }

    /// What an object stands for, if it is not itself.
    fn object<'a>(&self, _depth: usize, _members: &Members<'a>) -> Replacement<'a> {
        Replacement::Itself
    }

    /// What an array stands for, if it is not itself: JSON text.
    fn array(&self, _items: &[&RawValue]) -> Option<String> {
        None
    }

    /// What a string stands for, if it is not itself: JSON text.
    fn string(&self, _text: &str) -> Option<String> {
        None
    }
}

/// What becomes of a member of an object.
pub(super) enum Member {
    /// It is written, its value by the rules.
    Stays,
    /// It says something about the record rather than being a part of it.
    Goes,
    /// Its value means that there is none.
    IsNull,
    /// Its value stands for this JSON text.
    Is(String),
}

/// What stands in place of an object.
pub(super) enum Replacement<'a> {
    /// The object itself, its members rewritten.
    Itself,
    /// This JSON text.
    Text(String),
    /// This value, rewritten.
    Value(&'a RawValue),
}

/// An object's members in order, their values unread.
pub(super) struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// The value of a member.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// The value of a member that is a string.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?.get()).ok()
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.0.iter().map(|(name, value)| (&**name, *value))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Borrows where it can: `Cow<str>` by itself never does.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// The first member that is not dropped has no comma before it.
fn comma(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        out.push(b',');
    }
}

/// The answer by the rules; what is deeper than [`DEPTH`] is copied as it is, for it lands as text anyway.
///
/// Each level reads the text of what is within it once more to find where it ends: at most [`DEPTH`] times.
pub(super) fn rewrite<N: Notation>(body: &[u8], notation: &N) -> Result<Vec<u8>> {
    let root: &RawValue = serde_json::from_slice(body).map_err(|error| no_json::<N>(&error))?;
    let mut out = Vec::with_capacity(body.len());
    value(root, notation, 0, &mut out)?;
    Ok(out)
}

fn no_json<N: Notation>(error: &serde_json::Error) -> cordada_core::Error {
    malformed(N::NAME, "it is not JSON")
        .hint("the answer may be cut off, or an error page")
        .with("line", error.line())
        .with("column", error.column())
}

fn value<N: Notation>(raw: &RawValue, notation: &N, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    let text = raw.get();
    if depth > DEPTH {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    match text.as_bytes().first() {
        Some(b'{') => {
            let members: Members<'_> = serde_json::from_str(text).map_err(|error| no_json::<N>(&error))?;
            object(&members, notation, depth, out)
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| no_json::<N>(&error))?;
            if let Some(instead) = notation.array(&items) {
                out.extend_from_slice(instead.as_bytes());
                return Ok(());
            }
            out.push(b'[');
            let mut first = true;
            for item in items {
                comma(out, &mut first);
                value(item, notation, depth + 1, out)?;
            }
            out.push(b']');
            Ok(())
        }
        Some(b'"') => {
            let instead = serde_json::from_str::<Key<'_>>(text)
                .ok()
                .and_then(|Key(text)| notation.string(&text));
            out.extend_from_slice(instead.as_deref().unwrap_or(text).as_bytes());
            Ok(())
        }
        _ => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
    }
}

fn object<N: Notation>(members: &Members<'_>, notation: &N, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    match notation.object(depth, members) {
        Replacement::Itself => {}
        Replacement::Text(text) => {
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        Replacement::Value(raw) => return value(raw, notation, depth + 1, out),
    }
    out.push(b'{');
    let mut first = true;
    for (key, member) in members.iter() {
        let becomes = notation.member(depth, key, member);
        if matches!(becomes, Member::Goes) {
            continue;
        }
        comma(out, &mut first);
        super::push_string(out, key);
        out.push(b':');
        match becomes {
            Member::IsNull => out.extend_from_slice(b"null"),
            Member::Is(text) => out.extend_from_slice(text.as_bytes()),
            _ => value(member, notation, depth + 1, out)?,
        }
    }
    out.push(b'}');
    Ok(())
}
