//! What tools write about PostgreSQL's catalog: `pg_class` without its schema, `'a.b'::regclass`, and functions that look
//! something up in the catalog, which become the queries that do.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::{DataFusionError, Result};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Query, Statement, Value, VisitorMut,
};

use super::templates::expression;
use crate::query::metadata::is_of_pg_catalog;
use crate::query::walk;

const PG_CATALOG: &str = "pg_catalog";

/// What looks up what a function says, by its name. `max` makes one row of what is at most one. The columns have names that
/// no argument has: `oid` in an argument is the column of the query around.
const LOOKUPS: [(&str, &str); 5] = [
    (
        "to_regclass",
        "(SELECT max(_of._key) FROM (SELECT oid AS _key FROM pg_catalog.pg_class) _of \
         WHERE _of._key = to_regclass($1))",
    ),
    (
        "obj_description",
        "(SELECT max(_of._what) FROM (SELECT objoid AS _key, objsubid AS _part, description AS _what \
         FROM pg_catalog.pg_description) _of WHERE _of._key = $1 AND _of._part = 0)",
    ),
    (
        "col_description",
        "(SELECT max(_of._what) FROM (SELECT objoid AS _key, objsubid AS _part, description AS _what \
         FROM pg_catalog.pg_description) _of WHERE _of._key = $1 AND _of._part = $2)",
    ),
    (
        "pg_get_viewdef",
        "(SELECT max(_of._what) FROM (SELECT ev_class AS _key, ev_action AS _what FROM pg_catalog.pg_rewrite) _of \
         WHERE _of._key = $1)",
    ),
    (
        "pg_get_constraintdef",
        "(SELECT max(_of._what) FROM (SELECT oid AS _key, consrc AS _what FROM pg_catalog.pg_constraint) _of \
         WHERE _of._key = $1)",
    ),
];

/// Whether the user has a privilege on a column: `$1` is the relation, `$2` the column's name or place, `$3` the privilege
/// on the relation.
const COLUMN_PRIVILEGE: &str = "($3 AND (SELECT count(*) > 0 FROM (SELECT attrelid AS _key, attname AS _name, \
    CAST(attnum AS VARCHAR) AS _place FROM pg_catalog.pg_attribute) _of WHERE _of._key = to_regclass($1) \
    AND (_of._name = CAST($2 AS VARCHAR) OR _of._place = CAST($2 AS VARCHAR))))";

/// The name of the relation with an identifier, as `regclass` writes it.
const RELATION: &str = "(SELECT max(_of._what) FROM (SELECT described.oid AS _key, \
    CASE WHEN named.nspname = current_schema() THEN described.relname \
    ELSE named.nspname || '.' || described.relname END AS _what FROM pg_catalog.pg_class described \
    JOIN pg_catalog.pg_namespace named ON named.oid = described.relnamespace) _of WHERE _of._key = $1)";

/// The name of the schema with an identifier.
const NAMESPACE: &str = "(SELECT max(_of._what) FROM (SELECT oid AS _key, nspname AS _what \
    FROM pg_catalog.pg_namespace) _of WHERE _of._key = $1)";

/// Rewrites them.
///
/// # Errors
/// None that a statement causes.
pub(super) fn rewrite(statement: &mut Statement) -> Result<()> {
    let mut names = Names {
        defined: BTreeSet::new(),
    };
    walk::rewrite(statement, &mut names)
}

struct Names {
    /// The names of the statement's own queries, which come before PostgreSQL's tables.
    defined: BTreeSet<String>,
}

impl VisitorMut for Names {
    type Break = DataFusionError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.defined
            .extend(tables.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn post_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<Self::Break> {
        if let [ObjectNamePart::Identifier(name)] = relation.0.as_slice() {
            let lower = name.value.to_lowercase();
            if is_of_pg_catalog(&lower) && !self.defined.contains(&lower) {
                relation.0.insert(0, ObjectNamePart::Identifier(Ident::new(PG_CATALOG)));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        match of_expression(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn of_expression(expr: &mut Expr) -> Result<()> {
    match expr {
        Expr::Function(function) => {
            let own = own_name(&mut function.name);
            if own.as_deref() == Some("has_column_privilege")
                && let Some(arguments) = arguments(function)
            {
                let (relation, column, on_relation) = match arguments.as_slice() {
                    [relation, column, privilege] => {
                        let asked = [relation.clone(), privilege.clone()];
                        (relation, column, expression("has_table_privilege($1, $2)", &asked)?)
                    }
                    [user, relation, column, privilege] => {
                        let asked = [user.clone(), relation.clone(), privilege.clone()];
                        (relation, column, expression("has_table_privilege($1, $2, $3)", &asked)?)
                    }
                    _ => return Ok(()),
                };
                *expr = expression(COLUMN_PRIVILEGE, &[relation.clone(), column.clone(), on_relation])?;
            } else if let Some(lookup) = own.and_then(|own| LOOKUPS.iter().find(|(name, _)| *name == own))
                && let Some(mut arguments) = arguments(function)
                && !(lookup.0 == "to_regclass" && arguments.first().is_some_and(names_catalog))
            {
                if let Some(first) = arguments.first_mut().filter(|first| is_text(first)) {
                    *first = expression("to_regclass($1)", std::slice::from_ref(first))?;
                }
                *expr = expression(lookup.1, &arguments)?;
            }
        }
        Expr::Cast {
            expr: inner, data_type, ..
        } => {
            let rewritten = match type_name(data_type).as_str() {
                "regclass" if is_text(inner) => Some("to_regclass($1)"),
                "regclass" => Some(RELATION),
                "regnamespace" if is_text(inner) => Some("to_regnamespace($1)"),
                "regnamespace" => Some(NAMESPACE),
                "regtype" if is_text(inner) => Some("to_regtype($1)"),
                "regtype" => Some("format_type($1, NULL)"),
                "oid" => Some("CAST($1 AS BIGINT)"),
                "name" => Some("CAST($1 AS VARCHAR)"),
                _ => None,
            };
            if let Some(rewritten) = rewritten {
                *expr = expression(rewritten, &[(**inner).clone()])?;
            }
        }
        // `a operator(pg_catalog.~) b`, as psql writes it.
        Expr::BinaryOp { op, .. } => {
            if let BinaryOperator::PGCustomBinaryOperator(parts) = op
                && let [schema, operator] = parts.as_slice()
                && schema == PG_CATALOG
                && let Some(plain) = operator_named(operator)
            {
                *op = plain;
            }
        }
        Expr::Collate { expr: inner, collation } if is_default(collation) => *expr = (**inner).clone(),
        _ => {}
    }
    Ok(())
}

/// The name in lower case, if it is without a schema or in PostgreSQL's, which is taken away.
/// Whether it is the collation of PostgreSQL that means none.
fn is_default(collation: &ObjectName) -> bool {
    own_name(&mut collation.clone()).as_deref() == Some("default")
}

fn own_name(name: &mut ObjectName) -> Option<String> {
    if let [ObjectNamePart::Identifier(schema), _] = name.0.as_slice()
        && schema.value.eq_ignore_ascii_case(PG_CATALOG)
    {
        name.0.remove(0);
    }
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(own)] => Some(own.value.to_lowercase()),
        _ => None,
    }
}

/// The arguments, if there are only plain ones.
fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    let plain = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    plain.collect()
}

/// Whether it is a text that names a relation of PostgreSQL's catalog, which is not listed there.
fn names_catalog(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => {
                let name = text.to_lowercase();
                is_of_pg_catalog(name.strip_prefix("pg_catalog.").unwrap_or(&name))
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether it is a text that names something, rather than its identifier.
fn is_text(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_) | Value::Placeholder(_))
    )
}

fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Regclass => "regclass".to_owned(),
        DataType::Custom(name, arguments) if arguments.is_empty() => own_name(&mut name.clone()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn operator_named(operator: &str) -> Option<BinaryOperator> {
    Some(match operator {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "=" => BinaryOperator::Eq,
        "<>" => BinaryOperator::NotEq,
        _ => return None,
    })
}
