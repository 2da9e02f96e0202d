//! The main job as its users meet it: from a sentence to an app that answers, many at once, and changed under load.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::database::Database;
use crate::installation::Installation;

/// What was measured; seconds.
#[derive(Debug)]
pub(crate) struct MainJob {
    /// Median of three, and their parts by task.
    one_resource_s: f64,
    parts: Vec<(String, f64)>,
    six_resources_s: f64,
    ten_goals_s: f64,
    /// Of the sentences in and out of scope.
    understood_rate: f64,
    refused_rate: f64,
    /// Deployments, modifications and ways back under load, and what became of the requests meanwhile.
    changed: Changed,
    requests: u64,
    failed_requests: u64,
    /// The longest a request took.
    longest_s: f64,
}

const ONE: &str = "Build a REST API for todos with a title, a done flag and a due date";
const SIX: &str = "Build a REST API for customers, orders, products, warehouses, suppliers and shipments. A customer has a name and a unique email. An order has a \
    number and a status of open, paid or sent and belongs to a customer. A product has a name, a unique sku and a price of at least 0 and belongs to a supplier. A \
    warehouse has a name and a city. A supplier has a name. A shipment has a tracking code and belongs to an order";
const CLIENTS: usize = 8;
const POLL: Duration = Duration::from_millis(500);
const WITHIN: Duration = Duration::from_secs(180);

struct Gateway {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Gateway {
    /// What is only read is asked for again while the service behind it is away: it is killed on purpose.
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + WITHIN;
        loop {
            match self.call("GET", path, None).await {
                Err(error) if error.to_string().contains(": 503 ") && Instant::now() < deadline => tokio::time::sleep(POLL).await,
                answer => return answer,
            }
        }
    }

    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.http.request(method.parse()?, format!("{}/api/v1{path}", self.url)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{method} {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn submit(&self, sentence: &str) -> anyhow::Result<String> {
        let goal = self.call("POST", "/goals", Some(json!({ "sentence": sentence }))).await?;
        Ok(goal["id"].as_str().context("a goal without an id")?.to_owned())
    }

    /// The goal, done.
    async fn done(&self, id: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let goal = self.get(&format!("/goals/{id}")).await?;
            match goal["state"].as_str() {
                Some("done") => return Ok(goal),
                Some("running") if Instant::now() < deadline => tokio::time::sleep(POLL).await,
                _ => bail!("{}: {}", goal["sentence"], goal["error"]),
            }
        }
    }

    /// An operation, of a goal or a deployment, to its good end.
    async fn followed(&self, id: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + WITHIN;
        loop {
            let operation = self.get(&format!("/operations/{id}")).await?;
            match operation["state"].as_str() {
                Some("done") => return Ok(()),
                Some("running") if Instant::now() < deadline => tokio::time::sleep(POLL).await,
                _ => bail!("{id} is {}: {}", operation["state"], operation["error"]),
            }
        }
    }

    /// Whether the newest deployment of a project serves.
    async fn serves(&self, project: &str) -> anyhow::Result<bool> {
        let deployments = self.get(&format!("/deployments?limit=1&project={project}")).await?;
        Ok(deployments["items"][0]["state"] == "running")
    }

    /// From the sentence to the answer of the app, and where that is.
    async fn build(&self, sentence: &str) -> anyhow::Result<(f64, Value)> {
        let goal = self.done(&self.submit(sentence).await?).await?;
        let url = goal["result"]["deploy"]["url"].as_str().context("a goal without a URL")?;
        let health = self.http.get(format!("{url}health")).send().await?;
        ensure!(health.status() == 200, "the app is not well: {}", health.status());
        Ok((between(&goal["created_at"], &goal["finished_at"])?, goal))
    }

    /// The newest deployment of a project.
    async fn newest(&self, project: &str) -> anyhow::Result<String> {
        let deployments = self.get(&format!("/deployments?limit=1&project={project}")).await?;
        Ok(deployments["items"][0]["id"].as_str().context("no deployment")?.to_owned())
    }

    /// Until there is a newer one.
    async fn deploying(&self, project: &str, than: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + WITHIN;
        while self.newest(project).await? == than {
            ensure!(Instant::now() < deadline, "nothing was deployed");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// How long each task of a goal took.
    async fn parts(&self, goal: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let tasks = self.get(&format!("/tasks?limit=200&goal={goal}")).await?;
        let tasks = tasks["items"].as_array().cloned().unwrap_or_default();
        let part =
            |task: &Value| Ok((task["kind"].as_str().unwrap_or_default().to_owned(), between(&task["started_at"], &task["finished_at"])?));
        tasks.iter().rev().map(part).collect()
    }
}

fn between(from: &Value, to: &Value) -> anyhow::Result<f64> {
    let at = |value: &Value| -> anyhow::Result<chrono::DateTime<chrono::Utc>> { Ok(value.as_str().context("a time is missing")?.parse()?) };
    Ok((at(to)? - at(from)?).as_seconds_f64())
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// `rounds`: changes of the running app, each of them one of three kinds. `evaluation`: what the test of the sentences wrote.
pub(crate) async fn measure(database: &Database, rounds: usize, evaluation: &Path) -> anyhow::Result<MainJob> {
    let evaluation =
        std::fs::read_to_string(evaluation).with_context(|| format!("{}: run the test of the sentences first", evaluation.display()))?;
    let evaluation: Value = serde_json::from_str(&evaluation)?;
    let installation = Installation::start(&database.url).await?;
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
    let gateway = Gateway { http, url: installation.gateway(), key: installation.api_key()? };
    eprintln!("warm …");
    gateway.build(ONE).await?;
    let mut ones = Vec::new();
    for n in 1..=3 {
        eprintln!("one resource, run {n} …");
        ones.push(gateway.build(ONE).await?);
    }
    let last = ones[2].1.clone();
    let parts = gateway.parts(last["id"].as_str().unwrap_or_default()).await?;
    eprintln!("six resources …");
    let six_resources_s = median(vec![gateway.build(SIX).await?.0, gateway.build(SIX).await?.0, gateway.build(SIX).await?.0]);
    eprintln!("ten goals …");
    let began = Instant::now();
    let goals = try_join_all((0..10).map(|_| gateway.submit(ONE))).await?;
    try_join_all(goals.iter().map(|goal| gateway.done(goal))).await?;
    let ten_goals_s = began.elapsed().as_secs_f64();
    let (changed, load) = under_load(&gateway, &installation, &last, rounds).await?;
    installation.stop().await?;
    Ok(MainJob {
        one_resource_s: median(ones.iter().map(|(seconds, _)| *seconds).collect()),
        parts,
        six_resources_s,
        ten_goals_s,
        understood_rate: evaluation["understood_rate"].as_f64().unwrap_or(0.0),
        refused_rate: evaluation["refused_rate"].as_f64().unwrap_or(0.0),
        changed,
        requests: load.requests,
        failed_requests: load.failed,
        longest_s: load.longest_s,
    })
}

#[derive(Default)]
struct Load {
    requests: u64,
    failed: u64,
    longest_s: f64,
}

/// What became of the changes under load.
#[derive(Debug, Default)]
struct Changed {
    rounds: usize,
    /// Of them, those that did not serve yet when the deployment service was killed.
    midway: usize,
}

/// A field comes, a way back takes it away, the same is built again, what served before is put back, and what is on main is tried out beside
/// it: each a deployment, and the deployment service is killed while it is made.
async fn under_load(gateway: &Gateway, installation: &Installation, goal: &Value, rounds: usize) -> anyhow::Result<(Changed, Load)> {
    let (project, url) =
        (goal["project"].as_str().context("project")?, goal["result"]["deploy"]["url"].as_str().context("url")?.to_owned());
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients = (0..CLIENTS).map(|n| ask(url.clone(), n, stop.clone(), answered.clone()));
    let changing = async {
        let mut changed = Changed { rounds, midway: 0 };
        for round in 1..=rounds {
            eprintln!("change {round} of {rounds} under load, {} answers so far …", answered.load(Relaxed));
            let deployed = gateway.newest(project).await?;
            let begun = match round % 5 {
                1 => {
                    gateway
                        .call(
                            "POST",
                            &format!("/projects/{project}/modify"),
                            Some(json!({ "sentence": format!("Add a field note{round}") })),
                        )
                        .await?
                }
                2 => gateway.call("POST", &format!("/projects/{project}/rollback"), Some(json!({}))).await?,
                3 => gateway.call("POST", "/goals", Some(json!({ "sentence": ONE, "project": project }))).await?,
                4 => gateway.call("POST", &format!("/projects/{project}/environments/production/rollback"), Some(json!({}))).await?,
                _ => {
                    let body = json!({ "environment": "production", "strategy": "blue-green", "observe_s": 2 });
                    gateway.call("POST", &format!("/projects/{project}/deployments"), Some(body)).await?
                }
            };
            let killed = async {
                gateway.deploying(project, &deployed).await?;
                // Now here, now there.
                tokio::time::sleep(Duration::from_millis(round as u64 * 137 % 900)).await;
                let midway = !gateway.serves(project).await?;
                installation.kill("deployment")?;
                anyhow::Ok(midway)
            };
            let ((), midway) = tokio::try_join!(gateway.followed(begun["id"].as_str().context("id")?), killed)?;
            changed.midway += usize::from(midway);
        }
        anyhow::Ok(changed)
    };
    let stopping = async {
        let changed = changing.await;
        stop.store(true, Relaxed);
        changed
    };
    let (changes, loads) = tokio::join!(stopping, futures::future::join_all(clients));
    let sum = |all: Load, one: Load| Load {
        requests: all.requests + one.requests,
        failed: all.failed + one.failed,
        longest_s: all.longest_s.max(one.longest_s),
    };
    Ok((changes?, loads.into_iter().fold(Load::default(), sum)))
}

/// Reads and writes in turn; what is not answered as it should be has failed.
async fn ask(url: String, number: usize, stop: Arc<AtomicBool>, answered: Arc<AtomicU64>) -> Load {
    let mut load = Load::default();
    let Ok(http) = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build() else { return load };
    while !stop.load(Relaxed) {
        let began = Instant::now();
        let writes = load.requests % 4 == number as u64 % 4;
        let sent = if writes {
            http.post(format!("{url}todos")).json(&json!({ "title": format!("{number}/{}", load.requests) })).send().await
        } else {
            http.get(format!("{url}todos?limit=5")).send().await
        };
        let good = match sent {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let whole = answer.bytes().await;
                let good = whole.is_ok() && status == if writes { 201 } else { 200 };
                if !good {
                    eprintln!("a request failed: {status} {}", String::from_utf8_lossy(&whole.unwrap_or_default()));
                }
                good
            }
            Err(error) => {
                eprintln!("a request failed: {error:?}");
                false
            }
        };
        load.requests += 1;
        load.failed += u64::from(!good);
        load.longest_s = load.longest_s.max(began.elapsed().as_secs_f64());
        answered.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    load
}

impl MainJob {
    /// Markdown.
    pub(crate) fn table(&self) -> String {
        let parts = self.parts.iter().map(|(kind, seconds)| format!("{kind} {seconds:.1} s")).collect::<Vec<_>>().join(", ");
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("an unknown processor");
        [
            format!("{} cores of {model}, everything on this machine, release build", std::thread::available_parallelism().map_or(0, usize::from)),
            String::new(),
            "| what | figure | bar |".to_owned(),
            "|---|---|---|".to_owned(),
            format!("| from a sentence to a healthy URL, one resource | {:.1} s ({parts}) | < 10 s |", self.one_resource_s),
            format!("| six resources | {:.1} s | < 20 s |", self.six_resources_s),
            format!("| ten goals at once | {:.1} s | < 60 s |", self.ten_goals_s),
            format!("| sentences in scope understood, out of scope refused | {:.0} %, {:.0} % | |", self.understood_rate * 100.0, self.refused_rate * 100.0),
            format!(
                "| {} deployments, modifications and ways back under the load of {CLIENTS} clients, with `kill -9` of the deployment service during each ({} before the new version served) | {} of {} requests failed; the longest took {:.1} s | 0 |",
                self.changed.rounds, self.changed.midway, self.failed_requests, self.requests, self.longest_s
            ),
        ]
        .join("\n")
            + "\n"
    }

    /// No request may fail.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        ensure!(self.failed_requests == 0, "{} requests failed", self.failed_requests);
        Ok(())
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "one_resource_s": self.one_resource_s, "six_resources_s": self.six_resources_s, "ten_goals_s": self.ten_goals_s,
            "understood_rate": self.understood_rate, "refused_rate": self.refused_rate, "failed_requests": self.failed_requests,
        })
    }
}
