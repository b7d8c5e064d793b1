//! The options of a channel, as a campaign writes them.

use std::path::{Component, Path, PathBuf};

use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result, places};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::wrong::wrong;

/// The options of a channel besides its kind.
pub(super) type Options = Map<String, Value>;

/// The `channel:` of a campaign: its kind, and the options that the kind has.
#[derive(Debug, Clone, Deserialize)]
pub struct ChannelOptions {
    pub(super) kind: String,
    #[serde(flatten)]
    pub(super) options: Options,
}

/// What is wrong with a campaign, as far as its channel can tell: it does not know the campaign's name.
#[derive(Debug)]
pub struct Problem {
    key: String,
    why: String,
    hint: Option<String>,
}

impl Problem {
    /// The key of the campaign that is wrong, and why it is.
    pub(super) fn new(key: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            why: why.into(),
            hint: None,
        }
    }

    /// What the reader should do.
    pub(super) fn hint(self, hint: String) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    /// The problem as an error of that campaign.
    pub(crate) fn of_campaign(self, campaign: &str) -> Error {
        let error = wrong(campaign, &self.key, self.why);
        self.hint.into_iter().fold(error, Error::hint)
    }
}

/// The options as the kind's own type; `known` are the names it has.
pub(super) fn read<T: DeserializeOwned>(mut options: Options, known: &[&str]) -> Result<T, Problem> {
    if let Some(name) = options.keys().find(|name| !known.contains(&name.as_str())) {
        let hint = did_you_mean(name, "there are", known.iter().copied());
        return Err(Problem::new(format!("channel.{name}"), "there is no such option").hint(hint));
    }
    options.retain(|_, value| !value.is_null());
    serde_json::from_value(Value::Object(options)).map_err(|why| Problem::new("channel", why.to_string()))
}

/// A path of the campaign as a path of this process: of a file, in the project unless the campaign says that it may
/// be elsewhere.
pub(super) fn resolve(project: &Path, path: &str, allow_outside: bool) -> Result<PathBuf, Problem> {
    let wrong = |why: String| Problem::new("channel.path", why);
    if Path::new(path).file_name().is_none() {
        return Err(wrong(format!("`{path}` is not a file")));
    }
    let target = project.join(path);
    // Without a project only what a path says can be looked at.
    let is_known = !project.as_os_str().is_empty() || Path::new(path).is_relative();
    if is_known && !allow_outside {
        let stays = places::stays_within(project, Path::new(path));
        if !stays.map_err(|why| wrong(format!("`{path}` cannot be looked at: {why}")))? {
            let hint = "say `allow_outside: true` beside it if that is meant";
            return Err(wrong(format!("`{path}` leaves the project's folder")).hint(hint.to_owned()));
        }
    }
    if is_ours(project, Path::new(path)) {
        let hint = "write it into a folder of its own, as out/";
        return Err(wrong(format!("`{path}` is a file of the project or of its lake")).hint(hint.to_owned()));
    }
    match std::fs::metadata(&target) {
        Ok(metadata) if places::is_special(&metadata) => Err(wrong(format!(
            "`{path}` is a pipe, a socket or a device, and has to be a file"
        ))),
        _ => Ok(target),
    }
}

/// Whether a path leads to what the project itself is made of, or into a table or the books of a lake.
fn is_ours(project: &Path, path: &Path) -> bool {
    let (project, target) = (led_to(project), led_to(&project.join(path)));
    let is_of_project = target.strip_prefix(&project).is_ok_and(|relative| {
        let mut parts = relative.components();
        let first = parts.next().map(Component::as_os_str);
        let is_alone = parts.next().is_none();
        first.is_some_and(|first| match is_alone {
            true => first == "cordada.yml",
            false => ["sources", "sql", "campaigns", ".cordada"]
                .iter()
                .any(|folder| first == *folder),
        })
    });
    let mut within = target.ancestors().skip(1);
    let is_of_lake = |folder: &Path| folder.join("_delta_log").is_dir() || folder.join("_cordada").is_dir();
    is_of_project || within.any(is_of_lake)
}

/// Where a path leads: as it is read, part by part, by the links that are there.
fn led_to(path: &Path) -> PathBuf {
    let mut reached = std::env::current_dir().unwrap_or_default();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(reached.pop()),
            Component::CurDir => {}
            part => reached.push(part),
        }
        if let Ok(real) = reached.canonicalize() {
            reached = real;
        }
    }
    reached
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_campaign_does_not_write_over_the_project_or_its_lake() {
        let project = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(project.path().join("lake/_cordada/releases")).unwrap();
        std::fs::create_dir_all(project.path().join("data/t/_delta_log")).unwrap();
        std::fs::create_dir_all(project.path().join("sources")).unwrap();
        std::fs::write(project.path().join("cordada.yml"), "").unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, project.path().join(name)).unwrap();
        link("sources", "inputs");
        link("lake/_cordada", "books");
        link("cordada.yml", "out.yml");
        for ours in [
            "cordada.yml",
            "./cordada.yml",
            "out/../cordada.yml",
            "x/../sources/erp.yml",
            "out/../lake/x.csv",
            "inputs/erp.yml",
            "books/releases/1.json",
            "out.yml",
            ".cordada/events/web/hits.log",
            "sql/dbt_project.yml",
            "sources/a/b.yml",
            "lake/x/y.csv",
            "data/t/x.csv",
        ] {
            assert!(resolve(project.path(), ours, false).is_err(), "{ours}");
            let absolute = project.path().join(ours);
            assert!(
                resolve(project.path(), absolute.to_str().unwrap(), true).is_err(),
                "{ours}"
            );
        }
        for fine in [
            "out/cordada.yml",
            "out.csv",
            "data/x.csv",
            "exports/sql/x.csv",
            "sql/../out.csv",
        ] {
            assert!(resolve(project.path(), fine, false).is_ok(), "{fine}");
        }
    }
}
