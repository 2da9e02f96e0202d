use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use titan_error::Result;

/// Writes that go to the database together: one statement, and one way there and back. Each sees the tables as they were
/// before all of them, and no two may write the same row.
#[derive(Debug, Default)]
pub struct Combined {
    parts: Vec<String>,
    calls: Vec<String>,
    values: Vec<Value>,
}

impl Combined {
    /// Adds an INSERT, an UPDATE or a DELETE, with its values, `$1` first. Returns the name of what it returns.
    pub fn add<const N: usize>(&mut self, text: &str, values: [Value; N]) -> String {
        let name = format!("part_{}", self.parts.len());
        self.parts.push(format!("{name} AS ({})", renumbered(text, self.values.len())));
        self.values.extend(values);
        name
    }

    /// Adds a call of a function, whose answer nobody reads.
    pub fn call<const N: usize>(&mut self, text: &str, values: [Value; N]) {
        self.calls.push(renumbered(text, self.values.len()));
        self.values.extend(values);
    }

    /// As [`Combined::add`], behind common table expressions of its own: their text without WITH, then what they serve.
    pub fn add_with<const N: usize>(&mut self, with: &str, text: &str, values: [Value; N]) -> String {
        self.parts.push(renumbered(with, self.values.len()));
        self.add(text, values)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.calls.is_empty()
    }

    /// # Errors
    /// The database.
    pub async fn execute(self, db: &impl ConnectionTrait) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        db.query_all_raw(self.into_statement()).await?;
        Ok(())
    }

    /// The statement that does it.
    #[must_use]
    pub fn into_statement(self) -> Statement {
        let select = format!("SELECT {}", self.calls.join(", "));
        self.and(&select)
    }

    /// The statement that does it and answers with `select`, which may read what the parts return by their names.
    #[must_use]
    pub fn and(self, select: &str) -> Statement {
        let with = if self.parts.is_empty() { String::new() } else { format!("WITH {} ", self.parts.join(", ")) };
        Statement::from_sql_and_values(DbBackend::Postgres, format!("{with}{select}"), self.values)
    }
}

/// `$1` of `text` becomes `$(before + 1)`, and so on.
fn renumbered(text: &str, before: usize) -> String {
    let mut parts = text.split('$');
    let mut renumbered = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = part[..digits].parse::<usize>().map_or_else(|_| String::new(), |n| (n + before).to_string());
        renumbered.push('$');
        renumbered.push_str(&number);
        renumbered.push_str(&part[digits..]);
    }
    renumbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_values() {
        let mut all = Combined::default();
        all.add("INSERT INTO a SELECT $1, $2::int[], $12", [1.into(), 2.into()]);
        all.add_with("r AS (SELECT $1)", "UPDATE b SET c = $2 FROM r", [3.into(), 4.into()]);
        assert_eq!(
            all.parts,
            ["part_0 AS (INSERT INTO a SELECT $1, $2::int[], $12)", "r AS (SELECT $3)", "part_2 AS (UPDATE b SET c = $4 FROM r)"]
        );
        assert_eq!(all.values, [1.into(), 2.into(), 3.into(), 4.into()]);
    }
}
