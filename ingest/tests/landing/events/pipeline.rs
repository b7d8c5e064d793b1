//! Events of a real Snowplow pipeline.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde_json::{Value, json};

use super::{TP2, collect, post, project, snowplow};

/// Events of a Snowplow pipeline, enriched, as the parameters that a tracker sent for them.
fn parameters_of(row: &BTreeMap<String, String>) -> Value {
    let mut hit = serde_json::Map::new();
    for (parameter, column) in [
        ("eid", "event_id"),
        ("p", "platform"),
        ("tna", "name_tracker"),
        ("tv", "v_tracker"),
        ("duid", "domain_userid"),
        ("vid", "domain_sessionidx"),
        ("sid", "domain_sessionid"),
        ("tnuid", "network_userid"),
        ("uid", "user_id"),
        ("url", "page_url"),
        ("page", "page_title"),
        ("refr", "page_referrer"),
        ("ua", "useragent"),
        ("lang", "br_lang"),
        ("tz", "os_timezone"),
        ("se_ca", "se_category"),
        ("se_ac", "se_action"),
        ("se_la", "se_label"),
        ("se_va", "se_value"),
        ("pp_mix", "pp_xoffset_min"),
        ("pp_max", "pp_xoffset_max"),
        ("pp_miy", "pp_yoffset_min"),
        ("pp_may", "pp_yoffset_max"),
    ] {
        hit.insert(parameter.into(), json!(row[column]));
    }
    let event = match row["event"].as_str() {
        "page_view" => "pv",
        "page_ping" => "pp",
        "struct" => "se",
        _ => "ue",
    };
    hit.insert("e".into(), json!(event));
    let millis = |text: &str| {
        let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
        Some(json!(time.and_utc().timestamp_millis().to_string()))
    };
    hit.extend(millis(&row["dvce_created_tstamp"]).map(|time| ("dtm".into(), time)));
    hit.extend(millis(&row["dvce_sent_tstamp"]).map(|time| ("stm".into(), time)));
    let size = format!("{}x{}", row["br_viewwidth"], row["br_viewheight"]);
    hit.insert("vp".into(), json!(size));
    if event == "ue" {
        let (vendor, name) = (&row["event_vendor"], &row["event_name"]);
        let schema = format!("iglu:{vendor}/{name}/{}/{}", row["event_format"], row["event_version"]);
        let event = json!({"schema": "iglu:x/unstruct_event/jsonschema/1-0-0", "data": {"schema": schema, "data": {}}});
        hit.insert("ue_pr".into(), json!(event.to_string()));
    }
    let pages: Vec<Value> =
        serde_json::from_str(&row["contexts_com_snowplowanalytics_snowplow_web_page_1_0_0"]).unwrap_or_default();
    let page = |data| json!({"schema": "iglu:com.snowplowanalytics.snowplow/web_page/jsonschema/1-0-0", "data": data});
    let contexts: Vec<_> = pages.into_iter().map(page).collect();
    let contexts = json!({"schema": "iglu:x/contexts/jsonschema/1-0-0", "data": contexts});
    hit.insert("co".into(), json!(contexts.to_string()));
    Value::Object(hit)
}

#[tokio::test]
async fn real_events_come_out_as_snowplow_itself_has_them() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/snowplow_web/source/snowplow_web_events.csv");
    if !file.exists() {
        eprintln!("SKIPPED: {} is not there", file.display());
        return;
    }
    let mut reader = csv::Reader::from_path(&file).unwrap();
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 160);
    let project = project("streams: [snowplow]").await;
    collect(&project, async |address| {
        for hits in rows.chunks(16) {
            let hits: Vec<_> = hits.iter().map(parameters_of).collect();
            assert_eq!(post(address, TP2, &snowplow(json!(hits))).await.status, 200);
        }
    })
    .await;
    assert_eq!(project.sql("select count(*) from ops.rejected_rows").await, ["0"]);
    let expected = |columns: &[&str]| -> HashSet<String> {
        let value = |row: &BTreeMap<String, String>, column: &str| match row[column].as_str() {
            "" => "null".to_owned(),
            // Some rows are copies of others, marked so where a tracker could not.
            value => value.replace("http-dummy-row", "http"),
        };
        rows.iter()
            .map(|row| {
                columns
                    .iter()
                    .map(|column| value(row, column))
                    .collect::<Vec<_>>()
                    .join("|")
            })
            .collect()
    };
    for columns in [
        &["event_id", "event", "event_vendor", "event_name", "event_version"][..],
        &[
            "event_id",
            "domain_userid",
            "domain_sessionidx",
            "domain_sessionid",
            "network_userid",
            "user_id",
        ],
        &[
            "event_id",
            "page_title",
            "br_viewwidth",
            "br_viewheight",
            "se_category",
            "se_action",
        ],
        &[
            "event_id",
            "pp_xoffset_min",
            "pp_xoffset_max",
            "pp_yoffset_min",
            "pp_yoffset_max",
            "br_lang",
        ],
        &[
            "event_id",
            "page_urlscheme",
            "page_urlhost",
            "page_urlport",
            "page_urlpath",
        ],
    ] {
        let landed = project
            .sql(&format!("select {} from raw_web.snowplow", columns.join(", ")))
            .await;
        assert_eq!(landed.len(), 160);
        let (landed, expected): (HashSet<_>, _) = (landed.into_iter().collect(), expected(columns));
        let differing: Vec<_> = landed.symmetric_difference(&expected).collect();
        assert!(differing.is_empty(), "{columns:?}: {differing:?}");
    }
    let distinct = project
        .sql("select count(distinct event_id), count(page_view_id) from raw_web.snowplow")
        .await;
    // In some rows the context is not JSON, or a list in a list.
    let view = |row: &&BTreeMap<String, String>| {
        let page = serde_json::from_str::<Value>(&row["contexts_com_snowplowanalytics_snowplow_web_page_1_0_0"]);
        page.is_ok_and(|page| page[0]["id"].is_string())
    };
    let views = rows.iter().filter(view);
    assert_eq!(distinct, [format!("157|{}", views.count())]);
}
