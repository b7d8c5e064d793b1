//! What a session is set to, by PostgreSQL's names, and what may be set.
//!
//! Nothing is ever set: a session answers as it does. What a client may ask for is what is so already, and what changes no
//! answer.

use datafusion::config::ConfigOptions;

use crate::query::session::OWNER;

/// The version of PostgreSQL whose answers these are.
pub(in crate::query) const POSTGRESQL: &str = "15.0";

/// A setting.
struct Setting {
    name: &'static str,
    value: Value,
    may_be: Values,
    description: &'static str,
}

#[derive(Clone, Copy)]
enum Value {
    Is(&'static str),
    /// The schema of relations that are named without one.
    DefaultSchema,
    Owner,
}

/// What a client may set it to.
#[derive(Clone, Copy)]
enum Values {
    /// Whatever it likes: no answer depends on it.
    Any,
    /// What it is already, in one of these spellings, in lower case and without spaces.
    These(&'static [&'static str]),
    /// Nothing.
    None,
}

use Value::{DefaultSchema, Is, Owner};
use Values::{Any, None as Nothing, These};

const fn of(name: &'static str, value: Value, may_be: Values, description: &'static str) -> Setting {
    Setting {
        name,
        value,
        may_be,
        description,
    }
}

const ISO: Values = These(&["iso", "iso,mdy", "iso,dmy", "iso,ymd"]);
const ON: Values = These(&["on", "true", "1", "yes"]);
const UTC: Values = These(&[
    "utc",
    "gmt",
    "etc/utc",
    "etc/gmt",
    "universal",
    "zulu",
    "z",
    "0",
    "+0",
    "+00",
    "+00:00",
    "-00:00",
    "utc0",
]);
const UTF8: Values = These(&["utf8", "utf-8", "unicode", "utf8mb4", "utf8mb3"]);

const SETTINGS: [Setting; 44] = [
    of("application_name", Is(""), Any, "The name of the program that asks."),
    of(
        "autocommit",
        Is("on"),
        ON,
        "Each statement reads one moment of the lake.",
    ),
    of(
        "backslash_quote",
        Is("safe_encoding"),
        Any,
        "Whether \\' is allowed in texts.",
    ),
    of("bytea_output", Is("hex"), These(&["hex"]), "How bytes are written."),
    of("character_set_client", Is("UTF8"), UTF8, "The encoding of statements."),
    of(
        "character_set_connection",
        Is("UTF8"),
        UTF8,
        "The encoding of statements.",
    ),
    of("character_set_results", Is("UTF8"), UTF8, "The encoding of results."),
    of("client_encoding", Is("UTF8"), UTF8, "The encoding of results."),
    of("client_min_messages", Is("notice"), Any, "Which messages are sent."),
    of("datestyle", Is("ISO, MDY"), ISO, "How dates are written."),
    of(
        "default_transaction_isolation",
        Is("read committed"),
        Any,
        "Each statement reads one moment of the lake.",
    ),
    of("default_transaction_read_only", Is("on"), Any, "Statements only read."),
    of("enable_seqscan", Is("on"), Any, "Plans are the engine's own."),
    of(
        "escape_string_warning",
        Is("off"),
        Any,
        "Whether backslashes in texts are warned of.",
    ),
    of(
        "extra_float_digits",
        Is("1"),
        Any,
        "Floating-point numbers are always written exactly.",
    ),
    of("geqo", Is("off"), Any, "Plans are the engine's own."),
    of(
        "idle_in_transaction_session_timeout",
        Is("0"),
        Any,
        "There are no transactions.",
    ),
    of("in_hot_standby", Is("off"), Nothing, "Whether this is a replica."),
    of("integer_datetimes", Is("on"), ON, "Times are whole microseconds."),
    of(
        "intervalstyle",
        Is("postgres"),
        These(&["postgres"]),
        "How intervals are written.",
    ),
    of("is_superuser", Is("off"), Nothing, "Whether the user may do anything."),
    of("jit", Is("off"), Any, "Plans are the engine's own."),
    of(
        "lc_collate",
        Is("C.UTF-8"),
        These(&["c", "c.utf-8", "posix"]),
        "Texts are in the order of their bytes.",
    ),
    of(
        "lc_ctype",
        Is("C.UTF-8"),
        These(&["c", "c.utf-8", "posix"]),
        "The classes of characters.",
    ),
    of("lc_messages", Is("en_US.UTF-8"), Any, "The language of messages."),
    of("lc_monetary", Is("C.UTF-8"), Any, "How amounts are written."),
    of("lc_numeric", Is("C.UTF-8"), Any, "How numbers are written."),
    of("lc_time", Is("C.UTF-8"), Any, "The language of months and days."),
    of("lock_timeout", Is("0"), Any, "There are no locks."),
    of("max_identifier_length", Is("63"), Nothing, "Bytes of a name."),
    of("max_index_keys", Is("32"), Nothing, "Columns of a key."),
    of("row_security", Is("on"), ON, "Policies are always applied."),
    of(
        "search_path",
        DefaultSchema,
        Any,
        "The schema of relations that are named without one.",
    ),
    of("server_encoding", Is("UTF8"), Nothing, "The encoding of texts."),
    of(
        "server_version",
        Is(POSTGRESQL),
        Nothing,
        "The version of PostgreSQL whose answers these are.",
    ),
    of("server_version_num", Is("150000"), Nothing, "The same as a number."),
    of("session_authorization", Owner, Nothing, "The user of the session."),
    of("ssl", Is("off"), Nothing, "Whether PostgreSQL's protocol is encrypted."),
    of(
        "standard_conforming_strings",
        Is("on"),
        ON,
        "A backslash in a text is a backslash.",
    ),
    of(
        "statement_timeout",
        Is("0"),
        Any,
        "The server has time limits of its own.",
    ),
    of("timezone", Is("UTC"), UTC, "The time zone of times without one."),
    of(
        "transaction_isolation",
        Is("read committed"),
        Any,
        "Each statement reads one moment of the lake.",
    ),
    of("transaction_read_only", Is("on"), Any, "Statements only read."),
    of("work_mem", Is("4MB"), Any, "The lake has a memory limit of its own."),
];

fn find(name: &str) -> Option<&'static Setting> {
    let name = name.to_lowercase();
    let name = match name.as_str() {
        "time zone" | "time.zone" | "time_zone" => "timezone",
        "session.characteristics" | "transaction" | "transaction isolation level" | "transaction.isolation.level" => {
            "transaction_isolation"
        }
        "session authorization" => "session_authorization",
        "names" => "client_encoding",
        other => other,
    };
    SETTINGS.iter().find(|setting| setting.name == name)
}

impl Setting {
    fn value(&self, config: &ConfigOptions) -> String {
        match self.value {
            Is(value) => value.to_owned(),
            DefaultSchema => config.catalog.default_schema.clone(),
            Owner => OWNER.to_owned(),
        }
    }
}

/// What the setting of that name is; the engine's own settings have theirs.
pub(in crate::query) fn setting(name: &str, config: &ConfigOptions) -> Option<String> {
    if let Some(setting) = find(name) {
        return Some(setting.value(config));
    }
    let engines = config
        .entries()
        .into_iter()
        .find(|entry| entry.key.eq_ignore_ascii_case(name));
    engines.map(|entry| entry.value.unwrap_or_default())
}

/// All settings: name, value and description.
pub(super) fn all(config: &ConfigOptions) -> Vec<(String, String, String)> {
    let own = SETTINGS.iter();
    let own = own.map(|setting| {
        (
            setting.name.to_owned(),
            setting.value(config),
            setting.description.to_owned(),
        )
    });
    let engines = config.entries().into_iter();
    let engines = engines.map(|entry| (entry.key, entry.value.unwrap_or_default(), entry.description.to_owned()));
    own.chain(engines).collect()
}

/// Whether a client may set it so, or why not.
pub(in crate::query) enum Answer {
    /// It is so, or makes no difference.
    Fine,
    /// No setting that a client has.
    Unknown,
    /// It is something else, and stays so: its value and what it is about.
    Other(String, &'static str),
}

/// What to say to a client that sets `name` to `value`; `None` for its default.
pub(in crate::query) fn set(name: &str, value: Option<&str>, config: &ConfigOptions) -> Answer {
    let Some(setting) = find(name) else {
        return Answer::Unknown;
    };
    let Some(value) = value else { return Answer::Fine };
    let value: String = value.to_lowercase().split_whitespace().collect();
    let is = setting.value(config);
    let fits = match setting.may_be {
        Any => true,
        These(spellings) => spellings.contains(&value.as_str()),
        Nothing => false,
    };
    match fits || value == "default" || value.eq_ignore_ascii_case(&is) {
        true => Answer::Fine,
        false => Answer::Other(is, setting.description),
    }
}
