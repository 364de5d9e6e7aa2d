//! Gets real tokens from the stand-in's Cognito, for people in groups and for machines with scopes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use stockline_deploy_checks::cloudformation::{authorization, percent_encoded};
use stockline_deploy_checks::ministack::Ministack;

use crate::stack::Stack;

/// The password of every person.
pub const PASSWORD: &str = "Correct-Horse-7";

/// Returns the address of the keys that sign a stack's tokens. The tokens still name AWS as their issuer.
pub fn jwks_url(server: &Ministack, stack: &Stack) -> String {
    format!("{}/{}/.well-known/jwks.json", server.url, stack.output("UserPool"))
}

/// Adds a person to groups, creates the missing groups, and returns an access token of the person.
pub async fn person(server: &Ministack, stack: &Stack, email: &str, groups: &[&str]) -> String {
    let pool = stack.output("UserPool");
    let user = json!({
        "UserPoolId": pool,
        "Username": email,
        "MessageAction": "SUPPRESS",
        "UserAttributes": [{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
    });
    call(server, "AdminCreateUser", &user).await.unwrap();
    let password = json!({"UserPoolId": pool, "Username": email, "Password": PASSWORD, "Permanent": true});
    call(server, "AdminSetUserPassword", &password).await.unwrap();
    for group in groups {
        match call(server, "CreateGroup", &json!({"UserPoolId": pool, "GroupName": group})).await {
            Ok(_) => {}
            Err(fault) => assert!(fault.contains("GroupExists"), "{fault}"),
        }
        let member = json!({"UserPoolId": pool, "Username": email, "GroupName": group});
        call(server, "AdminAddUserToGroup", &member).await.unwrap();
    }
    sign_in(server, stack, email).await
}

/// Returns a fresh access token of a person who was added before.
pub async fn sign_in(server: &Ministack, stack: &Stack, email: &str) -> String {
    let request = json!({
        "ClientId": stack.output("PeopleClient"),
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": {"USERNAME": email, "PASSWORD": PASSWORD},
    });
    let answer = call(server, "InitiateAuth", &request).await.unwrap();
    answer["AuthenticationResult"]["AccessToken"].as_str().unwrap().to_owned()
}

/// Returns an access token of the tills' client, which it gets by its secret.
pub async fn machine(server: &Ministack, stack: &Stack, scopes: &[&str]) -> String {
    let client_id = stack.output("TillsClient");
    let client = json!({"UserPoolId": stack.output("UserPool"), "ClientId": client_id});
    let described = call(server, "DescribeUserPoolClient", &client).await.unwrap();
    let secret = described["UserPoolClient"]["ClientSecret"].as_str().unwrap();
    let response = reqwest::Client::new()
        .post(format!("{}/oauth2/token", server.url))
        .basic_auth(client_id, Some(secret))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("grant_type=client_credentials&scope={}", percent_encoded(&scopes.join(" "))))
        .send()
        .await
        .unwrap();
    let status = response.status();
    let answer: Value = response.json().await.unwrap();
    assert!(status.is_success(), "{status} {answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

/// Returns a token's claims without verifying them.
pub fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Calls the API of the user pools. The error is a text.
async fn call(server: &Ministack, operation: &str, request: &Value) -> Result<Value, String> {
    let response = reqwest::Client::new()
        .post(&server.url)
        .header("authorization", authorization("cognito-idp"))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("AWSCognitoIdentityProviderService.{operation}"))
        .body(request.to_string())
        .send()
        .await
        .unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    if status.is_success() {
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    } else {
        Err(format!("{operation}: {status} {text}"))
    }
}
