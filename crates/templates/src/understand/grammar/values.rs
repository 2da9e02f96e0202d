//! The only values that a field has: "of open, pending or closed", "low/normal/high", "(S, M, L)".

use super::item::Item;
use super::items::Reader;
use super::qualifiers::{Said, qualifier};
use super::tokens::{Token, said};
use crate::understand::field_type::{self, type_of};

const ALTERNATIVES: &[&str] = &["/", "|", "or"];
/// What leads to values: "a status which is either open or closed".
const LEADS: &str = ", which that who it can may must should will only be is are of being as either one out from among : = - – — values value possible \
    options option choices choice like namely the following these always with a has have to and in allowed called any just enum states \
    kinds";

impl Reader<'_> {
    /// "licence class B, C or D": the last word is the first value.
    pub(super) fn values_behind(&mut self, item: &mut Item) -> bool {
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

    /// `a status that starts as "new" and goes to "in progress" and "done"`
    pub(super) fn quoted(&mut self, item: &mut Item) -> bool {
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
    pub(super) fn chosen(&mut self, item: &mut Item) -> bool {
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
        // "a date of birth, email or phone" names no dates.
        let last = item.words.last().map(String::as_str);
        if self.is(self.at, &["of"]) && last.is_some_and(|last| ["date", "time", "day", "year", "number", "place", "name"].contains(&last))
        {
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
            // "in service or not" is yes or no.
            if value.is_empty() || self.is(to, &["or"]) && self.is(to + 1, &["not"]) {
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
    let (mut at, mut leads) = (0, true);
    while at < inside.len() {
        if inside[at].is(&[",", ";", "and", "or", "/", "|", ":", "either", "-", "–", "."])
            || (leads
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
        leads = false;
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
        // A text anyway.
        [one] if ["phone", "telephone", "mobile", "phone number"].contains(&one.to_lowercase().as_str()) => {}
        // "logo (file)" is a file by its name, then.
        [one] if ["file", "photo", "image", "picture", "attachment"].contains(&one.to_lowercase().as_str()) => {
            item.words.push(one.to_lowercase())
        }
        [_] => item.notes.push(said(inside)),
        several if several.iter().all(|value| value.split(' ').count() < 5) => item.choose(values),
        several => item.notes.push(several.join(", ")),
    }
}
