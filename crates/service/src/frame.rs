use std::time::Duration;

use sea_orm::DatabaseConnection;
use sqlx::migrate::Migrator;
use titan_bus::Bus;
use titan_identity::Signer;
use titan_lifecycle::{Health, Tasks, serve_admin};
use titan_store::Outbox;
use titan_store::outbox::OutboxMetrics;
use titan_telemetry::Metrics;
use titan_telemetry::prometheus::{IntGaugeVec, Opts};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::FrameSettings;

/// Kubernetes' grace period is longer than both together.
const DRAIN: Duration = Duration::from_secs(15);
const FLUSH: Duration = Duration::from_secs(5);

/// What every service stands on.
pub struct Frame {
    pub db: DatabaseConnection,
    pub bus: Bus,
    pub outbox: Outbox,
    pub signer: Signer,
    pub health: Health,
    pub metrics: Metrics,
    /// Work and loops that end at shutdown.
    pub tasks: Tasks,
    /// Outlives `tasks`: the relay publishes what the last of them committed, health answers to the end.
    support: Tasks,
}

impl Frame {
    /// Answers health at once, then waits for the database and brings its schema up to date.
    ///
    /// # Errors
    /// A migration failed, or shutdown came first.
    pub async fn start(
        name: &'static str,
        settings: FrameSettings<'_>,
        migrations: &Migrator,
        bus: Bus,
        admin: TcpListener,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let (health, metrics) = (Health::default(), Metrics::default());
        let build = Opts::new("titan_build_info", "The version that runs; always 1.");
        metrics.register(IntGaugeVec::new(build, &["service", "version"])?)?.with_label_values(&[name, env!("CARGO_PKG_VERSION")]).set(1);
        let (tasks, support) = (Tasks::new(shutdown.clone()), Tasks::new(CancellationToken::new()));
        let serving = health.check("serving");
        let (answers, router, stop) = (health.clone(), metrics.router(), support.shutdown().clone());
        support.spawn("admin", async move {
            if let Err(error) = serve_admin(admin, answers, router, stop).await {
                tracing::error!(%error, "the admin listener failed");
            }
        });

        tokio::select! {
            migrated = titan_store::migrate(settings.database, migrations) => migrated?,
            () = shutdown.cancelled() => anyhow::bail!("stopped before the database was there"),
        }
        let db = titan_store::connect(settings.database, name).await?;
        let outbox = Outbox::new(db.clone(), bus.clone(), OutboxMetrics::register(&metrics)?);
        support.spawn("outbox relay", outbox.clone().relay(health.check("database"), support.shutdown().clone()));

        let signer = Signer::new(name, settings.identity.signing_key.reveal());
        serving.set(true);
        tasks.spawn("not ready at shutdown", async move {
            shutdown.cancelled().await;
            serving.set(false);
        });
        Ok(Self { db, bus, outbox, signer, health, metrics, tasks, support })
    }

    /// After shutdown was asked for: waits for the work, flushes the outbox, closes the pool.
    pub async fn stop(self) {
        if !self.tasks.drain(DRAIN).await {
            tracing::warn!("work was still running at the drain deadline; another replica will take it over");
        }
        self.support.shutdown().cancel();
        self.outbox.wake();
        if !self.support.drain(FLUSH).await {
            tracing::warn!("the outbox could not be flushed in time; its events stay for the next start");
        }
        if let Err(error) = self.db.close().await {
            tracing::warn!(%error, "the pool did not close");
        }
    }
}
