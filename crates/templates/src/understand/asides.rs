//! Sentences that only ask for a part that projects have: "Users must sign in", "The list should refresh in real time". What else such a sentence
//! says is listed as left out.

use std::sync::LazyLock;

use regex::Regex;

use super::{phrasing, sections, words};
use crate::Block;

const ASKING: &[(&str, Block)] = &[
    (
        r"\b(?:log(?:s|ged|ging)?|sign(?:s|ed|ing)?)[ -]?(?:in|on|up)\b|\blogins?\b|\bsign-?ups?\b|\b(?:(?:user|own|with an) accounts?|accounts (?:and|with)|needs? (?:an |their own |own )?accounts?|and accounts)\b|\bwith (?:an? )?(?:e-?mail and )?passwords?\b|\bauthenticat(?:e|ed|ion)\b",
        Block::Authentication,
    ),
    (r"\bsearch(?:able|ing|es)?\b|\blook(?:ing)? (?:\w+ ){0,3}up\b", Block::Search),
    (
        r"\bpaginat(?:e|ed|ion)\b|\bpaging\b|\bpaged\b|\bpage through\b|\bpages? of \d+\b|\b\d+ (?:\w+ )?(?:per|a|on a|on each|on one) page\b|\bpage by page\b|\bin(?:to)? pages\b|\bpages? at a time\b",
        Block::Pagination,
    ),
    (
        r"\b(?:upload\w*|attach\w*)(?:\W+\w+){0,3}?\W+(?:photo|picture|image|file|document|attachment|pdf|scan|receipt|transcript|cv|form|certificate|contract|drawing|video|recording)s?\b|\b(?:photo|picture|image|file|document|pdf|scan)s? uploads?\b|\badd(?:ing|s)?(?: \w+)? (?:photos|pictures|images)\b|\b(?:image|audio|pdf) files?\b|\b(?:photos?|pictures?) of (?:each|every)\b|\b(?:photo|picture|image|file|document|pdf|scan|receipt)s?\b[^.;:]{0,40}\b(?:uploaded|attached)\b",
        Block::FileUpload,
    ),
    (
        r"\breal[ -]?time\b|\bwebsockets?\b|\blive (?:updates?|changes?|feed|view|scores?|refresh)\b|\b(?:updates?|changes?|refresh(?:es)?|push(?:es|ed)?)\b.* live\b|\b(?:updat\w+|chang\w+|refresh\w*|show\w*|appear\w*|notif\w+|pop\w*)\b.*\b(?:instantly|immediately|right away|as (?:it|they) happens?|without (?:reloading|refreshing))\b|\b(?:refresh|update)(?:es|s)? by (?:itself|themselves)\b|\bsees?\b.*\b(?:instantly|immediately|right away|at once)\b|\b(?:see|arrive|appear|show up|come) (?:\w+ ){0,3}live\b",
        Block::Websocket,
    ),
    (
        r"\b(?:pay\w*|paid)\b.*\b(?:online|card)\b|\b(?:online|card) payments?\b|\bpay in advance\b|\bwith payments?\b|^ ?payments? ?$",
        Block::Payment,
    ),
];

/// What such sentences are made of, beside the names of what is kept.
const SAID: &str = "push pushes notify show participants directly straight away a an the of to for in on up by with and or it them they \
    their own each every all any only also too please pls we i you us want wants would like need needs have has be is are \
    can could must should may able that who which users user people person everyone everybody team staff members member \
    customers customer visitors clients admins coaches teachers students employees committee coordinators volunteers readers \
    guests see view use enter access create add adds before after first anything something everything app api site system \
    function feature box bar page pages list lists results per online card through over via find text full full-text support \
    it'd great nice lovely if so new one changes updates update updated refresh refreshes itself themselves automatically \
    pay pays paid payments payment register include included there photo photos picture pictures image images file files \
    document documents attachment attachments pdf pdfs scan scans receipt receipts upload uploads uploading attach attached \
    real time real-time realtime live websocket websockets log logs login logged sign signs signed account accounts password \
    passwords e-mail email search searchable searching paging pagination paginated paginate edit change delete remove \
    checkout instantly immediately right watching possible simple at when get receive connected registered logged-in cvs cv \
    as required needed";

fn is_said(word: &str) -> bool {
    SAID.split(' ').any(|said| said == word)
}
/// With one of these it says something of what is kept.
const OTHER: &[&str] = &["belongs", "belong", "unless", "which"];
const WORDS_MOST: usize = 18;

static ASKED: LazyLock<Vec<(Regex, Block)>> = LazyLock::new(|| phrasing::compiled(ASKING, &[]));

/// Whether it asks for a part that projects have.
pub(super) fn asks(text: &str) -> bool {
    ASKED.iter().any(|(asking, _)| asking.is_match(text))
}

/// What it asks for, and does not say is not to be.
pub(crate) fn asked(text: &str) -> impl Iterator<Item = Block> {
    let wanted = |pattern: &Regex| pattern.find_iter(text).any(|found| !phrasing::denied(&text[..found.start()]));
    ASKED.iter().filter(move |(pattern, _)| wanted(pattern)).map(|(_, block)| *block)
}

/// The text without them, what they ask for, and what else they say. `known`: the names of what is there, where it is all about that.
pub(crate) fn take(text: &str, known: Option<&str>) -> (String, Vec<Block>, Vec<String>) {
    let (mut kept, mut blocks, mut left): (Vec<&str>, Vec<Block>, Vec<String>) = (Vec::new(), Vec::new(), Vec::new());
    let sentences = sections::stops(text);
    for (at, sentence) in sentences.iter().enumerate() {
        let lower = sentence.to_lowercase();
        let said: Vec<&str> = lower.split([' ', ',', ';', '!']).filter(|word| !word.is_empty()).collect();
        let asked: Vec<Block> = ASKED.iter().filter(|(asking, _)| asking.is_match(sentence)).map(|(_, block)| *block).collect();
        // "Each user has a name and a password", "Build an app with login" say more than that.
        let object = ["has", "have", "with"].iter().any(|verb| {
            said.iter()
                .position(|word| word == verb)
                // "People have to log in"
                .filter(|at| said.get(at + 1) != Some(&"to"))
                // "pay online with a card"
                .filter(|at| *verb != "with" || said[at + 1..].iter().any(|word| !is_said(word)))
                .is_some_and(|at| !ASKED.iter().any(|(asking, _)| asking.is_match(&said[at + 1..].join(" "))) || said.len() - at > 5)
        });
        let other =
            said.iter().any(|word| OTHER.contains(word) || phrasing::DENYING.contains(word)) || sentence.contains([':', '(']) || object;
        let builds =
            at == 0 && known.is_none() && ["build", "create", "make", "an", "a", "i", "we", "rest"].contains(said.first().unwrap_or(&""));
        if asked.is_empty() || other || builds || said.len() > WORDS_MOST || (sentences.len() == 1 && known.is_none()) {
            kept.push(sentence);
            continue;
        }
        let rest =
            sentences.iter().enumerate().filter(|(n, _)| *n != at).map(|(_, other)| other.to_lowercase()).collect::<Vec<_>>().join(" ")
                + known.unwrap_or_default();
        // "searchable by title and author"
        let by = said.iter().position(|word| *word == "by").filter(|_| asked == [Block::Search]).unwrap_or(said.len());
        let said = &said[..by];
        // "Applicants upload a CV"
        let who = said.first().filter(|first| words::is_many(first)).copied().unwrap_or_default();
        let known = |word: &&&str| {
            **word == who || word.bytes().all(|b| b.is_ascii_digit()) || is_said(word) || rest.contains(&words::singular(word))
        };
        if !said.iter().all(|word| known(&word)) {
            left.push((*sentence).to_owned());
        }
        blocks.extend(asked.into_iter().filter(|block| !blocks.contains(block)).collect::<Vec<_>>());
    }
    (kept.join(". "), blocks, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_parts_is_taken_and_what_else_it_says_is_left() {
        use Block::{Authentication, FileUpload, Pagination, Search, Websocket};
        assert_eq!(ASKED.len(), ASKING.len(), "each is a pattern");
        for (sentence, blocks, all) in [
            ("Users must sign in", vec![Authentication], true),
            ("login, search and paging", vec![Authentication, Search, Pagination], true),
            ("The list should refresh by itself in real time", vec![Websocket], true),
            ("We want to upload the PDF of each piece, and find pieces through a search box", vec![Search, FileUpload], true),
            ("Users log in and get a mail every week", vec![Authentication], false),
            ("A piece has a title and a search term", vec![], true),
            ("No login", vec![], true),
        ] {
            let (_, found, left) = take(&format!("An app for pieces. {sentence}"), None);
            assert_eq!((found, left.is_empty()), (blocks, all), "{sentence}");
        }
    }
}
