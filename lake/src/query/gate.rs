//! What stands between the relations of a release and whoever reads them.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use cordada_core::TableName;
use datafusion::catalog::TableProvider;
use datafusion::error::Result;

use crate::release::DocsRef;

/// Decides what is seen of a relation. All that is opened passes it: what a statement names, what the views that it names
/// read, in the releases that either names by number.
#[async_trait]
pub trait Gate: Debug + Send + Sync {
    /// What is seen of the relation of that name. `docs` is what its release says of it, if it is in one.
    ///
    /// # Errors
    /// Nothing of it may be seen.
    async fn pass(
        &self,
        name: &TableName,
        relation: Arc<dyn TableProvider>,
        docs: Option<&DocsRef>,
    ) -> Result<Arc<dyn TableProvider>>;
}

/// Tells which columns somebody does not see at all.
pub trait Hides: Debug + Send + Sync {
    /// Whether the column of that relation is hidden.
    fn hides(&self, relation: &TableName, column: &str) -> bool;
}

/// Tells what somebody may write.
pub trait Writes: Debug + Send + Sync {
    /// Whether rows may be sent to a relation of that name.
    fn writes(&self, relation: &TableName) -> bool;

    /// Whether relations may be added to the schema.
    fn writes_schema(&self, schema: &str) -> bool;
}
