#![allow(clippy::unwrap_used)]

use cordada_core::ErrorKind;

use super::*;

fn campaign(yaml: &str) -> Campaign {
    serde_saphyr::from_str(yaml).unwrap()
}

fn refused(yaml: &str) -> String {
    let error = campaign(yaml).validate("win_back").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

const CHANNEL: &str = "channel: {kind: csv, path: out/a.csv}";

#[test]
fn the_shape_of_the_user_guide_is_read() {
    let campaign = campaign(
        r#"
audience: select customer_id, email, first_name from marts.customers where churn_risk > 0.7
consent: email_marketing
channel: {kind: csv, path: out/win_back.csv}
fields: {EMAIL: email, FNAME: first_name}
template: {subject: "We miss you, {{ first_name }}"}
"#,
    );
    campaign.validate("win_back").unwrap();
    assert!(campaign.persons);
    assert_eq!(campaign.consent, Some(Consent::to("email_marketing")));
    assert_eq!(
        campaign.fields.iter().collect::<Vec<_>>(),
        [("EMAIL", "email"), ("FNAME", "first_name")]
    );
}

#[test]
fn consent_can_say_where_it_is_found() {
    let long = campaign(&format!(
        "audience: select 1\nconsent: {{purpose: sms, relation: marts.permissions, key: person_id}}\n{CHANNEL}"
    ));
    let expected = Consent {
        purpose: "sms".into(),
        relation: "marts.permissions".into(),
        key: "person_id".into(),
    };
    assert_eq!(long.consent, Some(expected));
    let wrong: Result<Campaign, _> =
        serde_saphyr::from_str(&format!("audience: select 1\nconsent: {{purpos: sms}}\n{CHANNEL}"));
    assert!(wrong.unwrap_err().to_string().contains("purpos"));
}

#[test]
fn a_campaign_over_persons_needs_consent() {
    let message = refused(&format!("audience: select 1\n{CHANNEL}"));
    assert!(
        message.contains("`consent`: a campaign over persons needs the consent it rests on"),
        "{message}"
    );
    campaign(&format!("audience: select 1\npersons: false\n{CHANNEL}"))
        .validate("x")
        .unwrap();
    let message = refused(&format!("audience: select 1\npersons: false\nconsent: sms\n{CHANNEL}"));
    assert!(message.contains("`persons`"), "{message}");
}

#[test]
fn wrong_keys_are_named() {
    for (yaml, expected) in [
        (
            "audience: select 1; select 2\nconsent: a",
            "`audience`: there is more than one statement",
        ),
        (
            "audience: select 1 as customer_id, email from t\nconsent: a",
            "`audience`: `customer_id`, by which consent is looked up, is made, and not a column of a table",
        ),
        ("audience: select 1\nconsent: ''", "`consent`: the purpose is empty"),
        (
            "audience: select 1\nconsent: {purpose: a, relation: 'x; y'}",
            "`consent`: `x; y` is not a relation",
        ),
        (
            "audience: select 1\nconsent: a\ntemplate: {subject: '{{ a'}",
            "`template.subject`: syntax error",
        ),
        (
            "audience: select 1\nconsent: a\nfields: {a: b}\ntemplate: {a: x}",
            "`template.a`: there is a field of that name",
        ),
    ] {
        let message = refused(&format!("{yaml}\n{CHANNEL}"));
        assert!(message.contains(expected), "{message}");
        assert!(message.starts_with("reading campaign win_back: "), "{message}");
    }
    let message = refused("audience: select 1\nconsent: a\nchannel: {kind: cvs, path: a}");
    assert!(
        message.contains("`channel.kind`: there is no kind of channel `cvs`; did you mean `csv`?"),
        "{message}"
    );
    let twice: Result<Campaign, _> =
        serde_saphyr::from_str(&format!("audience: select 1\nfields: {{a: b, a: c}}\n{CHANNEL}"));
    assert!(twice.is_err(), "a field that is there twice");
    let unknown: Result<Campaign, _> = serde_saphyr::from_str(&format!("audiense: select 1\n{CHANNEL}"));
    assert!(unknown.unwrap_err().to_string().contains("audiense"));
}

#[test]
fn a_segment_is_a_name_and_of_persons() {
    let message = refused(&format!(
        "segment: a) or (true\naudience: select customer_id from marts.customers\nconsent: x\n{CHANNEL}"
    ));
    assert!(
        message.contains("`segment`: it is not the name of a segment"),
        "{message}"
    );
    let message = refused(&format!(
        "segment: a\naudience: select sku from marts.products\npersons: false\n{CHANNEL}"
    ));
    assert!(message.contains("members of a segment are persons"), "{message}");
}
