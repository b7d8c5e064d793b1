//! `cordada token`: API tokens for programs that connect as a user.

use cordada_core::Result;
use cordada_core::units::Span;
use cordada_project::Project;

use crate::Outcome;
use crate::cli::{Options, TokenCommand};
use crate::output::new_table;

/// How times are printed.
const TIME: &str = "%Y-%m-%d %H:%M:%S UTC";

pub async fn run(options: &Options, project: &Project, command: TokenCommand) -> Result<Outcome> {
    match command {
        TokenCommand::Create {
            name,
            user,
            lifetime: Span(lifetime),
            forever,
        } => {
            let lifetime = Some(lifetime).filter(|_| !forever);
            println!("{}", project.create_token(&name, &user, lifetime).await?);
            options.say("This is shown once. Clients send it as a bearer token, or in place of the password.");
        }
        TokenCommand::List => {
            let mut table = new_table(["name", "user", "created", "expires"]);
            for token in project.tokens().await? {
                let expires = token.expires.map(|expires| expires.format(TIME).to_string());
                let expires = expires.unwrap_or_else(|| "never".to_owned());
                table.add_row([token.name, token.user, token.created.format(TIME).to_string(), expires]);
            }
            println!("{table}");
        }
        TokenCommand::Revoke { name } => {
            project.revoke_token(&name).await?;
            options.say(format!("Revoked {name}: servers refuse it within seconds."));
        }
    }
    Ok(Outcome::Done)
}
