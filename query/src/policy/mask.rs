//! What masks make of values.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type};
use chrono::{Datelike, NaiveDate};
use cordada_core::hex;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use ring::hmac;

use super::config::Mask;

/// Days from 0000-12-31, where `chrono` begins to count, to 1970-01-01.
const DAYS_TO_1970: i32 = 719_163;

/// The mask of a kind of personal data, where nobody says another.
pub(super) fn preset(kind: &str, data_type: &DataType) -> Mask {
    let is_text = is_text(data_type);
    match kind {
        "email" | "phone" | "mobile" | "name" | "first_name" | "last_name" | "postcode" | "card" if is_text => {
            Mask::Partial
        }
        "birth_date" | "date_of_birth" if is_text || is_date(data_type) => Mask::Year,
        _ => Mask::Null,
    }
}

/// Whether the mask makes something of values of that type.
pub(super) fn fits(mask: &Mask, data_type: &DataType) -> bool {
    match mask {
        Mask::Hash | Mask::Partial => is_text(data_type),
        Mask::Year => is_text(data_type) || is_date(data_type),
        _ => true,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_date(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
}

/// A function from values to what is seen of them.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Masking {
    way: Way,
    signature: Signature,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// Under this key.
    Hash([u8; 32]),
    Partial,
    Year,
}

impl Masking {
    /// The expression whose values are masked.
    pub(super) fn of(way: Way, value: Expr) -> Expr {
        let masking = Self {
            way,
            signature: Signature::any(1, Volatility::Immutable),
        };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::from(masking)), vec![value]))
    }
}

impl fmt::Debug for Masking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl ScalarUDFImpl for Masking {
    fn name(&self) -> &str {
        match self.way {
            Way::Hash(_) => "mask_by_hash",
            Way::Partial => "mask_in_part",
            Way::Year => "mask_to_year",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        arguments
            .first()
            .cloned()
            .ok_or_else(|| exec_datafusion_err!("a mask is over one column"))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let values = args.args.into_iter().next();
        let values = values.ok_or_else(|| exec_datafusion_err!("a mask is over one column"))?;
        Ok(ColumnarValue::Array(
            self.way.mask(&values.into_array(args.number_rows)?)?,
        ))
    }
}

impl Way {
    fn mask(self, values: &ArrayRef) -> Result<ArrayRef> {
        match self {
            Self::Hash(key) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
                of_texts(values, |value| Some(hash(&key, value)))
            }
            Self::Partial => of_texts(values, |value| Some(partial(value))),
            Self::Year if is_text(values.data_type()) => of_texts(values, year_of_text),
            Self::Year => {
                let days = cast(values, &DataType::Date32)?;
                let firsts = days.as_primitive::<Date32Type>().iter();
                let firsts: Date32Array = firsts.map(|day| day.and_then(first_of_year)).collect();
                Ok(cast(&firsts, values.data_type())?)
            }
        }
    }
}

fn of_texts(values: &ArrayRef, mask: impl Fn(&str) -> Option<String>) -> Result<ArrayRef> {
    let texts = cast(values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>().iter();
    let masked: StringArray = texts.map(|value| value.and_then(&mask)).collect();
    Ok(cast(&masked, values.data_type())?)
}

fn hash(key: &hmac::Key, value: &str) -> String {
    hex::encode(hmac::sign(key, value.as_bytes()).as_ref())
}

/// An address keeps its first letter and its domain, a number its last three digits, any other text its first letter.
/// What is masked already stays as it is.
fn partial(value: &str) -> String {
    let first = |text: &str| text.chars().take(1).collect::<String>();
    if let Some((local, domain)) = value.rsplit_once('@')
        && !local.is_empty()
        && !domain.is_empty()
    {
        return format!("{}***@{domain}", first(local));
    }
    let is_digit = |c: char| c.is_ascii_digit() || c == '*';
    let digits = value.chars().filter(|c| is_digit(*c)).count();
    if digits > 5 && !value.chars().any(char::is_alphabetic) {
        let mut left = digits;
        let masked = value.chars().map(|c| {
            if !is_digit(c) {
                return c;
            }
            left -= 1;
            if left < 3 { c } else { '*' }
        });
        return masked.collect();
    }
    match value.is_empty() {
        true => String::new(),
        false => format!("{}***", first(value)),
    }
}

/// The four digits that a date in the order of ISO 8601 begins with, as its first day; null if it does not.
fn year_of_text(value: &str) -> Option<String> {
    let year = value.get(..4)?;
    let ends = value[4..].chars().next().is_none_or(|c| !c.is_ascii_digit());
    (ends && year.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("{year}-01-01"))
}

/// The first day of the year that a day is in, both in days since 1970; null if the calendar does not reach it.
fn first_of_year(day: i32) -> Option<i32> {
    let day = NaiveDate::from_num_days_from_ce_opt(day.checked_add(DAYS_TO_1970)?)?;
    Some(day.with_ordinal(1)?.num_days_from_ce() - DAYS_TO_1970)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use arrow::array::{StringViewArray, TimestampMicrosecondArray};
    use arrow::datatypes::{TimeUnit, TimestampMicrosecondType};

    use super::*;

    #[test]
    fn a_text_in_part_tells_what_it_is() {
        for (value, masked) in [
            ("maria.lopez@acme.com", "m***@acme.com"),
            ("\"a@b\"@acme.com", "\"***@acme.com"),
            ("+34 600 123 456", "+** *** *** 456"),
            ("4111-1111-1111-1234", "****-****-****-*234"),
            ("María", "M***"),
            ("Ñ", "Ñ***"),
            ("28013", "2***"),
            ("@", "@***"),
            ("", ""),
        ] {
            assert_eq!(partial(value), masked);
            assert_eq!(partial(masked), masked, "again");
        }
    }

    #[test]
    fn a_date_keeps_its_year() {
        for (day, first) in [
            (0, 0),
            (58, 0),
            (59, 0),
            (364, 0),
            (365, 365),
            (-1, -365),
            // 2024-02-29, 2024-12-31, 2000-03-01, 1900-02-28
            (19_782, 19_723),
            (20_088, 19_723),
            (11_017, 10_957),
            (-25_509, -25_567),
        ] {
            assert_eq!(first_of_year(day), Some(first), "{day}");
        }
        assert_eq!(year_of_text("1980-05-12").as_deref(), Some("1980-01-01"));
        assert_eq!(year_of_text("1980").as_deref(), Some("1980-01-01"));
        for other in ["12/05/1980", "19800512", "", "año"] {
            assert_eq!(year_of_text(other), None, "{other}");
        }
    }

    #[test]
    fn types_stay() {
        let texts: ArrayRef = Arc::new(StringViewArray::from(vec![Some("Ana"), None]));
        let hashed = Way::Hash([7; 32]).mask(&texts).unwrap();
        assert_eq!(hashed.data_type(), texts.data_type());
        assert!(hashed.is_null(1) && hashed.as_string_view().value(0).len() == 64);
        assert_ne!(&hashed, &Way::Hash([8; 32]).mask(&texts).unwrap());
        let at = TimestampMicrosecondArray::from(vec![86_400_000_000 * 400 + 5]).with_timezone("UTC");
        let at: ArrayRef = Arc::new(at);
        let masked = Way::Year.mask(&at).unwrap();
        assert_eq!(
            masked.data_type(),
            &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        );
        assert_eq!(
            masked.as_primitive::<TimestampMicrosecondType>().value(0),
            86_400_000_000 * 365
        );
    }

    #[test]
    fn kinds_have_presets() {
        let text = DataType::Utf8View;
        assert_eq!(preset("email", &text), Mask::Partial);
        assert_eq!(preset("birth_date", &DataType::Date32), Mask::Year);
        assert_eq!(preset("email", &DataType::Int64), Mask::Null);
        assert_eq!(preset("iban", &text), Mask::Null);
        assert!(!fits(&Mask::Hash, &DataType::Int64) && fits(&Mask::Null, &DataType::Int64));
    }
}
