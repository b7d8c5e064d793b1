//! What a catalog shows, looked up as deep as a question needs.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use cordada_core::{Context, ErrorKind, TableName};
use datafusion::catalog::{CatalogProvider, SchemaProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use futures::{StreamExt, TryStreamExt, stream};

use super::keys::{foreign_key_name, primary_key, primary_key_name};
use crate::query::catalog::ReleaseCatalog;
use crate::release::Docs;

/// Relations that are looked up at the same time.
const PARALLEL_LOOKUPS: usize = 8;

/// How much of each relation is looked up: every step costs more than the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Its name, and whether it is a view.
    Names,
    /// What is said about it.
    Docs,
    /// Its columns, and a view's query.
    Columns,
}

/// What a catalog shows.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub schemas: Vec<String>,
    pub relations: Vec<Relation>,
}

/// A relation that may be seen.
#[derive(Debug)]
pub(super) struct Relation {
    pub name: TableName,
    pub is_view: bool,
    pub docs: Arc<Docs>,
    pub columns: SchemaRef,
    /// A view's query, if whoever asks may see it.
    pub definition: Option<String>,
}

/// The relations that a query asks for, as far as its filters say so.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    schema: Option<String>,
    name: Option<String>,
}

impl Wanted {
    /// By the filters `schema_column = '…'` and `name_column = '…'`.
    pub(super) fn by(filters: &[Expr], schema_column: &str, name_column: &str) -> Self {
        let value = |column: &str| filters.iter().find_map(|filter| equal(filter, column));
        Self {
            schema: value(schema_column),
            name: value(name_column),
        }
    }

    fn is(&self, schema: &str, name: &str) -> bool {
        self.schema.as_deref().is_none_or(|wanted| wanted == schema)
            && self.name.as_deref().is_none_or(|wanted| wanted == name)
    }
}

/// The text that the filter says the column is.
fn equal(filter: &Expr, name: &str) -> Option<String> {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = filter
    else {
        return None;
    };
    match (&**left, &**right) {
        (Expr::Column(column), Expr::Literal(value, _)) | (Expr::Literal(value, _), Expr::Column(column))
            if column.name == name =>
        {
            value.try_as_str().flatten().map(str::to_owned)
        }
        _ => None,
    }
}

impl Listing {
    /// What `catalog` shows of the relations that are wanted. `about` knows what is said about them.
    pub(super) async fn of(
        catalog: &dyn CatalogProvider,
        about: &Arc<ReleaseCatalog>,
        depth: Depth,
        wanted: &Wanted,
    ) -> Result<Self> {
        let schemas = catalog.schema_names();
        let mut lookups = Vec::new();
        for name in &schemas {
            let Some(schema) = catalog.schema(name) else { continue };
            let tables = schema.table_names().into_iter();
            let tables = tables.filter(|table| wanted.is(name, table));
            let tables = tables.filter_map(|table| TableName::new(name.as_str(), table).ok());
            lookups.extend(tables.map(|table| look_up(schema.clone(), about.clone(), table, depth)));
        }
        let relations = stream::iter(lookups).buffered(PARALLEL_LOOKUPS);
        let relations = relations.try_filter_map(|relation| async { Ok(relation) });
        Ok(Self {
            relations: relations.try_collect().await?,
            schemas,
        })
    }

    /// The keys of the relations, those of primary keys first. A foreign key shows if what it refers to does.
    pub(super) fn keys(&self) -> Vec<Key<'_>> {
        let primary = self.relations.iter().map(|relation| Key {
            relation,
            name: primary_key_name(&relation.name),
            columns: primary_key(&relation.name, &relation.docs),
            references: None,
        });
        let primary = primary.filter(|key| !key.columns.is_empty());
        let names: BTreeSet<_> = self.relations.iter().map(|relation| &relation.name).collect();
        let foreign = self.relations.iter().flat_map(|relation| {
            let keys = relation.docs.foreign_keys.iter();
            keys.map(move |key| Key {
                relation,
                name: foreign_key_name(&relation.name, &key.columns),
                columns: &key.columns,
                references: Some((&key.references, &key.referenced_columns)),
            })
        });
        let foreign = foreign.filter(|key| key.references.is_some_and(|(name, _)| names.contains(name)));
        primary.chain(foreign).collect()
    }
}

/// A key of a relation.
#[derive(Debug)]
pub(super) struct Key<'a> {
    pub relation: &'a Relation,
    pub name: String,
    pub columns: &'a [String],
    /// For a foreign key: the relation that it refers to, and the columns there.
    pub references: Option<(&'a TableName, &'a [String])>,
}

impl Relation {
    /// The columns, each with what people are told about it: by the documentation, else by the table itself.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&Field, Option<&str>)> {
        self.columns.fields().iter().map(|field| {
            let described = self.docs.columns.get(field.name());
            let described = described.and_then(|column| column.description.as_deref());
            let comment = || field.metadata().get(cordada_core::types::COMMENT).map(String::as_str);
            (&**field, described.or_else(comment))
        })
    }
}

/// The relation; one that is gone meanwhile is not there. One that cannot be opened has no columns: a broken view must
/// not hide all the others. If it cannot be read now, nothing is said of any: that would look like all there is.
async fn look_up(
    schema: Arc<dyn SchemaProvider>,
    about: Arc<ReleaseCatalog>,
    name: TableName,
    depth: Depth,
) -> Result<Option<Relation>> {
    let Some(table_type) = schema.table_type(name.name()).await? else {
        return Ok(None);
    };
    let mut relation = Relation {
        is_view: table_type == TableType::View,
        docs: Arc::default(),
        columns: Arc::new(Schema::empty()),
        definition: None,
        name,
    };
    if depth >= Depth::Docs {
        relation.docs = about.docs(&relation.name).await?;
    }
    if depth >= Depth::Columns {
        let table = schema.table(relation.name.name()).await;
        match table.doing(|| format!("looking up the columns of {}", relation.name)) {
            Ok(None) => return Ok(None),
            Ok(Some(provider)) => {
                relation.columns = provider.schema();
                relation.definition = provider.get_table_definition().map(str::to_owned);
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error.into()),
            Err(error) => {
                tracing::warn!(relation = %relation.name, %error, "cannot say the columns of a relation");
            }
        }
    }
    Ok(Some(relation))
}
