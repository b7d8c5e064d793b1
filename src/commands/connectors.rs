//! `cordada connectors`: the systems that are landed by naming them.

use cordada_core::Result;
use cordada_ingest_rest::Connector;

use crate::Outcome;
use crate::cli::ConnectorsCommand;
use crate::output::new_table;

pub fn run(command: Option<ConnectorsCommand>) -> Result<Outcome> {
    match command {
        None => list()?,
        Some(ConnectorsCommand::Show { name, yaml: true }) => print!("{}", Connector::named(&name)?.yaml()?),
        Some(ConnectorsCommand::Show { name, yaml: false }) => print!("{}", Connector::named(&name)?.page()),
    }
    Ok(Outcome::Done)
}

fn list() -> Result<()> {
    let mut table = new_table(["connector", "system", "streams"]);
    for connector in Connector::all()? {
        let mut streams = connector.streams().join(", ");
        if connector.takes_any() {
            let named_by_you = if streams.is_empty() {
                "named by you"
            } else {
                "; others, named by you"
            };
            streams.push_str(named_by_you);
        }
        table.add_row([connector.name(), connector.title(), &streams]);
    }
    println!("{table}");
    println!("`cordada connectors show NAME` says more; `cordada init --source NAME` writes a source.");
    Ok(())
}
