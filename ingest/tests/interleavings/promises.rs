//! What the lake promises, whatever the order in which actors come, are killed, and lose answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cordada_core::{ErrorKind, Result, TableName};
use cordada_lake::{Draft, Relation, Release};
use object_store::memory::InMemory;

use super::actors::{self, BUILT, Build, CLIENTS, Contents, Did, Known, LISTS, MART, Numbers, RAW, RAW_VIEW, VIEW};
use super::explore::Run;

/// A release that was published, and what is in it.
struct Published {
    release: Arc<Release>,
    contents: Contents,
}

type Releases = BTreeMap<u64, Published>;

macro_rules! promise {
    ($holds:expr, $($what:tt)*) => {
        if !$holds {
            return Err(format!($($what)*));
        }
    };
}

/// Holds a run against the promises, and goes on where the actors have left the lake.
pub(super) async fn check(store: Arc<InMemory>, run: &Run<Result<Did>>, numbers: Numbers) -> Result<(), String> {
    let told = |doing: &'static str| move |error| format!("{doing}: {error}");
    let mut known = Known::default();
    let releases = history(&store, &mut known)
        .await
        .map_err(told("reading what was published"))?;
    check_actors(run, &releases, numbers)?;
    check_releases(&releases, numbers)?;
    check_versions(&store)
        .await
        .map_err(told("reading the versions of the mart"))??;

    // Whoever comes next finds a lake that works, and brings everything there is.
    let load = async || actors::load(store.clone(), numbers).await;
    load().await.map_err(told("the next load"))?;
    let built = actors::build(store.clone(), Build::Incremental)
        .await
        .map_err(told("the next build"))?;
    let again = load().await.map_err(told("a load of nothing new"))?;
    promise!(
        matches!(again, Did::Landed(None)),
        "there was nothing new, and {again:?}"
    );
    let releases = history(&store, &mut known)
        .await
        .map_err(told("reading what was published"))?;
    check_releases(&releases, numbers)?;
    let (number, last) = releases.last_key_value().ok_or("nothing was published")?;
    promise!(
        ids(&last.contents, RAW) == numbers.ids(),
        "in the end release {number} has {:?}",
        last.contents
    );
    promise!(
        last.contents.get(MART) == last.contents.get(RAW),
        "{built:?} has not everything: {:?}",
        last.contents
    );

    // All that nobody needs any more goes, and nothing else.
    actors::maintain(store.clone(), Some(Duration::ZERO))
        .await
        .map_err(told("maintenance"))?;
    let lake = actors::lake(store.clone()).map_err(told("opening the lake"))?;
    let newest = lake
        .releases()
        .newest()
        .await
        .map_err(told("reading the newest release"))?;
    let kept = actors::contents(&lake, &newest, &mut Known::default())
        .await
        .map_err(told("reading what maintenance has kept"))?;
    promise!(
        kept == last.contents,
        "maintenance left {kept:?} of {:?}",
        last.contents
    );
    // A table of lists takes down that its parent is in other files now; no row is another.
    load().await.map_err(told("a load after maintenance"))?;
    let again = load().await.map_err(told("another load after maintenance"))?;
    promise!(
        matches!(again, Did::Landed(None)),
        "there was nothing new after maintenance, and {again:?}"
    );
    let newest = lake
        .releases()
        .newest()
        .await
        .map_err(told("reading the newest release"))?;
    let kept = actors::contents(&lake, &newest, &mut Known::default())
        .await
        .map_err(told("reading what a load after maintenance left"))?;
    promise!(
        kept == last.contents,
        "a load after maintenance left {kept:?} of {:?}",
        last.contents
    );
    Ok(())
}

fn check_releases(releases: &Releases, numbers: Numbers) -> Result<(), String> {
    releases
        .values()
        .try_for_each(|published| check_rows(published, numbers))?;
    check_changes(releases)?;
    check_rollbacks(releases)
}

/// What other engines read: no version of the mart, published or not, has what a test refused.
async fn check_versions(store: &Arc<InMemory>) -> Result<Result<(), String>> {
    let lake = actors::lake(store.clone())?;
    let mart: TableName = MART.parse()?;
    let base = Arc::new(Release::default());
    let Some(newest) = lake.latest_version(&mart).await? else {
        return Ok(Ok(()));
    };
    for version in 0..=newest {
        let mut draft = Draft::new(base.clone(), "test", "run");
        draft.set(mart.clone(), Relation::table(lake.path_of(&mart), version));
        let contents = actors::contents(&lake, &draft.preview(), &mut Known::default()).await?;
        if let Some(wrong) = contents[MART].iter().find(|row| actors::is_wrong(row)) {
            return Ok(Err(format!(
                "version {version} of the mart has {wrong}, which was refused"
            )));
        }
    }
    Ok(Ok(()))
}

/// Every release, from the first on, and what is in it.
async fn history(store: &Arc<InMemory>, known: &mut Known) -> Result<Releases> {
    let lake = actors::lake(store.clone())?;
    let newest = lake.releases().newest().await?.number;
    let mut releases = Releases::new();
    for number in 1..=newest {
        let release = lake.releases().get(number).await?;
        let contents = actors::contents(&lake, &release, known).await?;
        releases.insert(number, Published { release, contents });
    }
    Ok(releases)
}

/// What each actor said it did, it did.
fn check_actors(run: &Run<Result<Did>>, releases: &Releases, numbers: Numbers) -> Result<(), String> {
    let mut own = BTreeSet::new();
    for (ended, hurt) in run.ended.iter().zip(&run.hurt) {
        let did = match ended {
            None => continue,
            Some(Ok(did)) => did,
            Some(Err(error)) => {
                promise!(
                    *hurt || error.kind() == ErrorKind::Conflict,
                    "without a reason: {error}"
                );
                continue;
            }
        };
        let said = match did {
            Did::Landed(release) => *release,
            Did::RolledBack { release } | Did::Wrote { release, .. } => Some(*release),
            Did::Built { base, release, .. } => (release != base).then_some(*release),
            Did::Read(_) | Did::Refused | Did::Maintained => None,
        };
        if let Some(number) = said {
            promise!(own.insert(number), "two published release {number}");
            promise!(releases.contains_key(&number), "there is no release {number}: {did:?}");
        }
        match did {
            Did::Landed(_) => {
                let mut all = releases.values();
                promise!(
                    all.any(|published| ids(&published.contents, RAW) == numbers.ids()),
                    "{did:?}, and no release has all rows"
                );
            }
            Did::Built { base, tested, release } => {
                let published = &releases[release].contents;
                promise!(
                    published.get(MART) == releases[base].contents.get(RAW),
                    "{did:?} is not made of its base"
                );
                promise!(
                    BUILT.iter().all(|name| published.get(name) == tested.get(name)),
                    "{did:?} is not what was tested: {published:?}"
                );
            }
            Did::Wrote { rows, release } => {
                let there = releases[release].contents.get(CLIENTS).into_iter().flatten();
                let own = there.filter(|row| rows.contains(row)).count();
                promise!(own == rows.len(), "{did:?}, and {own} of the rows are there");
            }
            Did::RolledBack { .. } | Did::Refused | Did::Maintained => {}
            Did::Read(read) => {
                let mut before = 0;
                for (number, contents) in read {
                    promise!(
                        before <= *number,
                        "a reader went back from release {before} to {number}"
                    );
                    before = *number;
                    let published = releases.get(number).map(|published| &published.contents);
                    promise!(
                        published == Some(contents) || *number == 0,
                        "a reader of release {number} saw {contents:?}, and it is {published:?}"
                    );
                }
            }
        }
    }
    Ok(())
}

/// No release has a row twice, a gap, or one table without what belongs to it, nor what a test refused.
fn check_rows(published: &Published, numbers: Numbers) -> Result<(), String> {
    let (number, contents) = (published.release.number, &published.contents);
    let landed = ids(contents, RAW);
    promise!(
        numbers.ids().starts_with(&landed),
        "release {number} has doubled or lost rows: {contents:?}"
    );
    let lists = contents.get(LISTS).map_or(0, Vec::len);
    promise!(
        !numbers.lists || lists == landed.len() * 2,
        "the lists of release {number} are not those of its rows: {contents:?}"
    );
    let counted = contents.get(MART).map(|rows| vec![rows.len().to_string()]);
    promise!(
        contents.get(VIEW) == counted.as_ref(),
        "the view of release {number} is not over its mart: {contents:?}"
    );
    // A mart and a view of one build are made of the same rows, whatever has landed since.
    promise!(
        contents.get(VIEW) == contents.get(RAW_VIEW),
        "the views of release {number} are of different builds: {contents:?}"
    );
    let mut clients = contents.get(CLIENTS).cloned().unwrap_or_default();
    let rows = clients.len();
    clients.dedup();
    promise!(
        rows % 2 == 0 && clients.len() == rows,
        "release {number} has rows of clients twice, or half of what one sent: {contents:?}"
    );
    let refused = contents
        .get(MART)
        .into_iter()
        .flatten()
        .find(|row| actors::is_wrong(row));
    promise!(refused.is_none(), "release {number} has {refused:?}, which was refused");
    Ok(())
}

/// A release changes what whoever published it writes, and nothing else; and but for a rollback, no row that came is gone.
fn check_changes(releases: &Releases) -> Result<(), String> {
    let nothing = Contents::new();
    let before = |number: u64| releases.get(&number).map_or(&nothing, |published| &published.contents);
    for (number, published) in releases {
        let (same, contents): (&[&str], _) = match published.release.by.as_str() {
            "ingest" => (&[MART, VIEW, RAW_VIEW, CLIENTS], before(number - 1)),
            "build" => (&[RAW, LISTS, CLIENTS], before(number - 1)),
            "bulk ingest" => (&[RAW, LISTS, MART, VIEW, RAW_VIEW], before(number - 1)),
            "rollback" => (
                &[MART, VIEW, RAW_VIEW, CLIENTS],
                before(published.release.restores.unwrap_or_default()),
            ),
            _ => (&[RAW, LISTS, MART, VIEW, RAW_VIEW, CLIENTS], before(number - 1)),
        };
        for relation in same {
            promise!(
                published.contents.get(relation) == contents.get(relation),
                "release {number} by {} changed {relation}",
                published.release.by
            );
        }
        if published.release.restores.is_some() {
            continue;
        }
        for relation in [RAW, CLIENTS] {
            let rows = |contents: &Contents| contents.get(relation).cloned().unwrap_or_default();
            let there: BTreeSet<_> = rows(&published.contents).into_iter().collect();
            let lost = rows(before(number - 1)).into_iter().find(|row| !there.contains(row));
            promise!(
                lost.is_none(),
                "release {number} by {} lost {lost:?} of {relation}",
                published.release.by
            );
        }
    }
    Ok(())
}

/// What a rollback undid is in no release after it, until another rollback; a row that lands again is another load's.
fn check_rollbacks(releases: &Releases) -> Result<(), String> {
    for (number, published) in releases {
        let Some(restored) = published.release.restores else {
            continue;
        };
        for (origin, shows) in [(RAW, &[RAW, MART][..]), (CLIENTS, &[CLIENTS][..])] {
            let rows = |number: &u64| {
                let contents = releases.get(number).map(|published| &published.contents);
                let rows = contents.and_then(|contents| contents.get(origin)).into_iter().flatten();
                rows.collect::<BTreeSet<_>>()
            };
            let (good, stays) = (rows(&restored), rows(number));
            let undone: BTreeSet<_> = (restored + 1..*number).flat_map(|between| rows(&between)).collect();
            let undone: BTreeSet<_> = undone
                .into_iter()
                .filter(|row| !good.contains(row) && !stays.contains(row))
                .collect();
            let since = releases.range(number + 1..);
            for (later, published) in since.take_while(|(_, published)| published.release.restores.is_none()) {
                for relation in shows {
                    let mut rows = published.contents.get(relation).into_iter().flatten();
                    let back = rows.find(|row| undone.contains(row));
                    promise!(
                        back.is_none(),
                        "release {later} has {back:?} in {relation}, which release {number} undid"
                    );
                }
            }
        }
    }
    Ok(())
}

/// The ids of the rows of a relation, in their order.
fn ids(contents: &Contents, relation: &str) -> Vec<String> {
    let rows = contents.get(relation).into_iter().flatten();
    let mut ids: Vec<i64> = rows.filter_map(|row| row.split('|').next()?.parse().ok()).collect();
    ids.sort_unstable();
    ids.iter().map(i64::to_string).collect()
}
