//! Streams that land at the same time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::progress::Silent;
use cordada_core::{Error, Result};
use cordada_ingest::{SourceFile, ingest};
use cordada_ingest_formats::reading::Reading;
use cordada_ingest_formats::spool::Spool;
use cordada_ingest_source::Source;
use cordada_ingest_source::extract::{Chunk, Extraction, Request, Rows};
use cordada_ingest_source::options::Options;
use tokio::sync::{Barrier, Notify};
use tokio_util::sync::CancellationToken;

use super::Project;

/// What two streams tell each other, so that neither can go on alone.
#[derive(Clone)]
struct Rendezvous {
    begun: Arc<Barrier>,
    second_is_done: Arc<Notify>,
}

/// A source whose streams `first` and `second` have to be extracted at the same time: the first ends after the second.
struct Pair {
    meeting: Rendezvous,
    /// Whether the second fails.
    fails: bool,
}

struct One {
    meeting: Rendezvous,
    stream: String,
    fails: bool,
    records: Arc<Reading>,
    done: bool,
}

#[async_trait]
impl Source for Pair {
    fn streams(&self) -> BTreeMap<String, Options> {
        ["first", "second"]
            .map(|name| (name.to_owned(), Options::default()))
            .into()
    }

    async fn extract<'a>(&'a self, request: Request<'a>) -> Result<Box<dyn Extraction + 'a>> {
        Ok(Box::new(One {
            meeting: self.meeting.clone(),
            stream: request.stream.to_owned(),
            fails: self.fails,
            records: request.records,
            done: false,
        }))
    }

    async fn check(&self, _: &Path, _: &str, _: &str, _: &CancellationToken) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Extraction for One {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        if std::mem::replace(&mut self.done, true) {
            return Ok(None);
        }
        self.meeting.begun.wait().await;
        match self.stream.as_str() {
            "first" => self.meeting.second_is_done.notified().await,
            _ if self.fails => {
                self.meeting.second_is_done.notify_one();
                return Err(Error::unavailable("reading the second", "it is away"));
            }
            _ => {}
        }
        let mut spool = Spool::new(&self.stream, &self.records)?;
        spool.push(br#"{"id": 1}"#)?;
        Ok(Some(Chunk::new(Rows::Records(vec![spool]), Some("done".into()), 10)))
    }

    async fn landed(&mut self) -> Result<()> {
        self.meeting.second_is_done.notify_one();
        Ok(())
    }
}

async fn land(project: &Project, fails: bool) -> Result<cordada_ingest::IngestReport> {
    let meeting = Rendezvous {
        begun: Arc::new(Barrier::new(2)),
        second_is_done: Arc::default(),
    };
    let sources = [SourceFile::new("shop".to_owned(), Box::new(Pair { meeting, fails })).unwrap()];
    let (silent, cancel) = (Arc::new(Silent), CancellationToken::new());
    ingest(&project.lake, project.path(), &sources, &[], None, silent, cancel).await
}

#[tokio::test]
async fn streams_wait_for_their_sources_together_and_are_told_of_in_order() {
    let project = Project::new("{}").await;
    let report = land(&project, false).await.unwrap();
    let tables: Vec<_> = report.streams.iter().map(|stream| stream.table.to_string()).collect();
    assert_eq!(tables, ["raw_shop.first", "raw_shop.second"]);
    assert_eq!(report.release, Some(1));
    assert_eq!(project.sql("select id from raw_shop.second").await, ["1"]);
}

#[tokio::test]
async fn one_that_fails_does_not_stop_the_other() {
    let project = Project::new("{}").await;
    let error = land(&project, true).await.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert_eq!(project.sql("select id from raw_shop.first").await, ["1"]);
    let journal = "select stream, status from ops.loads order by stream";
    assert_eq!(project.sql(journal).await, ["first|landed", "second|failed"]);
}
