//! Which type holds every value of a SQLite column. Source: SQLite's "Datatypes In SQLite".

use arrow::datatypes::DataType;

/// How many questions there are about a column.
pub(super) const QUESTIONS: usize = 6;

/// What is asked of a column, each an SQL expression of its values: which storage classes there are, whether a whole
/// number is beyond those that a double holds, whether one is neither 0 nor 1.
pub(super) fn questions(name: &str) -> [String; QUESTIONS] {
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
pub(super) struct StorageClasses {
    pub(super) integer: bool,
    pub(super) real: bool,
    pub(super) text: bool,
    pub(super) blob: bool,
    pub(super) large: bool,
    pub(super) beyond_one: bool,
}

impl StorageClasses {
    /// Each question answered, by its number.
    pub(super) fn of_answers<E>(mut answer: impl FnMut(usize) -> Result<bool, E>) -> Result<Self, E> {
        Ok(Self {
            integer: answer(0)?,
            real: answer(1)?,
            text: answer(2)?,
            blob: answer(3)?,
            large: answer(4)?,
            beyond_one: answer(5)?,
        })
    }
}

/// The type that holds all values, each as it is. Text holds numbers as SQLite writes them, bytes hold texts.
pub(super) fn data_type(declared: Option<&str>, classes: StorageClasses) -> DataType {
    let declared = declared.unwrap_or_default().to_ascii_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    let is_decimal = says(&["DEC", "NUMERIC", "REAL", "FLOA", "DOUB"]);
    match classes {
        StorageClasses { blob: true, .. } => DataType::Binary,
        StorageClasses { text: true, .. } => DataType::Utf8,
        StorageClasses {
            real: true,
            integer: true,
            large: true,
            ..
        } => DataType::Utf8,
        StorageClasses { real: true, .. } => DataType::Float64,
        StorageClasses {
            integer: true,
            beyond_one: false,
            ..
        } if says(&["BOOL"]) => DataType::Boolean,
        // Whole numbers among decimals are kept as integers.
        StorageClasses {
            integer: true,
            large: false,
            ..
        } if is_decimal => DataType::Float64,
        StorageClasses { integer: true, .. } => DataType::Int64,
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
        let none = StorageClasses::default();
        let whole = StorageClasses {
            integer: true,
            beyond_one: true,
            ..none
        };
        let real = StorageClasses { real: true, ..none };
        assert_eq!(data_type(Some("INTEGER"), whole), DataType::Int64);
        assert_eq!(data_type(Some("DECIMAL(10,2)"), whole), DataType::Float64);
        assert_eq!(
            data_type(Some("DECIMAL(10,2)"), StorageClasses { large: true, ..whole }),
            DataType::Int64
        );
        assert_eq!(
            data_type(None, StorageClasses { real: true, ..whole }),
            DataType::Float64
        );
        assert_eq!(
            data_type(
                None,
                StorageClasses {
                    real: true,
                    large: true,
                    ..whole
                }
            ),
            DataType::Utf8
        );
        assert_eq!(
            data_type(Some("INTEGER"), StorageClasses { text: true, ..whole }),
            DataType::Utf8
        );
        assert_eq!(
            data_type(
                Some("TEXT"),
                StorageClasses {
                    blob: true,
                    text: true,
                    ..none
                }
            ),
            DataType::Binary
        );
        assert_eq!(
            data_type(Some("BOOLEAN"), StorageClasses { integer: true, ..none }),
            DataType::Boolean
        );
        assert_eq!(data_type(Some("BOOLEAN"), whole), DataType::Int64);
        assert_eq!(data_type(Some("REAL"), real), DataType::Float64);
        assert_eq!(data_type(Some("BIGINT"), none), DataType::Int64);
        assert_eq!(data_type(Some("DATETIME"), none), DataType::Utf8);
    }
}
