//! Metadata commands, against the schemas that the specification writes down.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::sql::{
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetTables, CommandGetXdbcTypeInfo, SqlInfo, XdbcDataType,
};
use arrow_flight::{Criteria, FlightDescriptor, FlightInfo, IpcMessage};
use cordada_query_contract::lines;
use futures::TryStreamExt;
use tonic::{Code, Request};

use crate::fixture::{Client, Fixture, fetch};

/// The answer, after checking that it has the schema of the specification: `name type`, with `?` where it may be null.
async fn answer(client: &mut Client, info: FlightInfo, specified: &[&str]) -> Vec<RecordBatch> {
    let (told, batches) = fetch(client, &info).await.unwrap();
    let fields: Vec<_> = told
        .fields()
        .iter()
        .map(|field| {
            format!(
                "{} {}{}",
                field.name(),
                field.data_type(),
                if field.is_nullable() { "?" } else { "" }
            )
        })
        .collect();
    assert_eq!(fields, specified);
    assert!(told.fields().iter().all(|field| field.metadata().is_empty()));
    batches
}

const TABLES: [&str; 4] = [
    "catalog_name Utf8?",
    "db_schema_name Utf8?",
    "table_name Utf8",
    "table_type Utf8",
];
const REFERENCES: [&str; 13] = [
    "pk_catalog_name Utf8?",
    "pk_db_schema_name Utf8?",
    "pk_table_name Utf8",
    "pk_column_name Utf8",
    "fk_catalog_name Utf8?",
    "fk_db_schema_name Utf8?",
    "fk_table_name Utf8",
    "fk_column_name Utf8",
    "key_sequence Int32",
    "fk_key_name Utf8?",
    "pk_key_name Utf8?",
    "update_rule UInt8",
    "delete_rule UInt8",
];

#[tokio::test]
async fn catalogs_schemas_and_sorts_of_tables() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(
        lines(&answer(&mut client, info, &["catalog_name Utf8"]).await),
        ["lake"]
    );
    let info = client.get_table_types().await.unwrap();
    assert_eq!(
        lines(&answer(&mut client, info, &["table_type Utf8"]).await),
        ["TABLE", "VIEW"]
    );
    for (catalog, pattern, schemas) in [
        (
            None,
            None,
            vec!["lake|marts", "lake|ops", "lake|raw_shop", "lake|warehouse"],
        ),
        (
            Some("lake"),
            Some("%a%s%"),
            vec!["lake|marts", "lake|raw_shop", "lake|warehouse"],
        ),
        (None, Some("raw\\_shop"), vec!["lake|raw_shop"]),
        (Some("other"), None, vec![]),
        (Some(""), None, vec![]),
    ] {
        let command = CommandGetDbSchemas {
            catalog: catalog.map(str::to_owned),
            db_schema_filter_pattern: pattern.map(str::to_owned),
        };
        let info = client.get_db_schemas(command).await.unwrap();
        let rows = answer(&mut client, info, &["catalog_name Utf8?", "db_schema_name Utf8"]).await;
        assert_eq!(lines(&rows), schemas, "{catalog:?} {pattern:?}");
    }
}

#[tokio::test]
async fn tables_by_pattern_and_type() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let command = |schema: &str, table: &str, types: &[&str]| CommandGetTables {
        db_schema_filter_pattern: Some(schema.to_owned()),
        table_name_filter_pattern: Some(table.to_owned()),
        table_types: types.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    };
    for (command, tables) in [
        (
            command("warehouse", "%", &[]),
            vec!["lake|warehouse|dim_customer|TABLE", "lake|warehouse|fct_sale|TABLE"],
        ),
        (
            command("%", "%", &["VIEW"]),
            vec!["lake|marts|nothing|VIEW", "lake|marts|sales_by_country|VIEW"],
        ),
        (
            command("%", "fct\\_%", &["TABLE", "VIEW"]),
            vec!["lake|warehouse|fct_sale|TABLE"],
        ),
        (command("marts", "%", &["TABLE"]), vec![]),
        (command("ops", "runs", &[]), vec!["lake|ops|runs|TABLE"]),
    ] {
        let info = client.get_tables(command).await.unwrap();
        assert_eq!(lines(&answer(&mut client, info, &TABLES).await), tables);
    }
}

#[tokio::test]
async fn columns_with_their_types_and_remarks() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let command = CommandGetTables {
        table_name_filter_pattern: Some("dim_customer".to_owned()),
        include_schema: true,
        ..Default::default()
    };
    let info = client.get_tables(command).await.unwrap();
    let specified = [&TABLES[..], &["table_schema Binary"]].concat();
    let rows = answer(&mut client, info, &specified).await;
    let bytes = rows[0].column(4).as_binary::<i32>().value(0).to_vec();
    let columns = Schema::try_from(IpcMessage(bytes.into())).unwrap();
    let types: Vec<_> = columns.fields().iter().map(|field| field.data_type().clone()).collect();
    let expected = [
        DataType::Int64,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Date32,
        DataType::Decimal128(12, 2),
    ];
    assert_eq!(types, expected);
    let says = |field: &Field, key: &str| field.metadata().get(&format!("ARROW:FLIGHT:SQL:{key}")).cloned();
    let name = columns.field_with_name("name").unwrap();
    assert_eq!(says(name, "TYPE_NAME").as_deref(), Some("VARCHAR"));
    assert_eq!(says(name, "REMARKS").as_deref(), Some("As the customer writes it"));
    assert_eq!(says(name, "TABLE_NAME").as_deref(), Some("dim_customer"));
    let balance = columns.field_with_name("balance").unwrap();
    assert_eq!(
        (says(balance, "PRECISION"), says(balance, "SCALE")),
        (Some("12".to_owned()), Some("2".to_owned()))
    );

    // All of them at once: every relation can be described.
    let info = client
        .get_tables(CommandGetTables {
            include_schema: true,
            ..Default::default()
        })
        .await
        .unwrap();
    let rows = answer(&mut client, info, &specified).await;
    let schemas = rows[0].column(4).as_binary::<i32>();
    for at in 0..schemas.len() {
        let columns = Schema::try_from(IpcMessage(schemas.value(at).to_vec().into())).unwrap();
        assert!(!columns.fields().is_empty());
    }
}

#[tokio::test]
async fn keys_from_both_sides() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let command = CommandGetPrimaryKeys {
        table: "dim_customer".to_owned(),
        ..Default::default()
    };
    let info = client.get_primary_keys(command).await.unwrap();
    let specified = [
        "catalog_name Utf8?",
        "db_schema_name Utf8?",
        "table_name Utf8",
        "column_name Utf8",
        "key_name Utf8?",
        "key_sequence Int32",
    ];
    let rows = answer(&mut client, info, &specified).await;
    assert_eq!(
        lines(&rows),
        ["lake|warehouse|dim_customer|customer_id|dim_customer_pkey|1"]
    );

    let reference = "lake|warehouse|dim_customer|customer_id|lake|warehouse|fct_sale|customer_id|1|\
                     fct_sale_customer_id_fkey|dim_customer_pkey|3|3";
    let named = |table: &str| (Some("warehouse".to_owned()), table.to_owned());
    let (db_schema, table) = named("dim_customer");
    let info = client
        .get_exported_keys(CommandGetExportedKeys {
            catalog: None,
            db_schema,
            table,
        })
        .await
        .unwrap();
    assert_eq!(lines(&answer(&mut client, info, &REFERENCES).await), [reference]);
    let (db_schema, table) = named("fct_sale");
    let info = client
        .get_imported_keys(CommandGetImportedKeys {
            catalog: None,
            db_schema,
            table,
        })
        .await
        .unwrap();
    assert_eq!(lines(&answer(&mut client, info, &REFERENCES).await), [reference]);
    for (pk_table, expected) in [("dim_customer", vec![reference]), ("fct_sale", vec![])] {
        let command = CommandGetCrossReference {
            pk_catalog: Some("lake".to_owned()),
            pk_table: pk_table.to_owned(),
            fk_table: "fct_sale".to_owned(),
            ..Default::default()
        };
        let info = client.get_cross_reference(command).await.unwrap();
        assert_eq!(lines(&answer(&mut client, info, &REFERENCES).await), expected);
    }
    let info = client
        .get_primary_keys(CommandGetPrimaryKeys {
            table: "sales_by_country".to_owned(),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(
        lines(&answer(&mut client, info, &specified).await),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn what_the_server_can_do_and_the_types_that_it_has() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerName]).await.unwrap();
    let (_, rows) = fetch(&mut client, &info).await.unwrap();
    assert_eq!(lines(&rows), ["0|{string_value=Cordada}"]);
    let info = client.get_sql_info(Vec::new()).await.unwrap();
    let (_, rows) = fetch(&mut client, &info).await.unwrap();
    assert!(rows[0].num_rows() > 80);

    for (data_type, names) in [
        (Some(XdbcDataType::XdbcVarchar as i32), vec!["VARCHAR"]),
        (
            Some(XdbcDataType::XdbcTimestamp as i32),
            vec!["TIMESTAMP", "TIMESTAMP WITH TIME ZONE"],
        ),
        (Some(0), vec![]),
    ] {
        let info = client
            .get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type })
            .await
            .unwrap();
        let (told, rows) = fetch(&mut client, &info).await.unwrap();
        assert_eq!(told.fields().len(), 19);
        let named: Vec<_> = rows.iter().map(|batch| batch.project(&[0]).unwrap()).collect();
        assert_eq!(lines(&named), names);
    }
}

/// The flights that a client that logged in is told of.
async fn flights(client: &mut Client, criteria: Criteria) -> Vec<FlightInfo> {
    let bearer = format!("Bearer {}", client.token().unwrap());
    let mut request = Request::new(criteria);
    request.metadata_mut().insert("authorization", bearer.parse().unwrap());
    let flights = client.inner_mut().list_flights(request).await.unwrap();
    flights.into_inner().try_collect().await.unwrap()
}

#[tokio::test]
async fn flights_are_listed_with_their_columns_and_are_fetched_by_their_tickets() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.client("root").await;
    let mut listed = Vec::new();
    for criteria in ["", "warehouse.%"] {
        let criteria = Criteria {
            expression: criteria.as_bytes().to_vec().into(),
        };
        listed.push(flights(&mut client, criteria).await);
    }
    let names = |flights: &[FlightInfo]| -> Vec<String> {
        let paths = flights
            .iter()
            .map(|flight| flight.flight_descriptor.as_ref().unwrap().path.join("."));
        paths.collect()
    };
    assert_eq!(names(&listed[1]), ["warehouse.dim_customer", "warehouse.fct_sale"]);
    assert!(
        names(&listed[0]).contains(&"marts.sales_by_country".to_owned()),
        "{:?}",
        names(&listed[0])
    );
    for flight in &listed[0] {
        // `fetch` compares the schemas.
        let (_, batches) = fetch(&mut client, flight).await.unwrap();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        // Journals grow meanwhile.
        let is_journal = flight.flight_descriptor.as_ref().unwrap().path[0] == "ops";
        let known = flight.total_records;
        let is_right = known == -1 || usize::try_from(known).unwrap() == rows;
        assert!(is_right || is_journal, "{flight:?}");
    }
    assert_eq!(listed[1][1].total_records, 5);

    let mut ana = fixture.client("ana").await;
    let visible = flights(&mut ana, Criteria::default()).await;
    assert_eq!(names(&visible), ["marts.nothing", "marts.sales_by_country"]);
}

#[tokio::test]
async fn a_path_is_a_relation() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    for path in [
        vec!["lake", "warehouse", "dim_customer"],
        vec!["warehouse", "dim_customer"],
    ] {
        let descriptor = FlightDescriptor::new_path(path.into_iter().map(str::to_owned).collect());
        let info = client
            .inner_mut()
            .get_flight_info(descriptor.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(lines(&fetch(&mut client, &info).await.unwrap().1).len(), 3);
        let polled = client
            .inner_mut()
            .poll_flight_info(descriptor)
            .await
            .unwrap()
            .into_inner();
        assert!(polled.flight_descriptor.is_none() && polled.info.is_some());
    }
    let nowhere = FlightDescriptor::new_path(vec!["warehouse".to_owned(), "nowhere".to_owned()]);
    let refused = client.inner_mut().get_flight_info(nowhere).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
}
