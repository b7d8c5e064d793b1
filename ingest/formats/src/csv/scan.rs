//! The first reading of a CSV file: where its records are, and what each column's values could be.
//!
//! The file is read in blocks by all workers at once. Where a block's first record begins depends on all the quotes
//! before it, so each worker guesses; when the results are put in order, a wrong guess shows, because the block
//! before it ends elsewhere, and that block alone is read again. So the result never depends on the guesses.

use std::sync::atomic::{AtomicBool, Ordering};

use cordada_core::threads::in_order;
use cordada_core::units::Size;
use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::advice::{Advice, LOOKED_AT};
use super::records::{Records, Width};
use super::tokenizer::Stop;
use super::{Column, Csv, width_of};
use crate::headings::{Headings, numbered};
use crate::piece::{Piece, Scanned, TextPlan};
use crate::shape::Shape;
use crate::text::Plain;
use crate::values::build::Values;
use crate::values::evidence::Evidence;

/// Bytes a block. A piece of this size is one batch, and stays in a core's cache while it is read.
const BLOCK: u64 = 1 << 20;

/// What a block holds.
struct Block {
    piece: Piece,
    lines: u64,
    /// Records of another number of fields, and those whose quotes do not match.
    misshapen: u64,
    /// Of these, the ones that are too long.
    too_long: u64,
    evidence: Vec<Evidence>,
}

/// What all blocks hold.
struct Blocks {
    shapes: Vec<Shape>,
    pieces: Vec<Piece>,
    misshapen: u64,
    too_long: u64,
}

/// What the first record says.
struct Header {
    /// The names of the columns.
    names: Vec<String>,
    /// How many of the last ones have no heading.
    unnamed: usize,
    /// Where the first row begins.
    first: u64,
    /// On which line.
    first_line: u64,
}

/// What all workers know.
struct Scan<'a> {
    csv: &'a Csv,
    text: &'a Plain,
    plan: &'a TextPlan,
    width: Width,
    /// Bytes a block.
    block: u64,
    /// Columns that are text whatever else comes: nobody needs to look at their values any more.
    text_columns: Vec<AtomicBool>,
}

impl Csv {
    /// Reads the whole file once. `plan` tells what is known about columns once their names are.
    pub fn scan(
        &self,
        text: &Plain,
        plan: impl FnOnce(Vec<String>) -> Result<TextPlan>,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<Scanned> {
        let (scanned, misshapen) = self.scan_blocks(BLOCK, text, plan, workers, cancel)?;
        self.verify(text, &scanned, misshapen)?;
        Ok(scanned)
    }

    /// As [`Csv::scan`], in blocks of that many bytes, and whatever comes out.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn scan_in_blocks(
        &self,
        block: u64,
        text: &Plain,
        plan: impl FnOnce(Vec<String>) -> Result<TextPlan>,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<Scanned> {
        let scanned = self.scan_blocks(block, text, plan, workers, cancel)?;
        Ok(scanned.0)
    }

    /// Bytes that a line may have: it has to be in memory, with all of the records that a quote may make of it.
    fn longest(&self) -> usize {
        const LEAST: usize = 16 << 20;
        self.dialect.max_record.max(LEAST)
    }

    /// Whether the file is written as is assumed; a row that is not is one thing, all of them are another.
    fn verify(&self, text: &Plain, scanned: &Scanned, misshapen: u64) -> Result<()> {
        let rows: u64 = scanned.pieces.iter().map(|piece| piece.rows).sum();
        let all_refused = rows == 0 && misshapen > 0;
        if !all_refused && scanned.plan.names.len() != 1 {
            return Ok(());
        }
        let mut head = Vec::new();
        text.read(self.begin.at, self.begin.at + LOOKED_AT, &mut head)?;
        let Some(advice) = Advice::of(self.dialect, &head, self.begin.line) else {
            return Ok(());
        };
        let doing = format!("reading {}", text.name());
        let error = if all_refused {
            Error::failed(
                doing,
                format!("none of its {misshapen} records fits its header: {}", advice.why),
            )
        } else {
            let why = format!("it has one column, but {}", advice.why);
            Error::failed(doing, why)
        };
        let error = error.hint(advice.hint);
        if all_refused || !self.told && (advice.is_certain || misshapen > rows) {
            return Err(error);
        }
        tracing::warn!(%error, "a file may be written otherwise than is assumed");
        Ok(())
    }

    fn scan_blocks(
        &self,
        block: u64,
        text: &Plain,
        plan: impl FnOnce(Vec<String>) -> Result<TextPlan>,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<(Scanned, u64)> {
        let Some(header) = self.header(text)? else {
            return Ok((Scanned::default(), 0));
        };
        let plan = TextPlan {
            unnamed: header.unnamed,
            ..plan(header.names)?
        };
        let text_columns = plan.names.iter().map(|_| AtomicBool::new(false)).collect();
        let scan = Scan {
            csv: self,
            text,
            plan: &plan,
            width: width_of(&plan),
            block,
            text_columns,
        };
        let Blocks {
            shapes,
            pieces,
            misshapen,
            too_long,
        } = scan.run(header.first, header.first_line, workers, cancel)?;
        if too_long > 0 {
            tracing::warn!(
                file = text.name(),
                records = too_long,
                "quotes that are not closed within `csv.max_record` are taken for broken ones"
            );
        }
        Ok((Scanned { plan, shapes, pieces }, misshapen))
    }

    /// What the header says; `None` for an empty file.
    fn header(&self, text: &Plain) -> Result<Option<Header>> {
        let mut data = Vec::new();
        let mut end = self.begin.at;
        let (headings, header) = loop {
            end += BLOCK;
            data.clear();
            text.read(self.begin.at, end, &mut data)?;
            if data.is_empty() {
                return Ok(None);
            }
            let at_end = end >= text.end();
            match self.dialect.header(&data, at_end) {
                Some(header) => break header,
                None if at_end || data.len() > self.longest() => {
                    let why = "the first record is not CSV: check its quotes";
                    return Err(Error::failed(format!("reading {}", text.name()), why).hint(
                        "set `csv: {quote: …}`, with \"\" for files without quoting, or `csv: {header_row: …}` where the \
                         header is not the first line",
                    ));
                }
                None => {}
            }
        };
        if !self.header {
            return Ok(Some(Header {
                names: (0..headings.len()).map(numbered).collect(),
                unnamed: 0,
                first: self.begin.at,
                first_line: self.begin.line,
            }));
        }
        // Spreadsheets and data frames leave the header of their row numbers empty.
        let names = Headings::of(&headings, numbered);
        if headings.len() > 2 && headings.iter().filter(|heading| heading.is_empty()).count() * 2 > headings.len() {
            tracing::warn!(
                file = text.name(),
                "most columns have no heading; if another line names them, set `csv: {{header_row: …}}`"
            );
        }
        Ok(Some(Header {
            names,
            unnamed: headings.iter().rev().take_while(|heading| heading.is_empty()).count(),
            first: self.begin.at + header.next as u64,
            first_line: self.begin.line + u64::from(header.lines),
        }))
    }
}

impl Scan<'_> {
    fn run(&self, first: u64, first_line: u64, workers: usize, cancel: &CancellationToken) -> Result<Blocks> {
        let blocks = usize::try_from((self.text.end() - first).div_ceil(self.block)).unwrap_or(usize::MAX);
        let bounds = |block: usize| {
            let start = first + block as u64 * self.block;
            (start, (start + self.block).min(self.text.end()))
        };
        let mut evidence = vec![Evidence::default(); self.plan.names.len()];
        let mut pieces = Vec::with_capacity(blocks);
        let (mut next, mut line) = (first, first_line);
        let (mut misshapen, mut too_long) = (0, 0);
        let work = |block| {
            let (start, end) = bounds(block);
            if block == 0 {
                self.known_block(start, end)
            } else {
                self.guessed_block(start, end)
            }
        };
        in_order(blocks, workers, cancel, work, |block, mut result| {
            let (_, end) = bounds(block);
            if next >= end {
                return Ok(());
            }
            if result.piece.start != next {
                result = self.known_block(next, end)?;
            }
            for ((all, column), is_text) in evidence.iter_mut().zip(&result.evidence).zip(&self.text_columns) {
                all.merge(column);
                is_text.store(all.is_text(), Ordering::Relaxed);
            }
            result.piece.first = line;
            next = result.piece.end;
            line += result.lines;
            misshapen += result.misshapen;
            too_long += result.too_long;
            pieces.push(result.piece);
            Ok(())
        })?;
        let shapes = evidence
            .into_iter()
            .zip(&self.plan.declared)
            .map(|(evidence, declared)| match declared {
                Some(declared) => Shape::Declared(declared.clone()),
                None => Shape::Scalar(evidence),
            });
        Ok(Blocks {
            shapes: shapes.collect(),
            pieces,
            misshapen,
            too_long,
        })
    }

    fn guessed_block(&self, start: u64, end: u64) -> Result<Block> {
        // The byte before tells whether a line begins right at the start.
        let mut data = Vec::new();
        self.text.read(start - 1, end, &mut data)?;
        let guess = self.csv.dialect.guess_start(&data, 1, self.width.columns);
        data.drain(..guess);
        self.records(start - 1 + guess as u64, end, data)
    }

    fn known_block(&self, start: u64, end: u64) -> Result<Block> {
        let mut data = Vec::new();
        self.text.read(start, end, &mut data)?;
        self.records(start, end, data)
    }

    /// The records that begin from `start`, where `data` begins, and before `end`; the last one may end beyond.
    fn records(&self, start: u64, end: u64, mut data: Vec<u8>) -> Result<Block> {
        let width = self.width.columns;
        let limit = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut records = Records::default();
        let mut more = self.block.div_ceil(16);
        loop {
            let at_end = start + data.len() as u64 >= self.text.end();
            match self
                .csv
                .dialect
                .tokenize(&data, limit, at_end, self.width, &mut records)
            {
                Stop::Done => break,
                Stop::Incomplete if data.len() - records.next > self.csv.longest() => {
                    self.give_up(&data, &mut records)?
                }
                Stop::Incomplete => {
                    let known = start + data.len() as u64;
                    self.text.read(known, known + more, &mut data)?;
                    more *= 2;
                }
            }
        }
        data.truncate(records.next);
        let misshapen = records.broken.len() as u64;
        self.csv.reject(&data, self.plan, &mut records);
        let mut evidence = vec![Evidence::default(); width];
        for (column, evidence) in evidence.iter_mut().enumerate() {
            let known = self.plan.declared[column].is_some() || self.text_columns[column].load(Ordering::Relaxed);
            if !known {
                self.observe(
                    &Column {
                        csv: self.csv,
                        data: &data,
                        records: &records,
                        width,
                        column,
                    },
                    evidence,
                );
            }
        }
        let piece = Piece {
            start,
            end: start + records.next as u64,
            first: 0,
            rows: records.rows.len() as u64,
            rejected: records.broken.len() as u64,
        };
        Ok(Block {
            piece,
            lines: u64::from(records.lines),
            misshapen,
            too_long: records.too_long,
            evidence,
        })
    }

    /// A line that is too long, unless the record only has a quote that is not closed.
    fn give_up(&self, data: &[u8], records: &mut Records) -> Result<()> {
        let dialect = self.csv.dialect;
        if memchr::memchr(dialect.line_end, &data[records.next..]).is_none() {
            let why = format!("a line is longer than {}", Size(self.csv.longest() as u64));
            return Err(Error::failed(format!("reading {}", self.text.name()), why)
                .hint("if it is CSV all the same, raise `csv: {max_record: …}`"));
        }
        records.skip_line(data, dialect);
        Ok(())
    }

    fn observe(&self, values: &Column<'_>, evidence: &mut Evidence) {
        let mut scratch = Vec::new();
        for row in 0..values.rows() {
            if let Some(value) = values.get(row, &mut scratch) {
                evidence.observe(value, self.csv.point);
                if evidence.is_text() {
                    return;
                }
            }
        }
    }
}
