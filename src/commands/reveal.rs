//! `cordada reveal`: what tokens stand for, for whoever has the project's key.

use std::io::BufRead;
use std::path::Path;

use cordada_core::{Context, Error, Result};
use cordada_ingest_source::transform::PiiKey;
use cordada_project::config::Config;

use crate::Outcome;

/// Reads tokens from stdin, one a line, and prints what each stands for.
pub fn run(project: &Path) -> Result<Outcome> {
    let config = Config::read(project)?;
    let missing = || Error::config("revealing tokens", "the project has no key").hint("set `pii_key:` in cordada.yml");
    let key = PiiKey::new(&config.pii_key.ok_or_else(missing)?.0)?;
    for (line, token) in (1..).zip(std::io::stdin().lock().lines()) {
        let token = token.doing(|| "reading tokens")?;
        println!(
            "{}",
            key.reveal(token.trim()).map_err(|error| error.with("line", line))?
        );
    }
    Ok(Outcome::Done)
}
