//! The lake with policies, and the one whose tables are what those show.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use cordada_lake::query::session::state_for;
use cordada_lake::release::{ColumnDocs, Docs};
use cordada_lake::{Draft, Journal, JournalType, Lake, Mode, Relation, Settings, Write};
use cordada_query::auth::Principal;
use cordada_query::{Engine, Executor, Mask, Personal, Role, ServerLimits};
use cordada_query_contract::lines;
use datafusion::physical_plan::displayable;
use datafusion::physical_plan::memory::MemoryStream;
use futures::TryStreamExt;
use tempfile::TempDir;

/// What a person sees of the tables: the SQL of the reference, written without masks.
const SEEN_BY_ANA: [(&str, &str); 2] = [
    (
        "warehouse.person",
        "select id, left(name, 1) || '***' as name, left(email, 1) || '***@' || split_part(email, '@', 2) as email, \
         country, cast(0 as decimal(12,2)) as balance, date_trunc('year', born)::date as born, \
         case when false then home end as home, tags, upper(country) as note \
         from warehouse.person where country = 'ES'",
    ),
    (
        "warehouse.purchase",
        "select id, person_id, case when false then amount end as amount, at, country from warehouse.purchase \
         where country = 'ES' and person_id in (select id from warehouse.person version as of 2 where country = 'ES')",
    ),
];

/// Bea has ana's role, and one that shows the French as they are, but for their notes.
const SEEN_BY_BEA: [(&str, &str); 2] = [
    (
        "warehouse.person",
        "select id, case when country = 'FR' then name else left(name, 1) || '***' end as name, \
         case when country = 'FR' then email else left(email, 1) || '***@' || split_part(email, '@', 2) end as email, \
         country, case when country = 'FR' then balance else cast(0 as decimal(12,2)) end as balance, \
         case when country = 'FR' then born else date_trunc('year', born)::date end as born, \
         case when country = 'FR' then home end as home, tags, \
         case when country = 'FR' then secret end as secret, \
         case when country = 'FR' then 'none' else upper(country) end as note \
         from warehouse.person where country in ('ES', 'FR')",
    ),
    (
        "warehouse.purchase",
        "select id, person_id, case when country = 'FR' then amount end as amount, at, country from warehouse.purchase \
         where country = 'FR' or country = 'ES' and person_id in (select id from warehouse.person version as of 2 where country = 'ES')",
    ),
];

/// The rows that ana sees, and those that bea sees, with all that is in them.
const ROWS_OF_ANA: [(&str, &str); 2] = [
    (
        "warehouse.person",
        "select * from warehouse.person where country = 'ES'",
    ),
    (
        "warehouse.purchase",
        "select * from warehouse.purchase where country = 'ES' and person_id in \
         (select id from warehouse.person version as of 2 where country = 'ES')",
    ),
];
const ROWS_OF_BEA: [(&str, &str); 2] = [
    (
        "warehouse.person",
        "select * from warehouse.person where country in ('ES', 'FR')",
    ),
    (
        "warehouse.purchase",
        "select * from warehouse.purchase where country = 'FR' or country = 'ES' and person_id in \
         (select id from warehouse.person version as of 2 where country = 'ES')",
    ),
];

const VIEWS: [(&str, &str); 5] = [
    (
        "marts.spending",
        "select p.country, p.name, count(*) as purchases, sum(b.amount) as amount, min(p.email) as email \
         from lake.warehouse.purchase b join lake.warehouse.person p on p.id = b.person_id group by 1, 2",
    ),
    (
        "marts.people",
        "select id, email, balance, born from lake.warehouse.person",
    ),
    (
        "marts.spaniards",
        "select id, balance, note from lake.warehouse.person where country = 'ES'",
    ),
    (
        "marts.numbered",
        "select id, country, born from lake.warehouse.person where cast(note as int) > 0",
    ),
    (
        "marts.rich",
        "with rich as (select * from lake.marts.people where balance > 500) \
         select r.id, r.email, (select count(*) from lake.warehouse.purchase b where b.person_id = r.id) as purchases \
         from rich r",
    ),
];

/// What came of a statement.
#[derive(Debug, PartialEq)]
pub enum Answer {
    /// Its rows.
    Rows(Vec<String>),
    /// What is said.
    Refused(String),
}

/// One lake under policies, and for each user the lake that is what the user sees.
pub struct Lakes {
    policed: Side,
    by_user: BTreeMap<&'static str, Side>,
    /// For each user a lake under the same policies, without the rows that the user does not see.
    twins: BTreeMap<&'static str, Side>,
    users: BTreeMap<&'static str, Arc<Principal>>,
}

struct Side {
    engine: Engine,
    lake: Lake,
    _folder: TempDir,
}

impl Lakes {
    /// All of them, with two releases: in the first there are fewer rows.
    pub async fn fill() -> Self {
        let policed = Side::open().await;
        let people = [people(0..30), people(30..60)];
        let purchases = [purchases(0..100), purchases(100..240)];
        for release in 0..2 {
            let tables = [
                ("warehouse.person", people[release].clone()),
                ("warehouse.purchase", purchases[release].clone()),
            ];
            policed.publish(&tables, Mode::Append).await;
        }
        let mut by_user = BTreeMap::new();
        let seen_by_eva = SEEN_BY_ANA.map(|(table, _)| (table, String::new()));
        let of = |seen: [(&'static str, &str); 2]| seen.map(|(table, sql)| (table, sql.to_owned()));
        for (user, seen) in [("ana", of(SEEN_BY_ANA)), ("bea", of(SEEN_BY_BEA)), ("eva", seen_by_eva)] {
            by_user.insert(user, policed.really(&seen).await);
        }
        let mut twins = BTreeMap::new();
        for (user, rows) in [("ana", ROWS_OF_ANA), ("bea", ROWS_OF_BEA), ("eva", ROWS_OF_ANA)] {
            let rows = of(rows);
            twins.insert(user, policed.really(&rows).await);
        }
        let lakes = Self {
            policed,
            by_user,
            twins,
            users: users(),
        };
        lakes.policed.engine.check_policies(&roles()).await.unwrap();
        lakes
    }

    /// What the user is answered, which is what the reference answers.
    pub async fn same(&self, user: &str, sql: &str) -> Answer {
        let policed = self.policed(user, sql).await;
        let reference = &self.by_user[user];
        let expected = reference.answer(&self.users["plain"], sql).await;
        match (&policed, &expected) {
            (Answer::Refused(_), Answer::Refused(_)) => {}
            (Answer::Rows(_), Answer::Rows(_)) => assert_eq!(policed, expected, "{user}: {sql}"),
            // In which order conditions are computed is the engine's choice, so one of the two may fail on a row that the
            // other never meets. But it must be a row that the user sees.
            _ => {
                let twin = self.twins[user].answer(&self.users[user], sql).await;
                assert_eq!(policed, twin, "{user}: {sql}: {expected:?}");
            }
        }
        policed
    }

    /// The engine of the lake with policies.
    pub fn engine(&self) -> &Engine {
        &self.policed.engine
    }

    /// What somebody else is answered.
    pub async fn policed_as(&self, asker: &Principal, sql: &str) -> Answer {
        self.policed.answer(asker, sql).await
    }

    /// How a statement of somebody else would run, as text.
    pub async fn physical_plan(&self, asker: &Principal, sql: &str) -> String {
        let scope = self.policed.engine.scope(&asker.access, None, "marts").await.unwrap();
        let planned = self.policed.engine.plan(&scope, sql).await.unwrap();
        let state = state_for(&planned.workspace.session, "ana");
        let plan = state.create_physical_plan(&planned.plan).await.unwrap();
        displayable(&*plan).indent(false).to_string()
    }

    /// What the user is answered.
    pub async fn policed(&self, user: &str, sql: &str) -> Answer {
        self.policed.answer(&self.users[user], sql).await
    }
}

impl Side {
    async fn open() -> Self {
        let folder = TempDir::new().unwrap();
        let settings = Settings {
            journals: vec![Journal::new("runs", &[("run_id", JournalType::Text)])],
            parallelism: Some(2),
            ..Settings::default()
        };
        let lake = Lake::open(folder.path().to_str().unwrap(), &settings).await.unwrap();
        let (parallelism, memory) = (lake.parallelism(), lake.memory());
        let executor = Executor::new(parallelism, memory, &ServerLimits::default(), &BTreeMap::new());
        let executor = Arc::new(executor.unwrap());
        Self {
            engine: Engine::open(lake.clone(), executor).await.unwrap(),
            lake,
            _folder: folder,
        }
    }

    /// Writes rows and publishes them, with the views.
    async fn publish(&self, tables: &[(&str, Vec<RecordBatch>)], mode: Mode) {
        let mut draft = Draft::new(self.lake.releases().newest().await.unwrap(), "test", "run");
        for (name, rows) in tables {
            let (name, schema) = (name.parse().unwrap(), rows[0].schema());
            let write = Write::new(mode.clone(), schema.clone());
            let rows = MemoryStream::try_new(rows.clone(), schema, None).unwrap();
            let written = self.lake.write(&name, write, vec![Box::pin(rows)]).await.unwrap();
            let mut relation = Relation::table(self.lake.path_of(&name), written.version);
            relation.docs = docs(name.name()).into();
            draft.set(name, relation);
        }
        for (name, sql) in VIEWS {
            draft.set(name.parse().unwrap(), Relation::view(sql));
        }
        self.lake.releases().publish(&draft).await.unwrap();
    }

    /// The lake in which the tables are what these statements make of them, release by release. No statement: no rows.
    async fn really(&self, seen: &[(&'static str, String); 2]) -> Self {
        let side = Self::open().await;
        for release in 1..=2 {
            let mut tables = Vec::new();
            for (table, sql) in seen {
                let rows = match sql.is_empty() {
                    false => self.batches(release, sql).await,
                    // What eva sees has the columns that ana sees.
                    true => {
                        let (_, sql) = SEEN_BY_ANA.iter().find(|(name, _)| name == table).unwrap();
                        let sql = format!("select * from ({sql}) where false");
                        self.batches(release, &sql).await
                    }
                };
                tables.push((*table, rows));
            }
            side.publish(&tables, Mode::Overwrite).await;
        }
        side
    }

    async fn batches(&self, release: u64, sql: &str) -> Vec<RecordBatch> {
        let root = users()["root"].clone();
        let scope = self.engine.scope(&root.access, Some(release), "marts").await.unwrap();
        let planned = self.engine.plan(&scope, sql).await.unwrap();
        let session = &planned.workspace.session;
        let rows = session.execute_logical_plan(planned.plan.clone()).await.unwrap();
        let fields = rows.schema().fields().iter();
        let fields: Vec<_> = fields.map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let batches = rows.collect().await.unwrap().into_iter();
        let mut batches: Vec<_> = batches
            .map(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()).unwrap())
            .collect();
        batches.push(RecordBatch::new_empty(schema));
        batches
    }

    async fn answer(&self, asker: &Principal, sql: &str) -> Answer {
        let rows = async {
            let scope = self.engine.scope(&asker.access, None, "marts").await;
            let scope = scope.map_err(|error| error.to_string())?;
            let planned = self.engine.plan(&scope, sql).await;
            let planned = planned.map_err(|error| error.to_string())?;
            let state = state_for(&planned.workspace.session, "ana");
            let plan = state.create_physical_plan(&planned.plan).await;
            let plan = plan.map_err(|error| error.to_string())?;
            let rows = datafusion::physical_plan::execute_stream(plan, state.task_ctx());
            let rows = rows.map_err(|error| error.to_string())?;
            let rows: Vec<_> = rows.try_collect().await.map_err(|error| error.to_string())?;
            Ok::<_, String>(lines(&rows))
        };
        match rows.await {
            Ok(rows) => Answer::Rows(rows),
            Err(message) => Answer::Refused(message),
        }
    }
}

/// What ana's and bea's roles show; `plain` is for the reference, where there is nothing to hide.
pub fn roles() -> BTreeMap<String, Role> {
    let masks = |masks: &[(&str, Mask)]| {
        let masks = masks.iter().map(|(column, mask)| ((*column).to_owned(), mask.clone()));
        masks.collect::<BTreeMap<_, _>>()
    };
    let text = |pairs: &[(&str, &str)]| {
        let pairs = pairs
            .iter()
            .map(|(target, sql)| ((*target).to_owned(), (*sql).to_owned()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let read = vec!["warehouse".to_owned(), "marts".to_owned()];
    let analyst = Role {
        read: read.clone(),
        rows: text(&[
            ("warehouse", "country = attribute('country')"),
            (
                "warehouse.purchase",
                "person_id in (select id from lake.warehouse.person where country = attribute('country'))",
            ),
        ]),
        columns: BTreeMap::from([
            (
                "warehouse.person".to_owned(),
                masks(&[
                    ("balance", Mask::Constant("0".to_owned())),
                    ("secret", Mask::Hidden),
                    ("note", Mask::Expression("upper(attribute('country'))".to_owned())),
                ]),
            ),
            ("warehouse.purchase".to_owned(), masks(&[("amount", Mask::Null)])),
        ]),
        pii: Personal::Masked(BTreeMap::new()),
        ..Role::default()
    };
    let french = Role {
        read,
        rows: text(&[("warehouse", "country = 'FR'")]),
        columns: BTreeMap::from([(
            "warehouse.person".to_owned(),
            masks(&[("note", Mask::Expression("'none'".to_owned()))]),
        )]),
        ..Role::default()
    };
    let plain = Role {
        read: vec!["warehouse".to_owned(), "marts".to_owned()],
        ..Role::default()
    };
    let viewer = Role {
        read: vec!["marts".to_owned()],
        ..Role::default()
    };
    let admin = Role {
        read: vec!["*".to_owned()],
        ..Role::default()
    };
    [
        ("analyst", analyst),
        ("french", french),
        ("plain", plain),
        ("viewer", viewer),
        ("admin", admin),
    ]
    .map(|(name, role)| (name.to_owned(), role))
    .into()
}

/// Ana and bea are of Spain; nothing is known of eva, whom the same role shows nothing.
pub fn users() -> BTreeMap<&'static str, Arc<Principal>> {
    let user = |name: &'static str, own: &[&str], country: Option<&str>| {
        let own = own.iter().map(|role| (*role).to_owned()).collect();
        let attributes = country.map(|country| ("country".to_owned(), country.to_owned()));
        let attributes = attributes.into_iter().collect();
        (
            name,
            Arc::new(Principal::new(name.to_owned(), own, attributes, &roles())),
        )
    };
    BTreeMap::from([
        user("ana", &["analyst"], Some("ES")),
        user("bea", &["analyst", "french"], Some("ES")),
        user("eva", &["analyst"], None),
        user("plain", &["plain"], None),
        user("vic", &["viewer"], None),
        user("root", &["admin"], None),
    ])
}

fn docs(table: &str) -> Docs {
    let kinds: &[(&str, &str)] = match table {
        "person" => &[
            ("name", "name"),
            ("email", "email"),
            ("born", "birth_date"),
            ("home", "address"),
        ],
        _ => &[],
    };
    let columns = kinds.iter().map(|(column, kind)| {
        let docs = ColumnDocs {
            description: None,
            pii: Some((*kind).to_owned()),
        };
        ((*column).to_owned(), docs)
    });
    Docs {
        columns: columns.collect(),
        primary_key: vec!["id".to_owned()],
        ..Docs::default()
    }
}

const COUNTRIES: [&str; 4] = ["ES", "FR", "PT", "DE"];

/// Each second batch is a file of its own, and countries lie together, so that statistics tell of them.
fn people(ids: std::ops::Range<i64>) -> Vec<RecordBatch> {
    let ids: Vec<_> = ids.collect();
    let country = |id: &i64| COUNTRIES[usize::try_from(id % 4).unwrap()];
    let text =
        |of: &dyn Fn(&i64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(ids.iter().map(of))) };
    let balance = Decimal128Array::from_iter_values(ids.iter().map(|id| match id % 4 {
        2 => 66_600,
        _ => i128::from(*id) * 2_500,
    }));
    let city = text(&|id| format!("city-{id}"));
    let home = StructArray::from(vec![(Arc::new(Field::new("city", DataType::Utf8, true)), city)]);
    let tags = ids.iter().map(|id| Some(vec![Some(*id), Some(id % 7)]));
    let columns: [(&str, ArrayRef); 10] = [
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        ("name", text(&|id| format!("Name{id} {}", country(id)))),
        (
            "email",
            text(&|id| format!("user{id}@{}.example", country(id).to_lowercase())),
        ),
        ("country", text(&|id| country(id).to_owned())),
        ("balance", Arc::new(balance.with_precision_and_scale(12, 2).unwrap())),
        (
            "born",
            Arc::new(Date32Array::from_iter_values(
                ids.iter().map(|id| i32::try_from(*id * 200).unwrap()),
            )),
        ),
        ("home", Arc::new(home)),
        (
            "tags",
            Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(tags)),
        ),
        ("secret", text(&|id| format!("s3cr3t-{id}"))),
        (
            "note",
            text(&|id| {
                if id % 3 == 0 {
                    format!("{id}")
                } else {
                    format!("not a number {id}")
                }
            }),
        ),
    ];
    vec![RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).unwrap()]
}

fn purchases(ids: std::ops::Range<i64>) -> Vec<RecordBatch> {
    let ids: Vec<_> = ids.collect();
    let person = |id: &i64| (id * 7) % 60;
    let country = |id: &i64| COUNTRIES[usize::try_from(person(id) % 4).unwrap()];
    let at = ids.iter().map(|id| id * 3_600_000_000 * 31);
    let amounts = Decimal128Array::from_iter_values(ids.iter().map(|id| i128::from(id % 50) * 100));
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from(ids.clone()))),
        (
            "person_id",
            Arc::new(Int64Array::from_iter_values(ids.iter().map(person))),
        ),
        ("amount", Arc::new(amounts.with_precision_and_scale(12, 2).unwrap())),
        (
            "at",
            Arc::new(TimestampMicrosecondArray::from_iter_values(at).with_timezone("UTC")),
        ),
        (
            "country",
            Arc::new(StringArray::from_iter_values(ids.iter().map(country))),
        ),
    ];
    vec![RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true))).unwrap()]
}
