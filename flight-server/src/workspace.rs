//! One release as somebody with a given access sees it: a session to plan in, and what there is.

use std::sync::Arc;

use arrow::datatypes::{Fields, Schema, SchemaRef};
use cordada_core::TableName;
use cordada_lake::query::session::CATALOG;
use cordada_lake::release::{Docs, DocsRef};
use cordada_lake::{Lake, RelationKind, Release};
use datafusion::common::TableReference;
use datafusion::prelude::SessionContext;
use futures::{StreamExt, stream};
use tokio::sync::OnceCell;

use crate::access::Access;
use crate::visible_catalog::VisibleCatalogs;
use crate::{sql_types, wire};

/// Relations whose columns are looked up at the same time.
const PARALLEL_LOOKUPS: usize = 8;

/// A release under an access.
pub(crate) struct Workspace {
    lake: Lake,
    /// The release.
    pub(crate) release: Arc<Release>,
    /// Plans and runs what may be read.
    pub(crate) session: SessionContext,
    /// The columns of all relations, looked up when first asked for.
    columns: OnceCell<Vec<SchemaRef>>,
}

/// What there is to say about a relation without opening it.
pub(crate) struct Listed {
    /// Its name.
    pub(crate) name: TableName,
    /// Whether it is a view.
    pub(crate) is_view: bool,
    docs: DocsRef,
}

/// A relation and what people are told about it.
pub(crate) struct Documented {
    /// Its name.
    pub(crate) name: TableName,
    /// What there is to say.
    pub(crate) docs: Arc<Docs>,
}

impl Workspace {
    /// A session over `release` in which only what `access` reads has a name; `schema` is that of bare names.
    pub(crate) fn new(lake: &Lake, release: Arc<Release>, access: Arc<Access>, schema: &str) -> Self {
        let session = lake.session(&release);
        if let Some(catalog) = session.catalog(CATALOG) {
            let state = session.state_ref();
            let mut state = state.write();
            state.register_catalog_list(Arc::new(VisibleCatalogs::new(access)));
            state.catalog_list().register_catalog(CATALOG.to_owned(), catalog);
            schema.clone_into(&mut state.config_mut().options_mut().catalog.default_schema);
        }
        Self {
            lake: lake.clone(),
            release,
            session,
            columns: OnceCell::new(),
        }
    }

    /// The schemas that may be seen.
    pub(crate) fn schemas(&self) -> Vec<String> {
        self.session
            .catalog(CATALOG)
            .map(|catalog| catalog.schema_names())
            .unwrap_or_default()
    }

    /// The relations that may be read, by name.
    pub(crate) fn relations(&self) -> Vec<Listed> {
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
            Listed {
                name,
                is_view,
                docs: relation.map(|relation| relation.docs.clone()).unwrap_or_default(),
            }
        });
        listed.collect()
    }

    /// The relations that may be read with what people are told about them, in the order of [`Self::relations`].
    pub(crate) async fn documented(&self) -> Vec<Documented> {
        let lookups = self
            .relations()
            .into_iter()
            .map(|relation| documented(self.lake.clone(), relation));
        stream::iter(lookups).buffered(PARALLEL_LOOKUPS).collect().await
    }

    /// The columns of [`Self::relations`], in the same order, as Flight SQL describes columns. A relation that cannot
    /// be opened has none: one broken view must not hide all the others.
    pub(crate) async fn columns(&self) -> &[SchemaRef] {
        let look_up = || async {
            let relations = self.documented().await;
            let lookups = relations
                .into_iter()
                .map(|relation| columns_of(self.session.clone(), relation.name, relation.docs));
            stream::iter(lookups).buffered(PARALLEL_LOOKUPS).collect().await
        };
        self.columns.get_or_init(look_up).await
    }
}

/// Documentation that cannot be read is none: it must not hide the relation.
async fn documented(lake: Lake, relation: Listed) -> Documented {
    let name = relation.name;
    let docs = lake.docs(&relation.docs).await.unwrap_or_else(|error| {
        tracing::warn!(relation = %name, %error, "cannot say what is known about a relation");
        Arc::default()
    });
    Documented { name, docs }
}

async fn columns_of(session: SessionContext, name: TableName, docs: Arc<Docs>) -> SchemaRef {
    let schema = match session
        .table_provider(TableReference::partial(name.schema(), name.name()))
        .await
    {
        Ok(provider) => provider.schema(),
        Err(error) => {
            tracing::warn!(relation = %name, %error, "cannot say the columns of a relation");
            return Arc::new(Schema::empty());
        }
    };
    let described = schema.fields().iter().map(|field| {
        let documented = docs.columns.get(field.name());
        let remarks = documented.and_then(|column| column.description.as_deref());
        let remarks = remarks.or_else(|| field.metadata().get("comment").map(String::as_str));
        let plain = field
            .as_ref()
            .clone()
            .with_data_type(wire::plain_type(field.data_type(), wire::Types::default()));
        sql_types::describe_column(plain, CATALOG, name.schema(), name.name(), remarks)
    });
    Arc::new(Schema::new(described.collect::<Fields>()))
}
