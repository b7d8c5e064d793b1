//! Policies that say what is not so are found before anybody is let in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result, TableName};
use cordada_lake::query::session::CATALOG;
use cordada_lake::{Lake, Release};
use datafusion::catalog::{CatalogProvider, TableProvider};

use super::gate::PolicyGate;
use super::grant::{ALL, Grant};
use super::key::MaskKey;
use super::relation::Planner;
use super::template::Asker;
use crate::users::Role;

const DOING: &str = "checking the policies of roles";

/// Holds the policies of all roles against the release, unless it is empty: a lake that nothing was landed in yet has
/// no relations.
///
/// # Errors
/// Config: a policy names what there is not, or does not fit what it is about.
pub(crate) async fn check(
    lake: &Lake,
    release: &Arc<Release>,
    roles: &BTreeMap<String, Role>,
    key: &Arc<MaskKey>,
) -> Result<()> {
    let Some(catalog) = lake.session(release).catalog(CATALOG) else {
        return Ok(());
    };
    if release.relations.is_empty() {
        return Ok(());
    }
    let checker = Checker {
        catalog,
        planner: Planner {
            lake: lake.clone(),
            release: release.clone(),
            key: key.clone(),
        },
    };
    for (name, role) in roles {
        let targets: BTreeSet<_> = role.rows.keys().chain(role.columns.keys()).collect();
        for target in targets {
            checker.check(name, role, target).await?;
        }
    }
    Ok(())
}

struct Checker {
    catalog: Arc<dyn CatalogProvider>,
    planner: Planner,
}

impl Checker {
    async fn check(&self, name: &str, role: &Role, target: &str) -> Result<()> {
        let asker = Asker {
            user: "",
            role: name,
            attributes: &BTreeMap::new(),
        };
        let grant = Grant::new(role, &asker);
        let relations = self.relations(target, &grant);
        if relations.is_empty() {
            return Err(self.unknown(name, target));
        }
        let mut missing: BTreeSet<_> = role.columns.get(target).into_iter().flat_map(BTreeMap::keys).collect();
        let wrong = |why: String| {
            Error::config(DOING, why).hint(format!("correct `{target}` of the role `{name}` in cordada.yml"))
        };
        for relation in relations {
            let Some(provider) = self.open(&relation).await? else {
                continue;
            };
            missing.retain(|column| provider.schema().field_with_name(column).is_err());
            let gate = PolicyGate {
                planner: self.planner.clone(),
                named: relation.clone(),
                grants: vec![grant.clone()],
            };
            let release = &self.planner.release;
            let docs = release.relation(&relation).map(|relation| &relation.docs);
            let (_, misfits) = gate.seen(&relation, provider, docs).await;
            if let Some(misfit) = misfits.into_iter().next() {
                return Err(wrong(format!(
                    "the policies of role `{name}` do not fit {relation}: {}",
                    misfit.why
                )));
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(column) => Err(wrong(format!(
                "role `{name}` masks `{column}`, which no relation of `{target}` has"
            ))),
        }
    }

    /// The relations that a policy of that name is about.
    fn relations(&self, target: &str, grant: &Grant) -> Vec<TableName> {
        if let Ok(name) = target.parse::<TableName>() {
            let schema = self.catalog.schema(name.schema());
            let exists = schema.is_some_and(|schema| schema.table_exist(name.name()));
            return if exists { vec![name] } else { Vec::new() };
        }
        let schemas = match target == ALL {
            true => self.catalog.schema_names(),
            false => vec![target.to_owned()],
        };
        let mut relations: Vec<_> = schemas.iter().flat_map(|schema| self.relations_of(schema)).collect();
        relations.retain(|name| target != ALL || grant.reads.has(name.schema(), name.name()));
        relations
    }

    fn relations_of(&self, schema: &str) -> Vec<TableName> {
        let tables = self.catalog.schema(schema).map(|schema| schema.table_names());
        let tables = tables.unwrap_or_default().into_iter();
        tables.filter_map(|table| TableName::new(schema, table).ok()).collect()
    }

    /// A relation that cannot be opened is broken for everybody: policies do not make it worse.
    async fn open(&self, name: &TableName) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(schema) = self.catalog.schema(name.schema()) else {
            return Ok(None);
        };
        Ok(schema.table(name.name()).await.unwrap_or_else(|error| {
            tracing::warn!(relation = %name, %error, "cannot check the policies of a relation");
            None
        }))
    }

    fn unknown(&self, role: &str, target: &str) -> Error {
        let schemas = self.catalog.schema_names();
        let relations = schemas.iter().flat_map(|schema| self.relations_of(schema));
        let mut known: Vec<_> = relations.map(|name| name.to_string()).collect();
        known.extend(schemas.iter().cloned());
        let hint = did_you_mean(target, "policies are about", known.iter().map(String::as_str));
        let why = format!("role `{role}` of cordada.yml has policies for `{target}`, which there is not");
        Error::config(DOING, why).hint(hint)
    }
}
