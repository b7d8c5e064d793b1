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

    /// Statements that go through every part of the dialect.
    const SEEDS: &[&str] = &[
        "select country, count(*) filter (where amount > 1.5e1) as n from warehouse.fct_sale join warehouse.dim_customer \
         using (customer_id) group by rollup (country) having count(*) > 0 order by all limit 3 offset 1",
        "with recursive r(n) as (select 1 union all select n + 1 from r where n < 9) select max(n) over w, lag(n, 1) over \
         (w rows between 1 preceding and current row exclude current row) from r window w as (partition by n % 2 order by n)",
        "select top (5) percent with ties [name], a.* exclude (since) from warehouse.dim_customer a version as of 1 \
         where name like any ('a%', 'b_') and balance between symmetric 9 and 1 or name is not distinct from null",
        "select {fn upper({d '2024-02-29'})}, {ts '2024-02-29 10:00:00'}, cast('{1,2}' as int[])[1:2], '{\"a\": [1]}'::jsonb \
         -> 'a' ->> 0, convert(varchar(3), 1), trim(trailing 'x' from 'ax'), interval '1' day, extract(dow from date '2024-01-01')",
        "pivot warehouse.fct_sale on customer_id using sum(amount) as s group by sale_id",
        "select * from (values (1, 'a'), (2, null)) t(x, y) cross apply (select x + ? as z) u, lateral flatten(input => [1, 2]) f \
         where (x, y) in (select 1, 'a') and exists (select 1 from marts.nothing where x = $2) qualify row_number() over () = 1",
        "select listagg(name, ', ') within group (order by name), percentile_cont(0.5) within group (order by balance), \
         count(distinct name, country) from warehouse.dim_customer group by grouping sets ((name), ())",
        "set search_path = marts, public; select 1",
        "use marts",
        "show all",
        "describe marts.nothing",
        "explain analyze select unnest([1, 2]) with ordinality",
        "select a.b.c.d, \"e\"\"f\", 'g''h', E'\\n', U&'\\0041', x'00'",
        "select case when ? then 1 else cast(? as numeric(38, 10)) end, - - 2, not not true, 1 / 0, 5 # 3, ~1, 2 ^ 3, |/ 4, @ -1",
    ];

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
        let seeds: Vec<_> = SEEDS.iter().map(|sql| pieces(sql)).collect();
        for sql in SEEDS {
            planner.statement(sql.as_bytes());
        }
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
