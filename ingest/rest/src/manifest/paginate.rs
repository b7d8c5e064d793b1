//! How a system hands out many records: page by page.

use cordada_ingest_formats::json::pointer::{Locator, Pointer};
use serde::Deserialize;
use serde_json::Value as Json;

/// The way from one page to the next.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Paginate {
    /// There is one page.
    #[default]
    None,
    /// Pages have numbers: `page.number`, `page.size`.
    Page {
        param: Option<String>,
        into: Option<String>,
        size_param: Option<String>,
        size: Option<u64>,
        #[serde(default = "one")]
        start: u64,
        total_pages: Option<Locator>,
        total: Option<Locator>,
        /// Whether records keep their places although they are sorted by what looks like a time of change.
        #[serde(default)]
        stable: bool,
    },
    /// A page begins after so many records: `page.offset`, `page.size`.
    Offset {
        param: Option<String>,
        into: Option<String>,
        size_param: Option<String>,
        size: Option<u64>,
        #[serde(default)]
        start: u64,
        total: Option<Locator>,
        /// As for pages with numbers.
        #[serde(default)]
        stable: bool,
    },
    /// The header `Link` with `rel="next"` (RFC 8288).
    LinkHeader {
        size_param: Option<String>,
        size: Option<u64>,
    },
    /// The address of the next page, absolute or relative, is in the response.
    NextUrl {
        body: Option<Pointer>,
        header: Option<String>,
        size_param: Option<String>,
        size: Option<u64>,
    },
    /// What to send for the next page is in the response: `page.after`.
    Cursor {
        next: Locator,
        param: Option<String>,
        /// Where it goes in the JSON body, a dotted path.
        into: Option<String>,
        /// Says whether there is a next page.
        more: Option<Locator>,
        /// Says the opposite: whether this page is the last one.
        end: Option<Locator>,
        size_param: Option<String>,
        size: Option<u64>,
    },
    /// A page begins after the last record of the one before: `page.after`.
    Keyset {
        /// Where in a record the value is that records are sorted by, a dotted path.
        field: String,
        param: Option<String>,
        into: Option<String>,
        size_param: Option<String>,
        size: Option<u64>,
        /// What the first page begins after.
        start: Option<Json>,
        /// Says whether there is a next page, where the system does; else the next page tells.
        more: Option<Locator>,
    },
    /// `Range: unit=first-last` and `Content-Range: unit first-last/total`.
    ContentRange {
        #[serde(default = "items")]
        unit: String,
        size: u64,
    },
}

/// Where in a request a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestField<'m> {
    /// In the query.
    Param(&'m str),
    /// In the JSON body, a dotted path.
    Into(&'m str),
}

impl<'m> RequestField<'m> {
    /// The place that `param` and `into` name; none if the templates of the request do it.
    pub(crate) fn of(param: Option<&'m str>, into: Option<&'m str>) -> Option<Self> {
        param.map(RequestField::Param).or_else(|| into.map(RequestField::Into))
    }
}

impl Paginate {
    /// Records that a page is asked to have, and the parameter that says so.
    pub(crate) fn size(&self) -> (Option<u64>, Option<&str>) {
        match self {
            Paginate::None => (None, None),
            Paginate::Page { size, size_param, .. }
            | Paginate::Offset { size, size_param, .. }
            | Paginate::LinkHeader { size, size_param }
            | Paginate::NextUrl { size, size_param, .. }
            | Paginate::Cursor { size, size_param, .. }
            | Paginate::Keyset { size, size_param, .. } => (*size, size_param.as_deref()),
            Paginate::ContentRange { size, .. } => (Some(*size), None),
        }
    }

    /// Where the state goes in the next request.
    pub(crate) fn place(&self) -> Option<RequestField<'_>> {
        match self {
            Paginate::Page { param, into, .. }
            | Paginate::Offset { param, into, .. }
            | Paginate::Cursor { param, into, .. }
            | Paginate::Keyset { param, into, .. } => RequestField::of(param.as_deref(), into.as_deref()),
            _ => None,
        }
    }

    /// The places in bodies that say how to go on.
    pub(crate) fn pointers(&self) -> Vec<&Pointer> {
        let locators = match self {
            Paginate::Page { total_pages, total, .. } => [total_pages.as_ref(), total.as_ref()],
            Paginate::Offset { total, .. } => [total.as_ref(), None],
            Paginate::Cursor { next, more, end, .. } => [Some(next), more.as_ref().or(end.as_ref())],
            Paginate::Keyset { more, .. } => [more.as_ref(), None],
            Paginate::NextUrl { body, .. } => return body.iter().collect(),
            _ => [None, None],
        };
        locators.into_iter().flatten().filter_map(Locator::pointer).collect()
    }
}

fn one() -> u64 {
    1
}

fn items() -> String {
    "items".to_owned()
}
