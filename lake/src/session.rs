//! Query sessions: the one place that makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;

use crate::catalog::{Handle, ReleaseCatalog};
use crate::error::{Context, Result};
use crate::lake::{Lake, Settings};
use crate::names::TableName;
use crate::release::Release;

/// The catalog's name in SQL.
pub const CATALOG: &str = "lake";

/// How many of the largest users of memory an error about the limit names.
const NAMED_CONSUMERS: usize = 3;

impl Lake {
    /// A session that reads `release`, in the catalog `lake` (the default one; default schema `marts`).
    pub fn session(&self, release: &Arc<Release>) -> SessionContext {
        self.session_with(release, BTreeMap::new())
    }

    /// A session that reads `release` with some relations added or replaced: how the SQL project is planned
    /// before its tables exist.
    pub fn session_with(
        &self,
        release: &Arc<Release>,
        overlay: BTreeMap<TableName, Arc<dyn TableProvider>>,
    ) -> SessionContext {
        self.session_over(ReleaseCatalog::new(self.clone(), release.clone(), overlay))
    }

    pub(crate) fn session_over(&self, catalog: Arc<ReleaseCatalog>) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.parallelism())
            .with_default_catalog_and_schema(CATALOG, "marts")
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true)
            .with_collect_statistics(true);
        let options = config.options_mut();
        // Exact decimals: a literal such as 0.21 is a DECIMAL, not a float, so that money stays money.
        options.sql_parser.parse_float_as_decimal = true;
        let session = SessionContext::new_with_config_rt(config, self.runtime().clone());
        session.register_catalog(CATALOG, Arc::new(Handle(catalog)));
        session
    }
}

/// The URL under which sessions know the lake's store.
pub(crate) fn store_url() -> ObjectStoreUrl {
    #[allow(clippy::expect_used, reason = "a constant that a test covers")]
    ObjectStoreUrl::parse("lake://root").expect("a valid URL")
}

/// Memory, spilling and caches, shared by every session of a lake.
pub(crate) fn runtime(store: &Arc<dyn ObjectStore>, settings: &Settings) -> Result<Arc<RuntimeEnv>> {
    let memory = settings.memory.unwrap_or_else(half_of_memory);
    let disk = settings
        .spill
        .clone()
        .map_or(DiskManagerMode::OsTmpDirectory, |folder| {
            DiskManagerMode::Directories(vec![folder])
        });
    let pool = TrackConsumersPool::new(
        FairSpillPool::new(memory),
        std::num::NonZeroUsize::new(NAMED_CONSUMERS).unwrap_or(std::num::NonZeroUsize::MIN),
    );
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(disk))
        .with_cache_manager(CacheManagerConfig::default())
        .build_arc()
        .doing(|| "preparing memory and spill space")?;
    runtime.register_object_store(store_url().as_ref(), store.clone());
    Ok(runtime)
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
        assert_eq!(super::store_url().as_str(), "lake://root/");
    }
}
