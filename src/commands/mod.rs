//! One file a subcommand.

mod audit;
mod build;
mod compile;
mod completions;
mod connectors;
mod demo;
mod export;
mod hash_password;
mod identity;
mod ingest;
mod init;
mod ls;
mod maintain;
mod person;
mod query;
mod releases;
mod reveal;
mod rollback;
mod segment;
mod serve;
mod token;
mod up;

use cordada_core::Result;
use cordada_project::Project;
use tokio_util::sync::CancellationToken;

use crate::Outcome;
use crate::cli::{AuditCommand, Cli, Command, IdentityCommand, SegmentCommand, Target};

/// Runs the command.
pub async fn run(cli: Cli, cancel: CancellationToken) -> Result<Outcome> {
    let Cli { options, command } = cli;
    let open = |target: Target| {
        let options = &options;
        async move { Project::open(&options.project, target.target.as_deref()).await }
    };
    match command {
        Command::Init { dir, source } => init::run(&options, &dir, source.as_deref()),
        Command::Connectors { command } => connectors::run(command),
        Command::Demo { dir, serve: true, .. } => demo::serve(&dir, cancel).await,
        Command::Demo {
            dir, customers, seed, ..
        } => demo::run(&options, &dir, customers, seed, cancel).await,
        Command::Ingest {
            select,
            check: true,
            target,
        } => ingest::check(&options, &open(target).await?, &select, cancel).await,
        Command::Ingest { select, target, .. } => {
            let landed = ingest::run(&options, &open(target).await?, &select, cancel).await;
            landed.map_err(|error| demo::explain(&options.project, error))
        }
        Command::Build {
            selection,
            full_refresh,
            target,
        } => build::run(&options, &open(target).await?, selection, full_refresh, cancel).await,
        Command::Compile { model, target } => compile::run(&options, &open(target).await?, model.as_deref()).await,
        Command::Ls { selection, target } => ls::run(&open(target).await?, &selection),
        Command::Query {
            sql,
            release,
            format,
            output,
            target,
        } => query::run(&open(target).await?, &sql, release, format, output.as_deref(), cancel).await,
        Command::Person {
            who,
            rows,
            format,
            target,
        } => person::run(&open(target).await?, &who, rows, format).await,
        Command::Identity { command } => match command {
            IdentityCommand::Explain {
                a,
                b,
                model,
                format,
                target,
            } => identity::explain(&open(target).await?, &a, &b, model.model.as_deref(), format).await,
            IdentityCommand::Sample {
                output,
                pairs,
                seed,
                model,
                target,
            } => identity::sample(&open(target).await?, model.model.as_deref(), pairs, seed, &output).await,
            IdentityCommand::Measure { file, format } => identity::measure(&file, format),
        },
        Command::Serve { addr, target } => serve::run(&options, &open(target).await?, addr, cancel).await,
        Command::Up { addr } => up::run(&options, &open(Target { target: None }).await?, addr, cancel).await,
        Command::Export { campaigns, dry_run } => {
            let project = open(Target { target: None }).await?;
            export::run(&options, &project, &campaigns, dry_run, cancel).await
        }
        Command::Segment { command } => match command {
            SegmentCommand::Count { name, target } => segment::count(&open(target).await?, &name).await,
            SegmentCommand::List {
                name,
                format,
                output,
                target,
            } => segment::list(&open(target).await?, &name, format, output.as_deref(), cancel).await,
        },
        Command::Releases { target } => releases::run(&open(target).await?).await,
        Command::Rollback { release, target } => rollback::run(&options, &open(target).await?, release).await,
        Command::Maintain { keep, target } => maintain::run(&options, &open(target).await?, keep, cancel).await,
        Command::Audit {
            command: AuditCommand::Verify { target },
        } => audit::verify(&open(target).await?).await,
        Command::HashPassword => hash_password::run(),
        Command::Token { command } => token::run(&options, &open(Target { target: None }).await?, command).await,
        Command::Reveal => reveal::run(&options.project),
        Command::Completions { shell } => completions::run(shell),
    }
}
