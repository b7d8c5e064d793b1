//! Errors name the table and the column, and neither values nor passwords.

use cordada_core::{Error, ErrorKind};
use serde_json::json;

use super::{PASSWORD, Subject};
use crate::tests::Source;

/// The error that a load ends in.
async fn error_of(url: &str, stream: &str) -> Error {
    let error = Source::new(url, stream).await.load(None).await.err().unwrap();
    assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
    error
}

pub(crate) async fn what_is_not_there_is_told_with_what_is<S: Subject>(subject: &S) {
    subject.table("customers", "id INTEGER PRIMARY KEY, name INTEGER").await;
    for (stream, named, meant) in [
        (json!({"table": "custmers"}), "custmers", "customers"),
        (
            json!({"table": "customers", "cursor": "idd", "key": ["id"]}),
            "`idd`",
            "`id`",
        ),
        (
            json!({"table": "customers", "disposition": "merge", "key": ["nam"]}),
            "`nam`",
            "`name`",
        ),
        (json!({"query": "select nonsense from customers"}), "nonsense", "query"),
        (json!({"query": "select from where"}), "", "query"),
    ] {
        let error = error_of(&subject.url(), &stream.to_string()).await;
        let said = error.to_string();
        assert_eq!(error.kind(), ErrorKind::Config, "{said}");
        assert!(said.contains(named) && said.contains(meant), "{said}");
    }
}

pub(crate) async fn values_of_failing_queries_are_not_told<S: Subject>(subject: &S) {
    assert!(S::FAILING.contains(PASSWORD));
    let stream = json!({"query": S::FAILING}).to_string();
    assert!(error_of(&subject.url(), &stream).await.exit_code() > 0);
}

pub(crate) async fn the_password_is_not_told<S: Subject>(subject: &S) {
    if let Some(url) = subject.refused_url() {
        assert!(url.contains(PASSWORD));
        let error = error_of(&url, "{table: customers}").await;
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    }
    let (url, kind) = subject.url_of_nothing();
    assert_eq!(error_of(&url, "{table: customers}").await.kind(), kind);
}
