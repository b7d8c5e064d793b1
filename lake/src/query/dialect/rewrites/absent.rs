//! Functions that are not here and that people ask for: refused with what to write instead.

use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Statement, TableFactor, VisitorMut};

use super::calls::name_of;
use crate::query::walk;

/// What they are called, and what does it here.
const ABSENT: [(&[&str], &str); 9] = [
    (
        &["setseed"],
        "rows are read by several threads, so that random() has no order to repeat; for a sample that stays the same, order \
         by md5(concat(id, 'seed'))",
    ),
    (
        &["nextval", "currval", "lastval", "setval"],
        "a query only reads; row_number() over () numbers rows",
    ),
    (
        &[
            "to_tsvector",
            "to_tsquery",
            "plainto_tsquery",
            "phraseto_tsquery",
            "websearch_to_tsquery",
            "ts_rank",
            "ts_headline",
        ],
        "there is no index of words; write ilike '%word%', or ~* '\\yword\\y'",
    ),
    (
        &["crosstab"],
        "write PIVOT, or sum(x) filter (where k = 'a') for each column",
    ),
    (
        &[
            "int4range",
            "int8range",
            "numrange",
            "daterange",
            "tsrange",
            "tstzrange",
            "range_agg",
        ],
        "there are no ranges; compare their bounds, or write (a, b) overlaps (c, d)",
    ),
    (&["pg_sleep", "pg_sleep_for", "pg_sleep_until"], "a query does not wait"),
    (
        &["dblink", "postgres_fdw_get_connections"],
        "other databases are sources, which are landed",
    ),
    (
        &["xmlelement", "xmlforest", "xmlagg", "xpath", "xmltable", "query_to_xml"],
        "there is no XML; json_build_object and json_agg make JSON",
    ),
    (
        &[
            "json_populate_record",
            "jsonb_populate_record",
            "json_populate_recordset",
            "jsonb_populate_recordset",
        ],
        "write jsonb_to_record(document) as t(a int, b text), or jsonb_to_recordset(list) as t(…)",
    ),
];

/// Refuses them.
///
/// # Errors
/// Plan: the statement calls one.
pub(super) fn refuse(statement: &mut Statement) -> Result<()> {
    walk::rewrite(statement, &mut Refuse)
}

struct Refuse;

impl VisitorMut for Refuse {
    type Break = DataFusionError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<DataFusionError> {
        match expr {
            Expr::Function(call) => of_name(&call.name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<DataFusionError> {
        match factor {
            TableFactor::Table {
                name, args: Some(_), ..
            }
            | TableFactor::Function { name, .. } => of_name(name),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn of_name(name: &ObjectName) -> ControlFlow<DataFusionError> {
    let Some(name) = name_of(name) else {
        return ControlFlow::Continue(());
    };
    let absent = ABSENT.iter().find(|(names, _)| names.contains(&name.as_str()));
    match absent {
        Some((_, instead)) => ControlFlow::Break(DataFusionError::Plan(format!(
            "the function {name} is not supported: {instead}"
        ))),
        None => ControlFlow::Continue(()),
    }
}
