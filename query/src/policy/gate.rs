//! The gate that every relation passes which a statement names, and every one that a view behind it reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use cordada_core::{Error, TableName};
use cordada_lake::query::gate::Gate;
use cordada_lake::release::DocsRef;
use datafusion::catalog::TableProvider;
use datafusion::error::{DataFusionError, Result};

use super::grant::{Grant, Part};
use super::relation::{Hidden, Planner, PolicedRelation};
use crate::access::Forbidden;

/// Shows of each relation what the roles show that read the one which the statement names.
#[derive(Debug)]
pub(super) struct PolicyGate {
    pub planner: Planner,
    /// What the statement names; whatever else passes is read by views.
    pub named: TableName,
    /// The roles that show it.
    pub grants: Vec<Grant>,
}

/// A role and why its policies do not fit a relation.
pub(super) struct Misfit {
    pub role: String,
    pub why: String,
}

impl PolicyGate {
    /// The relation as the roles show it that fit it, or as it is if one of them shows all of it; and those that do not
    /// fit.
    pub(super) async fn seen(
        &self,
        name: &TableName,
        relation: Arc<dyn TableProvider>,
        docs: Option<&DocsRef>,
    ) -> (Option<Arc<dyn TableProvider>>, Vec<Misfit>) {
        let tags = self.tags(name, docs);
        let mut misfits = Vec::new();
        let mut parts = self.parts(name, &relation.schema(), &tags, &mut misfits);
        if parts.iter().any(Part::is_all) {
            return (Some(relation), misfits);
        }
        if parts.is_empty() {
            return (None, misfits);
        }
        match self.police(name, &relation, &parts).await {
            Ok(seen) => return (Some(Arc::new(seen)), misfits),
            Err(why) if parts.len() == 1 => misfits.push(Misfit {
                role: parts.remove(0).role,
                why,
            }),
            Err(_) => {
                let mut fitting = Vec::new();
                for part in parts {
                    match self.police(name, &relation, std::slice::from_ref(&part)).await {
                        Ok(_) => fitting.push(part),
                        Err(why) => misfits.push(Misfit { role: part.role, why }),
                    }
                }
                if !fitting.is_empty() {
                    match self.police(name, &relation, &fitting).await {
                        Ok(seen) => return (Some(Arc::new(seen)), misfits),
                        Err(why) => misfits.push(Misfit {
                            role: "all of them".to_owned(),
                            why,
                        }),
                    }
                }
            }
        }
        (None, misfits)
    }

    fn parts(
        &self,
        name: &TableName,
        schema: &Schema,
        tags: &BTreeMap<String, String>,
        misfits: &mut Vec<Misfit>,
    ) -> Vec<Part> {
        let mut parts = Vec::new();
        for grant in &self.grants {
            match grant.part(name, schema, tags) {
                Ok(part) => parts.push(part),
                Err(why) => misfits.push(Misfit {
                    role: grant.role.clone(),
                    why,
                }),
            }
        }
        parts
    }

    async fn police(
        &self,
        name: &TableName,
        relation: &Arc<dyn TableProvider>,
        parts: &[Part],
    ) -> Result<PolicedRelation, String> {
        let hidden = match *name == self.named {
            true => Hidden::Absent,
            false => Hidden::Null,
        };
        let policed = self.planner.police(name, relation.clone(), parts, hidden).await?;
        Ok(policed.told_as(&self.named))
    }

    /// The kinds of personal data of the relation's columns: as its release says, and as that does which is read.
    fn tags(&self, name: &TableName, docs: Option<&DocsRef>) -> BTreeMap<String, String> {
        let now = self.planner.release.relation(name).map(|relation| &relation.docs);
        let docs = [docs, now].into_iter().flatten();
        let tags = docs.flat_map(|docs| docs.personal());
        tags.map(|(column, kind)| (column.clone(), kind.clone())).collect()
    }
}

#[async_trait]
impl Gate for PolicyGate {
    async fn pass(
        &self,
        name: &TableName,
        relation: Arc<dyn TableProvider>,
        docs: Option<&DocsRef>,
    ) -> Result<Arc<dyn TableProvider>> {
        let (seen, misfits) = self.seen(name, relation, docs).await;
        for Misfit { role, why } in misfits {
            tracing::error!(relation = %name, role, why, "a policy does not fit: the role shows nothing of the relation");
        }
        seen.ok_or_else(|| {
            let error = Error::failed(
                format!("reading {}", self.named),
                "a policy does not fit what it is about, so nothing is shown",
            );
            let error = error.hint("the server's log says which, for whoever runs it");
            DataFusionError::External(Box::new(error.caused_by(Forbidden)))
        })
    }
}
