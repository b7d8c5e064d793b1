//! TLS with one provider of cryptography. Two are in the tree, so rustls wants to be told which.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::{Context, Error, Result};

/// The provider. Libraries that cannot be handed one find it where the binary installs it.
pub fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

/// A client's configuration, up to whom it trusts.
///
/// # Errors
/// None that is known.
pub fn client() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()));
    builder.with_safe_default_protocol_versions().map_err(preparing)
}

/// The configuration of a client that trusts whom this machine trusts, or the certificates of a file instead.
///
/// # Errors
/// Config: the machine trusts nobody, the file is not there or holds no certificate.
pub fn verifying_client(roots: Option<&Path>) -> Result<ClientConfig> {
    let verified = match roots {
        Some(file) => client()?.with_root_certificates(certificates(file)?),
        None => client()?.with_platform_verifier().map_err(|error| {
            Error::config("reading the certificates that this machine trusts", error).hint("install ca-certificates")
        })?,
    };
    Ok(verified.with_no_client_auth())
}

/// A server's configuration, up to its certificate.
///
/// # Errors
/// None that is known.
pub fn server() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>> {
    let builder = ServerConfig::builder_with_provider(Arc::new(provider()));
    builder.with_safe_default_protocol_versions().map_err(preparing)
}

fn preparing(error: rustls::Error) -> Error {
    Error::failed("preparing TLS", error)
}

/// The certificates of a PEM file. Old roots of a machine may be of a kind that is no longer read.
fn certificates(file: &Path) -> Result<RootCertStore> {
    let doing = || format!("reading the certificates of {}", file.display());
    let pem = std::fs::read(file).doing(doing)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(read.map_err(|error| Error::config(doing(), error))?);
    match roots.is_empty() {
        true => Err(Error::config(doing(), "there are none").hint("name a file of certificates in PEM")),
        false => Ok(roots),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "no certificate").unwrap();
        for (file, why) in [
            (&empty, "there are none"),
            (&folder.path().join("nowhere.pem"), "no such file"),
        ] {
            let error = verifying_client(Some(file)).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}
