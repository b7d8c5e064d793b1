//! What other engines ask of whoever writes a table holds, or nothing is written.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;

/// Has another engine change what the table says of itself; its first version must be the newest.
fn describe(lake: &std::path::Path, change: impl FnOnce(&mut Value, &mut Value)) {
    let log = lake.join("raw_a/t/_delta_log");
    let first = std::fs::read_to_string(log.join("00000000000000000000.json")).unwrap();
    let actions: Vec<Value> = first.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |kind: &str| actions.iter().find_map(|action| action.get(kind)).unwrap().clone();
    let (mut metadata, mut protocol) = (find("metaData"), find("protocol"));
    let mut schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    metadata["schema"] = schema["fields"].take();
    change(&mut metadata, &mut protocol);
    schema["fields"] = metadata["schema"].take();
    metadata.as_object_mut().unwrap().remove("schema");
    metadata["schemaString"] = schema.to_string().into();
    let actions = [json!({"protocol": protocol}), json!({"metaData": metadata})].map(|action| action.to_string());
    std::fs::write(log.join("00000000000000000001.json"), actions.join("\n")).unwrap();
}

/// The table with a row, which another engine says something of.
async fn described(change: impl FnOnce(&mut Value, &mut Value)) -> (tempfile::TempDir, Lake) {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    describe(folder.path(), change);
    (folder, lake)
}

/// Writes rows; those that break a constraint are taken, and come back with what they break.
async fn put_taking(lake: &Lake, mode: Mode, batch: RecordBatch) -> Result<(WriteReport, Vec<String>)> {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let into = taken.clone();
    let take = TakeBroken::new(move |_, broken| {
        into.lock()
            .unwrap()
            .extend(broken.iter().map(|broken| format!("{} {}", broken.row, broken.reason)));
        Ok(())
    });
    let write = Write {
        broken: Some(take),
        widen: true,
        ..Write::new(mode, batch.schema())
    };
    let rows = stream(vec![batch.clone()], &batch.schema());
    let written = lake.write(&name("raw_a.t"), write, vec![rows]).await?;
    let taken = taken.lock().unwrap().clone();
    Ok((written, taken))
}

async fn refusal(lake: &Lake, mode: Mode) -> String {
    let batch = pairs(&[(1, "b")]);
    put_taking(lake, mode, batch).await.unwrap_err().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_break_a_constraint_do_not_land() {
    let (folder, lake) = temporary().await;
    put(&lake, Mode::Append, &[(1, "a")]).await;
    let location = url::Url::from_directory_path(folder.path().join("raw_a/t")).unwrap();
    let table = deltalake::open_table(location).await.unwrap();
    let constrained = table.add_constraint().with_constraint("positive", "id > 0");
    constrained.await.unwrap();
    let batch = pairs(&[(-3, "x"), (4, "d"), (0, "y")]);
    let write = Write::new(Mode::Append, batch.schema());
    let rows = stream(vec![batch.clone()], &batch.schema());
    let files = data_files(folder.path());
    let refused = lake.write(&name("raw_a.t"), write, vec![rows]).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("`positive` must hold: id > 0; rows that break it, at least: 2"),
        "{refused}"
    );
    assert_eq!(data_files(folder.path()), files);
    for mode in [Mode::Append, upsert(), Mode::Overwrite] {
        let (_, taken) = put_taking(&lake, mode, batch.clone()).await.unwrap();
        assert_eq!(
            taken,
            [0, 2].map(|row| format!("{row} the table's constraint `positive` must hold: id > 0"))
        );
    }
    assert_eq!(rows_at(&lake, 4).await, "|4|d|");
    let null = RecordBatch::new_empty(batch.schema());
    assert_eq!(
        put_taking(&lake, Mode::Append, null).await.unwrap().1,
        Vec::<String>::new()
    );
    // A row that only says that its key's row goes is none of the table's.
    let mode = Mode::Upsert {
        key: vec!["id".into()],
        deleted: Some("gone".into()),
    };
    let written = put_taking(&lake, mode, loaded(&[(Some(4), "", true), (Some(-9), "", true)]))
        .await
        .unwrap();
    assert_eq!((written.0.rows, written.1), (0, Vec::new()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_said_of_columns_holds_and_outlives_new_columns() {
    let (folder, lake) = described(|metadata, protocol| {
        protocol["minWriterVersion"] = 4.into();
        metadata["description"] = "kept".into();
        metadata["configuration"]["delta.constraints.short"] = "length(text) < 3".into();
        let columns = metadata["schema"].as_array_mut().unwrap();
        columns[0]["nullable"] = false.into();
        columns[1]["metadata"] = json!({
            "delta.invariants": r#"{"expression": {"expression": "text <> 'no'"}}"#,
            "comment": "what it says",
        });
    })
    .await;
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), None, Some(3), Some(4), Some(5)]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec![
        Some("b"),
        Some("c"),
        Some("no"),
        Some("long"),
        None,
    ]));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("id", ids.clone(), true),
        ("text", texts, true),
        ("new", ids, true),
    ]);
    let (written, taken) = put_taking(&lake, Mode::Append, batch.unwrap()).await.unwrap();
    assert_eq!(
        taken,
        [
            "1 the column `id` must not be null",
            "2 the table's constraint `text` must hold: text <> 'no'",
            "3 the table's constraint `short` must hold: length(text) < 3",
            "4 the table's constraint `short` must hold: length(text) < 3",
        ],
        "neither true nor false is not true"
    );
    assert_eq!(rows_at(&lake, written.version).await, "|1|a| |2|b|");
    let log = std::fs::read_to_string(folder.path().join("raw_a/t/_delta_log/00000000000000000002.json")).unwrap();
    let actions: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(actions.iter().all(|action| action.get("protocol").is_none()));
    let metadata = actions.iter().find_map(|action| action.get("metaData")).unwrap();
    let schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let columns = schema["fields"].as_array().unwrap();
    assert_eq!((columns.len(), &columns[0]["nullable"]), (3, &json!(false)));
    assert_eq!(columns[1]["metadata"]["comment"], "what it says");
    assert!(
        columns[1]["metadata"]["delta.invariants"]
            .as_str()
            .unwrap()
            .contains("'no'")
    );
    assert_eq!(metadata["configuration"]["delta.constraints.short"], "length(text) < 3");
    assert_eq!(metadata["description"], "kept");
    let without = put_taking(
        &lake,
        Mode::Overwrite,
        RecordBatch::try_from_iter([("new", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap(),
    );
    let refused = without.await.unwrap_err().to_string();
    assert!(
        refused.contains("constraint `short` (length(text) < 3) cannot be checked here"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_refused_before_anything_is_written() {
    type Change = fn(&mut Value, &mut Value);
    let asked: [(Change, Mode, &str); 8] = [
        (
            |metadata, _| metadata["configuration"]["delta.appendOnly"] = "true".into(),
            upsert(),
            "`delta.appendOnly`",
        ),
        (
            |metadata, protocol| {
                protocol["minWriterVersion"] = 4.into();
                metadata["configuration"]["delta.enableChangeDataFeed"] = "true".into();
            },
            upsert(),
            "change data feed",
        ),
        (
            |metadata, protocol| {
                protocol["minWriterVersion"] = 4.into();
                metadata["schema"][1]["metadata"] = json!({"delta.generationExpression": "id"});
            },
            Mode::Append,
            "the column `text` is generated",
        ),
        (
            |_, protocol| *protocol = json!({"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking", "domainMetadata"]}),
            Mode::Append,
            "the feature `rowTracking`",
        ),
        (
            |metadata, _| metadata["configuration"]["delta.constraints.odd"] = "spark_only(id) = 1".into(),
            Mode::Append,
            "constraint `odd` (spark_only(id) = 1) cannot be checked here",
        ),
        (
            |metadata, _| metadata["configuration"]["delta.constraints.half"] = "id / 2 > 0".into(),
            Mode::Append,
            "constraint `half` (id / 2 > 0) cannot be checked here",
        ),
        (
            |metadata, _| metadata["configuration"]["delta.constraints.text"] = "text".into(),
            Mode::Append,
            "constraint `text` (text) cannot be checked here",
        ),
        (
            |metadata, _| metadata["schema"][0]["metadata"] = json!({"delta.invariants": "id > 0"}),
            Mode::Append,
            "the invariant of the column `id`",
        ),
    ];
    for (change, mode, named) in asked {
        let (folder, lake) = described(change).await;
        let refused = refusal(&lake, mode).await;
        assert!(refused.contains(named), "{named}: {refused}");
        assert_eq!(data_files(folder.path()), 1, "{named}");
        assert_eq!(rows_at(&lake, 1).await, "|1|a|", "{named}");
    }
    for property in ["delta.appendOnly", "delta.enableChangeDataFeed"] {
        let (_folder, lake) = described(|metadata, _| metadata["configuration"][property] = "true".into()).await;
        put(&lake, Mode::Append, &[(2, "b")]).await;
        assert_eq!(rows_at(&lake, 2).await, "|1|a| |2|b|");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nulls_within_lists_and_records_are_found_where_there_are_to_be_none() {
    let item = Field::new("element", DataType::Int64, true);
    let record = vec![Field::new("n", DataType::Int64, true)];
    let schema = Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("list", DataType::List(Arc::new(item)), true),
        Field::new("record", DataType::Struct(record.into()), true),
    ]));
    let rows = |rows: &[Value]| {
        let mut decoder = arrow::json::ReaderBuilder::new(schema.clone()).build_decoder().unwrap();
        decoder.serialize(rows).unwrap();
        decoder.flush().unwrap().unwrap()
    };
    let (folder, lake) = temporary().await;
    let first = rows(&[json!({"id": 1})]);
    put_taking(&lake, Mode::Append, first).await.unwrap();
    describe(folder.path(), |metadata, _| {
        metadata["schema"][1]["type"]["containsNull"] = false.into();
        metadata["schema"][2]["type"]["fields"][0]["nullable"] = false.into();
    });
    let batch = rows(&[
        json!({"id": 2, "list": [1, 2], "record": {"n": 1}}),
        json!({"id": 3, "list": [1, null]}),
        json!({"id": 4, "list": [], "record": {"n": null}}),
        json!({"id": 5}),
    ]);
    // A slice, whose values are in the middle of the arrays.
    let (_, taken) = put_taking(&lake, Mode::Append, batch.slice(1, 3)).await.unwrap();
    let taken: Vec<_> = taken.iter().map(|broken| broken.split_once(' ').unwrap()).collect();
    assert_eq!(taken.iter().map(|(row, _)| *row).collect::<Vec<_>>(), ["0", "1"]);
    assert_eq!(
        taken.iter().map(|(_, reason)| (*reason).to_owned()).collect::<Vec<_>>(),
        ["list", "record"].map(|column| format!("the column `{column}` must not have nulls within it"))
    );
}
