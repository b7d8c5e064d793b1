//! What may be shown of a text that comes from elsewhere: no user, password or query string of an address, and no
//! address of e-mail.
//!
//! Errors and what is logged are kept and read by many. A signature in a query string lets whoever reads it in (a
//! presigned address of S3, a SAS of Azure), and what is asked for there is often a person.

use std::borrow::Cow;

/// What separates the scheme of an address from the rest of it.
const SCHEME_END: &str = "://";

/// The text, its addresses without user, password, query and fragment.
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if !text.contains(SCHEME_END) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(SCHEME_END) {
        let (before, after) = rest.split_at(at + SCHEME_END.len());
        shown.push_str(before);
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let scheme = before[..at].rsplit(|c| !is_scheme(c)).next().unwrap_or_default();
        let end = after.find(|c: char| c.is_whitespace() || "'\"`<>".contains(c));
        let (address, following) = after.split_at(end.unwrap_or(after.len()));
        match scheme.is_empty() {
            true => shown.push_str(address),
            false => push_address(&mut shown, scheme, address),
        }
        rest = following;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// An address, from behind its scheme on.
fn push_address(shown: &mut String, scheme: &str, address: &str) {
    let address = match user_end(address) {
        None => address,
        Some(at) => {
            shown.push_str("…@");
            &address[at + 1..]
        }
    };
    let is_web = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
    let cut = address.find(['?', '#']).filter(|at| {
        // Elsewhere a question mark may be a wildcard.
        is_web || address[*at..].contains('=')
    });
    let Some(at) = cut else {
        shown.push_str(address);
        return;
    };
    // What follows an address in a sentence is not part of it.
    let end = address
        .trim_end_matches([';', ',', '.', ':', ')', ']'])
        .len()
        .max(at + 1);
    shown.push_str(&address[..=at]);
    if end > at + 1 {
        shown.push('…');
    }
    shown.push_str(&address[end..]);
}

/// Where the user and the password end that an address begins with. A password may have a slash in it.
fn user_end(address: &str) -> Option<usize> {
    let authority = address.find(['/', '?', '#']).unwrap_or(address.len());
    if let Some(at) = address[..authority].rfind('@') {
        return Some(at);
    }
    let (_, port) = address[..authority].rsplit_once(':')?;
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    match is_port || address.starts_with('[') {
        true => None,
        false => address.rfind('@'),
    }
}

/// What another system says, without addresses of e-mail, and as [`without_secrets`].
pub fn without_persons(text: &str) -> Cow<'_, str> {
    let text = without_secrets(text);
    if !text.contains('@') && !text.contains("%40") {
        return text;
    }
    let is_end = |c: char| c.is_whitespace() || "'\"`<>()[]{},;:=&?/|".contains(c);
    let mut shown = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        let end = word.char_indices().next_back().filter(|(_, c)| is_end(*c));
        let (word, end) = word.split_at(end.map_or(word.len(), |(at, _)| at));
        let is_person = |sign: &str| {
            word.split_once(sign)
                .is_some_and(|(user, host)| !user.is_empty() && user != "…" && !host.is_empty())
        };
        shown.push_str(if is_person("@") || is_person("%40") {
            "…"
        } else {
            word
        });
        shown.push_str(end);
    }
    Cow::Owned(shown)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_lose_what_lets_in() {
        for (text, expected) in [
            ("asking https://a.example/b", "asking https://a.example/b"),
            (
                "looking for https://b.s3.amazonaws.com/x.csv?X-Amz-Signature=abc&X-Amz-Date=1; try",
                "looking for https://b.s3.amazonaws.com/x.csv?…; try",
            ),
            (
                "'https://acme.blob.core.windows.net/c/x?sv=1&sig=a%2Fb' and http://u:p@h:80/x#token=1",
                "'https://acme.blob.core.windows.net/c/x?…' and http://…@h:80/x#…",
            ),
            ("ftp://ana:pa/s?s@host/x", "ftp://…@host/x"),
            ("postgres://reader:s@cret@erp:5432/acme", "postgres://…@erp:5432/acme"),
            ("postgres://erp/acme?user=a&password=b", "postgres://erp/acme?…"),
            ("s3://bucket/data-?.csv", "s3://bucket/data-?.csv"),
            ("https://[::1]:8080/@handle", "https://[::1]:8080/@handle"),
            ("http://h/x?", "http://h/x?"),
            ("no scheme ://a?b=c", "no scheme ://a?b=c"),
        ] {
            assert_eq!(without_secrets(text), expected);
        }
    }

    #[test]
    fn persons_are_not_told_of() {
        for (text, expected) in [
            ("no customer <ana@example.com>, or 5", "no customer <…>, or 5"),
            ("email=ana%40example.com&x", "email=…&x"),
            ("see https://h/?email=ana@example.com", "see https://h/?…"),
            ("at 5 @ home", "at 5 @ home"),
        ] {
            assert_eq!(without_persons(text), expected);
        }
    }

    proptest! {
        #[test]
        fn no_signature_is_shown(path in "[a-z/.]{0,9}", end in "[ ;'\")]{0,2}", name in "[a-z]{1,4}") {
            let text = format!("reading https://host/{path}?{name}=SECRET&b=SECRET{end}");
            prop_assert!(!without_secrets(&text).contains("SECRET"));
            let text = format!("reading ftp://{name}:SECRET/SECRET@host/{path}{end}");
            prop_assert!(!without_secrets(&text).contains("SECRET"));
        }

        #[test]
        fn any_text_can_be_shown(text in "(://|[a-z@?#/=:'\" é…\\[\\]]){0,20}") {
            without_persons(&text);
        }
    }
}
