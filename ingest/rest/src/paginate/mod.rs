//! From one page to the next, and never for ever.
//!
//! Whatever the system says, a page with the records of the one before, an address or a cursor that was there already,
//! and more pages than the manifest allows are errors.

mod follow;
mod links;
mod numbered;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use cordada_core::{Error, Result};
use cordada_http::answer::Answer;
use cordada_http::outgoing::{Addition, Outgoing, text};
use serde_json::{Value as Json, json};
use url::Url;

use super::manifest::{Paginate, RequestField};

/// Where in a stream of pages we are.
pub(crate) struct Pager<'p> {
    paginate: &'p Paginate,
    max_pages: u64,
    state: Position,
}

/// What there is to know of the pages so far; it outlives the [`Pager`] that moves it on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Position {
    /// Pages that have been read.
    pages: u64,
    /// Records that have been read.
    records: u64,
    /// Where the next page begins: after so many records, with those of a page that should have had some.
    offset: u64,
    /// What the next page begins after.
    after: Option<Json>,
    /// Where the next page is.
    url: Option<Url>,
    /// Of the records of the last page.
    digest: Option<u64>,
    /// Of the records of all pages.
    digests: HashSet<u64>,
    /// Addresses and cursors that have been.
    seen: HashSet<u64>,
}

/// What follows a page.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    End,
    Page,
    /// There may be a page: one without anything new is the end, and no error.
    Perhaps,
}

impl<'p> Pager<'p> {
    /// Goes on from a position; the first page is at the default one.
    pub(crate) fn new(paginate: &'p Paginate, max_pages: u64, state: Position) -> Self {
        Self {
            paginate,
            max_pages,
            state,
        }
    }

    /// `page` in templates.
    pub(crate) fn scope(&self) -> Json {
        let start = match self.paginate {
            Paginate::Page { start, .. } | Paginate::Offset { start, .. } => *start,
            _ => 0,
        };
        let after = self.state.after.clone().or_else(|| match self.paginate {
            Paginate::Keyset { start, .. } => start.clone(),
            _ => None,
        });
        json!({
            "index": self.state.pages,
            "number": start.saturating_add(self.state.pages),
            "offset": start.saturating_add(self.state.offset),
            "size": self.paginate.size().0,
            "after": after,
        })
    }

    /// What the request for the next page has more than others.
    pub(crate) fn addition(&self) -> Result<Addition> {
        let mut added = Addition::default();
        if let Some(url) = &self.state.url {
            // The address of a next page is complete.
            added.url = Some(url.clone());
            return Ok(added);
        }
        if let (Some(size), Some(param)) = self.paginate.size() {
            added.params.push((param.to_owned(), size.to_string()));
        }
        let scope = self.scope();
        let value = match self.paginate {
            Paginate::Page { .. } => scope.get("number"),
            Paginate::Offset { .. } => scope.get("offset"),
            Paginate::Cursor { .. } | Paginate::Keyset { .. } => scope.get("after"),
            Paginate::ContentRange { unit, size } => {
                added.headers.push(numbered::range(unit, self.state.records, *size));
                None
            }
            Paginate::None | Paginate::LinkHeader { .. } | Paginate::NextUrl { .. } => None,
        };
        if let Some(value) = value.filter(|value| !value.is_null()) {
            match self.paginate.place() {
                Some(RequestField::Param(name)) => added.params.extend(text(value).map(|text| (name.to_owned(), text))),
                Some(RequestField::Into(path)) => added.into = Some((path.to_owned(), value.clone())),
                None => {}
            }
        }
        Ok(added)
    }

    /// Takes note of a page that came from where `asked` went. Whether it is a page at all (what is asked for to see
    /// whether there is one may not be), and the position of the next one, if there is one.
    pub(crate) fn advance(mut self, answer: &Answer, asked: &Outgoing, probing: bool) -> Result<(bool, Option<Turn>)> {
        let number = self.state.pages + 1;
        let doing = || format!("reading page {number} of {}", asked.place.text);
        let rows = answer.rows();
        if rows > 0 && self.state.digests.contains(&answer.digest()) {
            if probing && self.state.digest == Some(answer.digest()) {
                return Ok((false, None));
            }
            let why = match self.state.digest == Some(answer.digest()) {
                true => "it is the same as the page before",
                false => "it is the same as a page that has been read already",
            };
            return Err(Error::failed(doing(), why)
                .hint("check `paginate` in the manifest: the system seems not to understand it"));
        }
        let next = self.next(answer, asked)?;
        self.state.digest = Some(answer.digest());
        self.state.digests.insert(answer.digest());
        self.state.pages += 1;
        self.state.records += rows;
        let passed = match rows {
            0 => self.paginate.size().0.unwrap_or_default(),
            rows => rows,
        };
        self.state.offset = self.state.offset.saturating_add(passed);
        if next == Next::End {
            return Ok((true, None));
        }
        if self.state.pages >= self.max_pages {
            return Err(
                Error::failed(doing(), format!("there are more than {} pages", self.max_pages))
                    .hint("check `paginate` in the manifest, or raise `limits.max_pages`"),
            );
        }
        let probing = next == Next::Perhaps;
        Ok((
            true,
            Some(Turn {
                position: self.state,
                probing,
            }),
        ))
    }

    fn next(&mut self, answer: &Answer, asked: &Outgoing) -> Result<Next> {
        match self.paginate {
            Paginate::None => Ok(Next::End),
            Paginate::Page {
                size,
                total_pages,
                total,
                ..
            } => Ok(numbered::by_page(
                &self.state,
                answer,
                *size,
                total_pages.as_ref(),
                total.as_ref(),
            )),
            Paginate::Offset { size, total, .. } => Ok(numbered::by_offset(&self.state, answer, *size, total.as_ref())),
            Paginate::ContentRange { size, .. } => Ok(numbered::by_range(&self.state, answer, *size)),
            Paginate::LinkHeader { .. } => {
                let next = links::next(answer.headers.get_all("link"));
                self.follow(next, asked)
            }
            Paginate::NextUrl { body, header, .. } => {
                let next = follow::address(answer, body.as_ref(), header.as_deref());
                self.follow(next, asked)
            }
            Paginate::Cursor { next, more, end, .. } => {
                let promised = follow::promises(answer, more.as_ref(), end.as_ref());
                let next = follow::cursor(answer, next, more.as_ref(), end.as_ref());
                if promised && next.is_none() {
                    return Err(self.contradicts(asked, "does not say where"));
                }
                self.begin_after(next, asked)
            }
            Paginate::Keyset { field, size, more, .. } => {
                let after = match more.as_ref().and_then(|more| answer.locate(more)) {
                    Some(flag) if follow::is_no(&flag) => Next::End,
                    Some(_) if answer.rows() == 0 => return Err(self.contradicts(asked, "has no records")),
                    Some(_) => Next::Page,
                    None => numbered::short(answer.rows(), *size).unwrap_or(Next::Page),
                };
                if after == Next::End {
                    return Ok(Next::End);
                }
                let last = follow::last(answer, field)?;
                // Where a page begins with the last record of the one before, the last one is that record alone.
                if after == Next::Perhaps && self.state.after.as_ref() == Some(&last) {
                    return Ok(Next::End);
                }
                self.begin_after(Some(last), asked)?;
                Ok(after)
            }
        }
    }

    /// The error about a page after which there is more, but nothing to go on from: to stop there would be to take half
    /// of a table for all of it.
    fn contradicts(&self, asked: &Outgoing, what: &str) -> Error {
        let doing = format!("reading page {} of {}", self.state.pages + 1, asked.place.text);
        Error::unavailable(doing, format!("it says that there is more, and {what}")).hint("run again later")
    }

    fn follow(&mut self, next: Option<String>, asked: &Outgoing) -> Result<Next> {
        let Some(next) = next else {
            return Ok(Next::End);
        };
        let next = cordada_http::outgoing::join(&asked.url, &next)?;
        self.state.seen.insert(hash(asked.url.as_str()));
        self.is_new(next.as_str(), asked)?;
        self.state.url = Some(next);
        Ok(Next::Page)
    }

    fn begin_after(&mut self, next: Option<Json>, asked: &Outgoing) -> Result<Next> {
        let Some(next) = next else {
            return Ok(Next::End);
        };
        self.is_new(&next.to_string(), asked)?;
        self.state.after = Some(next);
        Ok(Next::Page)
    }

    /// That the way to the next page is one that has not been gone.
    fn is_new(&mut self, way: &str, asked: &Outgoing) -> Result<()> {
        if self.state.seen.insert(hash(way)) {
            return Ok(());
        }
        let doing = format!("reading page {} of {}", self.state.pages + 1, asked.place.text);
        Err(Error::failed(doing, "it leads to a page that has been read already")
            .hint("check `paginate` in the manifest: the pages would never end"))
    }
}

/// The next page to ask for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turn {
    pub(crate) position: Position,
    /// Whether it is only asked for to see whether there is one.
    pub(crate) probing: bool,
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
