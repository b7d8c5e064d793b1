//! Countries' calling codes, and how long their numbers are.

/// How numbers are dialled within a country.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// ISO 3166-1.
    pub country: &'static str,
    /// What leads to it from abroad.
    pub code: &'static str,
    /// What is dialled before a number within it, and not from abroad.
    pub trunk: &'static str,
    /// The least and the greatest number of digits after both.
    pub digits: (usize, usize),
}

const fn plan(country: &'static str, code: &'static str, trunk: &'static str, least: usize, most: usize) -> Plan {
    Plan {
        country,
        code,
        trunk,
        digits: (least, most),
    }
}

const PLANS: [Plan; 46] = [
    plan("AD", "376", "", 6, 9),
    plan("AR", "54", "0", 10, 11),
    plan("AT", "43", "0", 4, 13),
    plan("AU", "61", "0", 9, 9),
    plan("BE", "32", "0", 8, 9),
    plan("BO", "591", "0", 8, 8),
    plan("BR", "55", "0", 10, 11),
    plan("CA", "1", "1", 10, 10),
    plan("CH", "41", "0", 9, 9),
    plan("CL", "56", "", 9, 9),
    plan("CO", "57", "", 10, 10),
    plan("CR", "506", "", 8, 8),
    plan("CU", "53", "0", 8, 8),
    plan("DE", "49", "0", 5, 12),
    plan("DK", "45", "", 8, 8),
    plan("DO", "1", "1", 10, 10),
    plan("EC", "593", "0", 8, 9),
    plan("ES", "34", "", 9, 9),
    plan("FI", "358", "0", 5, 12),
    plan("FR", "33", "0", 9, 9),
    plan("GB", "44", "0", 9, 10),
    plan("GR", "30", "", 10, 10),
    plan("GT", "502", "", 8, 8),
    plan("HN", "504", "", 8, 8),
    plan("IE", "353", "0", 7, 9),
    plan("IN", "91", "0", 10, 10),
    plan("IT", "39", "", 6, 11),
    plan("JP", "81", "0", 9, 10),
    plan("LU", "352", "", 5, 11),
    plan("MA", "212", "0", 9, 9),
    plan("MX", "52", "", 10, 10),
    plan("NI", "505", "", 8, 8),
    plan("NL", "31", "0", 9, 9),
    plan("NO", "47", "", 8, 8),
    plan("NZ", "64", "0", 8, 10),
    plan("PA", "507", "", 7, 8),
    plan("PE", "51", "0", 8, 9),
    plan("PL", "48", "", 9, 9),
    plan("PT", "351", "", 9, 9),
    plan("PY", "595", "0", 8, 9),
    plan("RO", "40", "0", 9, 9),
    plan("SE", "46", "0", 7, 9),
    plan("SV", "503", "", 8, 8),
    plan("US", "1", "1", 10, 10),
    plan("UY", "598", "0", 8, 8),
    plan("VE", "58", "0", 10, 10),
];

/// The countries whose way of dialling is known, in alphabetical order.
pub(super) fn countries() -> impl Iterator<Item = &'static str> {
    PLANS.iter().map(|plan| plan.country)
}

/// How numbers are dialled within a country.
pub(super) fn of_country(country: &str) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| plan.country.eq_ignore_ascii_case(country))
}

/// The country of an international number; several share the code 1, and are dialled alike.
pub(super) fn of_code(code: &str) -> Option<&'static Plan> {
    PLANS.iter().find(|plan| plan.code == code)
}

/// How many digits of an international number are its calling code (ITU-T E.164, annex D).
pub(super) fn code_length(number: &str) -> usize {
    let digit = |at: usize| number.as_bytes().get(at).map_or(b'0', |digit| *digit);
    match (digit(0), digit(1)) {
        (b'1' | b'7', _) => 1,
        (b'2', b'0' | b'7')
        | (b'3', b'0'..=b'4' | b'6' | b'9')
        | (b'4', b'0' | b'1' | b'3'..=b'9')
        | (b'5', b'1'..=b'8')
        | (b'6', b'0'..=b'6')
        | (b'8', b'1' | b'2' | b'4' | b'6')
        | (b'9', b'0'..=b'5' | b'8') => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_length_that_numbers_show() {
        for plan in &PLANS {
            assert_eq!(code_length(plan.code), plan.code.len(), "{plan:?}");
            assert!(
                plan.digits.0 <= plan.digits.1 && plan.code.len() + plan.digits.1 <= 15,
                "{plan:?}"
            );
        }
        assert!(PLANS.is_sorted_by_key(|plan| plan.country));
    }
}
