//! Grouping sets that the engine does not take: those in which an expression comes more than once, `cube (a, a)`,
//! `a, rollup (a, b)`; with columns that come together, `rollup ((a, b), c)`; and of other grouping sets,
//! `grouping sets (rollup (a, b), (c))`. (PostgreSQL, "GROUPING SETS, CUBE, and ROLLUP".)
//!
//! An expression that comes more than once is the same as once, while a set that does gives its rows as often.

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{Expr, Function, FunctionArguments, GroupByExpr};

use super::calls::{name_of, plain_args};
use super::groupings::MOST;

/// Writes the sets out, each without repetitions, where the engine would not.
///
/// # Errors
/// Plan: there are too many sets.
pub(super) fn rewrite(group_by: &mut GroupByExpr) -> Result<()> {
    let GroupByExpr::Expressions(keys, _) = group_by else {
        return Ok(());
    };
    let is_set = |key: &Expr| matches!(key, Expr::Cube(_) | Expr::Rollup(_) | Expr::GroupingSets(_));
    for key in keys.iter_mut() {
        if let Expr::GroupingSets(sets) = key {
            *sets = without_nested(sets)?;
        }
    }
    if !keys.iter().any(is_set) || !(has_tuples(keys) || repeats(keys)) {
        return Ok(());
    }
    let mut all: Vec<Vec<Expr>> = vec![Vec::new()];
    for key in keys.iter() {
        let sets = sets(key)?;
        if all.len().saturating_mul(sets.len()) > MOST {
            return too_many();
        }
        let with = |before: &Vec<Expr>, set: &Vec<Expr>| [before.as_slice(), set.as_slice()].concat();
        all = all
            .iter()
            .flat_map(|before| sets.iter().map(move |set| with(before, set)))
            .collect();
    }
    for set in &mut all {
        let mut once = Vec::with_capacity(set.len());
        for expr in set.drain(..) {
            if !once.contains(&expr) {
                once.push(expr);
            }
        }
        *set = once;
    }
    *keys = vec![Expr::GroupingSets(all)];
    Ok(())
}

fn too_many<T>() -> Result<T> {
    plan_err!("GROUP BY has more than {MOST} grouping sets")
}

/// The sets, with those in the place of each ROLLUP and CUBE among them, which the parser reads as calls of functions.
fn without_nested(sets: &[Vec<Expr>]) -> Result<Vec<Vec<Expr>>> {
    let mut all = Vec::with_capacity(sets.len());
    for set in sets {
        match set.as_slice() {
            [Expr::Function(call)] => match nested(call) {
                Some(nested) => all.extend(self::sets(&nested)?),
                None => all.push(set.clone()),
            },
            _ => all.push(set.clone()),
        }
        if all.len() > MOST {
            return too_many();
        }
    }
    Ok(all)
}

/// The grouping sets that a call within others stands for, if it is no function's.
fn nested(call: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &call.args else {
        return None;
    };
    let make = match name_of(&call.name)?.as_str() {
        "rollup" => Expr::Rollup,
        "cube" => Expr::Cube,
        _ => return None,
    };
    let part = |part: Expr| match part {
        Expr::Tuple(exprs) => exprs,
        Expr::Nested(expr) => vec![*expr],
        expr => vec![expr],
    };
    Some(make(plain_args(&list.args)?.into_iter().map(part).collect()))
}

/// Whether columns come together in a ROLLUP or a CUBE: `rollup ((a, b), c)`.
fn has_tuples(keys: &[Expr]) -> bool {
    let is_tuple = |parts: &[Vec<Expr>]| parts.iter().any(|part| part.len() != 1);
    keys.iter()
        .any(|key| matches!(key, Expr::Cube(parts) | Expr::Rollup(parts) if is_tuple(parts)))
}

/// Whether a set has an expression twice, in itself or with those of other keys.
fn repeats(keys: &[Expr]) -> bool {
    let mut seen: Vec<&Expr> = Vec::new();
    keys.iter().any(|key| {
        let own: Vec<&Expr> = match key {
            Expr::Cube(parts) | Expr::Rollup(parts) => parts.iter().flatten().collect(),
            Expr::GroupingSets(sets) => {
                if sets.iter().any(|set| has_twice(&set.iter().collect::<Vec<_>>())) {
                    return true;
                }
                sets.iter().flatten().collect()
            }
            expr => vec![expr],
        };
        let is_again = own.iter().any(|expr| seen.contains(expr));
        let is_twice = !matches!(key, Expr::GroupingSets(_)) && has_twice(&own);
        seen.extend(own);
        is_again || is_twice
    })
}

fn has_twice(exprs: &[&Expr]) -> bool {
    let mut rest = exprs;
    while let Some((first, after)) = rest.split_first() {
        if after.contains(first) {
            return true;
        }
        rest = after;
    }
    false
}

/// The sets that a key stands for.
fn sets(key: &Expr) -> Result<Vec<Vec<Expr>>> {
    Ok(match key {
        Expr::Cube(parts) => {
            if parts.len() > MOST.ilog2() as usize {
                return too_many();
            }
            // From all of them to none, in the order of a binary number that counts down.
            let count = 1_usize << parts.len();
            let chosen = |mask: usize| {
                let parts = parts.iter().rev().enumerate().rev();
                let kept = parts.filter(move |(place, _)| mask & (1_usize << *place) != 0);
                kept.flat_map(|(_, part)| part.clone()).collect::<Vec<Expr>>()
            };
            (0..count).rev().map(chosen).collect()
        }
        Expr::Rollup(parts) => (0..=parts.len()).rev().map(|length| parts[..length].concat()).collect(),
        Expr::GroupingSets(sets) => sets.clone(),
        expr => vec![vec![expr.clone()]],
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::query::dialect::parse;

    #[test]
    fn sets_are_written_out_where_the_engine_would_not() {
        for (written, read) in [
            ("cube (a, a)", "GROUPING SETS ((a), (a), (a), ())"),
            ("rollup (a), a", "GROUPING SETS ((a), (a))"),
            ("grouping sets ((a, a), (b))", "GROUPING SETS ((a), (b))"),
            ("a, grouping sets ((a, b), ())", "GROUPING SETS ((a, b), (a))"),
            ("rollup ((a, b), c)", "GROUPING SETS ((a, b, c), (a, b), ())"),
            ("cube ((a, b))", "GROUPING SETS ((a, b), ())"),
            ("c, rollup ((a, b))", "GROUPING SETS ((c, a, b), (c))"),
            (
                "grouping sets (rollup (a, (b, c)), d, ())",
                "GROUPING SETS ((a, b, c), (a), (), (d), ())",
            ),
            (
                "grouping sets (grouping sets (a, (b, c)), cube (a))",
                "GROUPING SETS ((a), (b, c), (a), ())",
            ),
            ("grouping sets (lower(a), ())", "GROUPING SETS ((lower(a)), ())"),
            ("cube (a, b)", "CUBE (a, b)"),
            ("a, rollup (b)", "a, ROLLUP (b)"),
            ("grouping sets ((a, b), (a), ())", "GROUPING SETS ((a, b), (a), ())"),
        ] {
            let statement = parse(&format!("select 1 from t group by {written}")).unwrap().statement;
            assert_eq!(
                statement.to_string(),
                format!("SELECT 1 FROM t GROUP BY {read}"),
                "{written}"
            );
        }
    }
}
