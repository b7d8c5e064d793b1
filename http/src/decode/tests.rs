use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FORMATS: [Format; 11] = [
    Format::Json,
    Format::Ndjson,
    Format::Csv,
    Format::Xml,
    Format::JsonStat,
    Format::OdataV2,
    Format::OdataV4,
    Format::Tryton,
    Format::Ga4,
    Format::GoogleAds,
    Format::Odoo { booleans: Vec::new() },
];

fn text(format: Format, body: &str) -> String {
    String::from_utf8(to_json(&format, body.as_bytes()).unwrap().into_owned()).unwrap()
}

fn value(format: Format, body: &str) -> Value {
    serde_json::from_str(&text(format, body)).unwrap()
}

fn error(format: Format, body: &[u8]) -> String {
    let error = to_json(&format, body).map(|_| ()).unwrap_err();
    error.to_string()
}

/// A folder of real data beside the project, if it is there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(folder);
    if !path.is_dir() {
        eprintln!("SKIPPED: there is no {}", path.display());
        return None;
    }
    Some(path)
}

#[test]
fn odata_v2_becomes_records_with_times_and_without_addresses() {
    let body = r#"{"d":{"__count":"2","results":[
        {"__metadata":{"uri":"x"},"SalesOrder":"1","TotalNetAmount":"18.0000","CreationDate":"\/Date(1316736000000)\/",
         "ChangedAt":"\/Date(1316743200500+0120)\/","Before":"\/Date(-1000)\/","to_Item":{"__deferred":{"uri":"y"}},
         "to_Partner":{"results":[{"__metadata":{},"Partner":"7"}]},"Note":"/Date(x)/"}],"__next":"https://h/x?$skiptoken=1"}}"#;
    assert_eq!(
        value(Format::OdataV2, body),
        json!({"d": {"__count": "2", "results": [{"SalesOrder": "1", "TotalNetAmount": "18.0000",
            "CreationDate": "2011-09-23T00:00:00Z", "ChangedAt": "2011-09-23T00:00:00.500Z",
            "Before": "1969-12-31T23:59:59Z", "to_Partner": [{"Partner": "7"}], "Note": "/Date(x)/"}],
            "__next": "https://h/x?$skiptoken=1"}})
    );
    for (one, expected) in [
        (r#"{"d":{"__metadata":{},"A":1}}"#, r#"{"d":{"results":[{"A":1}]}}"#),
        (r#"{"d":[{"A":1},{"A":2}]}"#, r#"{"d":{"results":[{"A":1},{"A":2}]}}"#),
        (r#"{"d":{"results":[]}}"#, r#"{"d":{"results":[]}}"#),
        (r#"{"error":{"code":"x"}}"#, r#"{"error":{"code":"x"}}"#),
    ] {
        assert_eq!(text(Format::OdataV2, one), expected);
    }
}

#[test]
fn odata_v4_keeps_the_digits_and_what_pages_need() {
    let body = r##"{"@odata.context":"c","@odata.count":91,"value":[{"@odata.etag":"e","Price@odata.type":"#Decimal",
        "Price":18.0000,"Id":12345678901234567890123,"Nested":{"@odata.id":"i","A":[1.10]}}],"@odata.nextLink":"Products?$skiptoken=20"}"##;
    assert_eq!(
        text(Format::OdataV4, body),
        r##"{"@odata.count":91,"value":[{"Price":18.0000,"Id":12345678901234567890123,"Nested":{"A":[1.10]}}],"@odata.nextLink":"Products?$skiptoken=20"}"##
    );
    for (one, expected) in [
        (
            r##"{"@context":"c","@nextLink":"n","value":[]}"##,
            r##"{"@nextLink":"n","value":[]}"##,
        ),
        (r##"{"@odata.context":"c","Id":1.0}"##, r##"{"value":[{"Id":1.0}]}"##),
        (r##"{"error":{"code":"x"}}"##, r##"{"error":{"code":"x"}}"##),
    ] {
        assert_eq!(text(Format::OdataV4, one), expected);
    }
}

#[test]
fn northwinds_answers_lose_only_their_annotations() {
    let Some(folder) = data("odata_northwind") else { return };
    for (file, records, annotations) in [("Products", 20, 1), ("Customers", 15, 1), ("Categories", 8, 1)] {
        let body = std::fs::read(folder.join(format!("{file}.json"))).unwrap();
        let plain: Value = serde_json::from_slice(&body).unwrap();
        let ours: Value = serde_json::from_slice(&to_json(&Format::OdataV4, &body).unwrap()).unwrap();
        assert_eq!(ours["value"], plain["value"]);
        assert_eq!(ours["value"].as_array().unwrap().len(), records, "{file}");
        assert_eq!(
            ours.as_object().unwrap().len(),
            plain.as_object().unwrap().len() - annotations
        );
    }
    let body = std::fs::read_to_string(folder.join("Products.json")).unwrap();
    assert!(text(Format::OdataV4, &body).contains("\"UnitPrice\":18.0000,"));
}

#[test]
fn trytons_classes_become_values() {
    let body = r#"{"id":1,"result":[{"total":{"__class__":"Decimal","decimal":"1.0"},
        "date":{"__class__":"date","year":2026,"month":3,"day":9},"at":{"__class__":"time","hour":7,"minute":5,"second":0,"microsecond":0},
        "write_date":{"__class__":"datetime","year":2026,"month":11,"day":2,"hour":8,"minute":1,"second":2,"microsecond":34},
        "for":{"__class__":"timedelta","seconds":90.5},"logo":{"__class__":"bytes","base64":"AA=="},"other":{"__class__":"x","a":1}}]}"#;
    assert_eq!(
        value(Format::Tryton, body)["result"][0],
        json!({"total": 1.0, "date": "2026-03-09", "at": "07:05:00", "write_date": "2026-11-02T08:01:02.000034Z",
            "for": 90.5, "logo": "AA==", "other": {"__class__": "x", "a": 1}})
    );
}

#[test]
fn odoos_false_is_null_but_where_it_is_false() {
    let format: Format = serde_json::from_value(json!({"odoo": {"booleans": ["active"]}})).unwrap();
    let body =
        r#"{"result":[{"id":1,"active":false,"email":false,"country_id":[7,"Spain"],"tag_ids":[7,8],"is":true}]}"#;
    assert_eq!(
        value(format, body),
        json!({"result": [{"id": 1, "active": false, "email": null, "country_id": {"id": 7, "name": "Spain"},
            "tag_ids": [7, 8], "is": true}]})
    );
    assert!(serde_json::from_value::<Format>(json!({"odoo": {"boolean": []}})).is_err());
    assert_eq!(
        serde_json::from_value::<Format>(json!("json_stat")).unwrap(),
        Format::JsonStat
    );
}

#[test]
fn a_report_of_google_analytics_gets_its_names() {
    let body = r#"{"dimensionHeaders":[{"name":"date"}],"metricHeaders":[{"name":"sessions","type":"TYPE_INTEGER"}],
        "rows":[{"dimensionValues":[{"value":"20260101"}],"metricValues":[{"value":"7"}]},
                {"dimensionValues":[{"value":"(other)"}],"metricValues":[{}]}],"rowCount":2,"kind":"x"}"#;
    assert_eq!(
        text(Format::Ga4, body),
        r#"{"rowCount":2,"rows":[{"date":"2026-01-01","sessions":7},{"date":"(other)","sessions":null}]}"#
    );
    assert_eq!(text(Format::Ga4, r#"{"kind":"x"}"#), r#"{"rowCount":0,"rows":[]}"#);
    assert!(error(Format::Ga4, &body.as_bytes()[..90]).contains("it is none"));
    assert!(
        error(Format::Ga4, br#"{"rows":[{"dimensionValues":[{"value":"x"}]}]}"#).contains("than there are headers")
    );
}

#[test]
fn xml_becomes_objects_arrays_and_texts() {
    let body = "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY e \"expanded\">]><p:shop xmlns:p=\"u\"><!-- c -->\
        <order id=\"1\"><name>A &amp; B&#33;</name><note/><line>a</line><line>b</line></order>\
        <order id=\"2\" p:lang=\"es\"><![CDATA[ <x> ]]></order></p:shop>";
    assert_eq!(
        value(Format::Xml, body),
        json!({"shop": {"order": [
            {"@id": "1", "name": "A & B!", "note": null, "line": ["a", "b"]},
            {"@id": "2", "@lang": "es", "#text": "<x>"}]}})
    );
    let latin1 = b"<?xml version='1.0' encoding='ISO-8859-1'?><a>Gran V\xEDa</a>";
    assert_eq!(
        to_json(&Format::Xml, latin1).unwrap(),
        "{\"a\":\"Gran Vía\"}".as_bytes()
    );
}

#[test]
fn xml_expands_nothing_and_ends_where_it_should() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aa\"><!ENTITY b \"&a;&a;\">]><x>&b;</x>";
    assert!(error(Format::Xml, bomb.as_bytes()).contains("an entity of its own"));
    assert!(error(Format::Xml, b"<x a=\"&b;\"/>").contains("an entity of its own"));
    assert!(error(Format::Xml, "<a>".repeat(70).as_bytes()).contains("nested more than 64 deep"));
    for broken in ["", "<a>", "<a><b></a>", "<a/><b/>", "no xml", "<a>&lt</a>"] {
        assert!(to_json(&Format::Xml, broken.as_bytes()).is_err(), "{broken}");
    }
}

#[test]
fn csv_finds_its_delimiter_and_keeps_texts() {
    assert_eq!(
        text(
            Format::Csv,
            "\u{feff}Id;\"Name, full\"\r\n007;\"a \"\"b\"\"\nc\"\r\n8;\r\n"
        ),
        "[{\"Id\":\"007\",\"Name, full\":\"a \\\"b\\\"\\nc\"},{\"Id\":8,\"Name, full\":null}]"
    );
    assert_eq!(text(Format::Csv, "Id\n1\n"), "[{\"Id\":1}]");
    assert_eq!(text(Format::Csv, ""), "[]");
    assert!(error(Format::Csv, b"a,b\n1\n").contains("a record has 1 fields, the header 2 line=2"));
    assert_eq!(
        text(Format::Csv, "a,,a\n1,2,3\n"),
        "[{\"a\":1,\"column_2\":2,\"a_2\":3}]"
    );
    assert!(error(Format::Csv, b"a\n\xff\n").contains("not UTF-8"));
    assert!(error(Format::Csv, b"a\n1\n\"sec").contains("within a field"));
    assert_eq!(text(Format::Csv, "a\n5\" pipe\n"), "[{\"a\":\"5\\\" pipe\"}]");
}

#[test]
fn what_looks_like_a_number_is_one_where_a_system_means_it() {
    assert_eq!(
        text(Format::Csv, "a,b,c,d,e,f,g\n-1.50,0,007,1e5,true,+1,-0\n"),
        r#"[{"a":-1.50,"b":0,"c":"007","d":"1e5","e":true,"f":"+1","g":"-0"}]"#
    );
    let fields = Fields {
        decimals: vec!["total".to_owned()],
        decimal_commas: vec!["price".to_owned()],
        rfc2822: vec!["sent".to_owned()],
        utc: vec!["at_gmt".to_owned()],
    };
    let body = r#"{"code":"1.10","sent":"Mon, 16 Aug 2010 05:45:01 +0200","price":"29,90","total":"29","in":[{"price":"","total":"007.5","x":"5"},{"price":-1}],
        "at":"2026-01-01T00:00:00","at_gmt":"2026-01-01T00:00:00","to":{"at_gmt":"2026-01-01T00:00:00Z"}}"#;
    let expected = r#"{"code":"1.10","sent":"2010-08-16T03:45:01Z","price":29.90,"total":29,"in":[{"price":null,"total":"007.5","x":"5"},{"price":-1}],"#;
    let times = r#""at":"2026-01-01T00:00:00","at_gmt":"2026-01-01T00:00:00Z","to":{"at_gmt":"2026-01-01T00:00:00Z"}}"#;
    let rewritten = with_fields(body.as_bytes(), &fields).unwrap();
    assert_eq!(String::from_utf8(rewritten).unwrap(), format!("{expected}{times}"));
}

#[test]
fn ndjson_is_checked_line_by_line() {
    assert_eq!(
        text(Format::Ndjson, "{\"a\":1.10}\r\n\n {\"a\":2}"),
        "[{\"a\":1.10},{\"a\":2}]"
    );
    let cut = error(Format::Ndjson, b"{\"a\":\"secret\"}\n{\"a\":\"sec");
    assert!(cut.contains("cut off line=2") && !cut.contains("sec\""), "{cut}");
}

#[test]
fn json_stat_2_is_sparse() {
    let body = r#"{"version":"2.0","class":"dataset","id":["geo","time","unit"],"size":[2,"2",1],"value":{"0":1.50,"3":4},
        "status":{"1":":"},"dimension":{"geo":{"label":"g","category":{"index":["ES","FR"],"label":{"ES":"Spain","FR":"France"}}},
        "time":{"category":{"index":{"2025":1,"2024":0}}},"unit":{"category":{"label":{"EUR":"Euro"}}}}}"#;
    let spain = r#""geo":"ES","geo_label":"Spain""#;
    let euro = r#""unit":"EUR","unit_label":"Euro""#;
    let france = r#""geo":"FR","geo_label":"France""#;
    assert_eq!(
        text(Format::JsonStat, body),
        format!(
            "[{{{spain},\"time\":\"2024\",{euro},\"value\":1.50,\"status\":null}},\
             {{{spain},\"time\":\"2025\",{euro},\"value\":null,\"status\":\":\"}},\
             {{{france},\"time\":\"2025\",{euro},\"value\":4,\"status\":null}}]"
        )
    );
}

#[test]
fn json_stat_1_may_hold_several_datasets() {
    let one = |value: u8| {
        format!(
            r#"{{"value":[{value}],"dimension":{{"id":["value"],"size":[1],"value":{{"category":{{"index":{{"a":0}}}}}}}}}}"#
        )
    };
    assert_eq!(
        text(Format::JsonStat, &format!("{{\"x\":{},\"y\":{}}}", one(1), one(2))),
        r#"[{"dataset":"x","value_code":"a","value":1},{"dataset":"y","value_code":"a","value":2}]"#
    );
    assert_eq!(text(Format::JsonStat, &one(3)), r#"[{"value_code":"a","value":3}]"#);
}

#[test]
fn json_stat_that_makes_no_sense_is_refused() {
    let with = |value: &str, size: &str, index: &str| {
        format!(
            r#"{{"value":{value},"id":["a"],"size":[{size}],"dimension":{{"a":{{"category":{{"index":{index}}}}}}}}}"#
        )
    };
    assert_eq!(text(Format::JsonStat, &with("[]", "0", "[]")), "[]");
    for body in [
        with("[1,2]", "1", r#"["x"]"#),
        with(r#"{"7":1}"#, "1", r#"["x"]"#),
        with(r#"{"x":1}"#, "1", r#"["x"]"#),
        with(r#"{"0":1,"00":1}"#, "1", r#"["x"]"#),
        with("[1]", "2", r#"["x"]"#),
        with("[1]", "2", r#"{"x":0,"y":2}"#),
        with("[{}]", "1", r#"["x"]"#),
        with("[1]", "99999999999999999999", r#"["x"]"#),
        r#"{"class":"dimension"}"#.to_owned(),
        r#"{"class":"collection","link":{"item":[{"class":"dataset","href":"elsewhere"}]}}"#.to_owned(),
        "{}".to_owned(),
        "<html>".to_owned(),
    ] {
        assert!(to_json(&Format::JsonStat, body.as_bytes()).is_err(), "{body}");
    }
}

/// Each cell of the flattenings that Node's JSON-stat toolkit made, in its order: it names columns and categories by
/// their labels, and has rows for empty cells too.
#[test]
fn json_stat_is_flattened_as_by_its_own_toolkit() {
    let Some(folder) = data("jsonstat/jsonstat-tests/fixtures") else {
        return;
    };
    for (answer, expected, columns) in [
        (
            "www.ec.europa.eu_eurostat/eurostat-name_gpd_c-geo_IT.json",
            "eurostat-name_gpd_c-geo_IT-to_table.csv",
            &["unit_label", "indic_na_label", "geo_label", "time_label"][..],
        ),
        (
            "www.ssb.no/29843.json",
            "29843-to_table.csv",
            &["PKoder_label", "ContentsCode_label", "Tid_label"][..],
        ),
        // A collection, of which this is the first dataset.
        (
            "cli/6c083e056894750011d042256097bf04",
            "oecd-canada-to_table.csv",
            &["concept_label", "area_label", "year"][..],
        ),
    ] {
        let body = std::fs::read(folder.join(answer)).unwrap();
        let mut records = Vec::new();
        each_record(&Format::JsonStat, &body[..], &mut |record| {
            let record: Value = serde_json::from_slice(record).unwrap();
            if record.get("dataset").is_none_or(|dataset| dataset == "1") {
                records.push(record);
            }
            Ok(())
        })
        .unwrap();
        let mut records = records.into_iter().peekable();
        let mut expected = ::csv::Reader::from_path(folder.join("output_from_nodejs").join(expected)).unwrap();
        let mut values = 0;
        for row in expected.records() {
            let row = row.unwrap();
            let is_this = |record: &Value| columns.iter().zip(&row).all(|(column, label)| record[column] == label);
            let cell = records.next_if(is_this);
            match &row[columns.len()] {
                "" => assert!(cell.is_none_or(|cell| cell["value"].is_null()), "{row:?}"),
                value => {
                    values += 1;
                    let cell = cell.unwrap_or_else(|| panic!("{row:?} is missing"));
                    assert_eq!(cell["value"].as_f64(), value.parse().ok(), "{row:?}");
                }
            }
        }
        assert!(records.next().is_none() && values > 20, "{answer}");
    }
}

/// Every other file of the set: as many records as there are values or statuses, and their sum.
#[test]
fn json_stat_of_many_offices() {
    let Some(folder) = data("jsonstat") else { return };
    for (file, dataset) in [
        (
            "jsonstat-tests/fixtures/www.ec.europa.eu_eurostat/eurostat-name_gpd_c.json",
            "/nama_gdp_c",
        ),
        (
            "jsonstat-tests/fixtures/www.ec.europa.eu_eurostat/eurostat-name_gpd_c-geo_IT_FR.json",
            "/nama_gdp_c",
        ),
        (
            "jsonstat-tests/fixtures/www.cso.ie/eurostat-name_gpd_c.json",
            "/nama_gdp_c",
        ),
        ("jsonstat-tests/fixtures/www.cso.ie/cso_ie-NQQ25.json", "/dataset"),
        ("jsonstat-tests/fixtures/www.cso.ie/cso_ie-CIA01.json", "/dataset"),
        ("jsonstat-tests/fixtures/dataset/dataset_unemployment_v1.json", ""),
        ("jsonstat-tests/fixtures/dataset/three_dim_v1.json", ""),
        ("jsonstat-tests/fixtures/dataset/three_dim_size_as_string_v1.json", ""),
        ("jsonstat-tests/fixtures/dataset/three_dim_size_as_string_v2.json", ""),
        ("jsonstat/examples/www.json-stat.org/galicia.json", ""),
    ] {
        let body = std::fs::read_to_string(folder.join(file)).unwrap();
        let plain: Value = serde_json::from_str(&body).unwrap();
        let values = plain.pointer(dataset).unwrap()["value"].as_array().unwrap();
        let records = value(Format::JsonStat, &body);
        let ours: Vec<_> = records
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|record| record["value"].as_f64())
            .collect();
        let theirs: Vec<_> = values.iter().filter_map(Value::as_f64).collect();
        assert_eq!(ours, theirs, "{file}");
    }
    let error_page = std::fs::read(folder.join("jsonstat-tests/fixtures/www.unece.org/cso_ie-NQQ25.json")).unwrap();
    assert!(to_json(&Format::JsonStat, &error_page).is_err());
}

#[test]
fn nesting_is_bounded() {
    for format in [Format::OdataV2, Format::OdataV4, Format::Tryton] {
        for deep in [
            "[".repeat(100_000) + &"]".repeat(100_000),
            "{\"a\":".repeat(200) + "1" + &"}".repeat(200),
        ] {
            assert!(to_json(&format, deep.as_bytes()).is_ok());
        }
    }
}

#[test]
fn what_is_deep_is_copied_as_it_is() {
    let deep = "[".repeat(300) + "\"/Date(0)/\"" + &"]".repeat(300);
    let body = format!("{{\"d\":{{\"results\":[{{\"at\":\"/Date(0)/\",\"deep\":{deep}}}]}}}}");
    let expected = format!("{{\"d\":{{\"results\":[{{\"at\":\"1970-01-01T00:00:00Z\",\"deep\":{deep}}}]}}}}");
    assert_eq!(text(Format::OdataV2, &body), expected);
}

/// JSON of any shape, with keys and texts that mean something to a format.
fn answer() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "d",
        "results",
        "__next",
        "__metadata",
        "__deferred",
        "value",
        "@odata.etag",
        "a@odata.type",
        "__class__",
        "Decimal",
        "decimal",
        "datetime",
        "year",
        "/Date(1+1)/",
        "/Date(9223372036854775807-9999)/",
        "dimension",
        "id",
        "size",
        "category",
        "index",
        "label",
        "status",
        "0",
        "1",
        "class",
        "dataset",
        "collection",
        "link",
        "item",
        "é\"\n",
    ]);
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        word.clone().prop_map(|word| json!(word).to_string()),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|members| {
                let members = members
                    .into_iter()
                    .map(|(key, value)| format!("{}:{value}", json!(key)));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_answered_is_json_or_an_error(body in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in FORMATS {
            if let Ok(json) = to_json(&format, &body) && format != Format::Json {
                prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
            }
        }
    }

    #[test]
    fn whatever_looks_like_an_answer_is_json_or_an_error(body in answer(), cut in any::<prop::sample::Index>()) {
        for format in FORMATS {
            for body in [body.as_bytes(), &body.as_bytes()[..cut.index(body.len())]] {
                if let Ok(json) = to_json(&format, body) && format != Format::Json {
                    prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
                }
            }
        }
    }

    #[test]
    fn xml_in_pieces(parts in prop::collection::vec(prop::sample::select(vec![
        "<a>", "</a>", "<b x='1'>", "</b>", "<c/>", "text", "&amp;", "&#x41;", "&#xD800;", "&x;", "<![CDATA[", "]]>", "<!--", "-->",
        "<!DOCTYPE a [", "]>", "<?xml version='1.0' encoding='", "?>", "<a x=\"", "\"", " ", "é",
    ]), 0..20)) {
        if let Ok(json) = to_json(&Format::Xml, parts.concat().as_bytes()) {
            prop_assert!(serde_json::from_slice::<Value>(&json).is_ok());
        }
    }

    #[test]
    fn csv_gives_back_its_fields(rows in prop::collection::vec(prop::collection::vec("[a-z,;\"\\n é]{1,6}", 2), 0..8)) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["first", "second"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let records = to_json(&Format::Csv, &writer.into_inner().unwrap()).unwrap().into_owned();
        let records: Vec<Value> = serde_json::from_slice(&records).unwrap();
        prop_assert_eq!(records.len(), rows.len());
        for (record, row) in records.iter().zip(&rows) {
            prop_assert_eq!(&record["first"], &json!(row[0]));
            prop_assert_eq!(&record["second"], &json!(row[1]));
        }
    }
}
