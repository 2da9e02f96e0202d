//! `titan`: gives goals and shows what becomes of them; `titan dev` is all five services in one process.
#![allow(clippy::print_stdout)] // it is what a command line is for

mod client;
mod commands;
mod home;
mod stack;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use titan_settings::{LogFormat, Telemetry};

use client::{Client, ClientError};
use home::Home;

/// Give TitanForge a goal in one sentence; its agents plan, write, test and deploy it.
///
/// Exit codes: 0 it worked, 1 it did not, 2 the command line is wrong, 3 the gateway cannot be reached or
/// does not accept the API key.
#[derive(Parser)]
#[command(name = "titan", version, max_term_width = 100)]
struct Cli {
    /// Where the gateway is.
    #[arg(long, global = true, env = "TITAN_URL", default_value = "http://127.0.0.1:7070")]
    url: String,
    /// Directory of the local installation; holds the API key of the first start.
    #[arg(long, global = true, env = "TITAN_HOME")]
    home: Option<std::path::PathBuf>,
    /// Print JSON for programs instead of tables for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Give a goal: `titan goal "Build a REST API for todos with a title and a due date" --watch`; plan, pause or resume one.
    Goal(commands::goal::Args),
    /// List goals.
    Goals(commands::lists::Args),
    /// List projects.
    Projects(commands::lists::Args),
    /// Make a project.
    #[command(subcommand)]
    Project(commands::project::Verb),
    /// Change a project by a sentence: `titan modify todos "Add a priority from 1 to 5"`; what that touches is shown before.
    Modify(commands::modify::Args),
    /// List what a project was, version by version.
    History(commands::modify::ProjectArgs),
    /// Show what changed from one version of a project to another.
    Diff(commands::modify::DiffArgs),
    /// Take a project back to an earlier version, with its data.
    Rollback(commands::modify::RollbackArgs),
    /// Deploy a version of a project to an environment.
    Deploy(commands::environment::DeployArgs),
    /// Let a deployment that waits for approval begin.
    Approve(commands::environment::DecideArgs),
    /// Refuse a deployment that waits for approval.
    Reject(commands::environment::DecideArgs),
    /// Deploy to one environment what another one runs.
    Promote(commands::environment::PromoteArgs),
    /// Show or change what the apps of an environment find in theirs; the next deployment has it.
    Env(commands::environment::VariablesArgs),
    /// List what is kept of an environment's data: a backup before each deployment.
    Backups(commands::backups::Of),
    /// Bring an environment's data back from a backup; what it is until then becomes one, too.
    Restore(commands::backups::RestoreArgs),
    /// Show how far a goal or a deployment is, or end it.
    Operation(commands::modify::OperationArgs),
    /// List tasks.
    Tasks(commands::lists::TaskArgs),
    /// List agents and what they are doing.
    Agents(commands::lists::Args),
    /// How what runs does: health, requests, errors and latency of the last five minutes, processor and memory.
    Status(commands::status::StatusArgs),
    /// The same, live, those that use the most processor time first.
    Top(commands::status::TopArgs),
    /// What a project's running apps cost in the last 24 hours, and would in a month, by the prices of the monitoring service.
    Costs(commands::status::CostsArgs),
    /// List deployments with their health.
    Deployments(commands::lists::Args),
    /// Submit tasks, one by its options or many from a JSON file.
    Submit(Box<commands::submit::Args>),
    /// Show one task: history, evidence, why this agent.
    Task(commands::task::Args),
    /// End a task that has not ended, and everything that cannot happen without it.
    Cancel(commands::task::ActArgs),
    /// Give a task that failed or was cancelled another life; its goal goes on.
    Retry(commands::task::ActArgs),
    /// Change a task that has not ended: title, priority, labels, due date, deadline.
    Edit(commands::task::EditArgs),
    /// Remove a task that has ended.
    Delete(commands::task::WhyArgs),
    /// Give a task that has not ended to another agent.
    HandOff(commands::task::HandOffArgs),
    /// Say why a task is where it is, and why its agent was chosen.
    Why(commands::task::WhyArgs),
    /// Print a task's whole story, as JSON Lines.
    Audit(commands::task::WhyArgs),
    /// Do the same to every task that a filter names.
    #[command(subcommand)]
    Bulk(commands::bulk::Verb),
    /// List the tasks that failed for good, try them again at a rate, or discard them.
    DeadLetters(commands::bulk::DeadArgs),
    /// Drain an agent, quarantine it, or give it work again.
    #[command(subcommand)]
    Agent(commands::agent::Verb),
    /// Be an agent: ask for tasks and run a command for each.
    Work(Box<commands::work::Args>),
    /// Write to agents' mailboxes, and read them.
    #[command(subcommand)]
    Message(commands::message::Verb),
    /// Make a goal or a task again and again.
    #[command(subcommand)]
    Schedule(commands::schedule::Verb),
    /// What projects are built from: list, add, get, delete templates.
    #[command(subcommand)]
    Template(commands::template::Verb),
    /// Show what a deployed app printed.
    Logs(commands::logs::Args),
    /// Stop a deployed app.
    Stop(commands::logs::StopArgs),
    /// Check this machine and the installation; names the fix for each problem.
    Doctor,
    /// Run all five services in this process on a private PostgreSQL, until Ctrl-C.
    Dev(stack::dev::Args),
    /// Run the five services as separate processes on PostgreSQL, RabbitMQ and Redis, until Ctrl-C.
    Up(stack::up::Args),
    /// Make the roles and schemas in a database, for services started by compose or Kubernetes.
    Provision(stack::up::ProvisionArgs),
    /// Start everything, build an app from one sentence, call it, stop everything.
    Demo(commands::demo::Args),
    /// Answer git's question for a password: `git clone -c credential.helper='!titan git-credential' URL`
    GitCredential(commands::git_credential::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One TLS provider for the process; only a second call can fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let result = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(anyhow::Error::from);
    match result.and_then(|runtime| runtime.block_on(run(cli))) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("titan: {error:#}");
            if error.chain().any(|e| e.downcast_ref::<ClientError>().is_some_and(ClientError::is_unreachable)) {
                ExitCode::from(3)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let home = Home::new(cli.home);
    let server = matches!(cli.command, Command::Dev(_) | Command::Up(_) | Command::Demo(_));
    let log = titan_settings::env("TITAN_LOG").unwrap_or_else(|| if server { "warn".to_owned() } else { "error".to_owned() });
    let settings = Telemetry { log, log_format: LogFormat::Text, otlp_endpoint: titan_settings::env("TITAN_OTLP_ENDPOINT") };
    let telemetry = titan_telemetry::init("titan", &settings)?;
    let client = || Client::new(&cli.url, &home);
    let result = match cli.command {
        Command::Goal(args) => commands::goal::run(&client()?, args, cli.json).await,
        Command::Goals(args) => commands::lists::goals(&client()?, args, cli.json).await,
        Command::Projects(args) => commands::lists::projects(&client()?, args, cli.json).await,
        Command::Project(verb) => commands::project::run(&client()?, verb, cli.json).await,
        Command::Modify(args) => commands::modify::run(&client()?, args, cli.json).await,
        Command::History(args) => commands::modify::history(&client()?, args, cli.json).await,
        Command::Diff(args) => commands::modify::diff(&client()?, args).await,
        Command::Rollback(args) => commands::modify::rollback(&client()?, args, cli.json).await,
        Command::Deploy(args) => commands::environment::deploy(&client()?, args, cli.json).await,
        Command::Promote(args) => commands::environment::promote(&client()?, args, cli.json).await,
        Command::Env(args) => commands::environment::variables(&client()?, args, cli.json).await,
        Command::Backups(args) => commands::backups::list(&client()?, args, cli.json).await,
        Command::Restore(args) => commands::backups::restore(&client()?, args, cli.json).await,
        Command::Operation(args) => commands::modify::operation(&client()?, args, cli.json).await,
        Command::Tasks(args) => commands::lists::tasks(&client()?, args, cli.json).await,
        Command::Agents(args) => commands::lists::agents(&client()?, args, cli.json).await,
        Command::Approve(args) => commands::environment::decide(&client()?, "approve", args, cli.json).await,
        Command::Reject(args) => commands::environment::decide(&client()?, "reject", args, cli.json).await,
        Command::Costs(args) => commands::status::costs(&client()?, args, cli.json).await,
        Command::Status(args) => commands::status::run(&client()?, args, cli.json).await,
        Command::Top(args) => commands::status::top(&client()?, args, cli.json).await,
        Command::Deployments(args) => commands::lists::deployments(&client()?, args, cli.json).await,
        Command::Task(args) => commands::task::run(&client()?, args, cli.json).await,
        Command::Cancel(args) => commands::task::act(&client()?, "cancel", args, cli.json).await,
        Command::Retry(args) => commands::task::act(&client()?, "retry", args, cli.json).await,
        Command::Submit(args) => commands::submit::run(&client()?, *args, cli.json).await,
        Command::Edit(args) => commands::task::edit(&client()?, args, cli.json).await,
        Command::Delete(args) => commands::task::delete(&client()?, args, cli.json).await,
        Command::HandOff(args) => commands::task::hand_off(&client()?, args, cli.json).await,
        Command::Why(args) => commands::task::why(&client()?, args, cli.json).await,
        Command::Audit(args) => commands::task::audit(&client()?, args).await,
        Command::Bulk(verb) => commands::bulk::run(&client()?, verb, cli.json).await,
        Command::DeadLetters(args) => commands::bulk::dead_letters(&client()?, args, cli.json).await,
        Command::Agent(verb) => commands::agent::run(&client()?, verb, cli.json).await,
        Command::Work(args) => commands::work::run(&client()?, *args).await,
        Command::Message(verb) => commands::message::run(&client()?, verb, cli.json).await,
        Command::Template(verb) => commands::template::run(&client()?, verb, cli.json).await,
        Command::Schedule(verb) => commands::schedule::run(&client()?, verb, cli.json).await,
        Command::Logs(args) => commands::logs::run(&client()?, args, cli.json).await,
        Command::Stop(args) => commands::logs::stop(&client()?, args, cli.json).await,
        Command::Doctor => commands::doctor::run(&cli.url, &home, cli.json).await,
        Command::Dev(args) => stack::dev::run(&home, args).await,
        Command::Up(args) => stack::up::run(&home, args).await,
        Command::Provision(args) => stack::up::provision(args).await,
        Command::Demo(args) => commands::demo::run(args).await,
        Command::GitCredential(args) => commands::git_credential::run(&home, args),
    };
    telemetry.shutdown().await;
    result
}
