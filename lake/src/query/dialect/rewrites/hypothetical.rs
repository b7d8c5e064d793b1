//! `rank(x) within group (order by y)`: the place that a row of those values would have among the rows. (PostgreSQL,
//! "Hypothetical-Set Aggregate Functions".) It is counted: how many rows are before it, or equal to it.

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{Expr, Function, FunctionArguments, OrderByExpr, Statement};

use super::build;
use super::calls::{name_of, plain_args};
use super::templates;
use crate::query::walk;

/// Writes them as counts.
///
/// # Errors
/// Plan: there are not as many values as keys.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, |expr| {
        if let Expr::Function(call) = expr
            && !call.within_group.is_empty()
            && let Some(template) = template(call)
        {
            *expr = counted(call, template)?;
        }
        Ok(())
    })
}

/// What each is: `$1` is whether a row is before that of the values, `$2` whether it is before or equal, `$3` its keys, `$4`
/// whether it counts.
fn template(call: &Function) -> Option<&'static str> {
    Some(match name_of(&call.name)?.as_str() {
        "rank" => "(count(*) filter (where $4 and $1) + 1)",
        "dense_rank" => "(count(distinct $3) filter (where $4 and $1) + 1)",
        "percent_rank" => {
            "coalesce(cast(count(*) filter (where $4 and $1) as double) / nullif(count(*) filter (where $4), 0), 0.0)"
        }
        "cume_dist" => "(cast(count(*) filter (where $4 and $2) + 1 as double) / (count(*) filter (where $4) + 1))",
        _ => return None,
    })
}

fn counted(call: &Function, template: &str) -> Result<Expr> {
    let values = match &call.args {
        FunctionArguments::List(list) => plain_args(&list.args).unwrap_or_default(),
        _ => Vec::new(),
    };
    if values.len() != call.within_group.len() {
        return plan_err!(
            "{} has {} values for {} keys of its order",
            call.name,
            values.len(),
            call.within_group.len()
        );
    }
    if call.over.is_some() {
        return plan_err!("{} has WITHIN GROUP or OVER, not both", call.name);
    }
    let pairs: Vec<_> = call.within_group.iter().zip(&values).collect();
    let before = before(&pairs, "false")?;
    let up_to = self::before(&pairs, "true")?;
    let keys = match call.within_group.as_slice() {
        [key] => key.expr.clone(),
        keys => super::calls::call("struct", keys.iter().map(|key| key.expr.clone())),
    };
    let counts = match &call.filter {
        Some(filter) => build::nested(filter.as_ref().clone()),
        None => templates::expression("true", &[])?,
    };
    templates::expression(template, &[before, up_to, keys, counts])
}

/// Whether a row's keys are before the values; of equal ones it is as `of_equal` says.
fn before(pairs: &[(&OrderByExpr, &Expr)], of_equal: &str) -> Result<Expr> {
    let Some(((key, value), rest)) = pairs.split_first() else {
        return templates::expression(of_equal, &[]);
    };
    let is_descending = key.options.asc == Some(false);
    let nulls_first = key.options.nulls_first.unwrap_or(is_descending);
    let sign = if is_descending { ">" } else { "<" };
    let of_nulls = match nulls_first {
        true => "($1 is null and $2 is not null)",
        false => "($2 is null and $1 is not null)",
    };
    let template = format!("(coalesce($1 {sign} $2, {of_nulls}) or ($1 is not distinct from $2 and $3))");
    let (key, value) = (build::nested(key.expr.clone()), build::nested((*value).clone()));
    templates::expression(&template, &[key, value, before(rest, of_equal)?])
}
