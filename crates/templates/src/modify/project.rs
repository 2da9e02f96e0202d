//! A project that is being changed, clause by clause.

use super::said_of_field;
use crate::migrations::{self, Step};
use crate::understand::field_type::type_named;
use crate::understand::grammar::Said;
use crate::understand::{Refusal, blocks, called, constraints, fields, of_existing, plan, refuse, resources, scope, take_files};
use crate::{Block, Field, FieldType, Kind, Resource, Understanding};

pub(super) const CLAIMED: &str = "What is there is nobody's until somebody who has signed in claims it: POST /users/me/claims with the code in the app's variable CLAIM_CODE";

pub(super) struct Project {
    pub(super) after: Understanding,
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<String>,
    pub(super) assumed: Vec<String>,
    /// What was asked for and is so.
    pub(super) already: Vec<String>,
    /// Those that are new, by identifier.
    fresh: Vec<String>,
    /// Those that are new and got a name because nothing was said of them yet, by identifier.
    pub(super) unsaid: Vec<String>,
}

/// Where a field is: its resource, and itself.
pub(super) type Place = (usize, usize);

impl Project {
    pub(super) fn new(before: &Understanding) -> Self {
        Self {
            after: before.clone(),
            steps: Vec::new(),
            changes: Vec::new(),
            assumed: Vec::new(),
            already: Vec::new(),
            fresh: Vec::new(),
            unsaid: Vec::new(),
        }
    }

    pub(super) fn restricted(&self, (one, n): Place, text: &str) -> Result<Field, Refusal> {
        restricted(&self.after.resources[one].fields[n], text, "make")
    }

    pub(super) fn change(&mut self, clause: &str) -> Result<(), Refusal> {
        let (verb, rest) = clause.split_once(' ').unwrap_or((clause, ""));
        let rest = without_article(rest.trim());
        match verb.to_lowercase().as_str() {
            "add" | "also" | "include" => self.add(rest.strip_prefix("add ").unwrap_or(rest)),
            "rename" | "call" => self.rename(rest),
            "remove" | "delete" | "drop" => self.remove(rest),
            "make" | "change" | "turn" | "set" | "allow" | "limit" | "require" | "let" => self.restrict(verb, rest),
            "run" if self.after.kind == Kind::DataPipeline => self.schedule(clause),
            _ => self.say(clause),
        }
    }

    /// "Run it every ten minutes"
    fn schedule(&mut self, clause: &str) -> Result<(), Refusal> {
        let Some(every_s) = plan::take(clause).1.every_s else {
            return refuse(format!("\"{clause}\" does not say how often: say \"run it every 10 minutes\", or \"run it daily\""));
        };
        if self.after.every_s == Some(every_s) {
            self.already.push("It runs as often already".to_owned());
            return Ok(());
        }
        self.after.every_s = Some(every_s);
        self.changes.push(format!("it runs every {every_s} s"));
        Ok(())
    }

    /// Goes to these resources, with what that does to the data.
    fn become_of(&mut self, resources: Vec<Resource>) {
        self.steps.extend(migrations::between(&self.after.resources, &resources));
        self.after.resources = resources;
    }

    fn add(&mut self, what: &str) -> Result<(), Refusal> {
        // "pagination on the list"
        let of = [" on the ", " to the ", " for the ", " in the ", " on all ", " to all ", " for all "]
            .iter()
            .find_map(|of| scope::find(what, of));
        if let Some(added) = blocks::named(what).or_else(|| of.and_then(|at| blocks::named(&what[..at]))) {
            return self.add_block(added);
        }
        if let Some((parts, rest)) = super::parts(what) {
            parts.into_iter().try_for_each(|part| self.add_block(part))?;
            return if rest.is_empty() { Ok(()) } else { self.add(&rest) };
        }
        scope::check(what, self.after.kind)?;
        // "a note to todos"
        for (at, _) in what.match_indices(" to ").collect::<Vec<_>>().into_iter().rev() {
            let target = without_article(what[at + 4..].trim());
            if let Some(one) = self.resource(target) {
                return self.add_fields(one, &what[..at]);
            }
            // "archived to status"
            if let Some(place) = self.field(target)?.filter(|(one, n)| !self.after.resources[*one].fields[*n].choices.is_empty()) {
                return self.add_choices(place, &what[..at]);
            }
        }
        // "warehouses with a name and a city"
        let named = scope::first_of(what, &[" with ", " that have ", " that has ", " having ", " which have "]);
        if let Some(resource) = named
            .and_then(|(at, _)| resources::resource(&what[..at]).ok())
            .filter(|r| self.resource(&r.singular).is_none() && is_many(what, r))
        {
            let has = named.map_or("", |(at, length)| &what[at + length..]);
            // "People have" is said of who uses it.
            return self.say(&match resource.plural.as_str() {
                "people" => format!("Each {} has {has}", resource.singular),
                plural => format!("{plural} have {has}"),
            });
        }
        match self.after.resources.len() {
            1 => self.add_fields(0, what),
            _ => refuse(format!("It does not say to which: \"add {what} to {}\"", self.after.resources[0].plural)),
        }
    }

    pub(super) fn add_block(&mut self, added: Block) -> Result<(), Refusal> {
        if self.after.blocks.contains(&added) || (added == Block::Authentication && self.after.kind == Kind::MobileBackend) {
            return refuse(format!("The project has {added} already"));
        }
        if added == Block::Authentication {
            self.steps.extend(self.after.resources.iter().map(|resource| Step::Own { table: resource.identifier.clone() }));
            self.assumed.push(CLAIMED.to_owned());
        }
        self.after.blocks.push(added);
        self.changes.push(format!("{added} is added"));
        Ok(())
    }

    fn add_fields(&mut self, one: usize, text: &str) -> Result<(), Refusal> {
        let (text, default) = take_default(text);
        if default.as_ref().is_some_and(|default| default.contains(',') || default.contains(" and ")) {
            return refuse("A default ends what is said of one field: say the others one by one");
        }
        let mut said = Vec::new();
        let mut parsed = fields::parse(&text, &mut said)?;
        if parsed.fields.is_empty() || !parsed.not_understood.is_empty() {
            return refuse(format!("\"{text}\" is not understood as fields of {}", self.after.resources[one].plural));
        }
        // "Add dark mode", "add unit tests"
        if !text.contains("field") && said.iter().any(|said| said.contains("does not say what it is")) {
            return refuse(format!("\"{text}\" may be no field: say \"a field {text}\", or give its type, such as \"{text} (text)\""));
        }
        self.assumed.extend(said);
        if let Some(default) = &default {
            for field in &mut parsed.fields {
                field.default = Some(fields::value_of(field, default)?);
            }
        }
        self.get(one, parsed.fields)
    }

    /// Fields that are new.
    pub(super) fn get(&mut self, one: usize, mut fields: Vec<Field>) -> Result<(), Refusal> {
        let mut resources = self.after.resources.clone();
        let plural = resources[one].plural.clone();
        if take_files(self.after.kind, &plural, &mut fields, &mut self.assumed) && !self.after.blocks.contains(&Block::FileUpload) {
            self.add_block(Block::FileUpload)?;
        }
        for mut field in fields {
            field.name = called(field.name, &resources[one].identifier, &plural, &mut self.assumed);
            if resources[one].field(&field.name).is_some() {
                return refuse(format!("{plural} have a {} already", field.name));
            }
            if let Some(other) = resources.iter().find(|r| r.identifier == field.name || r.plural.replace([' ', '-'], "_") == field.name) {
                return refuse(format!(
                    "{} are kept themselves: say \"each {} belongs to a {}\"",
                    other.plural, resources[one].singular, other.singular
                ));
            }
            if field.required && field.default.is_none() && field.field_type != FieldType::Boolean {
                let name = &field.name;
                return refuse(format!("{plural} that are there have no {name}: say \"with a default of …\", or let it be optional"));
            }
            self.changes.push(format!("{plural} get {} ({})", field.name, field.field_type));
            resources[one].fields.push(field);
        }
        self.become_of(resources);
        Ok(())
    }

    /// Things that are new, and what of those that are there belongs to one of them: (which, what it is called there).
    pub(super) fn keep(&mut self, new: Vec<Resource>, belong: &[(String, Field)]) -> Result<(), Refusal> {
        let mut resources = self.after.resources.clone();
        for (of, field) in belong {
            let Some(one) = self.resource(of) else { return self.unknown(of) };
            let old = &mut resources[one];
            if let Some(lost) = old.field(&field.name) {
                let (plural, name) = (&old.plural, &lost.name);
                return refuse(format!("{plural} have a {name} already, which is a {}: rename or remove it first", lost.field_type));
            }
            let path = field.references.as_deref().unwrap_or_default();
            self.changes.push(format!("{} get {} (one of {path})", old.plural, field.name));
            // What is there belongs to nothing yet.
            old.fields.push(Field { required: false, ..field.clone() });
        }
        for one in &new {
            let to: Vec<&str> = one.fields.iter().filter_map(|field| field.references.as_deref()).collect();
            let twice = resources.iter().find_map(|of| {
                Some((of, of.fields.iter().find_map(|field| field.references.as_deref().filter(|path| to.contains(path)))?))
            });
            // "A tag can be on many books", where each belongs to one already.
            if let Some((of, path)) = twice.filter(|(of, _)| one.fields.len() == to.len() && to.contains(&of.path.as_str())) {
                return refuse(format!("{} belong to {path} already: remove that first", of.plural));
            }
            self.changes.push(match one.fields.len() == to.len() {
                true => format!("{} are kept, at /{}: each links one of {}", one.plural, one.path, to.join(" and one of ")),
                false => kept(one),
            });
            self.fresh.push(one.identifier.clone());
        }
        resources.extend(new);
        self.become_of(resources);
        Ok(())
    }

    fn add_choices(&mut self, (one, n): Place, text: &str) -> Result<(), Refusal> {
        let mut resources = self.after.resources.clone();
        let field = &mut resources[one].fields[n];
        for choice in text.replace(" and ", ",").replace(" or ", ",").split(',').map(|c| c.trim().trim_matches(['"', '\'']).to_owned()) {
            if !choice.is_empty() && !field.choices.contains(&choice) {
                field.choices.push(choice);
            }
        }
        self.changes.push(format!("{} may be {}", field.name, field.choices.join(", ")));
        self.become_of(resources);
        Ok(())
    }

    /// "title to name", "todos to tasks", "the title of todos to name"
    fn rename(&mut self, what: &str) -> Result<(), Refusal> {
        let Some((old, new)) = what.split_once(" to ").or_else(|| what.split_once(" as ")).or_else(|| what.split_once(" into ")) else {
            return refuse(format!("\"rename {what}\" does not say to what"));
        };
        let (old, new) = (old.trim(), without_article(new.trim()));
        if let Some(one) = self.resource(old) {
            return self.rename_resource(one, new);
        }
        // "title to name in todos", "title to name on the todos"
        let parts = [" in ", " of ", " on ", " for "].iter().filter_map(|part| new.split_once(part));
        let of = parts.map(|(new, of)| (new, without_article(of))).find(|(_, of)| self.resource(of).is_some());
        let (new, old) = match of {
            Some((new, of)) => (new, format!("{old} of {of}")),
            None => (new, old.to_owned()),
        };
        let Some((one, n)) = self.field(&old)? else { return self.unknown(&old) };
        let name = name_of(new).ok_or_else(|| Refusal { reason: format!("\"{new}\" cannot be a field's name: use the letters a to z") })?;
        let resource = &mut self.after.resources[one];
        let name = called(name, &resource.identifier, &resource.plural, &mut self.assumed);
        if resource.field(&name).is_some() || ["id", "created_at", "updated_at"].contains(&name.as_str()) {
            return refuse(format!("{} have a {name} already", resource.plural));
        }
        let (table, from) = (resource.identifier.clone(), std::mem::replace(&mut resource.fields[n].name, name.clone()));
        let unique = resource.fields[n].unique;
        self.changes.push(format!("{from} of {} is called {name}", resource.plural));
        self.steps.extend(unique.then(|| migrations::unique(&table, &from, false)));
        self.steps.push(Step::RenameColumn { table: table.clone(), from, to: name.clone() });
        self.steps.extend(unique.then(|| migrations::unique(&table, &name, true)));
        Ok(())
    }

    fn rename_resource(&mut self, one: usize, new: &str) -> Result<(), Refusal> {
        let renamed = resources::resource(new)?;
        if self.resource(&renamed.singular).is_some() {
            return refuse(format!("There are {} already", renamed.plural));
        }
        let old = self.after.resources[one].clone();
        let unique: Vec<&Field> = old.fields.iter().filter(|field| field.unique).collect();
        self.steps.extend(unique.iter().map(|field| migrations::unique(&old.identifier, &field.name, false)));
        self.steps.push(Step::RenameTable { from: old.identifier.clone(), to: renamed.identifier.clone() });
        self.steps.extend(unique.iter().map(|field| migrations::unique(&renamed.identifier, &field.name, true)));
        self.changes.push(format!("{} are called {}; their place is /{}", old.plural, renamed.plural, renamed.path));
        for field in self.after.resources.iter_mut().flat_map(|resource| &mut resource.fields) {
            if field.references.as_ref() == Some(&old.path) {
                field.references = Some(renamed.path.clone());
            }
        }
        self.after.resources[one] = Resource { fields: old.fields, ..renamed };
        Ok(())
    }

    fn remove(&mut self, what: &str) -> Result<(), Refusal> {
        if let Some(gone) = blocks::named(what) {
            if !self.after.blocks.contains(&gone) {
                return refuse(format!("The project has no {gone}"));
            }
            if gone == Block::Authentication {
                return refuse("Login cannot be removed: everybody would see what is somebody's own");
            }
            self.after.blocks.retain(|block| *block != gone);
            self.changes.push(format!("{gone} is removed"));
            return Ok(());
        }
        let mut resources = self.after.resources.clone();
        let what = what.replace(" from ", " of ");
        let (names, of) = what.split_once(" of ").map_or((what.as_str(), None), |(names, of)| (names, Some(of)));
        if let Some(one) = self.resource(names).filter(|_| of.is_none()) {
            let gone = resources.remove(one);
            if resources.is_empty() {
                return refuse("Nothing would be left of the project");
            }
            if let Some(other) =
                resources.iter().find(|other| other.fields.iter().any(|field| field.references.as_ref() == Some(&gone.path)))
            {
                return refuse(format!(
                    "{} belong to {}; remove that first: \"remove the {} from {}\"",
                    other.plural, gone.plural, gone.singular, other.plural
                ));
            }
            self.changes.push(format!("{} are removed; what is kept of them comes back with a way back", gone.plural));
            self.become_of(resources);
            return Ok(());
        }
        for name in names.replace(" and ", ",").split(',').map(|name| without_article(name.trim())).filter(|name| !name.is_empty()) {
            let named = of.map_or(name.to_owned(), |of| format!("{name} of {of}"));
            let Some((one, n)) = self.field(&named)? else { return self.unknown(&named) };
            let field_name = self.after.resources[one].fields[n].name.clone();
            let resource = &mut resources[one];
            resource.fields.retain(|field| field.name != field_name);
            if resource.fields.is_empty() {
                return refuse(format!("{} would have no field left", resource.plural));
            }
            self.changes.push(format!("{field_name} of {} is removed; its values come back with a way back", resource.plural));
        }
        self.become_of(resources);
        Ok(())
    }

    /// "the price a whole number", "email unique", "status to open or closed", "the title to at most 80 characters"
    fn restrict(&mut self, verb: &str, what: &str) -> Result<(), Refusal> {
        let words: Vec<&str> = what.split(' ').collect();
        // The longest beginning that names a field.
        let found = (1..=words.len()).rev().find_map(|n| match self.field(&words[..n].join(" ")) {
            Ok(Some(place)) => Some(Ok((place, n))),
            Ok(None) => None,
            Err(refusal) => Some(Err(refusal)),
        });
        let ((one, n), length) = match found {
            Some(found) => found?,
            None => {
                // "allow archived as a status"
                let (choice, name) = what.split_once(" as ").unwrap_or((what, ""));
                return match self.field(name)?.filter(|(one, n)| !self.after.resources[*one].fields[*n].choices.is_empty()) {
                    Some(place) => self.add_choices(place, choice),
                    None => self.unknown(what),
                };
            }
        };
        let mut said: Vec<&str> = words[length..].to_vec();
        while said.first().is_some_and(|word| {
            ["to", "be", "a", "an", "into", "as", "field", "is", "only", "now", "from"].contains(word)
                && !(*word == "from" && said.len() > 2)
        }) {
            said.remove(0);
        }
        let text = said.join(" ");
        let counted = verb.eq_ignore_ascii_case("limit") && text.starts_with(|c: char| c.is_ascii_digit());
        let text = if counted { format!("at most {text}") } else { text };
        self.restrict_field((one, n), &text, verb)
    }

    pub(super) fn restrict_field(&mut self, place: Place, text: &str, verb: &str) -> Result<(), Refusal> {
        let (one, n) = place;
        let field = restricted(&self.after.resources[one].fields[n], text, verb)?;
        self.becomes(place, field)
    }

    /// What is said of a field, word by word.
    pub(super) fn be(&mut self, place: Place, said: &[Said]) -> Result<(), Refusal> {
        let was = self.after.resources[place.0].fields[place.1].clone();
        let mut field = was.clone();
        // Its type first: what it may hold is said of that.
        let (typed, others): (Vec<&Said>, Vec<&Said>) = said.iter().partition(|said| matches!(said, Said::Typed(_)));
        for said in typed.into_iter().chain(others) {
            match said {
                Said::Optional => field.required = false,
                Said::Required => field.required = true,
                Said::Unique => field.unique = true,
                Said::Default(value) => field.default = Some(fields::value_of(&field, value)?),
                Said::Bounds(bounds) if was.field_type != FieldType::Reference => fields::restrict(&mut field, bounds, false)?,
                Said::Typed(field_type) if was.field_type != FieldType::Reference => {
                    field.field_type = *field_type;
                    (field.choices, field.least, field.most) = (Vec::new(), None, None);
                }
                _ => return refuse(format!("What {} may hold is not understood", was.name)),
            }
        }
        self.becomes(place, checked(&was, field)?)
    }

    fn becomes(&mut self, (one, n): Place, field: Field) -> Result<(), Refusal> {
        let was = self.after.resources[one].fields[n].clone();
        if field == was {
            self.already.push(format!("{} is that already", was.name));
            return Ok(());
        }
        let mut resources = self.after.resources.clone();
        self.changes.push(format!("{} of {}: {}", was.name, resources[one].plural, difference(&was, &field)));
        resources[one].fields[n] = field;
        self.become_of(resources);
        Ok(())
    }

    /// "Status can also be archived", "Todos can also be 'on hold'": a value more, and of what.
    fn one_more(&self, clause: &str) -> Result<Option<(Place, String)>, Refusal> {
        let verbs = [" can also be ", " may also be ", " can now be ", " may now be ", " can now also be ", " can also now be "];
        let at = verbs.iter().find_map(|verb| Some((scope::find(clause, verb)?, verb.len())));
        let Some((subject, value)) = at.map(|(at, length)| (&clause[..at], &clause[at + length..])) else { return Ok(None) };
        let quoted = value.starts_with(['"', '\'']);
        let value =
            value.trim_end_matches(" now").trim_end_matches(" too").trim_end_matches(" as well").trim_matches(['"', '\'']).to_owned();
        let few = |place: &Place| !self.after.resources[place.0].fields[place.1].choices.is_empty();
        if let Some(place) = self.field(subject)?.filter(few) {
            return Ok(Some((place, value)));
        }
        // "Todos can also be shared" may be something else than a value.
        let Some(one) = self.resource(without_article(subject)).filter(|_| quoted) else { return Ok(None) };
        let places: Vec<Place> = (0..self.after.resources[one].fields.len()).map(|n| (one, n)).filter(few).collect();
        // Of several it is not said which.
        Ok(places.first().filter(|_| places.len() == 1).map(|place| (*place, value)))
    }

    /// "Each product belongs to a warehouse", "warehouses have a name".
    fn say(&mut self, clause: &str) -> Result<(), Refusal> {
        if let Some((place, value)) = self.one_more(clause)? {
            return self.add_choices(place, &value);
        }
        // "The price must be at least 1"
        if let Some(resources) = said_of_field(&self.after, clause) {
            let differing = |(was, now): (&Resource, &Resource)| {
                let fields = was.fields.iter().zip(&now.fields).filter(|(was, now)| was != now);
                fields.map(|(was, field)| format!("{} of {}: {}", was.name, now.plural, difference(was, field))).collect::<Vec<_>>()
            };
            let changes: Vec<String> = self.after.resources.iter().zip(&resources).flat_map(differing).collect();
            if changes.is_empty() {
                self.already.push(format!("It is so already: \"{clause}\""));
                return Ok(());
            }
            self.changes.extend(changes);
            self.become_of(resources);
            return Ok(());
        }
        // "Each plant belongs to a nursery. A nursery has a name and a city": what it has is said now.
        let mut known = self.after.resources.clone();
        for resource in known.iter_mut().filter(|resource| self.unsaid.contains(&resource.identifier)) {
            resource.fields.clear();
        }
        let (read, assumed) = of_existing(&known, clause)?;
        let before = known;
        let only_named =
            |resource: &&Resource| resource.fields.len() == 1 && assumed.iter().any(|said| said.contains("No fields were named"));
        let fresh = |resource: &&Resource| before.iter().all(|old| old.identifier != resource.identifier);
        self.unsaid = read.iter().filter(fresh).filter(only_named).map(|resource| resource.identifier.clone()).collect();
        // "Add authors with a name", where books have an author that is a text.
        for (old, now) in before.iter().zip(&read) {
            if let Some(lost) = old.fields.iter().find(|field| now.field(&field.name) != Some(*field)) {
                let (plural, name) = (&old.plural, &lost.name);
                return refuse(format!("{plural} have a {name} already, which is a {}: rename or remove it first", lost.field_type));
            }
        }
        for new in read.iter().filter(|new| before.iter().all(|old| old.identifier != new.identifier)) {
            self.changes.push(kept(new));
            self.fresh.push(new.identifier.clone());
        }
        let mut resources = read;
        for (old, new) in before.iter().zip(&mut resources) {
            for field in new.fields.iter_mut().filter(|field| old.field(&field.name).is_none()) {
                // What is there belongs to nothing yet; of what is new nothing is there.
                if old.fields.is_empty() || self.fresh.contains(&old.identifier) {
                    continue;
                }
                if field.required && field.default.is_none() && field.references.is_none() {
                    return refuse(format!(
                        "{} that are there have no {}: let it be optional, or add it with a default",
                        old.plural, field.name
                    ));
                }
                field.required = false;
                self.changes.push(format!(
                    "{} get {} ({})",
                    old.plural,
                    field.name,
                    field.references.as_ref().map_or(field.field_type.to_string(), |path| format!("one of {path}"))
                ));
            }
        }
        if resources == before {
            return refuse(format!("\"{clause}\" is not understood as a change"));
        }
        self.assumed.extend(assumed);
        self.become_of(resources);
        Ok(())
    }

    fn resource(&self, name: &str) -> Option<usize> {
        let name = name.strip_prefix("each ").or(name.strip_prefix("every ")).unwrap_or(name);
        // "Delete all products" is about what is kept of them.
        if name.split(' ').any(|word| ["all", "my", "our", "some", "small", "simple", "basic"].contains(&word)) {
            return None;
        }
        let named = resources::resource(name).ok()?;
        resources::position(&self.after.resources, &named.identifier)
    }

    /// "title", "the title field", "title of todos". None: there is none; it is refused when several resources have it.
    pub(super) fn field(&self, text: &str) -> Result<Option<Place>, Refusal> {
        let text = without_article(text).trim_end_matches(" field");
        // "the possible statuses"
        let text = ["possible ", "allowed ", "available "].iter().find_map(|word| text.strip_prefix(word)).unwrap_or(text);
        // "date of birth", "number of seats"
        let whole = text.replace(' ', "_");
        let short = text.replace(" of ", "_").replace(' ', "_");
        if text.contains(" of ")
            && let Some(place) = self.after.resources.iter().enumerate().find_map(|(one, resource)| {
                resource.fields.iter().position(|field| field.name == whole || field.name == short).map(|n| (one, n))
            })
        {
            return Ok(Some(place));
        }
        let (name, of) = match text.split_once(" of ").or_else(|| text.split_once(" in ")) {
            Some((name, of)) => match self.resource(without_article(of)) {
                Some(one) => (name, Some(one)),
                None => return Ok(None),
            },
            None => (text, None),
        };
        let Some(name) = name_of(name) else { return Ok(None) };
        // "titles must be unique"
        let one_of = resources::singular(&name);
        let has = |(one, resource): (usize, &Resource)| {
            let named = |name: &str| resource.fields.iter().position(|field| field.name == name);
            // "servings" is the number of servings.
            let counted = format!("number_{name}");
            let own = format!("{}_{name}", resource.identifier);
            named(&name).or_else(|| named(&one_of)).or_else(|| named(&counted)).or_else(|| named(&own)).map(|n| (one, n))
        };
        let places: Vec<Place> =
            self.after.resources.iter().enumerate().filter(|(one, _)| of.is_none_or(|of| of == *one)).filter_map(has).collect();
        match places.as_slice() {
            // "plant names"
            [] => match text.split_once(' ').filter(|_| of.is_none()).and_then(|(first, rest)| Some((self.resource(first)?, rest))) {
                Some((one, rest)) => self.field(&format!("{rest} of {}", self.after.resources[one].plural)),
                None => Ok(None),
            },
            [place] => Ok(Some(*place)),
            _ => {
                let of: Vec<&str> = places.iter().map(|(one, _)| self.after.resources[*one].plural.as_str()).collect();
                refuse(format!("There is a {name} of {}: say which, such as \"{name} of {}\"", of.join(" and of "), of[0]))
            }
        }
    }

    fn unknown(&self, what: &str) -> Result<(), Refusal> {
        let fields = |resource: &Resource| {
            let names: Vec<&str> = resource.fields.iter().map(|field| field.name.as_str()).collect();
            format!("{} have {}", resource.plural, names.join(", "))
        };
        let known: Vec<String> = self.after.resources.iter().map(fields).collect();
        refuse(format!("The project has no \"{what}\": {}", known.join("; ")))
    }
}

pub(super) fn without_article(text: &str) -> &str {
    ["the ", "a ", "an "].iter().find_map(|article| text.strip_prefix(article)).unwrap_or(text).trim()
}

/// "Due date" → `due_date`
fn name_of(text: &str) -> Option<String> {
    const NO_NAMES: &[&str] = &["and", "or", "to", "with", "for", "as", "not"];
    if text.split(' ').any(|word| NO_NAMES.contains(&word)) {
        return None;
    }
    let name = without_article(text)
        .trim_end_matches(" field")
        .trim_end_matches(" flag")
        .trim_end_matches(" column")
        .trim_matches(['"', '\''])
        .to_lowercase()
        .replace([' ', '-'], "_");
    (crate::understand::is_name(&name)).then_some(name)
}

/// A block by its name alone.
/// A thing that is new, as people are told of it.
fn kept(new: &Resource) -> String {
    let field = |field: &Field| match &field.references {
        Some(path) => format!("{} (one of {path})", field.name),
        None => format!("{} ({})", field.name, field.field_type),
    };
    format!("{} are kept, at /{}: {}", new.plural, new.path, new.fields.iter().map(field).collect::<Vec<_>>().join(", "))
}

fn is_many(what: &str, resource: &Resource) -> bool {
    let lower = what.to_lowercase();
    lower.starts_with(&resource.plural) || lower.starts_with("resource ") || lower.starts_with(&format!("{} resource", resource.singular))
}

/// "… with a default of 3" → what comes before, and the default.
fn take_default(text: &str) -> (String, Option<String>) {
    for phrase in [" with a default of ", " with default ", " defaulting to ", " that defaults to "] {
        if let Some((before, default)) = text.split_once(phrase) {
            return (before.to_owned(), Some(default.trim_end_matches(')').trim_matches(['"', '\'']).to_owned()));
        }
    }
    (text.to_owned(), None)
}

/// The field with what is said of it.
fn restricted(was: &Field, text: &str, verb: &str) -> Result<Field, Refusal> {
    let mut field = was.clone();
    match text {
        "required" | "mandatory" | "given" | "there" | "filled in" | "not empty" => field.required = true,
        "" if verb.eq_ignore_ascii_case("require") => field.required = true,
        "optional" | "not required" | "left out" | "empty" | "left empty" => field.required = false,
        "unique" if was.field_type == FieldType::Boolean || !was.choices.is_empty() => {
            return refuse(format!("{} has a few values only and cannot be unique", was.name));
        }
        "unique" => field.unique = true,
        "not unique" | "no longer unique" => field.unique = false,
        _ if text.starts_with("default ") => field.default = Some(fields::value_of(&field, text.trim_start_matches("default "))?),
        _ => {
            // As if it were named anew: "a priority from 1 to 5", "a status of open or closed", "a price (number)".
            let choices = text.contains(" or ") || text.contains('/');
            let named = match type_named(text) {
                Some(_) => format!("{} ({text})", was.name.replace('_', " ")),
                None if choices && !text.starts_with("of ") => {
                    format!("{} of {}", was.name.replace('_', " "), text.trim_start_matches("one of "))
                }
                None => format!("{} {text}", was.name.replace('_', " ")),
            };
            let (_, limits) = constraints::take(&named)?;
            let parsed = fields::parse(&named, &mut Vec::new())?;
            let alone = parsed.fields.len() == 1 && parsed.not_understood.is_empty() && parsed.said_required.is_empty();
            let Some(read) = parsed
                .fields
                .first()
                .filter(|read| alone && !read.unique && was.field_type != FieldType::Reference)
                .filter(|read| read.name == was.name && (type_named(text).is_some() || !limits.is_empty()))
            else {
                return refuse(format!("\"{text}\" is not understood as what {} may hold", was.name));
            };
            if type_named(text).is_some() {
                field.field_type = read.field_type;
                (field.choices, field.least, field.most) = (Vec::new(), None, None);
            } else if !read.choices.is_empty() {
                (field.field_type, field.choices) = (FieldType::Text, read.choices.clone());
                (field.least, field.most) = (None, None);
            } else {
                // A range says what it is of only where it was not that before.
                if !matches!((was.field_type, limits[0].length), (FieldType::Integer | FieldType::Number, false) | (FieldType::Text, true))
                {
                    field.field_type = read.field_type;
                }
                (field.least, field.most) = (read.least.or(was.least), read.most.or(was.most));
            }
        }
    }
    checked(was, field)
}

/// Whether anything can be so.
fn checked(was: &Field, mut field: Field) -> Result<Field, Refusal> {
    if let Some((least, most)) = field.least.zip(field.most).filter(|(least, most)| least > most) {
        return refuse(format!("Nothing is from {least} to {most}, as {} would have to be", was.name));
    }
    if field.unique && (field.field_type == FieldType::Boolean || !field.choices.is_empty()) {
        return refuse(format!("{} is unique and would have a few values only", was.name));
    }
    // New items would have what they may not.
    if field.field_type != was.field_type {
        field.default = None;
    } else if let Some(default) = &field.default {
        let said = match default {
            serde_json::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        if fields::value_of(&field, &said).is_err() {
            return refuse(format!("Its default of {said} is none of what {} would hold", was.name));
        }
    }
    Ok(field)
}

fn difference(was: &Field, now: &Field) -> String {
    let mut said = Vec::new();
    if was.field_type != now.field_type {
        said.push(format!("is a {} (it was a {})", now.field_type, was.field_type));
    }
    if was.required != now.required {
        said.push(if now.required { "is required" } else { "is optional" }.to_owned());
    }
    if was.unique != now.unique {
        said.push(if now.unique { "is unique" } else { "may be there twice" }.to_owned());
    }
    if was.choices != now.choices && !now.choices.is_empty() {
        said.push(format!("is one of {}", now.choices.join(", ")));
    }
    if was.default != now.default {
        let default = now.default.as_ref().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        said.push(default.map_or("has no default".to_owned(), |value| format!("is {value} where nobody says otherwise")));
    }
    let bounds = [("at least", was.least, now.least), ("at most", was.most, now.most)];
    said.extend(
        bounds.into_iter().filter(|(_, was, now)| was != now).filter_map(|(words, _, now)| now.map(|now| format!("is {words} {now}"))),
    );
    said.join(", ")
}
