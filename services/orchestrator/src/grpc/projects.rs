use titan_identity::Principal;
use titan_lifecycle::now;
use titan_proto::orchestrator::project_service_server::ProjectService;
use titan_proto::orchestrator::{
    CreateProjectRequest, GetProjectRequest, ListProjectsRequest, ListProjectsResponse, MatchingWeights, Project, UpdateProjectRequest,
};
use tonic::{Request, Response, Status};

use super::{Api, convert};
use crate::app::{ProjectIn, ProjectPatch};
use crate::domain::matching::Weights;

#[tonic::async_trait]
impl ProjectService for Api {
    async fn create_project(&self, request: Request<CreateProjectRequest>) -> Result<Response<Project>, Status> {
        let who = Principal::of(&request)?;
        let CreateProjectRequest { name, description, slug, idempotency_key } = request.into_inner();
        let project = self.app.create_project(&who, ProjectIn { name, description, slug, idempotency_key }, now()).await?;
        Ok(Response::new(convert::project(project)))
    }

    async fn get_project(&self, request: Request<GetProjectRequest>) -> Result<Response<Project>, Status> {
        let who = Principal::of(&request)?;
        let project = self.app.project(&who, &request.get_ref().project).await?;
        Ok(Response::new(convert::project(project)))
    }

    async fn list_projects(&self, request: Request<ListProjectsRequest>) -> Result<Response<ListProjectsResponse>, Status> {
        let who = Principal::of(&request)?;
        let (projects, page) = self.app.projects(&who, request.into_inner().page).await?.convert(convert::project);
        Ok(Response::new(ListProjectsResponse { projects, page }))
    }

    async fn update_project(&self, request: Request<UpdateProjectRequest>) -> Result<Response<Project>, Status> {
        let who = Principal::of(&request)?;
        let UpdateProjectRequest { project, name, description, version, weight, matching } = request.into_inner();
        let matching = matching.map(|MatchingWeights { skill, workload, performance, urgency, complexity, preference }| Weights {
            skill,
            workload,
            performance,
            urgency,
            complexity,
            preference,
        });
        let patch = ProjectPatch { name, description, weight, matching, version };
        let project = self.app.update_project(&who, &project, patch, now()).await?;
        Ok(Response::new(convert::project(project)))
    }

    async fn delete_project(&self, request: Request<GetProjectRequest>) -> Result<Response<Project>, Status> {
        let who = Principal::of(&request)?;
        let project = self.app.archive_project(&who, &request.get_ref().project).await?;
        Ok(Response::new(convert::project(project)))
    }
}
