//! A list of what a thing has, item by item: the words that name a field and what is said of it, or a clause that says something else.

use std::ops::Range;

use super::item::{Item, NO_NAME, WITHIN, is_name};
use super::qualifiers::{Said, qualifier};
use super::tokens::{Token, said};
use super::values::bracketed;
use crate::FieldType;

#[derive(Debug)]
pub(super) enum Part {
    Item(Item),
    /// It says something, and names no field.
    Clause(Range<usize>),
}

const DETERMINERS: &str = "a an the its their his her our my your some also this that these those just only as well one then any own following respective \
    basic simple corresponding additionally again finally even maybe of plus furthermore given certain";
const SEPARATORS: &str = ", ; and plus & + .";
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

/// Where a list is read.
pub(super) struct Reader<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) end: usize,
    pub(super) at: usize,
}

impl Reader<'_> {
    pub(super) fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at).filter(|_| at < self.end)
    }

    pub(super) fn among(&self, at: usize, words: &str) -> bool {
        self.token(at).is_some_and(|token| token.among(words))
    }

    pub(super) fn is(&self, at: usize, any: &[&str]) -> bool {
        self.token(at).is_some_and(|token| token.is(any))
    }

    pub(super) fn separates(&self, at: usize) -> usize {
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

    pub(super) fn rest(&self, at: usize) -> &[Token] {
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
        if begun && token.among("where like such there whoever that which who it they when he she we i you whose") {
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
    pub(super) fn ends(&self, from: usize) -> usize {
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
                "given" if self.among(self.at + 1, "on at by in to") => break,
                "fields" | "columns" | "attributes" if more => {}
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
                    self.at += 2;
                    // "how hard it is"
                    if self.is(self.at, &["it", "they"]) {
                        self.at += 1;
                        self.at += usize::from(self.token(self.at).is_some_and(Token::is_word));
                    }
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

    /// Drops what is said in a clause of the name; what was done to it is a part of its name.
    fn relative(&mut self, item: &mut Item) {
        // What stands in brackets behind it is said of the field.
        let bracket = (self.at..self.ends(self.at)).find(|at| self.tokens[*at].closes.is_some());
        let ends = bracket.unwrap_or_else(|| self.ends(self.at));
        // "the date on which it was reported"
        if item.words.len() > 1 && item.words.last().is_some_and(|last| ["on", "at", "from", "by", "in", "of"].contains(&last.as_str())) {
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
