//! A small shop's lake, and who may read it.
//!
//! | relation | rows | who uses it |
//! |---|---|---|
//! | `warehouse.dim_customer` | 3: text with and without value, decimals, dates | keys, columns, roles |
//! | `warehouse.fct_sale` | 5: doubles, timestamps, one customer unknown | aggregates, parameters |
//! | `raw_shop.orders` | 1, secret | roles |
//! | `marts.sales_by_country` | view over both of the warehouse | views, roles |
//! | `marts.nothing` | view without rows | empty results |

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use cordada_lake::release::{ColumnDocs, Docs, ForeignKey};
use cordada_lake::{Draft, Journal, JournalType, Lake, Mode, Relation, Settings, Write};
use cordada_query::auth::hash_password;
use cordada_query::{Role, User};
use datafusion::physical_plan::memory::MemoryStream;
use tempfile::TempDir;

/// The password of every user.
pub const PASSWORD: &str = "gänseblümchen:1";

/// The lake, in a temporary folder.
pub struct Shop {
    /// It has one release.
    pub lake: Lake,
    _folder: TempDir,
}

impl Shop {
    /// A lake of its own for each test.
    pub async fn fill() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            journals: vec![Journal::new("runs", &[("run_id", JournalType::Text)])],
            ..Settings::default()
        };
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings).await.unwrap();
        let shop = Self { lake, _folder: folder };
        shop.publish_all().await;
        shop
    }

    /// The users `ana` (marts), `bea` (marts and one dimension), `root` (everything), `nobody`.
    pub fn users(&self) -> Vec<User> {
        let password_hash = hash_password(PASSWORD).unwrap();
        let user = |name: &str, roles: &[&str]| User {
            name: name.to_owned(),
            password_hash: password_hash.clone(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..User::default()
        };
        vec![
            user("ana", &["analyst"]),
            user("bea", &["analyst", "crm"]),
            user("root", &["admin"]),
            user("nobody", &[]),
        ]
    }

    /// What the roles of those users read.
    pub fn roles(&self) -> BTreeMap<String, Role> {
        let role = |name: &str, read: &str| {
            let role = Role {
                read: vec![read.to_owned()],
                ..Role::default()
            };
            (name.to_owned(), role)
        };
        BTreeMap::from([
            role("analyst", "marts"),
            role("crm", "warehouse.dim_customer"),
            role("admin", "*"),
        ])
    }

    /// Appends to a table, without publishing it.
    pub async fn write(&self, table: &str, batch: RecordBatch) -> Relation {
        let (table, schema) = (table.parse().unwrap(), batch.schema());
        let rows = MemoryStream::try_new(vec![batch], schema.clone(), None).unwrap();
        let write = Write::new(Mode::Append, schema);
        let written = self.lake.write(&table, write, vec![Box::pin(rows)]).await.unwrap();
        Relation::table(self.lake.path_of(&table), written.version)
    }

    /// Appends sales of `amounts`, without publishing them.
    pub async fn append_sales(&self, amounts: &[f64]) -> Relation {
        self.write("warehouse.fct_sale", sales(100, amounts)).await
    }

    /// Publishes relations; gives the release's number.
    pub async fn publish(&self, relations: Vec<(&str, Relation)>) -> u64 {
        let mut draft = Draft::new(self.lake.releases().newest().await.unwrap(), "test", "run");
        for (name, relation) in relations {
            draft.set(name.parse().unwrap(), relation);
        }
        self.lake.releases().publish(&draft).await.unwrap().number
    }

    async fn publish_all(&self) {
        let mut customer = self.write("warehouse.dim_customer", customers()).await;
        customer.docs = Docs {
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
        }
        .into();
        let sale = sales(0, &[10.0, 20.0, 30.0, 40.0, 50.0]);
        let mut sale = self.write("warehouse.fct_sale", sale).await;
        sale.docs = Docs {
            primary_key: vec!["sale_id".to_owned()],
            foreign_keys: vec![ForeignKey {
                columns: vec!["customer_id".to_owned()],
                references: "warehouse.dim_customer".parse().unwrap(),
                referenced_columns: vec!["customer_id".to_owned()],
            }],
            ..Docs::default()
        }
        .into();
        let order = self.write("raw_shop.orders", orders()).await;
        let by_country = Relation::view(
            "select country, count(*) as sales, sum(amount) as amount, min(sold_at) as first_sold_at \
             from lake.warehouse.fct_sale join lake.warehouse.dim_customer using (customer_id) group by country",
        );
        let nothing = Relation::view("select name, since, balance from lake.warehouse.dim_customer where false");
        self.publish(vec![
            ("warehouse.dim_customer", customer),
            ("warehouse.fct_sale", sale),
            ("raw_shop.orders", order),
            ("marts.sales_by_country", by_country),
            ("marts.nothing", nothing),
        ])
        .await;
    }
}

fn customers() -> RecordBatch {
    let balance = Decimal128Array::from(vec![100, 250, -75]).with_precision_and_scale(12, 2);
    let columns: [(&str, ArrayRef, bool); 5] = [
        ("customer_id", Arc::new(Int64Array::from(vec![1, 2, 3])), false),
        (
            "name",
            Arc::new(StringArray::from(vec![Some("Ana"), None, Some("Señor Ñandú")])),
            true,
        ),
        ("country", Arc::new(StringArray::from(vec!["ES", "ES", "FR"])), true),
        ("since", Arc::new(Date32Array::from(vec![19_000, 19_100, 19_200])), true),
        ("balance", Arc::new(balance.unwrap()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn orders() -> RecordBatch {
    let secret: ArrayRef = Arc::new(StringArray::from(vec!["s3cr3t"]));
    RecordBatch::try_from_iter([("secret", secret)]).unwrap()
}

/// Sales with numbers from `first`, a second apart, of customers in turn.
fn sales(first: i64, amounts: &[f64]) -> RecordBatch {
    let customers = [Some(1), Some(1), Some(2), Some(3), None];
    let count = amounts.len();
    let ids = Int64Array::from_iter_values((first..).take(count));
    let customers: Int64Array = customers.into_iter().cycle().take(count).collect();
    let times = TimestampMicrosecondArray::from_iter_values((0..).step_by(1_000_000).take(count));
    let columns: [(&str, ArrayRef); 4] = [
        ("sale_id", Arc::new(ids)),
        ("customer_id", Arc::new(customers)),
        ("amount", Arc::new(Float64Array::from(amounts.to_vec()))),
        ("sold_at", Arc::new(times.with_timezone("UTC"))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}
