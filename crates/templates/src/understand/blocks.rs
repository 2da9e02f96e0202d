//! "…, with search and pagination": what a project has beside its fields.

use super::constraints::{joined, tokens};
use crate::{Block, Kind};

const PHRASES: &[(&[&str], Block)] = &[
    (&["full-text", "search"], Block::Search),
    (&["search"], Block::Search),
    (&["searching"], Block::Search),
    (&["pagination"], Block::Pagination),
    (&["paging"], Block::Pagination),
    (&["sign-up", "and", "login"], Block::Authentication),
    (&["user", "accounts"], Block::Authentication),
    (&["user", "authentication"], Block::Authentication),
    (&["user", "login"], Block::Authentication),
    (&["authentication"], Block::Authentication),
    (&["auth"], Block::Authentication),
    (&["login"], Block::Authentication),
    (&["sign-in"], Block::Authentication),
    (&["sign-up"], Block::Authentication),
    (&["file", "uploads"], Block::FileUpload),
    (&["file", "upload"], Block::FileUpload),
    (&["photo", "upload"], Block::FileUpload),
    (&["image", "upload"], Block::FileUpload),
    (&["file", "attachments"], Block::FileUpload),
    (&["attachments"], Block::FileUpload),
    (&["live", "updates"], Block::Websocket),
    (&["real-time", "updates"], Block::Websocket),
    (&["realtime", "updates"], Block::Websocket),
    (&["websocket", "updates"], Block::Websocket),
    (&["payment", "processing"], Block::Payment),
    (&["online", "payments"], Block::Payment),
    (&["online", "payment"], Block::Payment),
    (&["card", "payments"], Block::Payment),
    (&["card", "payment"], Block::Payment),
    (&["payments"], Block::Payment),
];
/// What a mobile backend does anyway.
const SYNC: &[&[&str]] = &[
    &["that", "syncs", "between", "devices"],
    &["that", "sync", "between", "devices"],
    &["that", "syncs", "across", "devices"],
    &["that", "sync", "across", "devices"],
    &["with", "offline", "sync"],
    &["with", "sync"],
];
const LEADS: &[&str] = &["with", "including", "having", "supporting"];
const SEPARATORS: &[&str] = &[",", "and", "plus"];
/// What login is for, said once more: "so that everybody sees only their own".
const PURPOSE: &[&str] = &[
    "so",
    "that",
    "everybody",
    "everyone",
    "each",
    "every",
    "people",
    "user",
    "users",
    "person",
    "can",
    "sees",
    "see",
    "only",
    "their",
    "his",
    "her",
    "own",
    "what",
    "is",
    "theirs",
    "notes",
    "items",
    "data",
    "ones",
];

/// The block that is called so.
pub(crate) fn named(what: &str) -> Option<Block> {
    let (left, blocks) = take(&format!("API for things with a name, with {}", what.trim()), Kind::RestApi);
    (left == "API for things with a name" && blocks.len() == 1).then(|| blocks.first().copied()).flatten()
}

/// Takes them out of the sentence. A field may be named like one: "a search term" is a field.
pub(crate) fn take(sentence: &str, kind: Kind) -> (String, Vec<Block>) {
    let mut words: Vec<String> = sentence
        .split_inclusive(['.', ';', '!', '?'])
        .flat_map(|clause| {
            let end = clause.chars().next_back().filter(|c| ".;!?".contains(*c));
            let body = clause.trim_end_matches(['.', ';', '!', '?']);
            // A full stop within a number, or a name, stays where it is.
            let inside = end == Some('.') && body.ends_with(|c: char| c.is_ascii_digit());
            if inside { tokens(clause) } else { tokens(body).into_iter().chain(end.map(String::from)).collect() }
        })
        .collect();
    let before = words.len();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let lower = |n: usize| words.get(n).map(|word| word.to_lowercase());
        let is = |n: usize, any: &[&str]| lower(n).is_some_and(|word| any.contains(&word.as_str()));
        let stands = |phrase: &[&str]| phrase.iter().enumerate().all(|(i, word)| is(at + i, &[*word]));
        if let Some(phrase) = SYNC.iter().find(|phrase| kind == Kind::MobileBackend && stands(phrase)) {
            words.drain(at..at + phrase.len());
            continue;
        }
        let Some((phrase, block)) = PHRASES.iter().find(|(phrase, _)| stands(phrase)) else {
            at += 1;
            continue;
        };
        let end = at + phrase.len() + tail(&words[at + phrase.len()..], *block);
        // "and a file upload"
        let begin = at - usize::from(at > 0 && is(at - 1, &["a", "an", "the"]));
        let ends = words.get(end).is_none_or(|word| ".;!?".contains(word.as_str()));
        let lead = begin > 0 && is(begin - 1, LEADS);
        // "invoices and payments" are two things to keep.
        let kept = words.windows(2).any(|pair| pair[0].to_lowercase().starts_with("payment") && super::resources::is_verb(&pair[1]));
        if kept && *block == Block::Payment {
            at += 1;
            continue;
        }
        let sure = *block != Block::Payment
            || phrase.len() > 1
            || lead
            || words[..begin].iter().any(|word| LEADS.contains(&word.to_lowercase().as_str()));
        // "without search and pagination"
        let said = words[..begin].iter().rev().map(|word| word.to_lowercase());
        let mut said = said.take_while(|word| !".;!?".contains(word.as_str()) && !LEADS.contains(&word.as_str()));
        if said.any(|word| ["without", "no", "not"].contains(&word.as_str())) {
            at += 1;
            continue;
        }
        let separator = begin > 0 && is(begin - 1, SEPARATORS) && sure;
        if !(lead || separator) || !(ends || is(end, SEPARATORS)) {
            at += 1;
            continue;
        }
        if !blocks.contains(block) {
            blocks.push(*block);
        }
        // "with live updates, messages have a text": what comes is said of somebody.
        let states = words.get(end + 2).is_some_and(|verb| super::resources::is_verb(verb));
        let ends = ends || states;
        // "with search, a title": the fields keep their "with".
        let (mut from, mut to) = if lead && !ends { (begin, end + 1) } else { (begin - 1, end) };
        if lead && !ends && is(to, SEPARATORS) {
            to += 1;
        }
        while from > 0 && ends && words[from - 1] == "," {
            from -= 1;
        }
        words.drain(from..to);
        at = from;
    }
    if words.len() == before { (sentence.to_owned(), blocks) } else { (ended(&joined(&words)), blocks) }
}

/// A full stop stands at its word again.
fn ended(text: &str) -> String {
    [".", ";", "!", "?"].iter().fold(text.to_owned(), |text, end| text.replace(&format!(" {end}"), end))
}

/// How many words behind the name of a block say what it is for: "a file upload for the scan".
fn tail(words: &[String], block: Block) -> usize {
    let is = |n: usize, any: &[&str]| words.get(n).is_some_and(|word| any.contains(&word.to_lowercase().as_str()));
    let ends = |n: usize| words.get(n).is_none_or(|word| SEPARATORS.contains(&word.as_str()) || ".;!?".contains(word.as_str()));
    match block {
        Block::FileUpload if is(0, &["for", "of"]) => {
            let name = 1 + usize::from(is(1, &["a", "an", "the", "each", "every", "their"]));
            (name + 1..=name + 2).find(|end| ends(*end)).unwrap_or(0)
        }
        Block::Websocket if is(0, &["over", "via", "by", "through"]) => {
            let name = 1 + usize::from(is(1, &["a", "the"]));
            if is(name, &["websocket", "websockets"]) { name + 1 } else { 0 }
        }
        Block::Authentication if is(0, &["so"]) && is(1, &["that"]) => {
            let count = words.iter().take_while(|word| PURPOSE.contains(&word.to_lowercase().as_str())).count();
            // "so that everybody sees everything" is not what it is for.
            if words[..count].iter().any(|word| ["own", "theirs"].contains(&word.to_lowercase().as_str())) { count } else { 0 }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_and_fields_stay() {
        use Block::{Authentication, FileUpload, Pagination, Payment, Search, Websocket};
        for (sentence, left, blocks) in [
            ("API for posts with a title, with search and pagination", "API for posts with a title", vec![Search, Pagination]),
            ("API for posts with a title and search.", "API for posts with a title.", vec![Search]),
            (
                "API for notes with a text, with login so that everybody sees only their own",
                "API for notes with a text",
                vec![Authentication],
            ),
            ("API for invoices with a number and a file upload for the scan", "API for invoices with a number", vec![FileUpload]),
            ("API for bids with a price, with live updates over a websocket", "API for bids with a price", vec![Websocket]),
            ("API for posts with search, a title and a body", "API for posts with a title and a body", vec![Search]),
            ("API for posts with paging", "API for posts", vec![Pagination]),
            ("API for orders with a total and card payments", "API for orders with a total", vec![Payment]),
            ("API for orders with payments.", "API for orders.", vec![Payment]),
            ("API for invoices and payments", "API for invoices and payments", vec![]),
            ("API for invoices with a payment date", "API for invoices with a payment date", vec![]),
            (
                "API for posts with a search term and a price of at least 0.5",
                "API for posts with a search term and a price of at least 0.5",
                vec![],
            ),
        ] {
            assert_eq!(take(sentence, Kind::RestApi), (left.to_owned(), blocks), "{sentence}");
        }
    }
}
