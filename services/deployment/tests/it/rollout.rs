//! New versions are tried out beside the one before them, and people approve them.

use std::collections::BTreeMap;

use titan_identity::Principal;
use titan_ids::OrgId;
use titan_proto::deployment::{
    DecideDeploymentRequest, DeployRequest, Deployment, DeploymentState, GetDeploymentRequest, ListDeploymentsRequest, Rollout, Strategy,
};
use titan_testkit::eventually;
use tonic::Code;

use super::handover::keeper;
use super::{Fixture, Replica, WELL, body, serves};

/// Healthy, and fails whatever else it is asked.
const FAILS: &str = "import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_response(200 if self.path == '/health' else 500)
        self.end_headers()
        self.wfile.write(b'broken')
http.server.HTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler).serve_forever()
";

impl Fixture {
    async fn roll_out(&self, replica: &Replica, commit: String, strategy: Strategy, share: u32, observe_s: u32) -> Deployment {
        let request = DeployRequest {
            project_id: self.project.to_string(),
            project_slug: "boxes".to_owned(),
            environment: "production".to_owned(),
            idempotency_key: commit.clone(),
            commit,
            rollout: Some(Rollout { strategy: strategy.into(), share, observe_s }),
            ..Default::default()
        };
        replica.client.clone().deploy(self.signer.request(&self.who, request).unwrap()).await.unwrap().into_inner()
    }

    pub(super) async fn stop(&self, replica: &Replica, id: &str) -> Deployment {
        let request = self.signer.request(&self.who, GetDeploymentRequest { id: id.to_owned() }).unwrap();
        replica.client.clone().stop_deployment(request).await.unwrap().into_inner()
    }
}

/// How often each answer comes.
async fn answers(replica: &Replica, requests: usize) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for _ in 0..requests {
        *answers.entry(body(&format!("{}/boxes/", replica.proxy)).await.unwrap()).or_default() += 1;
    }
    answers
}

fn version(number: u32) -> String {
    WELL.replace("VERSION", &number.to_string())
}

/// Answers bit by bit.
const SLOW: &str = "import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        for part in range(14 if self.path == '/slow' else 1):
            self.wfile.write(b'part ')
            time.sleep(1 if self.path == '/slow' else 0)
        self.wfile.write(b'end of VERSION')
http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler).serve_forever()
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_takes_long_is_not_cut_off_by_the_next_version() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_240, 24_249), 10).await;
    let first = fixture.deploy(&replica, &fixture.source.commit(&SLOW.replace("VERSION", "1"), &[])).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "part end of 1").await;
    let url = format!("{}/boxes/slow", replica.proxy);
    let begun = reqwest::get(&url).await.unwrap();
    let second = fixture.deploy(&replica, &fixture.source.commit(&SLOW.replace("VERSION", "2"), &[])).await;
    fixture.until(&replica, &second.id, DeploymentState::Running).await;
    serves(&replica, "part end of 2").await;
    assert_eq!(begun.text().await.unwrap(), format!("{}end of 1", "part ".repeat(14)));
    let left = "SELECT count(*) FROM deployment.deployment WHERE port IS NOT NULL";
    eventually("the first one ends", async || (fixture.database.count(left).await == 1).then_some(())).await;
    replica.service.stop().await;
}

#[tokio::test]
async fn a_canary_has_its_share_until_it_has_passed_and_loses_it_when_it_does_worse() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_100, 24_119), 20).await;
    let first = fixture.deploy(&replica, &fixture.source.commit(&version(1), &[])).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1").await;

    let second = fixture.roll_out(&replica, fixture.source.commit(&version(2), &[]), Strategy::Canary, 30, 8).await;
    fixture.until(&replica, &second.id, DeploymentState::TriedOut).await;
    serves(&replica, "version 2").await;
    assert_eq!(answers(&replica, 20).await, BTreeMap::from([("version 1".to_owned(), 14), ("version 2".to_owned(), 6)]));
    let passed = fixture.until(&replica, &second.id, DeploymentState::Running).await;
    assert!(passed.history.iter().any(|change| change.reason == "healthy; tried out with 30 % of the requests for 8 s"), "{passed:?}");
    fixture.until(&replica, &first.id, DeploymentState::Replaced).await;
    assert_eq!(answers(&replica, 10).await, BTreeMap::from([("version 2".to_owned(), 10)]));

    let broken = fixture.roll_out(&replica, fixture.source.commit(FAILS, &[]), Strategy::Canary, 20, 600).await;
    fixture.until(&replica, &broken.id, DeploymentState::TriedOut).await;
    serves(&replica, "broken").await;
    let seen = answers(&replica, 60).await;
    let failed = fixture.until(&replica, &broken.id, DeploymentState::Failed).await;
    assert!(
        failed.error.contains("it did worse than the version before it") && failed.error.contains("requests failed"),
        "{}",
        failed.error
    );
    assert!(seen["version 2"] >= 40, "a fifth of the requests at the most: {seen:?}");
    serves(&replica, "version 2").await;
    assert_eq!(answers(&replica, 20).await, BTreeMap::from([("version 2".to_owned(), 20)]));
    assert_eq!(fixture.get(&replica, &second.id).await.state(), DeploymentState::Running);
    replica.service.stop().await;
}

#[tokio::test]
async fn a_gradual_one_has_more_and_more() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_190, 24_199), 20).await;
    let first = fixture.deploy(&replica, &fixture.source.commit(&version(1), &[])).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1").await;
    let second = fixture.roll_out(&replica, fixture.source.commit(&version(2), &[]), Strategy::Gradual, 10, 12).await;
    fixture.until(&replica, &second.id, DeploymentState::TriedOut).await;
    serves(&replica, "version 2").await;
    let mut shares = Vec::new();
    while fixture.get(&replica, &second.id).await.state() == DeploymentState::TriedOut {
        shares.push(answers(&replica, 20).await.get("version 2").copied().unwrap_or(0) * 5);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    fixture.until(&replica, &second.id, DeploymentState::Running).await;
    // 10, 40, 70 and 100 percent; a look may fall between two.
    assert!(
        shares[0] <= 15 && shares.iter().any(|share| (35..=45).contains(share)) && shares.last().is_some_and(|last| *last >= 70),
        "{shares:?}"
    );
    assert!(shares.is_sorted_by(|one, next| *one <= next + 10), "{shares:?}");
    replica.service.stop().await;
}

#[tokio::test]
async fn the_version_before_a_blue_green_one_stays_ready() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_120, 24_139), 20).await;
    let first = fixture.deploy(&replica, &fixture.source.commit(&version(1), &[])).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    let pid = fixture.pid().await;
    let second = fixture.roll_out(&replica, fixture.source.commit(&version(2), &[]), Strategy::BlueGreen, 0, 600).await;
    fixture.until(&replica, &second.id, DeploymentState::TriedOut).await;
    serves(&replica, "version 2").await;
    assert_eq!(answers(&replica, 20).await, BTreeMap::from([("version 2".to_owned(), 20)]));
    // Back at once: nothing is started.
    fixture.stop(&replica, &second.id).await;
    assert_eq!(answers(&replica, 5).await, BTreeMap::from([("version 1".to_owned(), 5)]));
    assert_eq!(fixture.pid().await, pid);

    // It dies while it is tried out.
    let third = fixture.roll_out(&replica, fixture.source.commit(&version(3), &[]), Strategy::BlueGreen, 0, 600).await;
    fixture.until(&replica, &third.id, DeploymentState::TriedOut).await;
    std::process::Command::new("pkill").args(["-9", "-f", &third.id]).status().unwrap();
    let failed = fixture.until(&replica, &third.id, DeploymentState::Failed).await;
    assert!(failed.error.contains("the version before it goes on"), "{}", failed.error);
    serves(&replica, "version 1").await;
    for (bad, field) in [
        (Rollout { strategy: Strategy::Rolling.into(), share: 5, observe_s: 0 }, "rollout.share"),
        (Rollout { strategy: Strategy::Canary.into(), share: 101, observe_s: 0 }, "rollout.share"),
        (Rollout { strategy: Strategy::Rolling.into(), share: 0, observe_s: 5 }, "rollout.observe_s"),
    ] {
        let request = DeployRequest { project_id: fixture.project.to_string(), rollout: Some(bad), ..Default::default() };
        let refused = replica.client.clone().deploy(fixture.signer.request(&fixture.who, request).unwrap()).await.unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains(field), "{refused:?}");
    }
    replica.service.stop().await;
}

#[tokio::test]
async fn where_people_approve_nothing_begins_before() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica_with((24_140, 24_149), 20, "approval = [\"production\"]\n").await;
    let decide = async |who: &Principal, id: &str, approved: bool| {
        let request = DecideDeploymentRequest { id: id.to_owned(), approved, reason: "seen".to_owned() };
        replica.client.clone().decide_deployment(fixture.signer.request(who, request).unwrap()).await
    };
    let first = fixture.deploy(&replica, &fixture.source.commit(&version(1), &[])).await;
    assert_eq!(first.state(), DeploymentState::AwaitingApproval);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(fixture.get(&replica, &first.id).await.state(), DeploymentState::AwaitingApproval, "nothing begins by itself");
    let service = Principal::service("agent-worker", OrgId::DEFAULT);
    assert_eq!(decide(&service, &first.id, true).await.unwrap_err().code(), Code::PermissionDenied);
    decide(&fixture.who, &first.id, true).await.unwrap();
    let running = fixture.until(&replica, &first.id, DeploymentState::Running).await;
    assert!(running.history.iter().any(|change| change.reason.starts_with("approved by user_") && change.reason.ends_with(": seen")));
    serves(&replica, "version 1").await;
    assert_eq!(decide(&fixture.who, &first.id, false).await.unwrap_err().code(), Code::FailedPrecondition);

    let second = fixture.deploy(&replica, &fixture.source.commit(&version(2), &[])).await;
    let rejected = decide(&fixture.who, &second.id, false).await.unwrap().into_inner();
    assert_eq!(rejected.state(), DeploymentState::Stopped);
    serves(&replica, "version 1").await;

    // What was asked for before one that serves by now would run on a later one's data.
    let third = fixture.deploy(&replica, &fixture.source.commit(&version(3), &[])).await;
    let fourth = fixture.deploy(&replica, &fixture.source.commit(&version(4), &[])).await;
    decide(&fixture.who, &fourth.id, true).await.unwrap();
    fixture.until(&replica, &fourth.id, DeploymentState::Running).await;
    let late = decide(&fixture.who, &third.id, true).await.unwrap_err();
    assert!(late.code() == Code::FailedPrecondition && late.message().contains(&fourth.id), "{late:?}");
    let list = ListDeploymentsRequest { state: DeploymentState::AwaitingApproval.into(), ..Default::default() };
    let waiting = replica.client.clone().list_deployments(fixture.signer.request(&fixture.who, list).unwrap()).await.unwrap().into_inner();
    assert_eq!(waiting.deployments.iter().map(|d| &d.id).collect::<Vec<_>>(), [&third.id]);
    replica.service.stop().await;
}

#[tokio::test]
async fn one_asked_for_before_does_not_take_the_data_from_under_a_later_one() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica_with((24_270, 24_279), 20, "approval = [\"production\"]\n").await;
    let commit = |version: u32, shape: u32| {
        let (program, data) = keeper(version, shape);
        fixture.source.commit_with(&program, &[], &data)
    };
    let approve = async |id: &str| {
        let request = DecideDeploymentRequest { id: id.to_owned(), approved: true, ..Default::default() };
        replica.client.clone().decide_deployment(fixture.signer.request(&fixture.who, request).unwrap()).await.unwrap();
    };
    let first = fixture.deploy(&replica, &commit(1, 1)).await;
    approve(&first.id).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    let before = fixture.deploy(&replica, &commit(2, 2)).await;
    let later = fixture.roll_out(&replica, commit(3, 1), Strategy::Canary, 50, 4).await;
    approve(&later.id).await;
    fixture.until(&replica, &later.id, DeploymentState::TriedOut).await;
    approve(&before.id).await;
    let before = fixture.until(&replica, &before.id, DeploymentState::Replaced).await;
    assert!(before.error.contains(&later.id), "{before:?}");
    fixture.until(&replica, &later.id, DeploymentState::Running).await;
    serves(&replica, "version 3 shape 1").await;

    // When the later one fails, it goes on.
    let before = fixture.deploy(&replica, &commit(4, 2)).await;
    let later = fixture.deploy(&replica, &commit(5, 9)).await;
    approve(&later.id).await;
    fixture.until(&replica, &later.id, DeploymentState::Starting).await;
    approve(&before.id).await;
    fixture.until(&replica, &later.id, DeploymentState::Failed).await;
    fixture.until(&replica, &before.id, DeploymentState::Running).await;
    serves(&replica, "version 4 shape 2").await;
    replica.service.stop().await;
}

#[tokio::test]
async fn a_version_that_hangs_and_one_whose_data_is_taken_over_are_not_tried_out_any_more() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_150, 24_169), 20).await;
    let commit = |version: u32, shape: u32| {
        let (program, data) = keeper(version, shape);
        fixture.source.commit_with(&program, &[], &data)
    };
    let first = fixture.deploy(&replica, &commit(1, 1)).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1 shape 1").await;
    // Healthy, and whatever else it is asked it does not answer.
    let hangs = FAILS.replace(
        "self.send_response(200 if self.path == '/health' else 500)",
        "self.path == '/health' or time.sleep(60)\n        self.send_response(200)",
    );
    let hangs = hangs.replace("import http.server, os", "import http.server, os, time").replace("HTTPServer((", "ThreadingHTTPServer((");
    let hanging = fixture.roll_out(&replica, fixture.source.commit(&hangs, &[]), Strategy::BlueGreen, 0, 600).await;
    fixture.until(&replica, &hanging.id, DeploymentState::TriedOut).await;
    let client = reqwest::Client::builder().no_proxy().timeout(std::time::Duration::from_millis(1_500)).build().unwrap();
    let url = format!("{}/boxes/", replica.proxy);
    let answers = futures::future::join_all((0..6).map(|_| client.get(&url).send())).await;
    assert!(answers.iter().all(Result::is_err), "{answers:?}");
    let failed = fixture.until(&replica, &hanging.id, DeploymentState::Failed).await;
    assert!(failed.error.contains("did worse"), "{}", failed.error);
    serves(&replica, "version 1 shape 1").await;

    let second = fixture.roll_out(&replica, fixture.source.commit(&version(2), &[]), Strategy::BlueGreen, 0, 600).await;
    fixture.until(&replica, &second.id, DeploymentState::TriedOut).await;
    serves(&replica, "version 2").await;
    let third = fixture.deploy(&replica, &commit(3, 2)).await;
    fixture.until(&replica, &third.id, DeploymentState::Running).await;
    let ended = fixture.get(&replica, &second.id).await;
    assert!(ended.state() == DeploymentState::Failed && ended.error.contains("takes the data over"), "{ended:?}");
    serves(&replica, "version 3 shape 2").await;
    replica.service.stop().await;
}

#[tokio::test]
async fn apps_are_reached_while_the_service_is_away_and_a_trial_goes_on_when_it_is_back() {
    let fixture = Fixture::new().await;
    let (proxy, url) = fixture.proxy();
    let replica = || fixture.replica_behind((24_170, 24_189), "", "", url.clone());
    let one = replica();
    let first = fixture.deploy(&one, &fixture.source.commit(&version(1), &[])).await;
    fixture.until(&one, &first.id, DeploymentState::Running).await;
    serves(&one, "version 1").await;
    let broken = fixture.roll_out(&one, fixture.source.commit(FAILS, &[]), Strategy::Canary, 50, 600).await;
    fixture.until(&one, &broken.id, DeploymentState::TriedOut).await;
    serves(&one, "broken").await;
    one.service.stop().await;
    let two = replica();
    // What came to it before the second one has looked, and what does now, is counted by the proxy.
    let seen = answers(&two, 40).await;
    assert!(seen["version 1"] > 0 && seen.values().sum::<usize>() == 40, "{seen:?}");
    let failed = eventually("the service", async || {
        let request = fixture.signer.request(&fixture.who, GetDeploymentRequest { id: broken.id.clone() }).unwrap();
        let answer = two.client.clone().get_deployment(request).await.ok()?.into_inner();
        (answer.state() == DeploymentState::Failed).then_some(answer)
    })
    .await;
    assert!(failed.error.contains("requests failed"), "{}", failed.error);
    let begun = failed.history.iter().filter(|change| change.reason.contains("tried out with")).count();
    assert_eq!(begun, 1, "it was not begun anew: {failed:?}");
    two.service.stop().await;
    assert_eq!(body(&format!("{url}/boxes/")).await.as_deref(), Some("version 1"), "nobody but the proxy is there");
    // Who asks for a name that it does not know yet is not sent away before it has looked.
    fixture.database.execute("UPDATE deployment.deployment SET project_slug = 'crates' WHERE state = 'running'").await;
    assert_eq!(body(&format!("{url}/crates/")).await.as_deref(), Some("version 1"));
    assert_eq!(reqwest::get(format!("{url}/nobody/")).await.unwrap().status(), 404);
    proxy.stop().await;
    assert_eq!(fixture.database.count("SELECT count(*) FROM deployment.proxy").await, 0);
}
