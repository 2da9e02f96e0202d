//! "a title, a done flag and a due date" → names and types.

use super::{Refusal, refuse, words};
use crate::{Field, FieldType};

#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) fields: Vec<Field>,
    /// Fields of which the sentence says whether they are required.
    pub(super) said_required: Vec<String>,
    pub(super) not_understood: Vec<String>,
}

const FIELDS_MOST: usize = 40;
const WORDS_MOST: usize = 4;

pub(super) fn parse(text: &str, assumed: &mut Vec<String>) -> Result<Parsed, Refusal> {
    let mut parsed = Parsed { fields: Vec::new(), said_required: Vec::new(), not_understood: Vec::new() };
    let text = text.replace(" and ", ",").replace(" plus ", ",").replace(" as well as ", ",");
    for phrase in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let Some(read) = read_one(phrase)? else {
            parsed.not_understood.push(phrase.to_owned());
            continue;
        };
        let Read { name, field_type, sure, required } = read;
        if ["id", "created_at", "updated_at"].contains(&name.as_str()) {
            assumed.push(format!("{name} is set by the server"));
            continue;
        }
        if let Some(twice) = parsed.fields.iter().find(|f| f.name == name) {
            if twice.field_type == field_type {
                continue;
            }
            return refuse(format!("The goal contradicts itself: {name} is a {} and a {field_type}", twice.field_type));
        }
        if !sure {
            assumed.push(format!("{name} is text: its name does not say what it is"));
        }
        if required.is_some() {
            parsed.said_required.push(name.clone());
        }
        parsed.fields.push(Field { name, field_type, required: required.unwrap_or(false) });
    }
    if parsed.fields.len() > FIELDS_MOST {
        return refuse(format!("It names {} fields; the templates take {FIELDS_MOST}", parsed.fields.len()));
    }
    Ok(parsed)
}

/// "with a title … without a title"
pub(super) fn check_excluded(fields: &[Field], without: &[String]) -> Result<(), Refusal> {
    for excluded in without {
        let name = excluded.split_whitespace().filter(|w| !words::is_filler(w)).collect::<Vec<_>>().join("_");
        if fields.iter().any(|f| f.name == name) {
            return refuse(format!("The goal contradicts itself: it is with and without {name}"));
        }
    }
    Ok(())
}

struct Read {
    name: String,
    field_type: FieldType,
    /// The words say the type.
    sure: bool,
    required: Option<bool>,
}

/// None: these words do not name a field.
fn read_one(phrase: &str) -> Result<Option<Read>, Refusal> {
    let lower = phrase.to_lowercase();
    let (lower, given) = match lower.split_once('(') {
        Some((name, given)) => (name.trim().to_owned(), Some(given.trim_end_matches(')').trim().to_owned())),
        None => (lower, None),
    };
    let mut words: Vec<&str> = lower.split_whitespace().collect();
    let says = |words: &[&str], word: &str| words.contains(&word);
    let required = match (says(&words, "required") || says(&words, "mandatory"), says(&words, "optional")) {
        (true, true) => return refuse(format!("The goal contradicts itself: \"{phrase}\" cannot be both required and optional")),
        (true, false) => Some(true),
        (false, true) => Some(false),
        (false, false) => None,
    };
    words.retain(|w| !["required", "mandatory", "optional", "field", "fields", "each", "following"].contains(w) && !words::is_filler(w));
    let given_type = given.as_deref().and_then(type_named);
    let Some((field_type, sure)) = type_of(&mut words, given_type) else { return Ok(None) };
    if words.is_empty() || words.len() > WORDS_MOST {
        return Ok(None);
    }
    let name = words.join("_").replace(['-', '\''], "_");
    let name = name.trim_matches('_').to_owned();
    if !name.is_ascii() {
        return refuse(format!("\"{phrase}\" cannot be a field's name: use the letters a to z"));
    }
    if !words::is_plain(&name) {
        return Ok(None);
    }
    Ok(Some(Read { name, field_type, sure, required }))
}

/// A type said in so many words.
fn type_named(word: &str) -> Option<FieldType> {
    Some(match word {
        "text" | "string" => FieldType::Text,
        "integer" | "int" | "whole number" => FieldType::Integer,
        "number" | "decimal" | "float" => FieldType::Number,
        "boolean" | "bool" | "flag" | "yes/no" => FieldType::Boolean,
        "date" => FieldType::Date,
        "datetime" | "timestamp" | "date and time" => FieldType::Datetime,
        "email" | "e-mail" => FieldType::Email,
        "url" | "link" => FieldType::Url,
        _ => return None,
    })
}

const BOOLEANS: &[&str] = &[
    "done",
    "completed",
    "complete",
    "finished",
    "active",
    "enabled",
    "archived",
    "published",
    "paid",
    "available",
    "favorite",
    "favourite",
    "read",
    "verified",
    "bought",
    "public",
];
const DATES: &[&str] = &["date", "birthday", "birthdate", "deadline", "day", "anniversary"];
const DATETIMES: &[&str] = &["time", "datetime", "timestamp"];
const INTEGERS: &[&str] = &[
    "count", "quantity", "age", "year", "number", "stock", "position", "priority", "pages", "size", "seats", "floor", "points", "score",
    "minutes", "hours", "duration", "calories", "servings", "capacity", "level",
];
const NUMBERS: &[&str] = &[
    "price",
    "amount",
    "cost",
    "rating",
    "weight",
    "height",
    "width",
    "length",
    "total",
    "balance",
    "salary",
    "latitude",
    "longitude",
    "temperature",
    "distance",
    "percentage",
    "rate",
    "budget",
];
const TEXTS: &[&str] = &[
    "title",
    "name",
    "description",
    "content",
    "body",
    "text",
    "note",
    "notes",
    "address",
    "author",
    "status",
    "category",
    "isbn",
    "phone",
    "color",
    "colour",
    "type",
    "genre",
    "brand",
    "model",
    "city",
    "country",
    "street",
    "location",
    "comment",
    "summary",
    "label",
    "tag",
    "message",
    "subject",
    "code",
    "sku",
    "barcode",
    "owner",
    "assignee",
    "company",
    "department",
    "director",
    "artist",
    "album",
    "language",
    "species",
    "breed",
    "manufacturer",
    "publisher",
    "nickname",
    "username",
    "zip",
    "class",
    "instructions",
];

/// The type, and whether the words say it. Takes words off that only name the type.
fn type_of(words: &mut Vec<&str>, given: Option<FieldType>) -> Option<(FieldType, bool)> {
    if let Some(given) = given {
        return Some((given, true));
    }
    let last = *words.last()?;
    if ["flag", "boolean", "checkbox", "toggle", "string", "integer", "float", "decimal"].contains(&last) {
        words.pop();
        let named = type_named(if ["checkbox", "toggle"].contains(&last) { "flag" } else { last })?;
        return (!words.is_empty()).then_some((named, true));
    }
    // "is done": the verb is not part of the name; "integer age": neither is the type.
    if words.len() > 1 && words[0] == "is" {
        words.remove(0);
        return Some((FieldType::Boolean, true));
    }
    if words.len() > 1
        && let Some(named) = type_named(words[0]).filter(|t| !matches!(t, FieldType::Email | FieldType::Url | FieldType::Date))
    {
        words.remove(0);
        return Some((named, true));
    }
    if words.iter().any(|w| w.contains("email") || w.contains("e-mail")) {
        return Some((FieldType::Email, true));
    }
    if ["phone", "serial", "order", "account", "card", "license", "tracking", "room", "part"].iter().any(|w| words.contains(w)) {
        return Some((FieldType::Text, true));
    }
    let lists = [
        (BOOLEANS, FieldType::Boolean),
        (DATETIMES, FieldType::Datetime),
        (DATES, FieldType::Date),
        (INTEGERS, FieldType::Integer),
        (NUMBERS, FieldType::Number),
        (TEXTS, FieldType::Text),
        (&["url", "link", "website", "homepage"], FieldType::Url),
    ];
    let known = lists.iter().find(|(list, _)| list.contains(&last)).map(|(_, field_type)| (*field_type, true));
    Some(known.unwrap_or((FieldType::Text, false)))
}
