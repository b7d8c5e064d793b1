//! A successful answer: the records and the values that were looked for in it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead as _, Read as _};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::json::pointer::{Locator, Pointer, Records};
use cordada_ingest_formats::json::scan::{Found, Wanted};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap};
use serde_json::Value as Json;

use super::client::{Body, Raw, Target};
use super::decode::{self, Fields, Format};

/// How answers of one sort are read.
#[derive(Debug, Clone)]
pub struct AnswerOptions {
    /// What the body is written in.
    pub format: Format,
    /// Where records are, if some are looked for.
    pub records: Option<Records>,
    /// Where the body goes.
    pub target: Target,
    /// What is said of fields.
    pub fields: Fields,
    /// What tells records apart: an object without it is something else.
    pub key: Vec<Pointer>,
    /// Whether it is one of many answers, each a list of records.
    pub paged: bool,
    wanted: Wanted,
}

impl AnswerOptions {
    /// Looks for records and for the values at `pointers`.
    pub fn new<'p>(format: Format, records: Option<Records>, pointers: impl IntoIterator<Item = &'p Pointer>) -> Self {
        let mut wanted = Wanted::default();
        if let Some(records) = &records {
            wanted.records(&records.at);
        }
        pointers.into_iter().for_each(|pointer| wanted.value(pointer));
        Self {
            format,
            records,
            target: Target::Memory,
            fields: Fields::default(),
            key: Vec::new(),
            paged: false,
            wanted,
        }
    }
}

/// An answer that has been read.
pub struct Answer {
    /// The headers, as they came.
    pub headers: HeaderMap,
    /// Of its body, decompressed.
    pub bytes: u64,
    options: Arc<AnswerOptions>,
    content: Content,
    summary: Summary,
}

enum Content {
    /// Without a body.
    Empty,
    Text {
        text: Bytes,
        found: Found,
    },
    List(Body),
}

/// What there is to know of all records.
#[derive(Default)]
struct Summary {
    rows: u64,
    digest: u64,
    last: Vec<u8>,
}

impl Answer {
    /// An answer without anything in it.
    pub fn empty(headers: HeaderMap, options: &Arc<AnswerOptions>) -> Self {
        Self {
            headers,
            bytes: 0,
            options: options.clone(),
            content: Content::Empty,
            summary: Summary::default(),
        }
    }

    /// When it was given, by the clock of whoever gave it (RFC 9110, `Date`).
    pub fn date(&self) -> Option<DateTime<Utc>> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        DateTime::parse_from_rfc2822(date).ok().map(|date| date.to_utc())
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// Why it is not what it should be: mostly it broke off.
    pub fn read(raw: Raw, options: &Arc<AnswerOptions>) -> Result<Self, String> {
        let broken = |error: &Error| error.why().to_owned();
        let bytes = raw.body.bytes();
        let content = match raw.body {
            _ if bytes == 0 => Content::Empty,
            body @ Body::File(..) => Content::List(body),
            body @ Body::Memory(_) if options.format.is_list() => Content::List(body),
            Body::Memory(body) => {
                let body = in_utf8(body, &raw.headers, &options.format)?;
                let mut json = decode::to_json(&options.format, &body).map_err(|error| broken(&error))?;
                if !options.fields.is_empty() {
                    json = decode::with_fields(&json, &options.fields)
                        .map_err(|error| broken(&error))?
                        .into();
                }
                let text = match json {
                    std::borrow::Cow::Borrowed(part) => body.slice_ref(part),
                    std::borrow::Cow::Owned(text) => text.into(),
                };
                let found = options
                    .wanted
                    .find(&text)
                    .map_err(|malformed| format!("{} (byte {} of {})", malformed.why, malformed.at, text.len()))?;
                Content::Text { text, found }
            }
        };
        let mut answer = Self {
            headers: raw.headers,
            bytes,
            options: options.clone(),
            content,
            summary: Summary::default(),
        };
        let mut hasher = DefaultHasher::new();
        let mut summary = Summary::default();
        // The records of a list are found anew each time; the last of a text is where it was found.
        let is_list = matches!(answer.content, Content::List(_));
        answer
            .each(&mut |record| {
                summary.rows += 1;
                record.hash(&mut hasher);
                if is_list {
                    summary.last.clear();
                    summary.last.extend_from_slice(record);
                }
                Ok(())
            })
            .map_err(|error| broken(&error))?;
        summary.digest = hasher.finish();
        answer.summary = summary;
        Ok(answer)
    }

    /// The place of the records, if there should be one and there is none.
    pub fn lacks(&self) -> Option<&Pointer> {
        let records = self.options.records.as_ref().filter(|records| !records.optional)?;
        match &self.content {
            Content::Text { found, .. } if !found.reached => Some(&records.at),
            _ => None,
        }
    }

    /// Hands out its records, in order.
    pub fn each(&self, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let AnswerOptions { format, fields, .. } = &*self.options;
        let take = &mut |record: &[u8]| match (&self.content, fields.is_empty()) {
            (Content::List(_), false) => take(&decode::with_fields(record, fields)?),
            _ => take(record),
        };
        match &self.content {
            Content::Empty => Ok(()),
            Content::Text { text, found } => found
                .records
                .iter()
                .try_for_each(|place| take(text.get(place.clone()).unwrap_or_default())),
            Content::List(Body::Memory(body)) => {
                let body = in_utf8(body.clone(), &self.headers, format).map_err(unreadable)?;
                decode::each_record(format, &body[..], take)
            }
            Content::List(Body::File(file, _)) => {
                let file = file.open().doing(|| "reading a temporary file")?;
                let mut file = std::io::BufReader::new(file);
                let head = file.fill_buf().doing(|| "reading a temporary file")?;
                if marked(head).is_some_and(|encoding| encoding != UTF_8) || named(&self.headers).is_some() {
                    let mut body = Vec::new();
                    file.read_to_end(&mut body).doing(|| "reading a temporary file")?;
                    let body = in_utf8(body.into(), &self.headers, format).map_err(unreadable)?;
                    return decode::each_record(format, &body[..], take);
                }
                decode::each_record(format, file, take)
            }
        }
    }

    /// Whether it is an object, and not a list.
    pub(crate) fn is_object(&self) -> bool {
        match &self.content {
            Content::Text { text, .. } => text.trim_ascii_start().first() == Some(&b'{'),
            _ => false,
        }
    }

    /// The text of the value at a place that was looked for.
    pub(crate) fn text(&self, pointer: &Pointer) -> Option<&[u8]> {
        let Content::Text { text, found } = &self.content else {
            return None;
        };
        text.get(self.options.wanted.place(found, pointer)?)
    }

    /// How many records it has.
    pub fn rows(&self) -> u64 {
        self.summary.rows
    }

    /// Stands for its records.
    pub fn digest(&self) -> u64 {
        self.summary.digest
    }

    /// Its last record.
    pub fn last(&self) -> Option<&[u8]> {
        match &self.content {
            Content::Empty => None,
            Content::Text { text, found } => text.get(found.records.last()?.clone()),
            Content::List(_) => (self.summary.rows > 0).then_some(&self.summary.last),
        }
    }

    /// The value at a pointer that its [`AnswerOptions`] knows.
    pub fn value(&self, pointer: &Pointer) -> Option<Json> {
        let Content::Text { text, found } = &self.content else {
            return None;
        };
        let place = self.options.wanted.place(found, pointer)?;
        serde_json::from_slice(text.get(place)?).ok()
    }

    /// A header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value that a manifest names, if it is there and not null.
    pub fn locate(&self, locator: &Locator) -> Option<Json> {
        match locator {
            Locator::Body(pointer) => self.value(pointer),
            Locator::Header(name) => self.header(name).map(Json::from),
        }
        .filter(|value| !value.is_null())
    }
}

fn unreadable(why: String) -> Error {
    Error::failed("reading the answer", why)
}

/// The name of the encoding that a `Content-Type` has, if it is another than UTF-8.
fn named(headers: &HeaderMap) -> Option<&str> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let parameters = content_type
        .split(';')
        .skip(1)
        .filter_map(|parameter| parameter.split_once('='));
    let mut charsets = parameters.filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    let name = charsets.next()?.1.trim().trim_matches(['"', '\'']);
    (Encoding::for_label(name.as_bytes()) != Some(UTF_8)).then_some(name)
}

/// The encoding that a body begins like: by its mark, or by the zeros that UTF-16 has beside what is ASCII.
fn marked(body: &[u8]) -> Option<&'static Encoding> {
    let zeros = || match body {
        [0, second, ..] if *second != 0 => Some(UTF_16BE),
        [first, 0, ..] if *first != 0 => Some(UTF_16LE),
        _ => None,
    };
    Encoding::for_bom(body).map(|(encoding, _)| encoding).or_else(zeros)
}

/// A body in UTF-8: as its mark says, else as the header does. One that is UTF-8 already stays, whatever the header
/// says: JSON always should be (RFC 8259).
///
/// # Errors
/// Why its letters cannot be read: none is put in the place of another.
fn in_utf8(body: Bytes, headers: &HeaderMap, format: &Format) -> Result<Bytes, String> {
    let encoding = match (marked(&body), named(headers)) {
        (Some(encoding), _) if encoding == UTF_8 => return Ok(body),
        (Some(encoding), _) => encoding,
        (None, None) => return Ok(body),
        (None, Some(_)) if std::str::from_utf8(&body).is_ok() => return Ok(body),
        (None, Some(name)) => Encoding::for_label(name.as_bytes())
            .ok_or_else(|| format!("its `charset` is `{name}`, which is unknown"))?,
    };
    let (text, has_errors) = encoding.decode_with_bom_removal(&body);
    if has_errors {
        return Err(format!("it is not {}", encoding.name()));
    }
    // XML itself says how it was written before: a mark counts more.
    let mark = if *format == Format::Xml { "\u{feff}" } else { "" };
    Ok(Bytes::from([mark, &text].concat().into_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn records(format: Format, content_type: &str, body: &[u8]) -> Result<Vec<String>, String> {
        let at = Records {
            at: Pointer::new(if format == Format::Xml { "/a/b" } else { "" }).unwrap(),
            optional: false,
        };
        let options = Arc::new(AnswerOptions::new(format, Some(at), []));
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        let raw = Raw {
            status: StatusCode::OK,
            headers,
            body: Body::Memory(body.to_vec().into()),
        };
        let mut found = Vec::new();
        Answer::read(raw, &options)?
            .each(&mut |record| {
                found.push(String::from_utf8(record.to_vec()).unwrap());
                Ok(())
            })
            .unwrap();
        Ok(found)
    }

    fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn letters_are_read_once_in_whatever_they_are_written() {
        let json = r#"[{"a":"Zoé"}]"#;
        let latin = b"[{\"a\":\"Zo\xe9\"}]";
        for (content_type, body) in [
            ("application/json", json.as_bytes().to_vec()),
            ("application/json; charset=iso-8859-1", json.as_bytes().to_vec()),
            ("application/json; Charset=\"ISO-8859-1\"", latin.to_vec()),
            ("application/json;profile=x; CHARSET = latin1", latin.to_vec()),
            (
                "application/json; charset=utf-16",
                utf_16(&format!("\u{feff}{json}"), u16::to_be_bytes),
            ),
            ("application/json; charset=utf-16le", utf_16(json, u16::to_le_bytes)),
            ("application/json", utf_16(json, u16::to_be_bytes)),
            (
                "application/json; charset=utf-8",
                format!("\u{feff}{json}").into_bytes(),
            ),
        ] {
            let found = records(Format::Json, content_type, &body);
            assert_eq!(found.unwrap(), [r#"{"a":"Zoé"}"#], "{content_type}");
        }
        let xml = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a><b><c>Zo\u{e9}</c></b></a>";
        let latin: Vec<u8> = xml.chars().map(|c| c as u8).collect();
        for (content_type, body) in [
            ("text/xml; charset=ISO-8859-1", latin.clone()),
            ("text/xml", latin),
            (
                "text/xml; charset=utf-16",
                utf_16(&format!("\u{feff}{xml}"), u16::to_le_bytes),
            ),
        ] {
            let found = records(Format::Xml, content_type, &body);
            assert_eq!(found.unwrap(), [r#"{"c":"Zoé"}"#], "{content_type}");
        }
        assert_eq!(
            records(Format::Csv, "text/csv; charset=latin1", b"a\nZo\xe9\n").unwrap(),
            [r#"{"a":"Zoé"}"#]
        );
    }

    #[test]
    fn letters_that_cannot_be_read_are_an_error() {
        for (content_type, body) in [
            ("application/json; charset=utf-16le", &b"[\0{\0}\0]\0\0\xd8"[..]),
            ("application/json; charset=klingon", b"[{\"a\":\"\xe9\"}]"),
            ("application/json; charset=shift_jis", b"[{\"a\":\"\xff\"}]"),
        ] {
            assert!(records(Format::Json, content_type, body).is_err(), "{content_type}");
        }
    }
}
