//! `identity sample` and `identity measure`: a sheet of pairs for people to label, and what their labels say.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use cordada_core::atomic_file::AtomicFile;
use cordada_core::sql_text::Dialect;
use cordada_core::{Context, Error, Result};
use futures::TryStreamExt;

use super::labels::Stratum;
use super::{IdentityModel, quoted};
use crate::Project;

/// How many strata there are of the pairs that were joined, and of those that were not, by weight.
const STRATA: u64 = 5;

/// Columns of a sheet that are no record's.
const STRATUM: &str = "stratum";
const STRATUM_PAIRS: &str = "stratum_pairs";
const SAME: &str = "same";

/// A sheet that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sheet {
    /// The pairs on it.
    pub pairs: usize,
    /// The pairs that they stand for.
    pub of: u64,
}

/// A pair that is to be labelled.
struct Sampled {
    records: [String; 2],
    stratum: i64,
    stratum_pairs: i64,
}

impl Project {
    /// Writes a CSV file of about `pairs` pairs of records side by side, for people to say in the column `same` which
    /// are of one person. The same `seed` draws the same pairs of the same release. Nothing on it says what the model
    /// thinks of a pair.
    ///
    /// # Errors
    /// Config if there is no such model, or several and none is named; unavailable if the file cannot be written.
    pub async fn sample(&self, model: Option<&str>, pairs: usize, seed: u64, file: &Path) -> Result<Sheet> {
        let model = IdentityModel::find(self, model).await?;
        let sampled = model.draw(pairs, seed).await?;
        let records = model.records(&sampled).await?;
        let mut writer = csv::Writer::from_writer(Vec::new());
        let mut header: Vec<String> = vec![SAME.to_owned()];
        for column in &records.columns {
            header.extend([format!("{column}_a"), format!("{column}_b")]);
        }
        header.extend([STRATUM.to_owned(), STRATUM_PAIRS.to_owned()]);
        writer.write_record(&header).map_err(unwritten)?;
        let nothing = vec![String::new(); records.columns.len()];
        for pair in &sampled {
            let [a, b] = [0, 1].map(|side| records.rows.get(&pair.records[side]).unwrap_or(&nothing));
            let mut row = vec![String::new()];
            row.extend(a.iter().zip(b).flat_map(|(a, b)| [harmless(a), harmless(b)]));
            row.extend([pair.stratum.to_string(), pair.stratum_pairs.to_string()]);
            writer.write_record(&row).map_err(unwritten)?;
        }
        let text = writer
            .into_inner()
            .map_err(|error| unwritten(error.into_error().into()))?;
        let target = std::path::absolute(file).doing(|| format!("writing {}", file.display()))?;
        let mut target = AtomicFile::create(target).await?;
        target.write(&text).await?;
        target.sync().await?;
        target.rename().await?;
        let sizes: BTreeMap<i64, i64> = sampled.iter().map(|pair| (pair.stratum, pair.stratum_pairs)).collect();
        Ok(Sheet {
            pairs: sampled.len(),
            of: sizes
                .values()
                .map(|pairs| u64::try_from(*pairs).unwrap_or_default())
                .sum(),
        })
    }
}

impl IdentityModel<'_> {
    /// Draws pairs, as many of each stratum. What somebody decided needs no label.
    async fn draw(&self, pairs: usize, seed: u64) -> Result<Vec<Sampled>> {
        let [a, b] = ["a", "b"].map(|side| {
            let column = Dialect::Standard.identifier(&format!("{}_{side}", self.key));
            format!("cast({column} as varchar)")
        });
        let each = (pairs as u64).div_ceil(2 * STRATA).max(1);
        let query = format!(
            "with pairs as (
                select {a} as a, {b} as b, same_person, weight,
                    md5(concat({a}, '|', {b}, '|{seed}')) as chance
                from {relation}
                where why <> 'decided'
            ),
            strata as (
                select a, b, chance,
                    ntile({STRATA}) over (partition by same_person order by weight, a, b)
                        + case when same_person then {STRATA} else 0 end as stratum
                from pairs
            ),
            numbered as (
                select a, b, chance, stratum,
                    row_number() over (partition by stratum order by chance) as place,
                    count(*) over (partition by stratum) as stratum_pairs
                from strata
            )
            select a, b, cast(stratum as bigint) as stratum, cast(stratum_pairs as bigint) as stratum_pairs
            from numbered
            where place <= {each}
            order by chance",
            relation = quoted(&self.pairs),
        );
        let rows = self.query(&query).await?;
        let text = |at: usize| -> Result<_> { cast(rows.column(at), &DataType::Utf8).doing(doing) };
        let (a, b) = (text(0)?, text(1)?);
        let (a, b) = (a.as_string::<i32>(), b.as_string::<i32>());
        let number = |at: usize| rows.column(at).as_primitive::<Int64Type>();
        let (stratum, stratum_pairs) = (number(2), number(3));
        let pair = |row: usize| Sampled {
            records: [a.value(row).to_owned(), b.value(row).to_owned()],
            stratum: stratum.value(row),
            stratum_pairs: stratum_pairs.value(row),
        };
        Ok((0..rows.num_rows()).map(pair).collect())
    }

    /// What the model reads of the records of those pairs.
    async fn records(&self, pairs: &[Sampled]) -> Result<SampledRecords> {
        let rows = self.asked().await?.inputs.main;
        let schema = rows.schema();
        let columns = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut records = SampledRecords {
            columns,
            rows: HashMap::new(),
        };
        let wanted: HashSet<&str> = pairs
            .iter()
            .flat_map(|pair| &pair.records)
            .map(String::as_str)
            .collect();
        let mut batches = rows.read().await?;
        while let Some(batch) = batches.try_next().await.doing(doing)? {
            let at = batch.schema().index_of(&self.key).doing(doing)?;
            let keys = cast(batch.column(at), &DataType::Utf8).doing(doing)?;
            let keys = keys.as_string::<i32>();
            let options = FormatOptions::new().with_null("");
            let formatters = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column, &options))
                .collect::<Result<Vec<_>, _>>()
                .doing(doing)?;
            for row in (0..batch.num_rows()).filter(|row| keys.is_valid(*row)) {
                if wanted.contains(keys.value(row)) {
                    let cells = formatters.iter().map(|column| column.value(row).to_string());
                    records.rows.insert(keys.value(row).to_owned(), cells.collect());
                }
            }
        }
        Ok(records)
    }
}

/// Records by key, each with its columns as texts.
struct SampledRecords {
    columns: Vec<String>,
    rows: HashMap<String, Vec<String>>,
}

/// A cell that no spreadsheet computes: whoever chose their own name shall not run code on the desk of who opens it.
fn harmless(cell: &str) -> String {
    let is_number = cell
        .trim_start_matches(['+', '-'])
        .chars()
        .all(|c| c.is_ascii_digit() || " .,()".contains(c));
    match cell.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') if !is_number => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

/// What people said on a sheet, stratum by stratum.
///
/// # Errors
/// Config, with the line: no sheet, or an answer that is neither yes nor no. What is on the line is in no error.
pub fn labelled(file: &Path) -> Result<Vec<Stratum>> {
    let text = std::fs::read(file).doing(|| format!("reading {}", file.display()))?;
    strata(&text)
        .map_err(|(line, why)| Error::config("reading a sheet of labelled pairs", why).at(file.display(), line, 0))
}

fn strata(text: &[u8]) -> Result<Vec<Stratum>, (usize, String)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    // Where decimals have a comma, spreadsheets write semicolons.
    let header = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = match header.contains(&b';') {
        true => b';',
        false => b',',
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .from_reader(text);
    let broken = |error: csv::Error| {
        (
            error.position().map_or(0, |at| at.line() as usize),
            "it is no CSV".to_owned(),
        )
    };
    let header = reader.headers().map_err(broken)?.clone();
    let find = |name: &str| {
        let found = header.iter().position(|column| column.trim() == name);
        found.ok_or_else(|| {
            (
                1,
                format!("there is no column `{name}`: `cordada identity sample` writes sheets"),
            )
        })
    };
    let (same, stratum, pairs) = (find(SAME)?, find(STRATUM)?, find(STRATUM_PAIRS)?);
    let mut strata: BTreeMap<u64, Stratum> = BTreeMap::new();
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, |at| at.line() as usize);
        let number = |at: usize| -> Result<u64, (usize, String)> {
            let cell = row.get(at).unwrap_or_default().trim();
            cell.parse()
                .map_err(|_| (line, format!("`{}` is no number", header.get(at).unwrap_or_default())))
        };
        let number_of_stratum = number(stratum)?;
        let found = strata.entry(number_of_stratum).or_insert(Stratum {
            is_joined: number_of_stratum > STRATA,
            pairs: number(pairs)?,
            labelled: 0,
            same: 0,
        });
        if let Some(is_same) = answer(row.get(same).unwrap_or_default()).ok_or_else(|| (line, NO_ANSWER.to_owned()))? {
            found.labelled += 1;
            found.same += u64::from(is_same);
        }
    }
    Ok(strata.into_values().collect())
}

const NO_ANSWER: &str = "`same` is neither yes nor no; who does not know leaves it empty";

/// What a cell says: yes, no, or nothing; `None` if it says something else.
fn answer(cell: &str) -> Option<Option<bool>> {
    match cell.trim().to_lowercase().as_str() {
        "" | "?" => Some(None),
        "yes" | "y" | "sí" | "si" | "s" | "sim" | "1" | "true" | "x" => Some(Some(true)),
        "no" | "n" | "não" | "nao" | "0" | "false" => Some(Some(false)),
        _ => None,
    }
}

fn doing() -> &'static str {
    "writing a sheet of pairs"
}

fn unwritten(error: csv::Error) -> Error {
    Error::failed(doing(), error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_that_came_back_from_a_spreadsheet_is_understood() {
        let sheet = "\u{feff}same;name_a;name_b;stratum;stratum_pairs\r\nSí;Ana;ANA;6;120\r\nno;Ana;Eva;6;120\r\n;Luis;\
                     Luis;1;30\r\nYES;a;b;1;30\r\n";
        let stratum = |is_joined, pairs, labelled, same| Stratum {
            is_joined,
            pairs,
            labelled,
            same,
        };
        assert_eq!(
            strata(sheet.as_bytes()).unwrap(),
            [stratum(false, 30, 1, 1), stratum(true, 120, 2, 1)]
        );
    }

    #[test]
    fn what_is_no_answer_is_said_with_its_line_and_not_repeated() {
        let (line, why) = strata(b"same,stratum,stratum_pairs\nyes,1,9\nAna Ruiz,1,9\n").unwrap_err();
        assert!(line == 3 && !why.contains("Ana"), "{line}: {why}");
        let (line, why) = strata(b"same,name\nyes,Ana\n").unwrap_err();
        assert!(
            line == 1 && why.contains("`stratum`") && !why.contains("Ana"),
            "{line}: {why}"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("@sum", "'@sum"),
            ("+34 600 123 456", "+34 600 123 456"),
            ("-cmd|x", "'-cmd|x"),
            ("Ana", "Ana"),
        ] {
            assert_eq!(harmless(cell), written);
        }
    }
}
