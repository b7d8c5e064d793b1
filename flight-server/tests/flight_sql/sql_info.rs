//! What the server says of itself is held against what it does.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{Int32Type, Int64Type, UInt32Type};
use arrow_flight::sql::{
    ActionCreatePreparedSubstraitPlanRequest, CommandGetXdbcTypeInfo, CommandStatementSubstraitPlan, ProstMessageExt,
    SqlInfo, SqlSupportsConvert,
};
use arrow_flight::{Action, FlightData, FlightDescriptor, Ticket};
use cordada_query_contract::lines;
use futures::stream;
use prost::Message;
use tonic::Code;

use crate::fixture::{Client, Fixture, answer, fetch, query};

/// What is said, by code: a union's value each.
struct Says(BTreeMap<u32, ArrayRef>);

impl Says {
    async fn of(client: &mut Client) -> Self {
        let info = client.get_sql_info(Vec::new()).await.unwrap();
        let (schema, batches) = fetch(client, &info).await.unwrap();
        let all = concat_batches(&schema, &batches).unwrap();
        let codes = all.column(0).as_primitive::<UInt32Type>().values();
        let values = all.column(1).as_union();
        let values = codes.iter().enumerate().map(|(row, code)| (*code, values.value(row)));
        Self(values.collect())
    }

    fn value(&self, code: SqlInfo) -> &ArrayRef {
        &self.0[&(code as u32)]
    }

    fn is(&self, code: SqlInfo) -> bool {
        self.value(code).as_boolean().value(0)
    }

    fn has_bit(&self, code: SqlInfo, bit: u32) -> bool {
        self.value(code).as_primitive::<Int32Type>().value(0) & 1 << bit != 0
    }

    fn texts(&self, code: SqlInfo) -> Vec<String> {
        let list = self.value(code).as_list::<i32>().value(0);
        list.as_string::<i32>()
            .iter()
            .map(|text| text.unwrap().to_owned())
            .collect()
    }
}

async fn runs(client: &mut Client, sql: &str) -> Result<Vec<RecordBatch>, tonic::Status> {
    query(client, sql).await.map(|(_, batches)| batches)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_statements_is_so() {
    use SqlInfo as I;
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let says = Says::of(&mut client).await;
    let customers = "warehouse.dim_customer";
    for (code, sql) in [
        (I::SqlAllTablesAreSelectable, format!("select * from {customers}")),
        (I::SqlSupportsColumnAliasing, "select 1 as \"a.b\"".to_owned()),
        (
            I::SqlSupportsTableCorrelationNames,
            format!("select c.name from {customers} as c"),
        ),
        (
            I::SqlSupportsExpressionsInOrderBy,
            format!("select name from {customers} order by length(name) + 1"),
        ),
        (
            I::SqlSupportsOrderByUnrelated,
            format!("select name from {customers} order by balance"),
        ),
        (
            I::SqlSupportsLikeEscapeClause,
            "select 'a%' like 'a!%' escape '!'".to_owned(),
        ),
        (
            I::SqlCorrelatedSubqueriesSupported,
            format!("select (select count(*) from {customers} d where d.country = c.country) from {customers} c"),
        ),
        (I::SqlStoredProceduresSupported, "{call f()}".to_owned()),
        (I::SqlDdlCatalog, "create database x".to_owned()),
        (I::SqlDdlSchema, "create schema x".to_owned()),
        (I::SqlDdlTable, "create table marts.x (a int)".to_owned()),
    ] {
        let ran = runs(&mut client, &sql).await;
        assert_eq!(ran.is_ok(), says.is(code), "{code:?}: {sql}: {ran:?}");
    }
    assert!(!says.is(I::SqlSupportsDifferentTableCorrelationNames));
    runs(
        &mut client,
        &format!("select dim_customer.name from {customers} dim_customer"),
    )
    .await
    .unwrap();
    let null = answer(&mut client, "select (null || 'x') is null").await;
    assert_eq!(null, [says.is(I::SqlNullPlusNullIsNull).to_string()]);
    let nulls_high = "select x from (values (1), (null)) t(x) order by x desc limit 1";
    assert_eq!(answer(&mut client, nulls_high).await, ["-"]);
    assert_eq!(says.value(I::SqlNullOrdering).as_primitive::<Int32Type>().value(0), 0);
    assert_eq!(says.value(I::SqlIdentifierCase).as_primitive::<Int32Type>().value(0), 3);
    assert_eq!(answer(&mut client, "select A from (select 1 as a) t").await, ["1"]);
    let quote = says
        .value(I::SqlIdentifierQuoteChar)
        .as_string::<i32>()
        .value(0)
        .to_owned();
    let quoted = format!("select {quote}B{quote} from (select 1 as a, 2 as {quote}B{quote}) t");
    assert_eq!(answer(&mut client, &quoted).await, ["2"]);

    let joined = |how: &str| format!("select * from {customers} c {how} join warehouse.fct_sale s using (customer_id)");
    for (code, bit, sql) in [
        (
            I::SqlSupportedGroupBy,
            0,
            format!("select count(*) from {customers} group by country"),
        ),
        (
            I::SqlSupportedGroupBy,
            1,
            format!("select country, count(*) from {customers} group by country, name"),
        ),
        (I::SqlOuterJoinsSupportLevel, 1, joined("left")),
        (I::SqlOuterJoinsSupportLevel, 2, joined("full outer")),
        (I::SqlSupportedSubqueries, 0, "select 1 where 1 = (select 1)".to_owned()),
        (
            I::SqlSupportedSubqueries,
            1,
            "select 1 where exists (select 1)".to_owned(),
        ),
        (
            I::SqlSupportedSubqueries,
            2,
            "select 1 where 1 in (select 1)".to_owned(),
        ),
        (
            I::SqlSupportedSubqueries,
            3,
            "select 1 where 1 <= all (select 1) and 1 = any (select 1)".to_owned(),
        ),
        (I::SqlSupportedUnions, 0, "select 1 union select 1".to_owned()),
        (I::SqlSupportedUnions, 1, "select 1 union all select 1".to_owned()),
    ] {
        let ran = runs(&mut client, &sql).await;
        assert_eq!(ran.is_ok(), says.has_bit(code, bit), "{code:?} {bit}: {sql}: {ran:?}");
    }
    for unlimited in [I::SqlMaxColumnsInSelect, I::SqlMaxCharLiteralLength] {
        assert_eq!(says.value(unlimited).as_primitive::<Int64Type>().value(0), 0);
    }
    let wide: Vec<_> = (0..2000).map(|n| format!("{n} as c{n}")).collect();
    runs(
        &mut client,
        &format!("select {}, '{}'", wide.join(", "), "x".repeat(1 << 20)),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn what_is_said_of_the_protocol_is_so() {
    use SqlInfo as I;
    let fixture = Fixture::with_users().await;
    let mut client = fixture.client("root").await;
    let says = Says::of(&mut client).await;
    assert!(says.is(I::FlightSqlServerSql) && says.is(I::FlightSqlServerCancel));
    assert_eq!(
        says.value(I::FlightSqlServerTransaction)
            .as_primitive::<Int32Type>()
            .value(0),
        0
    );
    assert!(client.begin_transaction().await.is_err());
    assert!(!says.is(I::SqlTransactionsSupported) && !says.is(I::SqlSavepointsSupported));
    assert!(!says.is(I::FlightSqlServerSubstrait));
    // This user writes nothing; where there are no users, everybody writes.
    assert!(says.is(I::FlightSqlServerReadOnly) && says.is(I::FlightSqlServerBulkIngestion));
    let open = Fixture::open().await;
    let mut anybody = open.stranger().await;
    assert!(!Says::of(&mut anybody).await.is(I::FlightSqlServerReadOnly));

    let escape = says
        .value(I::SqlSearchStringEscape)
        .as_string::<i32>()
        .value(0)
        .to_owned();
    let command = arrow_flight::sql::CommandGetDbSchemas {
        catalog: None,
        db_schema_filter_pattern: Some(format!("raw{escape}_shop")),
    };
    let info = client.get_db_schemas(command).await.unwrap();
    assert_eq!(lines(&fetch(&mut client, &info).await.unwrap().1), ["lake|raw_shop"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_are_listed_can_be_called() {
    use SqlInfo as I;
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let says = Says::of(&mut client).await;
    let (day, moment) = ("{d '2024-02-29'}", "{ts '2024-02-29 10:11:12'}");
    let lists = [
        I::SqlNumericFunctions,
        I::SqlStringFunctions,
        I::SqlSystemFunctions,
        I::SqlDatetimeFunctions,
    ];
    let mut wrong = Vec::new();
    for name in lists.into_iter().flat_map(|list| says.texts(list)) {
        let arguments = match name.as_str() {
            "PI" | "RAND" | "DATABASE" | "USER" | "CURDATE" | "CURRENT_DATE" | "CURRENT_TIME" | "CURRENT_TIMESTAMP"
            | "CURTIME" | "NOW" => String::new(),
            "ATAN2" | "MOD" | "POWER" | "ROUND" | "TRUNCATE" => "2.5, 2".to_owned(),
            "ASCII" | "BIT_LENGTH" | "CHAR_LENGTH" | "CHARACTER_LENGTH" | "LCASE" | "LENGTH" | "LTRIM" | "RTRIM"
            | "OCTET_LENGTH" | "SOUNDEX" | "UCASE" => "'abc'".to_owned(),
            "CHAR" | "SPACE" => "65".to_owned(),
            "CONCAT" | "DIFFERENCE" | "LOCATE" | "IFNULL" => "'a', 'abc'".to_owned(),
            "LEFT" | "RIGHT" | "REPEAT" => "'abc', 2".to_owned(),
            "REPLACE" => "'abc', 'b', 'x'".to_owned(),
            "SUBSTRING" => "'abc', 1, 2".to_owned(),
            "POSITION" => "'b' in 'abc'".to_owned(),
            "EXTRACT" => format!("year from {day}"),
            "HOUR" | "MINUTE" | "SECOND" => moment.to_owned(),
            "DAYNAME" | "DAYOFMONTH" | "DAYOFWEEK" | "DAYOFYEAR" | "MONTH" | "MONTHNAME" | "QUARTER" | "WEEK"
            | "YEAR" => day.to_owned(),
            "TIMESTAMPADD" => format!("SQL_TSI_DAY, 1, {moment}"),
            "TIMESTAMPDIFF" => format!("SQL_TSI_DAY, {moment}, {moment}"),
            _ => "0.5".to_owned(),
        };
        let sql = format!("select {{fn {name}({arguments})}}");
        if let Err(status) = runs(&mut client, &sql).await {
            wrong.push(format!("{sql}: {}", status.message()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_are_converted_into_those_that_are_said() {
    use SqlSupportsConvert as C;
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let says = Says::of(&mut client).await;
    let map = says.value(SqlInfo::SqlSupportsConvert).as_map().value(0);
    let (from, to) = (
        map.column(0).as_primitive::<Int32Type>(),
        map.column(1).as_list::<i32>(),
    );
    let said: BTreeMap<i32, Vec<i32>> = (0..map.len())
        .map(|row| {
            (
                from.value(row),
                to.value(row).as_primitive::<Int32Type>().values().to_vec(),
            )
        })
        .collect();
    let types = [
        (C::SqlConvertBigint, "BIGINT", "1"),
        (C::SqlConvertBinary, "BINARY", ""),
        (C::SqlConvertBit, "BIT", "true"),
        (C::SqlConvertChar, "CHAR", ""),
        (C::SqlConvertDate, "DATE", "2024-02-29"),
        (C::SqlConvertDecimal, "DECIMAL", "1"),
        (C::SqlConvertFloat, "FLOAT", "1"),
        (C::SqlConvertInteger, "INTEGER", "1"),
        (C::SqlConvertLongvarchar, "LONGVARCHAR", ""),
        (C::SqlConvertNumeric, "NUMERIC", "1"),
        (C::SqlConvertReal, "REAL", "1"),
        (C::SqlConvertSmallint, "SMALLINT", "1"),
        (C::SqlConvertTime, "TIME", "10:00:00"),
        (C::SqlConvertTimestamp, "TIMESTAMP", "2024-02-29 10:00:00"),
        (C::SqlConvertTinyint, "TINYINT", "1"),
        (C::SqlConvertVarbinary, "VARBINARY", ""),
        (C::SqlConvertVarchar, "VARCHAR", ""),
        (C::SqlConvertLongvarbinary, "LONGVARBINARY", ""),
    ];
    let mut wrong = Vec::new();
    for (from, from_name, text) in types {
        for (to, to_name, wanted) in types {
            // A text converts if it is one of the other type's values.
            let value = if text.is_empty() { wanted } else { text };
            let sql = format!("select {{fn convert({{fn convert('{value}', SQL_{from_name})}}, SQL_{to_name})}}");
            let is_said = said
                .get(&(from as i32))
                .is_some_and(|to_codes| to_codes.contains(&(to as i32)));
            assert!(is_said || from != to, "{from_name} is not converted into itself");
            if let Err(status) = runs(&mut client, &sql).await
                && is_said
            {
                wrong.push(format!("{from_name} to {to_name}: {}", status.message()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn types_that_are_listed_have_values_that_are_written_so() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let info = client
        .get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: None })
        .await
        .unwrap();
    let (schema, batches) = fetch(&mut client, &info).await.unwrap();
    let all = concat_batches(&schema, &batches).unwrap();
    let text = |name: &str, row: usize| {
        let column = all.column_by_name(name).unwrap().as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    assert!(all.num_rows() >= 15);
    for row in 0..all.num_rows() {
        let name = text("type_name", row).unwrap();
        let (told, _) = query(&mut client, &format!("select cast(null as {name}) as x"))
            .await
            .unwrap_or_else(|status| panic!("{name}: {status}"));
        assert_eq!(told.field(0).metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"], name);
        let (Some(prefix), Some(suffix)) = (text("literal_prefix", row), text("literal_suffix", row)) else {
            continue;
        };
        let value = match name.as_str() {
            "DATE" => "2024-02-29",
            "TIME" => "10:00:00",
            name if name.starts_with("TIMESTAMP") => "2024-02-29 10:00:00",
            "INTERVAL" => "1 day",
            "VARBINARY" => "00ff",
            _ => "x",
        };
        let literal = format!("select cast({prefix}{value}{suffix} as {name}) as x");
        let (told, _) = query(&mut client, &literal)
            .await
            .unwrap_or_else(|status| panic!("{literal}: {status}"));
        assert_eq!(told.field(0).metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"], name);
    }
    let unknown = client
        .get_xdbc_type_info(CommandGetXdbcTypeInfo { data_type: Some(-999) })
        .await
        .unwrap();
    assert_eq!(lines(&fetch(&mut client, &unknown).await.unwrap().1).len(), 0);
    let refused = query(&mut client, "select cast(null as no_such_type)")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn substrait_is_denied_and_refused() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let says = Says::of(&mut client).await;
    assert!(!says.is(SqlInfo::FlightSqlServerSubstrait));
    let plan = CommandStatementSubstraitPlan::default().as_any().encode_to_vec();
    let descriptor = FlightDescriptor::new_cmd(plan.clone());
    let sent = FlightData::new().with_descriptor(descriptor.clone());
    let prepare = ActionCreatePreparedSubstraitPlanRequest::default().as_any();
    let prepare = Action::new("CreatePreparedSubstraitPlan", prepare.encode_to_vec());
    let flight = client.inner_mut();
    let refusals = [
        flight.get_flight_info(descriptor).await.map(|_| ()),
        flight.do_get(Ticket::new(plan)).await.map(|_| ()),
        flight.do_put(stream::iter([sent])).await.map(|_| ()),
        flight.do_action(prepare).await.map(|_| ()),
    ];
    for refusal in refusals {
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.code(), Code::Unimplemented, "{refusal}");
        assert!(refusal.message().contains("SQL"), "{refusal}");
    }
}
