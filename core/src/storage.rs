//! Where a lake is: a local folder or an object store, rooted at the lake.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::local_store::LocalStore;
use crate::{Context, Error, Result};

/// Opens the store at a local path or a URL (`s3://bucket/prefix`, `gs://`, `az://`, `memory:///`), rooted there.
///
/// A local folder is created. Credentials that `options` do not give are taken from the environment, in the
/// variables that each cloud's own tools use.
///
/// # Errors
/// Config for a URL or an option that is not understood, unavailable for a folder that cannot be created.
pub fn open(location: &str, options: &BTreeMap<String, String>) -> Result<Arc<dyn ObjectStore>> {
    let doing = || format!("opening {location}");
    if let Some(folder) = local_folder(location)? {
        return Ok(Arc::new(LocalStore::new(folder).doing(doing)?));
    }
    let url = Url::parse(location).map_err(|error| Error::config(doing(), error))?;
    let (store, prefix) = open_url(&url, options)?;
    Ok(if prefix.as_ref().is_empty() {
        store
    } else {
        Arc::new(PrefixStore::new(store, prefix))
    })
}

/// The absolute path of a location that is a local folder, which is created if it is not there.
pub fn local_folder(location: &str) -> Result<Option<PathBuf>> {
    let doing = || format!("opening {location}");
    let folder = match Url::parse(location) {
        Ok(url) if url.scheme() == "file" => url
            .to_file_path()
            .map_err(|()| Error::config(doing(), "this is not a local path"))?,
        Ok(_) if location.contains("://") => return Ok(None),
        _ => PathBuf::from(location),
    };
    std::fs::create_dir_all(&folder).doing(doing)?;
    folder.canonicalize().doing(doing).map(Some)
}

/// Opens the store that `url` is in, rooted at its bucket or host, and the path of `url` within it.
///
/// # Errors
/// Config for a URL or an option that is not understood.
pub fn open_url(
    url: &Url,
    options: &BTreeMap<String, String>,
) -> Result<(Arc<dyn ObjectStore>, object_store::path::Path)> {
    let doing = || format!("opening {}://{}", url.scheme(), url.host_str().unwrap_or_default());
    let environment = std::env::vars().filter(|(name, _)| {
        ["AWS_", "AZURE_", "GOOGLE_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    });
    let mut all: BTreeMap<String, String> = environment
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    all.extend(
        options
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone())),
    );
    // Plain HTTP is only ever meant where the endpoint says so.
    if all
        .iter()
        .any(|(name, value)| name.contains("endpoint") && value.starts_with("http://"))
    {
        all.insert("allow_http".into(), "true".into());
    }
    let (store, path) = object_store::parse_url_opts(url, all).map_err(|error| {
        Error::config(doing(), &error)
            .hint("check the address and `storage:`")
            .caused_by(error)
    })?;
    Ok((store.into(), path))
}
