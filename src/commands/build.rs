//! `cordada build`: compiles, runs, tests and publishes the SQL project.

use cordada_core::Result;
use cordada_marts::{BuildReport, NodeStatus, TestStatus};
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::{Options, SelectionArgs};
use crate::output::{grouped, new_table};

pub async fn run(
    options: &Options,
    project: &Project,
    selection: SelectionArgs,
    full_refresh: bool,
    cancel: CancellationToken,
) -> Result<Outcome> {
    let report = project
        .build(selection.into(), full_refresh, options.progress(), cancel)
        .await?;
    if !options.quiet {
        print(&report);
    }
    print_problems(&report);
    Ok(if report.succeeded() {
        Outcome::Done
    } else {
        Outcome::Failed
    })
}

fn print(report: &BuildReport) {
    let mut table = new_table(["relation", "kind", "status", "rows", "seconds"]);
    for node in &report.nodes {
        table.add_row([
            node.table.to_string(),
            node.materialization.to_string(),
            node.status.name().to_owned(),
            node.rows.map(grouped).unwrap_or_default(),
            format!("{:.1}", node.seconds),
        ]);
    }
    println!("{table}");
    let passed = report
        .tests
        .iter()
        .filter(|test| test.status == TestStatus::Passed)
        .count();
    println!("{passed} of {} tests passed.", report.tests.len());
    match report.release {
        Some(release) => println!("Published as release {release}."),
        None if report.succeeded() => println!("Nothing changed: no release was published."),
        None => println!("Nothing was published: readers still see the last release."),
    }
}

fn print_problems(report: &BuildReport) {
    for node in report.nodes.iter().filter(|node| node.status == NodeStatus::Failed) {
        eprintln!(
            "error: {}",
            node.message.as_deref().unwrap_or("failed without a message")
        );
    }
    for test in report.tests.iter().filter(|test| test.status != TestStatus::Passed) {
        let level = if test.status == TestStatus::Warned {
            "warning"
        } else {
            "error"
        };
        match &test.message {
            Some(message) => eprintln!("{level}: test {}: {message}", test.name),
            None => eprintln!(
                "{level}: test {}: {} rows fail; see them with: {}",
                test.name,
                grouped(test.failures),
                one_line(&test.sql)
            ),
        }
    }
}

/// SQL on one line, to be pasted.
fn one_line(sql: &str) -> String {
    format!(
        "cordada query \"{}\"",
        sql.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('"', "\\\"")
    )
}
