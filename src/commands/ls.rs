//! `cordada ls`: the nodes of the SQL project.

use cordada_core::Result;
use cordada_project::Project;

use crate::Outcome;
use crate::cli::SelectionArgs;
use crate::output::new_table;

pub fn run(project: &Project, selection: &SelectionArgs) -> Result<Outcome> {
    let sql = project.sql()?;
    let selected = sql.select(&selection.select, &selection.exclude)?;
    let mut table = new_table(["node", "relation", "kind", "depends on"]);
    for node in sql.nodes().filter(|node| selected.contains(&node.id())) {
        let parents = node
            .depends_on()
            .iter()
            .filter_map(|id| sql.node(*id))
            .map(|parent| parent.name().to_owned());
        let sources = node.sources().map(ToString::to_string);
        table.add_row([
            node.name().to_owned(),
            node.table().to_string(),
            node.materialization().to_string(),
            parents.chain(sources).collect::<Vec<_>>().join(", "),
        ]);
    }
    println!("{table}");
    Ok(Outcome::Done)
}
