//! Views that stay as they were tested.

use std::collections::BTreeSet;
use std::sync::Arc;

use cordada_core::Result;

use crate::lake::Lake;
use crate::query::sql;
use crate::release::{Relation, RelationKind, Release};

impl Lake {
    /// The view of that query, which goes on reading what `release` has: rows that are published later are not in it
    /// until it is made anew.
    ///
    /// # Errors
    /// Failed: the SQL is wrong.
    pub fn pinned_view(&self, query: &str, release: &Arc<Release>) -> Result<Relation> {
        let session = self.session(release);
        let mut names = BTreeSet::new();
        let mut queries = vec![query.to_owned()];
        while let Some(query) = queries.pop() {
            for name in sql::names(&session, &query)? {
                // Views of releases before views were pinned read what is in their release.
                if let Some(RelationKind::View { sql, reads }) = release.relation(&name).map(|relation| &relation.kind)
                    && reads.is_empty()
                    && !names.contains(&name)
                {
                    queries.push(sql.clone());
                }
                names.insert(name);
            }
        }
        Ok(Relation::pinned_view(query, &names, release))
    }
}
