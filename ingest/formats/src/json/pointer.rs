//! Places in JSON: pointers (RFC 6901) in which a segment `*` goes over all items.

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

/// Where records are: `/orders`, or `{at: /rows, optional: true}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// The list of them.
    pub at: Pointer,
    /// Whether a response without them has no records, and is not an error.
    pub optional: bool,
}

impl Default for Records {
    fn default() -> Self {
        let at = Pointer(Vec::new());
        Self { at, optional: false }
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Full {
            at: Pointer,
            #[serde(default)]
            optional: bool,
        }
        match Json::deserialize(deserializer)? {
            Json::String(text) => Ok(Self {
                at: Pointer::new(&text).map_err(serde::de::Error::custom)?,
                optional: false,
            }),
            other => {
                let Full { at, optional } = serde_json::from_value(other).map_err(serde::de::Error::custom)?;
                Ok(Self { at, optional })
            }
        }
    }
}

/// A JSON pointer: its segments, without their escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer(pub Vec<String>);

impl Pointer {
    /// The pointer that `text` writes.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text == "/" {
            return Ok(Self(Vec::new()));
        }
        let Some(segments) = text.strip_prefix('/') else {
            return Err(format!(
                "`{text}` is not a JSON pointer; it begins with a slash, as /data/items"
            ));
        };
        let unescape = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
        Ok(Self(segments.split('/').map(unescape).collect()))
    }

    /// The pointer to a dotted path: `fields.updated` is `/fields/updated`.
    pub fn dotted(path: &str) -> Self {
        Self(path.split('.').map(str::to_owned).collect())
    }
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("/");
        }
        self.0
            .iter()
            .try_for_each(|segment| write!(f, "/{}", segment.replace('~', "~0").replace('/', "~1")))
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Pointer::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// Where in a response a value is: `/pointer`, `{body: /pointer}` or `{header: Name}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locator {
    /// In a header.
    Header(String),
    /// In the body.
    Body(Pointer),
}

impl<'de> Deserialize<'de> for Locator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Full {
            Header(String),
            Body(Pointer),
        }
        use serde::de::Error as _;
        match Json::deserialize(deserializer)? {
            Json::String(text) => Pointer::new(&text).map(Self::Body).map_err(D::Error::custom),
            other => Ok(match serde_json::from_value(other).map_err(D::Error::custom)? {
                Full::Header(name) => Self::Header(name),
                Full::Body(pointer) => Self::Body(pointer),
            }),
        }
    }
}

impl Locator {
    /// The place in the body, if it is there.
    pub fn pointer(&self) -> Option<&Pointer> {
        match self {
            Locator::Body(pointer) => Some(pointer),
            Locator::Header(_) => None,
        }
    }
}
