//! `cordada completions`: completions for a shell, on stdout.

use clap::CommandFactory;
use clap_complete::Shell;
use cordada_core::Result;

use crate::Outcome;
use crate::cli::Cli;

pub fn run(shell: Shell) -> Result<Outcome> {
    clap_complete::generate(shell, &mut Cli::command(), "cordada", &mut std::io::stdout());
    Ok(Outcome::Done)
}
