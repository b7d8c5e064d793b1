//! What a file is that is called a workbook: its parts, if it is an archive, or what it is instead of a workbook.

use std::io::{Read, Seek, SeekFrom};

use crate::text::MARK;

/// What a ZIP archive begins with.
pub(super) const ZIP: &[u8] = b"PK\x03\x04";

/// What a compound file begins with (MS-CFB 2.2): a workbook of before 2007, or one with a password.
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// What a file that begins with `head` is instead of a workbook, and what to do; `None` if it may be one.
pub(super) fn instead_of_a_workbook(head: &[u8]) -> Option<(&'static str, &'static str)> {
    const SAVE: &str = "save it as xlsx, or have the system that writes it do so";
    if head.starts_with(ZIP) || head.starts_with(COMPOUND) {
        return None;
    }
    let text = head.strip_prefix(MARK).unwrap_or(head).trim_ascii_start();
    let lower = text.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&lower, word).is_some();
    let wide = [&b"\xff\xfe"[..], b"\xfe\xff"]
        .iter()
        .any(|mark| head.starts_with(mark));
    let is_text = wide || !head.iter().any(|byte| *byte < b' ' && !byte.is_ascii_whitespace());
    Some(if head.is_empty() {
        ("it is empty, and so not a workbook", "get the file again")
    } else if head.starts_with(b"%PDF") {
        ("it is a PDF, not a workbook", SAVE)
    } else if text.starts_with(b"<") && [&b"<html"[..], b"<!doctype html", b"<table"].iter().any(|tag| has(tag)) {
        ("it is a web page (HTML), not a workbook", SAVE)
    } else if text.starts_with(b"<") && has(b"office:spreadsheet") {
        ("it is a spreadsheet in the XML of Excel 2003, not a workbook", SAVE)
    } else if text.starts_with(b"<") {
        ("it is XML, not a workbook", SAVE)
    } else if is_text && memchr::memchr(b'\t', head).is_some() {
        ("it is text with tabs, not a workbook", "set `format: tsv`")
    } else if is_text {
        (
            "it is text, not a workbook",
            "set `format: csv`, and `csv: {delimiter: …}` if it is another than a comma",
        )
    } else {
        ("it is not a workbook of Excel or LibreOffice", SAVE)
    })
}

/// Whether a compound file holds an encrypted package (MS-OFFCRYPTO 2.3.4.4), which is what a workbook with a password is.
pub(super) fn is_encrypted(file: &mut impl Read) -> std::io::Result<bool> {
    const BLOCK: usize = 1 << 20;
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut block = Vec::new();
    loop {
        let read = file.by_ref().take(BLOCK as u64).read_to_end(&mut block)?;
        if memchr::memmem::find(&block, &name).is_some() {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        // It may begin in one block and end in the next.
        block.drain(..block.len().saturating_sub(name.len()));
    }
}

/// The parts of a ZIP archive and their sizes, decompressed, as its directory says.
/// Source: PKWARE's APPNOTE, 4.3.12 "Central directory structure" and 4.3.16 "End of central directory record".
pub(super) fn parts(file: &mut (impl Read + Seek)) -> std::io::Result<Vec<(String, u64)>> {
    const END: u64 = 22;
    let broken = || std::io::Error::new(std::io::ErrorKind::InvalidData, "the archive has no directory");
    let length = file.seek(SeekFrom::End(0))?;
    // A comment of up to 64 KiB may follow the end.
    let tail_start = length.saturating_sub(END + 0xffff);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(tail_start))?;
    file.read_to_end(&mut tail)?;
    let end = memchr::memmem::rfind(&tail, b"PK\x05\x06").ok_or_else(broken)?;
    let number = |bytes: &[u8], at: usize, length: usize| -> std::io::Result<u64> {
        let bytes = bytes.get(at..at + length).ok_or_else(broken)?;
        Ok(bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    };
    let (size, start) = (number(&tail, end + 12, 4)?, number(&tail, end + 16, 4)?);
    file.seek(SeekFrom::Start(start))?;
    let mut directory = Vec::new();
    file.take(size).read_to_end(&mut directory)?;
    let (mut parts, mut at) = (Vec::new(), 0);
    while directory.get(at..at + 4) == Some(b"PK\x01\x02") {
        let size = number(&directory, at + 24, 4)?;
        let name_length = number(&directory, at + 28, 2)? as usize;
        let rest = number(&directory, at + 30, 2)? + number(&directory, at + 32, 2)?;
        let name = directory.get(at + 46..at + 46 + name_length).ok_or_else(broken)?;
        parts.push((String::from_utf8_lossy(name).into_owned(), size));
        at += 46 + name_length + rest as usize;
    }
    Ok(parts)
}
