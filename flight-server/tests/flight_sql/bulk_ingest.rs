//! Bulk ingestion: who may write what, and that it is one release or nothing.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::sql::TableDefinitionOptions;
use arrow_flight::sql::{CommandStatementIngest, ProstMessageExt};
use arrow_flight::sql::{TableExistsOption, TableNotExistOption};
use arrow_flight::{FlightData, FlightDescriptor};
use cordada_lake::{Draft, Mode, Relation, Write};
use cordada_query::{Role, User};
use cordada_query_contract::{PASSWORD, Shop};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::memory::MemoryStream;
use futures::{TryStreamExt, stream};
use prost::Message;
use tonic::Code;

use crate::fixture::{Client, Fixture, ShopServer, answer, query, status};

const CREATE: (TableNotExistOption, TableExistsOption) = (TableNotExistOption::Create, TableExistsOption::Fail);
const APPEND: (TableNotExistOption, TableExistsOption) = (TableNotExistOption::Fail, TableExistsOption::Append);
const REPLACE: (TableNotExistOption, TableExistsOption) = (TableNotExistOption::Create, TableExistsOption::Replace);
const CREATE_APPEND: (TableNotExistOption, TableExistsOption) =
    (TableNotExistOption::Create, TableExistsOption::Append);

fn leads(ids: &[i64]) -> RecordBatch {
    let names: StringArray = ids.iter().map(|id| Some(format!("lead {id}"))).collect();
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("name", Arc::new(names)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn command(table: &str, options: (TableNotExistOption, TableExistsOption)) -> CommandStatementIngest {
    let (schema, table) = table.split_once('.').unwrap();
    CommandStatementIngest {
        table_definition_options: Some(TableDefinitionOptions {
            if_not_exist: options.0 as i32,
            if_exists: options.1 as i32,
        }),
        table: table.to_owned(),
        schema: Some(schema.to_owned()),
        catalog: None,
        temporary: false,
        transaction_id: None,
        options: HashMap::new(),
    }
}

async fn ingest(
    client: &mut Client,
    table: &str,
    options: (TableNotExistOption, TableExistsOption),
    batches: Vec<RecordBatch>,
) -> Result<i64, tonic::Status> {
    let rows = stream::iter(batches.into_iter().map(Ok));
    client
        .execute_ingest(command(table, options), rows)
        .await
        .map_err(status)
}

async fn newest(shop: &Shop) -> u64 {
    shop.lake.releases().newest().await.unwrap().number
}

#[tokio::test]
async fn rows_become_a_table_and_are_added_to_it_and_replaced() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let before = newest(&fixture.shop).await;
    let missing = ingest(&mut client, "crm.leads", APPEND, vec![leads(&[1])])
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing}");

    let written = ingest(&mut client, "crm.leads", CREATE, vec![leads(&[1, 2]), leads(&[3])]).await;
    assert_eq!(written.unwrap(), 3);
    assert_eq!(newest(&fixture.shop).await, before + 1);
    let all = "select id, name from crm.leads";
    assert_eq!(answer(&mut client, all).await, ["1|lead 1", "2|lead 2", "3|lead 3"]);

    let exists = ingest(&mut client, "crm.leads", CREATE, vec![leads(&[9])])
        .await
        .unwrap_err();
    assert_eq!(exists.code(), Code::AlreadyExists, "{exists}");
    // Columns are matched by their names; those that the rows lack are null.
    let ids = leads(&[4]).project(&[0]).unwrap();
    assert_eq!(ingest(&mut client, "crm.leads", APPEND, vec![ids]).await.unwrap(), 1);
    let turned = leads(&[5]).project(&[1, 0]).unwrap();
    assert_eq!(
        ingest(&mut client, "crm.leads", CREATE_APPEND, vec![turned])
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        answer(&mut client, "select id, name from crm.leads where id > 3").await,
        ["4|-", "5|lead 5"]
    );

    let other = RecordBatch::try_from_iter([("id", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]).unwrap();
    let unfit = ingest(&mut client, "crm.leads", APPEND, vec![other.clone()])
        .await
        .unwrap_err();
    assert_eq!(unfit.code(), Code::AlreadyExists, "{unfit}");
    let more = RecordBatch::try_from_iter([("more", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    let unfit = ingest(&mut client, "crm.leads", CREATE_APPEND, vec![more])
        .await
        .unwrap_err();
    assert_eq!(unfit.code(), Code::AlreadyExists, "{unfit}");
    assert!(unfit.message().contains("no column `more`"), "{unfit}");
    assert_eq!(answer(&mut client, "select count(*) from crm.leads").await, ["5"]);
    assert_eq!(ingest(&mut client, "crm.leads", REPLACE, vec![other]).await.unwrap(), 1);
    assert_eq!(answer(&mut client, "select * from crm.leads").await, ["x"]);
    assert_eq!(
        ingest(&mut client, "crm.leads", REPLACE, vec![leads(&[])])
            .await
            .unwrap(),
        0
    );
    assert_eq!(answer(&mut client, "select count(name) from crm.leads").await, ["0"]);
    // What was read before is still there.
    let as_of = format!("select count(*) from crm.leads version as of {}", before + 1);
    assert_eq!(answer(&mut client, &as_of).await, ["3"]);
}

#[tokio::test]
async fn rows_that_break_off_leave_nothing() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    ingest(&mut client, "crm.leads", CREATE, vec![leads(&[1])])
        .await
        .unwrap();
    let before = newest(&fixture.shop).await;
    for options in [APPEND, REPLACE] {
        let descriptor = FlightDescriptor::new_cmd(command("crm.leads", options).as_any().encode_to_vec());
        let messages = FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .build(stream::iter([Ok(leads(&[2]))]));
        let mut messages: Vec<_> = messages.try_collect().await.unwrap();
        messages.push(FlightData::new().with_data_header(vec![1, 2, 3]));
        let refused = client.do_put(stream::iter(messages)).await.map_err(status);
        let refused = match refused {
            Ok(mut results) => results.message().await.map(|_| ()),
            Err(status) => Err(status),
        };
        assert!(refused.is_err(), "{options:?}");
        assert_eq!(newest(&fixture.shop).await, before);
        assert_eq!(answer(&mut client, "select id from crm.leads").await, ["1"]);
    }
    // What was committed and never published, as of a process that was killed in between, is undone by the next write.
    fixture.shop.write("crm.leads", leads(&[100])).await;
    assert_eq!(
        ingest(&mut client, "crm.leads", APPEND, vec![leads(&[2])])
            .await
            .unwrap(),
        1
    );
    assert_eq!(answer(&mut client, "select id from crm.leads").await, ["1", "2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_lose_no_row() {
    const CLIENTS: i64 = 8;
    let fixture = Fixture::open().await;
    let mut writes = Vec::new();
    for nth in 0..CLIENTS {
        let mut client = fixture.stranger().await;
        writes.push(tokio::spawn(async move {
            let mine = format!("crm.of_{}", nth % 2);
            ingest(&mut client, "crm.leads", CREATE_APPEND, vec![leads(&[nth])])
                .await
                .unwrap();
            ingest(&mut client, &mine, CREATE_APPEND, vec![leads(&[nth])])
                .await
                .unwrap();
        }));
    }
    for write in writes {
        write.await.unwrap();
    }
    let mut client = fixture.stranger().await;
    let counts = "select (select count(distinct id) from crm.leads), (select count(*) from crm.leads), \
                  (select count(*) from crm.of_0), (select count(*) from crm.of_1)";
    assert_eq!(answer(&mut client, counts).await, ["8|8|4|4"]);
}

#[tokio::test]
async fn a_role_writes_what_it_may_and_no_more() {
    let shop = Shop::fill().await;
    let mut roles = shop.roles();
    roles.insert(
        "loader".to_owned(),
        Role {
            read: vec!["crm".to_owned()],
            write: vec!["crm".to_owned(), "marts.budget".to_owned()],
            ..Role::default()
        },
    );
    let mut users = shop.users();
    users.push(User {
        name: "lola".to_owned(),
        roles: vec!["loader".to_owned()],
        ..users[0].clone()
    });
    let server = ShopServer::start(&shop, users, roles).await;
    let mut lola = server.stranger().await;
    lola.handshake("lola", PASSWORD).await.unwrap();
    ingest(&mut lola, "crm.leads", CREATE, vec![leads(&[1])]).await.unwrap();
    ingest(&mut lola, "marts.budget", CREATE, vec![leads(&[1])])
        .await
        .unwrap();
    assert_eq!(answer(&mut lola, "select id from crm.leads").await, ["1"]);
    let may = "select has_table_privilege('crm.leads', 'insert'), has_schema_privilege('crm', 'create'), \
               has_table_privilege('marts.budget', 'insert'), has_table_privilege('marts.budget', 'select'), \
               has_schema_privilege('marts', 'create'), has_table_privilege('ops.runs', 'insert')";
    assert_eq!(answer(&mut lola, may).await, ["true|true|true|false|false|false"]);
    // Written is not read.
    assert!(query(&mut lola, "select * from marts.budget").await.is_err());
    let before = newest(&shop).await;
    for table in [
        "marts.leads",
        "warehouse.fct_sale",
        "ops.runs",
        "raw_shop.orders",
        "pg_catalog.x",
    ] {
        let refused = ingest(&mut lola, table, REPLACE, vec![leads(&[1])]).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{table}: {refused}");
    }
    for reader in ["ana", "root"] {
        let mut client = server.stranger().await;
        client.handshake(reader, PASSWORD).await.unwrap();
        let refused = ingest(&mut client, "crm.leads", APPEND, vec![leads(&[2])])
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{reader}: {refused}");
    }
    let mut nobody = server.stranger().await;
    let refused = ingest(&mut nobody, "crm.leads", APPEND, vec![leads(&[2])])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    assert_eq!(newest(&shop).await, before);
}

#[tokio::test]
async fn what_others_make_is_not_written() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let lake = &fixture.shop.lake;
    let rows = || -> Vec<SendableRecordBatchStream> {
        let rows = MemoryStream::try_new(vec![leads(&[1])], leads(&[1]).schema(), None);
        vec![Box::pin(rows.unwrap())]
    };
    // As a load leaves a table.
    let landed = "raw_crm.leads".parse().unwrap();
    let mut write = Write::new(Mode::Append, leads(&[1]).schema());
    write.state = Some("{}".to_owned());
    let landed_at = lake.write(&landed, write, rows()).await.unwrap().version;
    // As a build leaves one.
    let built = "marts.leads".parse().unwrap();
    let write = Write::new(Mode::Append, leads(&[1]).schema());
    let built_at = lake.write(&built, write, rows()).await.unwrap().version;
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "run");
    draft.set(landed.clone(), Relation::table(lake.path_of(&landed), landed_at));
    let mut model = Relation::table(lake.path_of(&built), built_at);
    model.fingerprint = Some("f".to_owned());
    draft.set(built, model);
    lake.releases().publish(&draft).await.unwrap();

    for (table, says) in [
        ("raw_crm.leads", "`cordada ingest` loads it"),
        ("marts.leads", "the SQL project builds it"),
        ("marts.nothing", "it is a view"),
        ("warehouse.fct_sale", "no client made it"),
    ] {
        for options in [APPEND, REPLACE] {
            let refused = ingest(&mut client, table, options, vec![leads(&[2])])
                .await
                .unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{table}: {refused}");
            assert!(refused.message().contains(says), "{table}: {refused}");
        }
    }
}

#[tokio::test]
async fn what_clients_make_is_nobody_elses() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    ingest(&mut client, "crm.leads", CREATE, vec![leads(&[1])])
        .await
        .unwrap();
    let releases = fixture.shop.lake.releases();
    let mut draft = Draft::new(releases.newest().await.unwrap(), "build", "run");
    let rows = fixture.shop.write("crm.leads", leads(&[7])).await;
    draft.set("crm.leads".parse().unwrap(), rows);
    let refused = releases.publish(&draft).await.unwrap_err().to_string();
    assert!(refused.contains("clients write the table of that name"), "{refused}");
    // To the clients it is as it was.
    for options in [APPEND, CREATE_APPEND, REPLACE] {
        ingest(&mut client, "crm.leads", options, vec![leads(&[2])])
            .await
            .unwrap();
    }
    assert_eq!(answer(&mut client, "select id from crm.leads").await, ["2"]);
}

#[tokio::test]
async fn names_that_a_table_cannot_have_are_refused() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let twice = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("A", DataType::Int64, true),
    ]);
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let twice = RecordBatch::try_new(Arc::new(twice), vec![column.clone(), column]).unwrap();
    let refused = ingest(&mut client, "crm.twice", CREATE, vec![twice]).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let refused = ingest(&mut client, "crm._x", CREATE, vec![leads(&[1])])
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    let broken = stream::iter([Err(FlightError::protocol("the client gives up"))]);
    let gone = client.execute_ingest(command("crm.gone", CREATE), broken).await;
    assert!(gone.is_err());
    assert!(query(&mut client, "select * from crm.gone").await.is_err());
}
