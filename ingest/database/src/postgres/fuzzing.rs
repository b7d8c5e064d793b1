//! What holds for messages of the replication log whatever their bytes; fuzzing and the unit tests call it.

use super::pgoutput::{self, Cell, Message, Tuple};

/// A message is refused, or says what its bytes say: written again from it, they are the same.
pub fn pgoutput(data: &[u8]) {
    match pgoutput::read(data) {
        Err(_) | Ok(Message::Other) => {}
        // Of a relation's message not all is kept.
        Ok(Message::Relation { table, columns }) => {
            assert_eq!(data[1..5], table.to_be_bytes());
            let text: usize = columns.iter().map(|name| name.len() + 1).sum();
            assert!(text + columns.len() * 9 + 10 <= data.len());
        }
        Ok(message) => assert_eq!(written(&message, data).as_deref(), Some(data)),
    }
}

/// The bytes of a change; letters that it does not keep are those of `data`. None for other messages.
fn written(message: &Message, data: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![data[0]];
    match message {
        Message::Insert { table, new } => {
            bytes.extend(table.to_be_bytes());
            write_tuple(b'N', new, data, &mut bytes);
        }
        Message::Update { table, old, new } => {
            bytes.extend(table.to_be_bytes());
            if let Some(old) = old {
                write_tuple(data[5], old, data, &mut bytes);
            }
            write_tuple(b'N', new, data, &mut bytes);
        }
        Message::Delete { table, old } => {
            bytes.extend(table.to_be_bytes());
            write_tuple(data[5], old, data, &mut bytes);
        }
        Message::Truncate { tables } => {
            bytes.extend_from_slice(&data[1..6]);
            bytes.extend(tables.iter().flat_map(|table| table.to_be_bytes()));
        }
        Message::Relation { .. } | Message::Other => return None,
    }
    Some(bytes)
}

fn write_tuple(kind: u8, tuple: &Tuple, data: &[u8], bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend((tuple.len() as u16).to_be_bytes());
    for cell in tuple {
        match cell {
            Cell::Null => bytes.push(b'n'),
            Cell::Unchanged => bytes.push(b'u'),
            Cell::Text(range) => {
                bytes.push(b't');
                bytes.extend((range.len() as u32).to_be_bytes());
                bytes.extend_from_slice(&data[range.clone()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const MESSAGES: [&[u8]; 5] = [
        b"R\0\0\0\x07public\0t\0d\0\x02\x01id\0\0\0\0\x17\xff\xff\xff\xff\0x\0\0\0\0\x19\xff\xff\xff\xff",
        b"I\0\0\0\x07N\0\x03t\0\0\0\x0242nu",
        b"U\0\0\0\x07K\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x0242u",
        b"D\0\0\0\x07O\0\x01t\0\0\0\0",
        b"T\0\0\0\x02\x01\0\0\0\x07\0\0\0\x08",
    ];

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_refused(kind in prop::sample::select(b"RIUDTB".to_vec()), mut data: Vec<u8>) {
            data.insert(0, kind);
            pgoutput(&data);
        }

        #[test]
        fn a_damaged_message_says_what_its_bytes_say(
            message in prop::sample::select(&MESSAGES[..]),
            damage in prop::collection::vec((any::<Index>(), 0u8..9), 0..4),
            end: Index,
        ) {
            let mut data = message.to_vec();
            for (at, byte) in damage {
                let at = at.index(data.len());
                data[at] = byte;
            }
            pgoutput(&data);
            data.truncate(end.index(data.len()));
            pgoutput(&data);
        }
    }

    #[test]
    fn whole_messages_are_read() {
        for message in MESSAGES {
            assert!(pgoutput::read(message).is_ok());
            pgoutput(message);
        }
    }
}
