//! XML as JSON: an element is an object of its attributes (`@name`) and elements, those that repeat as an array; one
//! that holds nothing but text is that text, an empty one null. Text beside attributes is `#text`. Prefixes of
//! namespaces are left out.
//!
//! Only references to characters and to the five entities of XML itself are resolved: a document's own declarations
//! are not read, so nothing expands and nothing is fetched.

use std::borrow::Cow;

use cordada_core::{Error, Result};
use encoding_rs::Encoding;
use quick_xml::Reader;
use quick_xml::events::{BytesRef, BytesStart, Event};
use serde_json::{Map, Value};

use super::{DEPTH, malformed};

/// An element that has begun.
struct Element {
    name: String,
    members: Map<String, Value>,
    text: String,
}

/// The document as an object with its root.
pub(super) fn to_json(body: &[u8]) -> Result<Vec<u8>> {
    let text = text(body)?;
    let mut reader = Reader::from_str(&text);
    let mut open: Vec<Element> = Vec::new();
    let mut document = Map::new();
    loop {
        let event = reader.read_event().map_err(|error| wrong(&reader, error))?;
        match event {
            Event::Start(start) => {
                open.push(element(&start).map_err(|why| wrong(&reader, why))?);
                if open.len() > DEPTH {
                    return Err(wrong(&reader, format!("it is nested more than {DEPTH} deep")));
                }
            }
            Event::Empty(start) => {
                let element = element(&start).map_err(|why| wrong(&reader, why))?;
                close(
                    element,
                    open.last_mut().map_or(&mut document, |parent| &mut parent.members),
                );
            }
            Event::End(_) => {
                // The reader checks that ends match.
                if let Some(element) = open.pop() {
                    close(
                        element,
                        open.last_mut().map_or(&mut document, |parent| &mut parent.members),
                    );
                }
            }
            Event::Text(part) => push(&mut open, &part.xml10_content().map_err(|error| wrong(&reader, error))?),
            Event::CData(part) => push(&mut open, &part.xml10_content().map_err(|error| wrong(&reader, error))?),
            Event::GeneralRef(reference) => {
                let part = resolve(&reference).ok_or_else(|| wrong(&reader, "a reference to an entity of its own"))?;
                push(&mut open, part.encode_utf8(&mut [0; 4]));
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    if !open.is_empty() || document.len() != 1 {
        return Err(malformed("XML", "it ends before its root does").hint("the answer may be cut off"));
    }
    serde_json::to_vec(&document).map_err(|error| malformed("XML", error))
}

/// The document as text: UTF-8, or what its mark or declaration says.
fn text(body: &[u8]) -> Result<Cow<'_, str>> {
    let declaration = String::from_utf8_lossy(body.get(..200).unwrap_or(body));
    let encoding = match declared(&declaration) {
        Some(label) => Encoding::for_label(label.as_bytes())
            .ok_or_else(|| malformed("XML", format!("its encoding is `{label}`")))?,
        None => encoding_rs::UTF_8,
    };
    let (text, used, broken) = encoding.decode(body);
    if broken {
        return Err(malformed("XML", format!("it is not {}", used.name())));
    }
    Ok(text)
}

/// The encoding that a declaration names: `<?xml version="1.0" encoding="latin1"?>`.
fn declared(text: &str) -> Option<&str> {
    let (declaration, _) = text.strip_prefix("<?xml")?.split_once("?>")?;
    let (_, value) = declaration.split_once("encoding")?;
    let value = value.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|c| ['"', '\''].contains(c))?;
    value.split(quote).nth(1)
}

fn element(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut members = Map::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let name = attribute.key;
        if name.as_ref() == b"xmlns" || name.prefix().is_some_and(|prefix| prefix.as_ref() == b"xmlns") {
            continue;
        }
        let value = attribute
            .unescape_value()
            .map_err(|_| "an attribute has a reference to an entity of its own")?;
        let name = format!("@{}", String::from_utf8_lossy(name.local_name().as_ref()));
        members.insert(name, Value::String(value.into_owned()));
    }
    Ok(Element {
        name: String::from_utf8_lossy(start.local_name().as_ref()).into_owned(),
        members,
        text: String::new(),
    })
}

fn push(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

/// Puts a complete element among those of its parent.
fn close(element: Element, siblings: &mut Map<String, Value>) {
    let Element {
        name,
        mut members,
        text,
    } = element;
    let text = text.trim();
    let value = match (members.is_empty(), text.is_empty()) {
        (true, true) => Value::Null,
        (true, false) => Value::String(text.to_owned()),
        (false, empty) => {
            if !empty {
                members.insert("#text".to_owned(), Value::String(text.to_owned()));
            }
            Value::Object(members)
        }
    };
    match siblings.get_mut(&name) {
        None => {
            siblings.insert(name, value);
        }
        Some(Value::Array(same)) => same.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

fn resolve(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character);
    }
    Some(match &*reference.decode().ok()? {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}

fn wrong(reader: &Reader<&[u8]>, why: impl std::fmt::Display) -> Error {
    malformed("XML", why).with("byte", reader.error_position().max(reader.buffer_position()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_what_stands_at_the_beginning() {
        for (text, expected) in [
            ("<?xml version='1.0' encoding='latin1'?><a/>", Some("latin1")),
            ("<?xml version=\"1.0\" encoding = \"x\" ?>", Some("x")),
            ("<?xml encoding=?>", None),
            ("<?xml encoding=é?>", None),
            ("<?xml encoding=", None),
            ("<a encoding=\"latin1\"/>", None),
            ("<a>encoding=", None),
            ("", None),
        ] {
            assert_eq!(declared(text), expected, "{text}");
        }
        for wrong in ["<?xml encoding=", "<?xml version=\"1.0\" encoding=é?><a/", "encoding="] {
            assert!(to_json(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
