//! Regular expressions that refer back to a group, `(.)\1`, or look around, `(?=…)`, `(?!…)`, `(?<=…)`, `(?<!…)`: those that
//! no linear search finds. They are tried step by step, and not more than [`MOST_STEPS`] of them in a search.

use std::iter::Peekable;
use std::str::Chars;

use datafusion::common::{Result, exec_err, plan_err};

use super::pattern::{Flags, Groups};

/// Steps of one search.
const MOST_STEPS: usize = 1_000_000;
/// Operations that a pattern may have.
const LARGEST: usize = 10_000;
/// Parentheses within each other.
const DEEPEST: usize = 50;

/// Whether a pattern that the linear search does not take may be one of these.
pub(super) fn may_be_one(pattern: &str) -> bool {
    let refers = |pair: &[u8]| matches!(pair, [b'\\', b'1'..=b'9']);
    let looks = ["(?=", "(?!", "(?<=", "(?<!"];
    pattern.as_bytes().windows(2).any(refers) || looks.iter().any(|look| pattern.contains(look))
}

/// A pattern, as operations.
#[derive(Debug)]
pub(super) struct Backtracking {
    operations: Vec<Operation>,
    /// The whole is the first.
    groups: usize,
    /// Places that are kept: two for each group, and one for each loop.
    slots: usize,
}

#[derive(Debug)]
enum Operation {
    Is(Character),
    At(Place),
    /// Goes on at the first, and at the second if that fails.
    Either(usize, usize),
    Jump(usize),
    Keep(usize),
    /// Goes on if it is further than where the loop began, which is kept in the slot.
    Further(usize),
    SameAs(usize),
    /// What follows, up to `end`, matches from here on, or matches what ends here.
    Look {
        behind: bool,
        negated: bool,
        end: usize,
    },
    Done,
}

/// What a character has to be.
#[derive(Debug, Clone)]
enum Character {
    This(char),
    /// Any, or any but a new line.
    Any {
        new_line: bool,
    },
    Of(regex::Regex),
}

/// What a place has to be.
#[derive(Debug, Clone, Copy)]
enum Place {
    Start,
    End,
    LineStart,
    LineEnd,
    WordStart,
    WordEnd,
    WordEdge,
    NoWordEdge,
}

/// A piece of a pattern.
enum Node {
    Is(Character),
    At(Place),
    All(Vec<Node>),
    OneOf(Vec<Node>),
    Group(usize, Box<Node>),
    Repeat {
        node: Box<Node>,
        least: usize,
        most: Option<usize>,
        /// As few as fit, rather than as many.
        few: bool,
    },
    SameAs(usize),
    Look {
        behind: bool,
        negated: bool,
        node: Box<Node>,
    },
}

impl Backtracking {
    /// # Errors
    /// Plan: it is not a regular expression, or too large.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self> {
        let mut parser = Parser {
            pattern,
            rest: pattern.chars().peekable(),
            flags,
            depth: 0,
            groups: 1,
            referred: 0,
        };
        let node = parser.alternatives()?;
        if parser.rest.next().is_some() {
            return parser.wrong("a parenthesis closes that is not open");
        }
        let groups = parser.groups;
        if parser.referred >= groups {
            return parser.wrong("it refers to a group that it does not have");
        }
        let mut writer = Writer {
            operations: Vec::new(),
            slots: groups * 2,
        };
        writer.write(&Node::Group(0, Box::new(node)))?;
        writer.push(Operation::Done)?;
        Ok(Self {
            operations: writer.operations,
            groups,
            slots: writer.slots,
        })
    }

    /// How many groups it has, the whole counted.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// The first match that begins at a byte or later.
    ///
    /// # Errors
    /// Execution: it takes too many steps.
    pub fn find(&self, text: &str, from: usize) -> Result<Option<Groups>> {
        let Some(rest) = text.get(from..) else {
            return Ok(None);
        };
        let mut search = Search {
            operations: &self.operations,
            text,
            slots: vec![None; self.slots],
            steps: 0,
        };
        for start in rest.char_indices().map(|(at, _)| from + at).chain([text.len()]) {
            search.slots.fill(None);
            if search.matches(0, start, None)? {
                let slot = |slot: usize| search.slots.get(slot).copied().flatten();
                let group = |group: usize| Some(slot(group * 2)?..slot(group * 2 + 1)?);
                return Ok(Some((0..self.groups).map(group).collect()));
            }
        }
        Ok(None)
    }
}

struct Parser<'a> {
    pattern: &'a str,
    rest: Peekable<Chars<'a>>,
    flags: Flags,
    depth: usize,
    groups: usize,
    /// The greatest number of a group that is referred to.
    referred: usize,
}

impl Parser<'_> {
    fn wrong<T>(&self, why: &str) -> Result<T> {
        plan_err!("this regular expression cannot be used: {why}: {}", self.pattern)
    }

    /// `a|b|c`, up to a parenthesis that closes.
    fn alternatives(&mut self) -> Result<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return self.wrong("its parentheses are nested too deeply");
        }
        let mut all = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            all.push(self.sequence()?);
        }
        self.depth -= 1;
        Ok(Node::OneOf(all))
    }

    fn sequence(&mut self) -> Result<Node> {
        let mut all = Vec::new();
        while let Some(next) = self.rest.next_if(|next| !matches!(next, '|' | ')')) {
            let node = self.piece(next)?;
            all.push(self.repeated(node)?);
        }
        Ok(Node::All(all))
    }

    fn piece(&mut self, first: char) -> Result<Node> {
        Ok(match first {
            '(' => self.group()?,
            '[' => self.set()?,
            '\\' => self.escape()?,
            '.' => Node::Is(Character::Any {
                new_line: self.flags.any,
            }),
            '^' if self.flags.lines => Node::At(Place::LineStart),
            '$' if self.flags.lines => Node::At(Place::LineEnd),
            '^' => Node::At(Place::Start),
            '$' => Node::At(Place::End),
            '*' | '+' | '?' => return self.wrong("there is nothing to repeat"),
            c => self.character(c)?,
        })
    }

    fn character(&self, c: char) -> Result<Node> {
        match self.flags.insensitive && c.is_alphabetic() {
            true => self.of(&regex::escape(&c.to_string())),
            false => Ok(Node::Is(Character::This(c))),
        }
    }

    /// A character of a set, as the linear search reads it.
    fn of(&self, set: &str) -> Result<Node> {
        let set = regex::RegexBuilder::new(&format!(r"\A(?:{set})\z"))
            .case_insensitive(self.flags.insensitive)
            .build();
        match set {
            Ok(set) => Ok(Node::Is(Character::Of(set))),
            Err(error) => self.wrong(&error.to_string()),
        }
    }

    fn group(&mut self) -> Result<Node> {
        let look = |behind: bool, negated: bool| {
            move |node: Node| Node::Look {
                behind,
                negated,
                node: Box::new(node),
            }
        };
        let made: Box<dyn Fn(Node) -> Node> = match self.rest.next_if_eq(&'?') {
            None => {
                let number = self.groups;
                self.groups += 1;
                Box::new(move |node| Node::Group(number, Box::new(node)))
            }
            Some(_) => match self.rest.next() {
                Some(':') => Box::new(|node| node),
                Some('=') => Box::new(look(false, false)),
                Some('!') => Box::new(look(false, true)),
                Some('<') => match self.rest.next() {
                    Some('=') => Box::new(look(true, false)),
                    Some('!') => Box::new(look(true, true)),
                    _ => return self.wrong("a group has no name beside back-references and looking around"),
                },
                _ => return self.wrong("of (?…) there are (?:…), (?=…), (?!…), (?<=…) and (?<!…) here"),
            },
        };
        let node = self.alternatives()?;
        match self.rest.next() {
            Some(')') => Ok(made(node)),
            _ => self.wrong("a parenthesis is not closed"),
        }
    }

    /// `[…]`, in which there may be others, `[[:alpha:]]`.
    fn set(&mut self) -> Result<Node> {
        let mut set = String::from("[");
        set.extend(self.rest.next_if_eq(&'^'));
        // A bracket at the beginning is one of the characters.
        if self.rest.next_if_eq(&']').is_some() {
            set.push_str(r"\]");
        }
        let mut open = 1;
        while open > 0 {
            match self.rest.next() {
                Some('\\') => {
                    set.push('\\');
                    set.extend(self.rest.next());
                }
                Some(c) => {
                    open += usize::from(c == '[');
                    open -= usize::from(c == ']');
                    set.push(c);
                }
                None => return self.wrong("a bracket is not closed"),
            }
        }
        self.of(&set)
    }

    fn escape(&mut self) -> Result<Node> {
        let Some(c) = self.rest.next() else {
            return self.wrong("it ends with a backslash");
        };
        Ok(match c {
            '1'..='9' => {
                let number = c as usize - '0' as usize;
                self.referred = self.referred.max(number);
                Node::SameAs(number)
            }
            'm' => Node::At(Place::WordStart),
            'M' => Node::At(Place::WordEnd),
            'y' | 'b' => Node::At(Place::WordEdge),
            'Y' | 'B' => Node::At(Place::NoWordEdge),
            'A' => Node::At(Place::Start),
            'Z' | 'z' => Node::At(Place::End),
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => self.of(&format!("\\{c}"))?,
            'n' => Node::Is(Character::This('\n')),
            'r' => Node::Is(Character::This('\r')),
            't' => Node::Is(Character::This('\t')),
            c if c.is_alphanumeric() => return self.wrong("an escape is not known beside back-references"),
            c => Node::Is(Character::This(c)),
        })
    }

    /// What is behind a piece: `*`, `+`, `?`, `{2}`, `{2,}`, `{2,3}`, and `?` if few are wanted.
    fn repeated(&mut self, node: Node) -> Result<Node> {
        let (least, most) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.rest.next();
                let text: String = std::iter::from_fn(|| self.rest.next_if(|&c| c != '}')).collect();
                let number = |text: &str| text.trim().parse::<usize>().ok();
                let bounds = match text.split_once(',') {
                    None => number(&text).map(|exactly| (exactly, Some(exactly))),
                    Some((least, "")) => number(least).map(|least| (least, None)),
                    Some((least, most)) => number(least).zip(number(most)).map(|(least, most)| (least, Some(most))),
                };
                match bounds {
                    Some((least, most)) if most.is_none_or(|most| least <= most) => (least, most),
                    _ => return self.wrong("{…} has a number or two"),
                }
            }
            _ => return Ok(node),
        };
        // The sign, or the brace that closes.
        self.rest.next();
        Ok(Node::Repeat {
            node: Box::new(node),
            least,
            most,
            few: self.rest.next_if_eq(&'?').is_some(),
        })
    }
}

struct Writer {
    operations: Vec<Operation>,
    slots: usize,
}

impl Writer {
    fn push(&mut self, operation: Operation) -> Result<usize> {
        if self.operations.len() >= LARGEST {
            return plan_err!("this regular expression cannot be used: it is too large");
        }
        self.operations.push(operation);
        Ok(self.operations.len() - 1)
    }

    /// Where the next operation will be.
    fn next(&self) -> usize {
        self.operations.len()
    }

    fn set(&mut self, place: usize, operation: Operation) {
        if let Some(at) = self.operations.get_mut(place) {
            *at = operation;
        }
    }

    /// Chooses between what follows and what is at `other`, in the wanted order.
    fn either(&mut self, place: usize, other: usize, few: bool) {
        let (first, second) = if few { (other, place + 1) } else { (place + 1, other) };
        self.set(place, Operation::Either(first, second));
    }

    fn write(&mut self, node: &Node) -> Result<()> {
        match node {
            Node::Is(character) => self.push(Operation::Is(character.clone())).map(|_| ()),
            Node::At(place) => self.push(Operation::At(*place)).map(|_| ()),
            Node::SameAs(group) => self.push(Operation::SameAs(*group)).map(|_| ()),
            Node::All(nodes) => nodes.iter().try_for_each(|node| self.write(node)),
            Node::OneOf(nodes) => self.one_of(nodes),
            Node::Group(number, node) => {
                self.push(Operation::Keep(number * 2))?;
                self.write(node)?;
                self.push(Operation::Keep(number * 2 + 1)).map(|_| ())
            }
            Node::Repeat { node, least, most, few } => self.repeat(node, *least, *most, *few),
            Node::Look { behind, negated, node } => {
                let look = self.push(Operation::Done)?;
                self.write(node)?;
                self.push(Operation::Done)?;
                let (behind, negated, end) = (*behind, *negated, self.next());
                self.set(look, Operation::Look { behind, negated, end });
                Ok(())
            }
        }
    }

    fn one_of(&mut self, nodes: &[Node]) -> Result<()> {
        let Some((last, others)) = nodes.split_last() else {
            return Ok(());
        };
        let mut jumps = Vec::with_capacity(others.len());
        for node in others {
            let choice = self.push(Operation::Done)?;
            self.write(node)?;
            jumps.push(self.push(Operation::Done)?);
            self.either(choice, self.next(), false);
        }
        self.write(last)?;
        let end = self.next();
        for jump in jumps {
            self.set(jump, Operation::Jump(end));
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, least: usize, most: Option<usize>, few: bool) -> Result<()> {
        for _ in 0..least {
            self.write(node)?;
        }
        let Some(most) = most else {
            let slot = self.slots;
            self.slots += 1;
            let choice = self.push(Operation::Done)?;
            self.push(Operation::Keep(slot))?;
            self.write(node)?;
            self.push(Operation::Further(slot))?;
            self.push(Operation::Jump(choice))?;
            self.either(choice, self.next(), few);
            return Ok(());
        };
        let mut choices = Vec::new();
        for _ in least..most {
            choices.push(self.push(Operation::Done)?);
            self.write(node)?;
        }
        let end = self.next();
        for choice in choices {
            self.either(choice, end, few);
        }
        Ok(())
    }
}

struct Search<'a> {
    operations: &'a [Operation],
    text: &'a str,
    slots: Vec<Option<usize>>,
    steps: usize,
}

/// What is done when an operation fails.
enum Back {
    Try { operation: usize, place: usize },
    Restore { slot: usize, place: Option<usize> },
}

impl Search<'_> {
    /// Whether the operations from there on match what begins at that byte, and ends at `end` if that is asked for. The
    /// places that they keep stay if they do.
    fn matches(&mut self, operation: usize, place: usize, end: Option<usize>) -> Result<bool> {
        let mut back = Vec::new();
        let (mut operation, mut place) = (operation, place);
        loop {
            self.steps += 1;
            if self.steps > MOST_STEPS {
                return exec_err!(
                    "a regular expression with back-references, or one that looks around, takes more than {MOST_STEPS} \
                     steps on a text: write one without"
                );
            }
            match self.step(operation, place, end, &mut back)? {
                Step::To(next, at) => (operation, place) = (next, at),
                Step::Found => return Ok(true),
                Step::Failed => loop {
                    match back.pop() {
                        None => return Ok(false),
                        Some(Back::Restore { slot, place }) => self.put(slot, place),
                        Some(Back::Try {
                            operation: next,
                            place: at,
                        }) => {
                            (operation, place) = (next, at);
                            break;
                        }
                    }
                },
            }
        }
    }

    fn put(&mut self, slot: usize, place: Option<usize>) {
        if let Some(kept) = self.slots.get_mut(slot) {
            *kept = place;
        }
    }

    fn kept(&self, slot: usize) -> Option<usize> {
        self.slots.get(slot).copied().flatten()
    }

    fn step(&mut self, operation: usize, place: usize, end: Option<usize>, back: &mut Vec<Back>) -> Result<Step> {
        let next = operation + 1;
        let go_on_if = |holds: bool| match holds {
            true => Step::To(next, place),
            false => Step::Failed,
        };
        Ok(match self.operations.get(operation) {
            None => Step::Failed,
            Some(Operation::Done) => match end.is_none_or(|end| end == place) {
                true => Step::Found,
                false => Step::Failed,
            },
            Some(Operation::Is(character)) => match self.after(place) {
                Some(c) if character.is(c) => Step::To(next, place + c.len_utf8()),
                _ => Step::Failed,
            },
            Some(Operation::At(at)) => go_on_if(self.is(*at, place)),
            Some(&Operation::Either(first, second)) => {
                back.push(Back::Try {
                    operation: second,
                    place,
                });
                Step::To(first, place)
            }
            Some(&Operation::Jump(to)) => Step::To(to, place),
            Some(&Operation::Keep(slot)) => {
                back.push(Back::Restore {
                    slot,
                    place: self.kept(slot),
                });
                self.put(slot, Some(place));
                Step::To(next, place)
            }
            Some(&Operation::Further(slot)) => go_on_if(self.kept(slot) != Some(place)),
            Some(&Operation::SameAs(group)) => {
                let range = self.kept(group * 2).zip(self.kept(group * 2 + 1));
                let same = range.and_then(|(start, end)| self.text.get(start..end));
                let rest = self.text.get(place..).unwrap_or_default();
                match same.filter(|same| rest.starts_with(same)) {
                    Some(same) => Step::To(next, place + same.len()),
                    None => Step::Failed,
                }
            }
            Some(&Operation::Look { behind, negated, end }) => {
                let kept = self.slots.clone();
                let found = match behind {
                    true => self.ends_at(next, place)?,
                    false => self.matches(next, place, None)?,
                };
                if negated || !found {
                    self.slots = kept;
                } else {
                    let changed = kept.into_iter().enumerate();
                    let changed = changed.filter(|(slot, place)| self.kept(*slot) != *place);
                    back.extend(changed.map(|(slot, place)| Back::Restore { slot, place }));
                }
                match found != negated {
                    true => Step::To(end, place),
                    false => Step::Failed,
                }
            }
        })
    }

    /// Whether the operations match a text that ends at that byte.
    fn ends_at(&mut self, operation: usize, place: usize) -> Result<bool> {
        let before = self.text.get(..place).unwrap_or_default();
        let starts = before.char_indices().map(|(at, _)| at).rev();
        for start in [place].into_iter().chain(starts) {
            if self.matches(operation, start, Some(place))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn before(&self, place: usize) -> Option<char> {
        self.text.get(..place)?.chars().next_back()
    }

    fn after(&self, place: usize) -> Option<char> {
        self.text.get(place..)?.chars().next()
    }

    fn is(&self, at: Place, place: usize) -> bool {
        let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let (before, after) = (self.before(place), self.after(place));
        match at {
            Place::Start => before.is_none(),
            Place::End => after.is_none(),
            Place::LineStart => before.is_none_or(|c| c == '\n'),
            Place::LineEnd => after.is_none_or(|c| c == '\n'),
            Place::WordStart => !is_word(before) && is_word(after),
            Place::WordEnd => is_word(before) && !is_word(after),
            Place::WordEdge => is_word(before) != is_word(after),
            Place::NoWordEdge => is_word(before) == is_word(after),
        }
    }
}

enum Step {
    To(usize, usize),
    Found,
    Failed,
}

impl Character {
    fn is(&self, c: char) -> bool {
        match self {
            Self::This(this) => *this == c,
            Self::Any { new_line } => *new_line || c != '\n',
            Self::Of(set) => set.is_match(c.encode_utf8(&mut [0; 4])),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn found(pattern: &str, text: &str) -> Option<String> {
        let groups = Backtracking::new(pattern, Flags::default())
            .unwrap()
            .find(text, 0)
            .unwrap();
        groups.map(|groups| text[groups[0].clone().unwrap()].to_owned())
    }

    #[test]
    fn groups_are_referred_to_and_places_looked_around_from() {
        for (pattern, text, match_) in [
            (r"(.)\1", "hello", Some("ll")),
            (r"^(a|ab)(c|bcd)\2$", "abcc", Some("abcc")),
            (r"(\w+) \1", "the the cat", Some("the the")),
            (r"foo(?=bar)", "foobaz foobar", Some("foo")),
            (r"foo(?!bar).", "foobar foobaz", Some("foob")),
            (r"(?<=\$)\d+", "a1 $25", Some("25")),
            (r"(?<!\d)\d{2}(?!\d)", "123 45 6", Some("45")),
            (r"(?=.*\d)(?=.*[a-z]).{4,}", "abc1", Some("abc1")),
            (r"(?=.*\d)[a-z]+$", "abc", None),
            (r"(a+)*b\1", "aaba", Some("aaba")),
            (r"(a)|b\1", "b", None),
            (r"<(.+?)>.*</\1>", "<a><b>x</b></a>", Some("<a><b>x</b></a>")),
            (r"[[:alpha:]]+(?=[]^-])", "ab-", Some("ab")),
            (r"(ñ)\1", "aññ", Some("ññ")),
            (r"()\1{3}$", "x", Some("")),
        ] {
            assert_eq!(found(pattern, text).as_deref(), match_, "{pattern}");
        }
        for pattern in [
            r"(a\1",
            r"\2(a)",
            r"a**\1",
            r"(?<n>a)(?=b)",
            r"[a\1",
            "\\1\\",
            r"(a){3,2}\1",
        ] {
            assert!(Backtracking::new(pattern, Flags::default()).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_search_has_so_many_steps() {
        let slow = Backtracking::new(r"^(a+)+\1$", Flags::default()).unwrap();
        assert!(slow.find(&format!("{}b", "a".repeat(40)), 0).is_err());
        let large = Backtracking::new(r"((a{99}){99}){99}\1", Flags::default());
        assert!(large.is_err());
    }
}
