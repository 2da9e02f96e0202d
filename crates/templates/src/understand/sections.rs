//! Things with their fields behind a colon or in brackets: "hives (name, location)", "The players: name, birthday", "loans (borrower) -> tool". Each is a
//! sentence of its own afterwards: "hives have name, location".

use super::field_type::type_named;
use super::items::{self, parted};
use super::{clauses, fields, words};

/// Words before the name of a thing, which are no part of it.
const BEFORE: &[&str] = &[
    "a",
    "an",
    "the",
    "each",
    "every",
    "and",
    "for",
    "of",
    "with",
    "to",
    "my",
    "our",
    "their",
    "has",
    "have",
    "keep",
    "store",
    "track",
    "manage",
    "we",
    "also",
    "are",
    "is",
    "in",
    "api",
    "app",
    "application",
    "service",
    "backend",
    "system",
    "website",
    "site",
    "crud",
    "rest",
    "pipeline",
    "microservice",
    "one",
    "all",
    "plus",
    "that",
    "which",
    "where",
    "from",
    "save",
    "record",
    "list",
    "collection",
    "log",
    "register",
    "collect",
    "ingest",
    "load",
    "note",
    "about",
];
/// Nothing but these before it: nothing is said of it but its fields.
const ALONE: &[&str] = &["", "a", "an", "the", "each", "every", "all", "one", "our", "my", "their", "and", "also"];
const NAME_WORDS: usize = 2;

pub(super) fn plain(text: &str) -> String {
    let read = |(at, sentence): (usize, String)| {
        let mut behind = String::new();
        let sentence = bracketed(&sentence, &mut behind);
        section(&if at > 0 { stated(&sentence) } else { sentence }) + &behind
    };
    sentences(text).into_iter().enumerate().map(read).collect::<Vec<_>>().join(". ")
}

/// "readings - a station, a temperature - a time": between several dashes there are items.
pub(super) fn dashed(text: &str) -> String {
    let text = text.replace(": - ", ": ").replace(" – ", " - ").replace(" — ", " - ");
    let listed = |sentence: &str| {
        let parts: Vec<&str> = sentence.split(" - ").collect();
        match parts.as_slice() {
            [first, rest @ ..] if rest.len() > 1 || rest.first().is_some_and(|rest| rest.contains(", ")) => {
                let lead = if first.contains(": ") { ", " } else { ": " };
                format!("{first}{lead}{}", rest.join(", "))
            }
            _ => sentence.to_owned(),
        }
    };
    stops(&text).into_iter().map(listed).collect::<Vec<_>>().join(". ")
}

/// "We have properties, with an address", "and sessions with a date": they have it.
fn stated(sentence: &str) -> String {
    let mut rest = sentence;
    for lead in ["also ", "and ", "plus ", "we have ", "there are ", "we also have ", "the ", "some ", "many "] {
        if rest.get(..lead.len()).is_some_and(|start| start.eq_ignore_ascii_case(lead)) {
            rest = &rest[lead.len()..];
        }
    }
    let (name, said) = rest.split_once([' ', ',']).unwrap_or_default();
    let said = said.trim_start_matches([',', ' ']);
    match ["with ", "having "].iter().find_map(|with| said.strip_prefix(with)) {
        Some(said) if words::is_many(&name.to_lowercase()) => format!("{name} have {said}"),
        _ if rest.len() < sentence.len() && sentence.to_lowercase().starts_with("and ") => rest.to_owned(),
        _ => sentence.to_owned(),
    }
}

/// Parted by full stops; by semicolons only where each part says something by itself.
fn sentences(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for sentence in stops(text) {
        let parts = parted(sentence, |c| c == ';');
        let states = |part: &&str| {
            part.contains(": ")
                || part.split(' ').any(|word| {
                    ["has", "have", "belongs", "belong", "must", "is", "are", "should", "can"].contains(&word.to_lowercase().as_str())
                })
        };
        if parts.iter().skip(1).any(states) {
            found.extend(parts.into_iter().map(str::to_owned));
        } else {
            // "a title (text); an abstract (text, optional)"
            found.push(parts.join(", "));
        }
    }
    found.retain(|sentence| !sentence.is_empty());
    found
}

/// Parted by full stops outside of brackets.
pub(super) fn stops(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        let ends = ".!?".contains(c) && depth <= 0 && text[at + 1..].chars().next().is_none_or(char::is_whitespace);
        if ends {
            found.push(text[from..at].trim());
            from = at + 1;
        }
    }
    found.push(text[from..].trim());
    found.retain(|sentence| !sentence.is_empty());
    found
}

/// The last words of a text, when they can be the name of a thing, and where they begin.
fn name_at_end(text: &str) -> Option<(usize, String)> {
    let mut from = text.len();
    let mut name: Vec<&str> = Vec::new();
    for word in text.rsplit(' ') {
        let plain = !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
        if !plain || name.len() == NAME_WORDS || BEFORE.contains(&word.to_lowercase().as_str()) {
            break;
        }
        from -= word.len() + usize::from(from < text.len());
        name.insert(0, word);
    }
    (!name.is_empty()).then(|| (from, name.join(" ").replace('_', " ")))
}

fn many(name: &str) -> String {
    let lower = name.to_lowercase();
    match lower.rsplit_once(' ') {
        Some((first, last)) => format!("{first} {}", words::plural(&words::singular(last))),
        None => words::plural(&words::singular(&lower)),
    }
}

/// Fields, and neither the values that one has nor what is said of one.
pub(super) fn are_fields(list: &[&str]) -> bool {
    let about = |part: &&str| type_named(&part.to_lowercase()).is_some() || fields::is_about(part);
    let sure = |part: &&str| {
        let mut guessed = Vec::new();
        part.contains(" (")
            || part.contains(": ")
            || fields::parse(part, &mut guessed).is_ok_and(|read| !read.fields.is_empty() && guessed.is_empty())
    };
    list.len() > 1 && !list.iter().all(about) && list.iter().any(sure)
}

/// "movies (title, year) and reviews (text, stars) of a movie": what each has is said behind.
fn bracketed(sentence: &str, behind: &mut String) -> String {
    let (mut kept, mut rest) = (String::new(), sentence);
    while let Some(open) = rest.find(['(', '[', '{']) {
        let Some(close) = closing(&rest[open..]).map(|length| open + length) else { break };
        let (before, inside, after) = (rest[..open].trim_end(), &rest[open + 1..close], &rest[close + 1..]);
        // "the bottles in my cellar (name, region)"
        let place = [" in my ", " in our ", " of my ", " of our ", " for my ", " for our "]
            .iter()
            .find_map(|place| super::scope::find(before, place));
        let before = place.filter(|at| !before[at + 8..].contains(' ')).map_or(before, |at| &before[..at]);
        let list = parted(inside, |c| ",;".contains(c));
        // "a status (waiting, in progress, done)"
        let values = |name: &str| {
            (clauses::has_few(name) || (inside.contains(" or ") && !words::is_many(&name.to_lowercase())))
                && list.iter().all(|part| part.split(' ').count() < 4 && !part.contains(['(', ':']))
        };
        match name_at_end(before).filter(|(_, name)| are_fields(&list) && !values(name)) {
            Some((at, name)) => {
                let name = many(&name);
                kept += &before[..at];
                kept += &name;
                *behind += &format!(". {name} have {}", items::plain(&list.join(", ")));
                let of = after.trim_start();
                let of =
                    ["-> ", "=> ", "→ ", "of a ", "of an ", "of the ", "of each ", "belongs to a ", "belong to a ", "in a ", "for each "]
                        .iter()
                        .find_map(|lead| of.strip_prefix(lead));
                match of.map(|of| of.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()).filter(|of| !of.is_empty()) {
                    Some(of) => {
                        *behind += &format!(". {name} belong to a {}", words::singular(&of.to_lowercase()));
                        rest = after.split_once(of).map_or("", |(_, rest)| rest);
                    }
                    None => rest = after,
                }
            }
            None => {
                kept += &rest[..=close];
                rest = after;
            }
        }
    }
    kept + rest
}

/// How far the bracket that it begins with goes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        depth += i32::from("([{".contains(c)) - i32::from(")]}".contains(c));
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// "a service: products have a name" goes on; "The players: name, birthday" names what each has.
fn section(sentence: &str) -> String {
    let Some((before, after)) = outside(sentence) else { return sentence.to_owned() };
    let (before, after) = (before.trim(), after.trim());
    let clause = after.to_lowercase();
    let verbs = ["has", "have", "belongs", "belong", "can", "must", "should", "may", "will"];
    // "we run a shelter: dogs have a name"
    // "a parking lot: spots with a number, vehicles with a plate"
    let of_each = clause.split(' ').nth(1) == Some("with") && words::is_many(clause.split(' ').next().unwrap_or_default());
    if of_each {
        let (name, said) = after.split_once(" with ").unwrap_or_default();
        if !said.split(',').any(|part| part.contains(" with ")) {
            return format!("{before}. {name} have {said}");
        }
    }
    if of_each || clause.split([' ', ',']).take(4).any(|word| verbs.contains(&word)) {
        return format!("{before}. {}", section(after));
    }
    // "- what it is - where it was found"
    let listed = match after.strip_prefix("- ") {
        Some(items) => items.replace(" - ", ", "),
        None => parted(after, |c| c == ';').join(", "),
    };
    let asked = ["we need ", "we record ", "we store ", "we want ", "we keep ", "i need ", "i want "];
    let listed = asked.iter().find_map(|asked| listed.strip_prefix(asked)).unwrap_or(&listed).to_owned();
    // "a level: beginner, intermediate or expert"
    if !are_fields(&parted(&listed, |c| c == ',')) && super::scope::find(&listed, " or ").is_some() && !listed.contains('(') {
        return format!("{before} of {listed}");
    }
    let listed = items::plain(&listed);
    let items = parted(&listed, |c| c == ',');
    let lower = before.to_lowercase();
    let last = lower.rsplit(' ').next().unwrap_or_default();
    if verbs.contains(&last) || ["with", "record", "store", "need", "keep", "save"].contains(&last) {
        return format!("{before} {listed}");
    }
    // "hives and inspections", whose fields were in brackets
    if items.iter().all(|item| item.split(' ').count() <= 4) && !are_fields(&items) && all_many(&listed) {
        return before.to_owned();
    }
    for (inside, there) in [("inside ", " there are "), ("in ", " there are "), ("for ", " there are "), ("within ", " there are ")] {
        let Some((of, what)) = lower.strip_prefix(inside).and_then(|rest| rest.split_once(there)) else { continue };
        if let (Some((_, of)), Some((_, what))) = (name_at_end(of.trim_end_matches(',')), name_at_end(what)) {
            return format!("{} belong to a {}. {} have {listed}", many(&what), words::singular(&of), many(&what));
        }
    }
    for relation in [" belongs to ", " belong to ", " in ", " of "] {
        let Some((what, of)) = lower.split_once(relation).filter(|(what, of)| of.split(' ').count() == 2 && what.split(' ').count() <= 3)
        else {
            continue;
        };
        let (article, of) = of.split_once(' ').unwrap_or_default();
        // "Visitors book viewings of a property"
        let what = if what.split(' ').count() > 2 { what.rsplit(' ').next().unwrap_or(what) } else { what };
        if let Some((_, what)) = name_at_end(what).filter(|_| ["a", "an", "the", "each", "every", "one"].contains(&article)) {
            return format!("{} belong to a {}. {} have {listed}", many(&what), words::singular(of), many(&what));
        }
    }
    // "Columns: a, b" are of what was named before.
    if ["columns", "fields", "attributes", "properties"].contains(&last) {
        return listed;
    }
    // "readings from CSV every 15 minutes: a time, a station"
    let (of, plan) = super::plan::take(before);
    if plan != super::plan::Plan::default()
        && let Some((_, name)) = name_at_end(of.trim_end_matches(['.', ',']))
    {
        return format!("{before}. {} have {listed}", many(&name));
    }
    match name_at_end(before) {
        Some((at, name)) if !is_whole(&name) && before[..at].split(' ').all(|word| ALONE.contains(&word.to_lowercase().as_str())) => {
            format!("{} have {listed}", many(&name))
        }
        // "Feedback collector: name, message"
        Some((_, name)) if is_whole(&name) => format!("{before} with {listed}"),
        Some((_, name)) if are_fields(&items) && words::is_many(name.rsplit(' ').next().unwrap_or_default()) => {
            format!("{before}. {} have {listed}", name.to_lowercase())
        }
        _ => format!("{before} with {listed}"),
    }
}

fn is_whole(name: &str) -> bool {
    let lower = name.to_lowercase();
    super::kinds::WHOLES.contains(&lower.rsplit(' ').next().unwrap_or_default())
}

fn all_many(list: &str) -> bool {
    list.replace(" and ", ",").split(',').map(str::trim).filter(|name| !name.is_empty()).all(|name| words::is_many(&name.to_lowercase()))
}

/// At the first colon that no bracket holds and that no number follows.
fn outside(sentence: &str) -> Option<(&str, &str)> {
    let first = parted(sentence, |c| c == ':').first().map(|first| first.len())?;
    let at = sentence[first..].find(':')? + first;
    sentence[at + 1..].starts_with(' ').then(|| (&sentence[..at], &sentence[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_have_their_fields_in_sentences_of_their_own() {
        for (said, read) in [
            (
                "REST API for a club: hives (name, location, active yes/no) and inspections (date, notes)",
                "REST API for a club. hives have name, location, active (boolean). inspections have date, notes",
            ),
            ("The players: name, birthdate. The trainings: date, field", "players have name, birthdate. trainings have date, field"),
            (
                "API for loans (borrower, due date) -> tool and tools (name, price)",
                "API for loans and tools. loans have borrower, due date. loans belong to a tool. tools have name, price",
            ),
            ("crud api: vinyl_record {title: string!, year: int}", "crud api. vinyl records have title (string, required), year (int)"),
            ("Sensor in a zone: label, kind", "sensors belong to a zone. sensors have label, kind"),
            ("Inside each order there are lines: product name, price", "lines belong to a order. lines have product name, price"),
            ("a shop for shirts with sizes (S, M or L)", "a shop for shirts with sizes (S, M or L)"),
            ("books with a title (text, required) and a price", "books with a title (text, required) and a price"),
            ("an inventory service: products have a name", "an inventory service. products have a name"),
            ("A site to keep my houseplants: name, species, room", "A site to keep my houseplants. houseplants have name, species, room"),
            ("each machine has: a name, a brand", "each machine has a name, a brand"),
            ("meetings at 10:30", "meetings at 10:30"),
        ] {
            assert_eq!(plain(said), read, "{said}");
        }
    }
}
