//! Transforms of a record that is JSON text. What they do not touch is copied byte for byte: no number is read and
//! written again, so that each keeps all its digits.

use std::borrow::Cow;

use cordada_core::Result;
use cordada_ingest_formats::json::parts::{entries, items, string};

use super::{Node, Normal, Transforms};
use crate::options::Transform;

/// Lists within one another that are looked into.
const DEPTH: usize = 64;

impl Transforms {
    /// The record without what is not to be written; `None` if it cannot be looked into, so that none of it may land.
    ///
    /// # Errors
    /// None that a user could cause.
    pub fn apply_json(&self, record: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut out = Vec::with_capacity(record.len() + 64);
        let readable = self.json_within(&self.root, record.trim_ascii(), 0, &mut out)?;
        Ok(readable.then_some(out))
    }

    /// Writes a value in which `node` says what becomes of its columns; whether it could be looked into.
    pub(super) fn json_within(&self, node: &Node, value: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<bool> {
        match value.first() {
            Some(b'[') => self.json_items(value, depth, out, |item, out| {
                self.json_within(node, item, depth + 1, out)
            }),
            Some(b'{') => self.json_entries(node, value, depth, out),
            Some(b'n') | None => {
                out.extend_from_slice(value);
                Ok(true)
            }
            // In the place of an object it may be what was to be hidden in it.
            Some(first) => {
                let text = match first {
                    b'"' => string(value),
                    _ => std::str::from_utf8(value).ok().map(Into::into),
                };
                let Some(text) = text else {
                    return Ok(false);
                };
                out.push(b'"');
                out.extend_from_slice(self.pseudonym(&text).as_bytes());
                out.push(b'"');
                Ok(true)
            }
        }
    }

    fn json_entries(&self, node: &Node, object: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<bool> {
        let Ok(entries) = entries(object) else {
            return Ok(false);
        };
        let dotted = entries.iter().filter(|(key, _)| key.contains(&b'.'));
        let dotted: Vec<_> = dotted.filter_map(|(key, _)| string(key)).collect();
        let beside = match dotted.is_empty() {
            true => Cow::Borrowed(node),
            false => Cow::Owned(node.beside(dotted.iter().map(AsRef::as_ref))),
        };
        let node = beside.as_ref();
        out.push(b'{');
        let mut first = true;
        for (key, value) in entries {
            let Some(name) = string(key) else {
                return Ok(false);
            };
            let child = node.child(&name);
            if child.is_some_and(|child| matches!(child.transform, Some((Transform::Drop, _)))) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            let readable = match child {
                Some(Node {
                    transform: Some((transform, normal)),
                    ..
                }) => self.json_value(*transform, *normal, value, depth, out)?,
                Some(child) => self.json_within(child, value, depth, out)?,
                None => {
                    out.extend_from_slice(value);
                    true
                }
            };
            if !readable {
                return Ok(false);
            }
        }
        out.push(b'}');
        Ok(true)
    }

    /// Lists become lists of hashes; any other value is transformed as its text.
    fn json_value(
        &self,
        transform: Transform,
        normal: Normal,
        value: &[u8],
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        let text = match value.first() {
            Some(b'[') => {
                return self.json_items(value, depth, out, |item, out| {
                    self.json_value(transform, normal, item, depth + 1, out)
                });
            }
            Some(b'n') => {
                out.extend_from_slice(value);
                return Ok(true);
            }
            Some(b'"') => string(value),
            _ => std::str::from_utf8(value).ok().map(Into::into),
        };
        let Some(text) = text else {
            return Ok(false);
        };
        // Neither a hash nor a token has a character that JSON escapes.
        out.push(b'"');
        out.extend_from_slice(self.text(transform, normal, &text)?.as_bytes());
        out.push(b'"');
        Ok(true)
    }

    fn json_items(
        &self,
        array: &[u8],
        depth: usize,
        out: &mut Vec<u8>,
        mut write: impl FnMut(&[u8], &mut Vec<u8>) -> Result<bool>,
    ) -> Result<bool> {
        let Ok(items) = items(array) else {
            return Ok(false);
        };
        if depth >= DEPTH {
            return Ok(false);
        }
        out.push(b'[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if !write(item, out)? {
                return Ok(false);
            }
        }
        out.push(b']');
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::tests::{key, transforms};
    use super::*;

    fn applied(transforms: &Transforms, record: &str) -> Option<String> {
        let record = transforms.apply_json(record.as_bytes()).unwrap();
        record.map(|record| String::from_utf8(record).unwrap())
    }

    #[test]
    fn what_is_not_touched_is_not_changed() {
        let transforms = transforms(&[("email", Transform::Hash, None), ("who.Phone", Transform::Drop, None)]);
        let hash = key().hash("a@b");
        for (record, expected) in [
            (
                r#" {"email": "a@b", "big": 1234567890123456789012345, "price": 1.10, "stamp": 1626175065.5934923, "e": 1E400} "#,
                format!(
                    r#"{{"email":"{hash}","big":1234567890123456789012345,"price":1.10,"stamp":1626175065.5934923,"e":1E400}}"#
                ),
            ),
            (
                r#"{"who": [{"phone": 1, "a\u0062": [1, 2.50 ]}], "email": ["\u0061@b", null]}"#,
                format!(r#"{{"who":[{{"a\u0062":[1, 2.50 ]}}],"email":["{hash}",null]}}"#),
            ),
            // Both of them, for the reader to reject.
            (
                r#"{"email":"a@b","email":"a@b"}"#,
                format!(r#"{{"email":"{hash}","email":"{hash}"}}"#),
            ),
        ] {
            assert_eq!(applied(&transforms, record).unwrap(), expected);
        }
    }

    #[test]
    fn what_cannot_be_looked_into_does_not_land() {
        let transforms = transforms(&[("email", Transform::Hash, None), ("who.phone", Transform::Drop, None)]);
        let deep = format!("{{\"who\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
        for record in [
            r#"{"email": "\ud83d"}"#,
            r#"{"email": "a@b""#,
            r#"{"a" 1}"#,
            deep.as_str(),
        ] {
            assert_eq!(applied(&transforms, record), None);
        }
        let deep = format!("{{\"other\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(applied(&transforms, &deep).unwrap(), deep);
    }

    #[test]
    fn any_number_stays_as_it_is() {
        let transforms = transforms(&[("email", Transform::Hash, None)]);
        for whole in ["0", "-0", "9007199254740993", "123456789012345678901234567890"] {
            for fraction in ["", ".0", ".10", ".30000000000000004"] {
                for exponent in ["", "e5", "E-400", "e+308"] {
                    let number = format!("{whole}{fraction}{exponent}");
                    let record = format!("{{\"email\":null,\"n\":[{number}],\"m\":{number}}}");
                    assert_eq!(applied(&transforms, &record).unwrap(), record);
                }
            }
        }
    }
}
