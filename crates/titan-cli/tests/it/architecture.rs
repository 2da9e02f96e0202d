//! The directions in which code may look, held by a test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

const SERVICES: &[&str] = &["titan-gateway", "titan-orchestrator", "titan-agent-worker", "titan-deployment", "titan-monitoring"];

/// What each of our crates may depend on, beside third parties. Nothing else may be added without thought.
const ALLOWED: &[(&str, &[&str])] = &[
    ("titan-ids", &[]),
    ("titan-proto", &[]),
    ("titan-settings", &[]),
    ("titan-manifest", &[]),
    ("titan-packages", &["error"]),
    ("titan-sandbox", &[]),
    ("titan-templates", &[]),
    ("titan-lifecycle", &[]),
    ("titan-error", &[]),
    ("titan-telemetry", &["settings"]),
    ("titan-identity", &["ids", "error", "telemetry"]),
    ("titan-blobs", &["error"]),
    ("titan-git", &["error"]),
    ("titan-bench", &["identity", "ids", "proto", "service"]),
    ("titan-counters", &["settings"]),
    ("titan-bus", &["lifecycle", "proto", "settings"]),
    ("titan-store", &["bus", "error", "ids", "lifecycle", "proto", "settings", "telemetry"]),
    ("titan-service", &["bus", "error", "identity", "lifecycle", "settings", "store", "telemetry"]),
    ("titan-testkit", &["bus", "lifecycle", "proto", "service", "settings", "store"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

#[test]
fn crates_depend_in_one_direction() {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    for package in &metadata.packages {
        let ours = |kind| {
            package
                .dependencies
                .iter()
                .filter(move |d| d.kind == kind && d.name.starts_with("titan-"))
                .map(|d| d.name.clone())
                .collect::<BTreeSet<_>>()
        };
        let normal = ours(DependencyKind::Normal);
        let name = package.name.as_str();
        assert!(!normal.contains("titan-testkit"), "{name} uses the test kit outside of tests");
        if name == "titan-cli" {
            continue;
        }
        let service = normal.iter().find(|d| SERVICES.contains(&d.as_str()));
        assert!(service.is_none(), "{name} imports the service {service:?}; only titan-cli may");
        if SERVICES.contains(&name) {
            continue;
        }
        let (_, allowed) = ALLOWED.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("{name} is not in the list of crates"));
        let allowed: BTreeSet<String> = allowed.iter().map(|a| format!("titan-{a}")).collect();
        let extra: Vec<_> = normal.difference(&allowed).collect();
        assert!(extra.is_empty(), "{name} must not depend on {extra:?}");
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The part of a file before its tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

#[test]
fn layers_look_down_only() {
    // In a file of the layer, none of the words may stand.
    let forbidden: &[(&str, &[&str])] = &[
        (
            "domain",
            &[
                "async fn",
                ".await",
                "now()",
                "sqlx",
                "titan_proto",
                "tonic",
                "axum",
                "crate::app",
                "crate::store",
                "crate::grpc",
                "crate::http",
            ],
        ),
        ("store", &["crate::app", "crate::grpc", "crate::http", "tonic::", "axum::"]),
        ("app", &["crate::grpc", "crate::http", "axum::"]),
        ("grpc", &["sea_orm", "sqlx"]),
        ("http", &["sea_orm", "sqlx"]),
        ("consumers", &["crate::grpc", "crate::http"]),
        ("reconcile", &["crate::grpc", "crate::http"]),
    ];
    let mut checked = 0;
    for service in std::fs::read_dir(root().join("services")).unwrap().flatten() {
        for (layer, words) in forbidden {
            let mut found = Vec::new();
            files(&service.path().join("src").join(layer), &mut found);
            for file in found {
                checked += 1;
                let code = code(&file);
                let bad: Vec<_> = words.iter().filter(|word| code.contains(**word)).collect();
                assert!(bad.is_empty(), "{} has {bad:?}, which does not belong in {layer}/", file.display());
            }
        }
    }
    assert!(checked > 30, "only {checked} files were looked at");
}

#[test]
fn every_crate_says_what_it_is_for() {
    for crate_dir in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
        let lib = crate_dir.path().join("src/lib.rs");
        let main = crate_dir.path().join("src/main.rs");
        let text = std::fs::read_to_string(if lib.exists() { lib } else { main }).unwrap();
        assert!(text.starts_with("//! "), "{} has no sentence at its top", crate_dir.path().display());
    }
}

#[test]
fn there_are_no_dumping_grounds() {
    let mut found = Vec::new();
    files(&root().join("crates"), &mut found);
    files(&root().join("services"), &mut found);
    for file in found {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(!["common", "utils", "util", "helpers", "misc", "types"].contains(&name.as_str()), "{}", file.display());
    }
}

/// The newest migration of each schema, and of those they share, that the last release has.
const RELEASED: &[(&str, u32)] = &[
    ("crates/store", 3),
    ("services/gateway", 101),
    ("services/orchestrator", 105),
    ("services/agent-worker", 100),
    ("services/deployment", 100),
    ("services/monitoring", 100),
];

/// The last release's programs run on the new schema while an update rolls, so what they read and write stays.
#[test]
fn migrations_since_the_last_release_only_add() {
    const TAKES_AWAY: [&str; 10] = [
        "DROP TABLE",
        "DROP COLUMN",
        "RENAME",
        "ALTER TYPE",
        " SET DATA TYPE",
        "SET NOT NULL",
        "TRUNCATE",
        "ADD CONSTRAINT",
        "CHECK (",
        "UNIQUE INDEX",
    ];
    for (owner, released) in RELEASED {
        let mut newer = 0;
        for entry in std::fs::read_dir(root().join(owner).join("migrations")).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let version: u32 = name.split('_').next().unwrap().parse().unwrap();
            if version <= *released {
                continue;
            }
            newer += 1;
            let text = std::fs::read_to_string(entry.path()).unwrap().to_uppercase();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
            let statements = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
            for statement in statements.split(';').filter(|statement| !statement.trim_start().starts_with("CREATE TABLE")) {
                let bad = TAKES_AWAY.iter().find(|what| statement.contains(*what));
                // Rows that the last release inserts do not have it.
                let demands = statement.contains("ADD COLUMN") && statement.contains("NOT NULL") && !statement.contains("DEFAULT");
                assert!(bad.is_none() && !demands, "{owner}/migrations/{name}: {statement}; add now, and take away a release later");
            }
        }
        eprintln!("{owner}: {newer} since the last release");
    }
}
