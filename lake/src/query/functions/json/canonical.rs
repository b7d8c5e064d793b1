//! The one text of a value of JSON, as PostgreSQL's `jsonb` has it: each name once, the shorter names first.

use super::number::plain;
use super::scan::{Kind, Value, quote};

/// The text of the value in which names are in order and spaces are where PostgreSQL writes them.
pub(super) fn canonical(value: Value<'_>) -> String {
    let mut out = String::with_capacity(value.raw().len());
    write(value, &mut out);
    out
}

fn write(value: Value<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            let mut members = value.unique_members();
            members.sort_by(|(a, _), (b, _)| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
            out.push('{');
            for (place, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                quote(&name, out);
                out.push_str(": ");
                write(value, out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for (place, value) in value.items().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                write(value, out);
            }
            out.push(']');
        }
        Kind::String => quote(&value.text(), out),
        Kind::Number => out.push_str(&plain(value.raw())),
        _ => out.push_str(value.raw()),
    }
}

/// The text of the value with a line for each member and item.
pub(super) fn pretty(value: Value<'_>) -> String {
    let mut out = String::with_capacity(value.raw().len() * 2);
    write_pretty(value, 0, &mut out);
    out
}

fn write_pretty(value: Value<'_>, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    match value.kind() {
        Kind::Object => {
            out.push('{');
            let members = value.unique_members();
            let some = !members.is_empty();
            for (place, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                line(depth + 1, out);
                quote(&name, out);
                out.push_str(": ");
                write_pretty(value, depth + 1, out);
            }
            if some {
                line(depth, out);
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            let mut some = false;
            for value in value.items() {
                out.push_str(if some { "," } else { "" });
                some = true;
                line(depth + 1, out);
                write_pretty(value, depth + 1, out);
            }
            if some {
                line(depth, out);
            }
            out.push(']');
        }
        _ => out.push_str(value.raw()),
    }
}
