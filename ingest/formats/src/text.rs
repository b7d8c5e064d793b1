//! A file as plain UTF-8 on a local disk, whatever it came as.
//!
//! Types are inferred over the whole file before anything is landed, so every text is read twice, in parallel
//! pieces. What is compressed or in another encoding is therefore turned into plain UTF-8 once, in a temporary file:
//! decompressing twice costs more than writing once, and a compressed stream cannot be read in pieces.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use bzip2::read::MultiBzDecoder;
use cordada_core::scratch::ScratchFile;
use cordada_core::{Context, Error, Result};
use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use flate2::read::MultiGzDecoder;
use tokio_util::sync::CancellationToken;

use super::local::Local;

/// The byte order mark of UTF-8, which texts may begin with.
pub const MARK: &[u8] = b"\xef\xbb\xbf";

/// Bytes read or written at a time.
const BUFFER: usize = 256 * 1024;

/// Stands for bytes that are not of the file's encoding: never valid in UTF-8, so that the record is rejected.
const NOT_OF_ENCODING: u8 = 0xff;

/// How a file is compressed, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Bzip2,
    Zstd,
}

/// A local file of plain bytes.
#[derive(Debug)]
pub struct Plain {
    file: Local,
    /// Where its content begins: after the byte order mark.
    start: u64,
}

impl Plain {
    /// The file as it is, for formats with an encoding and compression of their own; decompressed if it is
    /// compressed as a whole.
    pub fn binary(file: Local, cancel: &CancellationToken) -> Result<Plain> {
        let file = match compression(&file)? {
            Compression::None => file,
            compression => spill(&file, compression, UTF_8, cancel)?,
        };
        Ok(Plain { file, start: 0 })
    }

    /// The file as UTF-8, read in `encoding` unless a byte order mark says otherwise, or the zeros that UTF-16 has between
    /// its first letters.
    ///
    /// # Errors
    /// Failed for a compressed file that is broken, and for UTF-32.
    pub fn text(file: Local, encoding: &'static Encoding, cancel: &CancellationToken) -> Result<Plain> {
        let compression = compression(&file)?;
        let mut head = [0; 4];
        let read = read_head(decompress(&file, compression)?, &mut head).map_err(|error| corrupt(&file, error))?;
        if matches!(head, [0xff, 0xfe, 0, 0] | [0, 0, 0xfe, 0xff]) && read == 4 {
            return Err(
                Error::failed(format!("reading {}", file.name), "it is text in UTF-32").hint("save it as UTF-8")
            );
        }
        let (encoding, mark) = Encoding::for_bom(&head[..read]).unwrap_or((told_by_zeros(head).unwrap_or(encoding), 0));
        // Decoding drops the mark of the other encodings.
        let start = if encoding == UTF_8 { mark as u64 } else { 0 };
        if compression == Compression::None && encoding == UTF_8 {
            return Ok(Plain { file, start });
        }
        Ok(Plain {
            file: spill(&file, compression, encoding, cancel)?,
            start,
        })
    }

    /// A file that is plain UTF-8 without a mark.
    pub(crate) fn utf8(file: Local) -> Plain {
        Plain { file, start: 0 }
    }

    /// What to call it in messages.
    pub fn name(&self) -> &str {
        &self.file.name
    }

    /// Where its content begins.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Where it ends.
    pub fn end(&self) -> u64 {
        self.file.bytes
    }

    /// The file, opened; see [`Local::open`].
    pub fn open(&self) -> Result<File> {
        self.file.open()
    }

    /// Appends the bytes from `start` up to `end` (or the file's end) to `data`.
    pub fn read(&self, start: u64, end: u64, data: &mut Vec<u8>) -> Result<()> {
        let doing = || format!("reading {}", self.file.name);
        let mut file = self.open()?;
        file.seek(SeekFrom::Start(start)).doing(doing)?;
        let wanted = end.min(self.end()).saturating_sub(start);
        let known = data.len();
        data.reserve(usize::try_from(wanted).unwrap_or_default());
        file.take(wanted).read_to_end(data).doing(doing)?;
        if (data.len() - known) as u64 == wanted {
            return Ok(());
        }
        Err(Error::conflict(doing(), "the file became shorter meanwhile").hint("run again"))
    }
}

/// UTF-16 without a mark, of text that begins with letters of ASCII.
fn told_by_zeros(head: [u8; 4]) -> Option<&'static Encoding> {
    match head {
        [first, 0, second, 0] if first > 0 && second > 0 => Some(UTF_16LE),
        [0, first, 0, second] if first > 0 && second > 0 => Some(UTF_16BE),
        _ => None,
    }
}

fn compression(file: &Local) -> Result<Compression> {
    let mut head = [0; 4];
    let read = read_head(file.open()?, &mut head).doing(|| format!("reading {}", file.name))?;
    Ok(of_head(&head[..read]))
}

fn of_head(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// What a file holds that is compressed as a whole; `None` if it is not.
///
/// # Errors
/// Failed for one that cannot be decompressed.
pub fn unpacked(file: &Local, cancel: &CancellationToken) -> Result<Option<Local>> {
    match compression(file)? {
        Compression::None => Ok(None),
        compression => spill(file, compression, UTF_8, cancel).map(Some),
    }
}

/// Whether a file that begins like this is compressed as a whole.
pub fn is_compressed(head: &[u8]) -> bool {
    of_head(head) != Compression::None
}

/// Fills `head` as far as there is something; says how far.
fn read_head(mut reader: impl Read, head: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < head.len() {
        match reader.read(&mut head[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

fn decompress(file: &Local, compression: Compression) -> Result<Box<dyn Read>> {
    let reader = BufReader::with_capacity(BUFFER, file.open()?);
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(MultiGzDecoder::new(reader)),
        Compression::Bzip2 => Box::new(MultiBzDecoder::new(reader)),
        Compression::Zstd => {
            Box::new(zstd::stream::read::Decoder::with_buffer(reader).doing(|| format!("reading {}", file.name))?)
        }
    })
}

/// Writes the file's content as plain UTF-8 into a temporary file.
fn spill(
    file: &Local,
    compression: Compression,
    encoding: &'static Encoding,
    cancel: &CancellationToken,
) -> Result<Local> {
    let doing = || format!("unpacking {} into {}", file.name, ScratchFile::folder().display());
    let mut source = decompress(file, compression)?;
    let target = ScratchFile::new().doing(doing)?;
    let mut writer = BufWriter::with_capacity(BUFFER, target.file());
    let mut transcoder = (encoding != UTF_8).then(|| Transcoder::new(encoding));
    let mut buffer = vec![0; BUFFER];
    loop {
        if cancel.is_cancelled() {
            return Err(Error::cancelled(format!("reading {}", file.name)));
        }
        let read = source.read(&mut buffer).map_err(|error| corrupt(file, error))?;
        match &mut transcoder {
            None => writer.write_all(&buffer[..read]),
            Some(transcoder) => transcoder.write(&buffer[..read], read == 0, &mut writer),
        }
        .doing(doing)?;
        if read == 0 {
            break;
        }
    }
    writer.flush().doing(doing)?;
    drop(writer);
    // Whether it is still what was read.
    file.open()?;
    Local::temporary(target, &file.name)
}

fn corrupt(file: &Local, error: io::Error) -> Error {
    let doing = format!("unpacking {}", file.name);
    let error = match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::failed(doing, "the compressed file ends too early"),
        _ => Error::failed(doing, &error),
    };
    error.hint("get the file again: nothing of it was landed")
}

/// Turns text of another encoding into UTF-8.
struct Transcoder {
    decoder: encoding_rs::Decoder,
    utf8: Vec<u8>,
}

impl Transcoder {
    fn new(encoding: &'static Encoding) -> Self {
        Self {
            decoder: encoding.new_decoder_with_bom_removal(),
            utf8: vec![0; BUFFER * 3],
        }
    }

    fn write(&mut self, mut bytes: &[u8], last: bool, target: &mut impl Write) -> io::Result<()> {
        loop {
            let (result, read, written) = self
                .decoder
                .decode_to_utf8_without_replacement(bytes, &mut self.utf8, last);
            target.write_all(&self.utf8[..written])?;
            bytes = &bytes[read..];
            match result {
                DecoderResult::InputEmpty => return Ok(()),
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => target.write_all(&[NOT_OF_ENCODING])?,
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn local(content: &[u8], name: &str) -> Local {
        Local::holding(content, name).unwrap()
    }

    fn plain(bytes: &[u8], encoding: &'static Encoding) -> Vec<u8> {
        let plain = Plain::text(local(bytes, "x"), encoding, &CancellationToken::new()).unwrap();
        let mut data = Vec::new();
        plain.read(plain.start(), u64::MAX, &mut data).unwrap();
        data
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_compression_and_encoding_becomes_utf8() {
        let text = "id;name\n1;Begoña\n".as_bytes();
        let latin1 = b"id;name\n1;Bego\xf1a\n";
        let utf16: Vec<u8> = [0xfeff]
            .into_iter()
            .chain("id;name\n1;Begoña\n".encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let marked = [MARK, text].concat();
        assert_eq!(plain(text, UTF_8), text);
        assert_eq!(plain(&marked, UTF_8), text);
        assert_eq!(plain(&marked, encoding_rs::WINDOWS_1252), text);
        assert_eq!(plain(&gzip(&marked), UTF_8), text);
        assert_eq!(plain(&zstd::encode_all(text, 1).unwrap(), UTF_8), text);
        assert_eq!(plain(latin1, encoding_rs::WINDOWS_1252), text);
        assert_eq!(plain(&gzip(latin1), encoding_rs::WINDOWS_1252), text);
        assert_eq!(plain(&utf16, UTF_8), text);
        assert_eq!(plain(&utf16[2..], UTF_8), text);
        let other_order: Vec<u8> = utf16.chunks(2).flat_map(|unit| [unit[1], unit[0]]).collect();
        assert_eq!(plain(&other_order, UTF_8), text);
        assert_eq!(plain(&other_order[2..], UTF_8), text);
        let utf32 = local(b"\xff\xfe\0\0a\0\0\0", "x");
        assert!(Plain::text(utf32, UTF_8, &CancellationToken::new()).is_err());
        assert_eq!(plain(&[gzip(b"a\n"), gzip(b"b\n")].concat(), UTF_8), b"a\nb\n");
        assert_eq!(plain(&bzip2(&marked), UTF_8), text);
        assert_eq!(plain(&bzip2(latin1), encoding_rs::WINDOWS_1252), text);
        assert_eq!(plain(&[bzip2(b"a\n"), bzip2(b"b\n")].concat(), UTF_8), b"a\nb\n");
        assert_eq!(plain(b"BZh, a text\n", UTF_8), b"BZh, a text\n");
        assert_eq!(plain(b"", UTF_8), b"");
    }

    #[test]
    fn bytes_that_are_not_of_the_encoding_stay_recognisable() {
        assert_eq!(plain(b"a\xff\xffb", encoding_rs::SHIFT_JIS), b"a\xff\xffb");
    }

    #[test]
    fn a_cut_archive_is_an_error_that_names_the_file() {
        let text = b"some text that is long enough\n".repeat(100);
        for whole in [gzip(&text), bzip2(&text)] {
            let file = local(&whole[..whole.len() / 2], "orders.csv.gz");
            let error = Plain::text(file, UTF_8, &CancellationToken::new()).unwrap_err();
            assert!(error.to_string().contains("orders.csv.gz"), "{error}");
        }
    }

    #[test]
    fn a_file_that_changes_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, b"a\n").unwrap();
        let modified = std::fs::metadata(&path).unwrap().modified().ok();
        let file = Local::found(&path, "x", 2, modified);
        let plain = Plain::text(file, UTF_8, &CancellationToken::new()).unwrap();
        std::fs::write(path, b"a\nb\n").unwrap();
        assert!(plain.read(0, 2, &mut Vec::new()).is_err());
    }
}
