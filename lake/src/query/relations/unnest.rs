//! `unnest(list, …) [with ordinality]` in FROM, whose lists may be columns of tables to the left of it.

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, NullHandling, Result, UnnestOptions, plan_err};
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlanBuilder, cast, lit};
use datafusion::sql::sqlparser::ast::TableFactor;

use super::aliases::complete;

/// Plans UNNEST.
#[derive(Debug)]
pub(super) struct Unnests;

impl RelationPlanner for Unnests {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match relation {
            TableFactor::UNNEST { .. } => plan(relation, context),
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

fn plan(relation: TableFactor, context: &mut dyn RelationPlannerContext) -> Result<RelationPlanning> {
    let TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset,
        with_offset_alias,
        with_ordinality,
    } = relation
    else {
        return Ok(RelationPlanning::Original(Box::new(relation)));
    };
    let nothing = DFSchema::empty();
    let mut lists = Vec::new();
    for expr in array_exprs {
        let list = context.sql_expr_to_logical_expr(expr, &nothing)?;
        lists.push(list_of(list, &nothing, context)?);
    }
    if lists.is_empty() {
        return plan_err!("unnest takes a list");
    }
    // Rows are named as the relation is, as those of a function in PostgreSQL are.
    let own = alias.as_ref().map_or_else(
        || "unnest".to_owned(),
        |alias| context.normalize_ident(alias.name.clone()),
    );
    let hidden = |place: usize| format!("__unnest_{place}");
    let mut names = Vec::new();
    let mut shown = Vec::new();
    for (place, list) in lists.iter().enumerate() {
        let column = Expr::Column(Column::new_unqualified(hidden(place)));
        // Items of JSON are JSON, which a list does not say.
        let json = |part: &str, column: Expr, context: &dyn RelationPlannerContext| match is_json(list, part) {
            true => function(context, "json", vec![column]),
            false => Ok(column),
        };
        match item(&list.get_type(&nothing)?) {
            Some(DataType::Struct(fields)) => {
                for field in &fields {
                    names.push(unique(&names, field.name()));
                    let part = function(context, "get_field", vec![column.clone(), lit(field.name().as_str())])?;
                    shown.push(json(field.name(), part, context)?);
                }
            }
            _ => {
                names.push(unique(&names, &own));
                shown.push(json("", column, context)?);
            }
        }
    }
    if with_ordinality || with_offset {
        let counter = if with_offset { "list_offsets" } else { "list_ordinals" };
        let name = match (with_offset, with_offset_alias) {
            (true, Some(name)) => context.normalize_ident(name),
            (true, None) => "offset".to_owned(),
            (false, _) => "ordinality".to_owned(),
        };
        let counter = function(context, counter, lists.clone())?;
        shown.push(Expr::Column(Column::new_unqualified(hidden(lists.len()))));
        names.push(unique(&names, &name));
        lists.push(counter);
    }
    let columns: Vec<_> = (0..lists.len())
        .map(|place| Column::new_unqualified(hidden(place)))
        .collect();
    let lists = lists
        .into_iter()
        .enumerate()
        .map(|(place, list)| list.alias(hidden(place)));
    let shown = shown.into_iter().zip(&names).map(|(shown, name)| shown.alias(name));
    let options = UnnestOptions::new().with_null_handling(NullHandling::Drop);
    let plan = LogicalPlanBuilder::empty(true)
        .project(lists)?
        .unnest_columns_with_options(columns, options)?
        .project(shown)?
        .build()?;
    let alias = alias.map(|alias| match alias.columns.is_empty() {
        true => alias,
        false => complete(alias, names),
    });
    Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
}

/// The name, with a number if another column has it.
fn unique(names: &[String], name: &str) -> String {
    match names.iter().any(|other| other == name) {
        false => name.to_owned(),
        true => (1..)
            .map(|number| format!("{name}_{number}"))
            .find(|name| !names.contains(name))
            .unwrap_or_default(),
    }
}

/// Whether the items of a list, or a part of them, are JSON.
fn is_json(list: &Expr, part: &str) -> bool {
    let Expr::ScalarFunction(call) = list.clone().unalias() else {
        return false;
    };
    matches!(
        (call.name(), part),
        ("json_array_elements", "") | ("json_each", "value")
    )
}

fn item(list: &DataType) -> Option<DataType> {
    match list {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => Some(item.data_type().clone()),
        _ => None,
    }
}

/// The expression, made into a list: a map is one of its entries, and a null has no rows.
fn list_of(expr: Expr, schema: &DFSchema, context: &dyn RelationPlannerContext) -> Result<Expr> {
    match expr.get_type(schema)? {
        DataType::Map(..) => function(context, "map_entries", vec![expr]),
        DataType::Null => Ok(cast(
            expr,
            DataType::List(Field::new_list_field(DataType::Utf8, true).into()),
        )),
        list if item(&list).is_some() => Ok(expr),
        other => plan_err!("unnest takes a list, not {other}"),
    }
}

fn function(context: &dyn RelationPlannerContext, name: &str, args: Vec<Expr>) -> Result<Expr> {
    match context.context_provider().get_function_meta(name) {
        Some(function) => Ok(function.call(args)),
        None => plan_err!("the function {name} is not there"),
    }
}
