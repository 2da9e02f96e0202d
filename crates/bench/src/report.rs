use serde_json::json;

use crate::load::{Latency, Throughput};
use crate::peers::{self, Keeps, Peer};
use crate::scale::{Agents, Backlog};
use crate::storage::{HELD, History, Snapshot, Stretch};

/// Each is none when it was not measured.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) singles: Option<Throughput>,
    pub(crate) bulk: Option<Throughput>,
    pub(crate) latency: Option<Latency>,
    pub(crate) graph_s: Option<f64>,
    pub(crate) agents: Option<Agents>,
    pub(crate) backlog: Option<Backlog>,
    pub(crate) snapshot: Option<Snapshot>,
    pub(crate) history: Option<History>,
}

pub(crate) struct Report {
    pub(crate) versions: String,
    pub(crate) clients: usize,
    pub(crate) seconds: u64,
    pub(crate) figures: Figures,
    /// Task lifecycles a second that PostgreSQL does without us.
    pub(crate) limit: f64,
    pub(crate) memory: Vec<(String, u64)>,
    /// By load: the share of the processors' time that the host gave to others meanwhile.
    pub(crate) stolen: Vec<(String, f64)>,
    /// Empty when they were not measured.
    pub(crate) peers: Vec<Peer>,
}

impl Report {
    /// Markdown.
    pub(crate) fn table(&self) -> String {
        let Figures { singles, bulk, latency, graph_s, agents, backlog, snapshot, history } = &self.figures;
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("an unknown processor");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut lines = vec![
            format!("{cores} cores of {model}; {}; everything on this machine, {} s a load", self.versions, self.seconds),
            String::new(),
            "| load | figure |".to_owned(),
            "|---|---|".to_owned(),
        ];
        let row = |name: &str, figure: String| format!("| {name} | {figure} |");
        let loads = [
            (format!("single tasks with keys, {} clients", self.clients), singles),
            ("bulk, 100 tasks a submission, 32 clients".to_owned(), bulk),
        ];
        lines.extend(loads.iter().filter_map(|(name, of)| Some(throughput(name, of.as_ref()?))).flatten());
        lines.extend(latency.map(|Latency { p50_ms, p99_ms, p999_ms }| {
            row(
                "start latency, open loop at 1,000 tasks/s, submitted on one replica for a worker of the other",
                format!("p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, p99.9 {p999_ms:.1} ms"),
            )
        }));
        lines.extend(graph_s.map(|seconds| row("graph of 5 layers × 100 tasks, 800 edges", format!("{seconds:.2} s"))));
        lines.extend(agents.map(|of| {
            let Agents { connected, memory_mib: (without, with), orchestrators_cpu, postgres_cpu, transactions_per_s } = of;
            let (cpu, postgres) = (orchestrators_cpu * 100.0, postgres_cpu * 100.0);
            row(
                &format!("{connected} agents connected, idle"),
                format!(
                    "both orchestrators {without} → {with} MiB and {cpu:.1} % of a core, PostgreSQL for them {postgres:.1} %; all services together {transactions_per_s:.1} transactions/s"
                ),
            )
        }));
        lines.extend(backlog.map(|Backlog { small, large }| {
            row(
                "a claim with 1,000 tasks queued, and with 1,000,000; 90 % held by 100 keys",
                format!(
                    "p50 {:.1} and {:.1} ms, p99 {:.1} and {:.1} ms ({:.0} and {:.0} claims)",
                    small.p50_ms, large.p50_ms, small.p99_ms, large.p99_ms, small.count, large.count
                ),
            )
        }));
        if let Some(of) = snapshot {
            let stretches = of.without.iter().zip(&of.with).enumerate();
            lines.extend(stretches.map(|(number, (without, with))| {
                let held = if HELD.contains(&number) { "while a snapshot is held" } else { "no snapshot held" };
                let figure = |(load, claims): &Stretch| {
                    format!("{:.0} tasks/s, claims p50 {:.1} and p99 {:.1} ms", load.tasks_per_s, claims.p50_ms, claims.p99_ms)
                };
                row(
                    &format!("single tasks, stretch {} of a run without a snapshot; {held}", number + 1),
                    format!("{}; {}", figure(without), figure(with)),
                )
            }));
        }
        lines.extend(history.map(|History { finished, without, with }| {
            let figure = format!(
                "claim p50 {:.2} → {:.2} ms, list of 50 {:.2} → {:.2} ms (medians of five runs in turns)",
                without.claim_ms, with.claim_ms, without.list_ms, with.list_ms
            );
            row(&format!("without and with {finished} finished tasks"), figure)
        }));
        lines.push(row("PostgreSQL alone: task lifecycles batched by 200", format!("{:.0}/s", self.limit)));
        lines.extend(self.ratio_limit().map(|ratio| row("ratio to it, single tasks", format!("{ratio:.2}"))));
        for Peer { name, keeps: _, version, figures } in &self.peers {
            let peers::Figures { submitted, done, tasks_per_s } = figures;
            let ratio = singles.map_or(0.0, |singles| singles.tasks_per_s / tasks_per_s);
            let lost = submitted.saturating_sub(*done);
            lines.push(row(
                &format!("{name} ({version}), single submissions"),
                format!("{tasks_per_s:.0} tasks/s ({done} tasks; lost {lost}); ours is {ratio:.1} times that"),
            ));
        }
        let memory: Vec<_> = self.memory.iter().map(|(name, mib)| format!("{name} {mib}")).collect();
        lines.push(row("resident memory after the loads, MiB", memory.join(", ")));
        let stolen: Vec<_> = self.stolen.iter().map(|(load, share)| format!("{load} {:.0} %", share * 100.0)).collect();
        lines.push(row("taken by the host of both processors' time", stolen.join(", ")));
        lines.join("\n") + "\n"
    }

    pub(crate) fn json(&self) -> String {
        let Figures { singles, bulk, latency, graph_s, agents, backlog, snapshot, .. } = &self.figures;
        let throughput = |of: &Option<Throughput>| of.as_ref().map(|of| of.tasks_per_s.round());
        let measured: Vec<&Throughput> = [singles, bulk]
            .into_iter()
            .flatten()
            .chain(snapshot.iter().flat_map(|of| of.without.iter().chain(&of.with).map(|(of, _)| of)))
            .collect();
        let all = |of: fn(&Throughput) -> i64| (!measured.is_empty()).then(|| measured.iter().copied().map(of).sum::<i64>());
        json!({
            "tasks_per_s": throughput(singles), "bulk_tasks_per_s": throughput(bulk),
            "start_p50_ms": latency.map(|of| of.p50_ms), "start_p99_ms": latency.map(|of| of.p99_ms), "graph_s": graph_s,
            "lost": all(|of| of.lost), "duplicated": all(|of| of.duplicated),
            "ratio_limit": self.ratio_limit(),
            "idle_cpu": agents.map(|of| of.orchestrators_cpu), "idle_transactions_per_s": agents.map(|of| of.transactions_per_s),
            "backlog_p99_ratio": backlog.map(|of| of.large.p99_ms / of.small.p99_ms),
            "ratio_celery": self.ratio(Keeps::BrokerAndPostgres), "ratio_best_postgres_peer": self.ratio(Keeps::Postgres),
        })
        .to_string()
    }

    fn ratio_limit(&self) -> Option<f64> {
        Some(self.figures.singles?.tasks_per_s / self.limit)
    }

    /// Single tasks, to the best peer that keeps its tasks so; none when it was not measured.
    fn ratio(&self, keeps: Keeps) -> Option<f64> {
        let best = self.peers.iter().filter(|peer| peer.keeps == keeps).map(|peer| peer.figures.tasks_per_s).reduce(f64::max)?;
        Some(self.figures.singles?.tasks_per_s / best)
    }
}

fn throughput(name: &str, of: &Throughput) -> [String; 2] {
    let Throughput { tasks, tasks_per_s, events_behind_s, lost, duplicated, wal_bytes, transactions } = of;
    [
        format!(
            "| {name} | {tasks_per_s:.0} tasks/s ({tasks} tasks; events delivered {events_behind_s:.1} s later; lost {lost}, duplicated {duplicated}) |"
        ),
        format!("| … a task | {:.1} KiB of WAL, {transactions:.3} transactions |", wal_bytes / 1024.0),
    ]
}
