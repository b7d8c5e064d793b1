//! Query sessions: the one place that makes them.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use cordada_core::TableName;
use datafusion::catalog::{MemoryCatalogProviderList, TableProvider};
use datafusion::common::{Result, config_err};
use datafusion::config::{ConfigEntry, ConfigExtension, ConfigOptions, ExtensionOptions};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::lake::Lake;
use crate::query::arithmetic::{self, CheckedArithmetic, DoublesAmongDecimals, Guards};
use crate::query::by_value::ByValue;
use crate::query::casts::PostgresCasts;
use crate::query::catalog::ReleaseCatalog;
use crate::query::comparisons::InOwnType;
use crate::query::engine_rules;
use crate::query::functions;
use crate::query::in_lists::{ItemsOfRows, ListsApart};
use crate::query::long_lists::LongLists;
use crate::query::metadata::Described;
use crate::query::operators::TextOperators;
use crate::query::quantified;
use crate::query::relations::{self, DependentJoins};
use crate::query::row_order::OrderOfRows;
use crate::query::scalar_subqueries::OneValue;
use crate::query::set_operations::CountedRows;
use crate::query::shown::ShownValues;
use crate::query::subqueries::PredicateSubqueries;
use crate::query::subquery_places::SubqueriesAsColumns;
use crate::query::sums_of_sums::SumsOfSums;
use crate::query::time_operators::TimeOperators;
use crate::query::truth::AsComparisons;
use crate::query::types::Types;
use crate::query::without_from::WithoutFrom;
use crate::release::Release;

/// The catalog's name in SQL.
pub const CATALOG: &str = "lake";

/// The schema of relations that are named without one.
pub const DEFAULT_SCHEMA: &str = "marts";

/// Who owns everything, by the catalog's word.
pub(crate) const OWNER: &str = "cordada";

/// Who a statement runs for, among the options of its session: `current_user`.
#[derive(Debug, Clone)]
pub struct User(String);

impl User {
    /// The user of a session; without one, the owner of everything.
    pub(crate) fn of(config: &ConfigOptions) -> &str {
        config.extensions.get::<Self>().map_or(OWNER, |user| &user.0)
    }
}

/// The state of the session, to plan and run a statement of that user with.
pub fn state_for(session: &SessionContext, user: &str) -> SessionState {
    let mut state = session.state();
    state
        .config_mut()
        .options_mut()
        .extensions
        .insert(User(user.to_owned()));
    // The options of a statement are those of its start.
    state.mark_start_execution();
    state
}

/// How many bytes the values may take that a function makes of one batch, among the options of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResultLimit(usize);

impl ResultLimit {
    /// The part of a statement's memory.
    const PART: usize = 16;
    /// What a function may make however little memory there is.
    const LEAST: usize = 16 << 20;
    /// No array of texts holds more.
    const MOST: usize = i32::MAX as usize;

    /// For a statement with so many bytes of memory.
    fn new(memory: usize) -> Self {
        Self((memory / Self::PART).clamp(Self::LEAST, Self::MOST))
    }

    /// The limit of a session; one that was made elsewhere has that of arrays.
    pub(crate) fn of(config: &ConfigOptions) -> usize {
        config.extensions.get::<Self>().map_or(Self::MOST, |limit| limit.0)
    }
}

/// Has the functions of a statement make no more than fits the bytes of memory that it may take.
pub(crate) fn limit_results(state: &mut SessionState, memory: usize) {
    let options = state.config_mut().options_mut();
    options.extensions.insert(ResultLimit::new(memory));
}

impl ConfigExtension for ResultLimit {
    const PREFIX: &'static str = "cordada_result_limit";
}

impl ExtensionOptions for ResultLimit {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(*self)
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        config_err!("{key} cannot be set")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

impl ConfigExtension for User {
    const PREFIX: &'static str = "cordada_user";
}

impl ExtensionOptions for User {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn cloned(&self) -> Box<dyn ExtensionOptions> {
        Box::new(self.clone())
    }

    fn set(&mut self, key: &str, _value: &str) -> Result<()> {
        config_err!("{key} cannot be set")
    }

    fn entries(&self) -> Vec<ConfigEntry> {
        Vec::new()
    }
}

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
        let mut state = self.session_state(|| self.new_session_state()).clone();
        state.register_catalog_list(Arc::new(MemoryCatalogProviderList::new()));
        if let Some(hot) = self.hot_columns() {
            state.config_mut().set_extension(hot.clone());
        }
        let session = SessionContext::new_with_state(state);
        session.register_catalog(CATALOG, Arc::new(Described::new(catalog)));
        session
    }

    /// A session's functions, rules and options, which are the same in all: some thousand of them, made once.
    fn new_session_state(&self) -> SessionState {
        let mut config = SessionConfig::new()
            .with_target_partitions(self.parallelism())
            .with_default_catalog_and_schema(CATALOG, DEFAULT_SCHEMA)
            .with_create_default_catalog_and_schema(false)
            // The catalog has one of its own: `metadata`.
            .with_information_schema(false)
            .with_collect_statistics(true);
        let options = config.options_mut();
        // Exact decimals: a literal such as 0.21 is a DECIMAL, not a float, so that money stays money.
        options.sql_parser.parse_float_as_decimal = true;
        // The rows of a subquery come in its order, as far as nothing above it has another.
        options.sql_parser.enable_subquery_sort_elimination = false;
        options.extensions.insert(ResultLimit::new(self.memory()));
        let mut rules = Analyzer::new().rules;
        let first: [Arc<dyn AnalyzerRule + Send + Sync>; 16] = [
            Arc::new(WithoutFrom),
            Arc::new(OrderOfRows),
            Arc::new(SubqueriesAsColumns),
            Arc::new(OneValue),
            Arc::new(DependentJoins),
            Arc::new(CountedRows),
            Arc::new(SumsOfSums),
            Arc::new(ItemsOfRows),
            Arc::new(ByValue),
            Arc::new(InOwnType),
            Arc::new(ShownValues),
            Arc::new(PostgresCasts { written: true }),
            Arc::new(CheckedArithmetic),
            Arc::new(Guards),
            Arc::new(AsComparisons),
            Arc::new(DoublesAmongDecimals),
        ];
        rules.splice(0..0, first);
        rules.push(Arc::new(PostgresCasts { written: false }));
        rules.push(Arc::new(ListsApart));
        let mut optimizer = engine_rules::logical();
        // Before the rule that makes joins of subqueries in filters, after the one that makes EXISTS of ANY and ALL.
        optimizer.insert(1, Arc::new(PredicateSubqueries));
        let mut physical = engine_rules::physical();
        physical.push(Arc::new(LongLists));
        let mut builder = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.runtime().clone())
            .with_default_features()
            .with_analyzer_rules(rules)
            .with_optimizer_rules(optimizer)
            .with_physical_optimizer_rules(physical)
            .with_type_planner(Arc::new(Types))
            .with_relation_planners(relations::planners());
        let power = functions::power();
        let planners: [Arc<dyn ExprPlanner>; 5] = [
            Arc::new(quantified::Planner),
            Arc::new(InOwnType),
            Arc::new(TimeOperators),
            Arc::new(TextOperators::new()),
            Arc::new(arithmetic::Planner { power }),
        ];
        builder.expr_planners().get_or_insert_default().splice(0..0, planners);
        functions::dates::series::add_to(builder.table_functions().get_or_insert_default());
        let functions = functions::all();
        let scalar = builder.scalar_functions().get_or_insert_default();
        scalar.extend(functions.scalar);
        functions::bound(scalar);
        builder
            .aggregate_functions()
            .get_or_insert_default()
            .extend(functions.aggregate);
        builder
            .window_functions()
            .get_or_insert_default()
            .extend(functions.window);
        builder.build()
    }
}
