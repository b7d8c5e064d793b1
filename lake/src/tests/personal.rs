//! What the log and the files say of personal columns: nothing.

use std::collections::HashMap;

use arrow::array::StructArray;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn personal_columns_leave_nothing_in_the_statistics() {
    let (_folder, lake) = temporary().await;
    let field =
        Field::new("email", DataType::Utf8, true).with_metadata([(types::PII.to_owned(), "email".to_owned())].into());
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![Arc::new(StringArray::from(vec!["ana@example.org"]))],
    )
    .unwrap();
    lake.write(
        &name("raw_a.t"),
        Write::new(Mode::Append, schema.clone()),
        vec![stream(vec![batch], &schema)],
    )
    .await
    .unwrap();
    let stored = lake.snapshot("raw_a/t", 0).await.unwrap();
    let statistics = stored.files().await.unwrap()[0].add.stats.clone().unwrap();
    assert!(
        !statistics.contains("example") && statistics.contains("\"numRecords\":1"),
        "{statistics}"
    );
    assert_eq!(
        stored.schema().field(0).metadata()[types::PII],
        "email",
        "the tag survives the log"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_is_personal_by_now_leaves_the_log_and_every_later_checkpoint() {
    let (folder, lake) = temporary().await;
    let tag: HashMap<_, _> = [(types::PII.to_owned(), "email".to_owned())].into();
    let schema = |tagged: bool| {
        let metadata = if tagged { tag.clone() } else { HashMap::new() };
        let email = Field::new("email", DataType::Utf8, true).with_metadata(metadata);
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), email]))
    };
    let write = async |tagged: bool, rows: &[(i64, &str)]| {
        let ids = Int64Array::from_iter_values(rows.iter().map(|(id, _)| *id));
        let emails = StringArray::from_iter_values(rows.iter().map(|(_, email)| *email));
        let batch = RecordBatch::try_new(schema(tagged), vec![Arc::new(ids), Arc::new(emails)]).unwrap();
        let key = vec!["id".to_owned()];
        let write = Write::new(Mode::Upsert { key, deleted: None }, schema(tagged));
        let rows = stream(vec![batch], &schema(tagged));
        lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap().version
    };
    write(false, &[(1, "ana@example.org")]).await;
    write(false, &[(2, "bo@example.org")]).await;
    let tagged = write(true, &[(2, "cy@example.org")]).await;
    // Who does not know it does not take it back.
    write(false, &[(3, "di@example.org")]).await;
    let snapshot = lake.snapshot("raw_a/t", tagged + 1).await.unwrap();
    assert_eq!(snapshot.schema().field(1).metadata(), &tag);
    assert_eq!(snapshot.files().await.unwrap().rows(), Some(3));
    for file in snapshot.files().await.unwrap().iter() {
        let stats = file.add.stats.as_deref().unwrap();
        assert!(!stats.contains("example") && stats.contains("\"id\""), "{stats}");
    }
    let changes = lake.changes("raw_a/t", tagged - 1, tagged).await.unwrap().unwrap();
    let came = lake.session_with(&Arc::default(), [(name("raw_a.came"), changes.came)].into());
    let came = came
        .sql("select id from raw_a.came")
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    assert_eq!(
        came.iter().map(RecordBatch::num_rows).sum::<usize>(),
        1,
        "no file came that was there"
    );
    for version in tagged + 2..tagged + 12 {
        assert_eq!(write(false, &[(4, "di@example.org")]).await, version);
    }
    let newest = lake.snapshot("raw_a/t", tagged + 11).await.unwrap();
    lake.log("raw_a/t").write_checkpoint(&newest, None).await.unwrap();
    let log = std::fs::read_dir(folder.path().join("raw_a/t/_delta_log")).unwrap();
    let checkpoints: Vec<_> = log
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".checkpoint.parquet"))
        .collect();
    assert!(!checkpoints.is_empty());
    for checkpoint in checkpoints {
        let file = std::fs::File::open(checkpoint).unwrap();
        let rows = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        for batch in rows.build().unwrap() {
            let text = arrow::util::pretty::pretty_format_batches(&[batch.unwrap()])
                .unwrap()
                .to_string();
            assert!(!text.contains("example.org"), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lands_beside_the_tag_of_its_column_leaves_nothing_in_the_log() {
    let (folder, lake) = temporary().await;
    let other = another(folder.path()).await;
    let schema = |tagged: bool| {
        let tag = tagged.then(|| (types::PII.to_owned(), "email".to_owned()));
        let email = Field::new("email", DataType::Utf8, true);
        Arc::new(Schema::new(vec![email.with_metadata(tag.into_iter().collect())]))
    };
    let batch = |tagged: bool, emails: &[&str]| {
        let emails = StringArray::from_iter_values(emails);
        RecordBatch::try_new(schema(tagged), vec![Arc::new(emails)]).unwrap()
    };
    let write = |tagged: bool| Write::new(Mode::Append, schema(tagged));
    let rows = |tagged: bool, emails: &[&str]| vec![stream(vec![batch(tagged, emails)], &schema(tagged))];
    lake.write(&name("raw_a.t"), write(false), rows(false, &[]))
        .await
        .unwrap();
    let meanwhile = async {
        let rows = rows(false, &["bo@example.org"]);
        other.write(&name("raw_a.t"), write(false), rows).await.map(|_| ())
    };
    let ours = rows(true, &["ana@example.org"]);
    let written = lake
        .write_after(&name("raw_a.t"), write(true), ours, meanwhile)
        .await
        .unwrap();
    let files = files_at(&lake, written.version).await;
    assert_eq!(files.rows(), Some(2));
    assert!(
        files
            .iter()
            .all(|file| !file.add.stats.as_deref().unwrap().contains("example"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn personal_fields_within_columns_have_no_statistics_either() {
    let (folder, lake) = temporary().await;
    let email = Arc::new(Field::new("email", DataType::Utf8, true));
    let inner: ArrayRef = Arc::new(StringArray::from(vec!["ana@example.org"]));
    let column: ArrayRef = Arc::new(StructArray::from(vec![(email, inner)]));
    let tag = [(types::PII.to_owned(), "email".to_owned())].into();
    let field = Field::new("customer", column.data_type().clone(), true).with_metadata(tag);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
    let rows = vec![stream(vec![batch], &schema)];
    lake.write(&name("raw_a.t"), Write::new(Mode::Append, schema.clone()), rows)
        .await
        .unwrap();
    let stored = lake.snapshot("raw_a/t", 0).await.unwrap();
    let file = std::fs::File::open(folder.path().join(stored.files().await.unwrap()[0].location.as_ref())).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let groups = reader.metadata().row_groups().iter();
    assert!(
        groups
            .flat_map(|group| group.columns())
            .all(|column| column.statistics().is_none())
    );
}
