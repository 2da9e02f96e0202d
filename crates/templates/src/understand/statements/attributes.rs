//! What is said that something has, in the words that are read.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::tokens::{CLOSE, OPEN};
use crate::understand::phrasing::compiled;
use crate::understand::{field_type, items};

/// What is said of who has it, in words that are read.
const ITEMS: &[(&str, &str)] = &[
    (
        r",? \band,? (?:if (?:they|he|she|you|we) (?:wants?|likes?|have one)|if any|if known|optionally),? (?:the |an? |their )?(?P<what>\w+)",
        ", optional $what",
    ),
    (r"\boptionally,? ", "optional "),
    (r"(?:,? and|,)? (?:people|users|they) (?:should be able to|can) [^,;.]*$", ""),
    (
        r"(?P<before>^|, |\band )(?:an? |the |their |its )?(?P<what>[\w-]+(?: [\w-]+)?),? (?:(?:if|where) (?:any|known|recorded|present|applicable|they want|available|given|there is one|there are any|(?:it|they) (?:has|have) one)|(?:which|that) (?:may|can) be (?:left blank|left empty|left out|empty|omitted|missing|null))\b",
        "${before}optional $what",
    ),
    (r"\bif (?:any|known|they want|available),? (?P<what>[\w-]+)", "optional $what"),
    (r" \((?:often|sometimes|may be|can be) (?:missing|empty|blank)\)", " (optional)"),
    (r"\bwhether (?:she|he|they|we|i|you) (?:have |has )?(?:already )?(?P<did>[a-z]+) (?:it|them)\b", "a $did flag"),
    (
        r"\b(?:whether|if) (?:or not )?(?:it|they|he|she|the \w+)(?:'s|'re| is| are) (?P<what>[\w-]+) of (?P<values>[\w-]+(?:, [\w-]+)* or [\w-]+)",
        "$what of $values",
    ),
    (r"\bwhat (?P<what>\w+) (?:it|they|he|she)(?:'s|'re| is| are) (?:at|in|on|from)\b", "$what"),
    (r"\bwhich (?P<what>\w+) (?:it|they|he|she)?\s?(?:was|were|is|are) \w+", "$what"),
    (r"\bwhere \((?P<what>[\w ,]+)\)", "$what"),
    (r"(?P<before>^|, |\band )when(?P<end>$|,)", "${before}time (datetime)$end"),
    (r"\b(?P<many>[a-z]+s) per (?P<each>day|week|month|hour|year)\b", "$many per $each (integer)"),
    (r"\b(?:an? )?(?P<bound>max|min)imum (?:number|amount|count) of (?P<many>[a-z]+s)\b", "${bound}imum $many (integer)"),
    (r" \((?:a )?date and time\)", " (datetime)"),
    (r"\bquantity on hand\b", "quantity_on_hand (integer)"),
    (r"\bon (?P<what>display|loan|sale|offer|hold|call|leave)\??(?P<end>$|,|;| and\b)", "on_$what (boolean)$end"),
    (r"(?:^|, )(?:a )?(?P<what>[\w ]+) of (?:yes or no|no or yes|y or n)\b", ", $what flag"),
    (r" \(empty [^)]*\)", " (optional)"),
    (r"\b(?P<what>[a-z]+(?: [a-z]+)?) start and end\b", "$what start (datetime), $what end (datetime)"),
    (r"\b(?:an? )?(?:certain|given|specific) (?P<type>date|time)", "$type"),
    (
        r"\b(?:whether|if) (?:or not )?(?:it|they|he|she|the \w+)(?:'s|'re| is| are| was| were| has been| have been)(?: been)? (?:already )?(?P<what>[\w -]+)",
        "a $what flag",
    ),
    (r"\bwhether (?:it |they )?(?P<what>[\w -]+)", "a $what flag"),
    (r"(?P<before>^|, |\band )can be (?P<what>[a-z]+ed)(?P<end>$|,| and\b)", "${before}a $what flag$end"),
    (
        r"\bhow many (?P<many>[a-z]+s|people)(?: (?:it|they|there|we|you|are|is|left|needed|needs?|has|have|remain|exist|seen|in stock))*",
        "number of $many (integer)",
    ),
    (r"\bhow much (?:it|they|that) costs?\b", "price"),
    (r"\bthe (?:moment|time) (?:it|they|he|she|that) (?:was |were )?(?P<did>[a-z]+)(?: (?:to|on|at))?\b", "$did at (datetime)"),
    (r"\bthe (?:day|date) (?:on|from) which (?:it|they|he|she) (?:was |were |is |are )?(?P<did>[a-z]+)\b", "$did on (date)"),
    (r"\bthe (?:day|date) (?:it|they|he|she|that) (?:was |were )?(?P<did>[a-z]+)(?: (?:to|on|at))?\b", "$did on (date)"),
    (
        r"\bthe (?P<what>[a-z]+) (?:they|it|which it|that it) (?:is |are )?(?:sits?|kept|stored|lives?|stands?|belongs?)(?: (?:in|on|at|to))?\b",
        "$what",
    ),
    (r" described in words\b|,? which may be negative\b| like [A-Z]+\d+\b", ""),
    (r"(?P<before>^|, ?)(?P<what>[\w -]+)\?(?P<end>$|,| \()", "${before}$what flag$end"),
    (r" \((?P<type>bool|boolean|int|integer|float|str|string|text): (?P<value>[\w.-]+)\)", " ($type, default $value)"),
    (r" \((?P<type>float|number|int|integer) > (?P<least>\d+)\)", " ($type) greater than $least"),
    (r"(?P<before>^|, )(?:having|with|at|on) (?P<article>an?)\b(?: (?:certain|given|specific))?", "$before$article"),
    (r"\ban? (?P<type>timestamp|date|time|datetime)\b(?P<end>$|,| and)", "$type$end"),
    (r" on a scale (?:of|from) (?P<least>\w+) to (?P<most>\w+)", " from $least to $most"),
    (r"\b(?P<from>from|between) one (?P<to>to|and) (?P<most>five|ten)\b", "$from 1 $to $most"),
    (r" (?P<to>to|and) five\b", " $to 5"),
    (r"\bfrom 1 to ten\b", "from 1 to 10"),
    (r" ?\((?:from )?(?P<least>-?\d[\d.]*) ?(?:-|–|to|\.\.) ?(?P<most>\d[\d.]*)\)", " from $least to $most"),
    (r"(?P<least>-?\d[\d.]*)(?:–|\.\.)(?P<most>\d[\d.]*)", "$least to $most"),
    (r" ?\((?P<least>\d+) or (?:later|more|higher|newer|above|greater)\)", " of at least $least"),
    (r" ?\((?:max(?:imum)?|at most|up to|no more than) (?P<most>\d+)(?: \w+)?\)", " of at most $most"),
    (r" ?\((?:must )?(?:never|not) (?:be )?(?:below zero|negative)\)", " of at least 0"),
    (r" ?\(positive (?P<type>integer|number)\)", " of at least 1"),
    (r" not exceeding ", " of at most "),
    (
        r",? (?:limited to|drawn from|chosen from|one of|being (?:either|one of)|that(?:'s| is| are) (?:either |one of )?|which is (?:either |one of )) ?(?P<list>[\w-]+(?: [\w-]+){0,2}(?:, [\w-]+(?: [\w-]+){0,2})*,? or )",
        " of $list",
    ),
    (r",? which must be positive", " greater than 0"),
    (
        r",? ?(?:which|that) no two \w+ (?:share|have)|,? ?\(no duplicates\)|,? which (?:must|has to) be unique|,? that (?:is|must be) unique|, unique(?P<end>$|,|;| and)",
        " (unique)$end",
    ),
    (r"(?P<name>\b<FEW>):? (?P<values>[\w-]+(?:, [\w-]+)*),? or (?P<last>[\w-]+)", "$name of $values or $last"),
    (r"(?P<name>\b<FEW>): (?P<values>[\w-]+(?: [\w-]+)?(?:, [\w-]+(?: [\w-]+)?)*), (?P<last>[\w-]+)$", "$name of $values or $last"),
    (r"\bof (?P<values>\d+(?:, \d+)* or \d+) (?:minutes|seconds|hours|days|percent|euros|dollars|cm|kg)\b", "of $values"),
    (r"(?P<before>^|, )then ", "$before"),
    (r"\(exactly \d+ characters?\)", ""),
];

/// In place of a slash between values.
static SLASHED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(?i)\b(?P<values>[a-z-]+(?: ?[/|] ?[a-z-]+){1,})\b").ok());
pub(super) const FEW: &str = "(?:status|state|level|size|type|kind|category|condition|difficulty|position|priority|frequency|medium|gender|sex|voicing|outcome|role|genre|stage|grade|language|colou?r|severity|mood|phase)";
static READ: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| compiled(ITEMS, &[("<FEW>", FEW)]));

/// "easy/medium/hard", "(yes, no, maybe)" are values.
pub(super) fn read(text: &str, inside: &[String]) -> String {
    let values = |found: &Captures<'_>| {
        let values: Vec<&str> = found["values"].split(['/', '|']).map(str::trim).collect();
        match values.split_last() {
            Some((last, before)) => format!("of {} or {last}", before.join(", ")),
            None => found[0].to_owned(),
        }
    };
    let one = |inside: &String| {
        let inside = ["one of ", "either "].iter().fold(inside.trim(), |inside, lead| inside.strip_prefix(lead).unwrap_or(inside));
        let parts: Vec<&str> = items::parted(inside, |c| ",|/;".contains(c)).into_iter().map(str::trim).collect();
        // "(email, sms or push)" are values, "(text, short)" is none.
        let types = parts.iter().filter(|part| field_type::type_named(&part.to_lowercase()).is_some()).count();
        let listed = parts.len() > 1
            && parts.iter().all(|part| part.split(' ').count() < 4 && !part.contains(['(', ':']))
            && !parts.iter().any(is_said)
            && (types == 0 || types < parts.len() && inside.contains(" or "));
        match parts.split_last() {
            // "easy, medium or hard" says it already.
            Some(_) if listed && inside.contains(" or ") && !inside.contains('/') => format!("of {inside}"),
            Some((last, before)) if listed => format!("of {} or {}", before.join(", "), last.trim_start_matches("or ")),
            _ => format!("({inside})"),
        }
    };
    let mut text = SLASHED.as_ref().map_or_else(|| text.to_owned(), |slashed| slashed.replace_all(text, values).into_owned());
    for (n, inside) in inside.iter().enumerate() {
        text = text.replace(&format!("{OPEN}{n}{CLOSE}"), &one(inside));
    }
    READ.iter().fold(text, |text, (pattern, read)| pattern.replace_all(&text, *read).into_owned())
}

/// Says something of a field, and is no value.
fn is_said(part: &&str) -> bool {
    let part = part.to_lowercase();
    ["unique", "default", "required", "optional", "mandatory", "not required", "date", "time", "and"]
        .iter()
        .any(|said| part.split(' ').any(|word| word == *said))
        || part.chars().any(|c| c.is_ascii_digit())
}

/// Whether each of them is one.
#[cfg(test)]
pub(super) fn patterns() -> bool {
    READ.len() == ITEMS.len() && SLASHED.is_some()
}
