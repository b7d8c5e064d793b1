//! Takes rows out of a data page.

use arrow::buffer::BooleanBuffer;
use parquet::basic::Encoding;

use super::bits::width_of;
use super::hybrid;
use super::values::Values;

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
    values: &mut Values<'_>,
    encoding: Encoding,
    mut bytes: &[u8],
    levels: usize,
    keep: &BooleanBuffer,
    out: &mut Vec<u8>,
) -> Option<ThinPage> {
    let column = values.column();
    out.clear();
    let repetition = Levels::take(column.max_rep_level(), levels, &mut bytes)?;
    let definition = Levels::take(column.max_def_level(), levels, &mut bytes)?;
    let rows_before = match &repetition {
        Levels::Same(0) => levels,
        Levels::Each(each) if each.first() == Some(&0) => each.iter().filter(|level| **level == 0).count(),
        _ => return None,
    };
    if rows_before > keep.len() {
        return None;
    }
    let keep = keep.slice(0, rows_before);
    let keep_levels: BooleanBuffer = match &repetition {
        Levels::Same(_) => keep.clone(),
        Levels::Each(each) => {
            let mut begun = 0;
            let of_row = each.iter().map(|level| {
                begun += usize::from(*level == 0);
                keep.value(begun - 1)
            });
            of_row.collect()
        }
    };
    let full = u32::try_from(column.max_def_level()).ok()?;
    let keep_values: BooleanBuffer = match &definition {
        Levels::Same(level) if *level == full => keep_levels.clone(),
        Levels::Same(_) => BooleanBuffer::new_unset(0),
        Levels::Each(each) => {
            let of_level = each.iter().zip(&keep_levels);
            of_level
                .filter(|(level, _)| **level == full)
                .map(|(_, keep)| keep)
                .collect()
        }
    };
    repetition.put(column.max_rep_level(), &keep_levels, out)?;
    definition.put(column.max_def_level(), &keep_levels, out)?;
    values.keep(encoding, bytes, &keep_values, out)?;
    let levels_kept = keep_levels.count_set_bits();
    let values_removed = keep_values.len() - keep_values.count_set_bits();
    Some(ThinPage {
        rows_before,
        rows: keep.count_set_bits(),
        levels: levels_kept,
        nulls_removed: levels - levels_kept - values_removed,
    })
}

/// The repetition or definition levels of a page.
enum Levels {
    /// All are the same, as where nothing repeats or is null.
    Same(u32),
    Each(Vec<u32>),
}

impl Levels {
    /// Takes `count` levels of at most `max` off the front of a page's bytes.
    fn take(max: i16, count: usize, bytes: &mut &[u8]) -> Option<Self> {
        if max == 0 {
            return Some(Self::Same(0));
        }
        let length = u32::from_le_bytes(*bytes.split_off(..4)?.first_chunk()?);
        let encoded = bytes.split_off(..usize::try_from(length).ok()?)?;
        let max = u32::try_from(max).ok()?;
        let width = width_of(max);
        if let Some(level) = hybrid::only_run(encoded, width, count) {
            return (level <= max).then_some(Self::Same(level));
        }
        let mut levels = Vec::new();
        hybrid::decode(encoded, width, count, &mut levels)?;
        levels.iter().all(|level| *level <= max).then_some(Self::Each(levels))
    }

    /// Appends those that stay, as a page has them.
    fn put(self, max: i16, keep: &BooleanBuffer, out: &mut Vec<u8>) -> Option<()> {
        if max == 0 {
            return Some(());
        }
        let width = width_of(u32::try_from(max).ok()?);
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        match self {
            Self::Same(level) => hybrid::put_run(level, keep.count_set_bits(), width, out),
            Self::Each(mut levels) => {
                keep_in_place(&mut levels, keep);
                hybrid::encode(&levels, width, out);
            }
        }
        let length = u32::try_from(out.len() - start - 4).ok()?;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
        Some(())
    }
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
