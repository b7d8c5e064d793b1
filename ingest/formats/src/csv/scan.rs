//! The first reading of a CSV file: where its records are, and what each column's values could be.
//!
//! The file is read in blocks by all workers at once. Where a block's first record begins depends on all the quotes
//! before it, so each worker guesses; when the results are put in order, a wrong guess shows, because the block
//! before it ends elsewhere, and that block alone is read again. So the result never depends on the guesses.

use std::sync::atomic::{AtomicBool, Ordering};

use cordada_core::threads::in_order;
use cordada_core::{Error, Result};
use tokio_util::sync::CancellationToken;

use super::tokenizer::{Records, Stop};
use super::{Column, Csv};
use crate::piece::{Piece, Scanned, TextPlan};
use crate::shape::Shape;
use crate::text::Plain;
use crate::values::build::Values;
use crate::values::evidence::Evidence;

/// Bytes a block. A piece of this size is one batch, and stays in a core's cache while it is read.
const BLOCK: u64 = 1 << 20;

/// Bytes that one record may have: a quote that is not closed within them is taken for a broken one.
const MAX_RECORD: usize = 16 << 20;

/// What a block holds.
struct Block {
    piece: Piece,
    lines: u64,
    evidence: Vec<Evidence>,
}

/// What all workers know.
struct Scan<'a> {
    csv: &'a Csv,
    text: &'a Plain,
    plan: &'a TextPlan,
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
        self.scan_in_blocks(BLOCK, text, plan, workers, cancel)
    }

    /// As [`Csv::scan`], in blocks of that many bytes.
    pub(crate) fn scan_in_blocks(
        &self,
        block: u64,
        text: &Plain,
        plan: impl FnOnce(Vec<String>) -> Result<TextPlan>,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<Scanned> {
        let Some((names, first, first_line)) = self.header(text)? else {
            return Ok(Scanned::default());
        };
        let plan = plan(names)?;
        let text_columns = plan.names.iter().map(|_| AtomicBool::new(false)).collect();
        let scan = Scan {
            csv: self,
            text,
            plan: &plan,
            block,
            text_columns,
        };
        let (shapes, pieces) = scan.run(first, first_line, workers, cancel)?;
        Ok(Scanned { plan, shapes, pieces })
    }

    /// The names of the columns, where the first record begins and on which line; `None` for an empty file.
    fn header(&self, text: &Plain) -> Result<Option<(Vec<String>, u64, u64)>> {
        let mut data = Vec::new();
        let mut end = text.start();
        let (names, header) = loop {
            end += BLOCK;
            data.clear();
            text.read(text.start(), end, &mut data)?;
            if data.is_empty() {
                return Ok(None);
            }
            let at_end = end >= text.end();
            match self.dialect.header(&data, at_end) {
                Some(header) => break header,
                None if at_end || data.len() > MAX_RECORD => {
                    let why = "the first record is not CSV: check its quotes";
                    return Err(Error::failed(format!("reading {}", text.name()), why)
                        .hint("set `csv: {quote: …}`, with \"\" for files without quoting"));
                }
                None => {}
            }
        };
        let numbered = |at: usize| format!("column_{}", at + 1);
        if self.header {
            // Spreadsheets and data frames leave the header of their row numbers empty.
            let names = names.into_iter().enumerate();
            let names = names
                .map(|(at, name)| if name.is_empty() { numbered(at) } else { name })
                .collect();
            return Ok(Some((
                names,
                text.start() + header.next as u64,
                1 + u64::from(header.lines),
            )));
        }
        Ok(Some(((0..names.len()).map(numbered).collect(), text.start(), 1)))
    }
}

impl Scan<'_> {
    fn run(
        &self,
        first: u64,
        first_line: u64,
        workers: usize,
        cancel: &CancellationToken,
    ) -> Result<(Vec<Shape>, Vec<Piece>)> {
        let blocks = usize::try_from((self.text.end() - first).div_ceil(self.block)).unwrap_or(usize::MAX);
        let bounds = |block: usize| {
            let start = first + block as u64 * self.block;
            (start, (start + self.block).min(self.text.end()))
        };
        let mut evidence = vec![Evidence::default(); self.plan.names.len()];
        let mut pieces = Vec::with_capacity(blocks);
        let (mut next, mut line) = (first, first_line);
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
        Ok((shapes.collect(), pieces))
    }

    fn guessed_block(&self, start: u64, end: u64) -> Result<Block> {
        // The byte before tells whether a line begins right at the start.
        let mut data = Vec::new();
        self.text.read(start - 1, end, &mut data)?;
        let guess = self.csv.dialect.guess_start(&data, 1, self.plan.names.len());
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
        let width = self.plan.names.len();
        let limit = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let mut records = Records::default();
        let mut more = self.block.div_ceil(16);
        loop {
            let at_end = start + data.len() as u64 >= self.text.end();
            match self.csv.dialect.tokenize(&data, limit, at_end, width, &mut records) {
                Stop::Done => break,
                Stop::Incomplete if data.len() - records.next > MAX_RECORD => self.give_up(&data, &mut records)?,
                Stop::Incomplete => {
                    let known = start + data.len() as u64;
                    self.text.read(known, known + more, &mut data)?;
                    more *= 2;
                }
            }
        }
        data.truncate(records.next);
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
            evidence,
        })
    }

    /// A record that is too long: its first line is broken, if it has one.
    fn give_up(&self, data: &[u8], records: &mut Records) -> Result<()> {
        if memchr::memchr(b'\n', &data[records.next..]).is_none() {
            let why = format!("a line is longer than {} MiB", MAX_RECORD >> 20);
            return Err(Error::failed(format!("reading {}", self.text.name()), why)
                .hint("this is not CSV with line feeds at its line ends"));
        }
        records.skip_line(data);
        Ok(())
    }

    fn observe(&self, values: &Column<'_>, evidence: &mut Evidence) {
        let mut scratch = Vec::new();
        for row in 0..values.rows() {
            if let Some(value) = values.get(row, &mut scratch) {
                evidence.observe(value, self.csv.notation.point);
                if evidence.is_text() {
                    return;
                }
            }
        }
    }
}
