//! An open data portal with one table, the provinces of Spain, behind the part of CKAN's API that reads tables:
//! <https://docs.ckan.org/en/2.11/maintaining/datastore.html>.

use axum::Router;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json as value};

use super::json;
use super::query::Query;
use crate::provinces::PROVINCES;

/// The table's id.
pub const RESOURCE: &str = "provincias";
/// CKAN's own defaults for `limit`, and its maximum.
const PAGE: u64 = 100;
const LARGEST_PAGE: u64 = 32_000;

/// The routes below `/api/3/action`.
pub fn routes() -> Router {
    Router::new()
        .route("/datastore_search", get(datastore_search))
        .route("/package_search", get(package_search))
}

/// The catalogue: one dataset.
async fn package_search(uri: Uri) -> Response {
    let resource = value!({"id": RESOURCE, "name": "Provincias", "format": "CSV", "datastore_active": true});
    let package = value!({
        "id": "8f2a3c1e-5d1b-4a55-9a39-0f2d4a1c7e60",
        "name": "division-territorial",
        "title": "División territorial de España",
        "resources": [resource],
    });
    let wanted = Query::of(&uri).number("rows").unwrap_or_default() != Some(0);
    let results = if wanted { vec![package] } else { Vec::new() };
    success(value!({"count": 1, "results": results}))
}

async fn datastore_search(uri: Uri) -> Response {
    let query = Query::of(&uri);
    if query.get("resource_id") != Some(RESOURCE) {
        let found = query.get("resource_id").unwrap_or_default();
        return failed(
            404,
            "Not Found Error",
            &format!("Not found: Resource \"{found}\" was not found."),
        );
    }
    let number = |name, default| Ok::<_, String>(query.number(name)?.unwrap_or(default));
    let (limit, offset) = match (number("limit", PAGE), number("offset", 0)) {
        (Ok(limit), Ok(offset)) => (limit.min(LARGEST_PAGE), offset),
        _ => return failed(409, "Validation Error", "limit and offset have to be natural numbers"),
    };
    let page = PROVINCES.iter().enumerate().skip(offset as usize).take(limit as usize);
    let records: Vec<Value> = page
        .map(|(index, province)| {
            value!({
                "_id": index + 1,
                "Código": province.code,
                "Provincia": province.name,
                "Comunidad Autónoma": province.community,
                "Capital": province.capital,
                "Población (miles)": province.thousands,
                "Latitud": province.latitude,
                "Longitud": province.longitude,
            })
        })
        .collect();
    let types = [
        ("_id", "int"),
        ("Código", "text"),
        ("Provincia", "text"),
        ("Comunidad Autónoma", "text"),
        ("Capital", "text"),
        ("Población (miles)", "numeric"),
        ("Latitud", "numeric"),
        ("Longitud", "numeric"),
    ];
    let start = format!("/api/3/action/datastore_search?resource_id={RESOURCE}&limit={limit}");
    let next = format!("{start}&offset={}", offset + limit);
    success(value!({
        "include_total": true,
        "limit": limit,
        "offset": offset,
        "records_format": "objects",
        "resource_id": RESOURCE,
        "fields": types.map(|(id, of_type)| value!({"id": id, "type": of_type})),
        "records": records,
        "_links": {"start": start, "next": next},
        "total": PROVINCES.len(),
        "total_was_estimated": false,
    }))
}

fn success(result: Value) -> Response {
    json(200, value!({"success": true, "result": result}).to_string())
}

fn failed(status: u16, of_type: &str, message: &str) -> Response {
    let error = value!({"__type": of_type, "message": message});
    json(status, value!({"success": false, "error": error}).to_string())
}
