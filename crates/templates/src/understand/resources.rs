//! Which kinds of thing are to be kept, what is said of each, and which belongs to which.

use super::constraints::{joined, tokens};
use super::kinds::{HOLDING, WHOLES};
use super::scope::{self, find};
use super::{Refusal, refuse, words};
use crate::Resource;

/// What the sentence says, resource by resource.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) resources: Vec<Described>,
    /// (one that belongs, to which), by their places.
    pub(super) relations: Vec<(usize, usize)>,
    /// Clauses that say nothing to us.
    pub(super) rest: Vec<String>,
    /// How many are named where the whole is.
    named_at_first: usize,
}

#[derive(Debug)]
pub(super) struct Described {
    pub(super) resource: Resource,
    /// Texts that name fields.
    pub(super) fields: Vec<String>,
    /// What it shall not have.
    pub(super) without: Vec<String>,
    /// Only the name of the whole names it: "an inventory system".
    implied: bool,
}

const NAME_WORDS: usize = 3;

/// What a thing holds that is named instead of it: "a guest book" is for entries.
pub(super) const CONTAINERS: &[(&str, &str)] = &[
    ("guest book", "entries"),
    ("guestbook", "entries"),
    ("address book", "contacts"),
    ("phone book", "contacts"),
    ("log book", "entries"),
    ("logbook", "entries"),
    ("diary", "entries"),
    ("journal", "entries"),
    ("shopping list", "items"),
    ("grocery list", "items"),
    ("wish list", "items"),
    ("packing list", "items"),
    ("to-do list", "todos"),
    ("todo list", "todos"),
    ("task list", "tasks"),
    ("reading list", "books"),
    ("blog", "posts"),
];

/// What ends the names of resources where nothing is said of them yet.
const LEADS: &[&str] =
    &[" where ", ", where ", ", each ", ", every ", " each ", ", a ", ", an ", ", the ", " that belong to ", " that belongs to "];

/// `whole`: the word for the whole, where it names no kind of project.
pub(super) fn read(sentence: &str, whole: Option<&str>) -> Result<Read, Refusal> {
    let clauses = scope::clauses(sentence);
    let mut read = Read::default();
    // "For books. Build an API for books with a title": the one that says what is built.
    let says = |clause: &str| clause.to_lowercase().split(' ').any(|word| word == "api");
    let led: Vec<(&str, &str)> = clauses.iter().filter_map(|clause| Some((*clause, scope::after_lead(clause)?))).collect();
    let leading = led.iter().find(|(clause, _)| says(clause)).or(led.first()).map(|(clause, after)| (*clause, (*after).to_owned(), false));
    let main = leading.or_else(|| {
        clauses.iter().find_map(|clause| named_whole(clause, whole, sentence).map(|(after, implied)| (*clause, after, implied)))
    });
    if let Some((_, after, implied)) = &main {
        read.main(after, *implied)?;
        read.named_at_first = read.resources.len();
    }
    let said = main.as_ref().map_or("", |(main, ..)| main);
    let more: Vec<&str> = clauses.into_iter().filter(|clause| *clause != said && !scope::says_no_more(clause, said)).collect();
    // "Museum has a name. Exhibits belong to a museum": once more when all are known.
    let mut later = Vec::new();
    for clause in more {
        if !read.statements(clause, None, false)? {
            later.push(clause);
        }
    }
    for clause in later {
        if read.statements(clause, None, false)? {
            continue;
        }
        // "API for a fitness tracker. For workouts with a date"
        match scope::after_lead(clause).filter(|_| find(clause, "for ") == Some(0)) {
            Some(after) => read.main(after, false)?,
            None if is_empty(clause) || read.fields_alone(clause) => {}
            None => read.rest.push(clause.to_owned()),
        }
    }
    read.forget_idle();
    read.forget_unsaid();
    if read.resources.is_empty() {
        let named = "The goal does not say what the API is for";
        return refuse(if whole.is_some() {
            "The goal is not understood: it does not say what is to be kept, such as \"todos with a title\""
        } else {
            named
        });
    }
    Ok(read)
}

const INTRO: &[&str] = &[
    "build", "create", "make", "write", "develop", "design", "generate", "set", "up", "give", "need", "want", "would", "like", "have",
    "be", "is", "i", "we", "me", "us", "you", "please", "to", "can", "could", "for", "it", "this", "i'd", "a", "an", "the", "my", "our",
    "hello", "hi",
];
const SIZES: &[&str] = &[
    "simple",
    "small",
    "little",
    "basic",
    "new",
    "nice",
    "rest",
    "crud",
    "json",
    "http",
    "web",
    "online",
    "internal",
    "tiny",
    "quick",
    "minimal",
    "complete",
    "full",
    "restful",
    "good",
    "lightweight",
    "modern",
    "personal",
    "shared",
    "family",
    "private",
    "digital",
    "free",
    "easy",
];

/// "Build a simple API" says nothing by itself.
pub(super) fn is_empty(clause: &str) -> bool {
    const GREETINGS: &[&str] =
        &["thanks", "thank", "thx", "hey", "good", "morning", "evening", "day", "very", "much", "cheers", "regards", "kind", "all"];
    let lower = clause.to_lowercase();
    lower
        .split([' ', ','])
        .all(|word| word.is_empty() || word == "api" || GREETINGS.contains(&word) || INTRO.contains(&word) || SIZES.contains(&word))
}

/// What stands in its stead after "API for": "todos with a title" for "a todo API with a title", and whether only the name of the whole names it.
/// `sentence`: all of it.
fn named_whole(clause: &str, whole: Option<&str>, sentence: &str) -> Option<(String, bool)> {
    let words: Vec<&str> = clause.split(' ').collect();
    let at = words.iter().position(|word| word.trim_end_matches([',', ':']).eq_ignore_ascii_case("api"))?;
    let before: Vec<String> = words[..at].iter().map(|word| word.to_lowercase()).collect();
    let from = before.iter().rposition(|word| INTRO.contains(&word.trim_end_matches(','))).map_or(0, |at| at + 1);
    let mut name: Vec<&str> = before[from..].iter().map(String::as_str).filter(|word| !SIZES.contains(word)).collect();
    while name.len() > 1
        && container(&name.join(" ")).is_none()
        && ["management", "tracking", "booking", "planning", "list", "data"].contains(&name[name.len() - 1])
    {
        name.pop();
    }
    let rest = words[at + 1..].join(" ");
    let lower = rest.to_lowercase();
    let goes_on = rest.is_empty()
        || words[at].ends_with(',')
        || ["with ", "having ", "where ", "in which ", "that has ", "which has ", "containing ", ","]
            .iter()
            .any(|begin| lower.starts_with(begin));
    if !goes_on || name.len() > NAME_WORDS {
        return None;
    }
    // "with companies and contacts" names things where something more is said of one, or where the whole is none.
    let listed = lower.strip_prefix("with ").or(lower.strip_prefix("having ")).map(|_| &rest[rest.find(' ').map_or(0, |at| at + 1)..]);
    if let Some((things, behind)) =
        listed.and_then(|listed| things(listed, sentence, name.is_empty() || whole.is_some_and(|whole| HOLDING.contains(&whole))))
    {
        let own = Some(name.join(" ")).filter(|own| things.len() == 1 && !own.is_empty() && container(own).is_none());
        let names: Vec<String> = own.into_iter().chain(things).collect();
        return Some((format!("{}{behind}", names.join(" and ")), false));
    }
    if name.is_empty() {
        return None;
    }
    // "a chat room app, messages have a text"
    let states = words.get(at + 2).is_some_and(|verb| is_verb(verb));
    let separate = match rest.is_empty() || rest.starts_with(',') {
        true => "",
        false if states => ", where ",
        false => " ",
    };
    Some((format!("{}{separate}{rest}", name.join(" ")), true))
}

pub(super) fn is_verb(word: &str) -> bool {
    ["has", "have", "belong", "belongs"].contains(&word.to_lowercase().as_str())
}

/// The things that a list begins with, when it is one of things, and what comes after.
fn things(listed: &str, sentence: &str, sure: bool) -> Option<(Vec<String>, String)> {
    let words = tokens(listed);
    let ends =
        |word: &String| ["where", "that", "which", "having", "each", "every", "a", "an", "the"].contains(&word.to_lowercase().as_str());
    let states = |at: usize| at > 0 && words[at - 1] == "," && !ends(&words[at]) && words.get(at + 1).is_some_and(|word| is_verb(word));
    let length = (0..words.len()).find(|at| ends(&words[*at]) || states(*at) || words[*at] == "but").unwrap_or(words.len());
    let list = joined(&words[..length]).replace(" and ", ",");
    let names: Vec<String> = list.split(',').map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty()).collect();
    let many = |name: &String| resource(name).is_ok_and(|one| one.plural == *name && one.singular != *name && !name.contains(' '));
    if names.is_empty() || !names.iter().all(many) {
        return None;
    }
    // "Every contact belongs to a company"
    let said_of = |name: &String| {
        let (one, many) = (words::singular(name), name.as_str());
        let sentence = sentence.to_lowercase();
        [one.as_str(), many]
            .iter()
            .any(|name| ["has ", "have ", "belongs ", "belong "].iter().any(|verb| sentence.contains(&format!("{name} {verb}"))))
    };
    let lead = if length < words.len() && states(length) { ", where " } else { ", " };
    let behind = if length < words.len() { format!("{lead}{}", joined(&words[length..])) } else { String::new() };
    let which = ["that", "which", "where", "having", "each", "every"]
        .iter()
        .any(|word| words.get(length).is_some_and(|next| next.eq_ignore_ascii_case(word)));
    (which || names.iter().any(said_of) || (sure && names.len() > 1)).then_some((names, behind))
}
/// Stands before a text that says fields of what came before.
const FIELDS: char = '\u{E001}';

/// The names of resources, and what is said of them in the same clause.
fn head(after: &str) -> (String, Option<String>) {
    let fields = scope::first_of(after, scope::BEFORE_FIELDS);
    let lead = scope::first_of(after, LEADS);
    match (fields, lead) {
        (Some((at, length)), lead) if lead.is_none_or(|(lead, _)| at < lead) => {
            (after[..at].to_owned(), Some(format!("{FIELDS}{}", &after[at + length..])))
        }
        (_, Some((at, _))) => {
            let said = after[at..].trim_start_matches([',', ' ']);
            let said = said.strip_prefix("where ").or(said.strip_prefix("that ")).unwrap_or(said);
            (after[..at].to_owned(), Some(said.to_owned()))
        }
        _ => (after.to_owned(), None),
    }
}

impl Read {
    /// "Keep track of our equipment. Each machine has a name": it is left out, and said so.
    fn forget_unsaid(&mut self) {
        let said = |at: usize, read: &Self| {
            !read.resources[at].fields.is_empty() || read.relations.iter().any(|(one, to)| *one == at || *to == at)
        };
        let first = self.named_at_first.min(self.resources.len());
        if (0..first).any(|at| said(at, self)) || !(first..self.resources.len()).any(|at| said(at, self)) {
            return;
        }
        for _ in 0..first {
            self.rest.push(self.resources[0].resource.plural.clone());
            self.forget(0);
        }
    }

    /// "An inventory system. Products have a name", "an API for hotel bookings. A booking has a date": nobody said anything of inventories and
    /// hotel bookings.
    fn forget_idle(&mut self) {
        let related: Vec<usize> = self.relations.iter().flat_map(|(one, to)| [*one, *to]).collect();
        let said = |at: &usize| !self.resources[*at].fields.is_empty() || related.contains(at);
        let more = |at: &usize| {
            let end = self.resources[*at].resource.singular.rsplit(' ').next().unwrap_or_default();
            self.resources.iter().enumerate().any(|(other, of)| other != *at && said(&other) && of.resource.singular == end)
        };
        let idle = (0..self.resources.len()).find(|at| !said(at) && (self.resources[*at].implied || more(at)));
        let Some(idle) = idle.filter(|_| (0..self.resources.len()).any(|at| said(&at)) || self.resources.len() > 1) else { return };
        self.forget(idle);
    }

    fn forget(&mut self, idle: usize) {
        self.resources.remove(idle);
        for place in self.relations.iter_mut().flat_map(|(one, to)| [one, to]) {
            *place -= usize::from(*place > idle);
        }
    }

    /// "A ticket tracker. Title, description, done": fields of what has none yet.
    fn fields_alone(&mut self, clause: &str) -> bool {
        let Some(first) = self.resources.first().filter(|_| self.named_at_first < 2) else { return false };
        // "Conference talks. A title, a level. Each talk has a speaker"
        let end = first.resource.singular.rsplit(' ').next().unwrap_or_default();
        let at = self.resources.iter().position(|other| other.resource.singular == end).unwrap_or(0);
        let read = super::fields::parse(clause, &mut Vec::new());
        let most = read.is_ok_and(|read| read.fields.len() > 1 && read.not_understood.len() <= read.fields.len() / 3);
        let alone = self.resources[at].fields.is_empty() && most;
        if alone {
            self.resources[at].fields.push(clause.to_owned());
        }
        alone
    }

    /// What the clause says that names the whole. `implied`: by its own name only.
    fn main(&mut self, after: &str, implied: bool) -> Result<(), Refusal> {
        let (after, without) = scope::cut_without(after);
        let odd = |part: &&String| part.split(' ').count() > 3 || scope::first_of(&format!(" {part} "), scope::BEFORE_FIELDS).is_some();
        if let Some(odd) = without.iter().find(odd) {
            return refuse(format!("What follows \"without\" is not understood (\"{odd}\")"));
        }
        let (phrase, said) = head(&after);
        let named = self.name(phrase.trim().trim_end_matches(','), said.as_deref(), implied)?;
        let Some(first) = named.first().copied() else { return refuse("The goal does not say what the API is for") };
        if let Some(said) = said {
            let only = named.len() == 1;
            let begins_with_fields = said.starts_with(FIELDS);
            if begins_with_fields && !only {
                return refuse(format!("It names several kinds of thing (\"{}\"), and does not say whose the fields are", phrase.trim()));
            }
            let said = said.trim_start_matches(FIELDS);
            if !self.statements(said, Some(first), begins_with_fields)? {
                self.rest.push(said.to_owned());
            }
        }
        self.resources[first].without = without;
        // "a fitness tracker" is the whole once more.
        // "an API for a bakery" may be it, too.
        let article = ["a ", "an "].iter().any(|article| phrase.trim().to_lowercase().starts_with(article));
        self.resources[first].implied =
            implied || article || WHOLES.iter().any(|whole| phrase.trim().to_lowercase().ends_with(&format!(" {whole}")));
        Ok(())
    }

    /// What one clause says of resources that are there.
    pub(super) fn existing(resources: &[Resource], clause: &str) -> Result<Self, Refusal> {
        let described = resources.iter().map(|resource| Described {
            resource: resource.clone(),
            fields: Vec::new(),
            without: Vec::new(),
            implied: false,
        });
        let mut read = Self { resources: described.collect(), ..Self::default() };
        if read.statements(clause, None, false)? { Ok(read) } else { refuse(format!("\"{clause}\" is not understood as a change")) }
    }

    /// "products and warehouses", "authors and their posts", "a shopping list".
    fn name(&mut self, phrase: &str, said: Option<&str>, implied: bool) -> Result<Vec<usize>, Refusal> {
        if find(phrase, " or ").is_some() {
            return refuse(format!("\"{phrase}\" is not understood as the names of kinds of thing"));
        }
        let mut contained = phrase.to_owned();
        // "a reading list of books", "a list of plants"
        if let Some(at) =
            find(phrase, " of ").filter(|at| phrase[..*at].to_lowercase().ends_with("list") || phrase[..*at].ends_with("collection"))
        {
            phrase[at + 4..].clone_into(&mut contained);
        } else if let Some(things) = container(phrase) {
            // "a shopping list where items have a name": they are named.
            let subject = said.filter(|said| !said.starts_with(FIELDS)).and_then(subject_of);
            contained = subject.unwrap_or(things.to_owned());
        } else if (implied || words::is_article(phrase.split(' ').next().unwrap_or_default()))
            && let Some(subject) = said.filter(|said| !said.starts_with(FIELDS)).and_then(subject_of)
        {
            // "a habit tracker where habits have a name"
            contained = subject;
        }
        let parts = contained.replace(" and ", ",").replace(" as well as ", ",");
        let mut named = Vec::new();
        for part in parts.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let theirs = part.strip_prefix("their ").or(part.strip_prefix("its "));
            let at = self.place(theirs.unwrap_or(part))?;
            if theirs.is_some() && at > 0 {
                self.relate(at, at - 1);
            }
            named.push(at);
        }
        Ok(named)
    }

    /// Where the resource of this name is; it is added where it is not.
    fn place(&mut self, name: &str) -> Result<usize, Refusal> {
        let resource = resource(name)?;
        if let Some(at) = self.find(&resource.singular) {
            // "An API for hotel bookings. A booking has a date": it is called so where something is said of it.
            let there = &mut self.resources[at];
            if there.fields.is_empty() && there.resource.fields.is_empty() {
                there.resource = resource;
            }
            return Ok(at);
        }
        self.resources.push(Described { resource, fields: Vec::new(), without: Vec::new(), implied: false });
        Ok(self.resources.len() - 1)
    }

    fn find(&self, singular: &str) -> Option<usize> {
        let identifier = singular.replace([' ', '-'], "_");
        position(self.resources.iter().map(|described| &described.resource), &identifier)
    }

    fn knows(&self, name: &str) -> bool {
        resource(name).is_ok_and(|resource| self.find(&resource.singular).is_some())
    }

    fn relate(&mut self, one: usize, to: usize) {
        if !self.relations.contains(&(one, to)) {
            self.relations.push((one, to));
        }
    }

    /// Reads "each product has a name and belongs to a warehouse, a warehouse has a name". `subject`: whom it is about from its
    /// beginning, whose fields come at once where `fields`. False, and nothing is read, when it is about nothing that is known.
    fn statements(&mut self, text: &str, mut subject: Option<usize>, fields: bool) -> Result<bool, Refusal> {
        let words = tokens(text);
        let mut verb = fields.then_some(Verb::Has);
        let (mut object, mut at, mut any): (Vec<String>, usize, bool) = (Vec::new(), 0, fields);
        while at < words.len() {
            let begins = at == 0 || [",", "and", "but", "while", "where", "which"].contains(&words[at - 1].to_lowercase().as_str());
            if let Some((name, next, behind)) = begins.then(|| self.subject_at(&words, at, subject, any)).flatten() {
                self.say(subject, verb, &std::mem::take(&mut object))?;
                subject = Some(match name {
                    Some(name) => self.place(&name)?,
                    None => subject.unwrap_or(0),
                });
                (verb, at, any) = (Some(next), behind, true);
                continue;
            }
            // "customers have many addresses with a street"
            if verb == Some(Verb::HasMany)
                && words[at].eq_ignore_ascii_case("with")
                && !object.is_empty()
                && resource(&joined(&object)).is_ok()
            {
                let many = joined(&std::mem::take(&mut object));
                self.say(subject, verb, std::slice::from_ref(&many))?;
                (subject, verb) = (Some(self.place(&many)?), Some(Verb::Has));
                at += 1;
                continue;
            }
            // "ingredients of a recipe with a name"
            if verb == Some(Verb::Has) && ["with", "having"].contains(&words[at].to_lowercase().as_str()) {
                let Some((kept, one, of)) = self.part_of(&object) else {
                    return refuse(format!(
                        "It seems to ask for several kinds of thing (a second \"{}\"), and does not say whose the fields are",
                        words[at]
                    ));
                };
                self.say(subject, verb, &kept)?;
                let one = self.place(&one)?;
                self.relate(one, of);
                (subject, object) = (Some(one), Vec::new());
                at += 1;
                continue;
            }
            object.push(words[at].clone());
            at += 1;
        }
        if any {
            self.say(subject, verb, &object)?;
        }
        Ok(any)
    }

    /// A subject with its verb at this place: its name (none: the same as before), the verb, and where what is said begins. `going`: a
    /// verb alone goes on with what was said.
    fn subject_at(&self, words: &[String], at: usize, current: Option<usize>, going: bool) -> Option<(Option<String>, Verb, usize)> {
        let lower: Vec<String> = words[at..].iter().take(8).map(|word| word.to_lowercase()).collect();
        if let Some((verb, length)) = verb_at(&lower).filter(|_| current.is_some() && (going || at == 0)) {
            return Some((None, verb, at + length));
        }
        let determined = usize::from(["a", "an", "each", "every", "the", "all", "one"].contains(&lower.first()?.as_str()));
        for length in 1..=NAME_WORDS {
            let Some((verb, verb_length)) = lower.get(determined + length..).and_then(verb_at) else { continue };
            let name = words[at + determined..at + determined + length].join(" ");
            let behind = at + determined + length + verb_length;
            // "each has", "it has", "they have"
            if ["it", "they", "one", "each", "everyone"].contains(&name.to_lowercase().as_str()) {
                return (current.is_some() || self.resources.len() == 1).then_some((None, verb, behind));
            }
            let known = self.knows(&name);
            // One that was not named before, at the beginning of a clause: "Warehouses have a name".
            let new = || {
                (at == 0 && current.is_none() || at > 0 && length == 1 && current.is_some())
                    && resource(&name).is_ok_and(|r| determined > 0 || r.plural == name.to_lowercase())
                    && !is_people(&name)
                    // "The app has a dark mode", "a book always has a publisher".
                    && lower.first().is_none_or(|word| word != "the")
                    && !(1..length).any(|n| self.knows(&words[at + determined..at + determined + n].join(" ")))
            };
            return (known || new()).then_some((Some(name), verb, behind));
        }
        // "each with a name": of whom it was about.
        (!self.resources.is_empty() && lower.len() > 1 && lower[0] == "each" && ["with", "having"].contains(&lower[1].as_str()))
            .then_some((None, Verb::Has, at + 2))
    }

    /// What comes before it, its name, and what it is part of: "a title and ingredients of a recipe".
    fn part_of(&self, object: &[String]) -> Option<(Vec<String>, String, usize)> {
        let begin = object.iter().rposition(|word| [",", "and"].contains(&word.as_str())).map_or(0, |at| at + 1);
        let phrase = object[begin..].join(" ");
        let (one, of) = phrase.split_once(" of ")?;
        let of = of.trim_start_matches("a ").trim_start_matches("an ").trim_start_matches("the ").trim_start_matches("each ");
        let of = self.find(&resource(of).ok()?.singular)?;
        let kept = object[..begin.saturating_sub(1)].to_vec();
        Some((kept, one.to_owned(), of))
    }

    /// "A lesson has one teacher, one student and a date": it belongs to those, where they are kept themselves.
    fn without_ones(&mut self, subject: usize, object: &[String]) -> Result<Vec<String>, Refusal> {
        let parts = |word: Option<&String>| word.is_none_or(|word| [",", "and"].contains(&word.as_str()));
        let (mut kept, mut at): (Vec<String>, usize) = (Vec::new(), 0);
        while let Some(word) = object.get(at) {
            let one = object.get(at + 1).filter(|_| word.eq_ignore_ascii_case("one") && parts(kept.last()) && parts(object.get(at + 2)));
            match one.filter(|one| self.knows(one)) {
                Some(one) => {
                    let one = self.place(one)?;
                    self.relate(subject, one);
                    at += 3;
                }
                None => {
                    kept.push(word.clone());
                    at += 1;
                }
            }
        }
        Ok(kept)
    }

    fn say(&mut self, subject: Option<usize>, verb: Option<Verb>, object: &[String]) -> Result<(), Refusal> {
        let (Some(subject), Some(verb)) = (subject, verb) else { return Ok(()) };
        let object = if verb == Verb::Has { self.without_ones(subject, object)? } else { object.to_vec() };
        let joined = joined(&object);
        let text = trimmed(&joined);
        if text.is_empty() {
            return Ok(());
        }
        if verb == Verb::Has {
            self.resources[subject].fields.push(text.to_owned());
            return Ok(());
        }
        let things = text.replace(" and ", ",");
        for thing in things.split(',').map(trimmed).filter(|thing| !thing.is_empty()) {
            // "A post has many comments and a title"
            if verb == Verb::HasMany && ["a ", "an "].iter().any(|article| thing.starts_with(article)) {
                self.resources[subject].fields.push(thing.to_owned());
                continue;
            }
            let other = self.place(thing)?;
            let (one, to) = if verb == Verb::HasMany { (other, subject) } else { (subject, other) };
            self.relate(one, to);
        }
        Ok(())
    }
}

fn trimmed(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let shorter = text.trim_end_matches([',', ' ', '.']);
        let shorter =
            [" and", " but", " while", " where", " which"].iter().fold(shorter, |text, word| text.strip_suffix(word).unwrap_or(text));
        let shorter = if ["and", "but"].contains(&shorter) { "" } else { shorter };
        if shorter == text {
            return text;
        }
        text = shorter;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Has,
    HasMany,
    BelongsTo,
}

/// A verb at the beginning, and how many words it is.
fn verb_at(words: &[String]) -> Option<(Verb, usize)> {
    const PHRASES: &[(&[&str], Verb)] = &[
        (&["has", "many"], Verb::HasMany),
        (&["have", "many"], Verb::HasMany),
        (&["has", "several"], Verb::HasMany),
        (&["have", "several"], Verb::HasMany),
        (&["belongs", "to"], Verb::BelongsTo),
        (&["belong", "to"], Verb::BelongsTo),
        (&["is", "part", "of"], Verb::BelongsTo),
        (&["are", "part", "of"], Verb::BelongsTo),
        (&["has"], Verb::Has),
        (&["have"], Verb::Has),
    ];
    let is = |phrase: &[&str]| phrase.len() <= words.len() && phrase.iter().zip(words).all(|(a, b)| a == b);
    PHRASES.iter().find(|(phrase, _)| is(phrase)).map(|(phrase, verb)| (*verb, phrase.len()))
}

fn is_people(name: &str) -> bool {
    ["we", "i", "you", "everybody", "everyone", "nobody", "people", "users who", "this", "that"].contains(&name.to_lowercase().as_str())
}

/// "items have a name" is about items.
fn subject_of(said: &str) -> Option<String> {
    let words = tokens(said);
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let determined = usize::from(["a", "an", "each", "every", "the", "all"].contains(&lower.first()?.as_str()));
    let length = (1..=NAME_WORDS).find(|length| lower.get(determined + length..).and_then(verb_at).is_some())?;
    let name = words[determined..determined + length].join(" ");
    (resource(&name).is_ok() && !["it", "they", "one"].contains(&name.as_str())).then_some(name)
}

/// Where the one of this name is: "each job" is a repair job, where no other jobs are.
pub(crate) fn position<'a>(resources: impl IntoIterator<Item = &'a Resource>, identifier: &str) -> Option<usize> {
    let names: Vec<&str> = resources.into_iter().map(|resource| resource.identifier.as_str()).collect();
    let only = |is: &dyn Fn(&str) -> bool| {
        let mut places = names.iter().enumerate().filter(|(_, name)| is(name)).map(|(at, _)| at);
        places.next().filter(|_| places.next().is_none())
    };
    let ending = format!("_{identifier}");
    only(&|name| name == identifier).or_else(|| only(&|name| name.ends_with(&ending)))
}

pub(super) fn container(phrase: &str) -> Option<&'static str> {
    let lower = phrase.to_lowercase();
    let name = lower.split(' ').filter(|word| !words::is_filler(word)).collect::<Vec<_>>().join(" ");
    let bare = lower.split_once(' ').filter(|(article, _)| words::is_filler(article)).map_or(lower.as_str(), |(_, rest)| rest);
    CONTAINERS.iter().find(|(container, _)| bare == *container || name == *container).map(|(_, things)| *things)
}

const NO_NAMES: &[&str] = &[
    "with", "in", "to", "or", "who", "which", "that", "have", "has", "is", "are", "can", "not", "no", "at", "most", "optional", "required",
    "unique", "from", "for", "by", "where", "i", "we", "you", "need", "needs", "want", "wants",
];

/// Of the last word of a name.
pub(crate) fn singular(name: &str) -> String {
    match name.rsplit_once('_') {
        Some((first, last)) => format!("{first}_{}", words::singular(last)),
        None => words::singular(name),
    }
}

/// A resource by its name in words, one or many.
pub(crate) fn resource(phrase: &str) -> Result<Resource, Refusal> {
    let lower = || phrase.split_whitespace().map(str::to_lowercase);
    let mut words: Vec<String> = lower().filter(|w| !words::is_filler(w)).collect();
    if words.is_empty() {
        // "a todo belongs to a list": they are what is kept.
        words.extend(lower().find(|word| ["list", "lists"].contains(&word.as_str())));
    }
    if words.is_empty() {
        return refuse("The goal does not say what the API is for");
    }
    if let Some(odd) = words.iter().find(|w| NO_NAMES.contains(&w.as_str())) {
        return refuse(format!("\"{phrase}\" is not understood as the name of one kind of thing, for its \"{odd}\""));
    }
    if words.len() > NAME_WORDS {
        return refuse(format!("\"{phrase}\" is not understood as the name of one kind of thing"));
    }
    if let Some(odd) = words.iter().find(|w| !words::is_plain(w)) {
        return refuse(format!("\"{odd}\" cannot be part of a name in a URL: use the letters a to z"));
    }
    let (last, before) = words.split_last().map(|(last, before)| (last.as_str(), before)).unwrap_or(("", &[]));
    let join = |last: String, with: &str| before.iter().cloned().chain([last]).collect::<Vec<_>>().join(with);
    let (singular, plural) = (words::singular(last), words::plural(&words::singular(last)));
    Ok(Resource {
        singular: join(singular.clone(), " "),
        plural: join(plural.clone(), " "),
        path: join(plural, "-").replace('_', "-"),
        identifier: join(singular, "_").replace('-', "_"),
        fields: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each resource with its fields' texts, and what it belongs to.
    fn shown(sentence: &str) -> String {
        match read(sentence, None) {
            Err(refusal) => format!("refused: {}", refusal.reason),
            Ok(read) => {
                let of = |at: usize| {
                    read.relations
                        .iter()
                        .filter(move |(one, _)| *one == at)
                        .map(|(_, to)| format!(" -> {}", read.resources[*to].resource.path))
                };
                let one =
                    |(at, d): (usize, &Described)| format!("{} ({}){}", d.resource.path, d.fields.join(" | "), of(at).collect::<String>());
                read.resources.iter().enumerate().map(one).collect::<Vec<_>>().join("; ")
            }
        }
    }

    #[test]
    fn what_is_said_is_said_of_somebody() {
        for (sentence, expected) in [
            ("Build a API for todos with a title and a date", "todos (a title and a date)"),
            ("API for people where each person has a name, a birthday", "people (a name, a birthday)"),
            (
                "API for products and warehouses. Products have a name and a sku. Each product belongs to a warehouse. Warehouses have a name",
                "products (a name and a sku) -> warehouses; warehouses (a name)",
            ),
            (
                "An API for authors and their posts; a post has a title and a body and belongs to an author, an author has a name",
                "authors (a name); posts (a title and a body) -> authors",
            ),
            (
                "API for recipes with a title and ingredients of a recipe with a name and a quantity",
                "recipes (a title); ingredients (a name and a quantity) -> recipes",
            ),
            ("API for orders, each order belongs to a customer", "orders () -> customers; customers ()"),
            ("API for authors. Each author has a name and has many books", "authors (a name); books () -> authors"),
            ("API for a shopping list where items have a name", "items (a name)"),
            ("API for a habit tracker where habits have a name", "habits (a name)"),
            ("API for a reading list of books with a title", "books (a title)"),
            ("API for a guest book with a name and a message", "entries (a name and a message)"),
            ("API for todos, each with a title", "todos (a title)"),
        ] {
            assert_eq!(shown(sentence), expected, "{sentence}");
        }
        for sentence in ["API for books and authors with a name", "API for todos with a title and steps with a name", "API for 🚀"] {
            assert!(shown(sentence).starts_with("refused"), "{sentence}: {}", shown(sentence));
        }
    }
}
