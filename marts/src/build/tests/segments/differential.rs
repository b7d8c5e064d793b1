//! Random persons, random changes: a segment that is kept current has the members, and says of each person what is
//! lacking, as one that is evaluated from scratch.
//!
//! `CORDADA_SEGMENT_STEPS=1000` tries longer, `CORDADA_TEST_SEED=7` others.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::random::Chance;
use super::*;

const STEPS: usize = 25;
const PERSONS: usize = 150;
const TOWNS: [&str; 4] = ["Vigo", "Lugo", "Ourense", ""];
const SEGMENTS: [(&str, &str); 4] = [
    (
        "keen",
        "from: customers\nconsent: news\nfilters:\n  - orders >= 3\n  - {name: near, where: town <> 'Lugo'}\n",
    ),
    ("vigo", "from: customers\nwhere: town = 'Vigo' or orders is null\n"),
    (
        "both",
        "from: customers\ninclude: [keen]\nexclude: [vigo]\nfilters: [orders < 9]\n",
    ),
    ("rest", "from: customers\nexclude: [keen, both]\n"),
];

fn person(chance: &mut Chance, id: usize) -> String {
    let orders = match chance.below(5) {
        0 => String::new(),
        _ => chance.below(12).to_string(),
    };
    format!("{id},{orders},{}\n", chance.of(&TOWNS))
}

/// The last word on each person of a segment.
async fn live(house: &House, segment: &str) -> String {
    let query = format!(
        "select customer_id, lacks from (\n\
         select *, row_number() over (partition by customer_id order by evaluation desc) as nth from segments.{segment}__history\n\
         ) as numbered where nth = 1 order by 1"
    );
    house.query(&query).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_current_equals_what_is_evaluated_from_scratch() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let mut chance = Chance(number("CORDADA_TEST_SEED").unwrap_or(20_261_201) as u64);
    let house = house_with(&[]).await;
    for (name, text) in SEGMENTS {
        house.write(&format!("segments/{name}.yml"), text);
    }
    let mut people = "customer_id,orders,town\n".to_owned();
    (0..PERSONS).for_each(|id| people += &person(&mut chance, id));
    house.write("seeds/people.csv", &people);
    let mut decisions = "customer_id,purpose,status\n".to_owned();
    for id in (0..PERSONS).filter(|id| id % 3 > 0) {
        let _ = writeln!(decisions, "{id},news,granted");
    }
    house.write("seeds/decisions.csv", &decisions);
    house.build().await;
    let (mut narrow, mut story, mut persons) = (0, Vec::new(), PERSONS);
    for _ in 0..number("CORDADA_SEGMENT_STEPS").unwrap_or(STEPS) {
        let mut people = "customer_id,orders,town\n".to_owned();
        let mut changed = BTreeMap::new();
        for _ in 0..chance.below(8) {
            // Now and then somebody new.
            let id = match chance.below(6) {
                0 => {
                    persons += 1;
                    persons
                }
                _ => chance.below(persons),
            };
            changed.insert(id, person(&mut chance, id));
        }
        people.extend(changed.into_values());
        let mut decisions = "customer_id,purpose,status\n".to_owned();
        for _ in 0..chance.below(3) {
            let (id, status) = (chance.below(persons), chance.of(&["granted", "withdrawn"]));
            let _ = writeln!(decisions, "{id},news,{status}");
        }
        house.write("seeds/people.csv", &people);
        house.write("seeds/decisions.csv", &decisions);
        story.push(people + &decisions);
        // Now and then the marts are built before the segments.
        if chance.below(4) == 0 {
            let only = BuildOptions {
                select: vec!["+customers +consents".to_owned()],
                ..BuildOptions::default()
            };
            assert!(house.build_with(only).await.unwrap().succeeded());
        }
        let report = house.build().await;
        let compiled = house.compile().await.unwrap();
        for (name, _) in SEGMENTS {
            narrow += usize::from(note(&report, name).contains("about whom"));
            let node = compiled.nodes().find(|node| node.name == name).unwrap();
            let full = house
                .query(&format!(
                    "select customer_id, lacks from (\n{}\n) as evaluated order by 1",
                    node.sql
                ))
                .await;
            assert_eq!(
                live(&house, name).await,
                full,
                "{name}: {} after {story:#?}",
                note(&report, name)
            );
            let members = house
                .query(&format!("select customer_id from segments.{name} order by 1"))
                .await;
            let of_full = full.lines().filter(|line| !line.contains(' '));
            assert_eq!(
                members.lines().collect::<Vec<_>>(),
                of_full.collect::<Vec<_>>(),
                "{name}"
            );
            let open = format!(
                "select cast(member as int) from segments.membership where segment = '{name}' and left_at is null order by 1"
            );
            assert_eq!(house.query(&open).await, members, "{name}");
        }
    }
    assert!(narrow > STEPS, "hardly anything was narrowed down: {narrow}");
}
