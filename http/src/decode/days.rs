//! Days that are written as a time with a zone: as an instant the first of a month in Madrid is the last of another.

use serde_json::value::RawValue;

use super::rewrite::{Member, Notation};

/// JSON in which some fields are such days.
pub(super) struct LocalDays<'a> {
    pub(super) fields: &'a [String],
}

impl Notation for LocalDays<'_> {
    const NAME: &'static str = "JSON";

    fn member(&self, _depth: usize, key: &str, value: &RawValue) -> Member {
        if !self.fields.iter().any(|field| field == key) {
            return Member::Stays;
        }
        // What is not a day followed by a midnight stays, so that no hour is lost.
        let day = value.get().strip_prefix('"').and_then(|text| text.split_once('T'));
        let day = day.filter(|(_, time)| time.starts_with("00:00"));
        match day.and_then(|(day, _)| day.parse::<chrono::NaiveDate>().ok()) {
            Some(day) => Member::Is(format!("\"{day}\"")),
            None => Member::Stays,
        }
    }
}
