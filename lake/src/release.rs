//! Releases: what was published, all of it at once.
//!
//! A release is one numbered JSON file under `_cordada/releases/`, written with put-if-absent as Delta's own log is.
//! It maps every relation to the Delta version that it is published at, so a reader that pins a release sees one
//! moment of the whole lake, and a writer publishes any number of tables in one atomic step.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use cordada_core::{Context, Error, Result, TableName};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

/// One published state of the whole lake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number; 0 is the empty lake before anything was published.
    pub number: u64,
    /// When it was published.
    pub published_at: DateTime<Utc>,
    /// What published it: `ingest`, `build`, `rollback`.
    pub by: String,
    /// The run or load that published it.
    pub run: String,
    /// For a rollback, the release whose state it brings back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restores: Option<u64>,
    /// Every table and view, with where it is.
    pub relations: BTreeMap<TableName, Relation>,
}

/// A table or view of a release, with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// Where its rows come from.
    #[serde(flatten)]
    pub kind: RelationKind,
    /// What people and clients are told about it.
    #[serde(default)]
    pub docs: Docs,
    /// What it was built from, if whoever built it recorded that: equal fingerprints mean equal rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// Where a relation's rows come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RelationKind {
    /// A Delta table at a version.
    Table {
        /// The table's folder, relative to the lake.
        path: String,
        /// The Delta version that this release publishes.
        version: u64,
    },
    /// A query over other relations of the same release.
    View {
        /// The query; it names relations as `lake.schema.name`.
        sql: String,
    },
}

/// What people and clients are told about a relation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Docs {
    /// What one row is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// By column name; columns without anything to say are absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, ColumnDocs>,
    /// Columns that identify a row (tested unique and not null).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub primary_key: Vec<String>,
    /// References to other relations (tested).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
}

/// What is known about one column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ColumnDocs {
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Which kind of personal data it holds (`email`, `phone`, `name` …), if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii: Option<String>,
}

/// A reference from columns of one relation to columns of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The relation that they refer to.
    pub references: TableName,
    /// The columns there, in the same order.
    pub referenced_columns: Vec<String>,
}

impl Relation {
    /// A table at a version, with nothing said about it.
    pub fn table(path: impl Into<String>, version: u64) -> Self {
        Self {
            kind: RelationKind::Table {
                path: path.into(),
                version,
            },
            docs: Docs::default(),
            fingerprint: None,
        }
    }

    /// A view, with nothing said about it.
    pub fn view(sql: impl Into<String>) -> Self {
        Self {
            kind: RelationKind::View { sql: sql.into() },
            docs: Docs::default(),
            fingerprint: None,
        }
    }
}

impl Release {
    /// The relation of that name.
    pub fn relation(&self, name: &TableName) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// The relation, if it is a table at `path`: the version it is published at.
    pub fn published_version(&self, name: &TableName, path: &str) -> Option<u64> {
        match &self.relation(name)?.kind {
            RelationKind::Table { path: at, version } if at == path => Some(*version),
            _ => None,
        }
    }
}

/// Changes to a release that are not published yet.
#[derive(Debug, Clone)]
pub struct Draft {
    base: Arc<Release>,
    by: String,
    run: String,
    restores: Option<u64>,
    /// `None` drops the relation.
    changes: BTreeMap<TableName, Option<Relation>>,
}

impl Draft {
    /// Begins with `base`, made `by` a command (`ingest`, `build`) in the run or load `run`.
    pub fn new(base: Arc<Release>, by: impl Into<String>, run: impl Into<String>) -> Self {
        Self {
            base,
            by: by.into(),
            run: run.into(),
            restores: None,
            changes: BTreeMap::new(),
        }
    }

    /// The release that it began with.
    pub fn base(&self) -> &Arc<Release> {
        &self.base
    }

    /// Adds or moves a relation.
    pub fn set(&mut self, name: TableName, relation: Relation) {
        self.changes.insert(name, Some(relation));
    }

    /// Drops a relation from the release; its table stays in the lake.
    pub fn remove(&mut self, name: TableName) {
        self.changes.insert(name, None);
    }

    /// Whether publishing it would change nothing.
    pub fn is_unchanged(&self) -> bool {
        self.changes
            .iter()
            .all(|(name, relation)| self.base.relation(name) == relation.as_ref())
    }

    /// The release as it would be: for reading what is not published yet. Its number is the base's.
    pub fn preview(&self) -> Arc<Release> {
        Arc::new(self.onto(&self.base, self.base.number))
    }

    fn onto(&self, newest: &Release, number: u64) -> Release {
        let mut relations = newest.relations.clone();
        for (name, relation) in &self.changes {
            match relation {
                Some(relation) => relations.insert(name.clone(), relation.clone()),
                None => relations.remove(name),
            };
        }
        Release {
            number,
            published_at: Utc::now(),
            by: self.by.clone(),
            run: self.run.clone(),
            restores: self.restores,
            relations,
        }
    }
}

/// The numbered files of one environment.
#[derive(Debug)]
pub struct ReleaseLog {
    store: Arc<dyn ObjectStore>,
    /// Where the lake is, for errors: the releases are what every command reads first.
    lake: Arc<str>,
    folder: Path,
    /// Where the numbers start from when this log is empty: production, for another environment.
    parent: Option<Arc<ReleaseLog>>,
    newest: Mutex<Option<Arc<Release>>>,
}

impl ReleaseLog {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        lake: Arc<str>,
        folder: Path,
        parent: Option<Arc<ReleaseLog>>,
    ) -> Self {
        Self {
            store,
            lake,
            folder,
            parent,
            newest: Mutex::new(None),
        }
    }

    /// The newest release; number 0 and empty when nothing was ever published.
    ///
    /// Costs one look for the next number once the newest is known.
    pub async fn newest(&self) -> Result<Arc<Release>> {
        let mut known = self.newest.lock().await;
        let mut newest = match known.take() {
            Some(release) => release,
            None => match self.numbers().await?.last() {
                Some(&number) => self.get(number).await?,
                None => match &self.parent {
                    // Boxed because an async fn cannot contain itself.
                    Some(parent) => Box::pin(parent.newest()).await?,
                    None => Arc::new(Release::default()),
                },
            },
        };
        while let Some(next) = self.read(newest.number + 1).await? {
            newest = Arc::new(next);
        }
        *known = Some(newest.clone());
        Ok(newest)
    }

    /// The release of that number.
    ///
    /// # Errors
    /// No such number (kind config), saying which there are.
    pub async fn get(&self, number: u64) -> Result<Arc<Release>> {
        if let Some(release) = self.read(number).await? {
            return Ok(Arc::new(release));
        }
        if number == 0 {
            return Ok(Arc::new(Release::default()));
        }
        let numbers = self.numbers().await?;
        let known = match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => format!("there are releases {first} to {last}"),
            _ => "nothing was published yet".to_owned(),
        };
        Err(Error::config(format!("reading release {number}"), "there is none of that number").hint(known))
    }

    /// All releases, oldest first.
    pub async fn history(&self) -> Result<Vec<Release>> {
        let mut releases = Vec::new();
        for number in self.numbers().await? {
            releases.extend(self.read(number).await?);
        }
        Ok(releases)
    }

    /// Publishes the draft as the next number.
    ///
    /// When somebody published meanwhile, the draft is rebased if theirs touched other relations.
    ///
    /// # Errors
    /// Conflict: another release changed a relation that this draft changes too. Nothing is published then.
    pub async fn publish(&self, draft: &Draft) -> Result<Arc<Release>> {
        loop {
            let newest = self.newest().await?;
            if newest.number != draft.base.number {
                check_conflict(draft, &newest)?;
            }
            let release = draft.onto(&newest, newest.number + 1);
            if self.put(&release).await? {
                let release = Arc::new(release);
                *self.newest.lock().await = Some(release.clone());
                return Ok(release);
            }
        }
    }

    /// Publishes the state of release `number` again, as a new release.
    pub async fn rollback(&self, number: u64, run: &str) -> Result<Arc<Release>> {
        let target = self.get(number).await?;
        let newest = self.newest().await?;
        let mut draft = Draft::new(newest.clone(), "rollback", run);
        draft.restores = Some(number);
        for name in newest.relations.keys() {
            draft.remove(name.clone());
        }
        for (name, relation) in &target.relations {
            draft.set(name.clone(), relation.clone());
        }
        self.publish(&draft).await
    }

    fn file(&self, number: u64) -> Path {
        self.folder.clone().join(format!("{number:020}.json"))
    }

    async fn numbers(&self) -> Result<Vec<u64>> {
        let files: Vec<_> = self
            .store
            .list(Some(&self.folder))
            .try_collect()
            .await
            .doing(|| "listing the releases")
            .map_err(|error| error.with("lake", &self.lake))?;
        let mut numbers: Vec<u64> = files
            .iter()
            .filter_map(|file| file.location.filename()?.strip_suffix(".json")?.parse().ok())
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    async fn read(&self, number: u64) -> Result<Option<Release>> {
        let doing = || format!("reading release {number}");
        let bytes = match self.store.get(&self.file(number)).await {
            Ok(found) => found.bytes().await.doing(doing)?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error).doing(doing).map_err(|error| error.with("lake", &self.lake)),
        };
        serde_json::from_slice(&bytes).doing(doing).map(Some)
    }

    /// Writes the file unless the number is taken; says whether it was written.
    async fn put(&self, release: &Release) -> Result<bool> {
        let doing = || format!("publishing release {}", release.number);
        let json = serde_json::to_vec_pretty(release).doing(doing)?;
        let options = PutOptions {
            mode: PutMode::Create,
            ..Default::default()
        };
        match self
            .store
            .put_opts(&self.file(release.number), json.into(), options)
            .await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(error).doing(doing).map_err(|error| error.with("lake", &self.lake)),
        }
    }
}

fn check_conflict(draft: &Draft, newest: &Release) -> Result<()> {
    for name in draft.changes.keys() {
        if draft.base.relation(name) != newest.relation(name) {
            return Err(Error::conflict(
                format!("publishing {name}"),
                format!("release {} by {} changed it meanwhile", newest.number, newest.by),
            )
            .hint("run again: nothing of this run was published"));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use cordada_core::ErrorKind;
    use object_store::memory::InMemory;

    use super::*;

    fn log(store: &Arc<dyn ObjectStore>) -> ReleaseLog {
        ReleaseLog::new(store.clone(), "memory".into(), Path::from("_cordada/releases"), None)
    }

    fn name(text: &str) -> TableName {
        text.parse().unwrap()
    }

    fn moved(base: &Arc<Release>, table: &str, version: u64) -> Draft {
        let mut draft = Draft::new(base.clone(), "build", "run");
        draft.set(name(table), Relation::table(table.replace('.', "/"), version));
        draft
    }

    #[tokio::test]
    async fn a_draft_on_other_tables_is_rebased_and_on_the_same_table_refused() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (ours, theirs) = (log(&store), log(&store));
        let base = ours.newest().await.unwrap();
        assert_eq!(base.number, 0);
        let first = ours.publish(&moved(&base, "marts.a", 1)).await.unwrap();
        let second = theirs.publish(&moved(&base, "marts.b", 1)).await.unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!(second.relations.len(), 2);
        let refused = theirs.publish(&moved(&base, "marts.a", 7)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(ours.newest().await.unwrap().number, 2);
    }

    #[tokio::test]
    async fn two_that_publish_at_once_both_get_a_number() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let base = log(&store).newest().await.unwrap();
        let publish = |table: String| {
            let (log, base) = (log(&store), base.clone());
            async move { log.publish(&moved(&base, &table, 1)).await.unwrap().number }
        };
        let mut numbers = futures::future::join_all((0..8).map(|i| publish(format!("marts.t{i}")))).await;
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
        assert_eq!(log(&store).newest().await.unwrap().relations.len(), 8);
    }

    #[tokio::test]
    async fn rollback_brings_the_whole_state_back_as_a_new_number() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let log = log(&store);
        let first = log
            .publish(&moved(&log.newest().await.unwrap(), "marts.a", 1))
            .await
            .unwrap();
        let second = log.publish(&moved(&first, "marts.a", 2)).await.unwrap();
        log.publish(&moved(&second, "marts.b", 1)).await.unwrap();
        let back = log.rollback(1, "run").await.unwrap();
        assert_eq!((back.number, back.restores), (4, Some(1)));
        assert_eq!(back.relations, first.relations);
        let missing = log.get(9).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Config);
        assert!(missing.to_string().contains("releases 1 to 4"), "{missing}");
    }

    #[tokio::test]
    async fn an_environment_starts_from_production() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let production = Arc::new(log(&store));
        let base = production.newest().await.unwrap();
        production.publish(&moved(&base, "marts.a", 1)).await.unwrap();
        let folder = Path::from("_cordada/targets/dev/releases");
        let dev = ReleaseLog::new(store.clone(), "memory".into(), folder, Some(production.clone()));
        let base = dev.newest().await.unwrap();
        assert_eq!(dev.publish(&moved(&base, "marts.b", 1)).await.unwrap().number, 2);
        assert_eq!(production.newest().await.unwrap().number, 1);
    }
}
