//! What is said of a field behind its name, or in brackets: that it may be left out, what it holds, its bounds, its values.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::tokens::{Token, line, said};
use crate::FieldType;
use crate::understand::constraints::Constraint;
use crate::understand::field_type::UNITS;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Optional,
    Required,
    Unique,
    Bounds(Constraint),
    Default(String),
    Typed(FieldType),
    /// What it is measured in.
    Unit,
}

#[derive(Clone, Copy)]
enum Meaning {
    Optional,
    Required,
    Unique,
    Range,
    Least,
    Most,
    Over,
    Under,
    NotNegative,
    Positive,
    Exactly,
    Default,
    Typed(FieldType),
    Unit,
}

const LEAD: &str = r"(?:(?:which|that|who|obviously|naturally|it|this|they|and|but|is|are|was|must|has|have|had|to|should|shall|can|could|may|might|will|needs?|be|being|always|only|each|both|exactly|value|values|goes|go|ranges?|ranging|runs|lies|anything|with|an?|set|its|counted|given|measured|i|we|,|:|=) )*";
const NUMBER: &str = r"-?\d+(?:\.\d+)?|zero|one|two|three|ten";
const LENGTH: &str = r"(?P<length>characters?|chars?|letters?|digits?|signs|symbols)(?: (?:long|in length|each))?";

const PATTERNS: &[(&str, Meaning)] = &[
    (
        r"<LEAD>(?:optional|optionally|nullable|voluntary|(?:not|never|n't) (?:required|compulsory|mandatory|obligatory|necessary|needed|everyone has one)|(?:left|leave|be|is|stays?|remains?|may be|can be|could be) (?:out|empty|blank|missing|omitted|null|absent|unknown|left out|left empty|left blank)(?: (?:until|if|when|for|as long as)(?: [^,;().]+)?)?|(?:empty|blank|missing|unknown) (?:is )?(?:ok|okay|fine|allowed|possible|until|at first|if|when)(?: [^,;().]+)?|only (?:if|when) [a-z ]+|if (?:any|wanted|known|given|available|needed|applicable|present|possible|there is (?:one|any)|there are any|they (?:like|want|have one)|you like|desired|it exists|(?:they|he|she|you|people|somebody|someone) (?:want|wants|like|likes|wish|know|knows|care)(?: to [a-z ]+| it| so)?)|where (?:known|available|applicable)|or (?:nothing|empty|none|null|blank)|(?:do|does|need)(?:es)? not (?:have to|need to) be (?:given|there|filled(?: in)?)|(?:don't|doesn't|needn't|need not) (?:have to |need to )?be (?:given|there|filled(?: in)?|known|set)|opt)",
        Meaning::Optional,
    ),
    (
        r"<LEAD>(?:required|mandatory|compulsory|obligatory|not (?:null|empty|optional|blank)|(?:be )?(?:given|present|filled in|provided)|never (?:empty|blank|missing)|req)",
        Meaning::Required,
    ),
    (
        r"<LEAD>(?:unique|uniq|no (?:duplicates?|two (?:[\w-]+ )*?(?:the )?same)|no duplicates allowed|(?:not|never|cannot|can't) (?:be )?repeat(?:ed|s)?|never repeats|(?:nobody|no one) (?:may|can|must|should) (?:have|use|share|take) the same(?: one)?|(?:nobody|no one|no other \w+) else has|nobody else has|no one else has|no other \w+ has|different (?:for|in) (?:each|every) \w+|not (?:be )?(?:used|given|taken) twice|only once|one of a kind|exist only once|occur only once|distinct)(?: (?:per|for each|in the whole) \w+)?",
        Meaning::Unique,
    ),
    (
        r"<LEAD>(?:from|between|in the range(?: of| from)?|range|within) (?P<a><N>) (?:to|and|-|–|—|\.\.|\.\.\.|up to|through|until|till) (?P<b><N>)<TAIL>",
        Meaning::Range,
    ),
    (r"<LEAD>(?:of )?(?P<a><N>) (?:to|-|–|—|\.\.|\.\.\.|through|up to) (?P<b><N>)<TAIL>", Meaning::Range),
    (r"<LEAD>(?:of )?(?:exactly|always) (?P<a><N>) <LENGTH>", Meaning::Exactly),
    (r"<LEAD>(?:of )?(?P<a><N>) <LENGTH>", Meaning::Exactly),
    (r"<LEAD>(?:of )?(?P<a><N>) (?:or|and) (?:more|higher|above|greater|over|up|older|larger)<TAIL>", Meaning::Least),
    (r"<LEAD>(?:of )?(?P<a><N>) (?:or|and) (?:less|fewer|lower|below|under|smaller|shorter)<TAIL>", Meaning::Most),
    (
        r"<LEAD>(?:of )?(?:at least|(?:greater|larger|more|bigger)(?: than)? or equal(?: to| than)?|min(?:imum)?(?: \.)?(?: length)?(?: of| is| :)?|minimal|>=|≥|(?:no|not|never) (?:be )?(?:less|fewer|lower|smaller|shorter) than|(?:not|never) (?:be |go |drop |fall )?(?:below|under)|starting from|from) (?P<a><N>)<TAIL>(?: up| upwards?| on)?",
        Meaning::Least,
    ),
    (
        r"<LEAD>(?:of )?(?:at most|(?:less|smaller|lower)(?: than)? or equal(?: to| than)?|at the most|max(?:imum)?(?: \.)?(?: length)?(?: of| is| :)?|maximal|up to|<=|≤|(?:no|not|never) (?:be )?(?:more|greater|higher|larger|longer|bigger) than|(?:not|never) (?:be |go )?(?:above|over|exceed|exceeding)|limited to|capped at) (?P<b><N>)<TAIL>",
        Meaning::Most,
    ),
    (r"<LEAD>(?:of )?(?P<a><N>)<TAIL> (?:min|minimum|at least|or more)", Meaning::Least),
    (r"<LEAD>(?:of )?(?P<b><N>)<TAIL> (?:max|maximum|at most|tops|or less|or fewer)", Meaning::Most),
    (
        r"<LEAD>(?:of )?(?:more than|greater than|over|above|bigger than|higher than|larger than|longer than|>) (?P<a><N>)<TAIL>",
        Meaning::Over,
    ),
    (r"<LEAD>(?:of )?(?:less than|lower than|smaller than|under|below|fewer than|shorter than|<) (?P<b><N>)<TAIL>", Meaning::Under),
    (
        r"<LEAD>(?:(?:not|never|no|cannot|can't|non|mustn't|isn't) (?:be |go |- )?(?:a )?negative|non-negative|nonnegative|(?:not|never|cannot|can't) (?:be )?below zero)(?: number| value)?",
        Meaning::NotNegative,
    ),
    (r"<LEAD>positive(?: number| value| integer| whole number)?", Meaning::Positive),
    (r"<LEAD>default(?:s|ing|ed)?(?: value)?(?: is| to| of| =| :| being)?(?: to)? (?P<value><V>)", Meaning::Default),
    (r"<LEAD>(?P<value><V>) (?:by|as|is|being)(?: the| a)? default(?: value)?", Meaning::Default),
    (
        r"<LEAD>(?:initially|at first|(?:which |that )?(?:starts?|starting|begins?|beginning) (?:out |off )?(?:as|at|with|on|from)?|normally|preset to|preselected(?: is| as)?|usually) (?P<value><V>)",
        Meaning::Default,
    ),
    (
        r"<LEAD>(?P<value><V>) (?:if nobody says (?:anything|otherwise|so)|at first|initially|in the beginning|at the (?:start|beginning)|to (?:start|begin) with|if (?:nothing|none|not) (?:else )?(?:is )?(?:said|given|set|specified|stated|entered|chosen)(?: otherwise)?|unless (?:somebody|someone|anybody|anyone|you|we|people) [a-z]+(?: it| so| otherwise)?|unless (?:it is )?(?:set|stated|said|specified|told|given|changed|marked)(?: otherwise)?|when (?:nothing|not) (?:is )?(?:given|said|set))",
        Meaning::Default,
    ),
    (
        r"<AS>(?:yes or no|yes / no|yes - no|y / n|true or false|true / false|on / off|on or off|or not|boolean(?: flag)?|bool|checkbox|check box|tick box|flag|a yes)(?: value| question)?",
        Meaning::Typed(FieldType::Boolean),
    ),
    (r"<AS>(?:whole numbers?|integers?(?: numbers?)?|int|full number)", Meaning::Typed(FieldType::Integer)),
    (
        r"<AS>(?:decimals?(?: numbers?| values?)?|float(?:ing point)?(?: number)?|numbers? with decimals|real number|numbers?|numeric|money|(?:an )?amount of money|currency|monetary(?: value| amount)?|double)",
        Meaning::Typed(FieldType::Number),
    ),
    (
        r"<AS>(?:date (?:and|&|\+|with|plus) time|date (?:and|with) (?:hour|clock time)|date / time|date - time|date-time|datetime|timestamp|time ?stamp|moment)",
        Meaning::Typed(FieldType::Datetime),
    ),
    (r"<AS>(?:dates?|calendar date|day)", Meaning::Typed(FieldType::Date)),
    (
        r"<AS>(?:(?:long|longer|free|short|plain|multi-?line|full|big|large|single-?line)(?: form)?(?: |-)?texts?|texts?|strings?|str|varchar|free-form(?: text)?|freetext|long|textarea)",
        Meaning::Typed(FieldType::Text),
    ),
    (r"<AS>(?:e-?mail(?: address)?)", Meaning::Typed(FieldType::Email)),
    (r"(?:: |as an? |as )(?:tele)?phone(?: number)?", Meaning::Typed(FieldType::Text)),
    (r"<AS>(?:urls?|link|web address|hyperlink)", Meaning::Typed(FieldType::Url)),
    (r"(?:, )?(?:(?:measured|given|counted|stated|expressed|always) )*(?:in|as) (?:full |whole |degrees? |° )?(?:<UNIT>)", Meaning::Unit),
];

static QUALIFIERS: LazyLock<Vec<(Regex, Meaning)>> = LazyLock::new(|| {
    let units = [
        UNITS,
        &[
            "euro",
            "eur",
            "usd",
            "dollar",
            "fahrenheit",
            "c",
            "°c",
            "° c",
            "%",
            "per cent",
            "liter",
            "litre",
            "€",
            "$",
            "hour",
            "minute",
            "bpm",
            "watts",
            "watt",
            "volts",
            "lux",
            "hpa",
            "bar",
            "feet",
            "ft",
            "inches",
            "stone",
            "lbs",
            "gram",
            "metre",
            "meter",
            "ppm",
            "knots",
            "points",
            "pieces",
            "persons",
            "people",
            "characters",
        ],
    ]
    .concat();
    let units = units.iter().map(|unit| regex::escape(unit)).collect::<Vec<_>>().join("|");
    let tail = format!("(?: (?:<LENGTH>|{units}))?").replace("<LENGTH>", LENGTH);
    let compiled = |(said, meaning): &(&str, Meaning)| {
        let said = said
            .replace("<LEAD>", LEAD)
            .replace("<AS>", r"(?:(?:which|that|it|is|are|as|of|type|,|:|an?|the|saved|stored|entered|with|this) )*")
            .replace("<TAIL>", &tail)
            .replace("<LENGTH>", LENGTH)
            .replace("<N>", NUMBER)
            .replace("<UNIT>", &units)
            .replace("<V>", "[\\w.'+\u{a0}-]+(?: [\\w.'+\u{a0}-]+){0,2}?");
        Regex::new(&format!("^(?:{said}) ")).ok().map(|pattern| (pattern, *meaning))
    };
    PATTERNS.iter().filter_map(compiled).collect()
});

/// What is said of a field in words takes no more of them.
const FAR: usize = 12;

/// What begins there, and how many words it takes.
pub(super) fn qualifier(tokens: &[Token]) -> Option<(Said, usize)> {
    let line = line(&tokens[..tokens.len().min(24)]);
    let ends = |length: usize| {
        tokens.get(length).is_none_or(|next| {
            !next.is_word()
                || next.is(&[
                    "and", "or", "but", "with", "which", "that", "default", "by", "as", "in", "optional", "unique", "required", "plus",
                    "min", "max", "at", "from", "between", "one", "exactly", "either", "integer", "int", "string", "decimal", "bool",
                ])
        })
    };
    let mut best: Option<(Said, usize)> = None;
    for (pattern, meaning) in QUALIFIERS.iter() {
        let Some(found) = pattern.captures(&line) else { continue };
        let length = found[0].matches(' ').count();
        // "unique email", "optional note" are said of what comes.
        // "is a decimal greater than 0"
        let told = || {
            let rest = &tokens[length.min(tokens.len())..tokens.len().min(length + FAR)];
            matches!(meaning, Meaning::Typed(_)) && length > 1 && qualifier(rest).is_some()
        };
        let sure = ends(length)
            || matches!(meaning, Meaning::Range | Meaning::Least | Meaning::Most | Meaning::Over | Meaning::Under | Meaning::Unit)
            || told();
        if !sure || best.as_ref().is_some_and(|(_, longest)| *longest >= length) {
            continue;
        }
        best = means(*meaning, &found, tokens).map(|said| (said, length)).or(best);
    }
    best
}

fn means(meaning: Meaning, found: &Captures<'_>, tokens: &[Token]) -> Option<Said> {
    let number = |name: &str| match found.name(name)?.as_str() {
        "zero" => Some(0.0),
        "one" => Some(1.0),
        "two" => Some(2.0),
        "three" => Some(3.0),
        "ten" => Some(10.0),
        digits => digits.parse::<f64>().ok(),
    };
    let length = found.name("length").is_some();
    let bounds = |least, most, beyond| Said::Bounds(Constraint { choices: Vec::new(), least, most, length, beyond });
    Some(match meaning {
        Meaning::Optional => Said::Optional,
        Meaning::Required => Said::Required,
        Meaning::Unique => Said::Unique,
        Meaning::Range => {
            let (least, most) = (number("a")?, number("b")?);
            if least > most {
                return None;
            }
            bounds(Some(least), Some(most), false)
        }
        Meaning::Least => bounds(number("a"), None, false),
        Meaning::Most => bounds(None, number("b").or(number("a")), false),
        Meaning::Over => bounds(number("a"), None, true),
        Meaning::Under => bounds(None, number("b"), true),
        Meaning::NotNegative => bounds(Some(0.0), None, false),
        Meaning::Positive => bounds(Some(0.0), None, true),
        Meaning::Exactly => bounds(number("a"), number("a"), false),
        Meaning::Default => {
            let value = found.name("value")?;
            if value.as_str().split(' ').any(|word| ["that", "which", "is", "a", "an", "and", "with", "the"].contains(&word)) {
                return None;
            }
            let before = found[0][..value.start()].matches(' ').count();
            Said::Default(said(&tokens[before..=before + value.as_str().matches(' ').count()]))
        }
        Meaning::Typed(field_type) => Said::Typed(field_type),
        Meaning::Unit => Said::Unit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::grammar::tokens::tokens;

    #[test]
    fn each_pattern_is_one() {
        assert_eq!(QUALIFIERS.len(), PATTERNS.len());
    }

    #[test]
    fn what_is_said_of_fields_is_read() {
        let read = |text: &str| qualifier(&tokens(text));
        let bounds = |least, most, length, beyond| Some(Said::Bounds(Constraint { choices: Vec::new(), least, most, length, beyond }));
        for (text, expected) in [
            ("which must be unique", Some(Said::Unique)),
            ("that may be left out", Some(Said::Optional)),
            ("if there is one", Some(Said::Optional)),
            ("between 5 and 25", bounds(Some(5.0), Some(25.0), false, false)),
            ("0 - 100", bounds(Some(0.0), Some(100.0), false, false)),
            ("of max. 100 characters", bounds(None, Some(100.0), true, false)),
            ("never negative", bounds(Some(0.0), None, false, false)),
            ("more than 0", bounds(Some(0.0), None, false, true)),
            ("of exactly 2 characters", bounds(Some(2.0), Some(2.0), true, false)),
            (">= 0", bounds(Some(0.0), None, false, false)),
            ("0 or more", bounds(Some(0.0), None, false, false)),
            ("in ml", Some(Said::Unit)),
            ("as date and time", Some(Said::Typed(FieldType::Datetime))),
            ("yes/no", Some(Said::Typed(FieldType::Boolean))),
            ("or not", Some(Said::Typed(FieldType::Boolean))),
            ("English by default", Some(Said::Default("English".to_owned()))),
            ("unique email", None),
            ("on Monday", None),
            ("that off by default", Some(Said::Default("off".to_owned()))),
            ("that's off by default", Some(Said::Default("off".to_owned()))),
        ] {
            assert_eq!(read(text).map(|(said, _)| said), expected, "{text}");
        }
    }
}
