//! A project is changed by a sentence: code, data and the running app go along, or all stay as they were.

use serde_json::{Value, json};
use titan_testkit::eventually_within;

use crate::stack::{Stack, read};

const SENTENCE: &str = "Build a REST API for todos with a title and a priority from 1 to 9";

struct Project {
    stack: Stack,
    slug: String,
    url: String,
    http: reqwest::Client,
}

impl Project {
    fn built(sentence: &str) -> Self {
        let stack = Stack::dev(&[]);
        let built = stack.titan(&["goal", sentence, "--watch"]);
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stdout));
        let deployment = stack.titan_json(&["deployments"])["items"][0].clone();
        let text = |field: &str| deployment[field].as_str().unwrap().to_owned();
        let (slug, url) = (text("project"), text("url"));
        Self { stack, slug, url, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// (exit code, what it printed)
    fn modify(&self, sentence: &str) -> (Option<i32>, String) {
        let output = self.stack.titan(&["modify", &self.slug, sentence]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    async fn post(&self, body: Value) -> (u16, Value) {
        read(self.http.post(format!("{}todos", self.url)).json(&body).send().await.unwrap()).await
    }

    async fn items(&self) -> Vec<Value> {
        let (status, page) = read(self.http.get(format!("{}todos", self.url)).send().await.unwrap()).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    fn versions(&self) -> Vec<Value> {
        self.stack.titan_json(&["history", &self.slug])["items"].as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn a_project_is_changed_with_its_data_and_taken_back() {
    let project = Project::built(SENTENCE);
    assert_eq!(project.post(json!({ "title": "Milk", "priority": 7 })).await.0, 201);
    what_would_change_is_said_first(&project);

    let (code, out) = project.modify("Add a note, rename title to name and make priority a number");
    assert_eq!(code, Some(0), "{out}");
    for part in ["title of todos is called name", "app/migrations/0002.json", "Endpoints   /todos", "rehearsing on a copy", "0 finding(s)"]
    {
        assert!(out.contains(part), "{part:?} is not in:\n{out}");
    }
    let changed = project.items().await;
    assert_eq!((&changed[0]["name"], &changed[0]["note"], changed[0]["priority"].as_f64()), (&json!("Milk"), &Value::Null, Some(7.0)));
    assert_eq!(project.post(json!({ "name": "Bread", "note": "rye", "priority": 2.5 })).await.0, 201);

    what_is_impossible_changes_nothing(&project).await;
    let diff = project.stack.titan(&["diff", &project.slug]);
    assert!(String::from_utf8_lossy(&diff.stdout).contains("+        Field(\"note\", \"text\")"), "{diff:?}");

    // Back would make 2.5 a whole number.
    let barred = project.stack.titan(&["rollback", &project.slug]);
    let out = String::from_utf8_lossy(&barred.stdout);
    assert!(!barred.status.success() && out.contains("1 values of priority cannot be a integer"), "{out}");
    assert_eq!(project.versions().len(), 2);
    project.http.delete(format!("{}todos/2", project.url)).send().await.unwrap();
    let back = project.stack.titan(&["rollback", &project.slug]);
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stdout));
    let items = project.items().await;
    assert_eq!((items.len(), &items[0]["title"], &items[0]["priority"]), (1, &json!("Milk"), &json!(7)));
    assert_eq!(project.versions().len(), 3);
    two_at_once_are_both_done(&project).await;
    an_operation_is_followed_and_cancelled(&project).await;
    a_version_goes_from_environment_to_environment(&project).await;
}

/// Of the tests that somebody else added to the project.
const HOUSE_RULE: &str = "import unittest

from app.schema import RESOURCES


class HouseRule(unittest.TestCase):
    def test_todos_have_no_color(self):
        self.assertNotIn('color', {field.name for resource in RESOURCES for field in resource.fields})
";

impl Project {
    async fn everything(&self) -> (Vec<Value>, Vec<Value>, Value) {
        let deployment = self.stack.titan_json(&["deployments"])["items"][0].clone();
        (self.versions(), self.items().await, deployment["id"].clone())
    }
}

#[tokio::test]
async fn what_others_did_stays_and_a_test_that_fails_leaves_everything_as_it_was() {
    let project = Project::built(SENTENCE);
    assert_eq!(project.post(json!({ "title": "Milk", "priority": 7 })).await.0, 201);
    project.stack.commit_of_others(|tree| {
        std::fs::write(tree.join("tests/test_house.py"), HOUSE_RULE).unwrap();
        let readme = std::fs::read_to_string(tree.join("README.md")).unwrap();
        std::fs::write(tree.join("README.md"), readme + "\nAsk Ada before you change anything.\n").unwrap();
    });
    let planned = project.stack.titan_json(&["modify", &project.slug, "Add a note", "--plan"]);
    let kept = &planned["result"]["plan-goal"]["change"]["impact"]["kept"];
    assert_eq!(kept, &json!(["README.md", "tests/test_house.py"]), "{planned}");
    let (code, out) = project.modify("Add a note");
    assert!(code == Some(0) && out.contains("Kept        README.md, tests/test_house.py"), "{out}");
    assert_eq!(project.items().await[0]["note"], Value::Null);

    // Of the change alone all tests pass; together with what is on main one does not.
    let before = project.everything().await;
    let (code, out) = project.modify("Add a color");
    assert!(code == Some(1) && out.contains("test_todos_have_no_color"), "{out}");
    assert_eq!(project.everything().await, before);

    // And what is said otherwise in the same place is said to be so.
    project.stack.commit_of_others(|tree| {
        let path = tree.join("app/schema.py");
        let text = std::fs::read_to_string(&path).unwrap().replace("Field(\"note\", \"text\"", "Field(\"note\", \"text\", required=False");
        std::fs::write(path, text).unwrap();
    });
    let before = project.everything().await;
    let (code, out) = project.modify("Notes have at most 50 characters");
    assert!(code == Some(1) && out.contains("it conflicts with main in app/schema.py"), "{out}");
    assert_eq!(project.everything().await, before);
    // What is elsewhere still goes, and so does the way back.
    let (code, out) = project.modify("Add people with a name");
    assert_eq!(code, Some(0), "{out}");
    let back = project.stack.titan(&["rollback", &project.slug]);
    assert!(back.status.success(), "{}", String::from_utf8_lossy(&back.stdout));
    project.stack.commit_of_others(|tree| {
        let path = tree.join("app/schema.py");
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replace(", required=False", "")).unwrap();
    });
    let (code, out) = project.modify("Add a due date");
    assert!(code == Some(0) && out.contains("tests/test_house.py"), "{out}");
    assert_eq!(project.items().await[0]["due_date"], Value::Null);
}

/// Resources, relations and blocks come to an app that has data.
#[tokio::test]
async fn a_project_gets_other_things_relations_and_blocks() {
    let project = Project::built("Build a web app for todos with a title");
    let api = |path: &str| format!("{}api/{path}", project.url);
    let post = async |path: &str, body: Value| read(project.http.post(api(path)).json(&body).send().await.unwrap()).await;
    assert_eq!(post("todos", json!({ "title": "Milk" })).await.0, 201);
    let (code, out) = project.modify("Add people with a name and an email, each todo belongs to a person");
    assert_eq!(code, Some(0), "{out}");
    let (status, person) = post("people", json!({ "name": "Ada" })).await;
    assert_eq!(status, 201, "{person}");
    let (_, page) = read(project.http.get(api("todos")).send().await.unwrap()).await;
    assert_eq!((&page["items"][0]["title"], &page["items"][0]["person"]), (&json!("Milk"), &Value::Null), "{page}");
    let (status, bread) = post("todos", json!({ "title": "Bread", "person": person["id"] })).await;
    assert_eq!(status, 201, "{bread}");
    assert_eq!(post("todos", json!({ "title": "Salt", "person": 99 })).await.0, 422);
    let (code, out) = project.modify("Add search and file upload");
    assert_eq!(code, Some(0), "{out}");
    let (_, found) = read(project.http.get(api("todos?q=bread")).send().await.unwrap()).await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    let file = project.http.put(api("todos/1/files/note.txt")).header("content-type", "text/plain").body("a note");
    let (status, file) = read(file.send().await.unwrap()).await;
    assert_eq!(status, 201, "{file}");
    let (code, out) = project.modify("Add a login");
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(project.http.get(api("todos")).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn one_in_fastapi_is_built_on_what_it_pins_and_changed() {
    let project = Project::built("Build a REST API with FastAPI for todos with a title and a priority from 1 to 9");
    assert_eq!(project.post(json!({ "title": "Milk", "priority": 7 })).await.0, 201);
    let (status, refused) = project.post(json!({ "title": "Milk", "priority": 10 })).await;
    assert_eq!((status, &refused["error"]["fields"]["priority"]), (422, &json!("must be at most 9")), "{refused}");
    let docs = project.http.get(format!("{}docs", project.url)).send().await.unwrap();
    assert!(docs.status().is_success() && docs.text().await.unwrap().contains("swagger"));
    let (code, out) = project.modify("Add a note and rename title to name");
    assert_eq!(code, Some(0), "{out}");
    let items = project.items().await;
    assert_eq!((&items[0]["name"], &items[0]["note"]), (&json!("Milk"), &Value::Null));
    let (code, out) = project.modify("Add live updates");
    assert!(code == Some(1) && out.contains("APIs in FastAPI do not have"), "{out}");
}

fn what_would_change_is_said_first(project: &Project) {
    let planned = project.stack.titan(&["modify", &project.slug, "Remove the priority", "--plan"]);
    let out = String::from_utf8_lossy(&planned.stdout);
    assert!(planned.status.success() && out.contains("Data        todo loses priority"), "{out}");
    assert_eq!(project.versions().len(), 1, "a plan changes nothing");
}

async fn what_is_impossible_changes_nothing(project: &Project) {
    let (before, versions) = (project.items().await, project.versions());
    for (sentence, part) in [
        ("Change priority from 1 to 5", "everything stays as it was"),
        ("Make note required", "everything stays as it was"),
        ("Remove the deadline", "no \"deadline\""),
        ("Improve it", "not understood"),
    ] {
        let (code, out) = project.modify(sentence);
        assert!(code == Some(1) && out.contains(part), "{sentence}: {out}");
    }
    assert_eq!((project.items().await, project.versions()), (before, versions));
    let (status, _) = project.stack.call("POST", "/api/v1/projects/nobody/modify", Some(json!({ "sentence": "Add a note" }))).await;
    assert_eq!(status, 404);
    let (status, refused) =
        project.stack.call("POST", &format!("/api/v1/projects/{}/rollback", project.slug), Some(json!({ "to": "x" }))).await;
    assert_eq!(status, 422, "{refused}");
}

async fn two_at_once_are_both_done(project: &Project) {
    let path = format!("/api/v1/projects/{}/modify", project.slug);
    let mut ids = Vec::new();
    for field in ["tag", "color"] {
        let (status, begun) = project.stack.call("POST", &path, Some(json!({ "sentence": format!("Add a {field}") }))).await;
        assert_eq!(status, 202, "{begun}");
        ids.push(begun["id"].as_str().unwrap().to_owned());
    }
    for id in ids {
        let path = format!("/api/v1/operations/{id}");
        let done = eventually_within(std::time::Duration::from_secs(90), "both", async || {
            Some(project.stack.get(&path).await).filter(|operation| operation["state"] != "running")
        })
        .await;
        assert_eq!((&done["state"], &done["progress"]), (&json!("done"), &json!(1.0)), "{done}");
    }
    let items = project.items().await;
    assert!(items[0].get("tag").is_some() && items[0].get("color").is_some(), "{items:?}");
}

async fn an_operation_is_followed_and_cancelled(project: &Project) {
    let path = format!("/api/v1/projects/{}/modify", project.slug);
    let (_, begun) = project.stack.call("POST", &path, Some(json!({ "sentence": "Add a shape" }))).await;
    let path = format!("/api/v1/operations/{}", begun["id"].as_str().unwrap());
    let (status, cancelled) = project.stack.call("POST", &format!("{path}/cancel"), Some(json!({ "reason": "not now" }))).await;
    assert_eq!((status, &cancelled["state"]), (200, &json!("cancelled")), "{cancelled}");
    assert!(project.items().await[0].get("shape").is_none());
}

/// `first` serves staging: another one does, and it comes back.
fn back_to_what_served(project: &Project, first: &str) {
    let (slug, back) = (project.slug.as_str(), ["rollback", project.slug.as_str(), "--environment", "staging"]);
    let with = |more: &[&'static str]| [&back, more].concat();
    let nothing = project.stack.titan(&with(&["--plan"]));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("no other version served staging"), "{nothing:?}");
    let last = project.stack.titan_json(&["deploy", slug, "--to", "staging"]);
    let plan = project.stack.titan_json(&with(&["--plan"]));
    assert_eq!((&plan["from"], &plan["to"]), (&last["result"]["commit"], &json!(first)), "{plan}");
    assert_eq!((&plan["possible"], &plan["data_changes"], &plan["needs_approval"]), (&json!(true), &json!(true), &json!(false)), "{plan}");
    let shown = String::from_utf8_lossy(&project.stack.titan(&with(&["--plan"])).stdout).into_owned();
    assert!(shown.contains("requests wait") && shown.contains("Possible    yes") && shown.contains(first), "{shown}");
    let hasty = project.stack.titan(&with(&["--emergency"]));
    assert!(String::from_utf8_lossy(&hasty.stderr).contains("--reason"), "{hasty:?}");
    let done = project.stack.titan_json(&with(&["--reason", "it looks odd"]));
    assert_eq!((&done["state"], &done["result"]["commit"]), (&json!("done"), &json!(first)), "{done}");
    let deployment = project.stack.titan_json(&["operation", done["id"].as_str().unwrap()]);
    assert_eq!(deployment["state"], "done");
}

/// Each environment begins when the one before it serves; where it fails nothing after it begins.
fn goes_through_staging(project: &Project) {
    let slug = project.slug.as_str();
    let done = project.stack.titan_json(&["modify", slug, "Add a label", "--environments", "staging,production"]);
    assert_eq!(done["state"], "done", "{done}");
    let deployments = project.stack.titan_json(&["deployments"])["items"].clone();
    let place = |n: usize| (deployments[n]["environment"].clone(), deployments[n]["commit"].clone());
    let ((last, commit), (first, same)) = (place(0), place(1));
    assert_eq!((&last, &first, &commit), (&json!("production"), &json!("staging"), &same));
    let bad = project.stack.titan(&["modify", slug, "Add a tone", "--environments", "staging,moon"]);
    assert!(String::from_utf8_lossy(&bad.stderr).contains("dev, staging, production"), "{bad:?}");
    let back = project.stack.titan_json(&["rollback", slug, "--environment", "staging"]);
    assert_eq!(back["state"], "done", "{back}");
}

async fn a_version_goes_from_environment_to_environment(project: &Project) {
    let slug = &project.slug;
    let path = format!("/api/v1/projects/{slug}/environments/staging/variables");
    for (bad, status) in [(json!({ "PORT": "1" }), 422), (json!({ "lower": "x" }), 422), (json!({ "A": 5 }), 422)] {
        assert_eq!(project.stack.call("PATCH", &path, Some(bad)).await.0, status);
    }
    let shown = project.stack.titan_json(&["env", slug, "staging", "GREETING=hello there", "OTHER=x"]);
    assert_eq!(shown["variables"], json!({ "GREETING": "hello there", "OTHER": "x" }));
    assert_eq!(project.stack.titan_json(&["env", slug, "staging", "OTHER="])["variables"], json!({ "GREETING": "hello there" }));
    assert_eq!(project.stack.get(&path.replace("staging", "dev")).await["variables"], json!({}));

    let first = project.versions().last().unwrap()["commit"].as_str().unwrap().to_owned();
    let deployed = project.stack.titan_json(&["deploy", slug, "--to", "staging", "--version", &first[..12]]);
    assert_eq!((&deployed["state"], &deployed["result"]["commit"]), (&json!("done"), &json!(first)), "{deployed}");
    let url = deployed["result"]["url"].as_str().unwrap();
    assert!(url.ends_with("--staging/"), "{url}");
    let (_, page) = read(project.http.get(format!("{url}todos")).send().await.unwrap()).await;
    assert_eq!(page["items"], json!([]), "data of its own");
    let running = crate::stack::processes(deployed["id"].as_str().unwrap()).join("\n");
    assert!(!running.is_empty() && !running.contains("hello there"), "everybody on the host reads that: {running}");
    let found = crate::stack::environments("GREETING=hello there");
    assert!(!found.is_empty() && found.iter().all(|all| !all.contains("OTHER=")), "{found:?}");

    back_to_what_served(project, &first);
    goes_through_staging(project);
    let promoted = project.stack.titan_json(&["promote", slug, "staging", "dev"]);
    assert_eq!((&promoted["state"], &promoted["result"]["commit"]), (&json!("done"), &json!(first)), "{promoted}");
    let nothing = project.stack.titan(&["promote", slug, "nowhere", "dev"]);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing of"), "{nothing:?}");
    for (body, status) in [
        (json!({ "environment": "moon" }), 422),
        (json!({ "environment": "dev", "commit": "0123456" }), 404),
        (json!({ "environment": "dev", "commit": "x" }), 422),
    ] {
        assert_eq!(project.stack.call("POST", &format!("/api/v1/projects/{slug}/deployments"), Some(body)).await.0, status);
    }
}
