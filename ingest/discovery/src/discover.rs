//! Which files a stream has, and how they get onto a local disk.

use cordada_ingest_formats::local::Local;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cordada_core::scratch::ScratchFile;
use cordada_core::{Context, Error, Result, storage};
use futures::{StreamExt, TryStreamExt};
use glob::{MatchOptions, Pattern};
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::remote::{self, Server};

/// Wildcards do not cross folders; `**` does.
pub(crate) const MATCH: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// A file that matches a stream's paths.
#[derive(Debug, Clone)]
pub struct FoundFile {
    /// Its path relative to the project, or its URL: what it is called everywhere, and known by.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Changes when the file does: its size, time and, in an object store, its tag.
    pub state: String,
    place: FileLocation,
}

#[derive(Debug, Clone)]
enum FileLocation {
    Disk(PathBuf, Option<SystemTime>),
    Store(Arc<dyn ObjectStore>, ObjectPath),
    Server(Arc<Server>, String),
}

/// The files that match any of `paths`, sorted by name, each once.
///
/// # Errors
/// Config for a path that matches nothing, and for a wildcard that is not understood.
pub async fn find(project: &Path, paths: &[String], options: &BTreeMap<String, String>) -> Result<Vec<FoundFile>> {
    // However the folder is spelled, a file in it has one name.
    let project = &project
        .canonicalize()
        .doing(|| format!("reading {}", project.display()))?;
    let mut files = BTreeMap::new();
    for path in paths {
        let found = match path.split_once("://") {
            Some(("file", path)) => on_disk(project, path)?,
            Some((scheme, _)) if remote::is_remote(scheme) => on_server(project, path, options).await?,
            Some(_) => in_store(path, options).await?,
            None => on_disk(project, path)?,
        };
        if found.is_empty() {
            return Err(Error::config(format!("looking for {path}"), "there is no such file")
                .hint("check `path:`; relative paths begin in the project's folder"));
        }
        files.extend(found.into_iter().map(|file| (file.name.clone(), file)));
    }
    Ok(files.into_values().collect())
}

fn on_disk(project: &Path, path: &str) -> Result<Vec<FoundFile>> {
    let doing = || format!("looking for {path}");
    let base = Pattern::escape(&project.to_string_lossy());
    let pattern = if Path::new(path).is_absolute() {
        path.to_owned()
    } else {
        format!("{base}/{path}")
    };
    let matches = glob::glob_with(&pattern, MATCH).map_err(|error| Error::config(doing(), error))?;
    let mut found = Vec::new();
    for file in matches {
        let file = file
            .map_err(|error| std::io::Error::from(error.error().kind()))
            .doing(doing)?;
        let metadata = std::fs::metadata(&file).doing(|| format!("reading {}", file.display()))?;
        if metadata.is_dir() {
            continue;
        }
        let modified = metadata.modified().ok();
        let since = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        found.push(FoundFile {
            name: file
                .strip_prefix(project)
                .unwrap_or(&file)
                .to_string_lossy()
                .into_owned(),
            size: metadata.len(),
            state: format!("{} {:?}", metadata.len(), since),
            place: FileLocation::Disk(file, modified),
        });
    }
    Ok(found)
}

/// A password in a URL would be stored with every row.
fn without_password(host: &str) -> Result<()> {
    if !host.contains('@') {
        return Ok(());
    }
    Err(Error::config(
        "looking for files",
        "a URL with a password in it would be stored with every row",
    )
    .hint("put credentials under `storage:`"))
}

async fn on_server(project: &Path, path: &str, options: &BTreeMap<String, String>) -> Result<Vec<FoundFile>> {
    without_password(path.split('/').nth(2).unwrap_or_default())?;
    let found = remote::find(project, path, options).await?.into_iter();
    let found = found.map(|file| FoundFile {
        name: file.name,
        size: file.size,
        state: file.state,
        place: FileLocation::Server(file.server, file.path),
    });
    Ok(found.collect())
}

async fn in_store(path: &str, options: &BTreeMap<String, String>) -> Result<Vec<FoundFile>> {
    let doing = || format!("looking for {path}");
    let (scheme, rest) = path.split_once("://").unwrap_or(("", path));
    let (host, key) = rest.split_once('/').unwrap_or((rest, ""));
    without_password(host)?;
    let root = Url::parse(&format!("{scheme}://{host}/")).map_err(|error| Error::config(doing(), error))?;
    let web = matches!(scheme, "http" | "https");
    if web && key.contains(['*', '?', '[', '#']) {
        return Err(
            Error::config(doing(), "a web server cannot be listed, nor asked with a query")
                .hint("name each file by its plain URL"),
        );
    }
    let mut options = options.clone();
    if scheme == "http" {
        options.insert("allow_http".into(), "true".into());
    }
    let (store, prefix) = storage::open_url(&root, &options)?;
    let metas = match key.find(['*', '?', '[']) {
        None => {
            let location =
                ObjectPath::parse(format!("{prefix}/{key}")).map_err(|error| Error::config(doing(), error))?;
            match store.head(&location).await {
                Err(object_store::Error::NotFound { .. }) => Vec::new(),
                meta => vec![meta.doing(doing)?],
            }
        }
        Some(wildcard) => {
            let pattern = Pattern::new(key).map_err(|error| Error::config(doing(), error))?;
            let folder = key[..wildcard].rsplit_once('/').map_or("", |(folder, _)| folder);
            let all: Vec<_> = store
                .list(Some(&ObjectPath::from(folder)))
                .try_collect()
                .await
                .doing(doing)?;
            all.into_iter()
                .filter(|meta| pattern.matches_with(meta.location.as_ref(), MATCH))
                .collect()
        }
    };
    let found = metas.into_iter().map(|meta| FoundFile {
        name: format!("{scheme}://{host}/{}", meta.location),
        size: meta.size,
        state: format!("{} {:?} {}", meta.size, meta.e_tag, meta.last_modified),
        place: FileLocation::Store(store.clone(), meta.location),
    });
    Ok(found.collect())
}

impl FoundFile {
    /// Where it is on a local disk, and when it was written last; `None` for one that is elsewhere.
    pub fn on_disk(&self) -> Option<(&Path, Option<SystemTime>)> {
        match &self.place {
            FileLocation::Disk(path, modified) => Some((path, *modified)),
            FileLocation::Store(..) | FileLocation::Server(..) => None,
        }
    }

    /// The file on a local disk: where it is, or downloaded into a temporary file.
    pub async fn fetch(&self, cancel: &CancellationToken) -> Result<Local> {
        match &self.place {
            FileLocation::Disk(path, modified) => Ok(Local::found(path, &self.name, self.size, *modified)),
            FileLocation::Store(store, location) => {
                let downloading = download(store, location, &self.name);
                let temporary = tokio::select! {
                    done = downloading => done?,
                    () = cancel.cancelled() => return Err(Error::cancelled(format!("downloading {}", self.name))),
                };
                Local::temporary(temporary, &self.name)
            }
            FileLocation::Server(server, path) => {
                let temporary = tokio::select! {
                    done = server.download(path, self.size, &self.name) => done?,
                    () = cancel.cancelled() => return Err(Error::cancelled(format!("downloading {}", self.name))),
                };
                Local::temporary(temporary, &self.name)
            }
        }
    }
}

async fn download(store: &Arc<dyn ObjectStore>, location: &ObjectPath, name: &str) -> Result<ScratchFile> {
    let doing = || format!("downloading {name} into {}", ScratchFile::folder().display());
    let target = ScratchFile::new().doing(doing)?;
    let mut file = tokio::fs::File::from_std(target.file().try_clone().doing(doing)?);
    let mut stream = store.get(location).await.doing(doing)?.into_stream();
    while let Some(bytes) = stream.next().await {
        file.write_all(&bytes.doing(doing)?).await.doing(doing)?;
    }
    file.flush().await.doing(doing)?;
    Ok(target)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    async fn names(project: &Path, paths: &[&str]) -> Result<Vec<String>> {
        let paths: Vec<_> = paths.iter().map(|path| (*path).to_owned()).collect();
        Ok(find(project, &paths, &BTreeMap::new())
            .await?
            .into_iter()
            .map(|file| file.name)
            .collect())
    }

    #[tokio::test]
    async fn wildcards_find_each_file_once_by_its_name_in_the_project() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path();
        std::fs::create_dir_all(root.join("data/deep")).unwrap();
        for file in ["data/b.csv", "data/a.csv", "data/c.txt", "data/deep/d.csv"] {
            std::fs::write(root.join(file), "x").unwrap();
        }
        assert_eq!(
            names(root, &["data/*.csv", "data/a.*"]).await.unwrap(),
            ["data/a.csv", "data/b.csv"]
        );
        assert_eq!(names(root, &["data/**/d.csv"]).await.unwrap(), ["data/deep/d.csv"]);
        let error = names(root, &["data/*.json"]).await.unwrap_err();
        assert!(
            error.to_string().contains("data/*.json") && error.exit_code() == 2,
            "{error}"
        );
        assert!(names(root, &["https://example.org/a?b=c"]).await.is_err());
    }
}
