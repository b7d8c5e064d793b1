//! `token`: API tokens of the project's users.

use std::time::Duration;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use cordada_query::auth::api_tokens::{self, ApiToken};

use crate::Project;

impl Project {
    /// Makes an API token of that user, for good if there is no lifetime. What is returned is shown nowhere else.
    ///
    /// # Errors
    /// Config: there is no such user, the name is taken or cannot be one. Unavailable: the lake cannot be written.
    pub async fn create_token(&self, name: &str, user: &str, lifetime: Option<Duration>) -> Result<String> {
        if !self.config.users.iter().any(|known| known.name == user) {
            let known = self.config.users.iter().map(|user| user.name.as_str());
            return Err(Error::config(
                "making an API token",
                format!("there is no user `{user}` in cordada.yml"),
            )
            .hint(did_you_mean(user, "the users are", known)));
        }
        api_tokens::create(&self.lake.vault(), name, user, lifetime).await
    }

    /// The API tokens, by name.
    ///
    /// # Errors
    /// Unavailable: the lake cannot be read.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>> {
        api_tokens::list(&self.lake.vault()).await
    }

    /// Revokes an API token, and the sessions that it began.
    ///
    /// # Errors
    /// Config: there is none of that name. Unavailable: the lake cannot be written.
    pub async fn revoke_token(&self, name: &str) -> Result<()> {
        api_tokens::revoke(&self.lake.vault(), name).await
    }
}
