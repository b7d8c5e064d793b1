//! Personal columns: nothing of them reaches the lake as it was.

use std::path::Path;
use std::sync::Arc;

use cordada_core::progress::Silent;
use cordada_ingest::{ingest, load_sources};
use cordada_ingest_source::transform::PiiKey;
use sha2::Digest;
use tokio_util::sync::CancellationToken;

use super::server::{Server, json, reply};
use super::{KINDS, Project};

async fn land(project: &Project) {
    let key = PiiKey::new("correct horse battery staple").unwrap();
    let sources = load_sources(&project.path().join("sources"), KINDS).unwrap();
    let (silent, cancel) = (Arc::new(Silent), CancellationToken::new());
    let landing = ingest(&project.lake, project.path(), &sources, &[], Some(&key), silent, cancel);
    landing.await.unwrap();
}

/// Every Parquet value and every other byte of the lake, as text.
fn everything(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            let file = std::fs::File::open(&path).unwrap();
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            text.push_str(&format!("{:?}", reader.metadata()));
            for batch in reader.build().unwrap() {
                text.push_str(
                    &arrow::util::pretty::pretty_format_batches(&[batch.unwrap()])
                        .unwrap()
                        .to_string(),
                );
            }
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test]
async fn hashed_dropped_and_tokenised_columns_leave_no_trace() {
    let project = Project::new(
        "{people: {path: p.csv, key: [email], disposition: merge, columns: {email: {pii: email, transform: hash}, \
         phone: {transform: drop}, card: {transform: tokenise}}}, \
         orders: {path: o.json, columns: {buyer.email: {transform: hash}, buyer.phone: {transform: drop}}}}",
    )
    .await;
    project.write(
        "p.csv",
        "id,email,phone,card\n1,Ana@Example.org,600111222,4111\n2,ana@example.org,600111222,\nbroken ana@example.org\n",
    );
    project.write(
        "o.json",
        r#"[{"id": 1, "buyer": {"email": "ana@example.org", "phone": 600111222, "city": "Soria"}}]"#,
    );
    land(&project).await;
    let key = PiiKey::new("correct horse battery staple").unwrap();
    let people = project
        .sql("select id, length(email), card is null from raw_shop.people")
        .await;
    assert_eq!(people, ["2|64|true"]);
    let city = project
        .sql("select buyer['city'], length(buyer['email']) from raw_shop.orders")
        .await;
    assert_eq!(city, ["Soria|64"]);
    assert_eq!(
        project.columns("raw_shop.people").await,
        ["id Int64", "email Utf8", "card Utf8"]
    );
    let rejected = project.sql("select line, record from ops.rejected_rows").await;
    assert_eq!(rejected, ["4|withheld: the stream has columns with a transform"]);

    project.write("p.csv", "id,email,phone,card\n3,b@example.org,,4111-1111\n");
    land(&project).await;
    let token = project.sql("select card from raw_shop.people where id = 3").await;
    assert_eq!(key.reveal(&token[0]).unwrap(), "4111-1111");

    let mut text = String::new();
    everything(&project.path().join("lake"), &mut text);
    assert!(text.contains("Soria"));
    for secret in ["ana@example.org", "Ana@Example.org", "600111222", "4111-1111"] {
        assert!(!text.contains(secret), "{secret} is in the lake");
    }
}

/// What the log of a table says from a version on, and what the Parquet files say of themselves that it adds there.
fn log_from(project: &Project, table: &str, first: u64) -> String {
    let folder = project.path().join("lake").join(table);
    let mut text = String::new();
    for version in first.. {
        let Ok(entry) = std::fs::read_to_string(folder.join(format!("_delta_log/{version:020}.json"))) else {
            break;
        };
        for action in entry
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        {
            if let Some(path) = action["add"]["path"]
                .as_str()
                .filter(|_| action["add"]["dataChange"] == true)
            {
                let file = std::fs::File::open(folder.join(path)).unwrap();
                let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                let groups = reader.metadata().row_groups().iter();
                let columns = groups.flat_map(|group| group.columns());
                let statistics = columns.filter_map(|column| column.statistics());
                statistics.for_each(|statistics| {
                    for bound in [statistics.min_bytes_opt(), statistics.max_bytes_opt()]
                        .into_iter()
                        .flatten()
                    {
                        text.push_str(&String::from_utf8_lossy(bound));
                        text.push('\n');
                    }
                });
            }
        }
        text.push_str(&entry);
    }
    text
}

#[tokio::test]
async fn what_is_declared_to_be_personal_later_leaves_the_statistics_at_once() {
    let source = |columns: &str| {
        format!(
            "kind: files\nstreams: {{people: {{path: p*.csv, columns: {{{columns}}}}}, \
             orders: {{path: o*.json, key: [id], disposition: merge, unnest: {{lines: null}}, columns: {{{}}}}}}}\n",
            columns.replace("email:", "lines.email:")
        )
    };
    let project = Project::new("{}").await;
    project.configure(&source(""));
    project.write("p1.csv", "id,email\n1,ana@example.org\n");
    project.write(
        "o1.json",
        r#"[{"id": 1, "lines": [{"email": "ana@example.org"}], "note": "n"}]"#,
    );
    project.ingest().await;
    assert!(log_from(&project, "raw_shop/people", 0).contains("ana@"));
    // Nothing new has to come for it.
    project.configure(&source("email: {pii: email}"));
    project.ingest().await;
    let release = project.lake.releases().newest().await.unwrap();
    for table in ["people", "orders", "orders__lines"] {
        let relation = release.relation(&format!("raw_shop.{table}").parse().unwrap()).unwrap();
        let docs = project.lake.docs(&relation.docs).await.unwrap();
        let column = if table == "orders" { "lines" } else { "email" };
        assert_eq!(docs.columns[column].pii.as_deref(), Some("email"), "{table}");
    }
    project.write("p2.csv", "id,email\n2,bo@example.org\n");
    project.write(
        "o2.json",
        r#"[{"id": 2, "lines": [{"email": "bo@example.org"}], "note": "n"}]"#,
    );
    project.ingest().await;
    for table in ["people", "orders", "orders__lines"] {
        let later = log_from(&project, &format!("raw_shop/{table}"), 1);
        assert!(
            later.contains("\"pii\\\":\\\"email\\\"") && later.contains("\"add\""),
            "{table}: {later}"
        );
        assert!(!later.contains("ana@") && !later.contains("bo@"), "{table}: {later}");
    }
    // The rows are all there, and each once.
    let rows = "select count(*), count(distinct email) from raw_shop";
    assert_eq!(project.sql(&format!("{rows}.people")).await, ["2|2"]);
    assert_eq!(project.sql(&format!("{rows}.orders__lines")).await, ["2|2"]);
    let loads = log_from(&project, "raw_shop/people", 0).matches("metaData").count();
    project.ingest().await;
    assert_eq!(
        log_from(&project, "raw_shop/people", 0).matches("metaData").count(),
        loads,
        "it is said once"
    );
}

#[tokio::test]
async fn what_is_hidden_within_records_is_hidden_whatever_stands_beside_them() {
    let project = Project::new(
        "{c: {path: c*.ndjson, columns: {c.e: {transform: hash}, c.l.d: {transform: drop}}}, \
         only: {path: o.ndjson, columns: {c.e: {transform: drop}, l.e: {transform: drop}}}, \
         deep: {path: d.ndjson, columns: {a.a.e: {transform: hash}}}}",
    )
    .await;
    project.write(
        "o.ndjson",
        "{\"i\":1,\"c\":{\"e\":\"secret0\"},\"l\":[{\"e\":\"secret1\"}]}\n",
    );
    let deep = "{\"a\":".repeat(20) + "1" + &"}".repeat(20);
    project.write(
        "d.ndjson",
        format!("{{\"a\":{{\"a\":{{\"e\":\"secret2\",\"x\":{deep}}}}}}}\n"),
    );
    project.write(
        "c1.ndjson",
        "{\"i\":1,\"c\":{\"e\":\"secret3\",\"l\":[{\"d\":\"secret4\",\"k\":1}]}}\n",
    );
    land(&project).await;
    project.write(
        "c2.ndjson",
        "{\"i\":2,\"c\":{\"e\":\"secret5\"}}\n{\"i\":3,\"c\":\"\"}\n",
    );
    land(&project).await;
    project.write(
        "c3.ndjson",
        "{\"i\":4,\"c\":{\"e\":{\"x\":\"secret6\"},\"l\":{\"a\":1,\"d\":\"secret7\"}}}\n",
    );
    land(&project).await;
    let (mut text, lake) = (String::new(), project.path().join("lake"));
    everything(&lake, &mut text);
    for secret in [0, 1, 2, 3, 4, 5, 6, 7].map(|number| format!("secret{number}")) {
        assert!(!text.contains(&secret), "{secret}");
    }
    assert_eq!(project.sql("select count(*) from raw_shop.c").await, ["4"]);
    assert_eq!(project.sql("select i from raw_shop.only").await, ["1"]);
}

#[tokio::test]
async fn no_statistics_tell_of_rejected_records() {
    let project = Project::new("{people: {path: p*.csv, contract: {types: discard_row}}}").await;
    project.write("p1.csv", "id,n\nana@example.org,1\n");
    project.ingest().await;
    project.write("p2.csv", "id,n\nbo@example.org,zoe@example.org\ncy@example.org,2\n");
    project.ingest().await;
    let rejected = project.sql("select record from ops.rejected_rows").await;
    assert!(rejected.len() == 1 && rejected[0].contains("zoe@"), "{rejected:?}");
    assert!(!log_from(&project, "ops/rejected_rows", 0).contains("zoe@"));
}

const CRM: &str = r#"
title: CRM
config: {base_url: {}}
base_url: "{{ config.base_url }}"
error_body: {message: /message}
streams:
  people: {request: {path: /people}, key: [email]}
  visits:
    request: {path: "/people/{{ parent.email }}/visits", params: {who: "{{ parent.email }}", since: "{{ cursor.start }}"}}
    parent: {stream: people, fields: {email: email, phone: phone}}
    incremental: {cursor: at, type: counter, per_parent: true}
  calls:
    request: {path: "/people/{{ parent.email }}/calls"}
    parent: {stream: people, fields: {email: email, phone: phone}}
"#;

#[tokio::test]
async fn parents_that_are_hidden_leave_no_trace_and_are_known_again() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/people" => json(serde_json::json!([
            {"email": "ana@example.org", "phone": "600111222"}, {"email": "bo@example.org", "phone": "600333444"}])),
        "/people/ana%40example.org/visits" => {
            let since = seen.get("since").unwrap_or_default();
            assert!(["", "7"].contains(&since), "{since}");
            json(serde_json::json!([{"id": 1, "at": 7, "note": "n"}]))
        }
        "/people/bo%40example.org/visits" => json(serde_json::json!([])),
        _ => reply(
            422,
            &[],
            r#"{"message": "Nobody has 600111222 or is ana@example.org, see http://x/?key=s3cret"}"#,
        ),
    })
    .await;
    let source = |streams: &str| {
        format!(
            "kind: rest\nmanifest: crm-api.yml\nconfig: {{base_url: \"{}\"}}\nstreams: {streams}\n",
            server.base
        )
    };
    let project = Project::new("{}").await;
    std::fs::remove_file(project.path().join("sources/shop.yml")).unwrap();
    project.write("crm-api.yml", CRM);
    let people = "people: {columns: {email: {pii: email, transform: hash}, phone: {transform: hash}}}";
    project.write("sources/crm.yml", source(&format!("{{{people}, visits: {{}}}}")));
    land(&project).await;
    land(&project).await;
    assert_eq!(project.sql("select id, at from raw_crm.visits").await, ["1|7"]);
    let mut text = String::new();
    everything(&project.path().join("lake"), &mut text);
    assert!(text.contains("cordada.state"));
    for secret in ["ana@", "ana%40", "600111222", "bo@"] {
        assert!(!text.contains(secret), "{secret} is in the lake");
    }

    project.write("sources/crm.yml", source(&format!("{{{people}, calls: {{}}}}")));
    let key = PiiKey::new("correct horse battery staple").unwrap();
    let sources = load_sources(&project.path().join("sources"), KINDS).unwrap();
    let (silent, cancel) = (Arc::new(Silent), CancellationToken::new());
    let landing = ingest(&project.lake, project.path(), &sources, &[], Some(&key), silent, cancel);
    let error = landing.await.unwrap_err().to_string();
    assert!(
        error.contains("/people/:email/calls: the system answers 422"),
        "{error}"
    );
    assert!(error.contains("Nobody has … or is …, see http://x/?…"), "{error}");

    let cursor = "{people: {}, visits: {columns: {at: {transform: hash}}}}";
    project.write("sources/crm.yml", source(cursor));
    let refused = load_sources(&project.path().join("sources"), KINDS)
        .map(|sources| sources.len())
        .unwrap_err();
    assert!(
        refused.to_string().contains("the cursor `at` has a `transform`"),
        "{refused}"
    );
}

#[tokio::test]
async fn what_tells_records_apart_is_no_hash_of_what_is_hidden() {
    let server = Server::new(|_| json(serde_json::json!([{"email": "ana@example.org", "at": 7}]))).await;
    let project = Project::new("{}").await;
    std::fs::remove_file(project.path().join("sources/shop.yml")).unwrap();
    let manifest = "title: T\nconfig: {base_url: {}}\nbase_url: \"{{ config.base_url }}\"\nstreams:\n  \
                    people: {request: {path: /}, key: [email], incremental: {cursor: at, type: counter}}\n";
    project.write("crm-api.yml", manifest);
    let column = "columns: {email: {transform: hash}}, disposition: append";
    let source = format!(
        "kind: rest\nmanifest: crm-api.yml\nconfig: {{base_url: \"{}\"}}\nstreams: {{people: {{{column}}}}}\n",
        server.base
    );
    project.write("sources/crm.yml", source);
    land(&project).await;
    land(&project).await;
    assert_eq!(project.sql("select count(*) from raw_crm.people").await, ["1"]);
    // The hash that whoever suspects the address would look for.
    let guess = sha2::Sha256::digest([&b"7"[..], &[0], br#""ana@example.org""#].concat());
    let guess: String = guess[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = String::new();
    everything(&project.path().join("lake"), &mut text);
    assert!(text.contains("known") && !text.contains(&guess));
}
