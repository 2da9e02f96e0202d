//! Where clauses begin to say what something has.

use super::names::{ARTICLES, LINKING, NO_NAME, WEAK, is_in, listed_before, name_before, name_from};
use super::tokens::{PARTS, bracket};
use crate::understand::{clauses, items, sections, words};

/// Where a clause begins to say what something has.
pub(super) struct Head {
    /// Of the subject.
    pub(super) from: usize,
    /// Of what it has.
    pub(super) list: usize,
    /// Where that ends, if not at the next head.
    pub(super) ends: Option<usize>,
    pub(super) name: String,
}

/// Between who has something and what it is.
const HAS: &[&str] = &[
    "has",
    "have",
    "having",
    "with",
    "contains",
    "contain",
    "containing",
    "includes",
    "include",
    "comprises",
    "comprise",
    "records",
    "record",
    "stores",
    "store",
    "carries",
    "carry",
    "keeps",
    "needs",
    "need",
    "tracks",
    "holds",
    "hold",
    "names",
    "covers",
    "cover",
    "gets",
    "get",
    "consists of",
    "consist of",
    "comes with",
    "come with",
    "is described by",
    "are described by",
    "described by",
    "is identified by",
    "are identified by",
    "identified by",
    "is defined by",
    "are defined by",
    "made up of",
    "being",
    "is made up of",
    "can have",
    "must have",
];
/// Before one of those.
const BEFORE_HAS: &[&str] = &[
    "each",
    "only",
    "just",
    "also",
    "should",
    "must",
    "shall",
    "will",
    "can",
    "may",
    "who",
    "which",
    "that",
    "always",
    "then",
    "be",
    "is",
    "are",
    "registered",
    "entered",
    "recorded",
    "stored",
    "described",
    "listed",
    "identified",
    "added",
    "kept",
    "saved",
    "created",
];
/// Of these a plural is likelier, unless an article comes behind.
const AMBIGUOUS: &[&str] =
    &["records", "record", "stores", "store", "tracks", "holds", "names", "covers", "cover", "gets", "get", "needs", "need", "keeps"];

/// Of a project: what has that has no field.
fn is_whole(word: &str) -> bool {
    const WHOLE: &str =
        "api app application website backend microservice pipeline login authentication auth search pagination paging uploads payments";
    is_in(WHOLE, &word.to_lowercase())
}

/// "members by name and card number", not "search movies by title"
fn by_list(said: &[String], at: usize) -> bool {
    const LOOKING: &[&str] = &[
        "search",
        "searching",
        "searchable",
        "sort",
        "sorted",
        "filter",
        "find",
        "group",
        "grouped",
        "count",
        "counts",
        "browse",
        "per",
        "made",
        "given",
    ];
    !said[at.saturating_sub(4)..at].iter().any(|word| LOOKING.contains(&word.to_lowercase().as_str()))
        && said[at + 1..].iter().take(5).any(|word| word == "and" || word == ",")
        && words::is_many(&said[at - 1].to_lowercase())
}

/// One more in a list: "customers, dogs and appointments for a dog".
fn is_listed(said: &[String], at: usize) -> bool {
    let before = at.checked_sub(2).map(|at| said[at].to_lowercase()).unwrap_or_default();
    words::is_many(&said[at - 1].to_lowercase())
        && (before == "and" || before == ",")
        && said[at + 1..]
            .iter()
            .skip(2)
            .find(|next| *next != ",")
            .is_some_and(|next| ["on", "at", "with"].contains(&next.to_lowercase().as_str()))
}

/// "is between a patient and", "is issued at an appointment": how many words say so.
fn relates_at(said: &[String], at: usize) -> Option<usize> {
    let word = |n: usize| said.get(at + n).map(|word| word.to_lowercase()).unwrap_or_default();
    if is_in(LINKING, &word(0)) && (ARTICLES.contains(&word(1).as_str()) || words::is_many(&word(1))) {
        return Some((2..6).find(|n| ["to", "with", "and"].contains(&word(*n).as_str())).map_or(1, |n| n + 2));
    }
    let to = |n: usize| {
        ["between", "for", "with", "in", "on", "from", "by", "to", "at"].contains(&word(n).as_str())
            && ["a", "an", "one", "exactly"].contains(&word(n + 1).as_str())
    };
    let participle = word(1).ends_with("ed") || ["made", "given", "written", "held", "kept", "sold", "done"].contains(&word(1).as_str());
    let is = ["is", "are"].contains(&word(0).as_str());
    (is && (to(1) || (participle && to(2)))).then_some(if to(1) { 2 } else { 3 })
}

/// How many words from `at` say that something has something.
fn has_at(said: &[String], at: usize) -> Option<usize> {
    let length = |has: &&&str| {
        let parts: Vec<&str> = has.split(' ').collect();
        let same = parts.len() <= said.len() - at && parts.iter().zip(&said[at..]).all(|(part, word)| word.eq_ignore_ascii_case(part));
        same.then_some(parts.len())
    };
    HAS.iter().filter_map(|has| length(&has)).max()
}

/// What one does with what something has.
const KNOWING: &[&str] =
    &["know", "store", "record", "save", "keep", "note", "log", "track", "enter", "recording", "storing", "capture", "need", "want"];

/// "We store the visitor's name", "; the item's type"
fn asked(said: &[String], at: usize) -> bool {
    let stores = |word: &String| KNOWING.contains(&word.to_lowercase().as_str());
    let before = at.checked_sub(1).map(|at| said[at].to_lowercase()).unwrap_or_default();
    let first = at == 0 || (at == 1 && before == "and");
    first || stores(&before) || ((PARTS.contains(&before.as_str()) || before == "and") && said[..at].iter().any(stores))
}

/// One sentence, by words.
struct Said<'a> {
    words: &'a [String],
    inside: &'a [String],
}

/// What was found, and where to go on.
type Step = (Option<Head>, usize);

impl Said<'_> {
    fn lower(&self, at: usize) -> String {
        self.words.get(at).map(|word| word.to_lowercase()).unwrap_or_default()
    }

    fn is(&self, at: usize, any: &[&str]) -> bool {
        any.contains(&self.lower(at).as_str())
    }

    /// The one that begins or goes on here.
    fn step(&self, at: usize, last: Option<&Head>) -> Step {
        self.related(at)
            .or_else(|| self.has(at, last))
            .or_else(|| self.by(at))
            .or_else(|| self.of_each(at))
            .or_else(|| self.behind_colon(at))
            .or_else(|| self.in_brackets(at, last))
            .or_else(|| self.possessive(at))
            .unwrap_or((None, at + 1))
    }

    /// "An appointment is between a patient and a doctor"
    fn related(&self, at: usize) -> Option<Step> {
        let length = relates_at(self.words, at)?;
        let named = name_before(self.words, at).filter(|(.., clear)| *clear);
        Some((named.map(|(from, name, _)| Head { from, list: at, ends: None, name }), at + length))
    }

    /// "Each member has a name", "sellers, each with a name"
    fn has(&self, at: usize, last: Option<&Head>) -> Option<Step> {
        let (said, verb) = (self.words, self.lower(at));
        let length = has_at(said, at).filter(|length| {
            let sure = !AMBIGUOUS.contains(&verb.as_str()) || self.is(at + length, ARTICLES);
            at > 0 && self.lower(at + length) != "to" && sure
        })?;
        let mut end = at;
        while end > 0 && self.is(end - 1, BEFORE_HAS) {
            end -= 1;
        }
        let with = ["with", "having"].contains(&verb.as_str());
        let alone = with || ["identified", "described", "defined"].contains(&verb.as_str());
        let listed = end > 1 && said[end - 1] == "," && (end < at || (alone && words::is_many(&self.lower(end - 2))));
        end -= usize::from(listed);
        let sure = with || length > 1 || ["has", "have"].contains(&verb.as_str());
        // "implemented with"
        let participle = end > 0 && said[end - 1].ends_with("ed") && verb == "with";
        let one = end > 1 && self.is(end - 2, &["each", "every", "a", "an"]) && ["has", "have", "being"].contains(&verb.as_str());
        let weak = |name: &str| is_in(WEAK, name) && !one && !words::is_many(&self.lower(end - 1));
        // "books and authors with a name": whose it is, nobody says.
        let shared =
            |from: usize| with && last.is_none() && from > 1 && self.is(from - 1, &["and"]) && words::is_many(&self.lower(from - 2));
        let named = name_before(said, end).filter(|(from, name, clear)| (*clear || sure) && !participle && !weak(name) && !shared(*from));
        let head = match named {
            // "each intake of a medicine has a time"
            Some((from, ..)) if from > 1 && self.is(from - 1, &["of"]) && name_before(said, from - 1).is_some() => {
                name_before(said, from - 1).map(|(from, name, _)| {
                    let list = (from..at).find(|at| self.is(*at, &["of"])).unwrap_or(from);
                    Head { from, list, ends: None, name }
                })
            }
            Some((from, name, _)) => Some(Head { from, list: at + length, ends: None, name }),
            // "bookings are for a room and have a date"
            None if end > 0 && self.is(end - 1, &["and"]) && last.is_none_or(|head| head.ends.is_some()) => {
                let begins = said[..end - 1].iter().rposition(|word| PARTS.contains(&word.as_str())).map_or(0, |at| at + 1);
                let begins = last.map_or(begins, |head| begins.max(head.list));
                name_from(said, begins, end).map(|(list, name)| Head { from: begins, list, ends: None, name })
            }
            None => None,
        };
        Some((head, at + length))
    }

    /// "members by name and number", "and appointments for a dog on a date"
    fn by(&self, at: usize) -> Option<Step> {
        let by = at > 0 && self.is(at, &["by"]) && by_list(self.words, at);
        let about = at > 1
            && self.is(at, &["for", "about"])
            && (self.is(at + 1, ARTICLES) || self.is(at + 1, &["each", "every"]))
            && is_listed(self.words, at);
        let (from, name, _) = name_before(self.words, at).filter(|(.., clear)| (by || about) && *clear)?;
        Some((Some(Head { from, list: at + usize::from(by), ends: None, name }), at + 1))
    }

    /// "For every sighting we need to know the species", "on a line you find a price"
    fn of_each(&self, at: usize) -> Option<Step> {
        if self.is(at, &["on"]) && self.is(at + 1, &["a", "each", "every"]) && self.is(at + 3, &["you", "we", "there"]) {
            let (list, name) = ((at + 5).min(self.words.len()), words::singular(&self.lower(at + 2)));
            return Some((Some(Head { from: at, list, ends: None, name }), list));
        }
        let most = self.words.len();
        // "For a bridge, its name and its span shall be stored"
        if self.is(at, &["for"]) && self.is(at + 1, &["a", "an", "each", "every", "the"]) {
            let ends = (at + 4..most.saturating_sub(1))
                .find(|end| self.is(*end, &["be", "are", "is"]) && self.is(end + 1, &["stored", "recorded", "kept", "saved"]));
            let list = (at + 3..most.min(at + 6)).find(|list| self.words[*list] == ",");
            if let (Some(ends), Some(list)) = (ends, list)
                && let Some((_, name, _)) = name_before(self.words, list)
            {
                let modal = usize::from(self.is(ends - 1, &["shall", "must", "should", "will"]));
                return Some((Some(Head { from: at, list: list + 1, ends: Some((ends - modal).max(list + 1)), name }), ends + 2));
            }
        }
        if !self.is(at, &["for", "of"]) || !self.is(at + 1, &["each", "every"]) {
            return None;
        }
        let end = (at + 3..most.min(at + 5)).find(|end| self.words[*end] == "," || is_in(NO_NAME, &self.lower(*end)))?;
        let verb = (end..most.min(end + 7)).rev().find(|verb| self.is(*verb, KNOWING))?;
        let (_, name, _) = name_before(self.words, end)?;
        Some((Some(Head { from: at, list: verb + 1, ends: None, name }), verb + 1))
    }

    /// "Members: name, number"
    fn behind_colon(&self, at: usize) -> Option<Step> {
        let before = self.words.get(at).filter(|word| *word == ":").and_then(|_| self.words.get(at.checked_sub(1)?))?;
        let begins = |from: usize| from == 0 || PARTS.contains(&self.words[from - 1].as_str()) || self.is(from - 1, &["and"]);
        let named = listed_before(self.words, at).filter(|(from, _, clear)| (begins(*from) || *clear) && !clauses::has_few(before));
        Some((named.map(|(from, name, _)| Head { from, list: at + 1, ends: None, name }), at + 1))
    }

    /// "members (name, number)"
    fn in_brackets(&self, at: usize, last: Option<&Head>) -> Option<Step> {
        let of = bracket(self.words.get(at)?)?;
        let before = self.lower(at.checked_sub(1)?);
        let fields = self.inside.get(of).is_some_and(|inside| sections::are_fields(&items::parted(inside, |c| ",;".contains(c))));
        // "a status (open, closed)"
        let within = last.is_some_and(|head| head.ends.is_none()) && !words::is_many(&before);
        let values =
            clauses::has_few(&before) || (self.inside.get(of).is_some_and(|inside| inside.contains(" or ")) && !words::is_many(&before));
        let named = listed_before(self.words, at).filter(|(.., clear)| *clear && fields && !within && !values);
        Some((named.map(|(from, name, _)| Head { from, list: at, ends: Some(at + 1), name }), at + 1))
    }

    /// "We store the visitor's name"
    fn possessive(&self, at: usize) -> Option<Step> {
        let word = self.lower(at);
        let name = word.strip_suffix("'s").filter(|_| at > 0 && self.is(at - 1, &["the", "a", "an", "each", "every"]))?;
        let whole = self.words[at + 1..].iter().take(2).any(|word| is_whole(word));
        (!whole && asked(self.words, at - 1))
            .then(|| (Some(Head { from: at - 1, list: at + 1, ends: None, name: name.to_owned() }), at + 1))
    }
}

/// Where clauses of one sentence begin to say what something has.
pub(super) fn heads(words: &[String], inside: &[String]) -> Vec<Head> {
    let said = Said { words, inside };
    let mut found: Vec<Head> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let (head, next) = said.step(at, found.last());
        at = next;
        // "my games with a web app", "for my hobby: an API": that is no field.
        let whole = |head: &Head| {
            let list = words.get(head.list..).unwrap_or_default().iter().take(3);
            list.take_while(|word| !PARTS.contains(&word.as_str())).any(|word| is_whole(word))
        };
        // What is in the name of another's clause is no clause.
        let within = |head: &Head| found.last().is_some_and(|last| head.from < last.list);
        if let Some(head) = head.filter(|head| !whole(head) && !within(head)) {
            found.push(head);
        }
    }
    found
}
