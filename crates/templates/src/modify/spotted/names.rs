//! Where a sentence names fields, things and values of a project.

use std::borrow::Cow;

use regex::Regex;

use crate::Understanding;
use crate::modify::project::Place;
use crate::understand::{resources, words};

// Marks in place of what is named, by its number.
pub(super) const FIELD: u32 = 0xE100;
pub(super) const THING: u32 = 0xE500;
pub(super) const VALUE: u32 = 0xE900;
pub(super) const MOST: u32 = 0x400;

pub(super) fn mark(first: u32, n: u32) -> char {
    char::from_u32(first + n).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A word of a name stands for it where nothing more is named: not "the publication year" for a publication date.
const BEHIND_A_PART: &str = r"[,:.)]| $| (?:is|are|must|should|can|may|has|have|needs?|at|from|between|to|be|as|starts?|would|could|not)\b";

/// What is named, each with what the rest calls it by.
pub(super) struct Names<'a> {
    pub(super) project: &'a Understanding,
    fields: Vec<Place>,
    values: Vec<(usize, usize, &'a str)>,
}

impl<'a> Names<'a> {
    pub(super) fn of(project: &'a Understanding) -> Self {
        let fields: Vec<Place> =
            project.resources.iter().enumerate().flat_map(|(one, resource)| (0..resource.fields.len()).map(move |n| (one, n))).collect();
        let of_field = |(one, n): &Place| {
            let (one, n) = (*one, *n);
            project.resources[one].fields[n].choices.iter().map(move |choice| (one, n, choice.as_str()))
        };
        let values = fields.iter().flat_map(of_field).collect();
        Self { project, fields, values }
    }

    pub(super) fn field(&self, of: char) -> Option<Place> {
        self.fields.get(u32::from(of).checked_sub(FIELD)? as usize).copied()
    }

    /// The thing that is named, or whose field is.
    pub(super) fn thing_of(&self, of: char) -> Option<usize> {
        let thing = u32::from(of).checked_sub(THING).filter(|n| (*n as usize) < self.project.resources.len()).map(|n| n as usize);
        thing.or_else(|| Some(self.field(of)?.0))
    }

    /// With marks in place of what is named.
    pub(super) fn marked(&self, sentence: &str) -> String {
        let mut text = format!(" {sentence} ");
        let only = |wanted: &[Place]| if let [one] = wanted { Some(*one) } else { None };
        // "the title of todos", "a todo's title", "todo titles"
        for (n, (one, at)) in self.fields.iter().enumerate() {
            let (resource, field) = (&self.project.resources[*one], &self.project.resources[*one].fields[*at]);
            let (name, thing) =
                (forms(&field.name.replace('_', " ")), format!("(?:{}|{})", forms(&resource.singular), forms(&resource.plural)));
            let of = format!(
                r"(?i)(?P<b>[ ,(])(?:(?:the|an?|our|their|its|every|each|all|any|possible|allowed) )*(?:(?:{name})(?: field| column| option| flag| attribute| property)? (?:of|on|in|for|from) (?:(?:the|an?|our|each|every|all|new) )*{thing}|{thing}(?:'s|')? (?:{name})(?: field| column| option| flag| attribute| property)?)(?P<e>[ ,:.)'])"
            );
            text = replaced(&text, &of, mark(FIELD, u32::try_from(n).unwrap_or(MOST)));
        }
        let names_thing = |text: &str, one: usize| {
            let resource = &self.project.resources[one];
            let pattern = format!(r"(?i)[ ,(](?:{}|{})(?:'s)?[ ,:.)]", forms(&resource.singular), forms(&resource.plural));
            Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(text))
        };
        let mut named: Vec<String> = self.fields.iter().map(|(one, at)| self.project.resources[*one].fields[*at].name.clone()).collect();
        // The longest first: "start date" before "date".
        named.sort_by_key(|name| std::cmp::Reverse(name.len()));
        named.dedup();
        let having = |name: &String| {
            let places = self.fields.iter().copied().filter(|(one, at)| self.project.resources[*one].fields[*at].name == *name);
            places.collect::<Vec<_>>()
        };
        for name in &named {
            let having = having(name);
            let said: Vec<Place> = having.iter().copied().filter(|(one, _)| names_thing(&text, *one)).collect();
            let Some(place) = only(&having).or_else(|| only(&said)) else { continue };
            text = self.mark_field(&text, &name.replace('_', " "), place, "[ ,:.)]");
        }
        // "discount" of a discount percentage, "levels" of a membership level.
        for name in named.iter().filter(|name| name.contains('_')) {
            let words = |name: &str| name.split('_').filter(|word| word.len() > 3).map(str::to_owned).collect::<Vec<_>>();
            for word in words(name) {
                let others = named.iter().filter(|other| *other != name && words(other).contains(&word)).count();
                let thing = self.project.resources.iter().any(|one| one.singular.split(' ').any(|part| part == word));
                if let Some(place) =
                    only(&having(name)).filter(|_| others == 0 && !thing && !["date", "time", "name", "number"].contains(&word.as_str()))
                {
                    text = self.mark_field(&text, &word, place, BEHIND_A_PART);
                }
            }
        }
        for (n, resource) in self.project.resources.iter().enumerate() {
            let pattern = format!(
                r"(?i)(?P<b>[ ,(])(?:(?:the|an?|our|their|its|every|each) )*(?:{}|{})(?P<e>[ ,:.)']|'s )",
                forms(&resource.singular),
                forms(&resource.plural)
            );
            text = replaced(&text, &pattern, mark(THING, u32::try_from(n).unwrap_or(MOST)));
        }
        for (n, (_, _, value)) in self.values.iter().enumerate() {
            let pattern = format!(r"(?i)(?P<b>[ ,(/|']){}(?P<e>[ ,:.)/|'])", regex::escape(value));
            text = replaced(&text, &pattern, mark(VALUE, u32::try_from(n).unwrap_or(MOST)));
        }
        text.trim().to_owned()
    }

    fn mark_field(&self, text: &str, name: &str, place: Place, behind: &str) -> String {
        let Some(n) = self.fields.iter().position(|known| *known == place) else { return text.to_owned() };
        // "Warehouses" are the things, and not what products belong to.
        let refers = self.project.resources[place.0].fields[place.1].references.is_some();
        // "phone numbers" are what is called a phone.
        let whole = match name.rsplit(' ').next() {
            Some("phone" | "telephone" | "mobile") => "| numbers?",
            Some("email") => "| address(?:es)?",
            _ => "",
        };
        let pattern = format!(
            r"(?i)(?P<b>[ ,(])(?:(?:the|an?|our|their|its|every|each|all|any|possible|allowed) )*(?:{})(?: field| column| option| flag| attribute| property{whole})?(?P<e>{behind})",
            if refers { regex::escape(name).replace(' ', "(?: of)?[ _-]") } else { forms(name) }
        );
        replaced(text, &pattern, mark(FIELD, u32::try_from(n).unwrap_or(MOST)))
    }

    /// In the words that are read, with the names of what is marked.
    pub(super) fn plain(&self, text: &str) -> String {
        let several = self.project.resources.len() > 1;
        let mut plain = String::new();
        for c in text.chars() {
            let n = u32::from(c);
            if let Some((one, at)) = self.field(c) {
                let resource = &self.project.resources[one];
                plain += &resource.fields[at].name.replace('_', " ");
                plain += &if several { format!(" of {}", resource.plural) } else { String::new() };
            } else if let Some(thing) = self.thing_of(c) {
                plain += &self.project.resources[thing].plural;
            } else if let Some((_, _, value)) = n.checked_sub(VALUE).and_then(|n| self.values.get(n as usize)) {
                plain += value;
            } else {
                plain.push(c);
            }
        }
        plain
    }

    pub(super) fn value(&self, of: char) -> Option<(usize, usize, &'a str)> {
        self.values.get(u32::from(of).checked_sub(VALUE)? as usize).copied()
    }
}

/// The name, and many of it, as part of a pattern.
fn forms(name: &str) -> String {
    let many = resources::singular(name) == name;
    let spaced = |name: &str| regex::escape(name).replace(' ', "(?: of)?[ _-]");
    if many {
        format!("{}|{}", spaced(name), spaced(&words::plural(name)))
    } else {
        format!("{}|{}", spaced(name), spaced(&resources::singular(name)))
    }
}

/// Nobody names the same more often.
const OFTEN: usize = 50;

fn replaced(text: &str, pattern: &str, mark: char) -> String {
    let Ok(pattern) = Regex::new(pattern) else { return text.to_owned() };
    // Neighbours share what parts them.
    let mut text = text.to_owned();
    for _ in 0..OFTEN {
        match pattern.replace(&text, format!("${{b}}{mark}${{e}}")) {
            Cow::Borrowed(_) => break,
            Cow::Owned(replaced) => text = replaced,
        }
    }
    text
}
