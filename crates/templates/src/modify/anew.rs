//! A sentence that asks for all of a project that is there.

use super::project::CLAIMED;
use super::{Modification, VERBS};
use crate::migrations::{self, Step};
use crate::understand::{Refusal, read, refuse};
use crate::{Block, FieldType, Understanding};

/// "Build a REST API for todos with …" asks for all of it; "Build the search" does not.
pub(super) fn anew(sentence: &str) -> Option<Result<(Understanding, bool), Refusal>> {
    let first = sentence.split(' ').next().unwrap_or_default().to_lowercase();
    if VERBS.contains(&first.as_str()) {
        return None;
    }
    match read(sentence) {
        Err(_) | Ok((_, false)) if !["build", "create", "i", "we", "an", "rest"].contains(&first.as_str()) => None,
        // "An item has a name" says something of what is there.
        Ok((_, false)) => None,
        read => Some(read),
    }
}

/// The project as it is asked for anew, which keeps what has the same name. `built`, and whether its kind was named.
pub(super) fn instead(before: &Understanding, (mut after, named): (Understanding, bool)) -> Result<Modification, Refusal> {
    if !named {
        (after.kind, after.template) = (before.kind, before.template.clone());
    }
    if after.kind != before.kind {
        return refuse(format!("The project is a {} and the goal asks for a {}; make a new project for it", before.kind, after.kind));
    }
    let login = |of: &Understanding| of.blocks.contains(&Block::Authentication);
    if login(before) && !login(&after) {
        return refuse("Login cannot be removed: everybody would see what is somebody's own; make a new project for it");
    }
    for resource in &mut after.resources {
        let Some(was) = before.resources.iter().find(|was| was.identifier == resource.identifier) else { continue };
        for field in resource.fields.iter_mut().filter(|field| was.field(&field.name).is_none() && field.field_type != FieldType::Boolean) {
            if std::mem::take(&mut field.required) {
                after.assumed.push(format!("{} is optional: {} that are there have none", field.name, was.plural));
            }
        }
    }
    let mut steps = migrations::between(&before.resources, &after.resources);
    if login(&after) && !login(before) {
        let kept = after.resources.iter().filter(|resource| before.resources.iter().any(|was| was.identifier == resource.identifier));
        steps.extend(kept.map(|resource| Step::Own { table: resource.identifier.clone() }));
        after.assumed.push(CLAIMED.to_owned());
    }
    let of_blocks = |one: &Understanding, other: &Understanding, word: &str| {
        let only = one.blocks.iter().filter(|block| !other.blocks.contains(block));
        only.map(|block| format!("{block} is {word}")).collect::<Vec<_>>()
    };
    let mut changes: Vec<String> = steps.iter().map(ToString::to_string).collect();
    changes.extend(of_blocks(&after, before, "added"));
    changes.extend(of_blocks(before, &after, "removed"));
    after.migrations = before.migrations.clone();
    after.migrations.extend((!steps.is_empty()).then_some(steps));
    Ok(Modification { after, changes })
}
