//! Streams that are asked for by the records of others.

use serde_json::json;

use super::System;
use super::server::{Server, json, reply};
use crate::plan::look_up;

const STREAMS: &str = r#"
limits: {concurrency: 3}
streams:
  customers: {request: {path: /customers}, filter: not record.gone, paginate: {kind: page, param: page}}
  orders:
    request: {path: "/customers/{{ parent.customer }}/orders"}
    records: /orders
    paginate: {kind: page, param: page}
    parent: {stream: customers, fields: {customer: code, name: name.last}, include: [customer, name]}
  lines:
    request: {path: "/orders/{{ parent.order }}/lines"}
    parent: {stream: orders, fields: {order: id, customer: customer}, include: [customer, order]}
"#;

async fn shop() -> Server {
    Server::new(|seen| {
        let page = seen.number("page", 1);
        match seen.path.as_str() {
            "/customers" => json(match page {
                1 => json!([{"code": "a/1", "name": {"last": "Ñu"}}, {"code": "b", "name": {"last": "X"}}]),
                2 => json!([{"code": "c", "gone": true}, {"code": null, "name": null}, {"code": "d", "name": {"last": "Y"}}]),
                _ => json!([]),
            }),
            // Percent-encoded, so that the slash is not an end of the segment.
            "/customers/a%2F1/orders" => json(match page {
                1 => json!({"orders": [{"id": 1}, {"id": 2}]}),
                2 => json!({"orders": [{"id": 3, "total": 10.50}]}),
                _ => json!({"orders": []}),
            }),
            "/customers/b/orders" => json(json!({"orders": []})),
            "/customers/d/orders" => json(if page == 1 { json!({"orders": [{"id": 4}]}) } else { json!({"orders": []}) }),
            path => match path.strip_prefix("/orders/").and_then(|rest| rest.strip_suffix("/lines")) {
                Some(order) => json(json!([{"line": format!("{order}-1")}, {"line": format!("{order}-2")}])),
                None => reply(404, &[], path.to_owned()),
            },
        }
    })
    .await
}

#[tokio::test]
async fn children_of_every_page_of_parents_are_read() {
    let server = shop().await;
    let system = System::new(STREAMS, &server.base);
    let mut ids = system.ids("orders").await.unwrap();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4]);
    // A parent that its own filter leaves out has no children, nor one without a field.
    assert_eq!(server.count("/customers/c/orders"), 0);
}

#[tokio::test]
async fn parents_have_parents_and_fields_are_handed_down() {
    let server = shop().await;
    let system = System::new(STREAMS, &server.base);
    let extracted = super::incremental::land(&system, "lines", None, &super::incremental::options("replace", &[]))
        .await
        .unwrap();
    let mut lines: Vec<_> = extracted.records.iter().map(|record| record.to_string()).collect();
    lines.sort();
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[0], r#"{"customer":"a/1","order":1,"line":"1-1"}"#);
    assert_eq!(lines[7], r#"{"customer":"d","order":4,"line":"4-2"}"#);
}

#[tokio::test]
async fn a_parent_that_lacks_a_field_is_an_error_and_so_is_a_child_that_fails() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/parents" => json(json!([{"id": 1}, {"id": 2}])),
        "/children/1" => json(json!([{"id": 10}])),
        _ => reply(400, &[], ""),
    })
    .await;
    let system = System::new(
        "streams:\n  parents: {request: {path: /parents}}\n  \
         a: {request: {path: \"/children/{{ parent.id }}\"}, parent: {stream: parents, fields: {id: id}}}\n  \
         b: {request: {path: \"/children/{{ parent.id }}\"}, parent: {stream: parents, fields: {id: code}}}\n",
        &server.base,
    );
    assert!(
        system
            .error("a")
            .await
            .to_string()
            .contains("/children/:id: the system answers 400")
    );
    assert!(
        system
            .error("b")
            .await
            .to_string()
            .contains("reading the records of parents: one has no /code")
    );
}

#[tokio::test]
async fn what_is_looked_up_is_in_templates() {
    let server = Server::new(|seen| match seen.path.as_str() {
        "/describe" => json(json!({"fields": [{"name": "Id", "custom": false}, {"name": "X__c", "custom": true}]})),
        "/query" => {
            assert_eq!(seen.get("q"), Some("SELECT Id, X__c FROM Account"));
            json(json!([{"id": 1}]))
        }
        _ => reply(404, &[], ""),
    })
    .await;
    let manifest = r#"
streams:
  a:
    lookups: {fields: {request: {path: /describe}, at: /fields}}
    request:
      path: /query
      params:
        q: "SELECT {{ (['Id', 'Hidden'] | select('in', lookup.fields | map(attribute='name')) | list + (lookup.fields | selectattr('custom') | map(attribute='name') | list)) | join(', ') }} FROM Account"
  b:
    lookups: {fields: {request: {path: /none}, at: /fields, optional: true}}
    request: {path: /query, params: {q: "SELECT {{ lookup.fields or 'Id, X__c' }} FROM Account"}}
  c:
    lookups: {fields: {request: {path: /none}, at: /fields}}
    request: {path: /query}
"#;
    let mut system = System::new(manifest, &server.base);
    for stream in ["a", "b"] {
        system.looked_up = look_up(&system.run, &system.prepared, stream).await.unwrap();
        assert_eq!(system.ids(stream).await.unwrap(), [1]);
    }
    assert!(look_up(&system.run, &system.prepared, "c").await.is_err());
}
