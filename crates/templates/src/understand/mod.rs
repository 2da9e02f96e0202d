//! From a sentence to an [`Understanding`], or a [`Refusal`] that says why not.

mod blocks;
mod constraints;
mod fields;
mod scope;
mod words;

use crate::{Field, FieldType, Kind, Resource, Understanding};

/// Why a sentence is not built, and what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{reason}. The template engine builds a REST API for one kind of thing with fields, such as \
     \"Build a REST API for todos with a title, a done flag and a due date\". Anything else needs a model, \
     which this version cannot use yet: the worker will take the URL of an OpenAI-compatible endpoint as `agents.model`"
)]
pub struct Refusal {
    pub reason: String,
}

fn refuse<T>(reason: impl Into<String>) -> Result<T, Refusal> {
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
    let (sentence, blocks) = blocks::take(&sentence);
    scope::check(&sentence)?;
    let parts = scope::split(&sentence)?;
    let resource = resource(&parts.resource)?;
    let mut assumed = Vec::new();
    let mut parsed = fields::parse(&parts.fields, &mut assumed)?;
    fields::check_excluded(&parsed.fields, &parts.without)?;
    if parsed.fields.is_empty() {
        assumed.push("No fields were named: each gets a name".to_owned());
        parsed.fields.push(fields::text("name", true));
    }
    require_one(&mut parsed.fields, &parsed.said_required, &mut assumed);
    assumed.push("Each has an id, and the times it was created and last changed, set by the server".to_owned());
    if blocks.contains(&crate::Block::Search) && !parsed.fields.iter().any(|field| field.field_type.is_text()) {
        return refuse("It asks for search, and no field is a text");
    }
    assumed.push("Data is kept in SQLite; no login is needed".to_owned());
    let mut not_understood = parts.rest;
    not_understood.extend(parsed.not_understood);
    Ok(Understanding {
        kind: Kind::RestApi,
        template: "rest-api".to_owned(),
        resource,
        fields: parsed.fields,
        blocks,
        assumed,
        not_understood,
    })
}

/// When nothing was said about it, the first text field must be given and the others may be.
fn require_one(fields: &mut [Field], said: &[String], assumed: &mut Vec<String>) {
    if fields.iter().any(|f| f.required) {
        return;
    }
    let first = fields.iter_mut().find(|f| f.field_type == FieldType::Text && !said.contains(&f.name));
    if let Some(field) = first {
        field.required = true;
        assumed.push(format!("{} is required, the other fields are optional", field.name));
    } else if said.is_empty() {
        assumed.push("All fields are optional".to_owned());
    }
}

const RESOURCE_WORDS: usize = 3;

fn resource(phrase: &str) -> Result<Resource, Refusal> {
    let words: Vec<String> = phrase.split_whitespace().map(str::to_lowercase).filter(|w| !words::is_filler(w)).collect();
    if words.is_empty() {
        return refuse("The goal does not say what the API is for");
    }
    if words.len() > RESOURCE_WORDS {
        return refuse(format!("\"{phrase}\" is not understood as the name of one kind of thing"));
    }
    if let Some(odd) = words.iter().find(|w| !words::is_plain(w)) {
        return refuse(format!("\"{odd}\" cannot be part of a name in a URL: use the letters a to z"));
    }
    let (last, before) = words.split_last().map(|(last, before)| (last.as_str(), before)).unwrap_or(("", &[]));
    let join = |last: String, with: &str| before.iter().cloned().chain([last]).collect::<Vec<_>>().join(with);
    let (singular, plural) = (words::singular(last), words::plural(&words::singular(last)));
    Ok(Resource {
        singular: join(singular.clone(), " "),
        plural: join(plural.clone(), " "),
        path: join(plural, "-").replace('_', "-"),
        identifier: join(singular, "_").replace('-', "_"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(sentence: &str) -> String {
        match understand(sentence) {
            Ok(u) => {
                let fields: Vec<_> =
                    u.fields.iter().map(|f| format!("{}{}:{:?}", f.name, if f.required { "!" } else { "" }, f.field_type)).collect();
                format!("{} [{}]", u.resource.path, fields.join(" "))
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
            ("Build a web app for todos with a title", "web app"),
            ("Build a REST API for todos with login", "login"),
            ("Build a REST API for todos with a title and file uploads", "file upload"),
            ("Build a REST API for books and authors with a name", "several kinds of thing"),
            ("Build a REST API for orders, each order belongs to a customer", "belongs to"),
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
        ] {
            assert!(shown(sentence).contains("contradict"), "{sentence}: {}", shown(sentence));
        }
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
        let names: Vec<_> = u.fields.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["class", "from_date"]);
        assert!(u.assumed.iter().any(|a| a.contains("id")));
    }

    proptest! {
        #[test]
        fn no_sentence_breaks_it(sentence in "\\PC{0,300}") {
            if let Ok(u) = understand(&sentence) {
                prop_assert!(!u.fields.is_empty());
            }
        }

        #[test]
        fn names_are_always_identifiers(words in "[a-zA-Z' ,.()-]{0,60}") {
            if let Ok(u) = understand(&format!("Build a REST API for things with {words}")) {
                for field in &u.fields {
                    prop_assert!(words::is_plain(&field.name.replace('_', "")), "{:?}", field.name);
                    prop_assert!(!field.name.starts_with(|c: char| c.is_ascii_digit() || c == '_'));
                }
            }
        }
    }
}
