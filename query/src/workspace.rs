//! One release as somebody with a given access sees it: a session to plan in, and what there is.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use arrow::datatypes::{Field, Schema, SchemaRef};
use cordada_core::{Context, ErrorKind, Result, TableName};
use cordada_lake::query::privileges::Privileges;
use cordada_lake::query::session::CATALOG;
use cordada_lake::release::{Docs, DocsRef};
use cordada_lake::{Lake, RelationKind, Release, journal};
use datafusion::common::TableReference;
use datafusion::common::stats::Precision;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::policy::Policies;
use crate::visible_catalog::VisibleCatalogs;

/// Relations whose columns are looked up at the same time.
const PARALLEL_LOOKUPS: usize = 8;

/// A release under an access.
pub struct Workspace {
    lake: Lake,
    /// The release.
    pub release: Arc<Release>,
    /// Plans and runs what may be read.
    pub session: SessionContext,
    policies: Arc<Policies>,
    /// The same access to the release before, where most relations are as they are here.
    before: Weak<Self>,
    relations: OnceLock<Vec<ListedRelation>>,
    /// The columns of all relations, looked up when first asked for.
    columns: OnceCell<Vec<SchemaRef>>,
    /// What is said about all relations, once nothing was missing.
    documented: OnceCell<Vec<DocumentedRelation>>,
}

/// What there is to say about a relation without opening it.
#[derive(Clone)]
pub struct ListedRelation {
    /// Its name.
    pub name: TableName,
    /// Whether it is a view.
    pub is_view: bool,
    docs: DocsRef,
}

/// How large a relation is, as far as that is known without reading it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Its rows.
    pub rows: Option<usize>,
    /// About how many bytes its rows are.
    pub bytes: Option<usize>,
}

/// A relation and what people are told about it.
pub struct DocumentedRelation {
    /// Its name.
    pub name: TableName,
    /// Whether it is a view.
    pub is_view: bool,
    /// What there is to say.
    pub docs: Arc<Docs>,
}

impl Workspace {
    /// A session over `release` in which only what may be read has a name, and is there as policies show it; `schema` is
    /// that of bare names. What is known of `before`, which is of the same access, is not looked up again.
    pub(crate) fn new(
        lake: &Lake,
        release: Arc<Release>,
        policies: Arc<Policies>,
        schema: &str,
        before: Option<&Arc<Self>>,
    ) -> Self {
        let session = lake.session(&release);
        if let Some(catalog) = session.catalog(CATALOG) {
            let state = session.state_ref();
            let mut state = state.write();
            state.register_catalog_list(Arc::new(VisibleCatalogs::new(policies.clone())));
            state.catalog_list().register_catalog(CATALOG.to_owned(), catalog);
            let seen = state.catalog_list().catalog(CATALOG);
            let options = state.config_mut().options_mut();
            schema.clone_into(&mut options.catalog.default_schema);
            if let Some(seen) = seen {
                options.extensions.insert(Privileges::new(seen, policies.clone()));
            }
        }
        Self {
            lake: lake.clone(),
            release,
            session,
            policies,
            before: before.map(Arc::downgrade).unwrap_or_default(),
            relations: OnceLock::new(),
            columns: OnceCell::new(),
            documented: OnceCell::new(),
        }
    }

    /// Whether the lake has a relation of that name: in the release, or as a journal.
    pub(crate) fn has(&self, name: &TableName) -> bool {
        self.release.relation(name).is_some() || name.schema() == journal::SCHEMA
    }

    /// The schemas that may be seen.
    pub fn schemas(&self) -> Vec<String> {
        self.session
            .catalog(CATALOG)
            .map(|catalog| catalog.schema_names())
            .unwrap_or_default()
    }

    /// The relations that may be read, by name.
    pub fn relations(&self) -> &[ListedRelation] {
        self.relations.get_or_init(|| self.list())
    }

    fn list(&self) -> Vec<ListedRelation> {
        let Some(catalog) = self.session.catalog(CATALOG) else {
            return Vec::new();
        };
        let schemas = catalog
            .schema_names()
            .into_iter()
            .filter_map(|name| Some((catalog.schema(&name)?, name)));
        let names = schemas.flat_map(|(schema, name)| {
            schema
                .table_names()
                .into_iter()
                .filter_map(move |table| TableName::new(&*name, table).ok())
        });
        let listed = names.map(|name| {
            let relation = self.release.relation(&name);
            let is_view = relation.is_some_and(|relation| matches!(relation.kind, RelationKind::View { .. }));
            ListedRelation {
                name,
                is_view,
                docs: relation.map(|relation| relation.docs.clone()).unwrap_or_default(),
            }
        });
        listed.collect()
    }

    /// The relations that may be read with what people are told about them, in the order of [`Self::relations`].
    ///
    /// # Errors
    /// Unavailable: the lake cannot be read.
    pub async fn documented(&self) -> Result<&[DocumentedRelation]> {
        let look_up = || async {
            let relations = self.relations().to_vec().into_iter();
            let lookups = relations.map(|relation| documented(self.lake.clone(), self.policies.clone(), relation));
            stream::iter(lookups).buffered(PARALLEL_LOOKUPS).try_collect().await
        };
        let documented = self.documented.get_or_try_init(look_up).await?;
        Ok(documented)
    }

    /// The columns of [`Self::relations`], in the same order. A relation that cannot be opened has none: one broken
    /// view must not hide all the others.
    ///
    /// # Errors
    /// Unavailable: the lake cannot be read.
    pub async fn columns(&self) -> Result<&[SchemaRef]> {
        let look_up = || async {
            let mut known = self.columns_before();
            // Collected, because a stream over borrowed relations is not provably `Send`.
            let lookups = self.relations().iter().cloned().map(|relation| {
                let known = known.remove(&relation.name);
                let session = self.session.clone();
                async move {
                    match known {
                        Some(columns) => Ok(columns),
                        None => columns_of(session, relation).await,
                    }
                }
            });
            let lookups: Vec<_> = lookups.collect();
            stream::iter(lookups).buffered(PARALLEL_LOOKUPS).try_collect().await
        };
        let columns = self.columns.get_or_try_init(look_up).await?;
        Ok(columns)
    }

    /// The columns of the tables that are what they were before.
    fn columns_before(&self) -> HashMap<TableName, SchemaRef> {
        let before = self.before.upgrade();
        // What policies show of a table may have become another meanwhile.
        let before = before.filter(|_| !self.policies.access().is_limited());
        let Some((before, columns)) = before.as_ref().and_then(|before| Some((before, before.columns.get()?))) else {
            return HashMap::new();
        };
        let pairs = before.relations().iter().zip(columns);
        let unchanged = pairs.filter(|(relation, columns)| {
            let now = self.release.relation(&relation.name).map(|relation| &relation.kind);
            let then = before.release.relation(&relation.name).map(|relation| &relation.kind);
            // Whatever could not be opened may be opened now.
            matches!(now, Some(RelationKind::Table { .. })) && now == then && !columns.fields().is_empty()
        });
        unchanged
            .map(|(relation, columns)| (relation.name.clone(), columns.clone()))
            .collect()
    }

    /// The sizes of [`Self::relations`], in the same order.
    pub async fn sizes(&self) -> Vec<Size> {
        let relations = self.relations().to_vec().into_iter();
        let lookups: Vec<_> = relations
            .map(|relation| size_of_relation(self.session.clone(), relation))
            .collect();
        stream::iter(lookups).buffered(PARALLEL_LOOKUPS).collect().await
    }
}

/// What a view has is known when it is read.
async fn size_of_relation(session: SessionContext, relation: ListedRelation) -> Size {
    if relation.is_view {
        return Size::default();
    }
    let table = TableReference::partial(relation.name.schema(), relation.name.name());
    let statistics = session
        .table_provider(table)
        .await
        .ok()
        .and_then(|table| table.statistics());
    statistics.map_or_else(Size::default, |statistics| Size {
        rows: match statistics.num_rows {
            Precision::Exact(rows) => Some(rows),
            _ => None,
        },
        bytes: statistics.total_byte_size.get_value().copied(),
    })
}

async fn columns_of(session: SessionContext, relation: ListedRelation) -> Result<SchemaRef> {
    let ListedRelation { name, is_view, .. } = relation;
    let table = TableReference::partial(name.schema(), name.name());
    // To plan a view takes time, which whoever waits on this thread has a share of.
    if is_view {
        tokio::task::yield_now().await;
    }
    let provider = session.table_provider(table).await;
    match provider.doing(|| format!("looking up the columns of {name}")) {
        Ok(provider) => Ok(provider.schema()),
        Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
        Err(error) => {
            tracing::warn!(relation = %name, %error, "cannot say the columns of a relation");
            Ok(Arc::new(Schema::empty()))
        }
    }
}

/// Documentation that is damaged or gone is missing: it must not hide the relation.
async fn documented(lake: Lake, policies: Arc<Policies>, relation: ListedRelation) -> Result<DocumentedRelation> {
    let docs = match lake.docs(&relation.docs).await {
        Ok(docs) => docs,
        Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error),
        Err(error) => {
            tracing::warn!(relation = %relation.name, %error, "cannot say what is known about a relation");
            Arc::default()
        }
    };
    let hidden = |name: &TableName, column: &str| policies.access().hides(name, column);
    let docs = match policies.access().is_limited() {
        true => Arc::new(docs.without(&relation.name, hidden)),
        false => docs,
    };
    Ok(DocumentedRelation {
        name: relation.name,
        is_view: relation.is_view,
        docs,
    })
}

impl DocumentedRelation {
    /// What people are told about a column: by the documentation, else by the table itself.
    pub fn remark<'a>(&'a self, column: &'a Field) -> Option<&'a str> {
        let described = self.docs.columns.get(column.name());
        let described = described.and_then(|column| column.description.as_deref());
        described.or_else(|| column.metadata().get("comment").map(String::as_str))
    }
}
