//! Random statements over the tables and views that have policies, by their seed.

/// Makes statements.
pub struct Statements(u64);

/// Conditions on what is shown, masked and hidden; some fail on some rows.
const CONDITIONS: [&str; 22] = [
    "p.id > 20",
    "p.id % 4 = 2",
    "p.country = 'ES'",
    "p.country <> 'ES'",
    "p.country in ('FR', 'PT')",
    "p.balance > 100",
    "p.balance = 666",
    "p.email like 'user%'",
    "p.email like '%example'",
    "p.name < 'Name3'",
    "p.born > '1985-06-01'",
    "p.home is null",
    "p.tags[1] > 10",
    "length(p.note) > 3",
    "1 / (p.balance - 666) < 1",
    "1 / (p.id - 2) < 1",
    "cast(p.note as int) > 3",
    "p.id between 10 and 40",
    "p.email is not null",
    "exists (select 1 from warehouse.purchase b where b.person_id = p.id and b.id % 3 = 0)",
    "p.id in (select b.person_id from warehouse.purchase b where b.amount > 20)",
    "p.id not in (select x.id from marts.people x where x.balance > 0)",
];

const VALUES: [&str; 14] = [
    "p.id",
    "p.name",
    "p.email",
    "p.country",
    "p.balance",
    "p.born",
    "p.home['city']",
    "p.tags[2]",
    "p.note",
    "upper(p.email)",
    "p.balance / (p.id + 1)",
    "extract(year from p.born)",
    "coalesce(p.note, p.name)",
    "(select count(*) from warehouse.purchase b where b.person_id = p.id)",
];

const AGGREGATES: [&str; 10] = [
    "count(*)",
    "count(p.email)",
    "count(distinct p.country)",
    "min(p.balance)",
    "max(p.email)",
    "sum(p.balance)",
    "max(p.born)",
    "avg(p.id)",
    "string_agg(p.name, ',' order by p.id)",
    "count(*) filter (where p.balance > 100)",
];

const SOURCES: [&str; 7] = [
    "warehouse.person p",
    "warehouse.person version as of 1 p",
    "(select * from warehouse.person where id < 50) p",
    "warehouse.person p join warehouse.purchase c on c.person_id = p.id",
    "warehouse.person p left join marts.people m on m.id = p.id and m.balance > 0",
    "(select * from warehouse.person union all select * from warehouse.person version as of 1) p",
    "warehouse.purchase c right join warehouse.person p on p.id = c.id and c.amount > 5",
];

impl Statements {
    /// The statement of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`.
    ///
    /// Source: SplitMix64 by S. Vigna.
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % end as u64).unwrap()
    }

    fn one(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }

    fn condition(&mut self) -> String {
        let first = self.one(&CONDITIONS);
        match self.below(4) {
            0 => first.to_owned(),
            1 => format!("not ({first})"),
            2 => format!("{first} and {}", self.one(&CONDITIONS)),
            _ => format!("({first} or {})", self.one(&CONDITIONS)),
        }
    }

    /// A statement whose answer does not depend on the order in which rows come.
    pub fn statement(&mut self) -> String {
        let source = self.one(&SOURCES);
        let condition = self.condition();
        match self.below(5) {
            0 => {
                let (value, other) = (self.one(&VALUES), self.one(&VALUES));
                format!("select {value} as a, {other} as b from {source} where {condition}")
            }
            1 => format!("select {} from {source} where {condition}", self.one(&AGGREGATES)),
            2 => {
                let (key, aggregate) = (self.one(&VALUES[..10]), self.one(&AGGREGATES));
                format!(
                    "select {key} as k, {aggregate} from {source} where {condition} group by 1 having {} ",
                    self.one(&["count(*) > 1", "max(p.balance) > 100", "true"])
                )
            }
            3 => {
                let value = self.one(&VALUES);
                format!(
                    "select {value} as v, rank() over (partition by p.country order by {value}) as r from {source} where {condition}"
                )
            }
            _ => {
                let order = self.one(&["p.id", "p.email, p.id", "p.balance desc, p.id", "p.born, p.id desc"]);
                format!(
                    "select p.id, p.email from (select distinct p.* from {source} where {condition}) p order by {order} limit 7"
                )
            }
        }
    }
}
