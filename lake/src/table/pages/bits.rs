//! Integers as Parquet's encodings write them: variable-length ones, and ones of a few bits side by side.

/// Takes an unsigned variable-length integer (ULEB128) off the front; `None` if there is none of at most 64 bits.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        let bits = u64::from(byte & 0x7F);
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return (bits << shift >> shift == bits).then_some(value);
        }
    }
    None
}

/// Appends an unsigned variable-length integer.
pub(super) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7F {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An integer whose sign went into its last bit.
pub(super) fn from_zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// The integer with its sign in its last bit.
pub(super) fn to_zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// How many bits the value needs.
pub(super) fn width_of(value: u32) -> u8 {
    (u32::BITS - value.leading_zeros()) as u8
}

/// The first `count` integers of `width` bits each (at most 32) in `packed`, which holds as many. What follows them
/// there does not matter, but the last 8 bytes are read more slowly.
pub(super) fn unpack(packed: &[u8], width: u8, count: usize) -> impl Iterator<Item = u32> {
    let width = usize::from(width);
    let mask = (1_u64 << width) - 1;
    (0..count).map(move |number| {
        let bit = number * width;
        let rest = &packed[(bit / 8).min(packed.len())..];
        let word = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            word
        });
        (u64::from_le_bytes(word) >> (bit % 8) & mask) as u32
    })
}

/// Appends the integers in `width` bits each (at most 32), and zeroes up to the next whole byte.
pub(super) fn pack(values: impl Iterator<Item = u32>, width: u8, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut word, mut bits) = (0_u64, 0);
    for value in values {
        word |= u64::from(value) << bits;
        bits += u32::from(width);
        if bits >= 32 {
            out.extend_from_slice(&(word as u32).to_le_bytes());
            word >>= 32;
            bits -= 32;
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn varints_come_back(value: u64, signed: i64) {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            put_varint(to_zigzag(signed), &mut bytes);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take_varint(&mut rest), Some(value));
            prop_assert_eq!(take_varint(&mut rest).map(from_zigzag), Some(signed));
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn packed_integers_come_back(values: Vec<u32>, width in 0_u8..=32) {
            let mask = ((1_u64 << width) - 1) as u32;
            let values: Vec<_> = values.into_iter().map(|value| value & mask).collect();
            let mut packed = Vec::new();
            pack(values.iter().copied(), width, &mut packed);
            prop_assert_eq!(packed.len(), (values.len() * usize::from(width)).div_ceil(8));
            prop_assert_eq!(unpack(&packed, width, values.len()).collect::<Vec<_>>(), values);
        }

        #[test]
        fn any_bytes_are_a_varint_or_none(bytes: Vec<u8>) {
            let mut rest = bytes.as_slice();
            let _ = take_varint(&mut rest);
            prop_assert!(bytes.ends_with(rest));
        }
    }
}
