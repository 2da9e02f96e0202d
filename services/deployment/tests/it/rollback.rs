//! What served an environment before is put back, on every path and under load: no request fails.

use titan_identity::Principal;
use titan_ids::{OrgId, UserId};
use titan_proto::deployment::{
    DecideDeploymentRequest, DeployRequest, Deployment, DeploymentState, PlanRollBackRequest, RollBackPlan, RollBackRequest, Rollout,
    Strategy,
};
use titan_testkit::{Clients, eventually_within};
use tonic::{Code, Status};

use super::handover::keeper;
use super::{Fixture, Replica, serves};

impl Fixture {
    fn way_back(&self, key: &str) -> RollBackRequest {
        RollBackRequest {
            project_id: self.project.to_string(),
            project_slug: "boxes".to_owned(),
            environment: "production".to_owned(),
            idempotency_key: key.to_owned(),
            ..Default::default()
        }
    }

    async fn roll_back(&self, replica: &Replica, who: &Principal, request: RollBackRequest) -> Result<Deployment, Status> {
        Ok(replica.client.clone().roll_back(self.signer.request(who, request).unwrap()).await?.into_inner())
    }

    async fn plan(&self, replica: &Replica, commit: &str) -> Result<RollBackPlan, Status> {
        let (project_id, environment) = (self.project.to_string(), "production".to_owned());
        let request = PlanRollBackRequest { project_id, environment, commit: commit.to_owned() };
        Ok(replica.client.clone().plan_roll_back(self.signer.request(&self.who, request).unwrap()).await?.into_inner())
    }

    fn kept(&self, version: u32, shape: u32, hooks: &str) -> String {
        let (program, data) = keeper(version, shape);
        self.source.commit_with(&program, &[], &(data + hooks))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_served_before_comes_back_in_every_way_and_no_request_fails() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_280, 24_299), 10).await;
    let commits = [fixture.kept(1, 1, ""), fixture.kept(2, 1, ""), fixture.kept(3, 2, "")];
    let first = fixture.deploy(&replica, &commits[0]).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1 shape 1").await;
    let none = fixture.plan(&replica, "").await.unwrap_err();
    assert!(none.code() == Code::FailedPrecondition && none.message().contains("no other version served production"), "{none:?}");
    let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
    for (strategy, share, observe_s) in
        [(Strategy::Rolling, 0, 0), (Strategy::BlueGreen, 0, 2), (Strategy::Canary, 30, 2), (Strategy::Gradual, 20, 2)]
    {
        let request = DeployRequest {
            project_id: fixture.project.to_string(),
            project_slug: "boxes".to_owned(),
            environment: "production".to_owned(),
            commit: commits[1].clone(),
            idempotency_key: format!("forward, {strategy:?}"),
            ..Default::default()
        };
        let next = replica.client.clone().deploy(fixture.signer.request(&fixture.who, request).unwrap()).await.unwrap().into_inner();
        fixture.until(&replica, &next.id, DeploymentState::Running).await;
        serves(&replica, "version 2 shape 1").await;
        let plan = fixture.plan(&replica, "").await.unwrap();
        assert_eq!((&plan.from, &plan.to, plan.data_changes, plan.possible), (&commits[1], &commits[0], false, true));
        let rollout = Some(Rollout { strategy: strategy.into(), share, observe_s });
        let request = RollBackRequest { rollout, ..fixture.way_back(&format!("back, {strategy:?}")) };
        let back = fixture.roll_back(&replica, &fixture.who, request.clone()).await.unwrap();
        assert_eq!((&back.commit, &back.back_from), (&commits[0], &commits[1]));
        let served = fixture.until(&replica, &back.id, DeploymentState::Running).await;
        let said: Vec<&str> = served.history.iter().map(|change| change.reason.as_str()).collect();
        assert_eq!(said.iter().any(|reason| reason.contains("tried out")), observe_s > 0, "{said:?}");
        assert!(said[0].contains(&format!("back from {} to {}", commits[1], commits[0])), "{said:?}");
        serves(&replica, "version 1 shape 1").await;
        // The same again is the same one, whatever serves by now.
        assert_eq!(fixture.roll_back(&replica, &fixture.who, request).await.unwrap().id, back.id);
    }
    // The data has another shape.
    let third = fixture.deploy(&replica, &commits[2]).await;
    fixture.until(&replica, &third.id, DeploymentState::Running).await;
    serves(&replica, "version 3 shape 2").await;
    assert!(fixture.plan(&replica, "").await.unwrap().data_changes);
    let back = fixture.roll_back(&replica, &fixture.who, fixture.way_back("with the data")).await.unwrap();
    fixture.until(&replica, &back.id, DeploymentState::Running).await;
    serves(&replica, "version 1 shape 1").await;
    let asked = clients.end().await;
    assert!(asked.answered > 200, "{asked:?}");
    // Nothing served before the first, but a later one did.
    let again = fixture.roll_back(&replica, &fixture.who, fixture.way_back("further")).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition, "{again:?}");
    let named = RollBackRequest { commit: commits[1][..9].to_owned(), ..fixture.way_back("by name") };
    assert_eq!(fixture.roll_back(&replica, &fixture.who, named).await.unwrap().commit, commits[1]);
    replica.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_go_back_is_known_before_any_request_waits() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_300, 24_309), 10).await;
    // No data is ever taken back to its shape.
    let (first, second) = (fixture.kept(1, 13, ""), fixture.kept(2, 2, ""));
    for (commit, shown) in [(&first, "version 1 shape 13"), (&second, "version 2 shape 2")] {
        let deployment = fixture.deploy(&replica, commit).await;
        fixture.until(&replica, &deployment.id, DeploymentState::Running).await;
        serves(&replica, shown).await;
    }
    let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
    let plan = fixture.plan(&replica, "").await.unwrap();
    assert_eq!((plan.possible, plan.message.as_str()), (false, "no shape 13"));
    let back = fixture.roll_back(&replica, &fixture.who, fixture.way_back("in vain")).await.unwrap();
    let failed = fixture.until(&replica, &back.id, DeploymentState::Failed).await;
    assert!(failed.error.contains("cannot go back: no shape 13"), "{}", failed.error);
    serves(&replica, "version 2 shape 2").await;
    clients.end().await;
    let copies = fixture.home.path().join("apps/copies").join(format!("{}-production", fixture.project));
    assert!(!copies.join(&back.id).exists(), "its data was never taken");
    for (bad, code, said) in [
        (RollBackRequest { commit: "xyz".to_owned(), ..fixture.way_back("a") }, Code::InvalidArgument, "7 to 40 hex digits"),
        (RollBackRequest { commit: "0".repeat(40), ..fixture.way_back("b") }, Code::FailedPrecondition, "no other version that served"),
        (
            RollBackRequest { environment: "staging".to_owned(), ..fixture.way_back("c") },
            Code::FailedPrecondition,
            "nothing serves staging",
        ),
        (RollBackRequest { environment: "moon".to_owned(), ..fixture.way_back("d") }, Code::InvalidArgument, "dev, staging, production"),
        (RollBackRequest { reason: "x".repeat(501), ..fixture.way_back("e") }, Code::InvalidArgument, "500 characters"),
        (RollBackRequest { emergency: true, ..fixture.way_back("f") }, Code::InvalidArgument, "reason"),
        (fixture.way_back(""), Code::InvalidArgument, "idempotency_key"),
        (fixture.way_back(&second), Code::InvalidArgument, "another deployment"),
    ] {
        let refused = fixture.roll_back(&replica, &fixture.who, bad).await.unwrap_err();
        assert!(refused.code() == code && refused.message().contains(said), "{said}: {refused:?}");
    }
    let stranger = Principal::user(UserId::generate(), OrgId::generate());
    let refused = fixture.roll_back(&replica, &stranger, fixture.way_back("g")).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
    assert_eq!(
        replica
            .client
            .clone()
            .plan_roll_back(
                fixture
                    .signer
                    .request(
                        &stranger,
                        PlanRollBackRequest {
                            project_id: fixture.project.to_string(),
                            environment: "production".to_owned(),
                            commit: String::new(),
                        }
                    )
                    .unwrap()
            )
            .await
            .unwrap_err()
            .code(),
        Code::NotFound
    );
    replica.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_say_on_its_data_never_gets_that_of_what_serves() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_330, 24_339), 10).await;
    let (program, _) = keeper(1, 1);
    let first = fixture.deploy(&replica, &fixture.source.commit_with(&program, &[], "")).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1 shape 1").await;
    let second = fixture.deploy(&replica, &fixture.kept(2, 1, "")).await;
    fixture.until(&replica, &second.id, DeploymentState::Running).await;
    serves(&replica, "version 2 shape 1").await;
    assert!(!fixture.plan(&replica, "").await.unwrap().possible);
    let back = fixture.roll_back(&replica, &fixture.who, fixture.way_back("back")).await.unwrap();
    let failed = fixture.until(&replica, &back.id, DeploymentState::Failed).await;
    assert!(failed.error.contains("does not say how it takes the data over"), "{}", failed.error);
    serves(&replica, "version 2 shape 1").await;
    replica.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_stopped_while_it_is_rehearsed_takes_nothing() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_340, 24_349), 10).await;
    for (commit, shown) in [(fixture.kept(1, 14, ""), "version 1 shape 14"), (fixture.kept(2, 2, ""), "version 2 shape 2")] {
        let deployment = fixture.deploy(&replica, &commit).await;
        fixture.until(&replica, &deployment.id, DeploymentState::Running).await;
        serves(&replica, shown).await;
    }
    let (clients, pid) = (Clients::start(&format!("{}/boxes/", replica.proxy), None), fixture.pid().await);
    let back = fixture.roll_back(&replica, &fixture.who, fixture.way_back("back")).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let stopped = fixture.stop(&replica, &back.id).await;
    assert_eq!(stopped.state(), DeploymentState::Stopped);
    // The rehearsal ends.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(fixture.pid().await, pid, "what serves was left alone");
    serves(&replica, "version 2 shape 2").await;
    assert!(clients.end().await.answered > 100);
    replica.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_waits_for_nobody() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica_with((24_310, 24_319), 10, "approval = [\"production\"]\n").await;
    let [first, second] = [1, 2].map(|number| fixture.kept(number, 1, ""));
    for (number, commit) in [(1, &first), (2, &second)] {
        let deployment = fixture.deploy(&replica, commit).await;
        let request = DecideDeploymentRequest { id: deployment.id.clone(), approved: true, reason: String::new() };
        replica.client.clone().decide_deployment(fixture.signer.request(&fixture.who, request).unwrap()).await.unwrap();
        fixture.until(&replica, &deployment.id, DeploymentState::Running).await;
        serves(&replica, &format!("version {number} shape 1")).await;
    }
    let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
    let waits = fixture.roll_back(&replica, &fixture.who, fixture.way_back("calmly")).await.unwrap();
    assert_eq!(waits.state(), DeploymentState::AwaitingApproval);
    assert_eq!(fixture.plan(&replica, "").await.unwrap().under_way, std::slice::from_ref(&waits.id));
    let emergency = RollBackRequest { emergency: true, reason: "orders are lost".to_owned(), ..fixture.way_back("at once") };
    let back = fixture.roll_back(&replica, &fixture.who, emergency).await.unwrap();
    let back = fixture.until(&replica, &back.id, DeploymentState::Running).await;
    assert!(back.history[0].reason.ends_with(", in an emergency: orders are lost"), "{:?}", back.history);
    serves(&replica, "version 1 shape 1").await;
    // What waits comes when somebody approves it.
    let forth = fixture
        .roll_back(&replica, &fixture.who, RollBackRequest { commit: second[..9].to_owned(), ..fixture.way_back("forth") })
        .await
        .unwrap();
    let request = DecideDeploymentRequest { id: forth.id.clone(), approved: true, reason: "seen to".to_owned() };
    replica.client.clone().decide_deployment(fixture.signer.request(&fixture.who, request).unwrap()).await.unwrap();
    fixture.until(&replica, &forth.id, DeploymentState::Running).await;
    assert!(clients.end().await.answered > 50);
    replica.service.stop().await;
}

/// Asks the version itself, before anybody else does.
const VERIFY: &str = "import os, sys, urllib.request
said = urllib.request.urlopen(os.environ['TITAN_APP_URL']).read().decode()
print('it said', said)
sys.exit(3 if 'version 2' in said else 0)";
const SERVED: &str = "import os, pathlib, urllib.request
assert urllib.request.urlopen(os.environ['TITAN_APP_URL'] + '/').status == 200
with open(pathlib.Path(os.environ['DATA_DIR']) / 'served', 'a') as file:
    print(os.environ['TITAN_ENVIRONMENT'], os.environ['TITAN_COMMIT'], os.environ.get('TITAN_BACK_FROM', ''), file=file)";

fn python(program: &str) -> String {
    format!("[\"/usr/bin/python3\", \"-c\", '''{program}''']\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hooks_say_whether_a_version_may_serve_and_hear_that_it_does() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_320, 24_329), 10).await;
    let hooks = format!("[hooks]\nverify = {}served = {}", python(VERIFY), python(SERVED));
    let commits = [1, 3].map(|version| fixture.kept(version, 1, &hooks));
    let until_heard = async |id: &str, said: &[&str]| {
        let heard = |deployment: &Deployment| deployment.history.iter().any(|change| said.iter().all(|part| change.reason.contains(part)));
        let look = async || {
            let seen = fixture.get(&replica, id).await;
            let other = seen.history.iter().any(|change| change.reason.contains("hooks.served")) || seen.state() == DeploymentState::Failed;
            assert!(heard(&seen) || !other, "{seen:?}");
            Some(seen).filter(heard)
        };
        // A hook may take its time.
        eventually_within(std::time::Duration::from_secs(90), "the hook has ended", look).await
    };
    for (commit, shown) in commits.iter().zip(["version 1 shape 1", "version 3 shape 1"]) {
        let deployment = fixture.deploy(&replica, commit).await;
        until_heard(&deployment.id, &["hooks.served ended well"]).await;
        serves(&replica, shown).await;
    }
    let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
    let refused = fixture.deploy(&replica, &fixture.kept(2, 1, &hooks)).await;
    let refused = fixture.until(&replica, &refused.id, DeploymentState::Failed).await;
    assert!(refused.error.contains("hooks.verify") && refused.error.contains("it said version 2 shape 1"), "{}", refused.error);
    serves(&replica, "version 3 shape 1").await;
    // It has taken the data over: what served gets it back.
    let refused = fixture.deploy(&replica, &fixture.kept(2, 5, &hooks)).await;
    let refused = fixture.until(&replica, &refused.id, DeploymentState::Failed).await;
    assert!(refused.error.contains("it said version 2 shape 5"), "{}", refused.error);
    serves(&replica, "version 3 shape 1").await;
    let back = fixture.roll_back(&replica, &fixture.who, fixture.way_back("back")).await.unwrap();
    until_heard(&back.id, &["hooks.served ended well"]).await;
    serves(&replica, "version 1 shape 1").await;
    clients.end().await;
    let data = fixture.home.path().join("apps/data").join(format!("{}-production", fixture.project));
    let [one, other] = &commits;
    let lines = std::fs::read_to_string(data.join("served")).unwrap();
    assert_eq!(lines, format!("production {one} \nproduction {other} \nproduction {one} {other}\n"), "each was told once");
    // One that fails changes nothing.
    let sulks = fixture.kept(4, 1, &format!("[hooks]\nserved = {}", python("exit('no mood')")));
    let sulks = fixture.deploy(&replica, &sulks).await;
    until_heard(&sulks.id, &["hooks.served failed", "no mood"]).await;
    serves(&replica, "version 4 shape 1").await;
    replica.service.stop().await;
}
