//! A server over the shop's lake, and clients.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::FlightInfo;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use cordada_flight_server::{Config, Server};
use cordada_query::{Role, User};
use cordada_query_contract::{PASSWORD, Shop, lines};
use futures::TryStreamExt;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

pub type Client = FlightSqlServiceClient<Channel>;

pub struct Fixture {
    pub shop: Shop,
    server: ShopServer,
}

/// A server that ends when this is dropped.
pub struct ShopServer {
    address: SocketAddr,
    _stop: DropGuard,
}

impl ShopServer {
    /// A server over the shop's lake, for these users.
    pub async fn start(shop: &Shop, users: Vec<User>, roles: BTreeMap<String, Role>) -> Self {
        let config = Config {
            users,
            roles,
            keeps_logins: true,
            ..Config::default()
        };
        let server = Server::bind(shop.lake.clone(), config).await.unwrap();
        let (address, stop) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.serve(stop.clone()));
        Self {
            address,
            _stop: stop.drop_guard(),
        }
    }

    /// A client that has not said who it is.
    pub async fn stranger(&self) -> Client {
        self.driver("a test").await
    }

    /// A client that has not said who it is, of that driver.
    pub async fn driver(&self, name: &str) -> Client {
        FlightSqlServiceClient::new(self.channel(name).await)
    }

    /// A connection of that driver.
    async fn channel(&self, name: &str) -> Channel {
        let endpoint = Endpoint::new(format!("http://{}", self.address)).unwrap();
        let endpoint = endpoint.user_agent(name.to_owned()).unwrap();
        endpoint.connect().await.unwrap()
    }
}

impl Fixture {
    /// A server with the shop's users.
    pub async fn with_users() -> Self {
        let shop = Shop::fill().await;
        let server = ShopServer::start(&shop, shop.users(), shop.roles()).await;
        Self { shop, server }
    }

    /// A server without users.
    pub async fn open() -> Self {
        let shop = Shop::fill().await;
        let server = ShopServer::start(&shop, Vec::new(), BTreeMap::new()).await;
        Self { shop, server }
    }

    /// A client that has not said who it is.
    pub async fn stranger(&self) -> Client {
        self.server.stranger().await
    }

    /// A client that has not said who it is, of that driver.
    pub async fn driver(&self, name: &str) -> Client {
        self.server.driver(name).await
    }

    /// A connection, for services other than Flight.
    pub async fn channel(&self) -> Channel {
        self.server.channel("a test").await
    }

    /// A client that logged in.
    pub async fn client(&self, user: &str) -> Client {
        let mut client = self.stranger().await;
        client.handshake(user, PASSWORD).await.unwrap();
        client
    }
}

/// Plans and fetches a query; the schema that was told and the rows, which must have exactly that schema.
pub async fn query(client: &mut Client, sql: &str) -> Result<(SchemaRef, Vec<RecordBatch>), Status> {
    let info = client.execute(sql.to_owned(), None).await.map_err(status)?;
    fetch(client, &info).await
}

/// The rows of a plan, after checking that they have exactly the schema that was told.
pub async fn fetch(client: &mut Client, info: &FlightInfo) -> Result<(SchemaRef, Vec<RecordBatch>), Status> {
    let told = Arc::new(Schema::try_from(info.clone()).unwrap());
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    let mut rows: FlightRecordBatchStream = client.do_get(ticket).await.map_err(status)?;
    let mut batches = Vec::new();
    while let Some(batch) = rows.try_next().await.map_err(status)? {
        assert_eq!(batch.schema(), told, "the rows differ from the plan");
        batches.push(batch);
    }
    assert_eq!(rows.schema(), Some(&told), "the stream differs from the plan");
    Ok((told, batches))
}

/// The query's rows as sorted lines.
pub async fn answer(client: &mut Client, sql: &str) -> Vec<String> {
    lines(&query(client, sql).await.unwrap().1)
}

/// What the server said.
pub fn status(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::new(Code::Unknown, other.to_string()),
    }
}
