//! What the columns of a source are called in the lake, from one load to the next.

use std::collections::{BTreeMap, HashMap};

use crate::latin::latin;
use crate::names::snake_case;

/// Characters that a name has at most; what follows is in the column's comment.
const LONGEST: usize = 128;

/// The name of a column of which nothing else tells one.
const NAMELESS: &str = "column";

/// The names of the columns that a table has had, and of the fields of its records.
///
/// A name, once given, stays: what comes later gets another one. Names that would be the same are numbered in the order
/// in which they come. A source's name that is written another way (`Order ID`, `order_id`) is the same column, unless
/// both are there at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceNames {
    known: Vec<Known>,
    /// Names that a user gives, by the source's.
    given: BTreeMap<String, String>,
    /// Names that nothing may have.
    reserved: Vec<&'static str>,
    /// Those of the fields of records, by the columns' names in the lake.
    within: BTreeMap<String, SourceNames>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    source: String,
    lake: String,
}

impl SourceNames {
    /// None so far: `given` are those that a user gives, by the source's; no column may have a `reserved` one.
    pub fn new(given: BTreeMap<String, String>, reserved: Vec<&'static str>) -> Self {
        Self {
            given,
            reserved,
            ..Self::default()
        }
    }

    /// Takes down that the column `lake` is what the source calls `source`; empty if that is not known.
    pub fn know(&mut self, source: &str, lake: &str) {
        if !self.known.iter().any(|known| known.lake == lake) {
            self.known.push(Known {
                source: source.to_owned(),
                lake: lake.to_owned(),
            });
        }
    }

    /// The names of the columns that a source calls `sources`, all of which are there at once.
    pub fn assign(&mut self, sources: &[String]) -> Vec<String> {
        let mut assigned: Vec<Option<usize>> = vec![None; sources.len()];
        let mut used = vec![false; self.known.len()];
        for (source, assigned) in sources.iter().zip(&mut assigned) {
            let given = self.given.get(source);
            let is_it = |known: &Known| known.source == *source && given.is_none_or(|given| known.lake == *given);
            let at = (0..self.known.len()).find(|at| !used[*at] && is_it(&self.known[*at]));
            if let Some(at) = at {
                used[at] = true;
                *assigned = Some(at);
            }
        }
        let mut taken: HashMap<String, usize> = HashMap::new();
        for (at, known) in self.known.iter().enumerate() {
            taken.insert(known.lake.clone(), at);
        }
        for (source, assigned) in sources.iter().zip(&mut assigned) {
            if assigned.is_some() {
                continue;
            }
            let given = self.given.get(source).cloned();
            let is_given = given.is_some();
            let name = given.unwrap_or_else(|| base(source));
            let is_anothers = self.given.values().any(|given| *given == name);
            let same = taken.get(&name).copied().filter(|at| {
                let known = &self.known[*at];
                let is_unknown = !is_anothers && base(&known.source) != known.lake;
                !used[*at] && (is_given || is_unknown || is_written_alike(&known.source, source))
            });
            let at = match same {
                Some(at) => {
                    // What it was called was not known, or somebody else has described the column since.
                    if base(&self.known[at].source) != self.known[at].lake && !is_given {
                        self.known[at].source.clone_from(source);
                    }
                    at
                }
                None => {
                    let name = self.free(name, is_given, &taken);
                    taken.insert(name.clone(), self.known.len());
                    self.known.push(Known {
                        source: source.clone(),
                        lake: name,
                    });
                    used.push(false);
                    self.known.len() - 1
                }
            };
            used[at] = true;
            *assigned = Some(at);
        }
        let names = assigned.into_iter().flatten();
        names.map(|at| self.known[at].lake.clone()).collect()
    }

    /// The name, with a number if another column has it or is to have it.
    fn free(&self, name: String, is_given: bool, taken: &HashMap<String, usize>) -> String {
        let is_free = |name: &str| {
            let is_another = !is_given && self.given.values().any(|given| given == name);
            !taken.contains_key(name) && !self.reserved.contains(&name) && !is_another
        };
        if is_free(&name) {
            return name;
        }
        let numbered = |number: u64| {
            let number = format!("_{number}");
            let kept = name.len().min(LONGEST - number.len());
            name[..kept].to_owned() + &number
        };
        (2..).map(numbered).find(|name| is_free(name)).unwrap_or(name)
    }

    /// The names of the fields of the records in a column.
    pub fn within(&mut self, lake: &str) -> &mut SourceNames {
        let reserved = &self.reserved;
        let within = self.within.entry(lake.to_owned());
        within.or_insert_with(|| SourceNames::new(BTreeMap::new(), reserved.clone()))
    }

    /// The columns: what the source calls each, and its name in the lake.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.known
            .iter()
            .map(|known| (known.source.as_str(), known.lake.as_str()))
    }

    /// The name of a column by what exactly the source calls it: the one that it has, or would have alone.
    pub fn name_of(&self, source: &str) -> String {
        let known = self.known.iter().find(|known| known.source == source);
        known.map_or_else(|| base(source), |known| known.lake.clone())
    }

    /// The names of the fields of the records in a column, if any is known.
    pub fn fields(&self, lake: &str) -> Option<&SourceNames> {
        self.within.get(lake)
    }

    /// What the source calls a column.
    pub fn source(&self, lake: &str) -> Option<&str> {
        let known = self.known.iter().find(|known| known.lake == lake);
        known.map(|known| known.source.as_str())
    }

    /// The column that is `written` so: by its name in the lake, by the source's, or by one that would become it.
    pub fn find(&self, written: &str) -> Option<&str> {
        let find = |is_it: &dyn Fn(&Known) -> bool| self.known.iter().find(|known| is_it(known));
        let snake = snake_case(written);
        let found = find(&|known| known.lake == written)
            .or_else(|| find(&|known| known.source == written))
            .or_else(|| find(&|known| known.lake == snake));
        found.map(|known| known.lake.as_str())
    }

    /// The column, or the field within one, that is `written` so, with a dot before each field. A dot may be part of a
    /// column's name as well.
    pub fn find_path(&self, written: &str) -> Option<String> {
        if let Some(column) = self.find(written) {
            return Some(column.to_owned());
        }
        written.rmatch_indices('.').find_map(|(dot, _)| {
            let column = self.find(&written[..dot])?;
            Some(format!("{column}{}", &written[dot..]))
        })
    }
}

/// The name of a column that is alone.
fn base(source: &str) -> String {
    let mut name = snake_case(source);
    name.truncate(LONGEST);
    match name.trim_end_matches('_') {
        "" => NAMELESS.to_owned(),
        name => name.to_owned(),
    }
}

/// Whether two names differ in capitals, accents and what separates words alone: `Order ID`, `order_id`, `orderId`.
pub fn is_written_alike(one: &str, other: &str) -> bool {
    let letters = |name: &str| -> String {
        let signed = name.trim_start().starts_with('-').then_some('-');
        let latin = latin(name).to_lowercase();
        let rest = latin.chars().filter(|c| !c.is_whitespace() && !"_-./".contains(*c));
        signed.into_iter().chain(rest).collect()
    };
    letters(one) == letters(other)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_that_collide_are_numbered() {
        let mut names = SourceNames::new(BTreeMap::new(), vec!["_load_id"]);
        let sources = [
            "Score %", "Score #", "Score", "Score", "+1", "-1", "👍", "名称", "", "***", "_load_id",
        ];
        let expected = [
            "score",
            "score_2",
            "score_3",
            "score_4",
            "_1",
            "_1_2",
            "thumbsup",
            "ming_cheng",
            "column",
            "column_2",
            "_load_id_2",
        ];
        assert_eq!(names.assign(&texts(&sources)), expected);
        assert_eq!(names.assign(&texts(&sources)), expected);
        assert_eq!(names.find("Score #"), Some("score_2"));
        assert_eq!(names.find("score_2"), Some("score_2"));
    }

    #[test]
    fn a_name_that_is_written_another_way_is_the_same_column_unless_both_are_there() {
        let mut names = SourceNames::default();
        assert_eq!(names.assign(&texts(&["Order ID"])), ["order_id"]);
        assert_eq!(names.assign(&texts(&["order_id"])), ["order_id"]);
        assert_eq!(
            names.assign(&texts(&["orderId", "Order ID"])),
            ["order_id_2", "order_id"]
        );
        assert_eq!(names.assign(&texts(&["+1"])), ["_1"]);
        assert_eq!(names.assign(&texts(&["-1"])), ["_1_2"]);
    }

    #[test]
    fn a_user_gives_names() {
        let given = BTreeMap::from([("Score %".to_owned(), "percent".to_owned())]);
        let mut names = SourceNames::new(given.clone(), Vec::new());
        assert_eq!(names.assign(&texts(&["percent", "Score %"])), ["percent_2", "percent"]);
        let mut names = SourceNames::new(given, Vec::new());
        names.know("Score %", "score");
        assert_eq!(names.assign(&texts(&["Score %", "Score #"])), ["percent", "score_2"]);
    }

    #[test]
    fn a_column_of_which_only_the_name_is_known_is_the_first_that_would_have_it() {
        let mut names = SourceNames::default();
        names.know("", "score");
        assert_eq!(names.assign(&texts(&["Score %", "Score #"])), ["score", "score_2"]);
        assert_eq!(names.source("score"), Some("Score %"));
    }

    #[test]
    fn paths_lead_into_records_and_names_may_have_dots() {
        let mut names = SourceNames::default();
        names.assign(&texts(&["Customer", "a.b"]));
        assert_eq!(names.find_path("Customer.e-mail").as_deref(), Some("customer.e-mail"));
        assert_eq!(names.find_path("a.b").as_deref(), Some("a_b"));
        assert_eq!(names.find_path("a.b.c").as_deref(), Some("a_b.c"));
        assert_eq!(names.find_path("x.b"), None);
    }

    #[test]
    fn long_names_end() {
        let mut names = SourceNames::default();
        let long = "x".repeat(300);
        let names = names.assign(&[long.clone() + "1", long + "2"]);
        assert_eq!((names[0].len(), names[1].len()), (LONGEST, LONGEST));
        assert!(names[1].ends_with("x_2"));
    }

    proptest! {
        #[test]
        fn names_are_distinct_and_stay(loads in prop::collection::vec(
            prop::collection::vec("[aA+% _é1]{0,3}|\\PC{0,8}", 0..6), 1..6,
        )) {
            let mut names = SourceNames::default();
            let mut first: HashMap<String, String> = HashMap::new();
            for sources in &loads {
                let assigned = names.assign(sources);
                let mut distinct = assigned.clone();
                distinct.sort();
                distinct.dedup();
                prop_assert_eq!(distinct.len(), sources.len());
                for (source, name) in sources.iter().zip(&assigned) {
                    prop_assert_eq!(&snake_case(name), name);
                    let once = sources.iter().filter(|other| *other == source).count() == 1;
                    if once && names.source(name) == Some(source) {
                        let before = first.entry(source.clone()).or_insert_with(|| name.clone());
                        prop_assert_eq!(before, name);
                    }
                }
            }
        }
    }
}
