//! What columns are called in the lake, whatever the source calls them.

use super::Project;

/// The columns of `raw_shop.t`, without their types.
async fn names(project: &Project) -> Vec<String> {
    let columns = project.columns("raw_shop.t").await;
    let names = columns.iter().filter_map(|column| column.split_once(' '));
    names.map(|(name, _)| name.to_owned()).collect()
}

async fn described(project: &Project, column: &str) -> Option<String> {
    let release = project.lake.releases().newest().await.unwrap();
    let relation = release.relation(&"raw_shop.t".parse().unwrap()).unwrap();
    let docs = project.lake.docs(&relation.docs).await.unwrap();
    docs.columns.get(column)?.description.clone()
}

#[tokio::test]
async fn headings_of_any_kind_land_under_names_of_their_own() {
    let project = Project::new("{t: {path: t.csv}}").await;
    project.write(
        "t.csv",
        "id,Score %,Score #,Score,Score,名称,An\u{303}o,👍,%,order.id,\"a \"\"b\"\" `c` [d]\",_load_id\n\
         1,2,3,4,5,x,6,7,8,9,10,11\n",
    );
    project.ingest().await;
    let expected = [
        "id",
        "score",
        "score_2",
        "score_3",
        "score_2_2",
        "ming_cheng",
        "ano",
        "thumbsup",
        "percent",
        "order_id",
        "a_b_c_d",
        "_load_id_2",
    ];
    assert_eq!(names(&project).await, expected);
    let all = format!("select {} from raw_shop.t", expected.join(", "));
    assert_eq!(project.sql(&all).await, ["1|2|3|4|5|x|6|7|8|9|10|11"]);
    assert_eq!(
        described(&project, "score_2").await.as_deref(),
        Some("`Score #` in the source")
    );
    assert_eq!(
        described(&project, "_load_id_2").await.as_deref(),
        Some("`_load_id` in the source")
    );
}

#[tokio::test]
async fn a_name_stays_whatever_comes_later_and_in_whatever_order() {
    for disposition in ["append", "replace"] {
        let project = Project::new(&format!("{{t: {{path: 't-*.csv', disposition: {disposition}}}}}")).await;
        project.write("t-1.csv", "id,Score #\n1,a\n");
        project.ingest().await;
        project.write("t-2.csv", "Score %,Score #,id\nx,b,2\n");
        project.ingest().await;
        project.write("t-0.csv", "Score %,id\ny,3\n");
        project.ingest().await;
        let rows = project
            .sql("select id, score, score_2 from raw_shop.t order by id")
            .await;
        assert_eq!(rows, ["1|a|null", "2|b|x", "3|null|y"], "{disposition}");
    }
}

#[tokio::test]
async fn a_heading_that_is_written_another_way_is_the_same_column() {
    let project = Project::new("{t: {path: 't-*.csv', key: [order_id], disposition: merge}}").await;
    project.write("t-1.csv", "Order ID,v\n1,a\n");
    project.write("t-2.csv", "order_id,v\n2,b\n");
    project.ingest().await;
    project.write("t-3.csv", "ORDER-ID,V\n1,c\n");
    project.ingest().await;
    let rows = project
        .sql("select order_id, v from raw_shop.t order by order_id")
        .await;
    assert_eq!(rows, ["1|c", "2|b"]);
}

#[tokio::test]
async fn keys_of_json_are_told_apart_at_any_depth_and_over_loads() {
    let project = Project::new("{t: {path: 't-*.ndjson'}}").await;
    let votes = |keys: [(&str, &str); 4]| {
        let entries = keys.map(|(key, value)| format!("\"{key}\": {value}"));
        format!("[{{{}}}]", entries.join(", "))
    };
    let first = votes([("-1", "4"), ("+1", "1"), ("zipCode", "\"z\""), ("zip_code", "\"q\"")]);
    project.write(
        "t-1.ndjson",
        format!("{{\"id\": 1, \"Email\": \"a\", \"votes\": {first}}}\n"),
    );
    project.ingest().await;
    let second = votes([("zip_code", "\"y\""), ("+1", "3"), ("-1", "5"), ("zipCode", "\"x\"")]);
    project.write(
        "t-2.ndjson",
        format!("{{\"id\": 2, \"email\": \"b\", \"Email\": \"c\", \"votes\": {second}}}\n"),
    );
    project.ingest().await;
    let query = "select id, email, email_2, v['_1'], v['_1_2'], v['zip_code'], v['zip_code_2'] \
                 from (select *, unnest(votes) as v from raw_shop.t) order by id";
    assert_eq!(project.sql(query).await, ["1|a|null|4|1|z|q", "2|c|b|5|3|x|y"]);
    // A load that has some of them alone, by the next process.
    let project = project.reopened().await;
    let third = votes([("zipCode", "null"), ("-1", "null"), ("zip_code", "\"w\""), ("+1", "6")]);
    project.write(
        "t-3.ndjson",
        format!("{{\"id\": 3, \"email\": \"d\", \"votes\": {third}}}\n"),
    );
    project.ingest().await;
    let query = format!("select * from ({query}) where id = 3");
    assert_eq!(project.sql(&query).await, ["3|null|d|null|6|null|w"]);
}

#[tokio::test]
async fn a_user_names_columns_by_what_the_source_calls_them() {
    let columns = "{percent: {from: 'Score %', type: text}, count: {from: 'Score #'}, 'order.id': {type: text}}";
    let stream = format!("{{t: {{path: t.csv, key: ['order.id'], disposition: merge, columns: {columns}}}}}");
    let project = Project::new(&stream).await;
    project.write("t.csv", "order.id,Score %,Score #\n1,10,20\n");
    project.ingest().await;
    project.write("t.csv", "Score #,order.id,Score %\n21,1,011\n");
    project.ingest().await;
    assert_eq!(
        project.columns("raw_shop.t").await,
        ["order_id Utf8", "percent Utf8", "count Int64"]
    );
    assert_eq!(
        project.sql("select order_id, percent, count from raw_shop.t").await,
        ["1|011|21"]
    );
    // What is not there is told of by the source's name.
    project.configure("kind: files\nstreams: {u: {path: t.csv, columns: {x: {from: 'Score ?'}}}}\n");
    let error = project.try_ingest(&[]).await.unwrap_err();
    assert!(error.to_string().contains("`Score ?`"), "{error}");
}

#[tokio::test]
async fn a_transform_reaches_all_that_is_written_like_it() {
    let columns = "{'customer.email': {transform: drop}, 'a.b': {transform: drop}}";
    let project = Project::new(&format!("{{t: {{path: t.ndjson, columns: {columns}}}}}")).await;
    project.write(
        "t.ndjson",
        "{\"id\": 1, \"a.b\": \"secret\", \"customer\": {\"Email\": \"secret\", \"email\": \"secret\", \"n\": 1}}\n",
    );
    project.ingest().await;
    assert_eq!(project.columns("raw_shop.t").await.len(), 2);
    let text = project.sql("select * from raw_shop.t").await;
    assert!(!text[0].contains("secret"), "{text:?}");
}
