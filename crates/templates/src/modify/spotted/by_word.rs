//! A change read word by word, where no saying fits: what is said of a field that it names, or what a thing that it names gets.

use std::sync::LazyLock;

use regex::Regex;

use super::names::{FIELD, Names, THING, VALUE, mark};
use super::{BEGINS, Command, clauses};
use crate::understand::grammar;
use crate::{FieldType, Understanding};

/// Words around a field that say nothing of it.
const NEUTRAL: &str = "make let leave set keep the a an please so of it that this be is are was now should shall must can could may might will would for each every all i we you \
    want need like to possible sure ensure always just only too also as well from on in one and but , : . ( ) value field column with";
/// What leads to fields that are new, and what follows them.
const GIVEN: &str = r"^(?:(?:and|also|please|then|now|so|we|i|you|they|it|would|could|should|can|must|will|'d|to|like|want|need|needs|have|has|get|gets|know|give|add|include|store|record|track|save|keep|note|ask|there|be|is|a new|new|columns?|fields?|too|as well|for|that|the file|another|one more|additional)(?:, |: | ))*";

static LEADS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("(?i){GIVEN}")).ok());

/// Whether it asks for something itself.
pub(super) fn asks(text: &str) -> bool {
    text.split([' ', ',']).any(|word| BEGINS.contains(&word.to_lowercase().as_str()))
}

/// None where a word of it is not understood.
pub(super) fn read(project: &Understanding, typed: &str) -> Option<Vec<Command>> {
    let names = Names::of(project);
    let (mut commands, mut last) = (Vec::new(), None);
    // "Some never run out, so please leave the date empty": why it is to be so is no part of it.
    let typed =
        typed.split_once(", so ").filter(|(why, asked)| !asked.starts_with("that ") && !asks(why)).map_or(typed, |(_, asked)| asked);
    for clause in clauses(&names.marked(typed)) {
        let (said, thing) = clause_of(&names, &clause, last)?;
        commands.push(said);
        last = Some(thing);
    }
    (!commands.is_empty()).then_some(commands)
}

/// What it asks for, and of which thing.
fn clause_of(names: &Names<'_>, clause: &str, last: Option<usize>) -> Option<(Command, usize)> {
    // "the hire date of the employee", whom holidays belong to
    let thing_of = |c: char| {
        let (one, n) = names.field(c)?;
        let path = names.project.resources[one].fields[n].references.as_ref()?;
        names.project.resources.iter().position(|to| to.path == *path).and_then(|to| Some(mark(THING, u32::try_from(to).ok()?)))
    };
    let clause: String = clause.chars().map(|c| thing_of(c).unwrap_or(c)).collect();
    let marks = |from: u32, to: u32| clause.chars().filter(|c| (from..to).contains(&u32::from(*c))).collect::<Vec<_>>();
    let (fields, things) = (marks(FIELD, THING), marks(THING, VALUE));
    if let ([field], [] | [_]) = (fields.as_slice(), things.as_slice()) {
        let place = names.field(*field)?;
        let same = things.first().is_none_or(|thing| names.thing_of(*thing) == Some(place.0));
        let rest = names.plain(&clause.chars().filter(|c| c != field && !things.contains(c)).collect::<String>());
        let flag = names.project.resources[place.0].fields[place.1].field_type == FieldType::Boolean;
        // "coupons should be active by default"
        let on = || (flag && rest.trim_end().ends_with("by default")).then(|| rest.replace("by default", "on by default"));
        let said =
            on().and_then(|rest| grammar::qualities(&rest, NEUTRAL)).or_else(|| grammar::qualities(&rest, NEUTRAL)).filter(|_| same)?;
        return Some((Command::Be(place, said), place.0));
    }
    let one = match things.as_slice() {
        [one] => names.thing_of(*one)?,
        [] => last.or((names.project.resources.len() == 1).then_some(0))?,
        _ => return None,
    };
    // "give employees a phone", "a hire date of the employee", "holidays need a flag"
    let thing: String = things.iter().collect();
    let text = [" to ", " of ", " for ", " on ", " in "].iter().fold(clause.clone(), |text, of| text.replace(&format!("{of}{thing}"), ""));
    let text = if things.is_empty() { clause.clone() } else { text.replace(&format!("{thing}'s"), " ").replace(&thing, " ") };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = LEADS.as_ref().map_or(text.clone(), |leads| leads.replace(&text, "").into_owned());
    let resource = &names.project.resources[one];
    let introduced = text.len() < clause.len();
    let known = fields.is_empty() && introduced;
    Some((Command::Get(one, grammar::fields(&text, &resource.singular).filter(|_| known)?), one))
}
