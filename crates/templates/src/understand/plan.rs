//! When a data pipeline runs, and what it reads: "from a CSV file every hour".

use super::constraints::{joined, tokens};
use crate::Format;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// Seconds from one run to the next, where that is said.
    pub(crate) every_s: Option<u32>,
    pub(crate) formats: Vec<Format>,
}

const UNITS: &[(&str, u32)] = &[("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400), ("night", 86_400), ("week", 604_800)];
const ADVERBS: &[(&str, u32)] = &[("hourly", 3_600), ("daily", 86_400), ("nightly", 86_400), ("weekly", 604_800)];
const WEEKDAYS: &[&str] = &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
/// Less makes no sense for files.
const LEAST_S: u32 = 1;

/// Takes it out of the sentence.
pub(crate) fn take(sentence: &str) -> (String, Plan) {
    let words = tokens(sentence);
    let (mut left, mut plan, mut at): (Vec<String>, Plan, usize) = (Vec::new(), Plan::default(), 0);
    while at < words.len() {
        if let Some((every_s, length)) = every(&words[at..]) {
            plan.every_s = Some(every_s);
            at += length;
        } else if let Some((format, length)) = source(&words[at..]) {
            if !plan.formats.contains(&format) {
                plan.formats.push(format);
            }
            at += length;
        } else {
            left.push(words[at].clone());
            at += 1;
            continue;
        }
        // A clause that ends with it ends all the same.
        let ends = words[at - 1].ends_with('.');
        // "…, every 5 minutes"
        while left.last().is_some_and(|word| word == ",") && (ends || at == words.len() || words[at] == ",") {
            left.pop();
        }
        if let Some(last) = left.last_mut().filter(|_| ends) {
            last.push('.');
        }
    }
    (joined(&left), plan)
}

fn every(words: &[String]) -> Option<(u32, usize)> {
    let word = |n: usize| words.get(n).map(|word| word.trim_end_matches('.').to_lowercase());
    let unit =
        |n: usize| word(n).and_then(|word| UNITS.iter().find(|(unit, _)| word == *unit || word == format!("{unit}s")).map(|(_, s)| *s));
    let first = word(0)?;
    // "a daily total" is a field.
    let ends = words[0].ends_with('.')
        || word(1).is_none_or(|next| {
            [",", "with", "from", "and", "csv", "json", "jsonl", "import", "export", "file", "job", "run", "at", "on"]
                .contains(&next.as_str())
        });
    if let Some((_, every_s)) = ADVERBS.iter().find(|(adverb, _)| *adverb == first).filter(|_| ends) {
        return Some((*every_s, 1));
    }
    match first.as_str() {
        "every" | "each" if word(1).is_some_and(|day| WEEKDAYS.contains(&day.as_str())) => Some((604_800, 2)),
        "every" | "each" => match unit(1) {
            Some(every_s) => Some((every_s, 2)),
            None => Some((word(1)?.parse::<u32>().ok().filter(|n| *n > 0)?.checked_mul(unit(2)?)?.max(LEAST_S), 3)),
        },
        "once" if word(1).is_some_and(|word| ["a", "an", "every", "per"].contains(&word.as_str())) => Some((unit(2)?, 3)),
        _ => None,
    }
}

/// "from a CSV file", "from JSON files", "from CSV or JSON files" is taken twice.
fn source(words: &[String]) -> Option<(Format, usize)> {
    let word = |n: usize| words.get(n).map(|word| word.trim_end_matches('.').to_lowercase()).unwrap_or_default();
    if !["from", "out"].contains(&word(0).as_str()) {
        return None;
    }
    let mut at = 1 + usize::from(word(1) == "of");
    at += usize::from(["a", "the", "an", "some", "our"].contains(&word(at).as_str()));
    let format = match word(at).as_str() {
        "csv" => Format::Csv,
        "json" | "jsonl" => Format::Json,
        _ => return None,
    };
    at += 1;
    at += usize::from(["file", "files", "export", "exports", "feed", "data"].contains(&word(at).as_str()));
    Some((format, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_and_what_from_are_taken_out() {
        for (sentence, left, every_s, formats) in [
            (
                "API that loads sales from a CSV file with a date every hour",
                "API that loads sales with a date",
                Some(3_600),
                vec![Format::Csv],
            ),
            ("API for readings with a time, every 5 minutes", "API for readings with a time", Some(300), vec![]),
            ("API which imports a name from JSON files once a day", "API which imports a name", Some(86_400), vec![Format::Json]),
            ("API for readings with a daily total", "API for readings with a daily total", None, vec![]),
            ("API for readings, daily. Thanks", "API for readings. Thanks", Some(86_400), vec![]),
            ("API for lines with a level from 1 to 5", "API for lines with a level from 1 to 5", None, vec![]),
        ] {
            assert_eq!(take(sentence), (left.to_owned(), Plan { every_s, formats }), "{sentence}");
        }
    }
}
