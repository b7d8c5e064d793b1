//! Headings as names: none is empty, and no two are the same.

use std::collections::{HashMap, HashSet};

use cordada_core::names::snake_case;

/// The name of a column that has no heading, counted from 0.
pub(crate) fn numbered(at: usize) -> String {
    format!("column_{}", at + 1)
}

/// Names given out one after the other.
#[derive(Debug, Default)]
pub struct Headings {
    taken: HashSet<String>,
    /// The same in snake_case, as columns are called.
    columns: HashSet<String>,
    /// The numbers that equal headings got last.
    numbers: HashMap<String, usize>,
}

impl Headings {
    /// A name for each heading, in their order. One that is empty gets the name that `unnamed` has for it, one that was
    /// there before a number.
    pub fn of(headings: &[String], unnamed: impl Fn(usize) -> String) -> Vec<String> {
        let mut names = Self::default();
        let named: Vec<_> = headings.iter().map(|heading| names.heading(heading)).collect();
        let named = named.into_iter().enumerate();
        named
            .map(|(at, name)| match name.is_empty() {
                true => names.unnamed(&[unnamed(at)]),
                false => name,
            })
            .collect()
    }

    /// The name of a heading; an empty one has none. Those that differ by more than a number are told apart where columns
    /// get their names.
    pub fn heading(&mut self, heading: &str) -> String {
        if heading.is_empty() {
            return String::new();
        }
        let mut name = heading.to_owned();
        while self.taken.contains(&name) {
            let number = self.numbers.entry(heading.to_owned()).or_insert(1);
            *number += 1;
            name = format!("{heading}_{number}");
        }
        self.take(&name);
        name
    }

    /// The first of the candidates that no heading could be taken for, or the last of them with a number.
    pub fn unnamed(&mut self, candidates: &[String]) -> String {
        let last = candidates.last().map_or("column", String::as_str);
        let numbered = (2..).map(|number| format!("{last}_{number}"));
        let mut names = candidates.iter().cloned().chain(numbered);
        let name = names.find(|name| !self.columns.contains(&snake_case(name)));
        let name = name.unwrap_or_default();
        self.take(&name);
        name
    }

    fn take(&mut self, name: &str) {
        self.taken.insert(name.to_owned());
        self.columns.insert(snake_case(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(headings: &[&str]) -> Vec<String> {
        let headings: Vec<_> = headings.iter().map(|heading| (*heading).to_owned()).collect();
        Headings::of(&headings, numbered)
    }

    #[test]
    fn every_column_has_a_name_of_its_own() {
        assert_eq!(
            names(&["id", "Score", "", "Score"]),
            ["id", "Score", "column_3", "Score_2"]
        );
        assert_eq!(names(&["a", "a_2", "a", "a"]), ["a", "a_2", "a_3", "a_4"]);
        assert_eq!(names(&["", "Column 1"]), ["column_1_2", "Column 1"]);
        let mut headings = Headings::default();
        assert_eq!(headings.heading("f"), "f");
        assert_eq!(headings.unnamed(&["F".into(), "column_F".into()]), "column_F");
    }
}
