//! What is known of a client from the name that it gives itself, where a server must know it: clients that cannot read
//! what others need.

use arrow_flight::sql::SqlInfo;
use tonic::metadata::MetadataMap;

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// A driver for JDBC up to 18.3. It has only the name of its library; later ones say `JDBC Flight SQL Driver`.
    ///
    /// Its `getObject` cannot read times with a zone (apache/arrow-java, issue 839), and up to 15.0 it breaks off at a
    /// code of `SqlInfo` that is newer than it is.
    OldJdbc,
    /// Any other.
    Other,
}

impl Client {
    /// Who sent these headers.
    pub(crate) fn of(headers: &MetadataMap) -> Self {
        let name = headers.get("user-agent").and_then(|name| name.to_str().ok());
        match name {
            Some(name) if name.starts_with("grpc-java") => Self::OldJdbc,
            _ => Self::Other,
        }
    }

    /// Whether it reads times with a zone.
    pub(crate) fn reads_zones(self) -> bool {
        self == Self::Other
    }

    /// Whether it is told that code when it asks for all.
    pub(crate) fn knows(self, code: SqlInfo) -> bool {
        let is_new = matches!(
            code,
            SqlInfo::FlightSqlServerBulkIngestion | SqlInfo::FlightSqlServerIngestTransactionsSupported
        );
        self == Self::Other || !is_new
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_told_apart_by_their_names() {
        let client = |name: &str| {
            let mut headers = MetadataMap::new();
            headers.insert("user-agent", name.parse().unwrap());
            Client::of(&headers)
        };
        assert_eq!(client("grpc-java-netty/1.71.0"), Client::OldJdbc);
        for other in [
            "JDBC Flight SQL Driver 19.0.0 grpc-java-netty/1.73.0",
            "ADBC Flight SQL Driver v1.8.0 grpc-go/1.75.0",
            "grpc-c++/1.71.0 grpc-c/46.0.0 (linux; chttp2)",
        ] {
            assert_eq!(client(other), Client::Other, "{other}");
        }
        assert_eq!(Client::of(&MetadataMap::new()), Client::Other);
    }
}
