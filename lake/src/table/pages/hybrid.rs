//! Levels and dictionary indexes: runs of one value, and integers of a few bits side by side ("RLE / bit-packing
//! hybrid" of the Parquet format).

use super::bits::{pack, put_varint, take_varint, unpack, width_of};

/// Values of a bit-packed run come in groups of as many.
const GROUP: usize = 8;

/// Reads `count` integers of `width` bits into `values`, in place of what was there; `None` if the bytes are not such.
pub(super) fn decode(mut bytes: &[u8], width: u8, count: usize, values: &mut Vec<u32>) -> Option<()> {
    values.clear();
    if width > 32 {
        return None;
    }
    while values.len() < count {
        let missing = count - values.len();
        let header = take_varint(&mut bytes)?;
        let length = usize::try_from(header >> 1).ok()?;
        if header & 1 == 1 {
            let packed = bytes;
            bytes.split_off(..length.checked_mul(usize::from(width))?)?;
            values.extend(unpack(packed, width, missing.min(length.checked_mul(GROUP)?)));
        } else {
            let value = take_value(&mut bytes, width)?;
            if length > missing {
                return None;
            }
            values.resize(values.len() + length, value);
        }
    }
    Some(())
}

/// The integer of `width` bits of which all `count` are copies, if the bytes say so in one run.
pub(super) fn only_run(mut bytes: &[u8], width: u8, count: usize) -> Option<u32> {
    let header = take_varint(&mut bytes)?;
    let is_run = width <= 32 && header & 1 == 0 && header >> 1 == count as u64;
    take_value(&mut bytes, width).filter(|_| is_run && bytes.is_empty())
}

/// Takes the value of a run off the front; `None` if there is none of `width` bits.
fn take_value(bytes: &mut &[u8], width: u8) -> Option<u32> {
    let value = bytes.split_off(..usize::from(width.div_ceil(8)))?;
    let mut word = [0; 8];
    word.get_mut(..value.len())?.copy_from_slice(value);
    // One of more bits would spill into its neighbours when it is packed.
    u32::try_from(u64::from_le_bytes(word))
        .ok()
        .filter(|value| width_of(*value) <= width)
}

/// Appends the integers, none of which needs more than `width` bits.
pub(super) fn encode(values: &[u32], width: u8, out: &mut Vec<u8>) {
    let (mut literal, mut at) = (0, 0);
    while let Some((first, others)) = values.get(at..at + GROUP).and_then(<[_]>::split_first) {
        if others.iter().any(|other| other != first) {
            at += GROUP;
            continue;
        }
        put_literal(&values[literal..at], width, out);
        let run = values[at..].iter().take_while(|other| *other == first).count();
        put_run(*first, run, width, out);
        at += run;
        literal = at;
    }
    match &values[literal..] {
        // Of no bits nothing can be packed.
        [0, rest @ ..] if width == 0 => put_run(0, 1 + rest.len(), width, out),
        rest => put_literal(rest, width, out),
    }
}

/// Appends `count` copies of the integer of `width` bits, as one run.
pub(super) fn put_run(value: u32, count: usize, width: u8, out: &mut Vec<u8>) {
    put_varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..usize::from(width.div_ceil(8))]);
}

fn put_literal(values: &[u32], width: u8, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    put_varint((groups as u64) << 1 | 1, out);
    let padding = std::iter::repeat_n(0, groups * GROUP - values.len());
    pack(values.iter().copied().chain(padding), width, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_and_literals_come_back(runs in prop::collection::vec((any::<u32>(), 1_usize..40), 0..40), width in 0_u8..=32) {
            let mask = ((1_u64 << width) - 1) as u32;
            let values: Vec<_> = runs.into_iter().flat_map(|(value, run)| vec![value & mask; run]).collect();
            let (mut bytes, mut back) = (Vec::new(), vec![7]);
            encode(&values, width, &mut bytes);
            prop_assert_eq!(decode(&bytes, width, values.len(), &mut back), Some(()));
            prop_assert_eq!(back, values);
        }

        #[test]
        fn any_bytes_are_as_many_integers_or_none(bytes: Vec<u8>, width in 0_u8..40, count in 0_usize..10_000) {
            let mut values = Vec::new();
            let decoded = decode(&bytes, width, count, &mut values);
            prop_assert!(decoded.is_none() || values.len() == count);
            prop_assert!(decoded.is_none() || values.iter().all(|value| width_of(*value) <= width));
            let same = only_run(&bytes, width, count);
            prop_assert!(same.is_none_or(|same| decoded.is_some() && values.iter().all(|value| *value == same)));
        }

        #[test]
        fn a_run_is_found(value: u32, width in 0_u8..=32, count in 0_usize..10_000) {
            let value = value & ((1_u64 << width) - 1) as u32;
            let mut bytes = Vec::new();
            put_run(value, count, width, &mut bytes);
            prop_assert_eq!(only_run(&bytes, width, count), Some(value));
        }
    }
}
