//! The tokens of JSON (RFC 8259): the one place that knows how they are written. What becomes of them is up to those
//! who go through a text with it.

/// How deep values may be nested that are taken apart.
const MAX_DEPTH: usize = 128;

/// Why a text is not JSON, and at which byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The byte at which it stops to be JSON.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Null,
    Boolean,
    Number,
    String,
    Array,
    Object,
}

/// A place in a text, between two tokens.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    pub(super) text: &'t [u8],
    /// The byte of the next token.
    pub(super) at: usize,
    /// Whether it passes over `NaN`, `Infinity` and `-Infinity`, which some programs write and which are no JSON, so that
    /// what is around them can be found.
    pub(super) passes_nan: bool,
}

/// Numbers that JSON does not have.
const NOT_FINITE: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];

impl<'t> Lexer<'t> {
    /// One at that byte of a text, which takes JSON alone.
    pub(super) fn new(text: &'t [u8], at: usize) -> Self {
        Self {
            text,
            at,
            passes_nan: false,
        }
    }
}

impl Lexer<'_> {
    pub(super) fn wrong<T>(&self, why: &'static str) -> Result<T, Malformed> {
        Err(Malformed { at: self.at, why })
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What the value is that begins here.
    pub(super) fn value(&self) -> Result<Token, Malformed> {
        match self.peek() {
            Some(b'{') => Ok(Token::Object),
            Some(b'[') => Ok(Token::Array),
            Some(b'"') => Ok(Token::String),
            Some(b'-' | b'0'..=b'9') => Ok(Token::Number),
            Some(b't' | b'f') => Ok(Token::Boolean),
            Some(b'n') => Ok(Token::Null),
            Some(_) if self.not_finite().is_some() => Ok(Token::Number),
            Some(_) => self.wrong("not a JSON value"),
            None => self.wrong("the text breaks off"),
        }
    }

    /// Passes over white space.
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes over white space; an error if anything follows.
    pub(super) fn end(&mut self) -> Result<(), Malformed> {
        self.space();
        match self.peek() {
            None => Ok(()),
            Some(_) => self.wrong("something follows the value"),
        }
    }

    /// Passes over a value that has no others in it.
    pub(super) fn scalar(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Passes over a value, however deep it is; what it is.
    pub(super) fn pass(&mut self) -> Result<Token, Malformed> {
        let passed = self.value()?;
        let mut open = Vec::new();
        loop {
            let within = match self.value()? {
                Token::Object if self.enter(b'}')? => {
                    self.key()?;
                    Some(b'}')
                }
                Token::Array if self.enter(b']')? => Some(b']'),
                Token::Object | Token::Array => None,
                _ => {
                    self.scalar()?;
                    None
                }
            };
            if within.is_some() {
                open.extend(within);
                continue;
            }
            loop {
                let Some(close) = open.last() else {
                    return Ok(passed);
                };
                let is_object = *close == b'}';
                if self.goes_on(*close)? {
                    if is_object {
                        self.key()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }

    /// Goes into an array or object within `depth` others, which ends with `close`; whether anything is in it.
    pub(super) fn open(&mut self, close: u8, depth: usize) -> Result<bool, Malformed> {
        if depth >= MAX_DEPTH {
            return self.wrong("values are nested too deep");
        }
        self.enter(close)
    }

    fn enter(&mut self, close: u8) -> Result<bool, Malformed> {
        self.at += 1;
        self.space();
        let is_empty = self.peek() == Some(close);
        self.at += usize::from(is_empty);
        Ok(!is_empty)
    }

    /// Passes over a key and its colon; where the key is, with its quotes, and whether it has escapes.
    pub(super) fn key(&mut self) -> Result<(std::ops::Range<usize>, bool), Malformed> {
        let start = self.at;
        let escaped = match self.peek() {
            Some(b'"') => self.string()?,
            None => return self.wrong("the text breaks off"),
            Some(_) => return self.wrong("a key is missing"),
        };
        let key = start..self.at;
        self.space();
        match self.peek() {
            Some(b':') => self.at += 1,
            None => return self.wrong("the text breaks off"),
            Some(_) => return self.wrong("a colon is missing"),
        }
        self.space();
        Ok((key, escaped))
    }

    /// Passes over a comma, or over the `close` of the array or object; whether it goes on.
    pub(super) fn goes_on(&mut self, close: u8) -> Result<bool, Malformed> {
        self.space();
        let goes_on = match self.peek() {
            Some(b',') => true,
            Some(byte) if byte == close => false,
            None => return self.wrong("the text breaks off"),
            Some(_) => return self.wrong("a comma is missing"),
        };
        self.at += 1;
        if goes_on {
            self.space();
        }
        Ok(goes_on)
    }

    /// Passes over a string; whether it has escapes.
    pub(super) fn string(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        let mut escaped = false;
        loop {
            let Some(plain) = self.rest().iter().position(|byte| SPECIAL[usize::from(*byte)]) else {
                self.at = self.text.len();
                return self.wrong("the text breaks off");
            };
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => self.escape()?,
                _ => return self.wrong("a control character in a string"),
            }
            escaped = true;
        }
    }

    /// Passes over an escape. Of `\uXXXX` alone it cannot be said whether it stands for a character.
    fn escape(&mut self) -> Result<(), Malformed> {
        match self.text.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.text.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() < 4 {
                    return self.wrong("the text breaks off");
                }
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return self.wrong("not an escape of JSON");
                }
                self.at += 6;
            }
            None => return self.wrong("the text breaks off"),
            Some(_) => return self.wrong("not an escape of JSON"),
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        let rest = self.rest();
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.wrong(match word.starts_with(rest) {
            true => "the text breaks off",
            false => "not a JSON value",
        })
    }

    /// The bytes of the number that JSON does not have and that begins here, if such are passed over.
    fn not_finite(&self) -> Option<usize> {
        let begins = |word: &&&[u8]| self.passes_nan && self.rest().starts_with(word);
        NOT_FINITE.iter().find(begins).map(|word| word.len())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        if let Some(length) = self.not_finite() {
            self.at += length;
            return Ok(());
        }
        self.skip(b"-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn skip(&mut self, one_of: &[u8]) -> bool {
        let is_there = self.peek().is_some_and(|byte| one_of.contains(&byte));
        self.at += usize::from(is_there);
        is_there
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        match self.at > start {
            true => Ok(()),
            false => self.wrong("a digit is missing"),
        }
    }
}

/// What strings cannot hold as it is.
static SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special
};
