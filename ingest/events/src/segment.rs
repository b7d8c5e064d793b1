//! Segment's tracking specification (`segment.com/docs/connections/spec`): messages as JSON, one or a batch.

use serde_json::{Map, Value};

use super::columns::Protocol;
use super::hit::{Hit, RequestInfo};
use super::pages;
use super::record::{Record, time_of_iso};

/// Types of messages, and the field that each must have besides an identity.
const TYPES: &[(&str, Option<&str>)] = &[
    ("track", Some("event")),
    ("page", None),
    ("screen", None),
    ("identify", None),
    ("group", Some("groupId")),
    ("alias", Some("previousId")),
];

/// Places in a message that are one column each; of several, the first that has a value counts.
const COLUMNS: &[(&str, &str)] = &[
    ("/messageId", "event_id"),
    ("/event", "event"),
    ("/name", "name"),
    ("/properties/name", "name"),
    ("/category", "category"),
    ("/properties/category", "category"),
    ("/userId", "user_id"),
    ("/anonymousId", "anonymous_id"),
    ("/previousId", "previous_id"),
    ("/groupId", "group_id"),
    ("/channel", "channel"),
    ("/context/ip", "user_ipaddress"),
    ("/context/userAgent", "useragent"),
    ("/context/locale", "br_lang"),
    ("/context/timezone", "os_timezone"),
    ("/context/library/name", "library_name"),
    ("/context/library/version", "library_version"),
    ("/context/screen/width", "dvce_screenwidth"),
    ("/context/screen/height", "dvce_screenheight"),
    ("/context/page/url", "page_url"),
    ("/context/page/title", "page_title"),
    ("/context/page/referrer", "page_referrer"),
    ("/properties/url", "page_url"),
    ("/properties/title", "page_title"),
    ("/properties/referrer", "page_referrer"),
    ("/context/campaign/name", "mkt_campaign"),
    ("/context/campaign/source", "mkt_source"),
    ("/context/campaign/medium", "mkt_medium"),
    ("/context/campaign/term", "mkt_term"),
    ("/context/campaign/content", "mkt_content"),
    ("/properties/order_id", "order_id"),
    ("/properties/revenue", "revenue"),
    ("/properties/total", "total"),
    ("/properties/value", "value"),
    ("/properties/currency", "currency"),
    ("/properties/product_id", "product_id"),
    ("/properties/sku", "sku"),
];

/// Free-form parts, each with the column of its name.
const FREE_FORM: [&str; 4] = ["properties", "traits", "context", "integrations"];

/// Fields that have their columns already, or say nothing about the message.
const KNOWN: &[&str] = &[
    "messageId",
    "type",
    "event",
    "name",
    "category",
    "userId",
    "anonymousId",
    "previousId",
    "groupId",
    "channel",
    "timestamp",
    "originalTimestamp",
    "sentAt",
    "writeKey",
];

/// The messages of a request; `path` is what its path says they are: a type, `batch`, or nothing.
///
/// # Errors
/// Why the body is none of that.
pub(crate) fn decode_body(path: Option<&str>, body: Value, received: &RequestInfo) -> Result<Vec<Hit>, String> {
    let Value::Object(mut body) = body else {
        return Err("the body is not an object".into());
    };
    if path != Some("batch") && (path.is_some() || !body.contains_key("batch")) {
        return Ok(vec![message(path, body, None, received)]);
    }
    let sent_at = body.get("sentAt").cloned();
    let shared_context = body.remove("context");
    let Some(Value::Array(messages)) = body.remove("batch") else {
        return Err("`batch` is not a list".into());
    };
    let one = |body| match body {
        Value::Object(mut fields) => {
            // What the batch says counts for each of its messages that does not say it itself.
            if let Some(context) = &shared_context {
                fields.entry("context").or_insert_with(|| context.clone());
            }
            message(None, fields, sent_at.clone(), received)
        }
        sent => {
            let reason = "the message is not an object".to_owned();
            Hit::Malformed { reason, sent }
        }
    };
    Ok(messages.into_iter().map(one).collect())
}

fn message(path: Option<&str>, mut fields: Map<String, Value>, sent_at: Option<Value>, received: &RequestInfo) -> Hit {
    if let Some(sent_at) = sent_at {
        fields.entry("sentAt").or_insert(sent_at);
    }
    fields.remove("writeKey");
    let body = Value::Object(fields);
    let decoded = decode(path, &body, received);
    Hit::new(decoded, || body)
}

fn decode(path: Option<&str>, body: &Value, received: &RequestInfo) -> Result<Record, String> {
    let text = |field: &str| body.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    let named = path.or_else(|| text("type")).ok_or("`type` is missing")?;
    let (kind, required) = TYPES
        .iter()
        .find(|(name, _)| *name == named)
        .ok_or("`type` is not a type of the specification")?;
    let has = |field: &str| body.get(field).is_some_and(|value| !value.is_null() && value != "");
    if let Some(field) = required.filter(|field| !has(field)) {
        return Err(format!("`{field}` is missing"));
    }
    if !has("userId") && !has("anonymousId") && *kind != "alias" {
        return Err("`userId` and `anonymousId` are missing".into());
    }

    let mut record = Record::new(Protocol::Segment);
    record.default_text("type", kind);
    for (place, column) in COLUMNS {
        if record.get(column).is_some() {
            continue;
        }
        // What is not a value of the column stays where it is: in the free-form part.
        match body.pointer(place) {
            Some(value) if place.matches('/').count() == 1 => record.put_json(column, &place[1..], value),
            Some(value) if !value.is_object() && !value.is_array() && !value.is_null() => {
                put_if_readable(&mut record, column, value);
            }
            _ => {}
        }
    }
    let mut time = |field: &str| {
        let text = text(field)?;
        let time = time_of_iso(text);
        if time.is_none() {
            record.extra(field, Value::from(text));
        }
        time
    };
    let original = time("originalTimestamp");
    let original = original.or(time("timestamp"));
    let sent = time("sentAt");
    for (column, value) in [("original_timestamp", original), ("sent_at", sent)] {
        if let Some(value) = value {
            record.time(column, value);
        }
    }
    record.time("collector_tstamp", received.at);
    // As Segment does it: the device's clock is as wrong when it sends as it was when the event happened.
    let derived = match (original, sent) {
        (Some(original), Some(sent)) => received.at.checked_sub_signed(sent - original),
        (original, _) => original,
    };
    record.time("derived_tstamp", derived.unwrap_or(received.at));
    record.default_text("useragent", received.user_agent.as_deref().unwrap_or_default());
    let address = received.address.map(|address| address.to_string());
    record.default_text("user_ipaddress", &address.unwrap_or_default());
    if record.get("event_id").is_none() {
        record.default_text("event_id", &uuid::Uuid::new_v4().to_string());
    }
    for (field, value) in body.as_object().into_iter().flatten() {
        let column = FREE_FORM.into_iter().find(|column| column == field);
        match column {
            _ if value.is_null() || KNOWN.contains(&field.as_str()) => {}
            Some(column) => record.json(column, value.clone()),
            None => record.extra(field, value.clone()),
        }
    }
    if let Some(context) = record.values_mut().get_mut("context").and_then(Value::as_object_mut) {
        // It has a column, where it is shortened.
        context.shift_remove("ip");
    }
    pages::describe(&mut record);
    Ok(record)
}

/// Puts a value that also stays in its free-form part, so that nothing is lost if it is not of the column's type.
fn put_if_readable(record: &mut Record, column: &'static str, value: &Value) {
    const PLACE: &str = "unreadable";
    record.put_json(column, PLACE, value);
    record.extra_mut().shift_remove(PLACE);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;

    fn received() -> RequestInfo {
        RequestInfo {
            at: DateTime::from_timestamp_millis(1_700_000_100_000).unwrap(),
            address: Some([203, 0, 113, 7].into()),
            ..RequestInfo::default()
        }
    }

    #[test]
    fn an_order_is_tracked() {
        let body = json!({
            "messageId": "M1", "event": "Order Completed", "anonymousId": "A", "writeKey": "k",
            "timestamp": "2023-11-14T22:13:20Z", "sentAt": "2023-11-14T22:13:30Z", "shade": 1,
            "properties": {"order_id": 7, "revenue": 39.9, "total": "n/a", "products": [{"sku": "B7"}]},
            "context": {"ip": "198.51.100.4", "page": {"url": "https://shop.example/thanks"}, "library": {"name": "x"}},
        });
        let hits = decode_body(Some("track"), body, &received()).unwrap();
        let [Hit::Record(record)] = &hits[..] else {
            panic!("{hits:?}");
        };
        let hit = record.as_ref().clone().finish();
        let expected = json!({
            "type": "track", "event": "Order Completed", "event_id": "M1", "order_id": "7", "revenue": "39.9",
            "derived_tstamp": "2023-11-14T22:14:50.000000Z", "user_ipaddress": "198.51.100.4",
            "page_urlhost": "shop.example", "library_name": "x", "extra": {"shade": 1},
            "context": {"page": {"url": "https://shop.example/thanks"}, "library": {"name": "x"}},
        });
        for (column, value) in expected.as_object().unwrap() {
            assert_eq!(&hit[column], value, "{column}");
        }
        assert_eq!(hit["properties"]["total"], "n/a");
        assert_eq!(hit.get("total"), None);
    }

    #[test]
    fn a_batch_shares_what_its_messages_do_not_say() {
        let body = json!({"sentAt": "2023-11-14T22:15:00Z", "context": {"locale": "es-ES"}, "batch": [
            {"type": "identify", "userId": "u", "traits": {"plan": "pro"}},
            {"type": "page", "anonymousId": "a", "name": "Home", "context": {"locale": "ca-ES"}},
            {"type": "track", "userId": "u"},
            {"type": "page"},
            {"type": "dance", "userId": "u"},
            "x",
        ]});
        let hits = decode_body(None, body, &received()).unwrap();
        let records: Vec<_> = hits
            .iter()
            .filter_map(|hit| match hit {
                Hit::Record(record) => Some(record),
                Hit::Malformed { .. } => None,
            })
            .collect();
        assert_eq!((hits.len(), records.len()), (6, 2));
        assert_eq!(records[0].text("br_lang"), Some("es-ES"));
        assert_eq!(records[1].text("br_lang"), Some("ca-ES"));
        assert_eq!(records[1].text("name"), Some("Home"));
        assert!(decode_body(Some("batch"), json!({}), &received()).is_err());
        assert!(decode_body(Some("track"), json!([]), &received()).is_err());
    }
}
