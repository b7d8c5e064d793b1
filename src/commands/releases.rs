//! `cordada releases`: what was published.

use cordada_core::Result;
use cordada_lake::RelationKind;
use cordada_lake::release::Changes;
use cordada_project::Project;
use futures::TryStreamExt;

use crate::Outcome;
use crate::output::new_table;

/// Changed relations that a row names; more are counted.
const NAMED: usize = 4;

pub async fn run(project: &Project) -> Result<Outcome> {
    let mut history = std::pin::pin!(project.lake.releases().history());
    let mut table = new_table(["release", "published", "by", "relations", "changed"]);
    while let Some(release) = history.try_next().await? {
        let head = &release.head;
        let by = match head.restores {
            Some(number) => format!("{} to {number}", head.by),
            None => head.by.clone(),
        };
        table.add_row([
            head.number.to_string(),
            head.published_at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
            by,
            head.relation_count.to_string(),
            changed(&release.changes),
        ]);
    }
    println!("{table}");
    Ok(Outcome::Done)
}

fn changed(changes: &Changes) -> String {
    let named =
        changes.iter().take(NAMED).map(
            |(name, relation)| match relation.as_ref().map(|relation| &relation.kind) {
                Some(RelationKind::Table { version, .. }) => format!("{name} v{version}"),
                Some(RelationKind::View { .. }) => name.to_string(),
                None => format!("{name} dropped"),
            },
        );
    let named = named.collect::<Vec<_>>().join(", ");
    match changes.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
