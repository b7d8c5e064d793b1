#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use cordada_lake::estimator::Rows;
use futures::TryStreamExt;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::*;
use crate::contract::{Case, InMemory};

const COLUMNS: [&str; 9] = [
    "record_key",
    "first_name",
    "last_name",
    "born_on",
    "email",
    "phone",
    "street",
    "postcode",
    "city",
];

type Row = [Option<String>; COLUMNS.len()];

/// Records of `persons` persons as two systems know them: with slips, with gaps, in couples that share a telephone and
/// an address.
fn people(persons: usize, seed: u64) -> Vec<(usize, Row)> {
    const GIVEN: [&str; 12] = [
        "María", "José", "Carmen", "Antonio", "Lucía", "Javier", "Ana", "Manuel", "Elena", "Pablo", "Sara", "Luis",
    ];
    const SURNAMES: [&str; 14] = [
        "García",
        "López",
        "Fernández",
        "Ruiz",
        "Moreno",
        "Muñoz",
        "Álvarez",
        "Romero",
        "Navarro",
        "Torres",
        "Gil",
        "Serrano",
        "Molina",
        "Castro",
    ];
    let mut rows = Vec::new();
    for person in 0..persons {
        let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(1_000_003) + person as u64);
        let mut home = SmallRng::seed_from_u64(seed ^ (person / 2 * 2) as u64);
        let is_couple = home.random_bool(0.2);
        let home = if is_couple { person / 2 * 2 } else { person };
        let given = GIVEN[random.random_range(0..GIVEN.len())];
        let surnames = [0; 2].map(|_| SURNAMES[random.random_range(0..SURNAMES.len())]);
        let born = format!(
            "{}-{:02}-{:02}",
            1940 + random.random_range(0..60),
            1 + random.random_range(0..12),
            1 + random.random_range(0..28)
        );
        let email = format!("{}{person}@correo.example", surnames[0].to_lowercase());
        for record in 0..1 + random.random_range(0..3) {
            let some = |random: &mut SmallRng, share: f64, text: String| random.random_bool(share).then_some(text);
            let surname = if random.random_bool(0.5) {
                surnames[0].to_owned()
            } else {
                surnames.join(" ")
            };
            let given = if random.random_bool(0.1) {
                given.to_uppercase()
            } else {
                given.to_owned()
            };
            rows.push((
                person,
                [
                    Some(format!("r{person}-{record}")),
                    Some(given),
                    Some(if random.random_bool(0.1) {
                        slip(&surname)
                    } else {
                        surname
                    }),
                    some(&mut random, 0.6, born.clone()),
                    some(&mut random, 0.7, email.clone()),
                    some(&mut random, 0.8, format!("6{:08}", home * 7919 % 100_000_000 + 12_345)),
                    Some(format!("Calle {}, {}", SURNAMES[home % 14], home % 90 + 1)),
                    Some(format!("{:05}", 8000 + home % 40 * 25)),
                    Some(["Madrid", "Sevilla", "Bilbao", "Valencia"][home % 4].to_owned()),
                ],
            ));
        }
    }
    rows
}

/// A text whose third and fourth letter are swapped.
fn slip(text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    if letters.len() > 3 {
        letters.swap(2, 3);
    }
    letters.into_iter().collect()
}

fn batch<'a>(rows: impl IntoIterator<Item = &'a Row>) -> RecordBatch {
    let rows: Vec<&Row> = rows.into_iter().collect();
    let column = |at: usize| Arc::new(rows.iter().map(|row| row[at].as_deref()).collect::<StringArray>()) as ArrayRef;
    RecordBatch::try_from_iter(COLUMNS.iter().enumerate().map(|(at, name)| (*name, column(at)))).unwrap()
}

fn decisions(rows: &[(&str, &str, &str)]) -> RecordBatch {
    let column = |of: fn(&(&str, &str, &str)) -> String| {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<StringArray>()) as ArrayRef
    };
    RecordBatch::try_from_iter([
        ("record_key_a", column(|row| row.0.to_owned())),
        ("record_key_b", column(|row| row.1.to_owned())),
        ("decision", column(|row| row.2.to_owned())),
    ])
    .unwrap()
}

fn in_memory(batch: RecordBatch, size: usize) -> Arc<dyn Rows> {
    Arc::new(InMemory { batch, size })
}

fn inputs(records: RecordBatch, decided: &[(&str, &str, &str)], size: usize) -> Inputs {
    Relations {
        main: in_memory(records, size),
        further: BTreeMap::from([(DECISIONS.to_owned(), in_memory(decisions(decided), size))]),
    }
}

pub(crate) fn case() -> Case {
    let rows = people(40, 3);
    Case {
        estimator: Arc::new(Identity),
        inputs: Relations {
            main: batch(rows.iter().map(|(_, row)| row)),
            further: BTreeMap::from([(
                DECISIONS.to_owned(),
                decisions(&[("r0-0", "r1-0", "never"), ("r2-0", "r3-0", "link")]),
            )]),
        },
        parameters: json!({"key": "record_key"}),
        names_column: Some("key"),
        of_changes: &["merges"],
    }
}

fn parameters(value: Value) -> Parameters {
    value.as_object().unwrap().clone()
}

/// What comes out of records and decisions after a release.
async fn run(inputs: &Inputs, settings: Value, previous: &Previous) -> Result<Relations<RecordBatch>> {
    let settings = parameters(settings);
    let artefact = Identity.fit(inputs, &settings).await?;
    let scores = Identity.score(&artefact, inputs, previous, &settings).await?;
    let promised = Identity.plan_of(inputs, &settings)?;
    let mut made = BTreeMap::new();
    for (name, rows) in scores.further {
        let schema = &promised.further[&name];
        made.insert(
            name,
            concat_batches(schema, &rows.try_collect::<Vec<_>>().await.unwrap()).unwrap(),
        );
    }
    let main = concat_batches(&promised.main, &scores.main.try_collect::<Vec<_>>().await.unwrap()).unwrap();
    Ok(Relations { main, further: made })
}

impl Identity {
    fn plan_of(&self, inputs: &Inputs, settings: &Parameters) -> Result<Relations<SchemaRef>> {
        (self as &dyn Estimator).plan(&schemas(inputs), settings)
    }
}

fn nothing_before() -> Previous {
    Relations::only(None)
}

fn published(outputs: &Relations<RecordBatch>) -> Previous {
    outputs.clone().map(|batch| Some(in_memory(batch, 11)))
}

fn key_only() -> Value {
    json!({"key": "record_key"})
}

fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Vec<&'a str> {
    batch[column]
        .as_string::<i32>()
        .iter()
        .map(Option::unwrap_or_default)
        .collect()
}

/// The person of every record.
fn persons(outputs: &Relations<RecordBatch>) -> BTreeMap<String, String> {
    let keys = texts(&outputs.main, "record_key").into_iter().map(str::to_owned);
    keys.zip(texts(&outputs.main, "person_id").into_iter().map(str::to_owned))
        .collect()
}

/// The records of every person, without their identifiers.
fn groups(outputs: &Relations<RecordBatch>) -> BTreeSet<BTreeSet<String>> {
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, person) in persons(outputs) {
        groups.entry(person).or_default().insert(key);
    }
    groups.into_values().collect()
}

fn measure(outputs: &Relations<RecordBatch>, name: &str) -> f64 {
    let quality = &outputs.further["quality"];
    let at = texts(quality, "measure")
        .iter()
        .position(|measure| *measure == name)
        .unwrap();
    quality["value"].as_primitive::<Float64Type>().value(at)
}

#[tokio::test]
async fn persons_are_found_without_labels() {
    let rows = people(400, 5);
    let found = run(
        &inputs(batch(rows.iter().map(|(_, row)| row)), &[], 64),
        key_only(),
        &nothing_before(),
    )
    .await
    .unwrap();
    let persons = persons(&found);
    let truth: BTreeMap<&str, usize> = rows
        .iter()
        .map(|(person, row)| (row[0].as_deref().unwrap(), *person))
        .collect();
    let (mut right, mut made, mut there) = (0.0, 0.0, 0.0);
    let all: Vec<_> = persons.iter().collect();
    for (at, (a, of_a)) in all.iter().enumerate() {
        for (b, of_b) in &all[at + 1..] {
            let (is_made, is_there) = (of_a == of_b, truth[a.as_str()] == truth[b.as_str()]);
            right += f64::from(is_made && is_there);
            made += f64::from(is_made);
            there += f64::from(is_there);
        }
    }
    let f1 = 2.0 * right / (made + there);
    assert!(f1 > 0.97, "{right} of {made} made and {there} there: {f1}");
    assert_eq!(measure(&found, "records"), rows.len() as f64);
    assert!(measure(&found, "expected_precision") > 0.9);
    let why: BTreeSet<_> = texts(&found.main, "why").into_iter().collect();
    assert_eq!(why, BTreeSet::from(["alike", "alone"]));
}

#[tokio::test]
async fn weights_of_fields_add_up() {
    let rows = people(60, 5);
    let found = run(
        &inputs(batch(rows.iter().map(|(_, row)| row)), &[], 64),
        key_only(),
        &nothing_before(),
    )
    .await
    .unwrap();
    let pairs = &found.further["pairs"];
    assert!(pairs.num_rows() > 20);
    let numbers = |column: &str| pairs[column].as_primitive::<Float64Type>().clone();
    let fields: Vec<_> = COLUMNS[1..]
        .iter()
        .map(|field| numbers(&format!("{field}_weight")))
        .collect();
    let (weights, likely, prior_weights) = (numbers("weight"), numbers("probability"), numbers("prior_weight"));
    let rarities = COLUMNS[1..].iter().map(|field| {
        let levels = texts(pairs, &format!("{field}_level"));
        (numbers(&format!("{field}_rarity")), levels)
    });
    let rarities: Vec<_> = rarities.collect();
    let mut priors = BTreeSet::new();
    for row in 0..pairs.num_rows() {
        let prior = weights.value(row) - fields.iter().map(|field| field.value(row)).sum::<f64>();
        priors.insert(format!("{prior:.6}"));
        assert!((prior - prior_weights.value(row)).abs() < 1e-9);
        for (rarities, levels) in &rarities {
            assert!(levels[row] == "exact" || rarities.value(row).abs() < 1e-9);
        }
        assert!((likely.value(row) - model::probability(weights.value(row))).abs() < 1e-12);
    }
    assert_eq!(
        priors.len(),
        1,
        "what remains is what any two records weigh: {priors:?}"
    );
    let weighs = |field: &str| {
        numbers(&format!("{field}_rarity"))
            .iter()
            .flatten()
            .any(|rarity| rarity != 0.0)
    };
    assert!(COLUMNS[1..].iter().any(|field| weighs(field)));
    let levels: BTreeSet<_> = texts(pairs, "last_name_level").into_iter().collect();
    assert!(levels.contains("exact") && levels.contains("similar"), "{levels:?}");
}

#[tokio::test]
async fn decisions_hold_whatever_the_weights_say() {
    let rows = people(60, 5);
    let records = || batch(rows.iter().map(|(_, row)| row));
    let free = run(&inputs(records(), &[], 64), key_only(), &nothing_before())
        .await
        .unwrap();
    let of = |outputs: &Relations<RecordBatch>, key: &str| persons(outputs)[key].clone();
    let together = groups(&free).into_iter().find(|group| group.len() > 2).unwrap();
    let (a, b) = (together.first().unwrap().as_str(), together.last().unwrap().as_str());
    let stranger = persons(&free)
        .into_keys()
        .find(|key| of(&free, key) != of(&free, a))
        .unwrap();
    let decided = [(a, b, "never"), (stranger.as_str(), a, "link"), ("nobody", a, "never")];
    let found = run(&inputs(records(), &decided, 64), key_only(), &published(&free))
        .await
        .unwrap();
    assert_ne!(of(&found, a), of(&found, b));
    assert_eq!(of(&found, a), of(&found, &stranger));
    assert_eq!(measure(&found, "decisions_without_record"), 1.0);
    let pairs = &found.further["pairs"];
    let kept_apart = (0..pairs.num_rows()).find(|row| {
        let of = BTreeSet::from([texts(pairs, "record_key_a")[*row], texts(pairs, "record_key_b")[*row]]);
        of == BTreeSet::from([a, b])
    });
    assert!(!pairs["same_person"].as_boolean().value(kept_apart.unwrap()));
    assert_eq!(texts(pairs, "why")[kept_apart.unwrap()], "decided");
    // And in the release after that.
    let later = run(&inputs(records(), &decided, 64), key_only(), &published(&found))
        .await
        .unwrap();
    assert_eq!(persons(&later), persons(&found));
    let undone = run(&inputs(records(), &[], 64), key_only(), &published(&later))
        .await
        .unwrap();
    assert_eq!(groups(&undone), groups(&free));
}

#[tokio::test]
async fn the_last_decision_counts_and_a_wrong_one_is_named() {
    let rows = people(20, 5);
    let records = batch(rows.iter().map(|(_, row)| row));
    let decided = |times: [&str; 2]| {
        let mut columns = vec![("decided_at", Arc::new(StringArray::from(times.to_vec())) as ArrayRef)];
        let said = decisions(&[("r0-0", "r1-0", "link"), ("r1-0", "r0-0", "never")]);
        let names = said.schema();
        columns.extend(
            names
                .fields()
                .iter()
                .map(|field| field.name().as_str())
                .zip(said.columns().iter().cloned()),
        );
        RecordBatch::try_from_iter(columns).unwrap()
    };
    for (times, is_one) in [
        (["2026-02-01", "2026-01-01"], true),
        (["2026-01-01", "2026-02-01"], false),
        (["2026-01-01", "2026-01-01"], false),
    ] {
        let mut inputs = inputs(records.clone(), &[], 64);
        inputs
            .further
            .insert(DECISIONS.to_owned(), in_memory(decided(times), 1));
        let persons = persons(&run(&inputs, key_only(), &nothing_before()).await.unwrap());
        assert_eq!(persons["r0-0"] == persons["r1-0"], is_one, "{times:?}");
    }
    let wrong = inputs(records, &[("r0-0", "r1-0", "maybe")], 64);
    let error = run(&wrong, key_only(), &nothing_before()).await.unwrap_err();
    assert!(error.to_string().contains("decision=maybe"), "{error}");
}

#[tokio::test]
async fn what_too_many_share_joins_nobody() {
    let mut rows = people(120, 5);
    for (_, row) in &mut rows {
        row[5] = Some("600 111 222".to_owned());
    }
    let shared = batch(rows.iter().map(|(_, row)| row));
    rows.iter_mut().for_each(|(_, row)| row[5] = None);
    let without = batch(rows.iter().map(|(_, row)| row));
    let of = async |records: RecordBatch| {
        run(&inputs(records, &[], 64), key_only(), &nothing_before())
            .await
            .unwrap()
    };
    let shared = of(shared).await;
    assert_eq!(measure(&shared, "values_of_too_many"), 1.0);
    assert_eq!(groups(&shared), groups(&of(without).await));
}

/// A name that one person in some thousands has.
fn rare_name(person: usize, of: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "ce", "di", "fo", "gu", "ja", "le", "mi", "no", "pu", "ra", "se", "ti", "vo", "xu", "za",
    ];
    let bits = hash::mix(person as u64, of);
    (0..4).map(|at| SYLLABLES[(bits >> (4 * at)) as usize % 16]).collect()
}

#[tokio::test]
async fn a_telephone_of_ten_thousand_joins_nobody_and_costs_no_more() {
    const PERSONS: usize = 10_000;
    let mut rows: Vec<(usize, Row)> = Vec::new();
    for person in 0..PERSONS {
        // Some are known twice, so that there is something to find.
        for record in 0..if person.is_multiple_of(10) { 2 } else { 1 } {
            let some = |of: u64, count: u64| hash::mix(person as u64, of) % count;
            let (given, surname) = (rare_name(person, 1), rare_name(person, 2));
            rows.push((
                person,
                [
                    Some(format!("r{person}-{record}")),
                    Some(given.clone()),
                    Some(surname.clone()),
                    Some(format!(
                        "{}-{:02}-{:02}",
                        1940 + some(3, 60),
                        1 + some(4, 12),
                        1 + some(5, 28)
                    )),
                    person
                        .is_multiple_of(2)
                        .then(|| format!("{given}.{surname}@correo.example")),
                    Some("600 111 222".to_owned()),
                    Some(format!("Calle {}, {}", rare_name(person % 500, 6), 1 + some(7, 90))),
                    Some(format!("{:05}", 8_000 + some(8, 400))),
                    Some("Madrid".to_owned()),
                ],
            ));
        }
    }
    let records = batch(rows.iter().map(|(_, row)| row));
    let found = run(&inputs(records, &[], 1_000), key_only(), &nothing_before())
        .await
        .unwrap();
    assert_eq!(measure(&found, "values_of_too_many"), 1.0);
    assert!(measure(&found, "pairs_compared") <= 20.0 * rows.len() as f64);
    let truth: BTreeMap<&str, usize> = rows
        .iter()
        .map(|(person, row)| (row[0].as_deref().unwrap(), *person))
        .collect();
    let groups = groups(&found);
    for group in &groups {
        let of: BTreeSet<usize> = group.iter().map(|key| truth[key.as_str()]).collect();
        assert_eq!(of.len(), 1, "{group:?}");
    }
    assert_eq!(groups.len(), PERSONS);
}

#[tokio::test]
async fn one_login_is_one_person_and_a_checked_number_is_not_two() {
    let rows = people(30, 5);
    let records = batch(rows.iter().map(|(_, row)| row));
    let mut columns: Vec<(&str, ArrayRef)> = COLUMNS.iter().copied().zip(records.columns().iter().cloned()).collect();
    let login = |row: usize| {
        if row < 2 || row == 5 || row == 6 {
            Some(format!("user{}", row / 5))
        } else {
            None
        }
    };
    let number = |row: usize| match row {
        5 => Some("12345678Z"),
        6 => Some("X1234567L"),
        _ => None,
    };
    columns.push(("login", Arc::new((0..rows.len()).map(login).collect::<StringArray>())));
    columns.push(("dni", Arc::new((0..rows.len()).map(number).collect::<StringArray>())));
    let records = RecordBatch::try_from_iter(columns).unwrap();
    let found = run(&Relations::only(in_memory(records, 64)), key_only(), &nothing_before())
        .await
        .unwrap();
    let key = |row: usize| rows[row].1[0].clone().unwrap();
    let persons = persons(&found);
    assert_eq!(persons[&key(0)], persons[&key(1)]);
    assert_ne!(
        persons[&key(5)],
        persons[&key(6)],
        "one login, and two numbers of the state"
    );
    let at = texts(&found.main, "record_key")
        .iter()
        .position(|text| *text == key(0))
        .unwrap();
    assert_eq!(texts(&found.main, "why")[at], "same login");
}

#[tokio::test]
async fn ids_outlive_loads_and_changes_are_told() {
    let rows = people(150, 5);
    let all: Vec<&Row> = rows.iter().map(|(_, row)| row).collect();
    let mut previous = nothing_before();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut last = None;
    for load in 1..=20 {
        let upto = all.len() * load / 20;
        let found = run(
            &inputs(batch(all[..upto].iter().copied()), &[], 50),
            key_only(),
            &previous,
        )
        .await
        .unwrap();
        let now = persons(&found);
        let merges = &found.further["merges"];
        let moved: BTreeSet<&str> = texts(merges, "from_person_id").into_iter().collect();
        for (key, person) in &known {
            assert!(
                now[key] == *person || moved.contains(person.as_str()),
                "load {load}: {key} was {person} and is {}",
                now[key]
            );
        }
        let numbers = merges["number"].as_primitive::<Int64Type>();
        assert!(numbers.values().iter().copied().eq(1..=merges.num_rows() as i64));
        (known, previous, last) = (now, published(&found), Some(found));
    }
    // As good as all at once.
    let at_once = run(
        &inputs(batch(all.iter().copied()), &[], 64),
        key_only(),
        &nothing_before(),
    )
    .await
    .unwrap();
    assert_eq!(groups(&last.unwrap()), groups(&at_once));
}

#[tokio::test]
async fn companies_are_not_their_people() {
    let column = |texts: &[Option<&str>]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    let records = RecordBatch::try_from_iter([
        ("id", column(&[Some("1"), Some("2"), Some("3"), Some("4"), Some("5")])),
        (
            "empresa",
            column(&[
                Some("Aceites Sur, S.L."),
                Some("ACEITES SUR SL"),
                Some("Aceites Sur"),
                Some("Aceites Sur"),
                Some("Pan y Vino SA"),
            ]),
        ),
        ("nombre", column(&[None, None, Some("Ana"), Some("Luis"), None])),
        (
            "apellidos",
            column(&[None, None, Some("Gil Ruiz"), Some("Castro Vega"), None]),
        ),
        (
            "telefono",
            column(&[
                Some("954 111 333"),
                Some("954111333"),
                Some("954111333"),
                Some("954111333"),
                Some("954 777 111"),
            ]),
        ),
        (
            "cif",
            column(&[Some("A58818501"), Some("A-58818501"), None, None, None]),
        ),
    ])
    .unwrap();
    let found = run(
        &Relations::only(in_memory(records, 2)),
        json!({"key": "id"}),
        &nothing_before(),
    )
    .await
    .unwrap();
    let persons: BTreeMap<_, _> = texts(&found.main, "id")
        .into_iter()
        .zip(texts(&found.main, "person_id"))
        .collect();
    assert_ne!(persons["1"], persons["3"]);
    assert_ne!(persons["3"], persons["4"]);
    assert_eq!(
        (measure(&found, "persons"), measure(&found, "companies") <= 3.0),
        (2.0, true)
    );
}

#[tokio::test]
async fn keys_of_any_type_and_lists_of_values_are_read() {
    let ids: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![7, 8, 9, 10]));
    let mails = |texts: &[&str]| Some(texts.iter().map(|text| Some(text.to_string())).collect::<Vec<_>>());
    let mut list = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    for of in [
        mails(&["a.gil@x.example", "ana@y.example"]),
        mails(&["ANA@y.example"]),
        None,
        mails(&[]),
    ] {
        list.append_option(of);
    }
    let list: ListArray = list.finish();
    let names = StringArray::from(vec!["Ana Gil Ruiz", "Gil Ruiz, Ana", "Luis Castro", "Eva Moreno"]);
    let records = RecordBatch::try_from_iter([
        ("id", ids),
        ("correos", Arc::new(list) as ArrayRef),
        ("name", Arc::new(names)),
    ])
    .unwrap();
    let settings = json!({"key": "id", "columns": {"correos": "email"}, "threshold": 0.5});
    let found = run(&Relations::only(in_memory(records, 3)), settings, &nothing_before())
        .await
        .unwrap();
    assert_eq!(found.main["id"].data_type(), &DataType::Int64);
    let ids = found.main["id"].as_primitive::<Int64Type>();
    let persons: BTreeMap<i64, &str> = ids
        .values()
        .iter()
        .copied()
        .zip(texts(&found.main, "person_id"))
        .collect();
    assert_eq!(persons[&7], persons[&8]);
    assert_eq!(persons.values().collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test]
async fn keys_are_there_and_different() {
    let mut rows = people(10, 5);
    rows[1].1[0] = rows[0].1[0].clone();
    let error = run(
        &inputs(batch(rows.iter().map(|(_, row)| row)), &[], 3),
        key_only(),
        &nothing_before(),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("two records have the same key"), "{error}");
    rows[1].1[0] = None;
    let error = run(
        &inputs(batch(rows.iter().map(|(_, row)| row)), &[], 3),
        key_only(),
        &nothing_before(),
    )
    .await
    .unwrap_err();
    assert!(error.to_string().contains("has no key"), "{error}");
}

#[test]
fn what_does_not_fit_is_named_before_anything_runs() {
    let records = batch(people(3, 5).iter().map(|(_, row)| row).collect::<Vec<_>>());
    let refusal = |settings: Value| {
        let error = Plan::new(&Relations::only(records.schema()), &parameters(settings)).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{error}");
        error.to_string()
    };
    for (settings, why) in [
        (json!({}), "key='record_key'"),
        (json!({"key": ["email", "phone"]}), "one column tells records apart"),
        (
            json!({"key": "record_key", "columns": {"emial": "email"}}),
            "did you mean `email`?",
        ),
        (
            json!({"key": "record_key", "columns": {"email": "e-mail"}}),
            "did you mean `email`?",
        ),
        (json!({"key": "record_key", "country": "ESP"}), "did you mean `ES`?"),
        (json!({"key": "record_key", "threshold": 1.0}), "between 0 and 1"),
        (
            json!({"key": "record_key", "limits": {"phne": 5}}),
            "did you mean `phone`?",
        ),
        (json!({"key": "record_key", "pairs_per_record": 0}), "at least 1"),
    ] {
        let said = refusal(settings.clone());
        assert!(said.contains(why), "{settings}: {said}");
    }
    let ignored: serde_json::Map<_, _> = COLUMNS[1..]
        .iter()
        .map(|column| ((*column).to_owned(), json!("ignore")))
        .collect();
    assert!(refusal(json!({"key": "record_key", "columns": ignored})).contains("no column is known"));
}

/// Runs the records and decisions of a few persons in this order and these batches, after a release of some of them.
async fn shuffled(rows: &[Row], decided: &[(&str, &str, &str)], seed: u64, size: usize) -> Relations<RecordBatch> {
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut rows, mut decided) = (rows.to_vec(), decided.to_vec());
    rows.shuffle(&mut random);
    decided.shuffle(&mut random);
    let mut previous = nothing_before();
    // The records came in any number of loads, with what was decided by then.
    for _ in 0..random.random_range(0..3) {
        let upto = random.random_range(0..=rows.len());
        let said = random.random_range(0..=decided.len());
        let found = run(
            &inputs(batch(&rows[..upto]), &decided[..said], size),
            key_only(),
            &previous,
        )
        .await
        .unwrap();
        previous = published(&found);
    }
    run(&inputs(batch(&rows), &decided, size), key_only(), &previous)
        .await
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_order_makes_the_same_persons(
        seed in any::<u64>(),
        size in 1usize..40,
        decided in prop::collection::vec((0usize..80, 0usize..80, any::<bool>()), 0..6),
        erased in prop::collection::btree_set(0usize..80, 0..10),
    ) {
        let mut rows: Vec<Row> = people(45, seed % 7).into_iter().map(|(_, row)| row).collect();
        let keys: Vec<String> = rows.iter().map(|row| row[0].clone().unwrap()).collect();
        let key = |at: usize| keys[at % keys.len()].as_str();
        let decided: Vec<_> = decided
            .iter()
            .map(|(a, b, link)| (key(*a), key(*b), if *link { "link" } else { "never" }))
            .filter(|(a, b, _)| a != b)
            .collect();
        let mut at = 0;
        rows.retain(|_| {
            at += 1;
            !erased.contains(&(at - 1))
        });
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let one = run(&inputs(batch(&rows), &decided, 64), key_only(), &nothing_before()).await.unwrap();
            let other = shuffled(&rows, &decided, seed, size).await;
            prop_assert_eq!(groups(&one), groups(&other));
            // Nothing that is said later takes a decision back that keeps apart.
            let persons = persons(&one);
            for (a, b, _) in decided.iter().filter(|(_, _, decision)| *decision == "never") {
                if let (Some(a), Some(b)) = (persons.get(*a), persons.get(*b)) {
                    prop_assert_ne!(a, b);
                }
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}

/// The identifier of every person, by all its records.
fn identified(outputs: &Relations<RecordBatch>) -> BTreeMap<BTreeSet<String>, String> {
    let mut records: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, person) in persons(outputs) {
        records.entry(person).or_default().insert(key);
    }
    records.into_iter().map(|(person, records)| (records, person)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn twenty_loads_leave_the_ids_of_whom_they_do_not_touch(
        seed in any::<u64>(),
        cuts in prop::collection::vec(0usize..=90, 19),
    ) {
        let mut rows: Vec<Row> = people(50, seed % 11).into_iter().map(|(_, row)| row).collect();
        rows.shuffle(&mut SmallRng::seed_from_u64(seed));
        let mut loads: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).collect();
        loads.push(rows.len());
        loads.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut previous = nothing_before();
            let mut known: BTreeMap<BTreeSet<String>, String> = BTreeMap::new();
            let mut gone: BTreeSet<String> = BTreeSet::new();
            for upto in loads {
                let found = run(&inputs(batch(&rows[..upto]), &[], 16), key_only(), &previous).await.unwrap();
                let now = identified(&found);
                for (records, id) in &known {
                    // Whoever has the same records as before is who he was.
                    if let Some(same) = now.get(records) {
                        prop_assert_eq!(same, id);
                    }
                }
                let ids: BTreeSet<String> = now.values().cloned().collect();
                prop_assert_eq!(ids.len(), now.len());
                gone.extend(known.into_values().filter(|id| !ids.contains(id)));
                (known, previous) = (now, published(&found));
            }
            // Each identifier that went is in the record of changes.
            let merges = previous.further["merges"].clone().unwrap().read().await.unwrap();
            let merges: Vec<RecordBatch> = merges.try_collect().await.unwrap();
            let from: BTreeSet<&str> = merges.iter().flat_map(|batch| texts(batch, "from_person_id")).collect();
            for id in &gone {
                prop_assert!(from.contains(id.as_str()), "{} went unseen", id);
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
