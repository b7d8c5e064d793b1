use cordada_lake::{Mode, Settings, Write};
use datafusion::physical_plan::memory::MemoryStream;
use tempfile::TempDir;

use super::*;
use crate::auth::Principal;

async fn lake(folder: &TempDir) -> Lake {
    let settings = Settings {
        journals: vec![AUDIT],
        ..Settings::default()
    };
    Lake::open(folder.path().to_str().unwrap(), &settings).await.unwrap()
}

fn login(user: &str) -> Record {
    Record {
        user: Some(user.to_owned()),
        ..Record::new(Event::Login, "test", Outcome::Done)
    }
}

/// Writes rows as somebody who can write the lake's files would.
async fn overwrite(lake: &Lake, rows: &[Vec<record::Value>]) {
    let rows = record::batch(rows).unwrap();
    let schema = rows.schema();
    let stream = MemoryStream::try_new(vec![rows], schema.clone(), None).unwrap();
    let write = Write::new(Mode::Overwrite, schema);
    lake.write(&AUDIT.table().unwrap(), write, vec![Box::pin(stream)])
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_put_down_is_written_and_can_be_verified() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder).await;
    assert_eq!(verify(&lake).await.unwrap(), Verified::default());
    let (one, other) = (Audit::new(&lake).unwrap(), Audit::new(&lake).unwrap());
    one.flush().await.unwrap();
    for user in ["ana", "bea"] {
        one.record(login(user));
        other.record(login(user));
        one.flush().await.unwrap();
    }
    other.flush().await.unwrap();
    let verified = Verified { chains: 2, records: 4 };
    assert_eq!(verify(&lake).await.unwrap(), verified);
}

#[tokio::test]
async fn what_was_changed_or_is_missing_shows() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder).await;
    let mut chain = Chain::new("c".to_owned());
    for user in ["ana", "bea", "eva"] {
        chain.add(login(user));
    }
    let rows = chain.unwritten().to_vec();
    overwrite(&lake, &rows).await;
    assert_eq!(verify(&lake).await.unwrap(), Verified { chains: 1, records: 3 });
    // As a write that is done again leaves it.
    overwrite(&lake, &[rows.clone(), rows.clone()].concat()).await;
    assert_eq!(verify(&lake).await.unwrap(), Verified { chains: 1, records: 3 });
    let mut changed = rows.clone();
    changed[1][4] = record::Value::Text(Some("root".to_owned()));
    let missing = vec![rows[0].clone(), rows[2].clone()];
    let first_missing = rows[1..].to_vec();
    for (rows, says) in [
        (changed, "record 2 of chain c: it is not what was put down"),
        (missing, "record 2 of chain c: it is missing"),
        (first_missing, "record 1 of chain c: it is missing"),
    ] {
        overwrite(&lake, &rows).await;
        let error = verify(&lake).await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[tokio::test]
async fn of_what_was_not_planned_nothing_in_quotes_is_put_down() {
    let folder = TempDir::new().unwrap();
    let audit = Audit::new(&lake(&folder).await).unwrap();
    let sql = "select * frm people where name = \"Ana López\" -- Ana";
    drop(audit.statement("test", &Principal::anonymous(), None, sql));
    let record = audit.waiting().records.pop_front().unwrap();
    assert_eq!(record.sql.unwrap(), "select * frm people where name = ?");
}

#[tokio::test]
async fn what_cannot_be_kept_is_counted() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder).await;
    let audit = Audit::new(&lake).unwrap();
    for _ in 0..WAITING + 3 {
        audit.record(login("ana"));
    }
    audit.flush().await.unwrap();
    let records = u64::try_from(WAITING).unwrap() + 1;
    assert_eq!(verify(&lake).await.unwrap(), Verified { chains: 1, records });
}
