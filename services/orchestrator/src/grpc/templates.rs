use titan_identity::Principal;
use titan_lifecycle::now;
use titan_proto::orchestrator::template_service_server::TemplateService;
use titan_proto::orchestrator::{
    FetchTemplatesRequest, FetchTemplatesResponse, GetTemplateRequest, ListTemplatesRequest, ListTemplatesResponse, PutTemplateRequest,
    Template,
};
use titan_proto::time::to_proto;
use tonic::{Request, Response, Status};

use super::Api;
use crate::store::templates::TemplateRow;

#[tonic::async_trait]
impl TemplateService for Api {
    async fn put_template(&self, request: Request<PutTemplateRequest>) -> Result<Response<Template>, Status> {
        let who = Principal::of(&request)?;
        let PutTemplateRequest { name, about, files } = request.into_inner();
        let row = self.app.put_template(&who, &name, about, files.into_iter().collect(), now()).await?;
        Ok(Response::new(convert(row, true)))
    }

    async fn get_template(&self, request: Request<GetTemplateRequest>) -> Result<Response<Template>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert(self.app.template(&who, &request.get_ref().name).await?, true)))
    }

    async fn list_templates(&self, request: Request<ListTemplatesRequest>) -> Result<Response<ListTemplatesResponse>, Status> {
        let who = Principal::of(&request)?;
        let (own, all) = self.app.templates(&who).await?;
        let listed = |(name, summary): (String, String)| match own.iter().find(|row| row.name == name) {
            Some(row) => Template { summary, ..convert(row.clone(), false) },
            None => Template { name, summary, built_in: true, ..Default::default() },
        };
        Ok(Response::new(ListTemplatesResponse { templates: all.into_iter().map(listed).collect() }))
    }

    async fn delete_template(&self, request: Request<GetTemplateRequest>) -> Result<Response<Template>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert(self.app.delete_template(&who, &request.get_ref().name).await?, false)))
    }

    async fn fetch_templates(&self, request: Request<FetchTemplatesRequest>) -> Result<Response<FetchTemplatesResponse>, Status> {
        let who = Principal::of(&request)?;
        let (version, templates) = self.app.fetch_templates(&who, &request.get_ref().version).await?;
        Ok(Response::new(FetchTemplatesResponse { version, templates: templates.into_iter().map(|row| convert(row, true)).collect() }))
    }
}

fn convert(row: TemplateRow, whole: bool) -> Template {
    Template {
        files: if whole { row.files().into_iter().collect() } else { Default::default() },
        name: row.name,
        summary: String::new(),
        built_in: false,
        about: row.about,
        updated_by: row.updated_by,
        updated_at: Some(to_proto(row.updated_at)),
    }
}
