//! The name of an event, which is also its routing key, follows from its body.

use crate::events::event::Body;

impl Body {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ProjectCreated(_) => "project.created",
            Self::GoalSubmitted(_) => "goal.submitted",
            Self::GoalFinished(_) => "goal.finished",
            Self::GoalReopened(_) => "goal.reopened",
            Self::GoalPaused(_) => "goal.paused",
            Self::GoalResumed(_) => "goal.resumed",
            Self::MessageSent(_) => "message.sent",
            Self::TaskSubmitted(_) => "task.submitted",
            Self::TaskAssigned(_) => "task.assigned",
            Self::TaskStarted(_) => "task.started",
            Self::TaskProgressed(_) => "task.progressed",
            Self::TaskCompleted(_) => "task.completed",
            Self::TaskFailed(_) => "task.failed",
            Self::TaskRetried(_) => "task.retried",
            Self::TaskCancelled(_) => "task.cancelled",
            Self::TaskDeleted(_) => "task.deleted",
            Self::TaskUpdated(_) => "task.updated",
            Self::TaskRequeued(_) => "task.requeued",
            Self::DeploymentStarted(_) => "deployment.started",
            Self::DeploymentSucceeded(_) => "deployment.succeeded",
            Self::DeploymentFailed(_) => "deployment.failed",
            Self::DeploymentStopped(_) => "deployment.stopped",
            Self::HealthChanged(_) => "health.changed",
        }
    }
}
