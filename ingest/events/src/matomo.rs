//! Matomo's Tracking HTTP API (`developer.matomo.org/api-reference/tracking-api`): parameters in a query string or a
//! form, or many of them in a bulk request.

use chrono::{DateTime, Duration, NaiveDateTime, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::columns::Protocol;
use super::hit::{Hit, Parameters, RequestInfo, object_of, parameters, parameters_of, put_known, put_size};
use super::pages;
use super::record::{Record, money, scalar_text};

/// Parameters that are one column each.
const COLUMNS: &[(&str, &str)] = &[
    ("idsite", "site_id"),
    ("action_name", "page_title"),
    ("url", "page_url"),
    ("urlref", "page_referrer"),
    ("_id", "visitor_id"),
    ("uid", "user_id"),
    ("pv_id", "page_view_id"),
    ("new_visit", "new_visit"),
    ("ua", "useragent"),
    ("lang", "br_lang"),
    ("cookie", "br_cookies"),
    ("link", "link"),
    ("download", "download"),
    ("search", "search"),
    ("search_cat", "search_category"),
    ("search_count", "search_count"),
    ("e_c", "event_category"),
    ("e_a", "event_action"),
    ("e_n", "event_name"),
    ("e_v", "event_value"),
    ("c_n", "content_name"),
    ("c_p", "content_piece"),
    ("c_t", "content_target"),
    ("c_i", "content_interaction"),
    ("idgoal", "goal_id"),
    ("ec_id", "order_id"),
    ("revenue", "revenue"),
    ("ec_st", "subtotal"),
    ("ec_tx", "tax"),
    ("ec_sh", "shipping"),
    ("ec_dt", "discount"),
    ("_pks", "product_sku"),
    ("_pkn", "product_name"),
    ("_pkc", "product_category"),
    ("_pkp", "product_price"),
    ("pf_net", "time_network"),
    ("pf_srv", "time_server"),
    ("pf_tfr", "time_transfer"),
    ("pf_dm1", "time_dom_processing"),
    ("pf_dm2", "time_dom_completion"),
    ("pf_onl", "time_on_load"),
    ("country", "country"),
    ("region", "region"),
    ("city", "city"),
    ("_rcn", "mkt_campaign"),
    ("_rck", "mkt_term"),
];

/// Parameters that say nothing about the hit: what keeps caches away, and how to answer.
const MEANINGLESS: &[&str] = &["rand", "rec", "apiv", "send_image", "queuedtracking", "h", "m", "s"];

/// How late a hit may say it happened without the token, as with Matomo itself.
const LATEST: Duration = Duration::days(1);

/// The hits of a request, and whether it was a bulk one, which is answered in JSON.
pub(crate) struct Request {
    pub(crate) hits: Vec<Hit>,
    pub(crate) is_bulk: bool,
}

/// The hit in a query string or a form. `is_token` tells whether a `token_auth` is that of the configuration.
pub(crate) fn decode_query(query: &str, received: &RequestInfo, is_token: &dyn Fn(&str) -> bool) -> Hit {
    let mut parameters = parameters(query);
    let trusted = take_token(&mut parameters).is_some_and(|token| is_token(&token));
    hit(parameters, received, trusted)
}

/// The hits of a POST request: a form (with what the query says besides), or a bulk request.
pub(crate) fn decode_body(query: &str, body: &str, received: &RequestInfo, is_token: &dyn Fn(&str) -> bool) -> Request {
    if !body.trim_start().starts_with('{') {
        let hit = decode_query(&format!("{query}&{body}"), received, is_token);
        return Request {
            hits: vec![hit],
            is_bulk: false,
        };
    }
    let hits = match serde_json::from_str::<Value>(body) {
        Ok(body) => bulk(&body, received, is_token),
        Err(_) => Err("the bulk request is not JSON".to_owned()),
    };
    let hits = hits.unwrap_or_else(|reason| {
        let sent = Value::from(body);
        vec![Hit::Malformed { reason, sent }]
    });
    Request { hits, is_bulk: true }
}

fn bulk(body: &Value, received: &RequestInfo, is_token: &dyn Fn(&str) -> bool) -> Result<Vec<Hit>, String> {
    let requests = body
        .get("requests")
        .and_then(Value::as_array)
        .ok_or("`requests` is not a list")?;
    let token = body.get("token_auth").and_then(Value::as_str);
    let trusted = token.is_some_and(is_token);
    let one = |request: &Value| {
        let mut parameters = match request {
            Value::String(text) => parameters(text.split_once('?').map_or(text.as_str(), |(_, query)| query)),
            Value::Object(object) => parameters_of(object),
            other => {
                let reason = "a request is neither text nor an object".to_owned();
                return Hit::Malformed {
                    reason,
                    sent: other.clone(),
                };
            }
        };
        let own = take_token(&mut parameters).is_some_and(|token| is_token(&token));
        hit(parameters, received, trusted || own)
    };
    Ok(requests.iter().map(one).collect())
}

/// Takes the secret out of the parameters, so that it is stored nowhere.
fn take_token(parameters: &mut Parameters) -> Option<String> {
    let mut token = None;
    parameters.retain_mut(|(name, value)| {
        let keep = name != "token_auth";
        if !keep {
            token = Some(std::mem::take(value));
        }
        keep
    });
    token
}

fn hit(parameters: Parameters, received: &RequestInfo, trusted: bool) -> Hit {
    let sent = object_of(&parameters);
    Hit::new(decode(parameters, received, trusted), || sent)
}

fn decode(parameters: Parameters, received: &RequestInfo, trusted: bool) -> Result<Record, String> {
    let is_tracking = |(name, value): &(String, String)| name == "rec" && value == "1";
    if !parameters.iter().any(is_tracking) {
        return Err("`rec` is not 1".into());
    }
    let mut record = Record::new(Protocol::Matomo);
    let others = put_known(&mut record, parameters, COLUMNS);
    let site = record.text("site_id").ok_or("`idsite` is missing")?;
    if !site.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("`idsite` is not a number".into());
    }
    let (mut address, mut time, mut is_ping) = (None, None, false);
    let mut dimensions = Map::new();
    for (name, value) in others {
        match name.as_str() {
            _ if value.is_empty() || MEANINGLESS.contains(&name.as_str()) => {}
            "cid" => {
                record.remove("visitor_id");
                record.default_text("visitor_id", &value);
            }
            "res" => put_size(&mut record, ["dvce_screenwidth", "dvce_screenheight"], "res", &value),
            "ping" => is_ping = value == "1",
            "cip" if trusted => address = Some(value),
            // Only who has the token may speak for another address.
            "cip" => {}
            "cdt" => match cdt(&value).filter(|time| trusted || received.at - *time < LATEST) {
                Some(at) => time = Some(at),
                None => record.extra("cdt", Value::from(value)),
            },
            "ec_items" => match items(&value) {
                Some(items) => record.json("items", items),
                None => record.extra("ec_items", Value::from(value)),
            },
            "_cvar" => custom_variables(&mut record, "custom_variables", "_cvar", &value),
            "cvar" => custom_variables(&mut record, "page_custom_variables", "cvar", &value),
            other if is_dimension(other) => {
                dimensions.insert(name, Value::from(value));
            }
            other => record.extra(other, Value::from(value)),
        }
    }
    if !dimensions.is_empty() {
        record.json("dimensions", Value::Object(dimensions));
    }
    record.time("collector_tstamp", received.at);
    record.time("derived_tstamp", time.unwrap_or(received.at));
    record.default_text("visitor_id", received.cookie.as_deref().unwrap_or_default());
    record.default_text("useragent", received.user_agent.as_deref().unwrap_or_default());
    let address = address.or_else(|| received.address.map(|address| address.to_string()));
    record.default_text("user_ipaddress", &address.unwrap_or_default());
    record.default_text("event_id", &Uuid::new_v4().to_string());
    let event = if is_ping { "ping" } else { event(&record) };
    record.default_text("event", event);
    pages::describe(&mut record);
    Ok(record)
}

/// What happened, by the parameters that are there, as Matomo tells it.
fn event(record: &Record) -> &'static str {
    let has = |column| record.get(column).is_some();
    match record.text("goal_id") {
        Some("0") if has("order_id") => "order",
        Some("0") => "cart",
        Some(_) => "goal",
        None if has("event_category") => "event",
        None if has("content_name") => "content",
        None if has("search") => "search",
        None if has("download") => "download",
        None if has("link") => "outlink",
        None => "page_view",
    }
}

fn is_dimension(name: &str) -> bool {
    let number = name.strip_prefix("dimension");
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Seconds since 1970, or a date and time, in UTC.
fn cdt(text: &str) -> Option<DateTime<Utc>> {
    match text.parse::<i64>() {
        Ok(seconds) => super::record::time_of_millis(&seconds.checked_mul(1000)?.to_string()),
        Err(_) => {
            let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").ok()?;
            Some(time.and_utc())
        }
    }
}

/// `[[sku, name, category or categories, price, quantity], …]` as records.
fn items(text: &str) -> Option<Value> {
    let items: Vec<Vec<Value>> = serde_json::from_str(text).ok()?;
    let item = |fields: &Vec<Value>| {
        let text = |at: usize| fields.get(at).map(scalar_text).filter(|text| !text.is_empty());
        let categories = match fields.get(2) {
            Some(Value::Array(many)) => many.iter().map(|category| Value::from(scalar_text(category))).collect(),
            Some(Value::Null) | None => Vec::new(),
            Some(one) => vec![Value::from(scalar_text(one))],
        };
        let quantity = text(4)
            .and_then(|text| text.parse::<f64>().ok())
            .filter(|number| number.is_finite());
        json!({
            "sku": text(0),
            "name": text(1),
            "categories": categories,
            "price": text(3).and_then(|text| money(&text)),
            "quantity": quantity,
        })
    };
    Some(items.iter().map(item).collect())
}

/// `{"1": [name, value], …}` as it is; what is not JSON stays what it is.
fn custom_variables(record: &mut Record, column: &'static str, parameter: &str, text: &str) {
    match serde_json::from_str::<Value>(text) {
        Ok(variables @ Value::Object(_)) => record.json(column, variables),
        // PHP writes an object without entries as a list.
        Ok(Value::Array(none)) if none.is_empty() => {}
        _ => record.extra(parameter, Value::from(text)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn received() -> RequestInfo {
        RequestInfo {
            at: DateTime::from_timestamp_millis(1_700_000_000_000).unwrap(),
            address: Some([203, 0, 113, 7].into()),
            ..RequestInfo::default()
        }
    }

    fn is_token(token: &str) -> bool {
        token == "secret"
    }

    fn record(query: &str) -> Value {
        match decode_query(query, &received(), &is_token) {
            Hit::Record(record) => record.finish(),
            Hit::Malformed { reason, .. } => panic!("{reason}"),
        }
    }

    #[test]
    fn an_order_with_its_items() {
        let items = r#"[["B7","Rope",["Gear","Ropes"],89.9,2],["C1","Nut","",4,1]]"#;
        let items: String = url::form_urlencoded::byte_serialize(items.as_bytes()).collect();
        let hit = record(
            &format!(
                "?rec=1&idsite=3&idgoal=0&ec_id=O-1&revenue=183.8&ec_items={items}&_id=00112233445566aa&dimension2=gold\
             &res=1440x900&rand=9&unknown=1&url=https%3A%2F%2Fshop.example%2F%3Fmtm_campaign%3Dmay"
            )
            .replacen('?', "", 1),
        );
        assert_eq!(hit["event"], "order");
        assert_eq!(hit["revenue"], "183.8");
        let rope =
            json!({"sku": "B7", "name": "Rope", "categories": ["Gear", "Ropes"], "price": "89.9", "quantity": 2.0});
        assert_eq!(hit["items"][0], rope);
        assert_eq!(hit["dimensions"], json!({"dimension2": "gold"}));
        assert_eq!(hit["extra"], json!({"unknown": "1"}));
        assert_eq!(hit["mkt_campaign"], "may");
        assert_eq!(hit["visitor_id"], "00112233445566aa");
    }

    #[test]
    fn only_the_token_speaks_for_others() {
        let hit = record("rec=1&idsite=1&cip=198.51.100.1&cdt=1600000000");
        assert_eq!(
            (&hit["user_ipaddress"], &hit["extra"]["cdt"]),
            (&json!("203.0.113.7"), &json!("1600000000"))
        );
        let hit = record("rec=1&idsite=1&cip=198.51.100.1&cdt=2020-09-13%2012:26:40&token_auth=secret");
        assert_eq!(hit["user_ipaddress"], "198.51.100.1");
        assert_eq!(hit["derived_tstamp"], "2020-09-13T12:26:40.000000Z");
        assert!(!hit.to_string().contains("secret"));
    }

    #[test]
    fn bulk_requests_are_text_or_objects() {
        let body =
            r#"{"requests": ["?idsite=1&rec=1&action_name=a", {"idsite": 1, "rec": 1, "e_c": "x"}, 5, "?idsite=1"]}"#;
        let request = decode_body("", body, &received(), &is_token);
        assert!(request.is_bulk);
        let records = request.hits.iter().filter(|hit| matches!(hit, Hit::Record(_)));
        assert_eq!((request.hits.len(), records.count()), (4, 2));
        let broken = decode_body("", "{", &received(), &is_token);
        assert!(matches!(&broken.hits[..], [Hit::Malformed { .. }]));
        let form = decode_body("idsite=1", "rec=1&action_name=b", &received(), &is_token);
        assert!(!form.is_bulk && matches!(&form.hits[..], [Hit::Record(_)]));
    }

    #[test]
    fn the_parameters_tell_what_happened() {
        for (query, event) in [
            ("action_name=x", "page_view"),
            ("e_c=a&e_a=b", "event"),
            ("idgoal=4", "goal"),
            ("idgoal=0&revenue=3", "cart"),
            ("search=ropes", "search"),
            ("link=https://x.example", "outlink"),
            ("ping=1", "ping"),
            ("c_n=banner", "content"),
        ] {
            assert_eq!(record(&format!("rec=1&idsite=1&{query}"))["event"], event, "{query}");
        }
    }
}
