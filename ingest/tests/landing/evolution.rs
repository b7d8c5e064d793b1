//! Columns that come, go and change, case by case; of any rows in any order, see [`super::any_rows`].

use super::Project;

#[tokio::test]
async fn a_field_more_lands_beside_the_old_rows_and_in_the_child_table() {
    let project =
        Project::new("{t: {path: 'in/*.ndjson', key: [id], disposition: merge, unnest: {items: null}}}").await;
    for (load, text) in [
        "{\"id\":1,\"items\":null}",
        "{\"id\":2,\"items\":[]}",
        "{\"id\":3,\"items\":[{\"sku\":\"a\"}]}",
        "{\"id\":4,\"items\":[{\"sku\":\"b\",\"price\":1.5,\"tags\":{\"x\":1}}]}\n{\"id\":3,\"items\":[{\"sku\":\"c\"}]}",
    ]
    .into_iter()
    .enumerate()
    {
        project.write(&format!("in/{load}.ndjson"), text);
        project.ingest().await;
    }
    let items = "select _parent_id, sku, price, tags['x'] from raw_shop.t__items order by 1";
    assert_eq!(project.sql(items).await, ["3|c|null|null", "4|b|1.5|1"]);
}

#[tokio::test]
async fn what_has_no_value_yet_is_text_to_readers_and_in_no_file() {
    let project = Project::new("{t: {path: 'in/*.csv'}}").await;
    project.write("in/1.csv", "id,v\n1,\n");
    project.ingest().await;
    assert_eq!(project.columns("raw_shop.t").await, ["id Int64", "v Utf8"]);
    assert_eq!(
        project.sql("select id, v from raw_shop.t where v is null").await,
        ["1|null"]
    );
    project.write("in/2.csv", "id,v\n2,12.50\n");
    project.ingest().await;
    assert_eq!(project.columns("raw_shop.t").await, ["id Int64", "v Decimal128(18, 2)"]);
    // The file of the first load is the one that it wrote.
    let files = "select count(distinct _load_id) from raw_shop.t";
    assert_eq!(project.sql(files).await, ["2"]);
    let table = "raw_shop.t".parse().unwrap();
    let version = project.lake.latest_version(&table).await.unwrap().unwrap();
    let snapshot = project
        .lake
        .snapshot(&project.lake.path_of(&table), version)
        .await
        .unwrap();
    assert_eq!(snapshot.files().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_becomes_text_is_written_as_it_was() {
    let streams = "{t: {path: 'in/*.csv'}, j: {path: 'in/*.ndjson'}}";
    let project = Project::new(streams).await;
    project.configure(&format!("kind: files\ntimezone: Europe/Madrid\nstreams: {streams}\n"));
    project.write("in/1.csv", "id,price,at,flag\n1,1.10,2024-07-01 10:00:00,TRUE\n");
    project.write("in/1.ndjson", "{\"id\":1,\"c\":{\"zipCode\": \"é\", \"n\": 1.10}}\n");
    project.ingest().await;
    project.write("in/2.csv", "id,price,at,flag\n2,n/a,n/a,n/a\n");
    project.write("in/2.ndjson", "{\"id\":2,\"c\":\"x\"}\n");
    project.ingest().await;
    let rows = project
        .sql("select id, price, at, flag from raw_shop.t order by id")
        .await;
    assert_eq!(rows, ["1|1.10|2024-07-01 10:00:00|TRUE", "2|n/a|n/a|n/a"]);
    let rows = project.sql("select id, c from raw_shop.j order by id").await;
    assert_eq!(rows, ["1|{\"n\":1.10,\"zipCode\":\"é\"}", "2|x"]);
}

/// Values, and others of which one makes their column another type.
const WIDENED: [(&str, &[&str], &[&str]); 4] = [
    (
        "csv",
        &["7", "1.10", "12345678901"],
        &["x", "2.5", "123456789012345678901234567890", "1e-3"],
    ),
    (
        "csv",
        &["true", "TRUE", "2024-01-01", "2024-01-01 10:00:00"],
        &["x", "2024-01-02T10:00:00.5Z"],
    ),
    (
        "ndjson",
        &["7", "1.5", "\"a\"", "true", "\"2024-01-01\""],
        &["\"x\"", "2.25", "{\"a\":1}", "[1]"],
    ),
    (
        "ndjson",
        &[
            "{\"a\":1}",
            "{\"b\":1.50,\"a\":[1,2]}",
            "[1]",
            "[{\"a\":1}]",
            "[]",
            "{}",
        ],
        &[
            "\"x\"",
            "{\"a\":2.5}",
            "{\"c\":1}",
            "[2.5]",
            "[\"x\"]",
            "[{\"a\":1,\"b\":2}]",
            "7",
        ],
    ),
];

/// Rows, each of an id and values, as a file.
fn file(format: &str, rows: &[(&str, Vec<&str>)]) -> String {
    let columns = rows.first().map_or(0, |(_, values)| values.len());
    let mut text = match format {
        "csv" => format!("id{}\n", (0..columns).map(|at| format!(",v{at}")).collect::<String>()),
        _ => String::new(),
    };
    for (id, values) in rows {
        let values = values.iter().enumerate().map(|(at, value)| match format {
            "csv" => format!(",{value}"),
            _ => format!(",\"v{at}\":{value}"),
        });
        let values: String = values.collect();
        match format {
            "csv" => text.push_str(&format!("{id}{values}\n")),
            _ => text.push_str(&format!("{{\"id\":{id}{values}}}\n")),
        }
    }
    text
}

/// The ids of a history of rows with the first of each pair, which come again beside the second.
async fn versions(format: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    let streams = format!("{{t: {{path: 'in/*.{format}', key: [id], disposition: scd2}}}}");
    let project = Project::new(&streams).await;
    let (values, others): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
    project.write(&format!("in/1.{format}"), file(format, &[("1", values.clone())]));
    project.ingest().await;
    project.write(&format!("in/2.{format}"), file(format, &[("1", values), ("2", others)]));
    project.ingest().await;
    project.sql("select id from raw_shop.t order by id").await
}

#[tokio::test]
async fn a_row_that_comes_again_beside_another_type_is_no_new_version() {
    for (format, values, others) in WIDENED {
        let pairs = values
            .iter()
            .flat_map(|value| others.iter().map(move |other| (*value, *other)));
        let pairs: Vec<_> = pairs.collect();
        if versions(format, &pairs).await == ["1", "2"] {
            continue;
        }
        for pair in pairs {
            assert_eq!(versions(format, &[pair]).await, ["1", "2"], "{pair:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_comes_again_beside_another_type_is_the_same() {
    for (format, values, others) in &WIDENED[..3] {
        for value in *values {
            for other in others.iter().filter(|other| !other.starts_with(['{', '['])) {
                let streams = format!("{{t: {{path: 'in/*.{format}', key: [id], disposition: merge}}}}");
                let project = Project::new(&streams).await;
                project.write(&format!("in/1.{format}"), file(format, &[(value, vec!["1"])]));
                project.ingest().await;
                let rows = [(*value, vec!["2"]), (*other, vec!["3"])];
                project.write(&format!("in/2.{format}"), file(format, &rows));
                project.ingest().await;
                let rows = project.sql("select v0 from raw_shop.t order by v0").await;
                assert_eq!(rows, ["2", "3"], "{value} beside {other}");
            }
        }
    }
}

#[tokio::test]
async fn the_text_of_a_record_does_not_depend_on_what_came_first() {
    let lines = [
        "{\"id\":1,\"v\":{\"a\":1,\"b\":null}}\n",
        "{\"id\":2,\"v\":{ \"c\":[{\"y\":1,\"x\":2}], \"b\":\"\\u00e9\",\"a\":2}}\n",
        "{\"id\":3,\"v\":\"x\"}\n",
    ];
    let expected = [
        "1|{\"a\":1}",
        "2|{\"a\":2,\"b\":\"é\",\"c\":[{\"x\":2,\"y\":1}]}",
        "3|x",
    ];
    let orders: [&[&[usize]]; 4] = [
        &[&[0, 1, 2]],
        &[&[0], &[1], &[2]],
        &[&[2], &[1], &[0]],
        &[&[1], &[0, 2]],
    ];
    for order in orders {
        let project = Project::new("{t: {path: 'in/*.ndjson'}}").await;
        for (load, rows) in order.iter().enumerate() {
            let text: String = rows.iter().map(|row| lines[*row]).collect();
            project.write(&format!("in/{load}.ndjson"), text);
            project.ingest().await;
        }
        let rows = project.sql("select id, v from raw_shop.t order by id").await;
        assert_eq!(rows, expected, "{order:?}");
    }
}
