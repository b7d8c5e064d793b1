//! Who somebody really is, and how the systems came to write it down.

use chrono::{Datelike, NaiveDate};

use super::calendar::Day;
use super::life::Life;
use super::names::{MAIL_DOMAINS, MEN, STREETS, SURNAMES, WOMEN, nickname, without_accents};
use super::provinces::PROVINCES;
use super::random::{Random, Topic};
use super::typos;
use super::world::World;

/// The truth about one person. Every part of it is invented.
#[derive(Debug, Clone)]
pub struct Person {
    /// Given name.
    pub first_name: &'static str,
    /// Both family names.
    pub surnames: [&'static str; 2],
    /// Date of birth.
    pub born: NaiveDate,
    /// The address that is read.
    pub email: String,
    /// Another one, from work or earlier; some people give it to some systems.
    pub other_email: String,
    /// Nine digits. The range 77 of the Spanish numbering plan is held in reserve, so none of them rings.
    pub phone: String,
}

/// Where somebody lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// Five digits.
    pub postcode: String,
    /// Index of the province; the town is its capital.
    pub province: usize,
}

impl Person {
    /// The truth about `person`.
    pub fn new(world: &World, person: u64) -> Self {
        let mut random = world.random(Topic::Person, [person]);
        let first_name = if random.chance(530) {
            *random.pick(&WOMEN)
        } else {
            *random.pick(&MEN)
        };
        // Early names in the list are common ones.
        let mut surname = || SURNAMES[random.below(80).min(random.below(80)) as usize];
        let surnames = [surname(), surname()];
        let born = NaiveDate::from_ymd_opt(random.between(1938, 2005), 1, 1).unwrap_or_default();
        let born = born + chrono::TimeDelta::days(i64::from(random.below(365)));

        let address = |random: &mut Random, number: u64| {
            let first = ascii_letters(first_name);
            let last = ascii_letters(surnames[0]);
            let name = match random.below(4) {
                0 => format!("{first}.{last}"),
                1 => format!("{first}{last}"),
                2 => format!("{}{last}", &first[..1]),
                _ => format!("{last}.{first}"),
            };
            // The number makes the address unique.
            format!("{name}{number}@{}", random.pick(&MAIL_DOMAINS))
        };
        let email = address(&mut random, world.email_numbers.position(person * 2));
        let other_email = address(&mut random, world.email_numbers.position(person * 2 + 1));
        let phone_owner = if shares_home(world, person) && shares_phone(world, person) {
            person & !1
        } else {
            person
        };
        let phone = format!("77{:07}", world.phone_numbers.position(phone_owner));
        Self {
            first_name,
            surnames,
            born,
            email,
            other_email,
            phone,
        }
    }
}

impl Address {
    /// Where the person of `life` lives on `day`.
    pub fn on(world: &World, life: &Life, day: Day) -> Self {
        let moved = life.moved.is_some_and(|moved| moved <= day);
        // A partner lives in the same flat until one of them moves.
        let home = if shares_home(world, life.person) && !moved {
            life.person & !1
        } else {
            life.person
        };
        let store = if home == life.person {
            life.store
        } else {
            Life::new(world, home).store
        };
        let province = world.stores[store].province;
        let mut random = world.random(Topic::Address, [home, u64::from(moved)]);
        let street = format!("{}, {}", random.pick(&STREETS), random.between(1, 140));
        let flat = if random.chance(600) {
            format!(", {}º {}", random.between(1, 8), random.pick(&["A", "B", "C", "D"]))
        } else {
            String::new()
        };
        let postcode = format!("{}{:03}", PROVINCES[province].code, random.between(1, 40));
        Self {
            street: street + &flat,
            postcode,
            province,
        }
    }
}

/// Neighbouring persons are sometimes a couple with one home …
fn shares_home(world: &World, person: u64) -> bool {
    (person | 1) < world.customers && world.random(Topic::Household, [person >> 1]).chance(160)
}

/// … and sometimes with one telephone.
fn shares_phone(world: &World, person: u64) -> bool {
    world.random(Topic::Household, [person >> 1, 1]).chance(500)
}

/// A person as one system has it on file: the same human, written by somebody in a hurry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Given name as written.
    pub first_name: String,
    /// Family names as written; shops often know only one.
    pub surnames: String,
    /// Date of birth, where the system asks for it.
    pub born: Option<NaiveDate>,
    /// E-mail as written.
    pub email: Option<String>,
    /// Telephone as written.
    pub phone: Option<String>,
}

/// Which system a record is in; each has its own sort of carelessness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// A paper form at the till, typed in by the staff.
    Erp,
    /// A web form, typed in by the customer.
    Shop,
}

impl Record {
    /// The `number`-th record of `person` in `system`.
    pub fn new(world: &World, person: u64, system: System, number: u64) -> Self {
        let truth = Person::new(world, person);
        let mut random = world.random(Topic::Misspelling, [person, system as u64, number]);
        let random = &mut random;
        match system {
            System::Erp => Self {
                first_name: written(called(truth.first_name, random, 60), random, 300),
                surnames: written(&truth.surnames.join(" "), random, 300),
                born: random.chance(850).then(|| mistaken_birth(truth.born, random)),
                email: random.chance(620).then(|| {
                    let own = if random.chance(880) {
                        &truth.email
                    } else {
                        &truth.other_email
                    };
                    if random.chance(50) {
                        typos::email(own, random)
                    } else {
                        own.clone()
                    }
                }),
                phone: random.chance(900).then(|| written_phone(&truth.phone, random)),
            },
            System::Shop => {
                let known = if random.chance(550) {
                    &truth.surnames[..1]
                } else {
                    &truth.surnames[..]
                };
                // A second account exists because the first address was forgotten.
                let own = if number == 0 || random.chance(300) {
                    &truth.email
                } else {
                    &truth.other_email
                };
                let email = if random.chance(15) {
                    typos::email(own, random)
                } else {
                    own.clone()
                };
                Self {
                    first_name: written(called(truth.first_name, random, 120), random, 150),
                    surnames: written(&known.join(" "), random, 150),
                    born: None,
                    email: Some(if random.chance(60) { email.to_uppercase() } else { email }),
                    phone: random.chance(700).then(|| written_phone(&truth.phone, random)),
                }
            }
        }
    }
}

/// The given name, or what friends make of it in `familiar` of a thousand cases.
fn called(name: &'static str, random: &mut Random, familiar: u32) -> &'static str {
    nickname(name).filter(|_| random.chance(familiar)).unwrap_or(name)
}

/// A name as it was typed: accents left out in `careless` of a thousand cases, capitals, slips.
fn written(name: &str, random: &mut Random, careless: u32) -> String {
    let name = if random.chance(30) {
        typos::slip(name, random)
    } else {
        name.to_owned()
    };
    let name = if random.chance(careless) {
        without_accents(&name)
    } else {
        name
    };
    if random.chance(careless / 2) {
        name.to_uppercase()
    } else {
        name
    }
}

fn written_phone(digits: &str, random: &mut Random) -> String {
    let digits = if random.chance(20) {
        typos::wrong_digit(digits, random)
    } else {
        digits.to_owned()
    };
    typos::telephone(&digits, random)
}

/// Day and month are swapped now and then, where that gives a date.
fn mistaken_birth(born: NaiveDate, random: &mut Random) -> NaiveDate {
    let swapped = NaiveDate::from_ymd_opt(born.year(), born.day(), born.month());
    swapped.filter(|_| random.chance(15)).unwrap_or(born)
}

/// Lower-case letters without accents and spaces.
fn ascii_letters(name: &str) -> String {
    without_accents(name)
        .chars()
        .filter(char::is_ascii_alphabetic)
        .collect::<String>()
        .to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn e_mail_addresses_are_unique_and_nobodys() {
        let world = World::new(5_000, 3);
        let people: Vec<Person> = (0..5_000).map(|person| Person::new(&world, person)).collect();
        let addresses: HashSet<&str> = people
            .iter()
            .flat_map(|person| [person.email.as_str(), person.other_email.as_str()])
            .collect();
        assert_eq!(addresses.len(), 10_000);
        assert!(
            addresses
                .iter()
                .all(|address| address.ends_with(".example") && address.is_ascii())
        );
        let phones: HashSet<&str> = people.iter().map(|person| person.phone.as_str()).collect();
        assert!(
            (4_700..5_000).contains(&phones.len()),
            "couples share some: {}",
            phones.len()
        );
        assert!(phones.iter().all(|phone| phone.starts_with("77") && phone.len() == 9));
    }

    #[test]
    fn records_differ_from_the_truth_as_often_as_they_should() {
        let world = World::new(5_000, 3);
        let (mut names, mut emails, mut with_email) = (0, 0, 0);
        for person in 0..5_000 {
            let (truth, record) = (Person::new(&world, person), Record::new(&world, person, System::Erp, 0));
            names += usize::from(record.surnames != truth.surnames.join(" "));
            if let Some(email) = &record.email {
                with_email += 1;
                emails += usize::from(*email != truth.email);
            }
        }
        assert!(
            (1_000..2_500).contains(&names),
            "{names} of 5000 surnames are written differently"
        );
        assert!(
            (2_800..3_400).contains(&with_email),
            "{with_email} of 5000 left an address"
        );
        assert!(
            (emails * 100 / with_email) > 8 && (emails * 100 / with_email) < 25,
            "{emails} of {with_email} differ"
        );
    }

    #[test]
    fn a_move_changes_the_address_within_the_province() {
        let world = World::new(2_000, 3);
        let mut moves = 0;
        for person in 0..2_000 {
            let life = Life::new(&world, person);
            if let Some(day) = life.moved {
                let (before, after) = (Address::on(&world, &life, day - 1), Address::on(&world, &life, day));
                moves += usize::from(before != after);
                assert!(after.postcode.starts_with(PROVINCES[after.province].code));
            }
        }
        assert!((60..200).contains(&moves), "{moves} moves");
    }
}
