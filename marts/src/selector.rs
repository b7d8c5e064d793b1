//! dbt's selectors: `orders`, `+orders`, `orders+1`, `tag:daily`, `path:marts`, `staging.*`, `a,b`.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};

use crate::graph;
use crate::node::{Node, NodeId};
use crate::project::ProjectContents;

/// Chooses nodes; an empty `select` chooses all.
pub(crate) fn select(project: &ProjectContents, select: &[String], exclude: &[String]) -> Result<BTreeSet<NodeId>> {
    let chosen = match select {
        [] => project.nodes.iter().map(|node| node.id).collect(),
        _ => union(project, select)?,
    };
    let excluded = union(project, exclude)?;
    Ok(chosen.difference(&excluded).copied().collect())
}

/// What any of the selectors chooses; spaces separate selectors too.
fn union(project: &ProjectContents, selectors: &[String]) -> Result<BTreeSet<NodeId>> {
    let mut chosen = BTreeSet::new();
    for selector in selectors.iter().flat_map(|text| text.split_whitespace()) {
        let mut parts = selector.split(',').map(|part| atom(project, part));
        let mut intersection = parts.next().transpose()?.unwrap_or_default();
        for part in parts {
            intersection = intersection.intersection(&part?).copied().collect();
        }
        chosen.extend(intersection);
    }
    Ok(chosen)
}

/// One selector without spaces and commas: a criterion with its ancestors or descendants.
fn atom(project: &ProjectContents, text: &str) -> Result<BTreeSet<NodeId>> {
    let doing = || format!("selecting `{text}`");
    let atom = Atom::parse(text).ok_or_else(|| {
        Error::config(doing(), "the selector is not understood").hint("write it as [n+]name[+n], tag:t or path:p")
    })?;
    let matches = matcher(project, atom.criterion, &doing)?;
    let chosen: Vec<_> = project
        .nodes
        .iter()
        .filter(|node| matches(node))
        .map(|node| node.id)
        .collect();
    if chosen.is_empty() {
        let names = project.nodes.iter().map(|node| node.name.as_str());
        return Err(Error::config(doing(), "it matches nothing").hint(did_you_mean(atom.criterion, "nodes", names)));
    }
    let parents = project.dependencies();
    let children = graph::reversed(&parents);
    let mut all = BTreeSet::new();
    for id in chosen {
        all.insert(id);
        for (edges, steps) in [(&parents, atom.ancestors), (&children, atom.descendants)] {
            if let Some(steps) = steps {
                all.extend(graph::within(edges, id.0, steps.count()).into_iter().map(NodeId));
            }
        }
    }
    Ok(with_outputs(project, &all))
}

/// The nodes, where a model and its further outputs are one: they are made together.
fn with_outputs(project: &ProjectContents, chosen: &BTreeSet<NodeId>) -> BTreeSet<NodeId> {
    let node = |id: NodeId| &project.nodes[id.0];
    let models = chosen.iter().map(|id| node(*id).output_of().unwrap_or(*id));
    models
        .flat_map(|model| node(model).outputs.values().copied().chain([model]))
        .collect()
}

/// `2+name+` in its parts.
#[derive(Debug, PartialEq)]
struct Atom<'a> {
    ancestors: Option<Steps>,
    criterion: &'a str,
    descendants: Option<Steps>,
}

/// How far a `+` goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Steps {
    All,
    Some(usize),
}

impl Steps {
    fn parse(digits: &str) -> Option<Self> {
        if digits.is_empty() {
            Some(Self::All)
        } else {
            digits.parse().ok().map(Self::Some)
        }
    }

    fn count(self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Some(steps) => Some(steps),
        }
    }
}

impl<'a> Atom<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let is_number = |part: &str| part.chars().all(|c| c.is_ascii_digit());
        let (ancestors, rest) = match text.split_once('+') {
            Some((digits, rest)) if is_number(digits) => (Some(Steps::parse(digits)?), rest),
            _ => (None, text),
        };
        let (criterion, descendants) = match rest.rsplit_once('+') {
            Some((rest, digits)) if is_number(digits) => (rest, Some(Steps::parse(digits)?)),
            _ => (rest, None),
        };
        (!criterion.is_empty() && !criterion.contains('+')).then_some(Self {
            ancestors,
            criterion,
            descendants,
        })
    }
}

type Matcher<'a> = Box<dyn Fn(&Node) -> bool + 'a>;

fn matcher<'a>(project: &'a ProjectContents, criterion: &'a str, doing: &dyn Fn() -> String) -> Result<Matcher<'a>> {
    let (method, value) = match criterion.split_once(':') {
        Some((method, value)) => (method, value),
        None if criterion.contains('/') || criterion.ends_with(".sql") => ("path", criterion),
        None => ("fqn", criterion),
    };
    Ok(match method {
        "fqn" => Box::new(move |node| matches_fqn(node, value)),
        "tag" => Box::new(move |node| node.config.tags.iter().any(|tag| glob(value, tag))),
        "path" => {
            // A path may be given from where the user stands or from the project's folder.
            let value = Path::new(value);
            Box::new(move |node| matches_path(&node.file.relative, value) || matches_path(&node.file.path, value))
        }
        "source" => Box::new(move |node| {
            let (source, table) = value.split_once('.').unwrap_or((value, "*"));
            node.sources
                .iter()
                .any(|used| glob(source, &used.source) && glob(table, used.table.name()))
        }),
        "config.materialized" => Box::new(move |node| node.materialization().name() == value),
        "package" => Box::new(move |_| value == project.name || value == "this"),
        _ => {
            let methods = ["fqn", "tag", "path", "source", "config.materialized", "package"];
            return Err(Error::config(doing(), format!("unknown method `{method}`"))
                .hint(format!("use one of: {}", methods.join(", "))));
        }
    })
}

/// Whether a dotted pattern is the node's name, or its folders from the project or from the first folder on.
fn matches_fqn(node: &Node, pattern: &str) -> bool {
    let pattern: Vec<_> = pattern.split('.').collect();
    let matches_from = |fqn: &[String]| {
        pattern.len() <= fqn.len() && pattern.iter().zip(fqn).all(|(pattern, part)| glob(pattern, part))
    };
    match pattern[..] {
        [name] if glob(name, &node.name) => true,
        _ => matches_from(&node.fqn) || matches_from(&node.fqn[1..]),
    }
}

/// Whether a path is the pattern or lies below it.
fn matches_path(path: &Path, pattern: &Path) -> bool {
    let parts = |path: &Path| -> Vec<String> {
        let normal = path.components().filter(|part| !matches!(part, Component::CurDir));
        normal
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect()
    };
    let (path, pattern) = (parts(path), parts(pattern));
    pattern.len() <= path.len() && pattern.iter().zip(&path).all(|(pattern, part)| glob(pattern, part))
}

/// Whether `text` matches a pattern in which `*` stands for any characters and `?` for one.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star was, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    p = *at + 1;
                    t = *taken;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pluses_are_ancestors_and_descendants() {
        let atom = |text| Atom::parse(text).map(|atom| (atom.ancestors, atom.criterion, atom.descendants));
        assert_eq!(atom("a"), Some((None, "a", None)));
        assert_eq!(atom("+a"), Some((Some(Steps::All), "a", None)));
        assert_eq!(atom("2+a+1"), Some((Some(Steps::Some(2)), "a", Some(Steps::Some(1)))));
        assert_eq!(atom("tag:x+"), Some((None, "tag:x", Some(Steps::All))));
        assert_eq!(atom("+"), None);
        assert_eq!(atom("a+b"), None);
    }

    #[test]
    fn globs() {
        assert!(glob("stg_*", "stg_orders") && glob("*", "") && glob("a?c*", "abcdef") && glob("*b*d", "abcd"));
        assert!(!glob("stg_*", "fct_orders") && !glob("a", "ab") && !glob("", "a"));
    }

    #[test]
    fn a_path_is_matched_by_whole_folders() {
        assert!(matches_path(Path::new("marts/finance/x.sql"), Path::new("./marts")));
        assert!(matches_path(
            Path::new("marts/finance/x.sql"),
            Path::new("marts/*/x.sql")
        ));
        assert!(!matches_path(Path::new("marts2/x.sql"), Path::new("marts")));
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_its_prefix_with_a_star(text in "[a-c]{0,8}", cut in 0usize..8) {
            prop_assert!(glob(&text, &text));
            let prefix = format!("{}*", &text[..cut.min(text.len())]);
            prop_assert!(glob(&prefix, &text));
        }
    }
}
