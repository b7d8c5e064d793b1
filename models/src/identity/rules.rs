//! Rules that join without weighing: whoever has the same login or loyalty card is one person.

use super::clusters::{Edge, Reason};
use super::kind::Kind;
use super::records::Records;

/// Up to this many records of one value are linked each with each, so that one that is kept apart does not keep others
/// apart.
const MESH: usize = 16;

/// The links between records that share a value of a field of kind `identifier`.
pub(crate) fn edges(records: &Records) -> Vec<Edge> {
    let mut edges = Vec::new();
    let identifiers = (0..records.fields.len()).filter(|at| records.fields[*at].kind == Kind::Identifier);
    for field in identifiers {
        let mut holders: Vec<(u32, u32)> = Vec::new();
        for record in 0..records.len() as u32 {
            let values = records.values_of(field, records.row(record)[field]);
            let shared = values.filter(|value| records.fields[field].counts[*value as usize] > 1);
            holders.extend(shared.map(|value| (value, record)));
        }
        holders.sort_unstable();
        for group in holders.chunk_by(|a, b| a.0 == b.0) {
            for (at, (_, a)) in group.iter().enumerate() {
                let others = if group.len() <= MESH || at == 0 {
                    group.len()
                } else {
                    (at + 2).min(group.len())
                };
                edges.extend(group[at + 1..others.max(at + 1)].iter().map(|(_, b)| Edge {
                    a: *a,
                    b: *b,
                    reason: Reason::Rule,
                    weight: 0.0,
                }));
            }
        }
    }
    edges
}
