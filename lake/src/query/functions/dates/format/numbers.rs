//! `to_char` and `to_number`: numbers by PostgreSQL's templates (its documentation, table 9.29).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use crate::query::functions::casts;
use crate::query::functions::definition::{Arguments, Given};

/// A piece of a template of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// `9`
    Digit,
    /// `0`: shown even where the number has none.
    Zero,
    /// `.` and `D`
    Point,
    /// `,` and `G`
    Group,
    /// `MI`
    Minus,
    /// `PL`
    Plus,
    /// `SG`
    Sign,
    /// `S`: beside the number.
    Anchored,
    /// `PR`: `<1>` is -1.
    Brackets,
    /// `L`
    Currency,
    /// `TH`, `th`
    Ordinal {
        upper: bool,
    },
    /// `RN`, `rn`
    Roman {
        upper: bool,
    },
    /// `V`: digits after it multiply the number.
    Shift,
    /// `EEEE`
    Exponent,
    Text(char),
}

/// A template of numbers.
#[derive(Debug, Default)]
struct Template {
    pieces: Vec<Piece>,
    /// `FM`
    unpadded: bool,
    /// Places before the point.
    before: usize,
    /// Places after it.
    after: usize,
    /// Places after `V`.
    shift: usize,
}

const WORDS: &[(&str, Piece)] = &[
    ("9", Piece::Digit),
    ("0", Piece::Zero),
    (".", Piece::Point),
    ("D", Piece::Point),
    (",", Piece::Group),
    ("G", Piece::Group),
    ("MI", Piece::Minus),
    ("PL", Piece::Plus),
    ("SG", Piece::Sign),
    ("S", Piece::Anchored),
    ("PR", Piece::Brackets),
    ("L", Piece::Currency),
    ("RN", Piece::Roman { upper: true }),
    ("V", Piece::Shift),
    ("EEEE", Piece::Exponent),
];

impl Template {
    fn parse(text: &str) -> Result<Self> {
        let mut template = Self::default();
        let (mut pointed, mut shifted) = (false, false);
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let begins = |word: &str| {
                rest.get(..word.len())
                    .is_some_and(|begins| begins.eq_ignore_ascii_case(word))
            };
            if letter == '"' {
                let inside: String = rest.chars().skip(1).take_while(|&letter| letter != '"').collect();
                template.pieces.extend(inside.chars().map(Piece::Text));
                rest = rest.get(inside.len() + 1..).unwrap_or_default();
                rest = rest.strip_prefix('"').unwrap_or(rest);
                continue;
            }
            if begins("FM") {
                template.unpadded = true;
                rest = rest.get(2..).unwrap_or_default();
                continue;
            }
            let (piece, length) = if begins("TH") {
                (Piece::Ordinal { upper: letter == 'T' }, 2)
            } else {
                match WORDS.iter().find(|(word, _)| begins(word)) {
                    Some((word, Piece::Roman { .. })) => (Piece::Roman { upper: letter == 'R' }, word.len()),
                    Some((word, piece)) => (*piece, word.len()),
                    None => (Piece::Text(letter), letter.len_utf8()),
                }
            };
            match piece {
                Piece::Digit | Piece::Zero if shifted => template.shift += 1,
                Piece::Digit | Piece::Zero if pointed => template.after += 1,
                Piece::Digit | Piece::Zero => template.before += 1,
                Piece::Point if pointed => return exec_err!("multiple decimal points"),
                Piece::Point if shifted => return exec_err!("cannot use \"V\" and decimal point together"),
                Piece::Point => pointed = true,
                Piece::Shift if pointed => return exec_err!("cannot use \"V\" and decimal point together"),
                Piece::Shift => shifted = true,
                _ => {}
            }
            template.pieces.push(piece);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(template)
    }

    fn has(&self, piece: Piece) -> bool {
        self.pieces.contains(&piece)
    }
}

/// A number as digits: its sign, those before the point without leading zeros, and those after it.
struct Digits {
    negative: bool,
    before: String,
    after: String,
}

impl Digits {
    /// Of a decimal, rounded half away from zero to so many digits after the point.
    fn of_decimal(value: i128, scale: i8, shift: usize, after: usize) -> Self {
        let mut digits = value.unsigned_abs().to_string();
        let scale = i64::from(scale) - i64::try_from(shift).unwrap_or(0);
        if scale < 0 {
            digits.push_str(&"0".repeat(usize::try_from(-scale).unwrap_or(0)));
        }
        let scale = usize::try_from(scale.max(0)).unwrap_or(0);
        if digits.len() <= scale {
            digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
        }
        let (before, fraction) = digits.split_at(digits.len() - scale);
        let mut all: Vec<u8> = before
            .bytes()
            .chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(after))
            .collect();
        if fraction.as_bytes().get(after).is_some_and(|digit| *digit >= b'5') {
            round_up(&mut all);
        }
        let text: String = all.into_iter().map(char::from).collect();
        let (before, fraction) = text.split_at(text.len() - after);
        let before = before.trim_start_matches('0');
        Self {
            negative: value < 0,
            before: if before.is_empty() {
                "0".to_owned()
            } else {
                before.to_owned()
            },
            after: fraction.to_owned(),
        }
    }

    /// Of a double, as far as it has digits.
    fn of_double(value: f64, shift: usize, after: usize) -> Self {
        let value = value * 10_f64.powi(i32::try_from(shift).unwrap_or(0));
        let whole = format!("{:.0}", value.abs()).len();
        let known = after.min(15_usize.saturating_sub(whole));
        let text = format!("{:.known$}", value.abs());
        let (before, fraction) = text.split_once('.').unwrap_or((&text, ""));
        Self {
            negative: value < 0.0,
            before: before.to_owned(),
            after: format!("{fraction:0<after$}"),
        }
    }

    fn is_zero(&self) -> bool {
        self.before == "0" && self.after.bytes().all(|digit| digit == b'0')
    }
}

/// Adds one to the last of decimal digits.
fn round_up(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

/// A number that is written.
#[derive(Clone, Copy)]
enum Number {
    Decimal(i128, i8),
    Double(f64),
}

impl Number {
    fn digits(self, shift: usize, after: usize) -> Digits {
        match self {
            Self::Decimal(value, scale) => Digits::of_decimal(value, scale, shift, after),
            Self::Double(value) => Digits::of_double(value, shift, after),
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn as_double(self) -> f64 {
        match self {
            Self::Decimal(value, scale) => value as f64 / 10_f64.powi(scale.into()),
            Self::Double(value) => value,
        }
    }
}

fn write(template: &Template, number: Number) -> Result<String> {
    if let Some(Piece::Roman { upper }) = template
        .pieces
        .iter()
        .find(|piece| matches!(piece, Piece::Roman { .. }))
    {
        return Ok(roman(number, *upper, template.unpadded));
    }
    if template.has(Piece::Exponent) {
        return Ok(scientific(template, number));
    }
    let mut digits = number.digits(template.shift, template.after);
    if digits.is_zero() {
        digits.negative = false;
    }
    let before = template.before + template.shift;
    if digits.before.len() > before {
        digits.before = "#".repeat(before);
        digits.after = "#".repeat(template.after);
    }
    Ok(Writing::new(template, &digits, before).write())
}

/// One number being written.
struct Writing<'a> {
    template: &'a Template,
    digits: &'a Digits,
    /// Places before the point.
    before: usize,
    /// The first of these that the number has a digit for.
    first: usize,
    /// The first that is not blank.
    shown_from: usize,
    /// Digits after the point that are written whatever they are.
    relevant: usize,
    out: String,
    signed: bool,
}

impl<'a> Writing<'a> {
    fn new(template: &'a Template, digits: &'a Digits, before: usize) -> Self {
        let mut places = template
            .pieces
            .iter()
            .filter(|piece| matches!(piece, Piece::Digit | Piece::Zero | Piece::Point));
        let first_zero = places.clone().take(before).position(|piece| *piece == Piece::Zero);
        let any_zero = places
            .clone()
            .take_while(|piece| **piece != Piece::Point)
            .any(|piece| *piece == Piece::Zero);
        let first = before.saturating_sub(digits.before.len());
        // 0.5 is .5 where no zero is asked for.
        let blank_zero = !any_zero && digits.before == "0" && template.after > 0;
        let first_shown = if blank_zero { before } else { first };
        let last_zero_after = {
            let after = places.by_ref().skip_while(|piece| **piece != Piece::Point).skip(1);
            after
                .enumerate()
                .filter(|(_, piece)| **piece == Piece::Zero)
                .map(|(place, _)| place + 1)
                .last()
        };
        let relevant = digits
            .after
            .trim_end_matches('0')
            .len()
            .max(last_zero_after.unwrap_or(0));
        Self {
            template,
            digits,
            before,
            first,
            shown_from: first_zero.map_or(first_shown, |zero| zero.min(first_shown)),
            relevant: if template.unpadded { relevant } else { template.after },
            out: String::new(),
            signed: false,
        }
    }

    fn write(mut self) -> String {
        let (mut place, mut pointed) = (0, false);
        let is_place = |piece: &Piece| matches!(piece, Piece::Digit | Piece::Zero | Piece::Point);
        let last = self.template.pieces.iter().rposition(is_place);
        let first = self.template.pieces.iter().position(is_place);
        for (at, piece) in self.template.pieces.iter().enumerate() {
            match *piece {
                Piece::Digit | Piece::Zero if pointed => {
                    let of_after = place - self.before;
                    if of_after < self.relevant {
                        self.out
                            .push_str(self.digits.after.get(of_after..=of_after).unwrap_or(""));
                    }
                    place += 1;
                }
                Piece::Digit | Piece::Zero => {
                    self.digit_before(place);
                    place += 1;
                }
                Piece::Point => {
                    self.sign_before();
                    // FM9.9 of 0 is `0.`.
                    if self.template.unpadded && self.shown_from == self.before && self.relevant == 0 && self.before > 0
                    {
                        self.out.push('0');
                    }
                    self.out.push('.');
                    pointed = true;
                }
                Piece::Group if place > self.shown_from || pointed => self.out.push(','),
                Piece::Group if self.template.unpadded => {}
                Piece::Group => self.out.push(' '),
                Piece::Minus => self.either(self.digits.negative, "-", " "),
                Piece::Plus => self.either(!self.digits.negative, "+", " "),
                Piece::Sign => self.out.push(if self.digits.negative { '-' } else { '+' }),
                Piece::Currency if self.template.unpadded => {}
                Piece::Currency => self.out.push(' '),
                Piece::Ordinal { upper } => self.ordinal(upper),
                Piece::Text(letter) => self.out.push(letter),
                Piece::Anchored | Piece::Brackets | Piece::Shift | Piece::Exponent | Piece::Roman { .. } => {}
            }
            if Some(at) == last {
                self.sign_after(first);
            }
        }
        self.out
    }

    fn either(&mut self, holds: bool, sign: &str, else_sign: &str) {
        if holds {
            self.out.push_str(sign);
        } else if !self.template.unpadded {
            self.out.push_str(else_sign);
        }
    }

    fn digit_before(&mut self, place: usize) {
        if place < self.shown_from {
            if !self.template.unpadded {
                self.out.push(' ');
            }
            return;
        }
        self.sign_before();
        let digit = place
            .checked_sub(self.first)
            .and_then(|at| self.digits.before.get(at..=at));
        self.out.push_str(digit.unwrap_or("0"));
    }

    /// Where the sign is put beside the number, at its left.
    fn sign_before(&mut self) {
        if self.signed {
            return;
        }
        self.signed = true;
        let template = self.template;
        let has = |piece| template.has(piece);
        if has(Piece::Minus) || has(Piece::Sign) || has(Piece::Plus) && has(Piece::Minus) {
            return;
        }
        let negative = self.digits.negative;
        if has(Piece::Anchored) {
            if self.anchored_left() {
                self.out.push(if negative { '-' } else { '+' });
            }
        } else if has(Piece::Brackets) {
            self.either(negative, "<", " ");
        } else {
            self.either(negative, "-", " ");
        }
    }

    /// Whether `S` is before the places of digits.
    fn anchored_left(&self) -> bool {
        let of = |wanted: fn(&Piece) -> bool| self.template.pieces.iter().position(wanted);
        let sign = of(|piece| *piece == Piece::Anchored);
        sign < of(|piece| matches!(piece, Piece::Digit | Piece::Zero | Piece::Point))
    }

    /// Where the sign is put beside the number, at its right.
    fn sign_after(&mut self, first: Option<usize>) {
        let negative = self.digits.negative;
        if self.template.has(Piece::Brackets) {
            self.either(negative, ">", " ");
        } else if self.template.has(Piece::Anchored) && !self.anchored_left() && first.is_some() {
            self.out.push(if negative { '-' } else { '+' });
        }
    }

    fn ordinal(&mut self, upper: bool) {
        if self.digits.negative || self.template.has(Piece::Point) || self.digits.before.starts_with('#') {
            return;
        }
        let last_two = self
            .digits
            .before
            .get(self.digits.before.len().saturating_sub(2)..)
            .unwrap_or_default();
        let value: u32 = last_two.parse().unwrap_or(0);
        let suffix = match (value, value % 10) {
            (11..=13, _) => "th",
            (_, 1) => "st",
            (_, 2) => "nd",
            (_, 3) => "rd",
            _ => "th",
        };
        self.out.push_str(&if upper {
            suffix.to_ascii_uppercase()
        } else {
            suffix.to_owned()
        });
    }
}

fn scientific(template: &Template, number: Number) -> String {
    let value = number.as_double();
    let text = format!("{:.*e}", template.after, value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if value < 0.0 {
        "-"
    } else if template.unpadded {
        ""
    } else {
        " "
    };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{mantissa}e{exponent_sign}{:02}", exponent.abs())
}

fn roman(number: Number, upper: bool, unpadded: bool) -> String {
    const NUMERALS: [(i64, &str); 13] = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut rest: i64 = number.digits(0, 0).before.parse().unwrap_or(0);
    let mut text = String::new();
    if (1..=3999).contains(&rest) && number.as_double() > 0.0 {
        for (value, numeral) in NUMERALS {
            while rest >= value {
                text.push_str(numeral);
                rest -= value;
            }
        }
    } else {
        text = "#".repeat(15);
    }
    let text = if upper { text } else { text.to_ascii_lowercase() };
    if unpadded { text } else { format!("{text:>15}") }
}

/// The numbers of the first argument as the template in the second says.
pub(super) fn write_numbers(args: &Arguments) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let templates = args.text(1)?;
    let number: Box<dyn Fn(usize) -> Number> = match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let array = cast(array, &DataType::Float64)?;
            Box::new(move |row| Number::Double(array.as_primitive::<Float64Type>().value(row)))
        }
        own => {
            let scale = match own {
                DataType::Decimal32(_, scale)
                | DataType::Decimal64(_, scale)
                | DataType::Decimal128(_, scale)
                | DataType::Decimal256(_, scale) => *scale,
                _ => 0,
            };
            let array = cast(array, &DataType::Decimal128(38, scale))?;
            Box::new(move |row| Number::Decimal(array.as_primitive::<Decimal128Type>().value(row), scale))
        }
    };
    let mut known: Option<(&str, Template)> = None;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let text = templates.value(row);
        if known.as_ref().is_none_or(|(known, _)| *known != text) {
            known = Some((text, Template::parse(text)?));
        }
        known
            .as_ref()
            .map(|(_, template)| write(template, number(row)))
            .transpose()
    });
    Ok(super::text_array(rows.collect::<Result<Vec<_>>>()?))
}

/// The decimal that a template has room for.
pub(super) fn scale_of_template(given: &Given) -> Result<DataType> {
    let scale = match (given.count(), given.text(1)) {
        (1, _) if given.data_type(0).is_numeric() => return Ok(given.data_type(0).clone()),
        (2, Some(text)) => {
            let template = Template::parse(text)?;
            i8::try_from(template.after + template.shift).unwrap_or(10).min(20)
        }
        _ => 10,
    };
    Ok(DataType::Decimal128(38, scale))
}

/// The numbers that texts say, as the template in the second argument tells.
pub(super) fn read_numbers(args: &Arguments) -> Result<ArrayRef> {
    if args.count() == 1 {
        return casts::cast_array(args.array(0)?, &args.result, casts::OnFailure::Error);
    }
    let DataType::Decimal128(precision, scale) = args.result else {
        return exec_err!("to_number gives a decimal");
    };
    let (texts, templates) = (args.text(0)?, args.text(1)?);
    let mut known: Option<(&str, Template)> = None;
    let rows = (0..args.rows).map(|row| {
        if args.any_null(row) {
            return Ok(None);
        }
        let text = templates.value(row);
        if known.as_ref().is_none_or(|(known, _)| *known != text) {
            known = Some((text, Template::parse(text)?));
        }
        known
            .as_ref()
            .map(|(_, template)| read(template, texts.value(row), scale))
            .transpose()
    });
    let array = rows.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(array.with_precision_and_scale(precision, scale)?))
}

/// Digits, signs and a point are taken, what else a template has room for is passed over.
fn read(template: &Template, text: &str, scale: i8) -> Result<i128> {
    let wrong =
        || exec_datafusion_err!("invalid input syntax for type numeric: the text is not what the template says");
    let mut negative = false;
    let mut digits = String::new();
    let mut pointed = false;
    for letter in text.chars() {
        match letter {
            '-' | '<' => negative = true,
            '0'..='9' => digits.push(letter),
            '.' if template.has(Piece::Point) && !pointed => {
                pointed = true;
                digits.push('.');
            }
            '.' if pointed => break,
            _ => {}
        }
    }
    if !digits.bytes().any(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let (mut before, mut after) = match digits.split_once('.') {
        Some((before, after)) => (before.to_owned(), after.to_owned()),
        None => (digits, String::new()),
    };
    before.truncate(template.before + template.shift);
    after.truncate(template.after);
    if template.shift > 0 {
        let at = before.len().saturating_sub(template.shift);
        after = before.split_off(at);
    }
    let width = usize::from(scale.unsigned_abs());
    let value: i128 = format!("{before}{after:0<width$}").parse().map_err(|_| wrong())?;
    Ok(if negative { -value } else { value })
}
