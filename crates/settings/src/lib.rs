//! This crate only reads configuration: embedded defaults → file → `TITAN__SECTION__KEY`, unknown keys
//! refused, validated once with every problem listed. Services own their settings types; the sections that
//! several of them share are in [`sections`].

mod secret;
mod sections;

use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

pub use secret::Secret;
pub use sections::{Bus, Counters, Database, Identity, Listen, LogFormat, Telemetry};

/// Settings that can say what is wrong with themselves.
pub trait Settings: DeserializeOwned + Serialize {
    /// TOML with a value for every key that has a sensible default.
    const DEFAULTS: &'static str;
    /// Keys whose values are lists: an environment variable separates them by commas.
    const LISTS: &'static [&'static str] = &[];
    /// Adds a line `section.key: what is wrong and what to write instead` for each problem.
    fn problems(&self, problems: &mut Vec<String>);
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the settings cannot be read (environment variables are spelled TITAN__SECTION__KEY)")]
    Read(#[from] config::ConfigError),
    #[error("settings are not usable:\n  {}", .0.join("\n  "))]
    Invalid(Vec<String>),
}

/// Reads the settings of a process.
///
/// # Errors
/// An unreadable file, an unknown key, a value of the wrong type, or what [`Settings::problems`] found.
pub fn load<S: Settings>(file: Option<&Path>) -> Result<S, SettingsError> {
    let mut builder = config::Config::builder().add_source(config::File::from_str(S::DEFAULTS, config::FileFormat::Toml));
    if let Some(file) = file {
        builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
    }
    read(builder)
}

/// The same with a TOML text in place of the file (tests, `titan dev`).
///
/// # Errors
/// As [`load`].
pub fn load_text<S: Settings>(text: &str) -> Result<S, SettingsError> {
    let source = |text: &str| config::File::from_str(text, config::FileFormat::Toml);
    read(config::Config::builder().add_source(source(S::DEFAULTS)).add_source(source(text)))
}

fn read<S: Settings>(builder: config::ConfigBuilder<config::builder::DefaultState>) -> Result<S, SettingsError> {
    let mut environment = config::Environment::with_prefix("TITAN").prefix_separator("__").separator("__").try_parsing(true);
    if !S::LISTS.is_empty() {
        environment = S::LISTS.iter().fold(environment.list_separator(","), |e, key| e.with_list_parse_key(key));
    }
    let settings: S = builder.add_source(environment).build()?.try_deserialize()?;
    let mut problems = Vec::new();
    settings.problems(&mut problems);
    if problems.is_empty() { Ok(settings) } else { Err(SettingsError::Invalid(problems)) }
}

/// The command line every service understands.
#[derive(Debug, clap::Parser)]
#[command(version)]
pub struct ServiceArgs {
    /// TOML file with settings; environment variables TITAN__SECTION__KEY win over it.
    #[arg(long, env = "TITAN_CONFIG")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<ServiceCommand>,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
pub enum ServiceCommand {
    /// Print the effective settings (secrets redacted) and exit.
    Config,
    /// Bring the service's database schema up to date and exit.
    Migrate,
}

/// The effective settings as TOML, secrets redacted.
///
/// # Errors
/// Settings that TOML cannot express.
pub fn show<S: Settings>(settings: &S) -> Result<String, toml::ser::Error> {
    toml::to_string_pretty(settings)
}

/// A name from the process environment, for the few tools that have no settings file (CLI, tests).
#[must_use]
#[allow(clippy::disallowed_methods)] // the one place that reads it
pub fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[derive(Debug, serde::Serialize, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        database: Database,
    }
    impl Settings for Example {
        const DEFAULTS: &'static str = "[database]\nurl = \"postgres://titan:hunter2@localhost/titan\"\npool_size = 4";
        fn problems(&self, problems: &mut Vec<String>) {
            self.database.problems(problems);
        }
    }

    fn with_file(text: &str) -> Result<Example, SettingsError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(Some(file.path()))
    }

    #[test]
    fn a_file_overrides_the_defaults() {
        assert_eq!(with_file("[database]\npool_size = 7").unwrap().database.pool_size, 7);
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = format!("{:?}", with_file("[database]\npoolsize = 7").unwrap_err());
        assert!(error.contains("poolsize"), "{error}");
    }

    #[test]
    fn every_problem_is_listed() {
        let error = with_file("[database]\npool_size = 0\nurl = \"mysql://x\"").unwrap_err().to_string();
        assert!(error.contains("database.pool_size") && error.contains("database.url"), "{error}");
    }

    #[test]
    fn shown_settings_hide_secrets() {
        let shown = show(&with_file("").unwrap()).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
