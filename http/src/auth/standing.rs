//! What a system thinks of the credentials: they are shown to it once, and not again when it has refused them.
//!
//! Systems lock users after a few wrong passwords; twenty streams that each try one are more than a few.

use cordada_core::{Error, Result};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

/// What is known of the credentials.
#[derive(Debug, Default)]
pub enum Standing {
    /// Nobody has asked with them.
    #[default]
    Unknown,
    /// The system has answered to them.
    Taken,
    /// It has not.
    Refused(Error),
}

/// Lets those who ask with credentials pass, one alone until the system has answered.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Standing>);

impl Gate {
    /// Waits until it is known whether the system takes the credentials; whoever is the first to ask holds what is
    /// known of them.
    ///
    /// # Errors
    /// The system's refusal, if it has refused them; cancelled.
    pub async fn enter(&self, cancel: &CancellationToken) -> Result<Option<MutexGuard<'_, Standing>>> {
        let standing = tokio::select! {
            standing = self.0.lock() => standing,
            () = cancel.cancelled() => return Err(Error::cancelled("waiting for the system")),
        };
        match &*standing {
            Standing::Unknown => Ok(Some(standing)),
            Standing::Taken => Ok(None),
            Standing::Refused(error) => Err(error.again()),
        }
    }

    /// Remembers a refusal.
    pub async fn refuse(&self, held: Option<MutexGuard<'_, Standing>>, error: &Error) {
        let mut standing = match held {
            Some(standing) => standing,
            None => self.0.lock().await,
        };
        *standing = Standing::Refused(error.again());
    }

    /// Somebody may have mended the credentials since they were refused, or withdrawn them since they were taken.
    pub fn forget(&self) {
        if let Ok(mut standing) = self.0.try_lock() {
            *standing = Standing::Unknown;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_load_proves_the_credentials_anew() {
        let (gate, never) = (Gate::default(), CancellationToken::new());
        for standing in [Standing::Taken, Standing::Refused(Error::config("asking", "no"))] {
            *gate.enter(&never).await.unwrap().unwrap() = standing;
            assert!(!matches!(gate.enter(&never).await, Ok(Some(_))));
            gate.forget();
            assert!(matches!(gate.enter(&never).await, Ok(Some(_))));
        }
    }
}
