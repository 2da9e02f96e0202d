use std::collections::{BTreeMap, HashMap};

use sea_orm::TransactionTrait as _;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::ProjectId;

use super::App;
use super::deployments::check_environment;
use crate::store::variables::{self, Of};

const MOST: usize = 100;
const NAME_MOST: usize = 100;
const VALUE_MOST: usize = 4_096;
/// What the service itself says to an app.
const OURS: &[&str] = &["PORT", "HOST", "DATA_DIR", "COPY_DIR", "PATH", "HOME"];

impl App {
    pub(crate) async fn variables(&self, who: &Principal, project: ProjectId, environment: &str) -> Result<BTreeMap<String, String>> {
        who.may_touch(project)?;
        check_environment(environment)?;
        variables::all(&self.db, Of { org: who.org, project, environment }).await
    }

    /// All of them or none; returns what is set then. The next deployment has it.
    pub(crate) async fn set_variables(
        &self,
        who: &Principal,
        project: ProjectId,
        environment: &str,
        set: &HashMap<String, String>,
        unset: &[String],
    ) -> Result<BTreeMap<String, String>> {
        who.may_touch(project)?;
        check_environment(environment)?;
        for (name, value) in set {
            check(name, value)?;
        }
        let of = Of { org: who.org, project, environment };
        let tx = self.db.begin().await?;
        variables::unset(&tx, of, unset).await?;
        for (name, value) in set {
            variables::set(&tx, of, name, value, &who.id.to_string()).await?;
        }
        let all = variables::all(&tx, of).await?;
        if all.len() > MOST {
            return Err(Error::invalid("set", format!("an environment has at most {MOST} variables")));
        }
        tx.commit().await?;
        Ok(all)
    }
}

fn check(name: &str, value: &str) -> Result<()> {
    let field = format!("set.{}", name.chars().take(NAME_MOST).collect::<String>());
    let plain = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if !plain || name.len() > NAME_MOST {
        return Err(Error::invalid(field, "is not a name: A to Z, 0 to 9 and _, beginning with a letter"));
    }
    if OURS.contains(&name) || name.starts_with("TITAN_") {
        return Err(Error::invalid(field, "is set by the deployment itself"));
    }
    if value.chars().count() > VALUE_MOST || value.contains('\0') {
        return Err(Error::invalid(field, format!("must be at most {VALUE_MOST} characters, without NUL characters")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        assert!(check("LOG_LEVEL", "info").is_ok());
        for (name, value) in [("log", "x"), ("1A", "x"), ("PORT", "1"), ("TITAN_DEPLOYMENT", "x"), ("A", "\0"), ("", "x"), ("A-B", "x")] {
            assert!(check(name, value).is_err(), "{name}");
        }
        assert!(check("A", &"x".repeat(VALUE_MOST + 1)).is_err());
    }
}
