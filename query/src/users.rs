//! The users and roles of a project, and what makes them wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cordada_core::{Error, Result, TableName};
use serde::Deserialize;

use crate::auth::password;
use crate::execution::RoleLimits;
use crate::policy::{Asker, Mask, Personal};

/// What is being done when users or roles turn out to be wrong.
const DOING: &str = "configuring users and roles";

/// Somebody who may connect.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name to log in with.
    pub name: String,
    /// The password's Argon2 hash as a PHC string (`$argon2id$…`), as [`crate::auth::hash_password`] makes it. Empty for
    /// a user who has none, and comes with an API token, a certificate or the identity provider's token.
    #[serde(default)]
    pub password_hash: String,
    /// The roles whose relations this user reads; without any, none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What the policies of roles ask for with `attribute('name')`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("roles", &self.roles)
            .finish_non_exhaustive()
    }
}

/// What a role may do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Schemas (`marts`) and single relations (`warehouse.dim_customer`) that it reads; `*` is all of them.
    #[serde(default)]
    pub read: Vec<String>,
    /// Schemas and single relations that it writes, in the same form; none by default, whatever it reads.
    #[serde(default)]
    pub write: Vec<String>,
    /// The rows that it shows, by relation, by schema or of all (`*`): an SQL condition. All that are about a relation
    /// hold for it.
    #[serde(default)]
    pub rows: BTreeMap<String, String>,
    /// What it shows of columns, by relation, by schema or of all (`*`). The nearest is the one that counts.
    #[serde(default)]
    pub columns: BTreeMap<String, BTreeMap<String, Mask>>,
    /// What it shows of columns that are tagged as personal data, and not named in [`Self::columns`].
    #[serde(default)]
    pub pii: Personal,
    /// What its statements may take, in place of the server's limits.
    #[serde(default)]
    pub limits: RoleLimits,
}

/// Checks what can be wrong before anybody is let in.
///
/// # Errors
/// Config: a user twice, a password hash or a role that is not one.
pub(crate) fn check(users: &[User], roles: &BTreeMap<String, Role>) -> Result<()> {
    for (name, role) in roles {
        role.check(name)?;
    }
    let mut names = BTreeSet::new();
    for user in users {
        if !names.insert(&user.name) {
            return Err(Error::config(DOING, format!("user `{}` is there twice", user.name)));
        }
        user.check(roles)?;
    }
    Ok(())
}

impl Role {
    fn check(&self, name: &str) -> Result<()> {
        let is_wrong = |named: &&String| *named != "*" && !is_schema(named) && named.parse::<TableName>().is_err();
        for (does, names) in [("read", &self.read), ("write", &self.write)] {
            if let Some(wrong) = names.iter().find(is_wrong) {
                return Err(Error::config(DOING, format!("role `{name}` cannot {does} `{wrong}`"))
                    .hint("name a schema (`marts`), a relation (`warehouse.dim_customer`), or `*`"));
            }
        }
        if let Some(wrong) = self.rows.keys().chain(self.columns.keys()).find(is_wrong) {
            return Err(
                Error::config(DOING, format!("role `{name}` cannot have policies for `{wrong}`"))
                    .hint("name a schema (`marts`), a relation (`warehouse.dim_customer`), or `*`"),
            );
        }
        let asker = Asker {
            user: "",
            role: name,
            attributes: &BTreeMap::new(),
        };
        for (target, sql) in self.sql() {
            asker.fill(sql).map_err(|why| {
                let doing = format!("reading the policies of role `{name}` for `{target}`");
                Error::config(doing, format!("`{sql}` is not an SQL expression: {why}"))
            })?;
        }
        self.limits.check(name)
    }

    /// The SQL of its policies, with what they are about.
    fn sql(&self) -> impl Iterator<Item = (&String, &String)> {
        let masks = self.columns.iter();
        let masks = masks.flat_map(|(target, masks)| masks.values().map(move |mask| (target, mask)));
        let expressions = masks.filter_map(|(target, mask)| match mask {
            Mask::Expression(sql) => Some((target, sql)),
            _ => None,
        });
        self.rows.iter().chain(expressions)
    }

    /// Whether it shows less than all of what it reads.
    pub(crate) fn has_policies(&self) -> bool {
        !self.rows.is_empty() || !self.columns.is_empty() || self.pii != Personal::Clear
    }
}

impl User {
    fn check(&self, roles: &BTreeMap<String, Role>) -> Result<()> {
        if !self.password_hash.is_empty() {
            password::check_hash(&self.password_hash).map_err(|why| {
                Error::config(
                    DOING,
                    format!("the password hash of user `{}` is not one: {why}", self.name),
                )
                .hint("it takes the password's Argon2 hash, which begins with $argon2id$")
            })?;
        }
        let Some(role) = self.roles.iter().find(|role| !roles.contains_key(*role)) else {
            return Ok(());
        };
        let known: Vec<_> = roles.keys().map(String::as_str).collect();
        Err(
            Error::config(DOING, format!("user `{}` has the unknown role `{role}`", self.name))
                .hint(format!("the roles are: {}", known.join(", "))),
        )
    }
}

/// Whether the text can be a schema's name: what [`TableName`] takes for one.
fn is_schema(text: &str) -> bool {
    TableName::new(text, "t").is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::auth::hash_password;

    fn role(read: &str) -> Role {
        Role {
            read: vec![read.to_owned()],
            ..Role::default()
        }
    }

    fn user(name: &str, role: &str) -> User {
        User {
            name: name.to_owned(),
            password_hash: hash_password("secret").unwrap(),
            roles: vec![role.to_owned()],
            ..User::default()
        }
    }

    #[test]
    fn what_is_wrong_with_users_and_roles_is_named() {
        let roles = BTreeMap::from([("analyst".to_owned(), role("marts"))]);
        let refused = |users: &[User]| {
            let error = check(users, &roles).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{error}");
            error.to_string()
        };
        let ana = user("ana", "analyst");
        check(&[ana.clone(), user("bea", "analyst")], &roles).unwrap();
        assert!(refused(&[ana.clone(), ana.clone()]).contains("`ana` is there twice"));
        assert!(refused(&[ana.clone(), user("bea", "boss")]).contains("the roles are: analyst"));
        let unhashed = User {
            password_hash: "secret".to_owned(),
            ..ana
        };
        let error = refused(&[unhashed]);
        assert!(
            error.contains("`ana` is not one") && !error.contains("secret"),
            "{error}"
        );
        let odd = BTreeMap::from([("odd".to_owned(), role("a b"))]);
        let error = check(&[], &odd).unwrap_err().to_string();
        assert!(error.contains("cannot read `a b`"), "{error}");
        let odd = Role {
            write: vec!["a.b.c".to_owned()],
            ..role("marts")
        };
        let error = check(&[], &BTreeMap::from([("odd".to_owned(), odd)])).unwrap_err();
        assert!(error.to_string().contains("cannot write `a.b.c`"), "{error}");
    }

    #[test]
    fn a_users_hash_is_not_printed() {
        assert!(!format!("{:?}", user("ana", "analyst")).contains("argon2"));
    }
}
