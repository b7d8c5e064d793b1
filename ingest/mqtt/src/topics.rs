//! Topic filters (MQTT 5, 4.7), in which a level may have a name: `plants/{plant}/+/temperature`.

/// What the level of a topic is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// This level alone.
    Is(String),
    /// Any one: `+`.
    Any,
    /// Any one, which becomes the column of that name.
    Named(String),
    /// All that follow, or none: `#`.
    Rest,
}

/// A topic filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicFilter {
    /// The group of a shared subscription.
    group: Option<String>,
    levels: Vec<Level>,
}

impl TopicFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("`{text}` is not a topic filter: {why}"));
        let (group, filter) = match text.strip_prefix("$share/") {
            None => (None, text),
            Some(shared) => match shared.split_once('/') {
                Some((group, filter)) if !group.is_empty() && !group.contains(['+', '#']) => {
                    (Some(group.to_owned()), filter)
                }
                _ => return wrong("a shared one is $share/GROUP/FILTER"),
            },
        };
        if filter.is_empty() || filter.contains('\0') || filter.len() > usize::from(u16::MAX) {
            return wrong("it is empty, too long, or has a character that topics cannot have");
        }
        let count = filter.split('/').count();
        let mut levels = Vec::with_capacity(count);
        for (at, level) in filter.split('/').enumerate() {
            let name = level.strip_prefix('{').and_then(|level| level.strip_suffix('}'));
            levels.push(match (level, name) {
                ("#", _) if at + 1 == count => Level::Rest,
                ("+", _) => Level::Any,
                (_, Some(name)) if is_name(name) => Level::Named(name.to_owned()),
                (_, Some(_)) => return wrong("a level is named with letters, digits and `_`: {device}"),
                (level, _) if level.contains(['+', '#', '{', '}']) => {
                    return wrong("`+`, `{name}` and, at the end, `#` stand for whole levels");
                }
                (level, _) => Level::Is(level.to_owned()),
            });
        }
        Ok(Self { group, levels })
    }

    /// As the broker knows it.
    pub(crate) fn subscription(&self) -> String {
        let levels = self.levels.iter().map(|level| match level {
            Level::Is(level) => level.as_str(),
            Level::Any | Level::Named(_) => "+",
            Level::Rest => "#",
        });
        let filter = levels.collect::<Vec<_>>().join("/");
        match &self.group {
            Some(group) => format!("$share/{group}/{filter}"),
            None => filter,
        }
    }

    /// The names of its levels.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Named(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The levels of `topic` that have names, with these; `None` if the filter does not let it through.
    pub(crate) fn captures<'t>(&'t self, topic: &'t str) -> Option<Vec<(&'t str, &'t str)>> {
        let mut captured = Vec::new();
        let mut topics = topic.split('/');
        for (at, level) in self.levels.iter().enumerate() {
            // Topics of the broker's own are not for wildcards (4.7.2).
            if at == 0 && topic.starts_with('$') && !matches!(level, Level::Is(_)) {
                return None;
            }
            match level {
                Level::Rest => return Some(captured),
                Level::Is(expected) => topics.next().filter(|found| found == expected).map(drop)?,
                Level::Any => topics.next().map(drop)?,
                Level::Named(name) => captured.push((name.as_str(), topics.next()?)),
            }
        }
        topics.next().is_none().then_some(captured)
    }
}

fn is_name(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next();
    first.is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|other| other.is_ascii_alphanumeric() || other == '_')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn filters_let_topics_through_as_the_specification_says() {
        for (filter, topic, lets_through) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "a//b", true),
            ("sport/tennis/+", "sport/tennis/player1", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("#", "$SYS/broker/load", false),
            ("+/broker/load", "$SYS/broker/load", false),
            ("$SYS/#", "$SYS/broker/load", true),
            ("Accounts", "accounts", false),
            ("$share/loaders/a/+", "a/b", true),
            ("ä/{b}", "ä/ö", true),
        ] {
            let found = TopicFilter::parse(filter).unwrap().captures(topic).is_some();
            assert_eq!(found, lets_through, "{filter} {topic}");
        }
    }

    #[test]
    fn named_levels_are_columns() {
        let filter = TopicFilter::parse("$share/g/plants/{plant}/+/{device_id}/#").unwrap();
        assert_eq!(filter.subscription(), "$share/g/plants/+/+/+/#");
        assert_eq!(filter.names().collect::<Vec<_>>(), ["plant", "device_id"]);
        let captured = filter.captures("plants/7/a/x-1/temperature").unwrap();
        assert_eq!(captured, [("plant", "7"), ("device_id", "x-1")]);
        assert_eq!(filter.captures("plants/7/a"), None);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in [
            "",
            "a/#/b",
            "a#",
            "a/b+",
            "++",
            "{",
            "a/{}",
            "a/{1}",
            "a/{b c}",
            "$share/",
            "$share/g",
            "$share//a",
            "a\0b",
        ] {
            assert!(TopicFilter::parse(text).is_err(), "{text:?}");
        }
    }
}
