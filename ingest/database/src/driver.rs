//! The systems whose databases are read, and the drivers that this build has. A driver is a module, a cargo feature
//! and a line of [`SYSTEMS`].

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use cordada_core::progress::Task;
use cordada_core::source_names::SourceNames;
use cordada_core::{Error, Result};
use cordada_ingest_source::Landed;
use cordada_ingest_source::extract::{Extraction, State};
use tokio_util::sync::CancellationToken;

use crate::config::{DatabaseSource, DatabaseStream};
use crate::session::Session;

/// A system of databases.
struct System {
    /// The first words of its URLs.
    schemes: &'static [&'static str],
    /// The cargo feature of its driver.
    feature: &'static str,
    /// `None` if this build is without it.
    driver: Option<&'static dyn Driver>,
}

const SYSTEMS: &[System] = &[
    System {
        schemes: &["mysql", "mariadb"],
        feature: "mysql",
        #[cfg(feature = "mysql")]
        driver: Some(&crate::mysql::Mysql),
        #[cfg(not(feature = "mysql"))]
        driver: None,
    },
    System {
        schemes: &["postgres", "postgresql"],
        feature: "postgres",
        #[cfg(feature = "postgres")]
        driver: Some(&crate::postgres::Postgres),
        #[cfg(not(feature = "postgres"))]
        driver: None,
    },
    System {
        schemes: &["sqlite"],
        feature: "sqlite",
        #[cfg(feature = "sqlite")]
        driver: Some(&crate::sqlite::Sqlite),
        #[cfg(not(feature = "sqlite"))]
        driver: None,
    },
];

/// The driver of the system that a URL leads to.
///
/// # Errors
/// Config: it leads to no system that is known, or to one whose driver is not in this build.
pub(crate) fn driver_of(url: &str) -> Result<&'static dyn Driver> {
    let wrong = |why: &str| Error::config("reading `connection`", why);
    let scheme = url.split_once(':').map(|(scheme, _)| scheme).unwrap_or_default();
    if matches!(scheme, "mssql" | "sqlserver" | "jdbc") {
        return Err(wrong("SQL Server is not read directly")
            .hint("export it to Parquet or CSV and land that with `kind: files`"));
    }
    let Some(system) = SYSTEMS.iter().find(|system| system.schemes.contains(&scheme)) else {
        // Of what may be a password gone astray, not even the scheme is quoted.
        return Err(wrong("it begins with no system that is known")
            .hint("write postgres://user:${PASSWORD}@host/database, mysql://… or sqlite:path/to.db"));
    };
    system.driver.ok_or_else(|| {
        let feature = system.feature;
        wrong(&format!("the driver `{feature}` is not in this build")).hint(format!(
            "use a complete build, or one with the cargo feature `{feature}`"
        ))
    })
}

/// How a system is read.
#[async_trait]
pub(crate) trait Driver: Send + Sync {
    /// Opens a session; nothing of the rows has been read then.
    ///
    /// # Errors
    /// Unavailable: the database does not answer. Config: it refuses the credentials, or what the stream names is not
    /// there.
    async fn open(&self, request: SessionRequest<'_>) -> Result<Box<dyn Session>>;

    /// The log of changes, of a system whose log can be followed.
    fn change_log(&self) -> Option<&dyn ChangeLog> {
        None
    }
}

/// A system's log of what changes in its tables.
#[async_trait]
pub(crate) trait ChangeLog: Send + Sync {
    /// Continues to follow a table's changes after `state`, or begins with a copy of the table.
    ///
    /// # Errors
    /// As [`Driver::open`]; config: the server, the table or the user is not set up for it, with what to do.
    async fn follow(
        &self,
        request: SessionRequest<'_>,
        state: Option<State>,
        landed: Arc<dyn Landed>,
    ) -> Result<Box<dyn Extraction>>;

    /// Whether everything is there, without changing anything.
    ///
    /// # Errors
    /// As [`ChangeLog::follow`].
    async fn check(&self, request: SessionRequest<'_>) -> Result<()>;
}

/// What a session is opened for.
#[derive(Clone)]
pub(crate) struct SessionRequest<'a> {
    pub(crate) source: &'a DatabaseSource,
    pub(crate) stream: &'a DatabaseStream,
    /// The names of the two.
    pub(crate) names: (&'a str, &'a str),
    /// The project's folder.
    pub(crate) project: &'a Path,
    /// The columns of the table in the lake that the rows are added to; none if it is new, or all rows are replaced.
    pub(crate) known: SchemaRef,
    /// What its columns are called.
    pub(crate) columns: Arc<SourceNames>,
    /// How many connections may read at the same time.
    pub(crate) parallelism: usize,
    pub(crate) task: Arc<dyn Task>,
    pub(crate) cancel: CancellationToken,
}

/// What connecting comes to, in time and unless it is cancelled.
///
/// # Errors
/// Those of connecting; unavailable: it takes too long.
pub(crate) async fn in_time<T>(
    connecting: impl Future<Output = Result<T>>,
    timeout: Duration,
    cancel: &CancellationToken,
    doing: impl Fn() -> String,
) -> Result<T> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::cancelled(doing())),
        connected = tokio::time::timeout(timeout, connecting) => connected.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", timeout.as_secs());
            Err(Error::unavailable(doing(), why).hint("check the host and the port, or raise `timeout:`"))
        }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_system_whose_driver_is_left_out_is_named() {
        for system in SYSTEMS {
            for scheme in system.schemes {
                let found = driver_of(&format!("{scheme}://reader:s3cret@erp/acme"));
                assert_eq!(found.is_ok(), system.driver.is_some(), "{scheme}");
                let Err(error) = found else { continue };
                let said = error.to_string();
                assert_eq!(error.exit_code(), 2);
                assert!(
                    said.contains("not in this build") && said.contains(system.feature),
                    "{said}"
                );
                assert!(!said.contains("s3cret"), "{said}");
            }
        }
    }

    #[test]
    fn what_leads_nowhere_is_not_quoted() {
        for url in ["s3cret", "s3cret://reader@erp", "jdbc:sqlserver://erp;password=s3cret"] {
            let error = driver_of(url).err().unwrap();
            assert_eq!(error.exit_code(), 2);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
