//! Who shares plans, whose policies do not fit, and what is said at the start.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordada_query::auth::Principal;
use cordada_query::{Mask, Personal, Role};

use crate::lakes::{Answer, Lakes, roles};

fn principal(name: &str, roles: &BTreeMap<String, Role>, country: &str) -> Principal {
    let own = roles.keys().cloned().collect();
    let attributes = BTreeMap::from([("country".to_owned(), country.to_owned())]);
    Principal::new(name.to_owned(), own, attributes, roles)
}

fn role(rows: &str, columns: &[(&str, Mask)]) -> BTreeMap<String, Role> {
    let columns = columns
        .iter()
        .map(|(column, mask)| ((*column).to_owned(), mask.clone()));
    let role = Role {
        read: vec!["warehouse".to_owned()],
        rows: match rows.is_empty() {
            true => BTreeMap::new(),
            false => BTreeMap::from([("warehouse.person".to_owned(), rows.to_owned())]),
        },
        columns: BTreeMap::from([("warehouse.person".to_owned(), columns.collect())]),
        ..Role::default()
    };
    BTreeMap::from([("tester".to_owned(), role)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_are_shared_by_those_for_whom_policies_say_the_same() {
    let lakes = Lakes::fill().await;
    let engine = lakes.engine();
    let analyst = BTreeMap::from([("analyst".to_owned(), roles()["analyst"].clone())]);
    let sql = "select count(*) from warehouse.person";
    let mut plans = Vec::new();
    for (name, country) in [("ana", "ES"), ("eva", "ES"), ("ana", "FR")] {
        let asker = principal(name, &analyst, country);
        let scope = engine.scope(&asker.access, None, "marts").await.unwrap();
        plans.push(engine.plan(&scope, sql).await.unwrap());
    }
    assert!(Arc::ptr_eq(&plans[0], &plans[1]));
    assert!(!Arc::ptr_eq(&plans[0], &plans[2]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_does_not_fit_shows_nothing_and_is_said_at_the_start() {
    let lakes = Lakes::fill().await;
    for (rows, columns, says) in [
        ("contry = 'ES'", vec![], "contry"),
        ("no_such_function(country)", vec![], "no_such_function"),
        ("", vec![("emial", Mask::Null)], "emial"),
        ("", vec![("balance", Mask::Hash)], "balance"),
        ("", vec![("balance", Mask::Constant("much".to_owned()))], "balance"),
        (
            "",
            vec![("email", Mask::Expression("nofunction(email)".to_owned()))],
            "nofunction",
        ),
        ("", vec![("home", Mask::Expression("42".to_owned()))], "home"),
    ] {
        let roles = role(rows, &columns);
        let error = lakes.engine().check_policies(&roles).await.unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        let error = error.to_string();
        assert!(error.contains(says) && error.contains("tester"), "{error}");
        let asker = principal("ana", &roles, "ES");
        match lakes.policed_as(&asker, "select count(*) from warehouse.person").await {
            Answer::Rows(rows) => panic!("{says}: {rows:?}"),
            Answer::Refused(message) => assert!(!message.contains(says), "{message}"),
        }
        assert!(matches!(
            lakes
                .policed_as(&asker, "select count(*) from warehouse.purchase")
                .await,
            Answer::Rows(_)
        ));
    }
    let mut unknown = role("true", &[]);
    if let Some(tester) = unknown.get_mut("tester") {
        tester.rows = BTreeMap::from([("warehouse.persn".to_owned(), "true".to_owned())]);
    }
    let error = lakes.engine().check_policies(&unknown).await.unwrap_err().to_string();
    assert!(error.contains("did you mean `warehouse.person`?"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_does_not_fit_takes_nothing_from_the_others() {
    let lakes = Lakes::fill().await;
    let mut both = role("contry = 'ES'", &[]);
    both.extend(
        role("country = 'FR'", &[])
            .into_values()
            .map(|role| ("french".to_owned(), role)),
    );
    let asker = principal("ana", &both, "ES");
    let rows = lakes
        .policed_as(&asker, "select distinct country from warehouse.person")
        .await;
    assert_eq!(rows, Answer::Rows(vec!["FR".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hashes_are_equal_where_values_are_and_kinds_have_masks_of_their_own() {
    let lakes = Lakes::fill().await;
    let mut hashing = role("", &[("note", Mask::Hash)]);
    if let Some(tester) = hashing.get_mut("tester") {
        let kinds = [("email".to_owned(), Mask::Hash), ("name".to_owned(), Mask::Clear)];
        tester.pii = Personal::Masked(kinds.into());
    }
    lakes.engine().check_policies(&hashing).await.unwrap();
    let asker = principal("ana", &hashing, "ES");
    let sql = "select count(distinct email), min(length(email)), max(length(note)), min(name), count(home) \
               from warehouse.person";
    let rows = lakes.policed_as(&asker, sql).await;
    assert_eq!(rows, Answer::Rows(vec!["60|64|64|Name0 ES|0".to_owned()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_given_again_only_if_policies_do_not_change_it() {
    let lakes = Lakes::fill().await;
    let sql = "select count(*) from warehouse.person";
    let mut questions = Vec::new();
    for (rows, country) in [
        ("country = attribute('country')", "ES"),
        ("country = attribute('country')", "FR"),
        ("born < now()", "ES"),
        ("id > (select count(*) from lake.ops.runs)", "ES"),
        ("random() < 0.5", "ES"),
    ] {
        let asker = principal("ana", &role(rows, &[("email", Mask::Partial)]), country);
        let scope = lakes.engine().scope(&asker.access, None, "marts").await.unwrap();
        questions.push(lakes.engine().plan(&scope, sql).await.unwrap().question.clone());
    }
    assert!(questions[0].is_some() && questions[0] != questions[1]);
    assert_eq!(questions[2..], [None, None, None]);
}

/// Statements that choose rows, or none.
const CHOICES: [&str; 8] = [
    "",
    "where id = 3",
    "where id = 1",
    "where country = 'ES'",
    "where country = 'PT' and id < 10",
    "where id < 0",
    "where id in (0, 3, 6) and born is not null",
    "where 1 / (id - 2) < 5",
];

fn masked(expression: &str) -> BTreeMap<String, Role> {
    role("", &[("note", Mask::Expression(expression.to_owned()))])
}

/// Whether `where id = 4` fails would tell what is in that row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_fails_does_so_whatever_is_asked() {
    let lakes = Lakes::fill().await;
    for (roles, value) in [
        (role("cast(note as int) > 0", &[]), "count(*)"),
        (role("country = 'ES' and cast(note as int) >= 0", &[]), "max(id)"),
        (role("1 / (balance - 666) < 1 or country = 'FR'", &[]), "min(country)"),
        (
            role("id in (select cast(note as int) from lake.warehouse.person)", &[]),
            "count(*)",
        ),
        (masked("cast(cast(note as int) as varchar)"), "max(note)"),
    ] {
        let asker = principal("ana", &roles, "ES");
        for choice in CHOICES {
            let sql = format!("select {value} from warehouse.person {choice}");
            match lakes.policed_as(&asker, &sql).await {
                Answer::Rows(rows) => panic!("{sql}: {rows:?}"),
                Answer::Refused(message) => assert!(
                    message.contains("fails on a value")
                        && !message.contains("not a number")
                        && !message.contains("666"),
                    "{sql}: {message}"
                ),
            }
        }
    }
    // What is masked is computed only if somebody asks for it.
    let asker = principal("ana", &masked("cast(cast(note as int) as varchar)"), "ES");
    let ids = lakes
        .policed_as(&asker, "select count(id) from warehouse.person where id > 3")
        .await;
    assert_eq!(ids, Answer::Rows(vec!["56".to_owned()]));
}

/// Who reads a view is told of the view, not of what it reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_fails_behind_a_view_does_not_name_what_it_is_about() {
    let lakes = Lakes::fill().await;
    let mut roles = role("cast(note as int) > 0", &[]);
    if let Some(tester) = roles.get_mut("tester") {
        tester.read = vec!["marts".to_owned()];
    }
    let asker = principal("ana", &roles, "ES");
    match lakes.policed_as(&asker, "select count(*) from marts.people").await {
        Answer::Rows(rows) => panic!("{rows:?}"),
        Answer::Refused(message) => assert!(
            message.contains("marts.people") && !message.contains("person"),
            "{message}"
        ),
    }
}

/// A view is such a policy for who does not read what is behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_that_fails_does_so_whatever_is_asked() {
    let lakes = Lakes::fill().await;
    for choice in CHOICES {
        let sql = format!("select count(*) from marts.numbered {choice}");
        match lakes.policed("vic", &sql).await {
            Answer::Rows(rows) => panic!("{sql}: {rows:?}"),
            Answer::Refused(message) => assert!(message.contains("fails on a value"), "{sql}: {message}"),
        }
    }
}

/// Conditions that cannot fail skip files, where the policies cannot fail either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_go_below_policies_that_cannot_fail() {
    let lakes = Lakes::fill().await;
    for (roles, goes_below) in [
        (role("country = attribute('country')", &[]), true),
        (
            role("country like 'E%' and balance > 3 and born < date '2000-01-01'", &[]),
            true,
        ),
        (role("try_cast(note as int) > 0", &[]), true),
        (
            role(
                "id in (select person_id from lake.warehouse.purchase where amount > 5)",
                &[],
            ),
            true,
        ),
        (
            role(
                "",
                &[("email", Mask::Partial), ("name", Mask::Hash), ("born", Mask::Year)],
            ),
            true,
        ),
        (masked("left(upper(note), 2) || '***'"), true),
        (masked("substring(note from 2 for 3)"), true),
        (role("cast(note as int) > 0", &[]), false),
        (masked("cast(cast(note as int) as varchar)"), false),
    ] {
        let asker = principal("ana", &roles, "ES");
        let sql = "select id, note from warehouse.person where id = 3";
        let plan = lakes.physical_plan(&asker, sql).await;
        let above = plan.split("PolicyBarrierExec").next().unwrap();
        assert_eq!(!above.contains("id@0 = 3"), goes_below, "{roles:?}: {plan}");
    }
}
