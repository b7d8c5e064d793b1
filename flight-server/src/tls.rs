//! Connections over TLS. The files are looked at again and again, so that a new certificate is used without a restart.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use cordada_core::threads::locked;
use cordada_core::{Context, Error, Result, tls};
use futures::{Stream, StreamExt};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::{ClientCertificates, Tls};

/// How long a client may take until its connection is encrypted.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Clients that may be at it at the same time.
const HANDSHAKES: usize = 1024;
/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// What to do about files that cannot be used.
const HINT: &str = "the files must be PEM, and the key the certificate's";

/// The certificate and what goes with it, as the files were when they were last good.
pub(crate) struct Certificates {
    files: Tls,
    acceptor: RwLock<TlsAcceptor>,
    /// What the files held when they were last looked at: what is wrong is said once.
    seen: Mutex<u64>,
    hashes: RandomState,
}

/// What is in the files.
#[derive(Hash)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    authorities: Option<Vec<u8>>,
    revoked: Option<Vec<u8>>,
}

impl Certificates {
    /// Those of these files.
    ///
    /// # Errors
    /// Config: they cannot be read, or do not belong to each other.
    pub(crate) async fn open(files: &Tls) -> Result<Self> {
        let hashes = RandomState::new();
        let contents = Contents::read(files).await?;
        Ok(Self {
            acceptor: RwLock::new(contents.acceptor(files)?),
            seen: Mutex::new(hashes.hash_one(&contents)),
            files: files.clone(),
            hashes,
        })
    }

    /// Looks at the files again and again, until it is dropped.
    pub(crate) async fn follow(&self) -> Infallible {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look().await;
        }
    }

    /// Takes what the files hold now, if that has changed and is good; connections that are open go on as they are.
    async fn look(&self) {
        let taken = match Contents::read(&self.files).await {
            // In the middle of being replaced, or gone: there may be more at the next look.
            Err(error) => Err((0, error)),
            Ok(contents) => {
                let hash = self.hashes.hash_one(&contents);
                if *locked(&self.seen) == hash {
                    return;
                }
                let acceptor = contents.acceptor(&self.files);
                acceptor.map(|acceptor| (hash, acceptor)).map_err(|error| (hash, error))
            }
        };
        let (hash, acceptor) = match taken {
            Ok((hash, acceptor)) => (hash, Ok(acceptor)),
            Err((hash, error)) => (hash, Err(error)),
        };
        if std::mem::replace(&mut *locked(&self.seen), hash) == hash {
            return;
        }
        match acceptor {
            Ok(acceptor) => {
                *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
                tracing::info!(certificate = %self.files.certificate.display(), "using a new certificate");
            }
            Err(error) => tracing::warn!(%error, "the new certificate cannot be used; the one before goes on"),
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Contents {
    async fn read(files: &Tls) -> Result<Self> {
        let clients = files.clients.as_ref();
        Ok(Self {
            certificate: read(&files.certificate).await?,
            key: read(&files.key).await?,
            authorities: match clients {
                Some(clients) => Some(read(&clients.ca).await?),
                None => None,
            },
            revoked: match clients.and_then(|clients| clients.crl.as_ref()) {
                Some(crl) => Some(read(crl).await?),
                None => None,
            },
        })
    }

    fn acceptor(&self, files: &Tls) -> Result<TlsAcceptor> {
        let unusable = |error: String| unusable(&files.certificate, error).with("key", files.key.display());
        let certificates = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, pem::Error>>();
        let certificates = certificates.map_err(|error| unusable(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| unusable(error.to_string()))?;
        let config = match &files.clients {
            Some(clients) => tls::server()?.with_client_cert_verifier(self.verifier(clients)?),
            None => tls::server()?.with_no_client_auth(),
        };
        let mut config = config
            .with_single_cert(certificates, key)
            .map_err(|error| unusable(error.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// What lets clients in by their certificates.
    fn verifier(&self, clients: &ClientCertificates) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authorities.as_deref().unwrap_or_default()) {
            let certificate = certificate.map_err(|error| unusable(&clients.ca, error))?;
            roots.add(certificate).map_err(|error| unusable(&clients.ca, error))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(tls::provider()));
        if let (Some(file), Some(lists)) = (&clients.crl, &self.revoked) {
            let lists = CertificateRevocationListDer::pem_slice_iter(lists).collect::<Result<Vec<_>, pem::Error>>();
            builder = builder.with_crls(lists.map_err(|error| unusable(file, error))?);
        }
        if !clients.required {
            builder = builder.allow_unauthenticated();
        }
        builder.build().map_err(|error| unusable(&clients.ca, error))
    }
}

fn unusable(file: &Path, why: impl std::fmt::Display) -> Error {
    Error::config(format!("using {} for TLS", file.display()), why).hint(HINT)
}

async fn read(path: &Path) -> Result<Vec<u8>> {
    let read = tokio::fs::read(path).await;
    read.doing(|| format!("reading {} for TLS", path.display()))
}

/// The connections, encrypted; those for which that fails are left out.
pub(crate) fn encrypted(
    certificates: Arc<Certificates>,
    incoming: impl Stream<Item = io::Result<TcpStream>>,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    let handshakes = incoming.map(move |connection| {
        let acceptor = certificates.acceptor();
        async move {
            match connection {
                Ok(connection) => handshake(&acceptor, connection).await.map(Ok),
                Err(error) => Some(Err(error)),
            }
        }
    });
    handshakes.buffer_unordered(HANDSHAKES).filter_map(std::future::ready)
}

async fn handshake(acceptor: &TlsAcceptor, connection: TcpStream) -> Option<TlsStream<TcpStream>> {
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(connection)).await {
        Ok(Ok(encrypted)) => return Some(encrypted),
        Ok(Err(error)) => tracing::debug!(%error, "a connection does not speak TLS as it should"),
        Err(_) => tracing::debug!("a connection takes too long to speak TLS"),
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flight_sql/tls");
        let files = Tls {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
            clients: None,
        };
        for (from, to) in [("certificate.pem", &files.certificate), ("key.pem", &files.key)] {
            std::fs::copy(shipped.join(from), to).unwrap();
        }
        let certificates = Certificates::open(&files).await.unwrap();
        let used = || Arc::as_ptr(certificates.acceptor().config());
        let first = used();
        certificates.look().await;
        assert_eq!(used(), first, "nothing has changed");
        let good = std::fs::read_to_string(&files.certificate).unwrap();
        for broken in ["", "no certificate", &good[..good.len() / 2]] {
            std::fs::write(&files.certificate, broken).unwrap();
            certificates.look().await;
            assert_eq!(used(), first, "{broken}");
        }
        std::fs::remove_file(&files.certificate).unwrap();
        certificates.look().await;
        assert_eq!(used(), first);
        std::fs::write(&files.certificate, format!("{good}\n")).unwrap();
        certificates.look().await;
        assert_ne!(used(), first);
    }
}
