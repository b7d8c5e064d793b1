//! Sources against servers on this machine. Time is virtual where we wait; what a test asserts never depends on it.

mod any_pages;
mod auth;
mod errors;
mod incremental;
mod jobs;
mod limits;
mod pagination;
mod parents;
mod server;
mod systems;
mod wire;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use cordada_core::Result;
use cordada_http::clock::Clock;
use cordada_http::engine::Engine;
use cordada_http::values::Values;
use futures::StreamExt;
use serde_json::{Map, Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::manifest::Manifest;
use super::page::Run;
use super::pages;
use super::parents::Range;
use super::plan::{LookedUp, Plan, PreparedStreams, prepare};

/// A system behind a manifest.
struct System {
    run: Arc<Run>,
    prepared: PreparedStreams,
    looked_up: LookedUp,
    clock: Clock,
}

/// The beginning of every manifest.
const HEAD: &str = "title: Test\nconfig: {base_url: {}, token: {required: false, secret: true}}\n\
                    base_url: \"{{ config.base_url }}\"\n";

impl System {
    /// The system at `base` as `manifest` (without its beginning) describes it.
    fn new(manifest: &str, base: &str) -> Self {
        Self::at(manifest, base, "2026-07-01T00:00:00Z")
    }

    fn at(manifest: &str, base: &str, load_at: &str) -> Self {
        Self::try_new(manifest, base, load_at).unwrap()
    }

    fn try_new(manifest: &str, base: &str, load_at: &str) -> Result<Self> {
        let manifest = Manifest::parse("test.yml".as_ref(), &format!("{HEAD}{manifest}"))?;
        let config = json!({"base_url": base, "token": "s3cret"});
        let values = Values::new(&manifest.config, config.as_object().cloned().unwrap())?;
        let mut prepared = PreparedStreams::new();
        for name in manifest.names() {
            prepare(&manifest, &values, name, Map::new(), &mut prepared)?;
        }
        let clock = Clock::Virtual(Arc::new(Mutex::new(Duration::ZERO)));
        let engine = Arc::new(Engine::new(manifest.system(), &values, clock.clone())?);
        let load_at: DateTime<Utc> = load_at.parse().unwrap();
        let run = Arc::new(Run {
            manifest: Arc::new(manifest),
            engine,
            load_at,
            cancel: CancellationToken::new(),
        });
        Ok(Self {
            run,
            prepared,
            looked_up: LookedUp::new(),
            clock,
        })
    }

    fn plan(&self, stream: &str) -> Arc<Plan> {
        Plan::new(&self.run, &self.prepared, &self.looked_up, stream, chrono_tz::Tz::UTC).unwrap()
    }

    /// All records of a stream.
    async fn records(&self, stream: &str) -> Result<Vec<Json>> {
        let plan = self.plan(stream);
        let mut records = Vec::new();
        for range in Range::everything(&plan, &self.run, None)? {
            let mut pages = pages::all(&self.run, &plan, range);
            while let Some(page) = pages.next().await {
                page?.answer.each(&mut |record| {
                    records.push(serde_json::from_slice(record).unwrap());
                    Ok(())
                })?;
            }
        }
        Ok(records)
    }

    /// The numbers in `id` of all records of a stream.
    async fn ids(&self, stream: &str) -> Result<Vec<u64>> {
        Ok(ids(&self.records(stream).await?))
    }

    /// The error that reading the stream ends with.
    async fn error(&self, stream: &str) -> cordada_core::Error {
        let error = self
            .records(stream)
            .await
            .map(|records| records.len())
            .expect_err("it was read");
        assert!(!error.to_string().contains("s3cret"), "{error}");
        error
    }
}

fn ids(records: &[Json]) -> Vec<u64> {
    records.iter().map(|record| record["id"].as_u64().unwrap()).collect()
}
