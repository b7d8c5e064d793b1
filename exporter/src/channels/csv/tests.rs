#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray,
};
use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::channels::contract::{Subject, channel_contract};

/// A folder, into which `win_back.csv` is written.
struct Folder(TempDir);

impl Folder {
    fn channel_to(&self, path: &str) -> Box<dyn Channel> {
        let options = json!({ "path": path });
        open(options.as_object().unwrap().clone(), self.0.path()).unwrap()
    }
}

impl Subject for Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn channel(&self) -> Box<dyn Channel> {
        self.channel_to("win_back.csv")
    }

    fn unwritable(&self) -> Box<dyn Channel> {
        std::fs::write(self.0.path().join("file"), "").unwrap();
        self.channel_to("file/win_back.csv")
    }

    fn in_sight(&self) -> Vec<String> {
        let file = self.0.path().join("win_back.csv");
        let Ok(mut reader) = csv::Reader::from_path(file) else {
            return Vec::new();
        };
        assert_eq!(reader.headers().unwrap(), vec!["EMAIL", "NAME"]);
        reader.records().map(|row| row.unwrap()[0].to_owned()).collect()
    }

    fn traces(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

channel_contract!(Folder);

#[test]
fn it_is_described_as_the_campaign_names_it() {
    let described = Folder::new().channel_to("out/win_back.csv").describe();
    assert_eq!(
        (described.kind, described.destination.as_str()),
        ("csv", "out/win_back.csv")
    );
}

fn format(formulas: Formulas) -> Format {
    Format {
        delimiter: b',',
        formulas,
    }
}

fn encode(format: Format, columns: Vec<(&str, ArrayRef)>) -> String {
    String::from_utf8(format.encode(&RecordBatch::try_from_iter(columns).unwrap()).unwrap()).unwrap()
}

fn refused(options: serde_json::Value) -> String {
    let problem = open(options.as_object().unwrap().clone(), Path::new("")).err().unwrap();
    problem.of_campaign("x").to_string()
}

#[test]
fn values_of_all_types_are_written_plainly() {
    let money = Decimal128Array::from(vec![Some(-1050), None])
        .with_precision_and_scale(12, 2)
        .unwrap();
    let time = TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC");
    let text = encode(
        format(Formulas::Escape),
        vec![
            (
                "name",
                Arc::new(StringArray::from(vec!["O'Neil, \"Al\"", "two\nlines"])) as ArrayRef,
            ),
            ("orders", Arc::new(Int64Array::from(vec![Some(-3), None]))),
            ("spent", Arc::new(money)),
            ("since", Arc::new(Date32Array::from(vec![0, 19_000]))),
            ("seen", Arc::new(time)),
        ],
    );
    assert_eq!(
        text,
        "\"O'Neil, \"\"Al\"\"\",-3,-10.50,1970-01-01,1970-01-01T00:00:00Z\n\
         \"two\nlines\",,,2022-01-08,1970-01-01T00:00:00.000001Z\n"
    );
}

#[test]
fn formulas_are_escaped_unless_kept() {
    let cells = [
        "=1+1",
        "@SUM(A1)",
        "+cmd|' /C calc'!A0",
        "-2+3",
        "＝1",
        "+34 (600) 123-456",
        "-5.20",
        "a=b",
        "",
    ];
    let column = || vec![("x", Arc::new(StringViewArray::from(cells.to_vec())) as ArrayRef)];
    assert_eq!(
        encode(format(Formulas::Escape), column()),
        "'=1+1\n'@SUM(A1)\n'+cmd|' /C calc'!A0\n'-2+3\n'＝1\n+34 (600) 123-456\n-5.20\na=b\n\"\"\n"
    );
    assert!(encode(format(Formulas::Keep), column()).starts_with("=1+1\n@SUM(A1)\n"));
}

#[test]
fn names_of_columns_are_escaped_like_cells() {
    let names = [
        "=1+1",
        "+x",
        "-x",
        "@x",
        "\tx",
        "\rx",
        "\u{feff}=1",
        " =1",
        "-5",
        "plain",
    ];
    let fields = names.map(|name| arrow::datatypes::Field::new(name, DataType::Utf8, true));
    let fields = Schema::new(fields.to_vec());
    let header = |formulas| String::from_utf8(format(formulas).header(&fields).unwrap()).unwrap();
    assert_eq!(
        header(Formulas::Escape),
        "'=1+1,'+x,'-x,'@x,'\tx,\"'\rx\",'\u{feff}=1,' =1,-5,plain\n"
    );
    assert!(header(Formulas::Keep).starts_with("=1+1,+x,"));
}

#[test]
fn a_path_leaves_the_project_only_if_the_campaign_says_so() {
    let root = tempfile::tempdir().unwrap();
    let project = root.path().join("project");
    std::fs::create_dir(&project).unwrap();
    std::os::unix::fs::symlink(root.path(), project.join("link")).unwrap();
    let opened = |path: &str, allow_outside: bool| {
        let options = json!({"path": path, "allow_outside": allow_outside});
        let opened = open(options.as_object().unwrap().clone(), &project);
        opened.map(drop).map_err(|problem| problem.of_campaign("x").to_string())
    };
    let absolute = root.path().join("a.csv").to_string_lossy().into_owned();
    for path in ["../a.csv", "out/../../a.csv", "link/a.csv", &absolute] {
        let refused = opened(path, false).unwrap_err();
        assert!(
            refused.contains("leaves the project's folder") && refused.contains("allow_outside"),
            "{refused}"
        );
        opened(path, true).unwrap();
    }
    opened("out/a.csv", false).unwrap();
    assert!(opened("/dev/null", true).unwrap_err().contains("a device"));
    let _listener = std::os::unix::net::UnixListener::bind(project.join("socket")).unwrap();
    assert!(opened("socket", false).unwrap_err().contains("a pipe"));
    // What a campaign says alone is looked at before there is a project.
    let options = json!({"path": "../a.csv"});
    assert!(open(options.as_object().unwrap().clone(), Path::new("")).is_err());
}

#[test]
fn a_value_without_a_text_is_not_told() {
    let moments = TimestampMicrosecondArray::from(vec![i64::MAX]);
    let rows = RecordBatch::try_from_iter([("born", Arc::new(moments) as ArrayRef)]).unwrap();
    let error = format(Formulas::Escape).encode(&rows).unwrap_err().to_string();
    assert!(error.contains("a value has no textual form"), "{error}");
    assert!(!error.contains(&i64::MAX.to_string()), "{error}");
}

#[test]
fn wrong_options_are_named() {
    assert!(
        refused(json!({})).contains("`channel`: missing field `path`"),
        "{}",
        refused(json!({}))
    );
    assert!(refused(json!({"pth": "a"})).contains("`channel.pth`: there is no such option; did you mean `path`?"));
    assert!(refused(json!({"path": "a", "delimiter": "é"})).contains("`channel.delimiter`"));
    assert!(refused(json!({"path": "a", "formulas": "x"})).contains("`escape` or `keep`"));
    assert!(refused(json!({"path": "out/.."})).contains("`channel.path`"));
}

proptest! {
    #[test]
    fn what_is_written_can_be_read_again(
        cells in prop::collection::vec((any::<Option<String>>(), "[=+@'\",;\n\r\t a-c-]{0,6}"), 1..20),
    ) {
        let (first, second): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("a", Arc::new(StringArray::from(first.clone()))),
            ("b", Arc::new(StringArray::from(second.clone()))),
        ];
        for formulas in [Formulas::Keep, Formulas::Escape] {
            let text = encode(format(formulas), columns.clone());
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            let read: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), first.len());
            for (row, (a, b)) in read.iter().zip(first.iter().zip(&second)) {
                let a = a.as_deref().unwrap_or("");
                let expected = match formulas {
                    Formulas::Keep => (Cow::Borrowed(a), Cow::Borrowed(b.as_str())),
                    Formulas::Escape => (without_formula(a), without_formula(b)),
                };
                prop_assert_eq!((&row[0], &row[1]), (expected.0.as_ref(), expected.1.as_ref()));
            }
        }
    }
}
