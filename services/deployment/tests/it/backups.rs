//! What an environment's data was is kept before each deployment, and comes back without a failed request.

use titan_proto::deployment::{Backup, Deployment, DeploymentState, GetDeploymentRequest, ListBackupsRequest, RestoreBackupRequest};
use titan_testkit::{Clients, eventually_within};
use tonic::{Code, Status};

use super::{Fixture, Replica, body, serves};

/// Counts what is posted to it. It does not start with a count of 13, and hangs, on all paths, as soon as it was told to.
const COUNTER: &str = "import http.server, os, pathlib, shutil, signal, sys, threading, time
data = pathlib.Path(os.environ['DATA_DIR'])
kept = data / 'count'
if sys.argv[1:] == ['copy']:
    target = pathlib.Path(os.environ['COPY_DIR'])
    target.mkdir()
    if kept.exists():
        shutil.copy2(kept, target)
    sys.exit(0)
if sys.argv[1:] == ['migrate']:
    sys.exit(0)
if kept.exists() and kept.read_text() == '13':
    print('no luck in 13')
    sys.exit(4)
hangs = threading.Event()
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        if hangs.is_set():
            time.sleep(600)
        text = ('version VERSION count ' + (kept.read_text() if kept.exists() else '0')).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        if self.path.endswith('hang'):
            hangs.set()
        else:
            kept.write_text(str(int(kept.read_text() if kept.exists() else '0') + 1))
        self.send_response(204)
        self.end_headers()
server = http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
";

impl Fixture {
    fn counter(&self, version: u32) -> String {
        let command = |verb: &str| format!("[\"/usr/bin/python3\", \"app.py\", \"{verb}\"]");
        let data = format!("[data]\nversion = \"1\"\ncopy = {}\nmigrate = {}\n", command("copy"), command("migrate"));
        self.source.commit_with(&COUNTER.replace("VERSION", &version.to_string()), &[], &data)
    }

    async fn serve_counter(&self, replica: &Replica, version: u32) -> Deployment {
        let deployment = self.deploy(replica, &self.counter(version)).await;
        self.until(replica, &deployment.id, DeploymentState::Running).await
    }

    async fn backups(&self, replica: &Replica) -> Vec<Backup> {
        let request = ListBackupsRequest { project_id: self.project.to_string(), environment: "production".to_owned() };
        replica.client.clone().list_backups(self.signer.request(&self.who, request).unwrap()).await.unwrap().into_inner().backups
    }

    async fn restore(&self, replica: &Replica, backup: &str, key: &str) -> Result<Deployment, Status> {
        let request = RestoreBackupRequest {
            project_id: self.project.to_string(),
            project_slug: "boxes".to_owned(),
            environment: "production".to_owned(),
            backup_id: backup.to_owned(),
            idempotency_key: key.to_owned(),
            ..Default::default()
        };
        Ok(replica.client.clone().restore_backup(self.signer.request(&self.who, request).unwrap()).await?.into_inner())
    }
}

async fn post(replica: &Replica, path: &str) {
    assert_eq!(reqwest::Client::new().post(format!("{}/boxes/{path}", replica.proxy)).send().await.unwrap().status(), 204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_comes_back_from_a_backup_and_what_does_not_get_well_changes_nothing() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_350, 24_369), 10).await;
    fixture.serve_counter(&replica, 1).await;
    serves(&replica, "version 1 count 0").await;
    assert!(fixture.backups(&replica).await.is_empty(), "there was nothing before the first");
    let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
    for _ in 0..3 {
        post(&replica, "").await;
    }
    let second = fixture.serve_counter(&replica, 2).await;
    serves(&replica, "version 2 count 3").await;
    let [three] = &fixture.backups(&replica).await[..] else { panic!("one before the second") };
    assert!(three.id == second.id && three.bytes > 0, "{three:?}");
    post(&replica, "").await;
    let back = fixture.restore(&replica, &three.id, "back").await.unwrap();
    assert_eq!((&back.commit, &back.restores), (&second.commit, &three.id), "what serves stays the version");
    fixture.until(&replica, &back.id, DeploymentState::Running).await;
    serves(&replica, "version 2 count 3").await;
    assert_eq!(fixture.restore(&replica, &three.id, "back").await.unwrap().id, back.id, "once for each key");
    // What it was until then is kept, and so is the backup.
    let kept: Vec<String> = fixture.backups(&replica).await.into_iter().map(|backup| backup.id).collect();
    assert_eq!(kept, [back.id.clone(), three.id.clone()]);
    let forth = fixture.restore(&replica, &back.id, "forth").await.unwrap();
    fixture.until(&replica, &forth.id, DeploymentState::Running).await;
    serves(&replica, "version 2 count 4").await;
    // Data that no version starts with.
    let dir = fixture.home.path().join("apps/copies").join(format!("{}-production", fixture.project));
    std::fs::write(dir.join(&three.id).join("count"), "13").unwrap();
    let unlucky = fixture.restore(&replica, &three.id, "unlucky").await.unwrap();
    let failed = fixture.until(&replica, &unlucky.id, DeploymentState::Failed).await;
    assert!(failed.error.contains("no luck in 13"), "{}", failed.error);
    serves(&replica, "version 2 count 4").await;
    assert!(fixture.backups(&replica).await.iter().all(|backup| backup.id != unlucky.id), "the data is where it was");
    assert!(clients.end().await.answered > 200);
    let aside: Vec<_> =
        std::fs::read_dir(fixture.home.path().join("apps/data")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(aside.len(), 1, "nothing is left beside it: {aside:?}");
    for version in 3..=8 {
        fixture.serve_counter(&replica, version).await;
    }
    serves(&replica, "version 8 count 4").await;
    assert_eq!(fixture.backups(&replica).await.len(), 5, "the newest");
    for (backup, code) in [(three.id.as_str(), Code::NotFound), ("no id", Code::InvalidArgument)] {
        let refused = fixture.restore(&replica, backup, "again").await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused:?}");
    }
    replica.service.stop().await;
}

/// Nothing serves: of two that begin at the same time the one that brings other data goes first, and what comes of it is nobody else's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_serves_a_restore_takes_no_data_from_under_another_version() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_390, 24_399), 6).await;
    let first = fixture.serve_counter(&replica, 1).await;
    serves(&replica, "version 1 count 0").await;
    post(&replica, "").await;
    // What nobody serves from is kept, too, before the next one has it.
    fixture.stop(&replica, &first.id).await;
    let second = fixture.serve_counter(&replica, 2).await;
    serves(&replica, "version 2 count 1").await;
    let [one] = &fixture.backups(&replica).await[..] else { panic!("one before the second") };
    assert_eq!((&one.id, &one.commit), (&second.id, &first.commit));
    let dir = fixture.home.path().join("apps/copies").join(format!("{}-production", fixture.project)).join(&one.id);
    std::fs::write(dir.join("count"), "13").unwrap();
    fixture.stop(&replica, &second.id).await;
    let unlucky = fixture.restore(&replica, &one.id, "unlucky").await.unwrap();
    let third = fixture.deploy(&replica, &fixture.counter(3)).await;
    let failed = fixture.until(&replica, &unlucky.id, DeploymentState::Failed).await;
    assert!(failed.error.contains("no luck in 13"), "{}", failed.error);
    fixture.until(&replica, &third.id, DeploymentState::Running).await;
    serves(&replica, "version 3 count 1").await;
    post(&replica, "").await;
    serves(&replica, "version 3 count 2").await;
    replica.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_serves_and_hangs_is_started_again() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_370, 24_379), 10).await;
    let served = fixture.serve_counter(&replica, 1).await;
    serves(&replica, "version 1 count 0").await;
    let pid = fixture.pid().await;
    post(&replica, "hang").await;
    let again = async || Some(fixture.get(&replica, &served.id).await).filter(|seen| seen.restarts == 1);
    let again = eventually_within(std::time::Duration::from_secs(60), "a new process", again).await;
    assert!(again.history.iter().any(|change| change.reason.contains("did not answer for 30 s")), "{:?}", again.history);
    serves(&replica, "version 1 count 0").await;
    assert_ne!(fixture.pid().await, pid);
    replica.service.stop().await;
}

#[tokio::test]
async fn what_serves_is_not_cancelled() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_380, 24_389), 10).await;
    let served = fixture.serve_counter(&replica, 1).await;
    serves(&replica, "version 1 count 0").await;
    let cancel = async |id: &str| {
        let request = fixture.signer.request(&fixture.who, GetDeploymentRequest { id: id.to_owned() }).unwrap();
        replica.client.clone().cancel_deployment(request).await
    };
    let refused = cancel(&served.id).await.unwrap_err();
    assert!(refused.code() == Code::FailedPrecondition && refused.message().contains("serves already"), "{refused:?}");
    assert_eq!(body(&format!("{}/boxes/", replica.proxy)).await.as_deref(), Some("version 1 count 0"));
    let never = fixture.source.commit("import time\ntime.sleep(600)\n", &[]);
    let never = fixture.deploy(&replica, &never).await;
    assert_eq!(cancel(&never.id).await.unwrap().into_inner().state(), DeploymentState::Stopped);
    assert_eq!(cancel(&never.id).await.unwrap().into_inner().state(), DeploymentState::Stopped, "once more changes nothing");
    serves(&replica, "version 1 count 0").await;
    replica.service.stop().await;
}
