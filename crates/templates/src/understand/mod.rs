//! From a sentence to an [`Understanding`], or a [`Refusal`] that says why not.

pub(crate) mod blocks;
pub(crate) mod constraints;
pub(crate) mod fields;
mod kinds;
mod plan;
pub(crate) mod resources;
pub(crate) mod scope;
mod words;

use crate::migrations;
use crate::render::is_template_name;
use crate::{Block, Field, FieldType, Format, Kind, Resource, Understanding};
use resources::Read;

/// Why a sentence is not built, and what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason}. The template engine builds REST APIs, web apps, mobile backends, data pipelines and microservices for kinds of thing with \
     fields, such as \"Build a REST API for todos with a title, a done flag and a due date\". Anything else needs a model, \
     which this version cannot use yet: the worker will take the URL of an OpenAI-compatible endpoint as `agents.model`"
)]
pub struct Refusal {
    pub reason: String,
}

pub(crate) fn refuse<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { reason: reason.into() })
}

const LONGEST: usize = 2_000;

/// Reads one sentence.
///
/// # Errors
/// It asks for something the templates do not build, contradicts itself, or is not understood.
pub fn understand(sentence: &str) -> Result<Understanding, Refusal> {
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    if sentence.is_empty() {
        return refuse("The goal is empty");
    }
    if sentence.chars().count() > LONGEST {
        return refuse(format!("The goal is longer than {LONGEST} characters"));
    }
    let (sentence, template) = template(politely(&sentence));
    let (sentence, kind) = kinds::take(sentence)?;
    let (sentence, blocks) = blocks::take(&sentence, kind);
    scope::check(&sentence, kind)?;
    let (sentence, plan) = if kind == Kind::DataPipeline { plan::take(&sentence) } else { (sentence, plan::Plan::default()) };
    let read = resources::read(&sentence)?;
    let (mut assumed, mut not_understood) = (Vec::new(), read.rest.clone());
    let resources = describe(&read, &mut assumed, &mut not_understood)?;
    if blocks.contains(&Block::Search) && !resources.iter().flat_map(|r| &r.fields).any(|field| field.field_type.is_text()) {
        return refuse("It asks for search, and no field is a text");
    }
    if kind == Kind::DataPipeline
        && let Some(block) = blocks.iter().find(|block| !matches!(block, Block::Search | Block::Pagination))
    {
        return refuse(format!("It asks for {block}, which data pipelines do not have"));
    }
    if let Some(template) = template {
        assumed.push(format!("It is built from the template {template}"));
    }
    assumed.push("Each has an id, and the times it was created and last changed, set by the server".to_owned());
    assumed.extend(of_kind(kind, &blocks, &plan).into_iter().map(str::to_owned));
    let every_s = (kind == Kind::DataPipeline).then(|| plan.every_s.unwrap_or(HOUR_S));
    let formats = match plan.formats {
        formats if kind == Kind::DataPipeline && formats.is_empty() => vec![Format::Csv, Format::Json],
        formats => formats,
    };
    let mut understanding = Understanding {
        kind,
        template: template.unwrap_or(kind.template()).to_owned(),
        title: String::new(),
        migrations: vec![migrations::create(&resources)],
        resources,
        blocks,
        every_s,
        formats,
        assumed,
        not_understood,
    };
    understanding.title = title(kind, &understanding.things());
    Ok(understanding)
}

const HOUR_S: u32 = 3_600;

fn politely(sentence: &str) -> &str {
    let mut sentence = sentence.trim_end_matches(['.', '!', ' ']);
    for polite in ["please", "thanks", "thank you"] {
        let at = sentence.len().saturating_sub(polite.len());
        if sentence.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(polite)) && sentence[..at].ends_with([' ', ',', '.']) {
            sentence = sentence[..at].trim_end_matches([',', '.', ' ']);
        }
    }
    sentence
}

/// "…, using the template flask-api"
fn template(sentence: &str) -> (&str, Option<&str>) {
    let named = sentence.rsplit_once(' ').filter(|(_, name)| is_template_name(name));
    let leads =
        ["using the template", "with the template", "from the template", "on the template", "using our template", "from our template"];
    let found = named.and_then(|(rest, name)| {
        let lead = leads.iter().find(|lead| {
            rest.len() > lead.len()
                && rest.is_char_boundary(rest.len() - lead.len())
                && rest[rest.len() - lead.len()..].eq_ignore_ascii_case(lead)
        })?;
        let before = &rest[..rest.len() - lead.len()];
        before.ends_with(' ').then(|| (before.trim_end_matches([' ', ',']), name))
    });
    found.map_or((sentence, None), |(before, name)| (before, Some(name)))
}

fn of_kind(kind: Kind, blocks: &[Block], plan: &plan::Plan) -> Vec<&'static str> {
    let mut assumed = Vec::new();
    let login = blocks.contains(&Block::Authentication) || kind == Kind::MobileBackend;
    assumed.push(if login {
        "Data is kept in SQLite; everybody signs up with an e-mail address and sees only their own"
    } else {
        "Data is kept in SQLite; no login is needed"
    });
    match kind {
        Kind::WebApp => assumed.push("Pages are rendered by the server; programs have the same under /api"),
        Kind::MobileBackend => {
            assumed.push("Devices sign in for a token, fetch what changed since they last asked, and send what they did offline")
        }
        Kind::DataPipeline => {
            assumed.push("Files are put into the inbox, by HTTP or as files; what is wrong is kept with the reason");
            if plan.every_s.is_none() {
                assumed.push("It runs every hour");
            }
            if plan.formats.is_empty() {
                assumed.push("It reads CSV and JSON");
            }
        }
        Kind::Microservice => assumed.push("It has probes, metrics and traces, and stops gracefully"),
        Kind::RestApi => {}
    }
    assumed
}

/// `Products and warehouses API`
fn title(kind: Kind, things: &str) -> String {
    let mut letters = things.chars();
    let capitalised = letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default();
    match kind {
        Kind::RestApi => format!("{capitalised} API"),
        Kind::WebApp => capitalised,
        Kind::MobileBackend => format!("{capitalised} backend"),
        Kind::DataPipeline => format!("{capitalised} pipeline"),
        Kind::Microservice => format!("{capitalised} service"),
    }
}

/// These resources with what one more clause says of them, and what is assumed.
pub(crate) fn of_existing(resources: &[Resource], clause: &str) -> Result<(Vec<Resource>, Vec<String>), Refusal> {
    let read = Read::existing(resources, clause)?;
    let (mut assumed, mut not_understood) = (Vec::new(), Vec::new());
    let described = describe(&read, &mut assumed, &mut not_understood)?;
    if let Some(part) = not_understood.first() {
        return refuse(format!("\"{part}\" is not understood"));
    }
    Ok((described, assumed))
}

/// Whether it can be a field's.
pub(crate) fn is_name(name: &str) -> bool {
    words::is_plain(name) && !name.contains('-')
}

/// The resources with their fields, and what each belongs to.
fn describe(read: &Read, assumed: &mut Vec<String>, not_understood: &mut Vec<String>) -> Result<Vec<Resource>, Refusal> {
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
            if parsed.fields.is_empty() {
                said.push("No fields were named: each gets a name".to_owned());
                parsed.fields.push(fields::text("name", true));
            }
            require_one(&mut parsed.fields, &parsed.said_required, &mut said);
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
    for resource in &mut resources {
        // What has nothing but what it belongs to has a name.
        if resource.fields.iter().all(|field| field.field_type == FieldType::Reference) {
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
        if resources[one].field(&name).is_none() {
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
fn require_one(fields: &mut [Field], said: &[String], assumed: &mut Vec<String>) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(sentence: &str) -> String {
        match understand(sentence) {
            Ok(u) => {
                let field = |f: &Field| format!("{}{}:{:?}", f.name, if f.required { "!" } else { "" }, f.field_type);
                let one = |r: &Resource| format!("{} [{}]", r.path, r.fields.iter().map(field).collect::<Vec<_>>().join(" "));
                u.resources.iter().map(one).collect::<Vec<_>>().join(", ")
            }
            Err(refusal) => format!("refused: {}", refusal.reason),
        }
    }

    fn check(sentence: &str, expected: &str) {
        assert_eq!(shown(sentence), expected, "{sentence}");
    }

    #[test]
    fn fields_and_types_are_read_from_the_sentence() {
        check("Build a REST API for todos with a title, a done flag and a due date", "todos [title!:Text done:Boolean due_date:Date]");
        check(
            "I want an API to manage books with title, author, isbn, price and publication year",
            "books [title!:Text author:Text isbn:Text price:Number publication_year:Integer]",
        );
        check(
            "create a CRUD api for contacts having a name, an email and a website url",
            "contacts [name!:Text email:Email website_url:Url]",
        );
        check(
            "Make me a rest api of people where each person has a first name, last name and a birthday.",
            "people [first_name!:Text last_name:Text birthday:Date]",
        );
        check(
            "REST API for grocery items with a required name, an optional quantity and bought (boolean)",
            "grocery-items [name!:Text quantity:Integer bought:Boolean]",
        );
        check("An API that stores meetings with a start time and a location", "meetings [start_time:Datetime location!:Text]");
        check("Build a REST API for boxes", "boxes [name!:Text]");
        check("Build a REST API for films with a rating that is from 1 to 5 and is seen", "films [rating:Integer seen:Boolean]");
        // A full stop within a number ends no clause.
        check("Build a REST API for rides with a price of at least 0.5 and a note. Thanks!", "rides [price:Number note!:Text]");
    }

    #[test]
    fn what_is_beyond_the_templates_is_refused_by_name() {
        for (sentence, part) in [
            ("", "empty"),
            ("🚀🚀🚀", "not understood"),
            ("Robert'); DROP TABLE students;--", "not understood"),
            ("Improve user retention", "not understood"),
            ("Build a landing page for todos with a title", "landing page"),
            ("Build a REST API for todos with a title where users can log in", "login"),
            ("Build a REST API for books and authors with a name", "several kinds of thing"),
            ("Build a data pipeline for orders with a title, with login", "login"),
            ("Build a GraphQL API for todos", "GraphQL"),
            ("Build a REST API in Rust for todos with a title", "Rust"),
            ("Build a REST API", "what the API is for"),
            ("Build a REST API for todos with a prénom", "a to z"),
        ] {
            let refusal = understand(sentence).expect_err(sentence).to_string();
            assert!(refusal.contains(part), "{sentence}: {refusal}");
            assert!(refusal.contains("agents.model"), "{refusal}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        for sentence in [
            "Build a REST API for todos with a title but without a title",
            "Build a REST API for todos with a due (date) and a due (boolean)",
            "Build a REST API for todos with an optional required title",
            "Build a REST API for reviews with a rating from 5 to 1",
            "Build a REST API for todos with a unique status of open or closed",
            "Build a REST API for todos with a done flag from 1 to 5",
            "Build a REST API for todos with an age (integer) of low or high",
            "Build a REST API for hens and eggs. Each hen belongs to an egg. Each egg belongs to a hen",
        ] {
            assert!(shown(sentence).contains("contradict"), "{sentence}: {}", shown(sentence));
        }
    }

    /// What a reader without memory of the parser tried on it.
    #[test]
    fn nothing_is_invented() {
        for (sentence, expected) in [
            ("Build a REST API for banks with a name and accounts", "banks [name!:Text accounts:Text]"),
            ("Build a REST API for people with a name and a date of birth", "people [name!:Text date_of_birth:Date]"),
            ("Build a REST API for recipes with a title and a cooking time in minutes", "recipes [title!:Text cooking_time:Integer]"),
            ("Build a REST API for books with a title and a year published", "books [title!:Text year_published:Integer]"),
            ("Build a REST API for parcels with a code and a weight of at most 30 kg", "parcels [code!:Text weight:Number]"),
            ("Build a REST API for shoes with a brand and a number (unique)", "shoes [brand!:Text number:Integer]"),
            ("API that tracks books with a title", "books [title!:Text]"),
        ] {
            check(sentence, expected);
        }
        for (sentence, left) in [
            ("Build a REST API for todos with a title, searchable by title", "searchable by title"),
            ("Build a REST API for users with a name and an email that is not required", "an email that is not required"),
            ("Build a REST API for people with a name and an age of 18 or older", "an age of 18 or older"),
            ("Build a REST API for posts with a title and up to 5 tags", "tags"),
        ] {
            let u = understand(sentence).unwrap();
            assert_eq!((u.not_understood, u.resources[0].fields.len()), (vec![left.to_owned()], 1), "{sentence}");
        }
        for sentence in [
            "Build a REST API for notes with a text, with login so that everyone can see items",
            "Build a REST API for albums with a title and tracks, each track has a length",
            "Build a REST API for users with a name of at most 5",
            "Build a REST API for forms with a dark mode that can be on or off",
        ] {
            assert!(understand(sentence).is_err(), "{sentence}: {}", shown(sentence));
        }
    }

    #[test]
    fn what_belongs_to_what_is_a_reference() {
        check(
            "Build a REST API for products and warehouses. Each product has a name and a warehouse. Warehouses have a name",
            "products [name!:Text warehouse!:Reference], warehouses [name!:Text]",
        );
        check(
            "Build a REST API for orders, each order belongs to a customer",
            "orders [name!:Text customer!:Reference], customers [name!:Text]",
        );
        check(
            "Build a web app for categories with a name. Each category belongs to a category",
            "categories [name!:Text parent_category:Reference]",
        );
    }

    #[test]
    fn assumptions_and_leftovers_are_said() {
        let u = understand("Build a REST API for sandwiches with a name and a zing. Make it delightful.").unwrap();
        assert!(u.assumed.iter().any(|a| a.contains("zing") && a.contains("text")), "{:?}", u.assumed);
        assert_eq!(u.not_understood, ["Make it delightful"]);
    }

    #[test]
    fn reserved_names_do_not_collide() {
        let u = understand("Build a REST API for classes with an id, a class and a from date").unwrap();
        let names: Vec<_> = u.resources[0].fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["class", "from_date"]);
        assert!(u.assumed.iter().any(|a| a.contains("id")));
    }

    proptest! {
        #[test]
        fn no_sentence_breaks_it(sentence in "\\PC{0,300}") {
            if let Ok(u) = understand(&sentence) {
                prop_assert!(u.resources.iter().all(|resource| !resource.fields.is_empty()));
            }
        }

        #[test]
        fn names_are_always_identifiers(words in "[a-zA-Z' ,.()-]{0,60}") {
            if let Ok(u) = understand(&format!("Build a REST API for things with {words}")) {
                for field in u.resources.iter().flat_map(|resource| &resource.fields) {
                    prop_assert!(words::is_plain(&field.name.replace('_', "")), "{:?}", field.name);
                    prop_assert!(!field.name.starts_with(|c: char| c.is_ascii_digit() || c == '_'));
                }
            }
        }
    }
}
