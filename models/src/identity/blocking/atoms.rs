//! Parts of records that those of one person mostly share: what blocks are made of.

use std::sync::Arc;

use crate::identity::comparison::skeleton;
use crate::identity::kind::Kind;
use crate::identity::normalise::name::familiar;
use crate::identity::records::Records;
use crate::identity::{hash, threads};

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
    codes: Arc<Codes>,
    /// The codes of another part: each code is then of one of both.
    beside: Option<Arc<Codes>>,
}

/// The codes that each record has of one field, each once. Records of a block lie anywhere, so that what is known of one is
/// best in one place.
#[derive(Debug)]
enum Codes {
    /// One each, or [`NO_CODE`].
    One(Vec<u32>),
    /// Where the codes of each record end, and all of them.
    Many(Vec<u32>, Vec<u32>),
}

const NO_CODE: u32 = 0;

/// How the codes of a value are made.
type Code = fn(&str, &mut Vec<u32>);

impl Codes {
    fn new(records: &Records, field: usize, code: Code) -> Self {
        let values = &records.fields[field].values;
        // Where the codes of each value end.
        let (mut ends, mut codes) = (Vec::with_capacity(values.len()), Vec::with_capacity(values.len()));
        let mut current = Vec::new();
        for value in values.iter() {
            code(value, &mut current);
            current.truncate(MOST);
            codes.append(&mut current);
            ends.push(codes.len());
        }
        let of_value = |value: u32| {
            let at = value as usize;
            let start = if at == 0 { 0 } else { ends[at - 1] };
            &codes[start..ends[at]]
        };
        let of_record = |record: u32, into: &mut Vec<u32>| {
            for value in records.values_of(field, records.row(record)[field]) {
                for code in of_value(value) {
                    if into.len() < MOST && !into.contains(code) {
                        into.push(*code);
                    }
                }
            }
        };
        let count = records.len() as u32;
        let mut one = Vec::with_capacity(records.len());
        for record in 0..count {
            of_record(record, &mut current);
            match *current.as_slice() {
                [] => one.push(NO_CODE),
                [code] => one.push(code),
                _ => break,
            }
            current.clear();
        }
        if current.is_empty() {
            return Self::One(one);
        }
        drop(one);
        let (mut ends, mut all) = (Vec::with_capacity(records.len()), Vec::with_capacity(records.len()));
        for record in 0..count {
            current.clear();
            of_record(record, &mut current);
            all.append(&mut current);
            ends.push(all.len() as u32);
        }
        Self::Many(ends, all)
    }

    fn of(&self, record: u32) -> &[u32] {
        let at = record as usize;
        match self {
            Self::One(codes) if codes[at] == NO_CODE => &[],
            Self::One(codes) => &codes[at..=at],
            Self::Many(ends, codes) => {
                let start = if at == 0 { 0 } else { ends[at - 1] as usize };
                &codes[start..ends[at] as usize]
            }
        }
    }
}

impl Atom {
    /// The codes of a record, each once. There is room for those that are made of several.
    pub(super) fn codes<'a>(&'a self, record: u32, room: &'a mut Vec<u32>) -> &'a [u32] {
        let own = self.codes.of(record);
        let Some(beside) = &self.beside else {
            return own;
        };
        room.clear();
        for a in own {
            for b in beside.of(record) {
                let (a, b) = (u64::from(*a), u64::from(*b));
                // Which is which makes no difference.
                room.push((hash::mix(a.min(b), a.max(b)) >> 32) as u32);
            }
        }
        room.sort_unstable();
        room.dedup();
        room.truncate(MOST);
        room
    }
}

/// A code of a text, which is not [`NO_CODE`].
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

/// What a part is to be made of.
struct Recipe {
    field: usize,
    /// Which part of the field it is; nothing for the whole.
    part: &'static str,
    subject: Subject,
    code: Code,
    /// Whether it makes a block alone, and with others.
    makes: (bool, bool),
}

/// All parts that the fields of records have, the telling ones first.
pub(super) fn of(records: &Records, threads: usize) -> Vec<Atom> {
    let recipes = recipes(records);
    let codes = threads::each(recipes.len(), threads, |at| {
        Arc::new(Codes::new(records, recipes[at].field, recipes[at].code))
    });
    let name = |recipe: &Recipe| match (records.fields[recipe.field].name.as_str(), recipe.part) {
        (field, "") => field.to_owned(),
        (field, part) => format!("{field} ({part})"),
    };
    let mut atoms: Vec<Atom> = recipes
        .iter()
        .zip(&codes)
        .map(|(recipe, codes)| Atom {
            name: name(recipe),
            subject: recipe.subject,
            is_strong: recipe.makes.0,
            combines: recipe.makes.1,
            codes: Arc::clone(codes),
            beside: None,
        })
        .collect();
    let of = |kind: Kind| {
        recipes
            .iter()
            .position(|recipe| records.fields[recipe.field].kind == kind)
    };
    if let (Some(given), Some(surname)) = (of(Kind::GivenName), of(Kind::Surname)) {
        atoms.push(Atom {
            name: format!("{} and {}", atoms[given].name, atoms[surname].name),
            subject: Subject::Names,
            is_strong: true,
            combines: false,
            codes: Arc::clone(&codes[given]),
            beside: Some(Arc::clone(&codes[surname])),
        });
    }
    atoms
}

fn recipes(records: &Records) -> Vec<Recipe> {
    const WITH_OTHERS: (bool, bool) = (false, true);
    const ALONE: (bool, bool) = (true, false);
    const BOTH: (bool, bool) = (true, true);
    let mut recipes = Vec::new();
    for (field, of) in records.fields.iter().enumerate().filter(|(_, field)| field.present > 1) {
        let mut add = |part, subject, makes, code: Code| {
            recipes.push(Recipe {
                field,
                part,
                subject,
                code,
                makes,
            });
        };
        let contact = Subject::Contact(field);
        match of.kind {
            Kind::GivenName => add("sound", Subject::Given, WITH_OTHERS, first_sound),
            Kind::Surname => add("sound", Subject::Surname, WITH_OTHERS, sounds),
            Kind::FullName => {
                add("", Subject::Given, ALONE, whole);
                add("sound", Subject::Surname, WITH_OTHERS, sounds);
            }
            Kind::Company => {
                add("", contact, ALONE, whole);
                add("sound", contact, WITH_OTHERS, sounds);
            }
            Kind::NationalId | Kind::Identifier => add("", contact, ALONE, whole),
            Kind::Phone => {
                add("", contact, ALONE, whole);
                add("last digits", contact, WITH_OTHERS, |phone, codes| {
                    codes.extend(phone.len().checked_sub(6).map(|from| code(&phone[from..])));
                });
            }
            Kind::Email => {
                add("", contact, ALONE, whole);
                add("name", contact, BOTH, |email, codes| {
                    codes.push(code(email.split('@').next().unwrap_or(email)));
                });
            }
            Kind::BornOn => {
                add("", Subject::Birth, WITH_OTHERS, whole);
                add("year", Subject::Birth, WITH_OTHERS, |date, codes| {
                    codes.push(code(date.get(..4).unwrap_or(date)));
                });
            }
            Kind::Street | Kind::Address => add("", Subject::Place, WITH_OTHERS, street),
            Kind::Postcode => add("", Subject::Town, WITH_OTHERS, whole),
            Kind::City => add("sound", Subject::Town, WITH_OTHERS, |city, codes| {
                codes.push(code(&skeleton(city)));
            }),
            Kind::Text => add("", contact, WITH_OTHERS, whole),
            Kind::StreetNumber | Kind::Region | Kind::Category | Kind::Number | Kind::Date => {}
        }
    }
    recipes
}
