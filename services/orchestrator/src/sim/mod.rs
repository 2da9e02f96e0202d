//! The engine under a virtual clock: `world` plays clients, workers, replicas and a bad network by a seed, on the rules of
//! `domain/` and tables in memory (`model`); `replay` does what it did on PostgreSQL and compares. A seed that fails replays
//! exactly: `SIM_SEED=n cargo nextest run --workspace -E 'test(sim::)'`.

mod model;
mod replay;
mod world;

use world::World;

/// Seeds of one run; `make simulate` asks for a million.
const SEEDS: u64 = 3_000;
/// Worlds in which something was wrong once.
const FOUND: [u64; 1] = [77_640];

fn number(name: &str) -> Option<u64> {
    titan_settings::env(name).and_then(|value| value.parse().ok())
}

#[test]
fn whatever_breaks_nothing_is_lost_or_done_twice() {
    let seeds: Vec<u64> = match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("SIM_SEEDS").unwrap_or(SEEDS)).chain(FOUND).collect(),
    };
    let (mut ops, mut done) = (0, 0);
    for seed in seeds.iter().copied() {
        let run = || {
            let mut world = World::new(seed, number("SIM_SEED").is_some());
            world.run();
            (world.ops.len(), world.model.done())
        };
        let Ok(counts) = std::panic::catch_unwind(run) else { panic!("seed {seed} failed; SIM_SEED={seed} plays it again") };
        (ops, done) = (ops + counts.0, done + counts.1);
    }
    assert!(done > 0 || seeds.len() == 1, "the worlds do something");
    eprintln!("{} seeds, {ops} transactions, {done} tasks done", seeds.len());
}
