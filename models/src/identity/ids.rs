//! Who a person is from one run to the next: identifiers that outlive rebuilds, and a record of those that change.

use std::collections::{BTreeSet, HashSet};

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A change of identifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    pub from: Uuid,
    pub to: Uuid,
    /// Whether the records left one who is still there, or took all of him along.
    pub kind: ChangeKind,
    /// How many records have another identifier now.
    pub records: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ChangeKind {
    Merge,
    Split,
}

/// The identifiers of persons.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// For each record the identifier of its person.
    pub ids: Vec<Uuid>,
    /// What is different from before, in ascending order.
    pub changes: Vec<Change>,
}

/// Names persons. `labels` has for each record the least record of its person, `before` the identifier that it had, and
/// `gone` those of records that are not there any more. `key` is a record's key.
///
/// A person keeps the identifier that most of its records had. Of two persons that could have the same one, the one with
/// more of its records has it. A new one is made of the key of the person's least record, so that undoing a merge brings
/// back the one that went.
pub(crate) fn name<'a>(labels: &[u32], before: &[Option<Uuid>], gone: &[Uuid], key: impl Fn(u32) -> &'a str) -> Named {
    let mut claims: Vec<(Uuid, u32)> = labels
        .iter()
        .zip(before)
        .filter_map(|(label, before)| Some(((*before)?, *label)))
        .collect();
    claims.sort_unstable();
    let mut claims: Vec<(u32, Uuid, u32)> = claims
        .chunk_by(|a, b| a == b)
        .map(|group| (group.len() as u32, group[0].0, group[0].1))
        .collect();
    claims.sort_unstable_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut of_label: Vec<Option<Uuid>> = vec![None; labels.len()];
    let mut kept: HashSet<Uuid> = HashSet::new();
    for (_, id, label) in &claims {
        let place = &mut of_label[*label as usize];
        if place.is_none() && kept.insert(*id) {
            *place = Some(*id);
        }
    }
    let mut taken: Vec<Uuid> = claims
        .iter()
        .map(|(_, id, _)| *id)
        .chain(gone.iter().copied())
        .collect();
    taken.sort_unstable();
    for record in 0..labels.len() {
        if labels[record] as usize == record && of_label[record].is_none() {
            // Those made of other keys are others.
            of_label[record] = (0..)
                .map(|attempt| made_of(key(record as u32), attempt))
                .find(|id| taken.binary_search(id).is_err());
        }
    }
    let ids: Vec<Uuid> = labels
        .iter()
        .map(|label| of_label[*label as usize].unwrap_or_default())
        .collect();
    let mut changes = BTreeSet::new();
    for (records, from, label) in claims {
        let to = of_label[label as usize].unwrap_or_default();
        if to != from {
            changes.insert(Change {
                from,
                to,
                kind: if kept.contains(&from) {
                    ChangeKind::Split
                } else {
                    ChangeKind::Merge
                },
                records,
            });
        }
    }
    Named {
        ids,
        changes: changes.into_iter().collect(),
    }
}

/// An identifier made of a key.
fn made_of(key: &str, attempt: u32) -> Uuid {
    let hash = Sha256::new()
        .chain_update(attempt.to_le_bytes())
        .chain_update(key)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // Version 8: of a form of our own.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    fn named(labels: &[u32], before: &[Option<Uuid>]) -> Named {
        name(labels, before, &[], |record| KEYS[record as usize])
    }

    fn all(ids: &[Uuid]) -> Vec<Option<Uuid>> {
        ids.iter().copied().map(Some).collect()
    }

    #[test]
    fn ids_stay_and_changes_are_told() {
        let first = named(&[0, 0, 2, 2, 2, 5], &[None; 6]);
        assert!(first.changes.is_empty());
        assert_eq!(first.ids.iter().collect::<HashSet<_>>().len(), 3);
        assert_eq!(first.ids[0].get_version_num(), 8);
        let again = named(&[0, 0, 2, 2, 2, 5], &all(&first.ids));
        assert_eq!((again.ids.clone(), again.changes.len()), (first.ids.clone(), 0));

        // Two become one: the larger gives its name.
        let merged = named(&[0, 0, 0, 0, 0, 5], &all(&first.ids));
        assert_eq!(merged.ids[0], first.ids[2]);
        assert_eq!(
            merged.changes,
            [Change {
                from: first.ids[0],
                to: first.ids[2],
                kind: ChangeKind::Merge,
                records: 2
            }]
        );
        // And are two again: both have the names that they had.
        let split = named(&[0, 0, 2, 2, 2, 5], &all(&merged.ids));
        assert_eq!(split.ids, first.ids);
        assert_eq!(split.changes[0].kind, ChangeKind::Split);
    }

    #[test]
    fn no_name_is_given_twice() {
        let first = named(&[0, 0, 0, 0, 4, 5], &[None; 6]);
        // All leave in pairs.
        let split = named(&[0, 1, 0, 1, 4, 5], &all(&first.ids));
        let distinct: HashSet<_> = split.ids.iter().collect();
        assert_eq!(distinct.len(), 4);
        assert!(split.ids.contains(&first.ids[0]));
        let used = name(&[0], &[None], &[made_of("a", 0)], |_| "a");
        assert_eq!(used.ids, [made_of("a", 1)]);
    }
}
