//! Facts about who may depend on whom, asserted over `cargo metadata` and Cargo.lock (docs/ARCHITECTURE.md).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// The crate on which all stand, so that they ask for the same features of their dependencies. It holds no code.
const FEATURES: &str = "workspace-hack";

/// Every crate of the workspace with the workspace crates that it may use outside tests.
const ALLOWED: [(&str, &[&str]); 24] = [
    (
        "cordada",
        &[
            "cordada-core",
            "cordada-demo",
            "cordada-flight-server",
            "cordada-ingest",
            "cordada-ingest-rest",
            "cordada-ingest-source",
            "cordada-lake",
            "cordada-marts",
            "cordada-project",
            "cordada-query",
        ],
    ),
    ("cordada-demo", &["cordada-core"]),
    (
        "cordada-project",
        &[
            "cordada-core",
            "cordada-exporter",
            "cordada-flight-server",
            "cordada-ingest",
            "cordada-ingest-database",
            "cordada-ingest-events",
            "cordada-ingest-files",
            "cordada-ingest-logs",
            "cordada-ingest-mqtt",
            "cordada-ingest-rest",
            "cordada-ingest-source",
            "cordada-lake",
            "cordada-marts",
            "cordada-models",
            "cordada-query",
        ],
    ),
    // Landing knows no kind; kinds know neither the lake nor each other.
    (
        "cordada-ingest",
        &[
            "cordada-core",
            "cordada-ingest-formats",
            "cordada-ingest-source",
            "cordada-lake",
        ],
    ),
    ("cordada-ingest-source", &["cordada-core", "cordada-ingest-formats"]),
    (
        "cordada-ingest-source-contract",
        &["cordada-core", "cordada-ingest-formats", "cordada-ingest-source"],
    ),
    ("cordada-ingest-formats", &["cordada-core"]),
    ("cordada-ingest-discovery", &["cordada-core", "cordada-ingest-formats"]),
    (
        "cordada-ingest-files",
        &[
            "cordada-core",
            "cordada-ingest-discovery",
            "cordada-ingest-formats",
            "cordada-ingest-source",
        ],
    ),
    (
        "cordada-ingest-database",
        &["cordada-core", "cordada-ingest-formats", "cordada-ingest-source"],
    ),
    (
        "cordada-ingest-rest",
        &[
            "cordada-core",
            "cordada-http",
            "cordada-ingest-formats",
            "cordada-ingest-source",
        ],
    ),
    (
        "cordada-ingest-events",
        &[
            "cordada-core",
            "cordada-ingest-formats",
            "cordada-ingest-source",
            "cordada-wal",
        ],
    ),
    (
        "cordada-ingest-logs",
        &[
            "cordada-core",
            "cordada-ingest-discovery",
            "cordada-ingest-formats",
            "cordada-ingest-source",
        ],
    ),
    (
        "cordada-ingest-mqtt",
        &["cordada-core", "cordada-ingest-formats", "cordada-ingest-source"],
    ),
    ("cordada-http", &["cordada-core", "cordada-ingest-formats"]),
    ("cordada-marts", &["cordada-core", "cordada-lake"]),
    ("cordada-models", &["cordada-core", "cordada-lake"]),
    ("cordada-query", &["cordada-core", "cordada-lake", "cordada-wal"]),
    ("cordada-query-contract", &["cordada-lake", "cordada-query"]),
    (
        "cordada-flight-server",
        &["cordada-core", "cordada-lake", "cordada-query"],
    ),
    // Reaches data through Flight SQL alone.
    ("cordada-exporter", &["cordada-core", "cordada-http"]),
    ("cordada-lake", &["cordada-core"]),
    ("cordada-wal", &["cordada-core"]),
    ("cordada-core", &[]),
];

/// Crates that are expensive to compile twice, or whose types must be the same everywhere.
const ONE_VERSION: [&str; 10] = [
    "arrow",
    "arrow-flight",
    "datafusion",
    "deltalake-core",
    "hyper",
    "object_store",
    "parquet",
    "prost",
    "rustls",
    "tonic",
];

/// What pulls in a whole cloud SDK or a second TLS stack.
const UNWANTED: [&str; 4] = ["aws-config", "aws-sdk-dynamodb", "native-tls", "openssl-sys"];

#[test]
fn crates_depend_in_one_direction() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let found: BTreeMap<String, BTreeSet<String>> = metadata
        .packages
        .iter()
        .map(|package| {
            let siblings = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.path.is_some() && dependency.kind != DependencyKind::Development)
                .filter(|dependency| dependency.name != FEATURES)
                .map(|dependency| dependency.name.clone());
            (package.name.to_string(), siblings.collect())
        })
        .collect();
    let members: BTreeSet<&str> = found
        .keys()
        .map(String::as_str)
        .filter(|name| *name != FEATURES)
        .collect();
    assert_eq!(
        members,
        ALLOWED.iter().map(|(name, _)| *name).collect(),
        "a new crate needs its line in ALLOWED"
    );
    for (name, allowed) in ALLOWED {
        let forbidden: Vec<_> = found[name]
            .iter()
            .filter(|used| !allowed.contains(&used.as_str()))
            .collect();
        assert!(forbidden.is_empty(), "{name} must not depend on {forbidden:?}");
    }
}

/// Every protocol stands on `query`, so it must know none.
#[test]
fn the_query_crate_knows_no_protocol() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let query = metadata
        .packages
        .iter()
        .find(|package| package.name == "cordada-query")
        .unwrap();
    for dependency in &query.dependencies {
        let name = dependency.name.as_str();
        assert!(!["arrow-flight", "axum", "hyper", "tonic"].contains(&name), "{name}");
    }
}

#[test]
fn every_crate_asks_for_one_set_of_features() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    for package in metadata.packages.iter().filter(|package| package.name != FEATURES) {
        let asks = package
            .dependencies
            .iter()
            .any(|dependency| dependency.name == FEATURES);
        assert!(
            asks,
            "{} compiles its dependencies again: add `workspace-hack.workspace = true`",
            package.name
        );
    }
}

#[test]
fn heavy_crates_are_compiled_once() {
    let versions = locked_versions();
    for name in ONE_VERSION {
        let locked = versions
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in Cargo.lock: mend ONE_VERSION"));
        assert_eq!(locked.len(), 1, "{name} is locked in several versions: {locked:?}");
    }
    for name in UNWANTED {
        assert!(
            !versions.contains_key(name),
            "{name} came into Cargo.lock: `cargo tree -i {name}` says through whom"
        );
    }
}

/// What our own code uses of a newer standard library is clippy's to find (`incompatible_msrv`).
#[test]
fn the_oldest_rust_that_is_promised_compiles_every_dependency() {
    let options = ["--locked".to_owned(), "--filter-platform".to_owned(), host()];
    let metadata = MetadataCommand::new().other_options(options).exec().unwrap();
    let promised = metadata.root_package().unwrap().rust_version.clone().unwrap();
    for package in &metadata.packages {
        let needed = package.rust_version.as_ref();
        assert!(
            needed.is_none_or(|needed| *needed <= promised),
            "{} needs Rust {needed:?}: raise `rust-version` in Cargo.toml, or take an older version of it",
            package.name
        );
    }
    let words = format!("Rust {}.{}", promised.major, promised.minor);
    for page in ["README.md", "CONTRIBUTING.md"] {
        assert!(read(page).contains(&words), "{page} does not ask for {words}");
    }
}

/// The platform that cargo compiles for: the crates of others may not be on this machine.
fn host() -> String {
    let version = Command::new(env!("CARGO")).arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The versions of each package in Cargo.lock, for all platforms and features.
fn locked_versions() -> BTreeMap<String, Vec<String>> {
    let lock = read("Cargo.lock");
    let mut versions = BTreeMap::<String, Vec<String>>::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.unwrap().trim_matches('"').to_owned()
        };
        versions.entry(value("name")).or_default().push(value("version"));
    }
    versions
}
