use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::*;
use titan_ids::{GoalId, OrgId, ProjectId};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "goal")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: GoalId,
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) sentence: String,
    pub(crate) state: State,
    pub(crate) result: Option<Json>,
    pub(crate) error: String,
    pub(crate) created_by: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) traceparent: String,
    pub(crate) paused: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub(crate) enum State {
    Running,
    Done,
    Failed,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {
    #[sea_orm(belongs_to = "super::project::Entity", from = "Column::ProjectId", to = "super::project::Column::Id")]
    Project,
}

impl Related<super::project::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Project.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
