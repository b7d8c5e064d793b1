//! Addresses of machines in texts, however they are spelt: with a port, in brackets, in a list, with a network's length,
//! escaped for a URL, IPv4 within IPv6.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

/// Letters of the longest address, with an escape for each colon.
const LONGEST: usize = 48;

/// The address that a text is, whatever stands around it: quotes, brackets, a port, a zone.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    let bare = bare.split_once('%').map_or(bare, |(address, _)| address);
    let socket = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let address = bare.parse().ok().or_else(socket)?;
    Some(IpAddr::to_canonical(&address))
}

/// The text with `keep` of each address in it, apart from the host of a URL that it is, which is nobody's.
pub(crate) fn replaced<'t>(text: &'t str, keep: &dyn Fn(IpAddr) -> Option<IpAddr>) -> Cow<'t, str> {
    let is_possible = text.bytes().any(|byte| byte == b'.' || byte == b':') || text.contains('%');
    if !is_possible {
        return Cow::Borrowed(text);
    }
    let letters = Letters::of(text);
    let (mut kept, mut done, mut at) = (String::new(), 0, letters.behind_host());
    while at < letters.len() {
        let Some(found) = letters.v4(at).or_else(|| letters.v6(at)) else {
            at += 1;
            continue;
        };
        let place = letters.place(&found.letters);
        let spelt = text.get(place.clone()).unwrap_or_default();
        kept.push_str(text.get(done..place.start).unwrap_or_default());
        if let Some(address) = keep(found.address) {
            let address = address.to_string();
            let is_escaped = spelt.contains("%3A") || spelt.contains("%3a");
            kept.push_str(&if is_escaped {
                address.replace(':', "%3A")
            } else {
                address
            });
        }
        (done, at) = (place.end, found.letters.end);
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    kept.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(kept)
}

/// An address, and which letters it has with what is of it.
struct Found {
    address: IpAddr,
    letters: Range<usize>,
}

/// A text letter by letter, its escapes as what they stand for.
struct Letters {
    letters: Vec<(char, Range<usize>)>,
    is_url: bool,
}

impl Letters {
    fn of(text: &str) -> Self {
        let mut letters = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(letter) = text.get(at..).and_then(|rest| rest.chars().next()) {
            let end = at + letter.len_utf8();
            let (letter, end) = match letter {
                '%' => escaped(text, end).unwrap_or((letter, end)),
                letter => (letter, end),
            };
            letters.push((letter, at..end));
            at = end;
        }
        let is_url = text.starts_with('/') || text.starts_with("http://") || text.starts_with("https://");
        Self { letters, is_url }
    }

    fn len(&self) -> usize {
        self.letters.len()
    }

    fn at(&self, at: usize) -> Option<char> {
        self.letters.get(at).map(|(letter, _)| *letter)
    }

    fn before(&self, at: usize) -> Option<char> {
        at.checked_sub(1).and_then(|before| self.at(before))
    }

    fn place(&self, letters: &Range<usize>) -> Range<usize> {
        let found = self.letters.get(letters.clone()).unwrap_or_default();
        match (found.first(), found.last()) {
            (Some((_, first)), Some((_, last))) => first.start..last.end,
            _ => 0..0,
        }
    }

    fn text(&self, letters: Range<usize>) -> String {
        let letters = self.letters.get(letters).unwrap_or_default();
        letters.iter().map(|(letter, _)| *letter).collect()
    }

    /// Where the host ends, if the text is a URL.
    fn behind_host(&self) -> usize {
        let start: String = self.text(0..self.len().min(8)).to_ascii_lowercase();
        let begins = ["https://", "http://"]
            .into_iter()
            .find(|scheme| start.starts_with(scheme));
        let Some(begins) = begins else {
            return 0;
        };
        let ends = |letter: char| "/?#&\\".contains(letter) || letter.is_whitespace();
        (begins.len()..self.len())
            .find(|at| self.at(*at).is_some_and(ends))
            .unwrap_or(self.len())
    }

    fn digits(&self, from: usize, most: usize) -> usize {
        (from..from + most)
            .take_while(|at| self.at(*at).is_some_and(|letter| letter.is_ascii_digit()))
            .count()
    }

    /// Four numbers that begin at a letter, of which none is part of another number.
    fn v4(&self, start: usize) -> Option<Found> {
        let before = self.before(start);
        let is_within = before.is_some_and(|letter| letter.is_ascii_digit())
            || (before == Some('.') && self.before(start - 1).is_some_and(|letter| letter.is_ascii_digit()));
        if is_within {
            return None;
        }
        let (mut octets, mut at) = ([0u8; 4], start);
        for (place, octet) in octets.iter_mut().enumerate() {
            if place > 0 {
                (self.at(at) == Some('.')).then_some(())?;
                at += 1;
            }
            let length = self.digits(at, 4);
            *octet = self.text(at..at + length).parse::<u16>().ok()?.try_into().ok()?;
            at += length;
        }
        let goes_on = self.digits(at, 1) > 0 || (self.at(at) == Some('.') && self.digits(at + 1, 1) > 0);
        if goes_on || self.is_version(start, octets) {
            return None;
        }
        let address = IpAddr::from(Ipv4Addr::from(octets));
        Some(self.with_rest(address, start..at))
    }

    /// Whether the numbers are a version: `v1.2.3.4`, or `Chrome/120.0.0.0`, which tells nobody's network.
    fn is_version(&self, start: usize, octets: [u8; 4]) -> bool {
        let named = |at: usize| self.before(at).is_some_and(char::is_alphanumeric);
        match self.before(start) {
            Some('v' | 'V') => !named(start - 1),
            Some('/') => !self.is_url && named(start - 1) && octets.ends_with(&[0, 0]),
            _ => false,
        }
    }

    /// The longest address of IPv6 that begins at a letter.
    fn v6(&self, start: usize) -> Option<Found> {
        let is_of_it = |letter: char| letter.is_ascii_hexdigit() || letter == ':' || letter == '.';
        if !is_of_it(self.at(start)?) || self.at(start) == Some('.') {
            return None;
        }
        // In the middle of a group it does not begin, nor within a word.
        let before = self.before(start);
        let is_colon = self.at(start) == Some(':');
        if before.is_some_and(|letter| letter.is_alphanumeric() && !is_colon) {
            return None;
        }
        let end = (start..self.len().min(start + LONGEST))
            .take_while(|at| self.at(*at).is_some_and(is_of_it))
            .last()?
            + 1;
        if self.text(start..end).matches(':').count() < 2 {
            return None;
        }
        let ends = (start + 2..=end).rev().filter(|end| {
            let after = self.at(*end);
            !after.is_some_and(|after| after.is_alphanumeric()) || self.before(*end) == Some(':')
        });
        for end in ends {
            let Ok(address) = self.text(start..end).parse::<Ipv6Addr>() else {
                continue;
            };
            let is_word = self.at(end).is_some_and(char::is_alphanumeric)
                || (is_colon && before.is_some_and(char::is_alphanumeric));
            if address.is_unspecified() || is_word {
                return None;
            }
            return Some(self.with_rest(address.into(), start..end));
        }
        None
    }

    /// An address with what is of it: its brackets, zone, port, and the length of its network; and the point behind it.
    fn with_rest(&self, address: IpAddr, letters: Range<usize>) -> Found {
        let Range { mut start, mut end } = letters;
        let word = |from: usize| {
            (from..self.len())
                .take_while(|at| {
                    self.at(*at)
                        .is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
                })
                .count()
        };
        if address.is_ipv6() && self.at(end) == Some('%') {
            end += 1 + word(end + 1);
        }
        let is_bracketed = self.before(start) == Some('[') && self.at(end) == Some(']');
        if is_bracketed {
            (start, end) = (start - 1, end + 1);
        }
        let numbered = |end: usize, most: usize| {
            let digits = self.digits(end + 1, most + 1);
            let is_number = (1..=most).contains(&digits) && word(end + 1) == digits;
            is_number.then_some(end + 1 + digits)
        };
        let behind = match self.at(end) {
            Some(':') if is_bracketed || address.is_ipv4() => numbered(end, 5),
            Some('/') if !self.is_url => numbered(end, 3),
            Some('.') if !self.at(end + 1).is_some_and(char::is_alphanumeric) => Some(end + 1),
            _ => None,
        };
        Found {
            address,
            letters: start..behind.unwrap_or(end),
        }
    }
}

/// The letter that an escape stands for, and where it ends; `at` is behind its `%`. One that is escaped twice counts too.
fn escaped(text: &str, at: usize) -> Option<(char, usize)> {
    let digits = text.get(at..at + 2)?;
    let letter = char::from(u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?);
    match letter {
        '%' => escaped(text, at + 2).or(Some((letter, at + 2))),
        letter => Some((letter, at + 2)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shortened(text: &str) -> String {
        let keep = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(_) => Some([1, 2, 3, 0].into()),
            IpAddr::V6(_) => Some("2001:db8::".parse().unwrap()),
        };
        replaced(text, &keep).into_owned()
    }

    #[test]
    fn addresses_are_found_however_they_are_spelt() {
        for (text, expected) in [
            ("1.2.3.4", "1.2.3.0"),
            ("1.2.3.4:8080", "1.2.3.0"),
            ("::ffff:1.2.3.4", "1.2.3.0"),
            ("::ffff:102:304", "1.2.3.0"),
            ("[2001:db8::7]:443", "2001:db8::"),
            ("fe80::1%eth0", "2001:db8::"),
            ("[fe80::1%25eth0]:80", "2001:db8::"),
            ("from 1.2.3.4, 5.6.7.8.", "from 1.2.3.0, 1.2.3.0"),
            ("1.2.3.4,5.6.7.8:80 2001:db8::7", "1.2.3.0,1.2.3.0 2001:db8::"),
            (
                "1.2.3.4-a 1.2.3.4! ‹1.2.3.4› 1.2.3.4_x",
                "1.2.3.0-a 1.2.3.0! ‹1.2.3.0› 1.2.3.0_x",
            ),
            ("ip1.2.3.4 ip:1.2.3.4 ip=1.2.3.4;", "ip1.2.3.0 ip:1.2.3.0 ip=1.2.3.0;"),
            ("ip:2001:db8::7", "ip:2001:db8::"),
            ("001.002.003.004", "1.2.3.0"),
            ("1.2.3.4/32", "1.2.3.0"),
            (
                "https://1.2.3.4/a?ip=1.2.3.4&b=1#1.2.3.4",
                "https://1.2.3.4/a?ip=1.2.3.0&b=1#1.2.3.0",
            ),
            ("http://a.example?ip=1.2.3.4", "http://a.example?ip=1.2.3.0"),
            ("http://a.example and 1.2.3.4", "http://a.example and 1.2.3.0"),
            ("seen http://1.2.3.4/", "seen http://1.2.3.0/"),
            ("https://a.example/by/1.2.3.4/x", "https://a.example/by/1.2.3.0/x"),
            ("?ip=2001%3Adb8%3A%3A7&x", "?ip=2001%3Adb8%3A%3A&x"),
            ("?ip%3D1%2E2.3.4%26x", "?ip%3D1.2.3.0%26x"),
            ("{\"ip\":\"1.2.3.4\"}", "{\"ip\":\"1.2.3.0\"}"),
        ] {
            assert_eq!(shortened(text), expected, "{text}");
        }
        for same in [
            "Chrome/120.0.0.0 at 10:20:30, 1.5",
            "v1.2.3.4 and 1.2.3.4.5 and 1.2.3.400",
            "2026-01-02T03:04:05.678+01:00",
            "std::fs and Foo::Bar",
            "a :: b: c.",
            "11:22:33:44:55:66",
            "%",
            "100%, %zz %3",
        ] {
            assert_eq!(shortened(same), same);
        }
    }

    #[test]
    fn who_forwarded_is_read_with_what_proxies_add() {
        let read = |text: &str| address(text).map(|address| address.to_string());
        for (text, expected) in [
            (" 203.0.113.7 ", Some("203.0.113.7")),
            ("203.0.113.7:5678", Some("203.0.113.7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("[::ffff:203.0.113.7]:80", Some("203.0.113.7")),
            ("\"[2001:db8::7]:80\"", Some("2001:db8::7")),
            ("[2001:db8::7]", Some("2001:db8::7")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("unknown", None),
            ("", None),
            ("1.2.3.4, 5.6.7.8", None),
        ] {
            assert_eq!(read(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_whole_address_stays(before in "[a-z ,=(:_/é-]{0,5}[ ,=(é/]|", address: [u8; 4], after in "[ ,)&;é_-][a-z0-9]{0,5}|") {
            let address = IpAddr::from(address).to_string();
            prop_assume!(!address.ends_with(".0.0"));
            let text = format!("{before}{address}{after}");
            prop_assert!(!replaced(&text, &|_| None).contains(&address), "{}", text);
        }

        #[test]
        fn no_whole_address_of_six_stays(before in "[g-z ,=(]{0,5}[ ,=(]|", address: [u16; 8], after in "[ ,)&;][g-z]{0,5}|") {
            let address = IpAddr::from(address).to_string();
            prop_assume!(address != "::");
            let text = format!("{before}{address}{after}");
            prop_assert!(!replaced(&text, &|_| None).contains(&address), "{}", text);
        }

        #[test]
        fn any_text_can_be_looked_into(text in "([0-9a-f:.%/\\[\\]v é]|%3A|%25|::|1\\.2\\.3\\.4){0,30}") {
            replaced(&text, &|_| None);
        }
    }
}
