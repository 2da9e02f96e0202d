use std::process::ExitCode;

use clap::Parser as _;
use sqlx::migrate::Migrator;
use titan_bus::Bus;
use titan_settings::{ServiceArgs, ServiceCommand};
use tokio_util::sync::CancellationToken;

use crate::{Listeners, ServiceSettings};

/// The whole of a service's `main`: arguments, settings, telemetry, `run`, exit code.
pub fn service_main<S, F>(
    name: &'static str,
    migrations: &'static Migrator,
    run: impl FnOnce(S, Listeners, Bus, CancellationToken) -> F,
) -> ExitCode
where
    S: ServiceSettings,
    F: Future<Output = anyhow::Result<()>>,
{
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from);
    match result.and_then(|runtime| runtime.block_on(start(name, migrations, run))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("titan-{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start<S, F>(
    name: &'static str,
    migrations: &'static Migrator,
    run: impl FnOnce(S, Listeners, Bus, CancellationToken) -> F,
) -> anyhow::Result<()>
where
    S: ServiceSettings,
    F: Future<Output = anyhow::Result<()>>,
{
    let args = ServiceArgs::parse();
    // One TLS provider for the process; only a second call can fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings: S = titan_settings::load(args.config.as_deref())?;
    let frame = settings.frame();
    match args.command {
        Some(ServiceCommand::Config) => {
            use std::io::Write as _;
            return Ok(write!(std::io::stdout(), "{}", titan_settings::show(&settings)?)?);
        }
        Some(ServiceCommand::Migrate) => return Ok(titan_store::migrate(frame.database, migrations).await?),
        None => {}
    }
    let telemetry = titan_telemetry::init(name, frame.telemetry)?;
    let shutdown = titan_lifecycle::shutdown_on_signal()?;
    let listeners = Listeners::bind(frame.listen).await?;
    anyhow::ensure!(
        frame.bus.amqp_url.is_some(),
        "bus.amqp_url: services in separate processes need RabbitMQ (`titan dev` runs all of them in one process without it)"
    );
    let bus = titan_bus::connect(frame.bus);
    tracing::info!(address = %listeners.main.local_addr()?, admin = %listeners.admin.local_addr()?, "{name} starts");
    let result = run(settings, listeners, bus, shutdown).await;
    telemetry.shutdown().await;
    result
}
