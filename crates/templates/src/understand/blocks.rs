//! "…, with search and pagination": what a project has beside its fields.

use super::constraints::tokens;
use crate::Block;

const PHRASES: &[(&[&str], Block)] = &[
    (&["full-text", "search"], Block::Search),
    (&["search"], Block::Search),
    (&["searching"], Block::Search),
    (&["pagination"], Block::Pagination),
    (&["paging"], Block::Pagination),
];
const LEADS: &[&str] = &["with", "including", "having", "supporting"];
const SEPARATORS: &[&str] = &[",", "and", "plus"];

/// Takes them out of the sentence. A field may be named like one: "a search term" is a field.
pub(super) fn take(sentence: &str) -> (String, Vec<Block>) {
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
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let is = |n: usize, any: &[&str]| words.get(n).is_some_and(|word| any.contains(&word.to_lowercase().as_str()));
        let named = PHRASES.iter().find(|(phrase, _)| phrase.iter().enumerate().all(|(i, word)| is(at + i, &[*word])));
        let Some((phrase, block)) = named else {
            at += 1;
            continue;
        };
        let end = at + phrase.len();
        let ends = words.get(end).is_none_or(|word| ".;!?".contains(word.as_str()));
        let lead = at > 0 && is(at - 1, LEADS);
        let separator = at > 0 && is(at - 1, SEPARATORS);
        if !(lead || separator) || !(ends || is(end, SEPARATORS)) {
            at += 1;
            continue;
        }
        if !blocks.contains(block) {
            blocks.push(*block);
        }
        // "with search, a title": the fields keep their "with".
        let (mut from, mut to) = if lead && !ends { (at, end + 1) } else { (at - 1, end) };
        if lead && !ends && is(to, SEPARATORS) {
            to += 1;
        }
        while from > 0 && ends && words[from - 1] == "," {
            from -= 1;
        }
        words.drain(from..to);
        at = from;
    }
    if blocks.is_empty() { (sentence.to_owned(), blocks) } else { (words.join(" "), blocks) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_and_fields_stay() {
        use Block::{Pagination, Search};
        for (sentence, left, blocks) in [
            ("API for posts with a title, with search and pagination", "API for posts with a title", vec![Search, Pagination]),
            ("API for posts with a title and search.", "API for posts with a title .", vec![Search]),
            ("API for posts with search, a title and a body", "API for posts with a title and a body", vec![Search]),
            ("API for posts with paging", "API for posts", vec![Pagination]),
            (
                "API for posts with a search term and a price of at least 0.5",
                "API for posts with a search term and a price of at least 0.5",
                vec![],
            ),
        ] {
            assert_eq!(take(sentence), (left.to_owned(), blocks), "{sentence}");
        }
    }
}
