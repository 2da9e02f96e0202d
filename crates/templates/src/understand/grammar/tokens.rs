//! A goal as words, numbers and marks.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::understand::words;

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) lower: String,
    /// A blank stands before it.
    pub(super) apart: bool,
    /// It stood in quotes.
    pub(super) quoted: bool,
    /// Of an opening bracket, where it closes.
    pub(super) closes: Option<usize>,
}

impl Token {
    pub(super) fn is(&self, any: &[&str]) -> bool {
        any.contains(&self.lower.as_str())
    }

    /// Whether it is one of a few words.
    pub(super) fn among(&self, words: &str) -> bool {
        words.split_whitespace().any(|word| word == self.lower)
    }

    pub(super) fn is_word(&self) -> bool {
        self.lower.starts_with(char::is_alphabetic)
    }

    pub(super) fn is_number(&self) -> bool {
        self.lower.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit())
    }
}

static TOKEN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?x)
        \x22[\p{L}\p{N}][^\x22]{0,30}\x22
        | \d{1,3}(?:,\d{3})+(?:\.\d+)? | \d+(?:\.\d+)?
        | [\p{L}_][\p{L}\p{N}_]*(?:['.\-][\p{L}\p{N}_]+)*
        | -->|->|=>|<=|>=|\.\.\.|\.\.|--
        | [^\s]",
    )
    .ok()
});

/// "(1) donors: …; (2) items: …"
static NUMBERED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?:^|\s)\((?:\d|[a-z]|i+)\)\s").ok());

/// Bracketed ones know where they close; what never closes opens nothing.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let text = text
        .replace(['“', '”'], "\"")
        .replace(['`', '*'], "")
        .replace('’', "'")
        .replace(" w/ ", " with ")
        .replace("s' ", "s ")
        .replace(", of course,", ",")
        .replace(" of course", "")
        .replace(['[', '{'], "(")
        .replace([']', '}'], ")");
    let text = NUMBERED.as_ref().map_or(text.clone(), |numbered| numbered.replace_all(&text, " ; ").into_owned());
    let Some(pattern) = TOKEN.as_ref() else { return Vec::new() };
    let mut all: Vec<Token> = Vec::new();
    let mut end = 0;
    for found in pattern.find_iter(&text) {
        let apart = found.start() > end;
        end = found.end();
        let mut word = found.as_str().to_owned();
        // "-5", but not "1-5"
        let negative = !apart
            && word.starts_with(|c: char| c.is_ascii_digit())
            && all.last().is_some_and(|last| last.lower == "-" && (last.apart || all.len() > 1 && all[all.len() - 2].lower == "("))
            && all.len().checked_sub(2).is_none_or(|before| !all[before].is_number() || all[before + 1].apart);
        if negative {
            all.pop();
            word = format!("-{word}");
        }
        let quoted = word.len() > 1 && word.starts_with('"');
        let word = word.trim_matches('"').to_owned();
        if word.is_empty() {
            continue;
        }
        let plain = word.trim_end_matches("'s").replace(',', if word.len() > 1 { "" } else { "," });
        all.push(Token { lower: plain.to_lowercase(), text: plain, apart: apart || negative, quoted, closes: None });
    }
    let mut open = Vec::new();
    for at in 0..all.len() {
        match all[at].lower.as_str() {
            "(" => open.push(at),
            ")" => {
                if let Some(from) = open.pop() {
                    all[from].closes = Some(at);
                }
            }
            _ => {}
        }
    }
    all.retain(|token| token.lower != "(" || token.closes.is_some());
    if !open.is_empty() {
        // Where they close has moved.
        let whole: Vec<String> = all.iter().map(|one| if one.apart { format!(" {}", one.text) } else { one.text.clone() }).collect();
        return tokens(&whole.concat());
    }
    all
}

/// Lower case, with a blank behind each: what patterns are looked for in.
pub(super) fn line(tokens: &[Token]) -> String {
    // What stands in quotes is one word.
    tokens.iter().map(|token| format!("{} ", token.lower.replace(' ', "\u{a0}"))).collect()
}

/// As it was said.
pub(super) fn said(tokens: &[Token]) -> String {
    let whole: String = tokens.iter().map(|token| if token.apart { format!(" {}", token.text) } else { token.text.clone() }).collect();
    whole.trim_matches([' ', ',', ';', '-', '.', ':']).to_owned()
}

/// Outside of brackets the places in a range.
pub(super) fn outside(tokens: &[Token], range: Range<usize>) -> Vec<usize> {
    let (mut places, mut at) = (Vec::new(), range.start);
    while at < range.end {
        places.push(at);
        at = tokens[at].closes.map_or(at + 1, |closes| closes + 1);
    }
    places
}

const ABBREVIATED: &[&str] =
    &["max", "min", "e.g", "i.e", "approx", "incl", "no", "nr", "mr", "mrs", "dr", "vs", "resp", "opt", "req", "etc"];

/// Sentences and what is parted like them: by semicolons, dashes between blanks, numbers of a list.
pub(super) fn clauses(tokens: &[Token]) -> Vec<Range<usize>> {
    let (mut clauses, mut from) = (Vec::new(), 0);
    for at in outside(tokens, 0..tokens.len()) {
        let token = &tokens[at];
        let next_apart = tokens.get(at + 1).is_none_or(|next| next.apart);
        let stop = token.among("! ? ; ... • --> =>")
            || (token.lower == "." && next_apart && !at.checked_sub(1).is_some_and(|before| tokens[before].is(ABBREVIATED)))
            || (token.is(DASHES) && token.apart && next_apart && !names(tokens, from..at))
            || (token.is(&["/", "|"]) && token.apart && next_apart && !between_values(tokens, at))
            // "2) Rooms: …"
            || (token.lower == ")" && at > 0 && (tokens[at - 1].is_number() || tokens[at - 1].lower.len() == 1));
        if stop {
            let numbered = token.lower == ")";
            clauses.push(from..if numbered { at - 1 } else { at });
            from = at + 1;
        }
    }
    clauses.push(from..tokens.len());
    clauses.retain(|clause| clause.start < clause.end);
    clauses
}

pub(super) const DASHES: &[&str] = &["-", "–", "—", "--"];

/// "Child – name, colour": the dash is a colon.
fn names(tokens: &[Token], before: Range<usize>) -> bool {
    let stops = |token: &&Token| token.is(&["!", "?", ";", "."]) || (token.is(DASHES) && token.apart);
    let rest: Vec<&Token> = tokens[before.end + 1..].iter().take_while(|token| !stops(token)).collect();
    let many = tokens[before.clone()].last().is_some_and(|last| words::is_many(&last.lower));
    let words = tokens[before.clone()].iter().rev().take_while(|token| token.is_word()).count();
    let name = (before.len() < 4 && words == before.len()) || (many && words > 0);
    name && rest.iter().any(|token| token.lower == ",") && !heads(&rest)
}

/// "endpoints (name), deliveries (date)"
fn heads(rest: &[&Token]) -> bool {
    let begun = rest.iter().take(3).position(|token| !token.is_word() || token.among("has have with"));
    begun.is_some_and(|at| at > 0 && rest[at].among("( : has have with") && words::is_many(&rest[at - 1].lower))
}

/// "low / normal / urgent"
fn between_values(tokens: &[Token], at: usize) -> bool {
    let mark = |at: Option<usize>| at.and_then(|at| tokens.get(at)).is_some_and(|token| token.is(&["/", "|"]));
    mark(at.checked_sub(2)) || mark(Some(at + 2))
}
