//! A successful answer: the records and the values that were looked for in it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::json::pointer::{Locator, Pointer, Records};
use cordada_ingest_formats::json::scan::{Found, Wanted};
use encoding_rs::Encoding;
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
                let body = in_utf8(body, &raw.headers);
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
                decode::each_record(format, &in_utf8(body.clone(), &self.headers)[..], take)
            }
            Content::List(Body::File(file, _)) => {
                let mut file = file.open().doing(|| "reading a temporary file")?;
                if encoding(&self.headers).is_some() {
                    let mut body = Vec::new();
                    file.read_to_end(&mut body).doing(|| "reading a temporary file")?;
                    return decode::each_record(format, &in_utf8(body.into(), &self.headers)[..], take);
                }
                decode::each_record(format, std::io::BufReader::new(file), take)
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

/// The encoding that a `Content-Type` names, if it is another than UTF-8.
fn encoding(headers: &HeaderMap) -> Option<&'static Encoding> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (_, label) = content_type.split_once("charset=")?;
    let label = label.split(';').next().unwrap_or(label).trim().trim_matches('"');
    Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != encoding_rs::UTF_8)
}

/// A body in UTF-8. One that is in it already stays, whatever the header says: JSON always should be (RFC 8259).
fn in_utf8(body: Bytes, headers: &HeaderMap) -> Bytes {
    match encoding(headers) {
        Some(encoding) if std::str::from_utf8(&body).is_err() => {
            Bytes::from(encoding.decode(&body).0.into_owned().into_bytes())
        }
        _ => body,
    }
}
