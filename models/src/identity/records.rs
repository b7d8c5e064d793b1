//! The records of one run, as numbers of their values, in an order that does not depend on the order of the rows.

use super::kind::Kind;
use super::normalise::phone::Dialling;
use super::normalise::{address, company, date, email, name, national_id, text};
use super::values::{Values, ValuesBuilder};
use super::{hash, threads};

/// What is not there.
pub(crate) const NONE: u32 = 0;

/// The bit of a number that stands for several values.
const LIST: u32 = 1 << 31;

/// How many times it is guessed where a key is, before it is looked for in halves.
const GUESSES: u32 = 12;

/// What is compared: columns of one meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpec {
    /// How outputs call it.
    pub name: String,
    pub kind: Kind,
}

/// A field of all records.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: String,
    pub kind: Kind,
    pub values: Values,
    /// How many records have each value.
    pub counts: Vec<u32>,
    /// How many records have a value.
    pub present: u32,
    /// Several values of one record, each list once a record.
    lists: Vec<Box<[u32]>>,
}

/// Records in ascending order of the hashes of their keys.
#[derive(Debug)]
pub(crate) struct Records {
    pub fields: Vec<Field>,
    keys: Values,
    /// For each record the number of its key.
    order: Vec<u32>,
    /// For each record and field a value's number and one, or a list's with [`LIST`], or [`NONE`].
    numbers: Vec<u32>,
    /// Whether each is a company, and no person.
    companies: Vec<bool>,
}

/// How values are written in the country of the company whose data it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Customs {
    pub dialling: Dialling,
    pub postcode_digits: Option<usize>,
}

impl Records {
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn key(&self, record: u32) -> &str {
        self.keys.get(self.order[record as usize])
    }

    pub(crate) fn is_company(&self, record: u32) -> bool {
        self.companies[record as usize]
    }

    /// The numbers of a record, one a field; equal ones are equal values.
    pub(crate) fn row(&self, record: u32) -> &[u32] {
        let width = self.fields.len();
        &self.numbers[record as usize * width..][..width]
    }

    /// The values that a number of a field stands for.
    pub(crate) fn values_of(&self, field: usize, number: u32) -> Several<'_> {
        match number {
            NONE => Several::None,
            _ if number & LIST == 0 => Several::One(number - 1),
            _ => Several::Many(&self.fields[field].lists[(number & !LIST) as usize]),
        }
    }

    /// Whether one of two numbers stands for several values.
    pub(crate) fn is_several(&self, a: u32, b: u32) -> bool {
        (a | b) & LIST != 0
    }

    /// The records by key.
    pub(crate) fn by_key(&self) -> impl Fn(&str) -> Option<u32> {
        move |key| {
            let wanted = hash::of_bytes(key.as_bytes());
            let (mut from, mut to) = (0, self.len() as u32);
            // Hashes are spread evenly, so that where one is can be told from those around it.
            let (mut low, mut high) = (0, u64::MAX);
            let mut guesses = 0;
            while from < to {
                let part = match high - low {
                    width if width > 0 && guesses < GUESSES => (wanted - low) as f64 / width as f64,
                    _ => 0.5,
                };
                let middle = from + ((f64::from(to - from) * part) as u32).min(to - from - 1);
                guesses += 1;
                let here = self.key(middle);
                let hash = hash::of_bytes(here.as_bytes());
                if (hash, here) < (wanted, key) {
                    (from, low) = (middle + 1, hash);
                } else {
                    (to, high) = (middle, hash);
                }
            }
            Some(from).filter(|at| (*at as usize) < self.len() && self.key(*at) == key)
        }
    }

    /// Takes values away that more than `limit` differently named records share. Says how many values that were.
    pub(crate) fn limit(&mut self, field: usize, limit: usize) -> usize {
        if self.fields[field].counts.iter().all(|count| *count as usize <= limit) {
            return 0;
        }
        let names: Vec<usize> = (0..self.fields.len())
            .filter(|at| self.fields[*at].kind.is_name())
            .collect();
        let mut shared = Vec::new();
        for record in 0..self.len() as u32 {
            let row = self.row(record);
            let name = names.iter().fold(0, |name, at| hash::mix(name, u64::from(row[*at])));
            // Without a name, each is somebody else.
            let name = if name == 0 || names.iter().all(|at| row[*at] == NONE) {
                hash::mix(u64::from(record), 1)
            } else {
                name
            };
            for value in self.values_of(field, row[field]) {
                if self.fields[field].counts[value as usize] as usize > limit {
                    shared.push((value, name));
                }
            }
        }
        shared.sort_unstable();
        shared.dedup();
        let mut taken = vec![false; self.fields[field].values.len()];
        let groups = shared.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > limit);
        let count = groups.map(|group| taken[group[0].0 as usize] = true).count();
        if count > 0 {
            self.take(field, &taken);
        }
        count
    }

    fn take(&mut self, field: usize, taken: &[bool]) {
        let width = self.fields.len();
        let Field {
            lists, counts, present, ..
        } = &mut self.fields[field];
        for number in self.numbers.iter_mut().skip(field).step_by(width) {
            if *number & LIST != 0 {
                let list = &mut lists[(*number & !LIST) as usize];
                *list = list.iter().copied().filter(|value| !taken[*value as usize]).collect();
                if list.is_empty() {
                    *number = NONE;
                    *present -= 1;
                }
            } else if *number != NONE && taken[*number as usize - 1] {
                *number = NONE;
                *present -= 1;
            }
        }
        counts
            .iter_mut()
            .zip(taken)
            .filter(|(_, taken)| **taken)
            .for_each(|(count, _)| *count = 0);
    }
}

/// The values of a field of one record.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Several<'a> {
    None,
    One(u32),
    Many(&'a [u32]),
}

impl Iterator for Several<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match *self {
            Self::None => None,
            Self::One(value) => {
                *self = Self::None;
                Some(value)
            }
            Self::Many(values) => {
                let (first, rest) = values.split_first()?;
                *self = Self::Many(rest);
                Some(*first)
            }
        }
    }
}

/// Puts records together, field by field.
#[derive(Debug)]
pub(crate) struct RecordsBuilder {
    pub(crate) fields: Vec<FieldBuilder>,
    keys: ValuesBuilder,
    rows: usize,
}

/// The texts of a record's field, as its row has them.
#[derive(Debug)]
pub(crate) struct FieldBuilder {
    spec: FieldSpec,
    customs: Customs,
    values: ValuesBuilder,
    numbers: Vec<u32>,
    lists: Vec<Box<[u32]>>,
    /// What the last texts were normalised to: names and towns come again and again.
    known: Vec<Option<(Box<str>, u32)>>,
    /// The values of the record at hand.
    current: Vec<u32>,
}

/// The field at a position, with the numbers of all records.
struct Finished {
    at: usize,
    field: Field,
    numbers: Vec<u32>,
}

/// How many rows a thread puts together at a time.
const TOGETHER: usize = 1 << 12;

/// How many texts a field remembers what they were normalised to.
const KNOWN: usize = 1 << 14;

impl RecordsBuilder {
    pub(crate) fn new(specs: &[FieldSpec], customs: Customs) -> Self {
        let field = |spec: &FieldSpec| FieldBuilder {
            spec: spec.clone(),
            customs,
            values: ValuesBuilder::default(),
            numbers: Vec::new(),
            lists: Vec::new(),
            known: vec![None; KNOWN],
            current: Vec::new(),
        };
        Self {
            fields: specs.iter().map(field).collect(),
            keys: ValuesBuilder::default(),
            rows: 0,
        }
    }

    /// Adds a record by its key, whose fields are added to each of them. False if there is one of that key.
    pub(crate) fn key(&mut self, key: &str) -> bool {
        let number = self.keys.number(key);
        self.rows += 1;
        number as usize + 1 == self.rows
    }

    pub(crate) fn finish(self) -> Records {
        let keys = self.keys.finish();
        let mut order: Vec<(u64, u32)> = keys
            .iter()
            .zip(0..)
            .map(|(key, number)| (hash::of_bytes(key.as_bytes()), number))
            .collect();
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| keys.get(a.1).cmp(keys.get(b.1))));
        let order: Vec<u32> = order.into_iter().map(|(_, number)| number).collect();
        let mut states: Vec<Vec<Finished>> = (0..threads::cores()).map(|_| Vec::new()).collect();
        threads::each_of(self.fields.into_iter().enumerate(), &mut states, |made, (at, field)| {
            made.push(field.finish(at, &order));
        });
        let mut made: Vec<Finished> = states.into_iter().flatten().collect();
        made.sort_unstable_by_key(|field| field.at);
        let (fields, columns): (Vec<Field>, Vec<Vec<u32>>) = made.into_iter().map(|of| (of.field, of.numbers)).unzip();
        let width = fields.len();
        let mut numbers = vec![NONE; order.len() * width];
        let rows = numbers.chunks_mut((TOGETHER * width).max(1)).enumerate();
        threads::each_of(rows, &mut vec![(); threads::cores()], |(), (at, rows)| {
            for (record, row) in rows.chunks_exact_mut(width).enumerate() {
                for (number, column) in row.iter_mut().zip(&columns) {
                    *number = column[at * TOGETHER + record];
                }
            }
        });
        drop(columns);
        let mut records = Records {
            fields,
            keys,
            order,
            numbers,
            companies: Vec::new(),
        };
        records.companies = (0..records.len() as u32)
            .map(|record| is_company(&records, record))
            .collect();
        records
    }
}

/// Whether a record has a company's name or number, and no person's name.
fn is_company(records: &Records, record: u32) -> bool {
    let mut is_company = false;
    for (at, (field, number)) in records.fields.iter().zip(records.row(record)).enumerate() {
        match field.kind {
            _ if *number == NONE => {}
            kind if kind.is_name() => return false,
            Kind::Company => is_company = true,
            Kind::NationalId => {
                is_company |= records
                    .values_of(at, *number)
                    .any(|value| national_id::is_companys(field.values.get(value)));
            }
            _ => {}
        }
    }
    is_company
}

impl FieldBuilder {
    /// Adds a text to the record at hand.
    pub(crate) fn text(&mut self, text: &str) {
        let slot = hash::of_bytes(text.as_bytes()) as usize & (KNOWN - 1);
        let number = match &self.known[slot] {
            Some((known, number)) if &**known == text => *number,
            _ => {
                let value = normalised(self.spec.kind, text, self.customs);
                let number = value.map_or(NONE, |value| self.values.number(&value) + 1);
                self.known[slot] = Some((text.into(), number));
                number
            }
        };
        if number != NONE && !self.current.contains(&(number - 1)) {
            self.current.push(number - 1);
        }
    }

    /// The field, and the numbers of the records in this order.
    ///
    /// Values are numbered anew, as they come in that order: so numbers do not depend on the order of the rows, and what is
    /// known of the values of one record after the other lies in memory one after the other.
    fn finish(mut self, at: usize, order: &[u32]) -> Finished {
        let known = self.values.finish();
        let mut number_of = vec![NONE; known.len()];
        let (mut as_they_come, mut counts) = (Vec::with_capacity(known.len()), Vec::with_capacity(known.len()));
        let mut renumber = |value: u32| {
            let number = &mut number_of[value as usize];
            if *number == NONE {
                as_they_come.push(value);
                counts.push(0);
                *number = as_they_come.len() as u32;
            }
            counts[*number as usize - 1] += 1;
            *number
        };
        let numbers: Vec<u32> = order
            .iter()
            .map(|key| match self.numbers[*key as usize] {
                NONE => NONE,
                list if list & LIST != 0 => {
                    let values = &mut self.lists[(list & !LIST) as usize];
                    values.iter_mut().for_each(|value| *value = renumber(*value) - 1);
                    list
                }
                value => renumber(value - 1),
            })
            .collect();
        let field = Field {
            name: self.spec.name,
            kind: self.spec.kind,
            values: known.in_order(&as_they_come),
            counts,
            present: numbers.iter().filter(|number| **number != NONE).count() as u32,
            lists: self.lists,
        };
        Finished { at, field, numbers }
    }

    /// Ends the record at hand.
    pub(crate) fn end(&mut self) {
        let number = match self.current.as_slice() {
            [] => NONE,
            [value] => value + 1,
            several => {
                self.lists.push(several.into());
                (self.lists.len() - 1) as u32 | LIST
            }
        };
        self.current.clear();
        self.numbers.push(number);
    }
}

/// A value as it is compared.
pub(crate) fn normalised(kind: Kind, value: &str, customs: Customs) -> Option<String> {
    match kind {
        Kind::GivenName => name::given(value),
        Kind::Surname => name::surname(value),
        Kind::FullName => name::full(value),
        Kind::Company => company::company(value),
        Kind::NationalId => national_id::national_id(value),
        Kind::Email => email::email(value),
        Kind::Phone => customs.dialling.phone(value),
        Kind::BornOn | Kind::Date => date::date(value),
        Kind::Street | Kind::Address => address::street(value),
        Kind::StreetNumber => address::number(value),
        Kind::Postcode => address::postcode(value, customs.postcode_digits),
        Kind::Identifier | Kind::Category | Kind::City | Kind::Region | Kind::Text => text::meaningful(value),
        Kind::Number => Some(value.trim().to_owned()).filter(|number| number.parse::<f64>().is_ok()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// Records with the keys 0, 1, … and these texts, none where a text is empty.
    pub(crate) fn records(kinds: &[Kind], rows: &[Vec<String>]) -> Records {
        let spec = |kind: &Kind| FieldSpec {
            name: format!("{kind:?}"),
            kind: *kind,
        };
        let customs = Customs {
            dialling: Dialling::of("ES").unwrap(),
            postcode_digits: Some(5),
        };
        let mut builder = RecordsBuilder::new(&kinds.iter().map(spec).collect::<Vec<_>>(), customs);
        for (key, row) in rows.iter().enumerate() {
            assert!(builder.key(&key.to_string()));
            for (field, text) in builder.fields.iter_mut().zip(row) {
                text.split('|').for_each(|text| field.text(text));
                field.end();
            }
        }
        builder.finish()
    }

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        let row = |row: &&[&str]| row.iter().map(|text| (*text).to_owned()).collect();
        rows.iter().map(row).collect()
    }

    #[test]
    fn records_are_found_by_key_with_their_values() {
        let kinds = [Kind::GivenName, Kind::Phone];
        let records = records(
            &kinds,
            &rows(&[&["Ana", "770111222|770 333 444"], &["ANA", ""], &["Eva", "770111222"]]),
        );
        let find = records.by_key();
        let of = |key: &str, field: usize| -> Vec<&str> {
            let record = find(key).unwrap();
            let values = records.values_of(field, records.row(record)[field]);
            values.map(|value| records.fields[field].values.get(value)).collect()
        };
        assert_eq!(of("0", 1), ["+34770111222", "+34770333444"]);
        assert_eq!((of("1", 0), of("1", 1).len()), (vec!["ana"], 0));
        assert_eq!(records.row(find("0").unwrap())[0], records.row(find("1").unwrap())[0]);
        assert_eq!(records.fields[1].counts.iter().sum::<u32>(), 3);
        assert_eq!((records.fields[1].present, find("3")), (2, None));
    }

    #[test]
    fn what_too_many_share_is_taken_away_and_a_family_keeps_it() {
        let mut all = rows(&[
            &["Ana", "770111222|770333444"],
            &["Luis", "770333444"],
            &["Eva", "770333444"],
        ]);
        // One person with many records is not many.
        all.extend((0..30).map(|_| vec!["Ana".to_owned(), "770555666".to_owned()]));
        all.extend((0..30).map(|at| vec![format!("Name{at}"), "770777888".to_owned()]));
        let mut records = records(&[Kind::GivenName, Kind::Phone], &all);
        assert_eq!(records.limit(1, 3), 1);
        let kept = |phone: &str| {
            records.fields[1]
                .values
                .iter()
                .zip(&records.fields[1].counts)
                .any(|(value, count)| value == phone && *count > 0)
        };
        assert!(kept("+34770333444") && kept("+34770555666") && !kept("+34770777888"));
        assert_eq!(records.fields[1].present, 33);
        assert_eq!(records.limit(1, 2), 1, "the family");
        let find = records.by_key();
        let first = find("0").unwrap();
        assert_eq!(
            records.values_of(1, records.row(first)[1]).count(),
            1,
            "the other number stays"
        );
    }

    #[test]
    fn companies_have_no_persons_name() {
        let kinds = [Kind::Surname, Kind::Company, Kind::NationalId];
        let records = records(
            &kinds,
            &rows(&[
                &["Gil", "Aceites SL", ""],
                &["", "Aceites SL", ""],
                &["", "", "A58818501"],
                &["", "", "12345678Z"],
            ]),
        );
        let find = records.by_key();
        let are: Vec<bool> = (0..4)
            .map(|key| records.is_company(find(&key.to_string()).unwrap()))
            .collect();
        assert_eq!(are, [false, true, true, false]);
    }
}
