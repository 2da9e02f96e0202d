//! English, as little of it as is needed.

/// Lower-case ASCII letters, digits, dashes and underscores, beginning with a letter.
pub(super) fn is_plain(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
}

pub(crate) fn is_article(word: &str) -> bool {
    ["a", "an", "the"].contains(&word.to_lowercase().as_str())
}

/// Words before the name of a field.
pub(super) fn is_determiner(word: &str) -> bool {
    is_article(word) || ["my", "our", "your", "their", "its", "some", "of", "also"].contains(&word)
}

/// Words before a noun that name nothing.
pub(super) fn is_filler(word: &str) -> bool {
    const FILLERS: &[&str] = &[
        "a", "an", "the", "my", "our", "your", "their", "its", "some", "all", "simple", "small", "basic", "list", "lists", "of",
        "managing", "tracking", "storing", "also", "each", "every",
    ];
    FILLERS.contains(&word)
}

const IRREGULAR: &[(&str, &str)] = &[
    ("person", "people"),
    ("child", "children"),
    ("man", "men"),
    ("woman", "women"),
    ("mouse", "mice"),
    ("goose", "geese"),
    ("foot", "feet"),
    ("tooth", "teeth"),
    ("ox", "oxen"),
    ("analysis", "analyses"),
    ("crisis", "crises"),
    ("leaf", "leaves"),
    ("shelf", "shelves"),
    ("knife", "knives"),
    ("life", "lives"),
    ("wolf", "wolves"),
    ("movie", "movies"),
    ("cookie", "cookies"),
    ("tie", "ties"),
    ("status", "statuses"),
    ("bus", "buses"),
    ("series", "series"),
    ("species", "species"),
    ("sheep", "sheep"),
    ("fish", "fish"),
    ("news", "news"),
    ("equipment", "equipment"),
    ("thesis", "theses"),
    ("hypothesis", "hypotheses"),
    ("diagnosis", "diagnoses"),
    ("matrix", "matrices"),
    ("half", "halves"),
    ("loaf", "loaves"),
];

pub(super) fn singular(word: &str) -> String {
    if let Some((one, _)) = IRREGULAR.iter().find(|(one, many)| *many == word || *one == word) {
        return (*one).to_owned();
    }
    let cut = |n: usize, end: &str| format!("{}{end}", &word[..word.len() - n]);
    match word {
        w if w.ends_with("ies") && w.len() > 4 => cut(3, "y"),
        w if ["heroes", "potatoes", "tomatoes", "echoes"].contains(&w) => cut(2, ""),
        w if w.ends_with("zzes") => cut(3, ""),
        w if w.ends_with("caches") || w.ends_with("headaches") || w.ends_with("niches") => cut(1, ""),
        w if ["sses", "shes", "ches", "xes", "tzes"].iter().any(|end| w.ends_with(end)) => cut(2, ""),
        w if w.ends_with("ss") || w.ends_with("us") || w.ends_with("is") => w.to_owned(),
        w if w.ends_with('s') && w.len() > 2 => cut(1, ""),
        w => w.to_owned(),
    }
}

/// "statuses", not "status".
pub(super) fn is_many(word: &str) -> bool {
    let one = singular(word);
    one != word && plural(&one) == word
}

pub(crate) fn plural(word: &str) -> String {
    if let Some((_, many)) = IRREGULAR.iter().find(|(one, _)| *one == word) {
        return (*many).to_owned();
    }
    let before_last = word.chars().rev().nth(1);
    match word {
        w if w.ends_with('y') && before_last.is_some_and(|c| !"aeiou".contains(c)) => format!("{}ies", &w[..w.len() - 1]),
        w if ["s", "sh", "ch", "x", "z"].iter().any(|end| w.ends_with(end)) => format!("{w}es"),
        w if ["hero", "potato", "tomato", "echo"].contains(&w) => format!("{w}es"),
        w => format!("{w}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_nouns() {
        for (one, many) in [
            ("todo", "todos"),
            ("box", "boxes"),
            ("city", "cities"),
            ("day", "days"),
            ("person", "people"),
            ("class", "classes"),
            ("movie", "movies"),
            ("status", "statuses"),
            ("shoe", "shoes"),
            ("prize", "prizes"),
            ("cache", "caches"),
            ("batch", "batches"),
            ("hero", "heroes"),
        ] {
            assert_eq!((singular(many).as_str(), plural(one).as_str()), (one, many));
            assert_eq!(singular(one), one);
        }
    }
}
