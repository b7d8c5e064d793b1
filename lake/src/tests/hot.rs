//! Columns that are kept decoded.

use arrow::array::{Float64Array, ListArray, StructArray};
use arrow::datatypes::Int64Type;
use datafusion::physical_plan::displayable;

use super::*;

const ROWS: usize = 20_000;

/// Rows with a column of each kind, some of whose values are missing.
fn rows(first: usize) -> RecordBatch {
    let all = || first..first + ROWS;
    let some = |number: usize| !number.is_multiple_of(7);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(all().map(|number| number as i64)));
    let few: StringArray = all()
        .map(|number| some(number).then(|| format!("one of a few long texts, number {}", number % 5)))
        .collect();
    let many: StringArray = all()
        .map(|number| Some(format!("text {number} of many, all different")))
        .collect();
    let price = all().map(|number| some(number).then_some(number as i128 * 25));
    let price = price
        .collect::<Decimal128Array>()
        .with_precision_and_scale(12, 2)
        .unwrap();
    let lists = all().map(|number| some(number).then(|| vec![Some(number as i64), None]));
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
    let ratios: Float64Array = all().map(|number| Some(number as f64 / 4.0)).collect();
    let record = StructArray::try_from(vec![("ratio", Arc::new(ratios) as ArrayRef), ("id", ids.clone())]).unwrap();
    RecordBatch::try_from_iter_with_nullable([
        ("id", ids, true),
        ("few", Arc::new(few) as _, true),
        ("many", Arc::new(many) as _, true),
        ("price", Arc::new(price) as _, true),
        ("lists", Arc::new(lists) as _, true),
        ("record", Arc::new(record) as _, true),
    ])
    .unwrap()
}

async fn append(lake: &Lake, batch: RecordBatch) -> u64 {
    let write = Write {
        evolution: Evolution::Widen,
        ..Write::new(Mode::Append, batch.schema())
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap().version
}

/// What the statement reads from, and its rows.
async fn run(lake: &Lake, release: &Arc<Release>, statement: &str) -> (bool, String) {
    let session = lake.session(release);
    let plan = sql::plan(lake, &session, statement).await.unwrap();
    let frame = session.execute_logical_plan(plan).await.unwrap();
    let context = Arc::new(frame.task_ctx());
    let physical = frame.create_physical_plan().await.unwrap();
    let hot = displayable(&*physical)
        .indent(false)
        .to_string()
        .contains("hot columns");
    let batches = datafusion::physical_plan::collect(physical, context).await.unwrap();
    let rows = shown(&batches);
    if let Some(columns) = lake.hot_columns() {
        columns.idle().await;
    }
    (hot, rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_the_same_from_columns_that_are_kept_and_from_files() {
    let (_folder, cold) = temporary().await;
    append(&cold, rows(0)).await;
    let version = append(&cold, rows(ROWS)).await;
    let release = publish(&cold, version).await;
    let lake = cold.clone().with_hot_columns();
    for statement in [
        "select * from raw_a.t order by id limit 50",
        "select count(*), sum(id), count(few), min(many), max(many), sum(price) from raw_a.t",
        "select few, count(*), sum(record['ratio']), max(id) from raw_a.t group by few order by few",
        "select many, lists, record from raw_a.t where id % 5000 = 3 order by id desc",
        "select many as id, id as many from raw_a.t where few like '%3' order by 2 limit 20",
        "select a.id, b.price from raw_a.t a join raw_a.t b on a.id = b.id where a.price is null order by 1",
        "select count(*) from raw_a.t",
    ] {
        let (_, expected) = run(&cold, &release, statement).await;
        let mut seen = Vec::new();
        for _ in 0..4 {
            let (hot, rows) = run(&lake, &release, statement).await;
            assert_eq!(rows, expected, "{statement}");
            seen.push(hot);
        }
        let reads_columns = !statement.ends_with("count(*) from raw_a.t");
        assert_eq!(seen[3], reads_columns, "{statement}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_another_type_and_a_new_file_are_read_anew() {
    let (_folder, cold) = temporary().await;
    let statement = "select id from raw_a.t order by id desc limit 3";
    let first = publish(&cold, append(&cold, rows(0)).await).await;
    let lake = cold.clone().with_hot_columns();
    for _ in 0..3 {
        run(&lake, &first, statement).await;
    }
    assert!(run(&lake, &first, statement).await.0);

    let text: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let version = append(&cold, RecordBatch::try_from_iter([("id", text)]).unwrap()).await;
    let second = publish(&cold, version).await;
    for number in 0..4 {
        let (hot, rows) = run(&lake, &second, statement).await;
        assert_eq!(hot, number > 1, "{number}");
        assert_eq!(rows, "|x| |9999| |9998|");
    }
    assert_eq!(
        run(&lake, &first, statement).await,
        (true, "|19999| |19998| |19997|".to_owned())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_fits_its_share_and_what_is_too_large_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        memory: Some(16 << 20),
        ..Settings::default()
    };
    let lake = Lake::open(folder.path().to_str().unwrap(), &settings)
        .await
        .unwrap()
        .with_hot_columns();
    let release = publish(&lake, append(&lake, rows(0)).await).await;
    let share = lake.memory() / crate::query::hot::MEMORY_PART;
    for column in [
        "id",
        "few",
        "many",
        "price",
        "lists",
        "record",
        "id, few, many, price, lists, record",
    ] {
        for _ in 0..3 {
            run(
                &lake,
                &release,
                &format!("select {column} from raw_a.t order by id limit 1"),
            )
            .await;
            assert!(lake.hot_columns().unwrap().bytes() <= share);
        }
    }
    assert!(
        !run(&lake, &release, "select * from raw_a.t order by id limit 1")
            .await
            .0
    );
    assert!(lake.hot_columns().unwrap().bytes() > 0);
}
