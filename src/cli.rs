//! The command line.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use cordada_core::progress::{Progress, Silent};
use cordada_core::units::Span;
use tracing_subscriber::EnvFilter;

use crate::progress_bars::{Bars, Lines};

/// A customer-data lakehouse in one binary: lands your systems in a Delta Lake, builds a warehouse and marts with
/// SQL, scores customers, and serves it all over Arrow Flight SQL.
#[derive(Debug, Parser)]
#[command(name = "cordada", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub options: Options,
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 the work failed (a test, a rejected load, a query); \
2 wrong usage or configuration; 3 something outside is unavailable.

Begin with `cordada demo`, or with `cordada init` for your own data.";

/// What every command takes.
#[derive(Debug, Args)]
pub struct Options {
    /// The project: the folder with cordada.yml
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = ".",
        env = "CORDADA_PROJECT"
    )]
    pub project: PathBuf,
    /// How log lines on stderr look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small project that works: replace its data and SQL by yours
    Init {
        /// Where; created if it is not there
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Only a source for this connector, into the project that is there or a new one without the example
        #[arg(long, value_name = "CONNECTOR")]
        source: Option<String>,
    },
    /// List the systems that are landed by naming them, or show what one of them lands
    Connectors {
        #[command(subcommand)]
        command: Option<ConnectorsCommand>,
    },
    /// Generate a company's systems, land them, build the marts, export a campaign, and explain
    Demo {
        /// Where the demo's project goes
        #[arg(long, default_value = "demo")]
        dir: PathBuf,
        /// How many customers the company has
        #[arg(long, default_value_t = 5000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
        customers: u32,
        /// The same seed generates the same company
        #[arg(long, default_value_t = 42)]
        seed: u64,
        /// Serve the shop and the open data of a demo that is there, so that it can be ingested again
        #[arg(long, conflicts_with_all = ["customers", "seed"])]
        serve: bool,
    },
    /// Land sources in the lake; what is landed already is not landed twice
    Ingest {
        /// Sources or streams: `shop` or `shop.orders`; all by default
        #[arg(value_name = "SOURCE[.STREAM]")]
        select: Vec<cordada_ingest::Selection>,
        /// Land nothing: only find out whether every source answers, takes the credentials, and has what is named
        #[arg(long)]
        check: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Compile the SQL project, run what is stale, test it, and publish all of it as one release
    Build {
        #[command(flatten)]
        selection: SelectionArgs,
        /// Rebuild incremental models from the start
        #[arg(long)]
        full_refresh: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Type-check the whole SQL project without running it; with a model's name, print its compiled SQL
    Compile {
        /// The model to print
        model: Option<String>,
        #[command(flatten)]
        target: Target,
    },
    /// List the nodes of the SQL project
    Ls {
        #[command(flatten)]
        selection: SelectionArgs,
        #[command(flatten)]
        target: Target,
    },
    /// Run one read-only statement on the newest release, or on another one
    Query {
        /// The statement; `-` reads it from stdin
        sql: String,
        /// Read this release instead of the newest
        #[arg(long, value_name = "N")]
        release: Option<u64>,
        /// How rows are printed
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Write the rows to this file instead of stdout
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
    /// Print all that the marts know of one person: identifiers, consents, purchases, visits, scores and their reasons
    Person {
        /// The person's id; or an e-mail address, telephone, card or record that only one person has
        #[arg(value_name = "ID")]
        who: String,
        /// How many rows of each mart a table shows; the newest ones
        #[arg(long, value_name = "N", default_value_t = 10)]
        rows: usize,
        /// How it is printed
        #[arg(long, value_enum, default_value_t = Shown::Table)]
        format: Shown,
        #[command(flatten)]
        target: Target,
    },
    /// Why two records are one person, and how good that is
    Identity {
        #[command(subcommand)]
        command: IdentityCommand,
    },
    /// Serve the newest release over Arrow Flight SQL, and collect the hits of sources of events
    Serve {
        /// Where to listen; port 0 takes a free one. `server.listen` of cordada.yml by default
        #[arg(long, value_name = "HOST:PORT")]
        addr: Option<SocketAddr>,
        #[command(flatten)]
        target: Target,
    },
    /// Run the project: serve it, and collect and land the hits of its sources of events
    Up {
        /// Where to serve; port 0 takes a free one. `server.listen` of cordada.yml by default
        #[arg(long, value_name = "HOST:PORT")]
        addr: Option<SocketAddr>,
    },
    /// Run campaigns: send their audience, with consent, to their channel
    Export {
        /// Names of files in campaigns/, without `.yml`; all by default
        #[arg(value_name = "CAMPAIGN")]
        campaigns: Vec<String>,
        /// Say what would be sent without sending it
        #[arg(long)]
        dry_run: bool,
    },
    /// Who belongs to a segment: count first, then list
    Segment {
        #[command(subcommand)]
        command: SegmentCommand,
    },
    /// List what was published, newest first
    Releases {
        #[command(flatten)]
        target: Target,
    },
    /// Publish the state of an earlier release again, as a new release
    Rollback {
        /// The release's number
        #[arg(value_name = "N")]
        release: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Put small files together, drop releases that are too old to keep, and remove what only they had
    Maintain {
        /// How long releases are kept: `7d`, `12h`. `maintain.keep` of cordada.yml by default. Nothing that runs
        /// meanwhile may take longer
        #[arg(long, value_name = "DURATION", value_parser = span)]
        keep: Option<Span>,
        #[command(flatten)]
        target: Target,
    },
    /// Hold the records of `ops.audit` against each other
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Print the hash of a password read from stdin, for `users:` in cordada.yml
    HashPassword,
    /// API tokens for programs that connect as a user
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Print what tokens read from stdin stand for, one a line: `pii_key:` of cordada.yml turns them back
    Reveal,
    /// Print completions for a shell
    Completions { shell: Shell },
}

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Say whether a record was changed, or is missing between others
    Verify {
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub enum SegmentCommand {
    /// Count who is left after each condition, by the definition as it is now; nothing is built
    Count {
        /// The name of a file in segments/, without `.yml`
        name: String,
        #[command(flatten)]
        target: Target,
    },
    /// List the members as they were built, of whom those who do not consent any more are left out
    List {
        /// The name of a file in segments/, without `.yml`
        name: String,
        /// How rows are printed
        #[arg(long, value_enum, default_value_t = Format::Table)]
        format: Format,
        /// Write the rows to this file instead of stdout
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        #[command(flatten)]
        target: Target,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConnectorsCommand {
    /// Print a connector's configuration, its streams, and what to know about the system
    Show {
        /// The connector's name
        name: String,
        /// Print the file that describes it instead, to begin one of your own with
        #[arg(long)]
        yaml: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum IdentityCommand {
    /// Print why two records are one person or not: what each of their fields weighs
    Explain {
        /// The key of a record
        a: String,
        /// The key of another one
        b: String,
        #[command(flatten)]
        model: IdentityModel,
        /// How it is printed
        #[arg(long, value_enum, default_value_t = Shown::Table)]
        format: Shown,
        #[command(flatten)]
        target: Target,
    },
    /// Write a sheet of pairs of records for people to label: yes or no in the column `same`
    Sample {
        /// The CSV file to write
        #[arg(long, short, value_name = "FILE", default_value = "pairs.csv")]
        output: PathBuf,
        /// How many pairs, about
        #[arg(long, value_name = "N", default_value_t = 200)]
        pairs: usize,
        /// The same seed draws the same pairs
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[command(flatten)]
        model: IdentityModel,
        #[command(flatten)]
        target: Target,
    },
    /// Print the precision and the recall that a labelled sheet says, with intervals
    Measure {
        /// The sheet, as a CSV file
        file: PathBuf,
        /// How it is printed
        #[arg(long, value_enum, default_value_t = Shown::Table)]
        format: Shown,
    },
}

/// Which model says who is who.
#[derive(Debug, Args)]
pub struct IdentityModel {
    /// The model with `estimator='identity'`; the only one by default
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
}

/// How one thing is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shown {
    /// For people
    Table,
    /// One object
    Json,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, this once: the lake keeps a hash
    Create {
        /// The token's name: lower-case letters, digits and hyphens
        name: String,
        /// The user of cordada.yml whom it stands for
        #[arg(long)]
        user: String,
        /// How long it is good for: `90d`, `12h`
        #[arg(long, value_name = "DURATION", value_parser = span, default_value = "90d")]
        lifetime: Span,
        /// It is good until it is revoked
        #[arg(long, conflicts_with = "lifetime")]
        forever: bool,
    },
    /// List the tokens
    List,
    /// Revoke a token, and the sessions that it began
    Revoke {
        /// The token's name
        name: String,
    },
}

/// Which nodes of the SQL project.
#[derive(Debug, Args)]
pub struct SelectionArgs {
    /// Nodes to take: `name`, `+name`, `name+`, `tag:x`, `path:dir`; commas intersect
    #[arg(long, short, num_args = 1.., value_name = "NODES")]
    pub select: Vec<String>,
    /// Nodes to leave out
    #[arg(long, num_args = 1.., value_name = "NODES")]
    pub exclude: Vec<String>,
}

impl From<SelectionArgs> for cordada_project::Selection {
    fn from(args: SelectionArgs) -> Self {
        Self {
            select: args.select,
            exclude: args.exclude,
        }
    }
}

/// Which environment.
#[derive(Debug, Args)]
pub struct Target {
    /// An environment of its own: it starts from production's newest release and writes beside it
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Fits the terminal; long results are cut
    Table,
    Csv,
    /// One object a line
    Json,
    Parquet,
}

fn span(text: &str) -> Result<Span, &'static str> {
    Span::parse(text).ok_or("a duration is a whole number with ms, s, m, h, d or w")
}

impl Options {
    /// Log lines go to stderr; results go to stdout.
    pub fn init_logging(&self) {
        let level = match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => "cordada=warn,error",
            (false, 1) => "cordada=info,warn",
            (false, _) => "cordada=debug,info",
        };
        let filter = EnvFilter::try_from_env("CORDADA_LOG").unwrap_or_else(|_| EnvFilter::new(level));
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => subscriber.with_ansi(std::io::stderr().is_terminal()).init(),
            LogFormat::Json => subscriber.json().init(),
        }
    }

    /// Bars on a terminal, plain lines elsewhere, nothing when quiet.
    pub fn progress(&self) -> Arc<dyn Progress> {
        match (self.quiet, std::io::stderr().is_terminal()) {
            (true, _) => Arc::new(Silent),
            (false, true) => Arc::new(Bars::default()),
            (false, false) => Arc::new(Lines),
        }
    }

    /// A line for people, on stderr, unless quiet.
    pub fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }
}
