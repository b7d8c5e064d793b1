//! Which nodes are built.

use super::*;
use crate::node::Node;

#[tokio::test]
async fn selected_nodes_are_built_alone() {
    let house = House::with(&shop()).await;
    house.build().await;
    let only = |select: &str| BuildOptions {
        select: vec![select.into()],
        ..BuildOptions::default()
    };
    let report = house.build_with(only("totals")).await.unwrap();
    assert_eq!(report.nodes.len(), 1);
    assert_eq!(
        report.tests.iter().map(|test| test.name.as_str()).collect::<Vec<_>>(),
        ["total_is_right"]
    );
    let unknown = house.build_with(only("totalz")).await.unwrap_err().to_string();
    assert!(unknown.contains("did you mean `totals`?"), "{unknown}");
}

#[tokio::test]
async fn selectors_choose_as_dbts_do() {
    let house = House::with(&shop()).await;
    let project = house.load().unwrap();
    let names = |select: &[&str], exclude: &[&str]| -> String {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let chosen = project.select(&owned(select), &owned(exclude)).unwrap();
        project
            .nodes()
            .filter(|node| chosen.contains(&node.id()))
            .map(Node::name)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&[], &[]), "orders stg_orders big_orders dim_customer totals");
    assert_eq!(names(&["stg_orders"], &[]), "stg_orders");
    assert_eq!(names(&["+stg_orders"], &[]), "orders stg_orders");
    assert_eq!(names(&["1+dim_customer+"], &[]), "big_orders dim_customer totals");
    assert_eq!(names(&["tag:daily", "path:staging"], &[]), "stg_orders totals");
    assert_eq!(names(&["warehouse.*"], &["big_*"]), "dim_customer");
    assert_eq!(
        names(&["acme.marts", "orders stg_orders"], &[]),
        "orders stg_orders totals"
    );
    assert_eq!(
        names(&["stg_orders+,config.materialized:table"], &[]),
        "dim_customer totals"
    );
    assert_eq!(names(&["warehouse/dim_customer.sql"], &[]), "dim_customer");
}
