//! The engine's rules of planning, and what keeps their mistakes from us: one file a mistake.

mod computed_keys;
mod distinct_sums;
mod equal_names;
mod flat_filters;
mod group_names;
mod grouping_sets;
mod mended;
mod null_keys;
mod outer_joins;
mod pass_through;
mod same_projections;
mod unique_keys;

use std::sync::Arc;

use datafusion::optimizer::{Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;

use computed_keys::KeysAsColumns;
use equal_names::Sound;
use flat_filters::FlatFilters;
use grouping_sets::NullsBesideGroups;
use mended::{Mended, Rewrite};
use outer_joins::NullsBesideConstants;
use unique_keys::KeysBesideProjections;

/// A rule of logical plans.
type Logical = Arc<dyn OptimizerRule + Send + Sync>;
/// A rule of physical plans.
type Physical = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// What stands for a rule of logical plans, by its name.
const MENDED: [(&str, Rewrite); 5] = [
    ("eliminate_group_by_constant", group_names::none_of_one_name),
    ("extract_equijoin_predicate", null_keys::none_added),
    ("eliminate_cross_join", null_keys::none_put_together),
    (
        "single_distinct_aggregation_to_group_by",
        distinct_sums::none_of_decimals,
    ),
    ("optimize_projections", same_projections::told_apart),
];

/// The rules of logical plans.
pub(super) fn logical() -> Vec<Logical> {
    let rules = Optimizer::new().rules.into_iter();
    rules
        .map(|rule| match MENDED.iter().find(|(name, _)| *name == rule.name()) {
            Some(&(_, rewrite)) => Arc::new(Mended { rule, rewrite }) as Logical,
            None => rule,
        })
        .chain([Arc::new(KeysAsColumns) as Logical])
        .collect()
}

/// The rules of physical plans.
pub(super) fn physical() -> Vec<Physical> {
    let rules = PhysicalOptimizer::new().rules.into_iter();
    let mut rules: Vec<_> = rules
        .map(|rule| match rule.name().starts_with("FilterPushdown") {
            true => Arc::new(Sound(rule)) as Physical,
            false => rule,
        })
        .collect();
    // Behind the rule that chooses joins.
    let chosen = rules.iter().position(|rule| rule.name() == "join_selection");
    let untold: [Physical; 3] = [
        Arc::new(NullsBesideConstants),
        Arc::new(NullsBesideGroups),
        Arc::new(KeysBesideProjections),
    ];
    let behind = chosen.map_or(0, |place| place + 1);
    rules.splice(behind..behind, untold);
    rules.push(Arc::new(FlatFilters));
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mended_is_there_under_its_name() {
        let logical = Optimizer::new().rules;
        for (name, _) in MENDED {
            assert!(logical.iter().any(|rule| rule.name() == name), "{name}");
        }
        let physical = PhysicalOptimizer::new().rules;
        for name in ["FilterPushdown", "FilterPushdown(Post)", "join_selection"] {
            assert!(physical.iter().any(|rule| rule.name() == name), "{name}");
        }
    }
}
