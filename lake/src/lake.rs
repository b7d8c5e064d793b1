//! The lake: one location, its tables, its releases, and the resources that queries share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex as SyncMutex};

use cordada_core::local_store::LocalStore;
use cordada_core::threads::locked;
use cordada_core::{Context, Error, Result, TableName, storage};
use datafusion::execution::runtime_env::RuntimeEnv;
use deltalake::logstore::{LogStoreRef, StorageConfig, default_logstore};
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use tokio::sync::Mutex;
use url::Url;

use crate::journal::Journal;
use crate::query::provider::{PinnedReference, PinnedTable};
use crate::release::{Docs, DocsRef, DocsStore, ReleaseLog};
use crate::resources::{self, Settings};
use crate::table::snapshot::TableSnapshot;

/// How many table snapshots are kept: more than the tables of any project we know of, times a few releases.
const CACHED_SNAPSHOTS: usize = 4096;

/// The folder of what is about the lake rather than in it; no schema can have this name.
const HOUSEHOLD: &str = "_cordada";

/// A lake in one environment. Clones share everything.
#[derive(Clone, Debug)]
pub struct Lake {
    shared: Arc<SharedLake>,
    target: Option<Arc<str>>,
    releases: Arc<ReleaseLog>,
}

#[derive(Debug)]
struct SharedLake {
    store: Arc<dyn ObjectStore>,
    /// Where the lake is, for errors.
    address: Arc<str>,
    /// The lake's folder, if it is local.
    folder: Option<PathBuf>,
    runtime: Arc<RuntimeEnv>,
    parallelism: usize,
    memory: usize,
    production: Arc<ReleaseLog>,
    docs: Arc<DocsStore>,
    journals: Vec<Journal>,
    snapshots: SyncMutex<HashMap<(String, u64), Arc<TableSnapshot>>>,
    /// Commits to one table take turns within the process: two of ours never race each other.
    writers: SyncMutex<HashMap<String, Arc<Mutex<()>>>>,
}

impl Lake {
    /// Opens the lake at a local path, `s3://bucket/prefix`, `gs://…` or `az://…`. Nothing is read or written yet.
    ///
    /// # Errors
    /// Config for a location or option that is not understood.
    pub async fn open(location: &str, settings: &Settings) -> Result<Lake> {
        let store = storage::open(location, &settings.storage)?;
        let folder = storage::local_folder(location)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let address: Arc<str> = match settings.storage.get("endpoint") {
            Some(endpoint) => format!("{location} at {endpoint}").into(),
            None => location.into(),
        };
        let household = Path::from(HOUSEHOLD);
        let docs = Arc::new(DocsStore::new(store.clone(), &household));
        let production = ReleaseLog::new(store.clone(), address.clone(), &household, docs.clone(), None);
        let production = Arc::new(production);
        let shared = SharedLake {
            runtime: resources::runtime(&store, settings)?,
            store,
            address,
            folder,
            parallelism: settings.parallelism.unwrap_or(cores).max(1),
            memory: resources::memory(settings),
            production: production.clone(),
            docs,
            journals: settings.journals.clone(),
            snapshots: SyncMutex::default(),
            writers: SyncMutex::default(),
        };
        Ok(Lake {
            shared: Arc::new(shared),
            target: None,
            releases: production,
        })
    }

    /// The same lake in another environment: releases of its own that start from production's, tables beside.
    /// `None` is production.
    ///
    /// # Errors
    /// A name that cannot be a folder's.
    pub fn in_target(&self, target: Option<&str>) -> Result<Lake> {
        let Some(target) = target else {
            return Ok(Lake {
                target: None,
                releases: self.shared.production.clone(),
                ..self.clone()
            });
        };
        if target.is_empty()
            || !target
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        {
            return Err(
                Error::config(format!("using the target `{target}`"), "this cannot be a folder's name")
                    .hint("use letters, digits, `_` and `-`"),
            );
        }
        let shared = &self.shared;
        let releases = ReleaseLog::new(
            shared.store.clone(),
            shared.address.clone(),
            &Path::from(folder_of(target)),
            shared.docs.clone(),
            Some(shared.production.clone()),
        );
        Ok(Lake {
            target: Some(target.into()),
            releases: Arc::new(releases),
            ..self.clone()
        })
    }

    /// The releases of this environment.
    pub fn releases(&self) -> &Arc<ReleaseLog> {
        &self.releases
    }

    /// What people and clients are told about a relation.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn docs(&self, docs: &DocsRef) -> Result<Arc<Docs>> {
        self.shared.docs.get(docs).await
    }

    /// The journals that sessions show.
    pub(crate) fn journals(&self) -> &[Journal] {
        &self.shared.journals
    }

    /// Whether this is production rather than another environment.
    pub fn is_production(&self) -> bool {
        self.target.is_none()
    }

    /// The environment's name; `None` for production.
    pub fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The store, rooted at the lake.
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.shared.store
    }

    /// Where this environment keeps the table, relative to the lake: what goes into [`crate::Relation::table`].
    pub fn path_of(&self, table: &TableName) -> String {
        let (schema, name) = (table.schema(), table.name());
        match &self.target {
            None => format!("{schema}/{name}"),
            Some(target) => format!("{}/{schema}/{name}", folder_of(target)),
        }
    }

    /// The number of parallel tasks that a query or a write uses.
    pub fn parallelism(&self) -> usize {
        self.shared.parallelism
    }

    /// Bytes that queries and writes may use before they spill.
    pub fn memory(&self) -> usize {
        self.shared.memory
    }

    /// The memory, the spill folder and the caches that all sessions share.
    pub(crate) fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.shared.runtime
    }

    /// The newest Delta version of the table in this environment, `None` if it does not exist.
    pub async fn latest_version(&self, table: &TableName) -> Result<Option<u64>> {
        self.latest_version_at(&self.path_of(table)).await
    }

    /// The table at `path` (relative to the lake) and `version`; the snapshot is cached.
    pub async fn snapshot(&self, path: &str, version: u64) -> Result<Arc<TableSnapshot>> {
        let key = (path.to_owned(), version);
        if let Some(known) = locked(&self.shared.snapshots).get(&key) {
            return Ok(known.clone());
        }
        let snapshot = Arc::new(TableSnapshot::load(path, &self.log_store(path)?, version).await?);
        let mut snapshots = locked(&self.shared.snapshots);
        if snapshots.len() >= CACHED_SNAPSHOTS {
            snapshots.clear();
        }
        snapshots.insert(key, snapshot.clone());
        Ok(snapshot)
    }

    /// The table that a plan of another process refers to.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn pinned(&self, reference: &PinnedReference) -> Result<PinnedTable> {
        let snapshot = self.snapshot(&reference.path, reference.version).await?;
        Ok(PinnedTable::new(snapshot))
    }

    /// The versions that applications recorded in the table's newest version (`txn` of the Delta protocol), by
    /// application id, for the ids asked for. Empty if the table does not exist.
    pub async fn transactions(&self, table: &TableName, ids: &[String]) -> Result<HashMap<String, i64>> {
        match self.latest_version(table).await? {
            Some(version) => self.transactions_at(&self.path_of(table), version, ids).await,
            None => Ok(HashMap::new()),
        }
    }

    /// [`Lake::transactions`] as of one version of the table at `path`.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn transactions_at(&self, path: &str, version: u64, ids: &[String]) -> Result<HashMap<String, i64>> {
        let snapshot = self.snapshot(path, version).await?;
        snapshot.transactions(&self.log_store(path)?, ids).await
    }

    pub(crate) async fn latest_version_at(&self, path: &str) -> Result<Option<u64>> {
        let log = Path::from(format!("{path}/_delta_log"));
        let files = self.shared.store.list(Some(&log)).try_filter_map(|file| async move {
            let name = file.location.filename().unwrap_or_default();
            Ok(name
                .strip_suffix(".json")
                .filter(|stem| stem.len() == 20)
                .and_then(|stem| stem.parse().ok()))
        });
        let newest = files.try_fold(None, |newest: Option<u64>, version| async move {
            Ok(newest.max(Some(version)))
        });
        newest
            .await
            .doing(|| format!("looking for the newest version of {path}"))
    }

    pub(crate) fn log_store(&self, path: &str) -> Result<LogStoreRef> {
        let doing = || format!("opening the table at {path}");
        let table = Arc::new(PrefixStore::new(self.shared.store.clone(), Path::from(path)));
        // The Delta kernel wants the paths of a local table to be the file system's own, and sorts its listings then.
        let (root, location): (Arc<dyn ObjectStore>, _) = match &self.shared.folder {
            Some(folder) => {
                let location = Url::from_directory_path(folder.join(path));
                (
                    Arc::new(LocalStore::of_all()),
                    location.map_err(|()| Error::failed(doing(), "no absolute path"))?,
                )
            }
            None => {
                let location = Url::parse(&format!("lake:///{path}/"));
                (
                    self.shared.store.clone(),
                    location.map_err(|error| Error::failed(doing(), error))?,
                )
            }
        };
        Ok(default_logstore(table, root, &location, &StorageConfig::default()))
    }

    /// The turn-taking of commits to the table at `path`.
    pub(crate) fn writer(&self, path: &str) -> Arc<Mutex<()>> {
        locked(&self.shared.writers).entry(path.to_owned()).or_default().clone()
    }
}

/// Where an environment other than production keeps its releases and tables.
fn folder_of(target: &str) -> String {
    format!("{HOUSEHOLD}/targets/{target}")
}
