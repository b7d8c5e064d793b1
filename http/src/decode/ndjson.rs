//! NDJSON: one JSON value a line.

use std::io::{BufRead, BufReader, Read};

use cordada_core::{Context, Result};
use serde_json::value::RawValue;

use super::{malformed, without_mark};

/// Hands out each line that is not blank.
pub(super) fn each(body: impl Read, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut body = BufReader::with_capacity(1 << 16, body);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if body.read_until(b'\n', &mut line).doing(|| "reading the answer")? == 0 {
            break;
        }
        let text = if number == 1 { without_mark(&line) } else { &line }.trim_ascii();
        if text.is_empty() {
            continue;
        }
        // A download that was cut off ends within a line: that must not pass for its end.
        serde_json::from_slice::<&RawValue>(text).map_err(|_| {
            malformed("NDJSON", "a line is not a JSON value")
                .hint("the answer may be cut off")
                .with("line", number)
        })?;
        each(text)?;
    }
    Ok(())
}
