//! Statements: rows, schemas, errors, cancellation.

use arrow::datatypes::DataType;
use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt};
use arrow_flight::{Action, CancelFlightInfoRequest, FlightDescriptor, IpcMessage};
use cordada_query_contract::lines;
use futures::TryStreamExt;
use prost::Message;
use tonic::Code;

use crate::fixture::{Fixture, answer, query, status};

/// Queries whose plan and rows are known to differ in other servers, and some that are just usual.
const QUERIES: &[&str] = &[
    "select * from warehouse.dim_customer",
    "select * from warehouse.fct_sale where amount > 15 order by sold_at desc limit 2",
    "select min(customer_id), max(customer_id), count(*), count(name) from warehouse.dim_customer",
    "select min(name), max(name), min(since), max(balance) from warehouse.dim_customer",
    "select min(amount), max(sold_at) from warehouse.fct_sale where false",
    "select 1, 'text', null, true, 1.5, date '2024-02-29', interval '1 day', x'00ff', timestamp '2024-02-29 10:00:00'",
    "select arrow_cast('x', 'Dictionary(Int32, Utf8)') as dictionary, arrow_cast('x', 'Utf8View') as view",
    "select array_agg(name) as names, array_agg(customer_id) from warehouse.dim_customer group by country",
    "select named_struct('a', name, 'b', [country]) as pair from warehouse.dim_customer",
    "select * from marts.nothing",
    "select * from marts.sales_by_country",
    "select sum(amount) over (partition by customer_id order by sold_at) from warehouse.fct_sale",
    "select c.name, s.amount from warehouse.dim_customer c full outer join warehouse.fct_sale s using (customer_id)",
    "select a.customer_id, b.customer_id from warehouse.dim_customer a cross join warehouse.dim_customer b",
    "select country, count(*) from warehouse.dim_customer group by rollup(country)",
    "select name from warehouse.dim_customer union all select country from warehouse.dim_customer",
    "select case when balance > 0 then name end, coalesce(name, 'x'), nullif(country, 'ES') from warehouse.dim_customer",
    "select * from (select * from warehouse.fct_sale) as \"_\" where 0 = 1",
    "select substr(name, 1, 2), length(name), upper(name) from warehouse.dim_customer",
    "with big as (select * from warehouse.fct_sale where amount > 20) select avg(amount), stddev(amount) from big",
    "select count(*) from warehouse.fct_sale where customer_id in (select customer_id from warehouse.dim_customer)",
    "select date_trunc('month', sold_at), extract(year from sold_at) from warehouse.fct_sale group by 1, 2",
    "values (1, 'a'), (2, null)",
    "explain select * from warehouse.fct_sale",
    "show tables",
    "show columns from warehouse.dim_customer",
    "show databases",
    "select table_schema, table_name, column_name, data_type, is_nullable from information_schema.columns",
    "select * from ops.runs",
];

#[tokio::test]
async fn rows_have_exactly_the_schema_that_was_told() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    for sql in QUERIES {
        // `query` compares the schemas; twice, because the second time the plan is a kept one.
        for _ in 0..2 {
            let (told, _) = query(&mut client, sql)
                .await
                .unwrap_or_else(|status| panic!("{sql}: {status}"));
            let descriptor = CommandStatementQuery {
                query: (*sql).to_owned(),
                transaction_id: None,
            };
            let descriptor = FlightDescriptor::new_cmd(descriptor.as_any().encode_to_vec());
            let schema = client.inner_mut().get_schema(descriptor).await.unwrap().into_inner();
            let schema = arrow::datatypes::Schema::try_from(IpcMessage(schema.schema)).unwrap();
            assert_eq!(schema, *told, "{sql}: GetSchema differs");
            let views = |data_type: &DataType| format!("{data_type:?}").contains("View");
            assert!(
                !told.fields().iter().any(|field| views(field.data_type())),
                "{sql}: {told:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_same_as_arrow_views_and_compressed() {
    let fixture = Fixture::open().await;
    let mut plain = fixture.stranger().await;
    for (header, value) in [
        ("arrow_views", "true"),
        ("no_time_zones", "true"),
        ("compression", "lz4"),
        ("compression", "zstd"),
    ] {
        let mut client = fixture.stranger().await;
        client.set_header(header, value);
        for sql in QUERIES.iter().filter(|sql| !sql.starts_with("explain")) {
            let (told, rows) = query(&mut client, sql)
                .await
                .unwrap_or_else(|status| panic!("{sql}: {status}"));
            let expected = answer(&mut plain, sql).await;
            let zone = |line: &String| {
                if header == "no_time_zones" {
                    line.replace('Z', "")
                } else {
                    line.clone()
                }
            };
            let (got, expected): (Vec<_>, Vec<_>) = (
                lines(&rows).iter().map(zone).collect(),
                expected.iter().map(zone).collect(),
            );
            assert_eq!(got, expected, "{header} {value}: {sql}");
            if header == "arrow_views" && *sql == QUERIES[0] {
                assert_eq!(told.field(1).data_type(), &DataType::Utf8View);
            }
        }
    }
}

#[tokio::test]
async fn values_arrive_as_they_are() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let customers = answer(&mut client, "select * from warehouse.dim_customer").await;
    assert_eq!(
        customers,
        [
            "1|Ana|ES|2022-01-08|1.00",
            "2|-|ES|2022-04-18|2.50",
            "3|Señor Ñandú|FR|2022-07-27|-0.75"
        ]
    );
    let by_country = answer(&mut client, "select country, sales, amount from sales_by_country").await;
    assert_eq!(by_country, ["ES|3|60.0", "FR|1|40.0"]);
    let (told, rows) = query(&mut client, "select * from marts.nothing").await.unwrap();
    let names: Vec<_> = told.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!((names, lines(&rows).len()), (vec!["name", "since", "balance"], 0));
    assert_eq!(answer(&mut client, "show databases").await, ["lake"]);
    assert_eq!(
        answer(&mut client, "select {fn upper('a')}, {d '2024-02-29'}").await,
        ["A|2024-02-29"]
    );
}

#[tokio::test]
async fn wrong_sql_is_the_clients_mistake_and_says_what_is_wrong() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    for (sql, says) in [
        ("selec 1", "selec"),
        ("select", ""),
        ("", ""),
        ("select 1; select 2", ""),
        ("select nme from warehouse.dim_customer", "name"),
        ("select * from warehouse.nowhere", "nowhere"),
        ("select * from nowhere.dim_customer", "nowhere"),
        ("select nofunction(1)", "nofunction"),
        ("select * from warehouse.dim_customer version as of 99", "99"),
        (
            "select * from warehouse.dim_customer where customer_id = ?",
            "parameter",
        ),
        ("select 'a' + interval", ""),
    ] {
        let status = query(&mut client, sql).await.map(|_| ()).unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
        assert!(status.message().contains(says), "{sql}: {status}");
    }
    for sql in [
        "select cast(name as int) from warehouse.dim_customer",
        "select 1 / (customer_id - 1) from warehouse.dim_customer",
    ] {
        let status = query(&mut client, sql).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{sql}: {status}");
    }
    let status = status(
        client
            .execute_update("drop table x".to_owned(), None)
            .await
            .unwrap_err(),
    );
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("only read"), "{status}");
}

#[tokio::test]
async fn a_running_query_is_cancelled_by_its_info() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let endless = "select count(*) from generate_series(1, 100000000) a cross join generate_series(1, 100000000) b";
    let info = client.execute(endless.to_owned(), None).await.unwrap();
    let cancel = |info| {
        let body = CancelFlightInfoRequest::new(info).encode_to_vec();
        Action::new("CancelFlightInfo", body)
    };
    let early = client
        .inner_mut()
        .do_action(cancel(info.clone()))
        .await
        .map(|_| ())
        .unwrap_err();
    assert_eq!(early.code(), Code::NotFound);
    let mut rows = client.do_get(info.endpoint[0].ticket.clone().unwrap()).await.unwrap();
    client.inner_mut().do_action(cancel(info)).await.unwrap();
    let ended = status(rows.try_next().await.unwrap_err());
    assert_eq!(ended.code(), Code::Cancelled, "{ended}");
}

#[tokio::test]
async fn tickets_of_nobody_and_commands_of_nothing_are_refused() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let info = client.execute("select 1".to_owned(), None).await.unwrap();
    assert!(info.endpoint[0].location.is_empty(), "{info:?}");
    let mut forged = info.endpoint[0].ticket.clone().unwrap().ticket.to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for bytes in [forged, Vec::new(), b"select 1".to_vec()] {
        let refused = client
            .inner_mut()
            .do_get(arrow_flight::Ticket::new(bytes))
            .await
            .map(|_| ())
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}
