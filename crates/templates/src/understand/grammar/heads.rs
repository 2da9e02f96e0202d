//! Where it is said what a thing has: "rooms (name, floor)", "Rooms: name, floor", "rooms with a name", "each room has a name", "for each room we
//! note its name".

use std::ops::Range;

use super::item::Item;
use super::items::{self, Part, is_in};
use super::names::{NO_THINGS, name_before, name_from};
use super::tokens::{DASHES, Token, outside};
use super::values;
use crate::understand::field_type::UNITS;
use crate::understand::words;

pub(super) struct Head {
    pub(super) name: String,
    /// Where its name begins.
    pub(super) from: usize,
    pub(super) list: Range<usize>,
    /// It stands in brackets.
    pub(super) bracketed: bool,
}

const HAVING: &str = "has have having with contains contain containing includes include including comprises comprise comprising features stores holds hold \
    carries carry needs need gets get takes take shows show records keeps tracks whose lists says say consists consist consisting featuring carrying holding specifies captures requires require store record";
/// Between a thing and its verb.
const ADVERBS: &str = "also should must can may will shall only just always each all which that who to usually normally would could both every of them \
    one simply additionally then furthermore ,";
const PRONOUNS: &str = "it they each these those them every one all which that who";
const NOTING: &str = "note need want store save keep record track register log enter see know write list hold capture collect remember require add fill need's noted recorded stored kept put notes needs wants \
    stores saves keeps records tracks show display have has enters put give registers saved manage managed";
const NOTERS: &str = "we i you they it one people users staff the system app api should must will shall would like to also can may down of about only just be is are want wants everyone must following team our my , at least";
const TIMES: &str = "night day hour week month morning evening minute year monday friday sunday";
/// What is built, and keeps things.
pub(super) const WHOLES: &str =
    "api app backend microservice service website site tool system pipeline web application software place way somewhere something";
/// What is said of things before what they have.
const STATING: &str =
    "is are belong belongs connect connects link links must can take takes refer refers reference references concern go goes";
/// Where a thing is named.
const BEFORE_THINGS: &str = "and for of each every the where manage store track keep record register list our my their his her its new all these to plus in by also many \
    several multiple down";
const MANY: &str = "many several multiple no not to been any more lots one zero different access its";

/// Who has something.
struct Subject {
    name: String,
    from: usize,
    /// It is not named there.
    implied: bool,
}

pub(super) struct Finder<'a> {
    pub(super) tokens: &'a [Token],
    /// Their words, as they were said.
    pub(super) words: &'a [String],
}

impl Finder<'_> {
    fn among(&self, at: usize, words: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.among(words))
    }

    fn is(&self, at: usize, any: &[&str]) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(any))
    }

    /// The heads of a clause. `last`: what was spoken of before.
    pub(super) fn heads(&self, clause: Range<usize>, last: Option<&str>) -> Vec<Head> {
        let mut heads: Vec<Head> = Vec::new();
        let mut open = false;
        for at in outside(self.tokens, clause.clone()) {
            if heads.last().is_some_and(|head| at < head.list.start) {
                continue;
            }
            let spoken_of = heads.last().map(|head| head.name.clone()).or_else(|| last.map(str::to_owned));
            if let Some(closes) = self.tokens[at].closes {
                // "volume in litres (decimal)"
                if at > clause.start && UNITS.contains(&self.tokens[at - 1].lower.as_str()) {
                    continue;
                }
                // "a price list CSV (item code, unit price)"
                if at > clause.start && self.among(at - 1, "enum choice choices") {
                    continue;
                }
                let file = at > clause.start && self.among(at - 1, "csv json file files export exports feed dump");
                let named = self.named_before(at - usize::from(file), clause.start);
                let named = named.map(|(from, name)| {
                    let of_one = from > clause.start && self.is(from, &["a", "an", "each"]) && self.is(from - 1, &["of"]);
                    if of_one || from > clause.start && self.is(from - 1, &["per"]) {
                        self.without_about((from, name), clause.start)
                    } else {
                        (from, name)
                    }
                });
                if let Some((from, name)) = named.filter(|_| self.holds_fields(at + 1..closes)) {
                    let many = words::is_many(&self.tokens[at - 1].lower);
                    let values = self.tokens[at + 1..closes].iter().any(|token| token.is(&["or", "/", "|"]))
                        && items::parts(self.tokens, at + 1..closes).iter().any(|part| matches!(part, Part::Clause(_)));
                    if many || file || !(open || values && from > clause.start) {
                        heads.push(Head { name, from, list: at + 1..closes, bracketed: true });
                        open = false;
                    }
                }
                continue;
            }
            let found = self
                .marked(at, &clause, open, last)
                .or_else(|| self.having(at, &clause, open, spoken_of.as_deref()))
                .or_else(|| self.for_each(at, &clause));
            if let Some(head) = found {
                heads.push(head);
                open = true;
            }
        }
        for n in 0..heads.len() {
            let ends = heads.get(n + 1).map_or(clause.end, |next| next.from);
            if !heads[n].bracketed {
                heads[n].list.end = ends.max(heads[n].list.start);
            }
        }
        heads
    }

    fn named_before(&self, end: usize, least: usize) -> Option<(usize, String)> {
        if let Some((from, name)) = name_before(self.words, end) {
            // "my students' grades"
            let name = name.split_once(' ').filter(|(whose, _)| words::is_many(whose)).map_or(name.clone(), |(_, name)| name.to_owned());
            let page = self.is(end - 1, &["page", "pages"]) && end > 1 && self.is(end - 2, &["web"]);
            let time = page || self.among(end - 1, TIMES) && end > 1 && self.is(end - 2, &["every", "each"]);
            return (from >= least && !time).then_some((from, name));
        }
        // "save sample with code"
        let saved = end > least + 1
            && self.among(end - 2, "save saves store stores record records manage register post")
            && self.tokens[end - 1].is_word()
            && !is_in(NO_THINGS, &self.words[end - 1])
            && !is_in(super::names::NO_NAME, &self.words[end - 1]);
        if saved {
            return Some((end - 1, words::singular(&self.words[end - 1])));
        }
        // "A list has a name": such words are things where something is said of them.
        const KEPT: &str = "list lists user users model models property properties feature features";
        let begins = end > least && self.among(end - 1, KEPT) && (end - 1 == least || self.among(end - 2, "a an each every the and , :"));
        begins.then(|| {
            (
                end - 1 - usize::from(end - 1 > least && self.is(end - 2, &["a", "an", "each", "every", "the"])),
                words::singular(&self.words[end - 1]),
            )
        })
    }

    /// "tickets about problems", "loans into a database", "inspections of each tree": the first is what has something.
    fn without_about(&self, (from, name): (usize, String), least: usize) -> (usize, String) {
        const ABOUT: &str = "per about for on of regarding at in from into by to";
        let preposition = (from > least).then(|| from - 1).filter(|at| self.among(*at, ABOUT));
        // "walks, each for one dog"
        let preposition = preposition
            .map(|at| (least + 1..=at).rev().find(|at| !self.among(*at - 1, "each , all which that are every is")).unwrap_or(at));
        let each = |at: usize| at > least + 1 && self.is(at - 2, &["each", "every"]);
        let before = preposition
            .filter(|at| *at > 0 && (words::is_many(&self.tokens[*at - 1].lower) || each(*at)))
            .and_then(|at| self.named_before(at, least));
        before.unwrap_or((from, name))
    }

    /// What links others, whose names stand between.
    fn linking(&self, before: usize, least: usize) -> Option<(usize, String)> {
        let verb = (least..before).rev().take(6).find(|at| self.is(*at, &["linking", "connecting", "joining", "combining", "between"]))?;
        self.named_before(verb, least)
    }

    /// Neither values nor only what is said of a field.
    fn holds_fields(&self, range: Range<usize>) -> bool {
        let mut about = Item::default();
        values::bracketed(&self.tokens[range.clone()], &mut about);
        // "environment (dev|staging)"
        let one = !self.tokens[range.clone()].iter().any(|token| token.is(&[",", "and"]));
        let values = one && self.tokens[range.clone()].iter().any(|token| token.is(&["|", "/"]));
        (!about.choices().is_empty() || !about.notes.is_empty()) && !values && self.are_fields(range)
    }

    fn are_fields(&self, range: Range<usize>) -> bool {
        let parts = items::parts(self.tokens, range);
        let items: Vec<&Item> = parts.iter().filter_map(|part| if let Part::Item(item) = part { Some(item) } else { None }).collect();
        items.iter().any(|item| item.is_sure())
            || (items.len() > 2 && items.len() == parts.len() && items.iter().any(|item| item.required.is_some()))
    }

    /// The first of them is a field, whatever comes.
    fn begins_sure(&self, range: Range<usize>) -> bool {
        matches!(items::parts(self.tokens, range).first(), Some(Part::Item(item)) if item.is_sure() && item.notes.is_empty() && !self.names_things(item))
    }

    /// "plots", "the bikes (brand, model)"
    fn names_things(&self, item: &Item) -> bool {
        let many = item.words.len() < 3 && item.words.last().is_some_and(|last| words::is_many(last));
        many && (self.tokens[item.place.clone()].iter().any(|token| token.closes.is_some()) || (item.plain() && !item.is_sure()))
    }

    /// Three or more, whatever they are called.
    fn lists_names(&self, range: Range<usize>) -> bool {
        let parts = items::parts(self.tokens, range);
        let items = parts.iter().filter(|part| matches!(part, Part::Item(_))).count();
        (parts.len() > 2 && items > parts.len() / 2) || (parts.len() == 2 && items == 2)
    }

    /// "Rooms: name, floor", "room = name, floor"
    fn marked(&self, at: usize, clause: &Range<usize>, open: bool, last: Option<&str>) -> Option<Head> {
        let dash = self.is(at, DASHES)
            && self.tokens[at].apart
            && at > clause.start
            && (at < clause.start + 4 || words::is_many(&self.tokens[at - 1].lower));
        if self.is(at, &[","]) && !open {
            return self.only_listed(at, clause);
        }
        let namely = self.is(at, &["i.e", "namely", "viz"]);
        if !(dash || namely || self.is(at, &[":", "=", "->", "→", "›"]))
            || at + 1 >= clause.end
            || self.among(at + 1, "true false yes no 0 1")
        {
            return None;
        }
        let lists = outside(self.tokens, at + 1..clause.end).into_iter().any(|n| self.is(n, &[",", "and", "plus"]));
        if self.is(at, &["=", "->", "→"]) && !lists {
            return None;
        }
        let end = if namely && at > clause.start && self.is(at - 1, &[","]) { at - 1 } else { at };
        let (from, name) = self.named_before(end, clause.start).map(|found| self.without_about(found, clause.start)).or_else(|| {
            let colon = self.is(at, &[":"]) && !open;
            let many = (clause.start..at).rev().filter(|_| colon).filter(|end| words::is_many(&self.tokens[*end].lower));
            // "Support ticket REST API: subject, body"
            let kind =
                (clause.start..at).rev().filter(|_| colon).filter(|n| self.among(*n, "api rest microservice backend pipeline service app"));
            many.into_iter()
                .find_map(|end| self.named_before(end + 1, clause.start))
                .or_else(|| kind.into_iter().find_map(|end| self.named_before(end, clause.start)))
                // "Put them into SQLite: station id, measured at"
                .or_else(|| {
                    // "A CSV on the server: number, amount"
                    let file = self.tokens[clause.start..at].iter().any(|token| token.among("csv json jsonl"));
                    (colon && file && last.is_none() && self.begins_sure(at + 1..clause.end)).then(|| (clause.start, "record".to_owned()))
                })
                .or_else(|| last.filter(|_| colon && self.begins_sure(at + 1..clause.end)).map(|name| (clause.start, name.to_owned())))
        })?;
        let begins = from == clause.start || !self.tokens[from - 1].is_word() || self.among(from - 1, BEFORE_THINGS);
        let many = words::is_many(&self.tokens[end.max(1) - 1].lower);
        if open && !(many && begins) {
            return None;
        }
        // "Things: rooms (name), guests (name)"
        let next = (at + 1..clause.end).take_while(|n| self.tokens[*n].is_word()).last().map_or(at + 1, |n| n + 1);
        let head = self
            .tokens
            .get(next)
            .and_then(|token| token.closes)
            .is_some_and(|closes| closes < clause.end && next > at + 1 && self.holds_fields(next + 1..closes));
        let verb = self.tokens.get(next - 1).is_some_and(|_| (at + 1..next).skip(1).any(|n| self.is(n, &["has", "have", "with"])));
        if head || verb || !self.are_fields(at + 1..clause.end) {
            return None;
        }
        Some(Head { name, from, list: at + 1..clause.end, bracketed: false })
    }

    /// "for short links, just a unique slug, the target URL": all that comes is a field.
    fn only_listed(&self, at: usize, clause: &Range<usize>) -> Option<Head> {
        let (from, name) = self.named_before(at, clause.start).filter(|_| words::is_many(&self.tokens[at - 1].lower))?;
        let list = at + 1 + usize::from(self.is(at + 1, &["just", "only"]));
        let parts = items::parts(self.tokens, list..clause.end);
        let sure = parts.iter().filter(|part| matches!(part, Part::Item(item) if item.is_sure())).count();
        let listed = parts.len() > 1 && sure * 2 > parts.len() && parts.iter().all(|part| matches!(part, Part::Item(_)));
        listed.then_some(Head { name, from, list: list..clause.end, bracketed: false })
    }

    /// "each room has a name", "rooms with a name", "which has a name"
    fn having(&self, at: usize, clause: &Range<usize>, open: bool, spoken_of: Option<&str>) -> Option<Head> {
        let list = self.list_behind(at, clause)?;
        let Subject { name, from, implied } = self.subject(at, list, clause, open, spoken_of)?;
        let begun = if self.tokens[at].lower == "with" { implied || self.may_have(at, list, &name, from, clause, open) } else { true };
        let sure = self.among(at, "has have stores contains having consists holds records") && self.lists_names(list..clause.end);
        let several = at > clause.start && self.is(at - 1, &["services"]);
        let whole = is_in(NO_THINGS, &name) && !several || name.ends_with("app") || name.ends_with("api");
        (begun && !whole && (sure || self.are_fields(list..clause.end))).then_some(Head {
            name,
            from,
            list: list..clause.end,
            bracketed: false,
        })
    }

    /// Where the list begins that the verb leads to, if it is one.
    fn list_behind(&self, at: usize, clause: &Range<usize>) -> Option<usize> {
        // "A bookmark is a URL plus a title"
        let is_made_of = self.is(at, &["is", "are"])
            && self.is(at + 1, &["a", "an", "the"])
            && at < clause.start + 5
            && self.is(clause.start, &["a", "an", "each", "every", "one"])
            && items::parts(self.tokens, at + 1..clause.end).len() > 1;
        // "vinyl records: artist, title"
        let named = self.is(at + 1, &[":", "(", ","]) && !self.among(at, "has have having with contains containing includes including");
        // "which gets uploaded"
        let done = self.is(at, &["gets", "get"]) && self.tokens.get(at + 1).is_some_and(|next| next.lower.ends_with("ed"));
        let denied = at > clause.start && self.among(at - 1, "never not cannot can't doesn't don't");
        if !(is_made_of || self.among(at, HAVING)) || named || done || denied || self.among(at + 1, MANY) {
            return None;
        }
        // "has a service name" is said of a service's name.
        let whole = |token: &Token| {
            token.among(WHOLES)
                && !self.tokens[at + 1..clause.end.min(at + 7)]
                    .windows(2)
                    .any(|pair| pair[0].lower == token.lower && pair[1].among("name id version number url type status code"))
                || token.lower.ends_with(".csv")
                || token.lower.ends_with(".json")
        };
        if self.tokens[at + 1..clause.end.min(at + 6)].iter().take_while(|token| token.lower != ",").any(whole) {
            return None;
        }
        let mut list = at + 1;
        for lead in ["of the", "following", "fields attributes columns properties information data :", ": ,"] {
            list += usize::from(self.among(list, lead));
        }
        // "with normal as the default"
        let said = &self.tokens[list.min(clause.end)..clause.end.min(list + 8)];
        let default = said.iter().any(|token| token.lower == "default") && said.iter().take(4).any(|token| token.lower == "as");
        (list < clause.end && !default).then_some(list)
    }

    /// Who has it, by what stands before the verb.
    fn subject(&self, at: usize, list: usize, clause: &Range<usize>, open: bool, spoken_of: Option<&str>) -> Option<Subject> {
        let (with, have) = (self.is(at, &["with"]), self.is(at, &["has", "have", "having"]));
        let mut end = at;
        // "capacity, has projector" is not said of the capacity.
        let parted = |end: usize| !with && self.is(end - 1, &[","]) && !self.among(end, "which that who each all both every");
        while end > clause.start && self.among(end - 1, ADVERBS) && !parted(end) && (!with || self.is(end - 1, &["each", "all", ","])) {
            end -= 1;
        }
        let referring = &self.tokens[end..at];
        if referring.iter().any(|token| token.lower == "to") {
            return None;
        }
        // "how many frames have brood"
        if end > clause.start + 2 && have && self.is(end - 2, &["many"]) && self.is(end.saturating_sub(3), &["how"]) {
            return None;
        }
        let said = |(from, name): (usize, String)| Subject { name, from, implied: false };
        let implied = |from: usize, name: &str| Subject { name: name.to_owned(), from, implied: true };
        // "We get a CSV from the till with the code"
        let file = with && !open && spoken_of.is_none() && self.tokens[clause.start..at].iter().any(|token| token.among("csv json jsonl"));
        let many = end > clause.start && words::is_many(&self.tokens[end - 1].lower);
        if file && !many && self.begins_sure(list..clause.end) {
            return Some(implied(at, "record"));
        }
        if let Some((from, name)) = self.named_before(end, clause.start) {
            // "bookings linking a parent and a sitter with a date"
            if let Some(links) = with.then(|| self.linking(from, clause.start)).flatten() {
                return Some(said(links));
            }
            // "ingredients of a recipe with a name"
            let of_one = from > clause.start
                && (self.is(from, &["a", "an", "each"]) && self.is(from - 1, &["of"])
                    || self.is(from - 1, &["that", "this"])
                    // "each workout in a plan has a day"
                    || have && self.is(from, &["a", "an", "the"]) && self.is(from - 1, &["in", "on", "at", "within"]));
            let about = (with && end < at) || (of_one && self.is(at, &["with", "have"]));
            // "lessons are given by an instructor to a learner, with a start"
            let parted = (clause.start..from).rev().find(|n| self.among(*n, ", : ) ;")).unwrap_or(clause.start);
            let mut verbs = (parted..from).rev().filter(|n| with && end < at && self.among(*n, STATING));
            let stated = verbs.find_map(|n| self.named_before(n, clause.start)).filter(|_| about && self.is(from, &["a", "an", "one"]));
            let named = stated.unwrap_or((from, name));
            return Some(said(if about { self.without_about(named, clause.start) } else { named }));
        }
        let before = at - usize::from(at > clause.start);
        // "every payment I book has an amount"
        if have && end > clause.start + 2 && self.among(end - 2, "i we you they") {
            return self.named_before(end - 2, clause.start).map(said);
        }
        // "reservations are for a room and have a date"
        // and "shall reference one supplier and shall carry a number"
        if have && self.is(before, &["and"]) || !with && end > clause.start && self.is(end - 1, &["and"]) {
            let mut verbs = (clause.start..at).rev().filter(|n| self.among(*n, STATING));
            return verbs.find_map(|n| self.named_before(n, clause.start)).map(said);
        }
        // "Contacts API with a name", "A web app please, with a title"
        let mut wholes = (clause.start..at).rev().filter(|n| self.among(*n, WHOLES)).peekable();
        if with && !open && wholes.peek().is_some_and(|whole| at - whole < 4) && self.begins_sure(list..clause.end) {
            let named = wholes.find_map(|n| self.named_before(n, clause.start));
            return named.map(|(from, name)| implied(from, &name)).or(spoken_of.map(|name| implied(at, name)));
        }
        // "each record with a number"
        if at > clause.start + 1
            && self.among(before, "record row entry line item")
            && self.is(at - 2, &["each", "every", "a", "one", "the"])
        {
            return spoken_of.map(|name| implied(at - 2, name));
        }
        // "requests per apartment, with a title"
        if with && (end < at || self.among(before, TIMES)) {
            let mut many = (clause.start..end).rev().take(6).filter(|n| words::is_many(&self.tokens[*n].lower));
            return many.find_map(|n| self.named_before(n + 1, clause.start)).map(said);
        }
        // "It has", "each has", "each with"
        let each = referring.iter().any(|token| token.is(&["each", "all"]));
        let pronoun = at > clause.start && !with && (self.among(before, PRONOUNS) || referring.iter().any(|token| token.among(PRONOUNS)));
        spoken_of.filter(|_| pronoun || each).map(|name| Subject { name: name.to_owned(), from: end, implied: each })
    }

    /// Whether "with" can lead to what such a thing has: "rooms with a name", not "a room with a view" in a list of fields.
    fn may_have(&self, at: usize, list: usize, name: &str, from: usize, clause: &Range<usize>, open: bool) -> bool {
        let length = usize::from(self.among(from, "a an each every the one any all our my their its")) + name.split(' ').count();
        let many = self.tokens.get(from + length - 1).is_some_and(|token| words::is_many(&token.lower));
        let begins = from == clause.start
            || !(self.tokens[from - 1].is_word() || self.tokens[from - 1].is_number())
            || self.among(from - 1, BEFORE_THINGS);
        // "a vineyard with plots, which have a name"
        let first = items::parts(self.tokens, list..clause.end).into_iter().next();
        let holder = !many && matches!(&first, Some(Part::Item(item)) if self.names_things(item));
        // "books and authors with a name" does not say whose it is.
        let both = !open && from > clause.start + 1 && self.is(from - 1, &["and"]) && words::is_many(&self.tokens[from - 2].lower);
        // "they connect a student with a course"
        let linked = self.tokens[clause.start..at]
            .iter()
            .rev()
            .take(4)
            .any(|token| token.among("connect connects link links join joins pair pairs"));
        // "and belongs to a client with a name"
        let article = self.among(from, "a an each every the one");
        let belongs = article && (!open || from > clause.start && self.among(from - 1, "to in by for at from on of"));
        !(holder || both || linked) && (belongs || (many && (begins || !open)))
    }

    /// "for every applicant we note the name"
    fn for_each(&self, at: usize, clause: &Range<usize>) -> Option<Head> {
        let where_noted = self.is(at, &["where"]) && self.among(at + 1, "we i you they people users");
        let each = self.among(at, "for of about per on from during") && self.among(at + 1, "each every all any a an one the whom which");
        if !(where_noted || each) {
            return None;
        }
        // "a member, of whom we need the name"
        let (mut list, name) = match self.is(at + 1, &["whom", "which"]) && at > clause.start {
            true => (at + 2, self.named_before(at - usize::from(self.is(at - 1, &[","])), clause.start)?.1),
            // "guests, where we put the name"
            false if self.is(at, &["where"]) => {
                (at + 1, self.named_before(at - usize::from(at > clause.start && self.is(at - 1, &[","])), clause.start)?.1)
            }
            false => name_from(self.words, at + 2, clause.end)?,
        };
        // "for a shopping list"
        let said_of_one = self.among(at + 1, "a an one the whom which") && !self.among(list, "we i you they it the ,");
        if said_of_one {
            return None;
        }
        // "for each loan of an exhibit we store"
        if self.is(list, &["of"]) {
            list = (list..clause.end.min(list + 6)).find(|n| self.among(*n, "we i you they :")).unwrap_or(list);
        }
        let mut noted = false;
        while list < clause.end
            && (is_in(NOTERS, &self.tokens[list].lower) || is_in(NOTING, &self.tokens[list].lower))
            && !(noted && self.is(list, &["the"]))
        {
            noted |= is_in(NOTING, &self.tokens[list].lower);
            list += 1;
        }
        // "for every guest the full name and an email"
        noted |= !noted
            && self.is(at + 1, &["each", "every"])
            && self.is(list, &["the", "a", "an", "their", "its"])
            && self.begins_sure(list..clause.end);
        if self.is(list, &[":"]) {
            (noted, list) = (noted || !self.is(at + 1, &["a", "an", "one"]), list + 1);
        }
        (noted && list < clause.end && self.are_fields(list..clause.end)).then_some(Head {
            name,
            from: at,
            list: list..clause.end,
            bracketed: false,
        })
    }
}
