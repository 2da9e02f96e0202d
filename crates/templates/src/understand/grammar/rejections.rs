//! What a pipeline is told to reject says what a field may hold: "drop rows with a negative amount", "skip records without a plate".

use std::sync::LazyLock;

use regex::Regex;

use crate::understand::words;
use crate::{Field, FieldType, Resource};

#[derive(Clone, Copy)]
enum Rule {
    NotNegative,
    Required,
    Unique,
    Optional,
}

const REJECTING: &str = r"\b(?:reject|drop|skip|refus|throw|discard|ignor|remov|check|validat|ensur|exclud|filter)\w*\b|\bno duplicates?\b|\bisn't\b|\blet (?:the )?\w+ be\b";
/// What is not to be rejected.
const KEEPING: &str = r"\b(?:not|don't|never|cannot) (?:to )?(?:reject|drop|skip|refuse|throw|discard|ignore|remove|exclude)";
const NAME: &str = r"(?P<field>[a-z][a-z-]*(?: [a-z][a-z-]*){0,2}?)";
const AFTER: &str = r"(?: ,| ;| \.| and| or| are| is| be| values?| rows| records|s| before| into| then|$)";

const PATTERNS: &[(&str, Rule)] = &[
    (r"negative <NAME><AFTER>", Rule::NotNegative),
    (
        r"(?:the |an? )?<NAME> (?:is|are|isn't|is not|must not be|cannot be|can't be|not) (?:negative|below zero|below 0|less than 0|less than zero)",
        Rule::NotNegative,
    ),
    (r"(?:without|missing|no|empty|blank|with no) (?:an? |any |the )?<NAME><AFTER>", Rule::Required),
    (r"(?:the |an? )?<NAME> (?:is|are) (?:missing|empty|blank)", Rule::Required),
    (r"duplicates? (?:by |of |in )?(?:an? |the )?<NAME><AFTER>", Rule::Unique),
    (r"(?:the )?<NAME> (?:isn't|is not|aren't|are not) always (?:there|present|given|known)", Rule::Optional),
    (r"let (?:the )?<NAME> be (?:empty|blank|missing)", Rule::Optional),
];

static RULES: LazyLock<Vec<(Regex, Rule)>> = LazyLock::new(|| {
    let compiled = |(said, rule): &(&str, Rule)| {
        let said = said.replace("<NAME>", NAME).replace("<AFTER>", AFTER);
        Regex::new(&format!(r"\b{said}")).ok().map(|pattern| (pattern, *rule))
    };
    PATTERNS.iter().filter_map(compiled).collect()
});
static KEEPS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(KEEPING).ok());
static REJECTS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(REJECTING).ok());

/// Lets the fields be as such a clause says; how many things it says of them.
pub(super) fn apply(line: &str, resources: &mut [Resource]) -> usize {
    let matches = |pattern: &LazyLock<Option<Regex>>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(line));
    if !matches(&REJECTS) || matches(&KEEPS) {
        return 0;
    }
    let mut said = 0;
    for (pattern, rule) in RULES.iter() {
        for found in pattern.captures_iter(line.trim_end()) {
            let names: Vec<String> = found["field"].split(' ').map(words::singular).collect();
            let named = |field: &&mut Field| {
                let of: Vec<String> = field.name.split('_').map(words::singular).collect();
                of == names || of.ends_with(&names)
            };
            // Of two things it is not said which.
            let mut fields = resources.iter_mut().flat_map(|one| &mut one.fields).filter(named);
            let field = fields.next().filter(|_| fields.next().is_none());
            said += usize::from(field.is_some_and(|field| restrict(field, *rule)));
        }
    }
    said
}

/// Whether it can be so.
fn restrict(field: &mut Field, rule: Rule) -> bool {
    match rule {
        Rule::NotNegative if matches!(field.field_type, FieldType::Integer | FieldType::Number) && field.least.is_none() => {
            field.least = Some(0.0)
        }
        Rule::NotNegative => return field.least.is_some_and(|least| least >= 0.0),
        Rule::Required => field.required = true,
        Rule::Unique if field.choices.is_empty() && field.field_type != FieldType::Boolean => field.unique = true,
        Rule::Unique => return false,
        Rule::Optional => field.required = false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::grammar;

    #[test]
    fn what_is_rejected_is_a_rule_of_its_field() {
        assert_eq!(RULES.len(), PATTERNS.len());
        let fields = |sentence: &str| grammar::read(sentence).unwrap().resources.remove(0).fields;
        let fields =
            |said: &str| fields(&format!("A pipeline for fines with a plate, an issue date, a number of points and an amount. {said}"));
        assert_eq!(fields("Reject rows with negative amounts")[3].least, Some(0.0));
        assert!(fields("Skip records without an issue date.")[1].required);
        assert!(fields("It drops duplicates by plate")[0].unique);
        assert_eq!(fields("Amounts are shown in red")[3].least, None);
    }
}
