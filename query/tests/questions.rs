//! Which answers may be given again, and to whom.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use cordada_query::{Access, Engine, Executor, PlannedQuery, Role, ServerLimits};
use cordada_query_contract::Shop;

async fn engine(shop: &Shop) -> Engine {
    let (parallelism, memory) = (shop.lake.parallelism(), shop.lake.memory());
    let executor = Executor::new(parallelism, memory, &ServerLimits::default(), &BTreeMap::new());
    Engine::open(shop.lake.clone(), Arc::new(executor.unwrap()))
        .await
        .unwrap()
}

async fn planned(engine: &Engine, access: &Arc<Access>, schema: &str, sql: &str) -> Arc<PlannedQuery> {
    let scope = engine.scope(access, None, schema).await.unwrap();
    engine.plan(&scope, sql).await.unwrap()
}

fn access(schemas: &[&str]) -> Arc<Access> {
    let role = Role {
        read: schemas.iter().map(|schema| (*schema).to_owned()).collect(),
        ..Role::default()
    };
    let roles = BTreeMap::from([("reader".to_owned(), role)]);
    Arc::new(Access::of("ana", &["reader".to_owned()], &BTreeMap::new(), &roles))
}

#[tokio::test]
async fn an_answer_may_be_given_again_if_the_release_alone_decides_it() {
    let shop = Shop::fill().await;
    let engine = engine(&shop).await;
    let everything = Arc::new(Access::everything());
    for (sql, may) in [
        ("select 1", true),
        (
            "select country, sum(balance) from warehouse.dim_customer group by country having count(*) > 1 order by 1",
            true,
        ),
        ("select * from marts.sales_by_country", true),
        (
            "select name, (select max(amount) from warehouse.fct_sale s where s.customer_id = c.customer_id) \
          from warehouse.dim_customer c where exists (select 1 from raw_shop.orders)",
            true,
        ),
        (
            "select row_number() over (order by sale_id), rank() over (order by amount) from warehouse.fct_sale",
            true,
        ),
        (
            "with a as (select 1 as x union all select 2) select distinct x from a where x in (values (1), (2))",
            true,
        ),
        ("select count(*) from warehouse.fct_sale version as of 1", true),
        ("select now()", false),
        ("select random()", false),
        ("select uuid()", false),
        ("select current_user", false),
        ("select current_date", false),
        ("select * from warehouse.fct_sale where sold_at < now()", false),
        ("select name from warehouse.dim_customer order by random()", false),
        (
            "select count(*) from warehouse.fct_sale where amount > (select random())",
            false,
        ),
        (
            "select a.amount from warehouse.fct_sale a join warehouse.fct_sale b on a.sale_id + random() > b.sale_id",
            false,
        ),
        (
            "select max(amount) filter (where random() > 0.5) from warehouse.fct_sale",
            false,
        ),
        ("select * from warehouse.fct_sale tablesample bernoulli (50)", false),
        ("with a as (select now() as t) select count(*) from a", false),
        ("select * from ops.runs", false),
        (
            "select count(*) from warehouse.fct_sale where exists (select 1 from ops.runs)",
            false,
        ),
        ("select * from information_schema.tables", false),
        ("select relname from pg_catalog.pg_class", false),
        ("explain select 1", false),
    ] {
        let question = &planned(&engine, &everything, "marts", sql).await.question;
        assert_eq!(question.is_some(), may, "{sql}");
    }
    let runs = planned(&engine, &everything, "ops", "select * from runs").await;
    assert_eq!(runs.question, None);
}

#[tokio::test]
async fn what_is_asked_is_asked_of_a_release_under_an_access() {
    const SQL: &str = "select count(*) from sales_by_country";
    let shop = Shop::fill().await;
    let engine = engine(&shop).await;
    let (ana, bea) = (access(&["marts"]), access(&["marts", "warehouse"]));
    let first = planned(&engine, &ana, "marts", SQL).await.question.clone().unwrap();
    assert_eq!(
        planned(&engine, &access(&["marts"]), "marts", SQL).await.question,
        Some(first.clone())
    );
    assert_ne!(planned(&engine, &bea, "marts", SQL).await.question, Some(first.clone()));
    let other = format!("{SQL} ");
    assert_ne!(
        planned(&engine, &ana, "marts", &other).await.question,
        Some(first.clone())
    );
    let elsewhere = "select count(*) from marts.sales_by_country";
    let in_marts = planned(&engine, &ana, "marts", elsewhere).await.question.clone();
    assert_ne!(planned(&engine, &ana, "other", elsewhere).await.question, in_marts);

    let written = shop.append_sales(&[60.0]).await;
    shop.publish(vec![("warehouse.fct_sale", written)]).await;
    assert_ne!(planned(&engine, &ana, "marts", SQL).await.question, Some(first));
}

/// The columns of every relation, by name.
async fn columns(engine: &Engine, access: &Arc<Access>) -> BTreeMap<String, Vec<String>> {
    let workspace = engine.workspace(&engine.scope(access, None, "marts").await.unwrap());
    let columns = workspace.columns().await.unwrap().iter();
    let names = columns.map(|schema| schema.fields().iter().map(|field| field.name().clone()).collect());
    let relations = workspace.relations().iter().map(|relation| relation.name.to_string());
    relations.zip(names).collect()
}

#[tokio::test]
async fn the_columns_of_a_release_are_its_own_whatever_is_known_of_the_one_before() {
    let shop = Shop::fill().await;
    let engine = engine(&shop).await;
    for access in [Arc::new(Access::everything()), access(&["warehouse"])] {
        let first = columns(&engine, &access).await;
        let newest = shop.lake.releases().newest().await.unwrap();
        let [sale, orders] = ["warehouse.fct_sale", "raw_shop.orders"].map(|name| name.parse().unwrap());
        let (sale, orders) = (newest.relations[&sale].clone(), newest.relations[&orders].clone());
        shop.publish(vec![("warehouse.fct_sale", orders)]).await;
        let second = columns(&engine, &access).await;
        assert_eq!(second["warehouse.fct_sale"], ["secret"]);
        assert_eq!(second["warehouse.dim_customer"], first["warehouse.dim_customer"]);
        shop.publish(vec![("warehouse.fct_sale", sale)]).await;
        assert_eq!(columns(&engine, &access).await, first);
    }
}
