//! Servers that break off, never end, send too much, or are not who they should be.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::System;
use super::server::{Server, json, reply};

const STREAMS: &str = "retry: {attempts: 2}\nstreams: {a: {request: {path: /a}}}\n";

/// A server that answers each connection with these bytes; it hangs up then, or keeps silent.
async fn raw(answers: Vec<&'static [u8]>, hang_up: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let served = Arc::new(AtomicUsize::new(0));
    let counter = served.clone();
    tokio::spawn(async move {
        let mut silent = Vec::new();
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = connection.read(&mut request).await;
            let number = counter.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            connection.write_all(answers[number]).await.unwrap();
            if !hang_up {
                silent.push(connection);
            }
        }
    });
    (base, served)
}

const WHOLE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n[{\"id\":1}]";
/// JSON that ends in the middle although the transfer is complete.
const CUT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[{\"id\":1}";
/// A transfer that ends in the middle.
const BROKEN: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n[{\"id\":1}]";

#[tokio::test]
async fn what_broke_off_is_asked_for_again() {
    for broken in [
        CUT,
        BROKEN,
        b"",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n[{\"i",
    ] {
        let (base, served) = raw(vec![broken, WHOLE], true).await;
        assert_eq!(System::new(STREAMS, &base).ids("a").await.unwrap(), [1]);
        assert_eq!(served.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn what_goes_on_breaking_off_is_unavailable() {
    for (broken, expected) in [
        (CUT, "the answer is broken: the text breaks off (byte 9 of 9)"),
        (BROKEN, "the connection broke off"),
    ] {
        let (base, served) = raw(vec![broken], true).await;
        let error = System::new(STREAMS, &base).error("a").await;
        assert_eq!((error.exit_code(), served.load(Ordering::SeqCst)), (3, 2));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for() {
    for (limits, answer) in [
        // Silent from the beginning; in the middle; and alive but never done.
        ("{timeout: 100ms}", &b""[..]),
        ("{timeout: 100ms}", &BROKEN[..45]),
        ("{deadline: 100ms}", &BROKEN[..45]),
    ] {
        let (base, served) = raw(vec![answer], false).await;
        let error = System::new(&format!("limits: {limits}\n{STREAMS}"), &base)
            .error("a")
            .await;
        assert_eq!((error.exit_code(), served.load(Ordering::SeqCst)), (3, 2), "{error}");
        assert!(error.to_string().contains("no answer: it was silent"), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = System::new(STREAMS, &base).error("a").await;
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("no connection"), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_ends_at_the_limit() {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        zipped.write_all(&vec![b' '; 1 << 20]).unwrap();
    }
    let bomb: Bytes = zipped.finish().unwrap().into();
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = sent.clone();
    let server = Server::new(move |seen| match seen.path.as_str() {
        "/bomb" => reply(200, &[("content-encoding", "gzip")], bomb.clone()),
        "/announced" => reply(
            200,
            &[("content-length", "2000000000")],
            Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()),
        ),
        _ => {
            let counter = counter.clone();
            let endless = stream::repeat_with(move || {
                counter.fetch_add(1, Ordering::SeqCst);
                Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 65_536]))
            });
            reply(200, &[], Body::from_stream(endless))
        }
    })
    .await;
    let system = System::new(
        "limits: {max_response: 1MB}\nstreams:\n  bomb: {request: {path: /bomb}}\n  \
         announced: {request: {path: /announced}}\n  endless: {request: {path: /endless}}\n",
        &server.base,
    );
    for stream in ["bomb", "announced", "endless"] {
        let error = system.error(stream).await;
        assert!(
            error
                .to_string()
                .contains("the answer is larger than 1 MB; ask for smaller pages"),
            "{error}"
        );
        assert_eq!(server.count(&format!("/{stream}")), 1);
    }
}

#[tokio::test]
async fn compressed_answers_are_read() {
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    zipped.write_all(b"[{\"id\":1}]").unwrap();
    let zipped: Bytes = zipped.finish().unwrap().into();
    let server = Server::new(move |seen| {
        assert!(seen.header("accept-encoding").unwrap().contains("gzip"));
        reply(200, &[("content-encoding", "gzip")], zipped.clone())
    })
    .await;
    assert_eq!(System::new(STREAMS, &server.base).ids("a").await.unwrap(), [1]);
}

#[tokio::test]
async fn credentials_follow_no_redirect_to_another_host() {
    let other = Server::new(|_| json(json!([{"id": 666}]))).await;
    let elsewhere = format!("{}/steal?key=s3cret", other.base);
    let server = Server::new(move |seen| match seen.path.as_str() {
        "/a" => reply(302, &[("location", &elsewhere)], ""),
        "/b" => reply(307, &[("location", "/c")], ""),
        "/d" => reply(302, &[("location", "/d")], ""),
        _ => match seen.header("authorization") {
            Some("Bearer s3cret") => json(json!([{"id": 1}])),
            _ => reply(401, &[], ""),
        },
    })
    .await;
    let system = System::new(
        "auth: {kind: bearer, token: \"{{ config.token }}\"}\nstreams: {a: {request: {path: /a}}, \
         b: {request: {path: /b}}, d: {request: {path: /d}}}\n",
        &server.base,
    );
    let error = system.error("a").await;
    assert!(
        error.to_string().contains("it redirects to another host: 127.0.0.1"),
        "{error}"
    );
    assert!(other.seen().is_empty());
    assert_eq!(server.count("/a"), 1);
    assert_eq!(system.ids("b").await.unwrap(), [1]);
    assert!(system.error("d").await.to_string().contains("more than 5 redirects"));
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let certificate = CertificateDer::from_pem_slice(include_bytes!("keys/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("keys/server.key")).unwrap();
    let config = cordada_core::tls::server()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let (counter, requests) = (connections.clone(), Arc::new(AtomicUsize::new(0)));
    let received = requests.clone();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
            while tls.is_handshaking() && tls.complete_io(&mut connection).is_ok() {}
            received.fetch_add(
                usize::from(!tls.is_handshaking() && tls.complete_io(&mut connection).is_ok()),
                Ordering::SeqCst,
            );
        }
    });
    let error = System::new(STREAMS, &format!("https://localhost:{port}"))
        .error("a")
        .await;
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("no secure connection: "), "{error}");
    // It is not tried again: a certificate does not get better.
    assert_eq!(
        (connections.load(Ordering::SeqCst), requests.load(Ordering::SeqCst)),
        (1, 0)
    );
}
