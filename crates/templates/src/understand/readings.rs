//! A goal is read word by word; where that finds no list of what something has, as a sentence of the shapes that are known.

use std::sync::LazyLock;

use regex::Regex;

use super::{Refusal, blocks, fits, kinds, links, phrasing, read_as, read_by_word, refuse, scope};
use crate::{Field, Understanding, migrations};

pub(super) fn best(sentence: &str) -> Result<Understanding, Refusal> {
    let sentence = &listed(&one_by_one(sentence));
    let mut read = better(sentence)?;
    links::complete(&mut read, sentence);
    without_odd(&mut read)?;
    fits(&read)?;
    Ok(read)
}

/// "…. With search and payments.", where only parts are named, says each of them for itself.
fn one_by_one(sentence: &str) -> String {
    let Some((before, behind)) = sentence.rsplit_once(". With ") else { return sentence.to_owned() };
    let behind = behind.trim_end_matches(['.', '!', ' ']).replace(" and ", ",");
    let parts: Vec<&str> = behind.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if parts.iter().any(|part| blocks::named(part).is_none()) {
        return sentence.to_owned();
    }
    format!("{before}.{}", parts.iter().map(|part| format!(" With {part}.")).collect::<String>())
}

/// "(number; kind: strings, brass; price)", where semicolons part the fields: what stands behind a colon is what one of them may be.
fn listed(sentence: &str) -> String {
    let Some(brackets) = BRACKETS.as_ref().filter(|brackets| brackets.is_match(sentence)) else { return sentence.to_owned() };
    let values = |part: &str| match part.split_once(':') {
        Some((name, values)) if values.contains(',') && !name.contains(',') => format!("{name} ({})", values.trim()),
        _ => part.to_owned(),
    };
    let parted = |found: &regex::Captures<'_>| format!("({})", found[1].split(';').map(values).collect::<Vec<_>>().join(";"));
    brackets.replace_all(sentence, parted).into_owned()
}

static BRACKETS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\(([^()]*;[^()]*:[^()]*|[^()]*:[^()]*;[^()]*)\)").ok());

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

/// Word by word, or as a sentence of the shapes that are known.
fn better(sentence: &str) -> Result<Understanding, Refusal> {
    let first = read_as(sentence, sentence);
    let kind = kinds::named(sentence).to_owned();
    // A pipeline loads what somebody exports.
    let loads = |reason: &str| kind == "data pipeline" && ["export", "import"].iter().any(|word| reason.contains(word));
    let refused = first.as_ref().is_err_and(|Refusal { reason }| {
        REFUSED.iter().any(|said| reason.contains(said)) && !reason.contains("could be the first") && !loads(reason)
    });
    if refused || !may_be_read_again(sentence, &kind, first.is_ok()) {
        return first.map(|(read, _)| read);
    }
    let by_word = read_by_word(sentence, &kind).and_then(Result::ok);
    match by_word.filter(|read| !scope::is_beyond(sentence, read.kind, &read.blocks)) {
        Some(read) => Ok(read),
        // What is kept by the project that it names is not what was read.
        None => match first? {
            (read, false) if ["data pipeline", "microservice"].contains(&kind.as_str()) && !kind.contains(&read.kind.to_string()) => {
                refuse(format!("The goal names a {kind}, and what that keeps is not understood: say \"for todos with a title\""))
            }
            (read, _) => Ok(read),
        },
    }
}

/// What is refused for what it asks for, however it is read.
const REFUSED: &[&str] = &["not something the templates build", "contradicts itself", "do not have"];

/// Of what names no project only what was understood is understood better.
fn may_be_read_again(sentence: &str, kind: &str, understood: bool) -> bool {
    let fits = understood || kind != "app" || kinds::names_whole(sentence);
    fits && kinds::refuse_others(sentence).is_ok() && (!phrasing::fastapi(sentence).1 || kind.ends_with("REST API"))
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
            (
                "Web app for notes with a text and tags with a name. Each tag belongs to a note. With live updates and payments.",
                "web app notes: text, tags: name note; [Websocket, Payment]",
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
