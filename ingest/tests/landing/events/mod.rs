//! Web events, from real requests to rows.

mod log;
mod pipeline;

use std::net::SocketAddr;
use std::time::Duration;

use cordada_ingest::{SourceFile, listen, load_sources};
use cordada_ingest_source::transform::PiiKey;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{KINDS, Project, gzip};

const TP2: &str = "/com.snowplowanalytics.snowplow/tp2";

/// A project whose source `web` is of events, with this besides.
async fn project(options: &str) -> Project {
    let project = Project::new("{}").await;
    std::fs::remove_file(project.path().join("sources/shop.yml")).unwrap();
    // Only what the test sends at its end lands, and then.
    let text = format!("kind: events\nlisten: 127.0.0.1:0\nflush: 1h\n{options}\n");
    project.write("sources/web.yml", text);
    project
}

fn sources(project: &Project) -> Vec<SourceFile> {
    load_sources(&project.path().join("sources"), KINDS).unwrap()
}

fn key() -> PiiKey {
    PiiKey::new("correct horse battery staple").unwrap()
}

/// Runs the project's collector while `visit` sends it hits; when that is done they have landed.
async fn collect<V: Future<Output = ()>>(project: &Project, visit: impl FnOnce(SocketAddr) -> V) {
    let (sources, key, cancel) = (sources(project), key(), CancellationToken::new());
    let bound = sources[0].listen(project.path(), Some(&key)).await.unwrap();
    let collector = bound.unwrap();
    let address = collector.local_addr().unwrap();
    let visiting = async {
        visit(address).await;
        cancel.cancel();
    };
    let running = listen(
        collector,
        &project.lake,
        project.path(),
        &sources,
        Some(&key),
        cancel.clone(),
    );
    tokio::join!(visiting, running).1.unwrap();
}

/// An answer: its status, its headers in lower case, its body.
struct Answer {
    status: u16,
    headers: String,
    body: Vec<u8>,
}

impl Answer {
    fn of(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        Answer {
            status: head[9..12].parse().unwrap(),
            headers: head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Sends a request on a connection of its own; `head` is its first line and its headers.
async fn send(address: SocketAddr, head: &str, body: &[u8]) -> Answer {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = request(head, body);
    connection.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    Answer::of(&answer)
}

fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
    let headers: String = headers.lines().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let mut request =
        format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n")
            .into_bytes();
    request.extend_from_slice(body);
    request
}

async fn post(address: SocketAddr, path: &str, body: &Value) -> Answer {
    send(address, &format!("POST {path}"), body.to_string().as_bytes()).await
}

fn snowplow(hits: Value) -> Value {
    json!({"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": hits})
}

#[tokio::test]
async fn hits_of_every_protocol_land_once() {
    let project = project("").await;
    collect(&project, async |address| {
        let hits =
            snowplow(json!([{"e": "pv", "eid": "S1", "url": "https://shop.example/a"}, {"e": "pv", "eid": "S2"}]));
        let answer = post(address, TP2, &hits).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"ok"[..]));
        let pixel = send(address, "GET /i?e=se&eid=S3&se_ca=video&se_va=1.5", b"").await;
        assert!(pixel.status == 200 && pixel.body.starts_with(b"GIF89a"));
        assert!(pixel.headers.contains("content-type: image/gif"));

        let pixel = send(address, "GET /matomo.php?idsite=1&rec=1&action_name=Home", b"").await;
        assert!(pixel.body.starts_with(b"GIF89a"));
        let nothing = send(address, "POST /matomo.php", b"idsite=1&rec=1&e_c=video&send_image=0").await;
        assert_eq!(nothing.status, 204);
        let bulk = json!({"requests": ["?idsite=1&rec=1&idgoal=0&ec_id=O1&revenue=9.5", "?idsite=1"]});
        let answer = post(address, "/matomo.php", &bulk).await.json();
        assert_eq!((&answer["tracked"], &answer["invalid"]), (&json!(1), &json!(1)));

        let track = json!({"event": "Paid", "userId": "u", "messageId": "M1", "properties": {"revenue": 7}});
        assert_eq!(
            post(address, "/v1/track", &track).await.json(),
            json!({"success": true})
        );
        let batch = json!({"batch": [{"type": "page", "anonymousId": "a", "name": "Home", "messageId": "M2"}]});
        let mut head = "POST /v1/batch\nContent-Encoding: gzip".to_owned();
        assert_eq!(
            send(address, &head, &gzip(batch.to_string().as_bytes())).await.status,
            200
        );
        head.push('x');
        assert_eq!(send(address, &head, b"{}").await.status, 415);
    })
    .await;
    let snowplow = project
        .sql("select event_id, event, page_urlhost, se_value from raw_web.snowplow order by 1")
        .await;
    assert_eq!(
        snowplow,
        [
            "S1|page_view|shop.example|null",
            "S2|page_view|null|null",
            "S3|struct|null|1.5"
        ]
    );
    let matomo = project
        .sql("select event, page_title, order_id, revenue from raw_web.matomo order by 1")
        .await;
    assert_eq!(
        matomo,
        [
            "event|null|null|null",
            "order|null|O1|9.5000",
            "page_view|Home|null|null"
        ]
    );
    let segment = project
        .sql("select type, event, name, user_id, revenue, properties from raw_web.segment order by 1")
        .await;
    assert_eq!(
        segment,
        [
            "page|null|Home|null|null|null",
            "track|Paid|null|u|7.0000|{\"revenue\":7}"
        ]
    );
    let rejected = project
        .sql("select source, stream, reason from ops.rejected_rows")
        .await;
    assert_eq!(rejected, ["web|matomo|`rec` is not 1"]);
    assert_eq!(
        project
            .ingest()
            .await
            .streams
            .iter()
            .map(|stream| stream.rows)
            .sum::<u64>(),
        0
    );
}

#[tokio::test]
async fn tables_have_all_columns_from_the_first_hit_on() {
    let project = project("streams: {snowplow: {columns: {page_title: {transform: drop}}}}").await;
    collect(&project, async |address| {
        post(address, TP2, &snowplow(json!([{"e": "pv"}]))).await;
    })
    .await;
    let columns = project.columns("raw_web.snowplow").await;
    assert!(
        columns.contains(&"tr_total Decimal128(18, 4)".to_owned()),
        "{columns:?}"
    );
    assert!(columns.contains(&"pp_yoffset_max Int64".to_owned()));
    assert!(columns.contains(&"contexts Utf8".to_owned()));
    assert!(!columns.iter().any(|column| column.starts_with("page_title ")));
}

#[tokio::test]
async fn what_is_refused_says_why_and_lands_nowhere() {
    let project = project(
        "limits: {request: 1KB, queue: 1KB}\norigins: [https://shop.example]\n\
         streams: {segment: {write_keys: [k1]}, snowplow: {}}",
    )
    .await;
    collect(&project, async |address| {
        let long = "x".repeat(2000);
        assert_eq!(send(address, &format!("POST {TP2}"), long.as_bytes()).await.status, 413);
        let bomb = gzip(&vec![b' '; 1 << 20]);
        let squeezed = send(address, &format!("POST {TP2}\nContent-Encoding: gzip"), &bomb).await;
        assert!(matches!(squeezed.status, 413 | 429), "{}", squeezed.status);
        let small_bomb = gzip(&[b' '; 3000]);
        let squeezed = send(address, &format!("POST {TP2}\nContent-Encoding: gzip"), &small_bomb).await;
        assert_eq!(squeezed.status, 413);
        assert_eq!(send(address, "GET /nowhere", b"").await.status, 404);
        assert_eq!(send(address, "DELETE /i", b"").await.status, 405);
        assert_eq!(send(address, "GET /health", b"").await.status, 200);
        assert_eq!(
            send(address, "GET /i?e=pv\nOrigin: https://other.example", b"")
                .await
                .status,
            403
        );
        let message = json!({"type": "page", "userId": "u"});
        assert_eq!(post(address, "/v1/page", &message).await.status, 401);
        let wrong = "POST /v1/page\nAuthorization: Basic azI6";
        assert_eq!(send(address, wrong, message.to_string().as_bytes()).await.status, 401);
        let right = "POST /v1/page\nAuthorization: Basic azE6";
        assert_eq!(send(address, right, message.to_string().as_bytes()).await.status, 200);
        let keyed = json!({"type": "page", "userId": "u", "writeKey": "k1"});
        assert_eq!(post(address, "/v1/page", &keyed).await.status, 200);

        // Half a request takes up room that others do not get until it is over, unless they were there first.
        let hits = snowplow(json!([{"e": "pv", "x": "y".repeat(800)}])).to_string();
        let whole = request(&format!("POST {TP2}"), hits.as_bytes());
        let other = snowplow(json!([{"e": "pv", "x": "y".repeat(300)}]));
        let (mut slow, busy) = 'taken: loop {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(&whole[..whole.len() - 50]).await.unwrap();
            for _ in 0..100 {
                let answer = post(address, TP2, &other).await;
                if answer.status != 200 {
                    break 'taken (slow, answer);
                }
            }
        };
        assert_eq!(busy.status, 429);
        assert!(busy.headers.contains("retry-after: 1"));
        slow.write_all(&whole[whole.len() - 50..]).await.unwrap();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).await.unwrap();
        assert_eq!(Answer::of(&answer).status, 200);
        assert_eq!(post(address, TP2, &other).await.status, 200);
    })
    .await;
    assert_eq!(
        project
            .sql("select count(*), count(user_id) from raw_web.segment")
            .await,
        ["2|2"]
    );
    assert_eq!(project.sql("select count(*) from ops.rejected_rows").await, ["0"]);
}

#[tokio::test]
async fn browsers_of_other_sites_may_send_and_are_known_again() {
    let project = project("cookie: {name: cid, domain: shop.example, days: 30}\norigins: [https://shop.example]").await;
    collect(&project, async |address| {
        let preflight = format!("OPTIONS {TP2}\nOrigin: https://shop.example\nAccess-Control-Request-Method: POST");
        let answer = send(address, &preflight, b"").await;
        assert_eq!(answer.status, 204);
        for header in [
            "access-control-allow-origin: https://shop.example",
            "access-control-allow-credentials: true",
            "access-control-allow-headers: content-type",
        ] {
            assert!(answer.headers.contains(header), "{}", answer.headers);
        }
        let first = send(address, "GET /i?e=pv&eid=1", b"").await;
        let cookie = first.headers.split("set-cookie: cid=").nth(1).unwrap();
        assert!(cookie.contains("domain=shop.example") && cookie.contains("max-age=2592000"));
        let id = cookie.split(';').next().unwrap();
        send(address, &format!("GET /i?e=pv&eid=2\nCookie: a=b; cid={id}"), b"").await;
        let anonymous = send(
            address,
            &format!("GET /i?e=pv&eid=3\nSP-Anonymous: *\nCookie: cid={id}"),
            b"",
        )
        .await;
        assert!(!anonymous.headers.contains("set-cookie"));
    })
    .await;
    let known = project
        .sql("select event_id, network_userid from raw_web.snowplow order by 1")
        .await;
    assert_eq!(known[0].split_once('|').unwrap().1, known[1].split_once('|').unwrap().1);
    assert_eq!(known[2], "3|null");
}

#[tokio::test]
async fn where_any_page_may_send_none_is_trusted_with_cookies() {
    let project = project("cookie: {name: cid}").await;
    collect(&project, async |address| {
        for request in [
            "OPTIONS /i\nOrigin: https://evil.example",
            "GET /i?e=pv\nOrigin: https://evil.example",
        ] {
            let answer = send(address, request, b"").await;
            assert!(answer.status < 300);
            assert!(
                answer.headers.contains("access-control-allow-origin: *"),
                "{}",
                answer.headers
            );
            assert!(!answer.headers.contains("allow-credentials") && !answer.headers.contains("evil"));
        }
    })
    .await;
}

#[tokio::test]
async fn one_sender_does_not_take_all_connections() {
    let project = project("limits: {connections: 8, connections_per_address: 3, timeout: 1h}").await;
    collect(&project, async |address| {
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        // What is beyond its share is closed at once, so that there is room for the next sender.
        for beyond in &mut held[3..] {
            let mut nothing = Vec::new();
            let closed = tokio::time::timeout(Duration::from_secs(60), beyond.read_to_end(&mut nothing));
            // Closed or reset: in any case over.
            let _ = closed.await.unwrap();
        }
        let other = tokio::net::TcpSocket::new_v4().unwrap();
        other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
        let mut other = other.connect(address).await.unwrap();
        other.write_all(&request("GET /i?e=pv", b"")).await.unwrap();
        let mut answer = Vec::new();
        other.read_to_end(&mut answer).await.unwrap();
        assert_eq!(Answer::of(&answer).status, 200);
    })
    .await;
}

#[tokio::test]
async fn behind_a_proxy_one_sender_does_not_take_all_requests() {
    let project = project("behind_proxy: true\nlimits: {connections: 8, connections_per_address: 1}").await;
    collect(&project, async |address| {
        let hits = snowplow(json!([{"e": "pv"}])).to_string();
        let of = |sender: &str| format!("POST {TP2}\nX-Forwarded-For: 192.0.2.9, {sender}");
        let whole = request(&of("192.0.2.1"), hits.as_bytes());
        // Half a request keeps the sender's only place, unless another of its requests was there first.
        let mut slow = 'taken: loop {
            let mut slow = TcpStream::connect(address).await.unwrap();
            slow.write_all(&whole[..whole.len() - 10]).await.unwrap();
            for _ in 0..100 {
                if send(address, &of("192.0.2.1"), hits.as_bytes()).await.status == 429 {
                    break 'taken slow;
                }
            }
        };
        assert_eq!(send(address, &of("192.0.2.2"), hits.as_bytes()).await.status, 200);
        slow.write_all(&whole[whole.len() - 10..]).await.unwrap();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).await.unwrap();
        assert_eq!(Answer::of(&answer).status, 200);
    })
    .await;
}

#[tokio::test]
async fn nobody_holds_a_connection_for_ever() {
    let project = project("limits: {timeout: 200ms, connections: 1}").await;
    collect(&project, async |address| {
        // The only connection there is waits for the end of a request that does not come.
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"POST /i HTTP/1.1\r\nHost: x\r\nX-Slow").await.unwrap();
        let next = send(address, "GET /i?e=pv&eid=E", b"").await;
        assert_eq!(next.status, 200);
        let mut rest = Vec::new();
        // Closed or reset: in any case over.
        let _ = slow.read_to_end(&mut rest).await;
    })
    .await;
    assert_eq!(project.sql("select event_id from raw_web.snowplow").await, ["E"]);
}
