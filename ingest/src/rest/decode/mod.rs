//! What systems answer that is not plain JSON, as JSON text.

use std::borrow::Cow;

use cordada_lake::{Error, Result};
use serde::Deserialize;

/// How an answer is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Format {
    #[default]
    Json,
    /// One JSON value a line.
    #[serde(alias = "jsonl")]
    Ndjson,
    /// With a header.
    Csv,
}

impl Format {
    /// Whether an answer is a list of records for [`each_record`], in which `records:` has nothing to select.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::Ndjson | Self::Csv)
    }

    /// Where the records are in what [`to_json`] makes, unless a manifest says otherwise.
    pub(crate) fn records(&self) -> &'static str {
        ""
    }
}

/// The answer as JSON text; a list becomes an array.
///
/// # Errors
/// Failed: the answer is not what `format` says.
pub(crate) fn to_json<'b>(format: &Format, body: &'b [u8]) -> Result<Cow<'b, [u8]>> {
    Ok(match format {
        Format::Json => Cow::Borrowed(body),
        Format::Ndjson | Format::Csv => {
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

/// Hands out the records of an answer whose format [is a list](Format::is_list), each as one JSON value without line
/// breaks.
///
/// # Errors
/// Those of `each`; Failed: the answer is not what `format` says.
pub(crate) fn each_record(
    format: &Format,
    body: impl std::io::Read,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let failed = |why: String| Error::failed("reading an answer", why);
    match format {
        Format::Csv => {
            let mut reader = csv::Reader::from_reader(body);
            let names = reader.headers().map_err(|error| failed(error.to_string()))?.clone();
            for record in reader.records() {
                let record = record.map_err(|error| failed(error.to_string()))?;
                let object: serde_json::Map<_, _> = names
                    .iter()
                    .zip(&record)
                    .map(|(name, value)| (name.to_owned(), value.into()))
                    .collect();
                each(&serde_json::to_vec(&object).map_err(|error| failed(error.to_string()))?)?;
            }
            Ok(())
        }
        _ => std::io::BufRead::lines(std::io::BufReader::new(body)).try_for_each(|line| {
            let line = line.map_err(|error| failed(error.to_string()))?;
            if line.trim().is_empty() {
                Ok(())
            } else {
                each(line.trim().as_bytes())
            }
        }),
    }
}
