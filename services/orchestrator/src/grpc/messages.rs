use std::time::Duration;

use titan_error::Error;
use titan_identity::Principal;
use titan_lifecycle::now;
use titan_proto::orchestrator::message_service_server::MessageService;
use titan_proto::orchestrator::{
    AcknowledgeMessageRequest, GetMessageRequest, ListDeadMessagesRequest, ListDeadMessagesResponse, Message, MessageTo,
    ReadMailboxRequest, ReadMailboxResponse, SendMessageRequest,
};
use tonic::{Request, Response, Status};

use super::{Api, convert, id, optional_id};
use crate::app::MessageIn;

#[tonic::async_trait]
impl MessageService for Api {
    async fn send_message(&self, request: Request<SendMessageRequest>) -> Result<Response<Message>, Status> {
        let who = Principal::of(&request)?;
        let to_kind = match request.get_ref().to_kind() {
            MessageTo::Agent => "agent",
            MessageTo::Department => "department",
            MessageTo::Team => "team",
            MessageTo::Unspecified => return Err(Error::invalid("to_kind", "must be an agent, a department or a team").into()),
        };
        let SendMessageRequest { to_kind: _, to, priority, subject, body_json, in_reply_to, ttl_s, idempotency_key, attempt_credential } =
            request.into_inner();
        let in_reply_to = optional_id("in_reply_to", &in_reply_to)?;
        let message = MessageIn { to_kind, to, priority, subject, body_json, in_reply_to, ttl_s, idempotency_key, attempt_credential };
        Ok(Response::new(convert::message(self.app.send_message(&who, message, now()).await?)))
    }

    async fn get_message(&self, request: Request<GetMessageRequest>) -> Result<Response<Message>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert::message(self.app.message(&who, id("id", &request.get_ref().id)?).await?)))
    }

    async fn read_mailbox(&self, request: Request<ReadMailboxRequest>) -> Result<Response<ReadMailboxResponse>, Status> {
        let who = Principal::of(&request)?;
        let ReadMailboxRequest { agent, wait_ms } = request.into_inner();
        let messages = tokio::select! {
            messages = self.app.read_mailbox(&who, &agent, Duration::from_millis(wait_ms.into())) => messages?,
            () = self.app.stopping() => return Err(Error::unavailable("the service is stopping; try again").into()),
        };
        Ok(Response::new(ReadMailboxResponse { messages: messages.into_iter().map(convert::message).collect() }))
    }

    async fn acknowledge_message(&self, request: Request<AcknowledgeMessageRequest>) -> Result<Response<Message>, Status> {
        let who = Principal::of(&request)?;
        let AcknowledgeMessageRequest { id: message, agent } = request.into_inner();
        Ok(Response::new(convert::message(self.app.acknowledge_message(&who, id("id", &message)?, &agent).await?)))
    }

    async fn list_dead_messages(&self, request: Request<ListDeadMessagesRequest>) -> Result<Response<ListDeadMessagesResponse>, Status> {
        let who = Principal::of(&request)?;
        let (messages, page) = self.app.dead_messages(&who, request.into_inner().page).await?.convert(convert::message);
        Ok(Response::new(ListDeadMessagesResponse { messages, page }))
    }
}
