//! `COPY … TO STDOUT (FORMAT binary)` into record batches: each value goes from the server's bytes straight to its
//! column. Source: PostgreSQL's manual, COPY, "Binary Format".

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use cordada_core::{Context, Error, Result};
use cordada_ingest_source::misfits::Misfits;

use super::column::{Column, Kind};
use crate::feed::{ReadBatch, is_batch};
use crate::value_error::ValueError;

/// What the data begin with; then come flags and the length of an extension.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Reads the data, however they are cut into pieces.
pub(crate) struct CopyDecoder {
    /// What is read, for messages: `public.sales`.
    label: String,
    /// The columns', and that of the misfits.
    schema: SchemaRef,
    columns: Vec<Column>,
    misfits: Misfits,
    /// The beginning of a row whose end has not come.
    rest: Vec<u8>,
    rows: usize,
    bytes: usize,
    state: Expect,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Header,
    Row,
    Nothing,
}

impl CopyDecoder {
    /// Reads columns of those kinds, named as in the schema, which ends with the column of the misfits.
    pub(crate) fn new(label: &str, schema: SchemaRef, kinds: &[Kind]) -> Self {
        Self {
            label: label.to_owned(),
            schema,
            columns: kinds.iter().map(Column::new).collect(),
            misfits: Misfits::default(),
            rest: Vec::new(),
            rows: 0,
            bytes: 0,
            state: Expect::Header,
        }
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// It is no such data.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<()> {
        self.bytes += piece.len();
        // The server sends a row a piece.
        if self.rest.is_empty() {
            let used = self.read(piece)?;
            self.rest.extend_from_slice(&piece[used..]);
            return Ok(());
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(piece);
        let used = self.read(&rest)?;
        rest.drain(..used);
        self.rest = rest;
        Ok(())
    }

    /// Whether a batch is ready to be taken.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        is_batch(self.rows, self.bytes)
    }

    /// The rows so far and how many bytes they came in; `None` if there are none.
    ///
    /// # Errors
    /// None that is known.
    pub(crate) fn take(&mut self) -> Result<Option<ReadBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.bytes) as u64;
        let columns = self.columns.iter_mut().enumerate();
        let arrays = columns.map(|(at, column)| column.finish_into(at, &mut self.misfits));
        let mut arrays: Vec<_> = arrays.collect();
        arrays.push(self.misfits.finish(std::mem::take(&mut self.rows))?);
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).doing(|| format!("reading {}", self.label))?;
        Ok(Some((batch, bytes)))
    }

    /// Says that there is no more.
    ///
    /// # Errors
    /// Something is missing.
    pub(crate) fn end(&self) -> Result<()> {
        if self.state == Expect::Nothing && self.rest.is_empty() {
            return Ok(());
        }
        Err(Error::unavailable(
            format!("reading {}", self.label),
            "the data end in the middle of a row",
        ))
    }

    /// Reads what is complete, and says how many bytes that was.
    fn read(&mut self, data: &[u8]) -> Result<usize> {
        let mut at = 0;
        let malformed = |label: &str| Error::failed(format!("reading {label}"), "the server's data make no sense");
        if self.state == Expect::Header {
            let Some((fixed, extension)) = data.split_at_checked(SIGNATURE.len() + 8) else {
                return Ok(0);
            };
            let mut lengths = &fixed[SIGNATURE.len() + 4..];
            let length = super::column::take_i32(&mut lengths).ok();
            let length = length.and_then(|length| usize::try_from(length).ok());
            let length = length
                .filter(|_| fixed.starts_with(SIGNATURE))
                .ok_or_else(|| malformed(&self.label))?;
            if extension.len() < length {
                return Ok(0);
            }
            at = fixed.len() + length;
            self.state = Expect::Row;
        }
        while at < data.len() {
            if self.state == Expect::Nothing {
                return Err(malformed(&self.label));
            }
            let row = &data[at..];
            let Some((count, values)) = row.split_first_chunk() else {
                return Ok(at);
            };
            match i16::from_be_bytes(*count) {
                -1 => {
                    self.state = Expect::Nothing;
                    at += 2;
                    continue;
                }
                count if usize::try_from(count).ok() != Some(self.columns.len()) => {
                    return Err(malformed(&self.label));
                }
                _ => {}
            }
            let Some(length) = length_of(values, self.columns.len()).map_err(|_| malformed(&self.label))? else {
                return Ok(at);
            };
            self.row(&values[..length]);
            at += 2 + length;
        }
        Ok(at)
    }

    /// Reads the values of a complete row.
    #[inline]
    fn row(&mut self, mut values: &[u8]) {
        for (number, column) in self.columns.iter_mut().enumerate() {
            // Complete, so these lengths are there and within the row.
            let Some((length, rest)) = values.split_first_chunk() else {
                break;
            };
            match usize::try_from(i32::from_be_bytes(*length)) {
                Err(_) => {
                    column.push_null();
                    values = rest;
                }
                Ok(length) => {
                    let (value, rest) = rest.split_at(length);
                    if let Err(error) = column.push_binary(value) {
                        let misfit = error.misfit(number, column.text_of_binary(value));
                        column.push_misfit();
                        self.misfits.add(self.rows, misfit);
                    }
                    values = rest;
                }
            }
        }
        self.rows += 1;
    }
}

/// The length of so many values, each behind its own length; `None` if not all are there.
#[inline]
fn length_of(values: &[u8], count: usize) -> Result<Option<usize>, ValueError> {
    let mut at = 0;
    for _ in 0..count {
        let Some((length, _)) = values.get(at..).and_then(|rest| rest.split_first_chunk()) else {
            return Ok(None);
        };
        at += 4;
        match i32::from_be_bytes(*length) {
            -1 => {}
            length => at += usize::try_from(length).map_err(|_| ValueError::Malformed)?,
        }
    }
    Ok((at <= values.len()).then_some(at))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::Array;
    use arrow::datatypes::{Field, Schema};
    use cordada_ingest_source::misfits;
    use proptest::prelude::*;

    use super::*;

    fn decoder() -> CopyDecoder {
        let kinds = [
            Kind::Int64,
            Kind::Text,
            Kind::Decimal(10, 2),
            Kind::List(Box::new(Kind::Int32)),
            Kind::Timestamptz,
        ];
        let fields = kinds
            .iter()
            .zip(["a", "b", "c", "d", "e"])
            .map(|(kind, name)| Field::new(name, kind.data_type(), true));
        let schema = misfits::schema(&Schema::new(fields.collect::<Vec<_>>()));
        CopyDecoder::new("public.sales", schema, &kinds)
    }

    fn field(value: &[u8]) -> Vec<u8> {
        [&i32::try_from(value.len()).unwrap().to_be_bytes(), value].concat()
    }

    fn header() -> Vec<u8> {
        [SIGNATURE.as_slice(), &[0; 8]].concat()
    }

    fn row(number: i64) -> Vec<u8> {
        let null = (-1i32).to_be_bytes().to_vec();
        let numeric = [0u8, 2, 0, 0, 0, 0, 0, 2, 0, 12, 19, 136];
        let list = [1i32, 0, 23, 1, 1, 4, 7].map(i32::to_be_bytes).concat();
        let text = if number % 3 == 0 {
            null
        } else {
            field("añb".as_bytes())
        };
        [
            5i16.to_be_bytes().to_vec(),
            field(&number.to_be_bytes()),
            text,
            field(&numeric),
            field(&list),
            field(&0i64.to_be_bytes()),
        ]
        .concat()
    }

    fn data(rows: i64) -> Vec<u8> {
        [
            header(),
            (0..rows).flat_map(row).collect(),
            (-1i16).to_be_bytes().to_vec(),
        ]
        .concat()
    }

    #[test]
    fn values_arrive() {
        let mut decoder = decoder();
        decoder.push(&data(2)).unwrap();
        decoder.end().unwrap();
        let (batch, _) = decoder.take().unwrap().unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&[batch])
            .unwrap()
            .to_string();
        assert!(
            shown.contains("| 1 | añb | 12.50 | [7] | 2000-01-01T00:00:00Z |"),
            "{shown}"
        );
        assert!(shown.contains("| 0 |     | 12.50 | [7] |"), "{shown}");
    }

    #[test]
    fn a_value_that_cannot_land_costs_its_row() {
        let mut decoder = decoder();
        let nan = [0u8, 0, 0, 0, 0xC0, 0, 0, 0];
        let half = [1i32, 0, 23, 2, 1, 4, 7, 3].map(i32::to_be_bytes).concat();
        let bad = [
            5i16.to_be_bytes().to_vec(),
            field(&3i64.to_be_bytes()),
            field(b"\xff"),
            field(&nan),
            field(&half),
            field(&i64::MIN.to_be_bytes()),
        ];
        let end = (-1i16).to_be_bytes().to_vec();
        let data = [header(), row(1), bad.concat(), row(2), end];
        decoder.push(&data.concat()).unwrap();
        decoder.end().unwrap();
        let (batch, _) = decoder.take().unwrap().unwrap();
        let (rows, misfits) = misfits::split(&batch).unwrap();
        let said: Vec<_> = misfits[&1]
            .iter()
            .map(|misfit| (misfit.column, misfit.value.as_str()))
            .collect();
        assert_eq!(misfits.len(), 1);
        assert_eq!(said[..1], [(2, "NaN")]);
        assert_eq!(said[2..], [(4, "-infinity"), (1, "\\xff")]);
        let mut whole = self::decoder();
        whole
            .push(&[header(), row(1), row(2), (-1i16).to_be_bytes().to_vec()].concat())
            .unwrap();
        let (whole, _) = misfits::split(&whole.take().unwrap().unwrap().0).unwrap();
        assert_eq!(
            (rows.slice(0, 1), rows.slice(2, 1)),
            (whole.slice(0, 1), whole.slice(1, 1))
        );
        assert!((1..5).all(|column| rows.column(column).is_null(1)));
    }

    /// A row: numbers, texts, hundredths, lists, microseconds since 2000.
    type AnyRow = (
        Option<i64>,
        Option<String>,
        Option<i64>,
        Option<Vec<Option<i32>>>,
        Option<i64>,
    );

    fn any_row() -> impl Strategy<Value = AnyRow> {
        use proptest::option::of;
        (
            of(any::<i64>()),
            of("[^\0]{0,8}"),
            of(-9_999_999_999i64..=9_999_999_999),
            of(proptest::collection::vec(of(any::<i32>()), 0..4)),
            of(-1_000_000_000_000_000i64..=1_000_000_000_000_000),
        )
    }

    /// A decimal as the server writes it: digits to the base of 10,000.
    fn numeric(hundredths: i64) -> Vec<u8> {
        let (mut whole, fraction) = (hundredths.unsigned_abs() / 100, hundredths.unsigned_abs() % 100);
        let mut digits = Vec::new();
        while whole > 0 {
            digits.insert(0, u16::try_from(whole % 10_000).unwrap());
            whole /= 10_000;
        }
        let weight = i16::try_from(digits.len()).unwrap() - 1;
        if fraction > 0 {
            digits.push(u16::try_from(fraction * 100).unwrap());
        }
        let sign: u16 = if hundredths < 0 { 0x4000 } else { 0 };
        let count = u16::try_from(digits.len()).unwrap();
        let weight = weight.to_be_bytes();
        let head = [count.to_be_bytes(), weight, sign.to_be_bytes(), 2u16.to_be_bytes()].concat();
        [head, digits.into_iter().flat_map(u16::to_be_bytes).collect()].concat()
    }

    fn list(items: &[Option<i32>]) -> Vec<u8> {
        if items.is_empty() {
            return [0i32, 0, 23].map(i32::to_be_bytes).concat();
        }
        let nulls = i32::from(items.contains(&None));
        let head = [1, nulls, 23, i32::try_from(items.len()).unwrap(), 1].map(i32::to_be_bytes);
        let items = items
            .iter()
            .flat_map(|item| nullable(*item, |item| item.to_be_bytes().to_vec()));
        [head.concat(), items.collect()].concat()
    }

    fn nullable<T>(value: Option<T>, encode: impl FnOnce(T) -> Vec<u8>) -> Vec<u8> {
        value.map_or_else(|| (-1i32).to_be_bytes().to_vec(), |value| field(&encode(value)))
    }

    fn encoded(row: &AnyRow) -> Vec<u8> {
        let (number, text, hundredths, items, micros) = row;
        [
            5i16.to_be_bytes().to_vec(),
            nullable(*number, |number| number.to_be_bytes().to_vec()),
            nullable(text.as_ref(), |text| text.as_bytes().to_vec()),
            nullable(*hundredths, numeric),
            nullable(items.as_ref(), |items| list(items)),
            nullable(*micros, |micros| micros.to_be_bytes().to_vec()),
        ]
        .concat()
    }

    fn decoded(batch: &RecordBatch) -> Vec<AnyRow> {
        use arrow::array::{Array, AsArray};
        use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
        let numbers = batch.column(0).as_primitive::<Int64Type>();
        let texts = batch.column(1).as_string::<i32>();
        let decimals = batch.column(2).as_primitive::<Decimal128Type>();
        let lists = batch.column(3).as_list::<i32>();
        let times = batch.column(4).as_primitive::<TimestampMicrosecondType>();
        let row = |row: usize| {
            let items = |items: arrow::array::ArrayRef| items.as_primitive::<Int32Type>().iter().collect();
            (
                numbers.is_valid(row).then(|| numbers.value(row)),
                texts.is_valid(row).then(|| texts.value(row).to_owned()),
                decimals
                    .is_valid(row)
                    .then(|| i64::try_from(decimals.value(row)).unwrap()),
                lists.is_valid(row).then(|| items(lists.value(row))),
                times.is_valid(row).then(|| times.value(row) - 946_684_800_000_000),
            )
        };
        (0..batch.num_rows()).map(row).collect()
    }

    proptest! {
        #[test]
        fn every_value_arrives(rows in proptest::collection::vec(any_row(), 1..20), cut in 1usize..50) {
            let end = (-1i16).to_be_bytes().to_vec();
            let data = [header(), rows.iter().flat_map(encoded).collect(), end].concat();
            let mut decoder = decoder();
            for piece in data.chunks(cut) {
                decoder.push(piece).unwrap();
            }
            decoder.end().unwrap();
            let (batch, _) = decoder.take().unwrap().unwrap();
            let (batch, misfits) = misfits::split(&batch).unwrap();
            prop_assert!(misfits.is_empty());
            prop_assert_eq!(decoded(&batch), rows);
        }

        #[test]
        fn wherever_the_data_are_cut_the_rows_are_the_same(cuts in proptest::collection::vec(1usize..40, 1..60)) {
            let data = data(9);
            let mut decoder = decoder();
            let mut rest = data.as_slice();
            for cut in cuts.into_iter().cycle() {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                decoder.push(piece).unwrap();
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            decoder.end().unwrap();
            let mut whole = self::decoder();
            whole.push(&data).unwrap();
            prop_assert_eq!(decoder.take().unwrap().unwrap().0, whole.take().unwrap().unwrap().0);
        }

        #[test]
        fn damaged_data_are_refused_without_a_panic(
            at in 0usize..500, byte in any::<u8>(), length in 0usize..500,
        ) {
            let mut data = data(4);
            let at = at % data.len();
            data[at] = byte;
            data.truncate(length);
            let mut decoder = decoder();
            if decoder.push(&data).is_ok() {
                let _ = decoder.end();
                let _ = decoder.take();
            }
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = decoder();
            let _ = decoder.push(&[header(), bytes].concat()).is_ok();
            let _ = decoder.take();
        }
    }
}
