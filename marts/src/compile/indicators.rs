//! Compiling indicators: a model's query with the figures that YAML defines for its rows.

use arrow::datatypes::Schema;
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::Compiler;
use crate::indicator::Indicator;
use crate::jinja::quoted_part;
use crate::node::Node;

impl Compiler<'_> {
    /// The model's query with its indicators, which is `query` itself if there are none.
    pub(super) async fn with_indicators(&self, node: &Node, query: String) -> Result<String> {
        if node.indicators.is_empty() {
            return Ok(query);
        }
        // By itself, so that what is wrong with it is told by its own places.
        let plan = self.plan(node, &query).await?;
        let own = self.columns(node, &plan)?;
        let alias = quoted_part(node.table.name());
        let mut columns = vec![format!("{alias}.*")];
        let mut joins = String::new();
        let (queries, expressions): (Vec<_>, Vec<_>) = node.indicators.iter().partition(|one| one.is_query());
        for (at, indicator) in queries.into_iter().enumerate() {
            check_name(indicator, node, &own)?;
            let (join, column) = self.joined(node, indicator, at, &alias, &own).await?;
            joins += &join;
            columns.push(column);
        }
        let mut sql = format!("select {}\nfrom (\n{query}\n) as {alias}{joins}", columns.join(",\n"));
        for indicator in expressions {
            check_name(indicator, node, &own)?;
            let expression = self.rendered(&indicator.sql)?;
            let name = quoted_part(&indicator.name.text);
            let value = match &indicator.default {
                Some(default) => format!("coalesce((\n{expression}\n), {default})"),
                None => format!("(\n{expression}\n)"),
            };
            sql = format!("select {alias}.*, {value} as {name}\nfrom (\n{sql}\n) as {alias}");
            self.planned_at(node, &sql, &indicator.sql).await?;
        }
        // How the rows lie in files is the model's to say.
        if let Some(order) = order(&plan, &own) {
            sql += &format!("\norder by {order}");
        }
        Ok(sql)
    }

    /// The join with an indicator's query, and its column.
    async fn joined(
        &self,
        node: &Node,
        indicator: &Indicator,
        at: usize,
        alias: &str,
        own: &Schema,
    ) -> Result<(String, String)> {
        let query = self.rendered(&indicator.sql)?;
        let plan = self.planned_at(node, &query, &indicator.sql).await?;
        let wrong = |why: String| {
            let error = Error::config(format!("compiling the indicator {}", indicator.name.text), why);
            indicator.sql.place.mark(error)
        };
        let name = &indicator.name.text;
        let schema = plan.schema().as_arrow();
        let names = || schema.fields().iter().map(|field| field.name().as_str());
        if !names().any(|column| column == name) {
            let hint = did_you_mean(name, "its columns are", names());
            return Err(wrong(format!("its query has no column `{name}`")).hint(hint));
        }
        let keys: Vec<&str> = names().filter(|column| column != name).collect();
        if keys.is_empty() {
            let hint = format!("select the columns that tell the rows of {} apart, too", node.name);
            return Err(wrong("its query does not say which rows its values are of".to_owned()).hint(hint));
        }
        if let Some(unknown) = keys.iter().find(|key| own.field_with_name(key).is_err()) {
            let columns = own.fields().iter().map(|field| field.name().as_str());
            let hint = did_you_mean(unknown, "its columns are", columns);
            return Err(wrong(format!("{} has no column `{unknown}`, which its query has", node.name)).hint(hint));
        }
        let table = format!("\"__indicator{at}\"");
        let renamed = keys.iter().enumerate();
        let renamed = renamed.map(|(at, key)| format!("{} as \"__key{at}\"", quoted_part(key)));
        let renamed = renamed.collect::<Vec<_>>().join(", ");
        let on = keys.iter().enumerate();
        let on = on.map(|(at, key)| format!("{alias}.{} = {table}.\"__key{at}\"", quoted_part(key)));
        let on = on.collect::<Vec<_>>().join(" and ");
        let quoted_name = quoted_part(name);
        let join = format!(
            "\nleft join (\nselect {renamed}, {quoted_name} as \"__value\" from (\n{query}\n) as {table}\n) as {table} on {on}"
        );
        let value = match &indicator.default {
            Some(default) => format!("coalesce({table}.\"__value\", {default})"),
            None => format!("{table}.\"__value\""),
        };
        Ok((join, format!("{value} as {quoted_name}")))
    }
}

/// The order of the plan's rows by columns that it selects, in SQL.
fn order(plan: &LogicalPlan, own: &Schema) -> Option<String> {
    let sort = match plan {
        LogicalPlan::Sort(sort) => sort,
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Sort(sort) => sort,
            _ => return None,
        },
        _ => return None,
    };
    let columns = sort.expr.iter().map(|sorted| match &sorted.expr {
        Expr::Column(column) if own.field_with_name(&column.name).is_ok() => {
            let direction = if sorted.asc { "asc" } else { "desc" };
            let nulls = if sorted.nulls_first { "first" } else { "last" };
            Some(format!("{} {direction} nulls {nulls}", quoted_part(&column.name)))
        }
        _ => None,
    });
    Some(columns.collect::<Option<Vec<_>>>()?.join(", "))
}

fn check_name(indicator: &Indicator, node: &Node, own: &Schema) -> Result<()> {
    let name = &indicator.name;
    if own.field_with_name(&name.text).is_err() {
        return Ok(());
    }
    let why = format!("{} selects a column `{}` itself", node.name, name.text);
    let error = Error::config(format!("compiling the indicator {}", name.text), why);
    Err(name.place.mark(error).hint("give the indicator another name"))
}
