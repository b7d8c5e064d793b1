//! The API of the shop: `GET /api/v1/orders` and its like, ordered by when records last changed.
//!
//! `updated_since` takes what changed at that time or later, `limit` how many at most, `cursor` continues where the
//! page before ended. An answer is `{"data": […], "page": {"next": "…", "has_more": true}}`.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use axum::{Router, middleware};
use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, params};

use super::query::Query;
use super::traffic::{Traffic, control};
use super::{failure, json};
use crate::documents::RESOURCES;

/// How many records a page has if the request does not say, and at most.
const PAGE: u64 = 100;
const LARGEST_PAGE: u64 = 500;

/// The shop's database. SQLite answers one request at a time; a page takes it a millisecond.
#[derive(Clone)]
pub struct Shop(Arc<Mutex<Connection>>);

impl Shop {
    /// Over its database.
    pub fn new(database: Connection) -> Self {
        Self(Arc::new(Mutex::new(database)))
    }

    fn page(&self, resource: &str, after: &Position, limit: u64) -> rusqlite::Result<Page> {
        let connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // `resource` is one of RESOURCES.
        let mut statement = connection.prepare(&format!(
            "select id, updated_at, document from {resource} where (updated_at, id) > (?, ?) \
             order by updated_at, id limit ?"
        ))?;
        let mut rows = statement.query(params![after.updated_at, after.id, limit as i64 + 1])?;
        let mut page = Page::default();
        while let Some(row) = rows.next()? {
            if page.records == limit {
                page.has_more = true;
                break;
            }
            page.last = Some(Position {
                updated_at: row.get(1)?,
                id: row.get(0)?,
            });
            if page.records > 0 {
                page.data.push(',');
            }
            page.data.push_str(row.get_ref(2)?.as_str()?);
            page.records += 1;
        }
        Ok(page)
    }
}

#[derive(Default)]
struct Page {
    /// Documents with commas between them.
    data: String,
    records: u64,
    last: Option<Position>,
    has_more: bool,
}

/// The last record of a page. Several may have changed in the same second, so the time alone is not enough.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Position {
    updated_at: String,
    id: i64,
}

impl Position {
    fn parse(cursor: &str) -> Option<Self> {
        let (updated_at, id) = cursor.rsplit_once('~')?;
        Some(Self {
            updated_at: timestamp(updated_at)?,
            id: id.parse().ok()?,
        })
    }
}

/// A time as the shop writes it.
fn timestamp(text: &str) -> Option<String> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(time.with_timezone(&Utc).to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// The routes below `/api/v1`.
pub fn routes(shop: Shop, traffic: Arc<Traffic>) -> Router {
    Router::new()
        .route("/{resource}", get(list))
        .with_state(shop)
        .layer(middleware::from_fn_with_state(traffic, control))
}

async fn list(State(shop): State<Shop>, Path(resource): Path<String>, uri: Uri) -> Response {
    if !RESOURCES.contains(&resource.as_str()) {
        return failure(404, "not_found", &format!("there are {}", RESOURCES.join(", ")));
    }
    let (after, limit) = match parameters(&Query::of(&uri)) {
        Ok(parameters) => parameters,
        Err(why) => return failure(400, "bad_request", &why),
    };
    let page = tokio::task::spawn_blocking(move || shop.page(&resource, &after, limit)).await;
    let Ok(Ok(Page {
        data, last, has_more, ..
    })) = page
    else {
        return failure(500, "internal_error", "the shop's database does not answer");
    };
    let next = last.filter(|_| has_more);
    let next = next.map(|Position { updated_at, id }| format!("{updated_at}~{id}"));
    json(
        200,
        format!(
            r#"{{"data":[{data}],"page":{{"next":{},"has_more":{has_more}}}}}"#,
            serde_json::Value::from(next)
        ),
    )
}

/// Where a page begins and how long it is.
fn parameters(query: &Query) -> Result<(Position, u64), String> {
    if let Some(name) = query.unknown(&["updated_since", "limit", "cursor"]) {
        return Err(format!("there is no parameter `{name}`"));
    }
    let limit = query.number("limit")?.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        return Err(format!("`limit` has to be between 1 and {LARGEST_PAGE}"));
    }
    let from = match query.get("updated_since") {
        Some(text) => timestamp(text).ok_or("`updated_since` is not a time such as 2025-12-31T23:00:00Z")?,
        None => String::new(),
    };
    // Numbers of records begin at 1: what changed at that very time is still to come.
    let start = Position {
        updated_at: from,
        id: 0,
    };
    match query.get("cursor") {
        Some(cursor) => Ok((Position::parse(cursor).ok_or("`cursor` is none of ours")?, limit)),
        None => Ok((start, limit)),
    }
}
