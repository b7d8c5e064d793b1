//! Access logs that grow and are rotated between loads, from end to end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::{Project, gzip};

/// The n-th request.
fn line(number: usize) -> String {
    let (minute, second) = (number / 60 % 60, number % 60);
    format!(
        "1.2.3.4 - - [10/Feb/2012:16:{minute:02}:{second:02} +0000] \"GET /{number}?q=1 HTTP/1.1\" 200 5 \"-\" \"M\"\n"
    )
}

fn lines(numbers: std::ops::Range<usize>) -> String {
    numbers.map(line).collect()
}

async fn project(more: &str) -> Project {
    let project = Project::new("{}").await;
    project.configure(&format!(
        "kind: logs\nstreams: {{hits: {{path: \"log/access.log*\"{more}}}}}\n"
    ));
    project
}

fn append(project: &Project, name: &str, text: &str) {
    let path = project.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn rename(project: &Project, from: &str, to: &str) {
    std::fs::rename(project.path().join(from), project.path().join(to)).unwrap();
}

async fn paths(project: &Project) -> Vec<String> {
    project
        .sql("select path from raw_shop.hits order by cast(substr(path, 2) as int)")
        .await
}

fn expected(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("/{number}")).collect()
}

#[tokio::test]
async fn a_log_is_read_as_far_as_its_lines_are_complete() {
    let project = project("").await;
    append(&project, "log/access.log", &lines(0..3));
    let (beginning, end) = (&line(3)[..40], &line(3)[40..]);
    append(&project, "log/access.log", beginning);
    assert_eq!(project.ingest().await.streams[0].rows, 3);
    assert_eq!(project.ingest().await.streams[0].rows, 0);
    append(&project, "log/access.log", &format!("{end}\n# nothing\n{}", line(4)));
    assert_eq!(project.ingest().await.streams[0].rows, 2);
    assert_eq!(paths(&project).await, expected(0..5));
    assert_eq!(
        project
            .sql("select _origin, remote_host, status, time from raw_shop.hits where path = '/4'")
            .await,
        ["log/access.log:7|1.2.3.0|200|2012-02-10T16:00:04Z"]
    );
    // A last line without an end is whole once nobody has written for long.
    append(&project, "log/access.log", line(5).trim_end());
    assert_eq!(project.ingest().await.streams[0].rows, 0);
    let file = std::fs::File::options()
        .append(true)
        .open(project.path().join("log/access.log"))
        .unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(7200))
        .unwrap();
    assert_eq!(project.ingest().await.streams[0].rows, 1);
    append(&project, "log/access.log", &format!("\n{}", line(6)));
    assert_eq!(project.ingest().await.streams[0].rows, 1);
    assert_eq!(paths(&project).await, expected(0..7));
}

#[tokio::test]
async fn rotation_neither_loses_nor_doubles_lines() {
    let project = project("").await;
    append(&project, "log/access.log", &lines(0..100));
    project.ingest().await;
    // By renaming: what was written last is in the file that is another now.
    append(&project, "log/access.log", &lines(100..110));
    rename(&project, "log/access.log", "log/access.log.1");
    append(&project, "log/access.log", &lines(110..120));
    assert_eq!(project.ingest().await.streams[0].rows, 20);
    // By copying and cutting, caught between the two.
    append(&project, "log/access.log", &lines(120..130));
    rename(&project, "log/access.log.1", "log/access.log.2");
    std::fs::copy(
        project.path().join("log/access.log"),
        project.path().join("log/access.log.1"),
    )
    .unwrap();
    assert_eq!(project.ingest().await.streams[0].rows, 10);
    project.write("log/access.log", lines(130..140));
    assert_eq!(project.ingest().await.streams[0].rows, 10);
    // By compressing, with lines that had not been read.
    append(&project, "log/access.log.2", &lines(140..145));
    let content = std::fs::read(project.path().join("log/access.log.2")).unwrap();
    project.write("log/access.log.2.gz", gzip(&content));
    std::fs::remove_file(project.path().join("log/access.log.2")).unwrap();
    assert_eq!(project.ingest().await.streams[0].rows, 5);
    rename(&project, "log/access.log.2.gz", "log/access.log.3.gz");
    assert_eq!(project.ingest().await.streams[0].rows, 0);
    assert_eq!(paths(&project).await, expected(0..145));
}

#[tokio::test]
async fn a_log_that_is_there_twice_lands_once() {
    let project = project("").await;
    project.write("log/access.log.1", lines(0..50));
    project.write("log/access.log.1.gz", gzip(lines(0..50).as_bytes()));
    project.write("log/access.log.1.bz2", {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(lines(0..50).as_bytes()).unwrap();
        encoder.finish().unwrap()
    });
    assert_eq!(project.ingest().await.streams[0].rows, 50);
    // One that is being compressed is cut off, and waits.
    project.write("log/access.log.2", lines(50..9000));
    let whole = gzip(lines(50..9000).as_bytes());
    project.write("log/access.log.2.gz", &whole[..whole.len() / 2]);
    assert_eq!(project.ingest().await.streams[0].rows, 8950);
    std::fs::remove_file(project.path().join("log/access.log.2")).unwrap();
    let error = project.try_ingest(&[]).await.unwrap_err();
    assert!(error.to_string().contains("ends too early"), "{error}");
    project.write("log/access.log.2.gz", whole);
    assert_eq!(project.ingest().await.streams[0].rows, 0);
    assert_eq!(paths(&project).await.len(), 9000);
}

#[tokio::test]
async fn a_log_that_was_changed_is_refused() {
    let project = project("").await;
    project.write("log/access.log", lines(0..500));
    project.ingest().await;
    let redacted = lines(0..500).replace("/450?q=1", "/450?q=2") + &line(500);
    project.write("log/access.log", redacted);
    let error = project.try_ingest(&[]).await.unwrap_err();
    assert!(
        error.to_string().contains("may only grow") && error.exit_code() == 2,
        "{error}"
    );
}

#[tokio::test]
async fn fields_of_a_w3c_log_change_on_the_way() {
    let project = project("").await;
    let header =
        "#Software: Microsoft Internet Information Services 10.0\n#Fields: date time c-ip cs-uri-stem sc-status\n";
    append(&project, "log/access.log", header);
    assert_eq!(project.ingest().await.streams[0].rows, 0);
    append(&project, "log/access.log", "2024-02-01 10:00:00 1.2.3.4 /0 200\n");
    assert_eq!(project.ingest().await.streams[0].rows, 1);
    append(
        &project,
        "log/access.log",
        "2024-02-01 10:00:01 1.2.3.4 /1 200\n#Fields: date time cs-uri-stem time-taken\n",
    );
    append(&project, "log/access.log", "2024-02-01 10:00:02 /2 15\n");
    assert_eq!(project.ingest().await.streams[0].rows, 2);
    append(&project, "log/access.log", "2024-02-01 10:00:03 /3 16\nbroken\n");
    let report = project.ingest().await;
    assert_eq!((report.streams[0].rows, report.streams[0].rejected), (1, 1));
    assert_eq!(
        project
            .sql("select path, remote_host, status, request_time from raw_shop.hits order by path")
            .await,
        [
            "/0|1.2.3.0|200|null",
            "/1|1.2.3.0|200|null",
            "/2|null|null|0.015",
            "/3|null|null|0.016"
        ]
    );
}

#[tokio::test]
async fn what_does_not_parse_is_kept_without_addresses() {
    let project = project(", format: combined, columns: {user_agent: {pii: device}}").await;
    append(
        &project,
        "log/access.log",
        &format!("{}gone 1.2.3.4 wrong\n{}", line(0), line(1)),
    );
    let report = project.ingest().await;
    assert_eq!((report.streams[0].rows, report.streams[0].rejected), (2, 1));
    append(&project, "log/access.log", &line(2));
    let report = project.ingest().await;
    assert_eq!((report.streams[0].rows, report.streams[0].rejected), (1, 0));
    let query = "select file, line, reason, record from ops.rejected_rows";
    let columns = project
        .sql("select column_name from information_schema.columns where table_name = 'rejected_rows'")
        .await;
    assert!(!columns.is_empty());
    let rejected = project.sql(&query.replace("file, line, ", "")).await;
    assert_eq!(rejected, ["there is no time in brackets|gone 1.2.3.0 wrong"]);
    assert_eq!(
        project.sql("select _origin from raw_shop.hits order by path").await,
        ["log/access.log:1", "log/access.log:3", "log/access.log:4"]
    );
}

#[tokio::test]
async fn columns_are_dropped_before_anything_is_written() {
    let project = project(", query: drop, ip: drop, columns: {path: {transform: drop}}").await;
    append(&project, "log/access.log", &format!("{}secret\n", line(0)));
    project.ingest().await;
    let columns = project.columns("raw_shop.hits").await.join(" ");
    assert!(
        !columns.contains("path") && !columns.contains("remote_host"),
        "{columns}"
    );
    assert_eq!(
        project.sql("select query, status from raw_shop.hits").await,
        ["null|200"]
    );
    let kept = project.sql("select * from ops.rejected_rows").await.join(" ");
    assert!(!kept.contains("secret"), "{kept}");
}

#[tokio::test]
async fn a_replaced_table_has_all_lines_each_time() {
    let project = project(", disposition: replace").await;
    append(&project, "log/access.log", &lines(0..10));
    project.write("log/access.log.1.gz", gzip(lines(10..20).as_bytes()));
    project.ingest().await;
    append(&project, "log/access.log", &lines(20..30));
    project.ingest().await;
    assert_eq!(paths(&project).await, expected(0..30));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    for (more, text, expected) in [
        (", format: combind", lines(0..1), "combind"),
        (", format: {regex: \"(\", time: x}", lines(0..1), "regex"),
        (", encoding: utf-16", lines(0..1), "UTF-16"),
        (", query: maybe", lines(0..1), "maybe"),
        ("", "no log\n".repeat(3), "no format of access logs"),
    ] {
        let project = project(more).await;
        project.write("log/access.log", text);
        let error = project.try_ingest(&[]).await.unwrap_err();
        assert!(
            error.to_string().contains(expected) && error.exit_code() == 2,
            "{error}"
        );
    }
}

/// What happens to logs between two loads.
#[derive(Debug, Clone)]
enum Step {
    /// Lines are written; the last of them up to here.
    Write(usize, usize),
    Rename,
    CopyAndCut,
    Compress,
    Load,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0usize..30, 0usize..60).prop_map(|(lines, rest)| Step::Write(lines, rest)),
        1 => Just(Step::Rename),
        1 => Just(Step::CopyAndCut),
        1 => Just(Step::Compress),
        2 => Just(Step::Load),
    ];
    proptest::collection::vec(step, 1..25)
}

/// Moves `access.log.N` one up, the compressed ones as well.
fn shift(folder: &Path) {
    for number in (1..30).rev() {
        for suffix in ["", ".gz"] {
            let name = |number: usize| folder.join(format!("access.log.{number}{suffix}"));
            if name(number).exists() {
                std::fs::rename(name(number), name(number + 1)).unwrap();
            }
        }
    }
}

async fn simulate(steps: Vec<Step>) {
    let project = project("").await;
    let folder: PathBuf = project.path().join("log");
    let log = "log/access.log";
    append(&project, log, "");
    // What has been written of a line, and what of it has not.
    let (mut written, mut rest) = (0, String::new());
    for step in steps {
        match step {
            Step::Write(count, cut) => {
                let text = std::mem::take(&mut rest) + &lines(written..written + count + 1);
                written += count + 1;
                let cut = text.len() - cut.min(line(0).len() - 1);
                append(&project, log, &text[..cut]);
                rest = text[cut..].to_owned();
            }
            Step::Rename | Step::CopyAndCut => {
                // A server finishes its line first.
                append(&project, log, &std::mem::take(&mut rest));
                shift(&folder);
                match step {
                    Step::Rename => rename(&project, log, "log/access.log.1"),
                    _ => {
                        std::fs::copy(folder.join("access.log"), folder.join("access.log.1")).unwrap();
                    }
                }
                project.write(log, "");
            }
            Step::Compress => {
                let oldest = (1..30).rev().map(|number| folder.join(format!("access.log.{number}")));
                if let Some(oldest) = oldest.into_iter().find(|path| path.exists()) {
                    let content = std::fs::read(&oldest).unwrap();
                    std::fs::write(
                        oldest.with_extension(format!("{}.gz", oldest.extension().unwrap().display())),
                        gzip(&content),
                    )
                    .unwrap();
                    std::fs::remove_file(oldest).unwrap();
                }
            }
            Step::Load => drop(project.ingest().await),
        }
    }
    append(&project, log, &rest);
    project.ingest().await;
    if written > 0 {
        assert_eq!(paths(&project).await, expected(0..written));
    }
}

proptest! {
    #![proptest_config(super::cases(16))]

    #[test]
    fn whatever_happens_between_loads_each_line_lands_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(simulate(steps));
    }
}
