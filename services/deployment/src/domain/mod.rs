//! Pure: what to do with a deployment, from what is known of it.

pub(crate) mod rollout;

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub(crate) enum State {
    Pending,
    Starting,
    Running,
    Failed,
    Replaced,
    Stopped,
}

/// What the supervisor sees of an app.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) state: State,
    /// A process was started, and lives.
    pub(crate) alive: bool,
    /// The health path answered 200; looked at only while starting, or held.
    pub(crate) healthy: bool,
    /// Tries to start so far, in the state starting.
    pub(crate) starts: i32,
    /// The time to become healthy is over.
    pub(crate) too_late: bool,
    /// The pause before the next start is over.
    pub(crate) due: bool,
    pub(crate) held: Held,
    pub(crate) trial: Trial,
    /// Somebody has to approve it first.
    pub(crate) unapproved: bool,
    /// It serves, and has not answered for so long that it will not any more.
    pub(crate) hung: bool,
}

/// How far it is with being tried out beside the version before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// It is not to be.
    No,
    /// As soon as it is healthy.
    ToCome,
    UnderWay,
    /// It does worse.
    Worse,
    Passed,
}

/// Whether requests to what serves wait, because another deployment takes over its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    No,
    /// The other one has the data.
    Away,
    /// The other one has failed and is gone; the data is to be this one's again.
    Back,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Wait,
    /// Get the files, a port, and start the process.
    Start,
    /// Some traffic to it, or all, and the one before it stays ready.
    TryOut,
    /// Traffic to it, and the one before it ends.
    Serve,
    Fail,
    /// It serves no longer, or never will.
    Kill,
    /// It has its data again: requests go on.
    Release,
    /// Its process ends, and is started again as one that ended on its own.
    Restart,
}

/// An app that ends on its own this often before it was healthy will not become so.
const STARTS_MOST: i32 = 3;

pub(crate) fn step(seen: Seen) -> Step {
    match seen.state {
        State::Pending if seen.unapproved => Step::Wait,
        State::Pending => Step::Start,
        State::Starting if seen.alive && seen.healthy => match seen.trial {
            Trial::No | Trial::Passed => Step::Serve,
            Trial::ToCome => Step::TryOut,
            Trial::UnderWay => Step::Wait,
            Trial::Worse => Step::Fail,
        },
        // People's requests come to it.
        State::Starting if !matches!(seen.trial, Trial::No | Trial::ToCome) => Step::Fail,
        State::Starting if seen.too_late => Step::Fail,
        State::Starting if seen.alive => Step::Wait,
        State::Starting if seen.starts >= STARTS_MOST => Step::Fail,
        State::Running if seen.held == Held::Away => Step::Wait,
        State::Running if seen.held == Held::Back && seen.alive => {
            if seen.healthy {
                Step::Release
            } else {
                Step::Wait
            }
        }
        State::Running if seen.held == Held::Back => Step::Start,
        State::Running if seen.alive && seen.hung => Step::Restart,
        State::Starting | State::Running if !seen.alive && seen.due => Step::Start,
        State::Starting | State::Running => Step::Wait,
        State::Failed | State::Replaced | State::Stopped if seen.alive => Step::Kill,
        State::Failed | State::Replaced | State::Stopped => Step::Wait,
    }
}

/// The pause before an app that died is started again: doubling, at most half a minute.
pub(crate) fn pause(restarts: i32) -> Duration {
    let doublings = u32::try_from(restarts).unwrap_or(0).min(6);
    (Duration::from_millis(500) * 2_u32.pow(doublings)).min(Duration::from_secs(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTING: Seen = Seen {
        state: State::Starting,
        alive: true,
        healthy: false,
        starts: 1,
        too_late: false,
        due: true,
        held: Held::No,
        trial: Trial::No,
        unapproved: false,
        hung: false,
    };

    #[test]
    fn what_is_tried_out_serves_when_it_has_passed_and_fails_at_the_first_sign_of_trouble() {
        let healthy = Seen { healthy: true, ..STARTING };
        let steps = [Trial::ToCome, Trial::UnderWay, Trial::Worse, Trial::Passed].map(|trial| step(Seen { trial, ..healthy }));
        assert_eq!(steps, [Step::TryOut, Step::Wait, Step::Fail, Step::Serve]);
        assert_eq!(step(Seen { trial: Trial::ToCome, ..STARTING }), Step::Wait, "nobody's request has come to it yet");
        assert_eq!(step(Seen { trial: Trial::UnderWay, ..STARTING }), Step::Fail);
        assert_eq!(step(Seen { trial: Trial::UnderWay, alive: false, ..healthy }), Step::Fail);
        let asked = Seen { state: State::Pending, unapproved: true, ..STARTING };
        assert_eq!([step(asked), step(Seen { unapproved: false, ..asked })], [Step::Wait, Step::Start]);
    }

    #[test]
    fn an_app_serves_only_when_healthy() {
        assert_eq!(step(Seen { state: State::Pending, ..STARTING }), Step::Start);
        assert_eq!(step(STARTING), Step::Wait);
        assert_eq!(step(Seen { healthy: true, ..STARTING }), Step::Serve);
        assert_eq!(step(Seen { too_late: true, ..STARTING }), Step::Fail);
    }

    #[test]
    fn an_app_that_dies_while_starting_gets_three_tries() {
        let dead = Seen { alive: false, ..STARTING };
        assert_eq!(step(dead), Step::Start);
        assert_eq!(step(Seen { starts: 3, ..dead }), Step::Fail);
    }

    #[test]
    fn a_running_app_is_started_again_after_a_pause_and_a_replaced_one_ends() {
        let running = Seen { state: State::Running, ..STARTING };
        assert_eq!(step(running), Step::Wait);
        let hung = Seen { hung: true, ..running };
        assert_eq!(
            [step(hung), step(Seen { held: Held::Away, ..hung }), step(Seen { alive: false, ..hung })],
            [Step::Restart, Step::Wait, Step::Start]
        );
        assert_eq!(step(Seen { alive: false, due: false, ..running }), Step::Wait);
        assert_eq!(step(Seen { alive: false, starts: 99, ..running }), Step::Start);
        assert_eq!(step(Seen { state: State::Replaced, ..STARTING }), Step::Kill);
        assert!(pause(99) == Duration::from_secs(30));
    }

    #[test]
    fn data_is_one_deployments_at_a_time() {
        let held = Seen { state: State::Running, held: Held::Away, alive: false, ..STARTING };
        assert_eq!(step(held), Step::Wait, "another one has the data");
        let back = Seen { held: Held::Back, due: false, ..held };
        assert_eq!(step(back), Step::Start, "nobody has it: at once");
        assert_eq!(step(Seen { alive: true, ..back }), Step::Wait);
        assert_eq!(step(Seen { alive: true, healthy: true, ..back }), Step::Release);
    }
}
