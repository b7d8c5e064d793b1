//! What sites write freely (addresses of pages, properties, contexts), without what tells of a person.
//!
//! Nobody knows what is in it. So of a visitor who is not to be recognised only what is known to be harmless stays, by
//! its name; and of addresses of machines, wherever they stand, what the source keeps of them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};

use cordada_core::names::snake_case;
use cordada_core::shown::without_persons;
use serde_json::{Map, Value};

use super::addresses::replaced;

/// Names of fields that say nothing of a person, wherever they are: of Segment's specification (the parts of a context,
/// commerce), and of Snowplow's own schemas.
const HARMLESS: &[&str] = &[
    "affiliation",
    "app",
    "brand",
    "build",
    "campaign",
    "category",
    "category_preferences",
    "color_depth",
    "consent",
    "content",
    "content_id",
    "coupon",
    "currency",
    "data",
    "density",
    "discount",
    "height",
    "image_url",
    "inner_height",
    "inner_width",
    "items",
    "language",
    "library",
    "list_id",
    "locale",
    "medium",
    "order_total",
    "os",
    "page",
    "path",
    "payment_method",
    "position",
    "price",
    "product",
    "product_id",
    "products",
    "quantity",
    "referrer",
    "revenue",
    "schema",
    "screen",
    "shipping",
    "shipping_method",
    "sku",
    "source",
    "step",
    "subtotal",
    "target_url",
    "tax",
    "term",
    "timezone",
    "title",
    "total",
    "url",
    "value",
    "variant",
    "version",
    "width",
];

/// Those of them that hold something, and no text of their own: what stands there instead is of a site's making.
const HOLDERS: &[&str] = &[
    "category_preferences",
    "consent",
    "data",
    "items",
    "page",
    "product",
    "products",
    "value",
];

/// What has a name that is not a person's.
const NAMED: &[&str] = &["app", "campaign", "items", "library", "os", "product", "products"];

/// What of it is known to say nothing of a person; `None` if nothing is. `within` is the name of what it is in.
pub(crate) fn harmless(value: &Value, within: &str) -> Option<Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) if ["url", "referrer", "target_url", "image_url"].contains(&within) => {
            plain_address(text).into()
        }
        Value::String(text) if has_text(within) || text.parse::<f64>().is_ok() => impersonal(text)?.into(),
        Value::String(_) => return None,
        Value::Array(items) => Value::Array(items.iter().filter_map(|item| harmless(item, within)).collect()),
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(field, value)| {
                let name = snake_case(field);
                let is_harmless = HARMLESS.contains(&name.as_str())
                    || (name == "name" && NAMED.contains(&within))
                    || (value.is_boolean() && within == "category_preferences");
                let kept = is_harmless.then(|| harmless(value, &name)).flatten()?;
                Some((field.clone(), kept))
            });
            let kept: Map<String, Value> = kept.collect();
            match kept.is_empty() {
                true => return None,
                false => Value::Object(kept),
            }
        }
    })
}

/// Whether a field of that name has a text that is known to be harmless.
fn has_text(name: &str) -> bool {
    name == "name" || (HARMLESS.contains(&name) && !HOLDERS.contains(&name))
}

/// The text without addresses of e-mail and of machines; `None` if nothing is left.
pub(crate) fn impersonal(text: &str) -> Option<String> {
    let text = without_persons(text);
    let text = replaced(&text, &|_| None).into_owned();
    (!text.is_empty()).then_some(text)
}

/// An address of a page without its query and its fragment, and who logs in.
pub(crate) fn plain_address(text: &str) -> String {
    let end = text.find(['?', '#', ';']).unwrap_or(text.len());
    impersonal(&text[..end]).unwrap_or_default()
}

/// What is kept of the addresses of machines in the value, down to its last field. `false` for one of which nothing is.
pub(crate) fn keep_addresses(value: &mut Value, keep: &dyn Fn(IpAddr) -> Option<IpAddr>) -> bool {
    match value {
        Value::String(text) => {
            if let Cow::Owned(kept) = replaced(text, keep) {
                if kept.is_empty() {
                    return false;
                }
                *text = kept;
            }
            true
        }
        Value::Array(items) => {
            items.retain_mut(|item| keep_addresses(item, keep));
            true
        }
        Value::Object(fields) => {
            keep_addresses_of(fields, keep);
            true
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The same of fields, and of their names.
pub(crate) fn keep_addresses_of(fields: &mut Map<String, Value>, keep: &dyn Fn(IpAddr) -> Option<IpAddr>) {
    fields.retain(|name, value| is_version(name, value) || keep_addresses(value, keep));
    if !fields.keys().any(|name| matches!(replaced(name, keep), Cow::Owned(_))) {
        return;
    }
    for (name, value) in std::mem::take(fields) {
        let mut name = replaced(&name, keep).into_owned();
        // Two machines of one network are one name, and none of them goes for that.
        while fields.contains_key(&name) {
            name.push('_');
        }
        fields.insert(name, value);
    }
}

/// Whether it is a version of four numbers, which looks like an address.
fn is_version(name: &str, value: &Value) -> bool {
    let is_named = || snake_case(name).rsplit('_').next() == Some("version");
    value.as_str().is_some_and(|text| text.parse::<Ipv4Addr>().is_ok()) && is_named()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shortened(value: Value) -> Value {
        let mut value = value;
        let keep = |address: IpAddr| match address {
            IpAddr::V4(_) => Some([1, 2, 3, 0].into()),
            IpAddr::V6(_) => None,
        };
        keep_addresses(&mut value, &keep);
        value
    }

    #[test]
    fn addresses_of_machines_are_found_wherever_they_stand() {
        for (sent, expected) in [
            (json!("from 1.2.3.4, 5.6.7.8."), json!("from 1.2.3.0, 1.2.3.0")),
            (json!({"a": [{"ip": "2001:db8::1", "n": 1}]}), json!({"a": [{"n": 1}]})),
            (json!({"appVersion": "1.2.3.4"}), json!({"appVersion": "1.2.3.4"})),
            (
                json!({"conversion": "1.2.3.4", "version": "at 1.2.3.4", "con-version-ip": "1.2.3.4"}),
                json!({"conversion": "1.2.3.0", "version": "at 1.2.3.0", "con-version-ip": "1.2.3.0"}),
            ),
            (
                json!({"version": {"ip": "1.2.3.4"}}),
                json!({"version": {"ip": "1.2.3.0"}}),
            ),
            (
                json!({"by": {"1.2.3.4": 1, "1.2.3.5": 2, "x": 3}}),
                json!({"by": {"1.2.3.0": 1, "1.2.3.0_": 2, "x": 3}}),
            ),
            (json!(["::1", 5]), json!([5])),
        ] {
            assert_eq!(shortened(sent.clone()), expected, "{sent}");
        }
    }

    #[test]
    fn only_what_is_known_to_be_harmless_stays() {
        let sent = json!({
            "email": "ana@example.org", "name": "Ana", "crmId": 7, "plan": "gold", "price": 9.5, "currency": "EUR",
            "products": [{"sku": "B7", "name": "Rope", "owner": "Ana"}, {"owner": "Ana"}],
            "url": "https://shop.example/a?email=ana@example.org#x", "title": "Hello ana@example.org at 1.2.3.4",
            "campaign": {"name": "may", "source": "news", "click": "c1"},
            "consent": {"categoryPreferences": {"Analytics": true, "id": "c"}, "id": "u"},
            "traits": {"email": "ana@example.org"},
            "data": "Ana of Main Street 5", "value": "Ana", "items": ["Ana", {"sku": "B8"}], "product": "Ana's rope",
        });
        assert_eq!(
            harmless(&json!({"value": "9.50"}), "properties"),
            Some(json!({"value": "9.50"}))
        );
        assert_eq!(harmless(&json!(["Ana"]), "properties"), Some(json!([])));
        let expected = json!({
            "price": 9.5, "currency": "EUR", "products": [{"sku": "B7", "name": "Rope"}],
            "url": "https://shop.example/a", "title": "Hello … at ",
            "campaign": {"name": "may", "source": "news"}, "consent": {"categoryPreferences": {"Analytics": true}},
            "items": [{"sku": "B8"}],
        });
        assert_eq!(harmless(&sent, "properties").unwrap(), expected);
        assert_eq!(harmless(&json!({"email": "a@b.es"}), "properties"), None);
        assert_eq!(
            plain_address("https://ana:x@shop.example/ana@example.org/?q#f"),
            "https://…@shop.example/…/"
        );
    }
}
