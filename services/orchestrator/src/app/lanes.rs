//! The lanes that exist, as this replica knows them: a table that only grows, and slowly.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use sea_orm::ConnectionTrait;
use titan_error::{Error, Result};

use crate::domain::matching::{Demands, Lane};
use crate::store::lanes;
use crate::store::submissions::NewTask;

#[derive(Debug, Default)]
pub(crate) struct Lanes(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    ids: HashMap<(String, String, String), i32>,
    all: Arc<HashMap<i32, Arc<Lane>>>,
}

impl Known {
    fn add(&mut self, lane: Lane, demands: String) {
        self.ids.insert((lane.pool.clone(), lane.role.clone(), demands), lane.id);
        Arc::make_mut(&mut self.all).insert(lane.id, Arc::new(lane));
    }
}

impl Lanes {
    pub(crate) fn all(&self) -> Arc<HashMap<i32, Arc<Lane>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    /// Reads them again: another replica made one.
    pub(crate) async fn reload(&self, db: &impl ConnectionTrait) -> Result<()> {
        let mut known = Known::default();
        for lane in lanes::all(db).await? {
            let demands = key(&lane)?;
            known.add(lane, demands);
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// Gives each task the lane it is in, which is made where there is none. Outside of any transaction: a lane without tasks
    /// costs nothing.
    pub(super) async fn resolve(&self, db: &impl ConnectionTrait, tasks: impl Iterator<Item = &mut NewTask>) -> Result<()> {
        for task in tasks {
            task.lane_id = self.find(db, &task.pool, &task.role, &task.demands).await?;
        }
        Ok(())
    }

    /// The lane's id, as [`Lanes::resolve`].
    pub(super) async fn find(&self, db: &impl ConnectionTrait, pool: &str, role: &str, demands: &Demands) -> Result<i32> {
        let demands = serde_json::to_value(demands).map_err(Error::internal)?;
        let key = (pool.to_owned(), role.to_owned(), demands.to_string());
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).ids.get(&key).copied();
        if let Some(id) = known {
            return Ok(id);
        }
        let lane = lanes::find_or_insert(db, pool, role, &demands).await?;
        let id = lane.id;
        self.0.write().unwrap_or_else(PoisonError::into_inner).add(lane, demands.to_string());
        Ok(id)
    }
}

/// As `find` looks it up: members in the order of the struct's fields.
fn key(lane: &Lane) -> Result<String> {
    Ok(serde_json::to_value(&lane.demands).map_err(Error::internal)?.to_string())
}
