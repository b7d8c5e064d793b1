//! What a statement may take, and how many may take it at once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use cordada_core::units::{Size, Span};
use cordada_core::{Error, Result};
use serde::Deserialize;

use crate::users::Role;

/// How long a statement may take unless somebody says otherwise.
const TIME: Span = Span::seconds(3600);
/// How long planning a statement may take unless somebody says otherwise.
const PLANNING: Span = Span::seconds(30);
/// How many statements may wait unless somebody says otherwise.
const WAITING: usize = 1000;
/// How many prepared statements of a user are kept unless somebody says otherwise.
const PREPARED: usize = 1000;
/// What statements that run at the same time should be able to count on, in bytes: fewer run where there is less.
const MEMORY_EACH: usize = 64 << 20;
/// The part of the lake's memory that one statement may take.
const MEMORY_PART: usize = 2;
/// How often a statement may write its memory to disk.
const SPILLS: u64 = 20;

/// The limits of a server, as they are configured: `server: {limits: …}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerLimits {
    /// Statements that compute at the same time; the others wait for their turn. Twice the cores by default, as far as
    /// there is memory.
    pub statements: Option<usize>,
    /// Those of one user; by default not quite all, so that nobody can take all.
    pub statements_by_user: Option<usize>,
    /// Statements that may wait for their turn: 1000 by default.
    pub waiting: Option<usize>,
    /// How long planning may take: 30 seconds by default.
    pub planning: Option<Span>,
    /// Prepared statements that are kept for a user, the most recently used: 1000 by default.
    pub prepared: Option<usize>,
    /// How long a statement may take from its turn to its last row: an hour by default.
    pub time: Option<Span>,
    /// What a statement may hold in memory before it spills or is refused: half of `memory:` by default.
    pub memory: Option<Size>,
    /// How many rows a statement may give: as many as it has by default.
    pub rows: Option<u64>,
    /// What a statement may write to disk: 20 times its memory by default.
    pub spill: Option<Size>,
}

/// The limits of a role, as they are configured: they take the place of the server's. Of several roles the widest holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoleLimits {
    /// As [`ServerLimits::statements_by_user`].
    pub statements_by_user: Option<usize>,
    /// As [`ServerLimits::time`].
    pub time: Option<Span>,
    /// As [`ServerLimits::memory`].
    pub memory: Option<Size>,
    /// As [`ServerLimits::rows`].
    pub rows: Option<u64>,
    /// As [`ServerLimits::spill`].
    pub spill: Option<Size>,
}

/// What holds for one statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatementLimits {
    /// Statements of its user that compute at the same time.
    pub by_user: usize,
    /// From its turn to its last row.
    pub time: Duration,
    /// Bytes in memory.
    pub memory: usize,
    /// Rows of its result, if they are limited.
    pub rows: Option<u64>,
    /// Bytes on disk.
    pub spill: u64,
}

/// The limits of a server and its roles, with the defaults of its machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Statements that compute at the same time.
    pub(crate) statements: usize,
    /// Statements that may wait.
    pub(crate) waiting: usize,
    /// How long planning may take.
    pub(crate) planning: Duration,
    statement: StatementLimits,
    /// Whether the bytes on disk are those of the configuration, rather than so many times the memory.
    spill_is_set: bool,
    roles: BTreeMap<String, RoleLimits>,
}

/// The cause of an error that is about a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// Of time.
    Time,
    /// Of rows, of memory, of turns.
    Resources,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "a limit of time was reached",
            Self::Resources => "a limit was reached",
        })
    }
}

impl std::error::Error for Exceeded {}

impl ServerLimits {
    /// Checks what can be wrong before the server starts.
    ///
    /// # Errors
    /// Config: a limit under which nothing could run.
    pub fn check(&self) -> Result<()> {
        let none_may_be_zero = [
            ("statements", self.statements == Some(0)),
            ("statements_by_user", self.statements_by_user == Some(0)),
            ("planning", self.planning == Some(Span::seconds(0))),
            ("prepared", self.prepared == Some(0)),
            ("time", self.time == Some(Span::seconds(0))),
            ("memory", self.memory == Some(Size(0))),
        ];
        refuse_zero("reading `server: {limits: …}`", &none_may_be_zero)
    }

    /// Prepared statements that are kept for a user.
    pub fn prepared(&self) -> usize {
        self.prepared.unwrap_or(PREPARED)
    }
}

impl RoleLimits {
    /// Checks what can be wrong before anybody is let in.
    pub(crate) fn check(&self, role: &str) -> Result<()> {
        let none_may_be_zero = [
            ("statements_by_user", self.statements_by_user == Some(0)),
            ("time", self.time == Some(Span::seconds(0))),
            ("memory", self.memory == Some(Size(0))),
        ];
        refuse_zero(&format!("reading the limits of role `{role}`"), &none_may_be_zero)
    }
}

fn refuse_zero(doing: &str, limits: &[(&str, bool)]) -> Result<()> {
    match limits.iter().find(|(_, is_zero)| *is_zero) {
        None => Ok(()),
        Some((name, _)) => {
            Err(Error::config(doing, format!("nothing runs with `{name}` at zero"))
                .hint("leave it out for the default"))
        }
    }
}

impl Limits {
    /// The limits on a machine with so many cores, over a lake with so many bytes of memory.
    pub fn new(server: &ServerLimits, roles: &BTreeMap<String, Role>, cores: usize, memory: usize) -> Self {
        let fitting = (memory / MEMORY_EACH).max(2);
        let statements = server
            .statements
            .unwrap_or_else(|| (2 * cores).clamp(4, 32).min(fitting));
        let but_some = (statements - statements / 4).min(statements - 1).max(1);
        let of_statement = server.memory.map_or(memory / MEMORY_PART, bytes);
        Self {
            statements,
            waiting: server.waiting.unwrap_or(WAITING),
            planning: server.planning.unwrap_or(PLANNING).0,
            statement: StatementLimits {
                by_user: server.statements_by_user.unwrap_or(but_some),
                time: server.time.unwrap_or(TIME).0,
                memory: of_statement,
                rows: server.rows,
                spill: server.spill.map_or(SPILLS * of_statement as u64, |size| size.0),
            },
            spill_is_set: server.spill.is_some(),
            roles: roles
                .iter()
                .map(|(name, role)| (name.clone(), role.limits.clone()))
                .collect(),
        }
    }

    /// What holds for a statement of somebody with these roles.
    pub fn of(&self, roles: &[String]) -> StatementLimits {
        fn widest<T: Ord>(limits: &[&RoleLimits], of: impl Fn(&RoleLimits) -> Option<T>) -> Option<T> {
            limits.iter().filter_map(|limits| of(limits)).max()
        }
        let limits: Vec<_> = roles.iter().filter_map(|role| self.roles.get(role)).collect();
        let server = self.statement;
        let memory = widest(&limits, |limits| limits.memory).map_or(server.memory, bytes);
        let spill = match widest(&limits, |limits| limits.spill) {
            Some(size) => size.0,
            None if self.spill_is_set => server.spill,
            None => SPILLS * memory as u64,
        };
        StatementLimits {
            by_user: widest(&limits, |limits| limits.statements_by_user).unwrap_or(server.by_user),
            time: widest(&limits, |limits| limits.time).map_or(server.time, |span| span.0),
            memory,
            rows: widest(&limits, |limits| limits.rows).or(server.rows),
            spill,
        }
    }
}

fn bytes(size: Size) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn role(limits: RoleLimits) -> Role {
        Role {
            limits,
            ..Role::default()
        }
    }

    #[test]
    fn a_roles_limits_take_the_place_of_the_servers_and_the_widest_holds() {
        let server = ServerLimits {
            time: Some(Span::seconds(60)),
            rows: Some(1000),
            ..ServerLimits::default()
        };
        let short = RoleLimits {
            time: Some(Span::seconds(5)),
            ..RoleLimits::default()
        };
        let long = RoleLimits {
            time: Some(Span::seconds(500)),
            memory: Some(Size(7)),
            ..RoleLimits::default()
        };
        let roles = BTreeMap::from([
            ("short".to_owned(), role(short)),
            ("long".to_owned(), role(long)),
            ("plain".to_owned(), Role::default()),
        ]);
        let limits = Limits::new(&server, &roles, 2, 1 << 30);
        let of = |roles: &[&str]| limits.of(&roles.iter().map(|&role| role.to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["plain"]).time, Duration::from_secs(60));
        assert_eq!(of(&["short", "plain"]).time, Duration::from_secs(5));
        assert_eq!(of(&["short", "long"]).time, Duration::from_secs(500));
        assert_eq!((of(&["long"]).memory, of(&["long"]).spill), (7, 7 * SPILLS));
        assert_eq!((of(&["long"]).rows, of(&[]).memory), (Some(1000), 1 << 29));
    }

    #[test]
    fn nobody_has_all_turns_and_a_small_machine_has_some() {
        for (cores, memory) in [(1, 1 << 20), (2, 512_000_000), (64, 1 << 40)] {
            let limits = Limits::new(&ServerLimits::default(), &BTreeMap::new(), cores, memory);
            let by_user = limits.of(&[]).by_user;
            assert!(
                limits.statements >= 2 && by_user >= 1 && by_user < limits.statements,
                "{limits:?}"
            );
        }
        let one = ServerLimits {
            statements: Some(1),
            ..ServerLimits::default()
        };
        assert_eq!(Limits::new(&one, &BTreeMap::new(), 8, 1 << 30).of(&[]).by_user, 1);
    }

    #[test]
    fn a_limit_of_zero_is_refused() {
        ServerLimits::default().check().unwrap();
        let zero = ServerLimits {
            statements: Some(0),
            ..ServerLimits::default()
        };
        let error = zero.check().unwrap_err();
        assert!(
            error.exit_code() == 2 && error.to_string().contains("`statements`"),
            "{error}"
        );
    }
}
