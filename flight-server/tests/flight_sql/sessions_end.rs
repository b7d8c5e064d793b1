//! Sessions that outlive the server, and that end when they are told to.

use std::collections::BTreeMap;

use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::{Action, FlightEndpoint, RenewFlightEndpointRequest};
use cordada_query::User;
use cordada_query_contract::{PASSWORD, Shop};
use futures::TryStreamExt;
use prost::Message;
use tonic::{Code, Status};

use crate::fixture::{Client, Fixture, ShopServer, answer, fetch, query, status};
use crate::sessions::{act, set, text};

/// A server for these users, whose passwords are the same at each: another hash is another password.
async fn server(shop: &Shop, users: &[User]) -> ShopServer {
    ShopServer::start(shop, users.to_vec(), shop.roles()).await
}

/// A client of that server that goes on with a token of before.
async fn with_token(server: &ShopServer, token: &str) -> Client {
    let mut client = server.stranger().await;
    client.set_token(token.to_owned());
    client
}

async fn login(server: &ShopServer) -> (Client, String) {
    let mut client = server.stranger().await;
    client.handshake("root", PASSWORD).await.unwrap();
    let token = client.token().unwrap().clone();
    (client, token)
}

async fn refused(client: &mut Client, sql: &str) -> Status {
    query(client, sql).await.map(|_| ()).unwrap_err()
}

#[tokio::test]
async fn a_connection_goes_on_after_a_restart_with_the_options_that_it_has_set() {
    let shop = Shop::fill().await;
    let users = shop.users();
    let before = server(&shop, &users).await;
    let (mut client, token) = login(&before).await;
    assert!(set(&mut client, "schema", text("warehouse")).await.is_empty());
    let info = client
        .execute("select count(*) from dim_customer".to_owned(), None)
        .await
        .unwrap();
    let mut prepared = client.prepare("select 1".to_owned(), None).await.unwrap();
    prepared.execute().await.unwrap();
    drop(before);

    let after = server(&shop, &users).await;
    let mut client = with_token(&after, &token).await;
    assert_eq!(answer(&mut client, "select count(*) from dim_customer").await, ["3"]);
    // What a ticket says is all that it needs; a prepared statement ended with the server, which is said.
    assert_eq!(fetch(&mut client, &info).await.unwrap().1[0].num_rows(), 1);
    let (mut other, _) = login(&after).await;
    assert!(
        refused(&mut other, "select count(*) from dim_customer")
            .await
            .message()
            .contains("dim_customer")
    );
}

#[tokio::test]
async fn a_closed_session_is_over_at_every_server_and_another_goes_on() {
    let shop = Shop::fill().await;
    let users = shop.users();
    let (here, there) = (server(&shop, &users).await, server(&shop, &users).await);
    let ((mut closed, token), (mut other, _)) = (login(&here).await, login(&here).await);
    let mut prepared = closed.prepare("select 1".to_owned(), None).await.unwrap();
    prepared.execute().await.unwrap();
    let info = closed.execute("select 1".to_owned(), None).await.unwrap();
    let mut elsewhere = with_token(&there, &token).await;
    assert_eq!(answer(&mut elsewhere, "select 1").await, ["1"]);
    act(&mut closed, "CloseSession", Vec::new()).await;
    for refused in [
        refused(&mut closed, "select 1").await,
        status(
            closed
                .do_get(info.endpoint[0].ticket.clone().unwrap())
                .await
                .map(|_| ())
                .unwrap_err(),
        ),
        status(prepared.execute().await.map(|_| ()).unwrap_err()),
        refused(&mut with_token(&server(&shop, &users).await, &token).await, "select 1").await,
    ] {
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
        assert!(refused.message().contains("session was closed"), "{refused}");
    }
    assert_eq!(answer(&mut other, "select 1").await, ["1"]);
    // The other server looks now and then.
    let look = async {
        loop {
            match query(&mut elsewhere, "select 1").await {
                Ok(_) => tokio::task::yield_now().await,
                Err(refused) => return refused,
            }
        }
    };
    let refused = tokio::time::timeout(std::time::Duration::from_secs(60), look)
        .await
        .unwrap();
    assert!(refused.message().contains("session was closed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_with_its_session() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.client("root").await;
    let endless = "select sale_id from warehouse.fct_sale cross join generate_series(1, 100000000)";
    let info = client.execute(endless.to_owned(), None).await.unwrap();
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut rows: FlightRecordBatchStream = client.do_get(ticket).await.unwrap();
    rows.try_next().await.unwrap().unwrap();
    act(&mut client, "CloseSession", Vec::new()).await;
    let ended = async {
        loop {
            match rows.try_next().await {
                Ok(batch) => assert!(batch.is_some(), "the query came to an end of its own"),
                Err(error) => return status(error),
            }
        }
    };
    assert_eq!(ended.await.code(), Code::Cancelled);
}

#[tokio::test]
async fn a_cookie_keeps_a_session_where_nobody_logs_in() {
    let shop = Shop::fill().await;
    let start = async || ShopServer::start(&shop, Vec::new(), BTreeMap::new()).await;
    let server = start().await;
    let mut client = server.stranger().await;
    let cookie = cookie(&mut client).await;
    // What has no session is refused what it would not find again.
    let refused = try_set(&mut client, "schema", "warehouse").await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        set(&mut client, "catalog", text("lake")).await.is_empty(),
        "drivers set it when they connect"
    );
    client.set_header("cookie", format!("other=1; {cookie}"));
    assert!(set(&mut client, "schema", text("warehouse")).await.is_empty());
    assert_eq!(answer(&mut client, "select count(*) from dim_customer").await, ["3"]);
    assert!(answer(&mut client, "use marts").await.is_empty());
    assert!(answer(&mut client, "use warehouse").await.is_empty());

    let mut other = server.stranger().await;
    assert!(query(&mut other, "select count(*) from dim_customer").await.is_err());
    other.set_header("cookie", "cordada_session=1");
    assert!(
        try_set(&mut other, "schema", "warehouse").await.is_err(),
        "an id that was made up"
    );

    drop(server);
    let restarted = start().await;
    let mut again = restarted.stranger().await;
    again.set_header("cookie", cookie.clone());
    assert_eq!(answer(&mut again, "select count(*) from dim_customer").await, ["3"]);
    act(&mut again, "CloseSession", Vec::new()).await;
    assert_eq!(
        query(&mut again, "select 1").await.map(|_| ()).unwrap_err().code(),
        Code::Unauthenticated
    );
}

/// The cookie that comes with any answer.
async fn cookie(client: &mut Client) -> String {
    let action = Action::new("GetSessionOptions", Vec::new());
    let answer = client.inner_mut().do_action(action).await.unwrap();
    let cookie = answer.metadata().get("set-cookie").unwrap().to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

async fn try_set(client: &mut Client, name: &str, value: &str) -> Result<(), Status> {
    let body = crate::sessions::request(name, text(value));
    let answer = client
        .inner_mut()
        .do_action(Action::new("SetSessionOptions", body))
        .await;
    answer.map(|_| ())
}

#[tokio::test]
async fn an_endpoint_gets_more_time_and_only_for_what_this_lake_has_signed() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.client("root").await;
    let info = client.execute("select 1".to_owned(), None).await.unwrap();
    let endpoint = info.endpoint[0].clone();
    let expires = endpoint.expiration_time.unwrap().seconds;
    let renewed = renew(&mut client, endpoint.clone()).await.unwrap();
    assert!(renewed.expiration_time.as_ref().unwrap().seconds >= expires);
    let mut again = info.clone();
    again.endpoint = vec![renewed];
    assert_eq!(fetch(&mut client, &again).await.unwrap().1[0].num_rows(), 1);

    let elsewhere = Fixture::with_users().await;
    let mut stranger = elsewhere.client("root").await;
    let forged = renew(&mut stranger, endpoint.clone()).await.unwrap_err();
    assert_eq!(forged.code(), Code::InvalidArgument, "another lake's");
    let forged = fetch(&mut stranger, &info).await.map(|_| ()).unwrap_err();
    assert_eq!(forged.code(), Code::InvalidArgument);
    let nothing = renew(&mut client, FlightEndpoint::new()).await.unwrap_err();
    assert_eq!(nothing.code(), Code::InvalidArgument);
}

async fn renew(client: &mut Client, endpoint: FlightEndpoint) -> Result<FlightEndpoint, Status> {
    let request = RenewFlightEndpointRequest::new(endpoint);
    let action = Action::new("RenewFlightEndpoint", request.encode_to_vec());
    let results = client.do_action(action).await.map_err(status)?;
    let results: Vec<_> = results.try_collect().await?;
    Ok(FlightEndpoint::decode(&*results[0].body).unwrap())
}
