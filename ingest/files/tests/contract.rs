//! What every source promises, kept by files.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use cordada_ingest_source::{Kind, Source};
use cordada_ingest_source_contract::{Fault, PERSONAL, System, source_contract};

source_contract!(Folder);

/// A folder to which files are added.
struct Folder(PathBuf);

impl Folder {
    fn damaged(&self) -> PathBuf {
        self.0.join("data/damaged.csv.gz")
    }
}

#[async_trait]
impl System for Folder {
    const KIND: Kind = cordada_ingest_files::KIND;
    const SECRET: Option<&'static str> = Some("s3cret");

    async fn new(project: &Path) -> Self {
        std::fs::create_dir(project.join("data")).unwrap();
        Self(project.to_owned())
    }

    fn configuration(&self) -> String {
        "kind: files\nstorage: {secret_access_key: s3cret}\nstreams:\n  \
         appended: {path: 'data/*'}\n  \
         merged: {path: 'data/*', key: [id], disposition: merge}\n  \
         replaced: {path: 'data/*', disposition: replace}\n"
            .to_owned()
    }

    async fn add(&self, _: &dyn Source, records: Range<u64>) {
        let mut text = "id,email\n".to_owned();
        for record in records.clone() {
            writeln!(text, "{record},{PERSONAL}").unwrap();
        }
        // A file is there with all of its content, as whoever writes them does it.
        let file = self.0.join(format!("{}.csv", records.start));
        std::fs::write(&file, text).unwrap();
        std::fs::rename(&file, self.0.join("data").join(file.file_name().unwrap())).unwrap();
    }

    async fn fail(&self, fault: Fault) -> Option<String> {
        match fault {
            Fault::Gone => {
                std::fs::rename(self.0.join("data"), self.0.join("away")).unwrap();
                Some("data/*".to_owned())
            }
            Fault::Refusing => None,
            Fault::Damaged => {
                let head: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
                std::fs::write(self.damaged(), [head, PERSONAL.as_bytes()].concat()).unwrap();
                Some("data/damaged.csv.gz".to_owned())
            }
        }
    }

    async fn mend(&self) {
        let away = self.0.join("away");
        if away.exists() {
            std::fs::rename(away, self.0.join("data")).unwrap();
        }
        if self.damaged().exists() {
            std::fs::remove_file(self.damaged()).unwrap();
        }
    }
}
