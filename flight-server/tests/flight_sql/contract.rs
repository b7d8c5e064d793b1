//! What every server of queries promises.

use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::CommandGetTables;
use arrow_flight::{Action, CancelFlightInfoRequest, FlightInfo};
use async_trait::async_trait;
use cordada_query_contract::{Client, Door, Kind, Refusal, Rows, Shop, door_contract, lines};
use futures::{StreamExt, TryStreamExt};
use prost::Message;
use tonic::Code;

use crate::fixture::{self, ShopServer, fetch, status};

door_contract!(open);

async fn open(shop: &Shop) -> ShopServer {
    ShopServer::start(shop, shop.users(), shop.roles()).await
}

#[async_trait]
impl Door for ShopServer {
    async fn connect(&self, user: &str, password: &str) -> Result<Box<dyn Client>, String> {
        let mut client = self.stranger().await;
        let login = client.handshake(user, password).await;
        login.map_err(|error| error.to_string())?;
        Ok(Box::new(LoggedIn { client, last: None }))
    }
}

struct LoggedIn {
    client: fixture::Client,
    /// The statement that was begun last.
    last: Option<FlightInfo>,
}

#[async_trait]
impl Client for LoggedIn {
    async fn begin(&mut self, sql: &str) -> Result<Rows, Refusal> {
        let info = self.client.execute(sql.to_owned(), None).await.map_err(refusal)?;
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let rows: FlightRecordBatchStream = self.client.do_get(ticket).await.map_err(refusal)?;
        self.last = Some(info);
        Ok(rows.map_err(refusal).boxed())
    }

    async fn cancel(&mut self) -> Result<(), Refusal> {
        let request = CancelFlightInfoRequest::new(self.last.clone().unwrap());
        let action = Action::new("CancelFlightInfo", request.encode_to_vec());
        self.client.do_action(action).await.map(|_| ()).map_err(refusal)
    }

    async fn relations(&mut self) -> Result<Vec<String>, Refusal> {
        let tables = self.client.get_tables(CommandGetTables::default()).await;
        let (_, rows) = fetch(&mut self.client, &tables.map_err(refusal)?)
            .await
            .map_err(|status| refusal(status.into()))?;
        let names: Vec<_> = rows.iter().map(|batch| batch.project(&[1, 2]).unwrap()).collect();
        Ok(lines(&names).iter().map(|name| name.replace('|', ".")).collect())
    }
}

fn refusal(error: FlightError) -> Refusal {
    let status = status(error);
    let kind = match status.code() {
        Code::InvalidArgument => Kind::Mistake,
        Code::PermissionDenied => Kind::Forbidden,
        Code::Cancelled => Kind::Cancelled,
        _ => Kind::Fault,
    };
    Refusal {
        kind,
        message: status.message().to_owned(),
    }
}
