//! A relation as its policies show it: a table whose scan is the filtered and masked relation, behind a [`Barrier`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use async_trait::async_trait;
use cordada_core::TableName;
use cordada_lake::query::sql;
use cordada_lake::{Lake, Release};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Column, ScalarValue};
use datafusion::datasource::empty::EmptyTable;
use datafusion::datasource::{TableType, ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Case, Cast, Expr, LogicalPlan, LogicalPlanBuilder, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::barrier::{Barrier, without_words};
use super::config::Mask;
use super::failing::{may_fail, may_fail_on_others};
use super::grant::Part;
use super::key::MaskKey;
use super::mask::{Masking, Way};
use super::safe::is_safe;

/// A relation, filtered and masked.
#[derive(Debug)]
pub(super) struct PolicedRelation {
    /// What errors call it.
    name: Arc<TableName>,
    plan: LogicalPlan,
    schema: SchemaRef,
    table_type: TableType,
    /// The columns that show their values in every row, and by which rows may be left out before anything else is
    /// computed: none if something of the plan may fail.
    clear: BTreeSet<String>,
}

/// What becomes of hidden columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hidden {
    /// They are not there.
    Absent,
    /// They are null: for views, which read them by name.
    Null,
}

/// Where policies are planned.
#[derive(Debug, Clone)]
pub(super) struct Planner {
    pub lake: Lake,
    /// What subqueries of policies read.
    pub release: Arc<Release>,
    pub key: Arc<MaskKey>,
}

impl Planner {
    /// The union of the parts of a relation. A row is shown if one of them shows it, and a value of it as the most open
    /// of those does.
    ///
    /// # Errors
    /// Why a policy does not fit the relation, for whoever runs the server.
    pub(super) async fn police(
        &self,
        name: &TableName,
        relation: Arc<dyn TableProvider>,
        parts: &[Part],
        hidden: Hidden,
    ) -> Result<PolicedRelation, String> {
        let mut policed = self.shown(name, relation.clone(), parts, hidden).await?;
        let is_clear = !policed.clear.is_empty();
        let plan = &policed.plan;
        if is_clear && self.tells_by_errors(name, &relation, parts, hidden, plan).await? {
            policed.clear.clear();
        }
        Ok(policed)
    }

    /// Whether an error may tell of rows that are not shown, or of values that are masked, if somebody chooses the rows
    /// that are looked at. What a view computes of the rows that it shows, it may fail on.
    async fn tells_by_errors(
        &self,
        name: &TableName,
        relation: &Arc<dyn TableProvider>,
        parts: &[Part],
        hidden: Hidden,
        plan: &LogicalPlan,
    ) -> Result<bool, String> {
        if relation.downcast_ref::<ViewTable>().is_none() {
            return Ok(self.is_so_of(plan, may_fail));
        }
        let columns = Arc::new(EmptyTable::new(relation.schema()));
        let of_policies = self.shown(name, columns, parts, hidden).await?;
        Ok(self.is_so_of(&of_policies.plan, may_fail) || self.is_so_of(plan, may_fail_on_others))
    }

    /// Whether the view's own conditions may fail.
    pub(super) fn view_tells_by_errors(&self, view: &ViewTable) -> bool {
        self.is_so_of(view.logical_plan(), may_fail_on_others)
    }

    /// Whether that is so of the plan as it will run; also if it cannot be planned.
    fn is_so_of(&self, plan: &LogicalPlan, is_so: impl Fn(&LogicalPlan) -> Result<bool>) -> bool {
        let session = self.lake.session(&self.release);
        sql::optimized(&session, plan)
            .and_then(|plan| is_so(&plan))
            .unwrap_or(true)
    }

    /// What the parts show, whatever may fail.
    async fn shown(
        &self,
        name: &TableName,
        relation: Arc<dyn TableProvider>,
        parts: &[Part],
        hidden: Hidden,
    ) -> Result<PolicedRelation, String> {
        let schema = relation.schema();
        let table_type = relation.table_type();
        let texts = Texts::of(parts);
        let plan = self.with_texts(name, relation, parts, &texts).await?;
        let needs_hash = parts.iter().any(|part| part.columns.contains(&Mask::Hash));
        let hash_key = match needs_hash {
            true => self.key.get(&self.lake).await.map_err(|error| error.to_string())?,
            false => [0; 32],
        };
        let columns = Columns {
            plan: &plan,
            schema: &schema,
            parts,
            texts: &texts,
            hash_key,
        };
        let (mut shown, mut fields, mut clear) = (Vec::new(), Vec::new(), BTreeSet::new());
        for (index, field) in schema.fields().iter().enumerate() {
            let masks = || parts.iter().map(|part| &part.columns[index]);
            if hidden == Hidden::Absent && masks().all(|mask| *mask == Mask::Hidden) {
                continue;
            }
            let is_clear = masks().all(|mask| *mask == Mask::Clear);
            if is_clear {
                clear.insert(field.name().clone());
            }
            shown.push(columns.value(index)?.alias(field.name()));
            let is_nullable = field.is_nullable() || !is_clear;
            fields.push(field.as_ref().clone().with_nullable(is_nullable));
        }
        let plan = LogicalPlanBuilder::from(plan.clone())
            .project(shown)
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| error.strip_backtrace())?;
        Ok(PolicedRelation {
            name: Arc::new(name.clone()),
            plan,
            schema: Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())),
            table_type,
            clear,
        })
    }

    /// The rows that some part shows, with the value of each text of its policies behind their columns.
    async fn with_texts(
        &self,
        name: &TableName,
        relation: Arc<dyn TableProvider>,
        parts: &[Part],
        texts: &Texts,
    ) -> Result<LogicalPlan, String> {
        let rows: Option<Vec<_>> = parts.iter().map(|part| part.rows.as_deref()).collect();
        if texts.0.is_empty() && rows.is_none() {
            let scan = LogicalPlanBuilder::scan(name.name(), provider_as_source(relation), None);
            return scan
                .and_then(LogicalPlanBuilder::build)
                .map_err(|error| error.strip_backtrace());
        }
        let mut statement = "select *".to_owned();
        for (text, number) in &texts.0 {
            statement.push_str(&format!(", (\n{text}\n) as \"policy {number}\""));
        }
        statement.push_str(&format!(" from lake.\"{}\".\"{}\"", name.schema(), name.name()));
        if let Some(rows) = rows {
            let rows: Vec<_> = rows.iter().map(|rows| format!("(\n{rows}\n)")).collect();
            statement.push_str(&format!(" where {}", rows.join(" or ")));
        }
        let overlay = BTreeMap::from([(name.clone(), relation)]);
        let session = self.lake.session_with(&self.release, overlay);
        sql::plan(&self.lake, &session, &statement)
            .await
            .map_err(|error| error.to_string())
    }
}

/// The SQL of policies that is needed as values, each with its number: the expressions of masks, and the conditions for
/// rows where these decide about columns too.
struct Texts(BTreeMap<String, usize>);

impl Texts {
    fn of(parts: &[Part]) -> Self {
        let masks = parts.iter().flat_map(|part| &part.columns);
        let mut texts: BTreeSet<_> = masks
            .filter_map(|mask| match mask {
                Mask::Expression(sql) => Some(sql.clone()),
                _ => None,
            })
            .collect();
        if parts.iter().any(|part| part.columns != parts[0].columns) {
            texts.extend(parts.iter().filter_map(|part| part.rows.clone()));
        }
        Self(
            texts
                .into_iter()
                .enumerate()
                .map(|(number, text)| (text, number))
                .collect(),
        )
    }
}

/// What is seen of the columns of a plan.
struct Columns<'a> {
    /// The relation's columns, and behind them the texts.
    plan: &'a LogicalPlan,
    schema: &'a Schema,
    parts: &'a [Part],
    texts: &'a Texts,
    hash_key: [u8; 32],
}

impl Columns<'_> {
    fn value(&self, index: usize) -> Result<Expr, String> {
        let first = &self.parts[0].columns[index];
        if self.parts.iter().all(|part| part.columns[index] == *first) {
            return self.masked(index, first);
        }
        // Who hides the column shows nothing of it; the others, the most open first.
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.retain(|part| part.columns[index] != Mask::Hidden);
        parts.sort_by_key(|part| part.columns[index] != Mask::Clear);
        let (mut cases, mut otherwise) = (Vec::new(), self.null(index)?);
        for part in parts {
            let value = self.masked(index, &part.columns[index])?;
            match &part.rows {
                Some(rows) => cases.push((Box::new(self.text(rows)?), Box::new(value))),
                None => {
                    otherwise = value;
                    break;
                }
            }
        }
        Ok(match cases.is_empty() {
            true => otherwise,
            false => Expr::Case(Case::new(None, cases, Some(Box::new(otherwise)))),
        })
    }

    fn masked(&self, index: usize, mask: &Mask) -> Result<Expr, String> {
        let of_type = self.schema.field(index).data_type();
        Ok(match mask {
            Mask::Clear => self.column(index),
            Mask::Hidden | Mask::Null => self.null(index)?,
            Mask::Hash => Masking::of(Way::Hash(self.hash_key), self.column(index)),
            Mask::Partial => Masking::of(Way::Partial, self.column(index)),
            Mask::Year => Masking::of(Way::Year, self.column(index)),
            Mask::Constant(text) => {
                let constant = ScalarValue::from(text.as_str()).cast_to(of_type);
                let constant = constant.map_err(|_| {
                    format!(
                        "the constant of `{}` is none of its type",
                        self.schema.field(index).name()
                    )
                })?;
                Expr::Literal(constant, None)
            }
            Mask::Expression(sql) => fitted(self.text(sql)?, self.text_type(sql)?, of_type).ok_or_else(|| {
                format!(
                    "the expression of `{}` is not of its type",
                    self.schema.field(index).name()
                )
            })?,
        })
    }

    fn null(&self, index: usize) -> Result<Expr, String> {
        let null = ScalarValue::try_from(self.schema.field(index).data_type());
        Ok(Expr::Literal(null.map_err(|error| error.strip_backtrace())?, None))
    }

    fn column(&self, index: usize) -> Expr {
        Expr::Column(Column::from(self.plan.schema().qualified_field(index)))
    }

    fn place(&self, text: &str) -> Result<usize, String> {
        let number = self.texts.0.get(text).ok_or("a policy was not planned")?;
        Ok(self.schema.fields().len() + number)
    }

    fn text(&self, text: &str) -> Result<Expr, String> {
        Ok(self.column(self.place(text)?))
    }

    fn text_type(&self, text: &str) -> Result<&DataType, String> {
        Ok(self.plan.schema().field(self.place(text)?).data_type())
    }
}

impl PolicedRelation {
    /// The same for somebody who may read it by that name alone: as what a view is made of.
    pub(super) fn told_as(self, name: &TableName) -> Self {
        Self {
            name: Arc::new(name.clone()),
            ..self
        }
    }

    /// The plan of what is seen.
    pub(super) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// All that the view shows, and nothing of what it reads besides.
    ///
    /// # Errors
    /// Its columns cannot be named.
    pub(super) fn of_view(name: &TableName, view: &ViewTable, planner: &Planner) -> Result<Self> {
        let (plan, schema) = (view.logical_plan(), view.schema());
        let columns = schema.fields().iter().enumerate().map(|(index, field)| {
            let column = Column::from(plan.schema().qualified_field(index));
            Expr::Column(column).alias(field.name())
        });
        let columns: Vec<_> = columns.collect();
        let clear = match planner.view_tells_by_errors(view) {
            true => BTreeSet::new(),
            false => schema.fields().iter().map(|field| field.name().clone()).collect(),
        };
        Ok(Self {
            name: Arc::new(name.clone()),
            plan: LogicalPlanBuilder::from(plan.clone()).project(columns)?.build()?,
            clear,
            table_type: TableType::View,
            schema,
        })
    }
}

fn fitted(value: Expr, own: &DataType, wanted: &DataType) -> Option<Expr> {
    if own == wanted {
        return Some(value);
    }
    can_cast_types(own, wanted).then(|| Expr::Cast(Cast::new(Box::new(value), wanted.clone())))
}

#[async_trait]
impl TableProvider for PolicedRelation {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        self.table_type
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let support = filters
            .iter()
            .map(|filter| match is_safe(filter, &self.clear, &self.schema) {
                true => TableProviderFilterPushDown::Exact,
                false => TableProviderFilterPushDown::Unsupported,
            });
        Ok(support.collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut plan = LogicalPlanBuilder::from(self.plan.clone());
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            plan = plan.filter(filter)?;
        }
        let mut schema = self.schema.clone();
        if let Some(projection) = projection {
            schema = Arc::new(schema.project(projection)?);
            // A count needs no column, and a plan needs one.
            let read = if projection.is_empty() {
                &[0][..]
            } else {
                projection.as_slice()
            };
            let read = read.iter().filter(|index| **index < self.schema.fields().len());
            let read = read.map(|index| Expr::Column(Column::from(self.plan.schema().qualified_field(*index))));
            plan = plan.project(read.collect::<Vec<_>>())?;
        }
        if limit.is_some() {
            plan = plan.limit(0, limit)?;
        }
        let rows = state.create_physical_plan(&plan.build()?).await;
        let rows = rows.map_err(|error| without_words(error, &self.name))?;
        Ok(Arc::new(Barrier::new(self.name.clone(), rows, schema)))
    }
}
