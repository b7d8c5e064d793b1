//! A source to begin with.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cordada_http::system::ConfigKey;

use super::{Connector, is_required, yaml};
use crate::manifest::{ANY, StreamSpec};

/// See [`Connector::source`].
pub(super) fn source(connector: &Connector) -> String {
    let manifest = &connector.manifest;
    let mut lines = vec![
        format!("# {}", connector.description()),
        format!(
            "# Streams, keys and what to know: cordada connectors show {}",
            connector.name
        ),
        "kind: rest".to_owned(),
        format!("connector: {}", connector.name),
    ];
    let addresses_only = manifest.config.keys().all(|name| name.ends_with("_url"));
    if !addresses_only {
        // A mapping that holds nothing but comments would be null.
        let all_optional = !manifest.config.values().any(is_required);
        lines.push(if all_optional { "# config:" } else { "config:" }.to_owned());
        lines.extend(keys(connector, &manifest.config, 2, all_optional));
    }
    let named = connector.streams();
    if !named.is_empty() {
        lines.push(format!(
            "# All streams land unless you choose: {}",
            "streams: [".to_owned() + &named.join(", ") + "]"
        ));
    }
    if let Some(any) = manifest.streams.get(ANY) {
        // Beside streams that there are, one that is only an example would be in the way.
        let comment = !named.is_empty();
        if comment {
            lines.push("# A stream of your own:".to_owned());
        }
        lines.extend(own_stream(connector, any).into_iter().map(|line| match comment {
            true => format!("# {line}"),
            false => line,
        }));
    }
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// A stream that a user names, after the first example of what it needs.
fn own_stream(connector: &Connector, any: &StreamSpec) -> Vec<String> {
    let names_it = |key: &&ConfigKey| is_required(key) || key.default.as_ref().is_some_and(|it| *it == "{{ stream }}");
    let example = any
        .config
        .values()
        .filter(names_it)
        .find_map(|key| key.example.as_ref()?.as_str());
    let name = match cordada_core::names::snake_case(example.unwrap_or_default()) {
        name if name.starts_with(|c: char| c.is_ascii_alphabetic()) => name,
        _ => "example".to_owned(),
    };
    let about = any.description.trim_end_matches('.').to_lowercase();
    // A mapping that holds nothing but comments would be null.
    let all_optional = !any.config.values().any(is_required);
    let (stream, config) = if all_optional {
        (" {}", "# config:")
    } else {
        ("", "config:")
    };
    let mut lines = vec![
        "streams:".to_owned(),
        format!("  {name}:{stream}  # {about}"),
        format!("    {config}"),
    ];
    lines.extend(keys(connector, &any.config, 6, all_optional));
    lines
}

/// The keys, those that are required first, with what they mean behind them.
fn keys(connector: &Connector, config: &BTreeMap<String, ConfigKey>, indent: usize, comment: bool) -> Vec<String> {
    // Addresses are for tests and proxies: the page has them.
    let shown = |(name, key): &(&String, &ConfigKey)| is_required(key) || !name.ends_with("_url");
    let mut ordered: Vec<_> = config.iter().filter(shown).collect();
    ordered.sort_by_key(|(_, key)| !is_required(key));
    let line = |(name, key): (&String, &ConfigKey)| {
        let value = match (&key.default, &key.example) {
            _ if key.secret => format!("${{{}}}", connector.variable(name)),
            (Some(default), _) if *default != "" && *default != "{{ stream }}" => yaml(default),
            (_, Some(example)) => yaml(example),
            _ => "\"\"".to_owned(),
        };
        let mark = if comment || !is_required(key) { "# " } else { "" };
        let entry = format!("{}{mark}{name}: {value}", " ".repeat(indent));
        format!("{entry:<45}  # {}", key.description)
    };
    ordered.into_iter().map(line).collect()
}
