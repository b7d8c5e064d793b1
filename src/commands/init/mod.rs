//! `cordada init`: a small project that works, to be replaced piece by piece; or a source for a connector.

use std::path::Path;

use cordada_core::{Context, Error, Result};
use cordada_ingest_rest::Connector;
use cordada_project::config::FILE;

use crate::Outcome;
use crate::cli::Options;

/// What every project has.
const PROJECT: &[(&str, &str)] = &[
    (FILE, include_str!("cordada.yml")),
    ("sql/dbt_project.yml", include_str!("dbt_project.yml")),
    (".gitignore", "/lake/\n/out/\n/.cordada/\n"),
];

/// An example, from a file to a mart.
const EXAMPLE: &[(&str, &str)] = &[
    ("data/orders.csv", include_str!("orders.csv")),
    ("sources/example.yml", include_str!("example.yml")),
    ("sql/staging/_staging.yml", include_str!("_staging.yml")),
    (
        "sql/staging/stg_example__orders.sql",
        include_str!("stg_example__orders.sql"),
    ),
    ("sql/marts/_marts.yml", include_str!("_marts.yml")),
    ("sql/marts/customers.sql", include_str!("customers.sql")),
];

pub fn run(options: &Options, dir: &Path, source: Option<&str>) -> Result<Outcome> {
    match source {
        Some(name) => write_source(options, dir, name)?,
        None => {
            write(dir, [PROJECT, EXAMPLE].concat())?;
            options.say(format!(
                "Wrote a project into {0}. Next:\n  cd {0}\n  cordada ingest\n  cordada build\n  cordada query \"select * \
                 from marts.customers\"",
                dir.display()
            ));
        }
    }
    Ok(Outcome::Done)
}

/// A source for the connector, in the project that is there or in a new one.
fn write_source(options: &Options, dir: &Path, name: &str) -> Result<()> {
    let text = Connector::named(name)?.source();
    let file = format!("sources/{name}.yml");
    let mut files = vec![(file.as_str(), text.as_str())];
    if !dir.join(FILE).is_file() {
        files.extend(PROJECT);
    }
    write(dir, files)?;
    options.say(format!("Wrote {}. Fill it in; then:", dir.join(&file).display()));
    for variable in secrets(&text) {
        options.say(format!("  export {variable}=…"));
    }
    options.say(format!("  cordada ingest --check {name}\n  cordada ingest {name}"));
    Ok(())
}

/// The environment variables that a source takes as it is written.
fn secrets(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let names = lines.filter_map(|line| line.split_once("${")?.1.split_once('}'));
    names.map(|(name, _)| name).collect()
}

/// Writes the files, or none if one of them is there.
fn write(dir: &Path, files: Vec<(&str, &str)>) -> Result<()> {
    let doing = || format!("writing a project into {}", dir.display());
    if let Some((taken, _)) = files.iter().find(|(path, _)| dir.join(path).exists()) {
        return Err(
            Error::config(doing(), format!("{taken} is there already")).hint("remove it, or choose another folder")
        );
    }
    let name = dir
        .canonicalize()
        .ok()
        .as_deref()
        .unwrap_or(dir)
        .file_name()
        .map_or("example".into(), |name| {
            cordada_core::names::snake_case(&name.to_string_lossy())
        });
    for (file, text) in files {
        let path = dir.join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(doing)?;
        }
        let text = if file == FILE && !name.is_empty() {
            text.replace("name: example", &format!("name: {name}"))
        } else {
            text.to_owned()
        };
        std::fs::write(&path, text).doing(doing)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cli::LogFormat;

    #[test]
    fn a_source_goes_into_the_project_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            project: dir.path().into(),
            log_format: LogFormat::Text,
            quiet: true,
            verbose: 0,
        };
        run(&options, dir.path(), Some("shopify")).unwrap();
        assert!(dir.path().join(FILE).is_file() && !dir.path().join("data").exists());
        run(&options, dir.path(), Some("woocommerce")).unwrap();
        let shopify = dir.path().join("sources/shopify.yml");
        let written = std::fs::read_to_string(&shopify).unwrap();
        assert_eq!(secrets(&written), ["SHOPIFY_TOKEN"]);
        std::fs::write(&shopify, "mine").unwrap();
        let error = run(&options, dir.path(), Some("shopify")).unwrap_err().to_string();
        assert!(error.contains("sources/shopify.yml is there already"), "{error}");
        assert_eq!(std::fs::read_to_string(&shopify).unwrap(), "mine");
        assert!(run(&options, dir.path(), Some("shopfiy")).is_err());
    }
}
