//! The messages of the replication log. Source: PostgreSQL's manual, "Logical Replication Message Formats", version 1.

use std::ops::Range;

use super::column::{take, take_i32};
use crate::value_error::ValueError;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The columns of a table, before its first change and whenever they have changed.
    Relation {
        table: u32,
        columns: Vec<String>,
    },
    Insert {
        table: u32,
        new: Tuple,
    },
    Update {
        table: u32,
        old: Option<Tuple>,
        new: Tuple,
    },
    Delete {
        table: u32,
        old: Tuple,
    },
    Truncate {
        tables: Vec<u32>,
    },
    /// Begin, commit, types, origins: nothing that changes a row.
    Other,
}

/// A row: a cell a column of the table.
pub(super) type Tuple = Vec<Cell>;

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    /// A large value that the update left as it was, and that the log does not repeat.
    Unchanged,
    /// Where in the message its text is.
    Text(Range<usize>),
}

type Read<T> = Result<T, ValueError>;

/// Reads a message.
///
/// # Errors
/// It is none, or of a later version.
pub(super) fn read(data: &[u8]) -> Read<Message> {
    let mut reader = PgoutputReader { data, rest: data };
    let message = match reader.byte()? {
        b'R' => {
            let table = reader.number()?;
            reader.text()?;
            reader.text()?;
            reader.byte()?;
            let count = reader.count()?;
            let columns = (0..count).map(|_| {
                reader.byte()?;
                let name = reader.text()?;
                reader.skip(8)?;
                Ok(name)
            });
            Message::Relation {
                table,
                columns: columns.collect::<Read<_>>()?,
            }
        }
        b'I' => {
            let table = reader.number()?;
            reader.expect(b'N')?;
            Message::Insert {
                table,
                new: reader.tuple()?,
            }
        }
        b'U' => {
            let table = reader.number()?;
            let (old, kind) = match reader.byte()? {
                b'K' | b'O' => (Some(reader.tuple()?), reader.byte()?),
                kind => (None, kind),
            };
            if kind != b'N' {
                return Err(ValueError::Malformed);
            }
            Message::Update {
                table,
                old,
                new: reader.tuple()?,
            }
        }
        b'D' => {
            let table = reader.number()?;
            match reader.byte()? {
                b'K' | b'O' => Message::Delete {
                    table,
                    old: reader.tuple()?,
                },
                _ => return Err(ValueError::Malformed),
            }
        }
        b'T' => {
            let count = take_i32(&mut reader.rest)?;
            reader.byte()?;
            Message::Truncate {
                tables: (0..count).map(|_| reader.number()).collect::<Read<_>>()?,
            }
        }
        b'B' | b'C' | b'O' | b'Y' | b'M' => return Ok(Message::Other),
        _ => return Err(ValueError::Malformed),
    };
    match reader.rest {
        [] => Ok(message),
        _ => Err(ValueError::Malformed),
    }
}

struct PgoutputReader<'a> {
    data: &'a [u8],
    rest: &'a [u8],
}

impl PgoutputReader<'_> {
    fn byte(&mut self) -> Read<u8> {
        Ok(take(&mut self.rest, 1)?[0])
    }

    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.byte()? == byte {
            Ok(())
        } else {
            Err(ValueError::Malformed)
        }
    }

    fn skip(&mut self, count: usize) -> Read<()> {
        take(&mut self.rest, count).map(drop)
    }

    fn number(&mut self) -> Read<u32> {
        Ok(take_i32(&mut self.rest)?.cast_unsigned())
    }

    /// A number of columns.
    fn count(&mut self) -> Read<u16> {
        let bytes = take(&mut self.rest, 2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A text that ends with a zero.
    fn text(&mut self) -> Read<String> {
        let end = self
            .rest
            .iter()
            .position(|byte| *byte == 0)
            .ok_or(ValueError::Malformed)?;
        let text = std::str::from_utf8(take(&mut self.rest, end)?)
            .map_err(|_| ValueError::NotUtf8)?
            .to_owned();
        self.skip(1)?;
        Ok(text)
    }

    fn tuple(&mut self) -> Read<Tuple> {
        let count = self.count()?;
        let cells = (0..count).map(|_| match self.byte()? {
            b'n' => Ok(Cell::Null),
            b'u' => Ok(Cell::Unchanged),
            b't' => {
                let length = usize::try_from(take_i32(&mut self.rest)?).map_err(|_| ValueError::Malformed)?;
                let start = self.data.len() - self.rest.len();
                self.skip(length)?;
                Ok(Cell::Text(start..start + length))
            }
            _ => Err(ValueError::Malformed),
        });
        cells.collect()
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UPDATE: &[u8] = b"U\0\0\0\x07K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x0242u";

    #[test]
    fn an_update_is_read() {
        let Message::Update { table, old, new } = read(UPDATE).unwrap() else {
            panic!()
        };
        assert_eq!(table, 7);
        let old = old.unwrap();
        let Cell::Text(range) = &old[0] else { panic!() };
        assert_eq!((&UPDATE[range.clone()], &old[1]), (b"1".as_slice(), &Cell::Null));
        assert_eq!(new[1], Cell::Unchanged);
        let relation = read(b"R\0\0\0\x07public\0t\0d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff").unwrap();
        assert_eq!(
            relation,
            Message::Relation {
                table: 7,
                columns: vec!["id".into()]
            }
        );
        let truncate = read(b"T\0\0\0\x01\0\0\0\0\x07").unwrap();
        assert_eq!(truncate, Message::Truncate { tables: vec![7] });
    }

    proptest! {
        #[test]
        fn damaged_messages_are_refused_without_a_panic(at in 0usize..30, byte in any::<u8>(), length in 0usize..40) {
            let mut message = UPDATE.to_vec();
            let at = at % message.len();
            message[at] = byte;
            message.truncate(length);
            let _ = read(&message);
        }

        #[test]
        fn any_bytes_are_refused_without_a_panic(
            kind in prop::sample::select(b"RIUDTBCOYMX".to_vec()), bytes in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = read(&[vec![kind], bytes].concat());
        }
    }
}
