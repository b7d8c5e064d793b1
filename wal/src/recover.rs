//! What an earlier process left in a log.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use cordada_core::local_store::sync_folder;
use cordada_core::{Context, Result};

use super::scan::{Found, Scan};
use super::segment::{self, EXTENSION, Segment};

/// The segments in a folder, oldest first, with the numbers of what was written to them.
///
/// A record counts if no later segment of the same process has its number: that process had failed to write it.
///
/// # Errors
/// Unavailable: a disk that cannot be read.
pub(super) fn segments(dir: &Path) -> Result<Vec<Segment>> {
    let mut found: Vec<Segment> = Vec::new();
    for path in paths(dir)? {
        let Some(mut scan) = Scan::open(&path)? else {
            tracing::error!(file = %path.display(), "this is not a part of the log: it is put aside");
            put_aside(&path)?;
            continue;
        };
        let bytes = std::fs::metadata(&path)
            .doing(|| format!("reading {}", path.display()))?
            .len();
        let header = scan.header();
        let mut next = header.first;
        while let Some(found) = scan.advance()? {
            next = match found {
                Found::Record(number, _) => number + 1,
                Found::Damage(damage) => damage.numbers.end,
            };
        }
        if let Some(before) = found.last_mut().filter(|before| before.id == header.id) {
            // Names sort by number: what this one has, the one before does not, and the other way round.
            before.next = header.first;
            before.is_open = false;
        }
        found.push(Segment {
            path,
            id: header.id,
            first: header.first,
            next,
            is_open: true,
            bytes,
        });
    }
    let (empty, found): (Vec<_>, Vec<_>) = found.into_iter().partition(|segment| segment.first >= segment.next);
    for Segment { path, .. } in empty {
        std::fs::remove_file(&path).doing(|| format!("removing {}", path.display()))?;
    }
    Ok(found)
}

fn paths(dir: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("reading {}", dir.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).doing(doing)? {
        let path = entry.doing(doing)?.path();
        match path.extension().and_then(OsStr::to_str) {
            Some(EXTENSION) => paths.push(path),
            // Begun and not finished: nothing was ever written to it.
            Some("new") => std::fs::remove_file(&path).doing(|| format!("removing {}", path.display()))?,
            _ => {}
        }
    }
    paths.sort();
    Ok(paths)
}

/// Gives a file a name by which nobody takes it for a segment, and keeps it.
pub(super) fn put_aside(path: &Path) -> Result<()> {
    let renamed = std::fs::rename(path, segment::aside(path));
    let durable = renamed.and_then(|()| path.parent().map_or(Ok(()), sync_folder));
    durable.doing(|| format!("putting {} aside", path.display()))
}
