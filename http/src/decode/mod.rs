//! What systems answer that is not plain JSON, as JSON text.
//!
//! Text, not values: `18.0000` stays `18.0000`, and a number of 30 digits keeps all of them. Answers that are a tree
//! become another tree ([`to_json`]), in which `records:` selects; those that are a list of records are handed out
//! one by one ([`each_record`]), because as a whole they may be many times their own size.
//!
//! Everything here reads what strangers wrote: nesting is bounded by [`DEPTH`], nothing is expanded, and an error says
//! where in the answer it is but not what is there, which may be personal.

mod csv;
mod days;
mod ga4;
mod google_ads;
mod json_stat;
mod lists;
mod ndjson;
mod numbers;
mod odata;
mod odoo;
mod rewrite;
mod tryton;
mod xml;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

use std::borrow::Cow;

use cordada_core::{Error, Result};
use cordada_ingest_formats::json::pointer::Pointer;
use serde::Deserialize;

pub use numbers::Fields;

/// Objects, arrays or elements within one another, at most.
pub const DEPTH: usize = 64;

/// How an answer is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Format {
    /// JSON as it is.
    #[default]
    #[serde(alias = "decimal_strings")]
    Json,
    /// JSON in which fields, at any depth, are days that are written as a midnight with its zone:
    /// `2026-01-01T00:00+01:00` is the first of January.
    LocalDays {
        /// The fields.
        fields: Vec<String>,
    },
    /// A sheet: lists of values, of which the first has the names of the columns.
    Rows {
        /// Where the lists are.
        at: Pointer,
    },
    /// Lists of equal lengths, each a column.
    Columns {
        /// Where the object is whose members they are.
        at: Pointer,
    },
    /// One JSON value a line.
    #[serde(alias = "jsonl")]
    Ndjson,
    /// With a header.
    Csv,
    /// XML: an element becomes an object.
    Xml,
    /// JSON-stat 1.x and 2.0: statistics as a cube.
    JsonStat,
    /// OData V2 in JSON: `d.results`, `/Date(…)/`, `__metadata`.
    OdataV2,
    /// OData V4 in JSON: `value`, `@odata.…`.
    OdataV4,
    /// Tryton's JSON-RPC: decimals and times as objects with a `__class__`.
    Tryton,
    /// Reports of Google Analytics 4, whose rows are values without names.
    Ga4,
    /// Rows of Google Ads, made flat.
    GoogleAds,
    /// Odoo's records, in which `false` is null and a reference is `[id, name]`.
    Odoo {
        /// The fields in which `false` is false.
        #[serde(default)]
        booleans: Vec<String>,
    },
}

impl Format {
    /// Whether an answer is a list of records for [`each_record`], in which `records:` has nothing to select.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Ndjson | Self::Csv | Self::JsonStat)
    }

    /// Whether an answer is another tree, in which one record may stand without a list around it.
    pub fn is_tree(&self) -> bool {
        matches!(self, Self::Xml)
    }

    /// Where the records are in what [`to_json`] makes, unless a manifest says otherwise.
    pub fn records(&self) -> &'static str {
        match self {
            Self::OdataV2 => "/d/results",
            Self::OdataV4 => "/value",
            Self::Tryton => "/result",
            Self::Ga4 => "/rows",
            Self::GoogleAds => "/results",
            _ => "",
        }
    }
}

/// The answer as JSON text; a list becomes an array.
///
/// # Errors
/// Failed: the answer is not what `format` says.
pub fn to_json<'b>(format: &Format, body: &'b [u8]) -> Result<Cow<'b, [u8]>> {
    Ok(match format {
        Format::Json => Cow::Borrowed(without_mark(body)),
        Format::LocalDays { fields } => Cow::Owned(rewrite::rewrite(without_mark(body), &days::LocalDays { fields })?),
        Format::Rows { at } => Cow::Owned(lists::rows(without_mark(body), at)?),
        Format::Columns { at } => Cow::Owned(lists::columns(without_mark(body), at)?),
        Format::Xml => Cow::Owned(xml::to_json(body)?),
        Format::Ga4 => Cow::Owned(ga4::to_json(body)?),
        Format::GoogleAds => Cow::Owned(google_ads::to_json(without_mark(body))?),
        Format::OdataV2 => Cow::Owned(odata::results(rewrite::rewrite(without_mark(body), &odata::V2)?)),
        Format::OdataV4 => Cow::Owned(odata::value(rewrite::rewrite(without_mark(body), &odata::V4)?)),
        Format::Tryton => Cow::Owned(rewrite::rewrite(without_mark(body), &tryton::Tryton)?),
        Format::Odoo { booleans } => Cow::Owned(rewrite::rewrite(without_mark(body), &odoo::Odoo { booleans })?),
        Format::Ndjson | Format::Csv | Format::JsonStat => {
            let mut array = vec![b'['];
            each_record(format, body, &mut |record| {
                if array.len() > 1 {
                    array.push(b',');
                }
                array.extend_from_slice(record);
                Ok(())
            })?;
            array.push(b']');
            Cow::Owned(array)
        }
    })
}

/// JSON text in which `fields` are what they are said to be.
///
/// # Errors
/// Failed: it is not JSON.
pub fn with_fields(text: &[u8], fields: &Fields) -> Result<Vec<u8>> {
    rewrite::rewrite(text, fields)
}

/// Hands out the records of an answer whose format [is a list](Format::is_list), each as one JSON value without line
/// breaks. CSV and NDJSON are read in one pass that keeps one record, so `body` may be a file of any size.
///
/// # Errors
/// Those of `each`; Failed: the answer is not what `format` says.
pub fn each_record(format: &Format, body: impl std::io::Read, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    match format {
        Format::Csv => csv::each(body, each),
        Format::JsonStat => json_stat::each(&read_all(body)?, each),
        Format::Ndjson => ndjson::each(body, each),
        // A list is its items.
        tree => lists::items(&to_json(tree, &read_all(body)?)?, each),
    }
}

fn read_all(mut body: impl std::io::Read) -> Result<Vec<u8>> {
    use cordada_core::Context as _;
    let mut bytes = Vec::new();
    body.read_to_end(&mut bytes).doing(|| "reading the answer")?;
    Ok(bytes)
}

/// The bytes behind the byte order mark that some systems begin with.
fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body)
}

/// An answer that is not what it should be.
fn malformed(format: &str, why: impl std::fmt::Display) -> Error {
    Error::failed(format!("reading the answer as {format}"), why)
}

/// Appends `text` as a JSON string.
fn push_string(out: &mut Vec<u8>, text: &str) {
    // Writing a string into a vector cannot fail.
    let _ = serde_json::to_writer(out, text);
}
