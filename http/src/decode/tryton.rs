//! Tryton's JSON-RPC, which writes what JSON has no words for as objects: `{"__class__": "Decimal", "decimal": "1.0"}`
//! (`trytond/protocols/jsonrpc.py`). Its times are UTC.

use super::numbers::{is_fraction, is_whole};
use super::rewrite::{Members, Notation, Replacement};

/// Tryton's notation.
pub(super) struct Tryton;

impl Notation for Tryton {
    const NAME: &'static str = "Tryton's JSON";

    fn object<'a>(&self, _depth: usize, members: &Members<'a>) -> Replacement<'a> {
        let Some(class) = members.text("__class__") else {
            return Replacement::Itself;
        };
        let text = match class.as_str() {
            "Decimal" => {
                let number = members
                    .text("decimal")
                    .filter(|text| is_fraction(text) || is_whole(text));
                match number {
                    Some(number) => return Replacement::Text(number),
                    None => members.text("decimal"),
                }
            }
            "bytes" => members.text("base64"),
            "date" => date(members),
            "time" => time(members),
            "datetime" => date(members)
                .zip(time(members))
                .map(|(date, time)| format!("{date}T{time}Z")),
            "timedelta" => return members.get("seconds").map_or(Replacement::Itself, Replacement::Value),
            _ => None,
        };
        text.map_or(Replacement::Itself, |text| {
            let mut json = Vec::new();
            super::push_string(&mut json, &text);
            Replacement::Text(String::from_utf8_lossy(&json).into_owned())
        })
    }
}

fn date(members: &Members<'_>) -> Option<String> {
    let part = |name| whole(members, name);
    Some(format!(
        "{:04}-{:02}-{:02}",
        part("year")?,
        part("month")?,
        part("day")?
    ))
}

fn time(members: &Members<'_>) -> Option<String> {
    let part = |name| whole(members, name);
    let (hour, minute, second) = (part("hour")?, part("minute")?, part("second")?);
    Some(match part("microsecond").unwrap_or(0) {
        0 => format!("{hour:02}:{minute:02}:{second:02}"),
        micros => format!("{hour:02}:{minute:02}:{second:02}.{micros:06}"),
    })
}

fn whole(members: &Members<'_>, name: &str) -> Option<u32> {
    serde_json::from_str(members.get(name)?.get()).ok()
}
