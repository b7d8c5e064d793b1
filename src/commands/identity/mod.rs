//! `cordada identity`: why two records are one person, and how good that is.

mod picture;

use std::path::Path;

use cordada_core::Result;
use cordada_project::Project;
use cordada_project::identity::labels::{Quality, Share, Stratum, quality};
use cordada_project::identity::{Standing, Waterfall, labelled};
use serde_json::json;

use crate::Outcome;
use crate::cli::Shown;
use crate::output::{grouped, new_table};

pub async fn explain(project: &Project, a: &str, b: &str, model: Option<&str>, format: Shown) -> Result<Outcome> {
    let waterfall = project.explain(a, b, model).await?;
    match format {
        Shown::Table => print!("{}", picture::of(&waterfall)),
        Shown::Json => println!("{}", in_json(&waterfall)),
    }
    Ok(Outcome::Done)
}

pub async fn sample(project: &Project, model: Option<&str>, pairs: usize, seed: u64, file: &Path) -> Result<Outcome> {
    let sheet = project.sample(model, pairs, seed, file).await?;
    let name = file.display();
    println!(
        "{} pairs of {} in {name}. Say in the column `same` which are of one person: yes, no, or nothing if you do not \
         know. Then: cordada identity measure {name}",
        grouped(sheet.pairs as u64),
        grouped(sheet.of),
    );
    Ok(Outcome::Done)
}

pub fn measure(file: &Path, format: Shown) -> Result<Outcome> {
    let strata = labelled(file)?;
    let Quality { precision, recall } = quality(&strata);
    let labels: u64 = strata.iter().map(|stratum: &Stratum| stratum.labelled).sum();
    if format == Shown::Json {
        let share = |share: Option<Share>| {
            share.map(|Share { value, low, high }| json!({"value": value, "low": low, "high": high}))
        };
        let said = json!({"labels": labels, "precision": share(precision), "recall": share(recall)});
        println!("{said}");
        return Ok(Outcome::Done);
    }
    let mut table = new_table(["", "estimate", "95 % interval"]);
    for (name, share) in [("precision", precision), ("recall", recall)] {
        let cells = match share {
            Some(Share { value, low, high }) => [percent(value), format!("{} to {}", percent(low), percent(high))],
            None => ["unknown".to_owned(), String::new()],
        };
        table.add_row([name.to_owned()].into_iter().chain(cells));
    }
    println!("{table}");
    println!(
        "From {} labels. Precision: of the pairs that were joined, how many are of one person. Recall: of the pairs of \
         one person that the model kept, how many were joined; pairs that it never compared are not counted.",
        grouped(labels)
    );
    Ok(Outcome::Done)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn in_json(waterfall: &Waterfall) -> serde_json::Value {
    let standing = match &waterfall.standing {
        Standing::Kept(why) => why.as_str(),
        Standing::TooLight => "too light",
        Standing::NotCompared => "not compared",
    };
    let fields = waterfall.fields.iter().map(
        |field| json!({"field": field.name, "level": field.level, "weight": field.weight, "rarity": field.rarity}),
    );
    json!({
        "model": waterfall.model,
        "records": waterfall.records,
        "persons": waterfall.persons,
        "same_person": waterfall.is_one_person(),
        "why": standing,
        "prior_weight": waterfall.prior,
        "fields": fields.collect::<Vec<_>>(),
        "weight": waterfall.weight,
        "probability": waterfall.probability,
    })
}
