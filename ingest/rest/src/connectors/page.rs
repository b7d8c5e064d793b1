//! Documentation, made from manifests.

use std::fmt::Write as _;

use cordada_core::Result;
use cordada_http::system::ConfigKey;
use cordada_http::system::limits::Limits;
use cordada_ingest_source::options::Disposition;

use super::{Connector, is_required, yaml};
use crate::manifest::{ANY, StreamSpec};

/// The page that lists all connectors, in Markdown.
///
/// # Errors
/// As [`Connector::all`].
pub fn index() -> Result<String> {
    let mut text = "# Connectors\n\nSystems that are described in one file each, in `ingest/rest/connectors/`. These pages are \
                    made from those files.\n\n    cordada connectors               what there is\n    cordada connectors \
                    show NAME     what it lands and what to know; --yaml prints the file\n    cordada init --source NAME       a source to begin \
                    with\n\n| connector | system | lands |\n|---|---|---|\n"
        .to_owned();
    for connector in Connector::all()? {
        let (name, title) = (connector.name(), connector.title());
        let _ = writeln!(
            text,
            "| [{name}]({name}.md) | {title} | {} |",
            cell(connector.description())
        );
    }
    text.push_str(
        "\nA system that is not here needs a file of yours and no code: `manifest: store-api.yml` in place of \
         `connector:`, in the same format.\n",
    );
    Ok(text)
}

/// See [`Connector::page`].
pub(super) fn page(connector: &Connector) -> String {
    let manifest = &connector.manifest;
    let name = connector.name();
    let mut text = format!("# {}\n\n{}\n", connector.title(), connector.description());
    if let Some(docs) = &manifest.docs {
        let _ = writeln!(text, "The system's own documentation: <{docs}>.");
    }
    if let Some(evidence) = &manifest.held_against {
        let _ = writeln!(text, "It was held against {evidence}.");
    }
    let _ = writeln!(text, "\n`cordada init --source {name}` writes `sources/{name}.yml`:\n");
    for line in connector.source().lines() {
        let _ = writeln!(text, "    {line}");
    }

    if !manifest.config.is_empty() {
        text.push_str("\n## Configuration\n\n| key | meaning | default |\n|---|---|---|\n");
        for (key, declared) in &manifest.config {
            text.push_str(&config(key, declared));
        }
    }

    text.push_str("\n## Streams\n\n| stream | rows | key | each load reads | personal data |\n|---|---|---|---|---|\n");
    for (stream, spec) in &manifest.streams {
        let shown = if stream == ANY {
            "*named by you*".to_owned()
        } else {
            format!("`{stream}`")
        };
        let _ = writeln!(
            text,
            "| {shown} | {} | {} | {} | {} |",
            cell(&spec.description),
            names(&spec.key),
            reads(connector, spec),
            personal(spec)
        );
    }
    for (stream, spec) in manifest.streams.iter().filter(|(_, spec)| !spec.config.is_empty()) {
        let about = if stream == ANY {
            "a stream of your own".to_owned()
        } else {
            format!("`{stream}`")
        };
        let _ = writeln!(
            text,
            "\nUnder `config:` of {about}:\n\n| key | meaning | default |\n|---|---|---|"
        );
        for (key, declared) in &spec.config {
            text.push_str(&config(key, declared));
        }
    }

    if !manifest.notes.is_empty() {
        text.push_str("\n## Good to know\n\n");
        for note in &manifest.notes {
            let _ = writeln!(text, "- {note}");
        }
        let _ = writeln!(text, "- {}.", limits(&manifest.limits));
    }
    text
}

fn config(key: &str, declared: &ConfigKey) -> String {
    let default = match &declared.default {
        Some(default) if *default == "{{ stream }}" => "the stream's name".to_owned(),
        Some(default) if *default == "" => String::new(),
        Some(default) => format!("`{}`", yaml(default)),
        None if is_required(declared) => "required".to_owned(),
        None => String::new(),
    };
    let secret = if declared.secret { "; a secret" } else { "" };
    let example = match &declared.example {
        Some(example) => format!(", as `{}`", yaml(example)),
        None => String::new(),
    };
    format!(
        "| `{key}` | {}{secret}{example} | {} |\n",
        cell(&declared.description),
        cell(&default)
    )
}

/// What a load asks for.
fn reads(connector: &Connector, spec: &StreamSpec) -> String {
    let manifest = &connector.manifest;
    let incremental = spec.incremental.as_ref().or(manifest.defaults.incremental.as_ref());
    let mut reads = match incremental {
        _ if manifest.disposition(spec) == Disposition::Replace => "everything".to_owned(),
        Some(incremental) => {
            let cursor = incremental.cursor.source();
            match cursor.contains("{{") {
                true => "what changed, if you name the column that tells".to_owned(),
                false => format!("what changed, by `{cursor}`"),
            }
        }
        None => "what belongs to parents that changed".to_owned(),
    };
    if let Some(parent) = &spec.parent {
        let _ = write!(reads, "; a request for each of `{}`", parent.stream);
    }
    if spec.job.is_some() {
        reads.push_str("; a job that we wait for");
    }
    reads
}

fn personal(spec: &StreamSpec) -> String {
    let tagged = spec.columns.iter().filter(|(_, column)| column.pii.is_some());
    names(tagged.map(|(name, _)| name))
}

fn names<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names
        .into_iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn limits(limits: &Limits) -> String {
    let mut text = match limits.concurrency {
        1 => "One request at a time".to_owned(),
        several => format!("{several} requests at a time at most"),
    };
    for budget in &limits.budgets {
        let _ = write!(text, ", {} in {} seconds", budget.requests, budget.per.0.as_secs());
    }
    if limits.graphql_cost.is_some() {
        text.push_str(", and never more than the query costs that are left");
    }
    if limits.remaining_header.is_some() {
        text.push_str(", and none when the system says that none are left");
    }
    text
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
