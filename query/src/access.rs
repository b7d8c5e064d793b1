//! What somebody may read and write.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cordada_core::TableName;

use crate::policy::{Asker, Grant};
use crate::users::Role;

/// What somebody may read and write. Two users with equal access share plans: it holds all that policies make of who
/// asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Access {
    /// What is read as it is.
    reads: Reach,
    /// What roles with policies show.
    limited: BTreeSet<Grant>,
    writes: Reach,
}

/// Relations that are named one by one or by their schemas.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Reach {
    /// All there are.
    all: bool,
    /// Whole schemas.
    schemas: BTreeSet<String>,
    /// Single relations.
    relations: BTreeSet<TableName>,
}

impl Access {
    /// Whoever may read and write all there is.
    pub fn everything() -> Self {
        let all = Reach {
            all: true,
            ..Reach::default()
        };
        Self {
            reads: all.clone(),
            limited: BTreeSet::new(),
            writes: all,
        }
    }

    /// The union of what these roles may, for a user of that name and with these attributes; of a role that is not among
    /// `all`, nothing.
    pub fn of(
        user: &str,
        roles: &[String],
        attributes: &BTreeMap<String, String>,
        all: &BTreeMap<String, Role>,
    ) -> Self {
        let roles: Vec<_> = roles.iter().filter_map(|role| all.get_key_value(role)).collect();
        let open = roles.iter().filter(|(_, role)| !role.has_policies());
        let limited = roles.iter().filter(|(_, role)| role.has_policies());
        let grant = |(name, role): &(&String, &Role)| {
            let asker = Asker {
                user,
                role: name,
                attributes,
            };
            Grant::new(role, &asker)
        };
        Self {
            reads: Reach::of(open.flat_map(|(_, role)| &role.read)),
            limited: limited.map(grant).collect(),
            writes: Reach::of(roles.iter().flat_map(|(_, role)| &role.write)),
        }
    }

    /// Whether any role has policies.
    pub(crate) fn is_limited(&self) -> bool {
        !self.limited.is_empty()
    }

    /// Whether all there is may be read, as it is.
    pub fn reads_everything(&self) -> bool {
        self.reads.all
    }

    /// Whether the relation may be read.
    pub fn may_read(&self, schema: &str, relation: &str) -> bool {
        self.reads.has(schema, relation) || self.limited.iter().any(|grant| grant.reads.has(schema, relation))
    }

    /// Whether the relation may be written. It need not exist: who may write a schema may add relations to it.
    pub fn may_write(&self, schema: &str, relation: &str) -> bool {
        self.writes.has(schema, relation)
    }

    /// Whether all of the schema may be written.
    pub(crate) fn may_write_schema(&self, schema: &str) -> bool {
        self.writes.all || self.writes.schemas.contains(schema)
    }

    /// Whether anything at all may be written.
    pub fn writes(&self) -> bool {
        let Reach {
            all,
            schemas,
            relations,
        } = &self.writes;
        *all || !schemas.is_empty() || !relations.is_empty()
    }

    /// Whether anything in the schema may be read.
    pub fn sees_schema(&self, schema: &str) -> bool {
        self.reads.touches(schema) || self.limited.iter().any(|grant| grant.reads.touches(schema))
    }

    /// The roles whose policies hold for what is read of the relation: none if another role shows it as it is.
    pub(crate) fn limits(&self, name: &TableName) -> Vec<&Grant> {
        let (schema, relation) = (name.schema(), name.name());
        if self.reads.has(schema, relation) {
            return Vec::new();
        }
        let limits = self.limited.iter().filter(|grant| grant.reads.has(schema, relation));
        limits.collect()
    }

    /// Whether no role that reads the relation shows that column.
    pub(crate) fn hides(&self, name: &TableName, column: &str) -> bool {
        let limits = self.limits(name);
        !limits.is_empty() && limits.iter().all(|grant| grant.hides(name, column))
    }
}

impl Reach {
    pub(crate) fn of<'a>(names: impl Iterator<Item = &'a String>) -> Self {
        let mut reach = Self::default();
        for name in names {
            if name == "*" {
                reach.all = true;
            } else if let Ok(relation) = name.parse() {
                reach.relations.insert(relation);
            } else {
                reach.schemas.insert(name.clone());
            }
        }
        reach
    }

    pub(crate) fn has(&self, schema: &str, relation: &str) -> bool {
        let is_named = |named: &TableName| named.schema() == schema && named.name() == relation;
        self.all || self.schemas.contains(schema) || self.relations.iter().any(is_named)
    }

    fn touches(&self, schema: &str) -> bool {
        let is_in_schema = |named: &TableName| named.schema() == schema;
        self.all || self.schemas.contains(schema) || self.relations.iter().any(is_in_schema)
    }
}

/// The cause of an error that is about what somebody may do.
#[derive(Debug)]
pub struct Forbidden;

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no role of this user allows it")
    }
}

impl std::error::Error for Forbidden {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn access(roles: &[&str]) -> Access {
        let role = |name: &str, read: &str, write: &[&str]| {
            let role = Role {
                read: vec![read.to_owned()],
                write: write.iter().map(|name| (*name).to_owned()).collect(),
                ..Role::default()
            };
            (name.to_owned(), role)
        };
        let all = BTreeMap::from([
            role("analyst", "marts", &["sandbox"]),
            role("crm", "warehouse.dim_customer", &["crm.segments"]),
            role("admin", "*", &[]),
        ]);
        let roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
        Access::of("ana", &roles, &BTreeMap::new(), &all)
    }

    #[test]
    fn roles_add_up_and_nothing_is_readable_without_one() {
        let both = access(&["analyst", "crm"]);
        assert!(both.may_read("marts", "sales") && both.sees_schema("marts"));
        assert!(both.may_read("warehouse", "dim_customer") && both.sees_schema("warehouse"));
        assert!(!both.may_read("warehouse", "fct_sales"));
        assert!(!both.may_read("raw_shop", "orders") && !both.sees_schema("raw_shop"));
        assert!(!access(&[]).may_read("marts", "sales") && !access(&[]).sees_schema("marts"));
        assert!(access(&["admin"]).may_read("ops", "runs") && access(&["admin"]).reads_everything());
        assert_eq!(access(&["analyst", "crm"]), access(&["crm", "analyst"]));
    }

    #[test]
    fn who_asks_counts_where_policies_ask_for_it() {
        let role = |rows: &str| Role {
            read: vec!["marts".to_owned()],
            rows: BTreeMap::from([("marts.sales".to_owned(), rows.to_owned())]),
            ..Role::default()
        };
        let all = BTreeMap::from([
            ("own".to_owned(), role("owner = current_user()")),
            ("country".to_owned(), role("country = attribute('country')")),
            (
                "all".to_owned(),
                Role {
                    rows: BTreeMap::new(),
                    ..role("")
                },
            ),
        ]);
        let access = |user: &str, roles: &[&str], country: &str| {
            let roles: Vec<_> = roles.iter().map(|role| (*role).to_owned()).collect();
            let attributes = BTreeMap::from([("country".to_owned(), country.to_owned())]);
            Access::of(user, &roles, &attributes, &all)
        };
        assert_eq!(access("ana", &["country"], "ES"), access("bea", &["country"], "ES"));
        assert_ne!(access("ana", &["country"], "ES"), access("bea", &["country"], "FR"));
        assert_ne!(access("ana", &["own"], "ES"), access("bea", &["own"], "ES"));
        let sales = "marts.sales".parse().unwrap();
        assert_eq!(access("ana", &["own", "country"], "ES").limits(&sales).len(), 2);
        assert!(access("ana", &["own", "all"], "ES").limits(&sales).is_empty());
        assert!(!access("ana", &["own"], "ES").reads_everything());
    }

    #[test]
    fn who_reads_does_not_write() {
        let both = access(&["analyst", "crm"]);
        assert!(both.may_write("sandbox", "new") && both.may_write("crm", "segments"));
        assert!(!both.may_write("crm", "other") && !both.may_write("marts", "sales"));
        assert!(!access(&["admin"]).may_write("marts", "sales"));
        assert!(Access::everything().may_write("marts", "sales"));
    }
}
