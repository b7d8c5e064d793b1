//! What holds for statements whatever their text; fuzzing and the unit tests call it.

use cordada_core::ErrorKind;
use cordada_lake::Lake;
use cordada_lake::query::sql;
use datafusion::prelude::SessionContext;
use tokio::runtime::Runtime;

/// Plans statements over the newest release of a lake.
pub struct Planner {
    runtime: Runtime,
    lake: Lake,
    session: SessionContext,
}

impl Planner {
    /// Over a lake that `fill` gives; it runs on the planner's own runtime.
    pub fn new(fill: impl Future<Output = Lake>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let (lake, session) = runtime.block_on(async {
            let lake = fill.await;
            let session = lake.session(&lake.releases().newest().await.unwrap());
            (lake, session)
        });
        Self { runtime, lake, session }
    }

    /// A statement is planned, or is the client's mistake; it can be logged without its literals.
    pub fn statement(&self, input: &[u8]) {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        let _ = sql::without_literals(text);
        let planned = self.runtime.block_on(sql::plan(&self.lake, &self.session, text));
        if let Err(error) = planned {
            assert!(matches!(error.kind(), ErrorKind::Failed | ErrorKind::Config), "{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use cordada_query_contract::Shop;
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// What fuzzing begins with: statements that go through every part of the dialect.
    fn seeds() -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/sql");
        let files = std::fs::read_dir(folder).unwrap();
        let mut seeds: Vec<_> = files
            .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
            .collect();
        seeds.sort();
        seeds
    }

    fn planner(shop: &mut Option<Shop>) -> Planner {
        Planner::new(async { shop.insert(Shop::fill().await).lake.clone() })
    }

    /// Words, numbers, texts, signs and blanks, which are kept whole.
    fn pieces(sql: &str) -> Vec<&str> {
        let mut pieces = Vec::new();
        let mut rest = sql;
        while let Some(first) = rest.chars().next() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = match is_word(first) {
                true => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                false => first.len_utf8(),
            };
            let (piece, after) = rest.split_at(length);
            pieces.push(piece);
            rest = after;
        }
        pieces
    }

    #[test]
    fn statements_put_together_of_others_are_planned_or_refused() {
        let mut shop = None;
        let planner = planner(&mut shop);
        let seeds = seeds();
        for sql in &seeds {
            planner.statement(sql.as_bytes());
        }
        let seeds: Vec<_> = seeds.iter().map(|sql| pieces(sql)).collect();
        // Pieces of one statement in place of those of another, again and again.
        let splice = (any::<Index>(), any::<Index>(), any::<Index>(), 0..8_usize, 0..4_usize);
        let changes = prop::collection::vec(splice, 1..6);
        proptest!(|(first in any::<Index>(), changes in changes)| {
            let mut sql = first.get(&seeds).clone();
            for (from, at, to, count, gone) in changes {
                let other = from.get(&seeds);
                let start = at.index(other.len());
                let taken = other[start..(start + count).min(other.len())].to_vec();
                let place = to.index(sql.len() + 1);
                let end = (place + gone).min(sql.len());
                sql.splice(place..end, taken);
            }
            planner.statement(sql.concat().as_bytes());
        });
    }
}
