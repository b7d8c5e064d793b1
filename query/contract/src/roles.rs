//! Nobody reads, or learns the existence of, what their roles do not read.

use crate::{Door, Kind, Shop, answer, connect, refusal, rows};

/// What `ana` may not read.
const HIDDEN: [&str; 4] = [
    "warehouse.dim_customer",
    "warehouse.fct_sale",
    "raw_shop.orders",
    "ops.runs",
];
/// Words that only who reads those relations can know.
const SECRETS: [&str; 7] = [
    "warehouse",
    "dim_customer",
    "fct_sale",
    "customer_id",
    "raw_shop",
    "orders",
    "secret",
];

/// Who may read a view reads it without what is behind it.
pub async fn a_view_is_read_without_what_it_reads(_: &Shop, door: &impl Door) {
    let mut ana = connect(door, "ana").await;
    let by_country = "select country, sales from marts.sales_by_country";
    assert_eq!(answer(&mut *ana, by_country).await, ["ES|3", "FR|1"]);
    let explain = "explain select * from marts.sales_by_country";
    refusal(&mut *ana, explain, Kind::Forbidden).await;
    refusal(
        &mut *ana,
        &explain.replace("explain", "explain analyze"),
        Kind::Forbidden,
    )
    .await;
    for definition in [
        "select view_definition from information_schema.views where table_name = 'nothing'",
        "select definition from information_schema.views where table_name = 'nothing'",
        "select definition from pg_views where viewname = 'nothing'",
        "select pg_get_viewdef('marts.nothing'::regclass)",
        "select ev_action from pg_rewrite where ev_class = 'marts.nothing'::regclass",
    ] {
        assert_eq!(answer(&mut *ana, definition).await, ["-"], "{definition}");
    }
    assert_eq!(
        answer(&mut *ana, "show create view marts.nothing").await,
        ["lake|marts|nothing|-"]
    );

    let mut bea = connect(door, "bea").await;
    let customers = "select count(*) from warehouse.dim_customer";
    assert_eq!(answer(&mut *bea, customers).await, ["3"]);
    refusal(&mut *bea, "select * from warehouse.fct_sale", Kind::Mistake).await;
    let mut nobody = connect(door, "nobody").await;
    refusal(&mut *nobody, by_country, Kind::Mistake).await;
    assert_eq!(answer(&mut *nobody, "select 1").await, ["1"]);
    let mut root = connect(door, "root").await;
    assert_eq!(
        answer(&mut *root, "select secret from raw_shop.orders").await,
        ["s3cr3t"]
    );
    assert!(!answer(&mut *root, explain).await.is_empty());
}

/// No form of a statement reaches a hidden relation.
pub async fn hidden_relations_cannot_be_read(_: &Shop, door: &impl Door) {
    let mut ana = connect(door, "ana").await;
    for hidden in HIDDEN {
        for sql in [
            format!("select * from {hidden}"),
            format!("select * from lake.{hidden}"),
            format!("table {hidden}"),
            format!("select * from {hidden} version as of 1"),
            format!("select * from marts.nothing version as of 1, release_1.{hidden}"),
            format!("select * from marts.sales_by_country where exists (select 1 from {hidden})"),
            format!("select (select count(*) from {hidden})"),
            format!("with x as (select * from {hidden}) select 1 from x"),
            format!("select 1 union all select count(*) from {hidden}"),
            format!("show columns from {hidden}"),
            format!("describe {hidden}"),
        ] {
            refusal(&mut *ana, &sql, Kind::Mistake).await;
        }
    }
}

/// Both are told the same.
pub async fn what_is_hidden_is_the_same_as_what_does_not_exist(_: &Shop, door: &impl Door) {
    let mut bea = connect(door, "bea").await;
    for (hidden, missing) in [
        ("select * from warehouse.fct_sale", "select * from warehouse.xxx_xxxx"),
        ("select * from raw_shop.orders", "select * from raw_xxxx.orders"),
        (
            "select * from raw_shop.orders version as of 1",
            "select * from raw_xxxx.orders version as of 1",
        ),
    ] {
        let hidden = refusal(&mut *bea, hidden, Kind::Mistake).await;
        let hidden = hidden.replace("fct_sale", "xxx_xxxx").replace("raw_shop", "raw_xxxx");
        assert_eq!(hidden, refusal(&mut *bea, missing, Kind::Mistake).await);
    }
}

/// No error tells more of what is hidden than the statement did: not as a suggestion, not from behind a view.
pub async fn errors_do_not_name_what_is_hidden(_: &Shop, door: &impl Door) {
    let mut ana = connect(door, "ana").await;
    for sql in [
        "select * from nowhere.fct_sal",
        "select * from marts.dim_custome",
        "select * from order",
        "select * from raw_sho.order",
        "select secre from marts.sales_by_country",
        "select customer from marts.sales_by_country",
        "select s.customer from marts.sales_by_country s, marts.nothing n",
        "select nme from marts.nothing",
        "select nofunction(country) from marts.sales_by_country",
        "select country + date '2024-02-29' from marts.sales_by_country",
        "select cast(country as int) from marts.sales_by_country",
        "select 1 / (sales - 3) from marts.sales_by_country",
        "select country from marts.sales_by_country group by sales",
    ] {
        let message = refusal(&mut *ana, sql, Kind::Mistake).await;
        for word in SECRETS {
            assert!(!message.contains(word), "{sql}: {message}");
        }
    }
}

/// The protocol's own lists and `information_schema` show what may be read, and nothing else.
pub async fn what_is_listed_is_what_may_be_read(_: &Shop, door: &impl Door) {
    for (user, relations) in [
        ("nobody", vec![]),
        ("ana", vec!["marts.nothing", "marts.sales_by_country"]),
        (
            "bea",
            vec!["marts.nothing", "marts.sales_by_country", "warehouse.dim_customer"],
        ),
    ] {
        let mut client = connect(door, user).await;
        // A release that is read by number does not make its catalog visible.
        let _ = rows(&mut *client, "select * from marts.nothing version as of 1").await;
        let mut listed = client.relations().await.unwrap();
        listed.sort();
        assert_eq!(listed, relations, "{user}");
        for (view, own) in [
            ("tables", "table_schema || '.' || table_name"),
            ("columns", "distinct table_schema || '.' || table_name"),
        ] {
            let sql = format!("select {own} from information_schema.{view} where table_schema <> 'information_schema'");
            assert_eq!(answer(&mut *client, &sql).await, relations, "{user}: {sql}");
        }
        let schemata = "select schema_name from information_schema.schemata where schema_name <> 'information_schema'";
        let mut schemas: Vec<_> = relations.iter().filter_map(|name| name.split('.').next()).collect();
        schemas.dedup();
        assert_eq!(answer(&mut *client, schemata).await, schemas, "{user}");
    }
}

/// No table of the metadata says more of a hidden relation than of one that does not exist; not of its keys either.
pub async fn metadata_does_not_tell_of_what_is_hidden(_: &Shop, door: &impl Door) {
    let mut ana = connect(door, "ana").await;
    // These are about the server, and have words of their own.
    let of_the_server = ["df_settings", "routines", "parameters"];
    let tables = "select table_name from information_schema.tables where table_schema = 'information_schema'";
    let mut tables = answer(&mut *ana, tables).await;
    tables.retain(|table| !of_the_server.contains(&table.as_str()));
    assert!(tables.len() > 7, "{tables:?}");
    let mut tables: Vec<_> = tables
        .iter()
        .map(|table| format!("information_schema.{table}"))
        .collect();
    tables.extend(
        [
            "attribute",
            "class",
            "constraint",
            "database",
            "description",
            "namespace",
            "rewrite",
            "tables",
            "views",
        ]
        .map(|table| format!("pg_catalog.pg_{table}")),
    );
    for table in &tables {
        // A release that is read by number has the same metadata, and hides the same.
        for version in ["", " version as of 1"] {
            for line in answer(&mut *ana, &format!("select * from {table}{version}")).await {
                for word in SECRETS {
                    assert!(!line.contains(word), "{table}{version}: {line}");
                }
            }
        }
    }
    for (sql, expected) in [
        (
            "select count(*) from pg_class where oid = 'warehouse.dim_customer'::regclass",
            "0",
        ),
        (
            "select count(*) from pg_class where oid = 'marts.nothing'::regclass",
            "1",
        ),
        ("select count(*) from information_schema.table_constraints", "0"),
        ("select obj_description('warehouse.dim_customer'::regclass)", "-"),
        (
            "select has_table_privilege('warehouse.dim_customer', 'select')",
            "false",
        ),
        ("select has_table_privilege('warehouse.no_such', 'select')", "false"),
        (
            "select has_table_privilege('warehouse.dim_customer'::regclass, 'select')",
            "false",
        ),
        (
            "select has_table_privilege('marts.nothing'::regclass, 'update, select')",
            "true",
        ),
        ("select has_table_privilege('nothing', 'insert')", "false"),
        (
            "select has_table_privilege('root', 'warehouse.dim_customer', 'select')",
            "-",
        ),
        ("select has_table_privilege(current_user, 'nothing', 'select')", "true"),
        (
            "select count(*) from pg_class where not has_table_privilege(oid, 'select')",
            "0",
        ),
        ("select has_column_privilege('marts.nothing', 'name', 'select')", "true"),
        (
            "select has_column_privilege('marts.nothing', 'no_such', 'select')",
            "false",
        ),
        (
            "select has_column_privilege('warehouse.dim_customer', 'name', 'select')",
            "false",
        ),
        ("select has_schema_privilege('warehouse', 'usage')", "false"),
        ("select has_schema_privilege('marts', 'create, usage')", "true"),
        ("select has_schema_privilege('marts', 'create')", "false"),
    ] {
        assert_eq!(answer(&mut *ana, sql).await, [expected], "{sql}");
    }
    refusal(&mut *ana, "use warehouse", Kind::Mistake).await;

    // A key shows if what it refers to does.
    let keys = "select constraint_name from information_schema.table_constraints";
    assert_eq!(
        answer(&mut *connect(door, "bea").await, keys).await,
        ["dim_customer_pkey"]
    );
    let mut root = connect(door, "root").await;
    assert_eq!(
        answer(&mut *root, keys).await,
        ["dim_customer_pkey", "fct_sale_customer_id_fkey", "fct_sale_pkey"]
    );
    let referred = "select k.column_name || ' to ' || u.table_schema || '.' || u.table_name || '.' || u.column_name \
                    from information_schema.key_column_usage k join information_schema.constraint_column_usage u \
                    using (constraint_name) where k.position_in_unique_constraint = 1";
    assert_eq!(
        answer(&mut *root, referred).await,
        ["customer_id to warehouse.dim_customer.customer_id"]
    );
    let clauses = "select conname || ': ' || pg_get_constraintdef(oid) from pg_constraint where contype = 'f'";
    assert_eq!(
        answer(&mut *root, clauses).await,
        ["fct_sale_customer_id_fkey: FOREIGN KEY (customer_id) REFERENCES warehouse.dim_customer(customer_id)"]
    );
    let comments = "select table_comment from information_schema.tables where table_name = 'dim_customer' union all \
                    select column_comment from information_schema.columns where column_name = 'name' and \
                    table_schema = 'warehouse' union all \
                    select col_description('warehouse.dim_customer'::regclass, 2)";
    assert_eq!(
        answer(&mut *root, comments).await,
        [
            "As the customer writes it",
            "As the customer writes it",
            "One row a customer"
        ]
    );
}
