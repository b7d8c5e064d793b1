//! Filters of thousands of conditions: the engine joins them in a chain as deep as it is long, and computes a chain by
//! calling itself. A balanced tree of the same conditions, in the same order, is twelve levels deep.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};

use crate::query::pairs::in_pairs;

/// The length from which a chain is balanced.
const LONG: usize = 16;

/// Balances the conditions of filters, and those that files are skipped by.
#[derive(Debug)]
pub(super) struct FlatFilters;

impl PhysicalOptimizerRule for FlatFilters {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            Ok(match flat(&plan)? {
                Some(flat) => Transformed::yes(flat),
                None => Transformed::no(plan),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "flat_filters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The node with its chain balanced, if it has a long one.
fn flat(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let Some(predicate) = balanced(filter.predicate()) else {
            return Ok(None);
        };
        let filter = FilterExecBuilder::from(filter).with_predicate(predicate).build()?;
        return Ok(Some(Arc::new(filter)));
    }
    let Some(scan) = plan.downcast_ref::<DataSourceExec>() else {
        return Ok(None);
    };
    let Some((config, source)) = scan.downcast_to_file_source::<ParquetSource>() else {
        return Ok(None);
    };
    let Some(predicate) = source.filter().as_ref().and_then(balanced) else {
        return Ok(None);
    };
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source.with_predicate(predicate)));
    let scan = scan.clone().with_data_source(Arc::new(config.build()));
    Ok(Some(Arc::new(scan)))
}

/// The same conditions in a tree, if they are many.
fn balanced(predicate: &Arc<dyn PhysicalExpr>) -> Option<Arc<dyn PhysicalExpr>> {
    let (mut conditions, mut rest) = (Vec::new(), vec![predicate]);
    while let Some(expr) = rest.pop() {
        match expr.downcast_ref::<BinaryExpr>() {
            Some(and) if *and.op() == Operator::And => rest.extend([and.right(), and.left()]),
            _ => conditions.push(expr.clone()),
        }
    }
    if conditions.len() < LONG {
        return None;
    }
    in_pairs(conditions, |left, right| {
        Arc::new(BinaryExpr::new(left, Operator::And, right)) as _
    })
}
