//! "Did you mean": the valid name that is nearest to one that is not.

/// How many names a message lists.
const SHOWN: usize = 20;

/// The candidate nearest to `name`, if one is near enough to have been meant. Case does not matter.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().max(name.len()) / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint about a name that is not among the valid ones: "did you mean `email`?", or else the valid ones, which `what`
/// introduces: "the columns are: name, email".
pub fn did_you_mean<'a>(name: &str, what: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    match nearest(name, valid.iter().copied()) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None if valid.is_empty() => "there are none".to_owned(),
        None => format!("{what}: {}", listed(name, valid)),
    }
}

/// The valid names for a message, the nearest to `name` first: twenty, and how many more there are.
pub fn listed<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    let mut sorted: Vec<_> = valid.into_iter().map(|valid| (distance(name, valid), valid)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    let shown: Vec<_> = sorted.iter().take(SHOWN).map(|(_, name)| *name).collect();
    let shown = shown.join(", ");
    match sorted.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(&a.to_lowercase(), &b.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_and_else_all() {
        let columns = ["email", "name"];
        assert_eq!(
            did_you_mean("Emial", "the columns are", columns),
            "did you mean `email`?"
        );
        assert_eq!(
            did_you_mean("zip_code", "the columns are", columns),
            "the columns are: name, email"
        );
        assert_eq!(nearest("custmer_id", ["order_id", "customer_id"]), Some("customer_id"));
        assert_eq!(nearest("zzz", ["order_id", "customer_id"]), None);
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..23).map(|number| format!("column_{number:02}")).collect();
        let listed = listed("column_22", names.iter().map(String::as_str));
        assert!(
            listed.starts_with("column_22, column_02") && listed.ends_with(" and 3 more"),
            "{listed}"
        );
    }
}
