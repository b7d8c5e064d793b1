//! Sends what the web tracker has queued to a collector: request by request, and a file is removed once the collector
//! has acknowledged all of it. What is interrupted is sent again; the events' ids tell.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use axum::body::Bytes;
use cordada_core::{Context, Error, Result};
use futures::StreamExt;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where requests are queued, in the project.
pub const OUTBOX: &str = "outbox";
/// How many requests are under way at a time.
const CONCURRENT: usize = 4;
/// How often a request is sent before somebody has to look.
const ATTEMPTS: u32 = 10;

/// Sends everything in `outbox` to the collector at `url`; how many requests that were. `on_sent` hears of those that
/// were acknowledged.
///
/// # Errors
/// Unavailable if the collector does not answer, or goes on asking to come later; failed if it refuses a request.
pub async fn send(outbox: &Path, url: &str, on_sent: &(dyn Fn(u64) + Sync), cancel: &CancellationToken) -> Result<u64> {
    let doing = || format!("sending {}", outbox.display());
    let client = Client::builder().timeout(Duration::from_secs(60)).no_proxy();
    let collector = Collector {
        client: client.build().map_err(|error| Error::failed(doing(), error))?,
        url: format!("{url}/com.snowplowanalytics.snowplow/tp2"),
        cancel,
    };
    let mut sent = 0;
    for file in files(outbox)? {
        let (requests, reading) = read(file.clone());
        let acknowledged =
            futures::stream::unfold(requests, async |mut requests| Some((requests.recv().await?, requests)));
        let mut acknowledged = pin!(
            acknowledged
                .map(|request| collector.post(request))
                .buffer_unordered(CONCURRENT)
        );
        while let Some(result) = acknowledged.next().await {
            result?;
            on_sent(1);
            sent += 1;
        }
        reading.await.map_err(|error| Error::failed(doing(), error))??;
        std::fs::remove_file(&file).doing(|| format!("removing {}", file.display()))?;
    }
    Ok(sent)
}

/// The queue's files, oldest first.
fn files(outbox: &Path) -> Result<Vec<PathBuf>> {
    if !outbox.exists() {
        return Ok(Vec::new());
    }
    let reading = || format!("reading the folder {}", outbox.display());
    let entries = std::fs::read_dir(outbox).doing(reading)?;
    let files = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>();
    let mut files = files.doing(reading)?;
    files.sort();
    Ok(files)
}

/// The requests of a file, a few ahead of those that are under way, and how reading it ended.
fn read(file: PathBuf) -> (Receiver<String>, JoinHandle<Result<()>>) {
    let (sender, receiver) = tokio::sync::mpsc::channel(CONCURRENT);
    let reading = tokio::task::spawn_blocking(move || {
        let doing = || format!("reading {}", file.display());
        let decoder = zstd::Decoder::new(File::open(&file).doing(doing)?).doing(doing)?;
        for line in BufReader::new(decoder).lines() {
            if sender.blocking_send(line.doing(doing)?).is_err() {
                // Sending failed, and says so itself.
                break;
            }
        }
        Ok(())
    });
    (receiver, reading)
}

struct Collector<'a> {
    client: Client,
    url: String,
    cancel: &'a CancellationToken,
}

impl Collector<'_> {
    /// Sends one request until the collector has it.
    async fn post(&self, request: String) -> Result<()> {
        let doing = "sending web hits to the collector";
        let body = Bytes::from(request);
        for _ in 0..ATTEMPTS {
            let request = self
                .client
                .post(&self.url)
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
            let answer = tokio::select! {
                answer = request.send() => answer.map_err(|error| Error::unavailable(doing, error))?,
                () = self.cancel.cancelled() => return Err(Error::cancelled(doing)),
            };
            match answer.status() {
                StatusCode::OK => return Ok(()),
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    let seconds = answer
                        .headers()
                        .get(RETRY_AFTER)
                        .and_then(|value| value.to_str().ok()?.parse().ok());
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_secs(seconds.unwrap_or(1))) => {}
                        () = self.cancel.cancelled() => return Err(Error::cancelled(doing)),
                    }
                }
                status => return Err(Error::failed(doing, "it refuses a request").with("status", status.as_u16())),
            }
        }
        Err(Error::unavailable(doing, "it goes on asking to come later").with("attempts", ATTEMPTS))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::routing::post;

    use super::*;

    /// A collector that is busy at every third request and takes the others; where it is, and what it took.
    async fn collector(status: u16) -> (String, Arc<Mutex<Vec<String>>>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (took, requests) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let taking = took.clone();
        let take = move |body: String| {
            let busy = requests.fetch_add(1, Ordering::Relaxed) % 3 == 1;
            let (status, later) = if busy { (429, "0") } else { (status, "") };
            if status == 200 {
                taking.lock().unwrap().push(body);
            }
            let status = axum::http::StatusCode::from_u16(status).unwrap();
            std::future::ready((status, [("retry-after", later)]))
        };
        let router = Router::new().route("/com.snowplowanalytics.snowplow/tp2", post(take));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, router).into_future());
        (url, took)
    }

    fn outbox() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, lines) in [("hits-1.ndjson.zst", "a\nb\nc\n"), ("hits-2.ndjson.zst", "d\ne\n")] {
            let file = File::create(dir.path().join(name)).unwrap();
            let mut encoder = zstd::Encoder::new(file, 1).unwrap().auto_finish();
            encoder.write_all(lines.as_bytes()).unwrap();
        }
        dir
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn everything_is_sent_once_and_waits_when_asked_to() {
        let (url, took) = collector(200).await;
        let (dir, cancel, heard) = (outbox(), CancellationToken::new(), AtomicU64::new(0));
        let on_sent = |requests| {
            heard.fetch_add(requests, Ordering::Relaxed);
        };
        assert_eq!(send(dir.path(), &url, &on_sent, &cancel).await.unwrap(), 5);
        let mut bodies = took.lock().unwrap().clone();
        bodies.sort();
        assert_eq!(bodies, ["a", "b", "c", "d", "e"]);
        assert_eq!(heard.load(Ordering::Relaxed), 5);
        assert_eq!(send(dir.path(), &url, &on_sent, &cancel).await.unwrap(), 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_not_taken_stays() {
        let (url, _) = collector(400).await;
        let dir = outbox();
        let error = send(dir.path(), &url, &|_| (), &CancellationToken::new())
            .await
            .unwrap_err();
        assert!(error.to_string().contains("status=400"), "{error}");
        assert_eq!(files(dir.path()).unwrap().len(), 2);
        let nobody = send(dir.path(), "http://127.0.0.1:1", &|_| (), &CancellationToken::new()).await;
        assert_eq!(nobody.unwrap_err().exit_code(), 3);
    }
}
