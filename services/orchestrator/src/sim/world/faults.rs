//! What breaks.

use super::{Event, FAULTS_UNTIL, REPLICAS, Replica, WORKERS, World};

impl World {
    pub(super) fn fault(&mut self) {
        if self.now >= FAULTS_UNTIL {
            return;
        }
        let pause = self.rng.u64(200..8_000);
        self.after(pause, Event::Fault);
        let worker = self.rng.usize(..WORKERS);
        let replica = self.rng.usize(..REPLICAS);
        match self.rng.u8(..6) {
            // Killed.
            0 => {
                self.workers[worker].down = true;
                if let Some(stream) = self.workers[worker].stream {
                    let notices = self.rng.u64(1..2_000);
                    self.after(notices, Event::Closed { stream });
                }
                let back = self.rng.u64(500..15_000);
                self.after(back, Event::Restart(worker));
            }
            // Standing still, past its lease now and then.
            1 => {
                let still = self.rng.u64(500..20_000);
                self.workers[worker].stopped_until = self.now + still;
                self.after(still + 1, Event::Wake(worker));
            }
            // The stream breaks, and both know.
            2 => {
                if let Some(stream) = self.workers[worker].stream {
                    self.cut(stream);
                }
            }
            // Half open: one end knows, the other not before long.
            3 => {
                if let Some(stream) = self.workers[worker].stream {
                    self.streams[stream].worker_end = false;
                    self.workers[worker].stream = None;
                    self.after(100, Event::Connect(worker));
                    let notices = self.rng.u64(1_000..20_000);
                    self.after(notices, Event::Closed { stream });
                }
            }
            4 => {
                if let Some(stream) = self.workers[worker].stream {
                    // The worker hears nothing any more, and does not know why.
                    self.closed(stream);
                    let notices = self.rng.u64(1_000..20_000);
                    self.after(notices, Event::Cut { stream });
                }
            }
            // A replica is killed: what it kept in memory is gone, its streams break.
            _ => {
                self.replicas[replica] = Replica::default();
                let streams: Vec<_> =
                    (0..self.streams.len()).filter(|s| self.streams[*s].replica == replica && self.streams[*s].replica_end).collect();
                for stream in streams {
                    self.streams[stream].replica_end = false;
                    self.cut(stream);
                }
            }
        }
    }
}
