//! The port, TLS, and the end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_flight::HandshakeRequest;
use arrow_flight::sql::client::FlightSqlServiceClient;
use cordada_core::ErrorKind;
use cordada_flight_server::{ClientCertificates, Config, Server, Tls};
use cordada_lake::{Lake, Settings};
use cordada_query::User;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::fixture::answer;

fn config(listen: &str) -> Config {
    Config {
        listen: listen.parse().unwrap(),
        keeps_logins: true,
        ..Config::default()
    }
}

async fn empty_lake(folder: &TempDir) -> Lake {
    Lake::open(folder.path().to_str().unwrap(), &Settings::default())
        .await
        .unwrap()
}

fn pem(name: &str) -> PathBuf {
    PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap())
        .join("tests/flight_sql/tls")
        .join(name)
}

#[tokio::test]
async fn a_server_over_tls_that_advertises_itself_and_ends_when_told_to() {
    let folder = TempDir::new().unwrap();
    let tls = Tls {
        certificate: pem("certificate.pem"),
        key: pem("key.pem"),
        clients: None,
    };
    let advertise = Some("grpc+tls://lake.example:50051".to_owned());
    let config = Config {
        tls: Some(tls),
        advertise,
        ..config("127.0.0.1:0")
    };
    let server = Server::bind(empty_lake(&folder).await, config).await.unwrap();
    assert!(!server.has_users());
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    let serving = tokio::spawn(server.serve(stop.clone()));

    let authority = Certificate::from_pem(std::fs::read(pem("ca.pem")).unwrap());
    let tls = ClientTlsConfig::new()
        .ca_certificate(authority)
        .domain_name("localhost");
    let endpoint = Endpoint::new(format!("https://{address}"))
        .unwrap()
        .tls_config(tls)
        .unwrap();
    let mut client = FlightSqlServiceClient::new(endpoint.connect().await.unwrap());
    assert_eq!(answer(&mut client, "select 1").await, ["1"]);
    let info = client.execute("select 1".to_owned(), None).await.unwrap();
    assert_eq!(info.endpoint[0].location[0].uri, "grpc+tls://lake.example:50051");
    let plain = Endpoint::new(format!("http://{address}")).unwrap().connect().await;
    if let Ok(plain) = plain {
        assert!(
            FlightSqlServiceClient::new(plain)
                .execute("select 1".to_owned(), None)
                .await
                .is_err()
        );
    }

    stop.cancel();
    serving.await.unwrap();
    assert!(client.execute("select 1".to_owned(), None).await.is_err());
}

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_is_served() {
    let folder = TempDir::new().unwrap();
    let lake = empty_lake(&folder).await;
    let taken = Server::bind(lake.clone(), config("127.0.0.1:0")).await.unwrap();
    let swapped = Tls {
        certificate: pem("key.pem"),
        key: pem("certificate.pem"),
        clients: None,
    };
    let missing = Tls {
        certificate: pem("nowhere.pem"),
        key: pem("key.pem"),
        clients: None,
    };
    for (wrong, says) in [
        (config("0.0.0.0:0"), "without users"),
        (config(&taken.local_addr().to_string()), "something else listens there"),
        (
            Config {
                tls: Some(missing),
                ..config("127.0.0.1:0")
            },
            "nowhere.pem",
        ),
        (
            Config {
                tls: Some(swapped),
                ..config("127.0.0.1:0")
            },
            "must be PEM",
        ),
    ] {
        let error = Server::bind(lake.clone(), wrong).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

/// A server whose clients show certificates, and what it takes to trust it.
async fn with_client_certificates(folder: &TempDir, required: bool) -> (Endpoint, ClientTlsConfig, DropGuard) {
    let user = |name: &str| User {
        name: name.to_owned(),
        ..User::default()
    };
    let clients = ClientCertificates {
        ca: pem("clients-ca.pem"),
        crl: None,
        required,
        users: BTreeMap::new(),
    };
    let config = Config {
        users: vec![user("ana"), user("bea")],
        tls: Some(Tls {
            certificate: pem("certificate.pem"),
            key: pem("key.pem"),
            clients: Some(clients),
        }),
        ..config("127.0.0.1:0")
    };
    let server = Server::bind(empty_lake(folder).await, config).await.unwrap();
    assert!(server.has_users());
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    tokio::spawn(server.serve(stop.clone()));
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(std::fs::read(pem("ca.pem")).unwrap()))
        .domain_name("localhost");
    let endpoint = Endpoint::new(format!("https://{address}")).unwrap();
    (endpoint, tls, stop.drop_guard())
}

#[tokio::test]
async fn a_certificate_of_the_client_stands_for_its_user() {
    let folder = TempDir::new().unwrap();
    let read = |name: &str| std::fs::read(pem(name)).unwrap();
    for required in [false, true] {
        let (endpoint, tls, _stop) = with_client_certificates(&folder, required).await;
        let connect = async |tls: ClientTlsConfig| {
            let channel = endpoint.clone().tls_config(tls).unwrap().connect().await;
            channel.map(FlightSqlServiceClient::new)
        };
        let with = |certificate: &str| {
            tls.clone()
                .identity(Identity::from_pem(read(certificate), read("client-key.pem")))
        };
        for (certificate, user) in [("client.pem", "bea"), ("client-cn.pem", "ana")] {
            let mut client = connect(with(certificate)).await.unwrap();
            assert_eq!(answer(&mut client, "select current_user").await, [user]);
            // The token of its session is as good, with the certificate.
            let hello = futures::stream::iter([HandshakeRequest::default()]);
            let begun = client.inner_mut().handshake(hello).await.unwrap();
            let bearer = begun.metadata().get("authorization").unwrap().to_str().unwrap();
            client.set_token(bearer.trim_start_matches("Bearer ").to_owned());
            assert_eq!(answer(&mut client, "select current_user").await, [user]);
        }
        // Nobody's, and one that the authority has not signed: the server's own.
        let own = tls
            .clone()
            .identity(Identity::from_pem(read("certificate.pem"), read("key.pem")));
        for strange in [tls.clone(), own] {
            // With TLS 1.3 the client learns at its first request that it is not wanted.
            if let Ok(mut client) = connect(strange).await {
                assert!(client.execute("select 1".to_owned(), None).await.is_err());
            }
        }
    }
}

#[tokio::test]
async fn health_is_told_to_whoever_asks() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    let folder = TempDir::new().unwrap();
    let server = Server::bind(empty_lake(&folder).await, config("127.0.0.1:0"))
        .await
        .unwrap();
    let (address, stop) = (server.local_addr(), CancellationToken::new());
    let serving = tokio::spawn(server.serve(stop.clone()));
    let endpoint = Endpoint::new(format!("http://{address}")).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    let ask = |service: &str| HealthCheckRequest {
        service: service.to_owned(),
    };
    for service in ["", "arrow.flight.protocol.FlightService"] {
        let health = client.check(ask(service)).await.unwrap();
        assert_eq!(health.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    let mut watched = client
        .watch(ask("arrow.flight.protocol.FlightService"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        watched.message().await.unwrap().unwrap().status(),
        ServingStatus::Serving
    );
    stop.cancel();
    assert_eq!(
        watched.message().await.unwrap().unwrap().status(),
        ServingStatus::NotServing
    );
    drop((watched, client));
    serving.await.unwrap();
}
