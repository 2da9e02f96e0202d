//! What is beyond the templates, and the clauses of a sentence.

use super::{Refusal, refuse};
use crate::{Block, Kind};

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
    ("related to", "relations (\"related to\"; say \"belongs to\")"),
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
    ("swiftui", "SwiftUI"),
    ("kotlin", "Kotlin"),
    ("flutter", "Flutter"),
    ("angular", "Angular"),
    ("laravel", "Laravel"),
    ("wordpress", "WordPress"),
    ("terraform", "Terraform"),
    ("calculate", "calculations"),
    ("compute", "calculations"),
    ("predict", "predictions"),
    ("scrape", "scraping"),
    ("translate", "translations"),
    ("recognize", "recognition"),
    ("recognise", "recognition"),
    ("streaming", "streaming"),
    ("broadcast", "broadcasts"),
];

/// What ends the name of a field that begins with a feature.
const OF_FIELDS: &[&str] = &["date", "dates", "time", "day", "status", "count", "method", "amount", "number"];

/// Refuses what is recognised as beyond the templates.
pub(crate) fn check(sentence: &str, kind: Kind) -> Result<(), Refusal> {
    let Some(name) = feature(sentence, kind) else { return Ok(()) };
    // What projects can have is there to be asked for.
    let Some(part) = part(name) else { return refuse(format!("It asks for {name}, which the templates do not have")) };
    if kind == Kind::DataPipeline {
        return refuse(format!("It asks for {name}, which data pipelines do not have"));
    }
    refuse(format!("What it says of {name} is not understood: end the goal \"with {part}\""))
}

/// Whether it asks for more than these parts.
pub(super) fn is_beyond(sentence: &str, kind: Kind, blocks: &[Block]) -> bool {
    let there = |part: &str| {
        blocks.contains(match part {
            "login" => &Block::Authentication,
            "file upload" => &Block::FileUpload,
            "live updates" => &Block::Websocket,
            _ => &Block::Payment,
        })
    };
    feature(sentence, kind).is_some_and(|name| !part(name).is_some_and(there))
}

/// What projects can have, as it is asked for.
fn part(feature: &str) -> Option<&'static str> {
    Some(match feature {
        "authentication" | "login" | "sign-up" | "passwords" | "user accounts" => "login",
        "file upload" | "attachments" => "file upload",
        "WebSocket" | "live updates" => "live updates",
        "payments" => "card payments",
        _ => return None,
    })
}

/// What it asks for beside what it is about.
fn feature(sentence: &str, kind: Kind) -> Option<&'static str> {
    let text = padded(sentence);
    // "file uploads" is "file upload"; what follows "without" is not asked for.
    let asked = text.split(" without ").next().unwrap_or(&text);
    // "An upload date" is a field.
    let field = |behind: &str| OF_FIELDS.contains(&behind.split(' ').next().unwrap_or_default());
    let says = |phrase: &str| asked.match_indices(phrase).any(|(at, _)| !field(&asked[at + phrase.len()..]));
    let asks = |phrase: &str| says(&format!(" {phrase} ")) || says(&format!(" {phrase}s "));
    let loads = |phrase: &str| kind == Kind::DataPipeline && ["import", "export"].contains(&phrase);
    // "payments have an amount", "an API for payments": they are kept.
    let kept = |phrase: &str| {
        ["has", "have", "belong", "belongs"].iter().any(|verb| asked.contains(&format!(" {phrase} {verb} ")))
            || ["api for", "track", "record", "of"].iter().any(|lead| asked.contains(&format!(" {lead} {phrase} ")))
    };
    let thing = |phrase: &str| {
        (phrase.starts_with("payment") && (kind == Kind::DataPipeline || kept("payments") || kept("payment")))
            || (phrase == "notifications" && kept(phrase))
    };
    FEATURES.iter().find(|(phrase, _)| asks(phrase) && !loads(phrase) && !thing(phrase)).map(|(_, name)| *name)
}

/// Lower case, words apart by single blanks, with one at each end.
fn padded(sentence: &str) -> String {
    let spaced: String = sentence.to_lowercase().chars().map(|c| if ",.;:!?()\"'".contains(c) { ' ' } else { c }).collect();
    format!(" {} ", spaced.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What introduces the fields.
pub(crate) const BEFORE_FIELDS: &[&str] =
    &[" with ", " having ", " that have ", " that has ", " which have ", " which has ", " has ", " have ", " containing ", " including "];
/// What can be done to resources: "an API that tracks …", "an API to track …".
const VERBS: &[(&str, &str)] = &[
    ("manage", "managing"),
    ("keep track of", "keeping track of"),
    ("track", "tracking"),
    ("store", "storing"),
    ("keep", "keeping"),
    ("load", "loading"),
    ("import", "importing"),
    ("collect", "collecting"),
    ("record", "recording"),
    ("ingest", "ingesting"),
    ("hold", "holding"),
    ("read", "reading"),
    ("handle", "handling"),
    ("serve", "serving"),
    ("create", "creating"),
    ("save", "saving"),
    ("organize", "organizing"),
    ("organise", "organising"),
    ("maintain", "maintaining"),
    ("log", "logging"),
    ("plan", "planning"),
    ("list", "listing"),
    ("catalog", "cataloging"),
    ("catalogue", "cataloguing"),
    ("administer", "administering"),
    ("sell", "selling"),
    ("rent", "renting"),
    ("register", "registering"),
];

/// Without "I would like to".
pub(super) fn without_wish(sentence: &str) -> &str {
    const WISH: &[&str] =
        &["i", "we", "want", "need", "would", "like", "i'd", "we'd", "to", "please", "help", "me", "us", "let", "have", "be", "able"];
    let mut rest = sentence;
    while let Some((first, behind)) = rest.split_once(' ').filter(|(first, _)| WISH.contains(&first.to_lowercase().trim_matches(','))) {
        let _ = first;
        rest = behind;
    }
    rest
}

/// "Keep track of plants".
pub(super) fn begins_with_verb(clause: &str) -> bool {
    VERBS.iter().any(|(verb, _)| find(&format!("{clause} "), &format!("{verb} ")) == Some(0))
}

/// The text behind what introduces the resources, in a clause that has it.
pub(crate) fn after_lead(clause: &str) -> Option<&str> {
    // "API that tracks books" begins with it.
    let begins = |phrase: &str| clause.get(..phrase.len() - 1).filter(|start| start.eq_ignore_ascii_case(&phrase[1..]));
    let behind = |phrase: &str| {
        begins(phrase).map(|start| &clause[start.len()..]).or_else(|| find(clause, phrase).map(|at| &clause[at + phrase.len()..]))
    };
    let firm = [" api for ", " apis for ", " service for ", " backend for ", " api of ", " rest for ", " crud for "];
    let by_verb = |(verb, doing): &(&str, &str)| {
        let third = match verb.split_once(' ') {
            Some((first, rest)) => format!("{first}s {rest}"),
            None => format!("{verb}s"),
        };
        let phrases = [format!(" api to {verb} "), format!(" api that {third} "), format!(" api which {third} "), format!(" api {doing} ")];
        phrases.iter().find_map(|phrase| behind(phrase))
    };
    let clause_start = ["api for ", "crud for ", "api that "].iter().find_map(|phrase| {
        let at = find(clause, phrase).filter(|at| *at == 0)?;
        Some(&clause[at + phrase.len()..])
    });
    firm.iter().find_map(|phrase| behind(phrase)).or_else(|| VERBS.iter().find_map(by_verb)).or(clause_start).or_else(|| {
        // "A tool that calculates shipping costs for parcels" asks for more than parcels.
        let at = find(clause, " for ")?;
        super::resources::is_empty(&clause[..at]).then(|| &clause[at + 5..])
    })
}

/// The first of these phrases, and how long it is.
pub(crate) fn first_of(text: &str, phrases: &[&str]) -> Option<(usize, usize)> {
    phrases
        .iter()
        .filter_map(|phrase| find(text, phrase).map(|at| (at, phrase.len())))
        .min_by_key(|(at, length)| (*at, usize::MAX - length))
}

/// Parted by full stops and the like; one within a number parts nothing.
pub(crate) fn clauses(sentence: &str) -> Vec<&str> {
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
pub(crate) fn says_no_more(clause: &str, main: &str) -> bool {
    const WISHES: &[&str] = &[
        "we", "i", "want", "need", "would", "like", "to", "track", "keep", "manage", "store", "our", "my", "please", "thanks", "hello",
        "hi",
    ];
    const SAYING: &[&str] = &["required", "optional", "unique", "mandatory", "not", "no", "without"];
    if padded(clause).split_whitespace().any(|word| SAYING.contains(&word)) {
        return false;
    }
    let main = padded(main);
    padded(clause).split_whitespace().all(|word| WISHES.contains(&word) || main.contains(&format!(" {word} ")))
}

/// Takes "without a, b" off the end.
pub(crate) fn cut_without(text: &str) -> (String, Vec<String>) {
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
pub(crate) fn find(text: &str, phrase: &str) -> Option<usize> {
    text.as_bytes().windows(phrase.len()).position(|w| w.eq_ignore_ascii_case(phrase.as_bytes()))
}
