//! Which path takes the hits of which stream.

use super::columns::Protocol;
use super::config::EventsSource;

/// What a path takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The stream's name.
    pub(crate) stream: String,
    pub(crate) protocol: Protocol,
    /// The type of Segment's messages there; `None` where each says it itself.
    pub(crate) message: Option<&'static str>,
}

/// The paths that Snowplow's trackers use by themselves: bodies, and pixels.
const SNOWPLOW: &[&str] = &["/com.snowplowanalytics.snowplow/tp2", "/i"];

/// The paths that Matomo's trackers use by themselves.
const MATOMO: &[&str] = &["/matomo.php", "/piwik.php"];

/// The paths of Segment's API, with the type of the messages there. Browsers use the first letters.
const SEGMENT: &[(&str, &str)] = &[
    ("/v1/track", "track"),
    ("/v1/t", "track"),
    ("/v1/page", "page"),
    ("/v1/p", "page"),
    ("/v1/screen", "screen"),
    ("/v1/s", "screen"),
    ("/v1/identify", "identify"),
    ("/v1/i", "identify"),
    ("/v1/group", "group"),
    ("/v1/g", "group"),
    ("/v1/alias", "alias"),
    ("/v1/a", "alias"),
    ("/v1/batch", "batch"),
    ("/v1/b", "batch"),
    ("/v1/import", "batch"),
];

/// The paths of a source.
pub(crate) fn routes(source: &EventsSource) -> impl Iterator<Item = (String, Route)> {
    source.streams.iter().flat_map(|(name, stream)| {
        let protocol = stream.protocol();
        let paths: Vec<(&str, Option<&'static str>)> = match protocol {
            _ if !stream.paths.is_empty() => stream.paths.iter().map(|path| (path.as_str(), None)).collect(),
            Protocol::Snowplow => SNOWPLOW.iter().map(|path| (*path, None)).collect(),
            Protocol::Matomo => MATOMO.iter().map(|path| (*path, None)).collect(),
            Protocol::Segment => SEGMENT.iter().map(|(path, message)| (*path, Some(*message))).collect(),
        };
        let route = move |(path, message): (&str, Option<&'static str>)| {
            let stream = name.clone();
            let route = Route {
                stream,
                protocol,
                message,
            };
            (path.to_owned(), route)
        };
        paths.into_iter().map(route).collect::<Vec<_>>()
    })
}
