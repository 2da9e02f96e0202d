//! A change read by what it names: fields, things and values of the project are looked for wherever they stand, and what is said of them is
//! said once more, in the words that are read. What is left out of that is noticed afterwards, for its words are nowhere.

mod by_word;
mod names;
mod sayings;

use std::sync::LazyLock;

use regex::Regex;

use self::names::{FIELD, Names, THING};
use self::sayings::PATTERNS;
use super::project::Place;
use crate::understand::grammar::{self, Said};
use crate::understand::{asides, phrasing, words};
use crate::{Block, Field, Resource, Understanding};

/// Words of what is to be, not of why.
const SAYS: &[&str] = &[
    "get", "gets", "got", "becomes", "become", "should", "must", "need", "needs", "shall", "has", "have", "want", "wants", "can", "a", "an",
];
/// What is said in a change, without what only leads to it or ends it.
const LEAD: &str = r"(?i)^(?:(?:and|but|also|please|now|then|so|well|ok|okay|hi|hey|hello|in future|from now on|additionally|furthermore|going forward|(?:i|we)(?:'d| would) (?:also )?like(?: you)?(?: to)?|(?:can|could|would) (?:you|we)(?: please)?|it would be (?:nice|great|good|helpful|handy|useful|lovely|cool|better|best) (?:if|to)(?: (?:we|i|you|people|users|they) could)?|(?:i|we) forgot(?: something| to say| one thing)?|one more thing|oh|let's|let us|make sure|ensure|see to it|there should be|that|it turns out)\b[,:]? *)+";
const TRAIL: &str = r"(?i)(?:,? (?:please|from now on|now|instead|any ?more|any longer|at all|too|as well|again|in future|in the future|thanks|thank you|going forward|for us|for me|pls|plz|thx|everywhere|altogether|of course))+$";
/// Why it is to be so is no part of it.
const REASON: &str = r"(?i)(?:, otherwise|, (?:nobody|no one) (?:ever |really )?(?:fills|uses|needs|reads|wants|cares|looks|asks)\b|,? (?:because|since (?:we|they|it|the|people|our|some|many|most|nobody)\b|as (?:we|they|some|many|people|our)\b|so (?:that )?(?:we|they|people|everybody|everyone|users|nobody)\b|last (?:week|month|year|time)\b|(?:some|many|most) (?:people|of (?:them|us|our))\b|people (?:keep|kept|always|often)\b|before (?:they|people|anybody|anyone|users|somebody|you) (?:can|may|could)\b))[^.;,]*";

static LEADING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(LEAD).ok());
/// What begins so may be about things that are new.
static INTRODUCING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)^(?:(?:please|also|and|now|(?:i|we) forgot(?: something| one thing)?:|one more thing:|(?:i|we)(?:'d| would)?|(?:can|could) (?:you|we)|let us|let's) )*(?:add|introduce|include|track|keep|manage|store|record|need|want|like|have|an?|each|every|there)\b",
    )
    .ok()
});
/// A question asks for no change.
static ASKS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)^(?:why|what|how|when|who|where|which|does|do|is|are|was|were|should)\b").ok());
/// Between quotes stand names.
static QUOTED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\b(?:change|turn) ["“'](?P<old>[\w -]+)["”'] (?:in)?to ["“'](?P<new>[\w -]+)["”']"#).ok());
/// "off unless they tick it"
static UNLESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i),? unless (?:they|somebody|someone|anybody|we|i|you|people|users?|otherwise|told|stated|the user)\b[^.;,]*").ok()
});
static TRAILING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(TRAIL).ok());
static REASONS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(REASON).ok());

/// What a change asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Spotted {
    /// In the words that are read.
    pub(super) commands: Vec<Command>,
    pub(super) blocks: Vec<Block>,
    /// The sentence, without contractions.
    pub(super) typed: String,
    /// What relates things, as it was said.
    pub(super) related: String,
}

#[derive(Debug, PartialEq)]
pub(super) enum Command {
    /// In the words that are read.
    Said(String),
    /// A field's, for what is new.
    Default(Place, String),
    /// What a field may be.
    Values(Place, Vec<String>),
    /// In place of what a field may be something else, or nothing.
    Instead(Place, String, Option<String>),
    /// What is said of a field.
    Be(Place, Vec<Said>),
    /// Fields that are new, and of which thing.
    Get(usize, Vec<Field>),
    /// Things that are new, and what of those that are there belongs to them.
    Keep(Vec<Resource>, Vec<(String, Field)>),
}

const NO_VALUES: &[&str] = &["to", "be", "it", "them", "the", "a", "an", "any", "more", "other", "of", "as", "not", "only", "all"];

/// In which ways it can be read, the surest first.
pub(super) fn readings(project: &Understanding, sentence: &str) -> impl Iterator<Item = Spotted> {
    let typed = expanded(sentence);
    let asks = ASKS.as_ref().is_some_and(|asks| asks.is_match(&typed));
    let ways: [fn(&Understanding, &str) -> Option<Spotted>; 4] = [
        |project, typed| by_word::read(project, typed).map(|commands| Spotted::of(commands, typed)),
        named,
        |project, typed| fresh(project, typed).map(|(commands, related)| Spotted { related, ..Spotted::of(commands, typed) }),
        // "We sell mugs now, so put mugs on the list": why it is to be so is no part of it.
        |project, typed| {
            let (why, asked) = typed.split_once(", so ")?;
            // What it says of what is there is no reason.
            let says = why.split(' ').any(|word| SAYS.contains(&word.to_lowercase().as_str()))
                || Names::of(project).marked(why).chars().any(|c| u32::from(c) >= FIELD);
            named(project, asked).filter(|_| !says && !by_word::asks(why) && !asked.starts_with("that "))
        },
    ];
    ways.into_iter().filter(move |_| !asks).filter_map(move |way| way(project, &typed))
}

impl Spotted {
    fn of(commands: Vec<Command>, typed: &str) -> Self {
        Self { commands, blocks: Vec::new(), typed: typed.to_owned(), related: String::new() }
    }
}

/// Things that are new, and what they belong to; and how that was said.
fn fresh(project: &Understanding, typed: &str) -> Option<(Vec<Command>, String)> {
    INTRODUCING.as_ref().filter(|begins| begins.is_match(typed))?;
    let known = project.resources.iter().map(|one| format!("{} have a name. ", one.plural));
    let typed = LEADING.as_ref().map_or(typed.into(), |lead| lead.replace(typed, ""));
    let typed = typed.trim_start_matches([':', ' ']);
    let grammar::Reading { resources, blocks, left, related, .. } = grammar::read(&format!("{}{typed}", known.collect::<String>()))?;
    let there = |path: &str| project.resources.iter().any(|one| one.path == path);
    let (old, new): (Vec<Resource>, Vec<Resource>) = resources.into_iter().partition(|one| there(&one.path));
    let belong: Vec<(String, Field)> = old
        .iter()
        .flat_map(|one| {
            one.fields
                .iter()
                .filter(|field| field.references.is_some() || field.name != "name")
                .map(|field| (one.plural.clone(), field.clone()))
        })
        .collect();
    // What is said of those that are there is read otherwise.
    let more = belong.iter().any(|(_, field)| field.references.as_deref().is_none_or(there));
    (!new.is_empty() && !more && left.is_empty() && blocks.is_empty()).then(|| (vec![Command::Keep(new, belong)], related))
}

/// Of a clause, said in other words.
const PARTS_MOST: usize = 20;

/// What is said of what is there.
fn named(project: &Understanding, typed: &str) -> Option<Spotted> {
    let names = Names::of(project);
    let mut spotted = Spotted::of(Vec::new(), typed);
    let mut last = None;
    for clause in clauses(&names.marked(typed)) {
        let (mut open, mut parts) = (vec![clause], 0);
        while let Some(said) = open.pop() {
            parts += 1;
            if parts > PARTS_MOST {
                return None;
            }
            let read = names.read(&said);
            let thing = said.chars().find_map(|c| names.thing_of(c)).or(last);
            match names.command(&read, thing) {
                Some(commands) => spotted.commands.extend(commands),
                // "make it unique. it is from 6 to 12 characters"
                None if read != said && read.contains(". ") => {
                    open.extend(read.split(". ").map(str::to_owned).collect::<Vec<_>>().into_iter().rev())
                }
                None => {
                    let new = asides::asked(&names.plain(&said)).filter(|block| !spotted.blocks.contains(block)).collect::<Vec<_>>();
                    if new.is_empty() && said.chars().any(char::is_alphanumeric) {
                        return None;
                    }
                    spotted.blocks.extend(new);
                }
            }
            last = thing;
        }
    }
    (!spotted.commands.is_empty() || !spotted.blocks.is_empty()).then_some(spotted)
}

/// "can't" is "can not"; what parts a list by slashes stays.
fn expanded(sentence: &str) -> String {
    let text = sentence.replace(['“', '”', '"'], "").replace('’', "'").replace(['–', '—'], "-");
    let text = format!(" {} ", text.trim().trim_end_matches(['.', '!', '?', ' ']));
    let pairs = [
        (" can't ", " can not "),
        (" cannot ", " can not "),
        (" won't ", " will not "),
        ("n't ", " not "),
        (" at all", ""),
        (" too,", ","),
        (" as well:", ":"),
        (" too:", ":"),
        (" too but ", " but "),
        (" any more,", ","),
        (" anymore,", ","),
        (" any longer,", ","),
        (" as well,", ","),
        (" have to be ", " must be "),
        (" has to be ", " must be "),
        (" needs to be ", " must be "),
        (" need to be ", " must be "),
        (" we need also ", " we also need "),
    ];
    pairs.iter().fold(text, |text, (from, to)| text.replace(from, to)).trim().to_owned()
}

pub(super) fn without_reasons(text: &str) -> String {
    let text = text.replace("make it so that ", "").replace("make it so ", "");
    let text = [&QUOTED, &UNLESS]
        .iter()
        .zip(["rename $old to $new", " by default"])
        .fold(text, |text, (pattern, read)| pattern.as_ref().map_or(text.clone(), |pattern| pattern.replace_all(&text, read).into_owned()));
    let text = text.as_str();
    // "because it is shorter and remove the price" goes on.
    let only = |found: &regex::Captures<'_>| {
        let goes_on = found[0].split(' ').any(|word| BEGINS.contains(&word.to_lowercase().as_str()));
        if goes_on { found[0].to_owned() } else { String::new() }
    };
    REASONS.as_ref().map_or(text.to_owned(), |reason| reason.replace_all(text, only).into_owned())
}

/// What a change begins with.
pub(super) const BEGINS: &[&str] =
    &["add", "drop", "remove", "delete", "rename", "make", "change", "call", "allow", "set", "turn", "give", "store", "keep"];

/// Sentences, and what begins anew in them: "drop the website, add an email".
pub(super) fn clauses(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for sentence in text.split([';', '!', '?']).flat_map(|part| part.split(". ")) {
        let mut clause: Vec<&str> = Vec::new();
        let words: Vec<&str> = sentence.split_whitespace().collect();
        for (n, word) in words.iter().copied().enumerate() {
            // "title is optional and price is required"
            let says =
                words.get(n + 1).is_some_and(|next| ["is", "are", "must", "should", "can", "may", "has", "need", "needs"].contains(next));
            let subject = says && word.chars().count() == 1 && word.chars().all(|c| (FIELD..THING).contains(&u32::from(c)));
            // "…, and please add a phone"
            let asked = clause.last() == Some(&"please") && clause.len() > 1 && clause[clause.len() - 2] == "and";
            let parted = asked || clause.last().is_some_and(|last| last.ends_with(',') || ["and", "then"].contains(last));
            let lists = clause.last().is_some_and(|last| last.ends_with(':'));
            if parted && !lists && clause.len() > 1 && (subject || BEGINS.contains(&word)) {
                found.push(std::mem::take(&mut clause).join(" "));
            }
            clause.push(word);
        }
        found.push(clause.join(" "));
    }
    let bare = |clause: String| {
        let clause = clause.trim().trim_end_matches([',', ' ']).trim_end_matches(" and").trim_end_matches(" then").to_owned();
        let clause = LEADING.as_ref().map_or(clause.clone(), |lead| lead.replace(&clause, "").into_owned());
        let clause = clause.trim_end_matches([',', ' ']);
        let clause = TRAILING.as_ref().map_or(clause.to_owned(), |trail| trail.replace(clause, "").into_owned());
        clause.trim().trim_end_matches([',', ' ']).to_owned()
    };
    found.into_iter().map(bare).filter(|clause| !clause.is_empty()).collect()
}

impl Names<'_> {
    /// Said in other words, as long as any of them are known.
    fn read(&self, clause: &str) -> String {
        let mut text = clause.to_owned();
        for (pattern, read) in PATTERNS.iter() {
            if pattern.is_match(&text) {
                text = pattern.replace_all(&text, *read).into_owned();
            }
        }
        text
    }

    /// What it asks for, where that is clear; `last`: the thing that "it" is.
    fn command(&self, read: &str, last: Option<usize>) -> Option<Vec<Command>> {
        let said = |text: String| Some(vec![Command::Said(text)]);
        let (verb, rest) = read.split_once(' ')?;
        if read.contains(". ") {
            return None;
        }
        let first = rest.chars().next().and_then(|c| self.field(c));
        match verb {
            // "allow status to be" names no value.
            "allow" if NO_VALUES.contains(&rest.split(' ').next().unwrap_or_default()) => None,
            "rename" | "make" | "allow" => said(self.plain(read)),
            "remove" => Some(
                rest.replace(", and ", ",")
                    .replace(" and ", ",")
                    .replace(" or ", ",")
                    .split(',')
                    .map(|what| Command::Said(self.plain(&format!("remove {}", what.trim()))))
                    .collect(),
            ),
            "plus" => {
                let (what, to) = rest.rsplit_once(" to ")?;
                let to = if to == "it" {
                    last.or((self.project.resources.len() == 1).then_some(0))
                } else {
                    to.chars().next().and_then(|c| self.thing_of(c))
                };
                said(format!("add {} to {}", self.plain(&plain_fields(what)), self.project.resources[to?].plural))
            }
            "default" => match first {
                Some(place) => Some(vec![Command::Default(place, self.plain(rest.split_once(" to ")?.1))]),
                None => {
                    let (one, at, value) = self.value(rest.chars().next()?)?;
                    Some(vec![Command::Default((one, at), value.to_owned())])
                }
            },
            "without" => {
                let (one, at, gone) = self.value(rest.chars().next()?)?;
                Some(vec![Command::Instead((one, at), gone.to_owned(), None)])
            }
            // "instead of overdue: late"
            "instead" => {
                let (value, new) = rest.strip_prefix("of ")?.split_once(": ")?;
                let (one, at, gone) = self.value(value.chars().next()?)?;
                Some(vec![Command::Instead((one, at), gone.to_owned(), Some(new.to_owned()))])
            }
            "values" => {
                let (of, list) = rest.strip_prefix("of ")?.split_once(": ")?;
                let place = self.field(of.chars().next()?)?;
                let list = self.plain(&list.replace(" or ", ",").replace(" and ", ",").replace(['/', '|'], ","));
                let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).collect();
                let plain =
                    |value: &String| value.split(' ').count() < 3 && !words::is_article(value.split(' ').next().unwrap_or_default());
                (values.len() > 1 && values.iter().all(plain)).then(|| vec![Command::Values(place, values)])
            }
            // "<field> at least 1 and at most 5"
            _ if verb.chars().count() == 1 => {
                self.field(verb.chars().next()?)?;
                let bound = |part: &str| {
                    ["at least ", "at most ", "from ", "greater than ", "less than "].iter().any(|lead| part.starts_with(lead))
                        && part.ends_with(|c: char| c.is_ascii_digit() || c == 's')
                };
                let parts: Vec<&str> = rest
                    .trim_start_matches("and ")
                    .trim_start_matches("of ")
                    .split(" and ")
                    .flat_map(|part| part.split(", "))
                    .map(str::trim)
                    .collect();
                parts
                    .iter()
                    .all(|part| bound(part))
                    .then(|| parts.iter().map(|part| Command::Said(self.plain(&format!("make {verb} {part}")))).collect())
            }
            _ => None,
        }
    }
}

/// "of a, b or c"
pub(super) fn listed(values: &[String]) -> String {
    match values {
        [before @ .., last] if !before.is_empty() => format!("of {} or {last}", before.join(", ")),
        _ => format!("of {}", values.concat()),
    }
}

/// "a birth date, optional" is an optional one; "a language, English by default" has that default.
fn plain_fields(what: &str) -> String {
    let optional = what.strip_suffix(", optional");
    let text =
        ATTRIBUTES.iter().fold(optional.unwrap_or(what).to_owned(), |text, (pattern, read)| pattern.replace_all(&text, *read).into_owned());
    match optional {
        Some(_) => format!("an optional {}", text.trim_start_matches("a ").trim_start_matches("an ").trim_start_matches("the ")),
        None => text,
    }
}

/// What is said behind fields that are new.
const ATTRIBUTES_SAID: &[(&str, &str)] = &[
    (r",? (?:which is |with )?(?:an? )?(?:whole number|integer)(?P<end>,|$| of| at)", " (integer)$end"),
    (r",? (?:min\.?|minimum|at least) (?P<n>-?\d[\d.]*)", " of at least $n"),
    (r",? (?:max\.?|maximum|at most|up to) (?P<n>\d[\d.]*)", " of at most $n"),
    (r",? (?:which is |that is )?(?P<value>[\w-]+) by default\b", " with a default of $value"),
    (r",? (?:the )?default(?: value)?(?: is|:|=)? (?P<value>[\w-]+)(?P<end>,|$)", " (default $value)$end"),
    (r" (?P<type>yes/no|yes or no)(?P<end>,|$| with)", " flag$end"),
];
static ATTRIBUTES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| phrasing::compiled(ATTRIBUTES_SAID, &[]));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_pattern() {
        assert_eq!(ATTRIBUTES.len(), ATTRIBUTES_SAID.len());
        assert!([&LEADING, &TRAILING, &REASONS, &INTRODUCING].iter().all(|pattern| pattern.is_some()));
    }
}
