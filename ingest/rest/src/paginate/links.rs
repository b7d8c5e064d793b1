//! The header `Link` (RFC 8288).

use reqwest::header::{GetAll, HeaderValue};

/// The target of the link whose relation is `next`.
pub(super) fn next(headers: GetAll<'_, HeaderValue>) -> Option<String> {
    headers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .find_map(of_value)
}

fn of_value(mut rest: &str) -> Option<String> {
    while let Some(start) = rest.find('<') {
        let (target, after) = rest.get(start + 1..)?.split_once('>')?;
        let (parameters, others) = split(after);
        if is_next(parameters) {
            return Some(target.trim().to_owned());
        }
        rest = others;
    }
    None
}

/// The parameters of a link, and the links after it: a comma ends them unless it is between quotes.
fn split(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => return text.split_at(at),
            _ => {}
        }
    }
    (text, "")
}

fn is_next(parameters: &str) -> bool {
    parameters.split(';').any(|parameter| {
        let Some((name, value)) = parameter.split_once('=') else {
            return false;
        };
        let mut relations = value.trim().trim_matches('"').split_ascii_whitespace();
        name.trim().eq_ignore_ascii_case("rel") && relations.any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found() {
        for (header, expected) in [
            (
                "<https://a/?page=2>; rel=\"next\", <https://a/?page=5>; rel=\"last\"",
                Some("https://a/?page=2"),
            ),
            (
                "<https://a/?page=1>; rel=prev, <https://a/?page=3>;rel=next",
                Some("https://a/?page=3"),
            ),
            ("</p?a=1,2>; title=\"a, b\"; rel=\"last next\"", Some("/p?a=1,2")),
            ("<https://a/?page=1>; rel=\"prev\"", None),
            ("<https://a/?page=1>; rel=\"nextish\"", None),
            ("<https://a/?page=1", None),
            ("", None),
        ] {
            assert_eq!(of_value(header).as_deref(), expected, "{header}");
        }
    }
}
