//! What templates see, and how their errors read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;

const MACROS: &str = "\
{% macro cents(column, digits=2) -%}
round({{ column }} / 100, {{ digits }})
{%- endmacro %}
{% macro columns() %}{{ return(['a', 'b']) }}{% endmacro %}
{% macro twice(x) %}{{ cents(x) }} + {{ cents(x, digits=0) }}{% endmacro %}
{% macro ping() %}{{ pong() }}{% endmacro %}
{% macro default__dispatched(x) %}default {{ x }}{% endmacro %}
{% macro refuse() %}{{ exceptions.raise_compiler_error('not so') }}{% endmacro %}
{% macro reads() %}{{ ref('orders') }}{% endmacro %}
";

const PONG: &str = "{% macro pong() %}{{ ping() }}{% endmacro %}";

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile {
        path: path.into(),
        relative: path.into(),
        text: text.into(),
    }
}

fn engine() -> Jinja {
    let globals = Globals {
        project: "acme".into(),
        target: "dev".into(),
        default_schema: "marts".into(),
        vars: json!({"days": 30, "acme": {"country": "ES"}})
            .as_object()
            .unwrap()
            .clone(),
        given_vars: json!({"days": 7}).as_object().unwrap().clone(),
        env: [("REGION".to_owned(), "eu".to_owned())].into(),
        docs: [("status".to_owned(), "Where it is.".to_owned())].into(),
        ..Globals::default()
    };
    Jinja::new(
        globals,
        &[(
            "acme".into(),
            vec![file("macros/m.sql", MACROS), file("macros/n.sql", PONG)],
        )],
    )
    .unwrap()
}

fn render() -> Render {
    let table = |name: &str| name.parse::<TableName>().unwrap();
    let names = Names {
        project: "acme".into(),
        refs: [
            ("orders".to_owned(), Target::Relation(table("staging.orders"))),
            ("Odd-Name".to_owned(), Target::Relation(table("staging.Odd-Name"))),
            ("off".to_owned(), Target::Disabled),
        ]
        .into(),
        sources: [(
            "shop".to_owned(),
            [("carts".to_owned(), table("raw_shop.carts"))].into(),
        )]
        .into(),
    };
    let node = NodeContext {
        name: "customers".into(),
        resource_type: "model",
        fqn: vec!["acme".into(), "marts".into(), "customers".into()],
        table: table("marts.customers"),
        config: json!({"materialized": "table"}).as_object().unwrap().clone(),
    };
    Render {
        names: Arc::new(names),
        node: Some(node),
        execute: true,
        incremental: true,
        overrides: Default::default(),
    }
}

fn rendered(text: &str) -> String {
    engine().render(&file("marts/customers.sql", text), render()).unwrap().0
}

fn error(text: &str) -> String {
    engine()
        .render(&file("marts/customers.sql", text), render())
        .unwrap_err()
        .to_string()
}

#[test]
fn the_context_is_dbts() {
    for (text, expected) in [
        ("{{ ref('orders') }}", "lake.staging.orders"),
        ("{{ ref('acme', 'orders') }}", "lake.staging.orders"),
        ("{{ ref('Odd-Name') }}", "lake.staging.\"Odd-Name\""),
        ("{{ source('shop', 'carts') }}", "lake.raw_shop.carts"),
        (
            "{{ this }} {{ this.schema }} {{ this.identifier }}",
            "lake.marts.customers marts customers",
        ),
        (
            "{{ target.name }} {{ target.schema }} {{ target.type }}",
            "dev marts cordada",
        ),
        (
            "{{ var('days') }} {{ var('country') }} {{ var('none', 'x') }}",
            "7 ES x",
        ),
        ("{{ env_var('REGION') }} {{ env_var('NONE', 'default') }}", "eu default"),
        ("{% if is_incremental() %}later{% endif %}", "later"),
        (
            "{{ config.get('materialized') }} {{ config.get('none', 5) }}",
            "table 5",
        ),
        (
            "{% set xs = ['a', 'b'] %}{% for x in xs %}{{ x }}{{ ', ' if not loop.last }}{% endfor %}",
            "a, b",
        ),
        ("{% do log('hello', info=true) %}{{ doc('status') }}", "Where it is."),
        (
            "{{ 'A-b'.lower().replace('-', '_') }} {{ ', '.join(['x', 'y']) }}",
            "a_b x, y",
        ),
        ("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}", "a1"),
        (
            "{% set xs = [] %}{% for x in [1, 2] %}{% do xs.append(x) %}{% endfor %}{{ xs | join(',') }} {{ xs | length }}",
            "1,2 2",
        ),
        ("{{ none is none }} {{ None is none }} {{ execute }}", "True True True"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn macros_are_callable_everywhere_and_return_values() {
    for (text, expected) in [
        ("{{ cents('price') }}", "round(price / 100, 2)"),
        ("{{ acme.cents('price', digits=3) }}", "round(price / 100, 3)"),
        ("{{ twice('p') }}", "round(p / 100, 2) + round(p / 100, 0)"),
        ("{% for c in columns() %}<{{ c }}>{% endfor %}", "<a><b>"),
        ("{{ dbt.date_trunc('day', 'at') }}", "date_trunc('day', at)"),
        ("{{ adapter.dispatch('dispatched')('x') }}", "default x"),
        ("{{ reads() }}", "lake.staging.orders"),
    ] {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn what_a_template_uses_is_recorded() {
    let text = "{{ config(tags=['daily'], schema='x') }}select * from {{ reads() }}, {{ source('shop', 'carts') }}";
    let (_, uses) = engine().render(&file("marts/customers.sql", text), render()).unwrap();
    assert_eq!(uses.refs, ["orders"]);
    assert_eq!(uses.sources[0].1.to_string(), "raw_shop.carts");
    assert_eq!(
        serde_json::Value::Object(uses.config),
        json!({"tags": ["daily"], "schema": "x"})
    );
    assert!(!uses.asks_incremental);
}

#[test]
fn errors_have_file_line_and_column() {
    for (text, place, why) in [
        (
            "select\n  * from {{ ref('ordrs') }}",
            "marts/customers.sql:2:13: ",
            "did you mean `orders`?",
        ),
        (
            "\n{{ source('shp', 'carts') }}",
            "marts/customers.sql:2:4: ",
            "did you mean `shop`?",
        ),
        (
            "{{ source('shop', 'cart') }}",
            "marts/customers.sql:1:4: ",
            "did you mean `carts`?",
        ),
        ("{{ ref('off') }}", "marts/customers.sql:1:4: ", "disabled"),
        (
            "{{ ref('other', 'orders') }}",
            "marts/customers.sql:1:4: ",
            "unknown project `other`",
        ),
        (
            "{{ ref('orders', version=2) }}",
            "marts/customers.sql:1:4: ",
            "versioned models",
        ),
        ("{{ var('dayz') }}", "marts/customers.sql:1:4: ", "did you mean `days`?"),
        ("{{ env_var('NONE') }}", "marts/customers.sql:1:4: ", "NONE"),
        (
            "a\n\n{{ undefined_thing }}",
            "marts/customers.sql:3:4: ",
            "`undefined_thing` is undefined",
        ),
        (
            "{{ cent('price') }}",
            "marts/customers.sql:1:4: ",
            "did you mean `cents`?",
        ),
        (
            "{{ config(materialised='table') }}",
            "marts/customers.sql:1:4: ",
            "did you mean `materialized`?",
        ),
        ("{% if x %}", "marts/customers.sql:1", "expected end of block"),
        ("{{ refuse() }}", "macros/m.sql:8:", "not so"),
        ("{{ ping() }}", "macros/", "without end"),
        (
            "{% set x = [0] %}{% do x.append(1) %}",
            "marts/customers.sql:1:",
            "began as {% set x = [] %}",
        ),
    ] {
        let error = error(text);
        assert!(error.starts_with(place) && error.contains(why), "{text}: {error}");
    }
}

#[test]
fn values_of_yaml_keep_their_type() {
    let place = FilePosition {
        file: "schema.yml".into(),
        line: 3,
        column: 5,
    };
    let value = |text: &str| engine().render_value(text, &place, render()).unwrap().0;
    assert_eq!(value("{{ var('days') > 5 }}"), json!(true));
    assert_eq!(value("ref('orders')"), json!("lake.staging.orders"));
    assert_eq!(value("last {{ var('days') }} days"), json!("last 7 days"));
    let error = engine()
        .render_value("ref('ordrs')", &place, render())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("schema.yml:3:5: ") && error.contains("did you mean `orders`?"),
        "{error}"
    );
}

#[test]
fn generic_tests_are_macros() {
    let engine = engine();
    let (package, name) = engine.find_test("accepted_values").unwrap();
    let arguments = [
        ("model".to_owned(), Value::from("lake.marts.x")),
        ("column_name".to_owned(), Value::from("status")),
        ("values".to_owned(), Value::from_serialize(["it's", "new"])),
    ];
    let place = FilePosition {
        file: "schema.yml".into(),
        line: 3,
        column: 5,
    };
    let (sql, _) = engine.call((&package, &name), arguments, &place, render()).unwrap();
    assert!(sql.contains("not in ('it''s', 'new')"), "{sql}");
    assert_eq!(engine.find_test("uniqe").unwrap_err(), "did you mean `unique`?");
    let unknown = [("colum".to_owned(), Value::from("x"))];
    let error = engine
        .call((&package, &name), unknown, &place, render())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("schema.yml:3:5: ") && error.contains("colum"),
        "{error}"
    );
}
