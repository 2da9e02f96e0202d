//! What a commit tells those who claim: which tasks it made ready. Who knows them need not search, past everything that was
//! ready once, for what is ready now.

use titan_ids::TaskId;
use uuid::Uuid;

/// Tasks that may have become ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) ids: Vec<TaskId>,
    /// And others, which are to be searched for.
    pub(crate) others: bool,
}

/// As many as a notification of PostgreSQL holds.
const TOLD_MOST: usize = 240;

impl Ready {
    /// What became ready is not known.
    pub(crate) fn unknown() -> Self {
        Self { others: true, ..Self::default() }
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.ids.is_empty() && !self.others
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.others |= other.others;
    }

    /// For a notification. `by`: the replica whose commit it is, which knows already.
    pub(crate) fn told(&self, by: Uuid) -> String {
        let known = !self.others && self.ids.len() <= TOLD_MOST;
        let ids = if known { self.ids.iter().map(|id| id.uuid().simple().to_string()).collect() } else { "*".to_owned() };
        format!("{}{ids}", by.simple())
    }

    /// What another replica told; nothing when it was this one.
    pub(crate) fn heard(payload: &str, own: Uuid) -> Self {
        const DIGITS: usize = 32;
        let Some((by, ids)) = payload.split_at_checked(DIGITS) else { return Self::unknown() };
        if by == own.simple().to_string() {
            return Self::default();
        }
        let ids = ids.as_bytes().chunks(DIGITS).map(|id| Uuid::try_parse_ascii(id).map(TaskId::from));
        ids.collect::<Result<_, _>>().map_or_else(|_| Self::unknown(), |ids| Self { ids, others: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_heard_by_others_only() {
        let (one, other) = (Uuid::new_v4(), Uuid::new_v4());
        let ready = Ready { ids: vec![TaskId::generate(), TaskId::generate()], others: false };
        assert_eq!(Ready::heard(&ready.told(one), other), ready);
        assert!(Ready::heard(&ready.told(one), one).is_nothing());
    }

    #[test]
    fn what_does_not_fit_is_searched_for() {
        let many = Ready { ids: (0..=TOLD_MOST).map(|_| TaskId::generate()).collect(), others: false };
        let told = many.told(Uuid::new_v4());
        assert!(told.len() < 8_000);
        assert_eq!(Ready::heard(&told, Uuid::new_v4()), Ready::unknown());
        assert_eq!(Ready::heard("", Uuid::new_v4()), Ready::unknown(), "an older release says nothing");
        let most = Ready { ids: many.ids[1..].to_vec(), others: false };
        assert!(most.told(Uuid::new_v4()).len() < 8_000);
        assert_eq!(Ready::heard(&most.told(Uuid::new_v4()), Uuid::new_v4()), most);
    }
}
