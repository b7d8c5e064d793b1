//! Compiling a segment: each of its conditions is planned over whom it chooses from, so that a column that is gone is
//! found at its place in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use cordada_core::suggest::did_you_mean;
use cordada_core::{Context, Error, Result, types};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;
use serde_json::Value;

use super::{Compiler, documented};
use crate::build::docs;
use crate::compiled::{EstimatorIo, Work};
use crate::config::Materialization;
use crate::contract;
use crate::jinja::{Target, quoted, quoted_part};
use crate::load::configs;
use crate::node::Node;
use crate::plan_error;
use crate::segment::{HISTORY, Population, Said, Segment};
use crate::segment_sql::{ConsentWork, Moment, OtherSegment, SegmentWork, Until};

/// The columns of consents.
const PURPOSE: &str = "purpose";
const STATUS: &str = "status";
const VALID_UNTIL: &str = "valid_until";

impl Compiler<'_> {
    /// The queries of a segment, and the columns of its relations.
    pub(super) async fn segment(&self, node: &Node) -> Result<Work> {
        let missing = || Error::failed(format!("compiling {}", node.name), "it has no definition");
        let segment = node.segment.as_ref().ok_or_else(missing)?;
        let mut work = self.population(node, segment).await?;
        let relation = format!("{} as {}", work.population, quoted_part(&work.alias));
        let chosen = match &segment.population {
            Population::Node(said) | Population::Query(said) => said,
        };
        self.check_key(node, &relation, &segment.key, chosen).await?;
        for filter in &segment.filters {
            let condition = self.rendered(&filter.condition)?;
            let sql = format!("select 1 from {relation} where (\n{condition}\n) is not true");
            let plan = self.planned_at(node, &sql, &filter.condition).await?;
            if !is_of_one_row(&plan)? && work.not_by_row.is_none() {
                work.not_by_row = Some(format!("`{}` depends on more than one row", filter.name));
            }
            work.filters.push((filter.name.clone(), condition));
        }
        work.consent = match &segment.consent {
            Some(consent) => Some(self.consents(node, consent).await?),
            None => None,
        };
        for (others, found) in [
            (&segment.include, &mut work.include),
            (&segment.exclude, &mut work.exclude),
        ] {
            for other in others {
                found.push(self.other_segment(node, other, &segment.key).await?);
            }
        }
        let steps = work.steps();
        if let Some(at) = (0..steps.len()).find(|at| steps[..*at].contains(&steps[*at])) {
            let error = Error::config(
                format!("compiling {}", node.name),
                format!("two of its conditions are called `{}`", steps[at]),
            );
            return Err(node.file.whole().mark(error).hint("give the filter another `name`"));
        }
        let at = Moment::new(0);
        let full = work.evaluation(&at, None, false);
        self.planned_at(node, &full, chosen).await?;
        let history = self.planned_at(node, &work.first(&at), chosen).await?;
        let history = Arc::new(history.schema().as_arrow().clone());
        let schema = documented(node, &members_schema(&history, segment.key.len()))?;
        if node.config.contract {
            contract::check(self.lake, &self.session, node, &schema).await?;
        }
        self.set_planned(node, types::readable(&schema));
        Ok(Work {
            estimated: Some(EstimatorIo {
                inputs: BTreeMap::new(),
                outputs: BTreeMap::from([(HISTORY.to_owned(), history)]),
            }),
            segment: Some(Arc::new(work)),
            ..Work::new(full, schema)
        })
    }

    /// Whom the segment chooses from, and nothing else yet.
    async fn population(&self, node: &Node, segment: &Segment) -> Result<SegmentWork> {
        let mut work = SegmentWork {
            key: segment.key.clone(),
            population: String::new(),
            alias: "population".to_owned(),
            table: None,
            consent: None,
            include: Vec::new(),
            exclude: Vec::new(),
            filters: Vec::new(),
            unique: false,
            not_by_row: None,
        };
        match &segment.population {
            Population::Node(said) => {
                let other = self.named(said)?;
                work.alias = other.table.name().to_owned();
                work.population = self.relation_of(other);
                let primary_key = docs::of(self.project, other).primary_key;
                work.unique = primary_key == segment.key;
                work.not_by_row = match work.unique {
                    true => None,
                    false => Some(format!(
                        "no tests say that `{}` of {} is unique and not null",
                        segment.key.join(", "),
                        other.name
                    )),
                };
                work.table =
                    Some(other.table.clone()).filter(|_| other.materialization() != Materialization::Ephemeral);
            }
            Population::Query(said) => {
                let query = self.rendered(said)?;
                self.planned_at(node, &query, said).await?;
                work.population = format!("(\n{query}\n)");
                work.not_by_row = Some("it chooses from a query".to_owned());
            }
        }
        Ok(work)
    }

    async fn consents(&self, node: &Node, consent: &crate::segment::Consent) -> Result<ConsentWork> {
        let other = self.named(&consent.from)?;
        let relation = self.relation_of(other);
        let plan = self
            .planned_at(node, &format!("select * from {relation} as consents"), &consent.from)
            .await?;
        let schema = plan.schema().as_arrow();
        let needed = consent.key.iter().map(String::as_str).chain([PURPOSE, STATUS]);
        for column in needed {
            check_column(node, schema, column, &other.name, &consent.from)?;
        }
        let until = match schema.field_with_name(VALID_UNTIL) {
            Err(_) => None,
            Ok(field) => Some(Until::of(field.data_type()).ok_or_else(|| {
                let why = format!("`{VALID_UNTIL}` of {} is no time but {}", other.name, field.data_type());
                consent
                    .from
                    .place
                    .mark(Error::config(format!("compiling {}", node.name), why))
            })?),
        };
        Ok(ConsentWork {
            purpose: consent.purpose.clone(),
            table: other.table.clone(),
            key: consent.key.clone(),
            until,
        })
    }

    async fn other_segment(&self, node: &Node, said: &Said, key: &[String]) -> Result<OtherSegment> {
        let other = self.named(said)?;
        self.check_key(node, &format!("{} as other", self.relation_of(other)), key, said)
            .await?;
        let history = other.segment.as_ref().and_then(|_| other.outputs.get(HISTORY));
        Ok(OtherSegment {
            name: other.name.clone(),
            table: other.table.clone(),
            history: history.map(|history| self.project.nodes[history.0].table.clone()),
        })
    }

    /// The node that the file names.
    fn named(&self, said: &Said) -> Result<&Node> {
        let found = self.project.nodes.iter().find(|node| node.name == said.text);
        found.ok_or_else(|| {
            let error = Error::config(
                "compiling the segment",
                format!("`{}` is disabled (enabled: false)", said.text),
            );
            said.place.mark(error)
        })
    }

    /// The node's rows in SQL.
    fn relation_of(&self, node: &Node) -> String {
        match self.project.names.refs.get(&node.name) {
            Some(Target::Ephemeral(sql)) => format!("(\n{}\n)", sql.get().map(|sql| &**sql).unwrap_or_default()),
            _ => quoted(&node.table),
        }
    }

    async fn check_key(&self, node: &Node, relation: &str, key: &[String], said: &Said) -> Result<()> {
        let plan = self
            .planned_at(node, &format!("select * from {relation}"), said)
            .await?;
        let schema = plan.schema().as_arrow();
        key.iter()
            .try_for_each(|column| check_column(node, schema, column, &said.text, said))
    }

    /// A text of the file with its templates rendered.
    pub(super) fn rendered(&self, said: &Said) -> Result<String> {
        let text = Value::String(said.text.clone());
        let rendered = configs::render(&self.project.jinja, &text, &said.place, &|| self.outside(), &mut |_| {})?;
        Ok(match rendered {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// The checked plan of SQL that the file asks for at that place.
    pub(super) async fn planned_at(&self, node: &Node, sql: &str, said: &Said) -> Result<LogicalPlan> {
        let doing = format!("compiling {}", node.name);
        let planned = self.checked_plan(sql).await;
        if let Some(early) = self.planned.take_read_too_early() {
            let why = format!("it reads {early}, which the project makes, without a ref");
            return Err(said
                .place
                .mark(Error::config(doing, why))
                .hint("use ref('…'), so that it is built first"));
        }
        planned.map_err(|error| plan_error::explain_at(error, &said.place, &doing))
    }
}

fn check_column(node: &Node, schema: &Schema, column: &str, relation: &str, said: &Said) -> Result<()> {
    if schema.field_with_name(column).is_ok() {
        return Ok(());
    }
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let relation = relation.lines().next().unwrap_or_default();
    let why = format!("`{relation}` has no column `{column}`");
    let error = Error::config(format!("compiling {}", node.name), why);
    Err(said.place.mark(error).hint(did_you_mean(column, "columns", names)))
}

/// Whether what the condition says of a row depends on that row alone: one table is scanned, once, and nothing is put
/// together.
fn is_of_one_row(plan: &LogicalPlan) -> Result<bool> {
    let (mut scans, mut others) = (0, 0);
    let counted = plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::TableScan(_) => scans += 1,
            LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::SubqueryAlias(_) => {}
            _ => others += 1,
        }
        Ok(TreeNodeRecursion::Continue)
    });
    counted.doing(|| "looking at a condition")?;
    Ok(scans == 1 && others == 0)
}

/// The columns of a segment's members: the key, when they entered, and why.
fn members_schema(history: &SchemaRef, keys: usize) -> Schema {
    let mut fields: Vec<_> = history.fields()[..keys].to_vec();
    for (name, of) in [("entered_at", "at"), ("because", "because")] {
        let data_type = history
            .field_with_name(of)
            .map_or(DataType::Null, |field| field.data_type().clone());
        fields.push(Arc::new(arrow::datatypes::Field::new(name, data_type, true)));
    }
    Schema::new(fields)
}
