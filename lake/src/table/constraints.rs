//! What a table asks of its rows: `CHECK` constraints, column invariants and columns that are never null, which other
//! engines put on it (Delta protocol, "CHECK Constraints" and "Column Invariants").

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Error, Result, TableName};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::kernel::{DataType as DeltaType, MetadataValue, StructField, StructType};
use serde_json::Value;

use crate::table::history;
use crate::table::snapshot::TableSnapshot;

/// The beginning of the table property that holds a `CHECK` constraint; its name follows.
const CHECK: &str = "delta.constraints.";

/// The metadata of a column that holds its invariant.
const INVARIANT: &str = "delta.invariants";

/// Functions that mean the same to the engines that write constraints and to ours.
const FUNCTIONS: [&str; 8] = [
    "abs",
    "char_length",
    "character_length",
    "coalesce",
    "get_field",
    "length",
    "lower",
    "upper",
];

/// What every row of a table must be like.
#[derive(Debug, Default)]
pub(crate) struct Constraints(Vec<Constraint>);

#[derive(Debug)]
struct Constraint {
    /// As whoever reads of a row that breaks it knows it.
    name: String,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    /// True for every row.
    Holds(Arc<dyn PhysicalExpr>),
    /// The column has no null where its type says so.
    NotNull(StructField),
}

/// An incoming row that breaks a constraint of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRow {
    /// Its number in the batch, from 0.
    pub row: usize,
    /// What it breaks, without a value of it.
    pub reason: String,
}

/// What takes incoming rows that break a constraint of the table, from all partitions at once.
#[derive(Clone)]
pub struct TakeBroken(Arc<dyn Fn(&RecordBatch, &[BrokenRow]) -> Result<()> + Send + Sync>);

impl TakeBroken {
    /// Calls `take` with each batch, as it came in, that has such rows.
    pub fn new(take: impl Fn(&RecordBatch, &[BrokenRow]) -> Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }

    pub(crate) fn take(&self, batch: &RecordBatch, broken: &[BrokenRow]) -> Result<()> {
        (self.0)(batch, broken)
    }
}

impl fmt::Debug for TakeBroken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakeBroken")
    }
}

impl Constraints {
    /// The constraints of the table, for rows with its future columns `schema`.
    ///
    /// # Errors
    /// Failed for a constraint that cannot be told to hold: nothing may be written then.
    pub(crate) fn of(table: &TableName, snapshot: &TableSnapshot, schema: &SchemaRef) -> Result<Self> {
        let described = snapshot.described()?;
        let not_null = described.fields().filter(|field| has_required(field)).cloned();
        let mut all: Vec<Constraint> = not_null
            .map(|field| Constraint {
                name: match field.nullable {
                    false => format!("the column `{}` must not be null", field.name),
                    true => format!("the column `{}` must not have nulls within it", field.name),
                },
                rule: Rule::NotNull(field),
            })
            .collect();
        let mut expressions = invariants(table, &described)?;
        let properties = snapshot.metadata().configuration();
        let checks = properties
            .iter()
            .filter_map(|(key, sql)| Some((key.strip_prefix(CHECK)?.to_owned(), sql.clone())));
        expressions.extend(checks);
        expressions.sort();
        if !expressions.is_empty() {
            let planner = Planner::new(table, snapshot.schema(), schema)?;
            for (name, sql) in expressions {
                all.push(Constraint {
                    rule: Rule::Holds(planner.plan(&name, &sql)?),
                    name: format!("the table's constraint `{name}` must hold: {sql}"),
                });
            }
        }
        Ok(Self(all))
    }

    /// The rows of a batch, which has the table's columns, that break a constraint; each with the first.
    pub(crate) fn broken(&self, batch: &RecordBatch) -> Result<Vec<BrokenRow>> {
        let mut broken: Vec<BrokenRow> = Vec::new();
        let mut known = BTreeSet::new();
        for Constraint { name, rule } in &self.0 {
            for row in rule.broken(batch).doing(|| format!("checking that {name}"))? {
                if known.insert(row) {
                    let reason = name.clone();
                    broken.push(BrokenRow { row, reason });
                }
            }
        }
        broken.sort_by_key(|broken| broken.row);
        Ok(broken)
    }
}

impl Rule {
    fn broken(&self, batch: &RecordBatch) -> datafusion::error::Result<Vec<usize>> {
        match self {
            Self::Holds(expression) => {
                let holds = expression.evaluate(batch)?.into_array(batch.num_rows())?;
                let holds: &BooleanArray = holds.as_boolean();
                let broken = |row: &usize| holds.is_null(*row) || !holds.value(*row);
                Ok((0..batch.num_rows()).filter(broken).collect())
            }
            Self::NotNull(field) => {
                let Some(values) = batch.column_by_name(&field.name) else {
                    return Ok((0..batch.num_rows()).collect());
                };
                let broken = forbidden_nulls(values, &field.data_type, field.nullable);
                let broken = broken.into_iter().enumerate().filter(|(_, broken)| *broken);
                Ok(broken.map(|(row, _)| row).collect())
            }
        }
    }
}

/// Plans the expressions of constraints.
struct Planner<'a> {
    table: &'a TableName,
    session: SessionContext,
    columns: DFSchema,
    /// Columns whose type changes so that comparisons mean something else.
    retyped: BTreeSet<&'a str>,
}

impl<'a> Planner<'a> {
    fn new(table: &'a TableName, before: &'a Schema, after: &SchemaRef) -> Result<Self> {
        let mut config = SessionConfig::new();
        config.options_mut().sql_parser.parse_float_as_decimal = true;
        let retyped = before.fields().iter().filter(|old| {
            let new = after.field_with_name(old.name());
            new.is_ok_and(|new| {
                new.data_type() != old.data_type() && !(new.data_type().is_numeric() && old.data_type().is_numeric())
            })
        });
        Ok(Self {
            table,
            session: SessionContext::new_with_config(config),
            columns: DFSchema::try_from(after.clone()).doing(|| format!("writing {table}"))?,
            retyped: retyped.map(|field| field.name().as_str()).collect(),
        })
    }

    fn plan(&self, name: &str, sql: &str) -> Result<Arc<dyn PhysicalExpr>> {
        let refused = |why: &dyn fmt::Display| {
            let doing = format!("writing {}", self.table);
            let why = format!("the table's constraint `{name}` ({sql}) cannot be checked here: {why}");
            Error::failed(doing, why).hint("drop the constraint, or write the table with the engine that made it")
        };
        let expression = self.session.parse_sql_expr(sql, &self.columns);
        let expression = expression.map_err(|error| refused(&error.strip_backtrace()))?;
        if let Some(unknown) = not_common(&expression) {
            return Err(refused(&format!(
                "`{unknown}` may mean something else to other engines"
            )));
        }
        for column in expression.column_refs() {
            if history::COLUMNS.contains(&column.name()) {
                return Err(refused(&format!("the column `{}` is the history's own", column.name())));
            }
            if self.retyped.contains(column.name()) {
                return Err(refused(&format!("the column `{}` gets another type", column.name())));
            }
        }
        let planned = self.session.create_physical_expr(expression, &self.columns);
        let planned = planned.map_err(|error| refused(&error.strip_backtrace()))?;
        match planned.data_type(self.columns.as_arrow()) {
            Ok(DataType::Boolean) => Ok(planned),
            _ => Err(refused(&"it is neither true nor false")),
        }
    }
}

/// A part of the expression that other engines may understand in another way, if there is one.
fn not_common(expression: &Expr) -> Option<String> {
    let mut unknown = None;
    let visited = expression.apply(|part| {
        let common = match part {
            Expr::BinaryExpr(binary) => matches!(
                binary.op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::Plus
                    | Operator::Minus
                    | Operator::Multiply
                    | Operator::Modulo
                    | Operator::And
                    | Operator::Or
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            ),
            Expr::ScalarFunction(function) => FUNCTIONS.contains(&function.name()),
            Expr::Alias(_)
            | Expr::Column(_)
            | Expr::Literal(..)
            | Expr::Like(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::InList(_) => true,
            _ => false,
        };
        Ok(match common {
            true => TreeNodeRecursion::Continue,
            false => {
                unknown = Some(part.to_string());
                TreeNodeRecursion::Stop
            }
        })
    });
    visited.map_or_else(|error| Some(error.to_string()), |_| unknown)
}

/// The invariants of columns, by the columns' names; nested ones too.
fn invariants(table: &TableName, columns: &StructType) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for field in columns.fields() {
        if let Some(text) = field.metadata.get(INVARIANT) {
            // {"expression": {"expression": "<SQL>"}}
            let json = match text {
                MetadataValue::String(text) => serde_json::from_str::<Value>(text).unwrap_or_default(),
                _ => Value::Null,
            };
            let sql = json["expression"]["expression"].as_str().ok_or_else(|| {
                let why = format!("the invariant of the column `{}` is none that is known", field.name);
                Error::failed(format!("writing {table}"), why).hint("write the table with the engine that made it")
            })?;
            found.push((field.name.clone(), sql.to_owned()));
        }
        match &field.data_type {
            DeltaType::Struct(inner) => found.extend(invariants(table, inner)?),
            DeltaType::Array(list) => {
                if let DeltaType::Struct(inner) = &list.element_type {
                    found.extend(invariants(table, inner)?);
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn has_required(field: &StructField) -> bool {
    !field.nullable || requires(&field.data_type)
}

/// Whether something within values of the type is never null. Keys of maps never are, in any table.
fn requires(data_type: &DeltaType) -> bool {
    match data_type {
        DeltaType::Struct(columns) => columns.fields().any(has_required),
        DeltaType::Array(list) => !list.contains_null || requires(&list.element_type),
        DeltaType::Map(map) => !map.value_contains_null || requires(&map.value_type),
        DeltaType::Primitive(_) | DeltaType::Variant(_) => false,
    }
}

/// For each value whether it is null, or holds a null, where there is to be none.
fn forbidden_nulls(values: &ArrayRef, data_type: &DeltaType, nullable: bool) -> Vec<bool> {
    let mut broken: Vec<bool> = (0..values.len()).map(|row| !nullable && values.is_null(row)).collect();
    if !requires(data_type) {
        return broken;
    }
    match (data_type, values.data_type()) {
        (DeltaType::Struct(columns), DataType::Struct(_)) => {
            let values = values.as_struct();
            for field in columns.fields().filter(|field| has_required(field)) {
                let inner = match values.column_by_name(&field.name) {
                    Some(inner) => forbidden_nulls(inner, &field.data_type, field.nullable),
                    None => vec![!field.nullable; values.len()],
                };
                for (row, inner) in inner.into_iter().enumerate() {
                    broken[row] |= inner && values.is_valid(row);
                }
            }
        }
        (DeltaType::Array(list), DataType::List(_)) => {
            let values = values.as_list::<i32>();
            let inner = forbidden_nulls(values.values(), &list.element_type, list.contains_null);
            mark(&mut broken, values.offsets(), &inner, |row| values.is_valid(row));
        }
        (DeltaType::Map(map), DataType::Map(..)) => {
            let values = values.as_map();
            let inner = forbidden_nulls(values.values(), &map.value_type, map.value_contains_null);
            mark(&mut broken, values.offsets(), &inner, |row| values.is_valid(row));
        }
        _ => {}
    }
    broken
}

/// Marks the rows that hold, between their offsets, what is broken.
fn mark(broken: &mut [bool], offsets: &[i32], inner: &[bool], is_valid: impl Fn(usize) -> bool) {
    for (row, ends) in offsets.windows(2).enumerate() {
        let [start, end] = [ends[0], ends[1]].map(|end| end as usize);
        broken[row] |= is_valid(row) && inner[start..end].contains(&true);
    }
}
