//! The orchestrator's services.

use titan_proto::ASSIGNMENT_MOST;
use titan_proto::orchestrator::agent_service_client::AgentServiceClient;
use titan_proto::orchestrator::goal_service_client::GoalServiceClient;
use titan_proto::orchestrator::message_service_client::MessageServiceClient;
use titan_proto::orchestrator::project_service_client::ProjectServiceClient;
use titan_proto::orchestrator::schedule_service_client::ScheduleServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::template_service_client::TemplateServiceClient;
use tonic::transport::Channel;

use super::App;

impl App {
    pub(crate) fn agent_service(&self) -> AgentServiceClient<Channel> {
        AgentServiceClient::new(self.orchestrator.clone()).max_decoding_message_size(ASSIGNMENT_MOST)
    }
    pub(crate) fn goal_service(&self) -> GoalServiceClient<Channel> {
        GoalServiceClient::new(self.orchestrator.clone()).max_decoding_message_size(ASSIGNMENT_MOST)
    }
    pub(crate) fn message_service(&self) -> MessageServiceClient<Channel> {
        MessageServiceClient::new(self.orchestrator.clone()).max_decoding_message_size(ASSIGNMENT_MOST)
    }
    pub(crate) fn project_service(&self) -> ProjectServiceClient<Channel> {
        ProjectServiceClient::new(self.orchestrator.clone())
    }
    pub(crate) fn schedule_service(&self) -> ScheduleServiceClient<Channel> {
        ScheduleServiceClient::new(self.orchestrator.clone()).max_decoding_message_size(ASSIGNMENT_MOST)
    }
    pub(crate) fn task_service(&self) -> TaskServiceClient<Channel> {
        TaskServiceClient::new(self.orchestrator.clone()).max_decoding_message_size(ASSIGNMENT_MOST)
    }
    pub(crate) fn template_service(&self) -> TemplateServiceClient<Channel> {
        TemplateServiceClient::new(self.orchestrator.clone())
    }
}
