//! `titan-bench`: measures the task engine as its users meet it — the release programs of `titan up`, gRPC, real
//! PostgreSQL, RabbitMQ and Redis — and prints one table and one line of JSON.
#![allow(clippy::print_stdout)] // it is what a benchmark is for

mod claims;
mod database;
mod installation;
mod limit;
mod load;
mod main_job;
mod peers;
mod report;
mod scale;
mod storage;
mod workers;

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use database::Database;
use installation::Installation;
use load::Client;
use report::{Figures, Report};

/// Measures the task engine: submit, claim, run and commit of tasks that do nothing.
#[derive(Parser)]
#[command(name = "titan-bench", version, max_term_width = 100)]
struct Args {
    /// How long each load lasts.
    #[arg(long, env = "BENCH_SECONDS", default_value_t = 60)]
    seconds: u64,
    /// A superuser's URL; the benchmark makes a database of its own and drops it.
    #[arg(long, env = "TITAN_DATABASE_URL", default_value = "postgres://postgres:postgres@127.0.0.1:5432/postgres")]
    database_url: String,
    /// Clients that submit one task at a time, each waiting for its answer.
    #[arg(long, default_value_t = 256)]
    clients: usize,
    /// Measure the peers too.
    #[arg(long, env = "BENCH_PEERS", default_value_t = 1)]
    peers: u8,
    /// The broker of the peers that need one.
    #[arg(long, env = "TITAN_AMQP_URL", default_value = "amqp://guest:guest@127.0.0.1:5672//")]
    amqp_url: String,
    /// Only these loads.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Load>,
    /// Instead: from a sentence to a living app.
    #[arg(long)]
    main_job: bool,
    /// Of the main job: deployments, modifications and ways back under load.
    #[arg(long, env = "BENCH_CHANGES", default_value_t = 30)]
    changes: usize,
    /// Of the main job: what the test of the sentences wrote.
    #[arg(long, default_value = "target/tmp/evaluation.json")]
    evaluation: std::path::PathBuf,
    /// Also write the table into this page, between its marks.
    #[arg(long)]
    page: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Load {
    Singles,
    Bulk,
    Latency,
    Graph,
    Agents,
    Backlog,
    /// Only when named: it takes fourteen times as long as the others.
    Snapshot,
    /// Only when named: it stores ten million tasks.
    History,
}

impl Load {
    fn is_usual(self) -> bool {
        !matches!(self, Self::Snapshot | Self::History)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // One TLS provider for the process; only a second call can fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if args.main_job {
        let database = Database::create(&args.database_url).await?;
        let result = main_job::measure(&database, args.changes, &args.evaluation).await;
        database.drop_it().await?;
        let measured = result?;
        println!("{}\n{}", measured.table(), measured.json());
        args.page.map_or(Ok(()), |page| write_into(&page, &measured.table()))?;
        return measured.check();
    }
    if args.peers > 0 {
        peers::install()?;
    }
    let database = Database::create(&args.database_url).await?;
    let result = measure(&args, &database).await;
    database.drop_it().await?;
    let mut report = result?;
    if args.peers > 0 {
        report.peers = peers::measure(&args.database_url, &args.amqp_url, (args.seconds / 2).max(5)).await?;
    }
    let table = report.table();
    println!("{table}\n{}", report.json());
    args.page.map_or(Ok(()), |page| write_into(&page, &table))
}

/// Between its marks.
fn write_into(page: &std::path::Path, table: &str) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(page)?;
    let marked = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = marked.context("the page has no marks")?;
    Ok(std::fs::write(page, format!("{before}{BEGIN}\n{table}{END}{after}"))?)
}

const BEGIN: &str = "<!-- titan-bench writes from here -->";
const END: &str = "<!-- to here -->";

async fn measure(args: &Args, database: &Database) -> anyhow::Result<Report> {
    let wanted = |load: Load| if args.only.is_empty() { load.is_usual() } else { args.only.contains(&load) };
    let stolen = RefCell::new(vec![("start".to_owned(), installation::stolen()?)]);
    let begin = async |what: &str| {
        eprintln!("{what} …");
        database.comes_to_rest().await?;
        stolen.borrow_mut().push((what.to_owned(), installation::stolen()?));
        anyhow::Ok(())
    };
    let mut figures = Figures::default();
    // Before there is anything else that the server cleans up.
    if wanted(Load::History) {
        begin("ten million finished tasks").await?;
        figures.history = Some(storage::history(&args.database_url).await?);
    }
    if wanted(Load::Snapshot) {
        begin("a snapshot that is held").await?;
        figures.snapshot = Some(storage::snapshot(&args.database_url, args.clients, Duration::from_secs(args.seconds)).await?);
    }
    let installation = Installation::start(&database.url).await?;
    let client = Client::new(&installation)?;
    let lasting = Duration::from_secs(args.seconds);
    client.project().await?;
    // Caches, plans and connections.
    load::singles(&client, database, 64, Duration::from_secs(3)).await?;
    if wanted(Load::Singles) {
        begin(&format!("single tasks from {} clients for {} s", args.clients, args.seconds)).await?;
        figures.singles = Some(load::singles(&client, database, args.clients, lasting).await?);
    }
    if wanted(Load::Bulk) {
        begin("bulk").await?;
        figures.bulk = Some(load::bulk(&client, database, lasting / 4).await?);
    }
    if wanted(Load::Latency) {
        begin(&format!("start latency at {} a second", load::RATE)).await?;
        figures.latency = Some(load::open_loop(&client, lasting / 2).await?);
    }
    if wanted(Load::Graph) {
        begin("a graph of 5 × 100").await?;
        figures.graph_s = Some(load::graph(&client, database).await?);
    }
    if wanted(Load::Agents) {
        begin("agents").await?;
        figures.agents = Some(scale::agents(&client, database, &installation).await?);
    }
    if wanted(Load::Backlog) {
        begin("a backlog").await?;
        figures.backlog = Some(scale::backlog(&client, database, &installation, lasting / 2).await?);
    }
    let memory = installation.memory_mib()?;
    installation.stop().await?;
    eprintln!("{figures:?}");
    begin("what PostgreSQL alone can do").await?;
    let limit = limit::lifecycles(database, Duration::from_secs((args.seconds / 4).clamp(3, 15))).await?;
    let mut marks = stolen.into_inner();
    marks.push((String::new(), installation::stolen()?));
    // What was taken away from one mark to the next.
    let share = |pair: &[(String, (f64, f64))]| (pair[0].0.clone(), (pair[1].1.0 - pair[0].1.0) / (pair[1].1.1 - pair[0].1.1).max(1.0));
    Ok(Report {
        versions: database.versions().await?,
        clients: args.clients,
        seconds: args.seconds,
        figures,
        limit,
        memory,
        stolen: marks.windows(2).skip(1).map(share).collect(),
        peers: Vec::new(),
    })
}
