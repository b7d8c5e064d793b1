//! Numbers, and numbers in texts.

/// The difference of two numbers as a share of the larger. Nothing, if one of them is none.
pub(super) fn relative(a: &str, b: &str) -> Option<f64> {
    let (a, b): (f64, f64) = (a.parse().ok()?, b.parse().ok()?);
    let larger = a.abs().max(b.abs());
    (larger.is_finite()).then(|| if larger == 0.0 { 0.0 } else { (a - b).abs() / larger })
}

/// The digits of the first number in a text: of a house, mostly.
pub(super) fn first(text: &str) -> &str {
    let start = text.find(|letter: char| letter.is_ascii_digit()).unwrap_or(text.len());
    let rest = &text[start..];
    &rest[..rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_and_compared() {
        assert_eq!(first("mayor 12 3 b"), "12");
        assert_eq!(first("mayor"), "");
        assert_eq!(relative("100", "90"), Some(0.1));
        assert_eq!(relative("0", "-0"), Some(0.0));
        assert_eq!(relative("a", "1"), None);
    }
}
