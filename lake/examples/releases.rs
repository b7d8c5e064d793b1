//! What releases cost: `releases FOLDER RELATIONS RELEASES` publishes that many, each of which moves one relation;
//! `releases FOLDER open|history|get NUMBER|publish` measures one operation in a process of its own.

use std::collections::BTreeMap;
use std::time::Instant;

use cordada_core::{Result, TableName};
use cordada_lake::release::{ColumnDocs, Docs};
use cordada_lake::{Draft, Lake, Relation, Settings};

/// Columns that are described, as many as a relation of the demo has.
const COLUMNS: usize = 12;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [folder, arguments @ ..] = &arguments[..] else {
        return Ok(());
    };
    let lake = Lake::open(folder, &Settings::default()).await?;
    let clock = Instant::now();
    match arguments {
        ["open"] => drop(lake.releases().newest().await?),
        ["history"] => println!("{}", lake.releases().history().await?.len()),
        ["get", number] => drop(lake.releases().get(number.parse().unwrap_or_default()).await?),
        ["publish"] => {
            lake.releases().newest().await?;
            let clock = Instant::now();
            for _ in 0..10 {
                let base = lake.releases().newest().await?;
                let mut draft = Draft::new(base.clone(), "bench", "run");
                draft.set(name(0)?, relation(0, base.number));
                lake.releases().publish(&draft).await?;
            }
            println!("publish: {:?}", clock.elapsed() / 10);
        }
        [relations, releases] => fill(&lake, relations.parse().unwrap_or(1000), releases.parse().unwrap_or(1)).await?,
        _ => {}
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or_default();
    println!("{arguments:?}: {:?}, {peak}", clock.elapsed());
    Ok(())
}

async fn fill(lake: &Lake, relations: usize, releases: u64) -> Result<()> {
    let mut draft = Draft::new(lake.releases().newest().await?, "bench", "run");
    for nth in 0..relations {
        draft.set(name(nth)?, relation(nth, 0));
    }
    let mut newest = lake.releases().publish(&draft).await?;
    while newest.number < releases {
        let nth = newest.number as usize % relations;
        let mut draft = Draft::new(newest.clone(), "bench", "run");
        draft.set(name(nth)?, relation(nth, newest.number));
        newest = lake.releases().publish(&draft).await?;
    }
    Ok(())
}

fn name(nth: usize) -> Result<TableName> {
    TableName::new(format!("schema_{}", nth % 20), format!("relation_{nth}"))
}

/// A table with as much said about it as about one of the demo.
fn relation(nth: usize, version: u64) -> Relation {
    let column = |at: usize| {
        let docs = ColumnDocs {
            description: Some(format!(
                "What column {at} of relation {nth} holds, in a sentence that people write, about this long."
            )),
            pii: (at == 0).then(|| "email".to_owned()),
        };
        (format!("column_{at}"), docs)
    };
    let docs = Docs {
        description: Some(format!("One row a thing of kind {nth}.")),
        columns: BTreeMap::from_iter((0..COLUMNS).map(column)),
        primary_key: vec!["column_1".to_owned()],
        ..Docs::default()
    };
    Relation {
        docs: docs.into(),
        fingerprint: Some("0123456789abcdef".repeat(4)),
        ..Relation::table(format!("schema_{}/relation_{nth}", nth % 20), version)
    }
}
