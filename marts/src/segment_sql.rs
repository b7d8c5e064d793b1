//! The queries of a segment: what each person lacks to be a member, who is one, and what has changed.

use arrow::datatypes::DataType;
use cordada_core::TableName;
use cordada_core::sql_text::Dialect;

use crate::jinja::{quoted, quoted_part};

/// A segment as its queries need it: names are resolved, conditions rendered.
#[derive(Debug, Clone)]
pub(crate) struct SegmentWork {
    /// The columns that tell persons apart.
    pub(crate) key: Vec<String>,
    /// Whom it chooses from: a relation, or a query in parentheses.
    pub(crate) population: String,
    /// What conditions may call that.
    pub(crate) alias: String,
    /// The relation, if it is one.
    pub(crate) table: Option<TableName>,
    pub(crate) consent: Option<ConsentWork>,
    pub(crate) include: Vec<OtherSegment>,
    pub(crate) exclude: Vec<OtherSegment>,
    /// Names and conditions.
    pub(crate) filters: Vec<(String, String)>,
    /// Whether tests say that no two rows have the same key.
    pub(crate) unique: bool,
    /// Why what one person lacks may depend on rows of others, if it may.
    pub(crate) not_by_row: Option<String>,
}

/// The consent that it rests on.
#[derive(Debug, Clone)]
pub(crate) struct ConsentWork {
    pub(crate) purpose: String,
    pub(crate) table: TableName,
    pub(crate) key: Vec<String>,
    /// Until when consents are good, if the relation says so.
    pub(crate) until: Option<Until>,
}

/// What the column `valid_until` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// The last day on which it is good.
    Day,
    /// The moment from which on it is not.
    Moment,
}

/// Another segment that it refers to.
#[derive(Debug, Clone)]
pub(crate) struct OtherSegment {
    pub(crate) name: String,
    /// Its members.
    pub(crate) table: TableName,
    /// All that ever changed in it; its members change with that.
    pub(crate) history: Option<TableName>,
}

/// A moment in SQL, which is the same wherever a query asks for the time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    micros: i64,
}

/// A later evaluation, as its query needs it.
pub(crate) struct Later<'a> {
    /// The relation of all that changed so far, in SQL.
    pub(crate) history: &'a str,
    /// The number of this evaluation; the first one is 1.
    pub(crate) evaluation: i64,
    /// Whether the segment is defined otherwise than the last time.
    pub(crate) defined_anew: bool,
    /// A relation of the keys that may have changed, in SQL; all of them if there is none.
    pub(crate) changed: Option<&'a str>,
    /// Whether the population has only rows of those keys.
    pub(crate) population_is_narrow: bool,
}

impl Moment {
    pub(crate) fn new(micros: i64) -> Self {
        Self { micros }
    }

    /// As a point in time.
    fn instant(&self) -> String {
        format!("arrow_cast({}, 'Timestamp(Microsecond, Some(\"UTC\"))')", self.micros)
    }

    /// As a day, in UTC as `current_date` is.
    fn day(&self) -> String {
        format!("cast({} as date)", self.instant())
    }
}

impl Until {
    /// What the type of the column says; `None` if it says nothing about time.
    pub(crate) fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Date32 | DataType::Date64 => Some(Self::Day),
            DataType::Timestamp(..) => Some(Self::Moment),
            _ => None,
        }
    }

    fn holds(self, at: &Moment) -> String {
        match self {
            Self::Day => format!("coalesce(valid_until >= {}, true)", at.day()),
            Self::Moment => format!("coalesce(valid_until > {}, true)", at.instant()),
        }
    }

    /// That it ended between the two moments.
    fn ended(self, since: &Moment, at: &Moment) -> String {
        match self {
            Self::Day => format!("valid_until >= {} and valid_until < {}", since.day(), at.day()),
            Self::Moment => format!("valid_until > {} and valid_until <= {}", since.instant(), at.instant()),
        }
    }
}

impl SegmentWork {
    /// The conditions in the order in which they are looked at, as `lacks` names them.
    pub(crate) fn steps(&self) -> Vec<String> {
        self.conditions().into_iter().map(|(name, _)| name).collect()
    }

    /// What a person lacks who is not among those it chooses from.
    fn population_name(&self) -> String {
        match &self.table {
            Some(table) => format!("a row in {}", table.name()),
            None => "a row in its query".to_owned(),
        }
    }

    /// The conditions' names, and SQL that is true where one is not met.
    fn conditions(&self) -> Vec<(String, String)> {
        let names = |others: &[OtherSegment]| {
            let names: Vec<_> = others.iter().map(|other| other.name.as_str()).collect();
            names.join(" or ")
        };
        let mut conditions = Vec::new();
        if let Some(consent) = &self.consent {
            let name = format!("consent to {}", consent.purpose);
            conditions.push((name, format!("consented.{} is null", joined(0))));
        }
        if !self.include.is_empty() {
            let name = format!("in {}", names(&self.include));
            conditions.push((name, format!("included.{} is null", joined(0))));
        }
        for (name, condition) in &self.filters {
            conditions.push((name.clone(), format!("(\n{condition}\n) is not true")));
        }
        if !self.exclude.is_empty() {
            let name = format!("not in {}", names(&self.exclude));
            conditions.push((name, format!("excluded.{} is not null", joined(0))));
        }
        conditions
    }

    fn key_list(&self, of: &str) -> String {
        list(&self.key, |key| format!("{of}{}", quoted_part(key)))
    }

    /// For each person the first condition that is not met; null for members.
    pub(crate) fn evaluation(&self, at: &Moment, changed: Option<&str>, population_is_narrow: bool) -> String {
        let alias = quoted_part(&self.alias);
        let of_population = format!("{alias}.");
        let cases: Vec<_> = self
            .conditions()
            .into_iter()
            .map(|(name, lacks)| format!("when {lacks} then {}", Dialect::Standard.literal(&name)))
            .collect();
        let lacks = match cases.is_empty() {
            true => "cast(null as varchar)".to_owned(),
            false => format!("case {} end", cases.join("\n")),
        };
        let mut sql = format!(
            "select {}, {lacks} as lacks\nfrom {} as {alias}",
            self.key_list(&of_population),
            self.population
        );
        let mut join = |name: &str, query: String| {
            let on = self.key.iter().enumerate();
            let on = on.map(|(at, key)| format!("{alias}.{} = {name}.{}", quoted_part(key), joined(at)));
            let on = on.collect::<Vec<_>>().join(" and ");
            sql += &format!("\nleft join (\n{query}\n) as {name} on {on}");
        };
        if let Some(consent) = &self.consent {
            join("consented", self.consented(consent, at, changed));
        }
        for (name, others) in [("included", &self.include), ("excluded", &self.exclude)] {
            if !others.is_empty() {
                join(name, self.members_of(others, changed));
            }
        }
        let known = self
            .key
            .iter()
            .map(|key| format!("{alias}.{} is not null", quoted_part(key)));
        sql += &format!("\nwhere {}", known.collect::<Vec<_>>().join(" and "));
        if let Some(changed) = changed.filter(|_| !population_is_narrow) {
            sql += &format!(" and {}", self.is_among(changed, &alias, &self.key));
        }
        if self.unique {
            return sql;
        }
        // One of several rows of a person is enough.
        let key = self.key_list("");
        format!(
            "select {key}, case when bool_or(lacks is null) then null else min(lacks) end as lacks\n\
             from (\n{sql}\n) as \"rows\"\ngroup by {key}"
        )
    }

    /// Who consents, by the columns that the segment joins by. Of several rows about a purpose each has to grant it.
    fn consented(&self, consent: &ConsentWork, at: &Moment, changed: Option<&str>) -> String {
        let holds = consent.until.map(|until| format!(" and {}", until.holds(at)));
        let among = changed.map(|changed| format!(" and {}", self.is_among(changed, "consent", &consent.key)));
        let keys = list(&consent.key, |key| format!("consent.{}", quoted_part(key)));
        let mut at = 0;
        let named = list(&consent.key, |key| {
            at += 1;
            format!("consent.{} as {}", quoted_part(key), joined(at - 1))
        });
        format!(
            "select {named} from {} as consent where purpose = {}{} group by {keys}\n\
             having min(case when status = 'granted'{} then 1 else 0 end) = 1",
            quoted(&consent.table),
            Dialect::Standard.literal(&consent.purpose),
            among.unwrap_or_default(),
            holds.unwrap_or_default(),
        )
    }

    /// The members of any of those segments.
    fn members_of(&self, others: &[OtherSegment], changed: Option<&str>) -> String {
        let each = others.iter().map(|other| {
            let among = changed.map(|changed| format!(" where {}", self.is_among(changed, "other", &self.key)));
            let mut at = 0;
            let named = list(&self.key, |key| {
                at += 1;
                format!("other.{} as {}", quoted_part(key), joined(at - 1))
            });
            format!(
                "select {named} from {} as other{}",
                quoted(&other.table),
                among.unwrap_or_default()
            )
        });
        // UNION, because who is in two of them is one person.
        let each: Vec<_> = each.collect();
        match each.len() {
            1 => each.concat(),
            _ => each.join("\nunion\n"),
        }
    }

    fn is_among(&self, changed: &str, relation: &str, key: &[String]) -> String {
        let same = self
            .key
            .iter()
            .zip(key)
            .map(|(own, there)| format!("changed.{} = {relation}.{}", quoted_part(own), quoted_part(there)));
        let same = same.collect::<Vec<_>>().join(" and ");
        format!("exists (select 1 from {changed} as changed where {same})")
    }

    /// What is known of each person by `history`: of those in `changed`, if there is such a relation.
    fn current(&self, history: &str, changed: Option<&str>) -> String {
        let key = self.key_list("");
        let among = changed.map(|changed| format!(" and {}", self.is_among(changed, "told", &self.key)));
        let among = among.unwrap_or_default();
        let same = self
            .key
            .iter()
            .map(|key| format!("later.{0} = told.{0}", quoted_part(key)));
        let same = same.collect::<Vec<_>>().join(" and ");
        format!(
            "with later as (\n\
             select *, row_number() over (partition by {key} order by evaluation desc) as \"__nth\"\n\
             from {history} as told where evaluation > 1{among}\n\
             )\n\
             select {key}, at, because, lacks from {history} as told\n\
             where evaluation = 1{among} and not exists (select 1 from later where {same})\n\
             union all\n\
             select {key}, at, because, lacks from later where \"__nth\" = 1"
        )
    }

    /// The members, as readers see them.
    pub(crate) fn members(&self, history: &str) -> String {
        let key = self.key_list("");
        let current = self.current(history, None);
        format!("select {key}, at as entered_at, because\nfrom (\n{current}\n) as current_state\nwhere lacks is null")
    }

    /// The members who consent at a moment, of those that the relation of members has.
    pub(crate) fn members_with_consent(&self, members: &str, at: &Moment) -> String {
        let mut sql = format!("select members.* from {members} as members");
        if let Some(consent) = &self.consent {
            let on = self.key.iter().enumerate();
            let on = on.map(|(at, key)| format!("members.{} = consented.{}", quoted_part(key), joined(at)));
            let on = on.collect::<Vec<_>>().join(" and ");
            sql += &format!(
                "\ninner join (\n{}\n) as consented on {on}",
                self.consented(consent, at, None)
            );
        }
        sql
    }

    /// How many persons lack what.
    pub(crate) fn counts(&self, at: &Moment) -> String {
        let evaluation = self.evaluation(at, None, false);
        format!("select lacks, count(*) as persons from (\n{evaluation}\n) as evaluated group by lacks")
    }

    /// The rows that the first evaluation leaves in the history.
    pub(crate) fn first(&self, at: &Moment) -> String {
        let key = self.key_list("");
        format!(
            "select {key}, {} as at,\n\
             case when lacks is null then 'entered' end as change,\n\
             case when lacks is null then 'first evaluation' end as because,\n\
             lacks, cast(1 as bigint) as evaluation\n\
             from (\n{}\n) as evaluated",
            at.instant(),
            self.evaluation(at, None, false)
        )
    }

    /// The rows that a later evaluation adds to the history: of persons who lack something else than before.
    pub(crate) fn later(&self, at: &Moment, later: &Later<'_>) -> String {
        let (now, before) = (
            self.evaluation(at, later.changed, later.population_is_narrow),
            self.current(later.history, later.changed),
        );
        let key = self.key_list("");
        let same = |one: &str, other: &str| {
            let same = self
                .key
                .iter()
                .map(|key| format!("{one}.{0} = {other}.{0}", quoted_part(key)));
            same.collect::<Vec<_>>().join(" and ")
        };
        let sides = format!(
            "now_ as (select *, true as \"__now\" from (\n{now}\n) as evaluated),\n\
             before_ as (select *, true as \"__before\" from (\n{before}\n) as current_state)"
        );
        let (from, keys) = match later.changed {
            None => (
                format!("now_ full join before_ on {}", same("now_", "before_")),
                list(&self.key, |key| {
                    format!("coalesce(now_.{0}, before_.{0}) as {0}", quoted_part(key))
                }),
            ),
            Some(changed) => (
                format!(
                    "(select distinct {key} from {changed}) as changed\n\
                     left join now_ on {}\nleft join before_ on {}",
                    same("changed", "now_"),
                    same("changed", "before_")
                ),
                list(&self.key, |key| format!("changed.{0} as {0}", quoted_part(key))),
            ),
        };
        let gone = Dialect::Standard.literal(&self.population_name());
        let anew = match later.defined_anew {
            true => "'defined anew: ' || ",
            false => "",
        };
        format!(
            "with {sides},\n\
             compared as (\n\
             select {keys},\n\
             case when now_.\"__now\" then now_.lacks else {gone} end as lacks,\n\
             case when before_.\"__before\" then before_.lacks else {gone} end as lacked,\n\
             now_.\"__now\" is not null as is_there, before_.\"__before\" is not null as was_there\n\
             from {from}\n\
             )\n\
             select {key}, {} as at,\n\
             case when lacks is null then 'entered' when lacked is null then 'left' end as change,\n\
             {anew}case when lacks is null then lacked when lacked is null then lacks end as because,\n\
             lacks, cast({} as bigint) as evaluation\n\
             from compared\n\
             where lacks is distinct from lacked or (is_there and not was_there)",
            at.instant(),
            later.evaluation
        )
    }

    /// The keys of persons whose consent ended between the two moments.
    pub(crate) fn consents_that_ended(&self, since: &Moment, at: &Moment) -> Option<String> {
        let consent = self.consent.as_ref()?;
        let until = consent.until?;
        let named = self.key.iter().zip(&consent.key);
        let named = named.map(|(own, there)| format!("{} as {}", quoted_part(there), quoted_part(own)));
        Some(format!(
            "select {} from {} where purpose = {} and {}",
            named.collect::<Vec<_>>().join(", "),
            quoted(&consent.table),
            Dialect::Standard.literal(&consent.purpose),
            until.ended(since, at)
        ))
    }
}

/// The query of the intervals in which anybody was in any of the segments, each with its key and the template of its
/// history.
pub(crate) fn memberships(segments: &[(String, Vec<String>, String)]) -> String {
    let each = segments.iter().map(|(name, key, history)| {
        let columns = list(key, |key| quoted_part(key));
        let parts = list(key, |key| format!("cast({} as varchar)", quoted_part(key)));
        let as_text = match key.len() {
            1 => parts,
            _ => format!("concat_ws('|', {parts})"),
        };
        let next = |column: &str| format!("lead({column}) over (partition by {columns} order by evaluation)");
        format!(
            "select {} as segment, {as_text} as member, at as entered_at, because as entered_because, left_at, left_because\n\
             from (\n\
             select {columns}, change, at, because, {} as left_at, {} as left_because\n\
             from {history} where change is not null\n\
             ) as changes\n\
             where change = 'entered'",
            Dialect::Standard.literal(name),
            next("at"),
            next("because"),
        )
    });
    each.collect::<Vec<_>>().join("\nunion all\n")
}

fn list(names: &[String], write: impl FnMut(&String) -> String) -> String {
    names.iter().map(write).collect::<Vec<_>>().join(", ")
}

/// The name of the key's column of that number in what the population is joined with: conditions mean the population's
/// columns, which must not be in doubt.
fn joined(at: usize) -> String {
    format!("\"__key{at}\"")
}
