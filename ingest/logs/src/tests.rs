//! The formats, over the files that Matomo's log importer is tested with.

use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use proptest::prelude::*;
use serde_json::Value;

use super::address::Addresses;
use super::config::{FormatOption, LogOptions};
use super::custom::Custom;
use super::format::{Format, Line, Parser, detect};
use super::query::Queries;
use super::record::{Policy, Record};
use super::w3c::Header;

fn policy() -> Policy {
    Policy {
        addresses: Addresses::Full,
        queries: Queries::Keep,
        zone: Tz::Europe__Madrid,
    }
}

/// Real logs; none where they are not at hand, which is said loudly.
fn samples() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/matomo_logs");
    if !dir.exists() {
        eprintln!("SKIPPED: {} is not there, so no real log was read", dir.display());
        return None;
    }
    Some(dir)
}

/// The records of a log, and how many lines are none.
fn parse(text: &[u8], parser: &mut Parser, policy: &Policy) -> (Vec<Value>, Vec<String>) {
    let mut record = Record::new(policy);
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n') {
        match parser.write(line, &mut record) {
            Ok(Line::Hit) => records.push(serde_json::from_slice(record.end()).unwrap()),
            Ok(Line::Empty) => {}
            Err(reason) => rejected.push(reason.into_owned()),
        }
    }
    (records, rejected)
}

fn told(text: &[u8]) -> Option<Format> {
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    detect(&lines, &policy()).map(|told| told.format)
}

/// A log in the format that it is told to be in.
fn read(text: &[u8]) -> (Option<Format>, Vec<Value>, Vec<String>) {
    let format = told(text);
    let Some(known) = format else {
        return (None, Vec::new(), Vec::new());
    };
    let (records, rejected) = parse(text, &mut Parser::new(known, None, Header::default()), &policy());
    (format, records, rejected)
}

/// Checks some values of a record; null stands for one that is not there as well.
fn assert_has(record: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        let found = record.get(name).unwrap_or(&Value::Null);
        assert_eq!(found, value, "{name} of {record}");
    }
}

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/535.11 (KHTML, like Gecko) Chrome/17.0.963.56 Safari/535.11";

#[test]
fn every_format_is_told_and_read() {
    let Some(dir) = samples() else {
        return;
    };
    use serde_json::json;
    let common = json!({
        "time": "2012-02-10T21:42:07Z", "remote_host": "1.2.3.4", "user": "theuser", "method": "GET", "path": "/",
        "query": null, "protocol": "HTTP/1.0", "status": 301, "bytes": 368,
    });
    let with = |more: Value| {
        let mut all = common.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let agent = json!({"referrer": null, "user_agent": CHROME});
    let host = |protocol: &str| json!({"host": "www.example.com", "protocol": protocol, "referrer": null, "user_agent": CHROME});
    let files: Vec<(&str, Format, usize, Value)> = vec![
        ("common.log", Format::Common, 1, with(json!({"host": null}))),
        (
            "common_vhost.log",
            Format::CommonVhost,
            1,
            with(json!({"host": "www.example.com"})),
        ),
        ("ncsa_extended.log", Format::Combined, 1, with(agent.clone())),
        ("common_complete.log", Format::CommonComplete, 1, with(host("HTTP/1.0"))),
        (
            "gandi.log",
            Format::Gandi,
            2,
            with(json!({"host": "www.example.com", "protocol": "HTTP/1.1", "request_time": 0})),
        ),
        ("ovh.log", Format::Ovh, 1, with(host("HTTP/1.1"))),
        (
            "icecast2.log",
            Format::Icecast2,
            1,
            with(json!({"session_time": 1807, "user_agent": CHROME})),
        ),
        (
            "static_ignores.log",
            Format::CommonComplete,
            4,
            json!({"user": "theuser", "time": "2012-02-10T21:41:07Z"}),
        ),
        (
            "logs_to_tests.log",
            Format::Combined,
            4,
            json!({"remote_host": "203.38.78.246", "path": "/piwik.php", "status": 200, "referrer": "http://clearcode.cc/"}),
        ),
        (
            "haproxy.log",
            Format::Haproxy,
            1,
            json!({"time": "2018-09-25T04:05:27.584000Z", "remote_host": "4.3.2.1:55008", "frontend": "ft_https~", "backend": "bk_https",
                "server": "abc", "request_time": 0.072, "status": 200, "bytes": 7456, "method": "POST", "path": "/user/"}),
        ),
        (
            "s3.log",
            Format::S3,
            1,
            json!({"time": "2012-02-10T21:42:07Z", "bucket": "www.example.com", "remote_host": "1.2.3.4", "operation": "WEBSITE.GET.OBJECT",
                "key": "index", "path": "/index", "status": 200, "error_code": null, "bytes": 368, "request_time": 0.010, "user_agent": CHROME}),
        ),
        (
            "elb.log",
            Format::Elb,
            2,
            json!({"time": "2015-05-13T23:39:43.945958Z", "remote_host": "1.2.3.4:2817", "backend": "10.0.0.1:80", "host": "www.example.com:443",
                "path": "/path/index.html", "status": 200, "received_bytes": 0, "bytes": 57, "ssl_protocol": "TLSv1.2"}),
        ),
        (
            "alb.log",
            Format::Alb,
            1,
            json!({"type": "https", "time": "2020-01-01T00:55:04.127531Z", "target_processing_time": 0.102, "bytes": 24950, "received_bytes": 225,
                "domain_name": "www.example.com", "matched_rule_priority": "0", "target_status_list": "200"}),
        ),
        (
            "iis.log",
            Format::W3c,
            1,
            json!({"time": "2012-04-01T00:00:13Z", "remote_host": "1.2.3.4", "s_ip": "5.6.7.8", "path": "/foo/bar", "query": "topCat1=divinity&submit=Search",
                "host": "example.com", "status": 200, "sc_substatus": "654", "bytes": 27028, "cs_bytes": 214, "request_time": 1.687,
                "cs_cookie": "ASP.NET_SessionId=sldfkjs; __utma=21468.206199.142713.144683.183.1; utmccn=(direct)|utmcsr=(direct)|utmcmd=(none)"}),
        ),
        (
            "iis_custom.log",
            Format::W3c,
            3,
            json!({"time": "2012-08-15T15:00:00.363000Z", "remote_host": "70.95.0.0", "host": "xzy.example.com", "request_time": 0.109,
                "referrer": "http://example.com/Search/SearchResults.pg?informationRecipient.languageCode.c=en"}),
        ),
        (
            "netscaler.log",
            Format::W3c,
            1,
            json!({"time": "2012-08-16T11:55:13Z", "path": "/Citrix/XenApp/Wan/auth/login.jsp", "request_time": 1}),
        ),
        (
            "incapsula_w3c.log",
            Format::W3c,
            2,
            json!({"time": "2017-06-28T07:26:35Z", "remote_host": "123.123.123.123", "path": "www.example.com/page.php", "query": "variable=test",
                "s_xff": "123.123.123.123", "status": 200, "cs_bytes": 10117, "cs_severity": null}),
        ),
        (
            "shoutcast.log",
            Format::W3c,
            1,
            json!({"time": "2015-12-07T10:37:05Z", "c_dns": "5.6.7.8", "path": "/stream", "query": "title=UKR%20Nights", "x_duration": 1}),
        ),
        (
            "splitted_date_and_time.log",
            Format::W3c,
            1,
            json!({"time": "2015-12-07T10:37:05Z", "bytes": 65580, "avgbandwidth": 524_640}),
        ),
        (
            "amazon_cloudfront_web.log",
            Format::W3c,
            1,
            json!({"time": "2014-05-23T01:13:11Z", "host": "example.com", "cs_host": "d111111abcdef8.cloudfront.net", "path": "/view/my/file.html",
                "bytes": 182, "cs_bytes": 217, "request_time": 0.001, "protocol": "HTTP/1.1", "cs_protocol": "https", "x_forwarded_for": null}),
        ),
        (
            "amazon_cloudfront_rtmp.log",
            Format::W3c,
            2,
            json!({"time": "2010-03-12T23:51:20Z", "x_event": "connect", "bytes": 2014, "query": "key=value", "user_agent": "LNX%2010,0,32,18",
                "referrer": "http://player.longtailvideo.com/player.swf", "x_sname": null}),
        ),
        (
            "nginx_json.log",
            Format::NginxJson,
            2,
            json!({"time": "2013-10-10T14:52:00Z", "idsite": 1, "remote_host": "1.2.3.4", "host": "www.piwik.org", "path": "/piwik.php", "status": 200,
                "bytes": 192, "request_time": 0.008}),
        ),
        (
            "traefik_json.log",
            Format::TraefikJson,
            1,
            json!({"time": "2023-08-11T11:39:21.773360Z", "remote_host": "1.2.3.4", "user": null, "path": "/my/app/auth", "query": "id=1234&user=dude",
                "status": 200, "bytes": 15, "request_time": 10.002_425_284, "host": "localhost", "log_time": "2023-08-11T11:41:25",
                "router_name": "my-router@file"}),
        ),
        (
            "caddy_json.log",
            Format::CaddyJson,
            3,
            json!({"time": "2023-12-23T23:17:54.815560Z", "remote_host": "1.2.3.4", "method": "GET", "host": "example.com", "path": "/beta/",
                "protocol": "HTTP/2.0", "status": 200, "bytes": 3609, "bytes_read": 0, "request_time": 0.001_335_486, "referrer": null,
                "user_agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:121.0) Gecko/20100101 Firefox/121.0"}),
        ),
    ];
    for (file, format, hits, expected) in files {
        let text = std::fs::read(dir.join(file)).unwrap();
        let (told, records, rejected) = read(&text);
        assert_eq!(
            (told, records.len(), rejected),
            (Some(format), hits, Vec::new()),
            "{file}"
        );
        assert_has(&records[0], &expected);
    }
}

#[test]
fn a_format_of_ones_own_and_another_encoding_are_read() {
    let Some(dir) = samples() else {
        return;
    };
    let text = std::fs::read(dir.join("custom_regex_custom_date.log")).unwrap();
    assert_eq!(told(&text), None);
    let regex =
        r#"(?P<ip>\S+) \S+ \S+ \[(?P<date>.*?)\] "(?P<method>\S+) (?P<path>.*?) \S+" (?P<status>\d+) (?P<length>\S+)"#;
    let custom = Custom::new(regex, Some("%B - %d, %Y:%H:%M:%S".into())).unwrap();
    let mut parser = Parser::new(Format::Custom, Some(custom.into()), Header::default());
    let (records, rejected) = parse(&text, &mut parser, &policy());
    assert!(rejected.is_empty(), "{rejected:?}");
    assert_has(
        &records[0],
        &serde_json::json!({"time": "2012-02-10T15:42:07Z", "remote_host": "1.2.3.4", "path": "/", "status": 301, "bytes": 368}),
    );
    assert!(Custom::new("(?P<ip>.*)", None).unwrap_err().contains("time"));
    assert!(Custom::new("(?P<ip>.*)(?P<time>.*)(?P<date>.*)", None).is_err());

    let text = std::fs::read(dir.join("common_encoding_big5.log")).unwrap();
    assert_eq!(told(&text), Some(Format::CommonComplete));
    let options = LogOptions {
        format: FormatOption::Auto,
        encoding: encoding_rs::BIG5,
    };
    let (records, _) = parse(
        &options.decode(&text),
        &mut Parser::new(Format::CommonComplete, None, Header::default()),
        &policy(),
    );
    assert_eq!(records[0]["path"], "/為其兼行惡道");
    // In the wrong encoding no byte is lost; two of these happen to be UTF-8.
    assert_eq!(read(&text).1[0]["path"], "/\\xAC\\xB0\\xA8\\xE4\\xADݦ\\xE6\\xB4c\\xB9D");
}

#[test]
fn what_comes_near_a_format_is_told_from_it() {
    let line = |front: &str, back: &str| {
        format!("{front} [10/Feb/2012:16:42:07 -0500] \"GET /a HTTP/1.1\" 200 5{back}\n").into_bytes()
    };
    let agent = " \"http://a/\" \"Mozilla \\\"x\\\" y\"";
    for (text, format) in [
        (line("1.2.3.4 - John Doe", agent), Format::Combined),
        (line("host.example.net - -", ""), Format::Common),
        (line("www.example.com:80 ::1 - -", agent), Format::CommonComplete),
        (
            line("1.2.3.4 - -", &format!("{agent} \"5.6.7.8, 9.9.9.9\"")),
            Format::Combined,
        ),
        (line("1.2.3.4 - -", &format!("{agent} 0.005 rt=1")), Format::Combined),
        (
            line(
                "1.2.3.4 - -",
                &format!("{agent} 7 \"r@file\" \"http://10.0.0.1:80\" 12ms"),
            ),
            Format::Traefik,
        ),
    ] {
        let (told, records, rejected) = read(&text);
        assert_eq!(
            (told, rejected.len()),
            (Some(format), 0),
            "{}",
            String::from_utf8_lossy(&text)
        );
        assert_eq!(records[0]["path"], "/a");
    }
    let forwarded = read(&line("1.2.3.4 - -", &format!("{agent} \"5.6.7.8, 9.9.9.9\"")));
    assert_eq!(forwarded.1[0]["x_forwarded_for"], "5.6.7.8, 9.9.9.9");
    assert_eq!(read(b"hello world\nno log at all\n").0, None);
    let lines = [
        line("1.2.3.4 - -", agent),
        line("1.2.3.4 - -", agent),
        b"garbage\n".to_vec(),
    ]
    .concat();
    let (told, records, rejected) = read(&lines);
    assert_eq!((told, records.len(), rejected.len()), (Some(Format::Combined), 2, 1));
}

#[test]
fn what_is_personal_is_cut_everywhere() {
    let policy = Policy {
        addresses: Addresses::Truncate,
        queries: Queries::Only(vec!["utm_source".into()]),
        zone: Tz::UTC,
    };
    let text = b"1.2.3.4 - - [10/Feb/2012:16:42:07 -0500] \"GET /a?email=a@b.c&utm_source=x HTTP/1.1\" 200 5 \"http://s/?q=secret\" \"M\" \"5.6.7.8\"";
    let (records, _) = parse(
        text,
        &mut Parser::new(Format::Combined, None, Header::default()),
        &policy,
    );
    let expected = serde_json::json!({
        "remote_host": "1.2.3.0", "query": "utm_source=x", "referrer": "http://s/", "x_forwarded_for": "5.6.7.0",
    });
    assert_has(&records[0], &expected);
    assert_eq!(policy.rejected(b"1.2.3.4 GET /?email=a@b.c"), "");
    let keeping = Policy {
        queries: Queries::Keep,
        ..policy
    };
    assert_eq!(keeping.rejected(b"1.2.3.4 gone"), "1.2.3.0 gone");
}

proptest! {
    #[test]
    fn no_line_makes_it_panic_and_every_record_is_json(
        line in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0usize..400,
        format in 0usize..16,
    ) {
        const LINES: [&str; 4] = [
            "1.2.3.4 - theuser [10/Feb/2012:16:42:07 -0500] \"GET / HTTP/1.0\" 301 368 \"-\" \"Mozilla\" 1807",
            "Sep 25 06:05:27 h haproxy[6801]: 4.3.2.1:55008 [25/Sep/2018:06:05:27.584] f~ b/s 0/0/0/72/72 200 7456 - - ---- 5/4/0/1/0 0/0 {a|b} \"POST /user/ HTTP/1.1\"",
            "https 2020-01-01T00:55:04.127531Z app/my-alb/abcdef 1.2.3.4:2817 10.0.0.1:80 0.001 0.102 0.000 200 200 225 24950 \"GET https://www.example.com:443/path HTTP/1.1\" \"M\" E T",
            "{\"ts\":1703373474.8,\"request\":{\"remote_ip\":\"1.2.3.4\",\"uri\":\"/beta/\",\"headers\":{\"Te\":[\"x\"]}},\"status\":200}",
        ];
        let formats = [
            Format::W3c, Format::CaddyJson, Format::TraefikJson, Format::NginxJson, Format::Alb, Format::Elb, Format::S3, Format::Haproxy,
            Format::Gandi, Format::Icecast2, Format::Traefik, Format::CommonComplete, Format::CommonVhost, Format::Ovh, Format::Combined, Format::Common,
        ];
        let policy = policy();
        let mut record = Record::new(&policy);
        let mut header = Header::default();
        header.directive(b"#Fields: date time c-ip cs-uri x");
        let mut parser = Parser::new(formats[format], None, header);
        // Lines that are nearly right go further than noise.
        for good in LINES {
            let cut = at.min(good.len());
            let damaged = [&good.as_bytes()[..cut], &line, &good.as_bytes()[cut..]].concat();
            for line in [&line[..], &damaged] {
                if parser.write(line, &mut record) == Ok(Line::Hit) {
                    prop_assert!(serde_json::from_slice::<Value>(record.end()).is_ok());
                }
            }
        }
    }
}
