//! What the columns of a source are called in the lake, from one load to the next.

use std::collections::{BTreeMap, HashMap, HashSet};

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
#[derive(Debug, Clone, Default)]
pub struct SourceNames {
    known: Vec<Known>,
    /// Where in `known` a column is, by its name in the lake.
    by_lake: HashMap<String, usize>,
    /// Where they are, in their order, by what the source calls them.
    by_source: HashMap<String, Vec<usize>>,
    /// The number that a name got last, of those that many columns would have.
    numbers: HashMap<String, u64>,
    /// Names that a user gives, by the source's.
    given: BTreeMap<String, String>,
    /// These names alone.
    given_names: HashSet<String>,
    /// Names that nothing may have.
    reserved: Vec<&'static str>,
    /// Those of the fields of records, by the columns' names in the lake.
    within: BTreeMap<String, SourceNames>,
}

#[derive(Debug, Clone)]
struct Known {
    source: String,
    lake: String,
}

impl SourceNames {
    /// None so far: `given` are those that a user gives, by the source's; no column may have a `reserved` one.
    pub fn new(given: BTreeMap<String, String>, reserved: Vec<&'static str>) -> Self {
        Self {
            given_names: given.values().cloned().collect(),
            given,
            reserved,
            ..Self::default()
        }
    }

    /// Takes down that the column `lake` is what the source calls `source`; empty if that is not known.
    pub fn know(&mut self, source: &str, lake: &str) {
        if !self.by_lake.contains_key(lake) {
            self.add(source, lake.to_owned());
        }
    }

    fn add(&mut self, source: &str, lake: String) -> usize {
        let at = self.known.len();
        self.by_lake.insert(lake.clone(), at);
        self.by_source.entry(source.to_owned()).or_default().push(at);
        self.known.push(Known {
            source: source.to_owned(),
            lake,
        });
        at
    }

    /// Takes down what the source calls a column of which something else was known.
    fn call(&mut self, at: usize, source: &str) {
        if let Some(places) = self.by_source.get_mut(&self.known[at].source) {
            places.retain(|place| *place != at);
        }
        let places = self.by_source.entry(source.to_owned()).or_default();
        let order = places.partition_point(|place| *place < at);
        places.insert(order, at);
        source.clone_into(&mut self.known[at].source);
    }

    /// The names of the columns that a source calls `sources`, all of which are there at once.
    pub fn assign(&mut self, sources: &[String]) -> Vec<String> {
        let mut assigned: Vec<Option<usize>> = vec![None; sources.len()];
        let mut used = vec![false; self.known.len()];
        for (source, assigned) in sources.iter().zip(&mut assigned) {
            let given = self.given.get(source);
            let is_it = |at: &usize| !used[*at] && given.is_none_or(|given| self.known[*at].lake == *given);
            let at = self
                .by_source
                .get(source)
                .and_then(|places| places.iter().copied().find(is_it));
            if let Some(at) = at {
                used[at] = true;
                *assigned = Some(at);
            }
        }
        for (source, assigned) in sources.iter().zip(&mut assigned) {
            if assigned.is_some() {
                continue;
            }
            let given = self.given.get(source).cloned();
            let is_given = given.is_some();
            let name = given.unwrap_or_else(|| base(source));
            let is_anothers = self.given_names.contains(&name);
            let same = self.by_lake.get(&name).copied().filter(|at| {
                let known = &self.known[*at];
                let is_unknown = !is_anothers && base(&known.source) != known.lake;
                !used[*at] && (is_given || is_unknown || is_written_alike(&known.source, source))
            });
            let at = match same {
                Some(at) => {
                    // What it was called was not known, or somebody else has described the column since.
                    if base(&self.known[at].source) != self.known[at].lake && !is_given {
                        self.call(at, source);
                    }
                    at
                }
                None => {
                    let name = self.free(name, is_given);
                    used.push(false);
                    self.add(source, name)
                }
            };
            used[at] = true;
            *assigned = Some(at);
        }
        let names = assigned.into_iter().flatten();
        names.map(|at| self.known[at].lake.clone()).collect()
    }

    /// The name, with a number if another column has it or is to have it.
    fn free(&mut self, name: String, is_given: bool) -> String {
        let is_free = |name: &str| {
            let is_another = !is_given && self.given_names.contains(name);
            !self.by_lake.contains_key(name) && !self.reserved.contains(&name) && !is_another
        };
        if is_free(&name) {
            return name;
        }
        let numbered = |number: u64| {
            let end = format!("_{number}");
            let kept = name.floor_char_boundary(LONGEST - end.len());
            (number, name[..kept].to_owned() + &end)
        };
        // Of many columns that would have one name each would try all numbers of those before.
        let first = self.numbers.get(&name).map_or(2, |last| last + 1);
        let free = (first..).map(numbered).find(|(_, name)| is_free(name));
        let Some((number, numbered)) = free else {
            return name;
        };
        self.numbers.insert(name, number);
        numbered
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
        let known = self.by_source.get(source).and_then(|places| places.first());
        known.map_or_else(|| base(source), |at| self.known[*at].lake.clone())
    }

    /// The names of the fields of the records in a column, if any is known.
    pub fn fields(&self, lake: &str) -> Option<&SourceNames> {
        self.within.get(lake)
    }

    /// What the source calls a column.
    pub fn source(&self, lake: &str) -> Option<&str> {
        let known = self.by_lake.get(lake);
        known.map(|at| self.known[*at].source.as_str())
    }

    /// The column that is `written` so: by its name in the lake, by the source's, or by that written another way.
    pub fn find(&self, written: &str) -> Option<&str> {
        let found = self
            .by_lake
            .get(written)
            .or_else(|| self.by_source.get(written).and_then(|places| places.first()));
        let alike = || {
            let at = self.by_lake.get(&snake_case(written))?;
            Some(at).filter(|at| is_column(&self.known[**at].source, &self.known[**at].lake, written))
        };
        let at = found.or_else(alike)?;
        Some(&self.known[*at].lake)
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

/// Whether what is `written` so may be the column `lake`, which the source calls `source`, as far as that is known: by
/// either name, or by the source's written another way. `Score #` is not `Score %`, though either would be `score` alone.
pub fn is_column(source: &str, lake: &str, written: &str) -> bool {
    if written == lake || written == source {
        return true;
    }
    let is_known = base(source) == lake;
    snake_case(written) == lake && (!is_known || is_written_alike(source, written))
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
    fn a_name_that_would_only_become_the_same_is_another_column() {
        let mut names = SourceNames::default();
        names.assign(&texts(&["Score #", "Order ID"]));
        assert_eq!(names.find("Score %"), None);
        assert_eq!(names.find("score"), Some("score"));
        assert_eq!(names.find("order-id"), Some("order_id"));
    }

    #[test]
    fn long_names_end() {
        let mut names = SourceNames::default();
        let long = "x".repeat(300);
        let names = names.assign(&[long.clone() + "1", long + "2"]);
        assert_eq!((names[0].len(), names[1].len()), (LONGEST, LONGEST));
        assert!(names[1].ends_with("x_2"));
    }

    #[test]
    fn a_long_name_that_a_user_gives_is_cut_between_characters() {
        let name = "a".to_owned() + &"ñ".repeat(100);
        let given = [("a", &name), ("b", &name)].map(|(source, name)| (source.to_owned(), name.clone()));
        let mut names = SourceNames::new(BTreeMap::from(given), Vec::new());
        let names = names.assign(&texts(&["a", "b"]));
        assert_eq!(names[0], name);
        assert!(names[1].starts_with("añ") && names[1].ends_with("ñ_2"));
    }

    #[test]
    fn a_column_keeps_its_name_once_the_source_calls_it_something_else() {
        let mut names = SourceNames::default();
        names.know("a comment of somebody", "score");
        assert_eq!(names.assign(&texts(&["Score %"])), ["score"]);
        assert_eq!(names.name_of("Score %"), "score");
        assert_eq!(
            names.assign(&texts(&["a comment of somebody", "Score %"])),
            ["a_comment_of_somebody", "score"]
        );
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
