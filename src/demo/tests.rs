#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::*;

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
        if !path.to_str().unwrap().starts_with(prefix) {
            continue;
        }
        let mut plain = Vec::new();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => flate2::read::GzDecoder::new(&bytes[..])
                .read_to_end(&mut plain)
                .unwrap(),
            Some("zst") => zstd::Decoder::new(&bytes[..]).unwrap().read_to_end(&mut plain).unwrap(),
            _ => panic!("{}", path.display()),
        };
        // Latin-1 maps byte for byte.
        text +=
            &String::from_utf8(plain).unwrap_or_else(|bytes| bytes.into_bytes().iter().map(|&b| b as char).collect());
    }
    text
}

fn rows(csv: &str) -> impl Iterator<Item = Vec<&str>> {
    let head = csv.lines().next().unwrap();
    csv.lines()
        .filter(move |line| *line != head)
        .map(|line| line.split([';', ',']).collect())
}

fn json(text: &str) -> impl Iterator<Item = serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
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
    let erp = dir.path().join("data/erp");

    // A ticket's total is the sum of its lines, and all of them are the takings.
    let mut totals = HashMap::new();
    for line in text(&erp, "tickets")
        .lines()
        .filter(|line| !line.starts_with("NumTicket"))
    {
        let fields: Vec<&str> = line.split(';').collect();
        totals.insert(fields[0].to_owned(), fields[7].replace(',', "").parse::<i64>().unwrap());
    }
    assert_eq!(totals.len() as u64, summary.tickets);
    assert_eq!(totals.values().sum::<i64>(), summary.store_revenue_cents);
    let mut lines = 0;
    for line in text(&erp, "lineas")
        .lines()
        .filter(|line| !line.starts_with("NumTicket"))
    {
        let fields: Vec<&str> = line.split(';').collect();
        *totals.get_mut(fields[0]).unwrap() -= fields[6].replace(',', "").parse::<i64>().unwrap();
        lines += 1;
    }
    assert_eq!(lines, summary.ticket_lines);
    assert!(totals.values().all(|&rest| rest == 0));

    // The last row of an order counts; cancelled ones are no revenue.
    let shop = dir.path().join("data/shop");
    let orders: HashMap<u64, serde_json::Value> = json(&text(&shop, "orders"))
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
    }

    let carts: Vec<serde_json::Value> = json(&text(&shop, "carts")).collect();
    assert_eq!(carts.len() as u64, summary.carts);
    assert_eq!(
        carts.iter().filter(|cart| cart["order_number"].is_null()).count() as u64,
        summary.abandoned_carts
    );

    let log = text(&dir.path().join("data/web"), "events");
    assert_eq!(
        log.lines().count() as u64,
        summary.web_events + summary.repeated_web_events
    );
    let events: HashSet<String> = json(&log)
        .map(|event| event["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(events.len() as u64, summary.web_events);
    let purchases: HashSet<u64> = json(&log)
        .filter_map(|event| {
            event["order_number"]
                .as_str()
                .map(|number| number[1..].parse().unwrap())
        })
        .collect();
    assert!(
        purchases.len() as u64 == summary.shop_orders && purchases.iter().all(|number| orders.contains_key(number))
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
    for (path, bytes) in contents(&dir.path().join("data")) {
        assert!(!path.to_str().unwrap().contains("truth"));
        let mut plain = Vec::new();
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => flate2::read::GzDecoder::new(&bytes[..])
                .read_to_end(&mut plain)
                .unwrap(),
            Some("zst") => zstd::Decoder::new(&bytes[..]).unwrap().read_to_end(&mut plain).unwrap(),
            _ => continue,
        };
        let text = String::from_utf8_lossy(&plain);
        assert!(
            !text.contains("P0000") && !text.contains("person_id"),
            "{}",
            path.display()
        );
    }
}

#[test]
fn truth_names_every_record_once() {
    let (dir, summary) = generated(300, 2);
    let truth = text(&dir.path().join("truth"), "records");
    let records: HashSet<(String, String)> = rows(&truth).map(|row| (row[1].to_owned(), row[2].to_owned())).collect();
    assert_eq!(records.len() as u64, summary.cards + summary.accounts);
    let cards: HashSet<String> = text(&dir.path().join("data/erp"), "clientes")
        .lines()
        .filter(|line| !line.starts_with("Tarjeta"))
        .map(|line| line.split(';').next().unwrap().to_owned())
        .collect();
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
fn erp_files_are_latin_1_and_open_data_begins_with_a_byte_order_mark() {
    let (dir, _) = generated(100, 2);
    let mut stores = Vec::new();
    let file = File::open(dir.path().join("data/erp/tiendas.csv.gz")).unwrap();
    flate2::read::GzDecoder::new(file).read_to_end(&mut stores).unwrap();
    assert!(stores.windows(10).any(|bytes| bytes == b"Direcci\xf3n;"));
    let provinces = std::fs::read(dir.path().join("data/open/provincias.csv")).unwrap();
    assert!(provinces.starts_with("\u{feff}Código".as_bytes()));
    assert_eq!(provinces.iter().filter(|&&byte| byte == b'\n').count(), 53);
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
