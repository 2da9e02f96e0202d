//! What a commit tells those who claim: which tasks it made ready. Who knows them need not search, past everything that was
//! ready once, for what is ready now.

use titan_ids::TaskId;
use uuid::Uuid;

/// Tasks that may have become ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Each with its lane.
    pub(crate) tasks: Vec<(TaskId, i32)>,
    /// And others, which are to be searched for.
    pub(crate) others: bool,
}

/// As many as a notification of PostgreSQL holds.
const TOLD_MOST: usize = 190;
/// Of what is told: a release that tells otherwise is not understood, and then everything is searched for.
const FORMAT: &str = "2/";

impl Ready {
    /// What became ready is not known.
    pub(crate) fn unknown() -> Self {
        Self { others: true, ..Self::default() }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.tasks.is_empty() && !self.others
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.tasks.extend(other.tasks);
        self.others |= other.others;
    }

    /// For a notification. `by`: the replica whose commit it is, which knows already.
    pub(crate) fn told(&self, by: Uuid) -> String {
        let known = !self.others && self.tasks.len() <= TOLD_MOST;
        let task = |(id, lane): &(TaskId, i32)| format!("{}{lane:08x}", id.uuid().simple());
        let tasks = if known { self.tasks.iter().map(task).collect() } else { "*".to_owned() };
        format!("{}{FORMAT}{tasks}", by.simple())
    }

    /// What another replica told; nothing when it was this one.
    pub(crate) fn heard(payload: &str, own: Uuid) -> Self {
        const DIGITS: usize = 32;
        const LANE_DIGITS: usize = 8;
        let Some((by, tasks)) = payload.split_at_checked(DIGITS) else { return Self::unknown() };
        if by == own.simple().to_string() {
            return Self::default();
        }
        let task = |told: &[u8]| {
            let (id, lane) = told.split_at_checked(DIGITS)?;
            let lane = i32::from_str_radix(std::str::from_utf8(lane).ok()?, 16).ok()?;
            Some((TaskId::from(Uuid::try_parse_ascii(id).ok()?), lane))
        };
        let Some(tasks) = tasks.strip_prefix(FORMAT) else { return Self::unknown() };
        let tasks = tasks.as_bytes().chunks(DIGITS + LANE_DIGITS).map(task);
        tasks.collect::<Option<_>>().map_or_else(Self::unknown, |tasks| Self { tasks, others: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_by_others_only() {
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        let ready = Ready { tasks: vec![(TaskId::generate(), 7), (TaskId::generate(), i32::MAX)], others: false };
        assert_eq!(Ready::heard(&ready.told(one), other), ready);
        assert!(Ready::heard(&ready.told(one), one).is_nothing());
    }

    #[test]
    fn what_does_not_fit_is_searched_for() {
        let many = Ready { tasks: (0..=TOLD_MOST).map(|_| (TaskId::generate(), 1)).collect(), others: false };
        let told = many.told(Uuid::new_v4());
        assert!(told.len() < 8_000);
        assert_eq!(Ready::heard(&told, Uuid::new_v4()), Ready::unknown());
        assert_eq!(Ready::heard("", Uuid::new_v4()), Ready::unknown(), "an older release says nothing");
        let most = Ready { tasks: many.tasks[1..].to_vec(), others: false };
        assert!(most.told(Uuid::new_v4()).len() < 8_000);
        assert_eq!(Ready::heard(&most.told(Uuid::new_v4()), Uuid::new_v4()), most);
    }
}
