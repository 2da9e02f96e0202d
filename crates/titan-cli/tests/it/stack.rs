//! Installations started by the program under test, in a directory of their own.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use titan_testkit::{Broker, TestDatabase, Wire, amqp_url, eventually, install_tls, redis_url};

pub(crate) fn titan() -> Command {
    Command::new(env!("CARGO_BIN_EXE_titan"))
}

/// How `titan up` reaches them.
pub(crate) struct Servers<'a> {
    /// Directly when none is given.
    pub(crate) database: Option<&'a Wire>,
    pub(crate) amqp: String,
    pub(crate) redis: String,
    /// Directly when none are given.
    pub(crate) orchestrators: Vec<String>,
}

impl Default for Servers<'_> {
    fn default() -> Self {
        Self { database: None, amqp: amqp_url(), redis: redis_url(), orchestrators: Vec::new() }
    }
}

/// `titan dev` or `titan up`, stopped with the test.
pub(crate) struct Stack {
    pub(crate) url: String,
    pub(crate) home: tempfile::TempDir,
    child: Child,
    http: reqwest::Client,
    /// Of `titan up`.
    database: Option<TestDatabase>,
    role_prefix: String,
    _broker: Option<Broker>,
}

impl Stack {
    /// All in one process, on a private PostgreSQL.
    pub(crate) fn dev(environment: &[(&str, &str)]) -> Self {
        let home = home();
        let mut command = titan();
        command.arg("--home").arg(home.path()).args(["dev", "--port", "0", "--apps-port", "0"]).envs(environment.iter().copied());
        Self::start(command, home, None, String::new(), None)
    }

    /// Eight processes on the test servers, on ports from `base` on.
    pub(crate) async fn up(base: u16, environment: &[(&str, &str)]) -> Self {
        Self::up_on(base, Servers::default(), environment).await
    }

    pub(crate) async fn up_on(base: u16, servers: Servers<'_>, environment: &[(&str, &str)]) -> Self {
        Self::up_of(titan(), base, servers, environment).await
    }

    /// Of the programs in this directory.
    pub(crate) async fn up_from(programs: &std::path::Path, base: u16, servers: Servers<'_>, environment: &[(&str, &str)]) -> Self {
        Self::up_of(Command::new(programs.join("titan")), base, servers, environment).await
    }

    async fn up_of(mut command: Command, base: u16, servers: Servers<'_>, environment: &[(&str, &str)]) -> Self {
        let (home, database) = (home(), TestDatabase::empty().await);
        let (role_prefix, broker) = (format!("titan_up_{base}"), Broker::default());
        command.arg("--home").arg(home.path()).args(["up", "--role-prefix", &role_prefix, "--bus-prefix", &broker.prefix]);
        command.args(["--base-port", &base.to_string(), "--apps-port", &(base + 100).to_string()]);
        let database_url = servers.database.map_or(database.url.clone(), |wire| wire.url_of(&database.url));
        command.args(["--database-url", &database_url, "--amqp-url", &servers.amqp, "--redis-url", &servers.redis]);
        if !servers.orchestrators.is_empty() {
            command.args(["--orchestrators", &servers.orchestrators.join(",")]);
        }
        command.envs(environment.iter().copied());
        Self::start(command, home, Some(database), role_prefix, Some(broker))
    }

    fn start(
        mut command: Command,
        home: tempfile::TempDir,
        database: Option<TestDatabase>,
        role_prefix: String,
        broker: Option<Broker>,
    ) -> Self {
        install_tls();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("it says when it is ready").unwrap();
            if let Some((_, url)) = line.split_once(" at ") {
                break url.split(' ').next().unwrap().to_owned();
            }
        };
        // What else it prints must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).no_proxy().build().unwrap();
        Self { url, home, child, http, database, role_prefix, _broker: broker }
    }

    pub(crate) fn database(&self) -> &TestDatabase {
        self.database.as_ref().expect("a stack of processes")
    }

    pub(crate) fn key(&self) -> String {
        std::fs::read_to_string(self.home.path().join("api-key")).unwrap()
    }

    /// The program under test as a client of this stack.
    pub(crate) fn titan(&self, arguments: &[&str]) -> Output {
        titan().arg("--home").arg(self.home.path()).args(["--url", &self.url]).args(arguments).output().unwrap()
    }

    /// Its answer with `--json`.
    pub(crate) fn titan_json(&self, arguments: &[&str]) -> Value {
        let output = self.titan(&[&["--json"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{arguments:?}: {text}{}", String::from_utf8_lossy(&output.stderr)))
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method.parse().unwrap(), format!("{}{path}", self.url)).bearer_auth(self.key())
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        read(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A commit on main that TitanForge did not make, as an agent of somebody else leaves it; of the newest project.
    pub(crate) fn commit_of_others(&self, change: impl FnOnce(&std::path::Path)) {
        let work = tempfile::tempdir().unwrap();
        let project = self.titan_json(&["projects"])["items"][0]["id"].as_str().unwrap().to_owned();
        let repository = self.home.path().join(format!("repositories/{project}.git"));
        let git = |arguments: &[&str]| {
            let dir = ["-C", work.path().to_str().unwrap(), "-c", "user.name=other", "-c", "user.email=other@example.org"];
            let done = std::process::Command::new("git").args(dir).args(arguments).output().unwrap();
            assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        };
        git(&["clone", "--quiet", repository.to_str().unwrap(), "."]);
        change(work.path());
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "-m", "Others were here"]);
        git(&["push", "--quiet", "origin", "HEAD:main"]);
    }

    /// The process of `titan up` called so.
    pub(crate) fn pid(&self, name: &str) -> u32 {
        std::fs::read_to_string(self.home.path().join(format!("run/{name}.pid"))).unwrap().parse().unwrap()
    }

    /// Posts until it is accepted, as a patient client would; the key makes the tries one.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Value {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let answer = self.request("POST", path).header("idempotency-key", key).json(body).send().await;
            if let Ok(answer) = answer {
                let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
                assert!(status < 300 || status == 409 || status >= 500, "{status} {body}");
                if status < 300 {
                    return body;
                }
            }
            assert!(Instant::now() < deadline, "POST {path} was not accepted in time");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Tasks that do nothing for a while, into the project `stream`.
    pub(crate) async fn submit_noops(&self, key: &str, count: usize, wait_ms: u64) {
        let noop =
            |i: usize| json!({ "key": i.to_string(), "kind": "noop", "role": "runner", "title": "noop", "input": { "wait_ms": wait_ms } });
        let tasks: Vec<_> = (0..count).map(noop).collect();
        self.post("/api/v1/tasks", key, &json!({ "project": "stream", "tasks": tasks })).await;
    }

    /// Until every one of `expected` tasks is done, each once, and told of once; nothing else is there.
    pub(crate) async fn all_done_once(&self, expected: usize) {
        let (expected, database) = (i64::try_from(expected).unwrap(), self.database());
        let done = "SELECT count(*) FROM orchestrator.task WHERE state = 'done'";
        eventually("every task done", async || (database.count(done).await == expected).then_some(())).await;
        assert_eq!(database.count("SELECT count(*) FROM orchestrator.task").await, expected, "submitted once");
        let twice = "SELECT count(*) FROM (SELECT task_id FROM orchestrator.task_change WHERE to_state = 'done' AND from_state <> 'done' GROUP BY 1 HAVING count(*) <> 1) x";
        assert_eq!(database.count(twice).await, 0, "done once");
        assert_eq!(database.count("SELECT count(*) FROM agent_worker.step WHERE outcome IS NULL").await, 0, "no step is open");
        let told = "SELECT count(*) FROM gateway.event_log WHERE name = 'task.completed'";
        eventually("every event told", async || (database.count(told).await == expected).then_some(())).await;
        let subjects = "SELECT count(DISTINCT subject) FROM gateway.event_log WHERE name = 'task.completed'";
        assert_eq!(database.count(subjects).await, expected, "told once each");
    }

    /// Until the goal is done, whatever is away meanwhile.
    pub(crate) async fn goal_done(&self, id: &str, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let goal = match self.request("GET", &format!("/api/v1/goals/{id}")).send().await {
                Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
                Err(_) => Value::Null,
            };
            match goal["state"].as_str() {
                Some("done") => return,
                Some("failed") => panic!("{goal}"),
                _ => assert!(Instant::now() < deadline, "{goal}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// For `git -c`.
    pub(crate) fn credential_helper(&self) -> String {
        format!("credential.helper=!{} --home {} git-credential", env!("CARGO_BIN_EXE_titan"), self.home.path().display())
    }

    pub(crate) fn signal(&self, name: &str, signal: &str) {
        send(self.pid(name), signal);
    }

    pub(crate) fn log_dir(&self) -> PathBuf {
        self.home.path().join("run")
    }
}

pub(crate) fn send(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

/// bwrap keeps a copy of itself inside.
pub(crate) fn outermost_sandboxes(text: &str) -> usize {
    processes(text).into_iter().filter(|line| line.starts_with("/usr/bin/bwrap")).count()
}

/// Of `titan up`.
pub(crate) const PROCESSES: &[&str] =
    &["gateway", "orchestrator-1", "orchestrator-2", "worker-1", "worker-2", "deployment", "monitoring", "proxy"];

fn home() -> tempfile::TempDir {
    let home = tempfile::Builder::new().prefix("titan-it-").tempdir().unwrap();
    let settings =
        "[monitoring.prices]\ncurrency = 'EUR'\ncore_hour = 0.04\nmemory_gib_hour = 0.005\ndisk_gib_month = 0.1\nsent_gib = 0.09\n";
    std::fs::write(home.path().join("settings.toml"), settings).unwrap();
    home
}

pub(crate) async fn read(answer: reqwest::Response) -> (u16, Value) {
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Processes whose command line names `text`.
pub(crate) fn processes(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let line =
        |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok().map(|l| String::from_utf8_lossy(&l).replace('\0', " "));
    entries.filter_map(line).filter(|line| line.contains(text)).collect()
}

/// What processes find in their environments, of those that find this.
pub(crate) fn environments(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let all =
        entries.filter_map(|entry| Some(String::from_utf8_lossy(&std::fs::read(entry.path().join("environ")).ok()?).replace('\0', "\n")));
    all.filter(|all| all.contains(text)).collect()
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Apps outlive the services, so they go first.
        let home = self.home.path().to_string_lossy().into_owned();
        if std::thread::panicking() {
            for entry in std::fs::read_dir(self.log_dir())
                .into_iter()
                .flatten()
                .flatten()
                .filter(|e| e.path().extension().is_some_and(|x| x == "log"))
            {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let bad: Vec<_> = text.lines().filter(|l| l.contains("WARN") || l.contains("ERROR") || !l.starts_with('{')).collect();
                let last = bad.iter().rev().take(6).rev().map(|line| line.chars().take(300).collect::<String>()).collect::<Vec<_>>();
                eprintln!("--- {} ---\n{}", entry.path().display(), last.join("\n"));
            }
        }
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(40);
        while self.child.try_wait().ok().flatten().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = Command::new("pkill").args(["-9", "-f", &home]).status();
        if let Some(database) = self.database.take() {
            database.drop_roles(&self.role_prefix);
        }
    }
}
