//! The services as separate processes: two orchestrators, two agent workers, one each of the others, and the proxy in front of
//! the apps. A process that dies is started again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use titan_lifecycle::Backoff;
use titan_store::Installation;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::dev::wait_until_ready;
use super::settings::{Common, Replica, settings};
use crate::home::Home;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// A superuser's URL; roles and schemas are made in its database.
    #[arg(long, env = "TITAN_DATABASE_URL", default_value = "postgres://postgres:postgres@127.0.0.1:5432/postgres")]
    database_url: String,
    #[arg(long, env = "TITAN_AMQP_URL", default_value = "amqp://guest:guest@127.0.0.1:5672/%2f")]
    amqp_url: String,
    /// Where the gateways count requests together.
    #[arg(long, env = "TITAN_REDIS_URL", default_value = "redis://127.0.0.1:6379")]
    redis_url: String,
    /// Directory of your own templates: <name>/files/… replaces the built-in template of that name.
    #[arg(long, env = "TITAN_TEMPLATES")]
    templates: Option<PathBuf>,
    /// Tasks of the role runner that each worker takes at once.
    #[arg(long, env = "TITAN_RUNNER_SLOTS")]
    runner_slots: Option<u32>,
    /// Prefix of exchanges and queues.
    #[arg(long, default_value = "titan")]
    bus_prefix: String,
    /// Prefix of the database roles, for several installations on one server.
    #[arg(long, default_value = "titan")]
    role_prefix: String,
    /// The first of twenty ports in a row: the gateway's.
    #[arg(long, default_value_t = 7070)]
    base_port: u16,
    /// The first of five hundred ports for apps.
    #[arg(long, default_value_t = 20_500)]
    apps_port: u16,
    /// How the other services reach the orchestrators, where something stands between; both, separated by a comma.
    #[arg(long, value_delimiter = ',', hide = true)]
    orchestrators: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct ProvisionArgs {
    /// A superuser's URL; roles and schemas are made in its database.
    #[arg(long, env = "TITAN_DATABASE_URL")]
    database_url: String,
    /// Prefix of the roles: `titan` gives titan_gateway, titan_orchestrator, titan_agent_worker, titan_deployment, titan_monitoring.
    #[arg(long, default_value = "titan")]
    role_prefix: String,
    /// Password of the roles.
    #[arg(long, env = "TITAN_DATABASE_PASSWORD", hide_env_values = true)]
    password: String,
}

/// What `up` and `dev` do by themselves, for services that something else starts.
pub(crate) async fn provision(args: ProvisionArgs) -> anyhow::Result<ExitCode> {
    let installation = Installation { role_prefix: args.role_prefix, password: args.password };
    titan_store::provision(&args.database_url, &installation).await.context("the database could not be prepared")?;
    println!("Roles and schemas are there: {}", titan_store::SCHEMAS.join(", "));
    Ok(ExitCode::SUCCESS)
}

/// Service, replica, offset of its address from the base port; its admin address comes after it.
const PROCESSES: &[(&str, &str, u16)] = &[
    ("gateway", "gateway", 0),
    ("orchestrator", "orchestrator-1", 2),
    ("orchestrator", "orchestrator-2", 4),
    ("agent-worker", "worker-1", 6),
    ("agent-worker", "worker-2", 10),
    ("deployment", "deployment", 12),
    ("monitoring", "monitoring", 14),
    ("proxy", "proxy", 16),
];
/// Where apps are reached.
const PROXY: u16 = 8;
const STOP_WITHIN: Duration = Duration::from_secs(30);

pub(crate) async fn run(home: &Home, args: Args) -> anyhow::Result<ExitCode> {
    let signal = titan_lifecycle::shutdown_on_signal()?;
    let installation = Installation { role_prefix: args.role_prefix.clone(), password: home.secret("database-password")? };
    titan_store::provision(&args.database_url, &installation).await.context("the database (TITAN_DATABASE_URL) could not be prepared")?;
    let run_dir = home.join("run");
    std::fs::create_dir_all(&run_dir)?;
    let mut supervised = JoinSet::new();
    for &(service, name, offset) in PROCESSES {
        let file = write_settings(home, &args, &installation, (service, name, offset))?;
        let process =
            Process { service, name, file, log: run_dir.join(format!("{name}.log")), pid_file: run_dir.join(format!("{name}.pid")) };
        supervised.spawn(process.supervise(signal.clone()));
    }
    let base = args.base_port;
    let started = tokio::select! {
        ready = all_ready(base, &run_dir) => ready,
        Some(ended) = supervised.join_next() => ended.map_err(anyhow::Error::from).and_then(|ended| ended),
    };
    if started.is_err() || signal.is_cancelled() {
        signal.cancel();
        while supervised.join_next().await.is_some() {}
        return started.map(|()| ExitCode::SUCCESS);
    }
    println!("TitanForge is ready at http://127.0.0.1:{base} ({} processes, logs in {})", PROCESSES.len(), run_dir.display());
    println!("API key     {}", home.key_file().display());
    while let Some(ended) = supervised.join_next().await {
        ended??;
    }
    Ok(ExitCode::SUCCESS)
}

async fn all_ready(base: u16, run_dir: &Path) -> anyhow::Result<()> {
    for (_, name, offset) in PROCESSES {
        let ready = wait_until_ready(&format!("http://127.0.0.1:{}/health/ready", base + offset + 1)).await;
        ready.with_context(|| format!("{name} says last: {}", last_line(&run_dir.join(format!("{name}.log")))))?;
    }
    Ok(())
}

/// Of the last few KiB.
fn last_line(log: &Path) -> String {
    use std::io::{Read as _, Seek as _};
    let mut tail = Vec::new();
    if let Ok(mut file) = std::fs::File::open(log) {
        let from = file.metadata().map_or(0, |m| m.len()).saturating_sub(4 << 10);
        let _ = file.seek(std::io::SeekFrom::Start(from)).and_then(|_| file.read_to_end(&mut tail)); // an empty line then
    }
    let text = String::from_utf8_lossy(&tail);
    format!("{} ({})", text.lines().last().unwrap_or_default(), log.display())
}

fn write_settings(
    home: &Home,
    args: &Args,
    installation: &Installation,
    (service, name, offset): (&str, &str, u16),
) -> anyhow::Result<PathBuf> {
    let local = |offset: u16| format!("127.0.0.1:{}", args.base_port + offset);
    let urls = |wanted: &str| {
        PROCESSES.iter().filter(|(s, _, _)| *s == wanted).map(|(_, _, o)| format!("http://{}", local(*o))).collect::<Vec<_>>()
    };
    let otlp = titan_settings::env("TITAN_OTLP_ENDPOINT");
    let (orchestrators, deployments, monitorings) = (urls("orchestrator"), urls("deployment"), urls("monitoring"));
    let orchestrators = if args.orchestrators.is_empty() { orchestrators } else { args.orchestrators.clone() };
    let common = Common {
        home,
        database_url: &args.database_url,
        installation,
        amqp_url: Some(&args.amqp_url),
        bus_prefix: &args.bus_prefix,
        otlp_endpoint: otlp.as_deref(),
        gateway: &format!("http://{}", local(0)),
        orchestrators: &orchestrators,
        deployments: &deployments,
        monitorings: &monitorings,
        proxy: &format!("http://{}", local(PROXY)),
        proxy_apart: true,
        first_app_port: args.apps_port,
        redis_url: Some(&args.redis_url),
        templates: args.templates.as_deref(),
        runner_slots: args.runner_slots,
    };
    let text = settings(&common, &Replica { service, name, address: &local(offset), admin: &local(offset + 1) })?;
    let file = home.join(&format!("run/{name}.toml"));
    write_private(&file, &text)?;
    Ok(file)
}

/// It holds passwords.
fn write_private(file: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut open = std::fs::OpenOptions::new();
    open.create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?
        .write_all(text.as_bytes())
        .with_context(|| file.display().to_string())
}

struct Process {
    service: &'static str,
    name: &'static str,
    file: PathBuf,
    log: PathBuf,
    /// For those who want to signal it.
    pid_file: PathBuf,
}

impl Process {
    async fn supervise(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        while !shutdown.is_cancelled() {
            let mut child = self.spawn()?;
            let started = tokio::time::Instant::now();
            let status = tokio::select! {
                status = child.wait() => status?,
                () = shutdown.cancelled() => return stop(self.name, child).await,
            };
            eprintln!("{} ended with {status}; its last words: {}", self.name, last_line(&self.log));
            if started.elapsed() > Duration::from_secs(10) {
                backoff.reset();
            }
            tokio::select! { () = backoff.sleep() => {}, () = shutdown.cancelled() => {} }
        }
        Ok(())
    }

    fn spawn(&self) -> anyhow::Result<Child> {
        let program = std::env::current_exe()?.with_file_name(format!("titan-{}", self.service));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&program);
        command.arg("--config").arg(&self.file).stdin(std::process::Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A Ctrl-C is for us; we pass it on.
        let child = command
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start; build it with `make build`", program.display()))?;
        // At once: whoever reads it finds a whole number.
        let new = self.pid_file.with_extension("pid.new");
        std::fs::write(&new, child.id().unwrap_or_default().to_string())?;
        std::fs::rename(&new, &self.pid_file)?;
        Ok(child)
    }
}

async fn stop(name: &str, mut child: Child) -> anyhow::Result<()> {
    if let Some(pid) = child.id() {
        let sent = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        anyhow::ensure!(sent.success(), "{name} could not be asked to stop");
    }
    if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
        eprintln!("{name} did not stop in time and is killed");
        child.kill().await?;
    }
    Ok(())
}
