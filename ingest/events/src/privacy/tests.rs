#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::json;

use super::*;

fn hit(protocol: Protocol) -> Hit {
    let mut record = Record::new(protocol);
    record.default_text("user_id", "ana");
    record.default_text("event_id", "E");
    record.default_text("user_ipaddress", "203.0.113.77");
    record.extra("fingerprint", json!("f"));
    match protocol {
        Protocol::Snowplow => {
            record.default_text("network_userid", "n");
            record.json(
                "contexts",
                json!([{"schema": "iglu:x/client_session/jsonschema/1-0-0", "data": {}}]),
            );
        }
        Protocol::Matomo => record.extra("consent", json!("1")),
        Protocol::Segment => {
            record.json("traits", json!({"email": "a@example.org"}));
            let preferences = json!({"categoryPreferences": {"Analytics": true}});
            record.json(
                "context",
                json!({"device": {"id": 1}, "locale": "es", "consent": preferences}),
            );
        }
    }
    Hit::Record(Box::new(record))
}

fn kept(privacy: &Privacy, hit: Hit, signals: PrivacySignals) -> Option<Value> {
    privacy.apply(hit, signals).map(|hit| match hit {
        Hit::Record(record) => record.finish(),
        Hit::Malformed { sent, .. } => sent,
    })
}

#[test]
fn addresses_are_shortened() {
    for (address, expected) in [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
    ] {
        assert_eq!(network(address.parse().unwrap()).to_string(), expected);
    }
    let record = kept(&Privacy::default(), hit(Protocol::Matomo), PrivacySignals::default()).unwrap();
    assert_eq!(
        (&record["user_ipaddress"], &record["user_id"]),
        (&json!("203.0.113.0"), &json!("ana"))
    );
    for (spelt, expected) in [
        ("203.0.113.77:5678", "203.0.113.0"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("[2001:db8:1:2::3]:443", "2001:db8:1::"),
    ] {
        let mut record = Record::new(Protocol::Matomo);
        record.default_text("user_ipaddress", spelt);
        record.extra("proxies", json!(format!("{spelt}, {spelt}")));
        record.extra("appVersion", json!("1.2.3.4"));
        let record = kept(
            &Privacy::default(),
            Hit::Record(Box::new(record)),
            PrivacySignals::default(),
        )
        .unwrap();
        assert_eq!(record["user_ipaddress"], expected, "{spelt}");
        assert_eq!(record["extra"]["proxies"], format!("{expected}, {expected}"), "{spelt}");
        assert_eq!(record["extra"]["appVersion"], "1.2.3.4");
    }
    let dropping = Privacy {
        ip: Ip::Drop,
        ..Privacy::default()
    };
    let record = kept(&dropping, hit(Protocol::Matomo), PrivacySignals::default()).unwrap();
    assert_eq!(record.get("user_ipaddress"), None);
}

#[test]
fn who_does_not_want_to_be_tracked_is_not() {
    let signals = PrivacySignals {
        no_tracking: true,
        ..PrivacySignals::default()
    };
    for protocol in Protocol::ALL {
        let record = kept(&Privacy::default(), hit(protocol), signals).unwrap();
        assert_eq!(record["event_id"], "E");
        for gone in ["user_id", "user_ipaddress", "network_userid", "traits", "extra"] {
            assert_eq!(record.get(gone), None, "{gone}");
        }
        let text = record.to_string();
        assert!(!text.contains("client_session") && !text.contains("device"), "{text}");
    }
    let dropping = Privacy {
        do_not_track: DoNotTrack::Drop,
        ..Privacy::default()
    };
    assert_eq!(kept(&dropping, hit(Protocol::Segment), signals), None);
    let ignoring = Privacy {
        do_not_track: DoNotTrack::Ignore,
        ..Privacy::default()
    };
    assert_eq!(
        kept(&ignoring, hit(Protocol::Segment), signals).unwrap()["user_id"],
        "ana"
    );
    let anonymous = PrivacySignals {
        anonymous: true,
        ..PrivacySignals::default()
    };
    let record = kept(&Privacy::default(), hit(Protocol::Snowplow), anonymous).unwrap();
    assert_eq!(
        (record.get("network_userid"), &record["user_id"]),
        (None, &json!("ana"))
    );
}

/// A hit that says who and where in every place that a site writes freely.
fn telling(protocol: Protocol) -> Hit {
    let mut record = Record::new(protocol);
    let told =
        json!({"email": "ana@example.org", "ip": "203.0.113.77", "deep": [{"at": "via 203.0.113.77"}], "price": 5});
    for column in protocol.columns() {
        match column.kind {
            Kind::Json if column.name == "extra" => record.extra("told", told.clone()),
            Kind::Json if column.name == "contexts" => record.json("contexts", json!([{"schema": "x", "data": told}])),
            Kind::Json => record.json(column.name, told.clone()),
            Kind::Text if column.name == "event_id" => record.default_text("event_id", "E"),
            Kind::Text if column.pii.is_some() => {
                let text = "https://shop.example/a?email=ana@example.org&ip=203.0.113.77";
                record.default_text(column.name, text);
            }
            _ => {}
        }
    }
    Hit::Record(Box::new(record))
}

#[test]
fn what_sites_write_freely_is_shortened_and_made_anonymous_too() {
    let signals = PrivacySignals {
        no_tracking: true,
        ..PrivacySignals::default()
    };
    let dropping = Privacy {
        ip: Ip::Drop,
        ..Privacy::default()
    };
    let anonymous = PrivacySignals {
        anonymous: true,
        ..PrivacySignals::default()
    };
    for protocol in Protocol::ALL {
        let text = |privacy: &Privacy, signals| kept(privacy, telling(protocol), signals).unwrap().to_string();
        let shortened = text(&Privacy::default(), PrivacySignals::default());
        assert!(!shortened.contains("203.0.113.77"), "{shortened}");
        assert!(
            shortened.contains("via 203.0.113.0") && shortened.contains("ana@example.org"),
            "{shortened}"
        );
        for dropped in [
            text(&dropping, PrivacySignals::default()),
            text(&Privacy::default(), anonymous),
        ] {
            assert!(!dropped.contains("203.0.113"), "{dropped}");
        }
        let anonymised = text(&Privacy::default(), signals);
        for told in ["203.0.113", "ana", "deep", "email"] {
            assert!(!anonymised.contains(told), "{told}: {anonymised}");
        }
        assert!(
            anonymised.contains("https://shop.example/a") && anonymised.contains("\"event_id\":\"E\""),
            "{anonymised}"
        );
    }
    let all = Privacy {
        ip: Ip::Full,
        ..Privacy::default()
    };
    let record = kept(&all, telling(Protocol::Segment), PrivacySignals::default()).unwrap();
    assert_eq!(record["properties"]["ip"], "203.0.113.77");
    let unread = Hit::Malformed {
        reason: "r".into(),
        sent: json!({"properties": {"address": "203.0.113.77"}}),
    };
    let unread = kept(&Privacy::default(), unread, PrivacySignals::default()).unwrap();
    assert_eq!(unread, json!({"properties": {"address": "203.0.113.0"}}));
}

#[test]
fn consent_is_asked_for_where_it_is_needed() {
    let consent = |without| Consent {
        category: "Analytics".into(),
        without,
    };
    let needing = |without| Privacy {
        consent: Some(consent(without)),
        ..Privacy::default()
    };
    let given = [Protocol::Matomo, Protocol::Segment];
    for protocol in Protocol::ALL {
        let kept = kept(&needing(WithoutConsent::Drop), hit(protocol), PrivacySignals::default());
        assert_eq!(kept.is_some(), given.contains(&protocol), "{protocol:?}");
    }
    let record = kept(
        &needing(WithoutConsent::Anonymise),
        hit(Protocol::Snowplow),
        PrivacySignals::default(),
    )
    .unwrap();
    assert_eq!(record.get("user_id"), None);
}

#[test]
fn what_could_not_be_read_is_kept_without_addresses() {
    let malformed = |sent| Hit::Malformed {
        reason: "r".into(),
        sent,
    };
    let sent = json!({"ip": "203.0.113.77", "e": "zz", "context": {"ip": "203.0.113.77"}});
    let object = kept(&Privacy::default(), malformed(sent), PrivacySignals::default()).unwrap();
    assert_eq!(object, json!({"e": "zz", "context": {}}));
    let text = kept(
        &Privacy::default(),
        malformed(json!("{ip: 203.0.113.77")),
        PrivacySignals::default(),
    )
    .unwrap();
    assert_eq!(text, json!(WITHHELD));
    let full = Privacy {
        ip: Ip::Full,
        ..Privacy::default()
    };
    let text = kept(&full, malformed(json!("{")), PrivacySignals::default()).unwrap();
    assert_eq!(text, json!("{"));
}
