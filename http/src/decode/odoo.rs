//! Odoo's records: an empty field of any type but boolean is `false`, and a many-to-one is `[id, name]`.

use serde_json::value::RawValue;

use super::rewrite::{Member, Notation};

/// Odoo's notation.
pub(super) struct Odoo<'a> {
    /// The fields in which `false` is false.
    pub(super) booleans: &'a [String],
}

impl Notation for Odoo<'_> {
    const NAME: &'static str = "Odoo's JSON";

    fn member(&self, _depth: usize, key: &str, value: &RawValue) -> Member {
        match value.get() == "false" && !self.booleans.iter().any(|name| name == key) {
            true => Member::IsNull,
            false => Member::Stays,
        }
    }

    fn array(&self, items: &[&RawValue]) -> Option<String> {
        // A one-to-many has numbers only.
        let [id, name] = items else { return None };
        let is_reference = name.get().starts_with('"') && id.get().bytes().all(|byte| byte.is_ascii_digit());
        is_reference.then(|| format!("{{\"id\":{},\"name\":{}}}", id.get(), name.get()))
    }
}
