//! Names of persons in Spanish (two surnames, particles), Portuguese and English.

use super::text;

/// Forms of address.
#[rustfmt::skip]
const TITLES: [&str; 24] = [
    "d", "don", "dona", "dna", "doctor", "doctora", "dr", "dra", "excmo", "ilmo", "ing", "lic", "miss", "mr", "mrs",
    "ms", "prof", "senhor", "senhora", "senor", "senora", "sir", "sr", "sra",
];

/// Words that join surnames or lead to them, and that people write or leave out.
#[rustfmt::skip]
const PARTICLES: [&str; 26] = [
    "al", "ben", "d", "da", "das", "de", "del", "den", "der", "di", "do", "dos", "du", "e", "el", "i", "la", "las",
    "los", "ten", "ter", "van", "von", "y", "zu", "bin",
];

/// Abbreviations in handwriting and old systems.
#[rustfmt::skip]
const ABBREVIATED: [(&str, &str); 26] = [
    ("alvz", "alvarez"), ("ant", "antonio"), ("dguez", "dominguez"), ("dmguez", "dominguez"), ("fca", "francisca"),
    ("fco", "francisco"), ("fdez", "fernandez"), ("fdz", "fernandez"), ("fern", "fernandez"), ("gcia", "garcia"),
    ("glez", "gonzalez"), ("gmez", "gomez"), ("gral", "general"), ("gtrrez", "gutierrez"), ("hdez", "hernandez"),
    ("jmnez", "jimenez"), ("lpz", "lopez"), ("ma", "maria"), ("mdez", "mendez"), ("mnez", "martinez"),
    ("mtnez", "martinez"), ("mtz", "martinez"), ("rdez", "rodriguez"), ("rdguez", "rodriguez"),
    ("rguez", "rodriguez"), ("schez", "sanchez"),
];

/// What friends call somebody, and the name that it stands for. In Spanish, Portuguese and English.
#[rustfmt::skip]
const FAMILIAR: [(&str, &str); 136] = [
    ("abby", "abigail"), ("al", "albert"), ("alex", "alejandro"), ("andy", "andrew"), ("barb", "barbara"),
    ("bea", "beatriz"), ("becky", "rebecca"), ("ben", "benjamin"), ("bernie", "bernard"), ("bert", "albert"),
    ("bess", "elizabeth"), ("beth", "elizabeth"), ("beto", "alberto"), ("betty", "elizabeth"), ("bia", "beatriz"),
    ("bill", "william"), ("billy", "william"), ("bob", "robert"), ("bobby", "robert"), ("cathy", "catherine"),
    ("chari", "rosario"), ("charlie", "charles"), ("charo", "rosario"), ("chelo", "consuelo"),
    ("chema", "jose maria"), ("chico", "francisco"), ("chris", "christopher"), ("chuck", "charles"),
    ("concha", "concepcion"), ("conchi", "concepcion"), ("cris", "cristina"), ("curro", "francisco"),
    ("dan", "daniel"), ("dani", "daniel"), ("danny", "daniel"), ("dave", "david"), ("debbie", "deborah"),
    ("dick", "richard"), ("dolly", "dorothy"), ("don", "donald"), ("drew", "andrew"), ("duda", "eduarda"),
    ("ed", "edward"), ("eddie", "edward"), ("edu", "eduardo"), ("encarna", "encarnacion"), ("fer", "fernando"),
    ("fran", "francisco"), ("frank", "francis"), ("fred", "frederick"), ("gabi", "gabriel"), ("greg", "gregory"),
    ("guille", "guillermo"), ("hank", "henry"), ("harry", "henry"), ("inma", "inmaculada"), ("isa", "isabel"),
    ("jack", "john"), ("javi", "javier"), ("jeff", "jeffrey"), ("jen", "jennifer"), ("jenny", "jennifer"),
    ("jerry", "gerald"), ("jim", "james"), ("jimmy", "james"), ("joe", "joseph"), ("johnny", "john"),
    ("josh", "joshua"), ("juancho", "juan"), ("juanjo", "juan jose"), ("kate", "katherine"), ("kathy", "katherine"),
    ("katie", "katherine"), ("ken", "kenneth"), ("kiko", "francisco"), ("larry", "lawrence"), ("leo", "leonardo"),
    ("lisa", "elizabeth"), ("liz", "elizabeth"), ("lola", "dolores"), ("loli", "dolores"), ("lupe", "guadalupe"),
    ("maggie", "margaret"), ("maite", "maria teresa"), ("manny", "manuel"), ("manolo", "manuel"), ("manu", "manuel"),
    ("mari", "maria"), ("maribel", "maria isabel"), ("marisa", "maria luisa"), ("matt", "matthew"),
    ("mayte", "maria teresa"), ("meg", "margaret"), ("menchu", "carmen"), ("merche", "mercedes"), ("mike", "michael"),
    ("montse", "montserrat"), ("nacho", "ignacio"), ("nando", "fernando"), ("nati", "natividad"),
    ("nick", "nicholas"), ("paco", "francisco"), ("pancho", "francisco"), ("paqui", "francisca"), ("pat", "patricia"),
    ("patri", "patricia"), ("patty", "patricia"), ("peggy", "margaret"), ("pepa", "josefa"), ("pepe", "jose"),
    ("pete", "peter"), ("pili", "pilar"), ("quim", "joaquim"), ("quique", "enrique"), ("rafa", "rafael"),
    ("ray", "raymond"), ("rick", "richard"), ("rob", "robert"), ("ron", "ronald"), ("sam", "samuel"),
    ("sandy", "sandra"), ("santi", "santiago"), ("sergi", "sergio"), ("sofi", "sofia"), ("steve", "stephen"),
    ("sue", "susan"), ("susi", "susana"), ("ted", "edward"), ("tere", "teresa"), ("tim", "timothy"),
    ("tom", "thomas"), ("toni", "antonio"), ("tono", "antonio"), ("tony", "anthony"), ("will", "william"),
    ("yoli", "yolanda"),
];

/// A given name, without forms of address.
pub(crate) fn given(text: &str) -> Option<String> {
    words(text, |word| TITLES.contains(&word))
}

/// One surname or two, without particles.
pub(crate) fn surname(text: &str) -> Option<String> {
    words(text, |word| PARTICLES.contains(&word))
}

/// All names of a person, the given ones first: `García López, Ana` is `ana garcia lopez`.
pub(crate) fn full(text: &str) -> Option<String> {
    let is_left_out = |word: &str| TITLES.contains(&word) || PARTICLES.contains(&word);
    match text.split_once(',') {
        Some((surnames, given)) if !given.trim().is_empty() => words(&format!("{given} {surnames}"), is_left_out),
        _ => words(text, is_left_out),
    }
}

/// A name of all names, split where only one text is known: the first word, or both if it is a double name, and the rest.
pub(crate) fn parts(full: &str) -> (Option<String>, Option<String>) {
    let (given, surname) = match full.split_once(' ') {
        Some((given, surname)) => (given, surname),
        None => return (None, Some(full.to_owned())),
    };
    // Of four words the first two are given names: María José García López.
    match surname.split_once(' ') {
        Some((second, rest)) if rest.contains(' ') => (Some(format!("{given} {second}")), Some(rest.to_owned())),
        _ => (Some(given.to_owned()), Some(surname.to_owned())),
    }
}

/// The name that a familiar one stands for.
pub(crate) fn familiar(name: &str) -> Option<&'static str> {
    let at = FAMILIAR.binary_search_by_key(&name, |(familiar, _)| familiar).ok()?;
    Some(FAMILIAR[at].1)
}

/// The words that are not left out; all of them, when nothing would be left.
fn words(text: &str, is_left_out: impl Fn(&str) -> bool) -> Option<String> {
    let folded = text::meaningful(text)?;
    let mut kept = String::with_capacity(folded.len());
    for word in folded.split(' ').filter(|word| !is_left_out(word)) {
        if !kept.is_empty() {
            kept.push(' ');
        }
        let whole = ABBREVIATED.binary_search_by_key(&word, |(short, _)| short);
        kept.push_str(whole.map_or(word, |at| ABBREVIATED[at].1));
    }
    Some(if kept.is_empty() { folded } else { kept })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particles_and_titles_make_no_difference() {
        assert_eq!(surname("De la Fuente y Gómez").as_deref(), Some("fuente gomez"));
        assert_eq!(surname("dos Santos-Silva").as_deref(), Some("santos silva"));
        assert_eq!(surname("De").as_deref(), Some("de"), "all that there is");
        assert_eq!(given("Dña. Mª José").as_deref(), Some("maria jose"));
        assert_eq!(given("Sr. Fco. Javier").as_deref(), Some("francisco javier"));
        assert_eq!(full("O'Neill, Mrs. Mary").as_deref(), Some("mary oneill"));
        assert_eq!(given("n/a"), None);
    }

    #[test]
    fn tables_are_sorted() {
        assert!(FAMILIAR.is_sorted_by_key(|(familiar, _)| *familiar));
        assert!(ABBREVIATED.is_sorted_by_key(|(short, _)| *short));
        assert_eq!(familiar("pepe"), Some("jose"));
        assert_eq!(familiar("jose"), None);
    }

    #[test]
    fn one_text_has_given_names_and_surnames() {
        let parts = |text: &str| {
            let (given, surname) = parts(text);
            format!("{}|{}", given.unwrap_or_default(), surname.unwrap_or_default())
        };
        assert_eq!(parts("ana garcia lopez"), "ana|garcia lopez");
        assert_eq!(parts("maria jose garcia lopez"), "maria jose|garcia lopez");
        assert_eq!(parts("madonna"), "|madonna");
    }
}
