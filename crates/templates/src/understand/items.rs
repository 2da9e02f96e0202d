//! Fields as people list them, each said in the one way that is read: "how many skeins it needs" is "number of skeins", "title: string!" is "title
//! (string, required)".

use std::sync::LazyLock;

use regex::Regex;

use super::phrasing::compiled;

/// Of one item, from its beginning to its end.
const ITEMS: &[(&str, &str)] = &[
    (r"^(?P<name>[\w -]+?) ?[:=] ?enum ?\((?P<list>[^()]*)\)$", "$name ($list)"),
    (r"^(?P<name>[\w -]+?) ?[:=] ?(?P<about>[\w/| .-]+)!$", "$name ($about, required)"),
    (r"^(?P<name>[\w -]+?) ?[:=] ?(?P<about>[\w/| .-]+)\?$", "$name ($about, optional)"),
    (r"^(?P<name>[\w -]+?) ?[:=] ?\(?(?P<about>[^()]+)\)?$", "$name ($about)"),
    (r"^(?P<name>[\w -]+?) ?= ?(?P<rest>\S+ \(.*\))$", "$name $rest"),
    (r"^(?P<name>\w+)\?$", "$name flag"),
    (r"^(?:an? )?(?:[a-z]+ )?(?:link|url) to (?:the |its |their )?(?P<what>[\w ]+)$", "$what url"),
    (r"^(?:an? )?on/off (?:switch|flag|toggle)$", "enabled flag"),
    (r"^how many (?P<what>\w+)\b.*$", "number of $what"),
    (r"^when (?:it|they|he|she|we|i) (?:(?:was|were|is|are|got|has been|last) )*(?P<done>\w+)(?P<about> \(.*\))?$", "$done date$about"),
    (r"^where (?:it|they|he|she) (?:(?:was|were|is|are) )?(?P<done>\w+)(?P<about> \(.*\))?$", "$done place$about"),
    (
        r"^(?:the )?(?P<what>date|day|time|year) (?:it|they|he|she|we|i) (?:(?:was|were|is|are|got) )?(?P<done>\w+)(?P<about> \(.*\)| optional)?$",
        "$done $what$about",
    ),
    (r"^what (?:it|he|she|they|this) (?:is|are)(?: called| named)?(?P<about> \(.*\))?$", "name$about"),
    (
        r"^(?:a )?(?:flag )?(?:(?:for|telling|saying|showing|to say) )?(?:whether|if)(?: or not)?(?: (?:it|they|he|she|we|i|this|the \w+))?(?: (?:is|are|was|were|has|have|been|already)|'s|'re|'ve)* (?P<flag>\w+(?: (?:for|to|in|on) \w+)?)(?: it| them)?(?P<about> \(.*\))?$",
        "$flag flag$about",
    ),
    (r"^(?:the |a )?date and (?:time|hour) of (?:the |a |an |its )?(?P<what>\w+)$", "$what time"),
    (r"^(?:the |a )?date and (?:time|hour)$", "time"),
    (
        r"^(?:the |a )?(?P<of>name|date|title|price|address|phone|email|description|duration) of (?:the |its |their )(?P<what>\w+)$",
        "$what $of",
    ),
];

/// What is said at the end of an item, and in place of it what is read.
const ENDS: &[(&str, &str)] = &[
    (r",? if (?:we|i|you|they|it is|it's)(?: know| have| known)(?: it)?$", " optional"),
    (r" (?:y/n|yes/no|yes or no|true/false|bool)$", " (boolean)"),
    (r" \((?:y/n|yes or no|true/false|true or false)\)", " (boolean)"),
    (r" \(?(?:nullable|not mandatory|not required|not obligatory|can be empty|may be empty|if any)\)?$", " optional"),
    (r" (?:that|which) (?:nobody|no one|no-one) else (?:uses|has|may have)$", " unique"),
    (r" with decimals?$", " (decimal)"),
    (r" timestamp$", " (timestamp)"),
    (r" (?:tick|check) ?box$", " flag"),
    (r"(?P<name>\w{3,}) (?P<so>unique|optional|required) (?P<type>text|string|integer)$", "$name ($type, $so)"),
    (r"\((?P<so>unique|optional|required) (?P<type>text|string|number|integer|date|email|url)\)", "($type, $so)"),
    (r" (?P<type>money)$", " (money)"),
    (r"^(?:is |are )?(?P<flag>\w+) or (?:not?|in\w+)$", "$flag flag"),
    (r" or not$", " flag"),
    (r"\b(?P<whose>\w+)'s ", "$whose "),
    (r"\((?P<about>[^()]*), default(?:s to|ing to| is|:| =)? (?P<value>[\w-]+)\)$", "($about) default $value"),
    (r" (?P<type>datetime|timestamp|decimal|int|bool) (?P<so>optional|required|unique|nullable)$", " ($type, $so)"),
    (r" (?P<type>datetime|timestamp|decimal|int|bool)$", " ($type)"),
    (r"\((?:short |long |free |plain )text", "(text"),
];

static ITEM: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(ITEMS, &[]));
static END: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(ENDS, &[]));

/// A list of fields, item by item.
pub(super) fn plain(text: &str) -> String {
    let items = parted(text, |c| c == ',');
    items.iter().map(|item| one(item)).collect::<Vec<_>>().join(", ")
}

fn one(item: &str) -> String {
    // "a name and whether it is open" are two; "between 1 and 5" is none.
    for word in ["whether", "how many", "when", "where", "a", "an", "the", "its", "their", "is"] {
        let between = |at: &usize| ["between", "from", "either"].iter().any(|word| item[..*at].split(' ').any(|said| said == *word));
        if let Some(at) = super::scope::find(item, &format!(" and {word} ")).filter(|at| !between(at)) {
            return format!("{}, {}", one(&item[..at]), one(&item[at + 5..]));
        }
    }
    let mut item = item.trim().strip_prefix("and ").unwrap_or(item.trim()).trim().to_owned();
    if !item.contains(' ') || item.contains(" (") {
        item = item.replace('_', " ");
    }
    for (pattern, read) in END.iter() {
        item = pattern.replace(&item, *read).into_owned();
    }
    match ITEM.iter().find(|(pattern, _)| pattern.is_match(&item)) {
        Some((pattern, read)) => pattern.replace(&item, *read).into_owned(),
        None => item,
    }
}

/// Parted where no bracket is open.
pub(super) fn parted(text: &str, parts: impl Fn(char) -> bool) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            c if depth <= 0 && parts(c) => {
                found.push(text[from..at].trim());
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    found.push(text[from..].trim());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_said_alike() {
        assert_eq!((ITEM.len(), END.len()), (ITEMS.len(), ENDS.len()), "each is a pattern");
        for (said, read) in [
            ("title: string!, year: int", "title (string, required), year (int)"),
            ("condition: enum(mint, good), price: decimal", "condition (mint, good), price (decimal)"),
            ("how many skeins it needs and whether she already made it", "number of skeins, made flag"),
            ("when it was purchased, the day it is served", "purchased date, served day"),
            ("the year it was written if we know it", "written year optional"),
            ("electric?, available y/n", "electric flag, available (boolean)"),
            ("severity (low/high, default low), the guest's name", "severity (low/high) default low, the guest name"),
            ("what it is (short text, required)", "name (text, required)"),
            ("a rating between 1 and 5, the price of the room", "a rating between 1 and 5, room price"),
            ("an email that nobody else uses", "an email unique"),
            ("last seen datetime nullable", "last seen (datetime, optional)"),
            ("a date of birth and a name", "a date of birth, a name"),
        ] {
            assert_eq!(plain(said), read, "{said}");
        }
    }
}
