//! What sites write freely (addresses of pages, properties, contexts), without what tells of a person.
//!
//! Nobody knows what is in it. So of a visitor who is not to be recognised only what is known to be harmless stays, by
//! its name; and of addresses of machines, wherever they stand, what the source keeps of them.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use cordada_core::names::snake_case;
use cordada_core::shown::without_persons;
use serde_json::{Map, Value};

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
        Value::String(text) => impersonal(text)?.into(),
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

/// The text without addresses of e-mail and of machines; `None` if nothing is left.
pub(crate) fn impersonal(text: &str) -> Option<String> {
    let text = without_persons(text);
    let text = addresses(&text, &|_| None).into_owned();
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
            if let Cow::Owned(kept) = addresses(text, keep) {
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
            // A version of four numbers looks like an address.
            fields.retain(|name, value| snake_case(name).contains("version") || keep_addresses(value, keep));
            true
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The text with `keep` of each address of a machine in it, apart from the hosts of URLs, which are nobody's.
fn addresses<'t>(text: &'t str, keep: &dyn Fn(IpAddr) -> Option<IpAddr>) -> Cow<'t, str> {
    let is_possible = text.bytes().any(|byte| byte == b'.' || byte == b':') || text.contains("%3");
    if !is_possible {
        return Cow::Borrowed(text);
    }
    let is_address = text.starts_with('/') || text.starts_with("http");
    let ends = |c: char| c.is_whitespace() || ",;\"'(){}<>=&?|[]#".contains(c) || (is_address && c == '/');
    let (mut kept, mut changed, mut slashes) = (String::with_capacity(text.len()), false, 0);
    for part in text.split_inclusive(ends) {
        let end = part.char_indices().next_back().filter(|(_, c)| ends(*c));
        let (word, end) = part.split_at(end.map_or(part.len(), |(at, _)| at));
        // `https:` and nothing are before the host.
        let is_host = is_address && text.starts_with("http") && slashes == 2;
        match of_word(word, keep).filter(|_| !is_host) {
            Some(new) => {
                changed |= new != word;
                kept.push_str(&new);
            }
            None => kept.push_str(word),
        }
        slashes += usize::from(end == "/");
        kept.push_str(end);
    }
    match changed {
        true => Cow::Owned(kept),
        false => Cow::Borrowed(text),
    }
}

/// What is kept of a word that is an address: with a port, a network, a name before it, or colons as URLs write them.
fn of_word(word: &str, keep: &dyn Fn(IpAddr) -> Option<IpAddr>) -> Option<String> {
    let colons = |text: &str| text.replace("%3A", ":").replace("%3a", ":");
    let plain = colons(word);
    let parsed = |text: &str| text.parse::<IpAddr>().ok();
    let text = |address: Option<IpAddr>| address.map(|address| address.to_string()).unwrap_or_default();
    if let Some(address) = parsed(plain.trim_end_matches('.')) {
        let kept = text(keep(address));
        return Some(if word.contains('%') {
            kept.replace(':', "%3A")
        } else {
            kept
        });
    }
    if let Ok(socket) = plain.parse::<SocketAddr>() {
        return Some(text(keep(socket.ip())));
    }
    if let Some((address, bits)) = plain.split_once('/')
        && bits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Some(text(keep(parsed(address)?)));
    }
    let (name, address) = plain.rsplit_once(':')?;
    let address = parsed(address)?;
    Some(format!("{name}:{}", text(keep(address))))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
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
            (json!("1.2.3.4"), json!("1.2.3.0")),
            (json!("1.2.3.4:8080"), json!("1.2.3.0")),
            (json!("from 1.2.3.4, 5.6.7.8."), json!("from 1.2.3.0, 1.2.3.0")),
            (json!("ip:1.2.3.4"), json!("ip:1.2.3.0")),
            (json!("1.2.3.4/32"), json!("1.2.3.0")),
            (
                json!("https://1.2.3.4/a?ip=1.2.3.4&b=1#1.2.3.4"),
                json!("https://1.2.3.4/a?ip=1.2.3.0&b=1#1.2.3.0"),
            ),
            (
                json!("https://a.example/by/1.2.3.4/x"),
                json!("https://a.example/by/1.2.3.0/x"),
            ),
            (json!("?ip=2001%3Adb8%3A%3A1&x"), json!("?ip=&x")),
            (json!({"a": [{"ip": "2001:db8::1", "n": 1}]}), json!({"a": [{"n": 1}]})),
            (json!({"appVersion": "1.2.3.4"}), json!({"appVersion": "1.2.3.4"})),
            (
                json!("Chrome/120.0.0.0 at 10:20:30, 1.5"),
                json!("Chrome/120.0.0.0 at 10:20:30, 1.5"),
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
        });
        let expected = json!({
            "price": 9.5, "currency": "EUR", "products": [{"sku": "B7", "name": "Rope"}],
            "url": "https://shop.example/a", "title": "Hello … at ",
            "campaign": {"name": "may", "source": "news"}, "consent": {"categoryPreferences": {"Analytics": true}},
        });
        assert_eq!(harmless(&sent, "properties").unwrap(), expected);
        assert_eq!(harmless(&json!({"email": "a@b.es"}), "properties"), None);
        assert_eq!(
            plain_address("https://ana:x@shop.example/ana@example.org/?q#f"),
            "https://…@shop.example/…/"
        );
    }

    proptest! {
        #[test]
        fn no_whole_address_stays(before in "[a-z ,=(]{0,5}[ ,=(]|", address: [u8; 4], after in "[ ,)&;][a-z0-9]{0,5}|") {
            let address = IpAddr::from(address).to_string();
            let mut value = json!({"a": [format!("{before}{address}{after}")]});
            keep_addresses(&mut value, &|_| None);
            prop_assert!(!value.to_string().contains(&address), "{}", value);
        }
    }
}
