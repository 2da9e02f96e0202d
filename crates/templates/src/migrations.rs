//! What becomes of the data when a project changes. The app does it, forward and back (`library/rest-api/files/app/migrations.py`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Field, FieldType, Resource};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Step {
    CreateTable {
        table: String,
        columns: Vec<Column>,
    },
    DropTable {
        table: String,
    },
    RenameTable {
        from: String,
        to: String,
    },
    /// `default` goes into the rows that are there.
    AddColumn {
        table: String,
        column: Column,
        default: Option<serde_json::Value>,
    },
    DropColumn {
        table: String,
        name: String,
    },
    RenameColumn {
        table: String,
        from: String,
        to: String,
    },
    /// `from`: the type it was.
    RetypeColumn {
        table: String,
        column: Column,
        from: FieldType,
    },
    Unique {
        table: String,
        name: String,
        on: bool,
    },
    /// There is login from now on.
    Own {
        table: String,
    },
    /// That what is there may stay.
    Check {
        table: String,
        column: Column,
        rules: Rules,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateTable { table, .. } => write!(f, "{table} is kept"),
            Self::DropTable { table } => write!(f, "{table} is kept no more"),
            Self::RenameTable { from, to } => write!(f, "{from} is called {to}"),
            Self::AddColumn { table, column, .. } => write!(f, "{table} gets {}", column.name),
            Self::DropColumn { table, name } => write!(f, "{table} loses {name}"),
            Self::RenameColumn { table, from, to } => write!(f, "{table}: {from} is called {to}"),
            Self::RetypeColumn { table, column, .. } => write!(f, "{table}: {} becomes a {}", column.name, column.field_type),
            Self::Unique { table, name, on: true } => write!(f, "{table}: {name} is unique"),
            Self::Unique { table, name, on: false } => write!(f, "{table}: {name} may be there twice"),
            Self::Own { table } => write!(f, "{table}: what is there is nobody's until it is claimed"),
            Self::Check { table, column, .. } => write!(f, "{table}: {} is checked", column.name),
        }
    }
}

/// What the values of a column must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    pub required: bool,
    pub choices: Vec<String>,
    pub least: Option<f64>,
    pub most: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub field_type: FieldType,
    /// The table it is an id of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
}

/// All of it anew.
pub(crate) fn create(resources: &[Resource]) -> Vec<Step> {
    resources.iter().flat_map(|resource| create_one(resource, resources)).collect()
}

pub(crate) fn create_one(resource: &Resource, all: &[Resource]) -> Vec<Step> {
    let table = &resource.identifier;
    let columns = resource.fields.iter().map(|field| column(field, all)).collect();
    let unique = resource.fields.iter().filter(|field| field.unique);
    let unique = unique.map(|field| Step::Unique { table: table.clone(), name: field.name.clone(), on: true });
    [Step::CreateTable { table: table.clone(), columns }].into_iter().chain(unique).collect()
}

pub(crate) fn column(field: &Field, all: &[Resource]) -> Column {
    let target = field.references.as_ref().and_then(|path| all.iter().find(|resource| resource.path == *path));
    Column { name: field.name.clone(), field_type: field.field_type, references: target.map(|resource| resource.identifier.clone()) }
}

/// From what was kept to what is kept, by names: what has another name is another thing.
pub(crate) fn between(before: &[Resource], after: &[Resource]) -> Vec<Step> {
    let mut steps = Vec::new();
    for new in after {
        match before.iter().find(|old| old.identifier == new.identifier) {
            Some(old) => steps.extend(within(old, new, after)),
            None => steps.extend(create_one(new, after)),
        }
    }
    // Last, when nothing refers to them any more.
    for old in before.iter().filter(|old| after.iter().all(|new| new.identifier != old.identifier)) {
        steps.extend(old.fields.iter().filter(|field| field.unique).map(|field| unique(&old.identifier, &field.name, false)));
        steps.push(Step::DropTable { table: old.identifier.clone() });
    }
    steps
}

pub(crate) fn unique(table: &str, name: &str, on: bool) -> Step {
    Step::Unique { table: table.to_owned(), name: name.to_owned(), on }
}

fn within(old: &Resource, new: &Resource, all: &[Resource]) -> Vec<Step> {
    let table = &new.identifier;
    let mut steps = Vec::new();
    for gone in old.fields.iter().filter(|field| new.field(&field.name).is_none()) {
        steps.extend(gone.unique.then(|| unique(table, &gone.name, false)));
        steps.push(Step::DropColumn { table: table.clone(), name: gone.name.clone() });
    }
    for field in &new.fields {
        let Some(was) = old.field(&field.name) else {
            // Rows that are there have no value of it, but a flag is not set.
            let default = match field.field_type {
                FieldType::Boolean => field.default.clone().or_else(|| Some(serde_json::Value::from(0))),
                _ => field.default.clone(),
            };
            steps.push(Step::AddColumn { table: table.clone(), column: column(field, all), default });
            steps.extend(field.unique.then(|| unique(table, &field.name, true)));
            continue;
        };
        let retyped = was.field_type != field.field_type || was.references != field.references;
        let (drops, adds) = (was.unique && (retyped || !field.unique), field.unique && (retyped || !was.unique));
        steps.extend(drops.then(|| unique(table, &field.name, false)));
        if retyped {
            steps.push(Step::RetypeColumn { table: table.clone(), column: column(field, all), from: was.field_type });
        }
        if is_stricter(was, field) {
            steps.push(Step::Check { table: table.clone(), column: column(field, all), rules: Rules::of(field) });
        }
        steps.extend(adds.then(|| unique(table, &field.name, true)));
    }
    steps
}

/// What was good before may be so no more.
fn is_stricter(was: &Field, now: &Field) -> bool {
    let narrower = |was: Option<f64>, now: Option<f64>, worse: fn(f64, f64) -> bool| match (was, now) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(was), Some(now)) => worse(was, now),
    };
    let values = !now.choices.is_empty() && (was.choices.is_empty() || was.choices.iter().any(|choice| !now.choices.contains(choice)));
    (now.required && !was.required)
        || values
        || narrower(was.least, now.least, |was, now| now > was)
        || narrower(was.most, now.most, |was, now| now < was)
}

impl Rules {
    fn of(field: &Field) -> Self {
        let Field { required, choices, least, most, .. } = field.clone();
        Self { required, choices, least, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::understand;

    fn resources(sentence: &str) -> Vec<Resource> {
        understand(sentence).unwrap().resources
    }

    #[test]
    fn what_changed_is_a_step_and_what_did_not_is_none() {
        let before = resources("Build a REST API for todos with a title, a note, a unique code and a priority from 1 to 9");
        assert_eq!(between(&before, &before), []);
        let after = resources(
            "Build a REST API for todos and lists. A todo has a title, a note (integer), a priority from 1 to 5 and a done flag. A list has a unique name",
        );
        let steps: Vec<String> = between(&before, &after).iter().map(|step| serde_json::to_string(step).unwrap()).collect();
        assert_eq!(
            steps,
            [
                r#"{"op":"unique","table":"todo","name":"code","on":false}"#,
                r#"{"op":"drop_column","table":"todo","name":"code"}"#,
                r#"{"op":"retype_column","table":"todo","column":{"name":"note","type":"integer"},"from":"text"}"#,
                r#"{"op":"check","table":"todo","column":{"name":"priority","type":"integer"},"rules":{"required":false,"choices":[],"least":1.0,"most":5.0}}"#,
                r#"{"op":"add_column","table":"todo","column":{"name":"done","type":"boolean"},"default":0}"#,
                r#"{"op":"create_table","table":"list","columns":[{"name":"name","type":"text"}]}"#,
                r#"{"op":"unique","table":"list","name":"name","on":true}"#,
            ]
        );
        assert_eq!(serde_json::to_string(between(&after, &before).last().unwrap()).unwrap(), r#"{"op":"drop_table","table":"list"}"#);
    }
}
