//! `changes: logical` against a real PostgreSQL.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::util::display::array_value_to_string;

use super::servers::TestPostgres;
use super::{Load, Source};

/// What the lake would hold: rows by their key, as landing upserts them.
#[derive(Default)]
struct Mirror(BTreeMap<String, String>);

impl Mirror {
    fn land(&mut self, load: &Load) {
        for batch in &load.batches {
            let deleted = batch
                .column_by_name("_deleted")
                .map(|column| column.as_boolean().clone());
            for row in 0..batch.num_rows() {
                let values = batch
                    .columns()
                    .iter()
                    .take(4)
                    .map(|column| array_value_to_string(column, row).unwrap());
                let values: Vec<_> = values.collect();
                match &deleted {
                    Some(deleted) if deleted.value(row) => self.0.remove(&values[0]),
                    _ => self.0.insert(values[0].clone(), values[1..].join(",")),
                };
            }
        }
    }

    fn rows(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(key, values)| format!("{key}:{}", &values[..values.len().min(40)]))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_are_followed() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    server
        .run(
            "CREATE TABLE sales (id int PRIMARY KEY, v numeric(8,2), big text, took interval);
              CREATE TABLE other (id int);
              INSERT INTO sales VALUES (1, 1, 'a', '1 day'), (2, 2, 'b', NULL)",
        )
        .await;
    let source = Source::new(&server.url(), "{table: public.sales, key: [id], changes: logical}").await;
    let mut mirror = Mirror::default();
    let mut load = source.load(None).await.unwrap();
    mirror.land(&load);
    assert_eq!(mirror.rows(), ["1:1.00,a,P1D", "2:2.00,b,"]);

    // Nothing happened to this table.
    server.run("INSERT INTO other VALUES (1)").await;
    load = source.load(load.state).await.unwrap();
    assert!(load.batches.is_empty());

    server
        .run(
            "INSERT INTO sales VALUES (3, 3.5, 'it''s', '1 hour');
              UPDATE sales SET v = 20 WHERE id = 2;
              DELETE FROM sales WHERE id = 1;
              UPDATE sales SET id = 4 WHERE id = 3",
        )
        .await;
    server.run("BEGIN; DELETE FROM sales; ROLLBACK").await;
    let before = load.state.clone();
    load = source.load(load.state).await.unwrap();
    mirror.land(&load);
    assert_eq!(mirror.rows(), ["2:20.00,b,", "4:3.50,it's,PT1H"]);
    // As if it were killed before the server knew: what has landed does not land again.
    let again = source.load(load.state.clone()).await.unwrap();
    assert!(again.batches.is_empty());
    assert_ne!(before, load.state);

    // A value too large for the row, which later updates do not repeat in the log.
    server
        .run("ALTER TABLE sales ALTER big SET STORAGE EXTERNAL;
              UPDATE sales SET big = repeat('x', 100000) WHERE id = 2;
              UPDATE sales SET v = 21 WHERE id = 2;
              INSERT INTO sales VALUES (5, 5, repeat('y', 100000), NULL);
              UPDATE sales SET v = 6 WHERE id = 5; UPDATE sales SET v = 22 WHERE id = 2; DELETE FROM sales WHERE id = 5")
        .await;
    load = source.load(load.state).await.unwrap();
    mirror.land(&load);
    assert_eq!(mirror.0["2"], format!("22.00,{},", "x".repeat(100_000)));
    assert_eq!(mirror.0.len(), 2);

    // The columns change in between.
    server
        .run(
            "INSERT INTO sales VALUES (6, 6, NULL, NULL); ALTER TABLE sales DROP COLUMN took; \
              ALTER TABLE sales ADD COLUMN note text; INSERT INTO sales VALUES (7, 7, NULL, 'new')",
        )
        .await;
    load = source.load(load.state).await.unwrap();
    mirror.land(&load);
    assert_eq!(
        (mirror.0["6"].as_str(), mirror.0["7"].as_str()),
        ("6.00,,", "7.00,,new")
    );

    truncated(&server, &source, &mut mirror, load).await;
    refused(&server).await;
}

async fn truncated(server: &TestPostgres, source: &Source, mirror: &mut Mirror, load: Load) {
    // The lake's keys are what is gone.
    let keys = arrow::array::Int32Array::from_iter_values(mirror.0.keys().map(|key| key.parse().unwrap()));
    let batch = arrow::record_batch::RecordBatch::try_from_iter([("id", std::sync::Arc::new(keys) as _)]).unwrap();
    source.landed.fill(batch);
    server
        .run("INSERT INTO sales VALUES (8, 8); TRUNCATE sales; INSERT INTO sales VALUES (9, 9)")
        .await;
    let load = source.load(load.state).await.unwrap();
    mirror.land(&load);
    assert_eq!(mirror.rows(), ["9:9.00,,"]);

    // Without its slot, everything is copied again, and what the lake has too much is removed.
    server
        .run(
            "SELECT pg_drop_replication_slot('cordada_erp_sales'); DELETE FROM sales; INSERT INTO sales VALUES (10, 1)",
        )
        .await;
    let load = source.load(load.state).await.unwrap();
    assert_eq!(
        load.batches
            .iter()
            .filter(|batch| batch.column_by_name("_deleted").is_some())
            .count(),
        1
    );
    assert_eq!(
        super::column(
            &Load {
                batches: load.batches[..1].to_vec(),
                state: None
            },
            "id"
        ),
        [Some("10".to_owned())]
    );
    server.run("SELECT pg_drop_replication_slot('cordada_erp_sales')").await;
}

async fn refused(server: &TestPostgres) {
    server
        .run("CREATE TABLE loose (id int, v int); CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        .await;
    let fails = async |url: String, stream: &str| {
        let error = Source::new(&url, stream).await.load(None).await.err().unwrap();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    };
    let said = fails(server.url(), "{table: loose, key: [id], changes: logical}").await;
    assert!(said.contains("REPLICA IDENTITY FULL"), "{said}");
    let reader = server.url().replace("admin", "reader");
    let said = fails(
        reader.clone(),
        "{table: sales, key: [id], changes: logical, slot: another}",
    )
    .await;
    assert!(
        said.contains("CREATE PUBLICATION \"another\" FOR TABLE \"public\".\"sales\""),
        "{said}"
    );
    server.run("CREATE PUBLICATION another FOR TABLE sales").await;
    let said = fails(reader, "{table: sales, key: [id], changes: logical, slot: another}").await;
    assert!(said.contains("REPLICATION"), "{said}");
    let said = fails(
        server.url(),
        "{table: other, key: [id], changes: logical, publication: another}",
    )
    .await;
    assert!(
        said.contains("REPLICA IDENTITY") || said.contains("ADD TABLE"),
        "{said}"
    );
}
