//! One log being read: its lines from a place on, as records.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::Arc;

use cordada_core::{Context, Error, Result};
use cordada_ingest_formats::text::MARK;
use encoding_rs::UTF_8;
use tokio_util::sync::CancellationToken;

use super::config::{FormatOption, LogOptions};
use super::format::{self, Detection, Format, Line, Parser};
use super::lines::{self, FoundLine, MAX_LINE, Next};
use super::places::{LogHead, LogPlace};
use super::record::{Policy, Record};
use super::w3c::Header;

/// Bytes that a format is told by.
const SAMPLE: usize = 256 * 1024;

/// What became of a line.
pub(crate) enum LineOutcome<'l> {
    /// A JSON object.
    Record(&'l [u8]),
    /// The reason, and as much of the line as may land.
    Rejected(String, String),
    /// Nothing was in it.
    Empty,
}

/// A log from a place on.
pub(crate) struct Log {
    file: File,
    head: LogHead,
    /// Whether nothing will be written to it any more, so that its last line is whole without a line break.
    complete: bool,
    parser: Parser,
    /// What was known of it before this reading.
    pub(crate) before: Option<LogPlace>,
    pub(crate) place: LogPlace,
}

impl Log {
    /// Opens a log that has not been seen, and tells its format; `None` if it has no lines yet.
    ///
    /// # Errors
    /// Config if it is in no format that is known.
    pub(crate) fn begin(
        mut file: File,
        name: &str,
        state: &str,
        complete: bool,
        (options, policy): (&LogOptions, &Policy),
    ) -> Result<Option<Self>> {
        let head = LogHead::read(&mut file, name)?;
        let format = match &options.format {
            FormatOption::Known(format) => *format,
            FormatOption::Custom(_) => Format::Custom,
            FormatOption::Auto => match told(&mut file, name, complete, options, policy)? {
                Some(format) => format,
                None => return Ok(None),
            },
        };
        let parser = Parser::new(format, options.custom(), Header::default());
        Ok(Some(Self {
            place: LogPlace::beginning(name, format, Header::default(), state),
            before: None,
            file,
            head,
            complete,
            parser,
        }))
    }

    /// Opens a log that has been read to a place.
    pub(crate) fn resume(
        mut file: File,
        name: &str,
        state: &str,
        complete: bool,
        (options, before): (&LogOptions, LogPlace),
    ) -> Result<Self> {
        let head = LogHead::read(&mut file, name)?;
        let format = match &options.format {
            FormatOption::Known(format) => *format,
            FormatOption::Custom(_) => Format::Custom,
            FormatOption::Auto => before.format,
        };
        let place = before.clone().moved(name, state, format);
        let parser = Parser::new(format, options.custom(), before.header.clone());
        Ok(Self {
            file,
            head,
            complete,
            parser,
            before: Some(before),
            place,
        })
    }

    /// Reads on, giving each line to `take` with its number, until that says to stop; says whether the end was
    /// reached. Moves the place, which is only good once everything taken has landed.
    ///
    /// # Errors
    /// Conflict if the log was rotated meanwhile in a way that its lines cannot be told from those of the next.
    pub(crate) fn read(
        &mut self,
        options: &LogOptions,
        policy: &Policy,
        cancel: &CancellationToken,
        mut take: impl FnMut(u64, LineOutcome<'_>) -> Result<Next>,
    ) -> Result<bool> {
        let name = self.place.path.clone();
        let doing = || format!("reading {name}");
        self.file.seek(SeekFrom::Start(self.place.offset)).doing(doing)?;
        let mut record = Record::new(policy);
        let (mut line_number, mut stopped, mut anything) = (self.place.line, false, self.place.offset > 0);
        let parser = &mut self.parser;
        let taken = lines::read(&self.file, &name, self.complete, cancel, |found| {
            line_number += 1;
            let taken = match found {
                FoundLine::TooLong(_) => {
                    LineOutcome::Rejected(format!("the line is longer than {} MiB", MAX_LINE >> 20), String::new())
                }
                FoundLine::Line(line) => {
                    let line = if line_number == 1 {
                        line.strip_prefix(MARK).unwrap_or(line)
                    } else {
                        line
                    };
                    let line = options.decode(line);
                    match parser.write(&line, &mut record) {
                        Ok(Line::Hit) => LineOutcome::Record(record.end()),
                        Ok(Line::Empty) => LineOutcome::Empty,
                        Err(reason) => LineOutcome::Rejected(reason.into_owned(), policy.rejected(&line)),
                    }
                }
            };
            anything |= !matches!(taken, LineOutcome::Empty);
            let next = take(line_number, taken)?;
            stopped |= next == Next::Stop;
            Ok(next)
        })?;
        // A log of nothing but a header is like any other with that header: it is not known yet.
        if !anything {
            return Ok(true);
        }
        self.place.offset += taken;
        self.place.line = line_number;
        self.place.header = self.parser.header.clone();
        self.place.print(&mut self.file, &name)?;
        self.head.check(&mut self.file, self.place.offset, &name)?;
        Ok(!stopped)
    }
}

/// The format that the first lines of a file are in; `None` if there are none yet.
fn told(file: &mut File, name: &str, complete: bool, options: &LogOptions, policy: &Policy) -> Result<Option<Format>> {
    file.seek(SeekFrom::Start(0)).doing(|| format!("reading {name}"))?;
    let mut sample: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    lines::read(&*file, name, complete, &CancellationToken::new(), |found| {
        let (FoundLine::Line(line) | FoundLine::TooLong(line)) = found;
        bytes += line.len();
        let line = if sample.is_empty() {
            line.strip_prefix(MARK).unwrap_or(line)
        } else {
            line
        };
        sample.push(options.decode(line).into_owned());
        Ok(if sample.len() < format::SAMPLE_LINES && bytes < SAMPLE {
            Next::Line
        } else {
            Next::Stop
        })
    })?;
    let lines: Vec<&[u8]> = sample.iter().map(Vec::as_slice).collect();
    if let Some(Detection {
        format,
        matched,
        others,
    }) = format::detect(&lines, policy)
    {
        tracing::info!(file = name, ?format, lines = matched, others, "a log's format was told");
        return Ok(Some(format));
    }
    let empty = |line: &[u8]| line.trim_ascii().is_empty() || line.starts_with(b"#");
    if lines.iter().all(|line| empty(line)) {
        return Ok(None);
    }
    Err(Error::config(
        format!("reading {name}"),
        "its lines are in no format of access logs that is known",
    )
    .hint("set `format:` to its name, or describe it as {regex: …, time: …}"))
}

impl LogOptions {
    fn custom(&self) -> Option<Arc<super::custom::Custom>> {
        match &self.format {
            FormatOption::Custom(custom) => Some(custom.clone()),
            FormatOption::Auto | FormatOption::Known(_) => None,
        }
    }

    /// The line in UTF-8; as it is if it is not of the encoding, or has only ASCII.
    pub(crate) fn decode<'l>(&self, line: &'l [u8]) -> Cow<'l, [u8]> {
        if self.encoding == UTF_8 || line.is_ascii() {
            return line.into();
        }
        match self.encoding.decode_without_bom_handling_and_without_replacement(line) {
            Some(Cow::Borrowed(text)) => text.as_bytes().into(),
            Some(Cow::Owned(text)) => text.into_bytes().into(),
            None => line.into(),
        }
    }
}
