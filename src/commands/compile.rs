//! `cordada compile`: type-checks the SQL project, and prints a model's compiled SQL.

use std::time::Instant;

use cordada_core::suggest::nearest;
use cordada_core::{Error, Result};
use cordada_project::Project;

use crate::Outcome;
use crate::cli::Options;

pub async fn run(options: &Options, project: &Project, model: Option<&str>) -> Result<Outcome> {
    let started = Instant::now();
    let compiled = project.compile().await?;
    let Some(model) = model else {
        options.say(format!(
            "{} nodes and {} tests compile ({:.2} s).",
            compiled.nodes().count(),
            compiled.tests().len(),
            started.elapsed().as_secs_f64()
        ));
        return Ok(Outcome::Done);
    };
    let node = compiled.nodes().find(|node| node.name == model).ok_or_else(|| {
        let names = compiled.nodes().map(|node| node.name.as_str());
        let hint = nearest(model, names).map_or_else(
            || "`cordada ls` lists them".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Error::config(format!("compiling `{model}`"), "there is no node of that name").hint(hint)
    })?;
    println!("{}", node.sql);
    Ok(Outcome::Done)
}
