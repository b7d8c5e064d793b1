//! Files on servers of FTP, FTPS (explicit TLS) and SFTP: `sftp://host:port/folder/*.csv`, from the server's root;
//! `sftp://host/~/folder/*.csv` from where the login ends up. Who logs in is under `storage:`, never in the URL.

mod ftp;
mod sftp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cordada_core::scratch::ScratchFile;
use cordada_core::{Context, Error, Result};
use glob::Pattern;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::sync::Mutex;

use super::discover::MATCH;

/// How long a server may take to answer, and to send the next bytes.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Folders that one path may look into.
const MAX_FOLDERS: usize = 10_000;

/// Bytes read at a time.
const BUFFER: usize = 256 * 1024;

/// The protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Ftp,
    /// FTP that is encrypted after the greeting (`AUTH TLS`).
    Ftps,
    Sftp,
}

/// Whether files of a URL of that scheme are on such a server.
pub fn is_remote(scheme: &str) -> bool {
    protocol(scheme).is_some()
}

fn protocol(scheme: &str) -> Option<Protocol> {
    Some(match scheme {
        "ftp" => Protocol::Ftp,
        "ftps" => Protocol::Ftps,
        "sftp" => Protocol::Sftp,
        _ => return None,
    })
}

/// Who logs in, and how the server is known. Without Debug: it holds secrets.
#[derive(Default)]
struct Login {
    user: String,
    password: Option<String>,
    /// The text of a private key.
    private_key: Option<String>,
    passphrase: Option<String>,
    /// Fingerprints of the host's keys: `SHA256:…`.
    known_hosts: Vec<String>,
    /// Roots that certificates are trusted by, instead of those of the machine.
    ca: Option<PathBuf>,
}

impl Login {
    fn new(project: &Path, server: &str, options: &BTreeMap<String, String>) -> Result<Self> {
        let doing = || format!("connecting to {server}");
        let mut login = Login::default();
        for (name, value) in options {
            match name.as_str() {
                "user" => login.user.clone_from(value),
                "password" => login.password = Some(value.clone()),
                "private_key" if value.trim_start().starts_with("-----BEGIN") => {
                    login.private_key = Some(value.clone());
                }
                "private_key" => {
                    let text = std::fs::read_to_string(project.join(value));
                    login.private_key = Some(text.doing(|| format!("reading the private key {value}"))?);
                }
                "passphrase" => login.passphrase = Some(value.clone()),
                "known_host" => {
                    let keys = value.split([' ', ',']).filter(|key| !key.is_empty());
                    login.known_hosts = keys.map(str::to_owned).collect();
                }
                "ca" => login.ca = Some(project.join(value)),
                other => {
                    return Err(
                        Error::config(doing(), format!("`storage:` has no option `{other}` for this server"))
                            .hint("there are user, password, private_key, passphrase, known_host and ca"),
                    );
                }
            }
        }
        if login.user.is_empty() {
            return Err(Error::config(doing(), "nobody is named who logs in").hint("set `storage: {user: …}`"));
        }
        Ok(login)
    }
}

/// A server, with the sessions that wait to be used again.
pub struct Server {
    protocol: Protocol,
    host: String,
    port: u16,
    login: Login,
    idle: Mutex<Vec<Session>>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

enum Session {
    Ftp(ftp::Session),
    Sftp(sftp::Session),
}

/// What a folder holds.
struct Entry {
    name: String,
    is_folder: bool,
    size: u64,
    /// When it was written last, in whatever words the server says it.
    modified: String,
}

/// A file that was found on a server.
pub struct RemoteFile {
    pub server: Arc<Server>,
    pub name: String,
    pub path: String,
    pub size: u64,
    pub state: String,
}

/// The files that a URL matches.
///
/// # Errors
/// Config for a URL that is not understood and a login that is refused, unavailable for a server that is not there.
pub async fn find(project: &Path, url: &str, options: &BTreeMap<String, String>) -> Result<Vec<RemoteFile>> {
    let doing = || format!("looking for {url}");
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(protocol) = protocol(scheme) else {
        return Ok(Vec::new());
    };
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        None => (authority, if protocol == Protocol::Sftp { 22 } else { 21 }),
        Some((host, port)) => {
            let wrong =
                |_| Error::config(doing(), "the port is not a number").hint("write it as sftp://host:22/folder/file");
            (host, port.parse().map_err(wrong)?)
        }
    };
    let server = Arc::new(Server {
        protocol,
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
        login: Login::new(project, authority, options)?,
        idle: Mutex::default(),
    });
    let (root, path) = match path.strip_prefix("~/") {
        Some(path) => ("", path),
        None => ("/", path),
    };
    let pattern = Pattern::new(path).map_err(|error| Error::config(doing(), error))?;
    let wildcard = path.find(['*', '?', '[']).unwrap_or(path.len());
    let start = path[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder);
    let levels = if path.contains("**") {
        usize::MAX
    } else {
        path.matches('/').count()
    };

    let (mut folders, mut looked_into, mut found) = (vec![start.to_owned()], 0, Vec::new());
    let mut session = server.session().await?;
    while let Some(folder) = folders.pop() {
        looked_into += 1;
        if looked_into > MAX_FOLDERS {
            let why = format!("there are more than {MAX_FOLDERS} folders to look into");
            return Err(Error::config(doing(), why).hint("name a folder further down"));
        }
        for entry in session.list(&server, &format!("{root}{folder}")).await? {
            let path = if folder.is_empty() {
                entry.name.clone()
            } else {
                format!("{folder}/{}", entry.name)
            };
            if entry.is_folder {
                // No link to a folder is followed, so that this ends.
                if path.matches('/').count() < levels {
                    folders.push(path);
                }
            } else if pattern.matches_with(&path, MATCH) {
                found.push(RemoteFile {
                    server: server.clone(),
                    name: format!(
                        "{scheme}://{authority}/{}{path}",
                        if root.is_empty() { "~/" } else { "" }
                    ),
                    path: format!("{root}{path}"),
                    size: entry.size,
                    state: format!("{} {}", entry.size, entry.modified),
                });
            }
        }
    }
    server.idle.lock().await.push(session);
    Ok(found)
}

impl Server {
    async fn session(&self) -> Result<Session> {
        if let Some(session) = self.idle.lock().await.pop() {
            return Ok(session);
        }
        let connecting = async {
            Ok(match self.protocol {
                Protocol::Sftp => Session::Sftp(sftp::connect(self).await?),
                Protocol::Ftp | Protocol::Ftps => Session::Ftp(ftp::connect(self).await?),
            })
        };
        self.timely(connecting).await
    }

    /// Downloads a file of `size` bytes into a temporary file.
    ///
    /// # Errors
    /// Unavailable for a server that goes away; conflict for a file that has another size by now.
    pub async fn download(&self, path: &str, size: u64, name: &str) -> Result<ScratchFile> {
        let doing = || format!("downloading {name} into {}", ScratchFile::folder().display());
        let target = ScratchFile::new().doing(doing)?;
        let mut file = tokio::fs::File::from_std(target.file().try_clone().doing(doing)?);
        let mut session = self.session().await?;
        let bytes = match &mut session {
            Session::Ftp(session) => session.download(self, path, &mut file).await?,
            Session::Sftp(session) => session.download(self, path, &mut file).await?,
        };
        file.flush().await.doing(doing)?;
        self.idle.lock().await.push(session);
        if bytes == size {
            return Ok(target);
        }
        Err(Error::conflict(doing(), "the file changed meanwhile").hint("run again when whoever writes it is done"))
    }

    fn doing(&self) -> String {
        format!("connecting to {}:{}", self.host, self.port)
    }

    fn unavailable(&self, why: impl std::fmt::Display) -> Error {
        Error::unavailable(self.doing(), why)
    }

    fn refused(&self) -> Error {
        Error::config(self.doing(), "the server refuses the login")
            .hint("check `storage:`: user, password, private_key")
    }

    /// The result of work that a server has to do in time.
    async fn timely<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let late = |_| {
            self.unavailable(format!(
                "the server did not answer within {} seconds",
                TIMEOUT.as_secs()
            ))
        };
        tokio::time::timeout(TIMEOUT, work).await.map_err(late)?
    }

    /// Copies what a server sends; says how many bytes it was.
    async fn copy(&self, source: &mut (impl AsyncRead + Unpin), target: &mut tokio::fs::File) -> Result<u64> {
        let (mut buffer, mut bytes) = (vec![0; BUFFER], 0);
        loop {
            let read = self
                .timely(async { source.read(&mut buffer).await.map_err(|error| self.unavailable(error)) })
                .await?;
            if read == 0 {
                return Ok(bytes);
            }
            let written = target.write_all(&buffer[..read]).await;
            written.doing(|| format!("writing into {}", ScratchFile::folder().display()))?;
            bytes += read as u64;
        }
    }
}

impl Session {
    async fn list(&mut self, server: &Server, folder: &str) -> Result<Vec<Entry>> {
        match self {
            Session::Ftp(session) => server.timely(session.list(server, folder)).await,
            Session::Sftp(session) => server.timely(session.list(server, folder)).await,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn error(url: &str, options: &[(&str, &str)]) -> String {
        let options = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let found = find(Path::new("/"), url, &options).await;
        found.map(|found| found.len()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_cannot_be_connected_to_is_said_without_secrets() {
        assert!(error("sftp://h:x/a", &[("user", "u")]).await.contains("port"));
        assert!(error("sftp://h/a", &[]).await.contains("user"));
        let wrong = error("sftp://h/a", &[("user", "u"), ("pasword", "secret")]).await;
        assert!(wrong.contains("`pasword`") && !wrong.contains("secret"), "{wrong}");
        // A port that was free a moment ago, and where nobody listens now.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        for scheme in ["ftp", "ftps", "sftp"] {
            let url = format!("{scheme}://127.0.0.1:{port}/a");
            let why = error(
                &url,
                &[("user", "u"), ("password", "secret"), ("known_host", "SHA256:x")],
            )
            .await;
            assert!(why.contains("refused") && !why.contains("secret"), "{why}");
        }
    }
}
