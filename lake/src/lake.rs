//! The lake: one location, its tables, its releases, and the resources that queries share.

use std::collections::HashMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex as SyncMutex, OnceLock};

use cordada_core::spawned_store::SpawnedStore;
use cordada_core::threads::locked;
use cordada_core::{Error, Result, TableName, storage};
use datafusion::execution::SessionState;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::ObjectStore;
use object_store::path::Path;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::journal::Journal;
use crate::query::hot::{self, HotColumns};
use crate::query::provider::{PinnedReference, PinnedTable};
use crate::query::views::PinnedViews;
use crate::release::{Docs, DocsRef, DocsStore, ReleaseLog};
use crate::resources::{self, Settings};
use crate::table::log::{self, Followed, Log};
use crate::table::pending::PendingWrites;
use crate::table::snapshot::TableSnapshot;
use crate::table::snapshots::Snapshots;

/// The folder of what is about the lake rather than in it; no schema can have this name.
const HOUSEHOLD: &str = "_cordada";

/// The folder of what environments other than production write.
pub(crate) const TARGETS: &str = "_cordada/targets";

/// A lake in one environment. Clones share everything.
#[derive(Clone, Debug)]
pub struct Lake {
    shared: Arc<SharedLake>,
    target: Option<Arc<str>>,
    releases: Arc<ReleaseLog>,
    /// The columns that its sessions keep decoded, if they do.
    hot: Option<Arc<HotColumns>>,
    /// Where writes wait for their commit, if they do.
    pub(crate) pending: Option<Arc<PendingWrites>>,
}

#[derive(Debug)]
struct SharedLake {
    store: Arc<dyn ObjectStore>,
    /// Where the lake is, for errors.
    address: Arc<str>,
    /// The folder that it is in, if it is a local one.
    local: Option<PathBuf>,
    runtime: Arc<RuntimeEnv>,
    parallelism: usize,
    memory: usize,
    production: Arc<ReleaseLog>,
    docs: Arc<DocsStore>,
    journals: Vec<Journal>,
    snapshots: Snapshots,
    /// What every session begins with, once the first was made.
    sessions: OnceLock<SessionState>,
    views: PinnedViews,
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
        let local = storage::local_folder(location)?;
        let store = match local {
            Some(_) => store,
            None => Arc::new(SpawnedStore::new(store, Handle::current())),
        };
        let address = match settings.storage.get("endpoint") {
            Some(endpoint) => format!("{location} at {endpoint}").into(),
            None => location.into(),
        };
        Self::of(store, address, local, settings)
    }

    /// The lake in a store that is rooted at it, whatever the store is. Nothing is read or written yet.
    ///
    /// # Errors
    /// There is no room to spill.
    pub fn over(store: Arc<dyn ObjectStore>, settings: &Settings) -> Result<Lake> {
        let address = store.to_string().into();
        Self::of(store, address, None, settings)
    }

    fn of(store: Arc<dyn ObjectStore>, address: Arc<str>, local: Option<PathBuf>, settings: &Settings) -> Result<Lake> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let household = Path::from(HOUSEHOLD);
        let docs = Arc::new(DocsStore::new(store.clone(), &household));
        let production = ReleaseLog::new(store.clone(), address.clone(), &household, docs.clone(), None);
        let production = Arc::new(production);
        let shared = SharedLake {
            runtime: resources::runtime(&store, settings)?,
            store,
            address,
            local,
            parallelism: settings.parallelism.unwrap_or(cores).max(1),
            memory: resources::memory(settings),
            snapshots: Snapshots::new(resources::known(settings) - resources::footers(settings)),
            production: production.clone(),
            docs,
            journals: settings.journals.clone(),
            sessions: OnceLock::new(),
            views: PinnedViews::default(),
            writers: SyncMutex::default(),
        };
        Ok(Lake {
            shared: Arc::new(shared),
            target: None,
            releases: production,
            hot: None,
            pending: None,
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

    /// The same lake, whose sessions keep in a share of the memory the columns that are asked for again and again.
    #[must_use]
    pub fn with_hot_columns(self) -> Lake {
        let bytes = self.memory() / hot::MEMORY_PART;
        let hot = HotColumns::new(bytes, self.reserve("hot columns", bytes));
        Lake {
            hot: Some(Arc::new(hot)),
            ..self
        }
    }

    /// The columns that its sessions keep decoded, if they do.
    pub(crate) fn hot_columns(&self) -> Option<&Arc<HotColumns>> {
        self.hot.as_ref()
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

    /// The folder that the lake is in, if it is a local one.
    pub(crate) fn local_folder(&self) -> Option<&FilePath> {
        self.shared.local.as_deref()
    }

    /// Where documentation is.
    pub(crate) fn docs_folder(&self) -> Path {
        self.shared.docs.folder().clone()
    }

    /// Where this environment keeps the table, relative to the lake: what goes into [`crate::Relation::table`].
    pub fn path_of(&self, table: &TableName) -> String {
        let (schema, name) = (table.schema(), table.name());
        match self.folder() {
            None => format!("{schema}/{name}"),
            Some(folder) => format!("{folder}/{schema}/{name}"),
        }
    }

    /// Where this environment keeps its tables, relative to the lake, if that is not the lake itself.
    pub(crate) fn folder(&self) -> Option<String> {
        self.target.as_deref().map(folder_of)
    }

    /// The number of parallel tasks that a query or a write uses.
    pub fn parallelism(&self) -> usize {
        self.shared.parallelism
    }

    /// Bytes that queries and writes may use before they spill.
    pub fn memory(&self) -> usize {
        self.shared.memory
    }

    /// Takes `bytes` of the memory that queries and writes share for something else, until it is dropped.
    pub fn reserve(&self, what: &str, bytes: usize) -> MemoryReservation {
        let reservation = MemoryConsumer::new(what).register(&self.runtime().memory_pool);
        reservation.grow(bytes);
        reservation
    }

    /// The memory, the spill folder and the caches that all sessions share.
    pub(crate) fn runtime(&self) -> &Arc<RuntimeEnv> {
        &self.shared.runtime
    }

    /// What every session begins with; `make` makes it for the first.
    pub(crate) fn session_state(&self, make: impl FnOnce() -> SessionState) -> &SessionState {
        self.shared.sessions.get_or_init(make)
    }

    /// The views that are kept.
    pub(crate) fn views(&self) -> &PinnedViews {
        &self.shared.views
    }

    /// The newest Delta version of the table in this environment, `None` if it does not exist.
    pub async fn latest_version(&self, table: &TableName) -> Result<Option<u64>> {
        self.latest_version_at(&self.path_of(table)).await
    }

    /// The table at `path` (relative to the lake) and `version`; the snapshot is cached.
    pub async fn snapshot(&self, path: &str, version: u64) -> Result<Arc<TableSnapshot>> {
        if let Some(candidate) = self.pending().and_then(|pending| pending.snapshot(path, version)) {
            return Ok(candidate);
        }
        let snapshots = &self.shared.snapshots;
        if let Some(known) = snapshots.get(path, version) {
            return Ok(known);
        }
        let reader = snapshots.reader(path);
        let _turn = reader.lock().await;
        let log = self.log(path);
        let followed = match snapshots.before(path, version) {
            Some(known) if known.version() == version => return Ok(known),
            Some(known) if version - known.version() <= log::FAR => Some(log.follow(&known, Some(version)).await?),
            _ => None,
        };
        let read = match followed {
            Some(Followed::Changed(snapshot)) => *snapshot,
            _ => log.at(version).await?,
        };
        Ok(snapshots.insert(read))
    }

    /// The newest version of the table at `path`; `None` if it does not exist.
    pub(crate) async fn newest_at(&self, path: &str) -> Result<Option<Arc<TableSnapshot>>> {
        let snapshots = &self.shared.snapshots;
        let reader = snapshots.reader(path);
        let _turn = reader.lock().await;
        let log = self.log(path);
        let read = match snapshots.before(path, u64::MAX) {
            None => log.newest().await?,
            Some(known) => match log.follow(&known, None).await? {
                Followed::Unchanged => return Ok(Some(known)),
                Followed::Changed(snapshot) => Some(*snapshot),
                Followed::Missing => {
                    snapshots.forget(path);
                    log.newest().await?
                }
            },
        };
        Ok(read.map(|read| snapshots.insert(read)))
    }

    /// Keeps a version that was just committed, so that nobody has to read it.
    pub(crate) fn committed(&self, snapshot: TableSnapshot) {
        self.shared.snapshots.insert(snapshot);
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
        Ok(self.snapshot(path, version).await?.transactions(ids))
    }

    /// All those of one version of the table at `path` whose ids begin with `prefix`.
    ///
    /// # Errors
    /// The table cannot be read.
    pub async fn transactions_beginning(&self, path: &str, version: u64, prefix: &str) -> Result<HashMap<String, i64>> {
        Ok(self.snapshot(path, version).await?.transactions_beginning(prefix))
    }

    pub(crate) async fn latest_version_at(&self, path: &str) -> Result<Option<u64>> {
        Ok(self.newest_at(path).await?.map(|newest| newest.version()))
    }

    /// The log of the table at `path`.
    pub(crate) fn log(&self, path: &str) -> Log {
        Log::new(self.shared.store.clone(), path, self.shared.local.is_some())
    }

    /// The writes that wait for their commit, if they do.
    pub(crate) fn pending(&self) -> Option<&PendingWrites> {
        self.pending.as_deref()
    }

    /// The turn-taking of commits to the table at `path`.
    pub(crate) fn writer(&self, path: &str) -> Arc<Mutex<()>> {
        locked(&self.shared.writers).entry(path.to_owned()).or_default().clone()
    }
}

/// Where an environment other than production keeps its releases and tables.
fn folder_of(target: &str) -> String {
    format!("{TARGETS}/{target}")
}
