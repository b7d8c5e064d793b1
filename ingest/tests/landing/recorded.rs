//! Connectors against what real systems answered once: a server on this machine hands out the recorded bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use cordada_ingest_rest::Connector;
use serde::Deserialize;

use super::Project;

/// What is answered to a request: a status, headers and a body.
struct Answer(u16, Vec<(&'static str, String)>, Vec<u8>);

impl Answer {
    fn json(body: impl Into<Vec<u8>>) -> Self {
        Answer(200, vec![("content-type", "application/json".to_owned())], body.into())
    }

    fn status(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Answer(status, Vec::new(), body.into())
    }
}

/// What was asked: method, path and query as they were sent, and the body.
struct ReceivedRequest {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    body: String,
}

impl ReceivedRequest {
    fn param(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

/// A server, until it is dropped.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<ReceivedRequest>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn new(answer: impl Fn(&ReceivedRequest) -> Answer + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), asked.clone());
        let router = axum::Router::new().fallback(move |request: Request| {
            let (answer, log) = (answer.clone(), log.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                let asked = ReceivedRequest {
                    method: parts.method.to_string(),
                    path: percent_encoding::percent_decode_str(parts.uri.path())
                        .decode_utf8()
                        .unwrap()
                        .into_owned(),
                    query: url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
                        .into_owned()
                        .collect(),
                    body: String::from_utf8(body.to_vec()).unwrap(),
                };
                let Answer(status, headers, body) = answer(&asked);
                log.lock().unwrap().push(asked);
                let mut response = Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                response.body(Body::from(body)).unwrap()
            }
        });
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Server { url, asked, task }
    }

    /// What was asked so far, as `GET /path`.
    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|asked| format!("{} {}", asked.method, asked.path))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A folder of real data beside the project, if it is there.
fn data(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(folder);
    if !path.is_dir() {
        eprintln!("SKIPPED: there is no {}", path.display());
        return None;
    }
    Some(path)
}

async fn project(source: &str) -> Project {
    let project = Project::new("{}").await;
    project.configure(source);
    project
}

#[derive(Deserialize)]
struct Cassette {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: RecordedRequest,
    response: RecordedResponse,
}

#[derive(Deserialize)]
struct RecordedRequest {
    uri: String,
}

#[derive(Deserialize)]
struct RecordedResponse {
    body: RecordedBody,
    status: serde_json::Value,
}

#[derive(Deserialize)]
struct RecordedBody {
    string: String,
}

impl Interaction {
    fn answer(&self) -> Answer {
        let text = &self.response.body.string;
        // Compressed bodies are base64.
        let compact: String = text.split_ascii_whitespace().collect();
        let body = match BASE64.decode(&compact) {
            Ok(bytes) if bytes.starts_with(&[0x1f, 0x8b]) => bytes,
            _ => text.as_bytes().to_vec(),
        };
        let status = self.response.status["code"].as_u64().unwrap() as u16;
        let mut answer = Answer::json(body);
        answer.0 = status;
        if answer.2.starts_with(&[0x1f, 0x8b]) {
            answer.1.push(("content-encoding", "gzip".to_owned()));
        }
        answer
    }
}

fn cassette(folder: &Path, name: &str) -> Vec<Interaction> {
    let file = folder.join(format!("test_ckan_{name}.yaml"));
    // `${` in a recorded text is not a variable of ours; bytes that are not text stay base64.
    let text = std::fs::read_to_string(&file)
        .unwrap()
        .replace("${", "$${")
        .replace("!!binary ", "");
    cordada_core::yaml::parse::<Cassette>(&file, &text)
        .unwrap()
        .interactions
}

#[tokio::test]
async fn a_ckan_portals_catalogue_and_tables() {
    let Some(folder) = data("ckan_cassettes") else { return };
    let mut recorded = cassette(&folder, "adapter_catalog_read_packages_by_organization");
    for name in [
        "parser",
        "parser_timezone",
        "storage_types",
        "adapter_publish_update_info",
        "adapter_read_invalid_url",
    ] {
        recorded.extend(cassette(&folder, name));
    }
    let find = move |asked: &ReceivedRequest| {
        // The recorded client left out what it did not need; what it asked for tells answers apart.
        let wanted = |interaction: &&Interaction| {
            let uri = url::Url::parse(&interaction.request.uri).unwrap();
            let query: BTreeMap<_, _> = uri.query_pairs().into_owned().collect();
            let action = uri.path().rsplit('/').next().unwrap();
            let same = |name: &str| query.get(name).map_or("", String::as_str) == asked.param(name);
            let from_the_start = !query.contains_key("offset") && query.get("limit").is_none_or(|limit| limit != "0");
            match asked.param("resource_id") {
                "private" => interaction.response.status["code"] == 403,
                "missing" => interaction.response.status["code"] == 404,
                _ => asked.path.ends_with(action) && same("resource_id") && same("q") && from_the_start,
            }
        };
        recorded
            .iter()
            .find(wanted)
            .map_or_else(|| Answer::status(500, "not recorded"), Interaction::answer)
    };
    let server = Server::new(find).await;
    let source = |streams: &str| {
        format!(
            "kind: rest\nconnector: ckan\nconfig: {{url: \"{}\", query: \"organization:agencia-espacial-brasileira-aeb\"}}\nstreams: {streams}\n",
            server.url
        )
    };
    let tables = "{packages: {}, types: {config: {resource: 66cac6ef-c56d-41ae-b245-c381f50d15e9}}, \
                  people: {config: {resource: 711069ae-b409-4584-843a-3d6f5a47e129}}, \
                  times: {config: {resource: f7e2f51f-aae9-4eb1-8519-3c86c8750007}}}";
    let project = project(&source(tables)).await;
    project.ingest().await;
    assert_eq!(
        project
            .sql("select count(*), count(distinct id), sum(cardinality(resources)) from raw_shop.packages")
            .await,
        ["6|6|18"]
    );
    assert_eq!(
        project
            .sql("select _id, id, name from raw_shop.people order by 1")
            .await,
        ["1|1|english", "2|2|中国人"]
    );
    assert_eq!(project.sql("select count(*) from raw_shop.times").await, ["4"]);
    assert_eq!(project.sql("select count(*) from raw_shop.types").await, ["1"]);
    // Reading again replaces what was there.
    project.ingest().await;
    assert_eq!(project.sql("select count(*) from raw_shop.people").await, ["2"]);

    for (resource, hint) in [("private", "API token"), ("missing", "no such resource")] {
        project.configure(&source(&format!("{{x: {{config: {{resource: {resource}}}}}}}")));
        let error = project.try_ingest(&[]).await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(hint) && !error.contains("not authorized"), "{error}");
    }
}

#[tokio::test]
async fn northwinds_odata_service() {
    let Some(folder) = data("odata_northwind") else { return };
    let server = Server::new(move |asked| {
        let name = asked.path.rsplit('/').next().unwrap();
        let name = if name == "Categories(1)" {
            "CategoriesExpandProducts"
        } else {
            name
        };
        match asked.param("$skiptoken") {
            // Only the first pages were recorded.
            "20" => Answer::json(r#"{"value":[]}"#),
            _ => std::fs::read(folder.join(format!("{name}.json")))
                .map_or_else(|_| Answer::status(404, "{}"), Answer::json),
        }
    })
    .await;
    let project = project(&format!(
        "kind: rest\nconnector: odata_v4\nconfig: {{base_url: \"{}/V4/Northwind/Northwind.svc\"}}\nstreams:\n  \
         products: {{config: {{entity_set: Products, order: ProductID}}, key: [ProductID], disposition: merge}}\n  \
         customers: {{config: {{entity_set: Customers}}}}\n  \
         beverages: {{config: {{entity_set: Categories(1), expand: Products}}}}\n",
        server.url
    ))
    .await;
    project.ingest().await;
    assert_eq!(
        project
            .sql("select count(*), min(product_name), sum(unit_price), sum(units_in_stock) from raw_shop.products")
            .await,
        ["20|Alice Mutton|626.2500|665"]
    );
    let columns = project.columns("raw_shop.products").await;
    assert_eq!(columns[..2], ["product_id Int64", "product_name Utf8"]);
    assert!(
        columns
            .iter()
            .any(|column| column.starts_with("unit_price Decimal128(")),
        "{columns:?}"
    );
    assert_eq!(
        project
            .sql("select count(*), count(region), min(city) from raw_shop.customers")
            .await,
        ["15|7|Barquisimeto"]
    );
    assert_eq!(
        project
            .sql("select category_id, category_name, cardinality(products) from raw_shop.beverages")
            .await,
        ["1|Beverages|12"]
    );
    // The relative address of the next page was followed.
    let asked = server.asked();
    assert!(
        asked.contains(&"GET /v4/Northwind/Northwind.svc/Products".to_owned()),
        "{asked:?}"
    );
    project.ingest().await;
    assert_eq!(project.sql("select count(*) from raw_shop.products").await, ["20"]);
}

#[tokio::test]
async fn a_socrata_portals_datasets() {
    let Some(folder) = data("socrata_sodapy") else { return };
    let read = move |name: &str| std::fs::read(folder.join(name)).unwrap();
    let server = Server::new(
        move |asked| match (asked.path.as_str(), asked.param("$offset"), asked.param("offset")) {
            ("/resource/bike-coun.json", "0", _) => Answer::json(read("bike_counts_page_1.json")),
            ("/resource/bike-coun.json", "1000", _) => Answer::json(read("bike_counts_page_2.json")),
            ("/resource/songs.json", "0", _) => Answer::json(read("get_songs_unicode.txt")),
            ("/resource/priv-ate1.json", ..) => Answer::status(403, read("403_response_json.txt")),
            ("/api/catalog/v1", _, "0") => Answer::json(read("get_datasets.txt")),
            ("/api/catalog/v1", ..) => Answer::json(r#"{"results":[]}"#),
            _ => Answer::json("[]"),
        },
    )
    .await;
    let source = |streams: &str| {
        let config = format!("{{domain: data.example.org, base_url: \"{}\"}}", server.url);
        format!("kind: rest\nconnector: socrata\nconfig: {config}\nstreams: {streams}\n")
    };
    // The recorded rows are without Socrata's own columns.
    let bikes = "{config: {dataset: bike-coun}, key: [id, date], disposition: replace}";
    let songs = "{config: {dataset: songs}, key: [title], disposition: replace}";
    let project = project(&source(&format!("{{bikes: {bikes}, songs: {songs}, datasets: {{}}}}"))).await;
    project.ingest().await;
    assert_eq!(
        project
            .sql("select count(*), min(date), sum(cast(counts as bigint)) > 0 from raw_shop.bikes")
            .await,
        ["1001|2016-09-21T15:45:00Z|true"]
    );
    assert_eq!(
        project
            .sql("select theme from raw_shop.songs where artist = 'ABC'")
            .await,
        ["Schön"]
    );
    assert_eq!(project.sql("select count(*) from raw_shop.datasets").await, ["7"]);
    project.configure(&source("{private: {config: {dataset: priv-ate1}}}"));
    let error = project.try_ingest(&[]).await.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("You must be logged in to access this resource; the dataset is private"),
        "{error}"
    );
}

#[tokio::test]
async fn eurostats_cubes() {
    let Some(folder) = data("jsonstat/jsonstat-tests/fixtures/www.ec.europa.eu_eurostat") else {
        return;
    };
    let server = Server::new(move |asked| {
        let geo = asked.param("geo");
        let name = if geo == "IT" {
            "eurostat-name_gpd_c-geo_IT"
        } else {
            "eurostat-name_gpd_c"
        };
        match (asked.path.as_str(), asked.param("format")) {
            ("/data/nama_gdp_c", "JSON") => Answer::json(std::fs::read(folder.join(format!("{name}.json"))).unwrap()),
            _ => Answer::status(404, "{}"),
        }
    })
    .await;
    let project = project(&format!(
        "kind: rest\nconnector: eurostat\nconfig: {{base_url: \"{}\"}}\nstreams:\n  nama_gdp_c:\n  \
         italy: {{config: {{dataset: nama_gdp_c, filter: \"geo=IT&time=2010\"}}}}\n",
        server.url
    ))
    .await;
    project.ingest().await;
    assert_eq!(
        project
            .sql("select geo, geo_label, time, value from raw_shop.italy where value is not null order by time limit 2")
            .await,
        ["IT|Italy|1990|15800", "IT|Italy|1991|17100"]
    );
    assert_eq!(
        project
            .sql(
                "select count(distinct geo) > 30, count(value) = 1134, count(distinct status) from raw_shop.nama_gdp_c"
            )
            .await,
        ["true|true|3"]
    );
}

#[tokio::test]
async fn shopifys_own_examples_through_a_manifest_of_ones_own() {
    let Some(folder) = data("shopify_api") else { return };
    let server = Server::new(move |asked| {
        let file = asked.path.trim_start_matches("/admin/").replace('/', "_");
        std::fs::read(folder.join(&file)).map_or_else(|_| Answer::status(404, "{}"), Answer::json)
    })
    .await;
    let project = project("kind: rest\nmanifest: store-api.yml\n").await;
    project.write(
        "store-api.yml",
        format!(
            "title: Store\nbase_url: \"{}/admin\"\ndefaults: {{paginate: {{kind: link_header}}}}\nstreams:\n  \
             orders: {{request: {{path: /order.json}}, records: /order, key: [id], unnest: {{line_items: null}}}}\n  \
             products: {{request: {{path: /products.json}}, key: [id]}}\n  \
             customers: {{request: {{path: /customers_search.json}}, records: /customers, key: [id], columns: {{email: {{pii: email}}}}}}\n  \
             shop: {{request: {{path: /shop.json}}, records: /shop}}\n  \
             variants: {{request: {{path: /variants.json}}, records: /variants, key: [id]}}\n  \
             payouts: {{request: {{path: /payouts.json}}, records: /payouts, key: [id]}}\n  \
             disputes: {{request: {{path: /disputes.json}}, records: /disputes, key: [id]}}\n  \
             inventory_levels: {{request: {{path: /inventory_levels.json}}, records: /inventory_levels}}\n",
            server.url
        ),
    );
    project.ingest().await;
    assert_eq!(
        project
            .sql("select id, name, total_price, created_at from raw_shop.orders")
            .await,
        ["450789469|#1001|409.94|2008-01-10T16:00:00Z"]
    );
    assert_eq!(
        project
            .sql("select title, price, quantity from raw_shop.orders__line_items order by title")
            .await
            .len(),
        3
    );
    assert_eq!(project.sql("select count(*) from raw_shop.products").await, ["4"]);
    assert_eq!(
        project.sql("select count(distinct id) from raw_shop.variants").await,
        ["4"]
    );
    assert_eq!(
        project.sql("select email from raw_shop.customers").await,
        ["bob.norman@hostmail.com"]
    );
}

/// All templates of all streams can be filled in: whatever a system answers, nothing is undefined before it is asked.
#[tokio::test]
async fn every_stream_of_every_connector_gets_as_far_as_its_system() {
    let key = include_str!("../../../http/src/auth/keys/pkcs8.pem");
    let server = Server::new(|asked| {
        let login = asked.path.ends_with("/token") || asked.body.contains("login");
        match login {
            true => Answer(
                200,
                vec![
                    ("vendure-auth-token", "t".to_owned()),
                    ("content-type", "application/json".to_owned()),
                ],
                br#"{"access_token":"t","token_type":"Bearer","expires_in":3600,"result":[1,"t"],"data":{}}"#.to_vec(),
            ),
            false => Answer::status(418, "{}"),
        }
    })
    .await;
    for connector in Connector::all().unwrap() {
        let name = connector.name();
        let mut lines = vec![];
        for line in connector.source().lines() {
            let line = if line == "# config:" { "config:" } else { line };
            if line.trim_start().starts_with('#') || line.starts_with("  base_url:") {
                continue;
            }
            let secret = if line.contains("PRIVATE_KEY") {
                serde_json::to_string(key).unwrap()
            } else {
                "secret".to_owned()
            };
            let line = match (line.find("${"), line.find('}')) {
                (Some(from), Some(to)) => format!("{}{secret}", &line[..from]) + &line[to + 1..],
                _ => line.to_owned(),
            };
            lines.push(line.clone());
            if line == "config:" {
                lines.push(format!("  base_url: {}/{name}", server.url));
                if connector.page().contains("`token_url`") {
                    lines.push(format!("  token_url: {}/token", server.url));
                }
            }
        }
        if !lines.iter().any(|line| line == "config:") {
            lines.push(format!("config: {{base_url: \"{}/{name}\"}}", server.url));
        }
        let own = lines.iter().position(|line| line == "streams:");
        let stream_of_own = own.and_then(|at| {
            lines
                .get(at + 1)?
                .trim()
                .split_once(':')
                .map(|(name, _)| name.to_owned())
        });
        let project = project(&(lines.join("\n") + "\n")).await;
        let mut streams: Vec<String> = connector.streams().into_iter().map(str::to_owned).collect();
        streams.extend(stream_of_own);
        for stream in streams {
            let selection = format!("shop.{stream}").parse().unwrap();
            let error = project
                .try_ingest(&[selection])
                .await
                .map(|_| ())
                .unwrap_err()
                .to_string();
            assert!(error.contains("418"), "{name}.{stream}: {error}\n{}", lines.join("\n"));
        }
    }
}
