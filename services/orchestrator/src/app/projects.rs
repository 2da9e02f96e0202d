use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, TransactionTrait as _};
use titan_error::{Code, Error, Result};
use titan_identity::Principal;
use titan_ids::{Project, ProjectId};
use titan_proto::common::PageRequest;
use titan_proto::events::ProjectCreated;
use titan_proto::events::event::Body;
use titan_store::outbox::{self, About};
use titan_store::{Page, PageOf};

use super::{App, text};
use crate::domain::matching::Weights;
use crate::domain::readiness::Ready;
use crate::store::entity::project::{Model, Status};
use crate::store::projects;

const NAME_MOST: usize = 100;
const DESCRIPTION_MOST: usize = 2_000;
const SLUG_MOST: usize = 40;

#[derive(Debug)]
pub(crate) struct ProjectIn {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Made from the name when empty.
    pub(crate) slug: String,
    pub(crate) idempotency_key: String,
}

#[derive(Debug)]
pub(crate) struct ProjectPatch {
    pub(crate) name: Option<String>,
    pub(crate) description: Option<String>,
    /// Its share of the work that is given out.
    pub(crate) weight: Option<f64>,
    /// How its agents are chosen; all 0 for the service's own way.
    pub(crate) matching: Option<Weights>,
    /// The version the change was made against.
    pub(crate) version: i64,
}

impl App {
    pub(crate) async fn create_project(&self, who: &Principal, project: ProjectIn, now: DateTime<Utc>) -> Result<Model> {
        let name = text("name", &project.name, NAME_MOST)?;
        let description = description(&project.description)?;
        let key = Some(project.idempotency_key).filter(|key| !key.is_empty());
        if let Some(key) = &key
            && let Some(existing) = projects::by_key(&self.db, who.org, key).await?
        {
            return Ok(existing);
        }
        let named = Named { name, description, key };
        let tx = self.db.begin().await?;
        let created = if project.slug.is_empty() {
            create_with_free_slug(&tx, who, &named, now).await?
        } else {
            let project = new(who, check_slug(&project.slug)?, &named, now);
            if !projects::insert(&tx, &project).await? {
                return Err(Error::new(Code::AlreadyExists, format!("a project with the slug {:?} exists", project.slug)));
            }
            project
        };
        outbox::append(&tx, &[project_created(&created, now)]).await?;
        tx.commit().await?;
        self.committed(Ready::default());
        Ok(created)
    }

    pub(crate) async fn project(&self, who: &Principal, id_or_slug: &str) -> Result<Model> {
        let project = projects::find(&self.db, who.org, id_or_slug).await?;
        who.may_touch(project.id)?;
        Ok(project)
    }

    /// The project, if new work may be added to it.
    pub(crate) async fn active_project(&self, who: &Principal, id_or_slug: &str) -> Result<Model> {
        let project = self.project(who, id_or_slug).await?;
        if project.status == Status::Archived {
            return Err(Error::precondition(format!("the project {:?} is archived", project.slug)));
        }
        Ok(project)
    }

    pub(crate) async fn projects(&self, who: &Principal, page: Option<PageRequest>) -> Result<PageOf<Model>> {
        let page = Page::parse::<Project>(page)?;
        Ok(page.of(projects::list(&self.db, who.org, page).await?, |p| p.id.to_string()))
    }

    pub(crate) async fn update_project(&self, who: &Principal, id_or_slug: &str, patch: ProjectPatch, now: DateTime<Utc>) -> Result<Model> {
        let mut project = self.project(who, id_or_slug).await?;
        if let Some(name) = patch.name {
            project.name = text("name", &name, NAME_MOST)?;
        }
        if let Some(new) = patch.description {
            project.description = description(&new)?;
        }
        if let Some(weight) = patch.weight {
            if !(0.01..=100.0).contains(&weight) {
                return Err(Error::invalid("weight", "must be 0.01 to 100"));
            }
            project.weight = weight;
        }
        if let Some(weights) = patch.matching {
            project.matching = if weights.is_none() { None } else { Some(check_weights(weights)?) };
        }
        project.updated_at = now;
        if !projects::update(&self.db, &project, patch.version).await? {
            let current = self.project(who, id_or_slug).await?.version;
            let message = format!("the project is at version {current}, not {}; read it again and repeat the change", patch.version);
            return Err(Error::precondition(message));
        }
        self.known_projects.forget();
        self.project(who, id_or_slug).await
    }

    pub(crate) async fn archive_project(&self, who: &Principal, id_or_slug: &str) -> Result<Model> {
        let project = self.project(who, id_or_slug).await?;
        if !projects::archive(&self.db, project.id).await? {
            return Err(Error::precondition("the project has goals that are not finished; wait for them"));
        }
        self.known_projects.forget();
        self.project(who, &project.id.to_string()).await
    }
}

/// Makes a project under the slug of its name, or the first free one of slug-2, slug-3, …
pub(super) async fn create_with_free_slug(tx: &impl ConnectionTrait, who: &Principal, named: &Named, now: DateTime<Utc>) -> Result<Model> {
    let base = slug_of(&named.name);
    for n in 1..=200 {
        let slug = if n == 1 { base.clone() } else { format!("{base}-{n}") };
        let project = new(who, slug, named, now);
        if projects::insert(tx, &project).await? {
            return Ok(project);
        }
    }
    Err(Error::new(Code::AlreadyExists, format!("there are 200 projects called {base:?} already; give a slug")))
}

pub(super) fn project_created(project: &Model, now: DateTime<Utc>) -> titan_proto::events::Event {
    let about = About {
        org: project.org_id,
        project: Some(project.id),
        subject: project.id.to_string(),
        version: project.version,
        causation: String::new(),
        traceparent: String::new(),
    };
    outbox::event(about, Body::ProjectCreated(ProjectCreated { slug: project.slug.clone(), name: project.name.clone() }), now)
}

/// What a project is made with, checked.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) key: Option<String>,
}

fn new(who: &Principal, slug: String, named: &Named, now: DateTime<Utc>) -> Model {
    Model {
        id: ProjectId::generate(),
        org_id: who.org,
        slug,
        name: named.name.clone(),
        description: named.description.clone(),
        status: Status::Active,
        owner: who.id.to_string(),
        idempotency_key: named.key.clone(),
        version: 1,
        weight: 1.0,
        matching: None,
        created_at: now,
        updated_at: now,
    }
}

fn check_weights(weights: Weights) -> Result<serde_json::Value> {
    weights.problem().map_or(Ok(()), |problem| Err(Error::invalid("matching", problem)))?;
    serde_json::to_value(weights).map_err(Error::internal)
}

fn description(value: &str) -> Result<String> {
    if value.trim().is_empty() { Ok(String::new()) } else { text("description", value, DESCRIPTION_MOST) }
}

fn check_slug(slug: &str) -> Result<String> {
    let valid = slug.len() <= SLUG_MOST
        && slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && slug.starts_with(|c: char| c.is_ascii_lowercase())
        && !slug.ends_with('-')
        // Two dashes part a project from its environment, where its app is reached.
        && !slug.contains("--");
    if valid {
        Ok(slug.to_owned())
    } else {
        Err(Error::invalid("slug", format!("must be a-z, 0-9 and single dashes, begin with a letter, and be at most {SLUG_MOST} long")))
    }
}

/// Lower-case ASCII words joined by dashes; `project` when there are none.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for word in name.to_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
        if slug.len() + word.len() + 1 > SLUG_MOST - 4 {
            break;
        }
        if !slug.is_empty() {
            slug.push('-');
        }
        slug.push_str(word);
    }
    if slug.starts_with(|c: char| c.is_ascii_lowercase()) {
        slug
    } else {
        format!("project{}{slug}", if slug.is_empty() { "" } else { "-" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_come_from_names() {
        for (name, slug) in [
            ("Todos API", "todos-api"),
            ("  Ünïcode & Co ", "n-code-co"),
            ("2026 plans", "project-2026-plans"),
            ("日本語", "project"),
            ("a very long name that goes on and on and on", "a-very-long-name-that-goes-on-and-on"),
        ] {
            assert_eq!(slug_of(name), slug);
            assert!(check_slug(slug).is_ok());
        }
    }

    #[test]
    fn a_bad_slug_is_refused() {
        for bad in ["Upper", "-a", "a-", "a/b", "1a", &"a".repeat(41)] {
            assert!(check_slug(bad).is_err(), "{bad}");
        }
    }
}
