//! Bytes: encodings and digests.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use datafusion::common::{Result, exec_err};
use sha2::Digest;

use super::super::define::Takes::{Bytes, Integer, Text, TextOrBytes};
use super::super::define::{Definition, Gives};

pub(super) const DEFINITIONS: &[Definition] = &[
    Definition {
        name: "encode",
        takes: &[TextOrBytes, Text],
        gives: Gives::Text(|row| Ok(Some(encoded(row.bytes(0), row.text(1))?.into()))),
        what: "Bytes as a text: `base64`, `base64url`, `hex` or `escape`.",
        syntax: "encode(bytes, format)",
        example: "encode('a', 'base64') = 'YQ=='",
        ..Definition::PLAIN
    },
    Definition {
        name: "get_byte",
        takes: &[Bytes, Integer],
        gives: Gives::Integer(|row| {
            let (bytes, place) = (row.bytes(0), row.integer(1));
            match usize::try_from(place).ok().and_then(|place| bytes.get(place)) {
                Some(&byte) => Ok(Some(byte.into())),
                None => exec_err!("index {place} out of valid range, 0..{}", bytes.len().saturating_sub(1)),
            }
        }),
        what: "The byte at a place, which are counted from 0.",
        syntax: "get_byte(bytes, place)",
        example: "get_byte('abc', 1) = 98",
        ..Definition::PLAIN
    },
    Definition {
        name: "to_base64",
        aliases: &["base64", "base64_encode"],
        takes: &[TextOrBytes],
        gives: Gives::Text(|row| Ok(Some(general_purpose::STANDARD.encode(row.bytes(0)).into()))),
        what: "Bytes in base64.",
        syntax: "to_base64(bytes)",
        example: "to_base64('a') = 'YQ=='",
        ..Definition::PLAIN
    },
    Definition {
        name: "from_base64",
        aliases: &["unbase64", "base64_decode_binary"],
        takes: &[Text],
        gives: Gives::Bytes(|row| decoded(row.text(0), "base64").map(Some)),
        what: "The bytes of a text in base64.",
        syntax: "from_base64(text)",
        example: "convert_from(from_base64('YQ=='), 'utf8') = 'a'",
        ..Definition::PLAIN
    },
    Definition {
        name: "base64_decode_string",
        takes: &[Text],
        gives: Gives::Text(|row| text(decoded(row.text(0), "base64")?).map(Some)),
        what: "The text that is in base64.",
        syntax: "base64_decode_string(text)",
        example: "base64_decode_string('YQ==') = 'a'",
        ..Definition::PLAIN
    },
    Definition {
        name: "hex_encode",
        takes: &[TextOrBytes],
        gives: Gives::Text(|row| Ok(Some(encoded(row.bytes(0), "hex")?.to_ascii_uppercase().into()))),
        what: "Bytes in hexadecimal digits, in upper case.",
        syntax: "hex_encode(bytes)",
        example: "hex_encode('az') = '617A'",
        ..Definition::PLAIN
    },
    Definition {
        name: "unhex",
        aliases: &["from_hex", "hex_decode_binary"],
        takes: &[Text],
        gives: Gives::Bytes(|row| decoded(row.text(0), "hex").map(Some)),
        what: "The bytes of hexadecimal digits.",
        syntax: "unhex(text)",
        example: "convert_from(unhex('61'), 'utf8') = 'a'",
        ..Definition::PLAIN
    },
    Definition {
        name: "hex_decode_string",
        takes: &[Text],
        gives: Gives::Text(|row| text(decoded(row.text(0), "hex")?).map(Some)),
        what: "The text of hexadecimal digits.",
        syntax: "hex_decode_string(text)",
        example: "hex_decode_string('61') = 'a'",
        ..Definition::PLAIN
    },
    Definition {
        name: "sha1",
        aliases: &["sha", "sha1_hex"],
        takes: &[TextOrBytes],
        gives: Gives::Text(|row| Ok(Some(hex(&sha1::Sha1::digest(row.bytes(0))).into()))),
        what: "The SHA-1 digest in hexadecimal digits.",
        syntax: "sha1(bytes)",
        example: "sha1('a') = '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8'",
        ..Definition::PLAIN
    },
    Definition {
        name: "sha2",
        aliases: &["sha2_hex"],
        takes: &[TextOrBytes, Integer],
        optional: 1,
        gives: Gives::Text(|row| {
            let bytes = row.bytes(0);
            Ok(Some(
                match row.integer_or(1, 256) {
                    224 => hex(&sha2::Sha224::digest(bytes)),
                    0 | 256 => hex(&sha2::Sha256::digest(bytes)),
                    384 => hex(&sha2::Sha384::digest(bytes)),
                    512 => hex(&sha2::Sha512::digest(bytes)),
                    _ => return Ok(None),
                }
                .into(),
            ))
        }),
        what: "The SHA-2 digest of 224, 256, 384 or 512 bits in hexadecimal digits.",
        syntax: "sha2(bytes [, bits])",
        example: "sha2('a', 224) = 'abd37534c7d9a2efb9465de931cd7055ffdb8879563ae98078d6d6d5'",
        ..Definition::PLAIN
    },
    Definition {
        name: "convert_from",
        takes: &[Bytes, Text],
        gives: Gives::Text(|row| match row.text(1).to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" | "sql_ascii" => text(row.bytes(0).to_vec()).map(Some),
            "latin1" | "iso-8859-1" | "iso_8859_1" => Ok(Some(
                row.bytes(0)
                    .iter()
                    .map(|&byte| char::from(byte))
                    .collect::<String>()
                    .into(),
            )),
            other => exec_err!("the encoding {other:?} is not known: utf8 and latin1 are"),
        }),
        what: "The text that bytes are in an encoding: `utf8` or `latin1`.",
        syntax: "convert_from(bytes, encoding)",
        example: "convert_from(decode('61', 'hex'), 'utf8') = 'a'",
        ..Definition::PLAIN
    },
    Definition {
        name: "convert_to",
        takes: &[Text, Text],
        gives: Gives::Bytes(|row| match row.text(1).to_ascii_lowercase().as_str() {
            "utf8" | "utf-8" | "sql_ascii" => Ok(Some(row.text(0).as_bytes().to_vec())),
            "latin1" | "iso-8859-1" | "iso_8859_1" => {
                match row.text(0).chars().map(|c| u8::try_from(u32::from(c))).collect() {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(_) => exec_err!("the text has characters that latin1 lacks"),
                }
            }
            other => exec_err!("the encoding {other:?} is not known: utf8 and latin1 are"),
        }),
        what: "The bytes of a text in an encoding: `utf8` or `latin1`.",
        syntax: "convert_to(text, encoding)",
        example: "encode(convert_to('a', 'utf8'), 'hex') = '61'",
        ..Definition::PLAIN
    },
];

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().unwrap_or_default();
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn encoded(bytes: &[u8], format: &str) -> Result<String> {
    Ok(match format.to_ascii_lowercase().as_str() {
        // PostgreSQL breaks lines after 76 characters, as MIME does.
        "base64" => {
            let text = general_purpose::STANDARD.encode(bytes);
            let lines = text.as_bytes().chunks(76).map(String::from_utf8_lossy);
            lines.collect::<Vec<_>>().join("\n")
        }
        "base64url" => general_purpose::URL_SAFE_NO_PAD.encode(bytes),
        "hex" => hex(bytes),
        "escape" => bytes
            .iter()
            .map(|&byte| match byte {
                b'\\' => "\\\\".to_owned(),
                0 | 128.. => format!("\\{byte:03o}"),
                byte => char::from(byte).to_string(),
            })
            .collect(),
        other => return exec_err!("the format {other:?} is not known: base64, base64url, hex and escape are"),
    })
}

/// Base64 with or without padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

fn decoded(text: &str, format: &str) -> Result<Vec<u8>> {
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = match format {
        "base64" => GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT)
            .decode(&text)
            .ok(),
        _ => {
            let digits = text.strip_prefix("\\x").unwrap_or(&text).as_bytes();
            let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let even = digits.len().is_multiple_of(2);
            even.then(|| digits.chunks(2).map(byte).collect()).flatten()
        }
    };
    match bytes {
        Some(bytes) => Ok(bytes),
        None => exec_err!("the text is not in {format}"),
    }
}

fn text<'a>(bytes: Vec<u8>) -> Result<std::borrow::Cow<'a, str>> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(_) => exec_err!("the bytes are not a text in UTF-8"),
    }
}
