use titan_error::{Error, Result};
use titan_ids::{Id, Kind};
use titan_proto::common::{PageInfo, PageRequest};
use uuid::Uuid;

const DEFAULT: u32 = 50;
const MOST: u32 = 200;

/// A page asked for, newest rows first. Ids are UUIDv7, so the last id seen is the cursor.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Rows with an id below this one; the highest UUID when the first page is asked for.
    pub before: Uuid,
    pub limit: u32,
}

/// Rows of one page with the cursor of the next.
#[derive(Debug)]
pub struct PageOf<T> {
    pub rows: Vec<T>,
    pub next: String,
}

impl Page {
    /// # Errors
    /// A limit above 200 or a cursor that is none.
    pub fn parse<K: Kind>(request: Option<PageRequest>) -> Result<Self> {
        let PageRequest { limit, after } = request.unwrap_or_default();
        if limit > MOST {
            return Err(Error::invalid("limit", format!("must be at most {MOST}")));
        }
        let before = if after.is_empty() {
            Uuid::max()
        } else {
            let id = after
                .parse::<Id<K>>()
                .map_err(|_| Error::invalid("after", "is not a cursor of this list; use `next` of the page before"))?;
            id.uuid()
        };
        Ok(Self { before, limit: if limit == 0 { DEFAULT } else { limit } })
    }

    /// One row more than the page holds, which tells whether there is a next one.
    #[must_use]
    pub fn fetch(self) -> u64 {
        u64::from(self.limit) + 1
    }

    pub fn of<T>(self, mut rows: Vec<T>, cursor: impl Fn(&T) -> String) -> PageOf<T> {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor).unwrap_or_default();
        PageOf { rows, next }
    }
}

impl<T> PageOf<T> {
    pub fn convert<U>(self, convert: impl Fn(T) -> U) -> (Vec<U>, Option<PageInfo>) {
        (self.rows.into_iter().map(convert).collect(), Some(PageInfo { next: self.next }))
    }
}
