//! The page of the SQL that is spoken here, `docs/sql.md`: `statements.md`, then every function of a session by family.
//!
//! To write it anew: `UPDATE_DOCS=1 cargo test -p cordada-lake functions::page`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use arrow::array::{Array, BooleanArray};
use cordada_core::Context;
use datafusion::execution::SessionState;
use datafusion::logical_expr::Documentation;

use super::all;
use crate::query::sql;
use crate::{Lake, Settings};

/// The families that the engine's functions and ours are told of in, by the label that their documentation has.
const FAMILIES: &[(&str, &str)] = &[
    ("Numbers", "Numbers"),
    ("Math Functions", "Numbers"),
    ("Types and casts", "Types and casts"),
    ("Conditionals", "Conditions and nulls"),
    ("Conditional Functions", "Conditions and nulls"),
    ("Text", "Text"),
    ("String Functions", "Text"),
    ("Binary String Functions", "Text"),
    ("Unicode Functions", "Text"),
    ("Regular Expression Functions", "Text"),
    ("Dates and times", "Dates and times"),
    ("Time and Date Functions", "Dates and times"),
    ("JSON", "JSON"),
    ("Lists", "Lists"),
    ("Array Functions", "Lists"),
    ("Struct Functions", "Records and maps"),
    ("Map Functions", "Records and maps"),
    ("Union Functions", "Records and maps"),
    ("Hashing Functions", "Hashes"),
    ("Aggregates", "Aggregates"),
    ("Aggregate Functions", "Aggregates"),
    ("General Functions", "Aggregates"),
    ("Statistical Functions", "Aggregates"),
    ("Approximate Functions", "Aggregates"),
    ("Ranking Functions", "Windows"),
    ("Analytical Functions", "Windows"),
    (SESSION, "The session and the catalog"),
    ("Other Functions", "Others"),
];

/// The label of functions that look something up in the session or the catalog.
const SESSION: &str = "Session and catalog functions";

/// What is said of a function.
struct Entry {
    aliases: BTreeSet<String>,
    documentation: Option<Documentation>,
    is_ours: bool,
}

/// The functions of a session, by name.
fn entries(state: &SessionState) -> BTreeMap<String, Entry> {
    let ours = all();
    let ours: BTreeSet<&str> = (ours.scalar.iter().map(|function| function.name()))
        .chain(ours.aggregate.iter().map(|function| function.name()))
        .chain(ours.window.iter().map(|function| function.name()))
        .collect();
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut add = |alias: &str, name: &str, documentation: Option<&Documentation>| {
        let entry = entries.entry(name.to_owned()).or_insert_with(|| Entry {
            aliases: BTreeSet::new(),
            documentation: None,
            is_ours: ours.contains(name),
        });
        entry.documentation = entry.documentation.take().or(documentation.cloned());
        if alias != name {
            entry.aliases.insert(alias.to_owned());
        }
    };
    for (alias, function) in state.scalar_functions() {
        add(alias, function.name(), function.documentation());
    }
    for (alias, function) in state.higher_order_functions() {
        add(alias, function.name(), function.documentation());
    }
    for (alias, function) in state.aggregate_functions() {
        add(alias, function.name(), function.documentation());
    }
    for (alias, function) in state.window_functions() {
        add(alias, function.name(), function.documentation());
    }
    entries
}

/// The functions as tables, one a family.
fn functions(state: &SessionState) -> String {
    let peers = [
        ("PostgreSQL", include_str!("postgresql.txt")),
        ("DuckDB", include_str!("duckdb.txt")),
    ]
    .map(|(peer, names)| (peer, names.lines().collect::<BTreeSet<_>>()));
    let mut families: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, entry) in entries(state) {
        // Those that rewrites of a statement call are not for people.
        if name.starts_with('_') {
            continue;
        }
        let label = entry.documentation.as_ref().map_or("", |said| said.doc_section.label);
        let family = FAMILIES.iter().find(|(of, _)| *of == label);
        let names = |is_known: &BTreeSet<&str>| {
            let mut names = std::iter::once(&name).chain(&entry.aliases);
            names.any(|name| is_known.contains(name.as_str()))
        };
        let of = peers.iter().filter(|(_, known)| names(known)).map(|(peer, _)| *peer);
        let of = of.chain(entry.is_ours.then_some("ours")).collect::<Vec<_>>().join(", ");
        let syntax = entry.documentation.as_ref().map_or_else(
            || format!("{name}(…)"),
            |said| said.syntax_example.lines().next().unwrap_or_default().to_owned(),
        );
        let aliases = entry.aliases.iter().map(|alias| format!("`{alias}`"));
        let aliases = aliases.collect::<Vec<_>>().join(", ");
        let what = entry.documentation.as_ref().map_or("", |said| &said.description);
        let row = format!(
            "| `{}` | {aliases} | {} | {of} |",
            cell(&syntax),
            cell(first_sentence(what))
        );
        families
            .entry(family.map_or("Others", |(_, name)| name))
            .or_default()
            .push(row);
    }
    let mut page = String::new();
    let mut order: Vec<&str> = FAMILIES.iter().map(|(_, name)| *name).collect();
    order.dedup();
    for family in order {
        let Some(rows) = families.remove(family) else { continue };
        let _ = write!(
            page,
            "\n### {family}\n\n| function | also | what it gives | of |\n|---|---|---|---|\n"
        );
        let _ = writeln!(page, "{}", rows.join("\n"));
    }
    page
}

fn first_sentence(text: &str) -> &str {
    let text = text.trim();
    let line = text.split("\n\n").next().unwrap_or_default();
    line.split_inclusive(". ").next().unwrap_or_default().trim()
}

fn cell(text: &str) -> String {
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

/// Every example that our functions have is a statement that runs, or an expression that is true.
#[tokio::test]
async fn examples_are_true() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap();
    let session = lake.session(&Default::default());
    let (mut without, mut wrong) = (Vec::new(), Vec::new());
    for (name, entry) in entries(&session.state()) {
        if !entry.is_ours || name.starts_with('_') {
            continue;
        }
        let Some(said) = entry.documentation else {
            without.push(name);
            continue;
        };
        let Some(example) = said.sql_example.as_deref() else {
            // What looks up in the catalog depends on what is there.
            // The engine's own documentation may have none.
            if said.doc_section.label != SESSION && !said.doc_section.label.ends_with(" Functions") {
                without.push(name);
            }
            continue;
        };
        let example = text(example);
        // The engine's own documentation, of tables that are not there.
        if example.contains("table_name") || example.contains("FROM employee") {
            continue;
        }
        let is_statement = ["select", "with", "values"].iter().any(|word| {
            let start = example.get(..word.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(word))
        });
        let statement = match is_statement {
            true => example.clone(),
            false => of_values(&example).unwrap_or_else(|| format!("select {example}")),
        };
        let run = async {
            let plan = sql::plan(&lake, &session, &statement).await?;
            let frame = session.execute_logical_plan(plan).await.doing(|| "planning")?;
            frame.collect().await.doing(|| "running")
        };
        match run.await {
            Err(error) => wrong.push(format!("{name}: {example}: {error}")),
            Ok(rows) if !is_statement => {
                let truth = rows.iter().find_map(|batch| {
                    let truth = batch.column(0).as_any().downcast_ref::<BooleanArray>()?;
                    (!truth.is_empty()).then(|| truth.is_valid(0) && truth.value(0))
                });
                if truth != Some(true) {
                    wrong.push(format!("{name}: {example}: it is not true"));
                }
            }
            Ok(_) => {}
        }
    }
    assert!(wrong.is_empty(), "examples that are wrong:\n{}", wrong.join("\n"));
    assert!(without.is_empty(), "functions without an example: {without:?}");
}

/// `median(x) of 1, 2, 3 = 2`, or `max_by(g, k) of ('a', 1), ('b', 2) = 'b'`: an aggregate of rows, and its answer.
fn of_values(example: &str) -> Option<String> {
    let (call, rest) = example.split_once(" of ")?;
    let (rows, answer) = rest.rsplit_once(" = ")?;
    let (rows, columns) = match rows.starts_with('(') {
        true => (rows.to_owned(), "g, k"),
        false => {
            let rows: Vec<_> = rows.split(", ").map(|row| format!("({row})")).collect();
            (rows.join(", "), "x")
        }
    };
    let is_right = match answer.starts_with('\'') {
        true => format!("{call} = {answer}"),
        false => format!("abs({call} - {answer}) < 1e-9"),
    };
    Some(format!("select {is_right} from (values {rows}) t({columns})"))
}

/// What stands before the answer, without fences and prompts.
fn text(example: &str) -> String {
    let lines = example.lines().filter(|line| !line.trim_start().starts_with("```"));
    let text: Vec<&str> = lines.map(|line| line.trim_start_matches("> ")).collect();
    let text = text.join("\n");
    text.split(";\n")
        .next()
        .unwrap_or_default()
        .trim()
        .trim_end_matches(';')
        .to_owned()
}

#[tokio::test]
async fn the_page_says_what_a_session_has() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap();
    let session = lake.session(&Default::default());
    let page = format!("{}{}", include_str!("statements.md"), functions(&session.state()));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/sql.md is out of date: UPDATE_DOCS=1 cargo test -p cordada-lake functions::page"
    );
}
