//! A waterfall of weights as people see it: a line a weight, each bar beginning where the one above it ends.

use std::fmt::Write;

use cordada_project::identity::{Standing, Waterfall};

/// How wide the bars are together, in characters.
const WIDTH: usize = 40;

/// One line.
struct Line<'a> {
    name: &'a str,
    level: &'a str,
    weight: f64,
    rarity: Option<f64>,
    /// Where its bar begins and ends.
    from: f64,
    to: f64,
}

/// The picture, with a heading and a sentence about what came of it.
pub fn of(waterfall: &Waterfall) -> String {
    let lines = lines(waterfall);
    let ends = || lines.iter().flat_map(|line| [line.from, line.to]);
    let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
    let cell = |at: f64| ((at - low) / (high - low).max(1e-9) * WIDTH as f64).round() as usize;
    let names = lines
        .iter()
        .map(|line| line.name.chars().count())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    let [a, b] = &waterfall.records;
    let _ = writeln!(text, "{a} and {b}: {}\n", verdict(waterfall));
    let _ = writeln!(text, "{:names$}  {:9}  {:>6}  {:>6}", "", "", "bits", "rarity");
    for line in &lines {
        let (from, to) = (cell(line.from.min(line.to)), cell(line.from.max(line.to)));
        let bar = (0..=WIDTH).map(|at| match at {
            _ if (from..to).contains(&at) && line.to >= line.from => '█',
            _ if (from..to).contains(&at) => '░',
            _ if at == cell(0.0) => '│',
            _ => ' ',
        });
        let rarity = line.rarity.filter(|rarity| rarity.abs() >= 0.05);
        let row = format!(
            "{:names$}  {:9}  {:>6}  {:>6}  {}",
            line.name,
            line.level,
            signed(line.weight),
            rarity.map(signed).unwrap_or_default(),
            bar.collect::<String>(),
        );
        let _ = writeln!(text, "{}", row.trim_end());
    }
    let _ = writeln!(
        text,
        "\nThe odds are 2^{:.1}: a probability of {}.",
        waterfall.weight,
        likely(waterfall.probability)
    );
    text
}

fn lines(waterfall: &Waterfall) -> Vec<Line<'_>> {
    let mut sum = waterfall.prior;
    let mut lines = vec![Line {
        name: "any two records",
        level: "",
        weight: sum,
        rarity: None,
        from: 0.0,
        to: sum,
    }];
    for field in &waterfall.fields {
        lines.push(Line {
            name: &field.name,
            level: &field.level,
            weight: field.weight,
            rarity: Some(field.rarity),
            from: sum,
            to: sum + field.weight,
        });
        sum += field.weight;
    }
    lines.push(Line {
        name: "in all",
        level: "",
        weight: sum,
        rarity: None,
        from: 0.0,
        to: sum,
    });
    lines
}

/// What came of a pair, and why.
fn verdict(waterfall: &Waterfall) -> String {
    let is_one = waterfall.is_one_person();
    match (&waterfall.standing, is_one) {
        (Standing::Kept(why), true) => format!("one person ({why})"),
        (Standing::Kept(why), false) if why == "decided" => "two persons (decided)".to_owned(),
        (Standing::Kept(_), false) => {
            "two persons (too unlike, or their persons contradict each other in other records)".to_owned()
        }
        (Standing::TooLight, true) => "one person through other records; too unlike by themselves".to_owned(),
        (Standing::TooLight, false) => "two persons (too unlike)".to_owned(),
        (Standing::NotCompared, true) => {
            "one person through other records; not compared, because they share no block".to_owned()
        }
        (Standing::NotCompared, false) => "two persons (not compared, because they share no block)".to_owned(),
    }
}

/// Bits with their sign, and none for nothing.
fn signed(weight: f64) -> String {
    match weight {
        nothing if nothing.abs() < 0.05 => "0.0".to_owned(),
        _ => format!("{weight:+.1}"),
    }
}

/// A probability with as many digits as tell it from certainty, within reason.
fn likely(probability: f64) -> String {
    let doubt = probability.min(1.0 - probability);
    match doubt {
        _ if doubt >= 1e-6 => {
            let digits = (-doubt.log10()).ceil() as usize + 1;
            format!("{probability:.digits$}")
        }
        _ if probability < 0.5 => "less than 0.000001".to_owned(),
        _ => "more than 0.999999".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use cordada_project::identity::FieldWeight;

    use super::*;

    fn field(name: &str, level: &str, weight: f64, rarity: f64) -> FieldWeight {
        FieldWeight {
            name: name.to_owned(),
            level: level.to_owned(),
            weight,
            rarity,
        }
    }

    fn waterfall(standing: Standing) -> Waterfall {
        Waterfall {
            model: "ml.persons".to_owned(),
            records: ["erp:1".to_owned(), "shop:2".to_owned()],
            persons: ["p".to_owned(), "p".to_owned()],
            standing,
            prior: -10.0,
            fields: vec![
                field("first_name", "close", 4.0, 0.0),
                field("phone", "exact", 14.0, 2.5),
                field("city", "different", -2.0, 0.0),
                field("born_on", "missing", 0.0, 0.0),
            ],
            weight: 6.0,
            probability: 0.984_615,
        }
    }

    #[test]
    fn each_bar_begins_where_the_one_above_it_ends() {
        let expected = "\
erp:1 and shop:2: one person (alike)

                              bits  rarity
any two records              -10.0          ░░░░░░░░░░░░░░░░░░░░░░│
first_name       close        +4.0          █████████             │
phone            exact       +14.0    +2.5           ███████████████████████████████
city             different    -2.0                                │             ░░░░
born_on          missing       0.0                                │
in all                        +6.0                                ██████████████

The odds are 2^6.0: a probability of 0.985.
";
        assert_eq!(of(&waterfall(Standing::Kept("alike".to_owned()))), expected);
    }

    #[test]
    fn what_came_of_it_is_said() {
        let said = |standing| of(&waterfall(standing)).lines().next().map(str::to_owned);
        assert!(said(Standing::NotCompared).is_some_and(|line| line.contains("share no block")));
        assert!(said(Standing::TooLight).is_some_and(|line| line.contains("through other records")));
        for (probability, said) in [
            (0.5, "0.50"),
            (0.998_8, "0.9988"),
            (1e-12, "less than 0.000001"),
            (1.0, "more than 0.999999"),
        ] {
            assert_eq!(likely(probability), said);
        }
        let apart = Waterfall {
            persons: ["p".to_owned(), "q".to_owned()],
            ..waterfall(Standing::Kept("decided".to_owned()))
        };
        assert!(of(&apart).contains("two persons (decided)"));
    }
}
