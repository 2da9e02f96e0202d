//! "a title, a done flag and a due date" → names and types.

use std::sync::LazyLock;

use regex::Regex;

use super::constraints::{self, Constraint};
use super::field_type::{DATES, DATETIMES, INTEGERS, NUMBERS, UNITS, type_named, type_of};
use super::{Refusal, refuse, words};
use crate::{Field, FieldType};

#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) fields: Vec<Field>,
    /// Fields of which the sentence says whether they are required.
    pub(crate) said_required: Vec<String>,
    pub(crate) not_understood: Vec<String>,
}

const WORDS_MOST: usize = 4;

pub(crate) fn parse(text: &str, assumed: &mut Vec<String>) -> Result<Parsed, Refusal> {
    let mut parsed = Parsed { fields: Vec::new(), said_required: Vec::new(), not_understood: Vec::new() };
    let (text, limits) = constraints::take(&super::items::plain(text))?;
    let text = text.replace(" and ", ",").replace(" plus ", ",").replace(" as well as ", ",");
    for phrase in parts(&text).into_iter().map(|phrase| phrase.trim().trim_start_matches("and ")).filter(|p| !p.is_empty()) {
        let Some(read) = read_one(phrase, &limits)? else {
            parsed.not_understood.push(phrase.split_whitespace().filter_map(|word| unmarked(word, &limits)).collect::<Vec<_>>().join(" "));
            continue;
        };
        let Read { field, sure, required, left } = read;
        parsed.not_understood.extend(left);
        let (name, field_type) = (field.name.clone(), field.field_type);
        if ["id", "created_at", "updated_at"].contains(&name.as_str()) {
            assumed.push(format!("{name} is set by the server"));
            continue;
        }
        if let Some(twice) = parsed.fields.iter().find(|f| f.name == name) {
            if twice.field_type == field_type {
                if field.unique != twice.unique || required.is_some() || field.most.or(field.least).is_some() || field.default.is_some() {
                    parsed.not_understood.push(phrase.to_owned());
                }
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
        parsed.fields.push(Field { required: required.unwrap_or(false), ..field });
    }
    Ok(parsed)
}

/// The word, and for a mark the values that stood there.
fn unmarked(word: &str, limits: &[Constraint]) -> Option<String> {
    let Some(limit) = constraints::marked(word) else { return Some(word.to_owned()) };
    limits.get(limit).filter(|limit| !limit.choices.is_empty()).map(|limit| format!("of {}", limit.choices.join(", ")))
}

/// "with a title … without a title"
pub(crate) fn check_excluded(fields: &[Field], without: &[String]) -> Result<(), Refusal> {
    for excluded in without {
        let name = excluded.split_whitespace().filter(|w| !words::is_filler(w)).collect::<Vec<_>>().join("_");
        if fields.iter().any(|f| f.name == name) {
            return refuse(format!("The goal contradicts itself: it is with and without {name}"));
        }
    }
    Ok(())
}

/// One that holds any text.
pub(crate) fn text(name: &str, required: bool) -> Field {
    let name = name.to_owned();
    Field {
        name,
        field_type: FieldType::Text,
        required,
        unique: false,
        choices: Vec::new(),
        least: None,
        most: None,
        references: None,
        default: None,
    }
}

struct Read {
    field: Field,
    /// The words say the type.
    sure: bool,
    required: Option<bool>,
    /// What is said of it and left out.
    left: Option<String>,
}

/// What it is where nobody says: "(bool, default false)", "open by default".
static DEFAULT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)(?:, )?(?:with )?(?:a )?\bdefault(?:s|ing)?(?: value)?(?: to| of| is| :| =)? (?P<value>[\w.-]+)|(?:, )?\b(?P<first>[\w-]+) (?:by default|unless (?:set|specified|stated|told otherwise)|at first|initially)\b",
    )
    .ok()
});

/// "Due dates and priorities" of a thing are one of each: `one` is the last word's.
fn take_one<'a>(words: &mut [&'a str], one: &'a str) {
    let measured = |word: &str| [DATETIMES, DATES, INTEGERS, NUMBERS].iter().any(|list| list.contains(&word));
    if let Some(last) = words.last_mut().filter(|last| measured(one) && !measured(last)) {
        *last = one;
    }
}

/// Whether it is a file by its name: "a photo", "the signed scan".
pub(crate) fn is_file(field: &Field) -> bool {
    const NAMES: &[&str] = &[
        "snapshot",
        "sketch",
        "photo",
        "photos",
        "picture",
        "pictures",
        "image",
        "images",
        "scan",
        "screenshot",
        "avatar",
        "cv",
        "attachment",
        "attachments",
        "file",
        "pdf",
    ];
    let free = field.choices.is_empty() && !field.unique && field.least.is_none() && field.most.is_none() && field.default.is_none();
    free && field.field_type == FieldType::Text
        && (NAMES.contains(&field.name.rsplit('_').next().unwrap_or_default())
            || NAMES.contains(&field.name.split('_').next().unwrap_or_default()))
}

/// None: these words do not name a field.
fn read_one(phrase: &str, limits: &[Constraint]) -> Result<Option<Read>, Refusal> {
    let (phrase, default) = without_default(phrase);
    let first = phrase.split_whitespace().find(|word| !words::is_article(word));
    let marked = |word: &&str| constraints::marked(word).is_some();
    // "up to 5 tags" bounds how many there are, not what they are; "a price over 10 euros": what comes behind a bound is no part of the name.
    let behind = phrase.split_whitespace().skip_while(|word| !marked(word)).filter(|word| !marked(word));
    if first.is_some_and(|word| marked(&word)) || behind.into_iter().any(|word| !BESIDE.contains(&word) && !word.starts_with(['(', ')'])) {
        return Ok(None);
    }
    if phrase.contains(" one of ") {
        return refuse(format!("The values of \"{phrase}\" are not understood: put \"or\" before the last one"));
    }
    let (marks, phrase): (Vec<&str>, Vec<&str>) = phrase.split_whitespace().partition(marked);
    let said: Vec<&Constraint> = marks.into_iter().filter_map(|mark| limits.get(constraints::marked(mark)?)).collect();
    let Some(mut read) = read_words(&phrase.join(" "), &said)? else { return Ok(None) };
    // "clicks, 0 by default" are counted.
    if let Some(value) = default.as_deref().filter(|_| !read.sure && read.field.choices.is_empty()) {
        let counted = value.parse::<i64>().ok().map(|_| FieldType::Integer);
        let typed = counted.or(flag(value).map(|_| FieldType::Boolean));
        read.field.field_type = typed.unwrap_or(read.field.field_type);
        read.sure |= typed.is_some();
    }
    match default.map(|value| value_of(&read.field, &value).map_err(|_| format!("{value} as the default of {}", read.field.name))) {
        // That a flag is off is so anyway.
        Some(Ok(value)) => read.field.default = Some(value).filter(|value| read.field.field_type != FieldType::Boolean || *value != 0),
        Some(Err(left)) => read.left = Some(left),
        None => {}
    }
    Ok(Some(read))
}

/// "on" and "off", however they are said.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" | "1" => Some(true),
        "no" | "false" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// What is said to be its value where nobody says any.
pub(crate) fn value_of(field: &Field, text: &str) -> Result<serde_json::Value, Refusal> {
    let wrong = || Refusal { reason: format!("The default {text:?} cannot be a {} of {}", field.field_type, field.name) };
    let value: serde_json::Value = match field.field_type {
        FieldType::Integer => text.parse::<i64>().map_err(|_| wrong())?.into(),
        FieldType::Number => text.parse::<f64>().ok().filter(|n| n.is_finite()).ok_or_else(wrong)?.into(),
        FieldType::Boolean => i32::from(flag(text).ok_or_else(wrong)?).into(),
        FieldType::Text => field.choices.iter().find(|choice| choice.eq_ignore_ascii_case(text)).map_or(text, String::as_str).into(),
        // Whether it is a date, an address or a URL is not checked here.
        _ => return Err(wrong()),
    };
    #[expect(clippy::cast_precision_loss, reason = "the length of a sentence at the most")]
    let size = value.as_f64().unwrap_or(text.chars().count() as f64);
    let bounds = field.least.is_none_or(|least| size >= least) && field.most.is_none_or(|most| size <= most);
    let fits =
        (field.choices.is_empty() || field.choices.iter().any(|choice| choice.eq_ignore_ascii_case(text))) && bounds && !field.unique;
    if fits { Ok(value) } else { Err(wrong()) }
}

fn without_default(phrase: &str) -> (String, Option<String>) {
    let found = DEFAULT.as_ref().and_then(|pattern| {
        let found = pattern.captures(phrase)?;
        let value = found.name("value").or(found.name("first"))?.as_str().to_owned();
        Some((pattern.replace(phrase, "").replace("( )", "").replace("()", "").replace("(, ", "(").trim().to_owned(), Some(value)))
    });
    found.unwrap_or((phrase.to_owned(), None))
}

/// A field from its words, and what is said of its values.
fn read_words(phrase: &str, said: &[&Constraint]) -> Result<Option<Read>, Refusal> {
    let lower = phrase.to_lowercase();
    let (lower, given) = match lower.split_once('(') {
        Some((name, given)) => (name.trim().to_owned(), Some(given.trim_end_matches(')').trim().to_owned())),
        None => (lower, None),
    };
    let mut words: Vec<&str> = lower.split_whitespace().collect();
    // "print a map": no name has an article within.
    const BEFORE_ARTICLE: &[&str] = &["of", "per", "as", "is", "also", "required", "optional", "unique", "either", "with", "be"];
    if words.windows(2).any(|pair| ["a", "an"].contains(&pair[1]) && !words::is_determiner(pair[0]) && !BEFORE_ARTICLE.contains(&pair[0])) {
        return Ok(None);
    }
    let mut about = About::said(&words, phrase)?;
    words.retain(|w| {
        !["required", "mandatory", "optional", "unique", "that", "which", "must", "be", "field", "fields", "each", "following"].contains(w)
            && !words::is_determiner(w)
    });
    // "a duration in minutes", "a cooking time in minutes": a number, whatever else the word is.
    let counted = words.len() > 2 && words[words.len() - 2] == "in" && UNITS.contains(&words[words.len() - 1]);
    // "a size in mm" has parts of one; "a duration in minutes" is counted.
    let measured = counted && MEASURES.contains(&words[words.len() - 1]);
    if counted {
        words.truncate(words.len() - 2);
    }
    about.take_type(&mut words);
    // "a rating that is from 1 to 5"; "is done" is a flag.
    if words.len() > 1 && words.last() == Some(&"is") {
        words.pop();
    }
    if words.iter().any(|word| VERBS.contains(word)) {
        return refuse(format!("\"{phrase}\" says something of what is not named as a kind of thing"));
    }
    // "a list of tags" is more than one field holds.
    // "on display (boolean)": with its type said, a short one is a name.
    let typed = given.as_ref().is_some_and(|given| given.split(',').any(|part| type_named(part.trim()).is_some())) && words.len() < 4;
    if words.iter().enumerate().any(|(at, word)| speaks(&words, at, word) && !typed)
        || ["list", "lists"].contains(words.first().unwrap_or(&""))
    {
        return Ok(None);
    }
    if given.is_some_and(|given| !about.read(&given)) {
        return Ok(None);
    }
    let whole = lower.contains("number of ") || (counted && words.last().is_some_and(|last| DATETIMES.contains(last)));
    let typed = match about.named {
        None if whole => Some(FieldType::Integer),
        // "a date of birth", "a year of publication"
        None if ["date", "year", "time", "place", "type", "kind"]
            .iter()
            .any(|of| words.first() == Some(of) && lower.contains(&format!("{of} of "))) =>
        {
            words.insert(1, "of");
            None
        }
        named => named,
    };
    let one = words.last().map(|last| words::singular(last)).unwrap_or_default();
    take_one(&mut words, &one);
    let Some((field_type, sure)) = type_of(&mut words, typed) else { return Ok(None) };
    // "a mass in grams"
    let number = counted && (!sure || (measured && field_type == FieldType::Integer));
    let (field_type, sure) = if number { (FieldType::Number, true) } else { (field_type, sure) };
    if words.is_empty()
        || words.len() > WORDS_MOST
        || words.iter().all(|word| ["to", "of", "in", "from", "with", "for", "by", "on"].contains(word))
        || words.iter().any(|word| word.bytes().all(|b| b.is_ascii_digit()))
    {
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
    let mut field = Field { field_type, unique: about.unique, ..text(&name, false) };
    let sure = sure || !said.is_empty() || is_file(&field);
    for constraint in said {
        restrict(&mut field, constraint, about.named.is_some())?;
    }
    if field.unique && (field.field_type == FieldType::Boolean || !field.choices.is_empty()) {
        return refuse(format!("The goal contradicts itself: {name} is unique and has a few values only"));
    }
    Ok(Some(Read { field, sure, required: about.required, left: None }))
}

/// What is said of a field beside its name.
struct About {
    required: Option<bool>,
    unique: bool,
    /// Its type, said in so many words.
    named: Option<FieldType>,
}

impl About {
    fn said(words: &[&str], phrase: &str) -> Result<Self, Refusal> {
        let says = |word: &str| words.contains(&word);
        let required = match (says("required") || says("mandatory"), says("optional")) {
            (true, true) => return refuse(format!("The goal contradicts itself: \"{phrase}\" cannot be both required and optional")),
            (true, false) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        Ok(Self { required, unique: says("unique"), named: None })
    }

    /// "score is a number", "mileage as a whole number": the type stands behind the name.
    fn take_type(&mut self, words: &mut Vec<&str>) {
        let Some(at) = words.iter().position(|word| ["is", "as"].contains(word)).filter(|at| *at > 0) else { return };
        if let Some(named) = type_named(&words[at + 1..].join(" ")).filter(|_| self.named.is_none()) {
            self.named = Some(named);
            words.truncate(at);
        }
    }

    /// What stands in parentheses: "(integer, required)". False when something of it is not understood.
    fn read(&mut self, given: &str) -> bool {
        given.split(',').map(str::trim).filter(|part| !part.is_empty()).all(|part| {
            match part.trim_start_matches("must be ") {
                "required" | "mandatory" => self.required = Some(true),
                "optional" | "opt" | "nullable" | "not required" | "not mandatory" => self.required = Some(false),
                "unique" => self.unique = true,
                part => match type_named(part) {
                    Some(named) => self.named = Some(named),
                    None => return false,
                },
            }
            true
        })
    }
}

/// Beside its name and its bounds.
const BESIDE: &[&str] = &["required", "mandatory", "optional", "unique", "and", "is", "that", "which", "must", "be", "it", "field", ","];
const PROSE: &[&str] =
    &["title", "name", "description", "content", "body", "text", "note", "notes", "comment", "message", "summary", "address", "author"];
/// What is measured more finely than by ones.
const MEASURES: &[&str] =
    &["mm", "cm", "m", "km", "m2", "kg", "g", "grams", "ml", "litres", "liters", "tonnes", "tons", "hectares", "metres", "meters"];
/// Verbs that say something of another thing.
const VERBS: &[&str] = &["has", "have", "belong", "belongs", "contain", "contains"];
/// Words that say something and are part of no name.
const SPEAKING: &[&str] = &[
    "is",
    "are",
    "was",
    "can",
    "cannot",
    "can't",
    "may",
    "might",
    "should",
    "must",
    "shall",
    "will",
    "not",
    "no",
    "never",
    "than",
    "greater",
    "less",
    "more",
    "over",
    "under",
    "above",
    "below",
    "after",
    "before",
    "between",
    "by",
    "to",
    "from",
    "for",
    "with",
    "without",
    "on",
    "at",
    "as",
    "in",
    "per",
    "or",
    "but",
    "except",
    "instead",
    "only",
    "if",
    "when",
    "while",
    "where",
    "whether",
    "who",
    "whose",
    "it",
    "they",
    "get",
    "gets",
    "we",
    "i",
    "you",
    "he",
    "she",
    "one",
    "many",
    "several",
    "multiple",
    "both",
    "either",
    "sorted",
    "sorting",
    "filtering",
    "sums",
    "default",
    "defaulting",
    "called",
    "named",
    "new",
    "maximum",
    "minimum",
    "positive",
    "non-negative",
    "negative",
    "encrypted",
];

/// "quantity in stock" and "from date" are names.
fn speaks(words: &[&str], at: usize, word: &str) -> bool {
    // "check the salary" is to be done; "check in date" is a name.
    if at == 0 && words.len() > 1 && ["check", "validate", "verify", "ensure", "reject", "skip"].contains(&word) {
        return !["in", "out"].contains(&words[1]);
    }
    let named = (word == "in" && words.get(at + 1) == Some(&"stock"))
        || (word == "is" && at == 0 && words.len() > 1)
        || (["from", "to"].contains(&word) && at == 0 && words.len() == 2)
        // "measured at", "a price per night"
        || (word == "on" && at > 0 && words.get(at + 1).is_none_or(|next| *next == "date"))
        || (word == "at" && at > 0 && words.get(at + 1).is_none_or(|next| *next == "time"))
        || (word == "per" && at > 0 && words.len() == at + 2)
        // "valid from"
        || (["from", "to"].contains(&word) && at == 1 && words.len() == 2 && ["valid", "open", "available", "booked"].contains(&words[0]))
        // "ready for bottling"
        || (["for", "to", "in"].contains(&word) && at == 1 && words.len() > 2 && words.contains(&"flag"));
    !named && SPEAKING.contains(&word)
}

/// Parted by commas that are in no parentheses.
fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut parts) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth <= 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn is_prose(name: &str) -> bool {
    PROSE.iter().any(|word| name == *word || name.ends_with(&format!("_{word}")))
}

/// Said of a field, and none.
pub(crate) fn is_about(part: &str) -> bool {
    let first = part.split(' ').next().unwrap_or_default().to_lowercase();
    ["required", "optional", "unique", "mandatory", "nullable", "default", "max", "min"].contains(&first.as_str())
}

/// `named`: its type was said in so many words.
pub(crate) fn restrict(field: &mut Field, constraint: &Constraint, named: bool) -> Result<(), Refusal> {
    let Constraint { choices, least, most, length, beyond } = constraint;
    let name = field.name.clone();
    let contradicts = |what: &str| refuse(format!("The goal contradicts itself: {name} is a {} and {what}", field.field_type));
    if !choices.is_empty() {
        if named && field.field_type != FieldType::Text {
            return contradicts(&format!("one of {}", choices.join(", ")));
        }
        // Its name may have looked like something else: "a size (S, M or L)".
        field.field_type = FieldType::Text;
        field.choices.clone_from(choices);
        return Ok(());
    }
    match field.field_type {
        FieldType::Text if *length || (named && least.is_none_or(|least| least >= 0.0)) => {}
        // "a title of up to 80"
        FieldType::Text if most.is_some_and(|most| most > 20.0) && least.is_none() && is_prose(&name) => {}
        // "an action (max 80)": nothing says that it counts something.
        FieldType::Text if most.is_some_and(|most| most >= 40.0) && least.is_none() => {}
        FieldType::Text if is_prose(&name) => {
            return refuse(format!("{name} is a text: say \"characters\" where its length is meant"));
        }
        // "a priority from 1 to 5": only a number can be.
        FieldType::Text => {
            let whole = [least, most].into_iter().flatten().all(|n| n.fract() == 0.0);
            field.field_type = if whole { FieldType::Integer } else { FieldType::Number };
        }
        FieldType::Integer | FieldType::Number if !*length => {}
        _ => return contradicts("has bounds"),
    }
    // "a rating from 1 to 5" is given in whole points.
    let points = ["rating", "score", "grade", "stars", "humidity", "percent", "percentage"].iter().any(|points| name.ends_with(points));
    let whole = [least, most].into_iter().all(|bound| bound.is_some_and(|n| n.fract() == 0.0));
    if field.field_type == FieldType::Number && points && whole {
        field.field_type = FieldType::Integer;
    }
    if field.field_type == FieldType::Integer && [least, most].into_iter().flatten().any(|n| n.fract() != 0.0) {
        field.field_type = FieldType::Number;
    }
    // Money is counted in hundredths, other numbers have no next one.
    let money =
        ["price", "cost", "amount", "total", "salary", "budget", "balance", "fee", "rate"].iter().any(|money| name.ends_with(money));
    let step = match field.field_type {
        _ if !beyond => 0.0,
        FieldType::Integer => 1.0,
        FieldType::Number if money => 0.01,
        _ => {
            return refuse(format!(
                "What {name} may not be any more is not understood of a {}: say \"at least\" or \"at most\"",
                field.field_type
            ));
        }
    };
    let (least, most) = (least.map(|n| n + step), most.map(|n| n - step));
    (field.least, field.most) = (least.or(field.least), most.or(field.most));
    Ok(())
}
