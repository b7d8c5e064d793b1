//! What a user may read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cordada_core::TableName;

use crate::users::{Role, User};

/// The relations that somebody may read. Two users with equal access share plans.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Access {
    /// All of them.
    Everything,
    /// These only.
    Only {
        /// Whole schemas.
        schemas: BTreeSet<String>,
        /// Single relations.
        relations: BTreeSet<TableName>,
    },
}

impl Access {
    /// The union of what the user's roles read.
    pub fn of(user: &User, roles: &BTreeMap<String, Role>) -> Self {
        let (mut schemas, mut relations) = (BTreeSet::new(), BTreeSet::new());
        for read in user
            .roles
            .iter()
            .filter_map(|role| roles.get(role))
            .flat_map(|role| &role.read)
        {
            if read == "*" {
                return Self::Everything;
            }
            match read.parse() {
                Ok(relation) => relations.insert(relation),
                Err(_) => schemas.insert(read.clone()),
            };
        }
        Self::Only { schemas, relations }
    }

    /// Whether the relation may be read.
    pub fn may_read(&self, schema: &str, relation: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only { schemas, relations } => {
                schemas.contains(schema) || relations.iter().any(|r| r.schema() == schema && r.name() == relation)
            }
        }
    }

    /// Whether anything in the schema may be read.
    pub fn sees_schema(&self, schema: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::Only { schemas, relations } => {
                schemas.contains(schema) || relations.iter().any(|relation| relation.schema() == schema)
            }
        }
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
mod tests {
    use super::*;

    fn access(roles: &[&str]) -> Access {
        let all = BTreeMap::from([
            (
                "analyst".to_owned(),
                Role {
                    read: vec!["marts".to_owned()],
                },
            ),
            (
                "crm".to_owned(),
                Role {
                    read: vec!["warehouse.dim_customer".to_owned()],
                },
            ),
            (
                "admin".to_owned(),
                Role {
                    read: vec!["*".to_owned()],
                },
            ),
        ]);
        let user = User {
            name: "ana".to_owned(),
            password_hash: String::new(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        };
        Access::of(&user, &all)
    }

    #[test]
    fn roles_add_up_and_nothing_is_readable_without_one() {
        let both = access(&["analyst", "crm"]);
        assert!(both.may_read("marts", "sales") && both.sees_schema("marts"));
        assert!(both.may_read("warehouse", "dim_customer") && both.sees_schema("warehouse"));
        assert!(!both.may_read("warehouse", "fct_sales"));
        assert!(!both.may_read("raw_shop", "orders") && !both.sees_schema("raw_shop"));
        assert!(!access(&[]).may_read("marts", "sales") && !access(&[]).sees_schema("marts"));
        assert!(access(&["admin"]).may_read("ops", "runs"));
        assert_eq!(access(&["analyst", "crm"]), access(&["crm", "analyst"]));
    }
}
