//! What kind of project is asked for. What is not built is refused by name.

use std::sync::LazyLock;

use regex::Regex;

use super::scope::{self, find};
use super::{Refusal, refuse, resources};
use crate::Kind;

/// The longest first: what names a kind, in place of which "API" stands afterwards.
const KINDS: &[(&str, Kind)] = &[
    ("web application with a rest api", Kind::WebApp),
    ("web app with a rest api", Kind::WebApp),
    ("web app with an api", Kind::WebApp),
    ("website with a page", Kind::WebApp),
    ("web application", Kind::WebApp),
    ("application web", Kind::WebApp),
    ("online application", Kind::WebApp),
    ("web app", Kind::WebApp),
    ("webapp", Kind::WebApp),
    ("web site", Kind::WebApp),
    ("website", Kind::WebApp),
    ("web page", Kind::WebApp),
    ("mobile app backend", Kind::MobileBackend),
    ("mobile backend", Kind::MobileBackend),
    ("backend of a mobile app", Kind::MobileBackend),
    ("backend of an ios app", Kind::MobileBackend),
    ("backend of an android app", Kind::MobileBackend),
    ("backend for a mobile app", Kind::MobileBackend),
    ("backend for an ios app", Kind::MobileBackend),
    ("backend for an android app", Kind::MobileBackend),
    ("backend for our mobile app", Kind::MobileBackend),
    ("backend for my mobile app", Kind::MobileBackend),
    ("backend for the mobile app", Kind::MobileBackend),
    ("backend of our mobile app", Kind::MobileBackend),
    ("backend for my ios", Kind::MobileBackend),
    ("backend for our ios", Kind::MobileBackend),
    ("backend for my android", Kind::MobileBackend),
    ("backend for our android", Kind::MobileBackend),
    ("backend for a phone app", Kind::MobileBackend),
    ("mobile api", Kind::MobileBackend),
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
    "desktop program",
    "desktop application",
    "desktop tool",
    "desktop software",
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
    "extension",
    "browser extension",
    "plugin",
    "platformer",
];

/// What is written, and no program.
const DOCUMENTS: &[&str] = &[
    "policy",
    "essay",
    "article",
    "poem",
    "letter",
    "report",
    "documentation",
    "document",
    "story",
    "blog post",
    "email",
    "speech",
    "song",
    "manual",
    "press release",
];

/// What is built where no kind is named: people see something at once, and programs have the same under /api.
pub(super) const UNNAMED: Kind = Kind::WebApp;
/// Nouns for the whole, where no kind is named: "a todo app", "an inventory system", "something to keep track of plants".
pub(super) const WHOLES: &[&str] = &[
    "application",
    "app",
    "website",
    "site",
    "system",
    "tool",
    "tracker",
    "manager",
    "organizer",
    "organiser",
    "platform",
    "portal",
    "catalogue",
    "catalog",
    "database",
    "directory",
    "registry",
    "inventory",
    "wiki",
    "forum",
    "scoreboard",
    "leaderboard",
    "calendar",
    "collector",
    "planner",
    "program",
    "software",
    "solution",
    "crm",
    "web shop",
    "online shop",
    "online store",
    "shop",
    "store",
    "board",
    "gallery",
    "backend",
    "back end",
    "service",
    "something",
    "a place",
];
/// Such as these have kinds of thing, and are none: "a shop with products and orders".
pub(super) const HOLDING: &[&str] = &[
    "crm",
    "web shop",
    "online shop",
    "online store",
    "system",
    "platform",
    "portal",
    "shop",
    "store",
    "catalogue",
    "catalog",
    "database",
    "backend",
    "service",
];

/// What a sentence asks for.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// With "API" in place of the kind.
    pub(super) sentence: String,
    pub(super) kind: Kind,
    /// The word in place of a kind, where none is named.
    pub(super) whole: Option<&'static str>,
}

/// Finds out what kind is asked for.
pub(super) fn take(sentence: &str) -> Result<Asked, Refusal> {
    // What comes after "with" are fields: a website can be one.
    let ends = scope::first_of(sentence, scope::BEFORE_FIELDS).map_or(sentence.len(), |(at, _)| at);
    let padded = format!(" {sentence} ");
    let found = KINDS.iter().filter_map(|(phrase, kind)| Some((whole(&padded, phrase).filter(|at| *at <= ends)?, phrase, kind)));
    // "A REST API for website visits" is none of a website.
    let api = whole(&padded, "api").unwrap_or(usize::MAX);
    if let Some((at, phrase, kind)) = found.min_by_key(|(at, phrase, _)| (*at, usize::MAX - phrase.len())).filter(|(at, ..)| *at <= api) {
        let (before, after) = (&padded[..at], &padded[at + phrase.len()..]);
        let sentence = format!("{}API{after}", before.trim_start()).trim().to_owned();
        // "A web app for our game nights": what it is for is no other kind.
        refuse_others(sentence.split(" for ").next().unwrap_or(&sentence))?;
        return Ok(Asked { sentence, kind: *kind, whole: None });
    }
    refuse_others(sentence)?;
    // "Every hour read the JSON files": nothing else reads files by the clock.
    let clock = ["every", "each", "hourly", "daily", "nightly", "weekly", "once"].iter().any(|word| whole(&padded, word).is_some());
    let files = ["csv", "csvs", "json files", "jsonl"].iter().any(|word| whole(&padded, word).is_some());
    if clock && files && ["read", "reads", "load", "loads", "import", "imports", "get"].iter().any(|word| whole(&padded, word).is_some()) {
        return Ok(Asked { sentence: sentence.to_owned(), kind: Kind::DataPipeline, whole: None });
    }
    if ["api", "rest", "crud", "apis"].iter().any(|word| whole(&padded, word).is_some()) {
        return Ok(Asked { sentence: sentence.to_owned(), kind: Kind::RestApi, whole: None });
    }
    unnamed(sentence, &padded, ends)
}

/// Of what kind it is, where it does not say.
fn unnamed(sentence: &str, padded: &str, ends: usize) -> Result<Asked, Refusal> {
    let found = WHOLES.iter().filter_map(|word| Some((whole(padded, word).filter(|at| *at <= ends)?, *word)));
    if let Some((at, word)) = found.min_by_key(|(at, word)| (*at, usize::MAX - word.len())) {
        // "a web shop backend"
        let mut behind = &padded[at + word.len()..];
        while let Some(rest) = WHOLES
            .iter()
            .find_map(|word| behind.strip_prefix(' ')?.strip_prefix(word))
            .filter(|rest| rest.starts_with([' ', ',', '.', ';', ':', '?']))
        {
            behind = rest;
        }
        let sentence = format!("{}API{behind}", padded[..at].trim_start()).trim().to_owned();
        // "A service to hold feature flags"
        let kind = match word {
            "service" => Kind::Microservice,
            "backend" | "back end" => Kind::RestApi,
            _ => UNNAMED,
        };
        return Ok(Asked { sentence, kind, whole: Some(word) });
    }
    // "I want to keep track of my plants", "Manage employees"
    let wish = scope::without_wish(sentence);
    if scope::begins_with_verb(wish) {
        return Ok(Asked { sentence: format!("API to {wish}"), kind: UNNAMED, whole: Some("") });
    }
    // What is left of "Let customers leave reviews with a name".
    if find(sentence, "for ") == Some(0) {
        return Ok(Asked { sentence: format!("API {sentence}"), kind: UNNAMED, whole: Some("") });
    }
    // "a blog with posts": what holds things is the whole.
    let holds = resources::CONTAINERS.iter().filter_map(|(container, _)| Some((whole(padded, container)?, *container)));
    if let Some((at, container)) = holds.filter(|(at, _)| *at <= ends).min() {
        let end = at + container.len();
        return Ok(Asked {
            sentence: format!("{} API{}", padded[..end].trim_start(), &padded[end..]).trim().to_owned(),
            kind: UNNAMED,
            whole: Some(""),
        });
    }
    // "Vehicles with a license plate"
    let many = sentence[..ends.min(sentence.len())].trim().to_lowercase();
    let with = [" with ", " having "].iter().any(|with| sentence.get(ends..).is_some_and(|rest| find(rest, with) == Some(0)));
    if with && resources::resource(&many).is_ok_and(|things| things.plural == many && things.singular != many) {
        return Ok(Asked { sentence: format!("API for {sentence}"), kind: UNNAMED, whole: Some("") });
    }
    // "Projects have a name; tasks belong to a project"
    let states = ["has", "have", "belong to", "belongs to"].iter().any(|verb| whole(padded, verb).is_some());
    if states {
        return Ok(Asked { sentence: sentence.to_owned(), kind: UNNAMED, whole: Some("") });
    }
    // What it asks for instead is said, where that is known.
    scope::check(sentence, Kind::RestApi)?;
    refuse("The goal is not understood: it names nothing that could be kept, such as \"todos with a title\"")
}

/// What it names the project, wherever that stands, and not as a field; "app" where it names no kind.
pub(super) fn named(sentence: &str) -> &'static str {
    let padded = format!(" {sentence} ");
    let says = |words: &[&str]| words.iter().any(|word| whole(&padded, word).is_some());
    let matches = |pattern: &LazyLock<Option<Regex>>| pattern.as_ref().is_some_and(|pattern| pattern.is_match(&padded));
    let fields = scope::first_of(&padded, scope::BEFORE_FIELDS).map_or(padded.len(), |(at, _)| at);
    match () {
        () if matches(&PIPELINE) || (matches(&FROM_FILES) && !says(&["api", "app", "web app", "website", "backend", "microservice"])) => {
            "data pipeline"
        }
        () if says(&["microservice", "micro service", "micro-service"]) => "microservice",
        () if matches(&PHONES) && says(&["backend", "back end", "server"]) => "mobile backend",
        () if says(&["backend", "back end"]) && says(&["sync", "syncs", "synchronise", "synchronize", "synchronisation", "offline"]) => {
            "mobile backend"
        }
        () if says(&["fastapi", "fast api"]) => "FastAPI REST API",
        () if says(&[
            "web app",
            "web pages",
            "in the browser",
            "webapp",
            "web site",
            "web application",
            "web page",
            "on the web",
            "web thing",
            "application web",
            "app in web",
        ]) =>
        {
            "web app"
        }
        () if whole(&padded[..fields], "website").is_some() => "web app",
        () if says(&["api", "rest", "restful", "crud", "backend", "back end"]) => "REST API",
        () => "app",
    }
}

/// "a backend for phones", "a mobile API"; not "a name and a phone", "a mobile number".
static PHONES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?i)\b(?:mobile|phone|android|ios|iphone)(?:'s|s')? (?:apps?|application|backend|api|clients?|marketplace|shop|store|platform|service)\b|\b(?:on|from|for) (?:(?:a|the|my|our|their|your) )?(?:mobiles?|phones?|android|ios)\b|[.,:] ?mobile ?[.,:]|\bserver (?:side|part) (?:of|for) (?:\w+ ){0,3}app\b",
    )
    .ok()
});
/// "Load loans.csv into our database", "ingest the JSON dump".
static FROM_FILES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\b(?:ingest|import|load|pick up|read|process|pull|parse|collect|fetch)(?:s|ing)? [^;]{0,60}?\b(?:csv|jsonl?)\b|\b(?:csv|jsonl?) (?:files?|exports?|dumps?)\b|\b\w+\.(?:csv|jsonl?)\b").ok()
});
/// Not "a pipeline stage".
static PIPELINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)\betl\b|\bpipeline(?:[^\w ]| (?:[^\sa-z]|that|which|for|to|with|where|should|must|of|from|in|on|please|and|named|called|takes?|reads?|loads?|-)|\s*$)").ok()
});

/// Whether it speaks of something that is to be built, or of what is to be kept.
pub(super) fn names_whole(sentence: &str) -> bool {
    let padded = format!(" {sentence} ");
    WHOLES
        .iter()
        .chain(&["keep track", "track", "record", "manage", "browser", "web pages", "i note", "we note", "we store"])
        .any(|word| whole(&padded, word).is_some())
}

pub(super) fn refuse_others(sentence: &str) -> Result<(), Refusal> {
    // What is said later of a game is not what is to be built.
    let ends = scope::first_of(sentence, scope::BEFORE_FIELDS).map_or(sentence.len(), |(at, _)| at);
    let ends = ends.min(find(sentence, ". ").unwrap_or(ends));
    let text = format!(" {sentence} ");
    // "a library API" and "a game database" are of these.
    let of = |kind: &str, at: usize| {
        let next = text[at + kind.len()..].split_whitespace().next().unwrap_or_default().to_lowercase();
        [
            "api",
            "app",
            "management",
            "system",
            "database",
            "backend",
            "catalog",
            "catalogue",
            "collection",
            "tracker",
            "shop",
            "night",
            "nights",
            "evening",
            "evenings",
        ]
        .contains(&next.as_str())
            && ["library", "game", "script"].contains(&kind)
    };
    // "a tool library", not "a library" or "a Python library"
    let lent = |kind: &str, at: usize| {
        let before = text[..at].split_whitespace().next_back().unwrap_or_default().to_lowercase();
        let code = ["a", "the", "python", "rust", "javascript", "js", "java", "client", "c", "go", "this", "my"].contains(&before.as_str());
        kind == "library" && !code && !before.is_empty()
    };
    // "for each game" it is kept.
    let kept = |at: usize| ["each", "every"].iter().any(|word| text[..at].trim_end().to_lowercase().ends_with(word));
    let asks = |kind: &&&str| whole(&text, kind).is_some_and(|at| at <= ends && !of(kind, at) && !kept(at) && !lent(kind, at));
    // "a mobile app, whose backend you should build"
    let backend = named(sentence) == "mobile backend";
    let app = |kind: &&&str| backend && ["mobile app", "android app", "ios app"].contains(*kind);
    let found = OTHERS.iter().filter(asks).find(|kind| !app(kind)).copied().or_else(|| document(&text, ends));
    let Some(kind) = found.as_ref() else { return Ok(()) };
    let shown = if *kind == "graphql" { "GraphQL" } else { kind };
    let article = if shown.starts_with(['a', 'e', 'i', 'o']) { "An" } else { "A" };
    refuse(format!("{article} {shown} is not something the templates build"))
}

/// "Write a privacy policy for an app": a text is asked for.
fn document(text: &str, ends: usize) -> Option<&'static str> {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    let found = DOCUMENTS
        .iter()
        .find(|kind| ["write", "draft", "compose"].contains(&first.as_str()) && whole(text, kind).is_some_and(|at| at <= ends));
    let programs = KINDS.iter().map(|(kind, _)| kind).chain(WHOLES).chain(&["api"]);
    let program = programs.filter_map(|word| whole(text, word)).min();
    found.filter(|kind| program.is_none_or(|program| whole(text, kind).is_some_and(|at| at < program))).copied()
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
            assert_eq!(take(sentence).unwrap(), Asked { sentence: left.to_owned(), kind, whole: None }, "{sentence}");
        }
        for (sentence, left, whole) in [
            ("Make a todo app with a title", "Make a todo API with a title", "app"),
            ("I want to keep track of my plants", "API to keep track of my plants", ""),
            ("Manage employees. An employee has a name", "API to Manage employees. An employee has a name", ""),
            ("Projects have a name", "Projects have a name", ""),
        ] {
            assert_eq!(take(sentence).unwrap(), Asked { sentence: left.to_owned(), kind: Kind::WebApp, whole: Some(whole) }, "{sentence}");
        }
        for sentence in
            ["Build a mobile app for todos", "Build a GraphQL API for todos", "Improve user retention", "Build a game like chess"]
        {
            assert!(take(sentence).is_err(), "{sentence}");
        }
    }
}
