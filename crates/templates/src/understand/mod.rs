//! From a sentence to an [`Understanding`], or a [`Refusal`] that says why not.

pub(crate) mod account;
pub(crate) mod asides;
pub(crate) mod blocks;
mod clauses;
pub(crate) mod constraints;
mod describe;
pub(crate) mod field_type;
pub(crate) mod fields;
pub(crate) mod grammar;
mod items;
mod kinds;
mod links;
pub(crate) mod phrasing;
pub(crate) mod plan;
mod readings;
pub(crate) mod resources;
pub(crate) mod scope;
mod sections;
pub(crate) mod words;

use crate::render::is_template_name;
use crate::{Block, Format, Kind, Resource, Understanding};
use crate::{migrations, modify};
use describe::describe;
pub(crate) use describe::{called, take_files};
use kinds::UNNAMED;
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
    readings::best(&whole(sentence)?)
}

/// One reading of it, and whether it names its kind.
pub(crate) fn read(sentence: &str) -> Result<(Understanding, bool), Refusal> {
    let sentence = whole(sentence)?;
    read_as(&sentence, &sentence)
}

/// With single blanks.
fn whole(sentence: &str) -> Result<String, Refusal> {
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    if sentence.is_empty() {
        return refuse("The goal is empty");
    }
    if sentence.chars().count() > LONGEST {
        return refuse(format!("The goal is longer than {LONGEST} characters"));
    }
    Ok(sentence)
}

/// What it says, said as in `sentence`.
fn read_as(sentence: &str, said_at_first: &str) -> Result<(Understanding, bool), Refusal> {
    let (sentence, template) = template(politely(sentence));
    let (sentence, fastapi) = phrasing::fastapi(sentence);
    let (sentence, said, left) = phrasing::plain(&sentence);
    let kinds::Asked { sentence, mut kind, whole } = kinds::take(&sentence)?;
    // It is for programs, so nobody asks for pages.
    let named = fastapi || whole.is_none();
    if fastapi && whole.is_some() {
        kind = Kind::RestApi;
    }
    if fastapi && kind != Kind::RestApi {
        return refuse(format!("It asks for FastAPI, in which REST APIs are built and no {kind}"));
    }
    let template = template.or(fastapi.then_some(FASTAPI));
    let (sentence, mut blocks) = blocks::take(&sentence, kind);
    for block in said {
        if !blocks.contains(&block) {
            blocks.push(block);
        }
    }
    scope::check(&sentence, kind)?;
    let (sentence, plan) = if kind == Kind::DataPipeline { plan::take(&sentence) } else { (sentence, plan::Plan::default()) };
    let read = resources::read(&sentence, whole)?;
    let (mut assumed, mut left) = (Vec::new(), [read.rest.clone(), left].concat());
    let resources = describe(&read, &mut assumed, &mut left)?;
    let understanding =
        completed(said_at_first, Said { kind, named, template, resources, blocks, plan, assumed, left, related: String::new() })?;
    // Something is to be kept, and not a word of what it has was understood.
    let nothing =
        understanding.assumed.iter().filter(|said| said.contains("No fields were named")).count() == understanding.resources.len();
    if let Some(part) = understanding.not_understood.iter().find(|part| nothing && (part.contains(',') || part.split(' ').count() > 6)) {
        return refuse(format!("What {} have is not understood: \"{part}\"", understanding.things()));
    }
    Ok((understanding, named))
}

/// What was read of a goal.
struct Said<'a> {
    kind: Kind,
    /// It names its kind.
    named: bool,
    template: Option<&'a str>,
    resources: Vec<Resource>,
    blocks: Vec<Block>,
    plan: plan::Plan,
    assumed: Vec<String>,
    left: Vec<String>,
    /// What relates them, as it was said.
    related: String,
}

/// With what goes without saying.
fn completed(sentence: &str, said: Said<'_>) -> Result<Understanding, Refusal> {
    let Said { kind, named, template, mut resources, mut blocks, plan, mut assumed, left, related } = said;
    // "recipes with a title and a photo"
    let kept = resources.iter_mut().filter(|resource| !resource.fields.iter().all(fields::is_file));
    let files =
        kept.map(|resource| take_files(kind, &resource.plural, &mut resource.fields, &mut assumed)).fold(false, |any, one| any | one);
    blocks.extend((files && !blocks.contains(&Block::FileUpload)).then_some(Block::FileUpload));
    if blocks.contains(&Block::Search) && !resources.iter().flat_map(|r| &r.fields).any(|field| field.field_type.is_text()) {
        return refuse("It asks for search, and no field is a text");
    }
    if !named {
        assumed.push(format!("It names no kind of project: it is built as a {kind}, with the same for programs under /api"));
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
    let mut understanding = say_more(Understanding {
        kind,
        template: template.unwrap_or(kind.template()).to_owned(),
        title: String::new(),
        migrations: Vec::new(),
        resources,
        blocks,
        every_s,
        formats,
        assumed,
        not_understood: left,
    })?;
    understanding.migrations = vec![migrations::create(&understanding.resources)];
    understanding.title = title(kind, &understanding.things());
    fits(&understanding)?;
    list_lost(sentence, &related, &mut understanding);
    Ok(understanding)
}

/// Read word by word, as a project of the kind that is named.
fn read_by_word(sentence: &str, named: &str) -> Option<Result<Understanding, Refusal>> {
    let (said, template) = template(politely(sentence));
    let kind = match named {
        "data pipeline" => Kind::DataPipeline,
        "microservice" => Kind::Microservice,
        "mobile backend" => Kind::MobileBackend,
        named if named.ends_with("REST API") => Kind::RestApi,
        _ => UNNAMED,
    };
    let fastapi = phrasing::fastapi(said).1;
    let kind = if fastapi && named == "app" { Kind::RestApi } else { kind };
    if fastapi && kind != Kind::RestApi {
        return Some(refuse(format!("It asks for FastAPI, in which REST APIs are built and no {kind}")));
    }
    let (said, mut plan) = if kind == Kind::DataPipeline { plan::take(said) } else { (said.to_owned(), plan::Plan::default()) };
    let said = said.as_str();
    if kind == Kind::DataPipeline && plan.formats.is_empty() {
        let names = |format: &str| scope::find(said, format).is_some();
        plan.formats
            .extend([("csv", Format::Csv), ("json", Format::Json)].into_iter().filter(|(name, _)| names(name)).map(|(_, format)| format));
    }
    let grammar::Reading { resources, blocks, assumed, left, related } = grammar::read(said)?;
    let template = template.or(fastapi.then_some(FASTAPI));
    let named = named != "app" || fastapi;
    Some(completed(sentence, Said { kind, named, template, resources, blocks, plan, assumed, left, related }))
}

/// Places of an app that are no resource's.
const PLACES: &[(&str, Option<Block>)] = &[
    ("health", None),
    ("metrics", None),
    ("docs", None),
    ("ready", None),
    ("users", Some(Block::Authentication)),
    ("sessions", Some(Block::Authentication)),
    ("payments", Some(Block::Payment)),
    ("live", Some(Block::Websocket)),
];

/// What was said and is nowhere, neither in what is built nor in what is said not to be understood.
fn list_lost(sentence: &str, related: &str, of: &mut Understanding) {
    let every = of.every_s.map(|every_s| format!("{every_s} {} {}", every_s / 60, every_s / HOUR_S)).unwrap_or_default();
    let (kind, blocks) = (of.kind.to_string(), account::of_blocks(&of.blocks));
    let fields = account::of_fields(of.resources.iter().flat_map(|one| &one.fields));
    let known: Vec<&str> = of
        .resources
        .iter()
        .flat_map(|one| [one.singular.as_str(), one.plural.as_str()])
        .chain(of.assumed.iter().chain(&of.not_understood).map(String::as_str))
        .chain([fields.as_str(), &every, &kind, &blocks, &of.template, related])
        .chain(field_type::UNITS.iter().copied())
        .collect();
    let lost = account::lost(sentence, &known.join(" "));
    if !lost.is_empty() {
        of.not_understood.push(format!("the word{} {}", if lost.len() > 1 { "s" } else { "" }, lost.join(", ")));
    }
}

/// The template of REST APIs that are built in it.
const FASTAPI: &str = "fastapi-api";

const FIELDS_MOST: usize = 40;
const RESOURCES_MOST: usize = 20;

/// Whether its kind has what was asked for, and no more of it than the templates take.
pub(crate) fn fits(of: &Understanding) -> Result<(), Refusal> {
    if of.resources.len() > RESOURCES_MOST {
        return refuse(format!("It names {} kinds of thing; the templates take {RESOURCES_MOST}", of.resources.len()));
    }
    if let Some(resource) = of.resources.iter().find(|resource| resource.fields.len() > FIELDS_MOST) {
        return refuse(format!("It names {} fields of {}; the templates take {FIELDS_MOST}", resource.fields.len(), resource.plural));
    }
    let without = |block: &&Block| match of.kind {
        Kind::DataPipeline => !matches!(block, Block::Search | Block::Pagination),
        _ => of.template == FASTAPI && **block == Block::Websocket,
    };
    let taken = |resource: &&Resource| {
        PLACES.iter().any(|(place, block)| resource.path == *place && block.is_none_or(|block| of.blocks.contains(&block)))
    };
    if let Some(resource) = of.resources.iter().find(taken) {
        return refuse(format!("/{} is a place of the app's own: call the {} otherwise", resource.path, resource.plural));
    }
    let Some(block) = of.blocks.iter().find(without) else { return Ok(()) };
    let whole = if of.kind == Kind::DataPipeline { "data pipelines" } else { "APIs in FastAPI" };
    refuse(format!("It asks for {block}, which {whole} do not have"))
}

/// "The email must be unique. Status is open or closed.": what was not understood for itself may be said of a field.
fn say_more(mut of: Understanding) -> Result<Understanding, Refusal> {
    for clause in std::mem::take(&mut of.not_understood) {
        if let Some(none) = without_any(&clause).and_then(|name| of.resources.iter().find(|r| r.plural == name)) {
            return refuse(format!("The goal contradicts itself: it is with and without {}", none.plural));
        }
        match said_of_fields(&of, &clause) {
            Some(read) => of = read,
            None => of.not_understood.push(clause),
        }
    }
    Ok(of)
}

/// "but no posts"
fn without_any(clause: &str) -> Option<&str> {
    let clause = clause.trim_start_matches("and ").trim_start_matches("but ");
    clause.strip_prefix("no ").or(clause.strip_prefix("without any "))
}

/// With what a clause says of its fields: "email must be unique and phone is optional" is two.
fn said_of_fields(of: &Understanding, clause: &str) -> Option<Understanding> {
    if let Some(resources) = modify::said_of_field(of, clause) {
        return Some(Understanding { resources, ..of.clone() });
    }
    // "Plate and meter id is required" says it of both.
    if let Some((subjects, said)) = clause.split_once(" is ") {
        let subjects: Vec<String> = subjects.replace(" and ", ",").split(',').map(|name| name.trim().to_owned()).collect();
        let (said, rest) = said.split_once(", ").map_or((said, None), |(said, rest)| (said, Some(rest)));
        if subjects.len() > 1 && !said.contains(" and ") {
            let of_each = |of: Option<Understanding>, name: &String| {
                let of = of?;
                let resources = modify::said_of_field(&of, &format!("{name} is {said}"))?;
                Some(Understanding { resources, ..of })
            };
            if let Some(read) = subjects.iter().fold(Some(of.clone()), of_each) {
                return rest.map_or(Some(read.clone()), |rest| said_of_fields(&read, rest));
            }
        }
    }
    let (resources, rest) = [", and ", ", ", " and "].iter().find_map(|between| {
        let (first, rest) = clause.split_once(between)?;
        Some((modify::said_of_field(of, first)?, rest))
    })?;
    said_of_fields(&Understanding { resources, ..of.clone() }, rest)
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
    if blocks.contains(&Block::Search) {
        assumed.push("Search looks in all texts");
    }
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
pub(crate) fn title(kind: Kind, things: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Field;
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
            ("Build a REST API for todos with a title and permissions", "permissions"),
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
            ("Build a REST API for people with a name and an age of 18 or older", "an age of 18 or older"),
            ("Build a REST API for posts with a title and up to 5 tags", "up to 5 tags"),
        ] {
            let u = understand(sentence).unwrap();
            assert_eq!((u.not_understood.join("; "), u.resources[0].fields.len()), (left.to_owned(), 1), "{sentence}");
        }
        for sentence in [
            "Build a REST API for notes with a text, with login so that everyone can see items",
            "Build a REST API for users with a name of at most 5",
        ] {
            assert!(understand(sentence).is_err(), "{sentence}: {}", shown(sentence));
        }
    }

    /// By somebody who did not know the parser, before it read them.
    const TYPED: &[(&str, &str)] = &[
        (
            "Build a REST API for customers with a name, and repair jobs with a price and a status of received or done; each job belongs to a customer.",
            "customers [name!:Text], repair-jobs [price:Number status!:Text customer!:Reference]",
        ),
        (
            "Pipeline: nightly CSV of supplier invoices (invoice number, supplier, amount, due date) -> validate -> load into a database",
            "supplier-invoices [invoice_number!:Text supplier:Text amount:Number due_date:Date]",
        ),
        (
            "We need a mobile backend for a dog-walking app with login, walkers, dogs and bookings, where every booking has a date and an optional note.",
            "walkers [name!:Text], dogs [name!:Text], bookings [date:Date note:Text]",
        ),
        (
            "We need a small web app where our volunteers can log in and record food parcels, each with a recipient name, a weight in kg and whether it has been collected.",
            "food-parcels [recipient_name!:Text weight:Number collected:Boolean]",
        ),
        (
            "support tickets api, subject, body, status of open, pending or closed, requester email, searchable and paginated",
            "support-tickets [subject!:Text body:Text status:Text requester_email:Email]",
        ),
        (
            "ETL job: take supplier price list CSV (supplier, item code, unit price), validate that unit price is positive, load to DB on hourly schedule.",
            "supplier-prices [supplier!:Text item_code:Text unit_price:Number]",
        ),
        (
            "Mobile backend for a babysitting app - parents (name, email), sitters (name, hourly rate, verified yes/no), bookings linking a parent and a sitter with a date and hours.",
            "parents [name!:Text email:Email], sitters [name!:Text hourly_rate:Number verified:Boolean], bookings [date:Date hours:Integer parent!:Reference sitter!:Reference]",
        ),
        (
            "an episode has a title and an audio URL, and belongs to a podcast with a unique title and an optional website. REST API",
            "episodes [title!:Text audio_url:Url podcast!:Reference], podcasts [title!:Text website:Url]",
        ),
        (
            "Build a web app to sell handmade candles with name, scent, price and stock, and let customers pay by card.",
            "handmade-candles [name!:Text scent:Text price:Number stock:Integer]",
        ),
        ("I want a todo app where each todo has a title, a due date and a done flag", "todos [title!:Text due_date:Date done:Boolean]"),
        (
            "Hey, could you build me a little website where my book club can keep a list of books we've read, with author, a rating from 1 to 5 and optional comments?",
            "books [author!:Text rating:Integer comments:Text]",
        ),
        (
            "As a landlord I want to record my properties and their tenants, so that I can see who rents what; tenants need a unique email, a move-in date and a monthly rent.",
            "properties [name!:Text], tenants [email:Email move_in_date:Date monthly_rent:Number property!:Reference]",
        ),
        (
            "I run a small bike repair shop and I'm tired of paper, so I'd like something on the web where I can write down each repair job: customer name, phone, quoted price and whether it's done.",
            "repair-jobs [customer_name!:Text phone:Text quoted_price:Number done:Boolean]",
        ),
        (
            "REST, tickets w/ subject, body, priority 1-5, status open/pending/closed, each ticket assigned to an agent, auth required, paginate lists",
            "tickets [subject!:Text body:Text priority:Integer status:Text agent!:Reference], agents [name!:Text]",
        ),
        (
            "Web app to book meeting rooms - rooms: name, capacity, has projector (y/n); bookings: room, date, start time - with login",
            "rooms [name!:Text capacity:Integer has_projector:Boolean], bookings [date:Date start_time:Datetime room!:Reference]",
        ),
        (
            "Build a REST API for a plant nursery with plants (name, price, in stock yes/no) and suppliers (name, email), where each plant belongs to a supplier.",
            "plants [name!:Text price:Number in_stock:Boolean supplier!:Reference], suppliers [name!:Text email:Email]",
        ),
        (
            "please develop an application to administer teachers, students and lessons; a lesson has one teacher and one student, a date and a fee.",
            "teachers [name!:Text], students [name!:Text], lessons [date:Date fee:Number teacher!:Reference student!:Reference]",
        ),
        (
            "The system shall ingest a daily CSV file of meter readings comprising meter id, reading date and kilowatt hours, reject rows with a negative value, and load the remainder into a database.",
            "meter-readings [meter_id!:Text reading_date:Date kilowatt_hours:Integer]",
        ),
        (
            "Set up a pipeline which takes product feeds in CSV every hour, checks that sku is unique and price is a positive number, and writes the good rows to a database.",
            "product-feeds [sku!:Text price:Number]",
        ),
        (
            "Recipe sharing backend for a phone app - users sign up and log in, post recipes with a title, instructions and a photo, and search them by name.",
            "recipes [title!:Text instructions:Text]",
        ),
        (
            "A permit has a plate number (required, unique), zone A, B or C, valid from and paid yes/no",
            "permits [plate_number!:Text zone:Text valid_from:Date paid:Boolean]",
        ),
        (
            "Create an inventory service: products have a name, a SKU that must be unique, a price and a quantity in stock. Each product belongs to a warehouse, and warehouses have a name and a city.",
            "products [name!:Text sku:Text price:Number quantity_in_stock:Integer warehouse!:Reference], warehouses [name!:Text city:Text]",
        ),
        (
            "A customer has many orders; customers have a name and a unique email, orders have a total and a status which is pending, paid or shipped",
            "customers [name!:Text email:Email], orders [total:Number status!:Text customer!:Reference]",
        ),
        (
            "Make me a recipe app. Recipes have a title and a cooking time in minutes, and ingredients of a recipe have a name and an amount.",
            "recipes [title!:Text cooking_time:Integer], ingredients [name!:Text amount:Number recipe!:Reference]",
        ),
        (
            "A blog with posts and comments, posts have a title and a body, comments have an author and a text",
            "posts [title!:Text body:Text], comments [author!:Text text:Text]",
        ),
        (
            "I need a CRM for my small business with companies and contacts. Every contact belongs to a company.",
            "companies [name!:Text], contacts [name!:Text company!:Reference]",
        ),
        ("Chat room app with live updates, messages have a sender and a text of up to 500 characters", "messages [sender!:Text text:Text]"),
        ("API for a pet shop: pets have a name, an age that can't be negative and a price", "pets [name!:Text age:Integer price:Number]"),
        (
            "Hotel rooms with a number, a nightly price and whether it is available",
            "hotel-rooms [number:Integer nightly_price:Number available:Boolean]",
        ),
        (
            "Keep track of my vinyl records: artist, title, year and rating from 1 to 10",
            "vinyl-records [artist!:Text title:Text year:Integer rating:Integer]",
        ),
        (
            "school app with teachers, courses and students, a course has one teacher and many students",
            "teachers [name!:Text], courses [name!:Text teacher!:Reference], students [name!:Text course!:Reference]",
        ),
        (
            "Product catalogue with categories. A category has many products. A product has a name and a price greater than 0.",
            "products [name!:Text price:Number category!:Reference], categories [name!:Text]",
        ),
        (
            "A movie database with movies (title, release year, rating) and reviews (text, stars from 1 to 5) of a movie",
            "movies [title!:Text release_year:Integer rating:Number], reviews [text!:Text stars:Integer movie!:Reference]",
        ),
        ("create a todo list with users who can sign up and log in, each user sees only their own todos", "todos [name!:Text]"),
        (
            "Vehicles with a license plate (required, unique), make, model, mileage as a whole number",
            "vehicles [license_plate!:Text make:Text model:Text mileage:Integer]",
        ),
        ("Web shop backend with products, carts and orders, with login", "products [name!:Text], carts [name!:Text], orders [name!:Text]"),
        ("API with users having a username between 3 and 20 characters and an email", "users [username!:Text email:Email]"),
        (
            "A wiki with pages, which have a slug, a title and markdown content, and attachments can be uploaded",
            "pages [slug!:Text title:Text markdown_content:Text]",
        ),
        (
            "Feedback collector: name is optional, message is required, score is a number from 0 to 10",
            "feedbacks [name:Text message!:Text score:Integer]",
        ),
    ];

    /// None of these is built as if it had been said otherwise: it is refused, or the part is listed.
    #[test]
    fn what_is_said_is_not_turned_round_or_lost() {
        for (sentence, part) in [
            ("API for albums with a title, a year and no photo upload", "refused"),
            ("A web app for cars with a plate. Nobody should have to log in.", "refused"),
            ("API for albums with a title and without file uploads", "uploads"),
            ("API for contacts with a name, no auth required", "auth"),
            ("API for tasks with a title and not searchable", "searchable"),
            ("API for tasks with a title and user accounts with a name and an email", "user accounts with a name and an email"),
            ("A data pipeline that loads employees from a csv file with name and status, and check the salary", "check the salary"),
            ("API for letters with a text, one of private, business, other.", "private"),
            ("API for tickets with a title. Agents see the password of each ticket.", "refused"),
            ("We run a hotel and need rooms with a number and guests with a name", "refused"),
            ("API for plants with a name. Plants live in the sun.", "sun"),
            ("API for parcels with a weight. Couriers add a scan date.", "scan date"),
            ("API for cities with a name, and search cities by mayor", "mayor"),
            ("API for boats with a name, and print a harbour map", "harbour"),
            ("API for ferries with a name. Results by pages of 50", "50"),
            ("A data pipeline that loads tides from a csv file with a harbour and a height every day at 2", "2"),
        ] {
            let listed = understand(sentence).map_or("refused".to_owned(), |read| read.not_understood.join("; "));
            assert!(listed.contains(part), "{sentence}: {listed}");
        }
    }

    #[test]
    fn goals_are_read_as_people_type_them() {
        for (sentence, expected) in TYPED {
            check(sentence, expected);
        }
    }

    #[test]
    fn the_whole_is_not_one_of_the_things() {
        for (sentence, expected) in [
            (
                "API to manage hotel bookings. A booking has a guest name and a check-in date. Each booking belongs to a room. A room has a number and a price per night.",
                "bookings [guest_name!:Text check_in_date:Date room!:Reference], rooms [number:Integer price_per_night:Number]",
            ),
            (
                "I'm a teacher and need a place to store my students' grades: student name, subject, grade (0-100) and date",
                "grades [student_name!:Text subject:Text grade:Integer date:Date]",
            ),
            (
                "gym membership system with members and payments. members have name and join date. payments have amount, belong to member",
                "members [name!:Text join_date:Date], payments [amount:Number member!:Reference]",
            ),
            (
                "Simple ticket tracker. Title, description, priority (low, medium, high), done.",
                "tickets [title!:Text description:Text priority:Text done:Boolean]",
            ),
            (
                "REST API: products (name, price), orders (date, status: new/paid/shipped) - an order belongs to a product",
                "products [name!:Text price:Number], orders [date:Date status!:Text product!:Reference]",
            ),
            ("Build an API for a bakery. Cakes have a name and a price.", "cakes [name!:Text price:Number]"),
            (
                "Build a REST API for a parking lot: spots with a number, vehicles with a plate, and tickets with an entry time. A ticket belongs to a vehicle and a spot.",
                "spots [number:Integer], vehicles [plate!:Text], tickets [entry_time:Datetime vehicle!:Reference spot!:Reference]",
            ),
            ("To-do list with due dates and priorities", "todos [due_date:Date priority:Integer]"),
            ("Let customers leave reviews with a name, stars from 1 to 5 and text", "reviews [name!:Text stars:Integer text:Text]"),
            (
                "I want to manage a library of board games. For each game I want to store the title, max players and whether I own it.",
                "games [title!:Text max_players:Integer own:Boolean]",
            ),
            (
                "a pipeline that imports a CSV of customers every night with name, email and country",
                "customers [name!:Text email:Email country:Text]",
            ),
        ] {
            check(sentence, expected);
        }
    }

    #[test]
    fn what_is_said_beside_the_fields_is_read_too() {
        let u = understand("Contacts API with name, phone and email; email must be unique and phone is optional").unwrap();
        assert!(u.resources[0].field("email").is_some_and(|field| field.unique) && u.not_understood.is_empty(), "{u:?}");
        let u = understand("A photo gallery where users log in and upload photos; photos have a caption").unwrap();
        assert_eq!(u.blocks, [Block::Authentication, Block::FileUpload]);
        for sentence in [
            "Write me a poem about databases",
            "A 3D first-person shooter with multiplayer",
            "Make it faster",
            "A blog with posts, but no posts",
            "We have a problem",
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
