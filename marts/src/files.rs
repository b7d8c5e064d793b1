//! The files of a project.

use std::path::{Path, PathBuf};

use cordada_core::{Context, Error, FilePosition, Result};

use crate::ignored::Ignored;
use crate::project_file::{FILE_NAME, ProjectFile};
use crate::source_file::SourceFile;

/// The files below one folder, sorted by path.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    /// The folder, relative to the project.
    pub(crate) root: PathBuf,
    files: Vec<SourceFile>,
}

impl Folder {
    /// A folder of that name without files.
    pub(crate) fn empty(root: Option<&PathBuf>) -> Self {
        Self {
            root: root.cloned().unwrap_or_default(),
            files: Vec::new(),
        }
    }

    /// Reads the texts in `dir/root` and below whose extension is one of `extensions`. No folder is an empty one.
    pub(crate) fn read(dir: &Path, root: &Path, extensions: &[&str]) -> Result<Self> {
        let mut files = Vec::new();
        if dir.join(root).is_dir() {
            collect(dir, root, extensions, &mut files)?;
        }
        files.sort_by(|a, b| a.relative.cmp(&b.relative));
        Ok(Self {
            root: root.to_owned(),
            files,
        })
    }

    /// The files with one of these extensions.
    pub(crate) fn with_extension<'a>(&'a self, extensions: &'a [&str]) -> impl Iterator<Item = &'a SourceFile> {
        self.files
            .iter()
            .filter(move |file| extensions.iter().any(|one| has_extension(&file.path, one)))
    }
}

/// The extensions of YAML files.
pub(crate) const YAML: [&str; 2] = ["yml", "yaml"];

fn collect(dir: &Path, folder: &Path, extensions: &[&str], files: &mut Vec<SourceFile>) -> Result<()> {
    let doing = || format!("reading {}", dir.join(folder).display());
    for entry in std::fs::read_dir(dir.join(folder)).doing(doing)? {
        let entry = entry.doing(doing)?;
        let relative = folder.join(entry.file_name());
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = dir.join(&relative);
        if path.is_dir() {
            collect(dir, &relative, extensions, files)?;
        } else if extensions.iter().any(|extension| has_extension(&path, extension)) {
            let text = std::fs::read_to_string(&path).doing(|| format!("reading {}", path.display()))?;
            files.push(SourceFile {
                path: shown(&path),
                relative,
                text: text.into(),
            });
        } else if has_extension(&path, "py") && extensions.contains(&"sql") {
            return Err(
                Error::config("loading the SQL project", "models in Python are not supported")
                    .hint("write it in SQL, or make it an estimator and materialized='model'")
                    .at(path.display(), 0, 0),
            );
        }
    }
    Ok(())
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// The path as messages show it.
pub(crate) fn shown(path: &Path) -> PathBuf {
    path.strip_prefix(".").unwrap_or(path).to_owned()
}

/// The macros of the packages that are installed below the project: `(package, files)`.
pub(crate) fn packages(dir: &Path, folder: &Path) -> Result<Vec<(String, Vec<SourceFile>)>> {
    let folder = dir.join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(Vec::new());
    };
    let mut packages = Vec::new();
    for entry in entries {
        let dir = entry.doing(|| format!("reading {}", folder.display()))?.path();
        if dir.join(FILE_NAME).is_file() {
            let (file, _) = ProjectFile::read(&dir)?;
            packages.push((file.name.clone(), macros(&dir, &file)?));
        }
    }
    packages.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(packages)
}

/// Tells what lies in the project's folders and is not read: the models of packages, packages that are not installed.
///
/// # Errors
/// Config: functions, of which a build would miss what they do.
pub(crate) fn note_ignored(dir: &Path, file: &ProjectFile, yaml: &SourceFile, ignored: &Ignored) -> Result<()> {
    for folder in &file.function_paths {
        if let Some(function) = Folder::read(dir, folder, &["sql"])?.files.first() {
            let error = Error::config("loading the SQL project", "functions of one's own are not supported");
            return Err(function.whole().mark(error).hint("write it as a macro"));
        }
    }
    let installed = dir.join(&file.packages_path);
    for named in ["packages.yml", "dependencies.yml"] {
        let text = std::fs::read_to_string(dir.join(named)).unwrap_or_default();
        if text.lines().any(|line| line.starts_with("packages:")) && !installed.is_dir() {
            let place = FilePosition {
                file: shown(&dir.join(named)).display().to_string(),
                line: 0,
                column: 0,
            };
            ignored.note("its packages are not installed: `dbt deps` does that", &place);
        }
    }
    for entry in std::fs::read_dir(&installed).into_iter().flatten() {
        let package = entry.doing(|| format!("reading {}", installed.display()))?.path();
        if !package.join(FILE_NAME).is_file() {
            continue;
        }
        let (of_package, _) = ProjectFile::read(&package)?;
        for (kind, folders, extension) in [
            ("models", &of_package.model_paths, "sql"),
            ("seeds", &of_package.seed_paths, "csv"),
            ("snapshots", &of_package.snapshot_paths, "sql"),
            ("tests", &of_package.test_paths, "sql"),
        ] {
            let mut count = 0;
            for folder in folders {
                let generic = folder.join("generic");
                let files = Folder::read(&package, folder, &[extension])?.files;
                count += files.iter().filter(|file| !file.relative.starts_with(&generic)).count();
            }
            if count > 0 {
                let name = &of_package.name;
                let what =
                    format!("{kind} of the package `{name}` are not built: copy those that you need into the project");
                ignored.note(what, &yaml.whole());
            }
        }
    }
    Ok(())
}

/// The files of macros of a project: its macro folders, and the generic tests among its tests.
pub(crate) fn macros(dir: &Path, file: &ProjectFile) -> Result<Vec<SourceFile>> {
    let generic = file.test_paths.iter().map(|tests| tests.join("generic"));
    let mut macros = Vec::new();
    for root in file.macro_paths.iter().cloned().chain(generic) {
        macros.extend(Folder::read(dir, &root, &["sql"])?.files);
    }
    Ok(macros)
}
