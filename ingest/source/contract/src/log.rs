//! What is logged while a test runs.

use std::io::{self, Write};
use std::sync::{Mutex, Once};

use cordada_core::threads::locked;

/// Everything that has been logged. It is the process's, as sources log from threads that no test knows of.
static LOGGED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Keeps from now on what is logged, as verbosely as a user can have it.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("cordada=trace,debug")
            .with_ansi(false)
            .with_writer(|| LogWriter);
        subscriber.init();
    });
}

/// What has been logged.
pub(crate) fn logged() -> String {
    String::from_utf8_lossy(&locked(&LOGGED)).into_owned()
}

struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&LOGGED).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
