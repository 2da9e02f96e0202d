//! Words of a sentence, with a mark in place of what is in brackets.

/// What is in brackets, in whose place a mark stands.
pub(super) const OPEN: char = '\u{E010}';
pub(super) const CLOSE: char = '\u{E011}';

/// The same with a mark in place of what is in brackets.
pub(super) fn without_brackets(text: &str) -> (String, Vec<String>) {
    let (mut flat, mut inside, mut depth) = (String::new(), Vec::new(), 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => {
                depth += 1;
                if depth == 1 {
                    inside.push(String::new());
                    flat += &format!(" {OPEN}{}{CLOSE} ", inside.len() - 1);
                    continue;
                }
            }
            ')' | ']' | '}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    continue;
                }
            }
            _ => {}
        }
        match inside.last_mut().filter(|_| depth > 0) {
            Some(inside) => inside.push(c),
            None => flat.push(c),
        }
    }
    (flat, inside)
}

/// The number of the bracket that a word stands for.
pub(super) fn bracket(word: &str) -> Option<usize> {
    word.strip_prefix(OPEN)?.strip_suffix(CLOSE)?.parse().ok()
}

/// Words, and what parts them by itself.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', ':']);
        found.extend((!bare.is_empty()).then(|| bare.to_owned()));
        found.extend(word[bare.len()..].chars().next().map(String::from));
    }
    found
}

pub(super) fn joined(words: &[String]) -> String {
    words.join(" ").replace(" ,", ",").replace(" ;", ",").replace(" :", ":")
}

pub(super) const PARTS: &[&str] = &[",", ";", ":", ".", "!", "?", "(", ")", "-", "–", "—", "=", "->", "/", "|"];
