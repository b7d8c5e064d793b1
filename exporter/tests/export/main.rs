//! Campaigns against a Flight SQL server in this process.
#![allow(clippy::unwrap_used, clippy::panic)]

mod server;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use cordada_core::{Error, ErrorKind, hex};
use cordada_exporter::{Campaign, ExportReport, export};
use serde_json::Value;
use server::{TestServer, Then};
use tokio_util::sync::CancellationToken;

const LAKE: [&str; 3] = [
    "create schema marts",
    "create table marts.customers as select * from (values
        ('c1', 'ana@example.com', 'Ana', 0.9), ('c2', 'bo@example.com', null, 0.8), ('c3', 'cy@example.com', '=Cy()', 0.9),
        ('c4', 'di@example.com', 'Di', 0.95), ('c5', 'ed@example.com', 'Ed', 0.1), ('c6', 'fe@example.com', 'Fe', 0.9),
        ('c7', 'gu@example.com', 'Gu', 0.9), (null, 'nobody@example.com', 'No', 0.9)
     ) as c (customer_id, email, first_name, churn_risk)",
    // c1, c3: granted. c2: granted until tomorrow. c4: withdrawn. c6: for another purpose. c7: ran out; c8: not there.
    "create table marts.consents as select * from (values
        ('c1', 'email_marketing', 'granted', null), ('c2', 'email_marketing', 'granted', current_date + 1),
        ('c3', 'email_marketing', 'granted', current_date), ('c4', 'email_marketing', 'withdrawn', null),
        ('c5', 'email_marketing', 'granted', null), ('c6', 'sms', 'granted', null),
        ('c7', 'email_marketing', 'granted', current_date - 1)
     ) as c (customer_id, purpose, status, valid_until)",
];

const WIN_BACK: &str = r#"
audience: |
  select customer_id, email, first_name from marts.customers
  where churn_risk > 0.7 order by email -- the ones at risk
consent: email_marketing
channel: {kind: csv, path: out/win_back.csv}
fields: {EMAIL: email, FNAME: first_name}
template: {subject: "We miss you, {{ first_name | default('friend') }}"}
"#;

fn campaign(yaml: &str) -> Campaign {
    serde_saphyr::from_str(yaml).unwrap()
}

async fn run(server: &TestServer, yaml: &str, project: &Path) -> Result<ExportReport, Error> {
    export(
        "win_back",
        &campaign(yaml),
        &server.connection,
        project,
        false,
        |_| {},
        CancellationToken::new(),
    )
    .await
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found.sort();
    found
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(&sha2::Sha256::digest(bytes))
}

#[tokio::test]
async fn of_a_segment_only_members_who_consent_are_written() {
    let mut lake = LAKE.to_vec();
    lake.extend([
        "create schema segments",
        "create table segments.at_risk as select * from (values ('c1'), ('c4'), ('c5'), (null)) as m (customer_id)",
    ]);
    let server = TestServer::start(&lake, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let yaml = WIN_BACK.replace("consent:", "segment: at_risk\nconsent:");
    let report = run(&server, &yaml, project.path()).await.unwrap();
    // c5 is no audience, c4 does not consent.
    assert_eq!((report.rows, report.withheld_without_consent), (1, Some(1)));
    let missing = WIN_BACK.replace("consent:", "segment: gone\nconsent:");
    let error = run(&server, &missing, project.path()).await.unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

#[tokio::test]
async fn only_those_who_consented_are_written_and_the_manifest_says_so() {
    let server = TestServer::start(&LAKE, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let rows = AtomicU64::new(0);
    let told = |so_far| rows.store(so_far, Ordering::Relaxed);
    let cancel = CancellationToken::new();
    let report = export(
        "win_back",
        &campaign(WIN_BACK),
        &server.connection,
        project.path(),
        false,
        told,
        cancel,
    )
    .await
    .unwrap();

    let written = std::fs::read_to_string(project.path().join("out/win_back.csv")).unwrap();
    let mut lines: Vec<_> = written.lines().collect();
    lines[1..].sort_unstable();
    assert_eq!(
        lines,
        [
            "EMAIL,FNAME,subject",
            "ana@example.com,Ana,\"We miss you, Ana\"",
            "bo@example.com,,\"We miss you, friend\"",
            "cy@example.com,'=Cy(),\"We miss you, =Cy()\"",
        ]
    );
    assert_eq!((report.rows, report.withheld_without_consent), (3, Some(4)));
    assert_eq!(rows.into_inner(), 3);
    assert_eq!(report.columns, ["EMAIL", "FNAME", "subject"]);

    // Three rows and one count crossed the wire: what is withheld never left the server.
    assert_eq!(server.seen.rows_sent.load(Ordering::Relaxed), 4);
    // Everything after the first plan reads the release that the first plan told.
    let planned = server.seen.planned.lock().unwrap();
    assert_eq!(
        planned.iter().map(|(_, release)| *release).collect::<Vec<_>>(),
        [None, Some(7), Some(7), Some(7)]
    );

    let published = report.published.unwrap();
    let manifest: Value = serde_json::from_slice(&std::fs::read(&published.manifest).unwrap()).unwrap();
    assert_eq!(files(project.path()), ["win_back.csv", "win_back.csv.manifest.json"]);
    assert_eq!(manifest["campaign"], "win_back");
    assert_eq!(manifest["file"], "win_back.csv");
    assert_eq!(
        manifest["channel"],
        serde_json::json!({"kind": "csv", "destination": "out/win_back.csv"})
    );
    assert_eq!(manifest["rows"], 3);
    assert_eq!(manifest["failed"], 0);
    assert_eq!(manifest["failures"], serde_json::json!({}));
    assert_eq!(manifest["bytes"], written.len());
    assert_eq!(manifest["sha256"], sha256(written.as_bytes()));
    assert_eq!(Some(&manifest["sha256"]), published.receipt.get("sha256"));
    assert_eq!(manifest["release"], 7);
    assert_eq!(manifest["columns"], serde_json::json!(["EMAIL", "FNAME", "subject"]));
    assert_eq!(manifest["consent"]["purpose"], "email_marketing");
    assert_eq!(manifest["withheld_without_consent"], 4);
    assert_eq!(manifest["query"], *planned[3].0);
    assert!(manifest["written_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn no_words_of_an_audience_leave_the_condition_of_consent() {
    let server = TestServer::start(&LAKE, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let plain = "audience: {audience}\nconsent: email_marketing\nchannel: {kind: csv, path: out.csv}\n";
    let sent = |audience: &str| {
        let yaml = plain.replace("{audience}", &serde_json::to_string(audience).unwrap());
        let (server, project) = (&server, project.path());
        async move { run(server, &yaml, project).await.map(|report| report.rows) }
    };
    // Whatever stands in a text stays in it: those who consented are sent, and nobody else.
    for audience in [
        "select customer_id, $$a'$$ as note, email from marts.customers where email <> $$) or true --$$",
        "select customer_id, E'a\\') as audience --' as note, email from marts.customers",
        "select customer_id, email from marts.customers /* ) as audience -- */ -- ) or (true",
        "with a as (select * from marts.customers) select customer_id, email from a where email <> ''')'",
        "select customer_id, email from marts.customers union select customer_id, email from marts.customers",
        "select customer_id, email from (select * from marts.customers) as marts",
        "select customer_id, email from marts.customers where customer_id in (select customer_id from marts.customers)",
    ] {
        assert_eq!(sent(audience).await.unwrap(), 4, "{audience}");
    }
    for audience in [
        "select customer_id, email from marts.customers) as audience where true or (1=1",
        "select customer_id, email from marts.customers) as audience union all select customer_id, email from (select * \
         from marts.customers",
        "select customer_id, email from marts.customers; select 1",
        "select 'c1' as customer_id, email from marts.customers",
        "select max('c1') over () as customer_id, email from marts.customers",
        "select max(customer_id) over () as customer_id, email from marts.customers",
        "select a.customer_id, b.email from marts.customers a, marts.customers b where a.customer_id = 'c1'",
        "select nullif(customer_id, customer_id) as customer_id, email from marts.customers",
        "select customer_id, email from marts.customers union all select 'c1', email from marts.customers",
    ] {
        let error = sent(audience).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{audience}: {error}");
        assert!(error.to_string().contains("`audience`"), "{audience}: {error}");
    }
    assert_eq!(
        server.seen.rows_sent.load(Ordering::Relaxed),
        7 * 5,
        "no row of the others left the server"
    );
}

#[tokio::test]
async fn consents_that_contradict_each_other_are_none() {
    let mut lake = LAKE.to_vec();
    lake[2] = "create table marts.consents as select * from (values
        ('c1', 'email_marketing', 'granted'), ('c1', 'email_marketing', 'withdrawn'),
        ('c2', 'email_marketing', 'granted'), ('c3', 'email_marketing', null)
     ) as c (customer_id, purpose, status)";
    let server = TestServer::start(&lake, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let report = run(&server, WIN_BACK, project.path()).await.unwrap();
    assert_eq!((report.rows, report.withheld_without_consent), (1, Some(6)));
    assert!(
        std::fs::read_to_string(project.path().join("out/win_back.csv"))
            .unwrap()
            .contains("bo@example.com")
    );
}

#[tokio::test]
async fn consent_that_ran_out_this_very_moment_is_none() {
    let mut lake = LAKE.to_vec();
    lake[2] = "create table marts.permissions as select * from (values
        ('c1', 'sms', 'granted', now() - interval '1 minute'), ('c2', 'sms', 'granted', now() + interval '1 hour')
     ) as c (customer_id, purpose, status, valid_until)";
    let server = TestServer::start(&lake, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let yaml = WIN_BACK.replace("email_marketing", "{purpose: sms, relation: marts.permissions}");
    let report = run(&server, &yaml, project.path()).await.unwrap();
    assert_eq!((report.rows, report.withheld_without_consent), (1, Some(6)));
}

#[tokio::test]
async fn a_campaign_that_is_not_over_persons_needs_no_consent() {
    let server = TestServer::start(&LAKE, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let yaml = "{audience: select count(*) as customers from marts.customers, persons: false,
                 channel: {kind: csv, path: out/figures.csv}}";
    let report = run(&server, yaml, project.path()).await.unwrap();
    assert_eq!((report.rows, report.withheld_without_consent), (1, None));
    assert_eq!(
        std::fs::read_to_string(project.path().join("out/figures.csv")).unwrap(),
        "customers\n8\n"
    );

    let disguised = yaml.replace("count(*) as customers", "*");
    let error = run(&server, &disguised, project.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("the audience has the column `customer_id`"),
        "{error}"
    );
}

#[tokio::test]
async fn an_empty_audience_keeps_its_columns() {
    let server = TestServer::start(&LAKE, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let report = run(&server, &WIN_BACK.replace("> 0.7", "> 7"), project.path())
        .await
        .unwrap();
    assert_eq!((report.rows, report.withheld_without_consent), (0, Some(0)));
    assert_eq!(
        std::fs::read_to_string(project.path().join("out/win_back.csv")).unwrap(),
        "EMAIL,FNAME,subject\n"
    );
}

#[tokio::test]
async fn a_dry_run_counts_and_writes_nothing() {
    let server = TestServer::start(&LAKE, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let campaign = campaign(WIN_BACK);
    let dry = export(
        "a",
        &campaign,
        &server.connection,
        project.path(),
        true,
        |_| {},
        CancellationToken::new(),
    );
    let report = dry.await.unwrap();
    assert_eq!(
        (report.rows, report.withheld_without_consent, report.published),
        (3, Some(4), None)
    );
    assert_eq!(report.columns, ["EMAIL", "FNAME", "subject"]);
    assert!(files(project.path()).is_empty());
}

#[tokio::test]
async fn a_failure_midway_leaves_the_earlier_file_and_its_manifest() {
    let project = tempfile::tempdir().unwrap();
    run(&TestServer::start(&LAKE, Then::GoOn).await, WIN_BACK, project.path())
        .await
        .unwrap();
    let before = std::fs::read(project.path().join("out/win_back.csv")).unwrap();

    let server = TestServer::start(&LAKE, Then::Fail).await;
    let error = run(&server, WIN_BACK, project.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(!error.to_string().contains("ana@example.com"), "{error}");
    assert_eq!(std::fs::read(project.path().join("out/win_back.csv")).unwrap(), before);
    assert_eq!(files(project.path()), ["win_back.csv", "win_back.csv.manifest.json"]);
}

#[tokio::test]
async fn cancelling_midway_stops_the_query_and_leaves_nothing() {
    let server = TestServer::start(&LAKE, Then::Hang).await;
    let project = tempfile::tempdir().unwrap();
    let cancel = CancellationToken::new();
    let on_rows = |_| cancel.cancel();
    let campaign = campaign(WIN_BACK);
    let exporting = export(
        "win_back",
        &campaign,
        &server.connection,
        project.path(),
        false,
        on_rows,
        cancel.clone(),
    );
    assert_eq!(exporting.await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert!(files(project.path()).is_empty());
    server.seen.hung_up.cancelled().await;
}

#[tokio::test]
async fn what_is_wrong_is_found_before_anything_is_written() {
    let server = TestServer::start(&LAKE, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    for (from, to, expected) in [
        (
            "EMAIL: email",
            "EMAIL: e_mail",
            "`fields.EMAIL`: the audience has no column `e_mail`; did you mean `email`?",
        ),
        (
            "first_name |",
            "frist_name |",
            "`template.subject`: the audience has no column `frist_name`",
        ),
        (
            "select customer_id,",
            "select",
            "`audience`: it has to select `customer_id`, by which consent is looked up",
        ),
        (
            "marts.customers",
            "marts.custmers",
            "planning `audience` of campaign win_back: ",
        ),
        (
            "email_marketing",
            "{purpose: a, relation: marts.nothing}",
            "planning `consent` of campaign win_back: ",
        ),
        (
            "email_marketing",
            "{purpose: a, relation: marts.customers}",
            "`marts.customers` has no column `purpose`",
        ),
        (
            "consent: email_marketing",
            "",
            "`consent`: a campaign over persons needs the consent",
        ),
    ] {
        assert!(WIN_BACK.contains(from));
        let error = run(&server, &WIN_BACK.replacen(from, to, 1), project.path())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    assert!(files(project.path()).is_empty());
}

#[tokio::test]
async fn a_wrong_password_and_an_absent_server_are_told_apart() {
    let server = TestServer::start(&LAKE, Then::GoOn).await;
    let project = tempfile::tempdir().unwrap();
    let mut connection = server.connection.clone();
    connection.password = Some("guess".to_owned());
    let campaign = campaign(WIN_BACK);
    let run = |connection| {
        let campaign = &campaign;
        let project = project.path();
        async move {
            export(
                "a",
                campaign,
                &connection,
                project,
                false,
                |_| {},
                CancellationToken::new(),
            )
            .await
        }
    };
    let error = run(connection.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("user or password is wrong") && !error.to_string().contains("guess"),
        "{error}"
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    connection.url = format!("grpc://{}", taken.local_addr().unwrap());
    drop(taken);
    assert_eq!(run(connection).await.unwrap_err().kind(), ErrorKind::Unavailable);
}
