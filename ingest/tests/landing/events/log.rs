//! The log of events on the disk: what was acknowledged lands, once, and nothing personal is written.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use cordada_ingest::listen;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Project, TP2, collect, key, post, project, send, snowplow, sources};

#[tokio::test]
async fn what_cannot_be_kept_is_not_acknowledged() {
    let project = project("limits: {backlog: 1KB}").await;
    let mut acknowledged = Vec::new();
    collect(&project, async |address| {
        for number in 0..10 {
            let hits = snowplow(json!([{"e": "pv", "eid": number.to_string(), "page": "t".repeat(100)}]));
            let answer = post(address, TP2, &hits).await;
            if answer.status == 200 {
                acknowledged.push(number.to_string());
            } else {
                assert_eq!(answer.status, 503);
                assert!(answer.headers.contains("retry-after: 10"));
            }
        }
    })
    .await;
    assert!((1..10).contains(&acknowledged.len()), "{acknowledged:?}");
    assert_eq!(
        project.sql("select event_id from raw_web.snowplow order by 1").await,
        acknowledged
    );
}

/// All files of the logs, and their content.
fn logs(project: &Project) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for stream in std::fs::read_dir(project.path().join(".cordada/events/web")).unwrap() {
        for file in std::fs::read_dir(stream.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

#[tokio::test]
async fn a_crash_between_commit_and_removal_doubles_nothing() {
    let project = project("streams: [snowplow]").await;
    let mut left = BTreeMap::new();
    for day in 0..3 {
        collect(&project, async |address| {
            for number in 0..5 {
                post(
                    address,
                    TP2,
                    &snowplow(json!([{"e": "pv", "eid": format!("{day}-{number}")}, {"e": "zz"}])),
                )
                .await;
            }
            left = logs(&project);
        })
        .await;
        let counts = project
            .sql("select count(*), count(distinct event_id) from raw_web.snowplow")
            .await;
        let expected = (day + 1) * 5;
        assert_eq!(counts, [format!("{expected}|{expected}")]);
        assert!(logs(&project).values().all(Vec::is_empty), "only the lock is left");
        // What has landed comes back, as if it had not been removed.
        for (path, content) in &left {
            std::fs::write(path, content).unwrap();
        }
        project.ingest().await;
    }
    assert_eq!(
        project
            .sql("select count(*), count(distinct event_id) from raw_web.snowplow")
            .await,
        ["15|15"]
    );
    assert_eq!(project.sql("select count(*) from ops.rejected_rows").await, ["15"]);
}

/// Runs the project's collector while `visit` sends it hits, and kills it before they land: its future is dropped.
async fn collect_and_die<V: Future<Output = ()>>(project: &Project, visit: impl FnOnce(SocketAddr) -> V) {
    let (sources, key) = (sources(project), key());
    let collector = sources[0].listen(project.path(), Some(&key)).await.unwrap().unwrap();
    let address = collector.local_addr().unwrap();
    let cancel = CancellationToken::new();
    let running = listen(collector, &project.lake, project.path(), &sources, Some(&key), cancel);
    tokio::select! {
        () = visit(address) => {}
        ended = running => panic!("{ended:?}"),
    }
}

/// Waits until nobody writes the logs any more: the thread that does ends a moment after its collector, and keeps its
/// segment until then.
fn await_writers(project: &Project) {
    for stream in std::fs::read_dir(project.path().join(".cordada/events/web")).unwrap() {
        let lock = std::fs::File::create(stream.unwrap().path().join("lock")).unwrap();
        lock.lock().unwrap();
    }
}

#[tokio::test]
async fn what_the_log_holds_lands_without_a_collector_too() {
    let project = project("streams: [segment]").await;
    collect_and_die(&project, async |address| {
        let hit = json!({"type": "page", "userId": "u", "messageId": "M"});
        assert_eq!(post(address, "/v1/page", &hit).await.status, 200);
    })
    .await;
    await_writers(&project);
    assert_eq!(project.ingest().await.streams[0].rows, 1);
    assert_eq!(project.sql("select event_id from raw_web.segment").await, ["M"]);
    assert_eq!(project.ingest().await.streams[0].rows, 0);
}

#[tokio::test]
async fn what_rots_in_the_log_is_told_and_kept_and_the_rest_lands() {
    let project = project("streams: [segment]").await;
    collect_and_die(&project, async |address| {
        for number in 0..20 {
            let hit = json!({"type": "page", "userId": "ana-maria", "messageId": number.to_string()});
            assert_eq!(post(address, "/v1/page", &hit).await.status, 200);
        }
    })
    .await;
    await_writers(&project);
    let written = logs(&project);
    let (path, bytes) = written.iter().find(|(_, bytes)| !bytes.is_empty()).unwrap();
    let mut rotten = bytes.clone();
    for place in ["\"event_id\":\"5\"", "\"event_id\":\"11\""] {
        let at = bytes.windows(place.len()).position(|part| part == place.as_bytes());
        rotten[at.unwrap()] ^= 1;
    }
    std::fs::write(path, &rotten).unwrap();
    assert_eq!(project.ingest().await.streams[0].rows, 18);
    let landed = "select count(*), count(distinct event_id) from raw_web.segment where event_id not in ('5', '11')";
    assert_eq!(project.sql(landed).await, ["18|18"]);
    let rejected = project
        .sql("select line, reason, record from ops.rejected_rows order by 1")
        .await;
    let kept = path.with_extension("damaged");
    assert_eq!(rejected.len(), 2, "{rejected:?}");
    for (line, row) in [(6, &rejected[0]), (12, &rejected[1])] {
        assert!(
            row.starts_with(&format!("{line}|1 record cannot be read: bytes ")),
            "{row}"
        );
        assert!(
            row.ends_with(&kept.display().to_string()) && !row.contains("ana-maria"),
            "{row}"
        );
    }
    let left: BTreeMap<_, _> = logs(&project)
        .into_iter()
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect();
    assert_eq!(left, BTreeMap::from([(kept, rotten)]));
    assert_eq!(project.ingest().await.streams[0].rows, 0);
    assert_eq!(project.sql("select count(*) from ops.rejected_rows").await, ["2"]);
}

#[tokio::test]
async fn personal_data_reaches_no_disk() {
    let project = project(
        "streams:\n  segment:\n    extract: {plan: traits.plan, age: traits.age}\n    columns:\n      \
         user_id: {transform: hash}\n      traits.email: {pii: email, transform: drop}\n      age: {type: integer}",
    )
    .await;
    collect(&project, async |address| {
        let hit = json!({"type": "identify", "userId": "ana-maria", "traits": {"email": "ana@example.org", "plan": "pro", "age": "old"}});
        assert_eq!(post(address, "/v1/identify", &hit).await.status, 200);
        assert_eq!(send(address, "POST /v1/identify", b"{\"userId\": \"ana-maria\"").await.status, 200);
        assert_eq!(send(address, "POST /v1/page\nDNT: 1", br#"{"anonymousId": "ana-maria"}"#).await.status, 200);
        for folder in ["events", "events/web", "events/web/segment"] {
            let metadata = std::fs::metadata(project.path().join(".cordada").join(folder)).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o700, "{folder}");
        }
        for (path, content) in logs(&project) {
            let text = String::from_utf8_lossy(&content);
            for personal in ["ana-maria", "ana@example.org", "127.0.0.1"] {
                assert!(!text.contains(personal), "{}", path.display());
            }
        }
    })
    .await;
    let columns = "type, length(user_id), plan, age, traits, user_ipaddress";
    let landed = project
        .sql(&format!("select {columns} from raw_web.segment order by 1"))
        .await;
    let traits = r#"{"age":"old","plan":"pro"}"#;
    assert_eq!(
        landed,
        [
            format!("identify|64|pro|null|{traits}|127.0.0.0"),
            "page|null|null|null|null|null".into()
        ]
    );
    let rejected = project.sql("select record from ops.rejected_rows").await;
    assert!(
        rejected.len() == 1 && rejected[0].starts_with("withheld"),
        "{rejected:?}"
    );
}
