//! What belongs to what, by which things a clause names, in which number, and what stands between them: the verb matters little.

use std::ops::Range;

use super::items::is_in;
use super::tokens::{Token, line};
use crate::understand::words;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Relation {
    pub(super) of: usize,
    pub(super) to: usize,
    pub(super) optional: bool,
}

#[derive(Default)]
pub(super) struct Relations {
    pub(super) belong: Vec<Relation>,
    /// The one has many of the other.
    pub(super) many: Vec<(usize, usize)>,
    /// Those that belong to one of their own.
    pub(super) selves: Vec<usize>,
}

/// Before what a clause speaks of.
const LEAD: &str = "and where each every a an the one , that any all but while also plus";
const BOTH: &[&str] = &["vice versa", "other way round", "other way around", "many-to-many", "many to many", "and back"];
const MAYBE: &[&str] =
    &["at most one", "although some", "though some", "but some", "some of them have no", "vacant", "if any", "not every"];

/// A thing where it is named.
struct Mention {
    thing: usize,
    from: usize,
    to: usize,
    plural: bool,
}

const MANY: &str = "many several multiple more lots any various some different zero two";
const PREPOSITIONS: &str = "by to in at on for of with from into under about within inside per against between through via concerning";
/// Verbs of what has or makes others.
const OWNING: &str = "has have own owns contain contains make makes place places write writes post posts create creates submit submits publish publishes \
    leave leaves receive receives include includes hold holds get gets consists consist with offer offers run runs comprises can \
    upload uploads add adds send sends file files report reports keeps record log";

pub(super) struct Things<'a> {
    pub(super) names: &'a [String],
    pub(super) tokens: &'a [Token],
}

impl Things<'_> {
    /// The thing that is named there, and how many words that takes.
    fn at(&self, at: usize) -> Option<(usize, usize)> {
        let word = |n: usize| self.tokens.get(n).map(|token| words::singular(&token.lower)).unwrap_or_default();
        let whole = |name: &String| {
            let parts: Vec<&str> = name.split(' ').collect();
            parts.iter().enumerate().all(|(n, part)| word(at + n) == words::singular(part)).then_some(parts.len())
        };
        let longest = self.names.iter().enumerate().filter_map(|(n, name)| Some((n, whole(name)?))).max_by_key(|(_, length)| *length);
        longest.or_else(|| {
            // "a class", of yoga classes
            let ends = |name: &&String| name.rsplit_once(' ').is_some_and(|(_, last)| last == word(at));
            let mut ending = self.names.iter().enumerate().filter(|(_, name)| ends(name));
            let (n, _) = ending.next()?;
            ending.next().is_none().then_some((n, 1))
        })
    }

    fn mentions(&self, range: Range<usize>) -> Vec<Mention> {
        let (mut mentions, mut at) = (Vec::new(), range.start);
        while at < range.end {
            match self.at(at).filter(|(_, length)| at + length <= range.end) {
                Some((thing, length)) => {
                    let plural = words::is_many(&self.tokens[at + length - 1].lower);
                    mentions.push(Mention { thing, from: at, to: at + length, plural });
                    at += length;
                }
                None => at += 1,
            }
        }
        mentions
    }

    /// Each where it is named first.
    pub(super) fn in_order(&self) -> Vec<usize> {
        let mut named: Vec<usize> = Vec::new();
        for mention in self.mentions(0..self.tokens.len()) {
            if !named.contains(&mention.thing) {
                named.push(mention.thing);
            }
        }
        named
    }

    /// Which are named there, each once.
    pub(super) fn named(&self, range: Range<usize>) -> Vec<usize> {
        let mut named: Vec<usize> = self.mentions(range).into_iter().map(|mention| mention.thing).collect();
        named.sort_unstable();
        named.dedup();
        named
    }

    /// The only thing that an item names: "its room", "the rooms"; and whether many.
    pub(super) fn only(&self, range: Range<usize>) -> Option<(usize, bool)> {
        let mentions = self.mentions(range.clone());
        // "team: team"
        let one = mentions.last().filter(|last| mentions.iter().all(|one| one.thing == last.thing))?;
        let rest = (range.start..range.end).filter(|n| !mentions.iter().any(|one| (one.from..one.to).contains(n)));
        let bare = rest.into_iter().all(|n| {
            self.tokens[n].among("a an the its their one which each exactly of reference to id link list many several optional optionally single assigned any number and or more , some related corresponding it belongs is for fk foreign key : ")
        });
        let many =
            one.plural && (range.start..one.from).any(|n| self.tokens[n].among("many several list multiple any more their its some"));
        (bare && (many || !one.plural)).then_some((one.thing, many))
    }

    /// "home team", "away team", where teams are kept.
    pub(super) fn role(&self, words: &[String]) -> Option<usize> {
        const ROLES: &str = "home away first second winning losing source target origin destination sending receiving previous next old new main \
            assigned responsible departure arrival white black red blue";
        let [role, name] = words else { return None };
        self.names.iter().position(|known| known == name).filter(|_| is_in(ROLES, role))
    }

    /// Where the last of them is named.
    pub(super) fn ends(&self, range: Range<usize>) -> usize {
        self.mentions(range.clone()).last().map_or(range.end, |last| last.to)
    }

    /// Reads a clause. `subject`: of what it speaks where it names none. Whether all that it names is related.
    pub(super) fn read(&self, range: Range<usize>, subject: Option<usize>, found: &mut Relations) -> bool {
        let mentions = self.mentions(range.clone());
        if any(&self.tokens[range.clone()], "not never no cannot can't doesn't don't isn't aren't neither nor without") {
            return false;
        }
        let said = line(&self.tokens[range.clone()]);
        // "assign each job to one of them"
        let to_one = ["to one of them", "to one of these", "to one of those", "by one of them", "with one of them"];
        if let ([one], Some(subject)) = (mentions.as_slice(), subject)
            && one.thing != subject
            && to_one.iter().any(|to_one| said.trim_end().ends_with(to_one))
        {
            return found.relate(one.thing, subject, false);
        }
        let lead = self.tokens[range.clone()].iter().take_while(|token| token.among(LEAD)).count();
        // "for each bike the repairs"
        // "which instrument went to which student" of a loan
        let asks = self.tokens[range.clone()].first().is_some_and(|token| token.is(&["which", "what"])) && subject.is_some();
        let begins = mentions.first().filter(|first| first.from <= range.start + lead && !asks);
        let rest = &mentions[usize::from(begins.is_some())..];
        let (mut current, mut from) = begins.map_or((subject, range.start), |first| (Some(first.thing), first.to));
        // "for each parcel there is a history of scans"
        let each =
            self.tokens[range.start].among("for per") && self.tokens.get(range.start + 1).is_some_and(|next| next.among("each every"));
        let of_other = mentions.first().is_some_and(|first| self.tokens.get(first.to).is_some_and(|next| next.lower == "of"));
        if let ([holder, others @ ..], true) = (mentions.as_slice(), each && !of_other) {
            let others = others.iter().filter(|other| other.thing != holder.thing);
            // Each of them is related, whatever becomes of the others.
            let related: Vec<bool> = others.map(|other| found.relate(other.thing, holder.thing, false)).collect();
            return !related.is_empty() && related.into_iter().all(|related| related);
        }
        let mut read = !rest.is_empty();
        let both = BOTH.iter().any(|both| said.contains(both));
        let vague = MAYBE.iter().any(|maybe| said.contains(maybe));
        // "many members go to many classes"
        if let ([one, other], false) = (mentions.as_slice(), each) {
            let many = |mention: &Mention| mention.from > range.start && self.tokens[mention.from - 1].among("many several");
            if many(one) && many(other) && one.thing != other.thing {
                found.many.extend([(one.thing, other.thing), (other.thing, one.thing)]);
                return true;
            }
        }
        for (n, mention) in rest.iter().enumerate() {
            let between = &self.tokens[from..mention.from];
            from = mention.to;
            let next = rest.get(n + 1).map(|next| &self.tokens[mention.to..next.from]);
            let Some(of) = current.filter(|of| *of == mention.thing || !next.is_some_and(|behind| speaks_of_next(between, behind))) else {
                current = Some(mention.thing);
                continue;
            };
            if of == mention.thing {
                let own = any(between, "belongs belong") && !found.selves.contains(&of);
                found.selves.extend(own.then_some(of));
            } else if rest[..n].iter().any(|before| before.thing == mention.thing) && !both {
                // "a stall goes to one seller, some sellers take two"
            } else if both {
                found.many.extend([(of, mention.thing), (mention.thing, of)]);
            } else if mention.plural && between.iter().all(|token| token.among("and , plus the & or also")) {
                // "rooms and guests" are named side by side.
                current = Some(mention.thing);
            } else {
                read &= found.say(of, mention, between, vague);
            }
        }
        read
    }
}

fn any(tokens: &[Token], words: &str) -> bool {
    tokens.iter().any(|token| token.among(words))
}

/// "…, and a speaker has several talks"
fn speaks_of_next(before: &[Token], behind: &[Token]) -> bool {
    before.iter().rev().take(3).any(|token| token.among("and , while whereas but"))
        && any(behind, "has have can may belongs belong is are many several must multiple needs")
        && behind.first().is_some_and(|token| !token.among("and ,"))
}

impl Relations {
    /// The one thing and the other, with what stands between them. Whether that relates them.
    fn say(&mut self, of: usize, to: &Mention, between: &[Token], vague: bool) -> bool {
        let counted = between.iter().rev().take(4).any(|token| token.among(MANY));
        let own = between.last().is_some_and(|token| token.among("its their all"));
        let maybe = vague || any(between, "may optionally optional can could zero");
        let last =
            between.iter().rev().find(|token| !token.among("a an the one each every its their exactly single our some different only"));
        let prepositional = last.is_some_and(|token| token.among(PREPOSITIONS));
        if counted || (to.plural && own) {
            self.many.push((of, to.thing));
            // "is given by several speakers", who give many
            if counted && prepositional && any(between, "by in to on at") && !any(between, "has have") {
                self.many.push((to.thing, of));
            }
        } else if prepositional || (!to.plural && !between.is_empty()) {
            // "repairs of each bike", "a delivery goes to one family"
            return self.relate(of, to.thing, maybe && prepositional);
        } else if any(between, OWNING) {
            self.many.push((of, to.thing));
        } else {
            return false;
        }
        true
    }

    /// False where that is the other way round already.
    pub(super) fn relate(&mut self, of: usize, to: usize, optional: bool) -> bool {
        let known = self.belong.iter().any(|one| one.of == of && one.to == to);
        let back = self.belong.iter().any(|one| one.of == to && one.to == of);
        if of != to && !known && !back {
            self.belong.push(Relation { of, to, optional });
        }
        !back
    }

    /// Each of what something has many of belongs to it, unless it has many of that too: these are linked.
    pub(super) fn linked(&mut self) -> Vec<(usize, usize)> {
        let mut links: Vec<(usize, usize)> = Vec::new();
        let all = std::mem::take(&mut self.many);
        for (of, other) in all.iter().copied() {
            let back = all.contains(&(other, of));
            let said = self.belong.iter().any(|one| one.of == of && one.to == other);
            if links.contains(&(of, other)) || links.contains(&(other, of)) {
                continue;
            }
            if back || said {
                self.belong.retain(|one| ![(of, other), (other, of)].contains(&(one.of, one.to)));
                links.push((of, other));
            } else {
                self.relate(other, of, false);
            }
        }
        links
    }
}
