//! A goal read word by word: where it is said what a thing has, item by item what that is, and what belongs to what by the things that a
//! clause names.

mod heads;
mod item;
mod items;
mod names;
mod qualifiers;
mod rejections;
mod relations;
mod tokens;
mod values;

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use self::heads::{Finder, Head};
use self::item::Item;
use self::items::{Part, is_in};
use self::names::{many, name_before, one};
pub(crate) use self::qualifiers::Said;
use self::relations::{Relations, Things};
use self::tokens::{Token, clauses, outside, said, tokens};

use super::{account, asides, describe, field_type, fields, resources, words};
use crate::{Block, Field, FieldType, Resource};

static BELONGS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:and |also |, )*(?:an? |each |every |one )?(?P<of>[a-z-]+) (?P<verb>belongs? to|(?:is |are )?assigned to|(?:is|are) (?:part of|for|in|of)|refers? to) (?:an? |one |exactly one |the |each )?(?P<to>[a-z-]+) (?:and [a-z ]*)?$").ok()
});

static HAS_MANY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(?:and |also |, )*(?:an? |each |every |one )(?P<of>[a-z-]+) (?:has|can have|contains|consists of) (?:many|several|multiple|any number of) (?P<to>[a-z-]+) $").ok()
});
static SHARED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:everyone|everybody|anyone|anybody) (?:can|may|should|shall)? ?sees? (?:all|items|everything|each|the)\b").ok()
});

/// What a goal says of things.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) resources: Vec<Resource>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) assumed: Vec<String>,
    /// As it was said.
    pub(crate) left: Vec<String>,
    /// What relates things, as it was said.
    pub(crate) related: String,
}

struct Thing {
    name: String,
    items: Vec<Item>,
}

#[derive(Default)]
struct Reader {
    tokens: Vec<Token>,
    words: Vec<String>,
    things: Vec<Thing>,
    /// What says something else, of which thing, and whether in a list of what that has.
    clauses: Vec<(Range<usize>, Option<usize>, bool)>,
    /// Where heads name more than one thing, maybe: "inspections of each tree, with".
    named: Vec<Range<usize>>,
    blocks: Vec<Block>,
}

/// None where nothing is said to have anything.
pub(crate) fn read(sentence: &str) -> Option<Reading> {
    let tokens = tokens(sentence);
    let words = tokens.iter().map(|token| token.lower.clone()).collect();
    let mut reader = Reader { tokens, words, ..Reader::default() };
    for clause in clauses(&reader.tokens) {
        reader.clause(clause);
    }
    // What one has signed in for only they see.
    let shared = SHARED.as_ref().is_some_and(|shared| shared.is_match(sentence));
    if reader.things.is_empty() || shared {
        return None;
    }
    reader.merge();
    reader.finished()
}

/// What is not understood, and whether it must be listed whatever its words are.
type Rest = (Range<usize>, bool);

impl Reading {
    fn refer(&mut self, of: usize, to: usize, name: Option<String>, optional: bool) {
        let to = self.resources[to].clone();
        let field = reference(&to, !optional);
        if let Some(there) = self.resources[of].field(name.as_ref().unwrap_or(&field.name)) {
            if there.references.as_ref() != Some(&to.path) {
                self.left.push(format!("the {} that {} belong to", to.singular, self.resources[of].plural));
            }
            return;
        }
        self.resources[of].fields.push(Field { name: name.unwrap_or_else(|| field.name.clone()), ..field });
    }

    fn link(&mut self, one: usize, other: usize) -> Option<()> {
        let (one, other) = (self.resources[one].clone(), self.resources[other].clone());
        let mut link = resources::resource(&format!("{} {}", one.singular, other.plural)).ok()?;
        link.fields = vec![reference(&one, true), reference(&other, true)];
        self.assumed.push(describe::links(&one, &other, &link));
        self.resources.push(link);
        Some(())
    }
}

/// What a list says that `of` has; None where anything of it is not understood, or may be no field.
pub(crate) fn fields(text: &str, of: &str) -> Option<Vec<Field>> {
    let tokens = tokens(text);
    let (mut found, mut guessed) = (Vec::new(), Vec::new());
    for part in items::parts(&tokens, 0..tokens.len()) {
        let Part::Item(item) = part else { return None };
        let field = item.field(of, &mut guessed).filter(|_| item.notes.is_empty())?;
        found.push(Field { required: item.required.unwrap_or(false), ..field });
    }
    (!found.is_empty() && guessed.is_empty()).then_some(found)
}

/// What is said of a field, where nothing else is; `neutral`: words that say nothing.
pub(crate) fn qualities(text: &str, neutral: &str) -> Option<Vec<Said>> {
    let tokens = tokens(text);
    let (mut found, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        match qualifiers::qualifier(&tokens[at..]) {
            Some((said, length)) => {
                found.push(said);
                at += length;
            }
            None if tokens[at].among(neutral) => at += 1,
            None => return None,
        }
    }
    (!found.is_empty()).then_some(found)
}

impl Reader {
    fn thing(&mut self, name: &str) -> usize {
        // A feedback collector keeps feedback.
        const KEEPERS: &[&str] =
            &["collector", "tracker", "manager", "management", "organizer", "organiser", "system", "registry", "catalogue", "catalog"];
        let name = name.rsplit_once(' ').filter(|(_, last)| KEEPERS.contains(last)).map_or(name, |(kept, _)| kept);
        match self.things.iter().position(|thing| thing.name == name) {
            Some(at) => at,
            None => {
                self.things.push(Thing { name: name.to_owned(), items: Vec::new() });
                self.things.len() - 1
            }
        }
    }

    fn clause(&mut self, clause: Range<usize>) {
        let last = self.spoken_of(clause.start);
        let heads = Finder { tokens: &self.tokens, words: &self.words }.heads(clause.clone(), last.as_deref());
        let Some(first) = heads.first() else {
            let referring = self.tokens[clause.clone()].iter().find(|token| !token.is(&["and", "where", "also", ","]));
            let referring =
                referring.is_some_and(|token| token.among("it they each every both these this belongs belong all which is are"));
            let of = self.things.len().checked_sub(1).filter(|_| referring);
            if !self.goes_on(clause.clone()) && !self.fields_alone(clause.clone(), last) {
                self.clauses.push((clause, of, false));
            }
            return;
        };
        if first.from > clause.start {
            // "flags belong to an environment, which has a name"
            let said = &self.tokens[clause.start..first.from];
            let within = said.last().is_some_and(|last| last.among("in by to for of at on with from"));
            let each = said.len() > 2 && said[0].among("for per") && said[1].among("each every");
            let each = each && said.last().is_some_and(|last| within || last.among("the its their a"));
            let relates = each || said.iter().any(|token| token.among("belong belongs refers refer") || (within && token.among("is are")));
            let ends = if relates { self.object(first.from, Some(first)) } else { first.from };
            self.clauses.push((clause.start..ends, None, false));
        }
        for (n, head) in heads.iter().enumerate() {
            let thing = self.thing(&head.name);
            // "inspections of each tree, with a date"
            if self.tokens[head.from..head.list.start].iter().any(|token| token.among("of for in about with to is are by")) {
                self.named.push(head.from..head.list.start);
            }
            let next = heads.get(n + 1);
            self.list(thing, head, next);
            if head.bracketed {
                let ends = next.map_or(clause.end, |next| next.from);
                if head.list.end + 1 < ends {
                    self.clauses.push((head.list.end + 1..self.object(ends, next), Some(thing), false));
                }
            }
        }
    }

    /// The end of a clause whose object is the name of the next head.
    fn object(&self, ends: usize, next: Option<&Head>) -> usize {
        let article = |at: usize| self.tokens[at].among("a an one the in to by for of with on into under exactly many several multiple");
        match next {
            Some(next) if ends == next.from && (article(ends.saturating_sub(1)) || article(ends)) => {
                ends + (ends..next.list.start)
                    .take_while(|at| self.tokens[*at].is_word() && *at < ends + 1 + next.name.split(' ').count())
                    .count()
            }
            _ => ends,
        }
    }

    /// What the sentence before last named, that can be a thing.
    fn spoken_of(&self, before: usize) -> Option<String> {
        let listed = self.things.last().map(|thing| thing.name.clone());
        listed.or_else(|| {
            let places = outside(&self.tokens, 0..before);
            let counted = |at: &usize| {
                field_type::UNITS.contains(&self.words[*at].as_str())
                    || ["files", "exports", "days", "rows"].contains(&self.words[*at].as_str())
            };
            let verb = |at: &usize| names::is_verb(&self.words[*at]);
            // "survey_responses.csv"
            let file = |at: &usize| {
                let (name, kind) = self.words[*at].rsplit_once('.')?;
                ["csv", "json", "jsonl"].contains(&kind).then(|| one(&name.replace(['_', '-'], " ")))
            };
            if let Some(named) = places.iter().rev().find_map(file) {
                return Some(named);
            }
            let many = places.iter().filter(|at| words::is_many(&self.words[**at]) && !counted(at) && !verb(at));
            let named = many.into_iter().find_map(|at| Some(name_before(&self.words, at + 1)?.1));
            // "exchange rate microservice"
            let kind = |at: &&usize| ["microservice", "api", "backend", "app", "pipeline", "rest"].contains(&self.words[**at].as_str());
            named.or_else(|| places.iter().rev().filter(kind).find_map(|at| Some(name_before(&self.words, *at)?.1)))
        })
    }

    fn list(&mut self, thing: usize, head: &Head, next: Option<&Head>) {
        let mut parts = items::parts(&self.tokens, head.list.clone()).into_iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                // "walks for a dog on a date" are no field.
                Part::Item(item)
                    if item.plain()
                        && item.words.len() == 1
                        && words::is_many(&item.words[0])
                        && !item.is_sure()
                        && matches!(parts.peek(), Some(Part::Clause(next)) if next.start == item.place.end && self.tokens[next.start].lower == "for") =>
                {
                    let name = one(&item.words[0]);
                    let Some(Part::Clause(next)) = parts.next() else { break };
                    let on = (next.start..next.end).skip(3).find(|at| self.tokens[*at].is(&["on", "at", "with"])).unwrap_or(next.end);
                    self.clauses.push((item.place.start..on, None, true));
                    let other = self.thing(&name);
                    let more = items::parts(&self.tokens, (on + 1).min(next.end)..next.end);
                    for part in more {
                        match part {
                            Part::Item(item) => self.things[other].items.push(item),
                            Part::Clause(place) => self.clauses.push((place, Some(other), true)),
                        }
                    }
                }
                Part::Item(item) => {
                    let text = said(&self.tokens[item.place.clone()]);
                    // "paginate lists"
                    let asked = asides::asked(&text).next().filter(|_| item.words.len() < 4 && !item.is_sure());
                    let block = block(&text).or(asked);
                    match block.filter(|_| item.plain()) {
                        Some(block) => self.blocks.extend((!self.blocks.contains(&block)).then_some(block)),
                        None => self.things[thing].items.push(item),
                    }
                }
                // "user accounts with a name, an email": whose the rest is, is not understood.
                Part::Clause(place) if self.has_more(&place) || self.turns(&place) => {
                    self.clauses.push((place.start..head.list.end, Some(thing), true));
                    break;
                }
                Part::Clause(place) => {
                    let ends = if place.end >= head.list.end && !head.bracketed { self.object(place.end, next) } else { place.end };
                    self.clauses.push((place.start..ends, Some(thing), true));
                }
            }
        }
    }

    /// "and for each family the visits that were made: a date"
    fn turns(&self, place: &Range<usize>) -> bool {
        place.len() > 4 && self.tokens[place.start].among("for") && self.tokens[place.start + 1].among("each every")
    }

    /// Whether something is said to have something.
    fn has_more(&self, place: &Range<usize>) -> bool {
        let having = |at: usize| {
            self.tokens[at].is(&["with", "has", "have", "having"]) && self.tokens[at + 1].is(&["a", "an", "the", "name", "title"])
        };
        let part = |at: usize| {
            self.tokens[at + 1..place.end]
                .iter()
                .take(3)
                .any(|token| token.among("page login search website web rest api app backend password account form sign"))
        };
        (place.start + 1..place.end.saturating_sub(1)).any(|at| having(at) && !part(at))
    }

    /// "Artifact: inventory number; title; material"
    fn goes_on(&mut self, clause: Range<usize>) -> bool {
        let behind = clause.start > 0 && self.tokens[clause.start - 1].lower == ";";
        let parts = items::parts(&self.tokens, clause);
        let Some(thing) = self.things.last_mut().filter(|thing| behind && !thing.items.is_empty()) else { return false };
        let items: Vec<Item> = parts
            .iter()
            .filter_map(|part| if let Part::Item(item) = part { Some(item.clone()) } else { None })
            .filter(|item| item.words.len() < 4 && item.notes.is_empty() && block(&item.words.join(" ")).is_none())
            .collect();
        let all = !parts.is_empty() && items.len() == parts.len() && parts.len() < 4;
        if all {
            thing.items.extend(items);
        }
        all
    }

    /// "Just the amount in ml and the date": what was spoken of has it.
    fn fields_alone(&mut self, clause: Range<usize>, last: Option<String>) -> bool {
        let Some(last) = last.filter(|last| !self.things.iter().any(|thing| thing.name == *last && !thing.items.is_empty())) else {
            return false;
        };
        // "fields: …"
        let leads = ["fields", "columns", "field", "record", "row", "rows", "records", "attributes", "just", "with"];
        let mut from = clause.start + usize::from(self.tokens[clause.start].is(&leads));
        // "We'd store the number, the title"
        if from < clause.end && self.tokens[from].among("we i you we'd i'd we'll we'd they") {
            let noted = (from..clause.end.min(from + 5))
                .find(|at| self.tokens[*at].among("store record note keep need track save want register log collect"));
            from = noted.map_or(from, |at| at + 1);
        }
        // "Build a pipeline that stores the number, the title"
        if self.tokens[from..clause.end.min(from + 6)].iter().any(|token| token.among(heads::WHOLES)) {
            let stores = (from..clause.end).find(|at| self.tokens[*at].among("stores validates checks keeps holds saves"));
            let Some(stores) = stores else { return false };
            from = stores + 1;
        }
        from += usize::from(from > clause.start && from < clause.end && self.tokens[from].is(&[":", "=", "are"]));
        let parts = items::parts(&self.tokens, from..clause.end);
        let items: Vec<&Item> = parts.iter().filter_map(|part| if let Part::Item(item) = part { Some(item) } else { None }).collect();
        let begins = matches!(parts.first(), Some(Part::Item(_)));
        if items.len() < 2 || !begins || items.len() + 1 < parts.len() || !items.iter().any(|item| item.is_sure()) {
            return false;
        }
        let thing = self.thing(&last);
        let rest =
            parts.iter().filter_map(|part| if let Part::Clause(place) = part { Some((place.clone(), Some(thing), true)) } else { None });
        self.clauses.extend(rest);
        self.things[thing].items.extend(items.into_iter().cloned());
        true
    }

    /// "yoga classes … a class": they are the same.
    fn merge(&mut self) {
        let names: Vec<String> = self.things.iter().map(|thing| thing.name.clone()).collect();
        for (at, name) in names.iter().enumerate().rev() {
            let longer: Vec<usize> = (0..names.len()).filter(|n| *n != at && names[*n].ends_with(&format!(" {name}"))).collect();
            let both = |longer: usize| !self.things[at].items.is_empty() && !self.things[longer].items.is_empty();
            if let [longer] = longer.as_slice()
                && !both(*longer)
            {
                let items = std::mem::take(&mut self.things[at].items);
                self.things[*longer].items.extend(items);
                self.things.remove(at);
                for (_, of, _) in &mut self.clauses {
                    *of = of.map(|of| if of == at { *longer } else { of }).map(|of| if of > at { of - 1 } else { of });
                }
                break;
            }
        }
    }

    /// "a vote belongs to an option", where nothing else is said of votes.
    fn only_related(&mut self) {
        for (place, _, _) in self.clauses.clone() {
            // "my properties and their tenants"
            let their = (place.start..place.end.saturating_sub(2))
                .find(|at| self.tokens[*at].lower == "and" && self.tokens[*at + 1].lower == "their");
            if let Some(at) = their.filter(|at| *at > place.start && words::is_many(&self.words[*at - 1])) {
                let (of, to) = (one(&self.words[at + 2]), one(&self.words[at - 1]));
                let known = |name: &str| self.things.iter().any(|thing| thing.name == name);
                if known(&of) && !known(&to) {
                    self.thing(&to);
                }
            }
            let line = tokens::line(&self.tokens[place.clone()]);
            if let Some(found) = HAS_MANY.as_ref().and_then(|many| many.captures(&line)) {
                let (of, to) = (one(&found["of"]), one(&found["to"]));
                let known = |name: &str| self.things.iter().any(|thing| thing.name == name);
                if known(&to) && !known(&of) && !names::is_verb(&of) && resources::resource(&of).is_ok() {
                    self.thing(&of);
                }
            }
            let Some(found) = BELONGS.as_ref().and_then(|belongs| belongs.captures(&line)) else { continue };
            let (of, to) = (one(&found["of"]), one(&found["to"]));
            let known = |name: &str| self.things.iter().any(|thing| thing.name == name || thing.name.ends_with(&format!(" {name}")));
            let belongs = found["verb"].starts_with("belong") || found["verb"].ends_with("assigned to");
            if known(&to) && !known(&of) && !names::is_verb(&of) && resources::resource(&of).is_ok() {
                self.thing(&of);
            } else if known(&of) && !known(&to) && belongs && resources::resource(&to).is_ok() {
                self.thing(&to);
            }
        }
    }

    /// "walkers, dogs and bookings, where every booking has a date": all of these are kept.
    fn bare_things(&mut self) {
        for (place, _, listed) in self.clauses.clone() {
            let parts: Vec<&[Token]> =
                self.tokens[place.clone()].split(|token| token.is(&[",", "and", ":", "plus"])).filter(|part| !part.is_empty()).collect();
            let named = |part: &[Token]| {
                let (last, before) = part.split_last()?;
                let words: Vec<String> = part.iter().map(|token| token.lower.clone()).collect();
                let (_, name) = name_before(&words, words.len())?;
                let bare = before.len() < 2 && before.iter().all(Token::is_word) && name.split(' ').count() == part.len();
                let people = ["ye", "no", "user", "staff", "people", "customer", "option", "admin"].contains(&name.as_str());
                (words::is_many(&last.lower)
                    && bare
                    && !people
                    && block(&said(part)).is_none()
                    && !field_type::UNITS.contains(&last.lower.as_str()))
                .then_some(name)
            };
            let names: Vec<Option<String>> = parts.iter().map(|part| named(part)).collect();
            let ends = parts
                .first()
                .and_then(|part| Some(name_before(&part.iter().map(|token| token.lower.clone()).collect::<Vec<_>>(), part.len())?.1));
            let known = |name: &String| self.things.iter().any(|thing| thing.name == *name);
            let goes_on = place.end > place.start && self.tokens[place.end - 1].is(&[",", "and"]) && place.end < self.tokens.len();
            let beside = goes_on
                || names.iter().flatten().chain(&ends).any(known)
                || parts.iter().any(|part| block(&said(part)).is_some())
                || (names.len() > 2 && names.iter().all(Option::is_some));
            if listed || !beside {
                continue;
            }
            let first =
                parts.first().filter(|part| parts.len() > 1 && part.last().is_some_and(|last| words::is_many(&last.lower))).and(ends);
            for name in names.into_iter().flatten().chain(first) {
                self.thing(&name);
            }
        }
    }

    /// As they are named first.
    fn order(&mut self) {
        let names: Vec<String> = self.things.iter().map(|thing| thing.name.clone()).collect();
        let named = Things { names: &names, tokens: &self.tokens }.in_order();
        let place = |of: usize| named.iter().position(|thing| *thing == of).unwrap_or(names.len());
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|of| place(*of));
        for (_, of, _) in &mut self.clauses {
            *of = of.and_then(|of| order.iter().position(|at| *at == of));
        }
        let mut things: Vec<Option<Thing>> = std::mem::take(&mut self.things).into_iter().map(Some).collect();
        self.things = order.into_iter().filter_map(|at| things[at].take()).collect();
    }

    fn finished(mut self) -> Option<Reading> {
        self.bare_things();
        self.only_related();
        self.merge();
        self.order();
        let mut reading = Reading::default();
        let names: Vec<String> = self.things.iter().map(|thing| thing.name.clone()).collect();
        let mut relations = Relations::default();
        let (roles, mut rest) = self.references(&names, &mut relations);
        rest.extend(self.read_clauses(&names, &mut relations, &mut reading));
        let links = relations.linked();
        self.resources(&mut reading)?;
        for (place, forced) in &mut rest {
            let mut restricted = reading.resources.clone();
            let said = rejections::apply(&tokens::line(&self.tokens[place.clone()]), &mut restricted);
            if said > 0 && said >= bounds(&self.said(place)) {
                *forced = false;
                reading.resources = restricted;
            }
        }
        for own in relations.selves {
            let name = format!("parent_{}", reading.resources[own].identifier);
            reading.refer(own, own, Some(name), true);
        }
        for one in &relations.belong {
            reading.refer(one.of, one.to, None, one.optional);
        }
        for (of, to, item) in roles {
            reading.refer(of, to, Some(item.words.join("_")), item.required == Some(false));
        }
        for (one, other) in links {
            reading.link(one, other)?;
        }
        for resource in &mut reading.resources {
            if resource.fields.iter().all(|field| field.field_type == FieldType::Reference) && resource.fields.len() < 2 {
                resource.fields.insert(0, fields::text("name", true));
            }
        }
        reading.blocks.extend(&self.blocks);
        reading.blocks.sort_by_key(|block| Block::ALL.iter().position(|one| one == block));
        reading.blocks.dedup();
        self.list_rest(&rest, &mut reading);
        Some(reading)
    }

    fn said(&self, place: &Range<usize>) -> String {
        said(&self.tokens[place.clone()])
    }

    /// Takes what names another thing from the fields: "course, student, grade". Those that have a name of their own, and what is not understood.
    fn references(&mut self, names: &[String], relations: &mut Relations) -> (Vec<(usize, usize, Item)>, Vec<Rest>) {
        let things = Things { names, tokens: &self.tokens };
        let (mut roles, mut own) = (Vec::new(), Vec::new());
        for (of, thing) in self.things.iter_mut().enumerate() {
            thing.items.retain(|item| {
                let role = things.role(&item.words).filter(|to| item.plain() && *to != of);
                roles.extend(role.map(|to| (of, to, item.clone())));
                match things.only(item.place.clone()) {
                    _ if role.is_some() => false,
                    // "an employee has many employees"
                    Some((to, true)) if to == of => {
                        own.push((item.place.clone(), true));
                        false
                    }
                    Some((to, many)) if to != of && item.plain() => {
                        if many {
                            relations.many.push((of, to));
                        } else {
                            relations.relate(of, to, item.required == Some(false));
                        }
                        false
                    }
                    _ => true,
                }
            });
        }
        (roles, own)
    }

    /// What is related by clauses that list nothing, and what these ask for. The rest, and whether that must be listed.
    fn read_clauses(&mut self, names: &[String], relations: &mut Relations, reading: &mut Reading) -> Vec<Rest> {
        let things = Things { names, tokens: &self.tokens };
        let signs_up = names.iter().any(|name| name.ends_with("sign-up") || name.ends_with("login"));
        let (mut rest, mut blocks) = (Vec::new(), Vec::new());
        let several = self.named.iter().filter(|place| things.named((*place).clone()).len() > 1);
        let headed: Vec<_> = several.map(|place| (place.clone(), None, false)).collect();
        for (place, of, listed) in self.clauses.iter().chain(&headed) {
            let text = self.said(place);
            let asked: Vec<Block> =
                asides::asked(&text).chain(block(&text)).filter(|block| !(signs_up && *block == Block::Authentication)).collect();
            // "every payment has an amount" asks for none.
            let asked: Vec<Block> = asked.into_iter().filter(|block| *block != Block::Payment || !self.has_more(place)).collect();
            let named = things.named(place.clone());
            let several = named.len() + usize::from(of.is_some_and(|of| !named.contains(&of))) > 1;
            let own = self.tokens[place.clone()].iter().any(|token| token.among("belongs belong"));
            let text_only = text.trim().trim_end_matches('.').to_lowercase();
            // "Books (title), authors (name). Many-to-many."
            let all = ["many-to-many", "many to many", "n:m", "m:n", "many-to-many relation", "many-to-many relationship"];
            if names.len() == 2 && all.contains(&text_only.as_str()) {
                relations.many.extend([(0, 1), (1, 0)]);
                continue;
            }
            let related = (several || own) && things.read(place.clone(), *of, relations);
            if related && place.len() < 16 {
                // What is said behind the last of them is listed for itself.
                reading.related += &format!("{} ", said(&self.tokens[place.start..things.ends(place.clone())]));
            } else {
                // "documents with a title can be uploaded" says more than that.
                let more = self.has_more(place) || asked.is_empty() && ((several && !related) || *listed || bounds(&text) > 0);
                rest.push((place.clone(), more));
            }
            blocks.extend(asked);
        }
        self.blocks.extend(blocks);
        rest
    }

    /// The things with their fields.
    fn resources(&self, reading: &mut Reading) -> Option<()> {
        let several = self.things.len() > 1;
        for thing in &self.things {
            // A guest book has entries.
            let mut resource = resources::resource(resources::container(&thing.name).unwrap_or(&many(&thing.name))).ok()?;
            let (mut required, mut assumed) = (Vec::new(), Vec::new());
            for item in &thing.items {
                let place = || said(&self.tokens[item.place.clone()]);
                let files = |text: &str| asides::asked(text).any(|block| block == Block::FileUpload);
                let named = item.words.join(" ");
                if item.notes.iter().any(|note| files(&format!("{named} {note}")))
                    || (item.plain() && named.ends_with("upload") && files(&named))
                {
                    reading.blocks.push(Block::FileUpload);
                    assumed.push(format!("{} of {} is a file: it is uploaded to each of them", item.words.join("_"), resource.plural));
                    continue;
                }
                // "a request is pending or accepted"
                let own = item.words.join(" ") == thing.name && !item.choices().is_empty();
                let item = &if own { item.called("status") } else { item.clone() };
                let Some(field) = item.field(&thing.name, &mut assumed) else {
                    reading.left.push(place());
                    continue;
                };
                if ["id", "created_at", "updated_at"].contains(&field.name.as_str()) {
                    assumed.push(format!("{} is set by the server", field.name));
                    continue;
                }
                if let Some(twice) = resource.field(&field.name) {
                    if *twice != field {
                        reading.left.push(place());
                    }
                    continue;
                }
                reading.left.extend(item::notes(item, &self.known(reading)));
                if item.required.is_some() {
                    required.push(field.name.clone());
                }
                resource.fields.push(Field { required: item.required.unwrap_or(false), ..field });
            }
            describe::require_one(&mut resource.fields, &required, &mut assumed);
            reading.assumed.extend(assumed.into_iter().map(|said| if several { format!("{}: {said}", resource.plural) } else { said }));
            let (identifier, plural) = (resource.identifier.clone(), resource.plural.clone());
            for field in &mut resource.fields {
                field.name = describe::called(std::mem::take(&mut field.name), &identifier, &plural, &mut reading.assumed);
            }
            reading.resources.push(resource);
        }
        Some(())
    }

    fn known(&self, reading: &Reading) -> String {
        let names = self.things.iter().map(|thing| format!("{} {}", thing.name, many(&thing.name))).collect::<Vec<_>>().join(" ");
        let fields = account::of_fields(reading.resources.iter().flat_map(|one| &one.fields));
        format!(
            "{names} {fields} {} text number money date integer string rest api fastapi web app website site page mobile backend microservice data pipeline",
            account::of_blocks(&self.blocks)
        )
    }

    /// What says something that is nowhere.
    fn list_rest(&self, rest: &[Rest], reading: &mut Reading) {
        let known = format!("{} {}", self.known(reading), reading.related);
        for (place, unrelated) in rest {
            let text = said(&self.tokens[place.clone()]);
            if !account::lost(&text, &known).is_empty() || *unrelated {
                reading.left.push(text);
            }
        }
    }
}

/// How often it says what values there may be.
fn bounds(text: &str) -> usize {
    const BOUNDS: &str = "negative positive unique optional required mandatory duplicate duplicates missing empty blank default maximum minimum least \
        between zero invalid twice exceed than below above without isn";
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| is_in(BOUNDS, word)).count()
}

fn reference(to: &Resource, required: bool) -> Field {
    Field { field_type: FieldType::Reference, references: Some(to.path.clone()), ..fields::text(&to.identifier, required) }
}

/// "search", in a list of what something has, is a part of the project.
fn block(text: &str) -> Option<Block> {
    Some(match text.to_lowercase().trim_start_matches("a ").trim_end_matches('s') {
        "search" | "searchable" | "full-text search" => Block::Search,
        "auth: ye" | "login: ye" | "authentication: ye" => Block::Authentication,
        "login" | "log-in" | "authentication" | "auth" | "user account" | "sign-in" | "auth required" | "login required" => {
            Block::Authentication
        }
        "pagination" | "paging" | "paginated" => Block::Pagination,
        "file upload" | "photo upload" | "image upload" | "picture upload" => Block::FileUpload,
        "live update" => Block::Websocket,
        "payment" | "card payment" | "online payment" => Block::Payment,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `books [title!:Text author:Reference] | what is left`
    fn shown(sentence: &str) -> String {
        let Some(reading) = read(sentence) else { return "nothing".to_owned() };
        let field = |field: &Field| {
            let mut said = format!("{}{}", field.name, if field.unique { "*" } else { "" });
            if field.references.is_some() {
                said = format!("->{said}");
            } else if !field.choices.is_empty() {
                said += &format!(":{}", field.choices.join("/"));
            } else {
                said += &format!(":{:?}", field.field_type);
            }
            said += &field.least.map(|least| format!(">={least}")).unwrap_or_default();
            said += &field.most.map(|most| format!("<={most}")).unwrap_or_default();
            said + &field.default.as_ref().map(|default| format!("={default}")).unwrap_or_default()
        };
        let thing = |one: &Resource| format!("{}({})", one.path, one.fields.iter().map(field).collect::<Vec<_>>().join(" "));
        let things = reading.resources.iter().map(thing).collect::<Vec<_>>().join(", ");
        let blocks = reading.blocks.iter().map(|block| format!(" +{}", block.name())).collect::<String>();
        if reading.left.is_empty() { format!("{things}{blocks}") } else { format!("{things}{blocks} | {}", reading.left.join("; ")) }
    }

    #[test]
    fn who_has_what_is_read_however_it_is_listed() {
        for (sentence, read) in [
            (
                "Kayaks (name, seats) and trips (date, price); each trip is for one kayak",
                "kayaks(name:Text seats:Integer), trips(date:Date price:Number ->kayak)",
            ),
            ("Kayak: name, seats 1-3. Trip: date, belongs to a kayak.", "kayaks(name:Text seats:Integer>=1<=3), trips(date:Date ->kayak)"),
            ("Kayak – name, weight in kg. Trip – date, kayak", "kayaks(name:Text weight:Number), trips(date:Date ->kayak)"),
            ("for every guide we note the name, phone and licence class A, B or C", "guides(name:Text phone:Text licence_class:A/B/C)"),
            ("kayaks {name: string unique, seats: int default 1}", "kayaks(name*:Text seats:Integer=1)"),
            (
                "Repairs of a kayak with a date and whether it was paid. Kayaks have a name",
                "repairs(date:Date paid:Boolean ->kayak), kayaks(name:Text)",
            ),
            (
                "Bookings linking a guide and a kayak with a date. Guides: name. Kayaks: name",
                "bookings(date:Date ->guide ->kayak), guides(name:Text), kayaks(name:Text)",
            ),
            (
                "A match has a date, a home team and an away team. A team has a name",
                "matches(date:Date ->home_team ->away_team), teams(name:Text)",
            ),
            (
                "A kayak belongs to a club with a name and a unique email; kayaks have a colour",
                "kayaks(colour:Text ->club), clubs(name:Text email*:Email)",
            ),
        ] {
            assert_eq!(shown(sentence), read, "{sentence}");
        }
    }

    #[test]
    fn what_is_said_of_a_field_is_no_field() {
        for (sentence, read) in [
            (
                "Boats have a length in metres, never negative, a price and a status low/normal/high with normal as the default",
                "boats(length:Number>=0 price:Number status:low/normal/high=\"normal\")",
            ),
            (
                "Boats have a name of max. 40 characters, an owner if there is one, and a colour (red, green or blue, default red)",
                "boats(name:Text<=40 boat_owner:Text colour:red/green/blue=\"red\")",
            ),
            (
                "Boats have a state that starts as \"new\" and goes to \"in use\" and \"gone\" and a start and end date",
                "boats(state:new/in use/gone=\"new\" start_date:Date end_date:Date)",
            ),
            (
                "Boats have a date and time, how many seats there are and the day on which it was bought",
                "boats(date_and_time:Datetime seats:Integer day_bought:Date)",
            ),
            ("Boats have a code (exactly 8 characters, no two the same) and a link to the plan", "boats(code*:Text>=8<=8 plan_link:Url)"),
        ] {
            assert_eq!(shown(sentence), read, "{sentence}");
        }
    }

    #[test]
    fn what_is_not_understood_is_listed_and_not_built() {
        for (sentence, read) in [
            ("Boats have a name, and everybody is happy", "boats(name:Text) | everybody is happy"),
            ("Boats and crews with a name", "nothing"),
            (
                "Boats have a name and user accounts with a name and an email",
                "boats(name:Text) +authentication | user accounts with a name and an email",
            ),
            (
                "Boats have a name. Crews have a name. Boats overtake crews at night",
                "boats(name:Text), crews(name:Text) | Boats overtake crews at night",
            ),
            ("Boats have a weight. The weight is a secret of the captain", "boats(weight:Number) | The weight is a secret of the captain"),
        ] {
            assert_eq!(shown(sentence), read, "{sentence}");
        }
    }

    /// Whatever stands beside what.
    const WORDS: &str = "boats boat crews a an the each every has have with which that of for in to from and or , ; . : - ( ) / | = -> name date time weight status \
        unique optional between 1 5 at least most default open closed by where we note store there are is whether if it they many several belongs how what one record \
        fields csv json api web app 's \" 2) A+ no- _ ' enum linking same kg characters last";

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(3_000))]
        #[test]
        fn no_order_of_words_breaks_it(order in proptest::collection::vec(0_usize..200, 0..24)) {
            let words: Vec<&str> = WORDS.split_whitespace().collect();
            let sentence = order.iter().map(|n| words[n % words.len()]).collect::<Vec<_>>().join(" ");
            if let Some(reading) = read(&sentence) {
                proptest::prop_assert!(reading.resources.iter().all(|one| !one.fields.is_empty()), "{sentence}");
            }
            drop(fields(&sentence, "boat"));
            drop(crate::understand(&sentence));
            drop(qualities(&sentence, "the a"));
        }
    }

    #[test]
    fn each_is_a_pattern() {
        assert!([&BELONGS, &HAS_MANY, &SHARED].iter().all(|pattern| pattern.is_some()));
    }
}
