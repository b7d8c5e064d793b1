//! Parts of records that those of one person mostly share: what blocks are made of.

use crate::identity::comparison::skeleton;
use crate::identity::hash;
use crate::identity::kind::Kind;
use crate::identity::normalise::name::familiar;
use crate::identity::records::Records;

/// The most codes of one part that a record is found by.
const MOST: usize = 6;

/// What a part is about. Two parts of one subject make no block together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// Given name and surname, whichever is which.
    Names,
    Given,
    Surname,
    Birth,
    Place,
    Town,
    Contact(usize),
}

/// A part of records.
#[derive(Debug)]
pub(super) struct Atom {
    pub name: String,
    pub subject: Subject,
    /// Whether it makes a block alone.
    pub is_strong: bool,
    /// Whether it makes blocks with others.
    pub combines: bool,
    field: usize,
    /// Where the codes of each value end.
    ends: Vec<u32>,
    codes: Vec<u32>,
    /// Another part: each code is then of one of both.
    beside: Option<Box<Atom>>,
}

impl Atom {
    fn new(records: &Records, field: usize, name: &str, subject: Subject, code: impl Fn(&str, &mut Vec<u32>)) -> Self {
        let values = &records.fields[field].values;
        let (mut ends, mut codes) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
        let mut current = Vec::new();
        for value in values.iter() {
            code(value, &mut current);
            current.truncate(MOST);
            codes.append(&mut current);
            ends.push(codes.len() as u32);
        }
        Self {
            name: match name {
                "" => records.fields[field].name.clone(),
                part => format!("{} ({part})", records.fields[field].name),
            },
            subject,
            is_strong: false,
            combines: true,
            field,
            ends,
            codes,
            beside: None,
        }
    }

    /// Two parts as one, whose order makes no difference.
    fn beside(mut self, other: Self) -> Self {
        self.name = format!("{} and {}", self.name, other.name);
        self.subject = Subject::Names;
        self.beside = Some(Box::new(other));
        self.strong(false)
    }

    fn strong(mut self, combines: bool) -> Self {
        self.is_strong = true;
        self.combines = combines;
        self
    }

    /// The codes of a record, each once.
    pub(super) fn codes(&self, records: &Records, record: u32, into: &mut Vec<u32>) {
        into.clear();
        for value in records.values_of(self.field, records.row(record)[self.field]) {
            let at = value as usize;
            let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
            for code in &self.codes[start..self.ends[at] as usize] {
                if into.len() < MOST && !into.contains(code) {
                    into.push(*code);
                }
            }
        }
        if let Some(beside) = &self.beside {
            let mut others = Vec::new();
            beside.codes(records, record, &mut others);
            let of_both = |a: u32, b: u32| (hash::mix(u64::from(a.min(b)), u64::from(a.max(b))) >> 32) as u32;
            let mut both: Vec<u32> = into
                .iter()
                .flat_map(|a| others.iter().map(|b| of_both(*a, *b)))
                .collect();
            both.sort_unstable();
            both.dedup();
            both.truncate(MOST);
            *into = both;
        }
    }
}

fn code(text: &str) -> u32 {
    (hash::of_bytes(text.as_bytes()) >> 32) as u32 | 1
}

/// The sounds of each word.
fn sounds(text: &str, codes: &mut Vec<u32>) {
    codes.extend(
        text.split(' ')
            .filter(|word| word.len() > 1)
            .map(|word| code(&skeleton(word))),
    );
}

/// The sounds of the first word, of the name that a familiar one stands for.
fn first_sound(text: &str, codes: &mut Vec<u32>) {
    let whole = familiar(text)
        .or_else(|| familiar(text.split(' ').next().unwrap_or(text)))
        .unwrap_or(text);
    let first = whole.split(' ').next().unwrap_or(whole);
    codes.push(code(&skeleton(first)));
}

fn whole(text: &str, codes: &mut Vec<u32>) {
    codes.push(code(text));
}

/// Its longest word, as it sounds, with its first number.
fn street(text: &str, codes: &mut Vec<u32>) {
    let is_number = |word: &&str| word.starts_with(|letter: char| letter.is_ascii_digit());
    let number = text.split(' ').find(is_number).unwrap_or("");
    let word = text
        .split(' ')
        .filter(|word| !is_number(word))
        .fold(
            "",
            |longest, word| if word.len() > longest.len() { word } else { longest },
        );
    if !word.is_empty() {
        codes.push(code(&format!("{}{number}", skeleton(word))));
    }
}

/// All parts that the fields of records have, the telling ones first.
pub(super) fn of(records: &Records) -> Vec<Atom> {
    let mut atoms = Vec::new();
    for (at, field) in records.fields.iter().enumerate().filter(|(_, field)| field.present > 1) {
        let atom = |name, subject, code: fn(&str, &mut Vec<u32>)| Atom::new(records, at, name, subject, code);
        let contact = Subject::Contact(at);
        match field.kind {
            Kind::GivenName => atoms.push(atom("sound", Subject::Given, first_sound)),
            Kind::Surname => atoms.push(atom("sound", Subject::Surname, sounds)),
            Kind::FullName => {
                atoms.push(atom("", Subject::Given, whole).strong(false));
                atoms.push(atom("sound", Subject::Surname, sounds));
            }
            Kind::Company => {
                atoms.push(atom("", contact, whole).strong(false));
                atoms.push(atom("sound", contact, sounds));
            }
            Kind::NationalId | Kind::Identifier => atoms.push(atom("", contact, whole).strong(false)),
            Kind::Phone => {
                atoms.push(atom("", contact, whole).strong(false));
                atoms.push(atom("last digits", contact, |phone, codes| {
                    codes.extend(phone.len().checked_sub(6).map(|from| code(&phone[from..])));
                }));
            }
            Kind::Email => {
                atoms.push(atom("", contact, whole).strong(false));
                let local =
                    |email: &str, codes: &mut Vec<u32>| codes.push(code(email.split('@').next().unwrap_or(email)));
                atoms.push(atom("name", contact, local).strong(true));
            }
            Kind::BornOn => {
                atoms.push(atom("", Subject::Birth, whole));
                atoms.push(atom("year", Subject::Birth, |date, codes| {
                    codes.push(code(date.get(..4).unwrap_or(date)))
                }));
            }
            Kind::Street | Kind::Address => atoms.push(atom("", Subject::Place, street)),
            Kind::Postcode => atoms.push(atom("", Subject::Town, whole)),
            Kind::City => atoms.push(atom("sound", Subject::Town, |city, codes| {
                codes.push(code(&skeleton(city)))
            })),
            Kind::Text => atoms.push(atom("", contact, whole)),
            Kind::StreetNumber | Kind::Region | Kind::Category | Kind::Number | Kind::Date => {}
        }
    }
    let of_kind = |kind: Kind| {
        records
            .fields
            .iter()
            .position(|field| field.kind == kind && field.present > 1)
    };
    if let (Some(given), Some(surname)) = (of_kind(Kind::GivenName), of_kind(Kind::Surname)) {
        let given = Atom::new(records, given, "sound", Subject::Given, first_sound);
        atoms.push(given.beside(Atom::new(records, surname, "sound", Subject::Surname, sounds)));
    }
    atoms
}
