//! Patterns: LIKE with any escape character and with several patterns, SIMILAR TO, RLIKE, `substring(… from pattern)`,
//! COLLATE.

use datafusion::common::{Result, plan_err};
use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, Expr, FunctionArguments, ObjectName, Statement, UnaryOperator,
};

use super::calls::{call, literal, name_of, plain_args, take, text};
use crate::query::functions::text::pattern::{of_like, of_similar};
use crate::query::walk;

/// Rewrites patterns in the statement.
///
/// # Errors
/// Plan: an escape that is not one character, or a collation that is not known.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    walk::each(statement, of_expression)
}

fn of_expression(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Like { .. } | Expr::ILike { .. } => like(expr),
        Expr::SimilarTo {
            negated,
            expr: value,
            pattern,
            escape_char,
        } => {
            let escape = escape_char.take().map(Expr::Value);
            let pattern = match (literal(pattern), escape.as_ref().map(literal)) {
                (Some(pattern), None) => text(of_similar(pattern, Some('\\'))?),
                (Some(pattern), Some(Some(escape))) if escape.chars().count() < 2 => {
                    text(of_similar(pattern, escape.chars().next())?)
                }
                _ => call("similar_to_escape", [take(pattern)].into_iter().chain(escape)),
            };
            *expr = negatable(*negated, call("regexp_like", [take(value), pattern]));
            Ok(())
        }
        Expr::RLike {
            negated,
            expr: value,
            pattern,
            ..
        } => {
            *expr = negatable(*negated, call("regexp_like", [take(value), take(pattern)]));
            Ok(())
        }
        // A text behind FROM is a pattern, and a number a place.
        Expr::Substring {
            expr: value,
            substring_from: Some(from),
            substring_for: None,
            shorthand: false,
            ..
        } if literal(from).is_some() => {
            *expr = call("substring_of_pattern", [take(value), take(from)]);
            Ok(())
        }
        Expr::Collate { expr: value, collation } => {
            *expr = collated(take(value), collation)?;
            Ok(())
        }
        Expr::Function(function) => {
            // `normalize(x, NFC)`: the form is a word.
            if name_of(&function.name).as_deref() == Some("normalize")
                && let FunctionArguments::List(list) = &mut function.args
                && let Some(args) = plain_args(&list.args)
                && let [value, Expr::Identifier(form)] = args.as_slice()
            {
                *expr = call("normalize", [value.clone(), text(&form.value)]);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn negatable(negated: bool, expr: Expr) -> Expr {
    match negated {
        true => Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(expr),
        },
        false => expr,
    }
}

/// LIKE and ILIKE, with one pattern or several.
fn like(expr: &mut Expr) -> Result<()> {
    let insensitive = matches!(expr, Expr::ILike { .. });
    let (Expr::Like {
        negated,
        any,
        expr: value,
        pattern,
        escape_char,
    }
    | Expr::ILike {
        negated,
        any,
        expr: value,
        pattern,
        escape_char,
    }) = expr
    else {
        return Ok(());
    };
    if let Some(escape) = escape_char.take() {
        escape_each(pattern, Expr::Value(escape))?;
    }
    let quantified = match (*any, pattern.as_ref()) {
        (true, pattern) => Some((true, pattern.clone())),
        // ALL and SOME are read as functions.
        (false, Expr::Function(function)) => match (name_of(&function.name).as_deref(), &function.args) {
            (Some(word @ ("all" | "some" | "any")), FunctionArguments::List(list)) => {
                plain_args(&list.args).map(|mut args| {
                    let one = if args.len() == 1 { args.pop() } else { None };
                    (word != "all", one.unwrap_or(Expr::Tuple(args)))
                })
            }
            _ => None,
        },
        _ => None,
    };
    let Some((any, patterns)) = quantified else {
        return Ok(());
    };
    let word = if insensitive { "ilike" } else { "like" };
    // `not like any` is not like one of them, and `not like all` not like all of them.
    let one = |pattern: Expr| {
        let (negated, expr) = (*negated, Box::new(Expr::Nested(value.clone())));
        let (pattern, escape_char) = (Box::new(pattern), None);
        match insensitive {
            true => Expr::ILike {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            },
            false => Expr::Like {
                negated,
                any: false,
                expr,
                pattern,
                escape_char,
            },
        }
    };
    let op = || if any { BinaryOperator::Or } else { BinaryOperator::And };
    let joined = match patterns {
        Expr::Array(Array { elem, .. }) | Expr::Tuple(elem) if !elem.is_empty() => {
            elem.into_iter().map(one).reduce(|a, b| {
                let (left, right) = (Box::new(a), Box::new(b));
                Expr::BinaryOp { left, op: op(), right }
            })
        }
        Expr::Nested(inner) => match *inner {
            Expr::Array(Array { elem, .. }) if !elem.is_empty() => elem.into_iter().map(one).reduce(|a, b| {
                let (left, right) = (Box::new(a), Box::new(b));
                Expr::BinaryOp { left, op: op(), right }
            }),
            inner if literal(&inner).is_some() => Some(one(inner)),
            inner => Some(of_list(*negated, any, take(value), inner, word)),
        },
        literal_pattern if literal(&literal_pattern).is_some() => Some(one(literal_pattern)),
        list => Some(of_list(*negated, any, take(value), list, word)),
    };
    if let Some(joined) = joined {
        *expr = Expr::Nested(Box::new(joined));
    }
    Ok(())
}

/// Patterns that are a list which is not written out.
fn of_list(negated: bool, any: bool, value: Expr, list: Expr, word: &str) -> Expr {
    // Not like one of them is: not (like all of them).
    let name = if any == negated { "like_all" } else { "like_any" };
    negatable(negated, call(name, [value, list, text(word)]))
}

/// Puts a backslash in the place of another escape character, in one pattern or in several.
fn escape_each(pattern: &mut Expr, escape: Expr) -> Result<()> {
    match pattern {
        Expr::Nested(inner) => escape_each(inner, escape),
        Expr::Array(Array { elem, .. }) | Expr::Tuple(elem) => elem
            .iter_mut()
            .try_for_each(|pattern| escape_each(pattern, escape.clone())),
        pattern => {
            *pattern = match (literal(pattern), literal(&escape)) {
                (_, Some("\\")) => return Ok(()),
                (Some(pattern), Some(escape)) => text(of_like(pattern, escape)?),
                _ => call("like_escape", [take(pattern), escape]),
            };
            Ok(())
        }
    }
}

/// Texts are compared by their code points; a collation may take case or accents away.
fn collated(value: Expr, collation: &ObjectName) -> Result<Expr> {
    let names: Vec<String> = collation
        .0
        .iter()
        .map(|part| part.to_string().replace('"', "").to_lowercase())
        .collect();
    let mut value = value;
    for name in names.iter().filter(|name| *name != "pg_catalog") {
        let insensitive = name == "nocase" || name.contains("_ci") || name.ends_with("-ci");
        if insensitive {
            value = call("lower", [value]);
        }
        if name == "noaccent" || name.contains("_ai") {
            value = call("strip_accents", [value]);
        }
        let is_plain = matches!(
            name.as_str(),
            "c" | "posix" | "default" | "binary" | "ucs_basic" | "c.utf-8" | "c.utf8"
        ) || name.starts_with("unicode")
            || name.get(2..3).is_some_and(|c| matches!(c, "_" | "-"))
            || name == "en"
            || name == "es"
            || name == "de"
            || name == "fr"
            || name.contains("_bin")
            || name.contains("latin1_general")
            || name.contains("_cs");
        if !is_plain && !insensitive && name != "noaccent" {
            return plan_err!("the collation {name:?} is not known: texts are compared by their code points");
        }
    }
    Ok(value)
}
