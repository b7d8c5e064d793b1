//! Lengths as differences ("DELTA_BINARY_PACKED" of the Parquet format, of 32-bit integers).

use super::bits::{from_zigzag, pack, put_varint, take_varint, to_zigzag, unpack, width_of};

/// Differences that share their least one.
const BLOCK: usize = 128;

/// Differences of a block that share their width in bits.
const MINIBLOCK: usize = 32;

/// Takes integers off the front; `None` if the bytes are not exactly `count` of them.
pub(super) fn take(bytes: &mut &[u8], count: usize) -> Option<Vec<i32>> {
    let block = usize::try_from(take_varint(bytes)?).ok()?;
    let miniblocks = usize::try_from(take_varint(bytes)?).ok()?;
    let total = take_varint(bytes)?;
    let first = from_zigzag(take_varint(bytes)?) as i32;
    let miniblock = block.checked_div(miniblocks)?;
    if total != count as u64 || miniblock == 0 || miniblock % 8 != 0 || block % miniblocks != 0 {
        return None;
    }
    let mut values = Vec::new();
    values.extend((count > 0).then_some(first));
    let mut last = first;
    while values.len() < count {
        let least = from_zigzag(take_varint(bytes)?) as i32;
        let widths = bytes.split_off(..miniblocks)?;
        for width in widths {
            let missing = count - values.len();
            if missing == 0 {
                break;
            }
            if *width > 32 {
                return None;
            }
            let packed = *bytes;
            bytes.split_off(..(miniblock / 8).checked_mul(usize::from(*width))?)?;
            let begin = values.len();
            values.extend(unpack(packed, *width, missing.min(miniblock)).map(|difference| difference as i32));
            for value in &mut values[begin..] {
                last = last.wrapping_add(least).wrapping_add(*value);
                *value = last;
            }
        }
    }
    Some(values)
}

/// Appends the integers.
pub(super) fn put(values: &[i32], out: &mut Vec<u8>) {
    put_varint(BLOCK as u64, out);
    put_varint((BLOCK / MINIBLOCK) as u64, out);
    put_varint(values.len() as u64, out);
    put_varint(to_zigzag(values.first().copied().unwrap_or(0).into()), out);
    let pairs = values.iter().zip(values.iter().skip(1));
    let mut differences: Vec<_> = pairs.map(|(one, next)| next.wrapping_sub(*one)).collect();
    for block in differences.chunks_mut(BLOCK) {
        let least = block.iter().copied().min().unwrap_or(0);
        put_varint(to_zigzag(least.into()), out);
        let mut widths = [0; BLOCK / MINIBLOCK];
        for (width, part) in widths.iter_mut().zip(block.chunks_mut(MINIBLOCK)) {
            let mut bits = 0;
            for difference in part {
                *difference = difference.wrapping_sub(least);
                bits |= *difference as u32;
            }
            *width = width_of(bits);
        }
        out.extend_from_slice(&widths);
        for (width, part) in widths.into_iter().zip(block.chunks(MINIBLOCK)) {
            let padding = std::iter::repeat_n(0, MINIBLOCK - part.len());
            pack(part.iter().map(|above| *above as u32).chain(padding), width, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_come_back(values in prop::collection::vec(prop_oneof![any::<i32>(), 0..100_i32], 0..400), rest: Vec<u8>) {
            let mut bytes = Vec::new();
            put(&values, &mut bytes);
            bytes.extend_from_slice(&rest);
            let mut left = bytes.as_slice();
            prop_assert_eq!(take(&mut left, values.len()), Some(values));
            prop_assert_eq!(left, rest);
        }

        #[test]
        fn any_bytes_are_as_many_integers_or_none(bytes: Vec<u8>, header in (0_u64..300, 0_u64..9, 0_u64..500)) {
            let mut all = Vec::new();
            for part in [header.0, header.1, header.2] {
                put_varint(part, &mut all);
            }
            all.extend_from_slice(&bytes);
            let count = header.2 as usize;
            prop_assert!(take(&mut all.as_slice(), count).is_none_or(|values| values.len() == count));
        }
    }
}
