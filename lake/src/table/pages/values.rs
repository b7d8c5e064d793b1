//! Takes values out of the encoded values of a page. Nothing is decoded further than it takes to tell where a value
//! begins; `None` wherever the bytes are not as [`crate::table::data_file`] has them written.

use arrow::array::{AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::compute::filter;
use parquet::basic::{Encoding, Type};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use super::bounds::Bounds;
use super::page::keep_in_place;
use super::{delta, hybrid};

/// The values of a column chunk, page after page.
pub(super) struct Values<'a> {
    column: &'a ColumnDescriptor,
    bounds: Bounds,
    /// How many entries the dictionary has, once it has come.
    entries: Option<u32>,
}

impl<'a> Values<'a> {
    /// Those of a chunk of `column` whose footer says `statistics` of them.
    pub(super) fn new(column: &'a ColumnDescriptor, statistics: Option<&Statistics>) -> Self {
        Self {
            column,
            bounds: Bounds::new(statistics),
            entries: None,
        }
    }

    pub(super) fn column(&self) -> &'a ColumnDescriptor {
        self.column
    }

    /// Takes in a dictionary page of so many entries.
    pub(super) fn read_dictionary(&mut self, mut bytes: &[u8], entries: u32) -> Option<()> {
        if self.entries.is_some() {
            return None;
        }
        for index in 0..entries {
            let value = match self.column.physical_type() {
                Type::BYTE_ARRAY => take_text(&mut bytes)?,
                _ => bytes.split_off(..fixed_width(self.column)?)?,
            };
            self.bounds.entry(index, value);
        }
        self.entries = Some(entries);
        bytes.is_empty().then_some(())
    }

    /// Appends the values of a page that `keep` names; it has a bit for each of them.
    pub(super) fn keep(
        &mut self,
        encoding: Encoding,
        bytes: &[u8],
        keep: &BooleanBuffer,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let bounds = &mut self.bounds;
        match (encoding, self.column.physical_type()) {
            (Encoding::RLE_DICTIONARY, _) => dictionary_indexes(bytes, self.entries?, keep, bounds, out),
            (Encoding::PLAIN, Type::BOOLEAN) => booleans(bytes, keep, bounds, out),
            (Encoding::PLAIN, Type::BYTE_ARRAY) => texts(bytes, keep, bounds, out),
            (Encoding::PLAIN, _) => numbers(bytes, fixed_width(self.column)?, keep, bounds, out),
            (Encoding::DELTA_BYTE_ARRAY, Type::BYTE_ARRAY) => delta_texts(bytes, keep, bounds, out),
            _ => None,
        }
    }

    /// Whether a bound that the footer says may no longer be among the values.
    pub(super) fn bounds_are_lost(&self) -> bool {
        self.bounds.are_lost()
    }
}

/// The bytes of a plain value, if they are always as many.
fn fixed_width(column: &ColumnDescriptor) -> Option<usize> {
    match column.physical_type() {
        Type::INT32 | Type::FLOAT => Some(4),
        Type::INT64 | Type::DOUBLE => Some(8),
        Type::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).ok().filter(|width| *width > 0),
        Type::BOOLEAN | Type::INT96 | Type::BYTE_ARRAY => None,
    }
}

fn take_text<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?);
    bytes.split_off(..usize::try_from(length).ok()?)
}

fn dictionary_indexes(
    bytes: &[u8],
    entries: u32,
    keep: &BooleanBuffer,
    bounds: &mut Bounds,
    out: &mut Vec<u8>,
) -> Option<()> {
    let (width, bytes) = bytes.split_first()?;
    let kept = keep.count_set_bits();
    if let Some(only) = hybrid::only_run(bytes, *width, keep.len()).filter(|only| *only < entries && kept > 0) {
        // Some of the only value stay, so that no bound is lost.
        bounds.kept_indexes(&[only]);
        out.push(*width);
        hybrid::put_run(only, kept, *width, out);
        return Some(());
    }
    let mut indexes = Vec::new();
    hybrid::decode(bytes, *width, keep.len(), &mut indexes)?;
    let greatest = indexes.iter().copied().max();
    if greatest.is_some_and(|greatest| greatest >= entries) {
        return None;
    }
    for row in (!keep).set_indices() {
        bounds.removed_index(indexes[row]);
    }
    keep_in_place(&mut indexes, keep);
    bounds.kept_indexes(&indexes);
    out.push(*width);
    hybrid::encode(&indexes, *width, out);
    Some(())
}

fn booleans(bytes: &[u8], keep: &BooleanBuffer, bounds: &mut Bounds, out: &mut Vec<u8>) -> Option<()> {
    if bytes.len() != keep.len().div_ceil(8) {
        return None;
    }
    let values = BooleanArray::new(BooleanBuffer::new(Buffer::from(bytes), 0, keep.len()), None);
    let kept = filter(&values, &BooleanArray::new(keep.clone(), None)).ok()?;
    let kept = kept.as_boolean();
    let all = [values.false_count(), values.true_count()];
    for (value, (all, kept_ones)) in (0..).zip(all.into_iter().zip([kept.false_count(), kept.true_count()])) {
        if kept_ones > 0 {
            bounds.kept(&[value]);
        } else if all > 0 {
            bounds.removed(&[value]);
        }
    }
    out.extend_from_slice(kept.values().sliced().as_slice());
    Some(())
}

fn numbers(bytes: &[u8], width: usize, keep: &BooleanBuffer, bounds: &mut Bounds, out: &mut Vec<u8>) -> Option<()> {
    if bytes.len() != keep.len() * width {
        return None;
    }
    for row in (!keep).set_indices() {
        bounds.removed(&bytes[row * width..(row + 1) * width]);
    }
    for (first, last) in keep.set_slices() {
        out.extend_from_slice(&bytes[first * width..last * width]);
    }
    Some(())
}

fn texts(bytes: &[u8], keep: &BooleanBuffer, bounds: &mut Bounds, out: &mut Vec<u8>) -> Option<()> {
    let mut rest = bytes;
    let mut row = 0;
    for (first, last) in keep.set_slices() {
        for _ in row..first {
            bounds.removed(take_text(&mut rest)?);
        }
        let before = rest;
        for _ in first..last {
            take_text(&mut rest)?;
        }
        out.extend_from_slice(&before[..before.len() - rest.len()]);
        row = last;
    }
    for _ in row..keep.len() {
        bounds.removed(take_text(&mut rest)?);
    }
    rest.is_empty().then_some(())
}

/// Each text is what it shares with the one before, and the rest: a row after one that is gone shares less.
fn delta_texts(mut bytes: &[u8], keep: &BooleanBuffer, bounds: &mut Bounds, out: &mut Vec<u8>) -> Option<()> {
    let shared = delta::take(&mut bytes, keep.len())?;
    let lengths = delta::take(&mut bytes, keep.len())?;
    let (mut kept_shared, mut kept_lengths, mut kept_bytes) = (Vec::new(), Vec::new(), Vec::new());
    let mut text = Vec::new();
    // What the next row that stays shares with the last one that did.
    let mut common = usize::MAX;
    for ((shared, length), stays) in shared.into_iter().zip(lengths).zip(keep) {
        let shared = usize::try_from(shared).ok().filter(|shared| *shared <= text.len())?;
        text.truncate(shared);
        text.extend_from_slice(bytes.split_off(..usize::try_from(length).ok()?)?);
        common = common.min(shared);
        if stays {
            let own = &text[common..];
            kept_shared.push(i32::try_from(common).ok()?);
            kept_lengths.push(i32::try_from(own.len()).ok()?);
            kept_bytes.extend_from_slice(own);
            common = usize::MAX;
        } else {
            bounds.removed(&text);
        }
    }
    delta::put(&kept_shared, out);
    delta::put(&kept_lengths, out);
    out.extend_from_slice(&kept_bytes);
    bytes.is_empty().then_some(())
}
