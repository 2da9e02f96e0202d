//! What has many of each other, where a sentence says so of both: a thing between them belongs to both.

use regex::Regex;

use super::{describe, fields, resources};
use crate::{Field, FieldType, Resource, Understanding};

const MANY: &str = "(?:many|several|multiple|more than one|one or more|any number of|lots of|a number of|different)";

/// Adds those that were not read as links.
pub(super) fn complete(read: &mut Understanding, sentence: &str) {
    for (one, other) in both_ways(&read.resources, sentence) {
        let (a, b) = (read.resources[one].clone(), read.resources[other].clone());
        let to = |of: &Resource, path: &str| of.fields.iter().any(|field| field.references.as_deref() == Some(path));
        if read.resources.iter().any(|link| to(link, &a.path) && to(link, &b.path)) {
            continue;
        }
        let Ok(mut link) = resources::resource(&format!("{} {}", a.singular, b.plural)) else { continue };
        // What was taken for one's belonging to the other.
        read.resources[one].fields.retain(|field| field.references.as_ref() != Some(&b.path));
        read.resources[other].fields.retain(|field| field.references.as_ref() != Some(&a.path));
        if read.resources[one].fields.is_empty() || read.resources[other].fields.is_empty() {
            (read.resources[one], read.resources[other]) = (a, b);
            continue;
        }
        link.fields = [&a, &b].map(reference).to_vec();
        read.assumed
            .retain(|said| !said.contains(&format!("{} belongs to", a.singular)) && !said.contains(&format!("{} belongs to", b.singular)));
        read.assumed.push(describe::links(&a, &b, &link));
        read.resources.push(link);
    }
}

fn reference(to: &Resource) -> Field {
    Field { field_type: FieldType::Reference, references: Some(to.path.clone()), ..fields::text(&to.identifier, true) }
}

/// "A piece can be sung in many concerts, and a concert has many pieces", "a talk can have several speakers and a speaker several talks".
fn both_ways(resources: &[Resource], sentence: &str) -> Vec<(usize, usize)> {
    let named = |of: &Resource| {
        let last = |name: &str| regex::escape(name.rsplit(' ').next().unwrap_or(name));
        format!("(?:{}|{})", last(&of.singular), last(&of.plural))
    };
    let many_of = |one: &Resource, other: &Resource| {
        let last = regex::escape(other.plural.rsplit(' ').next().unwrap_or(&other.plural));
        let pattern = format!(r"(?i)\b{}(?: [a-z]+){{0,4}}? {MANY} (?:of (?:the|these|our) )?(?:[a-z]+ )?{last}\b", named(one));
        Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(sentence))
    };
    // "Shift volunteers" link shifts and volunteers already.
    let linking = |of: &Resource| of.fields.iter().filter(|field| field.references.is_some()).count() > 1;
    let ends = |one: usize| (one + 1..resources.len()).filter(move |other| !linking(&resources[one]) && !linking(&resources[*other]));
    let pairs = (0..resources.len()).flat_map(|one| ends(one).map(move |other| (one, other)));
    pairs.filter(|(one, other)| many_of(&resources[*one], &resources[*other]) && many_of(&resources[*other], &resources[*one])).collect()
}

#[cfg(test)]
mod tests {
    use crate::understand;

    #[test]
    fn what_has_many_of_each_other_is_linked_however_it_is_said() {
        for sentence in [
            "A web app for pieces with a title and concerts with a date. One piece can be sung in many concerts, and a concert has many pieces.",
            "REST API. Talks: title, language. Speakers: name, bio. A talk can have several speakers and a speaker several talks.",
            "Shows have a title. Hosts have a name. A REST API; a show can have several hosts and a host can present several shows.",
        ] {
            let read = understand(sentence).unwrap();
            let [one, other, link] = read.resources.as_slice() else { panic!("{sentence}: {:?}", read.resources) };
            assert!(one.fields.iter().chain(&other.fields).all(|field| field.references.is_none()), "{sentence}: {:?}", read.resources);
            let ends: Vec<_> = link.fields.iter().filter_map(|field| field.references.clone()).collect();
            assert!(ends.contains(&one.path) && ends.contains(&other.path), "{sentence}: {ends:?}");
        }
        let one_way = understand("A REST API: a shop has a name and many products. Products have a name and a price.").unwrap();
        assert_eq!(one_way.resources.len(), 2);
    }
}
