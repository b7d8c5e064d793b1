//! `cordada init`: a small project that works, to be replaced piece by piece.

use std::path::Path;

use cordada_lake::{Context, Error, Result};

use crate::Outcome;
use crate::cli::Options;
use crate::config::FILE;

const FILES: &[(&str, &str)] = &[
    (FILE, include_str!("cordada.yml")),
    ("data/orders.csv", include_str!("orders.csv")),
    ("sources/example.yml", include_str!("example.yml")),
    ("sql/dbt_project.yml", include_str!("dbt_project.yml")),
    ("sql/staging/_staging.yml", include_str!("_staging.yml")),
    (
        "sql/staging/stg_example__orders.sql",
        include_str!("stg_example__orders.sql"),
    ),
    ("sql/marts/_marts.yml", include_str!("_marts.yml")),
    ("sql/marts/customers.sql", include_str!("customers.sql")),
    (".gitignore", "/lake/\n/out/\n"),
];

pub fn run(options: &Options, dir: &Path) -> Result<Outcome> {
    let doing = || format!("writing a project into {}", dir.display());
    if let Some((taken, _)) = FILES.iter().find(|(path, _)| dir.join(path).exists()) {
        return Err(Error::config(doing(), format!("{taken} is there already")).hint("choose another folder"));
    }
    let name = dir
        .canonicalize()
        .ok()
        .as_deref()
        .unwrap_or(dir)
        .file_name()
        .map_or("example".into(), |name| {
            cordada_lake::names::snake_case(&name.to_string_lossy())
        });
    for (path, text) in FILES {
        let path = dir.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(doing)?;
        }
        let text = if path.ends_with(FILE) && !name.is_empty() {
            text.replace("name: example", &format!("name: {name}"))
        } else {
            (*text).to_owned()
        };
        std::fs::write(&path, text).doing(doing)?;
    }
    options.say(format!(
        "Wrote a project into {}. Next:\n  cd {}\n  cordada ingest\n  cordada build\n  cordada query \"select * from marts.customers\"",
        dir.display(),
        dir.display()
    ));
    Ok(Outcome::Done)
}
