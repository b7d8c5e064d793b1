#![allow(clippy::unwrap_used)]

use arrow::array::{AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use serde_json::json;

use super::*;

fn audience() -> RecordBatch {
    RecordBatch::try_from_iter([
        (
            "email",
            Arc::new(StringArray::from(vec![Some("ana@a.es"), Some("bo@b.es")])) as ArrayRef,
        ),
        ("first_name", Arc::new(StringArray::from(vec![Some("Ana <3"), None]))),
        ("orders", Arc::new(Int64Array::from(vec![1, 3]))),
        ("spent", Arc::new(Float64Array::from(vec![10.5, 20.0]))),
        ("vip", Arc::new(BooleanArray::from(vec![true, false]))),
    ])
    .unwrap()
}

fn personaliser(fields: serde_json::Value, template: serde_json::Value) -> Result<Personaliser<'static>> {
    let mapping = |pairs| serde_json::from_value::<Mapping>(pairs).unwrap();
    Personaliser::new("win_back", &mapping(fields), &mapping(template), &audience().schema())
}

fn column(rows: &RecordBatch, name: &str) -> Vec<String> {
    rows[name]
        .as_string::<i32>()
        .iter()
        .map(|text| text.unwrap().to_owned())
        .collect()
}

fn rendered(template: &str) -> Vec<String> {
    let personaliser = personaliser(json!({}), json!({"text": template})).unwrap();
    column(
        &personaliser.apply(&audience(), &CancellationToken::new()).unwrap(),
        "text",
    )
}

#[test]
fn fields_are_renamed_and_in_the_order_of_the_campaign() {
    let fields = json!({"ORDERS": "orders", "EMAIL": "email"});
    let personaliser = personaliser(fields, json!({"subject": "Hola {{ first_name }}"})).unwrap();
    let sent = personaliser.apply(&audience(), &CancellationToken::new()).unwrap();
    let names: Vec<_> = sent
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["ORDERS", "EMAIL", "subject"]);
    assert_eq!(column(&sent, "EMAIL"), ["ana@a.es", "bo@b.es"]);
    assert_eq!(column(&sent, "subject"), ["Hola Ana <3", "Hola "]);
}

#[test]
fn without_fields_all_columns_are_sent() {
    let personaliser = personaliser(json!({}), json!({})).unwrap();
    assert_eq!(
        personaliser.apply(&audience(), &CancellationToken::new()).unwrap(),
        audience()
    );
}

#[test]
fn templates_know_nulls_numbers_and_conditions() {
    assert_eq!(rendered("{{ first_name | default('friend') }}"), ["Ana <3", "friend"]);
    assert_eq!(rendered("{% if first_name %}y{% else %}n{% endif %}"), ["y", "n"]);
    assert_eq!(rendered("{{ orders + 1 }} {{ spent * 2 }}"), ["2 21.0", "4 40.0"]);
    assert_eq!(
        rendered("{% if vip %}VIP{% endif %}{% for i in range(orders) %}.{% endfor %}"),
        ["VIP.", "..."]
    );
}

#[test]
fn html_is_escaped() {
    let personaliser = personaliser(json!({}), json!({"body_html": "<b>{{ first_name }}</b>"})).unwrap();
    let sent = personaliser.apply(&audience(), &CancellationToken::new()).unwrap();
    assert_eq!(column(&sent, "body_html"), ["<b>Ana &lt;3</b>", "<b></b>"]);
}

#[test]
fn columns_that_do_not_exist_are_errors_before_anything_is_sent() {
    for (fields, template, expected) in [
        (
            json!({"EMAIL": "emial"}),
            json!({}),
            "`fields.EMAIL`: the audience has no column `emial`; did you mean `email`?",
        ),
        (
            json!({}),
            json!({"subject": "{{ name }}"}),
            "`template.subject`: the audience has no column `name`",
        ),
        (
            json!({}),
            json!({"email": "x"}),
            "`template.email`: the audience has a column of that name already",
        ),
    ] {
        let error = personaliser(fields, template).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn an_error_in_a_template_does_not_quote_the_row() {
    for template in [
        "{{ email | frobnicate }}",
        "\n{{ email + orders }}",
        "{{ email | int }}",
    ] {
        let personaliser = personaliser(json!({}), json!({"subject": template})).unwrap();
        let error = personaliser
            .apply(&audience(), &CancellationToken::new())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`template.subject`") && error.contains("in line"),
            "{error}"
        );
        assert!(!error.contains("ana@a.es"), "{error}");
    }
}

#[test]
fn a_template_that_goes_on_and_on_is_ended() {
    let endless = "{% for i in range(9999) %}{% for j in range(9999) %}{{ i * j }}{% endfor %}{% endfor %}";
    let empty = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}";
    let growing = "{% set text = range(9999) | join('-') %}{% for i in range(9999) %}{{ text }}{% endfor %}";
    for (template, expected) in [
        (endless, "it takes more than 100000 steps in line 1"),
        (empty, "it takes more than 100000 steps in line 1"),
        (growing, "it makes a text of more than 4194304 bytes"),
    ] {
        let personaliser = personaliser(json!({}), json!({"text": template})).unwrap();
        let error = personaliser.apply(&audience(), &CancellationToken::new()).unwrap_err();
        assert!(
            error.to_string().contains(&format!("`template.text`: {expected}")),
            "{error}"
        );
    }
    for template in [
        "{{ range(9999) | join('-' * 9000) }}",
        "{{ ('a' * 9000) | replace('a', 'b' * 9000) }}",
        "{{ ('a\n' * 9000) | indent(9000) }}",
    ] {
        let personaliser = personaliser(json!({}), json!({"text": template})).unwrap();
        let error = personaliser.apply(&audience(), &CancellationToken::new()).unwrap_err();
        assert!(error.to_string().contains("`template.text`: "), "{error}");
    }
    let doubling = "{% set ns = namespace(a='a') %}{% for i in range(60) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}";
    assert!(personaliser(json!({}), json!({"text": doubling})).is_err());
    assert_eq!(
        rendered("{{ ['a', 'b'] | join(', ') | replace('a', 'x') | e }}"),
        ["x, b", "x, b"]
    );
    let long = "{% for i in range(3000) %}{{ i }},{% endfor %}";
    assert_eq!(rendered(long)[0].len(), 13_890);
}

#[test]
fn rows_are_rendered_until_somebody_asks_to_stop() {
    let personaliser = personaliser(json!({}), json!({"text": "{{ email }}"})).unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = personaliser.apply(&audience(), &cancel).unwrap_err();
    assert_eq!(error.kind(), cordada_core::ErrorKind::Cancelled);
}
