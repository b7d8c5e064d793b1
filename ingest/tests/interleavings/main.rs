//! Loads, builds, rollbacks and readers beside each other, in every order that matters: the code of the lake and of
//! landing itself, over a store in memory that lets one actor go on at a time ([`turns`], [`explore`]). What has to hold
//! is in [`promises`].
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

use actors::{Did, Knows, Numbers};
use explore::{Act, Effort, explore};

type Actor = (&'static str, Act<Result<Did>>);

fn load(name: &'static str, numbers: Numbers) -> Actor {
    (name, Box::new(move |store| Box::pin(actors::load(store, numbers))))
}

fn build(incremental: bool) -> Actor {
    (
        "build",
        Box::new(move |store| Box::pin(actors::build(store, incremental))),
    )
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
        actors::build(store.clone(), true).await.unwrap();
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
    for incremental in [true, false] {
        hold(FEW, &start, source, || vec![build(incremental), rollback(2)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_and_a_build_during_a_rollback() {
    let source = numbers(Knows::Files, 3);
    let start = begun(source, 2).await;
    hold(FEW, &start, source, || {
        vec![load("load", source), build(true), rollback(2)]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_beside_loads_and_readers() {
    let source = numbers(Knows::Cursor, 3);
    let start = begun(source, 1).await;
    hold(FEW, &start, source, || {
        vec![build(true), load("load", source), reader()]
    })
    .await;
    hold(FEW, &start, source, || vec![build(true), build(false), reader()]).await;
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
        vec![load("load", source), build(false), reader()]
    })
    .await;
}
