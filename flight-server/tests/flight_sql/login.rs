//! Who is let in.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cordada_query_contract::PASSWORD;
use tonic::Code;

use crate::fixture::{Fixture, answer, query};

#[tokio::test]
async fn a_handshake_gives_a_token_and_a_wrong_password_does_not() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.stranger().await;
    assert_eq!(
        query(&mut client, "select 1").await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let token = client.handshake("root", PASSWORD).await.unwrap();
    assert_eq!(
        client.token().unwrap().as_bytes(),
        &*token,
        "the header and the payload differ"
    );
    assert_eq!(answer(&mut client, "select 1").await, ["1"]);

    for (user, password) in [("root", "wrong"), ("root", ""), ("stranger", PASSWORD)] {
        let mut client = fixture.stranger().await;
        let refused = client.handshake(user, password).await.unwrap_err().to_string();
        assert!(refused.contains("user or password is wrong"), "{refused}");
        assert_eq!(
            query(&mut client, "select 1").await.unwrap_err().code(),
            Code::Unauthenticated
        );
    }
}

#[tokio::test]
async fn a_password_with_every_call_is_as_good_as_a_token() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.stranger().await;
    let credentials = BASE64_STANDARD.encode(format!("root:{PASSWORD}"));
    client.set_header("authorization", format!("Basic {credentials}"));
    assert_eq!(answer(&mut client, "select 1").await, ["1"]);
    assert_eq!(answer(&mut client, "select 2").await, ["2"]);
    client.set_header("authorization", "Bearer forged");
    assert_eq!(
        query(&mut client, "select 1").await.unwrap_err().code(),
        Code::Unauthenticated
    );
}

#[tokio::test]
async fn without_users_nobody_is_asked_for_a_password() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    assert_eq!(answer(&mut client, "select count(*) from raw_shop.orders").await, ["1"]);
    client.handshake("whoever", "whatever").await.unwrap();
    assert_eq!(answer(&mut client, "select 1").await, ["1"]);
}
