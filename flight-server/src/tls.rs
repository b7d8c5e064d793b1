//! Connections over TLS.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cordada_core::{Context, Error, Result, tls};
use futures::{Stream, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Tls;

/// How long a client may take until its connection is encrypted.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// Clients that may be at it at the same time.
const HANDSHAKES: usize = 1024;

/// What encrypts connections with the certificate and the key of these files.
///
/// # Errors
/// Config: they cannot be read, or do not belong to each other.
pub(crate) async fn acceptor(files: &Tls) -> Result<TlsAcceptor> {
    let (certificates, key) = (read(&files.certificate).await?, read(&files.key).await?);
    let unusable = |error: String| {
        Error::config(format!("using {} for TLS", files.certificate.display()), error)
            .hint("both files must be PEM, and the key the certificate's")
            .with("key", files.key.display())
    };
    let certificates = CertificateDer::pem_slice_iter(&certificates).collect::<Result<Vec<_>, pem::Error>>();
    let certificates = certificates.map_err(|error| unusable(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable(error.to_string()))?;
    let config = tls::server()?.with_no_client_auth().with_single_cert(certificates, key);
    let mut config = config.map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn read(path: &PathBuf) -> Result<Vec<u8>> {
    let read = tokio::fs::read(path).await;
    read.doing(|| format!("reading {} for TLS", path.display()))
}

/// The connections, encrypted; those for which that fails are left out.
pub(crate) fn encrypted(
    acceptor: TlsAcceptor,
    incoming: impl Stream<Item = io::Result<TcpStream>>,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
    let handshakes = incoming.map(move |connection| {
        let acceptor = acceptor.clone();
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
