//! The other end of a connection: its address, and the names in the certificate that it showed.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::CN;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The other end of a connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Peer {
    /// Its address, if the connection has one.
    pub(crate) address: Option<SocketAddr>,
    /// The names in its certificate; `None` if it showed none.
    pub(crate) certificate: Option<Arc<[String]>>,
}

impl From<TcpConnectInfo> for Peer {
    fn from(connection: TcpConnectInfo) -> Self {
        Self {
            address: connection.remote_addr(),
            certificate: None,
        }
    }
}

impl From<TlsConnectInfo<TcpConnectInfo>> for Peer {
    fn from(connection: TlsConnectInfo<TcpConnectInfo>) -> Self {
        let certificates = connection.peer_certs();
        let shown = certificates.as_ref().and_then(|chain| chain.first());
        Self {
            certificate: shown.map(|certificate| names(certificate).into()),
            ..Self::from(connection.get_ref().clone())
        }
    }
}

/// The names that a certificate, which was verified, is for: its alternative names; its common name only if it has none
/// of those (RFC 6125).
fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let subject = &certificate.tbs_certificate;
    let alternative = subject.get::<SubjectAltName>().ok().flatten();
    if let Some((_, SubjectAltName(names))) = alternative {
        let name = |name: &GeneralName| match name {
            GeneralName::Rfc822Name(name) | GeneralName::DnsName(name) => Some(name.to_string()),
            GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
            _ => None,
        };
        return names.iter().filter_map(name).collect();
    }
    let parts = subject.subject.0.iter().flat_map(|part| part.0.iter());
    let common = parts.filter(|part| part.oid == CN).filter_map(|part| {
        let value = &part.value;
        let utf8 = value
            .decode_as::<Utf8StringRef<'_>>()
            .map(|text| text.as_str().to_owned());
        let printable = || {
            value
                .decode_as::<PrintableStringRef<'_>>()
                .map(|text| text.as_str().to_owned())
        };
        let ia5 = || {
            value
                .decode_as::<Ia5StringRef<'_>>()
                .map(|text| text.as_str().to_owned())
        };
        utf8.or_else(|_| printable()).or_else(|_| ia5()).ok()
    });
    common.collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustls::pki_types::pem::PemObject;

    use super::*;

    fn names_of(file: &str) -> Vec<String> {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flight_sql/tls");
        names(&CertificateDer::from_pem_file(folder.join(file)).unwrap())
    }

    #[test]
    fn alternative_names_come_before_the_common_one() {
        assert_eq!(
            names_of("client.pem"),
            ["bea", "bea@acme.example", "spiffe://acme.example/bea"]
        );
        assert_eq!(names_of("client-cn.pem"), ["ana"]);
        assert_eq!(names(&CertificateDer::from(vec![1, 2, 3])), Vec::<String>::new());
    }
}
