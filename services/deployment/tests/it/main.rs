//! The deployment service as its callers see it: its own `run()`, real PostgreSQL, gRPC, real processes.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod backups;
mod handover;
mod rollback;
mod rollout;
mod source;

use std::net::TcpListener;
use std::process::Command;

use source::Source;
use titan_deployment::{Config, MIGRATIONS, ProxyConfig};
use titan_identity::{Principal, Signer};
use titan_ids::{OrgId, ProjectId, UserId};
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;
use titan_proto::deployment::{DeployRequest, Deployment, DeploymentState, GetDeploymentRequest};
use titan_testkit::{KEY, TestDatabase, TestService, accepting_bus, eventually, free_port};
use tonic::transport::Channel;

/// Answers 200 on every path.
const WELL: &str = "import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_response(int(os.environ.get('STATUS', '200')))
        self.end_headers()
        self.wfile.write(b'version VERSION')
print('listening', flush=True)
http.server.HTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler).serve_forever()
";
const ENDS: &str = "print('no such table: boxes', flush=True)\nraise SystemExit(3)\n";

/// A project with a repository, and a host to deploy it to.
struct Fixture {
    database: TestDatabase,
    home: tempfile::TempDir,
    source: Source,
    project: ProjectId,
    signer: Signer,
    who: Principal,
}

struct Replica {
    service: TestService,
    client: DeploymentServiceClient<Channel>,
    proxy: String,
}

impl Fixture {
    async fn new() -> Self {
        titan_testkit::install_tls();
        let project = ProjectId::generate();
        Self {
            database: TestDatabase::new(&[("deployment", &MIGRATIONS)]).await,
            home: tempfile::Builder::new().prefix("titan-it-").tempdir().unwrap(),
            source: Source::serve(&project.to_string()).await,
            project,
            signer: Signer::new("gateway", KEY),
            who: Principal::user(UserId::generate(), OrgId::DEFAULT),
        }
    }

    async fn replica(&self, ports: (u16, u16), healthy_within_s: u32) -> Replica {
        self.replica_with(ports, healthy_within_s, "").await
    }

    /// `more`: of its apps' settings.
    async fn replica_with(&self, ports: (u16, u16), healthy_within_s: u32, more: &str) -> Replica {
        let proxy = format!("127.0.0.1:{}", free_port());
        let apps = format!("healthy_within_s = {healthy_within_s}\n{more}");
        self.replica_behind(ports, &apps, &format!("address = \"{proxy}\"\n"), format!("http://{proxy}"))
    }

    /// `door`: of its proxy's settings.
    fn replica_behind(&self, ports: (u16, u16), apps: &str, door: &str, proxy: String) -> Replica {
        let home = self.home.path().display();
        let settings = titan_testkit::settings(&self.database, "deployment")
            + &format!("[peers]\ngateway = \"{}\"\n[proxy]\npublic_url = \"{proxy}\"\n{door}", self.source.url)
            + &format!("[apps]\ndir = \"{home}/apps\"\nfirst_port = {}\nlast_port = {}\n{apps}", ports.0, ports.1);
        let service = TestService::start::<Config, _>(&settings, accepting_bus(), titan_deployment::run);
        let client = DeploymentServiceClient::new(Channel::from_shared(service.url.clone()).unwrap().connect_lazy());
        Replica { service, client, proxy }
    }

    /// The proxy alone, and its URL.
    fn proxy(&self) -> (TestService, String) {
        let address = format!("127.0.0.1:{}", free_port());
        let settings = titan_testkit::settings(&self.database, "deployment") + &format!("[proxy]\naddress = \"{address}\"\n");
        let service = TestService::start::<ProxyConfig, _>(&settings, accepting_bus(), titan_deployment::run_proxy);
        (service, format!("http://{address}"))
    }

    async fn deploy(&self, replica: &Replica, commit: &str) -> Deployment {
        let request = DeployRequest {
            project_id: self.project.to_string(),
            project_slug: "boxes".to_owned(),
            environment: "production".to_owned(),
            commit: commit.to_owned(),
            idempotency_key: commit.to_owned(),
            ..Default::default()
        };
        let deployed = async || replica.client.clone().deploy(self.signer.request(&self.who, request.clone()).unwrap()).await.ok();
        eventually("the service", deployed).await.into_inner()
    }

    async fn get(&self, replica: &Replica, id: &str) -> Deployment {
        let request = self.signer.request(&self.who, GetDeploymentRequest { id: id.to_owned() }).unwrap();
        replica.client.clone().get_deployment(request).await.unwrap().into_inner()
    }

    async fn until(&self, replica: &Replica, id: &str, state: DeploymentState) -> Deployment {
        let look = async || {
            let seen = self.get(replica, id).await;
            assert!(seen.state() != DeploymentState::Failed || state == DeploymentState::Failed, "{seen:?}");
            Some(seen).filter(|d| d.state() == state)
        };
        eventually(state.as_str_name(), look).await
    }

    /// The process of a deployment, as written down.
    async fn pid(&self) -> i64 {
        self.database.count("SELECT coalesce(max(pid), 0)::bigint FROM deployment.deployment WHERE state = 'running'").await
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // Apps outlive the service.
        let _ = Command::new("pkill").args(["-9", "-f", &self.home.path().to_string_lossy()]).status();
    }
}

/// The proxy hears of a new route a moment after the table.
async fn serves(replica: &Replica, text: &str) {
    let url = format!("{}/boxes/", replica.proxy);
    eventually(text, async || body(&url).await.filter(|body| body == text)).await;
}

async fn body(url: &str) -> Option<String> {
    reqwest::get(url).await.ok()?.text().await.ok()
}

#[tokio::test]
async fn an_app_that_is_never_healthy_fails_and_the_one_before_it_goes_on_serving() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_000, 24_019), 5).await;
    let well = fixture.deploy(&replica, &fixture.source.commit(&WELL.replace("VERSION", "1"), &[])).await;
    fixture.until(&replica, &well.id, DeploymentState::Running).await;
    let url = format!("{}/boxes/", replica.proxy);
    serves(&replica, "version 1").await;
    for (source, environment, why, output) in [
        (WELL, [("STATUS", "503")].as_slice(), "not healthy within 5 s", "listening"),
        (ENDS, &[], "ended on its own", "no such table: boxes"),
    ] {
        let sick = fixture.deploy(&replica, &fixture.source.commit(source, environment)).await;
        let sick = fixture.until(&replica, &sick.id, DeploymentState::Failed).await;
        assert!(sick.error.contains(why) && sick.error.contains(output), "{}", sick.error);
        assert_eq!(body(&url).await.as_deref(), Some("version 1"), "traffic never moved");
    }
    let left = "SELECT count(*) FROM deployment.deployment WHERE port IS NOT NULL";
    eventually("ports given back", async || (fixture.database.count(left).await == 1).then_some(())).await;
    replica.service.stop().await;
}

#[tokio::test]
async fn a_taken_port_is_passed_over_and_none_left_is_said() {
    let fixture = Fixture::new().await;
    // Somebody else sits on the first of two ports.
    let _taken = TcpListener::bind(("127.0.0.1", 24_020)).unwrap();
    let replica = fixture.replica((24_020, 24_021), 20).await;
    let first = fixture.deploy(&replica, &fixture.source.commit(&WELL.replace("VERSION", "1"), &[])).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    assert_eq!(fixture.database.count("SELECT port::bigint FROM deployment.deployment").await, 24_021);
    let second = fixture.deploy(&replica, &fixture.source.commit(&WELL.replace("VERSION", "2"), &[])).await;
    let second = fixture.until(&replica, &second.id, DeploymentState::Failed).await;
    assert!(second.error.contains("apps.first_port"), "{}", second.error);
    serves(&replica, "version 1").await;
    let left = std::fs::read_dir(fixture.home.path().join("apps/releases")).unwrap().count();
    assert_eq!(left, 1, "the one that failed left no files");
    replica.service.stop().await;
}

#[tokio::test]
async fn replicas_take_over_from_each_other_and_the_app_goes_on() {
    let fixture = Fixture::new().await;
    let one = fixture.replica((24_030, 24_039), 20).await;
    let deployed = fixture.deploy(&one, &fixture.source.commit(&WELL.replace("VERSION", "1"), &[])).await;
    fixture.until(&one, &deployed.id, DeploymentState::Running).await;
    let other = fixture.replica((24_030, 24_039), 20).await;
    let pid = fixture.pid().await;
    let owner = "SELECT count(*) FROM deployment.deployment WHERE owner IS NOT NULL AND owner_until > now()";
    one.service.stop().await;
    eventually("the other one's lease", async || (fixture.database.count(owner).await == 1).then_some(())).await;
    assert_eq!(fixture.pid().await, pid, "the same process");
    serves(&other, "version 1").await;
    let third = fixture.replica((24_030, 24_039), 20).await;
    other.service.stop().await;
    Command::new("pkill").args(["-9", "-f", &deployed.id]).status().unwrap();
    let restarted = eventually("a new process", async || Some(fixture.pid().await).filter(|now| *now != pid && *now != 0)).await;
    serves(&third, "version 1").await;
    assert_eq!((fixture.pid().await, fixture.get(&third, &deployed.id).await.restarts), (restarted, 1));
    third.service.stop().await;
}
