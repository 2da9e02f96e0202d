//! What kind of thing is asked for, what of it is beyond the templates, and which words say what.

use super::{Refusal, refuse};

/// A sentence in its parts, as given.
pub(super) struct Parts {
    pub(super) resource: String,
    pub(super) fields: String,
    /// What it shall not have.
    pub(super) without: Vec<String>,
    /// Clauses that say nothing to us.
    pub(super) rest: Vec<String>,
}

/// Kinds of project that are recognised, to be refused by name.
const OTHER_KINDS: &[&str] = &[
    "web app",
    "webapp",
    "website",
    "web site",
    "web page",
    "frontend",
    "front end",
    "front-end",
    "landing page",
    "dashboard",
    "mobile app",
    "mobile backend",
    "android app",
    "ios app",
    "data pipeline",
    "pipeline",
    "etl",
    "microservice",
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

/// Features a REST API could have and ours does not; leaving them out silently would be a lie.
const FEATURES: &[(&str, &str)] = &[
    ("authentication", "authentication"),
    ("authorization", "authorization"),
    ("authorisation", "authorization"),
    ("login", "login"),
    ("log in", "login"),
    ("sign up", "sign-up"),
    ("signup", "sign-up"),
    ("password", "passwords"),
    ("oauth", "OAuth"),
    ("jwt", "JWT"),
    ("user accounts", "user accounts"),
    ("permissions", "permissions"),
    ("file upload", "file upload"),
    ("upload", "file upload"),
    ("image upload", "file upload"),
    ("attachments", "attachments"),
    ("websocket", "WebSocket"),
    ("websockets", "WebSocket"),
    ("real-time", "live updates"),
    ("realtime", "live updates"),
    ("real time", "live updates"),
    ("live updates", "live updates"),
    ("notifications", "notifications"),
    ("send email", "sending e-mail"),
    ("sends email", "sending e-mail"),
    ("emails when", "sending e-mail"),
    ("payment", "payments"),
    ("payments", "payments"),
    ("stripe", "payments"),
    ("export", "export"),
    ("import", "import"),
    ("belongs to", "relations (\"belongs to\")"),
    ("belong to", "relations (\"belong to\")"),
    ("has many", "relations (\"has many\")"),
    ("related to", "relations (\"related to\")"),
    ("foreign key", "relations (\"foreign key\")"),
    ("rate limit", "rate limits"),
    ("caching", "caching"),
    ("multi-tenant", "tenants"),
    ("kubernetes", "Kubernetes"),
    ("aws", "AWS"),
    ("postgres", "PostgreSQL"),
    ("postgresql", "PostgreSQL"),
    ("mysql", "MySQL"),
    ("mongodb", "MongoDB"),
    ("redis", "Redis"),
    ("django", "Django"),
    ("flask", "Flask"),
    ("fastapi", "FastAPI"),
    ("express", "Express"),
    ("spring", "Spring"),
    ("rails", "Rails"),
    ("in rust", "Rust"),
    ("in go", "Go"),
    ("in golang", "Go"),
    ("in java", "Java"),
    ("in javascript", "JavaScript"),
    ("in typescript", "TypeScript"),
    ("in php", "PHP"),
    ("in ruby", "Ruby"),
    ("in c#", "C#"),
    ("node.js", "Node.js"),
    ("nodejs", "Node.js"),
    ("react", "React"),
];

/// Refuses what is recognised as beyond the templates.
pub(super) fn check(sentence: &str) -> Result<(), Refusal> {
    let text = padded(sentence);
    // What comes after "with" are fields: a website can be one.
    let kind = BEFORE_FIELDS.iter().filter_map(|b| text.find(b)).min().map_or(text.as_str(), |at| &text[..=at]);
    let has = |phrase: &str| kind.contains(&format!(" {phrase} "));
    if let Some(kind) = OTHER_KINDS.iter().find(|kind| has(kind)) {
        let shown = if *kind == "graphql" { "GraphQL" } else { kind };
        return refuse(format!("A {shown} is not something the templates build"));
    }
    // "file uploads" is "file upload"; what follows "without" is not asked for.
    let asked = text.split(" without ").next().unwrap_or(&text);
    let asks = |phrase: &str| asked.contains(&format!(" {phrase} ")) || asked.contains(&format!(" {phrase}s "));
    if let Some((_, name)) = FEATURES.iter().find(|(phrase, _)| asks(phrase)) {
        return refuse(format!("It asks for {name}, which the templates do not have"));
    }
    if ![" api ", " rest ", " crud ", " apis "].iter().any(|word| text.contains(word)) {
        return refuse("The goal is not understood: it names no REST API");
    }
    Ok(())
}

/// Lower case, words apart by single blanks, with one at each end.
fn padded(sentence: &str) -> String {
    let spaced: String = sentence.to_lowercase().chars().map(|c| if ",.;:!?()\"'".contains(c) { ' ' } else { c }).collect();
    format!(" {} ", spaced.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What introduces the resource, and the fields.
const BEFORE_RESOURCE: &[&str] = &[
    " api for ",
    " apis for ",
    " service for ",
    " backend for ",
    " api of ",
    " api to manage ",
    " api to track ",
    " api to store ",
    " api to keep ",
    " api managing ",
    " api that manages ",
    " api that stores ",
    " api that tracks ",
    " api which stores ",
    " api which manages ",
    " rest for ",
    " crud for ",
    " for ",
];
const BEFORE_FIELDS: &[&str] =
    &[" with ", " having ", " that have ", " that has ", " which have ", " which has ", " has ", " have ", " containing ", " including "];

pub(super) fn split(sentence: &str) -> Result<Parts, Refusal> {
    let clauses = clauses(sentence);
    let main = clauses.iter().find(|clause| BEFORE_RESOURCE.iter().any(|b| find(clause, b).is_some())).copied();
    let Some(main) = main else { return refuse("The goal does not say what the API is for") };
    let rest = clauses.into_iter().filter(|clause| *clause != main && !says_no_more(clause, main)).map(str::to_owned).collect();
    let after = BEFORE_RESOURCE.iter().find_map(|b| find(main, b).map(|at| main[at + b.len()..].to_owned()));
    let after = after.unwrap_or_default();
    let (after, without) = cut_without(&after);
    let at = BEFORE_FIELDS.iter().filter_map(|b| find(&after, b).map(|at| (at, b.len()))).min();
    let (mut resource, fields) = match at {
        Some((at, len)) => (after[..at].to_owned(), after[at + len..].to_owned()),
        None => (after, String::new()),
    };
    // "people where each person has …", "todos, each with …"
    for lead in [" where ", ", each ", ", where ", " each "] {
        if let Some(at) = find(&resource, lead) {
            resource.truncate(at);
        }
    }
    // "todos with a title and steps with a name": whose fields the second are is not said.
    if let Some(again) = [" with ", " having "].iter().find(|b| find(&fields, b).is_some()) {
        return refuse(format!("It seems to ask for several kinds of thing (a second \"{}\"), and the templates build one", again.trim()));
    }
    let resource = resource.trim().trim_end_matches(',').to_owned();
    if resource.contains(',') || find(&resource, " and ").is_some() || find(&resource, " or ").is_some() {
        return refuse(format!("It asks for several kinds of thing (\"{resource}\"), and the templates build one"));
    }
    Ok(Parts { resource, fields, without, rest })
}

/// Parted by full stops and the like; one within a number parts nothing.
fn clauses(sentence: &str) -> Vec<&str> {
    let parts = |(at, c): (usize, char)| {
        let ends = ";!?".contains(c) || (c == '.' && sentence[at + 1..].chars().next().is_none_or(char::is_whitespace));
        ends.then_some(at)
    };
    let mut from = 0;
    let mut clauses = Vec::new();
    for at in sentence.char_indices().filter_map(parts).chain([sentence.len()]) {
        clauses.push(sentence[from..at].trim());
        from = (at + 1).min(sentence.len());
    }
    clauses.retain(|clause| !clause.is_empty());
    clauses
}

/// "We want to track our books": nothing that the main clause does not say.
fn says_no_more(clause: &str, main: &str) -> bool {
    const WISHES: &[&str] = &[
        "we", "i", "want", "need", "would", "like", "to", "track", "keep", "manage", "store", "our", "my", "please", "thanks", "hello",
        "hi",
    ];
    let main = padded(main);
    padded(clause).split_whitespace().all(|word| WISHES.contains(&word) || main.contains(&format!(" {word} ")))
}

/// Takes "without a, b" off the end.
fn cut_without(text: &str) -> (String, Vec<String>) {
    match find(text, " without ") {
        None => (text.to_owned(), Vec::new()),
        Some(at) => {
            let kept = text[..at].trim_end_matches(" but").trim_end_matches(" and").trim_end_matches(',').to_owned();
            let without = text[at + " without ".len()..].replace(" or ", ",").replace(" and ", ",");
            (kept, without.split(',').map(|w| w.trim().to_lowercase()).filter(|w| !w.is_empty()).collect())
        }
    }
}

/// Where `phrase` begins, whatever the case of its ASCII letters.
fn find(text: &str, phrase: &str) -> Option<usize> {
    text.as_bytes().windows(phrase.len()).position(|w| w.eq_ignore_ascii_case(phrase.as_bytes()))
}
