use serde_json::json;

use crate::load::{Figures, Throughput};
use crate::peers::{self, Keeps, Peer};

pub(crate) struct Report {
    pub(crate) versions: String,
    pub(crate) clients: usize,
    pub(crate) seconds: u64,
    pub(crate) figures: Figures,
    /// Task lifecycles a second that PostgreSQL does without us.
    pub(crate) limit: f64,
    pub(crate) memory: Vec<(String, u64)>,
    /// Empty when they were not measured.
    pub(crate) peers: Vec<Peer>,
}

impl Report {
    /// Markdown.
    pub(crate) fn table(&self) -> String {
        let Figures { singles, bulk, latency, graph_s } = &self.figures;
        let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu.lines().find_map(|l| l.strip_prefix("model name")?.split(": ").nth(1)).unwrap_or("an unknown processor");
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut lines = vec![
            format!("{cores} cores of {model}; {}; everything on this machine, {} s a load", self.versions, self.seconds),
            String::new(),
            "| load | figure |".to_owned(),
            "|---|---|".to_owned(),
        ];
        lines.extend(throughput(&format!("single tasks with keys, {} clients", self.clients), singles));
        lines.extend(throughput("bulk, 100 tasks a submission, 32 clients", bulk));
        let row = |name: &str, figure: String| format!("| {name} | {figure} |");
        lines.push(row(
            "start latency, open loop at 1,000 tasks/s",
            format!("p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms", latency.p50_ms, latency.p99_ms, latency.p999_ms),
        ));
        lines.push(row("graph of 5 layers × 100 tasks, 800 edges", format!("{graph_s:.2} s")));
        lines.push(row("PostgreSQL alone: task lifecycles batched by 200", format!("{:.0}/s", self.limit)));
        lines.push(row("ratio to it, single tasks", format!("{:.2}", singles.tasks_per_s / self.limit)));
        for Peer { name, keeps: _, version, figures } in &self.peers {
            let peers::Figures { submitted, done, tasks_per_s } = figures;
            let ratio = singles.tasks_per_s / tasks_per_s;
            let lost = submitted.saturating_sub(*done);
            lines.push(row(
                &format!("{name} ({version}), single submissions"),
                format!("{tasks_per_s:.0} tasks/s ({done} tasks; lost {lost}); ours is {ratio:.1} times that"),
            ));
        }
        let memory: Vec<_> = self.memory.iter().map(|(name, mib)| format!("{name} {mib}")).collect();
        lines.push(row("resident memory after the loads, MiB", memory.join(", ")));
        lines.join("\n") + "\n"
    }

    pub(crate) fn json(&self) -> String {
        let Figures { singles, bulk, latency, graph_s } = &self.figures;
        json!({
            "tasks_per_s": singles.tasks_per_s.round(), "bulk_tasks_per_s": bulk.tasks_per_s.round(),
            "start_p50_ms": latency.p50_ms, "start_p99_ms": latency.p99_ms, "graph_s": graph_s,
            "lost": singles.lost + bulk.lost, "duplicated": singles.duplicated + bulk.duplicated,
            "ratio_limit": singles.tasks_per_s / self.limit,
            "ratio_celery": self.ratio(Keeps::BrokerAndPostgres), "ratio_best_postgres_peer": self.ratio(Keeps::Postgres),
        })
        .to_string()
    }

    /// Single tasks, to the best peer that keeps its tasks so; none when it was not measured.
    fn ratio(&self, keeps: Keeps) -> Option<f64> {
        let best = self.peers.iter().filter(|peer| peer.keeps == keeps).map(|peer| peer.figures.tasks_per_s).reduce(f64::max)?;
        Some(self.figures.singles.tasks_per_s / best)
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
