//! All five services in one process: a private PostgreSQL, the in-process bus, the same code as anywhere.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use titan_bus::Bus;
use titan_service::{Listeners, ServiceSettings};
use titan_store::Installation;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::postgres::Cluster;
use super::settings::{Common, Replica, settings};
use crate::home::Home;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Port of the gateway; 0 takes a free one.
    #[arg(long, default_value_t = 7070)]
    port: u16,
    /// Port under which apps are reached; 0 takes a free one.
    #[arg(long, default_value_t = 7078)]
    apps_port: u16,
    /// Use this PostgreSQL (a superuser's URL) instead of a private one.
    #[arg(long, env = "TITAN_DATABASE_URL")]
    database_url: Option<String>,
    /// Prefix of the database roles, for several installations on one server.
    #[arg(long, default_value = "titan")]
    role_prefix: String,
    /// Directory of your own templates: <name>/files/… replaces the built-in template of that name.
    #[arg(long, env = "TITAN_TEMPLATES")]
    templates: Option<PathBuf>,
}

impl Args {
    pub(crate) fn any_port() -> Self {
        Self { port: 0, apps_port: 0, database_url: None, role_prefix: "titan".to_owned(), templates: None }
    }
}

/// A running installation.
pub(crate) struct Running {
    pub(crate) url: String,
    services: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
    cluster: Option<Cluster>,
}

pub(crate) async fn run(home: &Home, args: Args) -> anyhow::Result<ExitCode> {
    let signal = titan_lifecycle::shutdown_on_signal()?;
    let started = Instant::now();
    let mut running = start(home, &args).await?;
    println!("TitanForge is ready after {:.1} s at {}", started.elapsed().as_secs_f64(), running.url);
    println!("API key     {}", home.key_file().display());
    println!(
        "Try         titan --url {} goal \"Build a REST API for todos with a title, a done flag and a due date\" --watch",
        running.url
    );
    let ended = tokio::select! {
        () = signal.cancelled() => None,
        ended = running.services.join_next() => ended,
    };
    let stopped = running.stop().await;
    if let Some(ended) = ended {
        ended??;
        anyhow::bail!("a service ended on its own; its log says why (TITAN_LOG=info shows more)");
    }
    stopped.map(|()| ExitCode::SUCCESS)
}

/// Starts everything and returns when the gateway is ready.
pub(crate) async fn start(home: &Home, args: &Args) -> anyhow::Result<Running> {
    let cluster = match args.database_url {
        Some(_) => None,
        None => Some(Cluster::start(home).await?),
    };
    match start_services(home, args, cluster.as_ref()).await {
        Ok((url, services, shutdown)) => Ok(Running { url, services, shutdown, cluster }),
        Err(error) => {
            if let Some(cluster) = cluster {
                cluster.stop().await?;
            }
            Err(error)
        }
    }
}

type Services = (String, JoinSet<anyhow::Result<()>>, CancellationToken);

async fn start_services(home: &Home, args: &Args, cluster: Option<&Cluster>) -> anyhow::Result<Services> {
    let database_url = args.database_url.clone().or_else(|| cluster.map(|c| c.url.clone())).unwrap_or_default();
    let installation = Installation { role_prefix: args.role_prefix.clone(), password: home.secret("database-password")? };
    titan_store::provision(&database_url, &installation).await.context("the database could not be prepared")?;

    let gateway = bind(args.port, "--port").await?;
    let orchestrator = bind(0, "").await?;
    let (worker, deployment, monitoring) = (bind(0, "").await?, bind(0, "").await?, bind(0, "").await?);
    // Given back at once and bound by the service itself.
    let proxy = url(&bind(args.apps_port, "--apps-port").await?.main)?;
    let urls = [url(&gateway.main)?, url(&orchestrator.main)?, url(&deployment.main)?, url(&monitoring.main)?];
    let otlp = titan_settings::env("TITAN_OTLP_ENDPOINT");
    let common = Common {
        home,
        database_url: &database_url,
        installation: &installation,
        amqp_url: None,
        bus_prefix: "titan",
        otlp_endpoint: otlp.as_deref(),
        gateway: &urls[0],
        orchestrators: &urls[1..2],
        deployments: &urls[2..3],
        monitorings: &urls[3..4],
        proxy: &proxy,
        proxy_apart: false,
        first_app_port: 20_000,
        redis_url: None,
        templates: args.templates.as_deref(),
        runner_slots: None,
    };
    let mut launch = Launch {
        services: JoinSet::new(),
        shutdown: CancellationToken::new(),
        bus: titan_bus::connect(&titan_settings::Bus { amqp_url: None, prefix: "titan".to_owned() }),
    };
    let ready = format!("http://{}/health/ready", gateway.admin.local_addr()?);
    let working = format!("http://{}/health/ready", worker.admin.local_addr()?);
    launch.service(&common, "orchestrator", orchestrator, titan_orchestrator::run)?;
    launch.service(&common, "monitoring", monitoring, titan_monitoring::run)?;
    launch.service(&common, "deployment", deployment, titan_deployment::run)?;
    launch.service(&common, "gateway", gateway, titan_gateway::run)?;
    launch.service(&common, "agent-worker", worker, titan_agent_worker::run)?;
    let Launch { mut services, shutdown, .. } = launch;
    let waiting = async {
        wait_until_ready(&ready).await?;
        wait_until_ready(&working).await
    };
    tokio::select! {
        ready = waiting => ready?,
        ended = services.join_next() => {
            ended.transpose()?.transpose()?;
            anyhow::bail!("a service ended while starting");
        }
    }
    Ok((urls[0].clone(), services, shutdown))
}

impl Running {
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.services.join_next().await {
            ended??;
        }
        match &self.cluster {
            Some(cluster) => cluster.stop().await,
            None => Ok(()),
        }
    }

    /// Until no process below the home directory's apps is left.
    pub(crate) async fn wait_for_apps_to_end(&self, home: &Home) {
        let releases = home.join("apps/releases").to_string_lossy().into_owned();
        let deadline = Instant::now() + Duration::from_secs(15);
        while Instant::now() < deadline && any_process_names(&releases) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn any_process_names(text: &str) -> bool {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = |entry: std::fs::DirEntry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(text))
    };
    processes.into_iter().any(names)
}

struct Launch {
    services: JoinSet<anyhow::Result<()>>,
    shutdown: CancellationToken,
    bus: Bus,
}

impl Launch {
    fn service<S, F>(
        &mut self,
        common: &Common<'_>,
        service: &'static str,
        listeners: Listeners,
        run: impl FnOnce(S, Listeners, Bus, CancellationToken) -> F + Send + 'static,
    ) -> anyhow::Result<()>
    where
        S: ServiceSettings,
        F: Future<Output = anyhow::Result<()>>,
    {
        let (address, admin) = (listeners.main.local_addr()?.to_string(), listeners.admin.local_addr()?.to_string());
        let text = settings(common, &Replica { service, name: "dev", address: &address, admin: &admin })?;
        let (settings, bus, shutdown) = (titan_settings::load_text(&text)?, self.bus.clone(), self.shutdown.clone());
        let runtime = tokio::runtime::Handle::current();
        // A thread each, as in processes of their own: the compiler cannot show that `run` is Send.
        self.services.spawn_blocking(move || runtime.block_on(run(settings, listeners, bus, shutdown)).with_context(|| service.to_owned()));
        Ok(())
    }
}

async fn bind(port: u16, flag: &str) -> anyhow::Result<Listeners> {
    let listen = async |port: u16| TcpListener::bind(("127.0.0.1", port)).await;
    let main = listen(port).await.with_context(|| format!("port {port} is taken; choose another one with {flag}"))?;
    Ok(Listeners { main, admin: listen(0).await? })
}

fn url(listener: &TcpListener) -> anyhow::Result<String> {
    Ok(format!("http://{}", listener.local_addr()?))
}

pub(super) async fn wait_until_ready(url: &str) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().build()?;
    let waiting = async {
        loop {
            if http.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.with_context(|| format!("{url} was not ready within 60 s"))
}
