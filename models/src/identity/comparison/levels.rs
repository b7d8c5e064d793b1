//! The levels of agreement, and what they mean for each kind.

use super::dates::{self, Difference};
use super::phonetic::sounds_alike;
use super::strings::{could_match, resemble, within};
use super::words::{Shared, is_slip, is_slip_or_initial, shared};
use super::{numbers, words};
use crate::identity::kind::Kind;
use crate::identity::normalise::name::familiar;

/// How alike two values are. What each level means depends on the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(crate) enum Level {
    /// One of them is not there, and nothing is learned.
    Missing = 0,
    Exact = 1,
    /// One slip of the fingers, or a familiar form of a name.
    Close = 2,
    /// Part of the other, or several slips.
    Similar = 3,
    /// Something that they have in common.
    Weak = 4,
    Different = 5,
}

impl Level {
    /// How many there are.
    pub(crate) const COUNT: usize = 6;

    const ALL: [Self; Self::COUNT] = [
        Self::Missing,
        Self::Exact,
        Self::Close,
        Self::Similar,
        Self::Weak,
        Self::Different,
    ];

    /// The level of a number; what is more than there are is `Different`.
    pub(crate) fn of(number: usize) -> Self {
        Self::ALL.get(number).copied().unwrap_or(Self::Different)
    }

    /// Its name in what people read.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Exact => "exact",
            Self::Close => "close",
            Self::Similar => "similar",
            Self::Weak => "weak",
            Self::Different => "different",
        }
    }
}

/// The level of two values that differ.
pub(crate) fn compare(kind: Kind, a: &str, b: &str) -> Level {
    match kind {
        Kind::GivenName => given_name(a, b),
        Kind::Surname | Kind::FullName => surname(a, b),
        Kind::Company | Kind::City | Kind::Region | Kind::Text => text(a, b),
        Kind::Street | Kind::Address => street(a, b),
        Kind::Email => email(a, b),
        Kind::Phone => phone(a, b),
        Kind::NationalId | Kind::Identifier => match within(a, b, 1) {
            true => Level::Close,
            false if within(a, b, 2) => Level::Weak,
            false => Level::Different,
        },
        Kind::BornOn => match dates::difference(a, b) {
            Difference::Slip => Level::Close,
            Difference::Near => Level::Similar,
            Difference::Year => Level::Weak,
            Difference::Far => Level::Different,
        },
        Kind::Postcode => match within(a, b, 1) {
            true => Level::Close,
            false if a.len() == b.len() && a.get(..2) == b.get(..2) => Level::Weak,
            false => Level::Different,
        },
        Kind::StreetNumber => street_number(a, b),
        Kind::Category => Level::Different,
        Kind::Number => match numbers::relative(a, b) {
            Some(difference) if difference <= 0.001 => Level::Close,
            Some(difference) if difference <= 0.01 => Level::Similar,
            Some(difference) if difference <= 0.1 => Level::Weak,
            _ => Level::Different,
        },
        Kind::Date => match dates::days(a).abs_diff(dates::days(b)) {
            0..=1 => Level::Close,
            2..=31 => Level::Similar,
            32..=366 => Level::Weak,
            _ => Level::Different,
        },
    }
}

/// Whether two texts have so few letters in common that looking closer is not worth it.
fn are_strangers(a: &str, b: &str) -> bool {
    could_match(a, b) < 0.7
}

fn given_name(a: &str, b: &str) -> Level {
    let (whole_a, whole_b) = (familiar(a).unwrap_or(a), familiar(b).unwrap_or(b));
    if is_one_slip(a, b) || whole_a == whole_b {
        return Level::Close;
    }
    if are_strangers(a, b) && are_strangers(whole_a, whole_b) {
        return Level::Different;
    }
    let is_part = |a, b| {
        let common = shared(a, b, is_slip_or_initial);
        common.is_nearly_part().then_some(common.fewer == common.more)
    };
    match is_part(a, b).or_else(|| is_part(whole_a, whole_b).map(|_| false)) {
        Some(true) if a.len().min(b.len()) > 1 => Level::Close,
        Some(_) => Level::Similar,
        None if sound_or_look_alike(a, b) => Level::Weak,
        None => Level::Different,
    }
}

/// Whether one slip makes the other of a text that is long enough for it.
fn is_one_slip(a: &str, b: &str) -> bool {
    a.len().min(b.len()) >= 4 && within(a, b, 1)
}

/// Whether most of two names is the same, to the eye or to the ear.
fn sound_or_look_alike(a: &str, b: &str) -> bool {
    could_match(a, b) >= 1.2 && (resemble(a, b, 0.85) || sounds_alike(a, b))
}

fn surname(a: &str, b: &str) -> Level {
    if is_one_slip(a, b) {
        return Level::Close;
    }
    if are_strangers(a, b) {
        return Level::Different;
    }
    let common = shared(a, b, is_slip);
    // With the same number of words they are the same ones, in another order or with slips.
    if common.is_nearly_part() {
        return if common.fewer == common.more {
            Level::Close
        } else {
            Level::Similar
        };
    }
    let is_weak = common.equal + common.alike > 0 || sound_or_look_alike(a, b);
    if is_weak { Level::Weak } else { Level::Different }
}

fn text(a: &str, b: &str) -> Level {
    if is_one_slip(a, b) {
        return Level::Close;
    }
    if are_strangers(a, b) {
        return Level::Different;
    }
    let common = shared(a, b, is_slip);
    if common.is_nearly_part() {
        return if common.fewer == common.more {
            Level::Close
        } else {
            Level::Similar
        };
    }
    let is_weak = 2 * (common.equal + common.alike) > common.fewer || resemble(a, b, 0.85);
    if is_weak { Level::Weak } else { Level::Different }
}

fn street(a: &str, b: &str) -> Level {
    if are_strangers(a, b) {
        return Level::Different;
    }
    // A house's number is one digit from another house's.
    let is_house = numbers::first(a) == numbers::first(b);
    let Shared {
        fewer,
        more,
        equal,
        alike,
    } = shared(a, b, words::is_slip);
    if is_house && (equal + alike == fewer && fewer == more || fewer != more && is_one_slip(&glued(a), &glued(b))) {
        Level::Close
    } else if is_house && equal + alike == fewer && fewer >= 2 {
        Level::Similar
    } else if 2 * (equal + alike) > fewer && fewer >= 2 || resemble(a, b, 0.88) {
        Level::Weak
    } else {
        Level::Different
    }
}

fn glued(text: &str) -> String {
    text.replace(' ', "")
}

fn street_number(a: &str, b: &str) -> Level {
    match (numbers::first(a), numbers::first(b)) {
        ("", _) | (_, "") => Level::Different,
        (a, b) if a == b => Level::Close,
        _ if a.len() > 1 && b.len() > 1 && within(a, b, 1) => Level::Weak,
        _ => Level::Different,
    }
}

fn email(a: &str, b: &str) -> Level {
    let (Some((local_a, domain_a)), Some((local_b, domain_b))) = (a.split_once('@'), b.split_once('@')) else {
        return Level::Different;
    };
    // Names of addresses are made of names, so that those of two persons may be alike. Their digits tell them apart.
    let same_digits = || digits(local_a).eq(digits(local_b));
    if within(a, b, 1) {
        if same_digits() { Level::Close } else { Level::Weak }
    } else if local_a == local_b && is_slip(domain_a, domain_b) {
        Level::Close
    } else if local_a == local_b && local_a.len() >= 4
        || domain_a == domain_b && local_a.len() > 5 && within(local_a, local_b, 2) && same_digits()
    {
        Level::Similar
    } else {
        Level::Different
    }
}

fn digits(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().filter(u8::is_ascii_digit)
}

fn phone(a: &str, b: &str) -> Level {
    let tail = |number: &str| number.len().checked_sub(7).unwrap_or(number.len());
    let (tail_a, tail_b) = (&a[tail(a)..], &b[tail(b)..]);
    match within(a, b, 1) {
        true => Level::Close,
        // A calling code that is wrong or left out.
        false if !tail_a.is_empty() && tail_a == tail_b => Level::Similar,
        false => Level::Different,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn levels_say_how_alike_values_are() {
        for (kind, a, b, expected) in [
            (Kind::GivenName, "jose", "pepe", Level::Close),
            (Kind::GivenName, "cristina", "cristna", Level::Close),
            (Kind::GivenName, "maria jose", "maria", Level::Similar),
            (Kind::GivenName, "j", "jose", Level::Similar),
            (Kind::GivenName, "bob", "robert", Level::Close),
            (Kind::GivenName, "ana", "eva", Level::Different),
            (Kind::Surname, "garcia lopez", "garcia", Level::Similar),
            (Kind::Surname, "garcia lopez", "lopez garcia", Level::Close),
            (Kind::Surname, "garcia lopez", "garcia perez", Level::Weak),
            (Kind::Surname, "vazquez", "basques", Level::Weak),
            (Kind::Surname, "garcia", "lopez", Level::Different),
            (
                Kind::Email,
                "ana.gil@correo.example",
                "ana.gil@coreo.example",
                Level::Close,
            ),
            (
                Kind::Email,
                "ana.gil@correo.example",
                "ana.gil@gmail.com",
                Level::Similar,
            ),
            (
                Kind::Email,
                "ana.gil@correo.example",
                "luis@correo.example",
                Level::Different,
            ),
            (Kind::Phone, "+34770123456", "+34770123465", Level::Close),
            (Kind::Phone, "+34770123456", "+35770123456", Level::Close),
            (Kind::Phone, "+34770123456", "0123456", Level::Similar),
            (Kind::Phone, "+34770123456", "+34770999456", Level::Different),
            (Kind::BornOn, "19560409", "19560904", Level::Close),
            (Kind::Postcode, "28001", "28010", Level::Close),
            (Kind::Postcode, "28001", "28137", Level::Weak),
            (Kind::Postcode, "28001", "41002", Level::Different),
            (Kind::Street, "mayor 12 3 b", "mayor 12", Level::Similar),
            (Kind::Street, "mayor 12", "mayro 12", Level::Close),
            (Kind::Street, "pridham street", "pridhamstreet", Level::Close),
            (Kind::Street, "mayor 12", "mayor 14", Level::Weak),
            (Kind::StreetNumber, "12 b", "12", Level::Close),
            (Kind::Number, "100", "100.05", Level::Close),
            (Kind::Date, "20240131", "20240201", Level::Close),
            (Kind::Company, "aceites sur", "aceite sur", Level::Close),
            (
                Kind::City,
                "l hospitalet llobregat",
                "hospitalet llobregat",
                Level::Similar,
            ),
        ] {
            assert_eq!(compare(kind, a, b), expected, "{kind:?} {a} {b}");
        }
    }

    proptest! {
        #[test]
        fn either_way_is_the_same_level(kind in 0usize..19, a in "[ab1]{1,4}( [ab12]{1,3}){0,2}", b in "[ab1]{1,4}( [ab12]{1,3}){0,2}") {
            let kind = Kind::names().nth(kind).and_then(Kind::named).unwrap_or(Kind::Text);
            prop_assert_eq!(compare(kind, &a, &b), compare(kind, &b, &a));
            let (email_a, email_b) = (format!("{a}@x.es"), format!("{b}@y.es"));
            prop_assert_eq!(compare(Kind::Email, &email_a, &email_b), compare(Kind::Email, &email_b, &email_a));
        }
    }
}
