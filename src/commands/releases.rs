//! `cordada releases`: what was published.

use std::collections::BTreeSet;

use cordada_core::Result;
use cordada_lake::{RelationKind, Release};
use cordada_project::Project;

use crate::Outcome;
use crate::output::new_table;

/// Changed relations that a row names; more are counted.
const NAMED: usize = 4;

pub async fn run(project: &Project) -> Result<Outcome> {
    let history = project.lake.releases().history().await?;
    let mut table = new_table(["release", "published", "by", "relations", "changed"]);
    let empty = Release::default();
    let before = std::iter::once(&empty).chain(&history);
    let rows: Vec<_> = before.zip(&history).collect();
    for (before, release) in rows.into_iter().rev() {
        let by = match release.restores {
            Some(number) => format!("{} to {number}", release.by),
            None => release.by.clone(),
        };
        table.add_row([
            release.number.to_string(),
            release.published_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            by,
            release.relations.len().to_string(),
            changed(before, release),
        ]);
    }
    println!("{table}");
    Ok(Outcome::Done)
}

fn changed(before: &Release, after: &Release) -> String {
    let names: BTreeSet<_> = before.relations.keys().chain(after.relations.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| before.relation(name) != after.relation(name));
    let changes: Vec<_> = changed
        .map(|name| match after.relation(name).map(|relation| &relation.kind) {
            Some(RelationKind::Table { version, .. }) => format!("{name} v{version}"),
            Some(RelationKind::View { .. }) => name.to_string(),
            None => format!("{name} dropped"),
        })
        .collect();
    let named = changes.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match changes.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
