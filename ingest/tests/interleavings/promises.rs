//! What the lake promises, whatever the order in which actors come, are killed, and lose answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cordada_core::{ErrorKind, Result};
use cordada_lake::Release;
use object_store::memory::InMemory;

use super::actors::{self, Contents, Did, Known, LISTS, MART, Numbers, RAW, VIEW};
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
    releases
        .values()
        .try_for_each(|published| check_rows(published, numbers))?;
    check_changes(&releases)?;
    check_rollbacks(&releases)?;

    // Whoever comes next finds a lake that works, and brings everything there is.
    let load = async || actors::load(store.clone(), numbers).await;
    load().await.map_err(told("the next load"))?;
    let built = actors::build(store.clone(), true)
        .await
        .map_err(told("the next build"))?;
    let again = load().await.map_err(told("a load of nothing new"))?;
    promise!(
        matches!(again, Did::Landed(None)),
        "there was nothing new, and {again:?}"
    );
    let releases = history(&store).await.map_err(told("reading what was published"))?;
    releases
        .values()
        .try_for_each(|published| check_rows(published, numbers))?;
    check_changes(&releases)?;
    check_rollbacks(&releases)?;
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
    Ok(())
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
            Did::RolledBack { release } => Some(*release),
            Did::Built { base, release } => (release != base).then_some(*release),
            Did::Read(_) => None,
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
            Did::Built { base, release } => promise!(
                releases[release].contents.get(MART) == releases[base].contents.get(RAW),
                "{did:?} is not made of its base"
            ),
            Did::RolledBack { .. } => {}
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

/// No release has a row twice, a gap, or one table without what belongs to it.
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
    Ok(())
}

/// A release changes what whoever published it writes, and nothing else.
fn check_changes(releases: &Releases) -> Result<(), String> {
    let nothing = Contents::new();
    let before = |number: u64| releases.get(&number).map_or(&nothing, |published| &published.contents);
    for (number, published) in releases {
        let (same, contents): (&[&str], _) = match published.release.by.as_str() {
            "ingest" => (&[MART, VIEW], before(number - 1)),
            "build" => (&[RAW, LISTS], before(number - 1)),
            "rollback" => (&[MART, VIEW], before(published.release.restores.unwrap_or_default())),
            _ => (&[RAW, LISTS, MART, VIEW], before(number - 1)),
        };
        for relation in same {
            promise!(
                published.contents.get(relation) == contents.get(relation),
                "release {number} by {} changed {relation}",
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
        let rows = |number: &u64| {
            let contents = releases.get(number).map(|published| &published.contents);
            let raw = contents.and_then(|contents| contents.get(RAW)).into_iter().flatten();
            raw.collect::<BTreeSet<_>>()
        };
        let (good, stays) = (rows(&restored), rows(number));
        let undone: BTreeSet<_> = (restored + 1..*number).flat_map(|between| rows(&between)).collect();
        let undone: BTreeSet<_> = undone
            .into_iter()
            .filter(|row| !good.contains(row) && !stays.contains(row))
            .collect();
        let since = releases.range(number + 1..);
        for (later, published) in since.take_while(|(_, published)| published.release.restores.is_none()) {
            for relation in [RAW, MART] {
                let mut rows = published.contents.get(relation).into_iter().flatten();
                let back = rows.find(|row| undone.contains(row));
                promise!(
                    back.is_none(),
                    "release {later} has {back:?} in {relation}, which release {number} undid"
                );
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
