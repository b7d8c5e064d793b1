//! Which type holds every value of a SQLite column. Source: SQLite's "Datatypes In SQLite".

use arrow::datatypes::DataType;

/// What is asked of a column, each an SQL expression of its values: which storage classes there are, whether a whole
/// number is beyond those that a double holds, whether one is neither 0 nor 1.
pub(super) fn questions(name: &str) -> [String; 6] {
    let class = |class: &str| format!("max(typeof({name}) = '{class}')");
    let whole = |condition: &str| format!("max(typeof({name}) = 'integer' AND ({condition}))");
    [
        class("integer"),
        class("real"),
        class("text"),
        class("blob"),
        whole(&format!("{name} NOT BETWEEN -9007199254740992 AND 9007199254740992")),
        whole(&format!("{name} NOT IN (0, 1)")),
    ]
}

/// The answers to [`questions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    pub(super) integer: bool,
    pub(super) real: bool,
    pub(super) text: bool,
    pub(super) blob: bool,
    pub(super) large: bool,
    pub(super) beyond_one: bool,
}

/// The type that holds all values, each as it is. Text holds numbers as SQLite writes them, bytes hold texts.
pub(super) fn data_type(declared: Option<&str>, seen: Seen) -> DataType {
    let declared = declared.unwrap_or_default().to_ascii_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let is_decimal = says(&["DEC", "NUMERIC", "REAL", "FLOA", "DOUB"]);
    match seen {
        Seen { blob: true, .. } => DataType::Binary,
        Seen { text: true, .. } => DataType::Utf8,
        Seen {
            real: true,
            integer: true,
            large: true,
            ..
        } => DataType::Utf8,
        Seen { real: true, .. } => DataType::Float64,
        Seen {
            integer: true,
            beyond_one: false,
            ..
        } if says(&["BOOL"]) => DataType::Boolean,
        // Whole numbers among decimals are kept as integers.
        Seen {
            integer: true,
            large: false,
            ..
        } if is_decimal => DataType::Float64,
        Seen { integer: true, .. } => DataType::Int64,
        // Nothing but nulls: what the declaration prefers.
        _ if says(&["BOOL"]) => DataType::Boolean,
        _ if says(&["INT"]) => DataType::Int64,
        _ if says(&["CHAR", "CLOB", "TEXT"]) => DataType::Utf8,
        _ if says(&["BLOB"]) => DataType::Binary,
        _ if is_decimal => DataType::Float64,
        _ => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_holds_all_values() {
        let none = Seen::default();
        let whole = Seen {
            integer: true,
            beyond_one: true,
            ..none
        };
        let real = Seen { real: true, ..none };
        assert_eq!(data_type(Some("INTEGER"), whole), DataType::Int64);
        assert_eq!(data_type(Some("DECIMAL(10,2)"), whole), DataType::Float64);
        assert_eq!(
            data_type(Some("DECIMAL(10,2)"), Seen { large: true, ..whole }),
            DataType::Int64
        );
        assert_eq!(data_type(None, Seen { real: true, ..whole }), DataType::Float64);
        assert_eq!(
            data_type(
                None,
                Seen {
                    real: true,
                    large: true,
                    ..whole
                }
            ),
            DataType::Utf8
        );
        assert_eq!(data_type(Some("INTEGER"), Seen { text: true, ..whole }), DataType::Utf8);
        assert_eq!(
            data_type(
                Some("TEXT"),
                Seen {
                    blob: true,
                    text: true,
                    ..none
                }
            ),
            DataType::Binary
        );
        assert_eq!(
            data_type(Some("BOOLEAN"), Seen { integer: true, ..none }),
            DataType::Boolean
        );
        assert_eq!(data_type(Some("BOOLEAN"), whole), DataType::Int64);
        assert_eq!(data_type(Some("REAL"), real), DataType::Float64);
        assert_eq!(data_type(Some("BIGINT"), none), DataType::Int64);
        assert_eq!(data_type(Some("DATETIME"), none), DataType::Utf8);
    }
}
