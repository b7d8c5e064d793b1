//! What the addresses of a page and of its referrer say: their parts, and the campaign that brought the visitor.

use serde_json::Value;
use url::Url;

use super::record::Record;

/// The columns of the parts of an address.
struct Parts {
    scheme: &'static str,
    host: &'static str,
    port: &'static str,
    path: &'static str,
    query: &'static str,
    fragment: &'static str,
}

const PAGE: Parts = Parts {
    scheme: "page_urlscheme",
    host: "page_urlhost",
    port: "page_urlport",
    path: "page_urlpath",
    query: "page_urlquery",
    fragment: "page_urlfragment",
};

const REFERRER: Parts = Parts {
    scheme: "refr_urlscheme",
    host: "refr_urlhost",
    port: "refr_urlport",
    path: "refr_urlpath",
    query: "refr_urlquery",
    fragment: "refr_urlfragment",
};

/// Parameters of landing pages that name a campaign, and the columns for them; the first that is there counts.
const CAMPAIGN: &[(&str, &str)] = &[
    ("utm_medium", "mkt_medium"),
    ("utm_source", "mkt_source"),
    ("utm_term", "mkt_term"),
    ("utm_content", "mkt_content"),
    ("utm_campaign", "mkt_campaign"),
    ("mtm_medium", "mkt_medium"),
    ("mtm_source", "mkt_source"),
    ("mtm_keyword", "mkt_term"),
    ("mtm_kwd", "mkt_term"),
    ("mtm_content", "mkt_content"),
    ("mtm_campaign", "mkt_campaign"),
    ("pk_medium", "mkt_medium"),
    ("pk_source", "mkt_source"),
    ("pk_keyword", "mkt_term"),
    ("pk_kwd", "mkt_term"),
    ("pk_content", "mkt_content"),
    ("pk_campaign", "mkt_campaign"),
];

/// Parameters that advertising networks add to a click.
const CLICKS: &[(&str, &str)] = &[
    ("gclid", "Google"),
    ("msclkid", "Microsoft"),
    ("dclid", "DoubleClick"),
    ("fbclid", "Facebook"),
];

/// Fills the columns that follow from `page_url` and `page_referrer`.
pub(crate) fn describe(record: &mut Record) {
    let parse = |record: &Record, column| Url::parse(record.text(column)?).ok();
    if let Some(url) = parse(record, "page_url") {
        split(record, &PAGE, &url);
        campaign(record, &url);
    }
    if let Some(url) = parse(record, "page_referrer") {
        split(record, &REFERRER, &url);
    }
}

fn split(record: &mut Record, parts: &Parts, url: &Url) {
    record.default_text(parts.scheme, url.scheme());
    record.default_text(parts.host, url.host_str().unwrap_or_default());
    if let Some(port) = url.port_or_known_default() {
        record.json(parts.port, Value::from(port));
    }
    record.default_text(parts.path, url.path());
    record.default_text(parts.query, url.query().unwrap_or_default());
    record.default_text(parts.fragment, url.fragment().unwrap_or_default());
}

fn campaign(record: &mut Record, url: &Url) {
    if url.query().is_none() {
        return;
    }
    let pairs: Vec<_> = url.query_pairs().collect();
    let find = |name: &str| pairs.iter().find(|(key, value)| key == name && !value.is_empty());
    for (parameter, column) in CAMPAIGN {
        if let Some((_, value)) = find(parameter) {
            record.default_text(column, value);
        }
    }
    if let Some(((_, id), network)) = CLICKS.iter().find_map(|(name, network)| Some((find(name)?, network))) {
        record.default_text("mkt_clickid", id);
        record.default_text("mkt_network", network);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::Protocol;

    #[test]
    fn addresses_are_taken_apart() {
        let mut record = Record::new(Protocol::Snowplow);
        let url = "https://shop.example/a/b?utm_source=news&utm_campaign=May%20sale&pk_source=x&gclid=G1#top";
        record.put("page_url", "url", url);
        record.put("page_referrer", "refr", "http://search.example:8080/?q=rope");
        describe(&mut record);
        for (column, expected) in [
            ("page_urlscheme", "https"),
            ("page_urlhost", "shop.example"),
            ("page_urlpath", "/a/b"),
            ("page_urlfragment", "top"),
            ("mkt_source", "news"),
            ("mkt_campaign", "May sale"),
            ("mkt_clickid", "G1"),
            ("mkt_network", "Google"),
            ("refr_urlhost", "search.example"),
            ("refr_urlquery", "q=rope"),
        ] {
            assert_eq!(record.text(column), Some(expected), "{column}");
        }
        assert_eq!(record.get("page_urlport"), Some(&Value::from(443)));
        assert_eq!(record.get("refr_urlport"), Some(&Value::from(8080)));
    }

    #[test]
    fn what_is_not_an_address_says_nothing() {
        let mut record = Record::new(Protocol::Matomo);
        record.put("page_url", "url", "not an address");
        describe(&mut record);
        assert_eq!(record.finish(), serde_json::json!({"page_url": "not an address"}));
    }
}
