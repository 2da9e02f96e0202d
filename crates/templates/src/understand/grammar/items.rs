//! A list of what a thing has, item by item: the words that name a field and what is said of it, or a clause that says something else.

use std::ops::Range;

use super::qualifiers::{Said, qualifier};
use super::tokens::{Token, said};
use crate::understand::account;
use crate::understand::constraints::Constraint;
use crate::understand::field_type::{self, type_of};
use crate::understand::fields;
use crate::understand::words;
use crate::{Field, FieldType};

#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) words: Vec<String>,
    typed: Option<FieldType>,
    measured: bool,
    counted: bool,
    pub(super) required: Option<bool>,
    unique: bool,
    bounds: Vec<Constraint>,
    choices: Vec<String>,
    default: Option<String>,
    /// What is said of it is said of the one before it, too.
    both: bool,
    /// What is said of it and not understood.
    pub(super) notes: Vec<String>,
    pub(super) place: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Part {
    Item(Item),
    /// It says something, and names no field.
    Clause(Range<usize>),
}

/// Words that no name has within, nor begins with.
const NO_NAME: &str = "is are was were be been being has have had having do does did can could may might must shall should will would belongs belong \
    who whom whose what when while whereas because since that which it they he she we i you them him us there here where if whether unless until \
    so but nor not no never than then either both every each any all many several multiple different one or write down by with without from into onto via \
    during after before between through over under above below about against along across around for to in at on only just also please \
    want wants need needs get gets give gives goes go comes come look looks make makes let lets should'nt an a the its their his her our my your \
    everybody everyone nobody anybody somebody someone wanted needed although otherwise too well another other others such same own";
/// "measured at", "quantity in stock", "price per night", "valid from".
const WITHIN: &str = "of per in on at from to until by for due";
const DETERMINERS: &str = "a an the its their his her our my your some also this that these those just only as well one then any own following respective \
    basic simple corresponding additionally again finally even maybe of plus furthermore given certain";
const SEPARATORS: &str = ", ; and plus & + .";
const ALTERNATIVES: &[&str] = &["/", "|", "or"];
/// What leads to values: "a status which is either open or closed".
const LEADS: &str = ", which that who it can may must should will only be is are of being as either one out from among : = - – — values value possible \
    options option choices choice like namely the following these always with a has have to and in allowed called any just enum states \
    kinds";

pub(super) fn is_in(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|one| one == word)
}

/// The parts of a list.
pub(super) fn parts(tokens: &[Token], range: Range<usize>) -> Vec<Part> {
    // "(CSV with sku, name)"
    let file = range.len() > 2 && tokens[range.start].among("csv json jsonl") && tokens[range.start + 1].among("with of containing");
    let mut reader = Reader { tokens, end: range.end, at: range.start + if file { 2 } else { 0 } };
    let mut parts: Vec<Part> = Vec::new();
    while let Some(part) = reader.part() {
        parts.push(part);
    }
    let mut at = 0;
    while at + 1 < parts.len() {
        if let [Part::Item(first), Part::Item(next)] = &mut parts[at..at + 2] {
            borrow(first, next);
            if next.both && first.plain() {
                (first.required, first.unique, first.bounds) = (next.required, next.unique, next.bounds.clone());
            }
        }
        at += 1;
    }
    parts
}

/// "start and end date": the first has the other's last word.
fn borrow(first: &mut Item, next: &Item) {
    const PAIRS: &[(&str, &str)] = &[
        ("start", "end"),
        ("first", "last"),
        ("begin", "end"),
        ("beginning", "end"),
        ("opening", "closing"),
        ("min", "max"),
        ("minimum", "maximum"),
        ("home", "away"),
        ("from", "to"),
        ("departure", "arrival"),
        ("pickup", "return"),
        ("pick-up", "return"),
        ("check-in", "check-out"),
        ("arrival", "departure"),
        ("entry", "exit"),
        ("given", "family"),
        ("first", "second"),
        ("planned", "actual"),
        ("gross", "net"),
        ("net", "gross"),
        ("sender", "recipient"),
        ("purchase", "sale"),
        ("start", "finish"),
        ("lower", "upper"),
        ("open", "close"),
        ("old", "new"),
        ("common", "scientific"),
        ("common", "latin"),
    ];
    let ([one], [other, rest @ ..]) = (first.words.as_slice(), next.words.as_slice()) else { return };
    if !rest.is_empty() && PAIRS.contains(&(one.as_str(), other.as_str())) {
        first.words.extend(rest.iter().cloned());
        if first.typed.is_none() {
            first.typed = next.typed;
        }
    }
}

struct Reader<'a> {
    tokens: &'a [Token],
    end: usize,
    at: usize,
}

impl Reader<'_> {
    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).filter(|_| at < self.end)
    }

    fn among(&self, at: usize, words: &str) -> bool {
        self.token(at).is_some_and(|token| token.among(words))
    }

    fn is(&self, at: usize, any: &[&str]) -> bool {
        self.token(at).is_some_and(|token| token.is(any))
    }

    fn separates(&self, at: usize) -> usize {
        match self.token(at) {
            Some(token) if token.among(SEPARATORS) => 1,
            Some(_) if self.is(at, &["as"]) && self.is(at + 1, &["well"]) && self.is(at + 2, &["as"]) => 3,
            Some(_) if self.is(at, &["together", "along"]) && self.is(at + 1, &["with"]) => 2,
            _ => 0,
        }
    }

    /// "so that I can find them"
    fn gives_reason(&self, at: usize) -> bool {
        (self.is(at, &["so"]) && self.among(at + 1, "that i we they people users everyone everybody the you"))
            || (self.is(at, &["in"]) && self.is(at + 1, &["order"]) && self.is(at + 2, &["to"]))
    }

    /// "belonging to a lot", "for a car": what comes is said of another thing.
    fn relates(&self, at: usize) -> bool {
        let to_one = self.among(at, "for in by at to on") && self.is(at + 1, &["a", "an", "one", "each", "every"]);
        to_one || (self.is(at, &["belonging", "linked", "assigned", "attached", "related"]) && self.is(at + 1, &["to", "with"]))
    }

    fn rest(&self, at: usize) -> &[Token] {
        &self.tokens[at.min(self.end)..self.end]
    }

    /// What begins with the next word; None at the end.
    fn part(&mut self) -> Option<Part> {
        loop {
            match self.separates(self.at) {
                0 => break,
                more => self.at += more,
            }
        }
        let from = self.at;
        self.token(from)?;
        // "one of private, business, other" does not say where it ends.
        if self.gives_reason(from) || (self.is(from, &["one"]) && self.is(from + 1, &["of"])) {
            self.at = self.end;
            return Some(Part::Clause(from..self.end));
        }
        // "the last one being A or B"
        let told = self.at + usize::from(self.is(self.at, &["the"]));
        if self.relates(from) || (self.among(told, "last first former latter") && self.is(told + 1, &["one", "of"])) {
            self.at = self.ends(from);
            return Some(Part::Clause(from..self.at));
        }
        let mut item = Item::default();
        self.before(&mut item);
        let whether = self.whether(&mut item);
        while let Some(token) = self.token(self.at) {
            if let Some(closes) = token.closes.filter(|closes| *closes < self.end) {
                bracketed(&self.tokens[self.at + 1..closes], &mut item);
                self.at = closes + 1;
                continue;
            }
            if self.date_and_time(&mut item) {
                continue;
            }
            let begun = !item.words.is_empty();
            if begun && self.quoted(&mut item) {
                continue;
            }
            if begun && self.qualified(&mut item) {
                continue;
            }
            if begun && self.chosen(&mut item) {
                continue;
            }
            if self.separates(self.at) > 0 || self.gives_reason(self.at) {
                if self.values_behind(&mut item) {
                    continue;
                }
                break;
            }
            if begun && self.relates(self.at) {
                break;
            }
            // "what kind it is (fire, flood)"
            if begun
                && self.is(self.at, &["it", "they"])
                && self.is(self.at + 1, &["is", "are"])
                && self.token(self.at + 2).is_none_or(|next| !next.is_word())
            {
                self.at += 2;
                continue;
            }
            if !self.word(&mut item) {
                break;
            }
        }
        item.place = from..self.at;
        let name = item.words.iter().map(String::as_str).collect::<Vec<_>>();
        // "is shown in one todo"
        let said_of_other = name.first() == Some(&"is") && self.relates(self.at);
        if said_of_other || name.is_empty() || !(whether || is_name(&name)) {
            let ends = self.ends(self.at);
            self.at = ends.max(from + 1);
            return Some(Part::Clause(from..self.at));
        }
        Some(Part::Item(item))
    }

    /// Takes one more word of the name, or what is said of it in a clause. False where the item ends.
    fn word(&mut self, item: &mut Item) -> bool {
        let (token, begun) = (&self.tokens[self.at], !item.words.is_empty());
        // "the date the prescription ends"
        if item.words.last().is_some_and(|last| is_in("date day time year", last)) && token.among("the a an he she") {
            self.relative(item);
            return true;
        }
        // "place where it was found", "the work that was done"
        if begun && token.among("where like such that which who it they when he she we i you whose") {
            self.relative(item);
            return true;
        }
        if !token.is_word() && !token.is_number() && !token.is(&["#", "%", "€", "'"]) {
            let ends = self.ends(self.at);
            item.notes.push(said(&self.tokens[self.at..ends]));
            self.at = ends;
            return false;
        }
        let article = token.is(&["a", "an", "the", "its", "their"]) && item.words.last().is_some_and(|last| is_in(WITHIN, last));
        let hyphened: Vec<&str> = token.text.split('-').collect();
        // "status booked-done-cancelled"
        if begun && hyphened.len() > 2 && (self.separates(self.at + 1) > 0 || self.token(self.at + 1).is_none()) {
            item.choose(hyphened.into_iter().map(str::to_owned).collect());
        } else if !article && !token.is(&["#", "'"]) {
            let words = token.lower.split('_').filter(|word| !word.is_empty());
            item.words.extend(words.map(|word| if word == "no" && token.lower.contains('_') { "number" } else { word }.to_owned()));
        }
        self.at += 1;
        true
    }

    fn date_and_time(&mut self, item: &mut Item) -> bool {
        if !(self.is(self.at, &["date"]) && self.is(self.at + 1, &["and", "&", "/", "+"]) && self.is(self.at + 2, &["time"])) {
            return false;
        }
        if item.words.is_empty() {
            item.words.extend(["date", "and", "time"].map(str::to_owned));
        } else if !item.words.last().is_some_and(|last| ["at", "on"].contains(&last.as_str())) {
            item.words.push("time".to_owned());
        }
        item.typed = Some(FieldType::Datetime);
        self.at += 3;
        true
    }

    /// The next separator, or the end.
    fn ends(&self, from: usize) -> usize {
        let mut at = from;
        while at < self.end && self.separates(at) == 0 {
            at = self.tokens[at].closes.map_or(at + 1, |closes| closes + 1);
        }
        at.min(self.end)
    }

    /// Articles and what is said before the name.
    fn before(&mut self, item: &mut Item) {
        while let Some(token) = self.token(self.at) {
            let more = self.token(self.at + 1).is_some_and(|next| next.is_word() || next.is_number());
            match token.lower.as_str() {
                "optional" | "optionally" | "possibly" | "perhaps" if more => item.required = Some(false),
                "required" | "mandatory" | "compulsory" if more => item.required = Some(true),
                "unique" if more => item.unique = true,
                "link" | "links" if self.is(self.at + 1, &["to"]) => {
                    let name = self.at + 2 + usize::from(self.is(self.at + 2, &["the", "a", "an", "its", "their"]));
                    let ends = self.ends(name);
                    let words =
                        self.tokens[name..ends].iter().take_while(|token| token.is_word() && !token.among("if which that when where"));
                    item.words = words.map(|token| token.lower.clone()).chain(["link".to_owned()]).collect();
                    item.typed = Some(FieldType::Url);
                    self.at = name + item.words.len() - 1;
                    break;
                }
                "what" if more && !self.among(self.at + 1, "it they is was they he she i we") => {}
                "flag" | "checkbox" | "tick" if self.among(self.at + 1, "whether if") => {}
                "what" if self.is(self.at + 1, &["is", "was"]) && self.token(self.at + 2).is_some_and(Token::is_word) => self.at += 1,
                "which" if more && !self.among(self.at + 1, "is are was were it they can may must has have of we i you the a an") => {}
                "whole" if self.is(self.at + 1, &["number"]) => break,
                word if more && is_in(DETERMINERS, word) => {}
                "how" if self.is(self.at + 1, &["many"]) => {
                    item.counted = true;
                    self.at += 1;
                }
                "how" if more => {
                    const NOUNS: &[(&str, &str)] = &[
                        ("hard", "difficulty"),
                        ("difficult", "difficulty"),
                        ("long", "duration"),
                        ("big", "size"),
                        ("large", "size"),
                        ("old", "age"),
                        ("heavy", "weight"),
                        ("tall", "height"),
                        ("high", "height"),
                        ("far", "distance"),
                        ("much", "amount"),
                        ("urgent", "urgency"),
                        ("often", "frequency"),
                    ];
                    let Some((_, noun)) = NOUNS.iter().find(|(how, _)| self.is(self.at + 1, &[*how])) else { break };
                    item.words.push((*noun).to_owned());
                    self.at += 1 + usize::from(self.is(self.at + 2, &["it", "they"])) * 2;
                    self.at += 1;
                    break;
                }
                // "when it occurred"
                "when" if self.is(self.at + 1, &["it", "they", "he", "she", "this"]) => {
                    let ends = self.ends(self.at);
                    let said = self.tokens[self.at + 2..ends]
                        .iter()
                        .take_while(|token| token.closes.is_none() && qualifier(std::slice::from_ref(token)).is_none());
                    let words: Vec<String> = said
                        .filter(|token| !token.among("is was were has been are be to must will gets got"))
                        .map(|token| token.lower.clone())
                        .collect();
                    let length = self.tokens[self.at + 2..ends].iter().take_while(|token| token.closes.is_none()).count();
                    if let [done] = words.as_slice() {
                        item.words = vec![done.clone(), "at".to_owned()];
                        item.typed = Some(FieldType::Datetime);
                        self.at += 2 + length;
                    }
                    break;
                }
                _ => break,
            }
            self.at += 1;
        }
    }

    /// "licence class B, C or D": the last word is the first value.
    fn values_behind(&mut self, item: &mut Item) -> bool {
        if item.words.len() < 2 || !item.plain() || !self.is(self.at, &[",", "or"]) {
            return false;
        }
        let Some((values, to)) = self.values(self.at - 1) else { return false };
        let named = |value: &String| {
            let lower = value.to_lowercase();
            let mut words: Vec<&str> = lower.split(' ').collect();
            words.len() > 2 || (value.len() > 2 && type_of(&mut words, None).is_some_and(|(_, sure)| sure))
        };
        if values.iter().any(named) {
            return false;
        }
        item.words.pop();
        item.choose(values);
        self.at = to;
        true
    }

    /// "whether it has been claimed", "if it is vegan"
    fn whether(&mut self, item: &mut Item) -> bool {
        // "is it paid or not"
        let asks = self.is(self.at, &["is", "are", "was"]) && self.is(self.at + 1, &["it", "they"]);
        if asks {
            self.at += 1;
        }
        if !(asks || self.is(self.at, &["whether", "if"])) || !item.words.is_empty() {
            return false;
        }
        let from = self.at;
        self.at += 1;
        let ends = self.ends(self.at);
        let verb = |token: &Token| {
            token
                .among("is are was were has have had can should needs need must may be been already still currently to a an being gets got")
        };
        let at = (self.at..ends.min(self.at + 4)).find(|at| verb(&self.tokens[*at]) && !self.tokens[*at].among("a an to"));
        let pronoun = ["it", "they", "he", "she", "i", "we", "the", "a", "an", "this", "that", "there", "one", "or"];
        let whose = self.tokens[self.at..at.unwrap_or(self.at)].iter().filter(|token| !token.is(&pronoun) && token.is_word());
        item.words.extend(whose.map(|token| token.lower.clone()));
        self.at = at.unwrap_or_else(|| if self.among(self.at, "it they he she i we or the there") { self.at + 1 } else { self.at });
        while self.token(self.at).is_some_and(verb) {
            self.at += 1;
        }
        let most = item.words.len() + 3;
        while self.at < ends && self.tokens[self.at].is_word() && item.words.len() < most {
            let token = &self.tokens[self.at];
            if !(token.among("or not yet the a an already it")) {
                item.words.push(token.lower.clone());
            }
            self.at += 1;
        }
        item.typed = Some(FieldType::Boolean);
        if item.words.is_empty() {
            self.at = from;
        }
        !item.words.is_empty()
    }

    /// Takes one qualifier. Behind a separator it must be all that stands there.
    fn qualified(&mut self, item: &mut Item) -> bool {
        let behind = self.separates(self.at);
        let from = self.at + behind;
        let Some((said, length)) = qualifier(self.rest(from)) else { return false };
        let to = from + length;
        let alone = self.token(to).is_none_or(|next| next.among(", ; . ) and ( but"));
        let bounds = matches!(said, Said::Bounds(_)) && !item.bounds.is_empty();
        // ", number", ", link" and ", date" are fields of their own.
        let told =
            ["integer", "int", "boolean", "bool", "decimal", "float", "string", "whole", "as", "which", "yes", "true", "y", "varchar"];
        let told = self.is(from, &told) || (self.is(from, &["a", "an"]) && self.is(from + 1, &told) && length > 1);
        let field = matches!(said, Said::Typed(_)) && behind > 0 && !told;
        // ", flag off by default" is one more field.
        let other = match &said {
            Said::Default(value) => behind > 0 && value.contains(' ') && !item.choices.contains(value),
            _ => false,
        };
        if other || (behind > 0 && !alone) || (bounds && behind > 0 && item.bounds.len() > 1) || field {
            return false;
        }
        if matches!(said, Said::Typed(_))
            && length == 1
            && behind == 0
            && !self.among(from, "integer int boolean bool decimal float string str numeric")
        {
            // "birth date": the word is the name's last.
            return false;
        }
        self.at = to;
        item.say(said, &self.tokens[from..to]);
        true
    }

    /// `a status that starts as "new" and goes to "in progress" and "done"`
    fn quoted(&mut self, item: &mut Item) -> bool {
        let between = "that which is are of or and , then goes go to becomes become starts start as later finally from with either one being can be / |";
        let (mut at, mut values) = (self.at, Vec::new());
        let mut ends = at;
        while let Some(token) = self.token(at).filter(|token| token.quoted || token.among(between)) {
            if token.quoted {
                values.push(token.text.clone());
                ends = at + 1;
            }
            at += 1;
        }
        if values.len() < 2 {
            return false;
        }
        let first = &self.tokens[self.at..ends];
        if first.iter().take_while(|token| !token.quoted).any(|token| token.among("starts start initially")) {
            item.default = Some(values[0].clone());
        }
        self.at = ends;
        item.choose(values);
        true
    }

    /// "of open, pending or closed", "low/normal/urgent", "which is SATB, SSA or TTBB"
    fn chosen(&mut self, item: &mut Item) -> bool {
        if self.is(self.at, &["/", "|"]) {
            // The first value was taken for the name's last word.
            let mut values = vec![self.tokens[self.at - 1].text.clone()];
            while self.is(self.at, &["/", "|"]) && self.token(self.at + 1).is_some_and(|next| next.is_word() || next.is_number()) {
                let (value, to) = self.value(self.at + 1);
                values.push(value);
                self.at = to;
            }
            if values.len() < 2 {
                return false;
            }
            if item.words.len() > 1 {
                item.words.pop();
            }
            item.choose(values);
            return true;
        }
        let mut at = self.at;
        while self.among(at, LEADS) {
            at += 1;
        }
        if at == self.at {
            return false;
        }
        // ", a size" is one more field, unless it is said which are its values.
        let only = |any: &[&str]| (self.at..at).all(|n| self.is(n, any));
        if only(&[",", "and", "the", "a", "with", "has", "have"])
            || (only(&["in", "a", "the", "of", "to", "from"]) && !self.is(self.at, &["of", "from"]))
        {
            return false;
        }
        // "condition one of seedling, young, mature", where nothing else comes
        let one_of = self.is(self.at, &["one"]) && self.is(self.at + 1, &["of"]);
        let Some((values, to)) = self.values(at).or_else(|| self.short_to_end(at).filter(|_| one_of)) else { return false };
        if self.is(self.at, &[","]) && self.is(at - 1, &[","]) {
            return false;
        }
        self.at = to;
        item.choose(values);
        true
    }

    /// Values that are listed there: with "or" before the last, or slashes between.
    fn values(&self, from: usize) -> Option<(Vec<String>, usize)> {
        let (mut values, mut at, mut ored) = (Vec::new(), from, false);
        loop {
            let (value, to) = self.value(at);
            if value.is_empty() {
                return None;
            }
            values.push(value);
            at = to;
            let comma = usize::from(self.is(at, &[","]));
            if self.is(at + comma, ALTERNATIVES) {
                ored = true;
                let last = self.is(at + comma, &["or"]);
                at += comma + 1;
                if last {
                    let (value, to) = self.value(at);
                    values.push(value);
                    return (!values.contains(&String::new())).then_some((values, to));
                }
            } else if comma > 0 && !ored {
                at += 1;
            } else {
                return (ored && values.len() > 1).then_some((values, at));
            }
        }
    }

    /// Where only short values come.
    fn short_to_end(&self, from: usize) -> Option<(Vec<String>, usize)> {
        let values: Vec<&[Token]> = self.rest(from).split(|token| token.is(&[",", "and"])).filter(|value| !value.is_empty()).collect();
        let short = values.len() > 1 && values.iter().all(|value| value.len() < 3 && value.iter().all(Token::is_word));
        short.then(|| (values.into_iter().map(said).collect(), self.end))
    }

    /// Up to three words.
    fn value(&self, from: usize) -> (String, usize) {
        let mut at = from;
        while self.token(at).is_some_and(|token| ["a", "an", "the", "either"].contains(&token.text.as_str())) {
            at += 1;
        }
        let first = at;
        while at < first + 3
            && self.token(at).is_some_and(|token| {
                (token.is_word() || token.is_number() || (token.lower == "+" && !token.apart))
                    && !token.among("or and with by as which that default unless where is are")
            })
            && (at == first || qualifier(self.rest(at)).is_none() || self.is(at, &["not", "in", "long", "text", "number"]))
        {
            at += 1;
        }
        (said(&self.tokens[first..at]), at)
    }

    /// Drops what is said in a clause of the name; what was done to it is a part of its name.
    fn relative(&mut self, item: &mut Item) {
        // What stands in brackets behind it is said of the field.
        let bracket = (self.at..self.ends(self.at)).find(|at| self.tokens[*at].closes.is_some());
        let ends = bracket.unwrap_or_else(|| self.ends(self.at));
        // "the date on which it was reported"
        if item.words.len() > 1 && item.words.last().is_some_and(|last| ["on", "at", "from", "by", "in"].contains(&last.as_str())) {
            item.words.pop();
        }
        let done = self.tokens[self.at..ends].iter().find(|token| {
            token.lower.ends_with("ed")
                || token.among("due lent found built bought sold taken made given sent seen held begun paid written caught drunk drank")
        });
        let of_time = item.words.last().is_some_and(|last| ["date", "time", "year", "place", "day", "amount"].contains(&last.as_str()));
        match done.filter(|_| of_time && item.words.len() == 1) {
            Some(done) if is_in(NO_NAME, &done.lower) => {}
            Some(done) => item.words.push(done.lower.clone()),
            None => item.notes.push(said(&self.tokens[self.at..ends])),
        }
        self.at = ends;
    }
}

/// Whether such words name a field.
fn is_name(words: &[&str]) -> bool {
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
    let within = |at: usize, word: &str| {
        at > 0
            && ((is_in(WITHIN, word)
                && (!["by", "to"].contains(&word)
                    || at + 1 == words.len()
                    || ["month", "week", "day", "hour", "night", "year"].contains(last)))
                || (word == "and" && words[at - 1] == "date")
                || (word == "before" && words.get(at + 1) == Some(&"date")))
    };
    if *first == "how" {
        return false;
    }
    // "how many boxes"
    let words = if *first == "many" { &words[1..] } else { words };
    if words == ["make"] {
        return true;
    }
    let odd = words.iter().enumerate().any(|(at, word)| {
        is_in(NO_NAME, word)
            && !within(at, word)
            && !(at == 0 && words.len() > 1 && ["has", "from", "to", "on", "in", "own", "other"].contains(word))
            && !(at == 0 && *word == "is" && (2..4).contains(&words.len()) && !words[1..].iter().any(|word| is_in(WITHIN, word)))
    });
    let ends = is_in("of per for by in to", last) || (["in", "to", "for", "by"].contains(first) && words.len() > 2 && *last != "flag");
    !odd && !ends
        && words.len() <= if words.contains(&"of") { 5 } else { 4 }
        && !words.iter().any(|word| word.starts_with(|c: char| c.is_ascii_digit()) || word.contains('.'))
}

/// What stands in brackets behind a name: what is said of it, its values, or what it is measured in.
pub(super) fn bracketed(inside: &[Token], item: &mut Item) {
    let mut values: Vec<String> = Vec::new();
    let alternatives = inside.iter().any(|token| token.is(&["or", "/", "|"]));
    let plain = inside.split(|token| token.lower == ",").filter(|part| qualifier(part).is_none()).count();
    let alternatives = alternatives || plain > 1;
    // "(email, sms or push)", "(single, double, suite)" are values, whatever they are called.
    let qualifier =
        |tokens: &[Token]| qualifier(tokens).filter(|(said, length)| !(alternatives && *length == 1 && matches!(said, Said::Typed(_))));
    let mut at = 0;
    while at < inside.len() {
        if inside[at].is(&[",", ";", "and", "or", "/", "|", ":", "either", "-", "–", "."])
            || (at == 0
                && inside[at].text != "A"
                && inside[at]
                    .is(&["a", "an", "one", "of", "the", "e.g", "either", "only", "must", "be", "values", "options", "i.e", "like", "is"]))
        {
            // "(of at most 5)" is said of it as a whole.
            let whole = qualifier(&inside[at..]).filter(|(_, length)| *length > 1);
            let Some((said, length)) = whole.filter(|_| at == 0) else {
                at += 1;
                continue;
            };
            item.say(said, &inside[at..at + length]);
            at += length;
            continue;
        }
        if let Some((said, length)) = qualifier(&inside[at..]) {
            item.say(said, &inside[at..at + length]);
            at += length;
            continue;
        }
        let from = at;
        while at < inside.len() && !inside[at].is(&[",", ";", "or", "/", "|"]) && (at == from || qualifier(&inside[at..]).is_none()) {
            at += 1;
        }
        // "green and blue", behind others, are two.
        let value = &inside[from..at];
        let both: Vec<&[Token]> =
            if value.len() == 3 && value[1].lower == "and" && !values.is_empty() { vec![&value[..1], &value[2..]] } else { vec![value] };
        for value in both {
            let leads = usize::from(value.len() > 1 && ["and", "or", "either", "a", "an"].contains(&value[0].text.as_str()));
            // "A+", "A-"
            let sign = value.last().filter(|last| value.len() > 1 && !last.apart && last.lower == "-").map_or("", |_| "-");
            values.push(said(&value[leads..]) + sign);
        }
    }
    values.retain(|value| !value.is_empty());
    let unit = |value: &String| {
        field_type::UNITS.contains(&value.to_lowercase().as_str())
            || ["€", "$", "%", "eur", "°c", "celsius"].contains(&value.to_lowercase().as_str())
    };
    match values.as_slice() {
        [] => {}
        [one] if unit(one) => item.measured = true,
        [_] => item.notes.push(said(inside)),
        several if several.iter().all(|value| value.split(' ').count() < 5) => item.choose(values),
        several => item.notes.push(several.join(", ")),
    }
}

impl Item {
    fn say(&mut self, said: Said, words: &[Token]) {
        self.both |= words.iter().any(|word| word.lower == "are") && words.iter().any(|word| word.is(&["each", "both"]));
        match said {
            Said::Optional => self.required = Some(false),
            Said::Required => self.required = Some(true),
            Said::Unique => self.unique = true,
            Said::Bounds(bounds) => self.bounds.push(bounds),
            Said::Default(value) => self.default = Some(value),
            Said::Typed(field_type) => {
                // "date and time" of what is called a date is not its name.
                self.typed = Some(field_type);
                self.counted |= words.iter().any(|word| word.is(&["integer", "int", "integers"]) || word.lower == "whole");
            }
            Said::Unit => {
                let unit = words.last().map(|word| word.lower.clone()).unwrap_or_default();
                const COUNTED: &str = "minutes hours seconds days weeks months years points pieces persons people minute hour bpm";
                if is_in(COUNTED, &unit) {
                    self.counted = true;
                } else {
                    self.measured = true;
                }
            }
        }
    }

    fn choose(&mut self, values: Vec<String>) {
        let lower: Vec<String> = values.iter().map(|value| value.to_lowercase()).collect();
        let is = |pair: [&str; 2]| lower == pair;
        if is(["yes", "no"]) || is(["true", "false"]) || is(["y", "n"]) || is(["on", "off"]) || is(["no", "yes"]) || is(["false", "true"]) {
            self.typed = Some(FieldType::Boolean);
        } else if is(["date", "time"]) {
            self.typed = Some(FieldType::Datetime);
        } else {
            for value in values {
                if !self.choices.iter().any(|known| known.eq_ignore_ascii_case(&value)) {
                    self.choices.push(value);
                }
            }
        }
    }

    pub(super) fn called(&self, name: &str) -> Self {
        Self { words: vec![name.to_owned()], ..self.clone() }
    }

    pub(super) fn choices(&self) -> &[String] {
        &self.choices
    }

    /// Whether nothing is said of it but its name.
    pub(super) fn plain(&self) -> bool {
        self.typed.is_none()
            && !self.unique
            && self.bounds.is_empty()
            && self.choices.is_empty()
            && self.default.is_none()
            && !self.measured
            && !self.counted
    }

    /// Whether its words say what it is, or something is said of it.
    pub(super) fn is_sure(&self) -> bool {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        !self.plain() || self.required.is_some() || type_of(&mut words, None).is_some_and(|(_, sure)| sure)
    }

    /// The field; None where it is none. `of`: the thing that has it.
    pub(super) fn field(&self, of: &str, assumed: &mut Vec<String>) -> Option<Field> {
        let mut named = without_whose(&self.words, of);
        let counted = self.counted
            || named.iter().any(|word| word == "number") && named.get(1).is_some_and(|word| word == "of")
            || named.first().is_some_and(|word| word == "many");
        if named.len() > 1 && named[0] == "number" || named.first().is_some_and(|word| word == "many") {
            named.retain(|word| !["of", "many"].contains(&word.as_str()));
        }
        let mut words: Vec<&str> = named.iter().map(String::as_str).collect();
        let given = self.typed.or(if counted {
            Some(FieldType::Integer)
        } else if self.measured {
            Some(FieldType::Number)
        } else {
            None
        });
        let given = if given == Some(FieldType::Number) && self.counted { Some(FieldType::Integer) } else { given };
        // "has sound"
        let given = given.or((words.first() == Some(&"has") && (2..4).contains(&words.len())).then_some(FieldType::Boolean));
        let (field_type, sure) = type_of(&mut words, given)?;
        if words.is_empty() || words.len() > 5 {
            return None;
        }
        let name = words.join("_").replace(['-', '\''], "_");
        if !crate::understand::is_name(&name) {
            return None;
        }
        let mut field = Field { field_type, unique: self.unique, ..fields::text(&name, false) };
        let mut sure = sure || !self.choices.is_empty() || !self.bounds.is_empty() || fields::is_file(&field);
        let chosen = (!self.choices.is_empty()).then(|| Constraint { choices: self.choices.clone(), ..Constraint::default() });
        for constraint in chosen.iter().chain(&self.bounds) {
            let last = name.rsplit('_').next().unwrap_or_default();
            let text = field.field_type == FieldType::Text && self.typed.is_none();
            // "an IBAN (max 34)" is that long, "an address 1-9999" is a number.
            let length = constraint.length
                || (text
                    && constraint.most.is_some()
                    && constraint.least.is_none()
                    && is_in("iban code sku isbn vin plate slug key barcode zip postcode", last));
            if text && last == "address" && constraint.least.is_some() && constraint.most.is_some() && !length {
                field.field_type = FieldType::Integer;
            }
            fields::restrict(&mut field, &Constraint { length, ..constraint.clone() }, self.typed.is_some()).ok()?;
        }
        if let Some(whole) = &self.default {
            let counted = whole.parse::<i64>().is_ok() && !sure;
            if counted {
                (field.field_type, sure) = (FieldType::Integer, true);
            }
            if fields::flag(whole).is_some() && !sure && !counted {
                (field.field_type, sure) = (FieldType::Boolean, true);
            }
            let given = fields::value_of(&field, whole).ok()?;
            field.default = Some(given).filter(|value| field.field_type != FieldType::Boolean || *value != 0);
        }
        if !sure {
            assumed.push(format!("{name} is text: its name does not say what it is"));
        }
        Some(field)
    }
}

/// "the plant's name", "name of the plant" of a plant are its name; "name of the station" is that of a station.
fn without_whose(words: &[String], of: &str) -> Vec<String> {
    let last = of.rsplit(' ').next().unwrap_or(of);
    let same = |word: &String| words::singular(word) == last;
    let named: Vec<String> =
        words.iter().filter(|word| !["the", "a", "an", "its", "their", "each", "every"].contains(&word.as_str())).cloned().collect();
    if let Some(at) = named.iter().position(|word| word == "of").filter(|at| *at > 0 && *at + 1 < named.len()) {
        let (what, whose) = (named[..at].to_vec(), named[at + 1..].to_vec());
        if whose.len() == 1 && same(&whose[0]) {
            return what;
        }
        const FLIPPED: &[&str] =
            &["name", "title", "phone", "email", "address", "code", "id", "colour", "color", "e-mail", "weight", "size", "price"];
        if what.len() == 1 && ["description", "note", "notes", "comment", "comments", "summary"].contains(&what[0].as_str()) {
            return what;
        }
        if what.len() == 2
            && whose.len() == 1
            && !is_in("maximum minimum max min total average", &what[0])
            && ["number", "name", "code"].contains(&what[1].as_str())
        {
            return [whose, what].concat();
        }
        if what.len() == 2 && (["email", "phone", "telephone", "e-mail"].contains(&what[0].as_str())) && whose.len() == 1 {
            return [whose, what].concat();
        }
        if what.len() == 1 && FLIPPED.contains(&what[0].as_str()) && whose.len() < 3 {
            return [whose, what].concat();
        }
    }
    named
}

/// What of its notes says something.
pub(super) fn notes(item: &Item, known: &str) -> Vec<String> {
    item.notes.iter().filter(|note| !account::lost(note, known).is_empty()).cloned().collect()
}
