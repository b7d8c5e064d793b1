//! Configurations in layers, and where each key was said.

use std::collections::HashMap;

use cordada_core::{FilePosition, Result};
use serde_json::Value;

use crate::config::{self, RawConfig};
use crate::jinja::{Jinja, Render, Uses, is_template};

/// A configuration and the place of each of its keys.
#[derive(Default)]
pub(super) struct Layers {
    pub(super) merged: RawConfig,
    places: HashMap<String, FilePosition>,
}

impl Layers {
    /// Adds a layer that wins over those before.
    pub(super) fn add(&mut self, layer: RawConfig, place: impl Fn(&str) -> FilePosition) {
        for key in layer.keys() {
            self.places.insert(key.clone(), place(key));
        }
        config::merge(&mut self.merged, layer);
    }

    /// Where the key was said last.
    pub(super) fn place(&self, key: &str) -> Option<&FilePosition> {
        self.places.get(key)
    }
}

/// Renders the templates among the texts of a value; `used` hears what each of them used.
pub(crate) fn render(
    jinja: &Jinja,
    value: &Value,
    place: &FilePosition,
    how: &dyn Fn() -> Render,
    used: &mut dyn FnMut(Uses),
) -> Result<Value> {
    Ok(match value {
        Value::String(text) if is_template(text) => {
            let (value, uses) = jinja.render_value(text, place, how())?;
            used(uses);
            value
        }
        Value::Array(items) => items
            .iter()
            .map(|item| render(jinja, item, place, how, used))
            .collect::<Result<Vec<_>>>()?
            .into(),
        Value::Object(entries) => {
            let rendered = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), render(jinja, value, place, how, used)?)));
            Value::Object(rendered.collect::<Result<_>>()?)
        }
        other => other.clone(),
    })
}
