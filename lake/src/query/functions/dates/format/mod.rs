//! Times as text by a format, and back: PostgreSQL's `to_char`, `to_timestamp`, `to_date`, and other products' formats.

mod numbers;
mod percent;
mod read;
mod template;
mod write;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::Result;

use super::FAMILY;
use super::values::{Moments, Spans, collect, collect_text, timestamp};
use crate::query::functions::casts;
use crate::query::functions::definition::{Arguments, Definition, Kind, PLAIN, always};
use template::Node;
use write::Subject;

/// How a format is read.
#[derive(Debug, Clone, Copy)]
enum Dialect {
    Postgres,
    /// PostgreSQL's, unless it has a `%`: then C's.
    PostgresOrC,
    C,
    /// MySQL's, unless it has no `%`: then Java's.
    MysqlOrJava,
}

impl Dialect {
    fn parse(self, format: &str) -> Result<Vec<Node>> {
        let percent = format.contains('%');
        match self {
            Self::C => percent::of_c(format),
            Self::PostgresOrC if percent => percent::of_c(format),
            Self::Postgres | Self::PostgresOrC => Ok(template::parse(format)),
            Self::MysqlOrJava if percent => Ok(percent::of_mysql(format)),
            Self::MysqlOrJava => percent::of_java(format),
        }
    }
}

/// The formats of rows, which mostly are one.
struct Formats<'a> {
    texts: &'a StringArray,
    dialect: Dialect,
    known: Option<(&'a str, Vec<Node>)>,
}

impl<'a> Formats<'a> {
    fn new(texts: &'a StringArray, dialect: Dialect) -> Self {
        Self {
            texts,
            dialect,
            known: None,
        }
    }

    fn get(&mut self, row: usize) -> Result<&[Node]> {
        let text = self.texts.value(row);
        if self.known.as_ref().is_none_or(|(known, _)| *known != text) {
            self.known = Some((text, self.dialect.parse(text)?));
        }
        Ok(self.known.as_ref().map_or(&[], |(_, nodes)| nodes))
    }
}

/// The times or intervals of one argument as the format in another says.
fn write_times(args: &Arguments, time: usize, format: usize, dialect: Dialect) -> Result<ArrayRef> {
    let array = args.array(time)?;
    let mut formats = Formats::new(args.text(format)?, dialect);
    if let Ok(spans) = Spans::of(array) {
        let rows = (0..args.rows).map(|row| match spans.get(row) {
            Some(span) if !args.any_null(row) => write::write(formats.get(row)?, Subject::Span(span)).map(Some),
            _ => Ok(None),
        });
        return collect_text(rows);
    }
    let moments = Moments::of(array)?;
    let zone = matches!(array.data_type(), DataType::Timestamp(_, Some(_)) | DataType::Date32).then(|| moments.zone());
    let rows = (0..args.rows).map(|row| match moments.local(row)? {
        Some(local) if !args.any_null(row) => {
            let nodes = formats.get(row)?;
            // As in PostgreSQL, nothing is made of an empty template.
            let text = || write::write(nodes, Subject::Moment { local, zone });
            (!nodes.is_empty()).then(text).transpose()
        }
        _ => Ok(None),
    });
    collect_text(rows)
}

/// What is done with a text that does not fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Misfit {
    Error,
    Null,
}

/// The times of texts, as the format says.
fn read_times(args: &Arguments, text: usize, format: usize, dialect: Dialect, misfit: Misfit) -> Result<ArrayRef> {
    let texts = args.text(text)?;
    let mut formats = Formats::new(args.text(format)?, dialect);
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let whole = !matches!(dialect, Dialect::Postgres | Dialect::PostgresOrC);
        match read::read(formats.get(row)?, texts.value(row), whole) {
            Err(_) if misfit == Misfit::Null => Ok(None),
            result => result.map(Some),
        }
    });
    collect(&args.result, rows)
}

/// `to_char` of a time, an interval or a number; of anything, with no format, its text.
fn to_char(args: &Arguments) -> Result<ArrayRef> {
    if args.count() == 1 {
        return casts::cast_array(args.array(0)?, &DataType::Utf8, casts::OnFailure::Error);
    }
    match args.array(0)?.data_type() {
        own if own.is_numeric() => numbers::write_numbers(args),
        _ => write_times(args, 0, 1, Dialect::Postgres),
    }
}

/// A text, a number of seconds, a time: as the type of the result.
fn to_time(args: &Arguments, misfit: Misfit) -> Result<ArrayRef> {
    // What is a time already needs no template.
    if args.count() == 2 && *args.array(0)?.data_type() == DataType::Utf8 {
        return read_times(args, 0, 1, Dialect::PostgresOrC, misfit);
    }
    let on_failure = match misfit {
        Misfit::Error => casts::OnFailure::Error,
        Misfit::Null => casts::OnFailure::Null,
    };
    let array = args.array(0)?;
    if let Ok(seconds) = args.floats(0) {
        let instants = seconds.iter().map(|seconds| {
            let micros = seconds.map(|seconds| super::make::micros(seconds).ok_or_else(super::values::out_of_range));
            micros.transpose()
        });
        return collect(&args.result, instants);
    }
    casts::cast_array(array, &args.result, on_failure)
}

/// `to_date(19782)`: days since 1970-01-01.
fn to_date(args: &Arguments, misfit: Misfit) -> Result<ArrayRef> {
    match args.ints(0) {
        Ok(days) => {
            let locals = days.iter().map(|days| {
                let local = days.map(|days| super::calendar::join(days, 0).ok_or_else(super::values::out_of_range));
                local.transpose()
            });
            collect(&args.result, locals)
        }
        Err(_) => to_time(args, misfit),
    }
}

const TIMES: &[&[Kind]] = &[
    &[Kind::Text, Kind::Text],
    &[Kind::Moment, Kind::Text],
    &[Kind::Text],
    &[Kind::Float],
    &[Kind::Moment],
];
const DATES: &[&[Kind]] = &[
    &[Kind::Text, Kind::Text],
    &[Kind::Moment, Kind::Text],
    &[Kind::Text],
    &[Kind::Int],
    &[Kind::Moment],
];
const TEXT: fn(&crate::query::functions::definition::Given) -> Result<DataType> = always!(DataType::Utf8);

/// A function that reads text by a format, whose place and dialect are given.
macro_rules! reads {
    ($name:literal, $aliases:expr, $returns:expr, $text:literal, $format:literal, $dialect:expr, $misfit:expr, $syntax:literal, $example:literal) => {
        Definition {
            name: $name,
            aliases: $aliases,
            family: FAMILY,
            about: "The time that a text says, as a format tells.",
            syntax: $syntax,
            example: $example,
            forms: &[&[Kind::Text, Kind::Text]],
            returns: $returns,
            body: |args| read_times(args, $text, $format, $dialect, $misfit),
            ..PLAIN
        }
    };
}

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "to_char",
        aliases: &["to_varchar"],
        family: FAMILY,
        about: "A time, an interval or a number as a template says: `YYYY-MM-DD HH24:MI:SS`, `FM999,990.00`. The letters \
            are PostgreSQL's.",
        syntax: "to_char(value, template)",
        example: "select to_char(date '2024-01-31', 'FMDay, DDth Month YYYY')",
        forms: &[
            &[Kind::Moment, Kind::Text],
            &[Kind::Span, Kind::Text],
            &[Kind::Number, Kind::Text],
            &[Kind::Any],
        ],
        returns: TEXT,
        body: to_char,
        ..PLAIN
    },
    Definition {
        name: "to_timestamp",
        aliases: &["to_timestamp_tz", "to_timestamp_ltz"],
        family: FAMILY,
        about: "The instant that a text says, as a template tells, or that is so many seconds after 1970-01-01.",
        syntax: "to_timestamp(text, template)",
        example: "select to_timestamp('2024-01-31 23:59', 'YYYY-MM-DD HH24:MI')",
        forms: TIMES,
        returns: |_| Ok(timestamp(true)),
        body: |args| to_time(args, Misfit::Error),
        ..PLAIN
    },
    Definition {
        name: "to_timestamp_ntz",
        aliases: &["to_datetime"],
        family: FAMILY,
        about: "The timestamp without zone that a text says, as a template tells, or that is so many seconds after \
            1970-01-01.",
        syntax: "to_timestamp_ntz(text[, template])",
        example: "select to_timestamp_ntz('2024-01-31 23:59')",
        forms: TIMES,
        returns: |_| Ok(timestamp(false)),
        body: |args| to_time(args, Misfit::Error),
        ..PLAIN
    },
    Definition {
        name: "try_to_timestamp",
        aliases: &["try_to_timestamp_ntz"],
        family: FAMILY,
        about: "The timestamp that a text says, null where it says none.",
        syntax: "try_to_timestamp(text[, template])",
        example: "select try_to_timestamp('soon')",
        forms: TIMES,
        returns: |_| Ok(timestamp(false)),
        body: |args| to_time(args, Misfit::Null),
        ..PLAIN
    },
    Definition {
        name: "to_date",
        family: FAMILY,
        about: "The date that a text says, as a template tells; the date of a timestamp.",
        syntax: "to_date(text[, template])",
        example: "select to_date('31/01/2024', 'DD/MM/YYYY')",
        forms: DATES,
        returns: always!(DataType::Date32),
        body: |args| to_date(args, Misfit::Error),
        ..PLAIN
    },
    Definition {
        name: "try_to_date",
        family: FAMILY,
        about: "The date that a text says, null where it says none.",
        syntax: "try_to_date(text[, template])",
        example: "select try_to_date('2024-02-30')",
        forms: DATES,
        returns: always!(DataType::Date32),
        body: |args| to_date(args, Misfit::Null),
        ..PLAIN
    },
    Definition {
        name: "to_number",
        aliases: &["to_decimal", "to_numeric"],
        family: FAMILY,
        about: "The number that a text says, as a template tells.",
        syntax: "to_number(text[, template])",
        example: "select to_number('1,234.50', '9,999.99')",
        forms: &[&[Kind::Text, Kind::Text], &[Kind::Text], &[Kind::Number]],
        returns: numbers::scale_of_template,
        body: numbers::read_numbers,
        ..PLAIN
    },
    Definition {
        name: "strftime",
        family: FAMILY,
        about: "A time as C's format says: `%Y-%m-%d`; `%-d` is not padded.",
        syntax: "strftime(at, format)",
        example: "select strftime(date '2024-01-31', '%Y/%m')",
        forms: &[&[Kind::Moment, Kind::Text], &[Kind::Text, Kind::Moment]],
        returns: TEXT,
        body: |args| match args.array(0)?.data_type() {
            DataType::Utf8 => write_times(args, 1, 0, Dialect::C),
            _ => write_times(args, 0, 1, Dialect::C),
        },
        ..PLAIN
    },
    Definition {
        name: "format_date",
        aliases: &["format_timestamp", "format_datetime", "format_time"],
        family: FAMILY,
        about: "A time as C's format says.",
        syntax: "format_date(format, at)",
        example: "select format_date('%d %B %Y', date '2024-01-31')",
        forms: &[&[Kind::Text, Kind::Moment], &[Kind::Text, Kind::Time]],
        returns: TEXT,
        body: |args| write_times(args, 1, 0, Dialect::C),
        ..PLAIN
    },
    Definition {
        name: "date_format",
        family: FAMILY,
        about: "A time as MySQL's format says, `%Y-%m-%d`, or Java's: `yyyy-MM-dd`.",
        syntax: "date_format(at, format)",
        example: "select date_format(date '2024-01-31', '%W, %D %M')",
        forms: &[&[Kind::Moment, Kind::Text]],
        returns: TEXT,
        body: |args| write_times(args, 0, 1, Dialect::MysqlOrJava),
        ..PLAIN
    },
    reads!(
        "strptime",
        &[],
        |_| Ok(timestamp(false)),
        0,
        1,
        Dialect::C,
        Misfit::Error,
        "strptime(text, format)",
        "select strptime('31/01/2024', '%d/%m/%Y')"
    ),
    reads!(
        "try_strptime",
        &[],
        |_| Ok(timestamp(false)),
        0,
        1,
        Dialect::C,
        Misfit::Null,
        "try_strptime(text, format)",
        "select try_strptime('soon', '%d/%m/%Y')"
    ),
    reads!(
        "str_to_date",
        &[],
        |_| Ok(timestamp(false)),
        0,
        1,
        Dialect::MysqlOrJava,
        Misfit::Error,
        "str_to_date(text, format)",
        "select str_to_date('31,1,2024', '%d,%m,%Y')"
    ),
    reads!(
        "parse_date",
        &[],
        |_| Ok(DataType::Date32),
        1,
        0,
        Dialect::C,
        Misfit::Error,
        "parse_date(format, text)",
        "select parse_date('%d/%m/%Y', '31/01/2024')"
    ),
    reads!(
        "parse_timestamp",
        &[],
        |_| Ok(timestamp(true)),
        1,
        0,
        Dialect::C,
        Misfit::Error,
        "parse_timestamp(format, text)",
        "select parse_timestamp('%d/%m/%Y', '31/01/2024')"
    ),
    reads!(
        "parse_datetime",
        &[],
        |_| Ok(timestamp(false)),
        1,
        0,
        Dialect::C,
        Misfit::Error,
        "parse_datetime(format, text)",
        "select parse_datetime('%d/%m/%Y', '31/01/2024')"
    ),
];

/// A column of text from texts of rows.
fn text_array(rows: Vec<Option<String>>) -> ArrayRef {
    Arc::new(StringArray::from(rows))
}
