use arrow::array::*;
use cordada_lake::*;
use datafusion::physical_plan::memory::MemoryStream;
use std::sync::Arc;
#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() {
    let args: Vec<_> = std::env::args().collect();
    let lake = Lake::open(&args[1], &Settings::default()).await.unwrap();
    let newest = lake.releases().newest().await.unwrap();
    if newest.number == 0 {
        let mut streams: Vec<datafusion::physical_plan::SendableRecordBatchStream> = vec![];
        for p in 0..2i64 {
            let mut batches = vec![];
            for b in 0..16i64 {
                let n = 62_500i64;
                let base = p * 1_000_000 + b * n;
                batches.push(
                    RecordBatch::try_from_iter([
                        ("id", Arc::new(Int64Array::from_iter_values(base..base + n)) as ArrayRef),
                        (
                            "customer",
                            Arc::new(Int64Array::from_iter_values(
                                (base..base + n).map(|i| i * 7919 % 50_000),
                            )),
                        ),
                        (
                            "quantity",
                            Arc::new(Int32Array::from_iter_values((0..n).map(|i| (i % 40) as i32))),
                        ),
                        (
                            "price",
                            Arc::new(Float64Array::from_iter_values(
                                (base..base + n).map(|i| (i % 9973) as f64 / 100.0),
                            )),
                        ),
                        (
                            "at",
                            Arc::new(
                                TimestampMicrosecondArray::from_iter_values((base..base + n).map(|i| i * 1_000_003))
                                    .with_timezone("UTC"),
                            ),
                        ),
                        (
                            "country",
                            Arc::new(StringArray::from_iter_values(
                                (0..n).map(|i| ["United Kingdom", "Spain", "France", "EIRE"][(i % 4) as usize]),
                            )),
                        ),
                        (
                            "code",
                            Arc::new(StringArray::from_iter_values(
                                (base..base + n).map(|i| format!("{:05}X", i % 4070)),
                            )),
                        ),
                        (
                            "description",
                            Arc::new(StringArray::from_iter_values(
                                (base..base + n).map(|i| format!("PRODUCT NUMBER {}", i % 4070)),
                            )),
                        ),
                    ])
                    .unwrap(),
                );
            }
            let schema = batches[0].schema();
            streams.push(Box::pin(MemoryStream::try_new(batches, schema, None).unwrap()));
        }
        let table: TableName = "marts.sales".parse().unwrap();
        let schema = streams[0].schema();
        let w = lake
            .write(&table, Write::new(Mode::Append, schema), streams)
            .await
            .unwrap();
        let mut draft = Draft::new(newest, "x", "y");
        let mut r = Relation::table(lake.path_of(&table), w.version);
        r.docs.primary_key = vec!["id".into()];
        draft.set(table, r);
        draft.set(
            "marts.nothing".parse().unwrap(),
            Relation::view("select * from lake.marts.sales where false"),
        );
        draft.set("marts.by_country".parse().unwrap(), Relation::view("select country, count(*) n, min(id) first, sum(price*quantity) total from lake.marts.sales group by country"));
        lake.releases().publish(&draft).await.unwrap();
    }
    use cordada_flight_server::*;
    let users = if args.len() > 3 {
        vec![]
    } else {
        vec![User {
            name: "ana".into(),
            password_hash: hash_password("secret").unwrap(),
            roles: vec!["all".into()],
        }]
    };
    let roles = std::collections::BTreeMap::from([("all".to_string(), Role { read: vec!["*".into()] })]);
    let server = Server::bind(
        lake,
        Config {
            listen: args[2].parse().unwrap(),
            tls: None,
            users,
            roles,
            advertise: None,
        },
    )
    .await
    .unwrap();
    println!("{}", server.local_addr());
    server.serve(tokio_util::sync::CancellationToken::new()).await.unwrap();
}
