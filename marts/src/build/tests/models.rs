//! Models: several inputs and outputs, artefacts that are kept, outputs of the release before.

use super::*;

const SCORES: &str = "{{ config(materialized='model', estimator='above_mean', column='amount') }}\nselect order_id, amount from {{ ref('orders') }}";

/// Three orders of 11.00 in all, and a model with all that a model can have. `settings` go into its config.
async fn house(settings: &str) -> House {
    let scores = SCORES.replace("column=", &format!("{settings}column="));
    House::with(&[
        ("seeds/orders.csv", ORDERS_CSV),
        ("seeds/returns.csv", "amount,why\n-11.0,broken\n"),
        (
            "warehouse/all_returns.sql",
            "{{ config(materialized='ephemeral') }}select amount from {{ ref('returns') }} -- all",
        ),
        ("marts/scores.sql", &scores),
    ])
    .await
}

const WIDE: &str = "inputs={'extra': ref('all_returns')}, outputs=['means'], tags=['ml'], ";

fn artefacts(house: &House) -> usize {
    let folder = house.dir.path().join("lake/_cordada/artefacts/ml.scores");
    std::fs::read_dir(folder).unwrap().count()
}

fn status(report: &BuildReport, name: &str) -> NodeStatus {
    report.nodes.iter().find(|node| node.name == name).unwrap().status
}

#[tokio::test]
async fn rows_of_a_model_go_through_its_estimator() {
    let model = "{{ config(materialized='model', estimator='above_mean', column='amount') }}\nselect order_id, amount from {{ ref('orders') }}";
    let house = House::with(&[("seeds/orders.csv", ORDERS_CSV), ("marts/scores.sql", model)]).await;
    house.build().await;
    assert_eq!(house.query("select count(*) from ml.scores").await, "3");
    house.write("marts/scores.sql", &model.replace("column='amount'", "column='amont'"));
    let error = house.error().await;
    assert!(
        error.starts_with("marts/scores.sql:1:") && error.contains("amont"),
        "{error}"
    );
    house.write("marts/scores.sql", &model.replace("above_mean", "below_mean"));
    assert!(house.error().await.contains("use one of: above_mean"));
}

#[tokio::test]
async fn several_inputs_make_several_relations_of_one_release() {
    let house = house(WIDE).await;
    house.write(
        "marts/mean.sql",
        "{{ config(materialized='table') }}select mean, fitted_on from {{ ref('scores__means') }}",
    );
    house.write(
        "marts/schema.yml",
        "models:\n  - name: scores__means\n    description: What it was fitted on.\n    config: {tags: [fit], contract: {enforced: true}}\n    columns:\n      - {name: mean, data_type: double, description: The mean.}\n      - {name: fitted_on, data_type: bigint, data_tests: [unique, not_null]}\n",
    );
    house.write(
        "tests/mean_is_right.sql",
        "select * from {{ ref('scores__means') }} where fitted_on <> 4",
    );
    let report = house.build().await;
    assert_eq!(report.release, Some(1), "{:?}", report.tests);
    assert_eq!(report.tests.len(), 3);
    assert_eq!(
        house.query("select mean, fitted_on from ml.scores__means").await,
        "0.0 4"
    );
    assert_eq!(house.query("select mean from marts.mean").await, "0.0");
    assert_eq!(house.query("select count(*) from ml.scores where above").await, "3");
    let release = house.lake.releases().newest().await.unwrap();
    let docs = &release.relation(&"ml.scores__means".parse().unwrap()).unwrap().docs;
    let docs = house.lake.docs(docs).await.unwrap();
    assert_eq!(docs.description.as_deref(), Some("What it was fitted on."));
    assert_eq!(docs.primary_key, ["fitted_on"]);
    assert_eq!(
        house
            .query("select materialization, rows from ops.runs where node = 'scores__means'")
            .await,
        "output 1"
    );

    let again = house.build().await;
    for name in ["scores", "scores__means", "mean"] {
        assert_eq!(status(&again, name), NodeStatus::Reused, "{name}");
    }
    house.write("seeds/returns.csv", "amount,why\n-3.0,late\n");
    let report = house.build().await;
    assert_eq!(status(&report, "scores__means"), NodeStatus::Built, "an input changed");
    assert_eq!(house.query("select mean from marts.mean").await, "2.0");
}

#[tokio::test]
async fn an_output_is_chosen_with_its_model_and_fails_with_it() {
    let house = house(WIDE).await;
    house.write(
        "marts/mean.sql",
        "{{ config(materialized='table') }}select mean from {{ ref('scores__means') }}",
    );
    let project = house.load().unwrap();
    let names = |select: &str, exclude: &str| -> String {
        let exclude: Vec<String> = exclude.split_whitespace().map(str::to_owned).collect();
        let chosen = project.select(&[select.to_owned()], &exclude).unwrap();
        let names = project
            .nodes()
            .filter(|node| chosen.contains(&node.id()))
            .map(crate::Node::name);
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names("scores__means", ""), "scores scores__means");
    assert_eq!(names("scores", ""), "scores scores__means");
    assert_eq!(names("1+mean", ""), "scores scores__means mean");
    assert_eq!(
        names("tag:ml config.materialized:table", ""),
        "scores scores__means mean"
    );
    assert_eq!(names("marts", "scores__means"), "mean");

    house.write(
        "marts/scores.sql",
        &SCORES
            .replace("column=", &format!("{WIDE}column="))
            .replace("amount from", "1/0 as amount from"),
    );
    let report = house.build_with(BuildOptions::default()).await.unwrap();
    assert_eq!(report.release, None);
    assert_eq!(status(&report, "scores"), NodeStatus::Failed);
    assert_eq!(status(&report, "scores__means"), NodeStatus::Skipped);
    assert_eq!(status(&report, "mean"), NodeStatus::Skipped);
}

#[tokio::test]
async fn new_rows_are_scored_by_the_artefact_as_long_as_it_is_to_be_kept() {
    const MORE: &str = "OrderID,amount\n1,5.50\n2,100.00\n";
    for (refit, fitted_on) in [
        ("", "2"),
        ("refit='never', ", "3"),
        ("refit='9w', ", "3"),
        ("refit='0s', ", "2"),
    ] {
        let house = house(&format!("{refit}outputs=['means'], ")).await;
        house.build().await;
        house.write("seeds/orders.csv", MORE);
        house.build().await;
        assert_eq!(
            house.query("select fitted_on from ml.scores__means").await,
            fitted_on,
            "{refit}"
        );
        assert_eq!(house.query("select count(*) from ml.scores").await, "2", "{refit}");
    }

    let house = house("refit='never', outputs=['means'], ").await;
    house.build().await;
    house.write("seeds/orders.csv", MORE);
    house.build().await;
    house.write(
        "seeds/seeds.yml",
        "seeds:\n  - name: orders\n    columns: [{name: amount, description: Euros.}]\n",
    );
    assert_eq!(status(&house.build().await, "scores"), NodeStatus::Built);
    assert_eq!(artefacts(&house), 1, "what is said about a column does not count");
    let all = BuildOptions {
        full_refresh: true,
        ..BuildOptions::default()
    };
    house.build_with(all).await.unwrap();
    assert_eq!(house.query("select fitted_on from ml.scores__means").await, "2");
    let changed = SCORES.replace("column=", "refit='never', outputs=['means'], column=");
    house.write(
        "marts/scores.sql",
        &changed.replace("ref('orders') }}", "ref('orders') }} where amount > 9"),
    );
    house.build().await;
    assert_eq!(
        house.query("select fitted_on from ml.scores__means").await,
        "1",
        "another definition"
    );
    assert_eq!(artefacts(&house), 3);
}

#[tokio::test]
async fn a_fit_that_was_not_published_is_not_kept() {
    let house = house("refit='never', outputs=['means'], ").await;
    house.write("tests/never.sql", "select * from {{ ref('scores') }}");
    assert_eq!(house.build().await.release, None);
    house.remove("tests/never.sql");
    house.write("seeds/orders.csv", "OrderID,amount\n7,70.00\n");
    house.build().await;
    assert_eq!(house.query("select fitted_on from ml.scores__means").await, "1");
    assert_eq!(house.query("select order_id, number from ml.scores").await, "7 1");
}

#[tokio::test]
async fn numbers_outlive_rebuilds() {
    let mut house = house("").await;
    house.build().await;
    house.write("seeds/orders.csv", "OrderID,amount\n0,1.00\n3,1.00\n");
    house.build().await;
    let numbers = "select order_id, number from ml.scores order by 1";
    assert_eq!(house.query(numbers).await, "0 4\n3 3", "1 and 2 are gone, 0 is new");
    let all = BuildOptions {
        full_refresh: true,
        ..BuildOptions::default()
    };
    house.build_with(all).await.unwrap();
    assert_eq!(house.query(numbers).await, "0 4\n3 3");
    house.lake = house.lake.in_target(Some("dev")).unwrap();
    house.write("seeds/orders.csv", "OrderID,amount\n0,1.00\n9,1.00\n");
    house.build().await;
    assert_eq!(
        house.query(numbers).await,
        "0 4\n9 5",
        "another environment goes on from production"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_model_is_named_with_its_place() {
    let scores = |settings: &str| SCORES.replace("column=", &format!("{settings}, column="));
    for (path, text, place, why) in [
        (
            "marts/scores.sql",
            scores("inputs={'extr': ref('orders')}"),
            "marts/scores.sql:1:4: ",
            "did you mean `extra`?",
        ),
        (
            "marts/scores.sql",
            scores("inputs={'extra': ref('ordrs')}"),
            "marts/scores.sql:1:",
            "did you mean `orders`?",
        ),
        (
            "marts/scores.sql",
            scores("inputs={'extra': 5}"),
            "marts/scores.sql:1:4: ",
            "maps the names of inputs",
        ),
        (
            "marts/scores.sql",
            scores("inputs={'extra': ref('mean')}"),
            "marts/scores.sql:1:4: ",
            "there is no column `amount`",
        ),
        (
            "marts/scores.sql",
            scores("outputs=['mean']"),
            "marts/scores.sql:1:4: ",
            "did you mean `means`?",
        ),
        (
            "marts/scores.sql",
            scores("outputs='means'"),
            "marts/scores.sql:1:",
            "outputs=['persons']",
        ),
        (
            "marts/scores.sql",
            scores("refit='monthly'"),
            "marts/scores.sql:1:",
            "such as `30d`",
        ),
        (
            "marts/scores.sql",
            scores("inputs={'extra': ref('scores__means')}, outputs=['means']"),
            "",
            "in a cycle: ",
        ),
        (
            "marts/other.sql",
            "select 1 as x from {{ ref('scores__maens') }}".into(),
            "marts/other.sql:1:",
            "unknown model or seed `scores__maens`",
        ),
        (
            "marts/scores__means.sql",
            "select 1 as x".into(),
            "marts/scores__means.sql: ",
            "two of the name `scores__means`",
        ),
        (
            "marts/mean.sql",
            "{{ config(materialized='table', outputs=['x']) }}select 1 as x".into(),
            "marts/mean.sql:1:",
            "for models",
        ),
        (
            "marts/m.yml",
            "models:\n  - name: scores\n    config: {inputs: {extra: orders}}\n".into(),
            "marts/m.yml:2:",
            "in the `config(…)` of the model's file",
        ),
        (
            "marts/m.yml",
            "models:\n  - name: scores__means\n    config: {materialized: view}\n".into(),
            "marts/m.yml:2:",
            "is that of its model",
        ),
        (
            "marts/m.yml",
            "models:\n  - name: scores__maens\n".into(),
            "marts/m.yml:2:",
            "did you mean `scores__means`?",
        ),
        (
            "marts/m.yml",
            "models:\n  - name: scores__means\n    columns: [{name: man, meta: {pii: name}}]\n".into(),
            "marts/m.yml:3:",
            "did you mean `mean`?",
        ),
    ] {
        let house = house("outputs=['means'], ").await;
        house.write("marts/mean.sql", "select 1 as x");
        house.write(path, &text);
        let error = house.error().await;
        assert!(error.starts_with(place) && error.contains(why), "{text}\n=> {error}");
    }
}
