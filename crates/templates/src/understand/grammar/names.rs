//! Names of things in a sentence.

use super::items::is_in;
use crate::understand::words;

const PARTS: &[&str] = &[",", ";", ":", ".", "!", "?", "(", ")", "-", "–", "—", "=", "->", "/", "|"];

/// Words that are part of no thing's name.
pub(super) const NO_NAME: &str = "a an the each every all any one some our my their its his her your this that these those which who whom whose what i we you they he \
    she it me us them and or but nor so plus then also only just of for in on at by to from with without into onto over under per as than if when while where \
    whether because since until about between through via is are was were be been being am has have had having do does did can could may might must shall should \
    introduce introduces introducing down never cannot can't sometimes often rarely seldom usually always normally mostly doesn't don't isn't aren't will would want wants need needs like love please let lets build create make write develop design set give get manage managing administer administrate planning organising organizing monitoring scheduling track tracking store storing \
    keep keeping record recording register registering save saving log logging enter entering list listing hold holding handle handling serve serving collect \
    collecting read reading load loading ingest ingesting import importing maintain maintaining take takes use uses using contain contains containing include \
    includes including see show know note add help organise organize plan first second third finally not no new simple small little basic named called \
    there here two three four along none otherwise whereas hourly daily nightly weekly monthly out up off throw drop remove reject skip ignore filter produce output outputs puts drops sends delivers count counts sum i.e e.g namely many several multiple etl consisting concerning regarding both either";
/// Such as these are the whole, or stand for what has something.
pub(super) const NO_THINGS: &str = "api app application website site service microservice backend pipeline requirement user users people everybody everyone somebody someone staff \
    stuff data database databases server inbox folder bucket information details field fields column columns attribute attributes property properties input resources entity entities model models rows lines extra extras \
    features store stores stack need kind kinds type types example lists html web mobile rest crud fastapi python csv json sqlite something anything nothing nutshell short \
    summary thing things two duplicate noun";
/// Such as these are, unless it is said that one of them has something: "a tool has a name".
pub(super) const WEAK: &str = "system tool project platform software program product person team company business startup club record row line list resource part shop clinic school";

const LY: &str = "reply family supply assembly anomaly butterfly ally fly jelly lily";
/// What may be done to things, and may be one: "companies post jobs", "posts".
const DOING: &str = "post posts posted submit submits sell sells offer offers publish publishes share shares lend lends rent rents plan plans book books file files leave leaves write writes place places buy buys borrow borrows enter enters";
/// "keeps" is no thing.
pub(super) fn is_verb(word: &str) -> bool {
    is_in(NO_NAME, &words::singular(word))
}

pub(super) const LINKING: &str = "link links connect connects tie ties join joins combine combines";

pub(super) const ARTICLES: &str = "a an the its their his her how which whether one this at";

/// The name that ends before `end`, in the singular, and where it begins with its article.
pub(super) fn name_before(said: &[String], end: usize) -> Option<(usize, String)> {
    let mut from = end;
    while from > 0 && end - from < 3 {
        let word = said[from - 1].to_lowercase();
        let plain = word.chars().all(|c| c.is_ascii_alphabetic() || c == '-' || c == '_') && word.len() > 1;
        let last = from == end;
        if !plain
            || is_in(NO_NAME, &word)
            || (!last
                && (is_in(NO_NAME, &words::singular(&word))
                    || is_in(NO_THINGS, &word)
                    || is_in(WEAK, &word)
                    || is_in(LINKING, &word)
                    || is_in(DOING, &word)))
        {
            break;
        }
        from -= 1;
    }
    let name: Vec<String> = said[from..end].iter().map(|word| word.to_lowercase().replace('_', " ")).collect();
    // "order lines"
    let of_lines =
        |last: &str| name.len() > 1 && ["line", "record", "type", "item", "model", "application"].contains(&words::singular(last).as_str());
    let last = name.last().filter(|last| {
        of_lines(last)
            // "vehicles and services with a date": the project is one service.
            || *last == "services"
            // "server (name, address)"
            || (["server", "servers"].contains(&last.as_str()) && said.get(end).is_some_and(|next| next == "("))
            || (!is_in(NO_THINGS, last) && !is_in(NO_THINGS, &words::singular(last)) && (!last.ends_with("ly") || is_in(LY, last)))
    })?;
    let many = words::is_many(last);
    let one = words::singular(last);
    let name = [&name[..name.len() - 1], &[one]].concat().join(" ");
    let article = from > 0
        && ["a", "an", "each", "every", "the", "one", "any", "all", "our", "my", "their", "its"]
            .contains(&said[from - 1].to_lowercase().as_str());
    // It begins the clause.
    let first = from == 0
        || PARTS.contains(&said[from - 1].as_str())
        || ["and", "where", "then", "first", "second", "third"].contains(&said[from - 1].to_lowercase().as_str());
    (many || article || first).then_some((from - usize::from(article), name))
}

/// The name that begins there, and where it ends.
pub(super) fn name_from(said: &[String], from: usize, to: usize) -> Option<(usize, String)> {
    let from = (from..to).find(|at| {
        !is_in(ARTICLES, &said[*at].to_lowercase())
            && !["each", "every", "and", "where", "then"].contains(&said[*at].to_lowercase().as_str())
    })?;
    let verb = |at: &usize| {
        is_in(NO_NAME, &said[*at].to_lowercase()) || is_in(LINKING, &said[*at].to_lowercase()) || PARTS.contains(&said[*at].as_str())
    };
    let end = (from + 1..to.min(from + 4)).find(verb)?;
    name_before(said, end).map(|(_, name)| (end, name))
}

pub(super) fn one(name: &str) -> String {
    match name.rsplit_once(' ') {
        Some((first, last)) => format!("{first} {}", words::singular(last)),
        None => words::singular(name),
    }
}

pub(super) fn many(name: &str) -> String {
    match name.rsplit_once(' ') {
        Some((first, last)) => format!("{first} {}", words::plural(last)),
        None => words::plural(name),
    }
}
