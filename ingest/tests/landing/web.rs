//! Files that come from a web server.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Project, gzip};

/// Serves `content` at `/data/orders.csv.gz` on loopback until the test ends; its address.
async fn serve(content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer(connection, content.clone()));
        }
    });
    address
}

async fn answer(mut connection: TcpStream, content: Vec<u8>) {
    let (reader, mut writer) = connection.split();
    let mut lines = BufReader::new(reader).lines();
    let request = lines.next_line().await.unwrap().unwrap_or_default();
    while lines.next_line().await.unwrap().is_some_and(|line| !line.is_empty()) {}
    let found = request.contains(" /data/orders.csv.gz ");
    let (status, body) = if found {
        ("200 OK", content.as_slice())
    } else {
        ("404 Not Found", &[][..])
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nETag: \"1\"\r\nLast-Modified: Tue, 01 Jul 2025 10:00:00 GMT\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).await.unwrap();
    if request.starts_with("GET") {
        writer.write_all(body).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_is_downloaded_once() {
    let address = serve(gzip(b"id,name\n1,a\n2,b\n")).await;
    let project = Project::new(&format!("{{orders: {{path: 'http://{address}/data/orders.csv.gz'}}}}")).await;
    assert_eq!(project.ingest().await.streams[0].rows, 2);
    let origins = project.sql("select _origin from raw_shop.orders order by id").await;
    assert_eq!(origins[0], format!("http://{address}/data/orders.csv.gz:2"));
    assert_eq!(project.ingest().await.streams[0].skipped_files, 1);
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let address = serve(Vec::new()).await;
    let project = Project::new(&format!("{{orders: {{path: 'http://{address}/other.csv'}}}}")).await;
    let error = project.try_ingest(&[]).await.unwrap_err();
    assert!(
        error.to_string().contains("other.csv") && error.exit_code() == 2,
        "{error}"
    );
    project.configure("kind: files\nstreams: {orders: {path: 'https://ana:secret@example.org/x.csv'}}\n");
    let error = project.try_ingest(&[]).await.unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
