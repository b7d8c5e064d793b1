//! `cordada hash-password`: the Argon2id hash of a password, for `users:` in cordada.yml.

use std::io::{BufRead, IsTerminal};

use cordada_core::{Context, Error, Result};

use crate::Outcome;

pub fn run() -> Result<Outcome> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprintln!("Type the password and Enter. (It shows; `cordada hash-password < file` keeps it off the screen.)");
    }
    let mut password = String::new();
    stdin.lock().read_line(&mut password).doing(|| "reading the password")?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(Error::config("hashing the password", "it is empty").hint("give it on stdin"));
    }
    println!("{}", cordada_query::auth::hash_password(password)?);
    Ok(Outcome::Done)
}
