//! A goal is read one way, and another where that leaves something out; what leaves less out is taken.

use super::{Refusal, kinds, phrasing, politely, read_as, scope, statements, template};
use crate::{Resource, Understanding};

// As much as so many words that are left out weigh:
/// a thing of which nothing is said, and that the sentence does not name so;
const UNSAID: usize = 4;
/// a name that is no field's;
const LONG: usize = 3;
/// another kind than the one that is named;
const OTHER_KIND: usize = 5;
/// a thing that the other reading has.
const LOST: usize = 6;

pub(super) fn best(sentence: &str) -> Result<Understanding, Refusal> {
    let first = read_as(sentence, sentence).map(|(read, _)| read);
    let doubted = |read: &Result<Understanding, Refusal>| read.as_ref().map_or(usize::MAX, |read| doubts(read, sentence));
    if doubted(&first) == 0 || !may_be_read_again(sentence, first.is_ok()) {
        return first;
    }
    let Some((second, linked)) = again(sentence).filter(|(second, _)| !scope::is_beyond(sentence, second.kind, &second.blocks)) else {
        return first;
    };
    if let Ok(first) = &first {
        // What is only left out in other words is left out as it was said.
        let same = first.resources == second.resources && first.kind == second.kind;
        let left = doubts(&second, sentence);
        if (same && left > 0) || left + LOST * lost_things(first, &second) >= doubts(first, sentence) {
            return Ok(first.clone());
        }
    }
    Ok(Understanding { assumed: [second.assumed, linked].concat(), ..second })
}

/// Of what names no project only what was understood is understood better.
fn may_be_read_again(sentence: &str, understood: bool) -> bool {
    let named = kinds::named(sentence);
    let fits = understood || named != "app" || kinds::names_whole(sentence);
    fits && kinds::refuse_others(sentence).is_ok() && (!phrasing::fastapi(sentence).1 || named.ends_with("REST API"))
}

/// With what is assumed in that.
fn again(sentence: &str) -> Option<(Understanding, Vec<String>)> {
    let (said, template) = template(politely(sentence));
    let (again, linked) = statements::again(said)?;
    let again = template.map_or(again.clone(), |template| format!("{again}, using the template {template}"));
    Some((read_as(&again, sentence).ok()?.0, linked))
}

/// How many things of the one that something is said of the other has not.
fn lost_things(first: &Understanding, second: &Understanding) -> usize {
    let says = |of: &&Resource| {
        of.fields.len() > 1 || first.resources.iter().flat_map(|one| &one.fields).any(|field| field.references.as_ref() == Some(&of.path))
    };
    let ends = |one: &Resource, other: &Resource| one.singular.rsplit(' ').next() == other.singular.rsplit(' ').next();
    first.resources.iter().filter(says).filter(|one| !second.resources.iter().any(|other| ends(one, other))).count()
}

/// How much of it is left out, or is hardly what was meant.
fn doubts(of: &Understanding, sentence: &str) -> usize {
    let left: usize = of.not_understood.iter().map(|left| left.split(' ').count()).sum();
    let named = sentence.to_lowercase();
    let unsaid =
        of.resources.iter().filter(|one| one.fields.len() == 1 && one.fields[0].name == "name" && !named.contains(&one.plural)).count();
    let long = of.resources.iter().flat_map(|one| &one.fields).filter(|field| field.name.split('_').count() > 3).count();
    let named = kinds::named(sentence);
    let other = named != "app" && !named.contains(&of.kind.to_string());
    left + UNSAID * unsaid + LONG * long + OTHER_KIND * usize::from(other)
}
