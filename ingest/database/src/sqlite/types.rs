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

/// What a declaration prefers. Source: "Datatypes In SQLite", Determination Of Column Affinity; dates, for which SQLite
/// has no type, are what their values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preference {
    Boolean,
    Whole,
    Fractions,
    Text,
    Bytes,
    Nothing,
}

impl Preference {
    fn of(declared: Option<&str>) -> Self {
        let declared = declared.unwrap_or_default().to_ascii_uppercase();
        let says = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        match () {
            () if says(&["BOOL"]) => Preference::Boolean,
            () if says(&["INT"]) => Preference::Whole,
            () if says(&["CHAR", "CLOB", "TEXT"]) => Preference::Text,
            () if says(&["BLOB"]) => Preference::Bytes,
            () if says(&["DEC", "NUMERIC", "REAL", "FLOA", "DOUB"]) => Preference::Fractions,
            () => Preference::Nothing,
        }
    }

    fn is_of_numbers(self) -> bool {
        matches!(self, Preference::Boolean | Preference::Whole | Preference::Fractions)
    }
}

/// Whether a column that is declared so is meant for numbers.
pub(super) fn is_of_numbers(declared: Option<&str>) -> bool {
    Preference::of(declared).is_of_numbers()
}

/// A decimal that holds whole numbers of 64 bits and fractions.
const MIXED: DataType = DataType::Decimal128(38, 18);

/// The type that holds the values, each as it is: that of `known`, the lake's column so far, as far as it can. Text
/// holds numbers as SQLite writes them, bytes hold texts. Values that are of another type than the declaration, among
/// others that are of it, do not decide, and are rejected.
pub(super) fn data_type(declared: Option<&str>, classes: StorageClasses, known: Option<&DataType>) -> DataType {
    let preference = Preference::of(declared);
    let has_numbers = classes.integer || classes.real;
    let classes = match preference {
        _ if preference.is_of_numbers() && has_numbers => StorageClasses {
            text: false,
            blob: false,
            ..classes
        },
        Preference::Text if classes.text => StorageClasses { blob: false, ..classes },
        _ => classes,
    };
    let only_numbers = !classes.text && !classes.blob;
    match known {
        Some(DataType::Int64) if only_numbers && classes.real => return MIXED,
        Some(known @ (DataType::Boolean | DataType::Int64 | DataType::Float64 | DataType::Decimal128(..)))
            if only_numbers =>
        {
            return known.clone();
        }
        Some(DataType::Binary) => return DataType::Binary,
        Some(known) if !has_numbers && only_numbers => return known.clone(),
        _ => {}
    }
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
        } if preference == Preference::Boolean => DataType::Boolean,
        // Whole numbers among decimals are kept as integers.
        StorageClasses {
            integer: true,
            large: false,
            ..
        } if preference == Preference::Fractions => DataType::Float64,
        StorageClasses { integer: true, .. } => DataType::Int64,
        // Nothing but nulls.
        _ => match preference {
            Preference::Boolean => DataType::Boolean,
            Preference::Whole => DataType::Int64,
            Preference::Fractions => DataType::Float64,
            Preference::Bytes => DataType::Binary,
            Preference::Text | Preference::Nothing => DataType::Utf8,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(declared: Option<&str>, classes: StorageClasses) -> DataType {
        data_type(declared, classes, None)
    }

    #[test]
    fn a_type_holds_all_values() {
        let none = StorageClasses::default();
        let whole = StorageClasses {
            integer: true,
            beyond_one: true,
            ..none
        };
        let real = StorageClasses { real: true, ..none };
        assert_eq!(of(Some("INTEGER"), whole), DataType::Int64);
        assert_eq!(of(Some("DECIMAL(10,2)"), whole), DataType::Float64);
        assert_eq!(
            of(Some("DECIMAL(10,2)"), StorageClasses { large: true, ..whole }),
            DataType::Int64
        );
        assert_eq!(of(None, StorageClasses { real: true, ..whole }), DataType::Float64);
        assert_eq!(
            of(
                None,
                StorageClasses {
                    real: true,
                    large: true,
                    ..whole
                }
            ),
            DataType::Utf8
        );
        let text = StorageClasses { text: true, ..none };
        assert_eq!(of(Some("INTEGER"), text), DataType::Utf8);
        assert_eq!(
            of(Some("INTEGER"), StorageClasses { text: true, ..whole }),
            DataType::Int64
        );
        assert_eq!(of(None, StorageClasses { text: true, ..whole }), DataType::Utf8);
        assert_eq!(of(Some("DATE"), StorageClasses { text: true, ..whole }), DataType::Utf8);
        assert_eq!(of(Some("TEXT"), StorageClasses { blob: true, ..text }), DataType::Utf8);
        assert_eq!(
            of(Some("TEXT"), StorageClasses { blob: true, ..none }),
            DataType::Binary
        );
        assert_eq!(
            of(Some("BOOLEAN"), StorageClasses { integer: true, ..none }),
            DataType::Boolean
        );
        assert_eq!(of(Some("BOOLEAN"), whole), DataType::Int64);
        assert_eq!(of(Some("REAL"), real), DataType::Float64);
        assert_eq!(of(Some("BIGINT"), none), DataType::Int64);
        assert_eq!(of(Some("DATETIME"), none), DataType::Utf8);
    }

    #[test]
    fn a_column_stays_what_it_is_in_the_lake() {
        let none = StorageClasses::default();
        let whole = StorageClasses { integer: true, ..none };
        let real = StorageClasses { real: true, ..none };
        let text = StorageClasses { text: true, ..none };
        for (known, classes, expected) in [
            (DataType::Float64, whole, DataType::Float64),
            (DataType::Int64, whole, DataType::Int64),
            (DataType::Int64, real, MIXED),
            (MIXED, whole, MIXED),
            (
                DataType::Boolean,
                StorageClasses {
                    beyond_one: true,
                    ..whole
                },
                DataType::Boolean,
            ),
            (DataType::Int64, none, DataType::Int64),
            (DataType::Utf8, none, DataType::Utf8),
            (DataType::Int64, text, DataType::Utf8),
            (DataType::Binary, text, DataType::Binary),
        ] {
            assert_eq!(data_type(None, classes, Some(&known)), expected, "{known} {classes:?}");
        }
    }
}
