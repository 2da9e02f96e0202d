//! What is said of one field, and the field that comes of it.

use std::ops::Range;

use super::items::is_in;
use super::qualifiers::Said;
use super::tokens::Token;
use crate::understand::constraints::Constraint;
use crate::understand::field_type::type_of;
use crate::understand::{self, account, fields, words};
use crate::{Field, FieldType};

#[derive(Clone, Debug, Default)]
pub(super) struct Item {
    pub(super) words: Vec<String>,
    pub(super) typed: Option<FieldType>,
    pub(super) measured: bool,
    pub(super) counted: bool,
    /// It has parts of one.
    decimal: bool,
    pub(super) required: Option<bool>,
    pub(super) unique: bool,
    pub(super) bounds: Vec<Constraint>,
    pub(super) choices: Vec<String>,
    pub(super) default: Option<String>,
    /// What is said of it is said of the one before it, too.
    pub(super) both: bool,
    /// What is said of it and not understood.
    pub(super) notes: Vec<String>,
    pub(super) place: Range<usize>,
}

/// Words that no name has within, nor begins with.
pub(super) const NO_NAME: &str = "is are was were lives sits stands hangs be been being has have had having do does did can could may might must shall should will would belongs belong \
    who whom whose what when while whereas because since that which it they he she we i you them him us there here where if whether unless until \
    so but nor not no never than then either both every each any all many several multiple different one or write down by with without from into onto via \
    during after before between through over under above below about against along across around for to in at on only just also please \
    want wants need needs get gets give gives goes go comes come look looks make makes let lets an a the its their his her our my your \
    everybody everyone nobody anybody somebody someone wanted needed once although otherwise too well another other others such same own";
/// "measured at", "quantity in stock", "price per night", "valid from".
pub(super) const WITHIN: &str = "of per in on at from to until by for due";
/// Whether such words name a field.
pub(super) fn is_name(words: &[&str]) -> bool {
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
        && !words.iter().any(|word| word.starts_with(|c: char| c.is_ascii_digit()) || word.contains(['.', '\'']))
}

impl Item {
    pub(super) fn say(&mut self, said: Said, words: &[Token]) {
        self.both |= words.iter().any(|word| word.lower == "are") && words.iter().any(|word| word.is(&["each", "both"]));
        match said {
            Said::Optional => self.required = Some(false),
            Said::Required => self.required = Some(true),
            Said::Unique => self.unique = true,
            Said::Bounds(bounds) => self.bounds.push(bounds),
            Said::Default(value) => self.default = Some(value),
            Said::Typed(field_type) => {
                self.typed = Some(field_type);
                self.decimal |= words.iter().any(|word| word.among("decimal decimals float double money currency monetary"));
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

    pub(super) fn choose(&mut self, values: Vec<String>) {
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
        if named.len() > 1 && !self.choices.is_empty() {
            named.retain(|word| word != "enum");
        }
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
        // A vessel's flag is none that is on or off.
        let (field_type, sure) = if words == ["flag"] { (FieldType::Text, true) } else { type_of(&mut words, given)? };
        if words.is_empty() || words.len() > 5 {
            return None;
        }
        let name = words.join("_").replace(['-', '\''], "_");
        if !understand::is_name(&name) {
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
        // "(decimal, 0-100)"
        if self.decimal && field.field_type == FieldType::Integer {
            field.field_type = FieldType::Number;
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
