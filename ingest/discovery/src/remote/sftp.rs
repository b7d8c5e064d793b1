//! SFTP: the host is known by the fingerprint of its key, or nobody logs in.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use cordada_core::{Error, Result};
use russh::client::{self, Handle};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate, decode_secret_key};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::StatusCode;

use super::{Entry, Server, TIMEOUT};

/// A login on a server.
pub(super) struct Session {
    sftp: SftpSession,
    /// Closes the connection when it goes.
    _connection: Handle<HostKey>,
}

/// Checks whether the host is the one that is known.
struct HostKey {
    known: Vec<String>,
    seen: Arc<OnceLock<String>>,
}

impl client::Handler for HostKey {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
        let known = self.known.contains(&fingerprint);
        // The first is the one that matters: keys are exchanged again only with a host that was accepted.
        let _ = self.seen.set(fingerprint);
        Ok(known)
    }
}

pub(super) async fn connect(server: &Server) -> Result<Session> {
    let (login, seen) = (&server.login, Arc::new(OnceLock::new()));
    let handler = HostKey {
        known: login.known_hosts.clone(),
        seen: seen.clone(),
    };
    let config = client::Config {
        inactivity_timeout: Some(2 * TIMEOUT),
        keepalive_interval: Some(TIMEOUT / 2),
        ..client::Config::default()
    };
    let connecting = client::connect(Arc::new(config), (server.host.as_str(), server.port), handler);
    let mut connection = connecting.await.map_err(|error| match seen.get() {
        Some(fingerprint) if !login.known_hosts.contains(fingerprint) => unknown(server, fingerprint),
        _ => server.unavailable(error),
    })?;
    let failed = |error: russh::Error| server.unavailable(error);
    let mut accepted = false;
    if let Some(key) = &login.private_key {
        let key = decode_secret_key(key, login.passphrase.as_deref()).map_err(|_| {
            Error::config(server.doing(), "the private key cannot be read")
                .hint("`private_key` is a key of OpenSSH or PEM, or a file with one; `passphrase` opens it")
        })?;
        let hash = connection.best_supported_rsa_hash().await.map_err(failed)?.flatten();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let asked = connection.authenticate_publickey(login.user.clone(), key).await;
        accepted = asked.map_err(failed)?.success();
    }
    if let Some(password) = login.password.as_ref().filter(|_| !accepted) {
        let asked = connection
            .authenticate_password(login.user.clone(), password.clone())
            .await;
        accepted = asked.map_err(failed)?.success();
    }
    if !accepted {
        return Err(server.refused());
    }
    let channel = connection.channel_open_session().await.map_err(failed)?;
    channel.request_subsystem(true, "sftp").await.map_err(failed)?;
    let sftp = SftpSession::new(channel.into_stream()).await;
    let sftp = sftp.map_err(|error| server.unavailable(error))?;
    sftp.set_timeout(TIMEOUT.as_secs());
    Ok(Session {
        sftp,
        _connection: connection,
    })
}

/// The host has a key that nobody has said is right.
fn unknown(server: &Server, fingerprint: &str) -> Error {
    if server.login.known_hosts.is_empty() {
        return Error::config(
            server.doing(),
            format!("nobody has said which key the host has; it shows {fingerprint}"),
        )
        .hint("compare that with the host's own (ssh-keygen -lf) and set `storage: {known_host: \"SHA256:…\"}`");
    }
    Error::config(
        server.doing(),
        format!("the host shows the key {fingerprint}, which is not `known_host`"),
    )
    .hint("somebody may be in between; change `known_host` only if the host has a new key")
}

impl Session {
    pub(super) async fn list(&mut self, server: &Server, folder: &str) -> Result<Vec<Entry>> {
        let folder = if folder.is_empty() { "." } else { folder };
        let found = match self.sftp.read_dir(folder).await {
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => return Ok(Vec::new()),
            found => found.map_err(|error| failed(server, error))?,
        };
        let mut entries = Vec::new();
        for file in found {
            let mut metadata = file.metadata();
            let mut is_folder = metadata.is_dir();
            if metadata.is_symlink() {
                // A link that leads nowhere is not a file.
                let Ok(target) = self.sftp.metadata(format!("{folder}/{}", file.file_name())).await else {
                    continue;
                };
                if target.is_dir() {
                    continue;
                }
                (metadata, is_folder) = (target, false);
            }
            entries.push(Entry {
                name: file.file_name(),
                is_folder,
                size: metadata.size.unwrap_or_default(),
                modified: metadata.mtime.unwrap_or_default().to_string(),
                time: metadata
                    .mtime
                    .map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into())),
            });
        }
        Ok(entries)
    }

    pub(super) async fn download(&mut self, server: &Server, path: &str, target: &mut tokio::fs::File) -> Result<u64> {
        let opening = async { self.sftp.open(path).await.map_err(|error| failed(server, error)) };
        let mut file = server.timely(opening).await?;
        server.copy(&mut file, target).await
    }
}

fn failed(server: &Server, error: SftpError) -> Error {
    match error {
        SftpError::Status(status) if status.status_code == StatusCode::PermissionDenied => {
            server.unavailable("the server does not let this login read it")
        }
        error => server.unavailable(error),
    }
}
