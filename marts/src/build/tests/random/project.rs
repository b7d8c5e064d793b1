//! A project of random models, and edits of it.

use std::fmt::Write as _;

use super::Chance;

/// A project over one raw table and one seed. Each of its models has the columns `id`, `k` and `v`, so that any of them
/// can read any before it.
#[derive(Debug, Clone)]
pub(super) struct RandomProject {
    pub(super) models: Vec<Model>,
    /// A variable of `dbt_project.yml`.
    minimum: i64,
    /// An environment variable.
    pub(super) shift: i64,
    /// What a macro multiplies by.
    factor: i64,
    /// The seed's rows.
    rates: [i64; 4],
    /// Whether the YAML describes columns.
    documented: bool,
    /// The rows of the raw table.
    pub(super) rows: Vec<[i64; 3]>,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    kind: Kind,
    body: Body,
    /// Numbers of models before it; the raw table if there is none.
    parent: Option<usize>,
    other: Option<usize>,
    constant: i64,
    comment: u64,
    alias: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    View,
    Table,
    Ephemeral,
    Append,
    DeleteInsert,
    Merge,
    InsertOverwrite,
}

const KINDS: [Kind; 7] = [
    Kind::View,
    Kind::Table,
    Kind::Ephemeral,
    Kind::Append,
    Kind::DeleteInsert,
    Kind::Merge,
    Kind::InsertOverwrite,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Body {
    Filter,
    Shift,
    Values,
    Rates,
    Sum,
    Running,
    Join,
    Least,
}

const BODIES: [Body; 8] = [
    Body::Filter,
    Body::Shift,
    Body::Values,
    Body::Rates,
    Body::Sum,
    Body::Running,
    Body::Join,
    Body::Least,
];

/// What an edit may do to the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Edit {
    /// Nothing: no table need be built.
    Nothing,
    /// Anything.
    Anything,
    /// Rows arrived.
    Rows(usize),
}

impl RandomProject {
    pub(super) fn new(chance: &mut Chance) -> Self {
        let mut project = Self {
            models: Vec::new(),
            minimum: 0,
            shift: 1,
            factor: 2,
            rates: [1, 2, 3, 4],
            documented: false,
            rows: Vec::new(),
        };
        project.arrive(chance, 6);
        for number in 0..chance.below(4) + 3 {
            let model = Model {
                kind: Kind::View,
                body: Body::Filter,
                parent: None,
                other: None,
                constant: 0,
                comment: 0,
                alias: 0,
            };
            project.models.push(model);
            project.change_parents(number, chance);
            project.models[number].body = chance.of(&BODIES);
            project.change_kind(number, chance);
        }
        project
    }

    /// Changes something at random, and says what in a word.
    pub(super) fn edit(&mut self, chance: &mut Chance) -> (Edit, String) {
        let number = chance.below(self.models.len());
        let (edit, what) = match chance.below(13) {
            0 | 1 => {
                let before = self.rows.len();
                let count = chance.below(3) + 1;
                self.arrive(chance, count);
                (Edit::Rows(before), "rows")
            }
            2 => {
                self.minimum = chance.number();
                (Edit::Anything, "var")
            }
            3 => {
                self.shift = chance.number();
                (Edit::Anything, "env")
            }
            4 => {
                self.factor = chance.number() % 4;
                (Edit::Anything, "macro")
            }
            5 => {
                let rate = chance.below(4);
                self.rates[rate] = chance.number() % 5;
                (Edit::Anything, "seed")
            }
            6 => {
                self.models[number].constant = chance.number();
                (Edit::Anything, "constant")
            }
            7 => {
                self.models[number].comment = chance.next();
                (Edit::Nothing, "comment")
            }
            8 => {
                self.models[number].alias += 1;
                (Edit::Nothing, "alias")
            }
            9 => {
                self.change_kind(number, chance);
                (Edit::Anything, "kind")
            }
            10 => {
                self.models[number].body = chance.of(&BODIES);
                (Edit::Anything, "body")
            }
            11 => {
                self.change_parents(number, chance);
                (Edit::Anything, "parents")
            }
            _ => {
                self.documented = !self.documented;
                (Edit::Anything, "documentation")
            }
        };
        // What has changed below a model may forbid its kind.
        for number in 0..self.models.len() {
            if !self.allows(number, self.models[number].kind) {
                self.change_kind(number, chance);
            }
        }
        (edit, format!("{what} of m{number}"))
    }

    fn arrive(&mut self, chance: &mut Chance, count: usize) {
        for _ in 0..count {
            let id = self.rows.len() as i64;
            self.rows.push([id, chance.below(4) as i64, chance.number()]);
        }
    }

    fn change_parents(&mut self, number: usize, chance: &mut Chance) {
        let before = |chance: &mut Chance| Some(chance.below(number + 1)).filter(|parent| *parent < number);
        self.models[number].parent = before(chance);
        self.models[number].other = before(chance);
    }

    fn change_kind(&mut self, number: usize, chance: &mut Chance) {
        loop {
            let kind = chance.of(&KINDS);
            if self.allows(number, kind) {
                self.models[number].kind = kind;
                return;
            }
        }
    }

    /// Whether a model's rows only grow when rows arrive, whatever else stays as it is: an incremental model may read
    /// it.
    fn only_grows(&self, number: Option<usize>) -> bool {
        number.is_none_or(|number| {
            let model = &self.models[number];
            matches!(model.body, Body::Filter | Body::Shift | Body::Values) && self.only_grows(model.parent)
        })
    }

    fn allows(&self, number: usize, kind: Kind) -> bool {
        let model = &self.models[number];
        match kind {
            Kind::View | Kind::Table | Kind::Ephemeral => true,
            Kind::DeleteInsert if model.body == Body::Sum => self.only_grows(model.parent),
            Kind::Append | Kind::DeleteInsert | Kind::Merge | Kind::InsertOverwrite => self.only_grows(Some(number)),
        }
    }

    /// The names of the models that are relations.
    pub(super) fn relations(&self) -> Vec<String> {
        let models = self.models.iter().enumerate();
        let relations = models.filter(|(_, model)| model.kind != Kind::Ephemeral);
        relations.map(|(number, _)| format!("m{number}")).collect()
    }

    /// The project's files.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        let mut rates = "k,rate\n".to_owned();
        for (k, rate) in self.rates.iter().enumerate() {
            let _ = writeln!(rates, "{k},{rate}");
        }
        let mut yaml = "sources: [{name: shop, schema: raw_shop, tables: [{name: orders}]}]\n".to_owned();
        if self.documented {
            yaml += "models:\n  - name: m0\n    columns: [{name: v, description: A number.}]\n";
        }
        let factor = format!("{{% macro times(x) %}}({{{{ x }}}} * {}){{% endmacro %}}", self.factor);
        let project = format!(
            "name: acme\nmodel-paths: [marts]\nvars: {{minimum: {}}}\n",
            self.minimum
        );
        let mut files = vec![
            ("dbt_project.yml".to_owned(), project),
            ("seeds/rates.csv".to_owned(), rates),
            ("macros/times.sql".to_owned(), factor),
            ("marts/schema.yml".to_owned(), yaml),
        ];
        for number in 0..self.models.len() {
            files.push((format!("marts/m{number}.sql"), self.sql(number)));
        }
        files
    }

    fn sql(&self, number: usize) -> String {
        let model = &self.models[number];
        let relation = |parent: Option<usize>| match parent {
            Some(parent) => format!("{{{{ ref('m{parent}') }}}}"),
            None => "{{ source('shop', 'orders') }}".to_owned(),
        };
        let (parent, other) = (relation(model.parent), relation(model.other));
        let (p, c) = (format!("p{}", model.alias), model.constant);
        let from = format!("from {parent} as {p}");
        let columns = format!("{p}.id, {p}.k");
        let config = match model.kind {
            Kind::View => "materialized='view'",
            Kind::Table => "materialized='table'",
            Kind::Ephemeral => "materialized='ephemeral'",
            Kind::Append => "materialized='incremental'",
            Kind::DeleteInsert => "materialized='incremental', unique_key='k'",
            Kind::Merge => "materialized='incremental', unique_key=['id'], incremental_strategy='merge'",
            Kind::InsertOverwrite => {
                "materialized='incremental', partition_by='k', incremental_strategy='insert_overwrite'"
            }
        };
        let newest = "(select coalesce(max(id), -1) from {{ this }})";
        let new = match model.kind {
            Kind::Append | Kind::Merge => format!(" and {p}.id > {newest}"),
            // All rows of the groups that have new ones.
            _ => format!(" and {p}.k in (select k from {parent} where id > {newest})"),
        };
        let new = format!("{{% if is_incremental() %}}{new}{{% endif %}}");
        let body = match model.body {
            Body::Filter => {
                format!(
                    "select {columns}, {{{{ times('{p}.v') }}}} as v {from} where {p}.v > {{{{ var('minimum') }}}} + {c}{new}"
                )
            }
            Body::Shift => {
                format!("select {columns}, {p}.v + {{{{ env_var('SHIFT') }}}} * {c} as v {from} where true{new}")
            }
            Body::Values => {
                format!("select {columns}, {p}.v + t.x as v {from} cross join (values ({c})) as t(x) where true{new}")
            }
            Body::Rates => {
                format!("select {columns}, {p}.v * r.rate as v {from} join {{{{ ref('rates') }}}} as r on r.k = {p}.k")
            }
            Body::Sum => format!("select min({p}.id) as id, {p}.k, sum({p}.v) + {c} as v {from} group by {p}.k"),
            Body::Running => {
                format!("select {columns}, sum({p}.v) over (partition by {p}.k order by {p}.id, {p}.v) as v {from}")
            }
            Body::Join => format!("select {columns}, {p}.v + o.v as v {from} join {other} as o on o.id = {p}.id"),
            Body::Least => {
                format!(
                    "with all_of as (select * from {other}) select {columns}, {p}.v {from} where {p}.v > (select min(v) + {c} from all_of)"
                )
            }
        };
        let comment = format!("-- {}\n{}", model.comment, " ".repeat(model.comment as usize % 3));
        format!("{{{{ config({config}) }}}}\n{comment}{body}")
    }
}
