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
        let is_web = matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https");
        let (address, following) = after.split_at(end(after, is_web));
        match scheme.is_empty() {
            true => shown.push_str(address),
            false => push_address(&mut shown, address, is_web),
        }
        rest = following;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Where the address ends that the text begins with, from behind its scheme on: at what no address has, unless that is in
/// a password.
fn end(text: &str, is_web: bool) -> usize {
    let is_end = |c: char| c.is_whitespace() || "'\"`<>".contains(c);
    let end_from = |start: usize| text[start..].find(is_end).map_or(text.len(), |length| start + length);
    let first = end_from(0);
    let (address, word) = (
        &text[..first],
        &text[..text.find(char::is_whitespace).unwrap_or(text.len())],
    );
    let authority = authority(address);
    let has_host = authority.len() < address.len()
        && match authority.rsplit_once(':') {
            Some((_, port)) => authority.contains('@') || is_web && is_port(port) || address.starts_with('['),
            None => true,
        };
    match word.rfind('@').filter(|at| !has_host && *at > first) {
        Some(at) => end_from(at),
        None => first,
    }
}

/// What an address begins with: whose machine it is, and who is there.
fn authority(address: &str) -> &str {
    &address[..address.find(['/', '?', '#']).unwrap_or(address.len())]
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An address, from behind its scheme on.
fn push_address(shown: &mut String, address: &str, is_web: bool) {
    let address = match user_end(address, is_web) {
        None => address,
        Some(at) => {
            shown.push_str("…@");
            &address[at + 1..]
        }
    };
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

/// Where the user and the password end that an address begins with. A password may have a slash in it, and be digits up
/// to there: what might be one is not shown.
fn user_end(address: &str, is_web: bool) -> Option<usize> {
    let authority = authority(address);
    if let Some(at) = authority.rfind('@') {
        return Some(at);
    }
    let (_, port) = authority.rsplit_once(':')?;
    let within = match is_web && is_port(port) {
        // What is asked for is cut off anyway.
        true => address.find(['?', '#']).unwrap_or(address.len()),
        false => address.len(),
    };
    match address.starts_with('[') {
        true => None,
        false => address[..within].rfind('@'),
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
            ("postgres://u:123/x@host/db", "postgres://…@host/db"),
            ("https://u:123/x@host", "https://…@host"),
            ("http://h:80/x?q=a@b", "http://h:80/x?…"),
            ("mysql://u:1?2@host/db", "mysql://…@host/db"),
            ("postgres://u:p'w\"x@host/db, or", "postgres://…@host/db, or"),
            ("'ftp://o'brien:`1/2`@host/x' is no file", "'ftp://…@host/x' is no file"),
            (
                "{\"a\":\"s3://b/x\",\"b\":\"c@d\"}",
                "{\"a\":\"s3://b/x\",\"b\":\"c@d\"}",
            ),
            ("'http://h:80' and 'c@d'", "'http://h:80' and 'c@d'"),
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
        fn no_password_is_shown(
            scheme in "postgres|mysql|ftp", user in "[a-z']{1,5}", before in "[0-9a-z/?'\"`<>]{0,4}", host in "[a-z.]{1,9}",
        ) {
            for start in [format!("'{scheme}://{user}:{before}"), format!("'https://{user}:a{before}")] {
                let text = format!("{start}SECRET@{host}/x'");
                prop_assert!(!without_secrets(&text).contains("SECRET"), "{}", without_secrets(&text));
            }
        }

        #[test]
        fn any_text_can_be_shown(text in "(://|[a-z@?#/=:'\" é…\\[\\]]){0,20}") {
            without_persons(&text);
        }
    }
}
