//! This crate only reads `titan.toml`, by which a project says how it is run, tested and judged.

use std::collections::BTreeMap;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde::{Deserialize, Serialize};

/// The file's name, at the root of a project.
pub const FILE: &str = "titan.toml";
/// No project may ask to be judged more mildly.
const COVERAGE_FLOOR: f64 = 70.0;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub app: App,
    pub test: Test,
    #[serde(default)]
    pub gates: Gates,
    #[serde(default)]
    pub packages: Option<Packages>,
    /// None: the data has one shape for ever.
    #[serde(default)]
    pub data: Option<Data>,
    #[serde(default)]
    pub hooks: Hooks,
}

/// Commands that are run in the project's directory, with the app's environment and `DATA_DIR`, and `TITAN_APP_URL`, `TITAN_ENVIRONMENT`,
/// `TITAN_COMMIT` and, where an earlier version was put back, `TITAN_BACK_FROM` set: the commit that served. Each has 120 s.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// Once a version is healthy, and before any request comes to it: exit code 0, or it fails and what serves goes on. It may be run again
    /// when it was cut off. A version that has taken over data of another shape has 15 s for it, for requests wait.
    #[serde(default)]
    pub verify: Vec<String>,
    /// Once a version serves, unless it is replaced before; what it printed when it failed is in the history. Run again when it was cut off.
    #[serde(default)]
    pub served: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Versions that differ in it have another shape of the data: they cannot run on it at the same time.
    pub version: String,
    /// Copies what is in `DATA_DIR` to `COPY_DIR`, while the app runs.
    pub copy: Vec<String>,
    /// Brings what is in `DATA_DIR` to this version; exit code 0 when it did, else nothing is changed and its output says why.
    pub migrate: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// A file that pins Python packages by their hashes, as `pip-compile --generate-hashes` writes it. They are there when the project is
    /// tested and run, on Python's path.
    pub requirements: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Started in the project's directory with `PORT` and `DATA_DIR` set; it listens on 127.0.0.1:PORT.
    pub command: Vec<String>,
    /// Path that answers 200 once the app is of use.
    pub health: String,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Runs the tests; exit code 0 when all passed.
    pub command: Vec<String>,
    /// Writes the coverage report after the tests.
    #[serde(default)]
    pub coverage_command: Vec<String>,
    /// Where it is: coverage.py's JSON format.
    #[serde(default)]
    pub coverage_report: Option<String>,
    /// Seconds.
    #[serde(default = "default_timeout")]
    pub timeout_s: u64,
}

fn default_timeout() -> u64 {
    120
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gates {
    /// Least share of lines the tests must cover, in percent; 70 at the least.
    #[serde(default)]
    coverage: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("titan.toml: {0}")]
    Parse(#[from] toml::de::Error),
    #[error("titan.toml: {0}")]
    Invalid(&'static str),
    #[error("{file} cannot be read: {source}")]
    Unreadable { file: String, source: std::io::Error },
}

impl Manifest {
    /// That of a project, which may be a stranger's: nothing outside of it is read.
    ///
    /// # Errors
    /// It is not there, or as [`Manifest::parse`].
    pub fn read(project: &Path) -> Result<Self, ManifestError> {
        Self::parse(&read(project, FILE)?)
    }

    /// What pins its packages, if it has any.
    ///
    /// # Errors
    /// The file is not there.
    pub fn requirements(&self, project: &Path) -> Result<Option<String>, ManifestError> {
        self.packages.as_ref().map(|packages| read(project, &packages.requirements)).transpose()
    }

    /// # Errors
    /// Not TOML, an unknown key, or a value nothing can be done with.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        if manifest.app.command.is_empty() || manifest.test.command.is_empty() {
            return Err(ManifestError::Invalid("app.command and test.command need a program"));
        }
        if manifest.data.as_ref().is_some_and(|data| data.copy.is_empty() || data.migrate.is_empty()) {
            return Err(ManifestError::Invalid("data.copy and data.migrate need a program"));
        }
        let Hooks { verify, served } = &manifest.hooks;
        if [verify, served].into_iter().flatten().any(|part| part.contains('\0'))
            || [verify, served].iter().any(|hook| hook.first().is_some_and(String::is_empty))
        {
            return Err(ManifestError::Invalid("hooks.verify and hooks.served need a program, and no NUL characters"));
        }
        if !manifest.app.health.starts_with('/') {
            return Err(ManifestError::Invalid("app.health must be a path such as /health"));
        }
        if !(1..=600).contains(&manifest.test.timeout_s) {
            return Err(ManifestError::Invalid("test.timeout_s must be 1 to 600"));
        }
        Ok(manifest)
    }

    /// In percent.
    #[must_use]
    pub fn coverage_gate(&self) -> f64 {
        self.gates.coverage.max(COVERAGE_FLOOR)
    }
}

fn read(project: &Path, file: &str) -> Result<String, ManifestError> {
    let unreadable = |source| ManifestError::Unreadable { file: file.to_owned(), source };
    Dir::open_ambient_dir(project, ambient_authority()).and_then(|dir| dir.read_to_string(file)).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[app]\ncommand = ['python3', '-m', 'app']\nhealth = '/health'\n[test]\ncommand = ['true']\n";

    #[test]
    fn the_coverage_gate_has_a_floor() {
        assert!((Manifest::parse(GOOD).unwrap().coverage_gate() - 70.0).abs() < f64::EPSILON);
        let strict = Manifest::parse(&format!("{GOOD}[gates]\ncoverage = 95.0\n")).unwrap();
        assert!((strict.coverage_gate() - 95.0).abs() < f64::EPSILON);
    }

    #[test]
    fn nothing_outside_of_the_project_is_read() {
        let (project, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("signing-key");
        std::fs::write(&secret, "very secret").unwrap();
        std::os::unix::fs::symlink(&secret, project.path().join(FILE)).unwrap();
        assert!(!Manifest::read(project.path()).unwrap_err().to_string().contains("very"));
        let text = format!("{GOOD}[packages]\nrequirements = '../{}/signing-key'\n", outside.path().file_name().unwrap().display());
        assert!(Manifest::parse(&text).unwrap().requirements(project.path()).is_err());
    }

    #[test]
    fn mistakes_are_named() {
        let error = Manifest::parse(&GOOD.replace("health", "helth")).unwrap_err().to_string();
        assert!(error.contains("helth"), "{error}");
        assert!(Manifest::parse(&GOOD.replace("['true']", "[]")).is_err());
    }
}
