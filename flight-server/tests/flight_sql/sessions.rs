//! Session options, as JDBC and ADBC set them, and the other actions.

use std::collections::HashMap;

use arrow_flight::{Action, Empty};
use futures::TryStreamExt;
use prost::Message;

use crate::fixture::{Client, Fixture, answer, query};

/// The messages as another implementation has them: what is asserted here is the wire format.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(sfixed64, optional, tag = "3")]
    number: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Options {
    #[prost(map = "string, message", tag = "1")]
    values: HashMap<String, Value>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Code {
    #[prost(int32, tag = "1")]
    pub code: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Errors {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, Code>,
}

pub async fn act(client: &mut Client, name: &str, body: Vec<u8>) -> Vec<u8> {
    let results = client.do_action(Action::new(name, body)).await.unwrap();
    let results: Vec<_> = results.try_collect().await.unwrap();
    results[0].body.to_vec()
}

pub async fn set(client: &mut Client, name: &str, value: Value) -> HashMap<String, Code> {
    let body = act(client, "SetSessionOptions", request(name, value)).await;
    Errors::decode(&*body).unwrap().errors
}

/// The request to set an option.
pub fn request(name: &str, value: Value) -> Vec<u8> {
    let options = Options {
        values: HashMap::from([(name.to_owned(), value)]),
    };
    options.encode_to_vec()
}

pub fn text(text: &str) -> Value {
    Value {
        text: Some(text.to_owned()),
        number: None,
    }
}

#[tokio::test]
async fn options_last_as_long_as_the_session() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.client("root").await;
    assert!(set(&mut client, "catalog", text("lake")).await.is_empty());
    assert!(set(&mut client, "schema", text("warehouse")).await.is_empty());
    assert_eq!(answer(&mut client, "select count(*) from dim_customer").await, ["3"]);
    let body = act(&mut client, "GetSessionOptions", Vec::new()).await;
    let options = Options::decode(&*body).unwrap().values;
    assert_eq!(
        (&options["catalog"], &options["schema"]),
        (&text("lake"), &text("warehouse"))
    );

    let sales = fixture.shop.append_sales(&[60.0]).await;
    fixture.shop.publish(vec![("warehouse.fct_sale", sales)]).await;
    assert!(
        set(
            &mut client,
            "release",
            Value {
                text: None,
                number: Some(1)
            }
        )
        .await
        .is_empty()
    );
    assert_eq!(answer(&mut client, "select count(*) from fct_sale").await, ["5"]);
    assert!(set(&mut client, "release", Value::default()).await.is_empty());
    assert_eq!(answer(&mut client, "select count(*) from fct_sale").await, ["6"]);

    const INVALID_NAME: i32 = 1;
    const INVALID_VALUE: i32 = 2;
    assert_eq!(
        set(&mut client, "colour", text("red")).await["colour"].code,
        INVALID_NAME
    );
    for schema in ["no_such_schema", "\"marts\""] {
        let refused = set(&mut client, "schema", text(schema)).await;
        assert_eq!(refused["schema"].code, INVALID_VALUE, "{schema}");
    }
    assert_eq!(
        set(&mut client, "catalog", text("other")).await["catalog"].code,
        INVALID_VALUE
    );
    assert_eq!(
        set(&mut client, "release", text("77")).await["release"].code,
        INVALID_VALUE
    );

    for (user, schema) in [("root", "no_such_schema"), ("ana", "warehouse"), ("root", "Marts")] {
        let mut client = fixture.client(user).await;
        assert_eq!(
            set(&mut client, "schema", text(schema)).await["schema"].code,
            INVALID_VALUE,
            "{schema}"
        );
    }

    let mut other = fixture.client("root").await;
    assert!(query(&mut other, "select count(*) from dim_customer").await.is_err());
    const CLOSED: i32 = 1;
    let closed = act(&mut client, "CloseSession", Vec::new()).await;
    assert_eq!(Code::decode(&*closed).unwrap().code, CLOSED);
    assert!(query(&mut client, "select count(*) from dim_customer").await.is_err());
}

#[tokio::test]
async fn actions_that_are_listed_are_known_and_transactions_are_not_there() {
    let fixture = Fixture::open().await;
    let mut client = fixture.stranger().await;
    let actions = client.inner_mut().list_actions(Empty {}).await.unwrap().into_inner();
    let actions: Vec<_> = actions.map_ok(|action| action.r#type).try_collect().await.unwrap();
    assert!(actions.iter().any(|action| action == "CancelFlightInfo"), "{actions:?}");
    assert!(client.begin_transaction().await.is_err());
}

#[tokio::test]
async fn use_and_search_path_last_as_long_as_the_session() {
    let fixture = Fixture::with_users().await;
    let mut client = fixture.client("root").await;
    for change in [
        "use warehouse",
        "use lake.marts",
        "set search_path to warehouse, public",
    ] {
        assert!(answer(&mut client, change).await.is_empty());
    }
    assert_eq!(answer(&mut client, "select count(*) from dim_customer").await, ["3"]);
    assert_eq!(
        answer(&mut client, "select current_schema(), current_user").await,
        ["warehouse|root"]
    );
    assert!(answer(&mut client, "reset search_path").await.is_empty());
    assert_eq!(answer(&mut client, "show search_path").await, ["marts"]);

    // Who keeps no session is told so, rather than left with another schema than was asked for.
    let fixture = Fixture::open().await;
    let mut stranger = fixture.stranger().await;
    assert!(answer(&mut stranger, "use marts").await.is_empty());
    let refused = query(&mut stranger, "use warehouse").await.unwrap_err();
    assert!(refused.to_string().contains("has no session"), "{refused}");
}
