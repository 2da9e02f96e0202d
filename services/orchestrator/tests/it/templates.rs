//! Templates of an organisation's own.

use std::collections::HashMap;

use titan_identity::Principal;
use titan_ids::{OrgId, UserId};
use titan_proto::orchestrator::template_service_client::TemplateServiceClient;
use titan_proto::orchestrator::{FetchTemplatesRequest, GetTemplateRequest, ListTemplatesRequest, PutTemplateRequest, Template};
use tonic::{Code, Status};

use super::Fixture;

async fn put(fixture: &Fixture, name: &str, about: &str, files: &[(&str, &str)]) -> Result<Template, Status> {
    let files: HashMap<String, String> = files.iter().map(|(path, contents)| ((*path).to_owned(), (*contents).to_owned())).collect();
    let request = PutTemplateRequest { name: name.to_owned(), about: about.to_owned(), files };
    Ok(TemplateServiceClient::new(fixture.channel.clone()).put_template(fixture.request(request)).await?.into_inner())
}

#[tokio::test]
async fn templates_are_checked_kept_and_told_to_services() {
    let fixture = Fixture::new().await;
    let client = || TemplateServiceClient::new(fixture.channel.clone());
    for (name, about, files, field, part) in [
        ("Shop", "", &[("a", "")][..], "name", "a to z"),
        ("shop", "", &[], "files", "no files"),
        ("shop", "", &[("../a", "")], "files", "../a"),
        ("shop", "", &[(".git/config", "")], "files", ".git"),
        ("shop", "", &[("sub/.git.j2", "")], "files", ".git"),
        ("shop", "", &[("a", ""), ("a.j2", "")], "files", "one file only"),
        ("shop", "", &[("a", ""), ("a/b", "")], "files", "others are below it"),
        ("shop", "", &[("a.j2", "{% if %}")], "files", "a.j2"),
        ("shop", "extends = \"nothing\"", &[("a", "")], "about", "nothing"),
        ("shop", "colour = 1", &[("a", "")], "about", "colour"),
    ] {
        let refused = put(&fixture, name, about, files).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused:?}");
        assert!(refused.message().contains(field) && refused.message().contains(part), "{field} {part}: {refused:?}");
    }
    put(&fixture, "base", "", &[("README.md.j2", "# {{ title }}")]).await.unwrap();
    let shop = put(&fixture, "shop", "summary = \"Ours\"\nextends = \"base\"", &[("NOTICE", "ours")]).await.unwrap();
    assert!(shop.updated_by.starts_with("user_") && shop.files["NOTICE"] == "ours");
    let listed = client().list_templates(fixture.request(ListTemplatesRequest {})).await.unwrap().into_inner().templates;
    let found = |name: &str| listed.iter().find(|template| template.name == name).unwrap();
    assert!(found("rest-api").built_in && !found("shop").built_in && found("shop").summary == "Ours" && found("shop").files.is_empty());

    let service = Principal::service("agent-worker", OrgId::DEFAULT);
    let fetch = async |version: &str| {
        let request = FetchTemplatesRequest { version: version.to_owned() };
        client().fetch_templates(fixture.signer.request(&service, request).unwrap()).await.unwrap().into_inner()
    };
    let first = fetch("").await;
    assert_eq!(first.templates.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["base", "shop"]);
    assert!(fetch(&first.version).await.templates.is_empty(), "it has them already");
    let refused = client().fetch_templates(fixture.request(FetchTemplatesRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);

    let named = |name: &str| GetTemplateRequest { name: name.to_owned() };
    let needed = client().delete_template(fixture.request(named("base"))).await.unwrap_err();
    assert!(needed.code() == Code::FailedPrecondition && needed.message().contains("shop"), "{needed:?}");
    client().delete_template(fixture.request(named("shop"))).await.unwrap();
    client().delete_template(fixture.request(named("base"))).await.unwrap();
    assert_eq!(client().get_template(fixture.request(named("shop"))).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(client().delete_template(fixture.request(named("rest-api"))).await.unwrap_err().code(), Code::NotFound, "it is built in");
    let now = fetch(&first.version).await;
    assert!(now.version != first.version && now.templates.is_empty());

    put(&fixture, "shop", "", &[("a", "")]).await.unwrap();
    let stranger = Principal::user(UserId::generate(), OrgId::from(uuid::Uuid::now_v7()));
    let foreign = client().get_template(fixture.signer.request(&stranger, named("shop")).unwrap()).await;
    assert_eq!(foreign.unwrap_err().code(), Code::NotFound);
    fixture.service.stop().await;
}
