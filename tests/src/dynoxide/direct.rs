//! The engine without a socket. The SDK's real client is used, and its requests are answered on the caller's thread.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::inject::{operation_of, sdk_config_over};

/// A database of its own. It answers without waiting, so a paused clock does not advance during a call.
#[derive(Clone)]
pub struct Direct(Database);

impl std::fmt::Debug for Direct {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Direct")
    }
}

impl Direct {
    /// Returns an empty database.
    pub fn new() -> Self {
        Self(Database::memory().unwrap())
    }

    /// Returns a client.
    pub fn client(&self) -> aws_sdk_dynamodb::Client {
        // The address is not used: no request leaves the process.
        let config = sdk_config_over("http://dynamodb.invalid", SharedHttpClient::new(self.clone()));
        aws_sdk_dynamodb::Client::new(&config)
    }

    fn answer(&self, operation: &str, body: &[u8]) -> Result<String, DynoxideError> {
        let database = &self.0;
        match operation {
            "CreateTable" => call(body, |request| database.create_table(request)),
            "GetItem" => call(body, |request| database.get_item(request)),
            "BatchGetItem" => call(body, |request| database.batch_get_item(request)),
            "Query" => call(body, |request| database.query(request)),
            "Scan" => call(body, |request| database.scan(request)),
            "PutItem" => call(body, |request| database.put_item(request)),
            "UpdateItem" => call(body, |request| database.update_item(request)),
            "TransactGetItems" => call(body, |request| database.transact_get_items(request)),
            "TransactWriteItems" => call(body, |request| database.transact_write_items(request)),
            _ => panic!("{operation} is not called here"),
        }
    }
}

impl Default for Direct {
    fn default() -> Self {
        Self::new()
    }
}

fn call<T: DeserializeOwned, A: Serialize>(
    body: &[u8],
    work: impl FnOnce(T) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let answer = work(serde_json::from_slice(body).unwrap())?;
    Ok(serde_json::to_string(&answer).unwrap())
}

impl HttpConnector for Direct {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.answer(&operation_of(&request), request.body().bytes().unwrap());
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err(error) => (error.status_code(), error.to_json()),
        };
        let answer = status.try_into().map(|status| HttpResponse::new(status, SdkBody::from(body)));
        HttpConnectorFuture::ready(answer.map_err(|_| ConnectorError::other("no status".into(), None)))
    }
}

impl HttpClient for Direct {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
