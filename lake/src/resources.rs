//! What all sessions of a lake share: memory, spill space, caches, the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordada_core::{Context, Result};
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::DiskManagerBuilder;
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use object_store::ObjectStore;

use crate::journal::Journal;
use crate::spill::Spills;

/// How many of the largest users of memory an error about the limit names.
const NAMED_CONSUMERS: usize = 3;

/// The share of the memory, one byte in so many and beside it, that what is known of tables may take.
const KNOWN_PART: usize = 8;
/// The share of that, one byte in so many, that the footers of Parquet files may take; snapshots of tables may take the
/// rest.
const FOOTERS_PART: usize = 4;

/// How a lake is opened.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Options of the object store: `endpoint`, `region`, `access_key_id` … as object_store names them.
    pub storage: BTreeMap<String, String>,
    /// Bytes that queries and writes may use before they spill; half of the machine's memory if `None`.
    pub memory: Option<usize>,
    /// Parallel tasks a query; all cores if `None`.
    pub parallelism: Option<usize>,
    /// The journals that sessions show, so that one can be queried before anything is in it.
    pub journals: Vec<Journal>,
}

/// The URL under which sessions know the lake's store.
pub(crate) fn store_url() -> ObjectStoreUrl {
    #[allow(clippy::expect_used, reason = "a constant that a test covers")]
    ObjectStoreUrl::parse("lake://root").expect("a valid URL")
}

/// Memory, spilling and caches, shared by every session of a lake.
pub(crate) fn runtime(store: &Arc<dyn ObjectStore>, settings: &Settings) -> Result<Arc<RuntimeEnv>> {
    let pool = TrackConsumersPool::new(
        FairSpillPool::new(memory(settings)),
        std::num::NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(std::num::NonZeroUsize::MIN),
    );
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_temp_file_factory(Arc::new(Spills)))
        .with_cache_manager(CacheManagerConfig::default().with_metadata_cache_limit(footers(settings)))
        .build_arc()
        .doing(|| "preparing memory and spill space")?;
    runtime.register_object_store(store_url().as_ref(), store.clone());
    Ok(runtime)
}

/// Bytes that queries and writes may use before they spill.
pub(crate) fn memory(settings: &Settings) -> usize {
    settings.memory.unwrap_or_else(half_of_memory)
}

/// Bytes that what is known of tables may take.
pub(crate) fn known(settings: &Settings) -> usize {
    memory(settings) / KNOWN_PART
}

/// Bytes of those that the footers of Parquet files may take.
pub(crate) fn footers(settings: &Settings) -> usize {
    known(settings) / FOOTERS_PART
}

/// Half of what the machine (or its container) has, in bytes.
fn half_of_memory() -> usize {
    let read = |file: &str| std::fs::read_to_string(file).ok();
    let container = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse::<usize>().ok());
    let machine = read("/proc/meminfo").and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?.to_owned();
        line.split_whitespace()
            .nth(1)?
            .parse::<usize>()
            .ok()
            .map(|kilobytes| kilobytes * 1024)
    });
    let total = machine.into_iter().chain(container).min().unwrap_or(4 << 30);
    total / 2
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_store_has_a_url() {
        assert_eq!(crate::resources::store_url().as_str(), "lake://root/");
    }
}
