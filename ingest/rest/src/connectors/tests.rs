use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::*;

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn stems(folder: &Path, extension: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let named = entries.filter(|path| path.extension().is_some_and(|found| found == extension));
    named
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn every_file_is_a_connector() {
    let known: BTreeSet<_> = Connector::all()
        .unwrap()
        .iter()
        .map(|connector| connector.name().to_owned())
        .collect();
    assert_eq!(known, stems(&folder("connectors"), "yml"));
    assert!(known.len() >= 27);
    let error = Connector::named("shopfiy").unwrap_err().to_string();
    assert!(error.contains("did you mean `shopify`"), "{error}");
}

#[test]
fn pages_say_what_the_files_say() {
    let docs = folder("../../docs/connectors");
    let mut pages: Vec<_> = Connector::all()
        .unwrap()
        .iter()
        .map(|connector| (connector.name().to_owned(), connector.page()))
        .collect();
    pages.push(("README".to_owned(), index().unwrap()));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(&docs).unwrap();
        for (name, page) in &pages {
            std::fs::write(docs.join(format!("{name}.md")), page).unwrap();
        }
    }
    for (name, page) in &pages {
        let written = std::fs::read_to_string(docs.join(format!("{name}.md"))).unwrap_or_default();
        assert!(
            written == *page,
            "docs/connectors/{name}.md is out of date: UPDATE_DOCS=1 cargo test -p cordada-ingest-rest connectors"
        );
    }
    assert_eq!(stems(&docs, "md"), pages.into_iter().map(|(name, _)| name).collect());
}

/// What a reader relies on is there: a description, where to look, base URLs that tests and proxies can set, positions
/// that are explained, rows that are told apart.
#[test]
fn every_connector_is_documented() {
    for connector in Connector::all().unwrap() {
        let (name, manifest) = (connector.name(), &connector.manifest);
        assert!(
            manifest.docs.as_ref().is_some_and(|docs| docs.starts_with("https://")),
            "{name}"
        );
        assert!(
            manifest.description.ends_with('.') && !manifest.notes.is_empty(),
            "{name}"
        );
        assert!(manifest.held_against.is_some(), "{name} was held against nothing");
        assert!(manifest.check.is_some(), "{name} has no check");
        assert!(manifest.config.contains_key("base_url"), "{name}");
        assert!(manifest.base_url.source().contains("config.base_url"), "{name}");
        for (key, declared) in &manifest.config {
            assert!(!declared.description.is_empty(), "{name}: {key}");
            let shown = declared.secret || declared.example.is_some() || declared.default.is_some();
            assert!(shown || !is_required(declared), "{name}: {key} has no example");
            let secret = ["token", "password", "secret", "api_key", "private_key"].contains(&key.as_str());
            assert!(declared.secret || !secret, "{name}: {key} is not a secret");
        }
        for (stream, spec) in &manifest.streams {
            assert!(spec.description.ends_with('.'), "{name}.{stream}");
            if let Some(incremental) = spec.incremental.as_ref().or(manifest.defaults.incremental.as_ref()) {
                let declared = incremental.cursor.source();
                if declared.is_empty() {
                    continue;
                }
                let cursor = declared.contains("config.") || connector.page().contains(&format!("`{declared}`"));
                assert!(cursor && incremental.lag.is_some(), "{name}.{stream}");
                let sent = format!("{:?}{:?}{:?}", spec.request, spec.job, manifest.defaults.request);
                assert!(
                    sent.contains("cursor.start"),
                    "{name}.{stream} asks for everything each time"
                );
            }
        }
    }
}

#[test]
fn sources_hold_no_secrets_but_their_names() {
    let shopify = Connector::named("shopify").unwrap().source();
    assert!(shopify.contains("\n  token: ${SHOPIFY_TOKEN}"), "{shopify}");
    assert!(shopify.contains("\n  shop: acme"), "{shopify}");
    assert!(shopify.contains("\n  # api_version: \"2026-07\""), "{shopify}");
    for connector in Connector::all().unwrap() {
        let source = connector.source();
        for (key, _) in connector.manifest.config.iter().filter(|(_, key)| key.secret) {
            assert!(
                source.contains(&format!("{key}: ${{{}}}", connector.variable(key))),
                "{source}"
            );
        }
    }
}
