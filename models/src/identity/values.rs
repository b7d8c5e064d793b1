//! The distinct texts of a field, each once, known by a number.

use super::hash;

/// Distinct texts, numbered as they came.
#[derive(Debug, Default)]
pub(crate) struct Values {
    text: String,
    /// Where each text ends.
    ends: Vec<usize>,
}

/// [`Values`] that still grow.
#[derive(Debug, Default)]
pub(crate) struct ValuesBuilder {
    values: Values,
    /// An open hash table of numbers, each one more than it is, zeros where there is room. Its length is a power of two.
    slots: Vec<u32>,
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, number: u32) -> &str {
        let at = number as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[start..self.ends[at]]
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// The same texts in another order, that of these numbers of theirs.
    pub(crate) fn in_order(&self, numbers: &[u32]) -> Self {
        let mut values = Self {
            text: String::with_capacity(self.text.len()),
            ends: Vec::with_capacity(numbers.len()),
        };
        numbers.iter().for_each(|number| values.push(self.get(*number)));
        values
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at as u32))
    }
}

impl ValuesBuilder {
    /// The number of a text.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if self.values.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut at = hash::of_bytes(text.as_bytes()) as usize & mask;
        loop {
            match self.slots[at] {
                0 => break,
                taken if self.values.get(taken - 1) == text => return taken - 1,
                _ => at = (at + 1) & mask,
            }
        }
        let number = self.values.len() as u32;
        self.values.push(text);
        self.slots[at] = number + 1;
        number
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(16);
        let mut slots = vec![0; length];
        for (number, text) in self.values.iter().enumerate() {
            let mut at = hash::of_bytes(text.as_bytes()) as usize & (length - 1);
            while slots[at] != 0 {
                at = (at + 1) & (length - 1);
            }
            slots[at] = number as u32 + 1;
        }
        self.slots = slots;
    }

    pub(crate) fn finish(mut self) -> Values {
        self.values.text.shrink_to_fit();
        self.values.ends.shrink_to_fit();
        self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_kept_once() {
        let mut builder = ValuesBuilder::default();
        let texts: Vec<String> = (0..1000).map(|number| format!("text {}", number % 300)).collect();
        let numbers: Vec<u32> = texts.iter().map(|text| builder.number(text)).collect();
        let values = builder.finish();
        assert_eq!(values.len(), 300);
        for (text, number) in texts.iter().zip(numbers) {
            assert_eq!(values.get(number), text);
        }
        let turned = values.in_order(&(0..300).rev().collect::<Vec<_>>());
        assert!((0..300).all(|at| turned.get(at) == values.get(299 - at)));
    }
}
