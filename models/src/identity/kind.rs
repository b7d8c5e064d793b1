//! What the columns of a record can be.

/// What a column says about a person or company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    GivenName,
    Surname,
    FullName,
    Company,
    NationalId,
    /// A login, a loyalty card: whoever has the same one is the same person.
    Identifier,
    Email,
    Phone,
    BornOn,
    Street,
    StreetNumber,
    Address,
    City,
    Region,
    Postcode,
    /// One of few values, such as a gender: the same or not.
    Category,
    Number,
    Date,
    /// Any other text.
    Text,
}

const NAMES: [(Kind, &str); 19] = [
    (Kind::GivenName, "given_name"),
    (Kind::Surname, "surname"),
    (Kind::FullName, "full_name"),
    (Kind::Company, "company"),
    (Kind::NationalId, "national_id"),
    (Kind::Identifier, "identifier"),
    (Kind::Email, "email"),
    (Kind::Phone, "phone"),
    (Kind::BornOn, "born_on"),
    (Kind::Street, "street"),
    (Kind::StreetNumber, "street_number"),
    (Kind::Address, "address"),
    (Kind::City, "city"),
    (Kind::Region, "region"),
    (Kind::Postcode, "postcode"),
    (Kind::Category, "category"),
    (Kind::Number, "number"),
    (Kind::Date, "date"),
    (Kind::Text, "text"),
];

impl Kind {
    /// The kind of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }

    /// The names of all.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(_, name)| *name)
    }

    /// Whether several columns of this kind are several values of one thing, as two telephones of a person are.
    pub(crate) fn gathers(self) -> bool {
        matches!(self, Self::Email | Self::Phone | Self::NationalId)
    }

    /// Whether several columns of this kind are parts of one text, as two surnames are.
    pub(crate) fn joins(self) -> bool {
        matches!(self, Self::GivenName | Self::Surname | Self::FullName)
    }

    /// Whether it says where somebody lives.
    pub(crate) fn is_place(self) -> bool {
        matches!(
            self,
            Self::Street | Self::StreetNumber | Self::Address | Self::City | Self::Region | Self::Postcode
        )
    }

    /// Whether it is part of how somebody is called.
    pub(crate) fn is_name(self) -> bool {
        matches!(self, Self::GivenName | Self::Surname | Self::FullName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for (kind, name) in NAMES {
            assert_eq!(Kind::named(name), Some(kind));
        }
        assert_eq!(Kind::named("nombre"), None);
    }
}
