//! Connectors against a server that answers as their systems are documented to: at least three pages of each stream
//! where the system has pages, a load with changes between them, a rate limit, a wrong credential, an error of that
//! system.
//!
//! A system is described in `systems/NAME.yml`; [`Described`] says what the keys mean. What the server does with it is
//! in [`emulator`].

mod emulator;
mod forms;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cordada_core::ErrorKind;
use cordada_http::clock::Clock;
use cordada_http::engine::Engine;
use cordada_http::values::Values;
use cordada_ingest_source::options::Disposition;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use tokio_util::sync::CancellationToken;

use self::emulator::{Emulated, Mood};
use super::System;
use super::incremental::land;
use crate::manifest::Manifest;
use crate::page::Run;
use crate::plan::{LookedUp, PreparedStreams, look_up, prepare};

/// A key that was made for tests.
const PEM: &str = include_str!("../../../../http/src/auth/keys/pkcs8.pem");

/// A system, and how its server answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    /// Of the source; `{base}` is where the server is, `{pem}` a private key.
    config: Map<String, Json>,
    /// What a request has to carry, and what the source has to say instead to be refused.
    credential: Option<Credential>,
    /// The answer to a wrong credential.
    #[serde(default = "Reply::unauthorised")]
    refused: Reply,
    /// The answer to who asks too much.
    #[serde(default = "Reply::too_many")]
    limit: Reply,
    /// An answer that is an error, and what of it a user reads.
    error: Reply,
    says: String,
    /// The answer to who has used up what comes back in hours.
    #[serde(default)]
    used_up: Option<Reply>,
    /// What else is asked for, answered always the same.
    #[serde(default)]
    also: Vec<Also>,
    streams: BTreeMap<String, DescribedStream>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    /// A header, or a field of the form or query.
    name: String,
    value: String,
    /// The key of `config` that is wrong for a test.
    wrong: String,
    /// Where wrong credentials are refused: everywhere, or at this path.
    #[serde(default)]
    at: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: Json,
}

impl Reply {
    fn unauthorised() -> Self {
        Self {
            status: 401,
            headers: BTreeMap::new(),
            body: json!({"message": "unauthorised"}),
        }
    }

    fn too_many() -> Self {
        Self {
            status: 429,
            headers: BTreeMap::from([("retry-after".to_owned(), "7".to_owned())]),
            body: Json::Null,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Also {
    at: String,
    /// A part of the body that tells it from others.
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    answer: Json,
}

/// A stream: its records are numbered from 1, and each has a time of its last change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct DescribedStream {
    /// Of the source.
    #[serde(default)]
    config: Map<String, Json>,
    /// `GET /path`; `*` is any segment, `{parent}` in records.
    at: String,
    /// The stream of the records that `*` stands for, where the path does not tell.
    #[serde(default)]
    parent: Option<String>,
    /// A part of the body that tells its requests from others.
    #[serde(default)]
    body: Option<String>,
    /// What requests have to say.
    #[serde(default)]
    params: BTreeMap<String, String>,
    /// What parts of requests have to say.
    #[serde(default)]
    contains: BTreeMap<String, String>,
    /// Where the records are; the answer itself if there is none.
    #[serde(default)]
    list: String,
    /// How they are written.
    #[serde(default)]
    form: Form,
    /// The whole answer instead, in which `{records}` stands for them and `{pages}` for how many pages there are.
    #[serde(default)]
    answer: Option<Json>,
    /// What else an answer has.
    #[serde(default)]
    beside: Map<String, Json>,
    /// A record: `{n}` is its number, `{version}` grows when it changes, `{changed}` is when that was.
    record: Json,
    /// How `{changed}` is written: epoch_s, epoch_ms, or as chrono has it.
    #[serde(default = "rfc3339")]
    times: String,
    /// The parameter (`/pointer` in a JSON body) that asks for what changed since, and what is before the time in it.
    #[serde(default)]
    since: Option<Since>,
    #[serde(default)]
    pages: Pages,
    /// How many records there are.
    #[serde(default = "five")]
    count: usize,
}

fn rfc3339() -> String {
    "%Y-%m-%dT%H:%M:%SZ".to_owned()
}

fn five() -> usize {
    5
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    param: String,
    #[serde(default)]
    after: String,
    /// How the time is written, if not as in records.
    #[serde(default)]
    times: Option<String>,
}

/// How records are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    /// A list of objects.
    #[default]
    Objects,
    /// Lists of values, of which the first has the names.
    Sheet,
    /// A list of values a name.
    Columns,
    /// A header, and a line each.
    Csv,
    /// A cube of one dimension, `item`, whose categories are the fields `item` and `label`; the cells are the field `value`.
    Cube,
}

/// How the server hands out its records, two at a time.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Pages {
    /// All at once.
    #[default]
    None,
    /// After the record whose `field` is in `param`, behind the text `behind` if there is one; `more` says whether there
    /// are others.
    After {
        param: String,
        field: String,
        #[serde(default)]
        behind: String,
        /// Whether it says where the page begins, and not what it follows.
        #[serde(default)]
        from: bool,
        #[serde(default)]
        more: Option<String>,
    },
    /// What is at `next` goes into `param`.
    Token {
        param: String,
        next: String,
        #[serde(default)]
        more: Option<String>,
        /// Says whether it is the last page.
        #[serde(default)]
        end: Option<String>,
    },
    /// By number, from `start`.
    Number {
        param: String,
        #[serde(default = "first")]
        start: usize,
        #[serde(default)]
        total: Option<String>,
    },
    Offset {
        param: String,
        #[serde(default)]
        total: Option<String>,
    },
    /// The address of the next page at a place in the body, or in the header `Link`.
    Url {
        #[serde(default)]
        at: Option<String>,
    },
}

fn first() -> usize {
    1
}

/// A connector, connected to its emulated system.
struct Connected {
    described: Described,
    emulated: Arc<Emulated>,
    base: String,
    _server: super::server::Server,
}

impl Connected {
    async fn new(described: Described) -> Self {
        let emulated = Arc::new(Emulated::new(&described));
        let answering = emulated.clone();
        let server = super::server::Server::new(move |seen| answering.answer(seen)).await;
        emulated.set_base(&server.base);
        let base = server.base.clone();
        Self {
            described,
            emulated,
            base,
            _server: server,
        }
    }

    /// The system as a source sees it, its credentials right or wrong.
    fn system(&self, name: &str, is_right: bool) -> System {
        let manifest = Manifest::connector(name).unwrap();
        let mut config = self.described.config.clone();
        let based = |value: &mut Json| {
            if let Json::String(text) = value {
                *text = text.replace("{base}", &self.base).replace("{pem}", PEM);
            }
        };
        config.values_mut().for_each(based);
        if let (false, Some(credential)) = (is_right, &self.described.credential) {
            config.insert(credential.wrong.clone(), "wr0ng".into());
        }
        let values = Values::new(&manifest.config, config).unwrap();
        let mut prepared = PreparedStreams::new();
        for (stream, described) in &self.described.streams {
            prepare(&manifest, &values, stream, described.config.clone(), &mut prepared).unwrap();
        }
        let clock = Clock::Virtual(Arc::new(Mutex::new(Duration::ZERO)));
        let engine = Arc::new(Engine::new(manifest.system(), &values, clock.clone()).unwrap());
        let run = Arc::new(Run {
            manifest: Arc::new(manifest),
            engine,
            load_at: emulator::TIME + chrono::Duration::days(2),
            cancel: CancellationToken::new(),
        });
        System {
            run,
            prepared,
            looked_up: LookedUp::new(),
            clock,
        }
    }

    /// Lands the stream into what has landed, by its key.
    async fn load(&self, system: &mut System, stream: &str, landed: &mut Landed) -> cordada_core::Result<()> {
        system.looked_up = look_up(&system.run, &system.prepared, stream).await?;
        let spec = &system.prepared[stream].0;
        let options = spec.options(spec.is_incremental(spec.incremental.as_ref()));
        let loaded = land(system, stream, landed.state.clone(), &options).await?;
        if options.disposition() == Disposition::Replace {
            landed.rows.clear();
        }
        for (number, record) in loaded.records.into_iter().enumerate() {
            // Without a key each row is one of its own.
            let key: Vec<_> = match options.key.is_empty() {
                true => vec![json!(number + landed.rows.len())],
                false => options.key.iter().map(|name| value(&record, name)).collect(),
            };
            assert!(
                key.iter().all(|value| !value.is_null()),
                "{stream}: {record} has no {:?}",
                options.key
            );
            landed.rows.insert(Json::from(key).to_string(), record);
        }
        if let Some((_, Some(state))) = loaded.chunks.into_iter().next_back() {
            landed.state = Some(state);
        }
        Ok(())
    }
}

fn value(record: &Json, path: &str) -> Json {
    path.split('.').fold(record.clone(), |value, name| {
        value.get(name).cloned().unwrap_or_default()
    })
}

/// The error that reading the stream ends with, or looking up what it needs.
async fn error(system: &mut System, stream: &str) -> cordada_core::Error {
    match look_up(&system.run, &system.prepared, stream).await {
        Err(error) => error,
        Ok(looked_up) => {
            system.looked_up = looked_up;
            system.error(stream).await
        }
    }
}

#[derive(Default)]
struct Landed {
    rows: BTreeMap<String, Json>,
    state: Option<Json>,
}

/// The versions of what has landed, which records have anywhere.
fn versions(landed: &Landed) -> Vec<String> {
    let mut found: Vec<_> = landed.rows.values().filter_map(emulator::version_of).collect();
    found.sort();
    found
}

fn descriptions() -> Vec<(String, Described)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/systems");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "yml"))
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, cordada_core::yaml::read(&file).unwrap())
        })
        .collect();
    found.sort_by(|(left, _): &(String, Described), (right, _)| left.cmp(right));
    found
}

#[test]
fn every_connector_is_here() {
    let described: Vec<_> = descriptions().into_iter().map(|(name, _)| name).collect();
    assert_eq!(described, crate::manifest::connectors().collect::<Vec<_>>());
}

#[tokio::test]
async fn streams_land_whole_whatever_changes_between_their_pages() {
    for (name, described) in descriptions() {
        let connected = Connected::new(described.clone()).await;
        let mut system = connected.system(&name, true);
        for stream in described.streams.keys() {
            let mut landed = Landed::default();
            // The first load; one in which the first record changes and another comes after the first page; one more.
            for round in 0..3 {
                if round == 1 {
                    connected.emulated.change_after_first_page(stream);
                }
                let loaded = connected.load(&mut system, stream, &mut landed).await;
                loaded.unwrap_or_else(|error| panic!("{name}.{stream}, load {round}: {error}"));
                if round != 1 {
                    let there = connected.emulated.versions(stream, &described);
                    assert_eq!(versions(&landed), there, "{name}.{stream}, load {round}");
                }
            }
            assert!(
                connected.emulated.unknown().is_empty(),
                "{name}: {:?}",
                connected.emulated.unknown()
            );
        }
    }
}

#[tokio::test]
async fn limits_are_waited_out() {
    for (name, described) in descriptions() {
        let connected = Connected::new(described.clone()).await;
        let mut system = connected.system(&name, true);
        let stream = described.streams.keys().next().unwrap();
        connected.emulated.set(Mood::Limited);
        let mut landed = Landed::default();
        let loaded = connected.load(&mut system, stream, &mut landed).await;
        loaded.unwrap_or_else(|error| panic!("{name}.{stream}: {error}"));
        assert!(
            !landed.rows.is_empty() && system.clock.elapsed() > Duration::ZERO,
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_is_used_up_for_hours_is_not_waited_for() {
    let mut tried = 0;
    for (name, mut described) in descriptions() {
        let Some(used_up) = described.used_up.take() else {
            continue;
        };
        described.error = used_up;
        let connected = Connected::new(described.clone()).await;
        let mut system = connected.system(&name, true);
        let stream = described.streams.keys().next().unwrap();
        connected.emulated.set(Mood::Failing);
        let error = error(&mut system, stream).await.to_string();
        assert!(error.contains("used up"), "{name}: {error}");
        assert_eq!(system.clock.elapsed(), Duration::ZERO, "{name}");
        tried += 1;
    }
    assert!(tried > 1);
}

#[tokio::test]
async fn wrong_credentials_are_shown_once() {
    for (name, described) in descriptions() {
        let Some(credential) = &described.credential else {
            continue;
        };
        let connected = Connected::new(described.clone()).await;
        let mut system = connected.system(&name, false);
        for stream in described.streams.keys() {
            let error = error(&mut system, stream).await;
            assert_eq!(error.kind(), ErrorKind::Config, "{name}.{stream}: {error}");
            assert!(!error.to_string().contains("wr0ng"), "{name}: {error}");
        }
        assert_eq!(connected.emulated.refusals(), 1, "{name} {}", credential.name);
    }
}

#[tokio::test]
async fn a_systems_own_message_is_told() {
    for (name, described) in descriptions() {
        let connected = Connected::new(described.clone()).await;
        let mut system = connected.system(&name, true);
        let stream = described.streams.keys().next().unwrap();
        connected.emulated.set(Mood::Failing);
        let error = error(&mut system, stream).await;
        assert!(error.to_string().contains(&described.says), "{name}: {error}");
    }
}
