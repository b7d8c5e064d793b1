//! Releases on a store in memory.

use std::sync::Arc;

use cordada_core::local_store::LocalStore;
use cordada_core::{ErrorKind, TableName};
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use super::*;

/// Releases 1 and 2 as they were when each file held the whole map with all documentation.
const WHOLE: [&str; 2] = [
    r#"{
      "number": 1, "published_at": "2026-01-02T03:04:05.678901Z", "by": "ingest", "run": "a",
      "relations": {
        "raw_shop.orders": {"kind": "table", "path": "raw_shop/orders", "version": 4, "docs": {
          "columns": {"email": {"description": "`E-Mail` in the source", "pii": "email"}}, "primary_key": ["id"]}},
        "staging.old": {"kind": "view", "sql": "select 1 as x", "docs": {}}
      }
    }"#,
    r#"{
      "number": 2, "published_at": "2026-01-03T03:04:05Z", "by": "rollback", "run": "b", "restores": 1,
      "relations": {
        "raw_shop.orders": {"kind": "table", "path": "raw_shop/orders", "version": 4, "docs": {
          "columns": {"email": {"description": "`E-Mail` in the source", "pii": "email"}}, "primary_key": ["id"]}},
        "marts.sales": {"kind": "table", "path": "marts/sales", "version": 0, "docs": {}, "fingerprint": "f"}
      }
    }"#,
];

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn docs_of(store: &Arc<dyn ObjectStore>) -> Arc<DocsStore> {
    Arc::new(DocsStore::new(store.clone(), &Path::from("_cordada")))
}

/// The log as a process finds it that has just begun.
fn log(store: &Arc<dyn ObjectStore>) -> ReleaseLog {
    let folder = Path::from("_cordada");
    ReleaseLog::new(store.clone(), "memory".into(), &folder, docs_of(store), None)
}

fn environment(store: &Arc<dyn ObjectStore>) -> ReleaseLog {
    let folder = Path::from("_cordada/targets/dev");
    let production = Some(Arc::new(log(store)));
    ReleaseLog::new(store.clone(), "memory".into(), &folder, docs_of(store), production)
}

fn name(text: &str) -> TableName {
    text.parse().unwrap()
}

fn moved(base: &Arc<Release>, table: &str, version: u64) -> Draft {
    let mut draft = Draft::new(base.clone(), "build", "run");
    draft.set(name(table), Relation::table(table.replace('.', "/"), version));
    draft
}

/// Publishes `releases` releases, each of which moves one of `tables` tables.
async fn publish_many(log: &ReleaseLog, tables: u64, releases: u64) {
    for version in 0..releases {
        let newest = log.newest().await.unwrap();
        let table = format!("marts.t{}", version % tables);
        log.publish(&moved(&newest, &table, version)).await.unwrap();
    }
}

async fn rollback(log: &ReleaseLog, number: u64) -> Arc<Release> {
    let target = log.get(number).await.unwrap();
    let newest = log.newest().await.unwrap();
    let draft = Draft::rollback(newest, target.relations.clone(), number, "run");
    log.publish(&draft).await.unwrap()
}

async fn files(store: &Arc<dyn ObjectStore>, folder: &str) -> Vec<Path> {
    let folder = Path::from(folder);
    let files = store.list(Some(&folder)).map_ok(|file| file.location);
    files.try_collect().await.unwrap()
}

async fn size(store: &Arc<dyn ObjectStore>, number: u64) -> u64 {
    let file = Path::from(format!("_cordada/releases/{number:020}.json"));
    store.head(&file).await.unwrap().size
}

async fn write_old(store: &Arc<dyn ObjectStore>) {
    for (text, number) in WHOLE.iter().zip(1..) {
        let file = Path::from(format!("_cordada/releases/{number:020}.json"));
        store.put(&file, (*text).into()).await.unwrap();
    }
}

async fn history(log: &ReleaseLog) -> Vec<PastRelease> {
    log.history().try_collect().await.unwrap()
}

/// What a release changed, as text.
fn changed(release: &PastRelease) -> String {
    let changes = release.changes.iter().map(|(name, relation)| match relation {
        Some(Relation {
            kind: RelationKind::Table { version, .. },
            ..
        }) => format!("{name} {version}"),
        Some(_) => name.to_string(),
        None => format!("-{name}"),
    });
    changes.collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn a_draft_on_other_tables_is_rebased_and_on_the_same_table_refused() {
    let store = memory();
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
async fn all_that_publish_at_once_get_a_number() {
    let store = memory();
    let base = log(&store).newest().await.unwrap();
    let publish = |table: String| {
        let (log, base) = (log(&store), base.clone());
        async move { log.publish(&moved(&base, &table, 1)).await.unwrap().number }
    };
    let mut numbers = futures::future::join_all((0..40).map(|i| publish(format!("marts.t{i}")))).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    assert_eq!(log(&store).newest().await.unwrap().relations.len(), 40);
}

#[tokio::test]
async fn rollback_brings_the_whole_state_back_as_a_new_number() {
    let store = memory();
    let log = log(&store);
    let first = log
        .publish(&moved(&log.newest().await.unwrap(), "marts.a", 1))
        .await
        .unwrap();
    let second = log.publish(&moved(&first, "marts.a", 2)).await.unwrap();
    log.publish(&moved(&second, "marts.b", 1)).await.unwrap();
    let back = rollback(&log, 1).await;
    assert_eq!((back.number, back.restores), (4, Some(1)));
    assert_eq!(back.relations, first.relations);
    let missing = log.get(9).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Config);
    assert!(missing.to_string().contains("releases 1 to 4"), "{missing}");
    let history: Vec<_> = history(&log).await.iter().map(changed).collect();
    assert_eq!(history, ["marts.a 1, -marts.b", "marts.b 1", "marts.a 2", "marts.a 1"]);
}

#[tokio::test]
async fn an_environment_starts_from_production_and_then_needs_it_no_more() {
    let store = memory();
    let production = log(&store);
    let base = production.newest().await.unwrap();
    production.publish(&moved(&base, "marts.a", 1)).await.unwrap();
    let dev = environment(&store);
    let base = dev.newest().await.unwrap();
    assert_eq!(dev.publish(&moved(&base, "marts.b", 1)).await.unwrap().number, 2);
    assert_eq!(log(&store).newest().await.unwrap().number, 1);
    store
        .delete(&Path::from("_cordada/releases/00000000000000000001.json"))
        .await
        .unwrap();
    let newest = environment(&store).newest().await.unwrap();
    assert_eq!((newest.number, newest.relations.len()), (2, 2));
}

#[tokio::test]
async fn what_a_release_costs_does_not_grow_with_the_relations() {
    let store = memory();
    let log = log(&store);
    let mut draft = Draft::new(log.newest().await.unwrap(), "build", "run");
    for table in 0..500 {
        let mut relation = Relation::table(format!("marts/t{table}"), 0);
        relation.docs = described(&format!("Table {table}"));
        draft.set(name(&format!("marts.t{table}")), relation);
    }
    log.publish(&draft).await.unwrap();
    publish_many(&log, 500, 150).await;
    assert!(size(&store, 2).await < 400, "{}", size(&store, 2).await);
    assert_eq!(files(&store, "_cordada/checkpoints").await.len(), 2, "one each 500 / 8");
    let newest = super::tests::log(&store).newest().await.unwrap();
    assert_eq!(newest, log.newest().await.unwrap());
    let whole = log.newest().await.unwrap();
    let same = log.publish(&draft_of_all(&whole)).await.unwrap();
    assert!(
        size(&store, same.number).await < 400,
        "what stays the same is not written"
    );
}

/// A draft that sets every relation to what it is.
fn draft_of_all(base: &Arc<Release>) -> Draft {
    let mut draft = Draft::new(base.clone(), "build", "run");
    for (name, relation) in &base.relations {
        draft.set(name.clone(), relation.clone());
    }
    draft
}

#[tokio::test]
async fn nothing_is_lost_with_a_checkpoint() {
    let store = memory();
    publish_many(&log(&store), 3, 100).await;
    let checkpoints = files(&store, "_cordada/checkpoints").await;
    assert_eq!(checkpoints.len(), 3);
    let before = (log(&store).newest().await.unwrap(), log(&store).get(70).await.unwrap());
    for checkpoint in &checkpoints[1..] {
        store.put(checkpoint, "".into()).await.unwrap();
    }
    store.delete(&checkpoints[0]).await.unwrap();
    let after = (log(&store).newest().await.unwrap(), log(&store).get(70).await.unwrap());
    assert_eq!(after, before);
    publish_many(&log(&store), 3, 1).await;
    assert_eq!(log(&store).newest().await.unwrap().number, 101);
}

#[tokio::test]
async fn what_cannot_be_checkpointed_is_published_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::new(folder.path()).unwrap());
    std::fs::create_dir(folder.path().join("_cordada")).unwrap();
    std::fs::write(folder.path().join("_cordada/checkpoints"), "no folder").unwrap();
    publish_many(&log(&store), 3, 40).await;
    assert_eq!(log(&store).newest().await.unwrap().number, 40);
    std::fs::remove_file(folder.path().join("_cordada/checkpoints")).unwrap();
    publish_many(&log(&store), 3, 1).await;
    assert_eq!(
        files(&store, "_cordada/checkpoints").await.len(),
        1,
        "the next release makes up for it"
    );
}

#[tokio::test]
async fn processes_that_publish_in_turn_share_their_checkpoints() {
    let store = memory();
    let logs = [log(&store), log(&store), log(&store)];
    for _ in 0..100 {
        for log in &logs {
            publish_many(log, 1, 1).await;
        }
    }
    let checkpoints = files(&store, "_cordada/checkpoints").await.len();
    assert!(checkpoints <= 300 / 32, "{checkpoints}");
}

#[tokio::test]
async fn a_missing_release_is_named_rather_than_skipped() {
    let store = memory();
    publish_many(&log(&store), 3, 5).await;
    store
        .delete(&Path::from("_cordada/releases/00000000000000000003.json"))
        .await
        .unwrap();
    let error = log(&store).newest().await.unwrap_err();
    assert!(error.to_string().contains("reading release 5"), "{error}");
    assert_eq!(log(&store).get(2).await.unwrap().number, 2);
}

#[tokio::test]
async fn releases_of_the_time_when_each_was_whole_are_read_and_built_on() {
    let store = memory();
    write_old(&store).await;
    let log = log(&store);
    let newest = log.newest().await.unwrap();
    assert_eq!(
        (newest.number, newest.by.as_str(), newest.restores),
        (2, "rollback", Some(1))
    );
    assert_eq!(
        newest.published_version(&name("raw_shop.orders"), "raw_shop/orders"),
        Some(4)
    );
    assert_eq!(
        newest.relation(&name("marts.sales")).unwrap().fingerprint.as_deref(),
        Some("f")
    );
    publish_many(&log, 1, 40).await;
    let reopened = super::tests::log(&store);
    let newest = reopened.newest().await.unwrap();
    assert_eq!((newest.number, newest.relations.len()), (42, 3));
    let told = serde_json::to_value(&newest.relation(&name("raw_shop.orders")).unwrap().docs).unwrap();
    assert_eq!(
        told["pii"],
        serde_json::json!({"email": "email"}),
        "a release tells what is personal"
    );
    for log in [&log, &reopened] {
        let orders = newest.relation(&name("raw_shop.orders")).unwrap();
        let docs = log.docs.get(&orders.docs).await.unwrap();
        assert_eq!(
            (docs.columns["email"].pii.as_deref(), &*docs.primary_key[0]),
            (Some("email"), "id")
        );
    }
    let history = history(&reopened).await;
    let oldest: Vec<_> = history[39..].iter().map(changed).collect();
    assert_eq!(
        oldest,
        [
            "marts.t0 0",
            "marts.sales 0, -staging.old",
            "raw_shop.orders 4, staging.old"
        ]
    );
    assert_eq!(history[40].head.relation_count, 2);
    assert_eq!(rollback(&reopened, 1).await.relations.len(), 2);
}

fn described(description: &str) -> DocsRef {
    let docs = Docs {
        description: Some(description.to_owned()),
        ..Docs::default()
    };
    docs.into()
}

#[tokio::test]
async fn documentation_is_written_once_and_read_as_it_was() {
    let store = memory();
    let log = log(&store);
    for (version, description) in [(1, "One"), (2, "One"), (3, "Other"), (4, "One")] {
        let mut draft = moved(&log.newest().await.unwrap(), "marts.a", version);
        let mut relation = Relation::table("marts/a", version);
        relation.docs = described(description);
        draft.set(name("marts.a"), relation);
        draft.set(name("marts.silent"), Relation::view("select 1"));
        log.publish(&draft).await.unwrap();
    }
    assert_eq!(files(&store, "_cordada/docs").await.len(), 2);
    let reopened = super::tests::log(&store);
    for (number, expected) in [(2, Some("One")), (3, Some("Other")), (4, Some("One"))] {
        let release = reopened.get(number).await.unwrap();
        let docs = |table| reopened.docs.get(&release.relation(&name(table)).unwrap().docs);
        assert_eq!(docs("marts.a").await.unwrap().description.as_deref(), expected);
        assert_eq!(*docs("marts.silent").await.unwrap(), Docs::default());
    }
    let draft = draft_of_all(&reopened.newest().await.unwrap());
    assert!(draft.is_unchanged());
    let mut draft = draft.clone();
    let mut relation = Relation::table("marts/a", 4);
    relation.docs = described("One");
    draft.set(name("marts.a"), relation);
    assert!(draft.is_unchanged(), "the same words are not a change");
}

#[tokio::test]
async fn what_retention_keeps_is_read_without_what_it_drops() {
    let store = memory();
    let log = log(&store);
    publish_many(&log, 3, 80).await;
    let dev = environment(&store);
    dev.publish(&moved(&dev.newest().await.unwrap(), "marts.dev", 1))
        .await
        .unwrap();
    // Release 33 has a checkpoint, which must not be what it is read from.
    let kept: Vec<_> = futures::stream::iter(33..=80)
        .then(async |number| log.get(number).await.unwrap())
        .collect()
        .await;
    let time = kept[0].published_at;
    assert_eq!(log.first_since(time).await.unwrap(), Some(33));
    assert_eq!(log.first_since(time + chrono::Duration::days(1)).await.unwrap(), None);
    assert_eq!(log.drop_before(33).await.unwrap(), 32);
    assert_eq!(log.drop_before(33).await.unwrap(), 0);
    for without_checkpoints in [false, true] {
        if without_checkpoints {
            for checkpoint in files(&store, "_cordada/checkpoints").await {
                store.delete(&checkpoint).await.unwrap();
            }
        }
        for release in &kept {
            assert_eq!(super::tests::log(&store).get(release.number).await.unwrap(), *release);
        }
    }
    let gone = log.get(32).await.unwrap_err();
    assert!(gone.to_string().contains("releases 33 to 80"), "{gone}");
    assert_eq!(history(&log).await.len(), 48);
    assert_eq!(environment(&store).newest().await.unwrap().relations.len(), 4);
    assert_eq!(log.drop_before(1000).await.unwrap(), 47, "the newest stays");
    assert_eq!(super::tests::log(&store).newest().await.unwrap(), kept[47]);
}

proptest! {
    /// Whatever was published, in whichever order and by whom, each release is what a list of maps says it is.
    #[test]
    fn every_release_is_read_as_it_was(
        steps in prop::collection::vec((0..2_usize, 0..5_u8, prop::option::of(0..9_u64), 0..20_u8), 1..90),
        dropped in 0..60_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = memory();
            let logs = [log(&store), log(&store)];
            let mut expected = vec![Relations::new()];
            for (who, table, version, action) in steps {
                let newest = logs[who].newest().await.unwrap();
                let mut relations = expected.last().unwrap().clone();
                let table = name(&format!("a.t{table}"));
                if action == 0 && newest.number > 0 {
                    let number = 1 + version.unwrap_or_default() % newest.number;
                    relations = expected[number as usize].clone();
                    rollback(&logs[who], number).await;
                } else {
                    let mut draft = Draft::new(newest, "build", "run");
                    match version.map(|version| Relation::table("a/t", version)) {
                        Some(relation) => {
                            relations.insert(table.clone(), relation.clone());
                            draft.set(table, relation);
                        }
                        None => {
                            relations.remove(&table);
                            draft.remove(table);
                        }
                    }
                    logs[who].publish(&draft).await.unwrap();
                }
                expected.push(relations);
            }
            logs[0].drop_before(dropped).await.unwrap();
            let reader = log(&store);
            let mut folded = Relations::new();
            for release in history(&reader).await.into_iter().rev() {
                model::apply(&mut folded, release.changes);
                let number = release.head.number;
                assert_eq!(folded, expected[number as usize]);
                assert_eq!(release.head.relation_count, folded.len());
                assert_eq!(reader.get(number).await.unwrap().relations, folded);
            }
            assert_eq!(&folded, expected.last().unwrap());
        });
    }
}

/// Cuts the file of release `number` off, as a power cut does.
async fn tear(store: &Arc<dyn ObjectStore>, number: u64, left: &'static str) {
    let file = Path::from(format!("_cordada/releases/{number:020}.json"));
    store.put(&file, left.into()).await.unwrap();
}

#[tokio::test]
async fn a_newest_release_that_is_cut_off_is_passed_over_and_cleared() {
    for left in ["", "{\"number\": 3, \"pub", "\0\0\0\0"] {
        let store = memory();
        publish_many(&log(&store), 3, 3).await;
        tear(&store, 3, left).await;
        let reader = log(&store);
        assert_eq!(reader.newest().await.unwrap().number, 2);
        assert_eq!(history(&reader).await.len(), 2);
        let next = reader
            .publish(&moved(&reader.newest().await.unwrap(), "marts.t9", 1))
            .await
            .unwrap();
        assert_eq!(next.number, 4);
        for other in [&reader, &log(&store)] {
            let newest = other.newest().await.unwrap();
            assert_eq!((newest.number, newest.relations.len()), (4, 3), "{left:?}");
            assert_eq!(other.get(3).await.unwrap().by, "recovery");
        }
    }
}

#[tokio::test]
async fn the_first_release_may_be_cut_off_too() {
    let store = memory();
    publish_many(&log(&store), 1, 1).await;
    tear(&store, 1, "").await;
    assert_eq!(log(&store).newest().await.unwrap().number, 0);
    publish_many(&log(&store), 1, 1).await;
    assert_eq!(log(&store).newest().await.unwrap().relations.len(), 1);
}

#[tokio::test]
async fn one_that_is_cut_off_among_others_is_an_error() {
    let store = memory();
    publish_many(&log(&store), 3, 5).await;
    tear(&store, 3, "").await;
    let error = log(&store).newest().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
}

#[tokio::test]
async fn timelines_outlive_checkpoints_and_processes() {
    let store = memory();
    publish_many(&log(&store), 3, 4).await;
    rollback(&log(&store), 3).await;
    let timeline = |release: &Release| ["t0", "t1"].map(|table| release.timeline(&name(&format!("marts.{table}"))));
    assert_eq!(timeline(&log(&store).newest().await.unwrap()), [5, 0]);
    publish_many(&log(&store), 3, 80).await;
    let newest = log(&store).newest().await.unwrap();
    assert_eq!((newest.number, timeline(&newest)), (85, [5, 0]));
}

#[tokio::test]
async fn a_relation_is_replaced_by_its_owner_alone() {
    let store = memory();
    let log = log(&store);
    let leads = |base: &Arc<Release>, version: u64, by_client: bool| {
        let mut draft = Draft::new(base.clone(), "somebody", "run");
        let relation = Relation {
            by_client,
            ..Relation::table("crm/leads", version)
        };
        draft.set(name("crm.leads"), relation);
        draft
    };
    let empty = log.newest().await.unwrap();
    let first = log.publish(&leads(&empty, 0, true)).await.unwrap();
    // Also one that began before, when there was no such table.
    for base in [&first, &empty] {
        let refused = log.publish(&leads(base, 1, false)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Config, "{refused}");
        assert!(
            refused.to_string().contains("clients write") && refused.to_string().contains("another name"),
            "{refused}"
        );
    }
    log.publish(&leads(&first, 1, true)).await.unwrap();
    let built = log
        .publish(&moved(&log.newest().await.unwrap(), "crm.leads_scored", 1))
        .await
        .unwrap();
    let mut draft = leads(&built, 2, true);
    let relation = Relation {
        by_client: true,
        ..Relation::table("crm/leads_scored", 2)
    };
    draft.set(name("crm.leads_scored"), relation);
    let refused = log.publish(&draft).await.unwrap_err();
    assert!(refused.to_string().contains("no client made"), "{refused}");
    // It is known to whoever reads the log later, and a rollback brings back what was there before.
    let newest = super::tests::log(&store).newest().await.unwrap();
    assert_eq!(newest.number, 3);
    assert!(newest.relation(&name("crm.leads")).unwrap().by_client);
    rollback(&log, 1).await;
    let newest = log.newest().await.unwrap();
    assert_eq!(newest.relations.len(), 1);
    assert!(newest.relation(&name("crm.leads")).unwrap().by_client);
}
