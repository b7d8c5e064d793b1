//! Policies against a reference: a lake in which the tables really are filtered and masked, by SQL of its own. Whatever is
//! asked under policies has the answer, or the refusal, that it has there.

#![allow(clippy::unwrap_used, clippy::panic)]

mod attempts;
mod lakes;
mod sharing;
mod statements;

use lakes::{Answer, Lakes};
use statements::Statements;

/// Statements of each run, and the seed of the first.
const STATEMENTS: u64 = 400;
const SEED: u64 = 20_261_201;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_attempt_sees_what_policies_hide() {
    let lakes = Lakes::fill().await;
    assert!(attempts::ATTEMPTS.len() >= 60);
    for user in ["ana", "bea"] {
        let (mut answered, mut refused) = (0, 0);
        for sql in attempts::ATTEMPTS {
            match lakes.same(user, sql).await {
                Answer::Rows(_) => answered += 1,
                Answer::Refused(message) => {
                    refused += 1;
                    for secret in attempts::SECRETS {
                        assert!(!message.contains(secret), "{user}: {sql}: {message}");
                    }
                }
            }
        }
        // The attempts are statements that are understood, most of them.
        assert!(
            answered > refused,
            "{user}: {answered} were answered, {refused} were not"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_statements_have_the_answers_of_the_reference() {
    let lakes = Lakes::fill().await;
    let mut answered = 0;
    for number in 0..STATEMENTS {
        let sql = Statements::new(SEED + number).statement();
        for user in ["ana", "bea", "eva"] {
            if let Answer::Rows(_) = lakes.same(user, &sql).await {
                answered += 1;
            }
        }
    }
    assert!(
        answered > STATEMENTS,
        "only {answered} were answered: the others prove little"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_not_shown() {
    let lakes = Lakes::fill().await;
    for sql in [
        "explain select * from warehouse.person",
        "explain analyze select * from warehouse.person where 1 / (balance - 666) > 0",
        "explain verbose select * from marts.spending",
        "explain format tree select * from warehouse.person",
    ] {
        match lakes.policed("ana", sql).await {
            Answer::Rows(rows) => panic!("{sql}: {rows:?}"),
            Answer::Refused(message) => assert!(!message.contains("country"), "{sql}: {message}"),
        }
    }
}

/// Who reads a view, and not what is behind it, sees the rows that it shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_error_tells_of_rows_that_a_view_leaves_out() {
    let lakes = Lakes::fill().await;
    for sql in [
        "select count(*) from marts.spaniards where 1 / (balance - 666) < 1",
        "select count(*) from marts.spaniards where 1 / (balance - 666) < 1 and id % 4 = 0",
        "select count(*) from (select 1 / (balance - 666) as x from marts.spaniards) where x < 1",
        "select count(*) from marts.spaniards where 1 / (id % 4 - 2) < 1",
        "select count(*) from marts.spaniards where 1 / (id % 4 - 2) < 1 and id >= 0 order by 1 limit 3",
        "select count(*) from marts.spaniards a where exists (select 1 from marts.spaniards b where 1 / (b.id % 4 - 2) < 1)",
    ] {
        assert_eq!(
            lakes.policed("vic", sql).await,
            Answer::Rows(vec!["15".to_owned()]),
            "{sql}"
        );
    }
    let refused = lakes.policed("vic", "select count(*) from warehouse.person").await;
    assert!(matches!(refused, Answer::Refused(_)));
}
