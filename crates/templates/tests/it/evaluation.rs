//! The sentences of docs/evaluation/goals.yaml: what is understood must be what was meant, and what is out of scope is refused. Apps of
//! what was understood are built, started and called.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use titan_templates::{Field, Resource, Understanding, modify, understand};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    say: String,
    kind: Option<String>,
    #[serde(default)]
    resources: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    blocks: Vec<String>,
    /// (method, path, body, status)
    #[serde(default)]
    http: Vec<(String, String, Value, u16)>,
    refuse: Option<String>,
}

fn shown(field: &Field) -> String {
    if let Some(path) = &field.references {
        return format!("-> {path}");
    }
    let mut shown = serde_json::to_value(field.field_type).unwrap().as_str().unwrap().to_owned();
    if !field.choices.is_empty() {
        shown += &format!("{{{}}}", field.choices.join("|"));
    }
    if field.least.is_some() || field.most.is_some() {
        let bound = |bound: Option<f64>| bound.map(|n| n.to_string()).unwrap_or_default();
        shown += &format!("[{}..{}]", bound(field.least), bound(field.most));
    }
    shown + if field.required { "!" } else { "" } + if field.unique { "*" } else { "" }
}

fn resources(understanding: &Understanding) -> BTreeMap<String, BTreeMap<String, String>> {
    let fields = |resource: &Resource| resource.fields.iter().map(|field| (field.name.clone(), shown(field))).collect();
    understanding.resources.iter().map(|resource| (resource.path.clone(), fields(resource))).collect()
}

fn blocks(understanding: &Understanding) -> Vec<String> {
    understanding.blocks.iter().map(|block| block.name().to_owned()).collect()
}

pub(crate) struct App {
    process: Child,
    pub(crate) port: u16,
    _dir: tempfile::TempDir,
}

impl App {
    pub(crate) fn start(sentence: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        crate::write(dir.path(), sentence);
        let data = dir.path().join("data");
        let mut process =
            crate::python_in(dir.path()).args(["-m", "app"]).env("PORT", "0").env("DATA_DIR", data).stderr(Stdio::piped()).spawn().unwrap();
        let (mut line, mut log) = (String::new(), BufReader::new(process.stderr.take().unwrap()));
        log.read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().unwrap().parse().unwrap_or_else(|_| panic!("{sentence}: {line}"));
        // A program that cannot write its log stands still.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { process, port, _dir: dir }
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> u16 {
        self.ask(method, path, body).0
    }

    /// The body is null where it is no JSON.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        ask(self.port, method, path, body, None)
    }
}

/// Of a body that is a text, the text.
pub(crate) fn ask(port: u16, method: &str, path: &str, body: &Value, token: Option<&str>) -> (u16, Value) {
    let body = match body {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let login = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{login}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).unwrap();
    let (mut head, mut answer) = (String::new(), BufReader::new(stream));
    while !head.ends_with("\r\n\r\n") {
        assert!(answer.read_line(&mut head).unwrap() > 0, "{method} {path}: {head}");
    }
    // Some keep the connection open all the same.
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    answer.read_exact(&mut body).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_slice(&body).unwrap_or_default())
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Understood and refused as it is meant to be, of those that are in scope and those that are not. It only goes up.
const UNDERSTOOD: usize = 40;
const REFUSED: usize = 20;

#[test]
fn sentences_are_understood_as_they_are_meant_or_refused() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evaluation/goals.yaml");
    let goals: Vec<Goal> = serde_norway::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(goals.len(), 60);
    let (mut understood, mut refused, mut wrong, mut open) = (0, 0, Vec::new(), Vec::new());
    for goal in &goals {
        match (understand(&goal.say), &goal.refuse) {
            (Ok(understanding), None) => {
                let kind = serde_json::to_value(understanding.kind).unwrap();
                let meant = (json!(goal.kind), &goal.resources, &goal.blocks, true);
                let got = (kind, &resources(&understanding), &blocks(&understanding), understanding.not_understood.is_empty());
                if got != meant {
                    wrong.push(format!("{}\n  got   {got:?}\n  meant {meant:?}", goal.say));
                    continue;
                }
                assert!(!goal.http.is_empty(), "{}: nothing is asked of the app", goal.say);
                let (app, mut token) = (App::start(&goal.say), None);
                for (method, path, body, status) in &goal.http {
                    let (got, answer) = ask(app.port, method, path, body, token.as_deref());
                    if let Some(session) = answer["token"].as_str() {
                        token = Some(session.to_owned());
                    }
                    if got != *status {
                        wrong.push(format!("{}\n  {method} {path} {body}: {got}, not {status}", goal.say));
                    }
                }
                understood += 1;
            }
            (Err(refusal), Some(word)) if refusal.to_string().contains(word) => refused += 1,
            (Err(refusal), Some(word)) => wrong.push(format!("{}\n  {refusal}\n  is not about {word}", goal.say)),
            (Ok(_), Some(_)) => wrong.push(format!("{}\n  is out of scope and was understood", goal.say)),
            (Err(refusal), None) => open.push(format!("{}\n  {}", goal.say, refusal.reason)),
        }
    }
    let inside = goals.iter().filter(|goal| goal.refuse.is_none()).count();
    #[expect(clippy::cast_precision_loss, reason = "sixty")]
    let rate = |n: usize, of: usize| n as f64 / of as f64;
    let report = json!({ "understood_rate": rate(understood, inside), "refused_rate": rate(refused, goals.len() - inside),
        "understood": understood, "refused": refused, "not_yet": open });
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("evaluation.json"), format!("{report:#}\n")).unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(understood >= UNDERSTOOD && refused >= REFUSED, "{understood} understood, {refused} refused; not yet:\n{}", open.join("\n"));
}

/// Beginnings of sentences with the ends of others, words lost and doubled: whatever is typed, there is an answer.
#[test]
fn no_words_break_the_reader() {
    let evaluation = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evaluation");
    let held_out =
        ["2", "3", "4", "5", "6"].into_iter().flat_map(|set| ["goals", "changes"].map(|file| format!("held-out/{set}/{file}.txt")));
    let mut sentences: Vec<Vec<String>> = Vec::new();
    for file in held_out.chain(["development/1/goals.txt", "development/2/goals.txt"].map(str::to_owned)) {
        let text = std::fs::read_to_string(evaluation.join(file)).unwrap();
        sentences.extend(text.lines().map(|line| line.split(' ').skip(1).map(str::to_owned).collect()));
    }
    let before =
        understand("Build a REST API for tasks with a title and a status of open or closed. Each task belongs to a project").unwrap();
    let mut state = 7_u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(n.max(1)).unwrap()).unwrap()
    };
    let (mut goals, mut changes) = (0, 0);
    for _ in 0..400 {
        let (one, other) = (&sentences[below(sentences.len())], &sentences[below(sentences.len())]);
        let mut words = [&one[..below(one.len() + 1)], &other[below(other.len() + 1)..]].concat();
        if !words.is_empty() {
            let (at, of) = (below(words.len()), below(words.len()));
            words.insert(at, words[of].clone());
            words.remove(below(words.len()));
        }
        let said = words.join(" ");
        goals += usize::from(understand(&said).is_ok());
        changes += usize::from(modify(&before, &said).is_ok());
    }
    assert!(goals > 20 && changes > 20, "{goals} goals and {changes} changes of 400 are understood");
}
