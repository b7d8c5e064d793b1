//! The systems of the company that others can reach over HTTP: the API of its shop, and the open data portal that it
//! takes the provinces from. On the loopback interface only.

mod ckan;
mod query;
mod shop_api;
#[cfg(test)]
mod tests;
mod traffic;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cordada_core::{Context, Error, Result};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
pub use traffic::{AnswerCounts, Limits};

use super::database;

/// Where the systems are, unless somebody else is there.
pub const PORT: u16 = 8460;

/// What the shop's API wants in the header `X-Api-Key`. It opens nothing but invented data.
pub const API_KEY: &str = "colmado-demo";

/// The systems, while they run.
pub struct Server {
    address: SocketAddr,
    traffic: Arc<traffic::Traffic>,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Starts them over the shop's database below `data`, on `port` or a free one if that is 0.
    ///
    /// # Errors
    /// Unavailable if the port is taken; config if there is no such database.
    pub async fn start(data: &Path, port: u16, limits: Limits) -> Result<Self> {
        let doing = || format!("starting the demo's shop on port {port}");
        let shop = shop_api::Shop::new(database::open(&data.join("shop.db"))?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => Error::unavailable(doing(), "another program listens there")
                .hint("stop it; it may be `cordada demo --serve` itself"),
            _ => Error::unavailable(doing(), error),
        })?;
        let address = listener.local_addr().doing(doing)?;
        let traffic = Arc::new(traffic::Traffic::new(limits));
        let router = Router::new()
            .route("/", get(async || WELCOME))
            .nest("/api/v1", shop_api::routes(shop, traffic.clone()))
            .nest("/api/3/action", ckan::routes())
            .fallback(async || failure(404, "not_found", "there is nothing at this address"));
        let stop = CancellationToken::new();
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        Ok(Self {
            address,
            traffic,
            stop,
            task: tokio::spawn(serving.into_future()),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the shop's API has answered so far.
    pub fn answered(&self) -> AnswerCounts {
        self.traffic.answered()
    }

    /// Ends it, after the requests that it is answering.
    pub async fn stop(self) -> Result<()> {
        let doing = || "stopping the demo's shop";
        self.stop.cancel();
        match self.task.await {
            Ok(served) => served.doing(doing),
            Err(error) => Err(Error::failed(doing(), error)),
        }
    }
}

const WELCOME: &str = "Colmado, a supermarket chain that does not exist.\n\n\
    GET /api/v1/orders, customers, carts, consents    the shop; header X-Api-Key: colmado-demo\n\
    GET /api/3/action/datastore_search?resource_id=provincias    open data, as CKAN serves it\n";

/// An answer in JSON.
fn json(status: u16, body: String) -> Response {
    let status = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    (status, [("content-type", "application/json")], body).into_response()
}

/// The shop's way to say that something is wrong.
fn failure(status: u16, code: &str, message: &str) -> Response {
    json(
        status,
        serde_json::json!({"error": {"code": code, "message": message}}).to_string(),
    )
}
