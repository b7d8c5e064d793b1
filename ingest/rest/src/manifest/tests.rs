//! Manifests that make sense, and those that do not.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::*;

fn parse(text: &str) -> cordada_core::Result<Manifest> {
    Manifest::parse(Path::new("shop.yml"), text)
}

const SHOP: &str = r#"
title: Shop
config:
  shop: {description: the shop, example: acme}
  token: {description: a token, secret: true}
  base_url: {default: "https://{{ config.shop }}.example"}
base_url: "{{ config.base_url }}/api"
headers: {Accept: application/json}
auth: {kind: api_key, header: X-Token, value: "{{ config.token }}"}
limits:
  concurrency: 2
  budgets: [{requests: 40, per: 1m, window: fixed}]
  max_response: 8MB
  timeout: 20s
retry: {attempts: 3, backoff: constant, first: 2s}
errors:
  - {status: [404, 410], action: ignore}
  - {status: 200, body: /errors/0/extensions/code, equals: THROTTLED, action: retry}
defaults:
  request: {params: {limit: 50}}
  paginate: {kind: link_header}
streams:
  orders:
    request: {path: /orders.json, params: {updated_at_min: "{{ cursor.start }}"}}
    records: /data/orders/edges/*/node
    filter: record.status != 'draft'
    incremental: {cursor: updated_at, initial: "2010-01-01T00:00:00Z", lag: 5m, window: 30d}
    key: [id]
    columns: {email: {pii: email}}
  items:
    request: {path: "/orders/{{ parent.order_id }}/items"}
    records: {at: /items, optional: true}
    parent: {stream: orders, fields: {order_id: id}, include: [order_id]}
    paginate: {kind: cursor, next: {body: /next}, param: after}
"#;

#[test]
fn a_manifest_is_read_with_its_defaults() {
    let shop = parse(SHOP).unwrap();
    assert_eq!(shop.limits.deadline, Span::seconds(600));
    let orders = &shop.streams["orders"];
    assert_eq!(
        orders.records.as_ref().unwrap().at.to_string(),
        "/data/orders/edges/*/node"
    );
    assert_eq!(shop.effective(&orders.request).params.len(), 2);
    assert_eq!(shop.disposition(orders), Disposition::Merge);
    assert_eq!(shop.disposition(&shop.streams["items"]), Disposition::Replace);
    assert_eq!(shop.errors[0].status, [404, 410]);
    assert!(matches!(shop.auth, Auth::ApiKey { .. }));
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (from, to, expected) in [
        ("title:", "titel:", "did you mean `title`"),
        ("config.shop }", "config.shopp }", "did you mean `config.shop`"),
        ("parent.order_id", "parent.id", "`parent.id` is not defined"),
        ("stream: orders", "stream: order", "there is no stream `order`"),
        ("stream: orders", "stream: items", "its own ancestor"),
        ("include: [order_id]", "include: [id]", "not in `fields`"),
        ("concurrency: 2", "concurrency: 0", "concurrency"),
        ("header: X-Token", "query: key, header: X-Token", "no place"),
        ("param: after", "into: variables.after", "JSON body"),
        ("param: after", "size: 5", "every page would be the first"),
        ("lag: 5m", "lag: 5", "does not fit"),
        ("initial: \"2010-01-01T00:00:00Z\", ", "", "needs a beginning"),
        ("key: [id]", "disposition: merge", "needs a key"),
        (
            "records: {at: /items",
            "disposition: append\n    records: {at: /items",
            "double the rows",
        ),
        ("max_response: 8MB", "max_response: 8 parsecs", "not a size"),
        ("kind: link_header", "kind: magic", "magic"),
        ("status != 'draft'", "status !", "not an expression"),
        ("records: /data", "records: data", "not a JSON pointer"),
        ("{{ cursor.start }}", "{{ cursor.start", "not a template"),
        ("{{ config.base_url }}", "{{ page.number }}", "not defined here"),
        ("Accept:", "A ccept:", "not a name of a header"),
        (
            "action: ignore",
            "action: ignore, equals: 3",
            "does not say what it is about",
        ),
    ] {
        assert!(SHOP.contains(from), "{from}");
        let error = parse(&SHOP.replacen(from, to, 1)).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains("shop.yml"), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}

#[test]
fn counted_pages_are_not_sorted_by_what_changes() {
    let shop = |request: &str, incremental: &str, paginate: &str| {
        let text = format!(
            "title: Shop\nbase_url: https://acme.example\nstreams:\n  orders:\n    request: {request}\n    \
             incremental: {incremental}\n    paginate: {paginate}\n"
        );
        parse(&text).map(|_| ()).map_err(|error| error.to_string())
    };
    let page = "{kind: page, param: page}";
    let updated = "{cursor: updated_at}";
    for (request, incremental, paginate) in [
        ("{path: /o, params: {sort: updated_at}}", updated, page),
        (
            "{path: /o, params: {order_by: \"-updatedAt,id\"}}",
            "{cursor: created_at}",
            page,
        ),
        (
            "{path: /o, params: {\"sortOrders[0][field]\": updated_at}}",
            updated,
            page,
        ),
        (
            "{path: /o, json: {sort: {updatedAt: ASC, id: ASC}}}",
            updated,
            "{kind: offset, into: skip}",
        ),
        (
            "{path: /o, params: {$orderby: \"ts desc\"}}",
            "{cursor: ts}",
            "{kind: offset, param: $skip}",
        ),
        (
            "{path: /o, graphql: {query: \"query { o(sortKey: UPDATED_AT, first: 5) { id } }\"}}",
            updated,
            page,
        ),
        ("{path: /o}", "{cursor: updated_at, order: ascending}", page),
    ] {
        let error = shop(request, incremental, paginate).unwrap_err();
        assert!(error.contains("others are passed over"), "{request}: {error}");
        let stable = paginate.replace('}', ", stable: true}");
        assert_eq!(shop(request, incremental, &stable), Ok(()), "{request}");
    }
    for (request, incremental, paginate) in [
        (
            "{path: /o, params: {sort: id, updated_after: \"{{ cursor.start }}\"}}",
            updated,
            page,
        ),
        ("{path: /o, params: {sort: created_at}}", "{cursor: created_at}", page),
        ("{path: /o, params: {sort: updated_at}}", updated, "{kind: link_header}"),
        (
            "{path: /o, params: {sort: updated_at}}",
            updated,
            "{kind: keyset, field: updated_at, param: since}",
        ),
        (
            "{path: /o, params: {sort: id}}",
            "{cursor: id, type: counter, order: ascending}",
            page,
        ),
    ] {
        assert_eq!(shop(request, incremental, paginate), Ok(()), "{request}");
    }
}

#[test]
fn the_connectors_that_ship_make_sense() {
    let wrong: Vec<_> = connectors()
        .filter_map(|name| Manifest::connector(name).err())
        .collect();
    assert!(
        wrong.is_empty(),
        "{}",
        wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    );
    assert!(Manifest::connector("no-such-system").is_err());
}

#[test]
fn pointers_are_read_and_written() {
    assert_eq!(Pointer::new("/a~1b/*/c~0").unwrap().0, ["a/b", "*", "c~"]);
    assert_eq!(Pointer::new("/a~1b/*/c~0").unwrap().to_string(), "/a~1b/*/c~0");
    assert_eq!(Pointer::new("").unwrap(), Pointer::new("/").unwrap());
}
