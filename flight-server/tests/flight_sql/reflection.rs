//! gRPC's reflection.

use std::collections::BTreeSet;

use futures::stream;
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha;

use crate::fixture::Fixture;

/// The answer to a question of somebody with that token.
async fn ask(channel: &Channel, token: Option<&str>, question: MessageRequest) -> Result<MessageResponse, Status> {
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(question),
    };
    let mut request = Request::new(stream::iter([question]));
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    let answers = ServerReflectionClient::new(channel.clone())
        .server_reflection_info(request)
        .await?;
    let ServerReflectionResponse { message_response, .. } = answers.into_inner().message().await?.unwrap();
    Ok(message_response.unwrap())
}

async fn services(channel: &Channel, token: Option<&str>) -> Result<BTreeSet<String>, Status> {
    match ask(channel, token, MessageRequest::ListServices(String::new())).await? {
        MessageResponse::ListServicesResponse(list) => Ok(list.service.into_iter().map(|one| one.name).collect()),
        other => panic!("{other:?}"),
    }
}

async fn files(channel: &Channel, token: &str, question: MessageRequest) -> Vec<FileDescriptorProto> {
    let answer = ask(channel, Some(token), question).await.unwrap();
    let MessageResponse::FileDescriptorResponse(files) = answer else {
        panic!("{answer:?}");
    };
    let files = files.file_descriptor_proto.iter();
    files
        .map(|file| FileDescriptorProto::decode(&**file).unwrap())
        .collect()
}

#[tokio::test]
async fn what_is_served_is_told_to_who_is_logged_in() {
    let fixture = Fixture::with_users().await;
    let channel = fixture.channel().await;
    assert_eq!(
        services(&channel, None).await.unwrap_err().code(),
        Code::Unauthenticated
    );
    let client = fixture.client("ana").await;
    let token = client.token().unwrap().clone();
    let listed = services(&channel, Some(&token)).await.unwrap();
    let known = [
        "arrow.flight.protocol.FlightService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ];
    assert_eq!(listed, known.map(str::to_owned).into());
    // Every file that a service needs is told as well.
    for service in listed {
        let mut wanted = files(&channel, &token, MessageRequest::FileContainingSymbol(service)).await;
        while let Some(file) = wanted.pop() {
            for needed in file.dependency {
                wanted.extend(files(&channel, &token, MessageRequest::FileByFilename(needed)).await);
            }
        }
    }
}

#[tokio::test]
async fn tools_that_know_the_older_version_are_answered() {
    let fixture = Fixture::open().await;
    let question = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(fixture.channel().await);
    let answers = client.server_reflection_info(stream::iter([question])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("{answer:?}");
    };
    assert_eq!(list.service.len(), 3, "{list:?}");
}
