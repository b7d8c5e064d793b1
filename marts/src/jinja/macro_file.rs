//! What of dbt's Jinja the template engine does not have, said in terms of what it has.

use std::ops::Range;

use crate::source_file::SourceFile;

/// A file of macros, as the template engine takes it.
#[derive(Debug)]
pub(super) struct MacroFile {
    /// The text with `{% test x %}` as `{% macro test_x %}`, line for line as the original.
    pub(super) text: String,
    pub(super) macros: Vec<String>,
}

/// A block that only dbt itself understands.
pub(super) struct UnsupportedBlock {
    pub(super) block: &'static str,
    pub(super) offset: usize,
}

/// The prefix that makes a generic test a macro.
pub(super) const TEST_PREFIX: &str = "test_";

impl MacroFile {
    /// Finds the macros and generic tests of a file.
    pub(super) fn parse(file: &SourceFile) -> Result<Self, UnsupportedBlock> {
        let mut macros = Vec::new();
        let mut changes = Vec::new();
        for tag in tags(&file.text) {
            let words = tag.words(&file.text);
            let (word, rest) = split_word(&file.text[words.clone()]);
            let name = split_word(rest.trim_start()).0;
            let keyword = words.start..words.start + word.len();
            match word {
                "macro" => macros.push(name.to_owned()),
                "test" | "data_test" => {
                    macros.push(format!("{TEST_PREFIX}{name}"));
                    let name_start = keyword.end + (rest.len() - rest.trim_start().len());
                    changes.push((keyword.start..name_start, format!("macro {TEST_PREFIX}")));
                }
                "endtest" | "enddata_test" => changes.push((keyword, "endmacro".to_owned())),
                "materialization" => {
                    return Err(UnsupportedBlock {
                        block: "materialization",
                        offset: tag.start,
                    });
                }
                "snapshot" => {
                    return Err(UnsupportedBlock {
                        block: "snapshot",
                        offset: tag.start,
                    });
                }
                _ => {}
            }
        }
        Ok(Self {
            text: prepare(&apply(&file.text, &changes)),
            macros,
        })
    }
}

/// The text of a template with `{% set x = [] %}` as a list that `x.append(…)` changes, as it does in Python.
pub(super) fn prepare(text: &str) -> String {
    let empty_list = |tag: &Tag| -> Option<(Range<usize>, String)> {
        let words = tag.words(text);
        let (word, rest) = split_word(&text[words.clone()]);
        let (_, value) = split_word(rest.trim_start());
        let value = value.trim_start().strip_prefix('=')?.trim_start();
        let at = words.end - value.len();
        (word == "set" && value.trim_end() == "[]").then(|| (at..at + 2, format!("{NEW_LIST}()")))
    };
    let changes: Vec<_> = tags(text).iter().filter_map(empty_list).collect();
    apply(text, &changes)
}

/// The function that makes a list that can change.
pub(super) const NEW_LIST: &str = "new_list";

/// The text with some ranges replaced; they are in order and do not overlap.
fn apply(text: &str, changes: &[(Range<usize>, String)]) -> String {
    let mut changed = String::with_capacity(text.len() + 16 * changes.len());
    let mut copied = 0;
    for (range, replacement) in changes {
        changed.push_str(&text[copied..range.start]);
        changed.push_str(replacement);
        copied = range.end;
    }
    changed.push_str(&text[copied..]);
    changed
}

/// The `{% docs name %}` blocks of a Markdown file: name and text.
pub(super) fn docs_blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for tag in tags(text) {
        let (word, rest) = split_word(&text[tag.words(text)]);
        match (word, open.take()) {
            ("docs", _) => open = Some((split_word(rest.trim_start()).0.to_owned(), tag.end)),
            ("enddocs", Some((name, start))) => blocks.push((name, text[start..tag.start].trim().to_owned())),
            (_, still) => open = still,
        }
    }
    blocks
}

/// The `{% snapshot name %}` blocks of a file: name, and the range of what is within.
pub(super) fn snapshot_blocks(text: &str) -> Vec<(String, Range<usize>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for tag in tags(text) {
        let (word, rest) = split_word(&text[tag.words(text)]);
        match (word, open.take()) {
            ("snapshot", _) => open = Some((split_word(rest.trim_start()).0.to_owned(), tag.end)),
            ("endsnapshot", Some((name, start))) => blocks.push((name, start..tag.start)),
            (_, still) => open = still,
        }
    }
    blocks
}

/// A `{% … %}` tag.
struct Tag {
    start: usize,
    end: usize,
}

impl Tag {
    /// The range of what stands between the signs.
    fn words(&self, text: &str) -> Range<usize> {
        let inner = &text[self.start + 2..self.end - 2];
        let without_sign = inner.trim_start_matches(['-', '+']).trim_start();
        let start = self.start + 2 + (inner.len() - without_sign.len());
        start..start + without_sign.trim_end().trim_end_matches('-').len()
    }
}

/// The tags of a template outside comments and raw text.
fn tags(text: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{%").into_iter().chain(text[at..].find("{#")).min() {
        let start = at + found;
        let is_comment = text[start..].starts_with("{#");
        let Some(length) = text[start + 2..].find(if is_comment { "#}" } else { "%}" }) else {
            break;
        };
        at = start + 2 + length + 2;
        if is_comment {
            continue;
        }
        let tag = Tag { start, end: at };
        if split_word(&text[tag.words(text)]).0 == "raw" {
            at += text[at..].find("endraw").unwrap_or(text.len() - at);
        }
        tags.push(tag);
    }
    tags
}

/// The identifier that text begins with, and the rest.
fn split_word(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile {
            path: "macros/m.sql".into(),
            relative: "macros/m.sql".into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_test_becomes_a_macro_on_the_same_line() {
        let text = "{# {% test not_this(x) %} #}\n{%- test  positive(model, column_name) -%}\nselect\n{% endtest %}\n{% macro cents(x) %}{% endmacro %}";
        let parsed = MacroFile::parse(&file(text)).ok().unwrap();
        assert_eq!(parsed.macros, ["test_positive", "cents"]);
        assert!(
            parsed
                .text
                .contains("{%- macro test_positive(model, column_name) -%}\nselect\n{% endmacro %}")
        );
        assert_eq!(parsed.text.lines().count(), text.lines().count());
    }

    #[test]
    fn a_materialization_of_ones_own_is_refused() {
        assert_eq!(
            MacroFile::parse(&file("{% materialization x, default %}"))
                .err()
                .unwrap()
                .block,
            "materialization"
        );
    }

    #[test]
    fn an_empty_list_can_grow() {
        assert_eq!(
            prepare("{%- set xs = [] -%} {% set y = [1] %} []"),
            "{%- set xs = new_list() -%} {% set y = [1] %} []"
        );
    }

    #[test]
    fn docs_blocks_have_names() {
        let text = "# Docs\n{% docs orders_status %}\nPlaced or *shipped*.\n{% enddocs %}\n";
        assert_eq!(
            docs_blocks(text),
            [("orders_status".to_owned(), "Placed or *shipped*.".to_owned())]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in "([{%#}\\-] ?|raw|test|macro|set x = \\[\\]|docs|ñ| x\\(|\n){0,30}") {
            docs_blocks(&text);
            prepare(&text);
            MacroFile::parse(&file(&text)).ok();
        }
    }
}
