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
        drop((one.record(login(user)), other.record(login(user))));
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
        chain.add(login(user).values());
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

/// The records of the journal: number, user, text and outcome.
async fn written(lake: &Lake) -> Vec<String> {
    let session = lake.session(&lake.releases().newest().await.unwrap());
    let sql = "select concat_ws('|', cast(number as varchar), user_name, coalesce(sql, '-'), outcome) as line from lake.ops.audit order by number";
    let plan = cordada_lake::query::sql::plan(lake, &session, sql).await.unwrap();
    let batches = session
        .execute_logical_plan(plan)
        .await
        .unwrap()
        .collect()
        .await
        .unwrap();
    let mut lines = Vec::new();
    for batch in &batches {
        let texts = arrow::compute::cast(batch.column(0), &arrow::datatypes::DataType::Utf8).unwrap();
        let texts = arrow::array::AsArray::as_string::<i32>(&texts).iter();
        lines.extend(texts.map(|text| text.unwrap().to_owned()));
    }
    lines
}

/// The log as a server leaves it that is killed now.
fn killed(log: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for file in std::fs::read_dir(log).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    copy
}

#[tokio::test]
async fn what_is_on_the_disk_outlives_a_server_that_is_killed() {
    let (folder, log) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let lake = lake(&folder).await;
    let audit = Audit::with_log(&lake, log.path()).await.unwrap();
    assert_eq!(login("ana").values().len(), record::VALUES);
    audit.record(login("ana")).settled().await.unwrap();
    let asker = Principal::anonymous();
    let statement = |sql: &str| audit.statement("test", &asker, None, sql);
    let (mut running, mut done) = (statement("select 1 from t"), statement("select 'x'"));
    running.begins().await.unwrap();
    // What is in the journal is not in the log any more, but for what still runs.
    audit.flush().await.unwrap();
    assert_eq!(written(&lake).await, ["1|ana|-|done"]);
    done.begins().await.unwrap();
    done.ended(Outcome::Done, None).settled().await.unwrap();
    let left = killed(log.path());

    let expected = [
        "1|ana|-|done",
        "2|anonymous|select ?|done",
        "3|anonymous|select ? from t|unknown",
    ];
    // A server that is killed before it forgets what it has put into the journal puts nothing into it twice.
    let again = killed(left.path());
    for left in [left, again] {
        drop(Audit::with_log(&lake, left.path()).await.unwrap());
        assert_eq!(written(&lake).await, expected);
        assert_eq!(verify(&lake).await.unwrap(), Verified { chains: 1, records: 3 });
        let segments = std::fs::read_dir(left.path()).unwrap();
        let names: Vec<_> = segments.map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names, ["lock"]);
    }
}

#[tokio::test]
async fn a_log_is_one_servers() {
    let (folder, log) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let lake = lake(&folder).await;
    let _audit = Audit::with_log(&lake, log.path()).await.unwrap();
    let refused = Audit::with_log(&lake, log.path()).await.unwrap_err();
    assert!(refused.to_string().contains("another server"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_kept_is_counted() {
    let folder = TempDir::new().unwrap();
    let lake = lake(&folder).await;
    let audit = Audit::new(&lake).unwrap();
    for _ in 0..WAITING + 3 {
        drop(audit.record(login("ana")));
    }
    audit.flush().await.unwrap();
    let records = u64::try_from(WAITING).unwrap() + 1;
    assert_eq!(verify(&lake).await.unwrap(), Verified { chains: 1, records });
}
