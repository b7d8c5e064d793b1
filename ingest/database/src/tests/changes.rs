//! `changes: logical` against a real PostgreSQL.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::util::display::array_value_to_string;
use cordada_ingest_source::Source as _;
use cordada_ingest_source::extract::Rows;
use cordada_ingest_source::misfits;

use super::servers::TestPostgres;
use super::{Load, Source, all, lines};

const FOLLOWED: &str = "{table: public.sales, key: [id], changes: logical}";

const DROP_SLOTS: &str = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots";

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
    let source = Source::new(&server.url(), FOLLOWED).await;
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
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots; DELETE FROM sales; \
             INSERT INTO sales VALUES (10, 1)",
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
    server.run(DROP_SLOTS).await;
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

/// The table `sales` with a row.
async fn sales(server: &TestPostgres) {
    let table = "CREATE TABLE sales (id int PRIMARY KEY, v int, w int, x int); INSERT INTO sales VALUES (1, 1)";
    server.run(table).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_takes_nothing_from_production() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    sales(&server).await;
    for stream in [
        FOLLOWED,
        "{table: public.sales, key: [id], changes: logical, slot: named}",
    ] {
        let (production, target) = (
            Source::new(&server.url(), stream).await,
            Source::new(&server.url(), stream).await.in_target("dev"),
        );
        let landed = production.load(None).await.unwrap();
        server.run("UPDATE sales SET v = v + 1").await;
        let there = target.load(None).await.unwrap();
        server.run("UPDATE sales SET v = v + 1").await;
        assert_eq!(target.load(there.state).await.unwrap().rows(), 1);
        let landed = production.load(landed.state).await.unwrap();
        assert_eq!(landed.rows(), 2);
        assert_eq!(
            server.run("SELECT count(*) FROM pg_replication_slots").await.as_deref(),
            Some("2")
        );
        server.run(DROP_SLOTS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_somebody_else_has_moved_is_told_until_it_is_dropped() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    sales(&server).await;
    let source = Source::new(&server.url(), FOLLOWED).await;
    for moved in [
        "SELECT pg_replication_slot_advance(slot_name, pg_current_wal_lsn()) FROM pg_replication_slots",
        "SELECT pg_drop_replication_slot(slot_name), \
         pg_create_logical_replication_slot(slot_name, 'pgoutput') FROM pg_replication_slots",
    ] {
        let landed = source.load(None).await.unwrap();
        server.run("UPDATE sales SET v = v + 1").await;
        server.run(moved).await;
        let error = source.load(landed.state.clone()).await.err().unwrap();
        assert_eq!(error.exit_code(), 1);
        copies_again_as_it_says(&server, &source, landed, &error.to_string()).await;
        server.run(DROP_SLOTS).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_has_lost_changes_is_told_until_it_is_dropped() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    sales(&server).await;
    let source = Source::new(&server.url(), FOLLOWED).await;
    let landed = source.load(None).await.unwrap();
    server.run("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'").await;
    server.run("SELECT pg_reload_conf()").await;
    for _ in 0..5 {
        server.run("UPDATE sales SET v = v + 1; SELECT pg_switch_wal()").await;
        server.run("CHECKPOINT").await;
    }
    let error = source.load(landed.state.clone()).await.err().unwrap();
    assert_eq!(error.exit_code(), 2);
    copies_again_as_it_says(&server, &source, landed, &error.to_string()).await;
}

/// Does what the error says, after which the lake has again what the server has.
async fn copies_again_as_it_says(server: &TestPostgres, source: &Source, landed: Load, error: &str) {
    let slot = server.run("SELECT slot_name FROM pg_replication_slots").await.unwrap();
    let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
    assert!(error.contains(&drop), "{error}");
    server.run(&drop).await;
    let mut mirror = Mirror::default();
    let again = source.load(landed.state).await.unwrap();
    mirror.land(&again);
    let now = server.run("SELECT v::text FROM sales").await.unwrap();
    assert_eq!(mirror.rows(), [format!("1:{now},,")]);
    assert!(source.load(again.state).await.unwrap().batches.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_log_of_another_server_says_is_not_taken() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    sales(&server).await;
    let source = Source::new(&server.url(), FOLLOWED).await;
    let state = source.load(None).await.unwrap().state.unwrap();
    for (key, value) in [
        ("/lsn", serde_json::json!("FF/0")),
        ("/log/system", serde_json::json!("1")),
        ("/log/timeline", serde_json::json!("00000007")),
    ] {
        let mut other = state.clone();
        *other.pointer_mut(key).unwrap() = value;
        let error = source.load(Some(other)).await.err().unwrap();
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("restored from a backup"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_of_before_goes_on_being_used() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    sales(&server).await;
    let source = Source::new(&server.url(), FOLLOWED).await;
    server.run("CREATE PUBLICATION cordada_erp_sales FOR TABLE sales").await;
    server
        .run("SELECT pg_create_logical_replication_slot('cordada_erp_sales', 'pgoutput')")
        .await;
    // What a load of before has left; then nothing of the table changed, and the slot moved on without a note.
    let lsn = server
        .run("SELECT confirmed_flush_lsn::text FROM pg_replication_slots")
        .await;
    let former = serde_json::json!({"of": "public.sales by ", "lsn": lsn});
    server.run("CREATE TABLE other (id int)").await;
    server
        .run("SELECT pg_replication_slot_advance('cordada_erp_sales', pg_current_wal_lsn())")
        .await;
    server.run("UPDATE sales SET v = 2").await;
    let target = Source::new(&server.url(), FOLLOWED).await.in_target("dev");
    assert_eq!(target.load(Some(former.clone())).await.unwrap().rows(), 1, "a copy");
    let load = source.load(Some(former)).await.unwrap();
    assert_eq!(load.rows(), 1);
    assert_eq!(load.state.as_ref().unwrap()["slot"], "cordada_erp_sales");
    server.run("UPDATE sales SET v = 3").await;
    assert_eq!(source.load(load.state).await.unwrap().rows(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_let_go_when_only_others_write() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    sales(&server).await;
    let source = Source::new(&server.url(), FOLLOWED).await;
    let first = source.load(None).await.unwrap();
    server
        .run("CREATE TABLE other AS SELECT i, repeat('x', 1000) AS v FROM generate_series(1, 20000) AS i")
        .await;
    let second = source.load(first.state.clone()).await.unwrap();
    assert!(second.rows() == 0 && second.state != first.state);
    let behind = "SELECT (pg_current_wal_lsn() - confirmed_flush_lsn < 1000000)::text FROM pg_replication_slots";
    assert_eq!(server.run(behind).await.as_deref(), Some("true"));
    let third = source.load(second.state.clone()).await.unwrap();
    assert_eq!(third.state, second.state, "nothing new leaves no trace");
}

/// A change that cannot land is given out with its key and what is wrong, so that what was there does not stay as if it
/// were true; the change that mends it is one like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_cannot_land_costs_its_row() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    server
        .run(
            "CREATE TABLE sales (id int PRIMARY KEY, v numeric(8,2), at timestamp);
              INSERT INTO sales VALUES (1, 1, NULL), (2, 'NaN', NULL)",
        )
        .await;
    let source = Source::new(&server.url(), FOLLOWED).await;
    let copied = source.load(None).await.unwrap();
    assert_eq!(copied.lines(), ["1,1.00,"]);
    server
        .run("UPDATE sales SET v = 'NaN', at = 'infinity' WHERE id = 1; INSERT INTO sales VALUES (3, 3, NULL)")
        .await;
    let mut extraction = source.source.extract(source.request(copied.state)).await.unwrap();
    let chunk = extraction.next().await.unwrap().unwrap();
    let Rows::Typed { partitions, .. } = chunk.rows else {
        panic!("a database's rows have types");
    };
    let given = all(partitions).await.unwrap();
    let (rows, misfits) = misfits::split(&given[0]).unwrap();
    assert_eq!(lines(&[rows]), ["1,,,false", "3,3.00,,false"]);
    let said: Vec<_> = misfits[&0].iter().map(|misfit| misfit.value.as_str()).collect();
    assert_eq!((misfits.len(), said), (1, vec!["NaN", "infinity"]));
    extraction.landed().await.unwrap();
    drop(extraction);
    server
        .run("UPDATE sales SET v = 1.5, at = NULL WHERE id = 1; DELETE FROM sales WHERE id = 2")
        .await;
    let mended = source.load(chunk.state).await.unwrap();
    assert_eq!(mended.lines(), ["1,1.50,,false", "2,,,true"]);
}
