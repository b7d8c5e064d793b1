//! Whatever happens to the parent's table, the child's is the parent's lists.

use arrow::datatypes::{Field, TimeUnit};
use arrow::json::ReaderBuilder;
use arrow::util::pretty::pretty_format_batches;
use cordada_lake::{Draft, Relation, Settings};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;
use url::Url;

use super::*;

/// A row of the parent's table: its key and its list.
type Order = (i64, Option<Vec<u8>>);

#[derive(Debug, Clone)]
enum Step {
    /// A load at that time by its clock; it is killed before the child's table follows, or not.
    Load { rows: Vec<Order>, clock: u8, killed: bool },
    /// Another engine puts the rows into fewer files.
    Compact,
    /// Another engine deletes the row of a key.
    Delete(i64),
    /// Back to one of the releases there are.
    Rollback(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let order = (
        0_i64..6,
        prop::option::weighted(0.8, prop::collection::vec(0_u8..4, 0..4)),
    );
    let load = (
        prop::collection::vec(order, 1..5),
        any::<u8>(),
        prop::bool::weighted(0.3),
    );
    let load = load.prop_map(|(rows, clock, killed)| Step::Load { rows, clock, killed });
    let step = prop_oneof![
        6 => load,
        2 => Just(Step::Compact),
        1 => (0_i64..6).prop_map(Step::Delete),
        1 => any::<prop::sample::Index>().prop_map(Step::Rollback),
    ];
    prop::collection::vec(step, 1..10)
}

struct Orders {
    folder: tempfile::TempDir,
    location: Url,
    lake: Lake,
    options: Options,
    parent: TableName,
    child: TableName,
}

impl Orders {
    async fn new(disposition: Disposition) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            parallelism: Some(2),
            memory: Some(256 << 20),
            ..Settings::default()
        };
        Self {
            lake: Lake::open(folder.path().to_str().unwrap(), &settings).await.unwrap(),
            location: Url::from_directory_path(folder.path().join("raw_s/orders")).unwrap(),
            folder,
            options: Options {
                key: vec!["id".to_owned()],
                disposition: Some(disposition),
                unnest: [("items".to_owned(), None)].into(),
                ..Options::default()
            },
            parent: "raw_s.orders".parse().unwrap(),
            child: "raw_s.orders__items".parse().unwrap(),
        }
    }

    /// Writes the parent's rows as a load does.
    async fn write(&self, rows: &[Order], clock: u8) {
        let item = DataType::Struct(vec![Field::new("sku", DataType::Int64, true)].into());
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new(
                "items",
                DataType::List(Arc::new(Field::new("element", item, true))),
                true,
            ),
            Field::new(LOAD_ID, DataType::Utf8, true),
            Field::new(LOADED_AT, time, true),
            Field::new(ORIGIN, DataType::Utf8, true),
        ]));
        let rows = rows.iter().map(|(id, items)| {
            let items = items
                .as_ref()
                .map(|items| items.iter().map(|sku| json!({"sku": sku})).collect::<Vec<_>>());
            json!({"id": id, "items": items, LOAD_ID: format!("{clock:03}"), LOADED_AT: clock, ORIGIN: "test"})
        });
        let mut decoder = ReaderBuilder::new(schema.clone()).build_decoder().unwrap();
        decoder.serialize(&rows.collect::<Vec<_>>()).unwrap();
        let batch = decoder.flush().unwrap().unwrap();
        let rows = futures::stream::iter([Ok(batch)]);
        let rows = Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows));
        let key = self.options.key();
        let mode = match self.options.disposition() {
            Disposition::Append | Disposition::Scd2 => Mode::Append,
            Disposition::Replace => Mode::Overwrite,
            Disposition::Merge => Mode::Upsert { key, deleted: None },
            Disposition::InsertOnly => Mode::Insert { key },
        };
        let write = Write {
            base: Base::Tip(self.lake.tip(&self.parent).await.unwrap()),
            ..Write::new(mode, schema)
        };
        self.lake.write(&self.parent, write, vec![rows]).await.unwrap();
    }

    /// Brings the child's table up to the parent's and publishes both; and looks whether they agree.
    async fn follow(&self) {
        let tip = self.lake.tip(&self.parent).await.unwrap();
        let children = run(&self.lake, &self.parent, tip, &self.options, &CancellationToken::new());
        let mut draft = Draft::new(self.lake.releases().newest().await.unwrap(), "test", "run");
        let children = children.await.unwrap();
        for (table, tip) in children.into_iter().chain([(self.parent.clone(), tip)]) {
            let Some(version) = tip.version else {
                return;
            };
            draft.set(table.clone(), Relation::table(self.lake.path_of(&table), version));
        }
        if !draft.is_unchanged() {
            self.lake.releases().publish(&draft).await.unwrap();
        }
        let lists = "select id, _position, _item['sku'] as sku, _load_id, _loaded_at from (select *, \
                     unnest(items) as _item, unnest(range(1, cast(array_length(items) as bigint) + 1)) as _position \
                     from raw_s.orders where array_length(items) > 0)";
        let items = "select _parent_id as id, _position, sku, _load_id, _loaded_at from raw_s.orders__items";
        assert_eq!(self.rows(items).await, self.rows(lists).await);
    }

    async fn rows(&self, sql: &str) -> String {
        let release = self.lake.releases().newest().await.unwrap();
        let sql = format!("{sql} order by 1, 2, 3, 4, 5");
        let rows = self
            .lake
            .session(&release)
            .sql(&sql)
            .await
            .unwrap()
            .collect()
            .await
            .unwrap();
        pretty_format_batches(&rows).unwrap().to_string()
    }

    async fn compact(&self) {
        let table = deltalake::open_table(self.location.clone()).await.unwrap();
        table.optimize().await.unwrap();
    }

    async fn step(&self, step: Step) {
        let exists = self.lake.tip(&self.parent).await.unwrap().version.is_some();
        match step {
            Step::Load { rows, clock, killed } => {
                self.write(&rows, clock).await;
                if killed {
                    return;
                }
            }
            Step::Compact if exists => self.compact().await,
            Step::Delete(id) if exists => {
                let table = deltalake::open_table(self.location.clone()).await.unwrap();
                table.delete().with_predicate(format!("id = {id}")).await.unwrap();
            }
            Step::Rollback(release) => {
                let newest = self.lake.releases().newest().await.unwrap().number;
                if newest > 1 {
                    let release = release.index(newest as usize - 1) as u64 + 1;
                    self.lake.rollback(release, "run").await.unwrap();
                }
            }
            Step::Compact | Step::Delete(_) => return,
        }
        self.follow().await;
    }

    /// The files of the child's table.
    async fn files(&self) -> Vec<String> {
        let version = self.lake.latest_version(&self.child).await.unwrap().unwrap();
        let child = self
            .lake
            .snapshot(&self.lake.path_of(&self.child), version)
            .await
            .unwrap();
        child.files().iter().map(|file| file.location.to_string()).collect()
    }
}

#[test]
fn a_child_is_its_parents_lists_whatever_happens() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    for disposition in [
        Disposition::Append,
        Disposition::Merge,
        Disposition::InsertOnly,
        Disposition::Replace,
    ] {
        let mut runner = TestRunner::new(ProptestConfig {
            cases: 16,
            ..ProptestConfig::default()
        });
        let result = runner.run(&steps(), |steps| {
            runtime.block_on(async {
                let orders = Orders::new(disposition).await;
                for step in steps {
                    orders.step(step).await;
                }
            });
            Ok(())
        });
        result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_compacted_is_not_made_anew() {
    for disposition in [Disposition::Append, Disposition::Merge, Disposition::InsertOnly] {
        let orders = Orders::new(disposition).await;
        for id in [1, 2] {
            orders.write(&[(id, Some(vec![1, 1]))], 9).await;
            orders.follow().await;
        }
        let before = orders.files().await;
        orders.compact().await;
        orders.write(&[(3, Some(vec![2]))], 0).await;
        orders.follow().await;
        let after = orders.files().await;
        assert!(before.iter().all(|file| after.contains(file)), "{disposition:?}");
        assert_eq!(after.len(), before.len() + 1, "{disposition:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_whose_parents_old_versions_are_gone_is_made_anew() {
    let orders = Orders::new(Disposition::Merge).await;
    orders.write(&[(1, Some(vec![1])), (2, Some(vec![2]))], 1).await;
    orders.follow().await;
    let path = orders.lake.path_of(&orders.parent);
    let old = orders.lake.snapshot(&path, 0).await.unwrap().files()[0]
        .location
        .to_string();
    orders.write(&[(1, Some(vec![3]))], 0).await;
    std::fs::remove_file(orders.folder.path().join(old)).unwrap();
    orders.follow().await;
}
