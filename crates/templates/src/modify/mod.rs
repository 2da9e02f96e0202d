//! From a sentence about a project that is there to what it becomes: "add a priority from 1 to 5 and rename title to name".

mod anew;
mod project;
mod spotted;

use anew::{anew, instead};
use project::{Place, Project, without_article};
use spotted::{Command, Spotted};

use crate::understand::{Refusal, account, asides, blocks, fits, phrasing, refuse, scope, title};
use crate::{Block, Field, Resource, Understanding};

/// What a project becomes, and what that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Modification {
    pub after: Understanding,
    /// Each a sentence for people.
    pub changes: Vec<String>,
}

/// Reads what is to change. A sentence that asks for a whole project anew makes it that; what it keeps keeps its data.
///
/// # Errors
/// It is not understood, names what is not there, or cannot be.
pub fn modify(before: &Understanding, sentence: &str) -> Result<Modification, Refusal> {
    let sentence = spotted::without_reasons(sentence);
    let read = as_said(before, &sentence);
    if read.is_ok() {
        return read;
    }
    spotted::readings(before, &sentence).find_map(|spotted| as_spotted(before, spotted).ok()).map_or(read, Ok)
}

fn as_spotted(before: &Understanding, spotted: Spotted) -> Result<Modification, Refusal> {
    let Spotted { commands, blocks, typed, related } = spotted;
    let mut project = Project::new(before);
    for block in blocks {
        project.add_block(block)?;
    }
    for command in commands {
        match command {
            Command::Said(said) => project.change(&said)?,
            Command::Be(place, said) => project.be(now(before, &project, place)?, &said)?,
            Command::Get(of, fields) => {
                let one = project.after.resources.iter().position(|now| now.identifier == before.resources[of].identifier);
                let Some(one) = one else { return refuse(format!("It changes {} in two ways", before.resources[of].plural)) };
                project.get(one, fields)?;
            }
            Command::Keep(new, belong) => project.keep(new, &belong)?,
            Command::Default(place, value) => project.restrict_field(now(before, &project, place)?, &format!("default {value}"), "make")?,
            Command::Values(place, values) => project.restrict_field(now(before, &project, place)?, &spotted::listed(&values), "make")?,
            Command::Instead(place, gone, new) => {
                let (one, n) = now(before, &project, place)?;
                let choices = project.after.resources[one].fields[n].choices.iter();
                let values: Vec<String> =
                    choices.filter_map(|choice| if *choice == gone { new.clone() } else { Some(choice.clone()) }).collect();
                project.restrict_field((one, n), &spotted::listed(&values), "make")?;
            }
        }
    }
    changed(before, project, &typed, &related)
}

fn as_said(before: &Understanding, sentence: &str) -> Result<Modification, Refusal> {
    let typed = sentence;
    let sentence = phrasing::change(&sentence.split_whitespace().collect::<Vec<_>>().join(" "));
    if let Some(built) = anew(&sentence) {
        return instead(before, built?);
    }
    let mut project = Project::new(before);
    let names =
        before.resources.iter().flat_map(|one| [&one.singular, &one.plural].into_iter().chain(one.fields.iter().map(|field| &field.name)));
    let verb = sentence.split(' ').next().is_some_and(|first| VERBS.contains(&first.to_lowercase().as_str()));
    // "People should log in before they can see anything"
    let (sentence, asked, left) = match verb {
        true => (sentence, Vec::new(), Vec::new()),
        false => asides::take(&sentence, Some(&names.map(String::as_str).collect::<Vec<_>>().join(" "))),
    };
    if let Some(left) = left.first() {
        return refuse(format!("\"{left}\" is not understood"));
    }
    let listed = sentence
        .split_once(' ')
        .filter(|(lead, what)| ["add", "include"].contains(&lead.to_lowercase().as_str()) && !what.contains(['.', ';', ':']))
        .and_then(|(lead, what)| Some((lead, parts(what)?)));
    let sentence = match listed {
        None => sentence,
        Some((lead, (parts, rest))) => {
            parts.into_iter().try_for_each(|part| project.add_block(part))?;
            if rest.is_empty() { rest } else { format!("{lead} {rest}") }
        }
    };
    let lower = sentence.to_lowercase();
    let removes = ["remove", "delete", "drop"].iter().any(|verb| lower.starts_with(verb)) && !lower.contains(" add ");
    // "Let users upload a photo and make it searchable" names blocks by what they do.
    let (said, blocks, left) = if removes { (sentence, Vec::new(), Vec::new()) } else { phrasing::plain(&sentence) };
    if let Some(left) = left.first() {
        return refuse(format!("\"{left}\" is not understood"));
    }
    for block in asked.into_iter().chain(blocks) {
        project.add_block(block)?;
    }
    for clause in clauses(&said) {
        // What is left of them.
        if !VERBS.contains(&clause.to_lowercase().as_str()) && !["make it", "make them", "let"].contains(&clause.to_lowercase().as_str()) {
            project.change(&clause)?;
        }
    }
    changed(before, project, typed, "")
}

/// Of "login, search and a due date" the blocks, and what is left; none where there are no blocks.
fn parts(what: &str) -> Option<(Vec<Block>, String)> {
    let items = what.replace(" and ", ",");
    let items = items.split(',').map(str::trim).filter(|item| !item.is_empty());
    let (blocks, rest): (Vec<_>, Vec<_>) = items.map(|item| (blocks::named(item), item)).partition(|(block, _)| block.is_some());
    let rest: Vec<&str> = rest.into_iter().map(|(_, item)| item).collect();
    (!blocks.is_empty()).then(|| (blocks.into_iter().filter_map(|(block, _)| block).collect(), rest.join(" and ")))
}

/// Where a field is by now.
fn now(before: &Understanding, project: &Project, (one, n): Place) -> Result<Place, Refusal> {
    let (resource, name) = (&before.resources[one], &before.resources[one].fields[n].name);
    let found = project.after.resources.iter().position(|now| now.identifier == resource.identifier).and_then(|one| {
        let n = project.after.resources[one].fields.iter().position(|field| field.name == *name)?;
        Some((one, n))
    });
    found.ok_or_else(|| Refusal { reason: format!("It changes {name} of {} in two ways: say them one by one", resource.plural) })
}

/// What it became, where every word of what was typed is somewhere in it, or in what is said to relate things.
fn changed(before: &Understanding, project: Project, typed: &str, related: &str) -> Result<Modification, Refusal> {
    let Project { mut after, steps, changes, assumed, already, .. } = project;
    if changes.is_empty() {
        return refuse(already.into_iter().next().unwrap_or_else(|| "It changes nothing".to_owned()));
    }
    let differ: Vec<Block> = Block::ALL.into_iter().filter(|block| before.blocks.contains(block) != after.blocks.contains(block)).collect();
    let names = before.resources.iter().chain(&after.resources).flat_map(|one| [one.singular.as_str(), one.plural.as_str()]);
    // "search books by title"
    let fields = after
        .resources
        .iter()
        .filter(|_| differ.contains(&Block::Search))
        .flat_map(|one| one.fields.iter().map(|field| field.name.as_str()));
    let differing = account::of_fields(differing(before, &after));
    let known: Vec<&str> = names
        .chain(fields)
        .chain([differing.as_str(), related])
        .chain(changes.iter().chain(&assumed).chain(&already).map(String::as_str))
        .collect();
    let lost = account::lost(typed, &(known.join(" ") + " " + &account::of_blocks(&differ)));
    if !lost.is_empty() {
        return refuse(format!(
            "{} is understood, and {} not: say it in other words, or leave that out",
            changes.join("; "),
            lost.join(", ")
        ));
    }
    after.assumed = assumed;
    after.not_understood = Vec::new();
    fits(&after)?;
    // One that nobody gave it names what it keeps.
    if before.title == title(before.kind, &before.things()) {
        after.title = title(after.kind, &after.things());
    }
    after.migrations.extend((!steps.is_empty()).then_some(steps));
    Ok(Modification { after, changes })
}

/// The fields that one has and the other has not, or not so.
fn differing<'a>(before: &'a Understanding, after: &'a Understanding) -> Vec<&'a Field> {
    let only = |one: &'a Understanding, other: &'a Understanding| {
        let in_other = |resource: &Resource, field: &Field| {
            other.resources.iter().any(|same| same.identifier == resource.identifier && same.fields.contains(field))
        };
        let fields = one.resources.iter().flat_map(|resource| resource.fields.iter().map(move |field| (resource, field)));
        fields.filter(|(resource, field)| !in_other(resource, field)).map(|(_, field)| field).collect::<Vec<_>>()
    };
    [only(before, after), only(after, before)].concat()
}

/// What a sentence of its own says of a field that is there: "The email must be unique". None: it says nothing that is understood.
pub(crate) fn said_of_field(project: &Understanding, clause: &str) -> Option<Vec<Resource>> {
    const SAYING: &[&str] = &[
        "is", "are", "a", "an", "must", "should", "has", "have", "to", "be", "can", "may", "also", "always", "will", "needs", "only", "it",
        "they", "and",
    ];
    let mut project = Project::new(project);
    let clause = clause.trim_start_matches("and ").replace(" can't ", " cannot ");
    let clause = clause.strip_prefix("The ").unwrap_or(&clause);
    let words: Vec<&str> = without_article(clause).split(' ').collect();
    let (place, length) = (1..=words.len()).rev().find_map(|n| Some((project.field(&words[..n].join(" ")).ok()??, n)))?;
    let said: Vec<&str> = words[length..].iter().copied().skip_while(|word| SAYING.contains(&word.to_lowercase().as_str())).collect();
    // "unique and required" are two, "from 1 to 5" and "between 1 and 5" are one.
    let whole = said.join(" ");
    let each = || whole.replace(", ", " and ").split(" and ").map(str::to_owned).collect();
    let parts: Vec<String> = if project.restricted(place, &whole).is_ok() { vec![whole.clone()] } else { each() };
    for part in parts {
        let part = part.split(' ').skip_while(|word| SAYING.contains(word)).collect::<Vec<_>>().join(" ");
        let field = project.restricted(place, &part).ok()?;
        project.after.resources[place.0].fields[place.1] = field;
    }
    Some(project.after.resources)
}

const VERBS: &[&str] = &[
    "add", "also", "rename", "call", "remove", "delete", "drop", "make", "change", "turn", "set", "allow", "limit", "require", "let",
    "each", "every", "include",
];

/// "Add a note, rename title to name and remove the date" are three.
fn clauses(sentence: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for clause in scope::clauses(sentence) {
        let words: Vec<&str> = clause.split(' ').collect();
        let mut from = 0;
        for at in 1..words.len() {
            let before = words[at - 1].to_lowercase();
            let begins = VERBS.contains(&words[at].to_lowercase().as_str())
                && !["each", "every", "also"].contains(&words[at].to_lowercase().as_str());
            if begins && (["and", "then", "please"].contains(&before.as_str()) || before.ends_with(',')) {
                found.push(words[from..at].join(" "));
                from = at;
            }
        }
        found.push(words[from..].join(" "));
    }
    let trimmed = |clause: &String| {
        let mut clause = clause.trim().trim_end_matches([',', '.', ' ']).to_owned();
        for word in [" and then", " and", " then", " please"] {
            if let Some(shorter) = clause.strip_suffix(word) {
                clause = shorter.trim_end_matches([',', ' ']).to_owned();
            }
        }
        clause.strip_prefix("please ").or(clause.strip_prefix("Please ")).map(str::to_owned).unwrap_or(clause)
    };
    found.iter().map(trimmed).filter(|clause| !clause.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand::understand;

    const TODOS: &str =
        "Build a REST API for todos with a title, a done flag, a status of open or closed, a priority from 1 to 9 and a price";
    const SHOP: &str = "Build a REST API for products and warehouses. Products have a name and a unique sku. Each product belongs to a warehouse. Warehouses have a name";

    /// The steps, or why not.
    fn steps(project: &str, sentence: &str) -> String {
        match modify(&understand(project).unwrap(), sentence) {
            Ok(Modification { after, .. }) => {
                let steps = after.migrations.get(1).map(|steps| steps.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "));
                steps.unwrap_or_else(|| "no step".to_owned())
            }
            Err(refusal) => format!("refused: {}", refusal.reason),
        }
    }

    const SAID: &[(&str, &str, &str)] = &[
        (TODOS, "Add a note", "todo gets note"),
        (TODOS, "add a due date and a tag to todos", "todo gets due_date; todo gets tag"),
        (TODOS, "Add a unique code", "todo gets code; todo: code is unique"),
        (TODOS, "Add a required owner with a default of nobody", "todo gets todo_owner"),
        (TODOS, "Rename title to name", "todo: title is called name"),
        (TODOS, "rename todos to tasks", "todo is called task"),
        (TODOS, "Remove the price", "todo loses price"),
        (TODOS, "Make the price a whole number", "todo: price becomes a whole number"),
        (TODOS, "make title unique", "todo: title is unique"),
        (TODOS, "Change the priority to be from 1 to 5", "todo: priority is checked"),
        (TODOS, "change priority from 1 to 20", "no step"),
        (TODOS, "Allow status to be open, closed or archived", "no step"),
        (TODOS, "Add archived to status", "no step"),
        (TODOS, "Limit the title to at most 80 characters", "todo: title is checked"),
        (TODOS, "make priority required", "todo: priority is checked"),
        (TODOS, "make title optional", "no step"),
        (TODOS, "Add search", "no step"),
        (TODOS, "Add login", "todo: what is there is nobody's until it is claimed"),
        (TODOS, "Users can log in and only see their own todos", "todo: what is there is nobody's until it is claimed"),
        (TODOS, "Make it searchable", "no step"),
        (TODOS, "The title must be unique", "todo: title is unique"),
        (TODOS, "Priority should be between 1 and 5", "todo: priority is checked"),
        (TODOS, "allow archived as a status", "no step"),
        (TODOS, "Add archived as another todo status.", "no step"),
        (TODOS, "Todos can also be \"on hold\" now.", "no step"),
        (TODOS, "We don't need the price any more, get rid of it.", "todo loses price"),
        (TODOS, "Call the price field cost instead.", "todo: price is called cost"),
        (TODOS, "Each todo can have many steps, with a text and the date.", "step is kept"),
        (TODOS, "Add a size to each todo, either small, medium or large.", "todo gets size"),
        (TODOS, "Title may be at most 10 characters and no two todos can share it.", "todo: title is checked; todo: title is unique"),
        (TODOS, "I'd also like projects, with a name, and every todo belongs to one project.", "todo gets project; project is kept"),
        (TODOS, "We also need to track steps: text, due date, and every step is for one todo.", "step is kept"),
        (TODOS, "Price must never be negative.", "todo: price is checked"),
        (TODOS, "People should have to log in before they can add or edit todos.", "todo: what is there is nobody's until it is claimed"),
        (TODOS, "Push live updates to connected clients whenever a todo changes.", "no step"),
        (TODOS, "Add a photo to todos", "no step"),
        (TODOS, "Remove the price, we never use it.", "todo loses price"),
        (TODOS, "Drop the price, nobody uses it.", "todo loses price"),
        (TODOS, "We also need a \"resolved\" status.", "no step"),
        (TODOS, "Two todos must never have the same title.", "todo: title is unique"),
        (TODOS, "Only allow priorities between 3 and 5.", "todo: priority is checked"),
        (TODOS, "Also store an end date and a ticket price.", "todo gets end_date; todo gets ticket_price"),
        (TODOS, "Every todo should also have steps, each with a text and a position.", "step is kept"),
        (TODOS, "Cooks should be able to upload a photo for a todo.", "no step"),
        (TODOS, "Rename title to name, we always do that, and remove the price", "todo: title is called name; todo loses price"),
        (TODOS, "Each todo should also have steps with a text and a position.", "step is kept"),
        (TODOS, "We also need to know whether a todo has been archived.", "todo gets archived"),
        (TODOS, "Call the title \"summary\" instead.", "todo: title is called summary"),
        (TODOS, "Put in a published date and a source url, both optional.", "todo gets published_date; todo gets source_url"),
        (TODOS, "I want clients to be notified in real time when a todo changes.", "no step"),
        (TODOS, "Change priority to a whole number that can't go below zero.", "todo: priority is checked"),
        (TODOS, "todos should also have a note of at most 200 characters", "todo gets note"),
        (TODOS, "todos can have many steps with a text and a position", "step is kept"),
        (TODOS, "add pagination and search by title", "no step"),
        (TODOS, "I want every todo to have a description as well", "todo gets description"),
        (TODOS, "Please get rid of the price", "todo loses price"),
        (TODOS, "We don't need the price anymore", "todo loses price"),
        (TODOS, "Change the name of title to summary", "todo: title is called summary"),
        (TODOS, "The priority should go from 1 to 5 instead", "todo: priority is checked"),
        (TODOS, "Titles must be unique", "todo: title is unique"),
        (TODOS, "Limit titles to 100 characters", "todo: title is checked"),
        (TODOS, "Replace price with cost", "todo: price is called cost"),
        (TODOS, "Replace the price with a size that is S, M or L", "todo loses price; todo gets size"),
        (TODOS, "Allow people to attach files", "no step"),
        (TODOS, "Make it possible to search todos", "no step"),
        (TODOS, "Add a field \"estimate\" of type integer", "todo gets estimate"),
        (TODOS, "Add an email field to todos, which must be unique", "todo gets email; todo: email is unique"),
        (TODOS, "todos need a category (work, home or other)", "todo gets category"),
        (TODOS, "Convert price into a text", "todo: price becomes a text"),
        (TODOS, "Add a new resource called comments with a text; each comment belongs to a todo", "comment is kept; comment gets todo"),
        (
            SHOP,
            "Rename warehouses to stores and products to goods",
            "warehouse is called store; product: sku may be there twice; product is called good; good: sku is unique",
        ),
        (TODOS, "Add a note, rename title to name and remove the price", "todo gets note; todo: title is called name; todo loses price"),
        (TODOS, "Add lists with a name. Each todo belongs to a list", "list is kept; todo gets list"),
        (TODOS, "Todos get tags, so rename title to name", "refused"),
        (TODOS, "We sell more now, so rename title to name", "todo: title is called name"),
        (TODOS, "Add people with a name and an email, each todo belongs to a person", "todo gets person; person is kept"),
        (TODOS, "Add search and file upload", "no step"),
        (TODOS, "Add login, search and live updates", "todo: what is there is nobody's until it is claimed"),
        (TODOS, "Add file upload and a due date", "todo gets due_date"),
        // By what it names.
        (TODOS, "add \"waiting\" to the statuses and drop \"closed\"", "todo: status is checked"),
        (TODOS, "Call the status \"closed\" \"finished\" instead", "todo: status is checked"),
        (TODOS, "Rename title to name because it is shorter, and remove the priority", "todo: title is called name; todo loses priority"),
        (TODOS, "Let users search todos by title and add a rating", "todo gets rating"),
        (TODOS, "Todos need a deadline, otherwise nobody does them", "todo gets deadline"),
        (TODOS, "Price is required with a default of 3 and title is optional", "todo: price is checked"),
        (TODOS, "price must not be higher than 100 and not lower than 2", "todo: price is checked"),
        (SHOP, "Delete all warehouses", "refused"),
        (TODOS, "Every todo gets an estimated cost, which can't be negative.", "todo gets estimated_cost"),
        (TODOS, "title: 200 characters at most", "todo: title is checked"),
        (TODOS, "Please make the title unique, last week we had two with the same one.", "todo: title is unique"),
        (TODOS, "price is called cost from now on", "todo: price is called cost"),
        (TODOS, "New todos should be open unless we say otherwise.", "no step"),
        (TODOS, "We don't use closed any more, so only open and archived are left.", "refused"),
        (TODOS, "We need their due date too but nobody is forced to give it", "todo gets due_date"),
        (TODOS, "Prices on a todo aren't mandatory.", "refused"),
        (TODOS, "status: no more of that, use new / started / finished", "todo: status is checked"),
        (TODOS, "The priority is a whole number that is never below 2 and starts at 3.", "todo: priority is checked"),
        (TODOS, "drop the price of todos, add a contact email instead", "todo loses price; todo gets contact_email"),
        (TODOS, "Nobody may get more than 5 priority.", "todo: priority is checked"),
        (TODOS, "Titles must be unique and between 6 and 12 characters long.", "todo: title is checked; todo: title is unique"),
        (TODOS, "priority starts at 3", "no step"),
        (TODOS, "the price can go", "todo loses price"),
        (TODOS, "Put everything behind a login.", "todo: what is there is nobody's until it is claimed"),
        (TODOS, "I'd also like steps, with a text and a date, and each of them is shown in one todo.", "step is kept"),
        (
            TODOS,
            "Introduce tags. A tag only has a unique name, a todo can have many tags and a tag can be on many todos.",
            "tag is kept; tag: name is unique; todo_tag is kept",
        ),
        (SHOP, "we no longer need the sku at all, please remove it", "product: sku may be there twice; product loses sku"),
        (SHOP, "A product's sku does not have to be unique anymore", "product: sku may be there twice"),
        (SHOP, "the authors can go, delete them", "refused"),
        (SHOP, "A warehouse can hold several products, so make that many-to-many", "refused"),
        (SHOP, "detect fraudulent products with a neural network", "refused"),
        (SHOP, "rename sku to code", "product: sku may be there twice; product: sku is called code; product: code is unique"),
        (SHOP, "rename name to title in products", "product: name is called title"),
        (SHOP, "Remove the warehouse from products and remove warehouses", "product loses warehouse; warehouse is kept no more"),
        (SHOP, "rename warehouses to stores", "warehouse is called store"),
        (
            TODOS,
            "Build a REST API for todos with a title and a note",
            "todo loses done; todo loses status; todo loses priority; todo loses price; todo gets note",
        ),
    ];

    #[test]
    fn what_is_said_is_done() {
        for (project, sentence, expected) in SAID {
            let steps = steps(project, sentence);
            let refused = *expected == "refused" && steps.starts_with("refused");
            assert!(steps == *expected || refused, "{sentence}: {steps}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (project, sentence, part) in [
            (TODOS, "Remove the deadline", "no \"deadline\""),
            (TODOS, "Add a title", "already"),
            (TODOS, "Add a required owner", "default"),
            (TODOS, "Add a priority2 from 1 to 5 with a default of 9", "default"),
            (TODOS, "Rename title to prénom", "a to z"),
            (TODOS, "Remove todos", "Nothing would be left"),
            (TODOS, "Make title optional and make title shiny", "not understood"),
            ("Build a REST API for notes with a text, with login", "Remove login", "Login"),
            (TODOS, "Improve it", "not understood"),
            (TODOS, "", "changes nothing"),
            (TODOS, "Build a web app for todos with a title", "new project"),
            (SHOP, "remove warehouses", "belong to"),
            (SHOP, "rename name to title", "say which"),
            (SHOP, "add a note", "does not say to which"),
            (TODOS, "Todos can also be shared", "not understood"),
            (TODOS, "Update the title live", "title"),
            (TODOS, "We always need the title", "not understood"),
            (TODOS, "Add pagination by pages of 50", "50"),
        ] {
            let refused = steps(project, sentence);
            assert!(refused.starts_with("refused") && refused.contains(part), "{sentence}: {refused}");
        }
    }

    #[test]
    fn nothing_of_another_sentence_breaks_it() {
        let project = understand(TODOS).unwrap();
        for sentence in [
            "add",
            "add to",
            "rename to",
            "rename a to",
            "make",
            "change the title to",
            "remove of",
            "allow status to be",
            "🚀",
            "add 🚀 to todos",
        ] {
            assert!(modify(&project, sentence).is_err(), "{sentence}");
        }
    }
}
