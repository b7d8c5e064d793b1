//! Loads, builds, clients that write, rollbacks, maintenance and readers beside each other, in every order that matters:
//! the code of the lake and of landing itself, over a store in memory that lets one actor go on at a time ([`turns`],
//! [`explore`]). What has to hold is in [`promises`].
//!
//! `INTERLEAVINGS=3,100000` tries all orders of three deviations, and so many random ones; `CORDADA_TEST_SEED` repeats
//! the random ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod actors;
mod explore;
mod promises;
mod turns;

use std::sync::Arc;

use cordada_core::Result;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;

use actors::{Build, Did, Knows, Numbers};
use explore::{Act, Deviation, Effort, explore, replay};
use turns::Fate;

type Actor = (&'static str, Act<Result<Did>>);

fn load(name: &'static str, numbers: Numbers) -> Actor {
    (name, Box::new(move |store| Box::pin(actors::load(store, numbers))))
}

fn build(what: Build) -> Actor {
    ("build", Box::new(move |store| Box::pin(actors::build(store, what))))
}

fn client(number: i64) -> Actor {
    ("client", Box::new(move |store| Box::pin(actors::write(store, number))))
}

fn maintain() -> Actor {
    ("maintain", Box::new(|store| Box::pin(actors::maintain(store, None))))
}

fn rollback(to: u64) -> Actor {
    ("rollback", Box::new(move |store| Box::pin(actors::rollback(store, to))))
}

fn reader() -> Actor {
    ("reader", Box::new(|store| Box::pin(actors::read(store))))
}

fn numbers(knows: Knows, chunks: usize) -> Numbers {
    Numbers {
        knows,
        chunks,
        lists: false,
    }
}

/// A lake in which the first `chunks` of the source have landed one load each, with a build after each:
/// releases 1 and 2 are of the first, 3 and 4 of the second.
async fn begun(source: Numbers, chunks: usize) -> InMemory {
    let store = Arc::new(InMemory::new());
    for chunks in 1..=chunks {
        actors::load(store.clone(), Numbers { chunks, ..source }).await.unwrap();
        actors::build(store.clone(), Build::Incremental).await.unwrap();
    }
    store.fork()
}

async fn hold(effort: Effort, start: &InMemory, source: Numbers, actors: impl Fn() -> Vec<Actor>) {
    let check = async |store, run: &explore::Run<_>| promises::check(store, run, source).await;
    explore(effort, start, actors, check).await;
}

const FEW: Effort = Effort {
    deviations: 1,
    random: 40,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_loads_of_one_stream() {
    for knows in [Knows::Cursor, Knows::Files] {
        let source = numbers(knows, 3);
        let start = begun(source, 1).await;
        hold(FEW, &start, source, || vec![load("one", source), load("other", source)]).await;
    }
}

/// Whoever learns late that its commit was done goes on from that version, not from what another load made of it since.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_lands_while_the_answer_of_another_is_lost() {
    let source = numbers(Knows::Cursor, 3);
    let start = begun(source, 1).await;
    let lost = [
        Deviation::Fate("put raw_s/t/_delta_log/", Fate::AskedTwice),
        Deviation::Turn("list raw_s/t/_delta_log", 1),
    ];
    let check = async |store, run: &explore::Run<_>| promises::check(store, run, source).await;
    replay(&lost, &start, vec![load("one", source), load("other", source)], check).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_loads_of_a_stream() {
    let source = numbers(Knows::Cursor, 2);
    let start = InMemory::new();
    hold(FEW, &start, source, || vec![load("one", source), load("other", source)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_during_a_rollback() {
    for knows in [Knows::Cursor, Knows::Files, Knows::Log] {
        let source = numbers(knows, 4);
        let start = begun(source, 2).await;
        hold(FEW, &start, source, || vec![load("load", source), rollback(2)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_during_a_rollback() {
    let source = numbers(Knows::Cursor, 2);
    let start = begun(source, 2).await;
    for what in [Build::Incremental, Build::Anew] {
        hold(FEW, &start, source, || vec![build(what), rollback(2)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_and_a_build_during_a_rollback() {
    let source = numbers(Knows::Files, 3);
    let start = begun(source, 2).await;
    hold(FEW, &start, source, || {
        vec![load("load", source), build(Build::Incremental), rollback(2)]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_beside_loads_and_readers() {
    let source = numbers(Knows::Cursor, 3);
    let start = begun(source, 1).await;
    hold(FEW, &start, source, || {
        vec![build(Build::Incremental), load("load", source), reader()]
    })
    .await;
    hold(FEW, &start, source, || {
        vec![build(Build::Incremental), build(Build::Anew), reader()]
    })
    .await;
}

/// What a test refuses is in no release and in no version of a table, whoever lands, rolls back and dies beside it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_whose_test_fails() {
    let source = numbers(Knows::Cursor, 3);
    let start = begun(source, 2).await;
    hold(FEW, &start, source, || {
        vec![build(Build::Wrong), load("load", source), reader()]
    })
    .await;
    hold(FEW, &start, source, || {
        vec![build(Build::Wrong), build(Build::Incremental), rollback(2)]
    })
    .await;
}

/// A lake as [`begun`] that clients have written to twice: releases 5 and 6.
async fn written(source: Numbers) -> InMemory {
    let store = Arc::new(begun(source, 2).await);
    for number in [1, 2] {
        actors::write(store.clone(), number).await.unwrap();
    }
    store.fork()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_write_one_table() {
    let source = numbers(Knows::Cursor, 2);
    for start in [begun(source, 1).await, written(source).await] {
        hold(FEW, &start, source, || vec![client(3), client(4), reader()]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_writes_during_a_rollback() {
    let source = numbers(Knows::Cursor, 3);
    let start = written(source).await;
    // To before its table, and to its first rows.
    for to in [2, 5] {
        hold(FEW, &start, source, || {
            vec![client(3), load("load", source), rollback(to)]
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn maintenance_beside_whoever_writes() {
    let source = numbers(Knows::Files, 3);
    let start = written(source).await;
    for to in [2, 5] {
        hold(FEW, &start, source, || {
            vec![maintain(), load("load", source), rollback(to)]
        })
        .await;
    }
    hold(FEW, &start, source, || {
        vec![maintain(), build(Build::Incremental), client(3)]
    })
    .await;
    hold(FEW, &start, source, || vec![maintain(), maintain(), reader()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_become_tables() {
    let source = Numbers {
        lists: true,
        ..numbers(Knows::Files, 3)
    };
    let start = begun(source, 2).await;
    hold(FEW, &start, source, || vec![load("one", source), load("other", source)]).await;
    hold(FEW, &start, source, || vec![load("load", source), rollback(2)]).await;
}

/// A release that a power cut left torn is cleared by whoever publishes next, by one of two at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_release() {
    let source = numbers(Knows::Cursor, 2);
    let start = begun(source, 1).await;
    let next = Path::from("_cordada/releases/00000000000000000003.json");
    start.put(&next, b"{\"number\":3,\"publ".to_vec().into()).await.unwrap();
    hold(FEW, &start, source, || {
        vec![load("load", source), build(Build::Anew), reader()]
    })
    .await;
}
