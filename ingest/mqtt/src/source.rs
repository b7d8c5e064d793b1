//! A source of messages, as landing sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use async_trait::async_trait;
use chrono_tz::Tz;
use cordada_core::{Error, Result};
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Extraction, Request};
use cordada_ingest_source::listener::Listener;
use cordada_ingest_source::options::Options;
use cordada_ingest_source::transform::PiiKey;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config::{MqttSource, MqttStream};
use crate::extraction::Messages;
use crate::session::{Client, Session};
use crate::subscriber::Subscriber;

#[async_trait]
impl Source for MqttSource {
    fn streams(&self) -> BTreeMap<String, Options> {
        let options = |(name, stream): (&String, &MqttStream)| (name.clone(), stream.all_options());
        self.streams.iter().map(options).collect()
    }

    fn timezone(&self) -> Tz {
        self.zone()
    }

    /// The first messages say nothing about the fields of those that come later.
    fn may_lack(&self, _stream: &str, _column: &str) -> bool {
        true
    }

    fn is_unrepeatable(&self, _stream: &str) -> bool {
        true
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        let stream = self.stream(request.stream)?;
        Ok(Box::new(Messages::new(request, self, stream).await?))
    }

    /// As somebody else, so that neither the messages of the session nor whoever takes them are touched.
    async fn check(&self, _project: &Path, source: &str, stream: &str, cancel: &CancellationToken) -> Result<()> {
        let mut asked = self.stream(stream)?.clone();
        asked.retained = false;
        let client = Client {
            id: format!(
                "{}-check-{}",
                self.client_id.as_deref().unwrap_or("cordada"),
                &Uuid::new_v4().simple().to_string()[..8]
            ),
            is_kept: false,
            source: self,
        };
        let checking = async {
            let (mut session, _) = Session::connect(&client).await?;
            session.subscribe(&asked, &BTreeSet::new()).await?;
            session.close().await;
            Ok(())
        };
        let checked = cancel.run_until_cancelled(checking).await;
        checked.unwrap_or_else(|| Err(Error::cancelled(format!("checking {source}.{stream}"))))
    }

    async fn listen<'a>(
        &'a self,
        _project: &Path,
        source: &'a str,
        _key: Option<&PiiKey>,
    ) -> Result<Option<Box<dyn Listener + 'a>>> {
        Ok(Some(Box::new(Subscriber::new(source, self))))
    }
}
