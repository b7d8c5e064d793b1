//! Aggregates that the engine lacks, and other products' names of those that it has.

use std::sync::Arc;

use datafusion::functions_aggregate as engine;
use datafusion::logical_expr::AggregateUDF;

use super::Functions;

mod by;
mod collected;
mod ordered;
mod percentiles;
mod simple;

pub(in crate::query) use ordered::leaving_rows;

/// The aggregates.
pub(super) fn all() -> Functions {
    let mut aggregate: Vec<Arc<AggregateUDF>> = vec![
        other_names(&engine::any_value::any_value_udaf(), &["arbitrary"]),
        other_names(&engine::first_last::first_value_udaf(), &["first"]),
        other_names(&engine::first_last::last_value_udaf(), &["last"]),
        other_names(
            &engine::bool_and_or::bool_and_udaf(),
            &["every", "logical_and", "booland_agg"],
        ),
        other_names(&engine::bool_and_or::bool_or_udaf(), &["logical_or", "boolor_agg"]),
        other_names(&engine::bit_and_or_xor::bit_and_udaf(), &["bitand_agg", "bit_and_agg"]),
        other_names(&engine::bit_and_or_xor::bit_or_udaf(), &["bitor_agg", "bit_or_agg"]),
        other_names(&engine::bit_and_or_xor::bit_xor_udaf(), &["bitxor_agg", "bit_xor_agg"]),
        other_names(
            &engine::approx_distinct::approx_distinct_udaf(),
            &["approx_count_distinct", "ndv", "hll", "approximate_count_distinct"],
        ),
        other_names(
            &engine::approx_percentile_cont::approx_percentile_cont_udaf(),
            &["approx_percentile", "approx_quantile", "percentile_approx"],
        ),
        ordered::function(other_names(
            &engine::array_agg::array_agg_udaf(),
            &["list", "collect_list", "group_array"],
        )),
        ordered::function(engine::string_agg::string_agg_udaf()),
        other_names(
            &engine::variance::var_samp_udaf(),
            &["var", "var_sample", "variance", "variance_samp"],
        ),
        other_names(
            &engine::variance::var_pop_udaf(),
            &["var_population", "varp", "variance_pop"],
        ),
        other_names(&engine::stddev::stddev_udaf(), &["stddev_samp", "stdev"]),
        other_names(&engine::stddev::stddev_pop_udaf(), &["stdevp"]),
    ];
    aggregate.extend(by::all());
    aggregate.extend(percentiles::all());
    aggregate.extend(simple::all());
    Functions {
        aggregate,
        ..Functions::default()
    }
}

/// The aggregate of the value whose key is the greatest or the least: `max_by` or `min_by`.
pub(in crate::query) fn by(name: &str) -> Option<Arc<AggregateUDF>> {
    by::all().find(|function| function.name() == name)
}

fn other_names(function: &AggregateUDF, names: &[&'static str]) -> Arc<AggregateUDF> {
    Arc::new(function.clone().with_aliases(names.iter().copied()))
}
