//! From the columns of the audience to the fields that are sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use cordada_core::suggest::did_you_mean;
use cordada_core::{Error, Result};
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind};
use tokio_util::sync::CancellationToken;

use crate::letters::{self, STEPS, TEXT};
use crate::mapping::Mapping;
use crate::wrong::wrong;

/// Bytes of text that are rendered before they are handed over.
const TEXTS: usize = 2 * TEXT;

/// Maps and renders the rows of one campaign.
#[derive(Debug)]
pub(crate) struct Personaliser<'a> {
    campaign: &'a str,
    /// Positions in the audience of the fields that are sent as they are.
    sent: Vec<usize>,
    templates: Templates,
    /// Names and positions in the audience of the columns that the templates use.
    used: Vec<(String, usize)>,
    fields: SchemaRef,
}

impl<'a> Personaliser<'a> {
    /// Checks the fields that are `mapped` to columns, and templates, against the columns that the audience has.
    pub(crate) fn new(name: &'a str, mapped: &Mapping, template: &Mapping, audience: &Schema) -> Result<Self> {
        let find = |key: String, column: &str| match audience.column_with_name(column) {
            Some((at, _)) => Ok(at),
            None => {
                let columns = audience.fields().iter().map(|field| field.name().as_str());
                Err(
                    wrong(name, &key, format!("the audience has no column `{column}`")).hint(did_you_mean(
                        column,
                        "its columns are",
                        columns,
                    )),
                )
            }
        };
        let templates =
            Templates::parse(template).map_err(|(field, why)| wrong(name, &format!("template.{field}"), why))?;
        let mut used = BTreeMap::new();
        for field in template.names() {
            for column in templates.variables(field) {
                let at = find(format!("template.{field}"), &column)?;
                used.insert(column, at);
            }
        }
        let mut fields: Vec<FieldRef> = Vec::new();
        let mut sent = Vec::new();
        if mapped.is_empty() {
            fields.extend(audience.fields().iter().cloned());
            sent.extend(0..audience.fields().len());
        }
        for (field, column) in mapped.iter() {
            let at = find(format!("fields.{field}"), column)?;
            fields.push(Arc::new(audience.field(at).clone().with_name(field)));
            sent.push(at);
        }
        for field in template.names() {
            if fields.iter().any(|sent| sent.name() == field) {
                return Err(wrong(
                    name,
                    &format!("template.{field}"),
                    "the audience has a column of that name already",
                )
                .hint("name the columns to send in `fields`"));
            }
            fields.push(Arc::new(Field::new(field, DataType::Utf8, false)));
        }
        let used = used.into_iter().collect();
        Ok(Self {
            campaign: name,
            sent,
            templates,
            used,
            fields: Arc::new(Schema::new(fields)),
        })
    }

    /// The fields that are sent.
    pub(crate) fn fields(&self) -> &SchemaRef {
        &self.fields
    }

    /// Rows of the audience as rows of fields: of the first of them as many as make [`TEXTS`] bytes of text, and one
    /// at least.
    ///
    /// # Errors
    /// Cancelled, after the row that is being rendered; failed for a template that cannot be rendered for a row.
    pub(crate) fn apply(&self, rows: &RecordBatch, cancel: &CancellationToken) -> Result<RecordBatch> {
        let unreadable = |_| {
            Error::failed(
                format!("running campaign {}", self.campaign),
                "a column cannot be read as text",
            )
        };
        let options = FormatOptions::default();
        let columns: Vec<(&str, &ArrayRef, ArrayFormatter)> = self
            .used
            .iter()
            .map(|(name, at)| {
                let column = rows.column(*at);
                Ok((
                    name.as_str(),
                    column,
                    ArrayFormatter::try_new(column.as_ref(), &options)?,
                ))
            })
            .collect::<Result<_, arrow::error::ArrowError>>()
            .map_err(unreadable)?;
        let mut rendered: Vec<StringBuilder> = self.templates.names.iter().map(|_| StringBuilder::new()).collect();
        let (mut done, mut bytes) = (0, 0);
        while done < rows.num_rows() && bytes < TEXTS {
            if cancel.is_cancelled() {
                return Err(Error::cancelled(format!("running campaign {}", self.campaign)));
            }
            let values = columns
                .iter()
                .map(|(name, column, format)| Ok((*name, value(column, format, done)?)));
            let values: Value = values
                .collect::<Result<Vec<_>, arrow::error::ArrowError>>()
                .map_err(unreadable)?
                .into_iter()
                .collect();
            for (name, text) in self.templates.names.iter().zip(&mut rendered) {
                let made = self.templates.render(name, &values).map_err(|why| {
                    Error::failed(
                        format!("running campaign {}", self.campaign),
                        format!("`template.{name}`: {why}"),
                    )
                })?;
                bytes += made.len();
                text.append_value(made);
            }
            done += 1;
        }
        let mut fields: Vec<ArrayRef> = self.sent.iter().map(|&at| rows.column(at).slice(0, done)).collect();
        fields.extend(rendered.iter_mut().map(|text| Arc::new(text.finish()) as ArrayRef));
        RecordBatch::try_new(Arc::clone(&self.fields), fields).map_err(|_| {
            Error::failed(
                format!("running campaign {}", self.campaign),
                "the server sends other columns than it announced",
            )
        })
    }
}

/// A cell as templates see it: null as undefined, so that it renders as nothing and `default` applies; numbers and
/// booleans as such, all else as text.
fn value(column: &ArrayRef, format: &ArrayFormatter, row: usize) -> Result<Value, arrow::error::ArrowError> {
    if column.is_null(row) {
        return Ok(Value::UNDEFINED);
    }
    let text = format.value(row).try_to_string()?;
    let typed = match column.data_type() {
        DataType::Boolean => text.parse::<bool>().ok().map(Value::from),
        integer if integer.is_integer() => text.parse::<i128>().ok().map(Value::from),
        float if float.is_floating() => text.parse::<f64>().ok().map(Value::from),
        _ => None,
    };
    Ok(typed.unwrap_or_else(|| Value::from(text)))
}

/// A text that grows up to its bound.
#[derive(Default)]
struct BoundedText {
    bytes: Vec<u8>,
    is_full: bool,
}

impl BoundedText {
    fn text(self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl std::io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.is_full |= self.bytes.len() + bytes.len() > TEXT;
        if self.is_full {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The templates of a campaign, by the name of their field.
#[derive(Debug)]
pub(crate) struct Templates {
    environment: Environment<'static>,
    names: Vec<String>,
}

impl Templates {
    /// Parses them.
    ///
    /// # Errors
    /// The field whose template is wrong, and what is wrong with it.
    pub(crate) fn parse(templates: &Mapping) -> Result<Self, (String, String)> {
        let mut environment = letters::environment();
        environment.set_auto_escape_callback(|field| {
            if field.ends_with("html") {
                AutoEscape::Html
            } else {
                AutoEscape::None
            }
        });
        for (field, source) in templates.iter() {
            environment
                .add_template_owned(field.to_owned(), source.to_owned())
                .map_err(|why| (field.to_owned(), why.to_string()))?;
            letters::check(source).map_err(|why| (field.to_owned(), why))?;
        }
        Ok(Self {
            environment,
            names: templates.names().map(str::to_owned).collect(),
        })
    }

    /// The names in the template that have to come from the audience.
    fn variables(&self, field: &str) -> BTreeSet<String> {
        let globals: BTreeSet<&str> = self.environment.globals().map(|(name, _)| name).collect();
        let template = self.environment.get_template(field);
        let names = template
            .map(|template| template.undeclared_variables(false))
            .unwrap_or_default();
        names
            .into_iter()
            .filter(|name| !globals.contains(name.as_str()))
            .collect()
    }

    /// Renders one. What goes wrong is told without the values that it went wrong with.
    fn render(&self, field: &str, values: &Value) -> Result<String, String> {
        let mut text = BoundedText::default();
        let rendered = self
            .environment
            .get_template(field)
            .and_then(|template| template.render_captured_to(values, &mut text).map(drop));
        if text.is_full {
            return Err(format!("it makes a text of more than {TEXT} bytes"));
        }
        rendered.map(|()| text.text()).map_err(|why| {
            let line = why.line().map_or_else(String::new, |line| format!(" in line {line}"));
            match (why.kind(), why.detail()) {
                (
                    kind @ (ErrorKind::UnknownFilter | ErrorKind::UnknownFunction | ErrorKind::UnknownTest),
                    Some(detail),
                ) => {
                    format!("{kind}{line}: {detail}")
                }
                (ErrorKind::OutOfFuel, _) => format!("it takes more than {STEPS} steps{line}"),
                (kind, _) => format!("{kind}{line}"),
            }
        })
    }
}

#[cfg(test)]
mod tests;
