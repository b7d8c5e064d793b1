//! Random projects, random edits: what is built step by step is what a lake has in which all of it is built at once.
//!
//! `CORDADA_BUILD_EDITS=10000` tries longer, `CORDADA_TEST_SEED=7` others. A failure prints the edits so far.

mod project;

use std::path::Path;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use cordada_lake::{Mode, Relation, Write};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::object_store::memory::InMemory;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;

use self::project::{Edit, RandomProject};
use super::*;

/// How many edits `make test` tries.
const EDITS: usize = 200;
/// Edits of one project, before another one begins.
const EDITS_OF_ONE: usize = 20;

/// Numbers without end, the same for the same seed (splitmix64).
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A small number, now and then negative.
    fn number(&mut self) -> i64 {
        self.below(20) as i64 - 5
    }

    pub(super) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn lake() -> Lake {
    let settings = Settings {
        parallelism: Some(2),
        journals: JOURNALS.to_vec(),
        ..Settings::default()
    };
    Lake::over(Arc::new(InMemory::new()), &settings).unwrap()
}

async fn land(lake: &Lake, rows: &[[i64; 3]]) {
    let column = |at: usize| Arc::new(rows.iter().map(|row| row[at]).collect::<Int64Array>()) as ArrayRef;
    let rows = RecordBatch::try_from_iter([("id", column(0)), ("k", column(1)), ("v", column(2))]).unwrap();
    let schema = rows.schema();
    let stream = futures::stream::iter([Ok(rows)]);
    let stream: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), stream));
    let table = "raw_shop.orders".parse().unwrap();
    let written = lake
        .write(&table, Write::new(Mode::Append, schema), vec![stream])
        .await
        .unwrap();
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "ingest", "load");
    draft.set(table.clone(), Relation::table(lake.path_of(&table), written.version));
    lake.releases().publish(&draft).await.unwrap();
}

async fn build_project(lake: &Lake, dir: &Path, project: &RandomProject, select: &[String]) -> Result<BuildReport> {
    for (path, text) in project.files() {
        let path = dir.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let options = LoadOptions {
        env: [("SHIFT".to_owned(), project.shift.to_string())].into(),
        ..LoadOptions::default()
    };
    let compiled = compile(&Project::load(dir, &options)?, lake, &estimators()).await?;
    let options = BuildOptions {
        select: select.to_vec(),
        ..BuildOptions::default()
    };
    let (progress, cancel) = (Arc::new(Silent), CancellationToken::new());
    let report = build(&compiled, lake, &estimators(), &options, progress, cancel).await?;
    match report.nodes.iter().find_map(|node| node.message.clone()) {
        None => Ok(report),
        Some(message) => Err(Error::failed("building", message)),
    }
}

/// The rows of the relation, in order.
async fn rows(lake: &Lake, relation: &str) -> String {
    let release = lake.releases().newest().await.unwrap();
    let session = lake.session(&release);
    let query = format!("select id, k, v from marts.{relation} order by 1, 2, 3");
    let plan = sql::plan(lake, &session, &query).await.unwrap();
    let rows = session.execute_logical_plan(plan).await.unwrap().collect().await;
    pretty_format_batches(&rows.unwrap()).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incremental_build_is_a_full_one() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let edits = number("CORDADA_BUILD_EDITS").unwrap_or(EDITS);
    let mut chance = Chance(number("CORDADA_TEST_SEED").unwrap_or(20_261_130) as u64);
    let mut reused = 0;
    for _ in 0..edits.div_ceil(EDITS_OF_ONE) {
        let dir = tempfile::tempdir().unwrap();
        let mut project = RandomProject::new(&mut chance);
        let lake_of_steps = lake();
        land(&lake_of_steps, &project.rows).await;
        let mut story = Vec::new();
        build_project(&lake_of_steps, dir.path(), &project, &[]).await.unwrap();
        for _ in 0..EDITS_OF_ONE {
            let (edit, what) = project.edit(&mut chance);
            story.push(what);
            if let Edit::Rows(before) = edit {
                land(&lake_of_steps, &project.rows[before..]).await;
            }
            // Now and then only a part is built first.
            if chance.below(4) == 0 {
                let one = format!("m{}", chance.below(project.models.len()));
                story.push(format!("build {one}"));
                // It may fail: what it reads may be there only after the whole build.
                build_project(&lake_of_steps, dir.path(), &project, &[one]).await.ok();
            }
            let told = |error: Error| panic!("{error}\nafter {story:?}\nof {project:#?}");
            let report = build_project(&lake_of_steps, dir.path(), &project, &[])
                .await
                .unwrap_or_else(told);
            let is_built = |node: &&NodeReport| node.status == NodeStatus::Built && node.rows.is_some();
            if edit == Edit::Nothing {
                let built: Vec<_> = report.nodes.iter().filter(is_built).map(|node| &node.name).collect();
                assert!(
                    built.is_empty(),
                    "{built:?} were built for nothing after {story:?}\nof {project:#?}"
                );
            }
            reused += report
                .nodes
                .iter()
                .filter(|node| node.status == NodeStatus::Reused)
                .count();
            let at_once = lake();
            land(&at_once, &project.rows).await;
            build_project(&at_once, dir.path(), &project, &[])
                .await
                .unwrap_or_else(told);
            for relation in project.relations() {
                let (steps, once) = (rows(&lake_of_steps, &relation).await, rows(&at_once, &relation).await);
                assert_eq!(steps, once, "{relation} after {story:?}\nof {project:#?}");
            }
        }
    }
    assert!(reused > edits, "hardly anything was reused: {reused}");
}
