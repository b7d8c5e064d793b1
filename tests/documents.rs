//! Maps that lead somewhere: what README, CONTRIBUTING and the architecture call a path of this repository is there.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

const PAGES: [&str; 3] = ["README.md", "CONTRIBUTING.md", "docs/ARCHITECTURE.md"];

#[test]
fn every_path_that_a_page_names_is_there() {
    let mut missing = Vec::new();
    for page in PAGES {
        let paths = paths(page);
        assert!(
            !paths.is_empty(),
            "{page} names no path: is it still read as it is written?"
        );
        missing.extend(
            paths
                .into_iter()
                .filter(|(_, path)| !is_there(path))
                .map(|(line, path)| {
                    let path = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
                    format!("{page}:{line}: there is no {path}")
                }),
        );
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths that a page names, each with its line: from the root in backticks, from the page's folder in links.
fn paths(page: &str) -> Vec<(usize, PathBuf)> {
    let page = root().join(page);
    let text = std::fs::read_to_string(&page).unwrap();
    let mut fenced = false;
    let mut paths = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let code = line.split('`').skip(1).step_by(2).filter(|code| is_path(code));
            paths.extend(code.map(|code| (number, root().join(code))));
            paths.extend(links(line).map(|link| (number, page.with_file_name(link))));
        }
    }
    paths
}

/// The targets of links to files of this repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://"));
    files.filter_map(|target| target.split('#').next().filter(|file| !file.is_empty()))
}

/// Whether code in a text is a path of this repository, rather than of a user's project: something in one of its
/// folders, or Rust in any.
fn is_path(code: &str) -> bool {
    let is_word = !code.contains(char::is_whitespace) && !code.starts_with(['/', '.', '-']);
    let ours = |(folder, _): (&str, &str)| code.ends_with(".rs") || root().join(folder).is_dir();
    is_word && code.split_once('/').is_some_and(ours)
}

/// Whether there is such a file or folder, or one that fits if it is a pattern.
fn is_there(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|pattern| glob::glob(pattern).unwrap().next().is_some())
}
