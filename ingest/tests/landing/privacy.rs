//! Personal columns: nothing of them reaches the lake as it was.

use std::path::Path;
use std::sync::Arc;

use cordada_core::progress::Silent;
use cordada_ingest::{ingest, load_sources};
use cordada_ingest_source::transform::PiiKey;
use tokio_util::sync::CancellationToken;

use super::{KINDS, Project};

async fn land(project: &Project) {
    let key = PiiKey::new("correct horse battery staple").unwrap();
    let sources = load_sources(&project.path().join("sources"), KINDS).unwrap();
    let (silent, cancel) = (Arc::new(Silent), CancellationToken::new());
    let landing = ingest(&project.lake, project.path(), &sources, &[], Some(&key), silent, cancel);
    landing.await.unwrap();
}

/// Every Parquet value and every other byte of the lake, as text.
fn everything(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            everything(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "parquet") {
            let file = std::fs::File::open(&path).unwrap();
            let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
            text.push_str(&format!("{:?}", reader.metadata()));
            for batch in reader.build().unwrap() {
                text.push_str(
                    &arrow::util::pretty::pretty_format_batches(&[batch.unwrap()])
                        .unwrap()
                        .to_string(),
                );
            }
        } else {
            text.push_str(&String::from_utf8_lossy(&std::fs::read(&path).unwrap()));
        }
    }
}

#[tokio::test]
async fn hashed_dropped_and_tokenised_columns_leave_no_trace() {
    let project = Project::new(
        "{people: {path: p.csv, key: [email], disposition: merge, columns: {email: {pii: email, transform: hash}, \
         phone: {transform: drop}, card: {transform: tokenise}}}, \
         orders: {path: o.json, columns: {buyer.email: {transform: hash}, buyer.phone: {transform: drop}}}}",
    )
    .await;
    project.write(
        "p.csv",
        "id,email,phone,card\n1,Ana@Example.org,600111222,4111\n2,ana@example.org,600111222,\nbroken ana@example.org\n",
    );
    project.write(
        "o.json",
        r#"[{"id": 1, "buyer": {"email": "ana@example.org", "phone": 600111222, "city": "Soria"}}]"#,
    );
    land(&project).await;
    let key = PiiKey::new("correct horse battery staple").unwrap();
    let people = project
        .sql("select id, length(email), card is null from raw_shop.people")
        .await;
    assert_eq!(people, ["2|64|true"]);
    let city = project
        .sql("select buyer['city'], length(buyer['email']) from raw_shop.orders")
        .await;
    assert_eq!(city, ["Soria|64"]);
    assert_eq!(
        project.columns("raw_shop.people").await,
        ["id Int64", "email Utf8", "card Utf8"]
    );
    let rejected = project.sql("select line, record from ops.rejected_rows").await;
    assert_eq!(rejected, ["4|withheld: the stream has columns with a transform"]);

    project.write("p.csv", "id,email,phone,card\n3,b@example.org,,4111-1111\n");
    land(&project).await;
    let token = project.sql("select card from raw_shop.people where id = 3").await;
    assert_eq!(key.reveal(&token[0]).unwrap(), "4111-1111");

    let mut text = String::new();
    everything(&project.path().join("lake"), &mut text);
    assert!(text.contains("Soria"));
    for secret in ["ana@example.org", "Ana@Example.org", "600111222", "4111-1111"] {
        assert!(!text.contains(secret), "{secret} is in the lake");
    }
}
