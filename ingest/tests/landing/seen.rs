//! A file is known by its content and by how it is read.

use std::io::Write;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Project;

const ALL: &str = "select id, v from raw_shop.t order by id, v";

#[tokio::test]
async fn a_file_that_is_moved_copied_or_packed_does_not_land_again() {
    for disposition in ["append", "merge", "insert-only"] {
        let project = Project::new(&format!(
            "{{t: {{path: 'in/**/*.csv*', key: [id], disposition: {disposition}}}}}"
        ))
        .await;
        // Twice at once.
        project.write("in/a.csv", "id,v\n1,x\n2,y\n");
        project.write("in/a (1).csv", "id,v\n1,x\n2,y\n");
        let first = project.ingest().await;
        assert_eq!((first.streams[0].files, first.streams[0].skipped_files), (1, 1));
        project.write("in/done/b.csv", "id,v\n1,x\n2,y\n");
        std::fs::remove_file(project.path().join("in/a.csv")).unwrap();
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(b"id,v\n1,x\n2,y\n").unwrap();
        project.write("in/c.csv.gz", packed.finish().unwrap());
        let again = project.ingest().await;
        assert_eq!((again.streams[0].files, again.release), (0, None), "{disposition}");
        // What was met is remembered with what lands next.
        project.write("in/d.csv", "id,v\n3,z\n");
        project.ingest().await;
        std::fs::remove_file(project.path().join("in/a (1).csv")).unwrap();
        project.write("in/e.csv", "id,v\n1,x\n2,y\n");
        assert_eq!(project.ingest().await.streams[0].files, 0, "{disposition}");
        assert_eq!(project.sql(ALL).await, ["1|x", "2|y", "3|z"], "{disposition}");
    }
}

#[tokio::test]
async fn files_of_one_content_are_one_in_a_replacement() {
    let project = Project::new("{t: {path: '*.csv', disposition: replace}}").await;
    project.write("a.csv", "id,v\n1,x\n");
    project.write("a (1).csv", "id,v\n1,x\n");
    project.ingest().await;
    std::fs::rename(project.path().join("a.csv"), project.path().join("b.csv")).unwrap();
    assert_eq!(project.ingest().await.release, None);
    assert_eq!(project.sql(ALL).await, ["1|x"]);
}

#[tokio::test]
async fn a_stream_knows_nothing_of_another() {
    let project = Project::new("{t: {path: a.csv}, u: {path: a.csv}}").await;
    project.write("a.csv", "id,v\n1,x\n");
    project.ingest().await;
    assert_eq!(
        project.sql("select id, v from raw_shop.u").await,
        project.sql(ALL).await
    );
}

#[tokio::test]
async fn a_file_that_is_read_another_way_lands_anew_once() {
    for disposition in ["append", "insert-only", "merge"] {
        let stream = |csv: &str| {
            format!("kind: files\nstreams: {{t: {{path: 't-*.csv', key: [id], disposition: {disposition}{csv}}}}}\n")
        };
        let project = Project::new("{}").await;
        project.configure(&stream(""));
        project.write("t-1.csv", "id,v\n1,\"a;b\"\n2,c\n");
        project.ingest().await;
        project.write("t-2.csv", "id,v\n7,x\n");
        project.ingest().await;
        project.configure(&stream(", csv: {quote: ''}, columns: {v: {type: text}}"));
        let mended = project.ingest().await;
        assert_eq!(mended.streams[0].files, 2, "{disposition}");
        assert_eq!(project.sql(ALL).await, ["1|\"a;b\"", "2|c", "7|x"], "{disposition}");
        assert_eq!(project.ingest().await.release, None);
        // And back.
        project.configure(&stream(""));
        project.ingest().await;
        assert_eq!(project.sql(ALL).await, ["1|a;b", "2|c", "7|x"], "{disposition}");
    }
}

#[tokio::test]
async fn reading_anew_leaves_what_a_file_held_before() {
    let project = Project::new("{t: {path: latest.csv}}").await;
    project.write("latest.csv", "id,v\n1,monday\n");
    project.ingest().await;
    project.write("latest.csv", "id,v\n1,tuesday\n");
    project.ingest().await;
    project.configure("kind: files\nstreams: {t: {path: latest.csv, columns: {id: {type: text}}}}\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await, ["1|monday", "1|tuesday"]);
    // What comes back is there.
    project.write("latest.csv", "id,v\n1,monday\n");
    project.configure("kind: files\nstreams: {t: {path: latest.csv}}\n");
    assert_eq!(project.ingest().await.release, None);
    assert_eq!(project.sql(ALL).await, ["1|monday", "1|tuesday"]);
}

/// Whatever happens to the rows that are there, no row of a file is there twice, and a table that follows a file has
/// what the file says.
#[tokio::test]
async fn a_file_that_goes_back_to_a_former_content() {
    let (before, after) = ("id,v\n1,a\n2,b\n", "id,v\n1,x\n3,c\n");
    let both = ["1|a", "1|x", "2|b", "3|c"];
    for (disposition, changed, back) in [
        ("append", &both[..], &both[..]),
        ("insert-only", &["1|a", "2|b", "3|c"], &["1|a", "2|b", "3|c"]),
        ("merge", &["1|x", "2|b", "3|c"], &["1|a", "2|b", "3|c"]),
        ("replace", &["1|x", "3|c"], &["1|a", "2|b"]),
    ] {
        // With and without a copy that somebody keeps.
        for paths in ["t.csv", "t.csv, 'kept/*.csv'"] {
            // Of a replacement a copy is a part.
            if disposition == "replace" && paths != "t.csv" {
                continue;
            }
            let project = Project::new(&format!(
                "{{t: {{path: [{paths}], key: [id], disposition: {disposition}}}}}"
            ))
            .await;
            project.write("kept/0.csv", before);
            for _ in 0..3 {
                for (content, rows) in [(before, back), (after, changed)] {
                    project.write("t.csv", content);
                    project.ingest().await;
                    // At first only what is in the first content is there.
                    let found = project.sql(ALL).await;
                    assert!(found == rows || found == ["1|a", "2|b"], "{disposition}: {found:?}");
                    assert_eq!(project.ingest().await.release, None, "{disposition}");
                }
                assert_eq!(project.sql(ALL).await, changed, "{disposition}");
            }
            project.write("t.csv", before);
            project.ingest().await;
            assert_eq!(project.sql(ALL).await, back, "{disposition}");
        }
    }
}

#[tokio::test]
async fn a_history_knows_that_a_value_came_back() {
    let project = Project::new("{t: {path: t.csv, key: [id], disposition: scd2}}").await;
    for v in ["a", "b", "a"] {
        project.write("t.csv", format!("id,v\n1,{v}\n"));
        project.ingest().await;
    }
    let history = "select v, _valid_to is null from raw_shop.t order by _valid_from";
    assert_eq!(project.sql(history).await, ["a|false", "b|false", "a|true"]);
}

#[tokio::test]
async fn a_file_that_goes_back_and_then_grows_has_every_line_once() {
    // The load in which it was back is one that landed something else, or nothing.
    for other in [Some("other.csv"), None] {
        let project = Project::new("{t: {path: '*.csv'}}").await;
        for (load, content) in ["1,a\n", "2,b\n", "1,a\n", "1,a\n3,c\n", "2,b\n", "1,a\n3,c\n4,d\n"]
            .into_iter()
            .enumerate()
        {
            project.write("t.csv", format!("id,v\n{content}"));
            if let Some(other) = other {
                project.write(other, format!("id,v\n{},other\n", 10 + load));
            }
            project.ingest().await;
        }
        let rows = "select id, v from raw_shop.t where v <> 'other' order by id";
        assert_eq!(project.sql(rows).await, ["1|a", "2|b", "3|c", "4|d"], "{other:?}");
        // Its rows, and no others, go when it is read another way.
        let read = |more: &str| format!("kind: files\nstreams: {{t: {{path: t.csv{more}}}}}\n");
        project.configure(&read(", columns: {id: {type: text}}"));
        project.ingest().await;
        assert_eq!(project.sql(rows).await, ["1|a", "2|b", "3|c", "4|d"], "{other:?}");
    }
}

#[tokio::test]
async fn a_file_that_lost_lines_which_landed_and_then_has_them_again() {
    let project = Project::new("{t: {path: t.csv}}").await;
    for content in ["1,a\n", "1,a\n2,b\n", "1,a\n", "1,a\n2,b\n", "1,a\n2,b\n3,c\n"] {
        project.write("t.csv", format!("id,v\n{content}"));
        project.ingest().await;
    }
    assert_eq!(project.sql(ALL).await, ["1|a", "2|b", "3|c"]);
}

/// The rows that landed are gone with a replacement, and a replacement's are joined by others.
#[tokio::test]
async fn what_is_known_of_files_ends_with_another_disposition() {
    let stream =
        |disposition: &str| format!("kind: files\nstreams: {{t: {{path: '*.csv', disposition: {disposition}}}}}\n");
    let project = Project::new("{}").await;
    project.configure(&stream("append"));
    project.write("a.csv", "id,v\n1,a\n");
    project.ingest().await;
    project.configure(&stream("replace"));
    project.write("a.csv", "id,v\n2,b\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await, ["2|b"]);
    project.configure(&stream("append"));
    project.write("a.csv", "id,v\n1,a\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await, ["1|a", "2|b"]);
    project.configure(&stream("replace"));
    project.write("a.csv", "id,v\n2,b\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await, ["2|b"]);
}

#[tokio::test]
async fn of_a_file_that_grew_the_new_lines_land() {
    let project = Project::new("{t: {path: 't.*'}}").await;
    for (before, after) in [
        ("id,v\n1,a\nbroken\n", "id,v\n1,a\nbroken\n2,b\nbroken\n"),
        // Without a line feed at the end, which then comes.
        (
            "id,v\n1,a\nbroken\n2,b\nbroken\n3,c",
            "id,v\n1,a\nbroken\n2,b\nbroken\n3,c\n4,d\n",
        ),
    ] {
        project.write("t.csv", before);
        project.ingest().await;
        project.write("t.csv", after);
        project.ingest().await;
    }
    assert_eq!(project.sql(ALL).await, ["1|a", "2|b", "3|c", "4|d"]);
    let rejected = project
        .sql("select line, record from ops.rejected_rows order by line")
        .await;
    assert_eq!(rejected, ["3|broken", "5|broken"]);
    let origins = project.sql("select _origin from raw_shop.t order by id").await;
    assert_eq!(origins, ["t.csv:2", "t.csv:4", "t.csv:6", "t.csv:7"]);
    // A last line that was not whole.
    project.write("t.ndjson", "{\"id\": 5, \"v\": \"e\"}\n{\"id\": 6, \"v\"");
    project.ingest().await;
    project.write("t.ndjson", "{\"id\": 5, \"v\": \"e\"}\n{\"id\": 6, \"v\": \"f\"}\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await, ["1|a", "2|b", "3|c", "4|d", "5|e", "6|f"]);
    // Shorter than before: another content.
    project.write("t.csv", "id,v\n1,a\n");
    project.ingest().await;
    assert_eq!(project.sql(ALL).await.len(), 7);
}

#[tokio::test]
async fn a_file_that_is_empty_for_a_moment_is_what_it_was() {
    for disposition in ["append", "merge"] {
        let project = Project::new(&format!(
            "{{t: {{path: t.csv, key: [id], disposition: {disposition}}}}}"
        ))
        .await;
        for content in ["id,v\n1,a\n", "", "id,v\n1,a\n", "", "id,v\n1,a\n2,b\n"] {
            project.write("t.csv", content);
            project.ingest().await;
        }
        assert_eq!(project.sql(ALL).await, ["1|a", "2|b"], "{disposition}");
    }
}

#[tokio::test]
async fn of_a_file_that_grows_an_unfinished_record_waits_to_be_whole() {
    for (name, landed, parts, expected) in [
        (
            "t.ndjson",
            "{\"id\": 1, \"v\": \"a\"}\n",
            ["{\"id\": 2", ", \"v\": \"b\"}\n{\"id\":", " 3, \"v\": \"c\"}\n"],
            "{\"id\": 4,",
        ),
        ("t.csv", "id,v\n1,a\n", ["2", ",b\n3,\"", "c\"\n"], "4"),
    ] {
        let project = Project::new("{t: {path: 't.*'}}").await;
        let mut content = landed.to_owned();
        project.write(name, &content);
        project.ingest().await;
        let rows = ["1|a", "2|b", "3|c"];
        // The unfinished record alone, with others before it, and whole.
        for (part, rows) in parts.iter().zip([&rows[..1], &rows[..2], &rows[..]]) {
            content.push_str(part);
            project.write(name, &content);
            for _ in 0..2 {
                project.ingest().await;
                assert_eq!(project.sql(ALL).await, rows, "{content}");
            }
        }
        assert_eq!(
            project.sql("select count(*) from ops.loads where rejected > 0").await,
            ["0"]
        );
        // Nobody writes to it any more.
        content.push_str(expected);
        project.write(name, &content);
        assert_eq!(project.ingest().await.release, None);
        let file = std::fs::File::options()
            .append(true)
            .open(project.path().join(name))
            .unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(2 * 60 * 60))
            .unwrap();
        project.try_ingest(&[]).await.unwrap_err();
        assert_eq!(project.sql("select record from ops.rejected_rows").await, [expected]);
        assert_eq!(project.ingest().await.release, None);
        assert_eq!(project.sql(ALL).await, rows);
    }
}

#[tokio::test]
async fn the_last_file_wins_by_number_or_by_time() {
    for (order, winner) in [("name", "day 11"), ("modified", "day 8")] {
        let project = Project::new(&format!(
            "{{t: {{path: 'c-*.csv', key: [id], disposition: merge, order: {order}}}}}"
        ))
        .await;
        for day in 8..12 {
            project.write(&format!("c-{day}.csv"), format!("id,v\n1,day {day}\n"));
            let file = project.path().join(format!("c-{day}.csv"));
            let file = std::fs::File::options().append(true).open(file).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 - day);
            file.set_modified(time).unwrap();
        }
        project.ingest().await;
        assert_eq!(project.sql(ALL).await, [format!("1|{winner}")]);
    }
}

#[tokio::test]
async fn a_stream_of_which_every_row_is_rejected_has_failed() {
    let project = Project::new("{t: {path: t.csv, columns: {id: {type: integer}}}, u: {path: u.csv}}").await;
    project.write("t.csv", "id,v\nx,1\ny,2\n");
    project.write("u.csv", "id,v\n1,a\n");
    let error = project.try_ingest(&[]).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.to_string().contains("id is not of the declared type"), "{error}");
    assert_eq!(project.sql("select id from raw_shop.u").await, ["1"]);
    let loads = project
        .sql("select stream, status, rejected, reason from ops.loads order by stream")
        .await;
    assert!(
        loads[0].starts_with("t|failed|2|landing raw_shop.t: every row was rejected"),
        "{loads:?}"
    );
    assert_eq!(loads[1], "u|landed|0|null");
    // Read another way, it lands.
    project.configure("kind: files\nstreams: {t: {path: t.csv}, v: {path: nowhere.csv}, w: {path: neither.csv}}\n");
    let error = project.try_ingest(&[]).await.unwrap_err().to_string();
    assert!(
        error.contains("nowhere.csv") && error.contains("neither.csv"),
        "{error}"
    );
    assert_eq!(project.sql(ALL).await, ["x|1", "y|2"]);
}

#[tokio::test]
async fn a_replacement_of_which_every_row_is_rejected_leaves_what_is_there() {
    let project = Project::new("{t: {path: t.csv, disposition: replace, columns: {id: {type: integer}}}}").await;
    project.write("t.csv", "id,v\n1,a\n");
    project.ingest().await;
    project.write("t.csv", "id,v\nx,1\n");
    for _ in 0..2 {
        let error = project.try_ingest(&[]).await.unwrap_err();
        assert!(error.to_string().contains("every row was rejected"), "{error}");
    }
    assert_eq!(project.sql(ALL).await, ["1|a"]);
    assert_eq!(project.sql("select record from ops.rejected_rows").await, ["x,1"]);
}

/// Files of lines, read as text; `more` is said of the stream besides.
fn lines(more: &str) -> String {
    format!("kind: files\nstreams: {{t: {{path: 'log*', format: csv, csv: {{header: false}}{more}}}}}\n")
}

const LINES: &str = "select column_1 from raw_shop.t order by 1";

#[tokio::test]
async fn what_was_renamed_is_read_anew_in_the_place_of_its_rows() {
    let project = Project::new("{}").await;
    project.configure(&lines(""));
    project.write("log", "a1\na2\n");
    project.ingest().await;
    std::fs::rename(project.path().join("log"), project.path().join("log.1")).unwrap();
    project.write("log", "b1\n");
    project.ingest().await;
    std::fs::rename(project.path().join("log.1"), project.path().join("log.2")).unwrap();
    std::fs::rename(project.path().join("log"), project.path().join("log.1")).unwrap();
    project.write("log", "c1\n");
    project.ingest().await;
    // One of them alone, whose rows came under a name that others had before and afterwards.
    let mut others = Vec::new();
    for name in ["log", "log.2"] {
        let path = project.path().join(name);
        others.push((name, std::fs::read(&path).unwrap()));
        std::fs::remove_file(path).unwrap();
    }
    project.configure(&lines(", columns: {column_1: {type: text}}"));
    assert_eq!(project.ingest().await.streams[0].files, 1);
    assert_eq!(project.sql(LINES).await, ["a1", "a2", "b1", "c1"]);
    for (name, content) in others {
        project.write(name, content);
    }
    for more in [", columns: {column_1: {type: text}}", ""] {
        project.configure(&lines(more));
        project.ingest().await;
        assert_eq!(project.sql(LINES).await, ["a1", "a2", "b1", "c1"], "{more}");
        assert_eq!(project.ingest().await.release, None);
    }
}

#[tokio::test]
async fn of_a_file_that_was_renamed_and_grew_the_new_lines_land() {
    for long in ["", &"x".repeat(5000)] {
        let project = Project::new("{}").await;
        project.configure(&lines(""));
        project.write("log", format!("a1{long}\na2\n"));
        project.ingest().await;
        project.write("log.1", format!("a1{long}\na2\na3\n"));
        project.write("log", format!("b1{long}\n"));
        project.ingest().await;
        let expected = [
            format!("a1{long}"),
            "a2".to_owned(),
            "a3".to_owned(),
            format!("b1{long}"),
        ];
        assert_eq!(project.sql(LINES).await, expected);
        let grown = "select _origin from raw_shop.t where column_1 = 'a3'";
        assert_eq!(project.sql(grown).await, ["log.1:3"]);
        // Its rows are under two names.
        project.configure(&lines(", columns: {column_1: {type: text}}"));
        project.ingest().await;
        assert_eq!(project.sql(LINES).await, expected);
        assert_eq!(project.ingest().await.release, None);
    }
}

#[tokio::test]
async fn of_files_that_are_renamed_in_turn_and_grow_the_new_lines_land() {
    let project = Project::new("{}").await;
    project.configure(&lines(""));
    // Whoever writes to a log goes on after it was renamed, to one whose name others had before too.
    for files in [
        &[("log", "a1\n")][..],
        &[("log.1", "a1\na2\n"), ("log", "b1\n")],
        &[("log.2", "a1\na2\n"), ("log.1", "b1\nb2\n"), ("log", "c1\n")],
        &[("log.2", "b1\nb2\n"), ("log.1", "c1\nc2\n"), ("log", "d1\n")],
    ] {
        for (name, content) in files {
            project.write(name, content);
        }
        project.ingest().await;
    }
    assert_eq!(project.sql(LINES).await, ["a1", "a2", "b1", "b2", "c1", "c2", "d1"]);
}

#[tokio::test]
async fn a_content_that_comes_back_is_read_anew_where_it_landed() {
    let project = Project::new("{}").await;
    project.configure(&lines(""));
    for content in ["a\n", "b\n", "a\n"] {
        project.write("log", content);
        project.ingest().await;
    }
    assert_eq!(project.sql(LINES).await, ["a", "b"]);
    project.configure(&lines(", columns: {column_1: {type: text}}"));
    project.ingest().await;
    assert_eq!(project.sql(LINES).await, ["a", "b"]);
}

#[tokio::test]
async fn a_file_that_grew_and_is_read_another_way_lands_whole() {
    let project = Project::new("{}").await;
    project.configure(&lines(""));
    project.write("log", "1\n");
    project.ingest().await;
    project.write("log", "1\n2\n");
    project.configure(&lines(", columns: {column_1: {type: text}}"));
    project.ingest().await;
    assert_eq!(project.sql(LINES).await, ["1", "2"]);
    let loads = "select count(distinct _load_id) from raw_shop.t";
    assert_eq!(project.sql(loads).await, ["1"]);
}

#[tokio::test]
async fn a_file_with_escapes_that_grew_has_every_line_once() {
    let project = Project::new("{}").await;
    project
        .configure("kind: files\nstreams: {t: {path: 'log*', format: csv, csv: {header: false, escape: \"\\\\\"}}}\n");
    project.write("log", "\"a\\\"\"\n\"b\n");
    let _ = project.try_ingest(&[]).await;
    project.write("log", "\"a\\\"\"\n\"b\nc\"\nd\n");
    project.ingest().await;
    assert_eq!(project.sql(LINES).await, ["a\"", "b\nc", "d"]);
}

#[tokio::test]
async fn another_kind_of_personal_data_hashes_anew() {
    let project = Project::new("{}").await;
    let columns = |pii: &str| lines(&format!(", columns: {{column_1: {{pii: {pii}, transform: drop}}}}"));
    project.write("log", "a,1\n");
    project.configure(&columns("name"));
    project.ingest().await;
    project.configure(&columns("email"));
    assert!(project.ingest().await.release.is_some());
}
