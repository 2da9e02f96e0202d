//! What belongs to what.

use regex::{Captures, Regex};

use super::names::{NO_NAME, NO_THINGS, WEAK, is_in, many, one};
use super::{Read, trimmed};

/// How what belongs to something is said to.
pub(super) const BELONGING: &str = "(?:belong(?:s|ing)?|sits?|lives?|stays?|works?|goes|going|go|made|posted|given|written|logged|assigned|issued|rented|owned|\
    held|kept|stored|placed|booked|borrowed|submitted|taken|attached|linked|tied|reserved|registered|recorded|sold|done|apply|applies|replies|reply|refers?|\
    relates?|points?|related|connected|shown|displayed|listed|filed|published|exhibited|found|located|parked|planted|scheduled|planned|enrolled|entered|measured|is|are|be)";
const MANY: &str = "(?:many|several|multiple|any number of|a number of|zero or more)";
const HAVING: &[&str] = &["have", "has", "take", "takes", "join", "joins"];

/// The patterns of what is said about these things.
pub(super) struct Relations<'a> {
    names: &'a [String],
    /// Within a clause about one of them.
    within: Vec<Regex>,
    /// In a sentence about any.
    of_any: Vec<Regex>,
}

impl<'a> Relations<'a> {
    pub(super) fn of(names: &'a [String]) -> Self {
        if names.is_empty() {
            return Self { names, within: Vec::new(), of_any: Vec::new() };
        }
        let escaped = |names: Vec<String>| names.iter().map(|name| regex::escape(name)).collect::<Vec<_>>().join("|");
        let all = escaped(names.iter().flat_map(|name| [many(name), name.clone()]).collect());
        let plural = escaped(names.iter().map(|name| many(name)).collect());
        let compiled = |said: Vec<String>| said.iter().filter_map(|said| Regex::new(&format!("(?i){said}")).ok()).collect();
        Self { names, within: compiled(within(&all, &plural)), of_any: compiled(of_any(&all)) }
    }

    /// Takes out of a clause about `of` what it belongs to.
    pub(super) fn take(&self, text: &str, of: &str, read: &mut Read) -> String {
        let mut text = text.to_owned();
        for pattern in &self.within {
            let taken = |found: &Captures<'_>| {
                let part = |name: &str| found.name(name).map(|part| part.as_str()).unwrap_or_default();
                let named: Vec<String> = ["to", "all", "too", "also"]
                    .iter()
                    .map(|name| one(&part(name).to_lowercase()))
                    .filter(|name| !name.is_empty())
                    .collect();
                if named.iter().any(|name| name == of) {
                    return found[0].to_owned();
                }
                if found.name("many").is_some() {
                    read.has_many(of, &one(&part("many").to_lowercase()));
                }
                let optional = ["optional", "may not be", "at most"].iter().any(|said| found[0].contains(said));
                for to in named {
                    read.relate(of, &to, optional);
                }
                // "for a dog on a date and time", "belongs to a room and has a date"
                let goes_on = [" on a", " at a", " with ", " and ", " cover ", " covers ", " has ", " have "];
                let rest = goes_on.iter().filter_map(|on| part("rest").find(on)).min();
                let rest = rest.map_or(String::new(), |at| format!(", {}", trimmed(&part("rest")[at..])));
                format!("{}{}{rest}", part("before"), part("end"))
            };
            text = pattern.replace_all(&text, taken).into_owned();
        }
        text
    }

    /// What relates things in clauses that say nothing that one has.
    pub(super) fn find(&self, sentence: &str, read: &mut Read) {
        let thing = |name: &String| self.names.contains(name) || ![NO_NAME, NO_THINGS, WEAK].iter().any(|list| is_in(list, name));
        for found in self.of_any.iter().flat_map(|pattern| pattern.captures_iter(sentence)) {
            let (of, said) = (one(&found["one"].to_lowercase()), &found[0]);
            if let Some(holder) = found.name("many") {
                let holder = one(&holder.as_str().to_lowercase());
                read.has_many(&holder, &of);
                // "is given by one or more speakers", who give many.
                if !HAVING.iter().any(|verb| said.contains(&format!(" {verb} "))) {
                    read.has_many(&of, &holder);
                }
            }
            for to in ["to", "too"].iter().filter_map(|part| found.name(part)) {
                let to = one(&to.as_str().to_lowercase());
                if [&of, &to].into_iter().all(thing) {
                    read.relate(&of, &to, [" may ", "at most", "optional"].iter().any(|maybe| said.contains(maybe)));
                }
            }
        }
    }
}

/// `all`: the names in both numbers; `plural`: in theirs.
fn within(all: &str, plural: &str) -> Vec<String> {
    let article = "(?:exactly |only |just |at most |always )?(?:an?|the|one|each|every|its|their|a single|some|which) (?:optional )?";
    let object =
        format!(r"(?:{article}(?P<to>{all})|(?P<all>{plural}))(?:,? (?:and|to|with) (?:{article}(?P<too>{all})|(?P<also>{plural})))?\b");
    let before = r"(?P<before>^|, ?|\band |; ?)";
    vec![
        format!(r"{before}(?:can |may )?(?:have |has )?{MANY} (?P<many>{plural})\b"),
        format!("^(?:links?|connects?|ties?|joins?|combines?|(?:is|are) between) {object}"),
        format!(
            "(?:,? and|,|;)? ?(?:(?:each|every|an?|the) (?:{all}) )?(?:(?:it|they|each of them|all of them|each|which|who|that|must|should|will|can|may|and|is|are|was|be|then|always) )*\
            (?:{BELONGING} )+(?:to|in|at|by|on|for|of|with|from|about|under|inside|within|between)(?: either)? {object}(?P<rest>[^,;.]*)"
        ),
        format!("{before}(?:for|of|about|by|per|on|at|to|a reference to|a link to) {object}(?P<rest>[^,;.]*)"),
        format!(r"{before}(?P<to>{all}) (?:played|used|made|concerned|booked|rented|borrowed)(?P<end>$|,|;| and\b)"),
        format!(
            r"{before}{article}(?P<to>{all})(?: (?:who|that|which|they|it|in question|concerned|used|played|made|being|to which|on|where|for)\b[^,;.]*)?(?P<end>$|,|;| and\b)"
        ),
    ]
}

fn of_any(all: &str) -> Vec<String> {
    let article = "(?:(?:an?|the|one|each|every|all|some|many|several) )?";
    let having = HAVING.join("|");
    let belongs = format!(
        r"(?:{BELONGING} )+(?:always |only )?(?:to|in|at|by|on|for|of|with|from|about|under|inside|within) (?:(?:exactly |only |at most )?(?:an?|the|one|its|their|a single) )?(?P<to>{all})\b"
    );
    vec![
        // "Enrolments link a student to a course"
        format!(
            r"\b(?P<one>[a-z]+s|{all}) (?:links?|connects?|ties?|joins?|linking|connecting|is between|are between|between) {article}(?P<to>{all}) (?:to|with|and) {article}(?P<too>{all})\b"
        ),
        format!(r"\b(?P<one>{all}) (?:(?:can|may|will|is|are|must|always|only) )*{belongs}"),
        format!(r"\b(?P<one>{all}) [^,;.]* and (?:is|are|must be) {belongs}"),
        format!(r"\b(?P<one>{all}) (?:live|sit|stand|grow|are kept|are stored) (?:in|on|at) (?P<to>[a-z]+s)(?:$|,|;)"),
        format!(
            r"\b(?P<many>{all}) (?:can |may |will |is |are )?(?:{having}|(?:{BELONGING} )+(?:by|in|to|with|at|for|on|of|from)) (?:{MANY}|one or more) (?P<one>{all})\b"
        ),
        format!(r"\b(?P<to>[a-z]+s|{all}),? and their (?P<one>{all})\b"),
        format!(
            r"\b(?P<to>{all}) (?:can |may )?(?:submit|post|write|place|make|book|bring in|create|leave|add|own|publish|send)s? {article}(?P<one>{all})\b"
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_pattern() {
        let names = ["guest book (old)".to_owned(), "entry".to_owned()];
        let relations = Relations::of(&names);
        assert_eq!((relations.within.len(), relations.of_any.len()), (within("", "").len(), of_any("").len()));
    }
}
