//! Operations on the bits of integers, by name.

use datafusion::common::{Result, exec_err};

use super::define::{Body, Definition};

pub(super) const ALL: &[Definition] = &[
    Definition {
        name: "bitand",
        aliases: &[],
        about: "The bits that both integers have.",
        syntax: "bitand(a, b)",
        example: "select bitand(6, 3) -- 2",
        body: Body::Integers(|a, b| Ok(a & b)),
    },
    Definition {
        name: "bitor",
        aliases: &[],
        about: "The bits that one of two integers has.",
        syntax: "bitor(a, b)",
        example: "select bitor(6, 3) -- 7",
        body: Body::Integers(|a, b| Ok(a | b)),
    },
    Definition {
        name: "bitxor",
        aliases: &["xor"],
        about: "The bits that two integers do not share.",
        syntax: "bitxor(a, b)",
        example: "select bitxor(6, 3) -- 5",
        body: Body::Integers(|a, b| Ok(a ^ b)),
    },
    Definition {
        name: "bitnot",
        aliases: &["bitwise_not"],
        about: "The bits that an integer does not have.",
        syntax: "bitnot(a)",
        example: "select bitnot(5) -- -6",
        body: Body::Integer(|a| Ok(!a)),
    },
    Definition {
        name: "bit_count",
        aliases: &[],
        about: "How many bits of an integer are set.",
        syntax: "bit_count(a)",
        example: "select bit_count(7) -- 3",
        body: Body::Integer(|a| Ok(i64::from(a.count_ones()))),
    },
    Definition {
        name: "bitshiftleft",
        aliases: &["shiftleft"],
        about: "An integer with its bits moved to the left.",
        syntax: "bitshiftleft(a, places)",
        example: "select bitshiftleft(1, 3) -- 8",
        body: Body::Integers(|a, places| Ok(a.wrapping_shl(shift(places)?))),
    },
    Definition {
        name: "bitshiftright",
        aliases: &["shiftright"],
        about: "An integer with its bits moved to the right.",
        syntax: "bitshiftright(a, places)",
        example: "select bitshiftright(8, 1) -- 4",
        body: Body::Integers(|a, places| Ok(a.wrapping_shr(shift(places)?))),
    },
];

fn shift(places: i64) -> Result<u32> {
    match u32::try_from(places) {
        Ok(places) if places < i64::BITS => Ok(places),
        _ => exec_err!("bits are moved by 0 to 63 places"),
    }
}
