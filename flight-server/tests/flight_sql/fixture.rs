//! A small shop's lake, a server over it, and clients.
//!
//! | relation | rows | who uses it |
//! |---|---|---|
//! | `warehouse.dim_customer` | 3: text with and without value, decimals, dates | keys, columns, roles |
//! | `warehouse.fct_sale` | 5: doubles, timestamps, one customer unknown | aggregates, parameters |
//! | `raw_shop.orders` | 1, secret | roles |
//! | `marts.sales_by_country` | view over both of the warehouse | views, roles |
//! | `marts.nothing` | view without rows | empty results |

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::FlightInfo;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::client::FlightSqlServiceClient;
use cordada_core::TableName;
use cordada_flight_server::{Config, Role, Server, User, hash_password};
use cordada_lake::release::{ColumnDocs, Docs, ForeignKey};
use cordada_lake::{Draft, Journal, JournalType, Lake, Mode, Relation, Settings, Write};
use datafusion::physical_plan::memory::MemoryStream;
use futures::TryStreamExt;
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

pub type Client = FlightSqlServiceClient<Channel>;

/// The password of every user.
pub const PASSWORD: &str = "gänseblümchen:1";

pub struct Fixture {
    pub lake: Lake,
    pub address: SocketAddr,
    _folder: TempDir,
    _server: DropGuard,
}

impl Fixture {
    /// A server with the users `ana` (marts), `bea` (marts and one dimension), `root` (everything), `nobody`.
    pub async fn with_users() -> Self {
        let role = |read: &[&str]| Role {
            read: read.iter().map(|read| (*read).to_owned()).collect(),
        };
        let roles = BTreeMap::from([
            ("analyst".to_owned(), role(&["marts"])),
            ("crm".to_owned(), role(&["warehouse.dim_customer"])),
            ("admin".to_owned(), role(&["*"])),
        ]);
        let users = vec![
            user("ana", &["analyst"]),
            user("bea", &["analyst", "crm"]),
            user("root", &["admin"]),
            user("nobody", &[]),
        ];
        Self::start(users, roles).await
    }

    /// A server without users.
    pub async fn open() -> Self {
        Self::start(Vec::new(), BTreeMap::new()).await
    }

    async fn start(users: Vec<User>, roles: BTreeMap<String, Role>) -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            journals: vec![Journal::new("runs", &[("run_id", JournalType::Text)])],
            ..Settings::default()
        };
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings).await.unwrap();
        fill(&lake).await;
        let listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(
            lake.clone(),
            Config {
                listen,
                tls: None,
                users,
                roles,
                advertise: None,
            },
        )
        .await
        .unwrap();
        let (address, stop) = (server.local_addr(), CancellationToken::new());
        tokio::spawn(server.serve(stop.clone()));
        Self {
            lake,
            address,
            _folder: folder,
            _server: stop.drop_guard(),
        }
    }

    /// A client that has not said who it is.
    pub async fn stranger(&self) -> Client {
        let endpoint = Endpoint::new(format!("http://{}", self.address)).unwrap();
        FlightSqlServiceClient::new(endpoint.connect().await.unwrap())
    }

    /// A client that logged in.
    pub async fn client(&self, user: &str) -> Client {
        let mut client = self.stranger().await;
        client.handshake(user, PASSWORD).await.unwrap();
        client
    }

    /// Appends sales of `amounts`, without publishing them.
    pub async fn append_sales(&self, amounts: &[f64]) -> Relation {
        let table: TableName = "warehouse.fct_sale".parse().unwrap();
        write(&self.lake, &table, sales(amounts.len() as i64 + 100, amounts)).await
    }

    /// Publishes relations.
    pub async fn publish(&self, relations: Vec<(&str, Relation)>) -> u64 {
        publish(&self.lake, relations).await
    }
}

fn user(name: &str, roles: &[&str]) -> User {
    static HASH: OnceLock<String> = OnceLock::new();
    let password_hash = HASH.get_or_init(|| hash_password(PASSWORD).unwrap()).clone();
    User {
        name: name.to_owned(),
        password_hash,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    }
}

async fn fill(lake: &Lake) {
    let customers = RecordBatch::try_from_iter_with_nullable([
        (
            "customer_id",
            Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef,
            false,
        ),
        (
            "name",
            Arc::new(StringArray::from(vec![Some("Ana"), None, Some("Señor Ñandú")])),
            true,
        ),
        ("country", Arc::new(StringArray::from(vec!["ES", "ES", "FR"])), true),
        ("since", Arc::new(Date32Array::from(vec![19_000, 19_100, 19_200])), true),
        (
            "balance",
            Arc::new(
                Decimal128Array::from(vec![100, 250, -75])
                    .with_precision_and_scale(12, 2)
                    .unwrap(),
            ),
            true,
        ),
    ])
    .unwrap();
    let orders =
        RecordBatch::try_from_iter([("secret", Arc::new(StringArray::from(vec!["s3cr3t"])) as ArrayRef)]).unwrap();
    let mut customer = write(lake, &"warehouse.dim_customer".parse().unwrap(), customers).await;
    let docs = Docs {
        description: Some("One row a customer".to_owned()),
        columns: BTreeMap::from([(
            "name".to_owned(),
            ColumnDocs {
                description: Some("As the customer writes it".to_owned()),
                pii: Some("name".to_owned()),
            },
        )]),
        primary_key: vec!["customer_id".to_owned()],
        foreign_keys: Vec::new(),
    };
    customer.docs = docs.into();
    let mut sale = write(
        lake,
        &"warehouse.fct_sale".parse().unwrap(),
        sales(0, &[10.0, 20.0, 30.0, 40.0, 50.0]),
    )
    .await;
    let docs = Docs {
        primary_key: vec!["sale_id".to_owned()],
        foreign_keys: vec![ForeignKey {
            columns: vec!["customer_id".to_owned()],
            references: "warehouse.dim_customer".parse().unwrap(),
            referenced_columns: vec!["customer_id".to_owned()],
        }],
        ..Docs::default()
    };
    sale.docs = docs.into();
    let order = write(lake, &"raw_shop.orders".parse().unwrap(), orders).await;
    let by_country = Relation::view(
        "select country, count(*) as sales, sum(amount) as amount, min(sold_at) as first_sold_at \
         from lake.warehouse.fct_sale join lake.warehouse.dim_customer using (customer_id) group by country",
    );
    let nothing = Relation::view("select name, since, balance from lake.warehouse.dim_customer where false");
    publish(
        lake,
        vec![
            ("warehouse.dim_customer", customer),
            ("warehouse.fct_sale", sale),
            ("raw_shop.orders", order),
            ("marts.sales_by_country", by_country),
            ("marts.nothing", nothing),
        ],
    )
    .await;
}

fn sales(first: i64, amounts: &[f64]) -> RecordBatch {
    let customers = [Some(1), Some(1), Some(2), Some(3), None];
    let count = amounts.len();
    RecordBatch::try_from_iter([
        (
            "sale_id",
            Arc::new(Int64Array::from_iter_values((first..).take(count))) as ArrayRef,
        ),
        (
            "customer_id",
            Arc::new(customers.into_iter().cycle().take(count).collect::<Int64Array>()),
        ),
        ("amount", Arc::new(Float64Array::from(amounts.to_vec()))),
        (
            "sold_at",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values((0..).step_by(1_000_000).take(count)).with_timezone("UTC"),
            ),
        ),
    ])
    .unwrap()
}

/// Appends to a table, without publishing it.
pub async fn write(lake: &Lake, table: &TableName, batch: RecordBatch) -> Relation {
    let schema = batch.schema();
    let rows = MemoryStream::try_new(vec![batch], schema.clone(), None).unwrap();
    let written = lake
        .write(table, Write::new(Mode::Append, schema), vec![Box::pin(rows)])
        .await
        .unwrap();
    Relation::table(lake.path_of(table), written.version)
}

async fn publish(lake: &Lake, relations: Vec<(&str, Relation)>) -> u64 {
    let mut draft = Draft::new(lake.releases().newest().await.unwrap(), "test", "run");
    for (name, relation) in relations {
        draft.set(name.parse().unwrap(), relation);
    }
    lake.releases().publish(&draft).await.unwrap().number
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

/// The rows as lines of text, columns joined by `|`, sorted.
pub fn lines(batches: &[RecordBatch]) -> Vec<String> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("-");
    let mut lines: Vec<_> = batches
        .iter()
        .flat_map(|batch| {
            let columns: Vec<_> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
                .collect();
            let line = |row: usize| {
                columns
                    .iter()
                    .map(|c| c.value(row).to_string())
                    .collect::<Vec<_>>()
                    .join("|")
            };
            (0..batch.num_rows()).map(line).collect::<Vec<_>>()
        })
        .collect();
    lines.sort();
    lines
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
