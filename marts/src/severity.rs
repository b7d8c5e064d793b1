//! What a test's failures mean.

/// How much a failing test matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is published.
    Error,
    /// It is reported.
    Warn,
}

impl Severity {
    /// As YAML spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
        }
    }
}

/// A comparison of a test's number of failures, as `warn_if` and `error_if` have it: `!= 0`, `> 10`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Threshold {
    pub(crate) operator: Operator,
    pub(crate) failures: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Threshold {
    /// Any failure.
    pub(crate) const ANY: Self = Self {
        operator: Operator::NotEqual,
        failures: 0,
    };

    /// Parses `!= 0`, `>10` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        const OPERATORS: [(&str, Operator); 8] = [
            ("!=", Operator::NotEqual),
            ("<>", Operator::NotEqual),
            (">=", Operator::GreaterOrEqual),
            ("<=", Operator::LessOrEqual),
            ("==", Operator::Equal),
            ("=", Operator::Equal),
            (">", Operator::Greater),
            ("<", Operator::Less),
        ];
        let text = text.trim();
        let (sign, operator) = OPERATORS.into_iter().find(|(sign, _)| text.starts_with(sign))?;
        Some(Self {
            operator,
            failures: text[sign.len()..].trim().parse().ok()?,
        })
    }

    /// Whether a number of failures meets it.
    pub(crate) fn is_met(self, failures: u64) -> bool {
        match self.operator {
            Operator::Equal => failures == self.failures,
            Operator::NotEqual => failures != self.failures,
            Operator::Greater => failures > self.failures,
            Operator::GreaterOrEqual => failures >= self.failures,
            Operator::Less => failures < self.failures,
            Operator::LessOrEqual => failures <= self.failures,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        assert!(Threshold::ANY.is_met(1) && !Threshold::ANY.is_met(0));
        let more_than_ten = Threshold::parse(" > 10").unwrap();
        assert!(more_than_ten.is_met(11) && !more_than_ten.is_met(10));
        assert_eq!(Threshold::parse("!=0"), Some(Threshold::ANY));
        assert!(Threshold::parse("between 1 and 2").is_none());
    }
}
