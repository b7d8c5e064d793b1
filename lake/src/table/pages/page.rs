//! Takes rows out of a data page.

use arrow::buffer::BooleanBuffer;
use parquet::basic::Encoding;
use parquet::schema::types::ColumnDescriptor;

use super::bits::width_of;
use super::bounds::Bounds;
use super::{hybrid, values};

/// A page with fewer rows.
pub(super) struct ThinPage {
    /// Rows that it had.
    pub(super) rows_before: usize,
    pub(super) rows: usize,
    /// Its levels: values and nulls.
    pub(super) levels: usize,
    /// Levels without a value, of those that are gone.
    pub(super) nulls_removed: usize,
}

/// Takes out of a page of `levels` levels the rows that `keep` does not name; it has a bit for each row of the page,
/// and may go on. What stays, as a data page of version 1 has it before it is compressed, is put in the place of `out`.
/// `None` if the page is not as we have them written.
pub(super) fn thin(
    column: &ColumnDescriptor,
    encoding: Encoding,
    mut bytes: &[u8],
    levels: usize,
    keep: &BooleanBuffer,
    bounds: &mut Bounds,
    out: &mut Vec<u8>,
) -> Option<ThinPage> {
    out.clear();
    let repetition = take_levels(column.max_rep_level(), levels, &mut bytes)?;
    let definition = take_levels(column.max_def_level(), levels, &mut bytes)?;
    let rows_before = match &repetition {
        None => levels,
        Some(repetition) if repetition.first().is_some_and(|level| *level == 0) => {
            repetition.iter().filter(|level| **level == 0).count()
        }
        Some(_) => return None,
    };
    if rows_before > keep.len() {
        return None;
    }
    let keep = keep.slice(0, rows_before);
    let keep_levels: BooleanBuffer = match &repetition {
        None => keep.clone(),
        Some(repetition) => {
            let mut begun = 0;
            let of_row = repetition.iter().map(|level| {
                begun += usize::from(*level == 0);
                keep.value(begun - 1)
            });
            of_row.collect()
        }
    };
    let full = u32::try_from(column.max_def_level()).ok()?;
    let keep_values: BooleanBuffer = match &definition {
        Some(definition) if definition.iter().any(|level| *level != full) => {
            let of_level = definition.iter().zip(&keep_levels);
            of_level
                .filter(|(level, _)| **level == full)
                .map(|(_, keep)| keep)
                .collect()
        }
        _ => keep_levels.clone(),
    };
    put_levels(column.max_rep_level(), repetition, &keep_levels, out)?;
    put_levels(column.max_def_level(), definition, &keep_levels, out)?;
    values::keep_values(column, encoding, bytes, &keep_values, bounds, out)?;
    let levels_kept = keep_levels.count_set_bits();
    let values_removed = keep_values.len() - keep_values.count_set_bits();
    Some(ThinPage {
        rows_before,
        rows: keep.count_set_bits(),
        levels: levels_kept,
        nulls_removed: levels - levels_kept - values_removed,
    })
}

/// Takes the levels off the front of a page's bytes; none if they cannot differ.
fn take_levels(max: i16, count: usize, bytes: &mut &[u8]) -> Option<Option<Vec<u32>>> {
    if max == 0 {
        return Some(None);
    }
    let length = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?);
    let encoded = bytes.split_off(..usize::try_from(length).ok()?)?;
    let mut levels = Vec::new();
    hybrid::decode(encoded, width_of_levels(max)?, count, &mut levels)?;
    Some(Some(levels))
}

/// Appends those of the levels that stay.
fn put_levels(max: i16, levels: Option<Vec<u32>>, keep: &BooleanBuffer, out: &mut Vec<u8>) -> Option<()> {
    let Some(mut levels) = levels else {
        return Some(());
    };
    keep_in_place(&mut levels, keep);
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    hybrid::encode(&levels, width_of_levels(max)?, out);
    let length = u32::try_from(out.len() - start - 4).ok()?;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    Some(())
}

fn width_of_levels(max: i16) -> Option<u8> {
    u32::try_from(max).ok().map(width_of)
}

/// Leaves the numbers that `keep` names.
pub(super) fn keep_in_place(numbers: &mut Vec<u32>, keep: &BooleanBuffer) {
    let mut end = 0;
    for (first, last) in keep.set_slices() {
        numbers.copy_within(first..last, end);
        end += last - first;
    }
    numbers.truncate(end);
}
