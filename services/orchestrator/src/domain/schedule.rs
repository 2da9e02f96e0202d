//! When recurring work comes next.

use chrono::{DateTime, Duration, Utc};
use chrono_tz::Tz;
use croner::Cron;

#[derive(Clone, Debug)]
pub(crate) enum When {
    Cron(Box<Cron>, Tz),
    /// Counted from the given time.
    Every(Duration, DateTime<Utc>),
}

/// Shorter intervals are what tasks that wait are for.
const SHORTEST_MS: i64 = 1_000;

impl When {
    /// One that comes at all; or what is wrong, by field.
    pub(crate) fn parse(cron: &str, every_ms: u64, zone: &str, from: DateTime<Utc>) -> Result<Self, (&'static str, String)> {
        let when = Self::of(cron, every_ms, zone, from)?;
        when.next(from).map(|_| when).ok_or(("cron", "never comes".to_owned()))
    }

    pub(crate) fn of(cron: &str, every_ms: u64, zone: &str, from: DateTime<Utc>) -> Result<Self, (&'static str, String)> {
        if cron.is_empty() == (every_ms == 0) {
            return Err(("cron", "give either cron or every_ms".to_owned()));
        }
        let zone: Tz = if zone.is_empty() {
            Tz::UTC
        } else {
            zone.parse().map_err(|_| ("time_zone", format!("{zone:?} is not a time zone, like Europe/Berlin")))?
        };
        if cron.is_empty() {
            let every = i64::try_from(every_ms).ok().filter(|ms| (SHORTEST_MS..=366 * 86_400_000).contains(ms));
            let every = every.ok_or(("every_ms", "must be 1000 (a second) to 31622400000 (a year)".to_owned()))?;
            return Ok(Self::Every(Duration::milliseconds(every), from));
        }
        let cron: Cron = cron.parse().map_err(|e| ("cron", format!("{cron:?} is not a cron expression: {e}")))?;
        Ok(Self::Cron(Box::new(cron), zone))
    }

    /// The first time after `after`; what was missed before is made up for by one run.
    pub(crate) fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Cron(cron, zone) => {
                let next = cron.find_next_occurrence(&after.with_timezone(zone), false).ok()?;
                Some(next.with_timezone(&Utc))
            }
            Self::Every(every, from) => {
                let passed = (after - *from).num_milliseconds().max(0) / every.num_milliseconds();
                Some(*from + *every * i32::try_from(passed + 1).ok()?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_interval_keeps_its_beat_whatever_was_missed() {
        let when = When::parse("", 60_000, "", at("2026-01-01T00:00:30Z")).unwrap();
        assert_eq!(when.next(at("2026-01-01T00:00:30Z")), Some(at("2026-01-01T00:01:30Z")));
        assert_eq!(when.next(at("2026-01-01T05:10:00Z")), Some(at("2026-01-01T05:10:30Z")));
    }

    #[test]
    fn a_cron_expression_is_read_in_its_zone_across_the_change_of_clocks() {
        let when = When::parse("30 2 * * *", 0, "Europe/Berlin", at("2026-03-28T00:00:00Z")).unwrap();
        assert_eq!(when.next(at("2026-03-28T00:00:00Z")), Some(at("2026-03-28T01:30:00Z")));
        // The night in which 02:30 does not exist.
        let after = when.next(at("2026-03-28T02:00:00Z")).unwrap();
        assert!(after > at("2026-03-29T00:00:00Z") && after <= at("2026-03-30T00:30:00Z"), "{after}");
    }

    #[test]
    fn what_is_wrong_is_said_by_field() {
        let now = at("2026-01-01T00:00:00Z");
        for (cron, every, zone, field) in [
            ("", 0, "", "cron"),
            ("* * * * *", 1_000, "", "cron"),
            ("61 * * * *", 0, "", "cron"),
            ("0 0 30 2 *", 0, "", "cron"),
            ("* * * * *", 0, "Mars/Base", "time_zone"),
            ("", 10, "", "every_ms"),
        ] {
            assert_eq!(When::parse(cron, every, zone, now).unwrap_err().0, field, "{cron} {every} {zone}");
        }
    }
}
