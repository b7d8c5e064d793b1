//! The parts of a line: words, and what stands in quotes or brackets.

/// Takes parts off the front of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'l> {
    rest: &'l [u8],
}

impl<'l> Cursor<'l> {
    pub(crate) fn new(line: &'l [u8]) -> Self {
        Self {
            rest: line.trim_ascii(),
        }
    }

    /// What has not been taken yet.
    pub(crate) fn rest(&self) -> &'l [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn skip(&mut self, taken: usize) {
        self.rest = self.rest[taken..].trim_ascii_start();
    }

    /// Everything up to the next space.
    pub(crate) fn word(&mut self) -> Option<&'l [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr2(b' ', b'\t', self.rest).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        self.skip(end);
        Some(word)
    }

    /// What is between quotes. A quote within them does not end it: one after a backslash, as Apache writes it,
    /// and one that is followed by more than a space, for servers that write it as it is.
    pub(crate) fn quoted(&mut self) -> Option<&'l [u8]> {
        let inner = self.rest.strip_prefix(b"\"")?;
        for at in memchr::memchr_iter(b'"', inner) {
            let ends = inner.get(at + 1).is_none_or(|next| matches!(next, b' ' | b'\t'));
            let backslashes = inner[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
            let last = at + 1 == inner.len();
            if ends && (backslashes % 2 == 0 || last) {
                self.skip(at + 2);
                return Some(&inner[..at]);
            }
        }
        None
    }

    /// What is between brackets, which do not nest.
    pub(crate) fn bracketed(&mut self) -> Option<&'l [u8]> {
        let inner = self.rest.strip_prefix(b"[")?;
        let end = memchr::memchr(b']', inner)?;
        self.skip(end + 2);
        Some(&inner[..end])
    }

    /// The next part, of whichever kind its first character says.
    pub(crate) fn part(&mut self) -> Option<&'l [u8]> {
        match self.rest.first()? {
            b'"' => self.quoted().or_else(|| self.word()),
            b'[' => self.bracketed().or_else(|| self.word()),
            _ => self.word(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> Vec<&str> {
        let mut cursor = Cursor::new(line.as_bytes());
        std::iter::from_fn(|| cursor.part())
            .filter_map(|part| std::str::from_utf8(part).ok())
            .collect()
    }

    #[test]
    fn parts_are_taken_one_by_one() {
        assert_eq!(
            parts("a  \"b c\" [d e]\t\"\" \"-\" f"),
            ["a", "b c", "d e", "", "-", "f"]
        );
        assert_eq!(parts(r#""a \" b" "c\\" d"#), [r#"a \" b"#, r"c\\", "d"]);
        assert_eq!(parts(r#""say"hi"now" x"#), ["say\"hi\"now", "x"]);
        assert_eq!(parts("\"open [x"), ["\"open", "[x"]);
        assert_eq!(parts(""), Vec::<&str>::new());
    }
}
