#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::*;

fn generated(customers: u32, seed: u64) -> (tempfile::TempDir, Summary) {
    let dir = tempfile::tempdir().unwrap();
    let summary = generate(
        &Options {
            customers,
            seed,
            dir: dir.path().to_owned(),
        },
        &|_| (),
    )
    .unwrap();
    (dir, summary)
}

/// Every file below `folder` with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(
                    path.strip_prefix(folder).unwrap().to_owned(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    all
}

/// The text of all files of `folder` whose names begin with `prefix`, decompressed, in the order of their names.
fn text(folder: &Path, prefix: &str) -> String {
    let mut text = String::new();
    for (path, bytes) in contents(folder) {
        if path.to_str().unwrap().starts_with(prefix) {
            text += std::str::from_utf8(&plain(&path, &bytes)).unwrap();
        }
    }
    text
}

/// The bytes of a file, decompressed.
fn plain(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap(),
        Some("zst") => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut plain).unwrap(),
        _ => {
            plain = bytes.to_vec();
            plain.len()
        }
    };
    plain
}

/// The one value of a query on one of the company's databases.
fn value<T: rusqlite::types::FromSql>(dir: &Path, file: &str, query: &str) -> T {
    let connection = database::open(&dir.join("data").join(file)).unwrap();
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

/// The records of the shop.
fn records(dir: &Path, resource: &str) -> Vec<serde_json::Value> {
    let connection = database::open(&dir.join("data/shop.db")).unwrap();
    let mut statement = connection
        .prepare(&format!("select document from {resource} order by id"))
        .unwrap();
    let documents = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    documents
        .map(|document| serde_json::from_str(&document.unwrap()).unwrap())
        .collect()
}

/// The hits that the web tracker has queued, in order.
fn hits(dir: &Path) -> Vec<serde_json::Value> {
    let queued = text(&dir.join("outbox"), "hits");
    let requests = queued
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    requests
        .flat_map(|mut request| {
            assert!(request["schema"].as_str().unwrap().contains("/payload_data/"));
            request["data"].as_array_mut().map(std::mem::take).unwrap()
        })
        .collect()
}

fn rows(csv: &str) -> impl Iterator<Item = Vec<&str>> {
    let head = csv.lines().next().unwrap();
    csv.lines()
        .filter(move |line| *line != head)
        .map(|line| line.split([';', ',']).collect())
}

fn cents(amount: &serde_json::Value) -> i64 {
    amount.as_str().unwrap().replace('.', "").parse().unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let ((first, one), (second, two), (third, _)) = (generated(150, 7), generated(150, 7), generated(150, 8));
    assert_eq!(one, two);
    assert!(contents(first.path()) == contents(second.path()));
    assert!(contents(first.path()) != contents(third.path()));
}

#[test]
fn the_summary_can_be_counted_in_the_files() {
    let (dir, summary) = generated(400, 1);
    let dir = dir.path();
    let count = |query: &str| u64::try_from(value::<i64>(dir, "erp.db", query)).unwrap();

    // A ticket's total is the sum of its lines, and all of them are the takings.
    assert_eq!(count("select count(*) from clientes"), summary.cards);
    assert_eq!(count("select count(*) from tickets"), summary.tickets);
    assert_eq!(count("select count(distinct num_ticket) from tickets"), summary.tickets);
    assert_eq!(
        count("select count(*) from tickets where tarjeta is null"),
        summary.anonymous_tickets
    );
    assert_eq!(count("select count(*) from lineas_ticket"), summary.ticket_lines);
    let takings: i64 = value(
        dir,
        "erp.db",
        "select sum(cast(round(importe * 100) as integer)) from tickets",
    );
    assert_eq!(takings, summary.store_revenue_cents);
    let wrong = "select count(*) from tickets join (select num_ticket, count(*) as n, sum(importe) as total \
                 from lineas_ticket group by num_ticket) using (num_ticket) \
                 where num_lineas <> n or abs(importe - total) > 0.001";
    assert_eq!(count(wrong), 0);

    // Cancelled orders are not revenue.
    let orders: HashMap<u64, serde_json::Value> = records(dir, "orders")
        .into_iter()
        .map(|order| (order["id"].as_u64().unwrap(), order))
        .collect();
    assert_eq!(orders.len() as u64, summary.shop_orders);
    let paid = orders.values().filter(|order| order["status"] == "paid");
    assert_eq!(
        paid.clone().map(|order| cents(&order["total"])).sum::<i64>(),
        summary.shop_revenue_cents
    );
    assert_eq!(summary.shop_orders - paid.count() as u64, summary.cancelled_orders);
    for order in orders.values() {
        let lines: i64 = order["lines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| cents(&line["total"]))
            .sum();
        assert_eq!(
            lines + cents(&order["shipping"]["price"]),
            cents(&order["total"]),
            "{order}"
        );
        let changed = order["updated_at"] != order["created_at"];
        assert_eq!(changed, order["status"] == "cancelled", "{order}");
    }
    assert_eq!(records(dir, "customers").len() as u64, summary.accounts);
    let consents = records(dir, "consents").len() as u64 + count("select count(*) from consentimientos");
    assert_eq!(consents, summary.consents);

    let carts = records(dir, "carts");
    assert_eq!(carts.len() as u64, summary.carts);
    assert_eq!(
        carts.iter().filter(|cart| cart["order_number"].is_null()).count() as u64,
        summary.abandoned_carts
    );

    let hits = hits(dir);
    assert_eq!(hits.len() as u64, summary.web_events + summary.repeated_web_events);
    let distinct = |key: &str| hits.iter().filter_map(|hit| hit[key].as_str()).collect::<HashSet<_>>();
    assert_eq!(distinct("eid").len() as u64, summary.web_events);
    assert_eq!(distinct("sid").len() as u64, summary.sessions);
    let purchases = distinct("tr_id");
    assert_eq!(purchases.len() as u64, summary.shop_orders);
    assert!(
        purchases
            .iter()
            .all(|number| orders.contains_key(&number[1..].parse().unwrap()))
    );
}

#[test]
fn hits_are_those_of_the_tracker_protocol() {
    let (dir, _) = generated(200, 1);
    let hits = hits(dir.path());
    let uuids = hits
        .iter()
        .flat_map(|hit| ["eid", "sid", "duid"].map(|key| hit[key].as_str().unwrap()));
    assert!(
        uuids
            .map(|id| uuid::Uuid::parse_str(id).unwrap())
            .all(|id| id.get_version_num() == 4)
    );
    for hit in &hits {
        assert!(
            hit.as_object().unwrap().values().all(serde_json::Value::is_string),
            "{hit}"
        );
        let kind = hit["e"].as_str().unwrap();
        let details = ["se_ac", "tr_tt"].map(|key| hit.get(key).is_some());
        assert_eq!(details, [kind == "se", kind == "tr"], "{hit}");
        assert!(
            hit["url"].as_str().unwrap().starts_with("https://www.colmado.example/"),
            "{hit}"
        );
    }
    // Who has logged in stays known for the rest of the visit, and every purchase needs a login.
    assert!(
        hits.iter()
            .filter(|hit| hit["e"] == "tr")
            .all(|hit| hit["uid"].is_string())
    );
    let accounts: HashSet<String> = records(dir.path(), "customers")
        .iter()
        .map(|account| account["id"].to_string())
        .collect();
    assert!(
        hits.iter()
            .filter_map(|hit| hit["uid"].as_str())
            .all(|account| accounts.contains(account))
    );
}

#[test]
fn the_figures_are_those_of_a_supermarket() {
    let (_dir, summary) = generated(2_000, 5);
    let each = |count: u64| count as f64 / summary.customers as f64;
    assert!((0.75..1.0).contains(&each(summary.cards)), "{summary:?}");
    assert!((0.45..0.75).contains(&each(summary.accounts)), "{summary:?}");
    assert!((8.0..25.0).contains(&each(summary.tickets)), "{summary:?}");
    assert!((2.0..8.0).contains(&each(summary.shop_orders)), "{summary:?}");
    let abandoned = summary.abandoned_carts as f64 / summary.carts as f64;
    assert!(
        (0.2..0.35).contains(&abandoned),
        "{abandoned} of the carts are abandoned"
    );
    let basket = summary.store_revenue_cents as f64 / summary.tickets as f64 / 100.0;
    assert!((10.0..40.0).contains(&basket), "{basket} € a ticket");
    let anonymous = summary.anonymous_tickets as f64 / summary.tickets as f64;
    assert!(
        (0.08..0.35).contains(&anonymous),
        "{anonymous} of the tickets show no card"
    );
}

#[test]
fn no_system_knows_the_truth() {
    let (dir, _) = generated(300, 2);
    for folder in ["data", "outbox"] {
        for (path, bytes) in contents(&dir.path().join(folder)) {
            let plain = plain(&path, &bytes);
            let text = String::from_utf8_lossy(&plain);
            let knows = text.contains("P0000") || text.contains("person_id") || text.contains("truth");
            assert!(!knows, "{}", path.display());
        }
    }
}

#[test]
fn truth_names_every_record_once() {
    let (dir, summary) = generated(300, 2);
    let truth = text(&dir.path().join("truth"), "records");
    let records: HashSet<(String, String)> = rows(&truth).map(|row| (row[1].to_owned(), row[2].to_owned())).collect();
    assert_eq!(records.len() as u64, summary.cards + summary.accounts);
    let connection = database::open(&dir.path().join("data/erp.db")).unwrap();
    let mut statement = connection.prepare("select tarjeta from clientes").unwrap();
    let cards = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let cards: HashSet<String> = cards.map(|card| card.unwrap()).collect();
    assert_eq!(cards.len() as u64, summary.cards);
    assert!(
        cards
            .iter()
            .all(|card| records.contains(&("erp".to_owned(), card.clone())))
    );
    let sessions = text(&dir.path().join("truth"), "web_sessions");
    assert_eq!(rows(&sessions).count() as u64, summary.sessions);
}

#[test]
fn the_erp_has_typed_columns_and_local_times() {
    let (dir, _) = generated(200, 2);
    let erp = |query: &str| value::<String>(dir.path(), "erp.db", query);
    let declared = "select group_concat(type, '; ') from pragma_table_info('tickets')";
    assert_eq!(
        erp(declared),
        "INTEGER; varchar(20); datetime; char(4); smallint; char(13); varchar(10); smallint; decimal(10, 2); datetime"
    );
    let time = erp("select min(fecha_hora) from tickets");
    assert!(
        chrono::NaiveDateTime::parse_from_str(&time, "%Y-%m-%d %H:%M:%S").is_ok(),
        "{time}"
    );
    let opening = "select group_concat(distinct substr(fecha_hora, 12, 2)) from tickets where substr(fecha_hora, 12, 2) \
                   not between '09' and '21'";
    assert!(value::<Option<String>>(dir.path(), "erp.db", opening).is_none());
    assert_eq!(
        erp("select min(email) from clientes where email not like '%@%'"),
        "NULL"
    );
}

#[test]
fn the_list_of_stores_is_latin_1() {
    let (dir, _) = generated(100, 2);
    let mut stores = Vec::new();
    let file = File::open(dir.path().join("data/office/tiendas.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_end(&mut stores).unwrap();
    assert!(stores.windows(10).any(|bytes| bytes == b"Direcci\xf3n;"));
}

#[test]
fn rows_are_reported_as_they_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let (calls, rows) = (Cell::new(0), Cell::new(0));
    let options = Options {
        customers: 100,
        seed: 3,
        dir: dir.path().to_owned(),
    };
    let summary = generate(&options, &|more| {
        calls.set(calls.get() + 1);
        rows.set(rows.get() + more);
    })
    .unwrap();
    assert!(calls.get() > 24);
    assert!(rows.get() > summary.tickets + summary.ticket_lines + summary.web_events);
}

#[test]
fn a_wrong_number_of_customers_is_the_users_mistake() {
    for customers in [0, 99, 1_000_001] {
        let error = generate(
            &Options {
                customers,
                seed: 1,
                dir: PathBuf::new(),
            },
            &|_| (),
        )
        .unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
