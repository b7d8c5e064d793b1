//! Other engines that write the same table.

use arrow::array::NullArray;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;

use super::*;

/// What another engine commits as that version: a file with those rows, of which its statistics say that there are
/// `rows`.
async fn foreign(lake: &Lake, version: u64, batch: &RecordBatch, rows: usize) -> Result<()> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let add = serde_json::json!({"add": {
        "path": "foreign.parquet", "partitionValues": {}, "size": bytes.len(), "modificationTime": 1, "dataChange": true,
        "stats": format!("{{\"numRecords\":{rows}}}"),
    }});
    let put = async |name: String, bytes: Vec<u8>| {
        let path = Path::from(format!("raw_a/t/{name}"));
        lake.object_store().put(&path, bytes.into()).await.unwrap();
    };
    put("foreign.parquet".to_owned(), bytes).await;
    put(format!("_delta_log/{version:020}.json"), add.to_string().into()).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_columns_first_values_do_not_land_beside_a_column_of_text_that_came_meanwhile() {
    let (_folder, lake) = temporary().await;
    let ids = |id: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![id])) };
    let write = async |values: ArrayRef, meanwhile: Option<&RecordBatch>| {
        let rows = RecordBatch::try_from_iter_with_nullable([("id", ids(1), true), ("v", values, true)]).unwrap();
        let write = Write {
            evolution: Evolution::Widen,
            ..Write::new(Mode::Append, rows.schema())
        };
        let before_commit = async {
            match meanwhile {
                Some(batch) => foreign(&lake, 1, batch, 1).await,
                None => Ok(()),
            }
        };
        let rows = vec![stream(vec![rows.clone()], &rows.schema())];
        lake.write_after(&name("raw_a.t"), write, rows, before_commit).await
    };
    write(Arc::new(NullArray::new(1)), None).await.unwrap();
    let text: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let theirs = RecordBatch::try_from_iter_with_nullable([("id", ids(2), true), ("v", text, true)]).unwrap();
    let conflict = write(ids(7), Some(&theirs)).await.unwrap_err();
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    let written = write(ids(7), None).await.unwrap();
    let release = publish(&lake, written.version).await;
    let rows = query(&lake, &release, "select v from raw_a.t order by id, v")
        .await
        .unwrap();
    assert_eq!(rows, "|7| || ||");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_statistics_say_too_much_can_be_written_again() {
    let (_folder, lake) = temporary().await;
    put(&lake, upsert(), &[(1, "a")]).await;
    foreign(&lake, 1, &pairs(&[(2, "b"), (3, "c")]), 100).await.unwrap();
    let report = put(&lake, upsert(), &[(2, "d")]).await;
    assert_eq!(report.rows_removed, 1);
    assert_eq!(rows_at(&lake, report.version).await, "|1|a| |2|d| |3|c|");
}
