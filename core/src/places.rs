//! Whether a path stays within a project's folder, and whether it leads to what is no file.

use std::fs::Metadata;
use std::io;
use std::path::{Component, Path};

/// Links that lead to links, as many as systems follow.
const LINKS: usize = 40;

/// Whether `path`, as seen from the folder `project`, stays in that folder: as it is written, and as far as it is
/// there by where its links lead.
///
/// # Errors
/// The disk's. That a path is not there is no error.
pub fn stays_within(project: &Path, path: &Path) -> io::Result<bool> {
    let relative = match path.strip_prefix(project) {
        Ok(relative) if path.is_absolute() => relative,
        _ if path.components().any(|part| part == Component::ParentDir) && path.is_absolute() => return Ok(false),
        _ if path.is_absolute() => return leads_into(project, path, LINKS),
        _ => path,
    };
    let mut depth = 0usize;
    for component in relative.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth == 0 => return Ok(false),
            Component::ParentDir => depth -= 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Ok(false),
        }
    }
    leads_into(project, &project.join(relative), LINKS)
}

/// Whether the part of the path that is there leads into the folder. A link to what is not there yet leads to where that
/// would be; of such links one may lead to the next, `links` times.
fn leads_into(folder: &Path, path: &Path, links: usize) -> io::Result<bool> {
    let folder = match folder.canonicalize() {
        Ok(folder) => folder,
        // There is no project yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path.starts_with(folder)),
        Err(error) => return Err(error),
    };
    for part in path.ancestors() {
        match part.canonicalize() {
            Ok(part) => return Ok(part.starts_with(&folder)),
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {}
            Err(error) => return Err(error),
        }
        if let Ok(target) = part.read_link() {
            // Where a way up leads from what is not there, nobody knows.
            let leads_up = target.components().any(|part| part == Component::ParentDir);
            let is_there = target
                .parent()
                .is_some_and(|parent| folder_of(part).join(parent).is_dir());
            let is_known = links > 0 && (!leads_up || is_there);
            return Ok(is_known && leads_into(&folder, &folder_of(part).join(target), links.saturating_sub(1))?);
        }
    }
    Ok(false)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Whether it is neither a file nor a folder: a pipe, a socket or a device, of which nobody knows where it ends.
pub fn is_special(metadata: &Metadata) -> bool {
    !metadata.is_file() && !metadata.is_dir()
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_folder_is_told_by_its_words_and_by_its_links() {
        let root = tempfile::tempdir().unwrap();
        let project = root.path().join("project");
        std::fs::create_dir_all(project.join("data")).unwrap();
        std::fs::create_dir(root.path().join("other")).unwrap();
        std::fs::write(root.path().join("other/a.csv"), "").unwrap();
        std::os::unix::fs::symlink(root.path().join("other"), project.join("link")).unwrap();
        std::os::unix::fs::symlink("data", project.join("inner")).unwrap();
        for (target, link) in [
            ("data/new.csv", "soon"),
            ("soon", "sooner"),
            ("../other/new.csv", "out"),
            ("out", "outer"),
            ("/nowhere/at/all", "gone"),
            ("data/new/../../../other/b.csv", "round"),
        ] {
            std::os::unix::fs::symlink(target, project.join(link)).unwrap();
        }
        let stays = |path: &str| stays_within(&project, Path::new(path)).unwrap();
        for path in [
            "a.csv",
            "data/a.csv",
            "./data/../b.csv",
            "new/deep/a.csv",
            "inner/a.csv",
            "soon",
            "sooner",
            "",
        ] {
            assert!(stays(path), "{path}");
        }
        let absolute = |path: &str| project.join(path).to_string_lossy().into_owned();
        assert!(stays(&absolute("data/a.csv")));
        for path in [
            "../a.csv",
            "data/../../project/a.csv",
            "link/a.csv",
            "link/new/a.csv",
            "/etc/passwd",
            "/",
            "out",
            "outer",
            "gone",
            "gone/a.csv",
            "round",
        ] {
            assert!(!stays(path), "{path}");
        }
        assert!(!stays(&absolute("../other/a.csv")) && !stays(&absolute("link/a.csv")));
        // A folder whose name only begins alike is another one.
        assert!(!stays(&format!("{}-2/a.csv", project.display())));
    }

    #[test]
    fn pipes_and_devices_are_special() {
        let special = |path: &Path| is_special(&std::fs::metadata(path).unwrap());
        assert!(special(Path::new("/dev/null")));
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(special(&socket));
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(!special(folder.path()) && !special(&folder.path().join("file")));
    }
}
