//! What releases cost. `releases FOLDER 1000 10000` publishes 10,000, each of which moves one of 1,000 relations;
//! `releases FOLDER open|history|publish|get NUMBER` then measures one operation, in a process of its own.

use std::time::Instant;

use cordada_core::{Error, Result, TableName};
use cordada_lake::release::{ColumnDocs, Docs};
use cordada_lake::{Draft, Lake, Relation, ReleaseLog, Settings};
use futures::StreamExt;

/// Columns that are described, so that a relation has as much documentation as one of the demo.
const COLUMNS: usize = 12;

/// Releases over which publishing is measured.
const PUBLISHED: u32 = 10;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [folder, what @ ..] = &arguments[..] else {
        return Err(Error::config("measuring releases", "the lake's folder is missing"));
    };
    let lake = Lake::open(folder, &Settings::default()).await?;
    let log = lake.releases();
    let clock = Instant::now();
    match what {
        ["open"] => drop(log.newest().await?),
        ["get", release] => drop(log.get(number(release)?).await?),
        ["history"] => println!("{} releases", log.history().count().await),
        ["publish"] => publish(log).await?,
        [relations, releases] => fill(log, number(relations)?, number(releases)?).await?,
        _ => return Err(Error::config("measuring releases", "this is not an operation")),
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{what:?}: {:?}, {}", clock.elapsed(), peak.unwrap_or_default());
    Ok(())
}

fn number(text: &str) -> Result<u64> {
    text.parse()
        .map_err(|error| Error::config(format!("reading {text}"), error))
}

/// Publishes a release of all relations, then one a relation until there are `releases`.
async fn fill(log: &ReleaseLog, relations: u64, releases: u64) -> Result<()> {
    let mut draft = Draft::new(log.newest().await?, "example", "run");
    for nth in 0..relations {
        draft.set(name(nth)?, relation(nth, 0));
    }
    let mut newest = log.publish(&draft).await?;
    while newest.number < releases {
        let nth = newest.number % relations;
        let mut draft = Draft::new(newest.clone(), "example", "run");
        draft.set(name(nth)?, relation(nth, newest.number));
        newest = log.publish(&draft).await?;
    }
    Ok(())
}

async fn publish(log: &ReleaseLog) -> Result<()> {
    log.newest().await?;
    let clock = Instant::now();
    for _ in 0..PUBLISHED {
        let base = log.newest().await?;
        let mut draft = Draft::new(base.clone(), "example", "run");
        draft.set(name(0)?, relation(0, base.number));
        log.publish(&draft).await?;
    }
    println!("one release: {:?}", clock.elapsed() / PUBLISHED);
    Ok(())
}

fn name(nth: u64) -> Result<TableName> {
    TableName::new(format!("schema_{}", nth % 20), format!("relation_{nth}"))
}

fn relation(nth: u64, version: u64) -> Relation {
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
        columns: (0..COLUMNS).map(column).collect(),
        primary_key: vec!["column_1".to_owned()],
        ..Docs::default()
    };
    Relation {
        docs: docs.into(),
        fingerprint: Some("0123456789abcdef".repeat(4)),
        ..Relation::table(format!("schema_{}/relation_{nth}", nth % 20), version)
    }
}
