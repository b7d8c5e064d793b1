//! What a statement may do, and how it ends.

use std::time::Duration;

use futures::TryStreamExt;
use tokio::time::timeout;

use crate::{Door, Kind, Shop, answer, connect, refusal};

/// How long a machine that has other work may take to stop a query.
const PATIENCE: Duration = Duration::from_secs(60);

/// A query that would run for years ends when its user cancels it, and the connection goes on.
pub async fn a_cancelled_query_stops(_: &Shop, door: &impl Door) {
    let mut client = connect(door, "root").await;
    let endless = "select count(*) from generate_series(1, 100000000) a cross join generate_series(1, 100000000) b";
    let mut rows = client.begin(endless).await.unwrap();
    client.cancel().await.unwrap();
    let ended = timeout(PATIENCE, rows.try_next()).await.expect("it goes on");
    assert_eq!(ended.unwrap_err().kind, Kind::Cancelled);
    assert_eq!(answer(&mut *client, "select 1").await, ["1"]);
}

/// Nothing that writes, or reads and writes files beside the lake, is taken; not even from who reads everything.
pub async fn nothing_can_be_written(shop: &Shop, door: &impl Door) {
    let mut client = connect(door, "root").await;
    let before = shop.lake.releases().newest().await.unwrap().number;
    for (sql, says) in [
        (
            "insert into warehouse.fct_sale select * from warehouse.fct_sale",
            "only read",
        ),
        ("create table marts.x as select 1", "only read"),
        ("create view marts.x as select 1", "only read"),
        ("create schema x", "only read"),
        ("drop table warehouse.dim_customer", "only read"),
        ("drop view marts.nothing", "only read"),
        ("copy warehouse.dim_customer to '/tmp/x.csv'", "only read"),
        ("set datafusion.execution.batch_size = 1", "only read"),
        ("delete from warehouse.dim_customer", ""),
        ("update warehouse.dim_customer set name = 'x'", ""),
        ("truncate table warehouse.dim_customer", ""),
        (
            "create external table t stored as csv location '/etc/passwd'",
            "only read",
        ),
        ("select * from '/etc/passwd'", ""),
        (
            "explain analyze insert into warehouse.fct_sale select * from warehouse.fct_sale",
            "",
        ),
    ] {
        let message = refusal(&mut *client, sql, Kind::Mistake).await;
        assert!(message.contains(says), "{sql}: {message}");
    }
    assert_eq!(shop.lake.releases().newest().await.unwrap().number, before);
    let counts =
        "select count(*) as sales, (select count(*) from warehouse.dim_customer) as customers from warehouse.fct_sale";
    assert_eq!(answer(&mut *client, counts).await, ["5|3"]);
}

/// What drivers and pools say about the session is answered where it makes no difference, and refused where it does.
pub async fn sessions_are_spoken_of_as_drivers_do(_: &Shop, door: &impl Door) {
    let mut client = connect(door, "root").await;
    for sql in [
        "begin",
        "commit",
        "rollback",
        "set application_name = 'pool'",
        "set search_path to marts, public",
        "set time zone 'UTC'",
        "use marts",
        "reset all",
        "discard all",
    ] {
        assert!(answer(&mut *client, sql).await.is_empty(), "{sql}");
    }
    refusal(&mut *client, "set time zone 'Europe/Madrid'", Kind::Mistake).await;
    refusal(&mut *client, "use no_such_schema", Kind::Mistake).await;
    for (sql, expected) in [
        ("show databases", "lake"),
        ("show search_path", "marts"),
        ("select current_schema() || ' ' || current_database()", "marts lake"),
        (
            "show columns from warehouse.dim_customer like 'bal%'",
            "lake|warehouse|dim_customer|balance|DECIMAL(12,2)|YES",
        ),
        (
            "select data_type from information_schema.columns where column_name = 'since' and table_schema = 'warehouse'",
            "DATE",
        ),
    ] {
        assert_eq!(answer(&mut *client, sql).await, [expected], "{sql}");
    }
}
