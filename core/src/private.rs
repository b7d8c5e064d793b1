//! Folders and files that only their owner may look into, where the system knows owners: what is in them is personal.

use std::fs::{DirBuilder, File};
use std::io;
use std::path::Path;

/// Makes the folder and those that it is in, or makes one that is there its owner's alone.
///
/// # Errors
/// The disk's.
pub fn folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mut permissions = std::fs::metadata(path)?.permissions();
        if permissions.mode() & 0o077 != 0 {
            permissions.set_mode(0o700);
            std::fs::set_permissions(path, permissions)?;
        }
    }
    Ok(())
}

/// Makes a file that is there its owner's alone.
///
/// # Errors
/// The disk's.
pub fn narrow(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    std::fs::metadata(path)?;
    Ok(())
}

/// Makes an empty file to be written; one that is there becomes empty and its owner's alone.
///
/// # Errors
/// The disk's.
pub fn file(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata()?;
        // Of what is not a file, such as a terminal, the owner is not ours to choose.
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(PermissionsExt::from_mode(0o600))?;
        }
    }
    Ok(file)
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn others_look_into_neither() {
        let root = tempfile::tempdir().unwrap();
        let mode = |path: &str| std::fs::metadata(root.path().join(path)).unwrap().permissions().mode() & 0o777;
        folder(&root.path().join("a/b")).unwrap();
        assert_eq!((mode("a"), mode("a/b")), (0o700, 0o700));
        std::fs::create_dir(root.path().join("c")).unwrap();
        std::fs::set_permissions(root.path().join("c"), PermissionsExt::from_mode(0o755)).unwrap();
        folder(&root.path().join("c")).unwrap();
        assert_eq!(mode("c"), 0o700);
        file(&root.path().join("c/d")).unwrap();
        assert_eq!(mode("c/d"), 0o600);
        std::fs::set_permissions(root.path().join("c/d"), PermissionsExt::from_mode(0o644)).unwrap();
        file(&root.path().join("c/d")).unwrap();
        assert_eq!(mode("c/d"), 0o600, "one that was there is no different");
        std::fs::set_permissions(root.path().join("c/d"), PermissionsExt::from_mode(0o644)).unwrap();
        narrow(&root.path().join("c/d")).unwrap();
        assert_eq!(mode("c/d"), 0o600);
    }
}
