//! E-mail addresses, as the mail servers of most people deliver them.

/// Names before the `@` of addresses that are nobody's.
const NOBODY: [&str; 12] = [
    "anonimo",
    "n/a",
    "na",
    "no",
    "noemail",
    "noreply",
    "no-reply",
    "nomail",
    "none",
    "notengo",
    "sincorreo",
    "sinemail",
];

/// Lower case, without display name and tag; the dots of Gmail make no difference. Nothing, if it is no address.
pub(crate) fn email(text: &str) -> Option<String> {
    let text = match text.rsplit_once('<') {
        Some((_, inside)) => inside.split('>').next().unwrap_or_default(),
        None => text,
    };
    let text: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    let text = text.trim_matches(['.', ',', ';', '"', '\'']);
    let text = any_ascii::any_ascii(text).to_ascii_lowercase();
    let text = text.strip_prefix("mailto:").unwrap_or(&text);
    let (local, domain) = text.split_once('@')?;
    let local = local.split('+').next().unwrap_or_default();
    if local.is_empty() || domain.len() < 3 || domain.contains('@') || NOBODY.contains(&local) {
        return None;
    }
    Some(match domain {
        "gmail.com" | "googlemail.com" => format!("{}@gmail.com", local.replace('.', "")),
        _ => format!("{local}@{domain}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mailbox_has_one_address() {
        for written in [
            "Ana.Gil+shop@Gmail.com",
            " anagil@googlemail.com ",
            "Ana Gil <ana.gil@gmail.com>",
            "mailto:anagil@gmail.com",
        ] {
            assert_eq!(email(written).as_deref(), Some("anagil@gmail.com"), "{written}");
        }
        assert_eq!(
            email("a.b@example.org").as_deref(),
            Some("a.b@example.org"),
            "elsewhere a dot is a dot"
        );
        for nobody in ["", "ana", "@example.org", "ana@", "a@b@c.org", "noreply@example.org"] {
            assert_eq!(email(nobody), None, "{nobody}");
        }
    }
}
