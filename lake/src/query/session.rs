//! Query sessions: the one place that makes them.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordada_core::TableName;
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionStateBuilder;
use datafusion::optimizer::Analyzer;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::lake::Lake;
use crate::query::catalog::{Handle, ReleaseCatalog};
use crate::query::comparisons::InOwnType;
use crate::query::functions;
use crate::query::operators::TextOperators;
use crate::query::relations::{self, DependentJoins};
use crate::release::Release;

/// The catalog's name in SQL.
pub const CATALOG: &str = "lake";

/// The schema of relations that are named without one.
pub const DEFAULT_SCHEMA: &str = "marts";

impl Lake {
    /// A session that reads `release`, in the catalog `lake` (the default one; default schema `marts`).
    pub fn session(&self, release: &Arc<Release>) -> SessionContext {
        self.session_with(release, BTreeMap::new())
    }

    /// A session that reads `release` with some relations added or replaced: how the SQL project is planned
    /// before its tables exist.
    pub fn session_with(
        &self,
        release: &Arc<Release>,
        overlay: BTreeMap<TableName, Arc<dyn TableProvider>>,
    ) -> SessionContext {
        self.session_over(ReleaseCatalog::new(self.clone(), release.clone(), overlay))
    }

    pub(crate) fn session_over(&self, catalog: Arc<ReleaseCatalog>) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.parallelism())
            .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
            .with_create_default_catalog_and_schema(false)
            .with_information_schema(true)
            .with_collect_statistics(true);
        let options = config.options_mut();
        // Exact decimals: a literal such as 0.21 is a DECIMAL, not a float, so that money stays money.
        options.sql_parser.parse_float_as_decimal = true;
        let mut rules = Analyzer::new().rules;
        rules.insert(0, Arc::new(InOwnType));
        rules.insert(0, Arc::new(DependentJoins));
        let mut builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime().clone())
            .with_default_features()
            .with_analyzer_rules(rules)
            .with_relation_planners(relations::planners());
        let planners = builder.expr_planners().get_or_insert_default();
        planners.insert(0, Arc::new(TextOperators::new()));
        let functions = functions::all();
        builder
            .scalar_functions()
            .get_or_insert_default()
            .extend(functions.scalar);
        builder
            .aggregate_functions()
            .get_or_insert_default()
            .extend(functions.aggregate);
        builder
            .window_functions()
            .get_or_insert_default()
            .extend(functions.window);
        let session = SessionContext::new_with_state(builder.build());
        session.register_catalog(CATALOG, Arc::new(Handle(catalog)));
        session
    }
}
