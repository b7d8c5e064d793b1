//! From `sources/*.yml` to a table.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cordada_core::Result;
use cordada_core::progress::Silent;
use cordada_ingest::{IngestReport, ingest, load_sources};
use cordada_lake::Lake;
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::server::{Server, json, reply};
use super::{KINDS, settings};

const MANIFEST: &str = r#"
title: Shop
config:
  base_url: {}
  token: {secret: true, description: a token}
  since: {default: "2020-01-01T00:00:00Z"}
base_url: "{{ config.base_url }}"
auth: {kind: bearer, token: "{{ config.token }}"}
check: {path: /ping}
streams:
  orders:
    request: {path: /orders, params: {since: "{{ cursor.start }}"}}
    records: /orders
    incremental: {cursor: updated, initial: "{{ config.since }}"}
    key: [id]
    columns: {email: {pii: email}}
  shops: {request: {path: /shops}}
  "*":
    config: {table: {default: "{{ stream }}"}, changed: {required: false}}
    request: {path: "/tables/{{ config.table }}"}
    incremental: {cursor: "{{ config.changed }}"}
"#;

struct Project {
    dir: TempDir,
    lake: Lake,
}

impl Project {
    async fn new(source: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::open(&dir.path().join("lake").to_string_lossy(), &settings())
            .await
            .unwrap();
        let project = Self { dir, lake };
        std::fs::create_dir_all(project.dir.path().join("sources")).unwrap();
        std::fs::write(project.dir.path().join("shop-api.yml"), MANIFEST).unwrap();
        project.configure(source);
        project
    }

    fn configure(&self, source: &str) {
        std::fs::write(self.dir.path().join("sources/shop.yml"), source).unwrap();
    }

    fn load(&self) -> Result<Vec<cordada_ingest::SourceFile>> {
        load_sources(&self.dir.path().join("sources"), KINDS)
    }

    async fn ingest(&self) -> Result<IngestReport> {
        let (sources, cancel) = (self.load()?, CancellationToken::new());
        ingest(
            &self.lake,
            self.dir.path(),
            &sources,
            &[],
            None,
            Arc::new(Silent),
            cancel,
        )
        .await
    }

    async fn sql(&self, query: &str) -> String {
        let release = self.lake.releases().newest().await.unwrap();
        let batches = self
            .lake
            .session(&release)
            .sql(query)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        let text = arrow::util::pretty::pretty_format_batches(&batches)
            .unwrap()
            .to_string();
        let rows = text.lines().skip(3).filter(|line| line.starts_with('|'));
        rows.map(|line| {
            line.trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect::<Vec<_>>()
        .join(" ")
    }
}

async fn shop(loads: Arc<AtomicUsize>) -> Server {
    Server::new(move |seen| {
        if seen.header("authorization") != Some("Bearer t0ken") {
            return reply(401, &[], "");
        }
        let load = loads.load(Ordering::SeqCst);
        match seen.path.as_str() {
            "/ping" => json(json!({"ok": true})),
            "/orders" if load == 0 => json(json!({"orders": [
                {"id": 1, "updated": "2026-01-01T00:00:00Z", "email": "a@x.org", "total": "10.50", "lines": [{"sku": "a"}]},
                {"id": 2, "updated": "2026-01-02T00:00:00Z", "email": null, "total": "7.00", "lines": []}]})),
            "/orders" => {
                assert_eq!(seen.get("since"), Some("2026-01-02T00:00:00Z"));
                json(json!({"orders": [{"id": 2, "updated": "2026-01-03T00:00:00Z", "total": "8.00", "lines": []}]}))
            }
            "/shops" => json(if load == 0 { json!([{"id": "n"}, {"id": "s"}]) } else { json!([{"id": "s"}]) }),
            "/tables/stock" => json(json!([{"id": 5}])),
            path => reply(404, &[], path.to_owned()),
        }
    })
    .await
}

#[tokio::test]
async fn a_source_lands_and_goes_on_where_it_was() {
    let loads = Arc::new(AtomicUsize::new(0));
    let server = shop(loads.clone()).await;
    let head = format!(
        "kind: rest\nmanifest: shop-api.yml\nconfig: {{base_url: \"{}\", token: t0ken}}\n",
        server.base
    );
    let project = Project::new(&head).await;
    project.ingest().await.unwrap();
    let orders = "select id, total, email from raw_shop.orders order by id";
    assert_eq!(project.sql(orders).await, "1|10.50|a@x.org 2|7.00|");
    assert_eq!(project.sql("select id from raw_shop.shops order by id").await, "n s");
    loads.store(1, Ordering::SeqCst);
    let report = project.ingest().await.unwrap();
    assert_eq!(report.streams.iter().map(|stream| stream.rows).sum::<u64>(), 2);
    assert_eq!(project.sql(orders).await, "1|10.50|a@x.org 2|8.00|");
    assert_eq!(project.sql("select id from raw_shop.shops order by id").await, "s");
    assert_eq!(
        project.sql("select _origin from raw_shop.orders where id = 1").await,
        "shop.orders:1"
    );
    // A stream that the user names, and what the user says of one.
    project.configure(&format!(
        "{head}streams:\n  shops: {{key: [id], disposition: merge}}\n  stock: {{}}\n"
    ));
    assert_eq!(project.ingest().await.unwrap().streams.len(), 2);
    assert_eq!(project.sql("select id from raw_shop.stock").await, "5");
}

#[tokio::test]
async fn a_check_says_what_is_wrong_and_lands_nothing() {
    let server = shop(Arc::default()).await;
    let source = |base: &str, token: &str| {
        format!(
            "kind: rest\nmanifest: shop-api.yml\nconfig: {{base_url: \"{base}\", token: {token}}}\nstreams: [orders]\n"
        )
    };
    let project = Project::new(&source(&server.base, "t0ken")).await;
    let check = async || {
        let sources = project.load().unwrap();
        let mut checked = cordada_ingest::check(project.dir.path(), &sources, &[], CancellationToken::new())
            .await
            .unwrap();
        checked.remove(0).result
    };
    check().await.unwrap();
    assert_eq!(server.count("/ping"), 1);
    project.configure(&source(&server.base, "s3cret"));
    let error = check().await.unwrap_err();
    assert!(
        error.exit_code() == 2 && !error.to_string().contains("s3cret"),
        "{error}"
    );
    // Nobody listens on a port that was given back.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    project
        .configure(&source(&format!("http://{free}"), "t0ken").replace("streams", "timezone: Europe/Madrid\nstreams"));
    let manifest = MANIFEST.replace("check:", "retry: {attempts: 1}\ncheck:");
    std::fs::write(project.dir.path().join("shop-api.yml"), manifest).unwrap();
    assert_eq!(check().await.unwrap_err().exit_code(), 3);
}

#[tokio::test]
async fn sources_that_make_no_sense_are_refused_with_their_place() {
    let project = Project::new("").await;
    let config = "config: {base_url: \"http://127.0.0.1:1\", token: x}\n";
    for (source, expected) in [
        (format!("kind: rest\n{config}"), "give `connector`"),
        (
            format!("kind: rest\nmanifest: a.yml\nconnector: b\n{config}"),
            "one of them only",
        ),
        (
            format!("kind: rest\nconnector: shopfy\n{config}"),
            "did you mean `shopify`",
        ),
        (format!("kind: rest\nmanifest: none.yml\n{config}"), "no such file"),
        (
            "kind: rest\nmanifest: shop-api.yml\nconfig: {base_url: x}\n".to_owned(),
            "write token: ${TOKEN}",
        ),
        (
            format!("kind: rest\nmanifest: shop-api.yml\n{config}stream: [a]\n"),
            "did you mean `streams`",
        ),
        (
            "kind: rest\nmanifest: shop-api.yml\nconfig: {base_url: x, tokn: s3cret}\n".to_owned(),
            "did you mean `token`",
        ),
        (
            format!("kind: rest\nmanifest: shop-api.yml\n{config}streams: [orders, orders]\n"),
            "named twice",
        ),
        (
            format!("kind: rest\nmanifest: shop-api.yml\n{config}streams: {{shops: {{disposition: append}}}}\n"),
            "double its rows",
        ),
        (
            format!("kind: rest\nmanifest: shop-api.yml\n{config}streams: {{shops: {{disposition: merge}}}}\n"),
            "needs a key",
        ),
        (
            format!("kind: rest\nmanifest: shop-api.yml\n{config}streams: {{orders: {{dispositon: merge}}}}\n"),
            "did you mean `disposition`",
        ),
        (
            format!("kind: rest\nmanifest: shop-api.yml\n{config}streams: {{orders: {{config: {{a: 1}}}}}}\n"),
            "unknown key `a`",
        ),
        (
            format!("kind: rest\nmanifest: shop-api.yml\n{config}timezone: Madrid\n"),
            "not a time zone",
        ),
    ] {
        project.configure(&source);
        let error = project.load().expect_err(&source).to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(".yml") && !error.contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_on_record_though_nothing_else_came() {
    let loads = Arc::new(AtomicUsize::new(0));
    let load = loads.clone();
    let server = Server::new(move |_| {
        let deep = match load.load(Ordering::SeqCst) {
            0 => "1".to_owned(),
            _ => format!("{}{}", "[".repeat(200), "]".repeat(200)),
        };
        let body = format!(r#"{{"orders": [{{"id": 1, "updated": "2026-01-02T00:00:00Z", "deep": {deep}}}]}}"#);
        reply(200, &[("content-type", "application/json")], body)
    })
    .await;
    let source = format!(
        "kind: rest\nmanifest: shop-api.yml\nconfig: {{base_url: \"{}\", token: t0ken}}\nstreams: [orders]\n",
        server.base
    );
    let project = Project::new(&source).await;
    let manifest = MANIFEST.replace(
        "    records: /orders\n",
        "    records: /orders\n    filter: record.id\n",
    );
    std::fs::write(project.dir.path().join("shop-api.yml"), manifest).unwrap();
    project.ingest().await.unwrap();
    loads.store(1, Ordering::SeqCst);
    // Whether a load of which nothing lands is an error is not what is asked here.
    drop(project.ingest().await);
    assert_eq!(project.sql("select count(*) from ops.rejected_rows").await, "1");
}

#[tokio::test]
async fn a_number_that_json_does_not_have_costs_its_record() {
    let server = Server::new(move |_| {
        let record =
            |id: u8, value: &str| format!(r#"{{"id": {id}, "updated": "2026-01-02T00:00:00Z", "v": {value}}}"#);
        let records = [record(1, "NaN"), record(2, "[1, -Infinity]"), record(3, "1.5")];
        let body = format!(r#"{{"orders": [{}]}}"#, records.join(","));
        reply(200, &[("content-type", "application/json")], body)
    })
    .await;
    let source = format!(
        "kind: rest\nmanifest: shop-api.yml\nconfig: {{base_url: \"{}\", token: t0ken}}\nstreams: [orders]\n",
        server.base
    );
    let project = Project::new(&source).await;
    project.ingest().await.unwrap();
    assert_eq!(project.sql("select id from raw_shop.orders").await, "3");
    assert_eq!(project.sql("select count(*) from ops.rejected_rows").await, "2");
}
