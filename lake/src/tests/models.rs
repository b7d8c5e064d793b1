//! Any series of loads gives what a simple model in memory says.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

/// A row of a load: its key, its value, and whether it only deletes.
type LoadedRow = (Option<i64>, u8, bool);

fn key() -> Vec<String> {
    vec!["id".into()]
}

/// Runs series of loads of some partitions each; `check` is given what is to be compared.
fn for_any_loads<F: Future<Output = ()>>(check: impl Fn(Vec<Vec<Vec<LoadedRow>>>) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 16,
        ..ProptestConfig::default()
    });
    let row = (
        prop::option::weighted(0.9, 0_i64..16),
        0_u8..4,
        prop::bool::weighted(0.25),
    );
    let partition = prop::collection::vec(row, 0..10);
    let loads = prop::collection::vec(prop::collection::vec(partition, 1..4), 1..5);
    let result = runner.run(&loads, |loads| {
        runtime.block_on(check(loads));
        Ok(())
    });
    result.unwrap();
}

async fn land(lake: &Lake, mode: Mode, partitions: &[Vec<LoadedRow>]) -> WriteReport {
    let texts: Vec<Vec<_>> = partitions
        .iter()
        .map(|rows| {
            rows.iter()
                .map(|(id, value, gone)| (*id, value.to_string(), *gone))
                .collect()
        })
        .collect();
    let rows: Vec<Vec<Row>> = texts
        .iter()
        .map(|rows| {
            rows.iter()
                .map(|(id, text, gone)| (*id, text.as_str(), *gone))
                .collect()
        })
        .collect();
    let rows: Vec<&[Row]> = rows.iter().map(Vec::as_slice).collect();
    load(lake, mode, &rows).await.unwrap()
}

/// Rows as [`rows_at`] prints them: nulls last.
fn printed(rows: impl Iterator<Item = (Option<i64>, u8)>) -> String {
    let mut rows: Vec<_> = rows.map(|(id, value)| ((id.is_none(), id), value)).collect();
    rows.sort();
    let rows = rows.into_iter().map(|((_, id), value)| match id {
        Some(id) => format!("|{id}|{value}|"),
        None => format!("||{value}|"),
    });
    rows.collect::<Vec<_>>().join(" ")
}

#[test]
fn upserts_that_delete_agree_with_a_map() {
    for_any_loads(async |loads| {
        let (_folder, lake) = temporary().await;
        let mut model = BTreeMap::new();
        for load in &loads {
            for (id, value, gone) in load.iter().flatten() {
                if *gone {
                    model.remove(id);
                } else {
                    model.insert(*id, *value);
                }
            }
            let mode = Mode::Upsert {
                key: key(),
                deleted: Some("gone".into()),
            };
            let written = land(&lake, mode, load).await;
            assert_eq!(written.rows, model.len() as u64);
            assert_eq!(
                rows_at(&lake, written.version).await,
                printed(model.clone().into_iter())
            );
        }
    });
}

#[test]
fn inserts_agree_with_a_map() {
    for_any_loads(async |loads| {
        let (_folder, lake) = temporary().await;
        let mut model = BTreeMap::new();
        for load in &loads {
            let before = model.len();
            for (id, value, _) in load.iter().flatten() {
                model.entry(*id).or_insert(*value);
            }
            let written = land(&lake, Mode::Insert { key: key() }, load).await;
            assert_eq!(written.rows_added, (model.len() - before) as u64);
            assert_eq!(
                rows_at(&lake, written.version).await,
                printed(model.clone().into_iter())
            );
        }
    });
}

#[test]
fn replaced_groups_agree_with_a_list() {
    for_any_loads(async |loads| {
        let (_folder, lake) = temporary().await;
        let mut model: Vec<(Option<i64>, u8)> = Vec::new();
        for load in &loads {
            let rows = || load.iter().flatten();
            model.retain(|(id, _)| rows().all(|(incoming, ..)| incoming != id));
            model.extend(rows().filter(|row| !row.2).map(|(id, value, _)| (*id, *value)));
            let mode = Mode::ReplaceGroups {
                key: key(),
                deleted: Some("gone".into()),
            };
            let written = land(&lake, mode, load).await;
            assert_eq!(
                rows_at(&lake, written.version).await,
                printed(model.clone().into_iter())
            );
        }
    });
}

/// A row of a history: its key, its value, when it began and when it ended.
type Period = (Option<i64>, u8, i64, Option<i64>);

/// What the load makes of the history: the last row of each key says what is current from now on, or from just after
/// the newest of its rows that are ahead of the clock.
fn advance(model: &mut Vec<Period>, load: &[Vec<LoadedRow>], at: i64, missing: MissingKey) {
    let last: BTreeMap<_, _> = load
        .iter()
        .flatten()
        .map(|(id, value, gone)| (*id, (*value, *gone)))
        .collect();
    for row in model.iter_mut().filter(|row| row.3.is_none()) {
        let closes = match last.get(&row.0) {
            Some((value, gone)) => *gone || *value != row.1,
            None => missing == MissingKey::Close,
        };
        row.3 = closes.then_some(at.max(row.2 + 1));
    }
    for (id, (value, gone)) in last {
        let rows = model.iter().filter(|row| row.0 == id);
        let end = rows.clone().filter_map(|row| row.3).max();
        let stays = rows.clone().any(|row| row.3.is_none());
        if !gone && !stays {
            model.push((id, value, end.map_or(at, |end| at.max(end)), None));
        }
    }
}

#[test]
fn histories_agree_with_a_list_whatever_the_clock() {
    for missing in [MissingKey::Keep, MissingKey::Close] {
        for_any_loads(async |loads| {
            let (_folder, lake) = temporary().await;
            let mut model = Vec::new();
            for (number, load) in loads.iter().enumerate() {
                // Of four clocks that take turns, one is behind, and two agree.
                let at = [7, 2, 9, 9][number % 4] * 3_600_000_000;
                advance(&mut model, load, at, missing);
                let mode = Mode::History {
                    key: key(),
                    deleted: Some("gone".into()),
                    ignored: Vec::new(),
                    at,
                    missing,
                    trust_clock: false,
                };
                let first = land(&lake, mode.clone(), load).await;
                assert_eq!(first.rows, model.len() as u64);
                let again = land(&lake, mode, load).await;
                assert_eq!(again.version, first.version, "the same rows again change nothing");
            }
            model.sort_by_key(|(id, value, from, to)| ((id.is_none(), *id), *from, (to.is_none(), *to), *value));
            let rows = model.into_iter().map(|(id, value, from, to)| {
                let text = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
                format!("|{}|{value}|{from}|{}|", text(id), text(to))
            });
            assert_eq!(history::periods(&lake).await, rows.collect::<Vec<_>>().join(" "));
        });
    }
}
