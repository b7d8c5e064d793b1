//! The files of `indicators/`: figures that become columns of a mart.

use std::path::Path;

use cordada_core::{FilePosition, Result, yaml};
use serde::Deserialize;
use serde_json::Value;
use serde_saphyr::Spanned;

use crate::config::RawConfig;
use crate::properties::ColumnProperties;
use crate::segment::Said;
use crate::source_file::SourceFile;

/// What the folder is called.
pub(crate) const FOLDER: &str = "indicators";

/// A file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndicatorsFile {
    #[serde(default)]
    indicators: Vec<IndicatorProperties>,
}

/// An indicator as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndicatorProperties {
    name: Spanned<String>,
    /// The model that it becomes a column of.
    grain: Spanned<String>,
    sql: Spanned<String>,
    #[serde(default)]
    description: String,
    unit: Option<String>,
    owner: Option<String>,
    /// What it is where its query has no row.
    default: Option<Value>,
    #[serde(default, alias = "tests")]
    data_tests: Vec<Spanned<Value>>,
    #[serde(default)]
    meta: RawConfig,
}

/// A figure about each row of a mart.
#[derive(Debug, Clone)]
pub(crate) struct Indicator {
    pub(crate) name: Said,
    /// An expression over the mart's columns, or a query with the mart's key and the indicator.
    pub(crate) sql: Said,
    /// In SQL.
    pub(crate) default: Option<String>,
}

/// An indicator with what belongs to it elsewhere.
#[derive(Debug)]
pub(crate) struct Defined {
    pub(crate) indicator: Indicator,
    pub(crate) grain: Said,
    pub(crate) column: ColumnProperties,
    pub(crate) file: SourceFile,
}

impl Indicator {
    /// Whether its SQL is a query, rather than an expression.
    pub(crate) fn is_query(&self) -> bool {
        let lines = self.sql.text.lines().map(str::trim_start);
        let text = lines
            .skip_while(|line| line.is_empty() || line.starts_with("--"))
            .collect::<Vec<_>>();
        let first = text
            .join(" ")
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_lowercase();
        ["select", "with"].contains(&first.as_str())
    }
}

/// The indicators of a file.
pub(crate) fn read(file: &SourceFile) -> Result<Vec<Defined>> {
    let read: IndicatorsFile = yaml::parse(&file.path, &file.text)?;
    let path = file.path.as_path();
    Ok(read
        .indicators
        .into_iter()
        .map(|one| defined(one, path, file))
        .collect())
}

fn defined(one: IndicatorProperties, path: &Path, file: &SourceFile) -> Defined {
    let said = |text: &Spanned<String>| Said {
        text: text.value.trim().trim_end_matches(';').to_owned(),
        place: FilePosition::of(path, text),
    };
    let definition = one.sql.value.split_whitespace().collect::<Vec<_>>().join(" ");
    let parts = [
        Some(one.description.trim().to_owned()).filter(|text| !text.is_empty()),
        one.unit.as_ref().map(|unit| format!("Unit: {unit}.")),
        one.owner.as_ref().map(|owner| format!("Owner: {owner}.")),
        Some(format!("Defined as: {definition}")),
    ];
    let description = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let mut column = ColumnProperties::of(&one.name.value, &raw(&description));
    column.name = one.name.clone();
    column.data_tests = one.data_tests;
    column.meta = one.meta;
    Defined {
        indicator: Indicator {
            name: said(&one.name),
            sql: said(&one.sql),
            default: one.default.and_then(|value| literal(&value)),
        },
        grain: said(&one.grain),
        column,
        file: file.clone(),
    }
}

/// The text in a template that prints it: definitions are shown as they are written.
fn raw(text: &str) -> String {
    match text.contains("{{") || text.contains("{%") {
        true => format!("{{% raw %}}{text}{{% endraw %}}"),
        false => text.to_owned(),
    }
}

fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(cordada_core::sql_text::Dialect::Standard.literal(text)),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile {
            path: "indicators/a.yml".into(),
            relative: "indicators/a.yml".into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_query_is_told_from_an_expression() {
        for (sql, is_query) in [
            ("orders > 3", false),
            ("-- of all\nselect a from b", true),
            ("WITH x as (select 1) select * from x", true),
            ("selected + 1", false),
        ] {
            let yaml = format!(
                "indicators:\n  - name: a\n    grain: b\n    sql: |\n      {}\n",
                sql.replace('\n', "\n      ")
            );
            let read = read(&file(&yaml)).unwrap();
            assert_eq!(read[0].indicator.is_query(), is_query, "{sql}");
        }
    }

    #[test]
    fn what_is_said_of_it_is_in_the_catalog() {
        let yaml =
            "indicators:\n  - {name: a, grain: b, sql: c > 1, unit: days, owner: crm, description: Late., default: 0}";
        let read = read(&file(yaml)).unwrap();
        assert_eq!(
            read[0].column.description,
            "Late. Unit: days. Owner: crm. Defined as: c > 1"
        );
        assert_eq!(read[0].indicator.default.as_deref(), Some("0"));
        assert!(
            super::read(&file("indicators:\n  - {name: a, grian: b, sql: c}"))
                .unwrap_err()
                .to_string()
                .contains("did you mean `grain`?")
        );
    }
}
