//! What becomes of which columns.

use std::collections::BTreeMap;

use cordada_core::names::snake_case;
use cordada_core::source_names::{SourceNames, is_column};

use super::Normal;
use crate::options::Transform;

/// What becomes of a column, or of those within it.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) transform: Option<(Transform, Normal)>,
    /// As they are written in the configuration, by the source's name or the lake's.
    pub(super) written: BTreeMap<String, Node>,
    /// By what exactly the source calls them; `None` for those of which nothing becomes.
    pub(super) exactly: BTreeMap<String, Option<Node>>,
    /// By their names in the lake, as [`Node::exactly`].
    lake: BTreeMap<String, Option<Node>>,
}

impl Node {
    /// What becomes of what the source calls so.
    pub(super) fn child(&self, source: &str) -> Option<&Node> {
        match self.exactly.get(source) {
            Some(known) => known.as_ref(),
            None => self.meant(source, &snake_case(source)),
        }
    }

    /// What becomes of the column of that name in the lake.
    pub(super) fn of_column(&self, lake: &str) -> Option<&Node> {
        match self.lake.get(lake) {
            Some(known) => known.as_ref(),
            None => self.meant("", lake),
        }
    }

    /// What is written of the column `lake`, which the source calls `source`.
    fn meant(&self, source: &str, lake: &str) -> Option<&Node> {
        let written = || {
            self.written
                .iter()
                .find(|(written, _)| is_column(source, lake, written))
        };
        let found = self.written.get(source).or_else(|| self.written.get(lake));
        found.or_else(|| written().map(|(_, node)| node))
    }

    /// Whether nothing becomes of anything within.
    pub(super) fn is_empty(&self) -> bool {
        self.written.is_empty() && self.exactly.values().all(Option::is_none)
    }

    /// The same where there are columns of these names: a dot in one of them leads into no record.
    pub(super) fn beside<'s>(&self, sources: impl IntoIterator<Item = &'s str>) -> Node {
        let mut beside = self.clone();
        for source in sources {
            if source.contains('.') && self.exactly.contains_key(source) {
                let path: Vec<_> = source.split('.').collect();
                beside.forget(&path);
            }
        }
        beside
    }

    /// Forgets what is written of that path.
    fn forget(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else {
            self.transform = None;
            return;
        };
        if let Some(child) = self.written.get_mut(*first) {
            child.forget(rest);
            if child.transform.is_none() && child.is_empty() {
                self.written.remove(*first);
            }
        }
    }

    /// The same for columns of those `names`.
    pub(super) fn named(&self, names: &SourceNames) -> Node {
        let written = self.beside(names.columns().map(|(source, _)| source));
        let mut named = written.clone();
        for (source, lake) in names.columns() {
            let given = self.exactly.get(source).and_then(Option::as_ref);
            let child = given.or_else(|| written.meant(source, lake));
            let child = child.map(|child| match names.fields(lake) {
                Some(fields) => child.named(fields),
                None => child.clone(),
            });
            // What is not known of its source may be called anything.
            if !source.is_empty() {
                let known = named.exactly.entry(source.to_owned()).or_default();
                *known = child.clone().or(known.take());
            }
            named.lake.insert(lake.to_owned(), child);
        }
        named
    }
}
