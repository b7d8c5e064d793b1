//! Cordada: a customer-data lakehouse in one binary.
//!
//! This package only reads the command line, one file a subcommand, and prints: what is done is a verb of
//! [`cordada_project::Project`].

mod cli;
mod commands;
mod memory;
mod output;
mod progress_bars;

use std::process::ExitCode;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::cli::Cli;

/// The stack of each thread, in bytes, as the main one has it: expressions are computed by recursion. It is address
/// space, of which only what is used becomes memory.
const STACK: usize = 8 << 20;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// All of it worked.
    Done,
    /// It ran, and its report says what did not work: a test, a rejected load.
    Failed,
}

fn main() -> ExitCode {
    memory::give_back_soon();
    let cli = Cli::parse();
    // For the libraries that cannot be handed one; an error only says that there is one.
    let _ = cordada_core::tls::provider().install_default();
    cli.options.init_logging();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_stack_size(STACK);
    let runtime = match builder.build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: starting the runtime: {error}");
            return ExitCode::from(3);
        }
    };
    let cancel = CancellationToken::new();
    let result = runtime.block_on(async {
        tokio::spawn(stop_on_signal(cancel.clone()));
        commands::run(cli, cancel).await
    });
    // Work on other threads that a cancelled command left behind is not waited for. Nor are its threads let go: while they
    // end, glibc may look at one that it has just freed.
    std::mem::forget(runtime);
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Asks for an orderly end at the first signal, and ends at once at the second.
async fn stop_on_signal(cancel: CancellationToken) {
    for attempt in 0.. {
        wait_for_signal().await;
        if attempt > 0 {
            std::process::exit(130);
        }
        eprintln!("stopping; once more to stop at once");
        cancel.cancel();
    }
}

async fn wait_for_signal() {
    #[cfg(unix)]
    if let Ok(mut terminated) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated.recv() => {}
        }
        return;
    }
    // Without a handler there is nothing to wait for: the system's own handling applies.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
