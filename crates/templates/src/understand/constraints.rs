//! What a field may hold, said in words: "a status of open, pending or closed", "a priority from 1 to 5", "a title of at most 80
//! characters".

use super::{Refusal, refuse, words};

/// What is said of one field.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Constraint {
    pub(crate) choices: Vec<String>,
    pub(crate) least: Option<f64>,
    pub(crate) most: Option<f64>,
    /// The bounds are those of a length, in characters.
    pub(crate) length: bool,
    /// The bounds themselves are outside: "greater than 0".
    pub(crate) beyond: bool,
}

/// Stands in a text for the constraint with the number behind it.
const MARK: char = '\u{E000}';
const CHOICES_MOST: usize = 50;
const CHOICE_WORDS: usize = 3;

/// Takes what is said of values out of a text of fields, so that its commas and "and"s part no fields; a mark is left in its place.
pub(crate) fn take(text: &str) -> Result<(String, Vec<Constraint>), Refusal> {
    let tokens = tokens(text);
    let (mut left, mut found, mut at) = (Vec::new(), Vec::new(), 0);
    while at < tokens.len() {
        let rest = &tokens[at..];
        // "a date of birth or death": the date of what, not which.
        let what = tokens[..at]
            .last()
            .is_some_and(|before| ["date", "place", "number", "year", "time", "name"].contains(&before.to_lowercase().as_str()));
        if let Some((constraint, length)) =
            range(rest)?.or_else(|| one_end(rest)).or_else(|| choices(rest).filter(|_| !what)).or_else(|| slashed(&tokens[..at], rest))
        {
            left.push(format!("{MARK}{}", found.len()));
            found.push(constraint);
            at += length;
        } else {
            left.push(tokens[at].clone());
            at += 1;
        }
    }
    Ok((left.join(" "), found))
}

/// The constraint that a word of a text stands for.
pub(crate) fn marked(word: &str) -> Option<usize> {
    word.strip_prefix(MARK)?.parse().ok()
}

/// Words, and each comma and parenthesis at their ends by itself; a slash or a dash parts nothing.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while let Some(c) = rest.chars().next().filter(|c| "(),".contains(*c)) {
            tokens.push(c.to_string());
            rest = &rest[c.len_utf8()..];
        }
        let core = rest.trim_end_matches(['(', ')', ',']);
        if !core.is_empty() {
            tokens.push(core.to_owned());
        }
        tokens.extend(rest[core.len()..].chars().map(String::from));
    }
    tokens
}

/// Words that [`tokens`] parted, as they were.
pub(crate) fn joined(words: &[String]) -> String {
    words.join(" ").replace(" ,", ",").replace("( ", "(").replace(" )", ")")
}

fn number(token: Option<&String>) -> Option<f64> {
    token?.trim_end_matches('%').parse().ok().filter(|n: &f64| n.is_finite())
}

/// "greater than 0", "that can't be negative", "positive": what is said of one end.
fn one_end(tokens: &[String]) -> Option<(Constraint, usize)> {
    const SAYING: &[&str] = &[
        "that", "which", "must", "be", "is", "should", "has", "to", "can", "may", "always", "of", "(", "a", "value", "strictly", "it",
        "have",
    ];
    let lower: Vec<String> = tokens.iter().take(12).map(|token| token.to_lowercase()).collect();
    let begin = lower.iter().position(|word| !SAYING.contains(&word.as_str()))?;
    let is = |n: usize, any: &[&str]| lower.get(begin + n).is_some_and(|word| any.contains(&word.as_str()));
    let bound = |least: bool, beyond: bool, n: usize| {
        let number = number(tokens.get(begin + n))?;
        let (least, most) = if least { (Some(number), None) } else { (None, Some(number)) };
        Some((Constraint { least, most, beyond, ..Constraint::default() }, begin + n + 1))
    };
    let zero = |beyond: bool, length: usize| Some((Constraint { least: Some(0.0), beyond, ..Constraint::default() }, begin + length));
    let found = if is(0, &["greater", "more", "higher", "larger", "bigger"]) && is(1, &["than"]) {
        bound(true, !is(2, &["or"]), 2)
    } else if is(0, &["less", "lower", "smaller", "fewer"]) && is(1, &["than"]) {
        bound(false, true, 2)
    } else if is(0, &["above", "over"]) {
        bound(true, true, 1)
    } else if is(0, &["below", "under"]) {
        bound(false, true, 1)
    } else if is(0, &["not", "never", "can't", "cannot", "mustn't"]) && is(1, &["negative"]) {
        zero(false, 2)
    } else if is(0, &["not", "never", "can't", "cannot", "mustn't"]) && is(1, &["be"]) && is(2, &["negative"]) {
        zero(false, 3)
    } else if is(0, &["not", "never", "can't", "cannot", "mustn't"]) && is(1, &["go", "be", "fall"]) && is(2, &["below", "under"]) {
        bound(true, false, 3)
    } else if is(0, &["non-negative", "nonnegative"]) && begin > 0 {
        zero(false, 1)
    } else if is(0, &["positive"]) && begin > 0 && lower[..begin].iter().any(|word| ["be", "is"].contains(&word.as_str())) {
        zero(true, 1)
    } else {
        None
    };
    let opened = lower.first().is_some_and(|first| first == "(");
    match found {
        Some((constraint, end)) if opened => (tokens.get(end).map(String::as_str) == Some(")")).then_some((constraint, end + 1)),
        found => found,
    }
}

/// "from 1 to 5", "between 1 and 5", "(1-5)", "at least 1", "at most 80 characters", and how many tokens that is.
fn range(tokens: &[String]) -> Result<Option<(Constraint, usize)>, Refusal> {
    let word = |n: usize| tokens.get(n).map(|token| token.to_lowercase());
    let is = |n: usize, any: &[&str]| word(n).is_some_and(|word| any.contains(&word.as_str()));
    let opened = usize::from(is(0, &["("]));
    // Before a range these say nothing.
    let said = usize::from(is(opened, &["of", "in", "within", "ranging"]));
    let begin = opened + said;
    let two = |first: usize, between: &[&str]| {
        number(tokens.get(first)).zip(number(tokens.get(first + 2))).filter(|_| is(first + 1, between)).map(|ends| (ends, first + 3))
    };
    let dashed = |n: usize| {
        let token = tokens.get(n)?;
        let (least, most) = token.split_once("..").or_else(|| token.split_once(['-', '–']))?;
        Some(((number(Some(&least.to_owned()))?, number(Some(&most.to_owned()))?), n + 1))
    };
    let both = if is(begin, &["from"]) {
        two(begin + 1, &["to", "through", "until"])
    } else if is(begin, &["between"]) {
        two(begin + 1, &["and", "to"])
    } else {
        two(begin, &["to", "through"]).or_else(|| dashed(begin))
    };
    let (least, most, mut end) = match both {
        Some(((least, most), end)) => (Some(least), Some(most), end),
        None if is(begin, &["at", "not", "no"]) && is(begin + 1, &["least", "below", "fewer", "less"]) => {
            let than = usize::from(is(begin + 2, &["than"]));
            (number(tokens.get(begin + 2 + than)), None, begin + 3 + than)
        }
        None if is(begin, &["at", "not", "no"]) && is(begin + 1, &["most", "above", "more", "longer"]) => {
            let than = usize::from(is(begin + 2, &["than"]));
            (None, number(tokens.get(begin + 2 + than)), begin + 3 + than)
        }
        None if [">=", "≥", "=>", "<=", "≤", "=<"].iter().any(|sign| word(begin).is_some_and(|word| word.starts_with(sign))) => {
            let first = word(begin).unwrap_or_default();
            let rest = first.trim_start_matches(['>', '<', '=', '≥', '≤']).to_owned();
            let (bound, end) = if rest.is_empty() { (number(tokens.get(begin + 1)), begin + 2) } else { (number(Some(&rest)), begin + 1) };
            if first.starts_with(['>', '≥']) || first == "=>" { (bound, None, end) } else { (None, bound, end) }
        }
        // "a rating out of 10"
        None if is(begin, &["out"]) && is(begin + 1, &["of"]) => {
            let most = number(tokens.get(begin + 2));
            (most.map(|_| 0.0), most, begin + 3)
        }
        None if is(begin, &["up"]) && is(begin + 1, &["to"]) => (None, number(tokens.get(begin + 2)), begin + 3),
        None if is(begin, &["max", "maximum"]) => (None, number(tokens.get(begin + 1)), begin + 2),
        None if is(begin, &["min", "minimum"]) => (number(tokens.get(begin + 1)), None, begin + 2),
        None => return Ok(None),
    };
    if least.is_none() && most.is_none() {
        return Ok(None);
    }
    let length = is(end, &["characters", "character", "letters", "chars"]);
    end += usize::from(length);
    end += usize::from(length && is(end, &["long"]));
    // "at most 30 kg"
    end += usize::from(!length && is(end, super::field_type::UNITS));
    if opened == 1 {
        if !is(end, &[")"]) {
            return Ok(None);
        }
        end += 1;
    }
    if let Some((least, most)) = least.zip(most).filter(|(least, most)| least > most) {
        return refuse(format!("The goal contradicts itself: nothing is from {least} to {most}"));
    }
    if length && [least, most].into_iter().flatten().any(|n| n < 0.0 || n.fract() != 0.0) {
        return refuse("A length in characters is a whole number");
    }
    Ok(Some((Constraint { least, most, length, ..Constraint::default() }, end)))
}

/// "a status online/offline", "kind temp|humidity|light"
fn slashed(before: &[String], tokens: &[String]) -> Option<(Constraint, usize)> {
    let named = before.last().is_some_and(|word| !["(", ",", ")", "and"].contains(&word.as_str()) && !words::is_article(word));
    let token = tokens.first().filter(|_| named)?;
    let parts: Vec<String> = token.split(['/', '|']).map(str::to_owned).collect();
    let word = |part: &String| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "-_+".contains(c));
    let values = parts.len() > 1 && parts.iter().all(word) && parts.iter().any(|part| part.contains(char::is_alphabetic));
    let typed = super::field_type::type_named(&token.to_lowercase()).is_some() || token.to_lowercase() == "and/or";
    (values && !typed).then_some((Constraint { choices: parts, ..Constraint::default() }, 1))
}

/// "of open, pending or closed", "either a or b", "(red, green)", "(s/m/l)", and how many tokens that is.
fn choices(tokens: &[String]) -> Option<(Constraint, usize)> {
    let lower = |n: usize| tokens.get(n).map(|token| token.to_lowercase());
    let is = |n: usize, any: &[&str]| lower(n).is_some_and(|word| any.contains(&word.as_str()));
    let parenthesis = is(0, &["("]);
    let mut at = match lower(0)?.as_str() {
        "(" => 1,
        "of" | "being" | "either" => 1,
        "one" if is(1, &["of"]) => 2,
        _ => return None,
    };
    at += usize::from(is(at, &["either"])) + 2 * usize::from(is(at, &["one"]) && is(at + 1, &["of"]));
    let (mut found, mut item, mut last): (Vec<String>, Vec<&str>, bool) = (Vec::new(), Vec::new(), false);
    loop {
        let token = tokens.get(at).map_or("", String::as_str);
        let ends = token.is_empty()
            || token == ")"
            || (token == "(" && !item.is_empty())
            || token.starts_with(MARK)
            || (!parenthesis && ["and", "plus"].contains(&token) && tokens.get(at + 1).is_none_or(|next| next != "or"));
        let parts = [",", "or", "/"].contains(&token);
        if ends || parts {
            if !item.is_empty() {
                let joined = std::mem::take(&mut item).join(" ");
                // "s/m/l"
                found.extend(
                    joined.split(['/', '|']).map(|part| part.trim().trim_matches(['"', '\'']).to_owned()).filter(|part| !part.is_empty()),
                );
            }
            if ends || (last && !parenthesis) {
                break;
            }
            last |= token == "or";
        } else {
            item.push(token);
            // "a zone of A, B or C", "on the way"
            if item.len() > CHOICE_WORDS || (item.len() == 1 && words::is_article(token) && token != "A") {
                return None;
            }
        }
        at += 1;
    }
    if parenthesis && tokens.get(at).map(String::as_str) != Some(")") {
        return None;
    }
    // Without an "or" it may be "the date of birth, a name": only parentheses, and slashes, make a list of it.
    let listed = last || parenthesis;
    // "(email, sms or push)" are values, "(date or datetime)" are none.
    let types = found.iter().filter(|part| super::field_type::type_named(part).is_some()).count();
    let typed = types > 0 && (types == found.len() || !last);
    let about_the_field = |part: &String| ["required", "optional", "unique"].contains(&part.as_str());
    // "an age of 18 or older", "a break of 15 or 30 minutes", "(in euros, never negative)": no lists of texts.
    let speaks = |part: &String| {
        let (first, rest) = part.split_once(' ').unwrap_or((part, ""));
        let lower = part.to_lowercase();
        [" by default", " at most", "starts at "].iter().any(|said| lower.contains(said))
            || ["older", "younger", "more", "less", "never"].contains(&first)
            || (first == "in" && super::field_type::UNITS.contains(&rest))
    };
    let few = found.len() < 3 && found.iter().all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
    if found.iter().any(speaks) || few {
        return None;
    }
    // "active (yes/no)" is a flag.
    let flag = found.iter().all(|part| ["yes", "no", "y", "n", "true", "false"].contains(&part.to_lowercase().as_str()));
    if flag || !listed || found.len() < 2 || found.len() > CHOICES_MOST || typed || found.iter().any(about_the_field) {
        return None;
    }
    let mut choices: Vec<String> = Vec::new();
    for choice in found {
        if !choices.contains(&choice) {
            choices.push(choice);
        }
    }
    Some((Constraint { choices, ..Constraint::default() }, at + usize::from(parenthesis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, Vec<Constraint>) {
        let (left, found) = take(text).unwrap();
        (left.replace(MARK, "#"), found)
    }
    fn of(choices: &[&str]) -> Constraint {
        Constraint { choices: choices.iter().map(ToString::to_string).collect(), ..Constraint::default() }
    }
    fn between(least: impl Into<Option<f64>>, most: impl Into<Option<f64>>) -> Constraint {
        Constraint { least: least.into(), most: most.into(), ..Constraint::default() }
    }

    #[test]
    fn lists_of_values_are_no_fields() {
        let open = of(&["open", "pending", "closed"]);
        for text in [
            "a title, a status of open, pending or closed and a due date",
            "a title, a status of open, pending, or closed, and a due date",
            "a title, a status (open, pending, closed) and a due date",
            "a title, a status (open/pending/closed) and a due date",
            "a title, a status of either open, pending or closed and a due date",
            "a title, a status being one of open, pending or closed and a due date",
        ] {
            let (left, found) = taken(text);
            assert_eq!(found, std::slice::from_ref(&open), "{text}");
            assert!(left.starts_with("a title , a status #0") && left.ends_with("and a due date"), "{text}: {left}");
        }
        assert_eq!(taken("a size of extra small or large").1, [of(&["extra small", "large"])]);
        assert_eq!(taken("a zone of A, B or C").1, [of(&["A", "B", "C"])]);
        assert_eq!(taken("a status (waiting, in progress, done)").1, [of(&["waiting", "in progress", "done"])]);
    }

    #[test]
    fn ranges_are_taken() {
        for (text, expected) in [
            ("a priority from 1 to 5", between(1.0, 5.0)),
            ("a priority between 1 and 5", between(1.0, 5.0)),
            ("a priority (1-5)", between(1.0, 5.0)),
            ("a priority (1 to 5)", between(1.0, 5.0)),
            ("a priority of at least 1", between(1.0, None)),
            ("a discount of up to 50%", between(None, 50.0)),
            ("a price of no less than 0.5", between(0.5, None)),
        ] {
            assert_eq!(taken(text).1, [expected], "{text}");
        }
        let (left, found) = taken("a title of at most 80 characters and a note");
        assert_eq!((left.as_str(), &found[..]), ("a title #0 and a note", &[Constraint { length: true, ..between(None, 80.0) }][..]));
        assert!(take("a priority from 5 to 1").is_err());
    }

    #[test]
    fn what_is_no_list_stays() {
        for text in [
            "a date of birth, a name",
            "a number of pages and a price",
            "done (boolean)",
            "a name (text, required)",
            "a list of tags or notes, a b",
        ] {
            let (left, found) = taken(text);
            assert!(found.is_empty() || text.contains("tags"), "{text}: {left} {found:?}");
        }
    }
}
