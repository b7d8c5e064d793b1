//! FTP, in the clear or encrypted by TLS.

use std::sync::Arc;

use cordada_core::{Error, Result, tls};
use suppaftp::list::ListParser;
use suppaftp::tokio::{AsyncRustlsConnector, AsyncRustlsFtpStream};
use suppaftp::tokio_rustls::TlsConnector;
use suppaftp::types::FileType;
use suppaftp::{FtpError, Mode, Status};
use tokio::net::TcpStream;

use super::{Entry, Protocol, Server};

/// A login on a server.
pub(super) struct Session {
    stream: AsyncRustlsFtpStream,
}

pub(super) async fn connect(server: &Server) -> Result<Session> {
    let tcp = TcpStream::connect((server.host.as_str(), server.port)).await;
    let tcp = tcp.map_err(|error| server.unavailable(error))?;
    let is_v6 = tcp.peer_addr().is_ok_and(|address| address.is_ipv6());
    let failed = |error| failed(server, error);
    let mut stream = AsyncRustlsFtpStream::connect_with_stream(tcp).await.map_err(failed)?;
    if server.protocol == Protocol::Ftps {
        let tls = tls::verifying_client(server.login.ca.as_deref())?;
        let connector = AsyncRustlsConnector::from(TlsConnector::from(Arc::new(tls)));
        stream = stream.into_secure(connector, &server.host).await.map_err(failed)?;
    }
    // Servers behind a router tell addresses of their own network.
    stream.set_passive_nat_workaround(true);
    stream.set_mode(if is_v6 { Mode::ExtendedPassive } else { Mode::Passive });
    let password = server.login.password.as_deref().unwrap_or_default();
    stream
        .login(server.login.user.as_str(), password)
        .await
        .map_err(|error| match error {
            FtpError::UnexpectedResponse(_) => server.refused(),
            error => failed(error),
        })?;
    stream.transfer_type(FileType::Binary).await.map_err(failed)?;
    Ok(Session { stream })
}

/// What the server said is not repeated: it may repeat the login.
fn failed(server: &Server, error: FtpError) -> Error {
    match error {
        FtpError::UnexpectedResponse(response) => {
            server.unavailable(format!("the server answers with status {}", response.status.code()))
        }
        FtpError::SecureError(why) => server
            .unavailable(why)
            .hint("name the certificate that signed the server's in `storage: {ca: FILE}`"),
        error => server.unavailable(error),
    }
}

impl Session {
    pub(super) async fn list(&mut self, server: &Server, folder: &str) -> Result<Vec<Entry>> {
        let folder = if folder.is_empty() { "." } else { folder };
        let (lines, parse): (_, fn(&str) -> Option<suppaftp::list::File>) = match self.stream.mlsd(Some(folder)).await {
            Ok(lines) => (lines, |line| ListParser::parse_mlsd(line).ok()),
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            // A server from before RFC 3659.
            Err(FtpError::UnexpectedResponse(_)) => match self.stream.list(Some(folder)).await {
                Err(error) if is_missing(&error) => return Ok(Vec::new()),
                lines => (lines.map_err(|error| failed(server, error))?, |line| {
                    ListParser::parse_posix(line)
                        .or_else(|_| ListParser::parse_dos(line))
                        .ok()
                }),
            },
            Err(error) => return Err(failed(server, error)),
        };
        let entries = lines.iter().filter_map(|line| {
            let file = parse(line)?;
            // The folder itself and the one above it are of kinds of their own.
            let is_itself = matches!(file.name(), "." | "..");
            (!is_itself && !file.is_symlink()).then(|| Entry {
                name: file.name().to_owned(),
                is_folder: file.is_directory(),
                size: file.size() as u64,
                modified: format!("{:?}", file.modified()),
                time: Some(file.modified()),
            })
        });
        Ok(entries.collect())
    }

    pub(super) async fn download(&mut self, server: &Server, path: &str, target: &mut tokio::fs::File) -> Result<u64> {
        let failed = |error| failed(server, error);
        let mut transfer = server
            .timely(async { self.stream.retr_as_stream(path).await.map_err(failed) })
            .await?;
        let bytes = server.copy(&mut transfer, target).await?;
        server.timely(async { transfer.finish().await.map_err(failed) }).await?;
        Ok(bytes)
    }
}

fn is_missing(error: &FtpError) -> bool {
    matches!(error, FtpError::UnexpectedResponse(response) if response.status == Status::FileUnavailable)
}
