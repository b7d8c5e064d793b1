//! What this protocol lists and hands out follows the roles too; that what may not be read cannot be named is in
//! the contract.

use arrow_flight::sql::{CommandGetDbSchemas, CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetTables};
use cordada_query_contract::lines;
use tonic::Code;

use crate::fixture::{Fixture, fetch};

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
