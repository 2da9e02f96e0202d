//! A goal is read one way, and another where that leaves something out; what leaves less out is taken.

use super::{Refusal, fits, kinds, links, phrasing, politely, read_as, refuse, scope, statements, template};
use crate::{Field, Resource, Understanding, migrations};

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
    let mut read = better(sentence)?;
    links::complete(&mut read, sentence);
    without_odd(&mut read)?;
    fits(&read)?;
    Ok(read)
}

/// Words that no name of a field has: what has one was no field.
const ODD: &[&str] = &[
    "although",
    "because",
    "everybody",
    "everyone",
    "nobody",
    "anybody",
    "somebody",
    "someone",
    "wanted",
    "needed",
    "should",
    "must",
    "cannot",
    "could",
    "would",
    "which",
    "whose",
    "their",
    "they",
    "them",
    "that",
    "these",
    "those",
    "there",
    "unless",
    "otherwise",
    "whenever",
    "if",
    "so",
    "but",
    "also",
    "please",
    "we",
    "our",
    "you",
    "your",
    "its",
];

fn without_odd(read: &mut Understanding) -> Result<(), Refusal> {
    for resource in &mut read.resources {
        let odd = |field: &Field| field.references.is_none() && field.name.split('_').any(|word| ODD.contains(&word));
        let (gone, kept): (Vec<Field>, Vec<Field>) = std::mem::take(&mut resource.fields).into_iter().partition(odd);
        resource.fields = kept;
        read.not_understood.extend(gone.into_iter().map(|field| field.name.replace('_', " ")));
        if resource.fields.is_empty() {
            return refuse(format!("What {} have is not understood", resource.plural));
        }
    }
    read.migrations = vec![migrations::create(&read.resources)];
    Ok(())
}

fn better(sentence: &str) -> Result<Understanding, Refusal> {
    let first = read_as(sentence, sentence);
    if std::env::var("NO_GRAMMAR").is_err() {
        let kind = kinds::named(sentence).to_owned();
        let by_word = || super::read_by_word(sentence, &kind)?.ok().filter(|read| !scope::is_beyond(sentence, read.kind, &read.blocks));
        let refused = first.as_ref().is_err_and(|refusal| refusal.reason.contains("not something the templates build") || refusal.reason.contains("contradicts") || refusal.reason.contains("do not have"));
        if may_be_read_again(sentence, &kind, first.is_ok()) && !refused && let Some(read) = by_word() {
            return Ok(read);
        }
    }
    // A kind that it has found is none that a field is called like.
    let kind = match &first {
        Ok((read, true)) if !phrasing::fastapi(sentence).1 => read.kind.to_string(),
        _ => kinds::named(sentence).to_owned(),
    };
    let first = first.map(|(read, _)| read);
    let doubted = first.as_ref().map_or(usize::MAX, |read| doubts(read, sentence, &kind));
    if doubted == 0 || !may_be_read_again(sentence, &kind, first.is_ok()) {
        return first;
    }
    let Some((second, linked)) = again(sentence, &kind).filter(|(second, _)| !scope::is_beyond(sentence, second.kind, &second.blocks))
    else {
        return first;
    };
    if let Ok(first) = &first {
        // What is only left out in other words is left out as it was said.
        let same = first.resources == second.resources && first.kind == second.kind;
        let left = doubts(&second, sentence, &kind);
        if (same && left > 0) || left + LOST * lost_things(first, &second) >= doubted {
            return Ok(first.clone());
        }
    }
    Ok(Understanding { assumed: [second.assumed, linked].concat(), ..second })
}

/// Of what names no project only what was understood is understood better.
fn may_be_read_again(sentence: &str, kind: &str, understood: bool) -> bool {
    let fits = understood || kind != "app" || kinds::names_whole(sentence);
    fits && kinds::refuse_others(sentence).is_ok() && (!phrasing::fastapi(sentence).1 || kind.ends_with("REST API"))
}

/// With what is assumed in that.
fn again(sentence: &str, kind: &str) -> Option<(Understanding, Vec<String>)> {
    let (said, template) = template(politely(sentence));
    let (again, linked) = statements::again(said, kind)?;
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
fn doubts(of: &Understanding, sentence: &str, kind: &str) -> usize {
    let left: usize = of.not_understood.iter().map(|left| left.split(' ').count()).sum();
    let named = sentence.to_lowercase();
    let unsaid =
        of.resources.iter().filter(|one| one.fields.len() == 1 && one.fields[0].name == "name" && !named.contains(&one.plural)).count();
    let long = of.resources.iter().flat_map(|one| &one.fields).filter(|field| field.name.split('_').count() > 3).count();
    let other = kind != "app" && !kind.contains(&of.kind.to_string());
    left + UNSAID * unsaid + LONG * long + OTHER_KIND * usize::from(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sentence: &str) -> String {
        match best(sentence) {
            Ok(read) => {
                let things = read
                    .resources
                    .iter()
                    .map(|one| format!("{}: {}", one.path, one.fields.iter().map(|f| f.name.as_str()).collect::<Vec<_>>().join(" ")));
                format!("{} {}; {:?}", read.kind, things.collect::<Vec<_>>().join(", "), read.blocks)
            }
            Err(refusal) => refusal.reason,
        }
    }

    #[test]
    fn the_reading_that_leaves_less_out_is_taken() {
        for (sentence, read) in [
            // The first says it all, whatever a field is called like.
            ("Backend for contacts with a name and a phone", "REST API contacts: name phone; []"),
            ("Build a web app for deals with a title and a pipeline stage", "web app deals: title pipeline_stage; []"),
            (
                "Build a REST API for visitors with a name, a mobile number and an upload date",
                "REST API visitors: name mobile_number upload_date; []",
            ),
            // The second names what the first does not understand.
            (
                "We run a kennel. Dogs with their name and breed, and walks for a dog on a given date. A backend for phones, staff should log in",
                "mobile backend dogs: name breed, walks: date dog; [Authentication]",
            ),
            // It has not what the first has, and is not taken.
            (
                "API for books and authors with a name",
                "It names several kinds of thing (\"books and authors\"), and does not say whose the fields are",
            ),
            // Nobody asked for these.
            (
                "Web app: notes are attached to a customer and have a text; a customer has a name and whether it was paid in advance",
                "web app notes: text customer, customers: name paid_in_advance; []",
            ),
            ("An employee has a name and many employees. Web app", "web app employees: name; []"),
            (
                "Build a microservice in FastAPI for gift vouchers - code, amount",
                "It asks for FastAPI, in which REST APIs are built and no microservice",
            ),
            ("Write a two-page privacy policy for an app that stores names", "A policy is not something the templates build"),
            ("Write a tool for song requests with a title and an artist", "web app song-requests: title artist; []"),
        ] {
            assert_eq!(shown(sentence), read, "{sentence}");
        }
    }
}
