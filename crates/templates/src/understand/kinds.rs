//! What kind of project is asked for. What is not built is refused by name.

use super::scope::{self, find};
use super::{Refusal, refuse};
use crate::Kind;

/// The longest first: what names a kind, in place of which "API" stands afterwards.
const KINDS: &[(&str, Kind)] = &[
    ("web application with a rest api", Kind::WebApp),
    ("web app with a rest api", Kind::WebApp),
    ("web app with an api", Kind::WebApp),
    ("website with a page", Kind::WebApp),
    ("web application", Kind::WebApp),
    ("web app", Kind::WebApp),
    ("webapp", Kind::WebApp),
    ("web site", Kind::WebApp),
    ("website", Kind::WebApp),
    ("mobile app backend", Kind::MobileBackend),
    ("mobile backend", Kind::MobileBackend),
    ("backend of a mobile app", Kind::MobileBackend),
    ("backend of an ios app", Kind::MobileBackend),
    ("backend of an android app", Kind::MobileBackend),
    ("backend for a mobile app", Kind::MobileBackend),
    ("backend for an ios app", Kind::MobileBackend),
    ("backend for an android app", Kind::MobileBackend),
    ("ios backend", Kind::MobileBackend),
    ("android backend", Kind::MobileBackend),
    ("data pipeline", Kind::DataPipeline),
    ("etl pipeline", Kind::DataPipeline),
    ("etl job", Kind::DataPipeline),
    ("pipeline", Kind::DataPipeline),
    ("etl", Kind::DataPipeline),
    ("microservice", Kind::Microservice),
    ("micro service", Kind::Microservice),
    ("micro-service", Kind::Microservice),
];

/// Kinds of project that are recognised, to be refused by name.
const OTHERS: &[&str] = &[
    "web page",
    "frontend",
    "front end",
    "front-end",
    "landing page",
    "dashboard",
    "mobile app",
    "android app",
    "ios app",
    "microservices",
    "chatbot",
    "chat bot",
    "bot",
    "game",
    "desktop app",
    "command line",
    "command-line",
    "cli",
    "library",
    "script",
    "graphql",
    "grpc",
    "soap",
    "websocket api",
    "machine learning",
    "blockchain",
];

/// The sentence with "API" for its kind.
pub(super) fn take(sentence: &str) -> Result<(String, Kind), Refusal> {
    // What comes after "with" are fields: a website can be one.
    let ends = scope::first_of(sentence, scope::BEFORE_FIELDS).map_or(sentence.len(), |(at, _)| at);
    let padded = format!(" {sentence} ");
    for (phrase, kind) in KINDS {
        let Some(at) = whole(&padded, phrase).filter(|at| *at <= ends) else { continue };
        let (before, after) = (&padded[..at], &padded[at + phrase.len()..]);
        let sentence = format!("{}API{after}", before.trim_start());
        refuse_others(&sentence)?;
        return Ok((sentence.trim().to_owned(), *kind));
    }
    refuse_others(sentence)?;
    if !["api", "rest", "crud", "apis"].iter().any(|word| whole(&padded, word).is_some()) {
        // What it asks for instead is said, where that is known.
        scope::check(sentence, Kind::RestApi)?;
        return refuse("The goal is not understood: it names no REST API, web app, mobile backend, data pipeline or microservice");
    }
    Ok((sentence.to_owned(), Kind::RestApi))
}

fn refuse_others(sentence: &str) -> Result<(), Refusal> {
    let ends = scope::first_of(sentence, scope::BEFORE_FIELDS).map_or(sentence.len(), |(at, _)| at);
    let text = format!(" {sentence} ");
    let Some(kind) = OTHERS.iter().find(|kind| whole(&text, kind).is_some_and(|at| at <= ends)) else { return Ok(()) };
    let shown = if *kind == "graphql" { "GraphQL" } else { kind };
    refuse(format!("A {shown} is not something the templates build"))
}

/// Where the phrase stands as words of its own.
fn whole(padded: &str, phrase: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = find(&padded[from..], phrase).map(|at| from + at) {
        let apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-');
        if apart(padded[..at].chars().next_back()) && apart(padded[at + phrase.len()..].chars().next()) {
            return Some(at);
        }
        from = at + 1;
        while !padded.is_char_boundary(from) {
            from += 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_taken_out_and_others_refused() {
        for (sentence, kind, left) in [
            ("Build a web app for todos with a title", Kind::WebApp, "Build a API for todos with a title"),
            ("Build a website with a page for events with a title", Kind::WebApp, "Build a API for events with a title"),
            ("ETL for readings, every 5 minutes", Kind::DataPipeline, "API for readings, every 5 minutes"),
            ("I need the backend of an iOS app for items", Kind::MobileBackend, "I need the API for items"),
            ("Build a REST API for links with a website", Kind::RestApi, "Build a REST API for links with a website"),
        ] {
            assert_eq!(take(sentence).unwrap(), (left.to_owned(), kind), "{sentence}");
        }
        for sentence in
            ["Build a mobile app for todos", "Build a GraphQL API for todos", "Improve user retention", "Build a game like chess"]
        {
            assert!(take(sentence).is_err(), "{sentence}");
        }
    }
}
