//! Policies: the rows and the values that roles show of the relations that they read.
//!
//! A role is read from `cordada.yml` ([`config`]), filled for a user ([`template`]) and becomes a [`Grant`] of that user's
//! [`Access`]. Every relation that a statement names is opened through a [`gate`], and so is what the views behind it read:
//! what comes out is a [`relation`] whose scan is filtered and masked below a [`barrier`], whatever is planned above. A
//! [`view`] is such a boundary too, for who does not read what is behind it.

mod barrier;
mod check;
mod config;
mod failing;
mod gate;
mod grant;
mod key;
mod mask;
mod relation;
mod safe;
mod template;
mod view;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cordada_core::TableName;
use cordada_lake::query::gate::{Hides, Writes};
use cordada_lake::query::metadata::Described;
use cordada_lake::query::session::DEFAULT_SCHEMA;
use cordada_lake::{Lake, Release, journal};
use datafusion::catalog::{CatalogProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

pub(crate) use check::check;
pub use config::{Mask, Personal};
use gate::PolicyGate;
pub(crate) use grant::Grant;
pub(crate) use key::MaskKey;
use relation::{Planner, PolicedRelation};
pub(crate) use template::Asker;

use crate::access::Access;
use crate::bulk_ingest;

/// What a relation shows, if policies have a say in it.
pub(crate) fn shown_plan<'a>(relation: &'a (dyn TableProvider + 'static)) -> Option<&'a LogicalPlan> {
    relation.downcast_ref::<PolicedRelation>().map(PolicedRelation::plan)
}

/// Whether the plan reads a journal, behind policies too: those are read as they are now, so that such a plan is good once.
/// `default_schema` is that of tables that are named without one.
///
/// # Errors
/// The plan is not sound.
pub(crate) fn reads_journal(plan: &LogicalPlan, default_schema: &str) -> Result<bool> {
    let mut found = journal::is_read_by(plan, default_schema)?;
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(shown) = shown_plan(&*source_as_provider(&scan.source)?)
        {
            found = found || reads_journal(shown, default_schema)?;
        }
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// A relation by its catalog, which is of one release, and its name.
type Opened = (String, TableName);

/// The policies of an access, as of a release.
#[derive(Debug)]
pub(crate) struct Policies {
    planner: Planner,
    access: Arc<Access>,
    /// Relations that were opened, journals left out: these are read as they are now.
    opened: Mutex<HashMap<Opened, Arc<dyn TableProvider>>>,
}

impl Policies {
    /// `release` is the newest, whichever is read: it says what is personal, and what subqueries of policies read.
    pub(crate) fn new(lake: &Lake, release: Arc<Release>, access: Arc<Access>, key: Arc<MaskKey>) -> Self {
        Self {
            planner: Planner {
                lake: lake.clone(),
                release,
                key,
            },
            access,
            opened: Mutex::default(),
        }
    }

    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// The relation of that catalog as it is seen; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be opened, or its policies do not fit it.
    pub(crate) async fn open(
        &self,
        catalog_name: &str,
        catalog: &Arc<dyn CatalogProvider>,
        name: &TableName,
    ) -> Result<Option<Arc<dyn TableProvider>>> {
        let key = (catalog_name.to_owned(), name.clone());
        if let Some(relation) = self.opened().get(&key) {
            return Ok(Some(relation.clone()));
        }
        let grants: Vec<_> = self.access.limits(name).into_iter().cloned().collect();
        let is_limited = !grants.is_empty();
        let catalog = match is_limited {
            false => Some(catalog.clone()),
            true => {
                let gate = PolicyGate {
                    planner: self.planner.clone(),
                    named: name.clone(),
                    grants,
                };
                let lake = catalog.downcast_ref::<Described>();
                lake.map(|lake| lake.through(Arc::new(gate)))
            }
        };
        let Some(schema) = catalog.and_then(|catalog| catalog.schema(name.schema())) else {
            return Ok(None);
        };
        let Some(relation) = schema.table(name.name()).await? else {
            return Ok(None);
        };
        let relation = view::bounded(name, relation, &self.access, &self.planner)?;
        if is_limited || shown_plan(&*relation).is_some() {
            let reference = TableReference::partial(name.schema(), name.name());
            let scan = LogicalPlanBuilder::scan(reference, provider_as_source(relation.clone()), None)?;
            if !reads_journal(scan.plan(), DEFAULT_SCHEMA)? {
                self.opened().insert(key, relation.clone());
            }
        }
        Ok(Some(relation))
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<Opened, Arc<dyn TableProvider>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hides for Policies {
    fn hides(&self, relation: &TableName, column: &str) -> bool {
        self.access.hides(relation, column)
    }
}

impl Writes for Policies {
    fn writes(&self, relation: &TableName) -> bool {
        let (schema, name) = (relation.schema(), relation.name());
        bulk_ingest::takes(schema) && self.access.may_write(schema, name)
    }

    fn writes_schema(&self, schema: &str) -> bool {
        bulk_ingest::takes(schema) && self.access.may_write_schema(schema)
    }
}
