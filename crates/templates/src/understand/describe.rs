//! From what is said of each kind of thing to the resources with their fields, and what each belongs to.

use super::resources::Read;
use super::{Refusal, fields, refuse};
use crate::{Field, FieldType, Kind, Resource};

const OWNER: &str = "owner";

/// Every app knows of each item whose it is, by a name that no field has.
pub(crate) fn called(field: String, identifier: &str, plural: &str, assumed: &mut Vec<String>) -> String {
    if field != OWNER {
        return field;
    }
    let name = format!("{identifier}_{OWNER}");
    assumed.push(format!("{OWNER} of {plural} is called {name}"));
    name
}

/// What is assumed of what has many of each other.
pub(super) fn links(one: &Resource, other: &Resource, link: &Resource) -> String {
    format!("Each {} has many {}, and the other way round: each {} links one of both", one.singular, other.plural, link.singular)
}

/// The resources with their fields, and what each belongs to.
pub(super) fn describe(read: &Read, assumed: &mut Vec<String>, not_understood: &mut Vec<String>) -> Result<Vec<Resource>, Refusal> {
    let several = read.resources.len() > 1;
    let mut resources: Vec<Resource> = Vec::new();
    for described in &read.resources {
        let (mut resource, mut said) = (described.resource.clone(), Vec::new());
        let mut parsed = fields::parse(&described.fields.join(", "), &mut said)?;
        fields::check_excluded(&parsed.fields, &described.without)?;
        if resource.fields.is_empty() {
            if let Some(part) = parsed.not_understood.first().filter(|_| parsed.fields.is_empty()) {
                return refuse(format!("\"{part}\" is not understood as a field of {}", resource.plural));
            }
            let links = read.relations.iter().filter(|(one, _)| *one == resources.len()).count() > 1;
            if parsed.fields.is_empty() && !links {
                said.push("No fields were named: each gets a name".to_owned());
                parsed.fields.push(fields::text("name", true));
            }
            if !parsed.fields.is_empty() {
                require_one(&mut parsed.fields, &parsed.said_required, &mut said);
            }
            let about = |assumption: String| if several { format!("{}: {assumption}", resource.plural) } else { assumption };
            assumed.extend(said.into_iter().map(about));
        } else if let Some(twice) = parsed.fields.iter().find(|field| resource.field(&field.name).is_some()) {
            // It is there already, with what it has.
            return refuse(format!("{} have a {} already", resource.plural, twice.name));
        }
        not_understood.extend(parsed.not_understood);
        resource.fields.extend(parsed.fields);
        resources.push(resource);
    }
    relate(read, &mut resources)?;
    // What was taken for a text is another kind of thing.
    for kept in resources.clone() {
        let names = [&kept.identifier, &kept.plural.replace([' ', '-'], "_")].map(|name| format!("{name} is "));
        assumed.retain(|said| {
            !names.iter().any(|name| said.split(": ").last().is_some_and(|said| said.starts_with(name))) || said.contains("required, the")
        });
    }
    for resource in &mut resources {
        let (identifier, plural) = (resource.identifier.clone(), resource.plural.clone());
        for field in &mut resource.fields {
            field.name = called(std::mem::take(&mut field.name), &identifier, &plural, assumed);
        }
        // What has nothing but what it belongs to has a name, unless it links several.
        if resource.fields.len() < 2 && resource.fields.iter().all(|field| field.field_type == FieldType::Reference) {
            resource.fields.insert(0, fields::text("name", true));
        }
    }
    Ok(resources)
}

/// What belongs to what is a reference, whether that is said in so many words or the one is named as a field of the other.
fn relate(read: &Read, resources: &mut [Resource]) -> Result<(), Refusal> {
    let mut relations = read.relations.clone();
    let mut optional: Vec<(usize, usize)> = Vec::new();
    let pairs: Vec<(usize, usize)> =
        (0..resources.len()).flat_map(|one| (0..resources.len()).map(move |to| (one, to))).filter(|(one, to)| one != to).collect();
    for (one, to) in pairs {
        let (name, names) = (resources[to].identifier.clone(), resources[to].plural.replace([' ', '-'], "_"));
        let says = |f: &Field| f.references.is_none() && (f.unique || !f.choices.is_empty() || f.least.is_some() || f.most.is_some());
        if let Some(field) = resources[one].fields.iter().find(|f| (f.name == name || f.name == names) && says(f)) {
            let (name, plural) = (&field.name, &resources[one].plural);
            return refuse(format!("What is said of {name} of {plural} is not understood: it is another kind of thing"));
        }
        if read.resources[one].fields.iter().any(|text| text.contains(&format!("optional {}", resources[to].singular))) {
            optional.push((one, to));
        }
        // "a product has a name and a warehouse", where warehouses are kept too.
        for (named, relation) in [(name, (one, to)), (names, (to, one))] {
            let before = resources[one].fields.len();
            resources[one].fields.retain(|field| field.name != named || field.references.is_some());
            if resources[one].fields.len() < before && !relations.contains(&relation) {
                relations.push(relation);
            }
        }
        let path = resources[to].path.clone();
        if resources[one].fields.iter().any(|field| field.references.as_ref() == Some(&path)) && !relations.contains(&(one, to)) {
            relations.push((one, to));
        }
    }
    if let Some(one) = (0..resources.len()).find(|one| leads_back(*one, *one, &relations, &mut Vec::new())) {
        let singular = &resources[one].singular;
        return refuse(format!("The goal contradicts itself: no {singular} could be the first, for it belongs to what belongs to it"));
    }
    for (one, to) in relations {
        let (path, name, own) = (resources[to].path.clone(), resources[to].identifier.clone(), one == to);
        let name = if own { format!("parent_{name}") } else { name };
        if !resources[one].fields.iter().any(|field| field.references.as_ref() == Some(&path)) {
            let required = !own && !optional.contains(&(one, to));
            let reference = Field { field_type: FieldType::Reference, references: Some(path), ..fields::text(&name, required) };
            resources[one].fields.push(reference);
        }
    }
    Ok(())
}

fn leads_back(from: usize, to: usize, relations: &[(usize, usize)], seen: &mut Vec<usize>) -> bool {
    let next = relations.iter().filter(|(one, other)| *one == from && one != other).map(|(_, other)| *other);
    next.into_iter().any(|next| {
        next == to
            || (!seen.contains(&next) && {
                seen.push(next);
                leads_back(next, to, relations, seen)
            })
    })
}

/// When nothing was said about it, the first text field that may hold anything must be given and the others may be.
pub(super) fn require_one(fields: &mut [Field], said: &[String], assumed: &mut Vec<String>) {
    if fields.iter().any(|f| f.required) {
        return;
    }
    let open = |f: &Field| f.field_type == FieldType::Text && !said.contains(&f.name);
    let first = fields.iter().position(|f| open(f) && f.choices.is_empty()).or_else(|| fields.iter().position(open));
    if let Some(field) = first.map(|at| &mut fields[at]) {
        field.required = true;
        assumed.push(format!("{} is required, the other fields are optional", field.name));
    } else if said.is_empty() {
        assumed.push("All fields are optional".to_owned());
    }
}

/// Takes out what is a file of each. Whether there was one.
pub(crate) fn take_files(kind: Kind, plural: &str, of: &mut Vec<Field>, assumed: &mut Vec<String>) -> bool {
    let files = of.extract_if(.., |field| kind != Kind::DataPipeline && fields::is_file(field));
    let files: Vec<String> = files.map(|file| format!("{} of {plural} is a file: it is uploaded to each of them", file.name)).collect();
    assumed.extend_from_slice(&files);
    !files.is_empty()
}
