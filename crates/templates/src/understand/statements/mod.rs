//! A second way to read a goal, where the first leaves something out or understands nothing: who has what is looked for in every
//! clause, whatever stands around it, and said once more in the one shape that is read: "Members have name and card number. Loans belong to
//! a member". Which of the two accounts for more of the words is what counts.

mod attributes;
mod heads;
pub(in crate::understand) mod names;
mod relations;
mod tokens;

use std::sync::LazyLock;

use regex::Regex;

use self::attributes::FEW;
use self::heads::{Head, heads};
use self::names::{many, name_before, named_only, one};
use self::relations::{BELONGING, Relations};
use self::tokens::{bracket, joined, split, without_brackets};
use super::{asides, plan, sections, words};
use crate::Block;

/// A thing, in the singular, with what is said that it has.
#[derive(Debug, PartialEq)]
struct Thing {
    name: String,
    has: Vec<String>,
}

/// "resource: episode, fields: title"
static RESOURCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\b(?:resource|entity|model|table): (?P<name>[\w ]+), (?:fields|columns|attributes): ").ok());
/// A pipeline's files are asked of the whole sentence.
static FROM_FILES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i) (?:from|in|as) (?:an? |the )?(?:csv|jsonl?)(?: files?| exports?| format)?\b").ok());
/// "a register of turbines, recording for each its number"
static EACH: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?P<many>[a-z]+s),? (?:recording|storing|noting|keeping|stating|giving) for each(?: one| of them)?,? ").ok()
});

/// "a status — open, closed — and"
static BETWEEN_DASHES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"(?i)(?P<name>\b{FEW}) [-–—] (?P<values>[\w ,]+) [-–—]")).ok());

/// The text with what is parted by dashes, arrows and the like said in words.
fn plain(sentence: &str) -> String {
    let text = sentence.replace(['“', '”', '"'], "").replace('’', "'").replace(" & ", " and ").replace(" w/ ", " with ");
    let text = text
        .replace(" --> ", ". ")
        .replace(", of course,", ",")
        .replace(" -> ", ": ")
        .replace(" = ", ": ")
        .replace("...", ". ")
        .replace(", i.e. ", ": ")
        .replace("e.g. ", "");
    let text = FROM_FILES.as_ref().map_or(text.clone(), |from| from.replace_all(&text, "").into_owned());
    let replaced = |text: String, pattern: &Option<Regex>, read: &str| match pattern {
        Some(pattern) => pattern.replace_all(&text, read).into_owned(),
        None => text,
    };
    let text = replaced(text, &BETWEEN_DASHES, "$name ($values)");
    let text = text.replace(" — ", ". ").replace(" – ", ". ").replace(" - ", ". ");
    replaced(replaced(text, &RESOURCE, "$name: "), &EACH, "$many with ")
}

/// What is said of one thing: a list of what it has, or anything else.
struct Clause {
    of: String,
    text: String,
    lists: bool,
}

#[derive(Default)]
struct Read {
    clauses: Vec<Clause>,
    relations: Vec<Relation>,
    /// The one has many of the other.
    many: Vec<[String; 2]>,
    /// Of which no clause says what they have.
    rest: Vec<String>,
}

/// One belongs to the other, or may.
#[derive(PartialEq)]
struct Relation {
    of: String,
    to: String,
    optional: bool,
}

impl Read {
    fn relate(&mut self, of: &str, to: &str, optional: bool) {
        let (of, to) = (of.to_owned(), to.to_owned());
        let known = |one: &Relation| (one.of == of && one.to == to) || (one.of == to && one.to == of);
        if of != to && !self.relations.iter().any(known) {
            self.relations.push(Relation { of, to, optional });
        }
    }

    fn has_many(&mut self, of: &str, other: &str) {
        let pair = [of.to_owned(), other.to_owned()];
        if of != other && !self.many.contains(&pair) {
            self.many.push(pair);
        }
    }

    /// Each of what something has many of belongs to it, unless it has many of that too: then a thing between them belongs to both.
    fn link(&mut self) -> Vec<String> {
        let (mut said, all) = (Vec::new(), std::mem::take(&mut self.many));
        for (at, [of, other]) in all.iter().enumerate() {
            let back = |pair: &[String; 2]| pair[0] == *other && pair[1] == *of;
            let belongs = |one: &Relation| one.of == *of && one.to == *other;
            if all[..at].iter().any(back) {
                continue;
            }
            if !all[at..].iter().any(back) && !self.relations.iter().any(belongs) {
                self.relate(other, of, false);
                continue;
            }
            self.relations.retain(|one| !(belongs(one) || (one.of == *other && one.to == *of)));
            let link = format!("{of} {other}");
            said.push(format!("Each {of} has many {}, and the other way round: each {link} links one of both", many(other)));
            for to in [of, other] {
                self.relate(&link, to, false);
            }
        }
        said
    }

    fn clause(&mut self, of: &str, text: String, lists: bool) {
        self.clauses.push(Clause { of: of.to_owned(), text, lists });
    }

    /// What one sentence says.
    fn sentence(&mut self, said: &[String], heads: &[Head], inside: &[String]) {
        self.rest.push(joined(&said[..heads.first().map_or(said.len(), |head| head.from)]));
        for (n, head) in heads.iter().enumerate() {
            let next = heads.get(n + 1).map_or(said.len(), |next| next.from);
            let ends = head.ends.unwrap_or(next).min(next).max(head.list);
            let inside = head.ends.and_then(|_| inside.get(bracket(said.get(head.list)?)?));
            let mut list = inside.cloned().unwrap_or_else(|| joined(&said[head.list..ends]));
            // "…, and belongs to a podcast with a title"
            if let (Some(next), Some(tail)) = (heads.get(n + 1), LEADING.as_ref().and_then(|leading| leading.find(&list))) {
                let to = next.name.clone();
                list.truncate(tail.start());
                self.relate(&head.name, &to, false);
            }
            if let (Some(next), Some(tail)) = (heads.get(n + 1), LISTING.as_ref().and_then(|listing| listing.find(&list))) {
                let of = next.name.clone();
                list.truncate(tail.start());
                self.relate(&of, &head.name, false);
            }
            self.clause(&head.name, list, true);
            if ends < next {
                self.rest.push(format!("{} {}", head.name, joined(&said[ends..next])));
                self.clause(&head.name, joined(&said[ends..next]), false);
            }
        }
    }

    /// What it asks for beside them. "a login" of something is a field of it.
    fn blocks(&self, text: &str) -> Vec<Block> {
        let fields: Vec<&str> =
            self.clauses.iter().filter(|clause| clause.lists).flat_map(|clause| clause.text.split(',')).map(str::trim).collect();
        let mut blocks: Vec<Block> = Vec::new();
        for part in text.split(['.', ',', ';', ':', '(', ')']) {
            let bare = part.trim().split(' ').filter(|word| !["a", "an", "the", "and"].contains(word)).count() < 2;
            if !(bare && fields.iter().any(|field| field.trim_start_matches("and ") == part.trim())) {
                let new: Vec<Block> = asides::asked(part).filter(|block| !blocks.contains(block)).collect();
                blocks.extend(new);
            }
        }
        blocks
    }

    /// "Recipes! Title, ingredients, steps": what was named before has it.
    fn fields_alone(&mut self, said: &[String], inside: &[String], named: Option<&String>) -> bool {
        let parts: Vec<String> = said.split(|word| word == ",").map(|part| attributes::read(&joined(part), inside)).collect();
        let short = parts.len() > 1 && parts.iter().all(|part| part.split(' ').count() < 9);
        let fields = short && sections::are_fields(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        match named.filter(|_| fields && !self.clauses.iter().any(|clause| clause.lists)) {
            Some(named) => self.clause(named, joined(said), true),
            None => return false,
        }
        true
    }

    /// Those of which something is said, each once. "A gym with members and classes" has nothing else, and is none.
    fn names(&mut self) -> Vec<String> {
        let all: Vec<String> = self.clauses.iter().filter(|clause| clause.lists).map(|clause| clause.of.clone()).collect();
        let only_things = |clause: &Clause| {
            let parts = clause.text.replace(" and ", ",");
            let parts: Vec<String> =
                parts.split(',').map(|part| one(&part.trim().to_lowercase())).filter(|part| !part.is_empty()).collect();
            clause.lists
                && parts.len() > 1
                && parts.iter().any(|part| all.contains(part))
                && parts.iter().all(|part| !part.contains(' '))
                && clause.text.split([',', ' ']).filter(|word| !word.is_empty() && *word != "and").all(words::is_many)
        };
        self.clauses.retain(|clause| !only_things(clause));
        let mut names: Vec<String> = Vec::new();
        for clause in self.clauses.iter().filter(|clause| clause.lists) {
            if !names.contains(&clause.of) {
                names.push(clause.of.clone());
            }
        }
        // "taxi drivers: a driver has a name", "repair jobs (price), each job"
        for name in &names.clone() {
            let longer: Vec<&String> = names.iter().filter(|other| other.ends_with(&format!(" {name}"))).collect();
            let [longer] = longer.as_slice() else { continue };
            let says = |name: &String| {
                self.clauses.iter().any(|clause| clause.of == *name && clause.lists && clause.text.contains(char::is_alphanumeric))
            };
            let (kept, gone) = if says(longer) { ((*longer).clone(), name.clone()) } else { (name.clone(), (*longer).clone()) };
            for part in self
                .clauses
                .iter_mut()
                .map(|clause| &mut clause.of)
                .chain(self.relations.iter_mut().flat_map(|one| [&mut one.of, &mut one.to]))
            {
                if *part == gone {
                    part.clone_from(&kept);
                }
            }
        }
        names.retain(|name| self.clauses.iter().any(|clause| clause.of == *name));
        names
    }
}

/// The goal said once more, where it says what something has, and what is assumed in that.
pub(crate) fn again(sentence: &str, kind: &str) -> Option<(String, Vec<String>)> {
    let text = plain(sentence);
    let (flat, inside) = without_brackets(&text);
    let sentences: Vec<Vec<String>> =
        sections::stops(&flat).into_iter().flat_map(|stop| stop.split(';').map(split).collect::<Vec<_>>()).collect();
    let (mut read, mut named_last) = (Read::default(), None);
    for said in &sentences {
        let heads = heads(said, &inside);
        if heads.is_empty() && read.fields_alone(said, &inside, named_last.as_ref()) {
            continue;
        }
        read.sentence(said, &heads, &inside);
        let plural = |end: &usize| *end > 0 && words::is_many(&said[*end - 1].to_lowercase());
        let named = (0..=said.len()).rev().filter(plural).find_map(|end| name_before(said, end));
        named_last = named.map(|(_, name, _)| name).or(named_last);
    }
    let mut names = read.names();
    let named = |name: &String| names.iter().any(|known| known == name || known.ends_with(&format!(" {name}")));
    let only: Vec<String> = named_only(&text).into_iter().filter(|name| !named(name)).collect();
    names.extend(only);
    let blocks = if kind == "data pipeline" { Vec::new() } else { read.blocks(&text) };
    let relations = Relations::of(&names);
    let mut things: Vec<Thing> = Vec::new();
    for Clause { of, text, lists } in std::mem::take(&mut read.clauses) {
        // "…, each vehicle assigned to a driver"
        let subject = names.iter().find(|name| {
            let text = text.trim_start_matches([',', ' ']).to_lowercase();
            ["each ", "every ", "a ", "an ", "the "].iter().any(|article| text.starts_with(&format!("{article}{name} ")))
        });
        let of = subject.filter(|_| !lists).cloned().unwrap_or(of);
        let left = relations.take(text.trim(), &of, &mut read);
        if !lists {
            continue;
        }
        let has = attributes::read(trimmed(&left), &inside);
        match things.iter_mut().find(|thing| thing.name == of) {
            Some(thing) => thing.has.push(has),
            None => things.push(Thing { name: of, has: vec![has] }),
        }
    }
    for said in std::mem::take(&mut read.rest).into_iter().chain(sentences.iter().map(|said| joined(said))) {
        relations.find(&said, &mut read);
    }
    let assumed = read.link();
    for one in &read.relations {
        for name in [&one.of, &one.to] {
            if !things.iter().any(|thing| thing.name == *name) {
                things.push(Thing { name: name.clone(), has: Vec::new() });
            }
        }
    }
    let says = |thing: &Thing| thing.has.iter().any(|has| has.contains(char::is_alphanumeric));
    things.retain(|thing| says(thing) || read.relations.iter().any(|one| one.of == thing.name || one.to == thing.name));
    things.iter().any(says).then(|| (said(sentence, kind, &blocks, &things, &read.relations), assumed))
}

/// "…, and a list of": what comes behind belongs to it.
static LISTING: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)(?:,? and|,) ?(?:an? (?:list|set|number|collection) of|many|several|multiple|its|their)$").ok());

/// "…, and belongs to": what comes behind is said more of.
static LEADING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(&format!(r"(?i)(?:,? and|,)? ?(?:(?:it|they|each|which|that|is|are|be|must|can) )*(?:{BELONGING}|grouped|organi[sz]ed) (?:to|in|into|at|by|on|for|from|of|with)(?: (?:an?|one|exactly one))?$")).ok()
});

fn trimmed(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let before = text;
        text = text.trim_matches([',', ';', '.', ':', ' ']);
        for word in [" and", " where", " so", " plus", " for", " the", " each", " with", " whereas", " while", " then"] {
            text = text.strip_suffix(word).unwrap_or(text);
        }
        for word in [
            "and ",
            "the following ",
            "have ",
            "has ",
            "stores ",
            "records ",
            "carry ",
            "carries ",
            "names ",
            "then ",
            "on ",
            "at ",
            "cover ",
            "covers ",
            "with ",
        ] {
            text = text.strip_prefix(word).unwrap_or(text);
        }
        if text == before {
            return if ["and", "with", "for"].contains(&text) { "" } else { text };
        }
    }
}

fn said(sentence: &str, kind: &str, blocks: &[Block], things: &[Thing], relations: &[Relation]) -> String {
    let names = things.iter().map(|thing| many(&thing.name)).collect::<Vec<_>>();
    let mut said = format!("Build a {kind} for {}", names.join(" and "));
    let (_, plan) = plan::take(sentence);
    if kind == "data pipeline" {
        let formats: Vec<String> = plan.formats.iter().map(|format| format!("{format:?}").to_uppercase()).collect();
        if !formats.is_empty() {
            said += &format!(" from {} files", formats.join(" and "));
        }
        said += &plan.every_s.map(|every_s| format!(", every {} minutes", every_s / 60)).unwrap_or_default();
    }
    let (files, parts): (Vec<Block>, Vec<Block>) = blocks.iter().partition(|block| **block == Block::FileUpload);
    if !parts.is_empty() {
        said += &format!(", with {}", parts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "));
    }
    if !files.is_empty() {
        said += ". Users can upload files";
    }
    for thing in things {
        let has: Vec<&str> = thing.has.iter().map(String::as_str).filter(|has| has.contains(char::is_alphanumeric)).collect();
        if !has.is_empty() {
            said += &format!(". {} have {}", many(&thing.name), has.join(", "));
        }
        for Relation { to, optional, .. } in relations.iter().filter(|one| one.of == thing.name) {
            said += &match optional {
                true => format!(". {} have an optional {to}", many(&thing.name)),
                false => format!(". Each {} belongs to a {to}", thing.name),
            };
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::kinds;

    #[test]
    fn who_has_what_is_found_whatever_stands_around_it() {
        for (sentence, read) in [
            (
                "As a landlord I would like to see all my flats. A flat has an address; a tenant has a name and lives in a flat",
                "Build a app for flats and tenants. flats have an address. tenants have a name. Each tenant belongs to a flat",
            ),
            (
                "A web app: customers can be registered with their name, their dogs with a breed, and appointments for a dog on a given date and time. Staff should log in.",
                "Build a web app for customers and dogs and appointments, with login. customers have their name. dogs have a breed. appointments have date and time. Each appointment belongs to a dog",
            ),
            (
                "Microservice for invoices (number, paid or not); an invoice has several lines, and on a line you find a description and a VAT rate of 0, 7 or 19 percent.",
                "Build a microservice for invoices and lines. invoices have number, paid or not. lines have a description and a VAT rate of 0, 7 or 19. Each line belongs to a invoice",
            ),
            (
                "REST API. Enrolments link a student to a course and carry a semester. Students: name. Courses: code, title.",
                "Build a REST API for enrolments and students and courses. enrolments have a semester. Each enrolment belongs to a student. Each enrolment belongs to a course. students have name. courses have code, title",
            ),
            (
                "We store the visitor's name; the item's type, brand and outcome (repaired, beyond repair). Items belong to a visitor and are assigned to a fixer. Fixers: name, skills. Web app",
                "Build a web app for visitors and items and fixers. visitors have name. items have type, brand and outcome of repaired or beyond repair. Each item belongs to a visitor. Each item belongs to a fixer. fixers have name, skills",
            ),
            (
                "ETL pipeline: ingest hourly observations from JSON, with station code and temperature in Celsius (-60 to 60)",
                "Build a data pipeline for observations from JSON files. observations have station code and temperature in Celsius from -60 to 60",
            ),
            ("Microservice. Patient consists of name, age", "Build a microservice for patients. patients have name, age"),
            (
                "API for trips with a name and hotels for each trip, with a city and a price",
                "Build a REST API for trips and hotels. trips have a name. hotels have a city and a price. Each hotel belongs to a trip",
            ),
            (
                "Track expenses. Amount, category, date, note. Web app.",
                "Build a web app for expenses. expenses have Amount, category, date, note",
            ),
        ] {
            assert_eq!(again(sentence, kinds::named(sentence)).map(|(read, _)| read).as_deref(), Some(read), "{sentence}");
        }
        for nothing in ["", ":", "has", "'s", "on a", "for each", "A game where the player jumps", "(a, b)", "members"] {
            assert_eq!(again(nothing, "app"), None, "{nothing}");
        }
    }

    #[test]
    fn what_has_many_of_each_other_is_linked() {
        let sentence =
            "API: a volunteer has a name; a shift has a place; a volunteer can take many shifts and a shift can have many volunteers";
        let (read, assumed) = again(sentence, "REST API").unwrap();
        assert!(read.ends_with("Each shift volunteer belongs to a shift. Each shift volunteer belongs to a volunteer"), "{read}");
        assert!(assumed.len() == 1 && assumed[0].contains("the other way round"), "{assumed:?}");
    }

    #[test]
    fn each_is_a_pattern() {
        assert!(attributes::patterns());
        assert!([&RESOURCE, &FROM_FILES, &EACH, &BETWEEN_DASHES, &LISTING, &LEADING].iter().all(|pattern| pattern.is_some()));
    }
}
