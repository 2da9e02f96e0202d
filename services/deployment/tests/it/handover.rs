//! Data of another shape goes from one version to the next: never two at once, nothing failed meanwhile, and back when the new one fails.

use titan_proto::deployment::{DeploymentState, RehearseRequest};
use titan_testkit::Clients;

use super::{Fixture, body, serves};

/// Keeps a number in its data, which it makes its own when it starts; ends when a process of another number has the data.
const KEEPER: &str = "import fcntl, http.server, os, pathlib, signal, sys, threading, time
data = pathlib.Path(os.environ['DATA_DIR'])
if sys.argv[1:] == ['copy']:
    if SHAPE == 7:
        print('no room for a copy')
        sys.exit(1)
    if SHAPE == 8:
        os.symlink('/etc', os.environ['COPY_DIR'])
        sys.exit(0)
    (pathlib.Path(os.environ['COPY_DIR'])).mkdir()
    (pathlib.Path(os.environ['COPY_DIR']) / 'shape').write_text((data / 'shape').read_text())
    sys.exit(0)
if sys.argv[1:] == ['migrate']:
    if SHAPE == 13:
        print('no shape 13')
        sys.exit(1)
    if SHAPE == 14:
        time.sleep(5)
    (data / 'shape').write_text('SHAPE')
    sys.exit(0)
lock = open(data / 'lock.SHAPE', 'w')
fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
for other in data.glob('lock.*'):
    if other.name != 'lock.SHAPE':
        fcntl.flock(open(other), fcntl.LOCK_EX | fcntl.LOCK_NB)
(data / 'shape').write_text('SHAPE')
if SHAPE == 9:
    print('it broke')
    sys.exit(4)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *args):
        pass

    def do_GET(self):
        text = ('version VERSION shape ' + (data / 'shape').read_text()).encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
server = http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler)
server.daemon_threads, server.block_on_close = False, True
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
";

pub(crate) fn keeper(version: u32, shape: u32) -> (String, String) {
    let data = format!(
        "[data]\nversion = \"{shape}\"\ncopy = [\"/usr/bin/python3\", \"app.py\", \"copy\"]\nmigrate = [\"/usr/bin/python3\", \"app.py\", \"migrate\"]\n"
    );
    // Connections that are kept open end with the version.
    let program = KEEPER.replace("VERSION", &version.to_string()).replace("SHAPE", &shape.to_string()).replace("HTTP/1.1", "HTTP/1.0");
    (program, data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_versions_and_the_data_change() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_050, 24_079), 10).await;
    let commit = |version: u32, shape: u32| {
        let (program, data) = keeper(version, shape);
        fixture.source.commit_with(&program, &[], &data)
    };
    let first = fixture.deploy(&replica, &commit(1, 1)).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1 shape 1").await;
    let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
    for round in 1..=4 {
        // Another shape, forward and back.
        let (version, shape) = (round * 2, 1 + round % 2);
        let next = fixture.deploy(&replica, &commit(version, shape)).await;
        fixture.until(&replica, &next.id, DeploymentState::Running).await;
        serves(&replica, &format!("version {version} shape {shape}")).await;
        // One that takes the data and breaks: what served gets it back.
        let broken = fixture.deploy(&replica, &commit(version + 1, 9)).await;
        let broken = fixture.until(&replica, &broken.id, DeploymentState::Failed).await;
        assert!(broken.error.contains("it broke"), "{}", broken.error);
        serves(&replica, &format!("version {version} shape {shape}")).await;
    }
    assert!(clients.end().await.answered > 200);
    let copies = std::fs::read_dir(fixture.home.path().join("apps/copies")).unwrap().flatten().next().unwrap().path();
    assert!(std::fs::read_dir(copies).unwrap().count() <= 10, "only the newest copies are kept, of versions that served and of others");
    replica.service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_that_cannot_be_copied_stays_where_it_is_and_no_request_fails() {
    for (version, shape, why) in [(1, 7, "no room for a copy"), (3, 8, "made no directory")] {
        let fixture = Fixture::new().await;
        let replica = fixture.replica((24_090, 24_099), 10).await;
        let (program, data) = keeper(version, shape);
        let served = fixture.deploy(&replica, &fixture.source.commit_with(&program, &[], &data)).await;
        fixture.until(&replica, &served.id, DeploymentState::Running).await;
        serves(&replica, &format!("version {version} shape {shape}")).await;
        let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
        let (program, data) = keeper(version + 1, 1);
        let next = fixture.deploy(&replica, &fixture.source.commit_with(&program, &[], &data)).await;
        let next = fixture.until(&replica, &next.id, DeploymentState::Failed).await;
        assert!(next.error.contains(why), "{}", next.error);
        serves(&replica, &format!("version {version} shape {shape}")).await;
        assert!(clients.end().await.answered > 0);
        replica.service.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_want_the_data_at_once_have_it_one_after_the_other() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_250, 24_269), 10).await;
    let commit = |version: u32, shape: u32| {
        let (program, data) = keeper(version, shape);
        fixture.source.commit_with(&program, &[], &data)
    };
    let first = fixture.deploy(&replica, &commit(1, 1)).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1 shape 1").await;
    let clients = Clients::start(&format!("{}/boxes/", replica.proxy), None);
    for round in 0..3 {
        // The last one has the shape of what serves, and needs none of its data's being copied.
        for (version, shape) in [(2, 2), (3, 3)] {
            fixture.deploy(&replica, &commit(10 * round + version, shape)).await;
        }
        let last = fixture.deploy(&replica, &commit(10 * round + 4, 1)).await;
        fixture.until(&replica, &last.id, DeploymentState::Running).await;
        serves(&replica, &format!("version {} shape 1", 10 * round + 4)).await;
    }
    assert!(clients.end().await.answered > 50);
    replica.service.stop().await;
}

#[tokio::test]
async fn a_rehearsal_says_whether_the_data_can_go_along_and_touches_nothing() {
    let fixture = Fixture::new().await;
    let replica = fixture.replica((24_080, 24_089), 10).await;
    let (program, data) = keeper(1, 1);
    let first = fixture.deploy(&replica, &fixture.source.commit_with(&program, &[], &data)).await;
    fixture.until(&replica, &first.id, DeploymentState::Running).await;
    serves(&replica, "version 1 shape 1").await;
    for (shape, possible, message) in [(2, true, ""), (13, false, "no shape 13")] {
        let (program, data) = keeper(2, shape);
        let request = RehearseRequest {
            project_id: fixture.project.to_string(),
            environment: "production".to_owned(),
            commit: fixture.source.commit_with(&program, &[], &data),
            ..Default::default()
        };
        let answer = replica.client.clone().rehearse(fixture.signer.request(&fixture.who, request).unwrap()).await.unwrap().into_inner();
        assert_eq!((answer.possible, answer.message.as_str()), (possible, message));
    }
    assert_eq!(body(&format!("{}/boxes/", replica.proxy)).await.as_deref(), Some("version 1 shape 1"));
    let left: Vec<_> = std::fs::read_dir(fixture.home.path().join("apps")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("rehearsal")), "{left:?}");
    replica.service.stop().await;
}
