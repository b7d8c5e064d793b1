//! Nobody reads, or learns the existence of, what their roles do not read.

use arrow_flight::sql::{CommandGetDbSchemas, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTables};
use tonic::Code;

use crate::fixture::{Client, Fixture, answer, fetch, lines, query};

async fn refusal(client: &mut Client, sql: &str) -> String {
    let status = query(client, sql).await.map(|_| ()).unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
    status.message().to_owned()
}

#[tokio::test]
async fn a_view_is_read_without_what_it_reads() {
    let fixture = Fixture::with_users().await;
    let mut ana = fixture.client("ana").await;
    assert_eq!(
        answer(&mut ana, "select country, sales from marts.sales_by_country").await,
        ["ES|3", "FR|1"]
    );
    for hidden in [
        "warehouse.dim_customer",
        "warehouse.fct_sale",
        "raw_shop.orders",
        "ops.runs",
    ] {
        for sql in [
            format!("select * from {hidden}"),
            format!("select * from lake.{hidden}"),
            format!("select * from {hidden} version as of 1"),
            format!("select * from marts.nothing version as of 1, release_1.{hidden}"),
            format!("select * from marts.sales_by_country where exists (select 1 from {hidden})"),
            format!("with x as (select * from {hidden}) select 1 from x"),
            format!("show columns from {hidden}"),
        ] {
            refusal(&mut ana, &sql).await;
        }
    }
    let explain = "explain select * from marts.sales_by_country";
    assert_eq!(
        query(&mut ana, explain).await.map(|_| ()).unwrap_err().code(),
        Code::PermissionDenied
    );
    let definitions = "select definition from information_schema.views where table_name = 'nothing'";
    assert_eq!(answer(&mut ana, definitions).await, ["-"]);
    let mut bea = fixture.client("bea").await;
    assert_eq!(
        answer(&mut bea, "select count(*) from warehouse.dim_customer").await,
        ["3"]
    );
    refusal(&mut bea, "select * from warehouse.fct_sale").await;
    let mut nobody = fixture.client("nobody").await;
    refusal(&mut nobody, "select * from marts.sales_by_country").await;
    assert_eq!(answer(&mut nobody, "select 1").await, ["1"]);
    let mut root = fixture.client("root").await;
    assert_eq!(
        answer(&mut root, "select secret from raw_shop.orders").await,
        ["s3cr3t"]
    );
    query(&mut root, explain).await.unwrap();
}

#[tokio::test]
async fn what_is_hidden_is_the_same_as_what_does_not_exist() {
    let fixture = Fixture::with_users().await;
    let mut bea = fixture.client("bea").await;
    for (hidden, missing) in [
        ("select * from warehouse.fct_sale", "select * from warehouse.xxx_xxxx"),
        ("select * from raw_shop.orders", "select * from raw_xxxx.orders"),
        (
            "select * from raw_shop.orders version as of 1",
            "select * from raw_xxxx.orders version as of 1",
        ),
    ] {
        let hidden = refusal(&mut bea, hidden)
            .await
            .replace("fct_sale", "xxx_xxxx")
            .replace("raw_shop", "raw_xxxx");
        assert_eq!(hidden, refusal(&mut bea, missing).await);
    }
}

#[tokio::test]
async fn metadata_shows_what_may_be_read() {
    let fixture = Fixture::with_users().await;
    for (user, relations) in [
        ("nobody", vec![]),
        ("ana", vec!["marts|nothing", "marts|sales_by_country"]),
        (
            "bea",
            vec!["marts|nothing", "marts|sales_by_country", "warehouse|dim_customer"],
        ),
    ] {
        let mut client = fixture.client(user).await;
        let sql =
            "select table_schema, table_name from information_schema.tables where table_schema <> 'information_schema'";
        assert_eq!(answer(&mut client, sql).await, relations, "{user}");
        // Reading a release by number does not make its catalog visible.
        let _ = query(&mut client, "select * from marts.nothing version as of 1").await;
        assert_eq!(answer(&mut client, sql).await, relations, "{user}");
        let info = client
            .get_tables(CommandGetTables {
                include_schema: true,
                ..Default::default()
            })
            .await
            .unwrap();
        let (_, tables) = fetch(&mut client, &info).await.unwrap();
        let named: Vec<_> = tables.iter().map(|batch| batch.project(&[1, 2]).unwrap()).collect();
        assert_eq!(lines(&named), relations, "{user}");
        let schemas = client.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
        let mut expected: Vec<_> = relations
            .iter()
            .map(|name| format!("lake|{}", name.split('|').next().unwrap()))
            .collect();
        expected.dedup();
        assert_eq!(
            lines(&fetch(&mut client, &schemas).await.unwrap().1),
            expected,
            "{user}"
        );
        let key = CommandGetPrimaryKeys {
            table: "fct_sale".to_owned(),
            ..Default::default()
        };
        let keys = client.get_primary_keys(key).await.unwrap();
        assert_eq!(
            lines(&fetch(&mut client, &keys).await.unwrap().1),
            Vec::<String>::new(),
            "{user}"
        );
        let references = CommandGetImportedKeys {
            table: "fct_sale".to_owned(),
            ..Default::default()
        };
        let references = client.get_imported_keys(references).await.unwrap();
        assert_eq!(
            lines(&fetch(&mut client, &references).await.unwrap().1),
            Vec::<String>::new(),
            "{user}"
        );
    }
}

#[tokio::test]
async fn a_ticket_gives_nobody_more_than_their_own_roles() {
    let fixture = Fixture::with_users().await;
    let mut root = fixture.client("root").await;
    let info = root
        .execute("select secret from raw_shop.orders".to_owned(), None)
        .await
        .unwrap();
    let mut ana = fixture.client("ana").await;
    assert_eq!(
        fetch(&mut ana, &info).await.map(|_| ()).unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(lines(&fetch(&mut root, &info).await.unwrap().1), ["s3cr3t"]);
}
