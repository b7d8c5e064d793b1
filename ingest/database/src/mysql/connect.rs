//! Connections to MySQL and MariaDB.

use std::path::PathBuf;
use std::time::Duration;

use cordada_core::{Error, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::driver::in_time;
use crate::sql_error::{SqlContext, SqlError};

/// Times in UTC, text in UTF-8, and a server that waits while rows are being written to the lake.
const SESSION: [&str; 4] = [
    "SET NAMES utf8mb4",
    "SET time_zone = '+00:00'",
    "SET net_write_timeout = 3600, wait_timeout = 28800",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
];

/// A connection. If it is dropped while rows are on their way, the server is told to stop: the driver would read all
/// that nobody wants any more.
pub(super) struct MysqlConnection {
    pub(super) driver: Conn,
    /// Whether a statement has been sent whose last row has not come.
    pub(super) is_reading: bool,
    timeout: Duration,
}

impl Drop for MysqlConnection {
    fn drop(&mut self) {
        // Without a runtime the process ends, and the connection with it.
        if let (true, Ok(runtime)) = (self.is_reading, Handle::try_current()) {
            let (options, id) = (self.driver.opts().clone(), self.driver.id());
            runtime.spawn(tokio::time::timeout(self.timeout, stop(options, id)));
        }
    }
}

/// Ends the connection of that number. One that cannot be ended comes to its own end.
async fn stop(options: Opts, id: u32) {
    match Conn::new(options).await {
        Ok(mut connection) => {
            let stopped = connection.query_drop(format!("KILL CONNECTION {id}")).await;
            tracing::debug!(?stopped, "a statement that nobody wants any more is stopped");
        }
        Err(error) => tracing::debug!(%error, "a statement that nobody wants any more goes on"),
    }
}

/// Opens a connection and the transaction whose snapshot everything is read from.
///
/// # Errors
/// Unavailable: no server answers in time. Config: the URL makes no sense, or the server refuses the credentials. The
/// URL is not quoted, as it holds the password.
pub(super) async fn connect(url: &str, timeout: Duration, cancel: &CancellationToken) -> Result<MysqlConnection> {
    let (options, place) = options(url)?;
    let doing = || format!("connecting to MySQL at {place}");
    let connecting = async {
        let mut connection = Conn::new(options).await.doing_sql(doing)?;
        for statement in SESSION {
            connection.query_drop(statement).await.doing_sql(doing)?;
        }
        let begin = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
        connection.query_drop(begin).await.doing_sql(doing)?;
        Ok(connection)
    };
    Ok(MysqlConnection {
        driver: in_time(connecting, timeout, cancel, doing).await?,
        is_reading: false,
        timeout,
    })
}

/// The URL's options, and host, port and database for messages.
fn options(url: &str) -> Result<(OptsBuilder, String)> {
    let doing = "reading `connection`";
    let hint = "write mysql://user:${PASSWORD}@host:3306/database, special characters percent-encoded";
    let wrong = |why: &str| Error::config(doing, why).hint(hint);
    let mut parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
    let (mut mode, mut roots, mut others) = ("disable".to_owned(), None, Vec::new());
    for (key, value) in parsed.query_pairs() {
        match &*key {
            "ssl" | "sslmode" | "ssl-mode" => mode = value.to_ascii_lowercase(),
            "sslrootcert" | "ssl-ca" => roots = Some(PathBuf::from(&*value)),
            _ => others.push((key.into_owned(), value.into_owned())),
        }
    }
    parsed.set_query(None);
    if !others.is_empty() {
        parsed.query_pairs_mut().extend_pairs(others);
    }
    let verified = || {
        let roots: Vec<_> = roots.iter().cloned().map(Into::into).collect();
        Some(SslOpts::default().with_root_certs(roots))
    };
    let ssl = match mode.as_str() {
        "disable" | "disabled" | "false" => None,
        "require" | "required" | "true" if roots.is_none() => {
            let any = SslOpts::default().with_danger_accept_invalid_certs(true);
            Some(any.with_danger_skip_domain_validation(true))
        }
        "require" | "required" | "true" | "verify-full" | "verify-ca" | "verify_ca" | "verify_identity" => verified(),
        _ => return Err(Error::config(doing, "`ssl` is not known").hint("use disable, require or verify-full")),
    };
    let place = format!(
        "{}:{}{}",
        parsed.host_str().unwrap_or("localhost"),
        parsed.port().unwrap_or(3306),
        parsed.path()
    );
    // The driver knows one name of the two.
    let address = match parsed.as_str().strip_prefix("mariadb:") {
        Some(rest) => format!("mysql:{rest}"),
        None => parsed.as_str().to_owned(),
    };
    let options = mysql_async::Opts::from_url(&address)
        .map_err(|_| wrong("it is not a URL of a MySQL server, or has a parameter that is not known"))?;
    let options = OptsBuilder::from_opts(options)
        .ssl_opts(ssl)
        .prefer_socket(false)
        .stmt_cache_size(0)
        .tcp_keepalive(Some(Duration::from_secs(30)));
    Ok((options, place))
}

impl SqlError for mysql_async::Error {
    /// Which of our kinds it is. What the server says is told unless it may quote a value (SQLSTATE 22 and 23).
    /// Codes: MySQL's manual, "Server Error Message Reference".
    fn classify(self, doing: String) -> Error {
        let server = match self {
            mysql_async::Error::Server(server) => server,
            mysql_async::Error::Url(_) => return Error::config(doing, "the URL makes no sense"),
            // What these print may hold a row.
            mysql_async::Error::Driver(
                mysql_async::DriverError::FromRow { .. } | mysql_async::DriverError::FromValue { .. },
            ) => return Error::failed(doing, "a value is not what its type allows"),
            other => return Error::unavailable(doing, other),
        };
        match server.code {
            1045 | 1698 => Error::config(doing, "the server refuses these credentials")
                .hint("check the user and the password in `connection`"),
            1044 | 1142 | 1143 | 1227 => {
                Error::config(doing, server.message).hint("grant it to the user of `connection`, or use another")
            }
            1049 => Error::config(doing, server.message).hint("check the database's name in `connection`"),
            1040 | 1053 | 1129 | 1130 | 1203 => Error::unavailable(doing, server.message),
            1054 | 1064 | 1146 | 1305 => Error::config(doing, server.message),
            _ if server.state.starts_with("22") || server.state.starts_with("23") => {
                Error::failed(doing, "a value makes the query fail").with("code", server.code)
            }
            _ => Error::failed(doing, server.message).with("code", server.code),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_never_quoted() {
        let (_, place) = options("mariadb://reader:s3cret@erp/acme?ssl=require").unwrap();
        assert_eq!(place, "erp:3306/acme");
        for url in [
            "mysql://reader:s3cret@erp:port/acme",
            "mysql://a:s3cret@erp/acme?ssl=often",
            "mysql://a:s3cret@erp/a?b=c",
        ] {
            let error = options(url).err().unwrap();
            assert!(
                error.exit_code() == 2 && !format!("{error} {error:?}").contains("s3cret"),
                "{error}"
            );
        }
    }
}
