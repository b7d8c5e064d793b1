//! The planner's errors in terms of the user's files: line, column, and the names that there are.

use cordada_core::suggest::{listed, nearest};
use cordada_core::{Error, FilePosition};
use datafusion::common::{Column, SchemaError, Span};
use datafusion::error::DataFusionError;

use crate::source_file::SourceFile;
use crate::text::whole_words;

/// A planner's error for `sql`, which was compiled from `file`, in the user's terms.
pub(crate) fn explain(error: Error, file: &SourceFile, sql: &str) -> Error {
    let Some(message) = PlannerMessage::of(&error) else {
        return if error.place().is_none() {
            file.whole().mark(error)
        } else {
            error
        };
    };
    let doing = format!("compiling {}", file.stem());
    let place = locate(&file.text, sql, message.position, message.name.as_deref()).map_or_else(
        || file.find("select"),
        |(line, column)| FilePosition {
            file: file.path.display().to_string(),
            line,
            column,
        },
    );
    explain_at(error, &place, &doing)
}

/// A planner's error for SQL that has no file of its own, at the place that asked for it.
pub(crate) fn explain_at(error: Error, place: &FilePosition, doing: &str) -> Error {
    let Some(message) = PlannerMessage::of(&error) else {
        return place.mark(error);
    };
    let explained = place.mark(Error::config(doing, message.why));
    let explained = match message.hint {
        Some(hint) => explained.hint(hint),
        None => explained,
    };
    explained.caused_by(error)
}

/// What a planner's error says.
#[derive(Debug, Default)]
struct PlannerMessage {
    why: String,
    hint: Option<String>,
    /// Line and column in the SQL, from 1.
    position: Option<(usize, usize)>,
    /// The name that is wrong.
    name: Option<String>,
}

impl PlannerMessage {
    fn of(error: &Error) -> Option<Self> {
        let cause = std::error::Error::source(error)?.downcast_ref::<DataFusionError>()?;
        let mut message = Self::default();
        message.read(cause);
        Some(message)
    }

    fn read(&mut self, error: &DataFusionError) {
        match error {
            DataFusionError::Diagnostic(diagnostic, inner) => {
                self.position = self.position.or(diagnostic.span.as_ref().and_then(position));
                self.read(inner);
            }
            DataFusionError::Context(_, inner) => self.read(inner),
            DataFusionError::Shared(inner) => self.read(inner),
            DataFusionError::Collection(errors) if !errors.is_empty() => self.read(&errors[0]),
            DataFusionError::SchemaError(schema, _) => self.read_schema_error(schema),
            DataFusionError::SQL(..) => {
                let text = error.strip_backtrace();
                self.position = self.position.or_else(|| position_in_message(&text));
                let text = text.trim_start_matches("SQL error: ");
                let text = text
                    .strip_prefix("ParserError(\"")
                    .and_then(|text| text.strip_suffix("\")"))
                    .unwrap_or(text);
                self.why = text.split(" at Line:").next().unwrap_or(text).to_owned();
            }
            other => {
                let text = other.strip_backtrace();
                let text = text.trim_start_matches("Error during planning: ");
                self.read_message(text.lines().next().unwrap_or_default());
            }
        }
    }

    fn read_schema_error(&mut self, error: &SchemaError) {
        match error {
            SchemaError::FieldNotFound { field, valid_fields } => {
                self.position = self
                    .position
                    .or_else(|| field.spans().first().as_ref().and_then(position));
                self.name = Some(field.name.clone());
                let relation = field.relation.as_ref().map(|relation| relation.table().to_owned());
                self.why = match &relation {
                    Some(relation) => format!("there is no column `{}` in `{relation}`", field.name),
                    None => format!("there is no column `{}`", field.name),
                };
                self.hint = columns_hint(field, valid_fields);
            }
            SchemaError::AmbiguousReference { field } => {
                self.name = Some(field.name.clone());
                self.why = format!("the column `{}` is in more than one of the relations", field.name);
                self.hint = Some("put the relation's name before it".to_owned());
            }
            SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
                self.name = Some(name.clone());
                self.why = format!("two columns are named `{name}`");
                self.hint = Some("give one of them an alias".to_owned());
            }
        }
    }

    /// The errors that the planner has only as text.
    fn read_message(&mut self, text: &str) {
        if let Some(table) = text
            .strip_prefix("table '")
            .and_then(|text| text.strip_suffix("' not found"))
        {
            let table = table.strip_prefix("lake.").unwrap_or(table);
            self.name = table.rsplit('.').next().map(str::to_owned);
            self.why = format!("there is no relation `{table}`");
            self.hint = Some("name models by ref('…') and raw tables by source('…', '…')".to_owned());
            return;
        }
        if let Some(twice) = text.strip_prefix("Projections require unique expression names but the expression \"") {
            let first = twice.split('"').next().unwrap_or_default();
            let name = first
                .rsplit(" AS ")
                .next()
                .unwrap_or(first)
                .rsplit('.')
                .next()
                .unwrap_or(first);
            self.why = format!("two columns are named `{name}`");
            self.hint = Some("give one of them an alias".to_owned());
            self.name = Some(name.to_owned());
            return;
        }
        // Of the physical planner, which shows the whole of an expression.
        if text.contains("Physical plan does not support") {
            self.why = "a subquery refers to the query around it in a way that cannot be run".to_owned();
            self.hint = Some("write it as a join".to_owned());
            return;
        }
        if let Some(function) = text
            .strip_prefix("Invalid function '")
            .and_then(|text| text.split('\'').next())
        {
            self.name = Some(function.to_owned());
        }
        self.why = text.trim_end_matches('.').to_owned();
    }
}

/// "did you mean", and the columns that there are, the nearest first.
fn columns_hint(wanted: &Column, valid: &[Column]) -> Option<String> {
    let of_relation = |column: &&Column| {
        let (Some(wanted), Some(has)) = (&wanted.relation, &column.relation) else {
            return false;
        };
        wanted.table() == has.table()
    };
    let mut names: Vec<&str> = valid
        .iter()
        .filter(of_relation)
        .map(|column| column.name.as_str())
        .collect();
    if names.is_empty() {
        names = valid.iter().map(|column| column.name.as_str()).collect();
    }
    if names.is_empty() {
        return None;
    }
    let meant = nearest(&wanted.name, names.iter().copied());
    let columns = format!("the columns are: {}", listed(&wanted.name, names));
    Some(match meant {
        Some(meant) => format!("did you mean `{meant}`? {columns}"),
        None => columns,
    })
}

fn position(span: &Span) -> Option<(usize, usize)> {
    let line = usize::try_from(span.start.line).ok().filter(|line| *line > 0)?;
    Some((line, usize::try_from(span.start.column).ok()?.max(1)))
}

/// `… at Line: 3, Column: 7`.
fn position_in_message(text: &str) -> Option<(usize, usize)> {
    let number = |after: &str| -> Option<usize> {
        let rest = &text[text.find(after)? + after.len()..];
        rest.trim_start()
            .split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    Some((number("Line:")?, number("Column:")?))
}

/// Where in the template a position of the compiled SQL comes from.
///
/// A line without Jinja is in the template as it is in the SQL. Otherwise the wrong name is looked for, nearest to
/// the position. A name that only a macro writes has no place in the template.
fn locate(template: &str, sql: &str, position: Option<(usize, usize)>, name: Option<&str>) -> Option<(usize, usize)> {
    if let Some((line, column)) = position {
        let compiled = sql.lines().nth(line - 1)?;
        let number = sql
            .lines()
            .take(line)
            .filter(|other| other.trim() == compiled.trim())
            .count();
        let same = template
            .lines()
            .enumerate()
            .filter(|(_, text)| text.trim() == compiled.trim());
        let same: Vec<_> = same.collect();
        if let Some((at, text)) = same.get(number - 1).or(same.last()) {
            let indent = |text: &str| text.chars().take_while(|c| c.is_whitespace()).count();
            return Some((at + 1, (column + indent(text)).saturating_sub(indent(compiled)).max(1)));
        }
    }
    let near = position.map_or(1, |(line, _)| line);
    whole_words(template, name?)
        .map(|offset| crate::text::line_and_column(template, offset))
        .min_by_key(|(line, _)| line.abs_diff(near))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_jinja_is_found_as_it_is() {
        let template = "{{ config(x=1) }}\n\nselect\n    a,\n    bb\nfrom {{ ref('x') }}";
        let sql = "select\n    a,\n    bb\nfrom lake.staging.x";
        assert_eq!(locate(template, sql, Some((3, 5)), Some("bb")), Some((5, 5)));
    }

    #[test]
    fn of_equal_lines_the_right_one_is_found() {
        let template = "select\n  id\nfrom {{ a }}\nunion all\nselect\n  id\nfrom b";
        let sql = "select\n  id\nfrom a\nunion all\nselect\n  id\nfrom b";
        assert_eq!(locate(template, sql, Some((6, 3)), Some("id")), Some((6, 3)));
    }

    #[test]
    fn in_a_line_with_jinja_the_name_is_looked_for() {
        let template = "select {{ cents('price') }}, quantty from x";
        let sql = "select (price / 100), quantty from x";
        assert_eq!(locate(template, sql, Some((1, 23)), Some("quantty")), Some((1, 30)));
        assert_eq!(locate(template, sql, Some((1, 8)), Some("pricee")), None);
    }

    #[test]
    fn positions_of_syntax_errors_are_read() {
        let text = "SQL error: ParserError(\"Expected: an expression, found: from at Line: 2, Column: 7\")";
        assert_eq!(position_in_message(text), Some((2, 7)));
    }
}
