use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const CSV: &str = "id;name;at;amount\n1;\"Ana \"\"B\"\"; x\";2024-01-01;1,5\r\n\n2;Eva\n;;;\n3;\"never;1;2\n\
                   4;\"two\nlines\";2024-01-01 10:00:00;-0,25\n5;\"a\"b;;\n";
const JSON: &str = "[{\"a\": 1, \"b\": {\"c\": [1, null, \"\\u00e9\\ud83d\\ude00\"]}},\n {\"a\": \"2024-01-01\"}, 3,\n\
                    {\"a\": {\"b\": true}}, {\"a\": 1.5e3, \"b\": [], \"c\": null}]\n";

/// The text with some of its bytes replaced, and cut.
fn damaged(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![any::<u8>(), prop::sample::select(b"\"\\,;\n\r{}[]:0-.e \xff".to_vec())];
    let damage = prop::collection::vec((any::<Index>(), bytes), 0..6);
    (damage, any::<Index>(), any::<bool>()).prop_map(move |(damage, end, cut)| {
        let mut content = text.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(content.len());
            content[at] = byte;
        }
        content.truncate(if cut { end.index(content.len()) } else { content.len() });
        content
    })
}

fn input(how: u8, content: &[u8]) -> Vec<u8> {
    [&[how], content].concat()
}

proptest! {
    #[test]
    fn any_bytes_are_csv_or_refused(how: u8, content in prop::collection::vec(any::<u8>(), 0..120)) {
        csv(&input(how, &content));
    }

    #[test]
    fn damaged_csv_loses_nothing(how: u8, content in damaged(CSV)) {
        csv(&input(how, &content));
    }

    #[test]
    fn any_bytes_are_json_or_refused(how in 0u8..16, content in prop::collection::vec(any::<u8>(), 0..120)) {
        json(&input(how, &content));
    }

    #[test]
    fn damaged_json_loses_nothing(how in 0u8..16, content in damaged(JSON)) {
        json(&input(how, &content));
    }
}

/// Inputs that broke a property once.
#[test]
fn what_was_found_stays_mended() {
    csv(&input(0, b"at\n2024-\x101-01\n"));
    json(&input(0, b"{\"at\": \"2024-T1-01\"}"));
}
