//! The Snowplow tracker protocol (`docs.snowplow.io`, "Snowplow Tracker Protocol"): parameters in a query string, or
//! objects of them in a self-describing `payload_data`.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use uuid::Uuid;

use super::columns::Protocol;
use super::hit::{Hit, Parameters, RequestInfo, object_of, parameters, parameters_of, put_known, put_size};
use super::pages;
use super::record::{Record, time_of_millis};

/// Base64 as trackers write it: of URLs, with padding or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Parameters that are one column each.
const COLUMNS: &[(&str, &str)] = &[
    ("eid", "event_id"),
    ("aid", "app_id"),
    ("p", "platform"),
    ("tna", "name_tracker"),
    ("tv", "v_tracker"),
    ("tid", "txn_id"),
    ("uid", "user_id"),
    ("fp", "user_fingerprint"),
    ("duid", "domain_userid"),
    ("vid", "domain_sessionidx"),
    ("sid", "domain_sessionid"),
    ("ua", "useragent"),
    ("lang", "br_lang"),
    ("cookie", "br_cookies"),
    ("cd", "br_colordepth"),
    ("tz", "os_timezone"),
    ("cs", "doc_charset"),
    ("url", "page_url"),
    ("page", "page_title"),
    ("refr", "page_referrer"),
    ("se_ca", "se_category"),
    ("se_ac", "se_action"),
    ("se_la", "se_label"),
    ("se_pr", "se_property"),
    ("se_va", "se_value"),
    ("tr_id", "tr_orderid"),
    ("tr_af", "tr_affiliation"),
    ("tr_tt", "tr_total"),
    ("tr_tx", "tr_tax"),
    ("tr_sh", "tr_shipping"),
    ("tr_ci", "tr_city"),
    ("tr_st", "tr_state"),
    ("tr_co", "tr_country"),
    ("tr_cu", "tr_currency"),
    ("ti_id", "ti_orderid"),
    ("ti_sk", "ti_sku"),
    ("ti_nm", "ti_name"),
    ("ti_na", "ti_name"),
    ("ti_ca", "ti_category"),
    ("ti_pr", "ti_price"),
    ("ti_qu", "ti_quantity"),
    ("ti_cu", "ti_currency"),
    ("pp_mix", "pp_xoffset_min"),
    ("pp_max", "pp_xoffset_max"),
    ("pp_miy", "pp_yoffset_min"),
    ("pp_may", "pp_yoffset_max"),
];

/// The values of `e`: the event, and the schema that says the same.
const EVENTS: &[(&str, &str, &str)] = &[
    (
        "pv",
        "page_view",
        "iglu:com.snowplowanalytics.snowplow/page_view/jsonschema/1-0-0",
    ),
    (
        "pp",
        "page_ping",
        "iglu:com.snowplowanalytics.snowplow/page_ping/jsonschema/1-0-0",
    ),
    ("se", "struct", "iglu:com.google.analytics/event/jsonschema/1-0-0"),
    (
        "tr",
        "transaction",
        "iglu:com.snowplowanalytics.snowplow/transaction/jsonschema/1-0-0",
    ),
    (
        "ti",
        "transaction_item",
        "iglu:com.snowplowanalytics.snowplow/transaction_item/jsonschema/1-0-0",
    ),
    (
        "ad",
        "ad_impression",
        "iglu:com.snowplowanalytics.snowplow/ad_impression/jsonschema/1-0-0",
    ),
    ("ue", "unstruct", ""),
];

const WEB_PAGE: &str = "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/";

/// The hit in the query of a GET request.
pub(crate) fn decode_query(query: &str, received: &RequestInfo) -> Vec<Hit> {
    let parameters = parameters(query);
    let sent = object_of(&parameters);
    vec![Hit::new(decode(parameters, received), || sent)]
}

/// The hits in the body of a POST request.
///
/// # Errors
/// Why it is not a `payload_data`.
pub(crate) fn decode_body(body: &Value, received: &RequestInfo) -> Result<Vec<Hit>, String> {
    let schema = body.get("schema").and_then(Value::as_str).unwrap_or_default();
    if !schema.contains("/payload_data/") {
        return Err("its schema is not payload_data".into());
    }
    let hits = body
        .get("data")
        .and_then(Value::as_array)
        .ok_or("`data` is not a list")?;
    Ok(hits.iter().map(|hit| decode_object(hit, received)).collect())
}

fn decode_object(hit: &Value, received: &RequestInfo) -> Hit {
    let decoded = match hit.as_object() {
        Some(object) => decode(parameters_of(object), received),
        None => Err("the hit is not an object".into()),
    };
    Hit::new(decoded, || hit.clone())
}

fn decode(parameters: Parameters, received: &RequestInfo) -> Result<Record, String> {
    let mut record = Record::new(Protocol::Snowplow);
    let mut others = put_known(&mut record, parameters, COLUMNS);
    let mut take = |name: &str| -> Option<String> {
        let at = others.iter().rposition(|(parameter, _)| parameter == name)?;
        Some(others.swap_remove(at).1).filter(|value| !value.is_empty())
    };
    let kind = take("e").ok_or("`e` is missing")?;
    let (_, event, schema) = EVENTS
        .iter()
        .find(|(code, ..)| *code == kind)
        .ok_or("`e` is not an event of the tracker protocol")?;
    record.default_text("event", event);

    let self_describing = match (take("ue_pr"), take("ue_px")) {
        (Some(text), _) => Some(envelope("ue_pr", text.as_bytes())?),
        (None, Some(text)) => Some(envelope("ue_px", &unbase64("ue_px", &text)?)?),
        (None, None) => None,
    };
    match self_describing {
        Some(event) => {
            let schema = event.get("schema").and_then(Value::as_str);
            describe(&mut record, schema.ok_or("the self-describing event has no schema")?)?;
            record.json("unstruct_event", event);
        }
        None if kind == "ue" => return Err("`ue_pr` or `ue_px` is missing".into()),
        None => describe(&mut record, schema)?,
    }
    let contexts = match (take("co"), take("cx")) {
        (Some(text), _) => Some(envelope("co", text.as_bytes())?),
        (None, Some(text)) => Some(envelope("cx", &unbase64("cx", &text)?)?),
        (None, None) => None,
    };
    if let Some(contexts) = contexts {
        let list = contexts.as_array().ok_or("the contexts are not a list")?;
        if let Some(id) = page_view_id(list) {
            record.default_text("page_view_id", id);
        }
        record.json("contexts", contexts);
    }

    let mut time = |record: &mut Record, parameter: &str, column| {
        let text = take(parameter)?;
        let time = time_of_millis(&text);
        match time {
            Some(time) => record.time(column, time),
            None => record.extra(parameter, Value::from(text)),
        }
        time
    };
    let created = time(&mut record, "dtm", "dvce_created_tstamp");
    let sent = time(&mut record, "stm", "dvce_sent_tstamp");
    let truth = time(&mut record, "ttm", "true_tstamp");
    record.time("collector_tstamp", received.at);
    // The device's clock may be wrong, but how long the event waited on the device is right by any clock.
    let waited = created.zip(sent).map(|(created, sent)| sent - created);
    let arrived = waited.filter(|waited| *waited > chrono::Duration::zero());
    let derived = arrived.and_then(|waited| received.at.checked_sub_signed(waited));
    record.time("derived_tstamp", truth.or(derived).unwrap_or(received.at));

    for (parameter, columns) in [
        ("res", ["dvce_screenwidth", "dvce_screenheight"]),
        ("vp", ["br_viewwidth", "br_viewheight"]),
        ("ds", ["doc_width", "doc_height"]),
    ] {
        if let Some(size) = take(parameter) {
            put_size(&mut record, columns, parameter, &size);
        }
    }
    for parameter in ["tnuid", "nuid"] {
        if let Some(id) = take(parameter) {
            record.default_text("network_userid", &id);
        }
    }
    record.default_text("network_userid", received.cookie.as_deref().unwrap_or_default());
    record.default_text("useragent", received.user_agent.as_deref().unwrap_or_default());
    let address = take("ip").or_else(|| received.address.map(|address| address.to_string()));
    record.default_text("user_ipaddress", &address.unwrap_or_default());
    if record.get("event_id").is_none() {
        record.default_text("event_id", &Uuid::new_v4().to_string());
    }
    for (parameter, value) in others {
        record.extra(&parameter, Value::from(value));
    }
    pages::describe(&mut record);
    Ok(record)
}

/// The data of a self-describing JSON.
fn envelope(parameter: &str, json: &[u8]) -> Result<Value, String> {
    let mut envelope: Value = serde_json::from_slice(json).map_err(|_| format!("`{parameter}` is not JSON"))?;
    let data = envelope.get_mut("data").map(Value::take);
    data.ok_or_else(|| format!("`{parameter}` is not self-describing JSON"))
}

fn unbase64(parameter: &str, text: &str) -> Result<Vec<u8>, String> {
    let text = text.replace('+', "-").replace('/', "_");
    BASE64.decode(text).map_err(|_| format!("`{parameter}` is not base64"))
}

/// `iglu:vendor/name/format/version` in its columns.
fn describe(record: &mut Record, schema: &str) -> Result<(), String> {
    let parts: Vec<_> = schema.strip_prefix("iglu:").unwrap_or_default().split('/').collect();
    let [vendor, name, format, version] = parts[..] else {
        return Err("the event's schema is not an iglu: URI".into());
    };
    record.default_text("event_vendor", vendor);
    record.default_text("event_name", name);
    record.default_text("event_format", format);
    record.default_text("event_version", version);
    Ok(())
}

fn page_view_id(contexts: &[Value]) -> Option<&str> {
    let is_page = |context: &&Value| {
        let schema = context.get("schema").and_then(Value::as_str);
        schema.is_some_and(|schema| schema.starts_with(WEB_PAGE))
    };
    contexts.iter().find(is_page)?.pointer("/data/id")?.as_str()
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
            user_agent: Some("curl".into()),
            cookie: None,
        }
    }

    fn record(parameters: &[(&str, &str)]) -> Result<Value, String> {
        let parameters = parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        decode(parameters.collect(), &received()).map(Record::finish)
    }

    #[test]
    fn a_page_view_with_its_contexts() {
        let contexts = json!({"schema": "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0", "data": [
            {"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": {"id": "PV"}}]});
        let encoded = base64::engine::general_purpose::STANDARD.encode(contexts.to_string());
        let hit = record(&[
            ("e", "pv"),
            ("eid", "E1"),
            ("p", "web"),
            ("dtm", "1700000000000"),
            ("stm", "1700000060000"),
            ("res", "1440x900"),
            ("vp", "broken"),
            ("tnuid", "N"),
            ("cx", &encoded),
            ("zz", "?"),
        ])
        .unwrap();
        let expected = json!({
            "event": "page_view", "event_name": "page_view", "event_id": "E1", "page_view_id": "PV",
            "dvce_created_tstamp": "2023-11-14T22:13:20.000000Z", "derived_tstamp": "2023-11-14T22:14:00.000000Z",
            "dvce_screenwidth": 1440, "network_userid": "N", "useragent": "curl", "user_ipaddress": "203.0.113.7",
            "contexts": contexts["data"], "extra": {"vp": "broken", "zz": "?"},
        });
        for (column, value) in expected.as_object().unwrap() {
            assert_eq!(&hit[column], value, "{column}");
        }
    }

    #[test]
    fn self_describing_events_name_themselves() {
        let event = json!({"schema": "iglu:com.acme/link_click/jsonschema/2-0-1", "data": {"href": "/x"}});
        let envelope = json!({"schema": "iglu:x/unstruct_event/jsonschema/1-0-0", "data": event}).to_string();
        let hit = record(&[("e", "ue"), ("ue_pr", &envelope)]).unwrap();
        assert_eq!(hit["event_vendor"], "com.acme");
        assert_eq!(hit["event_name"], "link_click");
        assert_eq!(hit["event_version"], "2-0-1");
        assert_eq!(hit["unstruct_event"], event);
        assert!(hit["event_id"].as_str().is_some_and(|id| id.len() == 36));
    }

    #[test]
    fn what_is_not_a_hit_has_a_reason_that_quotes_nothing() {
        for (parameters, reason) in [
            (&[("p", "web")][..], "`e` is missing"),
            (&[("e", "zz")], "not an event of the tracker protocol"),
            (&[("e", "ue")], "`ue_pr` or `ue_px` is missing"),
            (&[("e", "ue"), ("ue_pr", "{")], "`ue_pr` is not JSON"),
            (&[("e", "pv"), ("cx", "***")], "`cx` is not base64"),
            (&[("e", "pv"), ("co", r#"{"data":{}}"#)], "not a list"),
        ] {
            let error = record(parameters).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn a_body_holds_hits() {
        let body = json!({"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
            "data": [{"e": "pv", "vid": 3}, 7]});
        let hits = decode_body(&body, &received()).unwrap();
        let [Hit::Record(first), Hit::Malformed { sent, .. }] = &hits[..] else {
            panic!("{hits:?}");
        };
        assert_eq!(first.get("domain_sessionidx"), Some(&json!(3)));
        assert_eq!(sent, &json!(7));
        assert!(decode_body(&json!({"data": []}), &received()).is_err());
        assert!(decode_body(&json!([1]), &received()).is_err());
    }
}
